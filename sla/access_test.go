package sla_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
)

// accessTo is what somebody of the house may do at noon, with the built-in
// readers.
func accessTo(t *testing.T, d *sla.Directory, code string) sla.Access {
	t.Helper()
	x, err := d.Access(personID(code), []model.Role{model.RolePXAdmin, model.RolePXCoordinator, model.RoleExecutive}, at(1))
	require.NoError(t, err)
	return x
}

func TestWhoMayDoWhat(t *testing.T) {
	t.Parallel()
	may := func(code string, right model.Right, change func(*model.Action, *sla.Directory)) bool {
		d, a := house(usualCast()), newAction(model.SeverityLow, monday, usualCast())
		if change != nil {
			change(&a, d)
		}
		return accessTo(t, d, code).May(right, &a)
	}
	involved := func(code string) func(*model.Action, *sla.Directory) {
		return func(a *model.Action, _ *sla.Directory) { a.Involved.V = []model.UserID{personID(code)} }
	}
	restricted := func(a *model.Action, _ *sla.Directory) { a.Restricted = true }
	away := func(code, standIn string) func(*model.Action, *sla.Directory) {
		return func(_ *model.Action, d *sla.Directory) {
			u, from := d.Users[personID(code)], monday
			u.SubstituteID, u.SubstituteFrom = personID(standIn).Ptr(), &from
		}
	}
	member := func(code, dep string) func(*model.Action, *sla.Directory) {
		return func(_ *model.Action, d *sla.Directory) {
			d.Users[personID(code)].DepartmentID = idOf[model.Department](dep).Ptr()
			d.Users[personID(code)].Roles.V = []model.Role{model.RoleManager}
		}
	}
	auditor := func(a *model.Action, d *sla.Directory) {
		d.Users[personID("cat")].Roles.V = []model.Role{model.RoleAuditor}
		a.AssignedTo = personID("cat").Ptr()
	}
	const view, submit, assign, approve = model.RightView, model.Right("submit"), model.Right("assign"), model.Right("approve")
	for _, tt := range []struct {
		name   string
		who    string
		right  model.Right
		change func(*model.Action, *sla.Directory)
		want   bool
	}{
		{"the owner works", "ann", submit, nil, true},
		{"the owner does not assign", "ann", assign, nil, false},
		{"a colleague does not see", "bob", view, nil, false},
		{"who stands in for the owner works", "bob", submit, away("ann", "bob"), true},
		{"the department's manager assigns", "mgr", assign, nil, true},
		{"another department's does not see", "lab", view, nil, false},
		{"who stands in for the manager assigns", "bob", assign, away("mgr", "bob"), true},
		{"a manager of its staff assigns", "cat", assign, member("cat", "WARD"), true},
		{"a manager of other staff does not", "cat", assign, member("cat", "LAB"), false},
		{"a coordinator assigns", "coo", assign, nil, true},
		{"a coordinator does not approve", "coo", approve, nil, false},
		{"an admin approves", "pxa", approve, nil, true},
		{"who stands in for an admin approves", "bob", approve, away("pxa", "bob"), true},
		{"and sees", "bob", view, away("pxa", "bob"), true},
		{"but assigns nobody", "bob", assign, away("pxa", "bob"), false},
		{"who would stand in, were they away, does not see", "bob", view, func(_ *model.Action, d *sla.Directory) {
			d.Users[personID("pxa")].SubstituteID = personID("bob").Ptr()
		}, false},
		{"an admin of another hospital does not see", "far", view, nil, false},
		{"an auditor sees", "cat", view, auditor, true},
		{"an auditor makes none", "cat", model.RightCreate, auditor, false},
		{"an auditor does not even work what they own", "cat", submit, auditor, false},
		{"an executive sees", "exe", view, nil, true},
		{"an executive does not work", "exe", submit, nil, false},
		{"who is involved does not see, an admin neither", "pxa", view, involved("pxa"), false},
		{"the owner of a restricted one, without a reader's role", "ann", view, restricted, false},
		{"a reader of restricted ones", "coo", view, restricted, true},
	} {
		require.Equal(t, tt.want, may(tt.who, tt.right, tt.change), tt.name)
	}
	_, err := house(usualCast()).Access(personID("gone"), nil, at(1))
	require.ErrorIs(t, err, model.ErrForbidden, "who has left")
}

func TestAccessOfAKey(t *testing.T) {
	t.Parallel()
	d, a := house(usualCast()), newAction(model.SeverityLow, monday, usualCast())
	far, ruh := idOf[model.Hospital]("FAR"), idOf[model.Hospital]("RUH")
	x := sla.ServiceAccess(d)
	require.True(t, x.May(model.RightView, &a))
	require.False(t, x.May(model.RightTo(model.MoveApprove), &a), "it takes a person")
	require.True(t, x.MayAt(model.RightCreate, ruh))
	limited := x.Within([]model.HospitalID{far})
	require.False(t, limited.May(model.RightView, &a))
	require.False(t, limited.MayAt(model.RightCreate, ruh))
	require.False(t, accessTo(t, d, "pxa").Within([]model.HospitalID{far}).May(model.RightView, &a), "the key's limits are the person's, too")
}

// TestSightIsWhatMayBeSeen: the list's restriction says of each action what May
// says of it.
func TestSightIsWhatMayBeSeen(t *testing.T) {
	t.Parallel()
	d := house(usualCast())
	from := monday
	d.Users[personID("ann")].SubstituteID, d.Users[personID("ann")].SubstituteFrom = personID("cat").Ptr(), &from
	d.Users[personID("pxb")].SubstituteID, d.Users[personID("pxb")].SubstituteFrom = personID("bob").Ptr(), &from
	in := func(s sla.Sight, a *model.Action) bool {
		has := func(list []model.HospitalID, id model.HospitalID) bool {
			for _, x := range list {
				if x == id {
					return true
				}
			}
			return false
		}
		owner, dep := false, false
		for _, o := range s.Owners {
			owner = owner || a.AssignedTo != nil && *a.AssignedTo == o
		}
		for _, o := range s.Departments {
			dep = dep || a.DepartmentID != nil && *a.DepartmentID == o
		}
		for _, u := range a.Involved.V {
			if u == s.Self {
				return false
			}
		}
		return (s.Everywhere || has(s.Hospitals, a.HospitalID) || owner || dep) && (len(s.Within) == 0 || has(s.Within, a.HospitalID)) && (s.Restricted || !a.Restricted)
	}
	owners := []*model.UserID{nil, personID("ann").Ptr(), personID("bob").Ptr(), personID("lab").Ptr()}
	places := []struct{ h, d string }{{"RUH", "WARD"}, {"RUH", "LAB"}, {"RUH", ""}, {"FAR", "AFAR"}}
	seen := map[string]int{}
	for _, code := range []string{"ann", "bob", "cat", "mgr", "lab", "coo", "pxa", "exe", "far"} {
		for _, within := range [][]model.HospitalID{nil, {idOf[model.Hospital]("FAR")}} {
			x := accessTo(t, d, code).Within(within)
			for _, owner := range owners {
				for _, at := range places {
					for _, restricted := range []bool{false, true} {
						a := model.Action{HospitalID: idOf[model.Hospital](at.h), AssignedTo: owner, Restricted: restricted}
						if at.d != "" {
							a.DepartmentID = idOf[model.Department](at.d).Ptr()
						}
						a.Involved.V = []model.UserID{personID("exe")}
						require.Equal(t, x.May(model.RightView, &a), in(x.Sight(), &a), "%s, %s/%s", code, at.h, at.d)
						if x.May(model.RightView, &a) {
							seen[code]++
						}
					}
				}
			}
		}
	}
	require.Zero(t, seen["exe"], "involved in all of them")
	require.Positive(t, seen["cat"])
	require.Greater(t, seen["pxa"], seen["mgr"])
}

func TestGraveMattersTakeAnAdmin(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		source model.SourceType
		sev    model.Severity
		m      sla.MoveRequest
		want   bool
	}{
		{"a mild matter", model.SourceSurvey, model.SeverityMedium, by("coo", model.MoveCancel), true},
		{"a complaint", model.SourceComplaint, model.SeverityLow, by("coo", model.MoveCancel), false},
		{"a high one", model.SourceSurvey, model.SeverityHigh, by("mgr", model.MoveCancel), false},
		{"by an admin", model.SourceComplaint, model.SeverityHigh, by("pxa", model.MoveCancel), true},
		{"by an admin who owns it", model.SourceComplaint, model.SeverityHigh, by("pxb", model.MoveCancel), false},
		{"made milder", model.SourceSurvey, model.SeverityCritical, severityBy("coo", model.SeverityHigh), false},
		{"made milder by an admin", model.SourceSurvey, model.SeverityCritical, severityBy("pxa", model.SeverityLow), true},
		{"made graver", model.SourceComplaint, model.SeverityLow, severityBy("coo", model.SeverityHigh), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			people := usualCast()
			people.Assignee = "pxb"
			a := newAction(tt.sev, monday, people)
			a.SourceType = tt.source
			s := openScene(t, a, builtIn(), house(people), monday)
			tt.m.Reason = "because"
			_, err := sla.Apply(s.c, tt.m, monday.Add(time.Hour))
			require.Equal(t, tt.want, err == nil, "%v", err)
			if err != nil {
				require.ErrorIs(t, err, model.ErrForbidden)
			}
		})
	}
}

func severityBy(code string, sev model.Severity) sla.MoveRequest {
	m := toSeverity(sev)
	m.Actor = personID(code).Ptr()
	return m
}

func TestTheLogSaysWhereAMoveCameFrom(t *testing.T) {
	t.Parallel()
	key := idOf[model.APIKey]("k")
	m := by("ann", model.MoveStart)
	m.Origin = model.Origin{Key: &key, Request: "req-1"}
	s := opened(t, model.SeverityCritical).move(at(24), m)
	require.Len(t, s.last.Logs, 3, "reminder, overdue, start")
	for _, row := range s.last.Logs {
		_, program := row.Metadata.V["kind"]
		require.Equal(t, program, row.Metadata.V["key"] == nil, row.Message)
		require.Equal(t, program, row.Metadata.V["request_id"] == nil, row.Message)
	}
	none := sla.MoveRequest{Move: model.MoveApprove, Origin: m.Origin}
	_, err := sla.Apply(s.move(at(25), by("ann", model.MoveSubmit)).c, none, at(26))
	require.ErrorIs(t, err, model.ErrForbidden, "a key that names nobody approves nothing")
}
