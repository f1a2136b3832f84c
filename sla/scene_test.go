package sla_test

import (
	"crypto/sha1"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
)

// scene is one action among its people, moved through time by a test. Every
// outcome is checked against the invariants before it is taken over.
type scene struct {
	t        testing.TB
	c        sla.Case
	logs     []model.ActionLog
	messages []sla.Telling
	last     sla.Outcome
}

// cast says who is there, by code. The zero cast is an empty house.
type cast struct {
	Assignee   string   `json:"assignee"`
	Manager    string   `json:"manager"`
	PXAdmins   []string `json:"px_admins"`
	Executives []string `json:"executives"`
}

func usualCast() cast {
	return cast{Assignee: "ann", Manager: "mgr", PXAdmins: []string{"pxa", "pxb"}, Executives: []string{"exe"}}
}

// idOf is the id that a name of these tests stands for.
func idOf[T any](name string) model.ID[T] {
	sum := sha1.Sum([]byte(name))
	return model.ID[T]{UUID: uuid.UUID(sum[:16])}
}

func personID(code string) model.UserID { return idOf[model.User](code) }

func codeOf(d *sla.Directory, id model.UserID) string { return d.Users[id].Code }

func codesOf(d *sla.Directory, ids []model.UserID) []string {
	codes := []string{}
	for _, id := range ids {
		codes = append(codes, codeOf(d, id))
	}
	return codes
}

// house is a hospital with two departments: WARD, run by the cast's manager, and
// LAB, run by lab. bob and cat are staff, coo is a PX Coordinator; gone has left;
// far is a PX Admin of another hospital.
func house(people cast) *sla.Directory {
	ward, lab, far := idOf[model.Department]("WARD"), idOf[model.Department]("LAB"), idOf[model.Hospital]("FAR")
	ruh := idOf[model.Hospital]("RUH")
	var users []model.User
	add := func(code string, hospital *model.HospitalID, roles ...model.Role) {
		if code == "" {
			return
		}
		i := slices.IndexFunc(users, func(u model.User) bool { return u.Code == code })
		if i < 0 {
			users = append(users, model.User{ID: personID(code), Code: code, HospitalID: hospital, Active: code != "gone"})
			i = len(users) - 1
		}
		users[i].Roles.V = append(users[i].Roles.V, roles...)
	}
	add(people.Assignee, &ruh)
	add(people.Manager, &ruh)
	for _, code := range people.PXAdmins {
		add(code, &ruh, model.RolePXAdmin)
	}
	for _, code := range people.Executives {
		add(code, &ruh, model.RoleExecutive)
	}
	for _, code := range []string{"bob", "cat", "lab", "gone"} {
		add(code, &ruh, model.RoleStaff)
	}
	add("coo", &ruh, model.RolePXCoordinator)
	add("far", &far, model.RolePXAdmin)
	deps := []model.Department{
		{ID: ward, HospitalID: ruh, Code: "WARD", Active: true},
		{ID: lab, HospitalID: ruh, Code: "LAB", Active: true, ManagerID: personID("lab").Ptr()},
		{ID: idOf[model.Department]("SHUT"), HospitalID: ruh, Code: "SHUT"},
		{ID: idOf[model.Department]("AFAR"), HospitalID: far, Code: "AFAR", Active: true},
	}
	if people.Manager != "" {
		deps[0].ManagerID = personID(people.Manager).Ptr()
	}
	hospitals := []model.Hospital{{ID: ruh, Code: "RUH", Name: "Riverside", Active: true}, {ID: far, Code: "FAR", Active: true}}
	return sla.NewDirectory(1, hospitals, deps, users, nil)
}

// builtIn is the built-in config, to be bent by a test.
func builtIn() *sla.Config {
	stages := func(n int) []sla.Stage {
		return slices.Repeat([]sla.Stage{{Gap: 2 * time.Hour}}, n)
	}
	return &sla.Config{
		Target: map[model.Severity]time.Duration{
			model.SeverityCritical: 24 * time.Hour, model.SeverityHigh: 48 * time.Hour,
			model.SeverityMedium: 72 * time.Hour, model.SeverityLow: 120 * time.Hour,
		},
		Reminders: reminders(4 * time.Hour),
		Stages: map[model.Severity][]sla.Stage{
			model.SeverityCritical: stages(3), model.SeverityHigh: stages(3), model.SeverityMedium: stages(2), model.SeverityLow: stages(1),
		},
	}
}

// newAction is an action of RUH's WARD, received at start and owned by the
// cast's assignee.
func newAction(sev model.Severity, start time.Time, people cast) model.Action {
	a := model.Action{
		ID: idOf[model.Action]("action"), Ref: "RUH-26-0000001", SourceType: model.SourceComplaint, Category: model.CategoryOther,
		HospitalID: idOf[model.Hospital]("RUH"), DepartmentID: idOf[model.Department]("WARD").Ptr(), Severity: sev, ReceivedAt: start,
	}
	if people.Assignee != "" {
		a.AssignedTo = personID(people.Assignee).Ptr()
	}
	return a
}

// opened starts a scene: an action received at monday and decided at once.
func opened(t testing.TB, sev model.Severity, bend ...func(*model.Action, *sla.Config)) *scene {
	t.Helper()
	a, cfg := newAction(sev, monday, usualCast()), builtIn()
	for _, b := range bend {
		b(&a, cfg)
	}
	return openScene(t, a, cfg, house(usualCast()), monday)
}

func openScene(t testing.TB, a model.Action, cfg *sla.Config, dir *sla.Directory, now time.Time) *scene {
	t.Helper()
	s := &scene{t: t, c: sla.Case{Config: cfg, Dir: dir}}
	s.absorb(sla.Open(sla.Case{Action: a, Config: cfg, Dir: dir}, now), now)
	return s
}

// monday is when the actions of these tests are received: 2026-03-02 08:00 UTC.
var monday = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

// at is so many hours after monday.
func at(hours float64) time.Time {
	return monday.Add(time.Duration(hours * float64(time.Hour)))
}

// fire takes what is due; the test fails when nothing is.
func (s *scene) fire(now time.Time) *scene {
	s.t.Helper()
	out, ok := sla.Fire(s.c, now)
	require.True(s.t, ok, "something is due at %s", now)
	s.absorb(out, now)
	return s
}

// fireUntil takes everything due up to and including a time, each on time.
func (s *scene) fireUntil(until time.Time) *scene {
	s.t.Helper()
	for s.c.Action.NextAt != nil && !s.c.Action.NextAt.After(until) {
		s.fire(*s.c.Action.NextAt)
	}
	return s
}

// move makes a move that is allowed.
func (s *scene) move(now time.Time, m sla.MoveRequest) *scene {
	s.t.Helper()
	if m.Reason == "" && slices.Contains([]model.Move{model.MoveReject, model.MoveCancel, model.MoveReopen, model.MoveDue}, m.Move) {
		m.Reason = "because"
	}
	out, err := sla.Apply(s.c, m, now)
	require.NoError(s.t, err)
	if m.Config != nil {
		s.c.Config = m.Config
	}
	s.absorb(out, now)
	s.checkActor(m, out)
	return s
}

// by is a move's request with its actor.
func by(code string, m model.Move) sla.MoveRequest {
	return sla.MoveRequest{Move: m, Actor: personID(code).Ptr()}
}

func toSeverity(sev model.Severity) sla.MoveRequest {
	return sla.MoveRequest{Move: model.MoveSeverity, Severity: sev}
}

func toDue(due time.Time) sla.MoveRequest {
	return sla.MoveRequest{Move: model.MoveDue, DueAt: due, Reason: "because"}
}

// event finds a taken event; the test fails when there is none.
func (s *scene) event(period int, kind model.EventKind, stage int) model.DeadlineEvent {
	s.t.Helper()
	i := slices.IndexFunc(s.c.Events, func(e model.DeadlineEvent) bool {
		return e.Period == period && e.Kind == kind && e.Stage == stage
	})
	require.GreaterOrEqual(s.t, i, 0, "%s %d of period %d was taken", kind, stage, period)
	return s.c.Events[i]
}

// heard is what the last outcome tells, as "reason+also → person", unsent ones
// with the reason why not.
func (s *scene) heard() []string {
	lines := []string{}
	for _, m := range s.last.Messages {
		line := string(m.Reason)
		for _, also := range m.Also.V {
			line += "+" + string(also)
		}
		line += " " + codeOf(s.c.Dir, m.RecipientID)
		if m.State != model.MessagePending {
			line += " (" + m.SuppressedReason + ")"
		}
		lines = append(lines, line)
	}
	return lines
}

// plan is what comes next, as kind, stage and hours after monday.
func (s *scene) plan() []planned {
	ps := []planned{}
	for _, e := range sla.Upcoming(s.c) {
		ps = append(ps, planned{e.Kind, e.Stage, e.At.Sub(monday).Hours()})
	}
	return ps
}

type planned struct {
	kind  model.EventKind
	stage int
	hours float64
}

// reminders are the same offsets for every severity, largest first.
func reminders(before ...time.Duration) map[model.Severity][]sla.Reminder {
	all := map[model.Severity][]sla.Reminder{}
	for _, sev := range model.Severities() {
		for _, d := range before {
			all[sev] = append(all[sev], sla.Reminder{Before: d})
		}
	}
	return all
}
