package sla_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
)

// The tests named B1, B2, … here and in the peers_test.go of store, engine and
// scheduler are cases that users of other trackers, help desks and on-call
// programs reported as bugs, or that those programs test for; docs/sla.md lists
// them in words. Where our rules want something else than the program that the
// case comes from, the test says so.

// steps is a config whose ladder for critical actions, due after 24 hours, tells
// bob half an hour after that: the manager, told of the overdue, is step A, and
// bob is step B. more goes on from there.
func steps(more ...sla.Stage) func(*model.Action, *sla.Config) {
	return func(_ *model.Action, cfg *sla.Config) {
		cfg.Stages[model.SeverityCritical] = append([]sla.Stage{step(30, "bob")}, more...)
	}
}

// step is one that tells people by their codes, mgr as the manager.
func step(minutes int, codes ...string) sla.Stage {
	s := sla.Stage{Gap: time.Duration(minutes) * time.Minute}
	for _, code := range codes {
		target := sla.StageTarget{User: personID(code)}
		if code == "mgr" {
			target = sla.StageTarget{Manager: true}
		}
		s.Targets = append(s.Targets, target)
	}
	return s
}

// toldOf is when a person was told of what was due, in minutes after the due.
func (s *scene) toldOf(code string) []float64 {
	minutes := []float64{}
	for _, m := range s.messages {
		late := model.Valid(m.Reason, []model.Reason{model.ReasonOverdue, model.ReasonEscalation, model.ReasonAckMissed})
		if late && m.State == model.MessagePending && m.RecipientID == personID(code) {
			minutes = append(minutes, m.NotBefore.Sub(at(24)).Minutes())
		}
	}
	return minutes
}

// TestB01: of two steps 30 minutes apart the first is told at once, the second
// after its 30 minutes. We have no stage at time 0: what is told at once is the
// overdue, and stages count from the due.
func TestB01(t *testing.T) {
	t.Parallel()
	s := opened(t, model.SeverityCritical, steps()).fireUntil(at(24).Add(30*time.Minute - time.Second))
	require.Equal(t, []float64{0}, s.toldOf("mgr"))
	require.Empty(t, s.toldOf("bob"))
	s.fireUntil(at(24.5))
	require.Equal(t, []float64{30}, s.toldOf("bob"))
	require.Equal(t, []float64{0}, s.toldOf("mgr"), "not again")
}

// TestB02: who answers at minute 29 keeps the next step from being told. With us
// the answer that ends the ladder is the submission of the work, or its closure;
// starting it ends the clock of the acknowledgement only.
func TestB02(t *testing.T) {
	t.Parallel()
	answered := at(24).Add(29 * time.Minute)
	t.Run("B2 submitting ends the ladder", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityCritical, steps()).move(at(1), by("ann", model.MoveStart)).fireUntil(at(24))
		s.move(answered, by("ann", model.MoveSubmit)).fireUntil(at(1000))
		require.Equal(t, [][]float64{{0}, {}}, [][]float64{s.toldOf("mgr"), s.toldOf("bob")})
	})
	t.Run("B2 a start too late for that does not", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityCritical, steps()).fireUntil(at(24)).move(answered, by("ann", model.MoveStart)).fireUntil(at(1000))
		require.Equal(t, []float64{30}, s.toldOf("bob"))
	})
	t.Run("B2 starting keeps the missed start from being told", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityCritical, withAck).fireUntil(at(1).Add(-time.Minute)).move(at(1).Add(-time.Minute), by("ann", model.MoveStart))
		s.fireUntil(at(23))
		require.Empty(t, acks(s))
		require.Empty(t, s.toldOf("mgr"))
	})
}

// TestB03: a ladder that is climbed twice, 0, 30, 90 and 120, then falls silent.
// With us one stage may repeat; a whole ladder is written out, and may name the
// same people again.
func TestB03(t *testing.T) {
	t.Parallel()
	s := opened(t, model.SeverityCritical, steps(step(60, "mgr"), step(30, "bob"))).fireUntil(at(24 * 365))
	require.Equal(t, []float64{0, 90}, s.toldOf("mgr"))
	require.Equal(t, []float64{30, 120}, s.toldOf("bob"))
	require.Nil(t, s.c.Action.NextAt)
	_, again := sla.Fire(s.c, at(24*3650))
	require.False(t, again)
}

// TestB04: where the first number is missing, what then is first is not passed
// over. Our reminders keep their numbers where an earlier one has no room.
func TestB04(t *testing.T) {
	t.Parallel()
	s := opened(t, model.SeverityCritical, func(_ *model.Action, cfg *sla.Config) {
		cfg.Reminders = reminders(30*time.Hour, 4*time.Hour)
	})
	s.fire(at(20))
	require.Equal(t, []string{"reminder ann"}, s.heard())
	require.Equal(t, at(20), s.event(1, model.EventReminder, 2).Planned)
	s.fireUntil(at(26))
	require.Equal(t, []float64{0, 120}, s.toldOf("mgr"), "and the ladder begins at its first stage")
}

// TestB07: a step for three people is three messages and one line in the story.
func TestB07(t *testing.T) {
	t.Parallel()
	s := opened(t, model.SeverityCritical, func(_ *model.Action, cfg *sla.Config) {
		cfg.Stages[model.SeverityCritical] = []sla.Stage{step(30, "bob", "cat", "lab", "bob")}
	}).fireUntil(at(24.5))
	require.Equal(t, []string{"escalation ann", "escalation bob", "escalation cat", "escalation lab"}, s.heard(), "and the owner's copy")
	require.Equal(t, []model.LogType{model.LogEscalation}, logTypes(s.last.Logs))
	require.Equal(t, "Escalated to stage 1: told bob, cat, lab", s.last.Logs[0].Message)
}

// TestB10: a hold in the midst of an escalation does not begin the ladder anew.
func TestB10(t *testing.T) {
	t.Parallel()
	s := opened(t, model.SeverityHigh).fireUntil(at(50)) // due at 48, stage 1 taken
	for range 3 {                                        // however often it is held
		s.move(*s.c.Action.EscalatedAt, holdUntil(51)).move(at(50.5), sla.MoveRequest{Move: model.MoveResume})
		require.Equal(t, planned{model.EventEscalation, 2, 52}, s.plan()[0])
	}
	s.fireUntil(at(1000))
	var taken []planned
	for _, e := range s.c.Events {
		if e.Kind == model.EventEscalation {
			taken = append(taken, planned{e.Kind, e.Stage, e.Fired.Sub(monday).Hours()})
		}
	}
	require.Equal(t, []planned{{model.EventEscalation, 1, 50}, {model.EventEscalation, 2, 52}, {model.EventEscalation, 3, 54}}, taken)
	require.Equal(t, []any{1, 3}, []any{s.c.Action.Period, s.c.Action.EscalationLevel})
}

// TestB12: what waits to be sent loses its point when the work is done.
func TestB12(t *testing.T) {
	t.Parallel()
	urging := []model.Reason{model.ReasonReminder, model.ReasonAckMissed, model.ReasonOverdue, model.ReasonEscalation}
	news := []model.Reason{
		model.ReasonAssigned, model.ReasonReassigned, model.ReasonRaised, model.ReasonSubmitted, model.ReasonApproved,
		model.ReasonRejected, model.ReasonReopened, model.ReasonClosed, model.ReasonCancelled, model.ReasonPlanChange,
	}
	done := []model.Status{model.StatusApproved, model.StatusClosed, model.StatusCancelled}
	message := func(reason model.Reason) *model.Message {
		return &model.Message{Reason: reason, RecipientID: personID("ann"), Facts: model.Of(model.MessageFacts{Stage: 1})}
	}
	for _, status := range model.Statuses() {
		over := model.Valid(status, done)
		a := model.Action{Status: status, AssignedTo: personID("ann").Ptr(), SubmissionNo: 1}
		for _, reason := range urging {
			require.Equal(t, over, sla.Stale(message(reason), &a), "%s, %s", reason, status)
		}
		for _, reason := range news {
			require.False(t, sla.Stale(message(reason), &a), "%s, %s", reason, status)
		}
		require.Equal(t, status != model.StatusPendingApproval, sla.Stale(message(model.ReasonApprovalOverdue), &a), status)
		a.SubmissionNo = 2
		require.True(t, sla.Stale(message(model.ReasonApprovalOverdue), &a), "an earlier submission's, %s", status)
	}
	for _, owner := range []*model.UserID{personID("bob").Ptr(), nil} {
		a := model.Action{Status: model.StatusOpen, AssignedTo: owner}
		require.True(t, sla.Stale(message(model.ReasonReminder), &a), "another owner's to do")
		standIn := message(model.ReasonReminder)
		standIn.Facts.V.StandsInFor = "Ann"
		require.False(t, sla.Stale(standIn, &a), "for whoever stands in for the owner")
		require.False(t, sla.Stale(message(model.ReasonOverdue), &a), "a manager's to know")
	}
}

// TestB15: a second due date on the same day has a reminder of its own.
func TestB15(t *testing.T) {
	t.Parallel()
	s := opened(t, model.SeverityCritical).fire(at(20)) // due Tuesday at eight
	require.Equal(t, []string{"reminder ann"}, s.heard())
	s.move(at(20.5), toDue(at(29))).fire(at(25)) // due at one, the same Tuesday
	require.Equal(t, []string{"reminder ann"}, s.heard())
	require.Equal(t, []time.Time{at(20), at(25)}, []time.Time{s.event(1, model.EventReminder, 1).Fired, s.event(2, model.EventReminder, 1).Fired})
}

// TestB18: a severity raised later counts from the start of the clock, less what
// was paused; if that is past already, people hear so once, and of no reminder
// that should have come before.
func TestB18(t *testing.T) {
	t.Parallel()
	targets := func(hours float64) func(*model.Action, *sla.Config) {
		return func(_ *model.Action, cfg *sla.Config) {
			cfg.Target[model.SeverityCritical] = time.Duration(hours * float64(time.Hour))
			cfg.Reminders = reminders(3*time.Hour, 2*time.Hour, time.Hour)
		}
	}
	raised := func(hours float64) *scene { // at 3, after an hour's hold
		s := opened(t, model.SeverityHigh, targets(hours)).move(at(1), holdUntil(20)).move(at(2), sla.MoveRequest{Move: model.MoveResume})
		return s.move(at(3), toSeverity(model.SeverityCritical))
	}
	t.Run("B18 still ahead", func(t *testing.T) {
		t.Parallel()
		s := raised(8)
		require.Equal(t, at(9), s.c.Action.DueAt, "created at 0, 8 hours, 1 paused")
		require.Empty(t, s.last.Events)
	})
	t.Run("B18 past already", func(t *testing.T) {
		t.Parallel()
		s := raised(1.5)
		require.Equal(t, []any{at(2.5), true}, []any{s.c.Action.DueAt, s.c.Action.IsOverdue})
		require.Len(t, s.last.Events, 1)
		require.Equal(t, []string{"overdue+raised+plan_change ann", "overdue+raised mgr"}, s.heard())
		s.fireUntil(at(1000))
		for _, e := range s.c.Events {
			require.NotEqual(t, model.EventReminder, e.Kind)
		}
	})
}

// TestB19: what was closed in time and is reopened when its old due is long past
// is not overdue at once. It gets a fresh target, or what was left of the old one.
func TestB19(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		reopen sla.Reopening
		due    float64
	}{
		"B19 fresh":     {sla.ReopenFresh, 124},
		"B19 remaining": {sla.ReopenRemaining, 114}, // closed at 10 of 24
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := opened(t, model.SeverityCritical, goesOn, func(_ *model.Action, cfg *sla.Config) { cfg.Reopen = tt.reopen })
			s.move(at(1), by("ann", model.MoveStart)).move(at(10), by("ann", model.MoveClose)).move(at(100), by("pxa", model.MoveReopen))
			require.Equal(t, []any{at(tt.due), false}, []any{s.c.Action.DueAt, s.c.Action.IsOverdue})
			require.Equal(t, []string{"reopened+plan_change ann"}, s.heard())
			_, early := sla.Fire(s.c, at(tt.due-4).Add(-time.Second))
			require.False(t, early, "nothing before the reminder")
			s.fireUntil(at(tt.due))
			require.Equal(t, []float64{(tt.due - 24) * 60}, s.toldOf("mgr"))
		})
	}
}

// TestB25: where whom a step or a rule names is not there, others are told, and
// the story says whom, or that there was nobody.
func TestB25(t *testing.T) {
	t.Parallel()
	stageFor := func(t *testing.T, people cast) *scene {
		cfg := builtIn()
		cfg.Stages[model.SeverityCritical] = []sla.Stage{step(30, "gone")}
		return openScene(t, newAction(model.SeverityCritical, monday, people), cfg, house(people), monday).fireUntil(at(24.5))
	}
	t.Run("B25 the ladder for a stage's person", func(t *testing.T) {
		t.Parallel()
		s := stageFor(t, usualCast())
		require.Equal(t, []string{"escalation ann", "escalation mgr"}, s.heard())
		require.Equal(t, "Escalated to stage 1: told mgr", s.last.Logs[0].Message)
	})
	t.Run("B25 nobody on the ladder", func(t *testing.T) {
		t.Parallel()
		s := stageFor(t, cast{Assignee: "ann"})
		require.Equal(t, []string{"escalation ann"}, s.heard())
		require.Equal(t, "Escalated to stage 1: nobody to tell but ann", s.last.Logs[0].Message)
		require.Equal(t, model.DoneUntargeted, s.event(1, model.EventEscalation, 1).Done)
	})
	for name, tt := range map[string]struct {
		people    cast
		owner, by string
	}{
		"B25 the manager for a rule's person":       {usualCast(), "mgr", sla.ByManager},
		"B25 a PX Admin, where there is no manager": {cast{PXAdmins: []string{"pxa"}}, "pxa", sla.ByPXAdmin},
		"B25 nobody in the house":                   {cast{}, "", sla.ByNobody},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := house(tt.people)
			if tt.owner == "" {
				dir.Users[personID("far")].Active = false
			}
			d := decided(t, dir, "routing: [{name: all, assign_to_user: gone}]")
			require.Equal(t, []any{tt.by, tt.owner == ""}, []any{d.Route.By, d.NoOwner})
			require.Equal(t, tt.by, d.Outcome.Logs[0].Metadata.V["owner_by"])
			if tt.owner == "" {
				require.Empty(t, d.Outcome.Messages)
				return
			}
			require.Equal(t, personID(tt.owner), *d.Outcome.Action.AssignedTo)
			require.Equal(t, personID(tt.owner), d.Outcome.Messages[0].RecipientID)
		})
	}
}

// decided is what a policy makes of a high complaint of the ward, on monday.
func decided(t testing.TB, dir *sla.Directory, policy string) sla.Decision {
	t.Helper()
	p, err := sla.ParsePolicy([]byte(policy))
	require.NoError(t, err)
	rules, err := sla.Compile(p, 1, dir)
	require.NoError(t, err)
	f := &model.Feedback{
		HospitalID: idOf[model.Hospital]("RUH").Ptr(), DepartmentID: idOf[model.Department]("WARD").Ptr(),
		SourceType: model.SourceComplaint, Severity: model.SeverityHigh, ReceivedAt: monday,
	}
	d := rules.Decide(f, nil, monday, "RUH-26-0000001")
	require.Equal(t, model.DecisionCreated, d.Decision, d.Reason)
	return d
}

// away makes somebody absent in the week of monday, with a stand-in.
func away(dir *sla.Directory, code, standIn string) {
	from, to := monday.AddDate(0, 0, -1), monday.AddDate(0, 0, 5)
	u := dir.Users[personID(code)]
	u.SubstituteID, u.SubstituteFrom, u.SubstituteTo = personID(standIn).Ptr(), &from, &to
}

// TestB26: who stands in for somebody absent is told, and the story says for whom.
func TestB26(t *testing.T) {
	t.Parallel()
	const policy = "routing: [{name: all, assign_to_user: ann}]"
	t.Run("B26 the stand-in becomes the owner", func(t *testing.T) {
		t.Parallel()
		dir := house(usualCast())
		away(dir, "ann", "bob")
		d := decided(t, dir, policy)
		require.Equal(t, personID("bob"), *d.Outcome.Action.AssignedTo)
		require.Len(t, d.Outcome.Messages, 1)
		require.Equal(t, []any{personID("bob"), model.ReasonAssigned}, []any{d.Outcome.Messages[0].RecipientID, d.Outcome.Messages[0].Reason})
		facts := d.Outcome.Logs[0].Metadata.V
		require.Equal(t, []any{sla.ByUser, "bob", "ann"}, []any{facts["owner_by"], facts["owner"], facts["owner_for"]})
	})
	t.Run("B26 who goes away later is stood in for", func(t *testing.T) {
		t.Parallel()
		dir := house(usualCast())
		s := openScene(t, newAction(model.SeverityCritical, monday, usualCast()), builtIn(), dir, monday)
		away(dir, "ann", "bob")
		s.fireUntil(at(20))
		require.Equal(t, []string{"reminder ann", "reminder bob"}, s.heard())
		for _, m := range s.last.Messages {
			if standsIn := m.RecipientID == personID("bob"); standsIn != (m.Facts.V.StandsInFor == "ann") || standsIn != m.Facts.V.Copy {
				t.Errorf("message %+v, want bob told that it is in ann's place", m)
			}
		}
		require.Equal(t, []model.UserID{personID("ann"), personID("bob")}, s.c.Events[0].Told.V)
		s.fireUntil(at(24))
		require.Equal(t, []string{"overdue ann", "overdue bob", "overdue mgr"}, s.heard())
		s.move(at(24.5), toSeverity(model.SeverityHigh))
		require.Equal(t, []string{"plan_change ann", "plan_change bob"}, s.heard())
		s.c.Dir.Users[personID("bob")].Roles.V = []model.Role{model.RolePXCoordinator}
		s.move(at(24.6), by("bob", model.MoveStart)).move(at(24.7), sla.MoveRequest{Move: model.MoveSeverity, Severity: model.SeverityCritical, Actor: personID("bob").Ptr()})
		require.NotContains(t, s.heard(), "raised bob", "who makes the move gets no message about it")
	})
	t.Run("B26 not one who is involved", func(t *testing.T) {
		t.Parallel()
		dir := house(usualCast())
		away(dir, "mgr", "bob")
		s := openScene(t, newAction(model.SeverityCritical, monday, usualCast()), builtIn(), dir, monday).fireUntil(at(24))
		require.Equal(t, []string{"overdue ann", "overdue bob"}, s.heard(), "bob, for the manager")
		a := newAction(model.SeverityCritical, monday, usualCast())
		a.Involved = model.Of([]model.UserID{personID("bob")})
		s = openScene(t, a, builtIn(), dir, monday).fireUntil(at(26))
		require.Equal(t, []string{"escalation ann", "escalation pxa", "escalation pxb"}, s.heard(), "the next rung instead")
		require.Empty(t, s.toldOf("bob"))
	})
	t.Run("B26 who is back is told again", func(t *testing.T) {
		t.Parallel()
		dir := house(usualCast())
		away(dir, "mgr", "bob")
		s := openScene(t, newAction(model.SeverityLow, monday, usualCast()), builtIn(), dir, monday).fireUntil(at(120)) // Saturday, the first day back
		require.Equal(t, []string{"overdue ann", "overdue mgr"}, s.heard())
	})
}

// TestB27: of several rules that fit, the same one counts always, in whatever
// order the file has them.
func TestB27(t *testing.T) {
	t.Parallel()
	rules := []string{
		"{name: b, priority: 5, assign_to_user: bob}",
		"{name: a, priority: 5, assign_to_user: cat}", // alike in priority: the name decides
		"{name: 0, priority: 1, assign_to_user: lab}",
		"{name: z, assign_to_user: exe}",
	}
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 27))
		order := slices.Clone(rules)
		r.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		d := decided(t, house(usualCast()), "routing: ["+strings.Join(order, ", ")+"]")
		require.Equal(t, []any{"a", personID("cat")}, []any{d.Route.Rule.Name, *d.Outcome.Action.AssignedTo}, order)
	}
}

// TestB29: who owns the action, or submitted it, never approves it, be they the
// only PX Admin there is in the hospital: the group's are asked then.
func TestB29(t *testing.T) {
	t.Parallel()
	people := usualCast()
	people.Assignee, people.PXAdmins = "pxa", []string{"pxa"}
	dir := house(people)
	top := model.User{ID: personID("top"), Code: "top", Active: true, Roles: model.Of([]model.Role{model.RolePXAdmin})}
	users := []model.User{top}
	for _, u := range dir.Users {
		users = append(users, *u)
	}
	var deps []model.Department
	for _, d := range dir.Departments {
		deps = append(deps, *d)
	}
	var hospitals []model.Hospital
	for _, h := range dir.Hospitals {
		hospitals = append(hospitals, *h)
	}
	dir = sla.NewDirectory(2, hospitals, deps, users, nil)
	s := openScene(t, newAction(model.SeverityCritical, monday, people), builtIn(), dir, monday).
		move(at(1), by("pxa", model.MoveStart)).move(at(2), by("pxa", model.MoveSubmit))
	require.Equal(t, []string{"submitted top"}, s.heard())
	_, err := sla.Apply(s.c, by("pxa", model.MoveApprove), at(3))
	require.ErrorIs(t, err, model.ErrForbidden)
	taken := s.move(at(3), sla.MoveRequest{Move: model.MoveAssign, Assignee: personID("bob"), Actor: personID("top").Ptr()})
	_, err = sla.Apply(taken.c, by("pxa", model.MoveApprove), at(4))
	require.ErrorIs(t, err, model.ErrForbidden, "who submitted, though not the owner any more")
	require.Equal(t, model.StatusApproved, s.move(at(4), by("top", model.MoveApprove)).c.Action.Status)
}
