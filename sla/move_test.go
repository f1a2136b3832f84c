package sla_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
)

// submitted is a critical action that ann started and submitted.
func submitted(t testing.TB, hours float64, bend ...func(*model.Action, *sla.Config)) *scene {
	t.Helper()
	s := opened(t, model.SeverityCritical, bend...).move(at(1), by("ann", model.MoveStart))
	s.fireUntil(at(hours).Add(-time.Second))
	return s.move(at(hours), by("ann", model.MoveSubmit))
}

func TestMovesSettleWhatIsDueFirst(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		m     sla.MoveRequest
		heard []string
	}{
		{"a note tells", sla.MoveRequest{Move: model.MoveNote, Text: "phoned"}, []string{"overdue ann", "overdue mgr"}},
		{"a start tells, the actor too", by("ann", model.MoveStart), []string{"overdue ann", "overdue mgr"}},
		{"an assignment tells the old owner of both", sla.MoveRequest{Move: model.MoveAssign, Assignee: personID("bob")},
			[]string{"overdue+reassigned ann", "overdue mgr", "reassigned bob"}},
		{"a cancellation supersedes", by("pxb", model.MoveCancel), []string{"overdue ann (superseded)", "overdue mgr (superseded)"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := opened(t, model.SeverityCritical).fireUntil(at(20)).move(at(24), tt.m)
			e := s.event(1, model.EventOverdue, 0)
			require.Equal(t, at(24), e.Fired, "a move at the very instant settles the event")
			require.True(t, s.c.Action.IsOverdue)
			require.Equal(t, tt.heard, s.heard())
			require.Equal(t, model.LogOverdue, s.last.Logs[0].LogType, "the event comes before the move")
			require.Nil(t, s.last.Logs[0].CreatedBy, "the program took it")
		})
	}

	t.Run("on time is before the due", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityCritical).fireUntil(at(20)).move(at(24).Add(-time.Nanosecond), by("ann", model.MoveStart))
		require.False(t, s.c.Action.IsOverdue)
	})
	t.Run("a submission at the due is late", func(t *testing.T) {
		t.Parallel()
		s := submitted(t, 24)
		require.True(t, s.c.Action.IsOverdue)
		require.Equal(t, model.DoneSuperseded, s.event(1, model.EventOverdue, 0).Done)
	})
	t.Run("one message only for who hears of the move anyway", func(t *testing.T) {
		t.Parallel()
		// mgr is an approver here: told of the submission, not of the stage it superseded.
		people := cast{Assignee: "ann", Manager: "mgr", PXAdmins: []string{"mgr", "pxa"}}
		s := openScene(t, newAction(model.SeverityCritical, monday, people), builtIn(), house(people), monday)
		s.move(at(1), by("ann", model.MoveStart)).fireUntil(at(24)).move(at(26), by("ann", model.MoveSubmit))
		require.Equal(t, []string{"escalation ann (superseded)", "submitted mgr", "submitted pxa"}, s.heard())
		e := s.event(1, model.EventEscalation, 1)
		require.Equal(t, model.DoneSuperseded, e.Done)
		require.Empty(t, e.Told.V)
	})
	t.Run("a superseded stage counts but told nobody", func(t *testing.T) {
		t.Parallel()
		s := submitted(t, 26)
		require.Equal(t, 1, s.c.Action.EscalationLevel)
		require.Equal(t, []string{"escalation ann (superseded)", "escalation mgr (superseded)", "submitted pxa", "submitted pxb"}, s.heard())
	})
	t.Run("in shadow mode it counts as told", func(t *testing.T) {
		t.Parallel()
		s := submitted(t, 26, func(a *model.Action, _ *sla.Config) { a.Shadow = true })
		e := s.event(1, model.EventEscalation, 1)
		require.Equal(t, model.DoneSuperseded, e.Done)
		require.Equal(t, []string{"mgr"}, codesOf(s.c.Dir, e.Targets.V))
	})
}

func TestSubmission(t *testing.T) {
	t.Parallel()
	t.Run("stops the clock and arms the approvers' one", func(t *testing.T) {
		t.Parallel()
		s := submitted(t, 10)
		a := s.c.Action
		require.Equal(t, []planned{{model.EventApprovalOverdue, 1, 34}}, s.plan())
		require.Equal(t, at(10), *a.PausedAt)
		require.Equal(t, at(24), a.DueAt)
		require.Equal(t, []string{"submitted pxa", "submitted pxb"}, s.heard())
		require.Equal(t, model.StatusInProgress, s.last.Logs[0].OldStatus)
		require.Equal(t, model.StatusPendingApproval, s.last.Logs[0].NewStatus)
	})
	t.Run("keeps the results", func(t *testing.T) {
		t.Parallel()
		m := by("ann", model.MoveSubmit)
		m.ActionPlan, m.Outcome = "plan", "done"
		a := opened(t, model.SeverityLow).move(at(1), by("ann", model.MoveStart)).move(at(2), m).c.Action
		require.Equal(t, []string{"plan", "done"}, []string{a.ActionPlan, a.Outcome})
	})
	t.Run("approval overdue tells the approvers once", func(t *testing.T) {
		t.Parallel()
		s := submitted(t, 10).fire(at(34))
		require.Equal(t, []string{"approval_overdue pxa", "approval_overdue pxb"}, s.heard())
		require.Nil(t, s.c.Action.NextAt, "no untaken event is left")
		require.False(t, s.c.Action.IsOverdue)
	})
	t.Run("less the submitter", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityLow).move(at(1), by("pxa", model.MoveStart)).move(at(2), by("pxa", model.MoveSubmit))
		require.Equal(t, []string{"submitted pxb", "plan_change ann"}, s.heard())
		s.fire(at(26))
		require.Equal(t, []string{"approval_overdue pxb"}, s.heard())
	})
	t.Run("each one has its own event", func(t *testing.T) {
		t.Parallel()
		s := submitted(t, 10).fire(at(34)).move(at(35), by("pxa", model.MoveReject)).move(at(36), by("ann", model.MoveSubmit))
		require.Equal(t, []planned{{model.EventApprovalOverdue, 2, 60}}, s.plan())
	})
	t.Run("whoever a stage told hears where it stands", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityCritical).move(at(1), by("coo", model.MoveStart)).fireUntil(at(26)).move(at(27), by("coo", model.MoveSubmit))
		require.Equal(t, []string{"submitted pxa", "submitted pxb", "plan_change ann", "plan_change mgr"}, s.heard())
	})
}

func TestApproval(t *testing.T) {
	t.Parallel()
	t.Run("leaves no event", func(t *testing.T) {
		t.Parallel()
		s := submitted(t, 10).move(at(11), by("pxb", model.MoveApprove))
		a := s.c.Action
		require.Nil(t, a.NextAt)
		require.Equal(t, personID("pxb"), *a.ApprovedBy)
		require.Equal(t, model.LogApproval, s.last.Logs[0].LogType)
		s.move(at(30), by("ann", model.MoveClose))
		require.False(t, s.c.Action.IsOverdue, "on time at submission")
	})

	tests := []struct {
		name  string
		actor string
		bend  func(*model.Action, *sla.Config)
		ok    bool
	}{
		{name: "by a PX Admin", actor: "pxa", ok: true},
		{name: "not by the assignee", actor: "ann"},
		{name: "not by who submitted", actor: "pxa", bend: func(a *model.Action, _ *sla.Config) { a.SubmittedBy = personID("pxa").Ptr() }},
		{name: "not by other staff", actor: "bob"},
		{name: "not by an executive", actor: "exe"},
		{name: "not by a PX Admin of another hospital", actor: "far"},
		{name: "not by who has left", actor: "gone"},
		{name: "not by a stranger", actor: "nobody"},
		{name: "not by who is involved", actor: "pxa", bend: func(a *model.Action, _ *sla.Config) { a.Involved = model.Of([]model.UserID{personID("pxa")}) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, m := range []model.Move{model.MoveApprove, model.MoveReject} {
				s := submitted(t, 10)
				if tt.bend != nil {
					tt.bend(&s.c.Action, s.c.Config)
				}
				req := by(tt.actor, m)
				req.Reason = "because"
				_, err := sla.Apply(s.c, req, at(11))
				if tt.ok {
					require.NoError(t, err)
					continue
				}
				require.ErrorIs(t, err, model.ErrForbidden)
			}
		})
	}

	t.Run("by a PX Admin of all hospitals", func(t *testing.T) {
		t.Parallel()
		s := submitted(t, 10)
		s.c.Dir.Users[personID("root")] = &model.User{ID: personID("root"), Active: true, Roles: model.Of([]model.Role{model.RolePXAdmin})}
		s.move(at(11), by("root", model.MoveApprove))
	})
	t.Run("by a person, not by the program", func(t *testing.T) {
		t.Parallel()
		_, err := sla.Apply(submitted(t, 10).c, sla.MoveRequest{Move: model.MoveApprove}, at(11))
		require.ErrorIs(t, err, model.ErrForbidden)
	})
}

func TestRejection(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name            string
		submit, decide  float64
		due             float64
		manual          bool
		period          int
		paused          int64
		overdueBefore   bool
		next            planned
		wantEventsTaken int
	}{
		{name: "resumes with what was left", submit: 10, decide: 13, due: 27, period: 1, paused: 3 * 3600, next: planned{model.EventReminder, 1, 23}},
		{name: "at least the floor", submit: 22, decide: 30, due: 34, manual: true, period: 1, paused: 8 * 3600,
			next: planned{model.EventOverdue, 0, 34}, wantEventsTaken: 1},
		{name: "exactly the floor left is no floor", submit: 20, decide: 30, due: 34, period: 1, paused: 10 * 3600,
			next: planned{model.EventOverdue, 0, 34}, wantEventsTaken: 1},
		{name: "overdue gets the floor in a new period", submit: 25, decide: 30, due: 34, manual: true, period: 2, paused: 0, overdueBefore: true,
			next: planned{model.EventOverdue, 0, 34}, wantEventsTaken: 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := submitted(t, tt.submit)
			require.Equal(t, tt.overdueBefore, s.c.Action.IsOverdue)
			s.move(at(tt.decide), by("pxa", model.MoveReject))
			a := s.c.Action
			require.Equal(t, at(tt.due), a.DueAt)
			require.Equal(t, []any{tt.manual, tt.period, tt.paused, false}, []any{a.DueManual, a.Period, a.PausedSeconds, a.IsOverdue})
			require.Equal(t, at(24), a.OriginalDueAt)
			require.Equal(t, tt.next, s.plan()[0])
			require.Len(t, s.c.Events, tt.wantEventsTaken)
			require.Equal(t, []string{"rejected+plan_change ann"}, s.heard())
			require.Equal(t, "because", a.RejectionReason)
			require.Equal(t, "because", s.last.Logs[0].Text)
			require.Nil(t, a.PausedAt)
			require.Nil(t, a.ApprovalDueAt)
		})
	}

	t.Run("the floor is the target where that is less", func(t *testing.T) {
		t.Parallel()
		s := submitted(t, 1.5, func(_ *model.Action, cfg *sla.Config) { cfg.Target[model.SeverityCritical] = 2 * time.Hour })
		s.move(at(10), by("pxa", model.MoveReject))
		require.Equal(t, at(12), s.c.Action.DueAt)
	})
	t.Run("pauses add up", func(t *testing.T) {
		t.Parallel()
		s := submitted(t, 2).move(at(5), by("pxa", model.MoveReject)).move(at(6), by("ann", model.MoveSubmit)).move(at(10), by("pxa", model.MoveReject))
		require.Equal(t, at(31), s.c.Action.DueAt)
		require.Equal(t, int64(7*3600), s.c.Action.PausedSeconds)
	})
	t.Run("a floor stands, with later pauses added", func(t *testing.T) {
		t.Parallel()
		s := submitted(t, 22).move(at(30), by("pxa", model.MoveReject)).move(at(31), by("ann", model.MoveSubmit)).move(at(33), by("pxa", model.MoveReject))
		require.Equal(t, at(37), s.c.Action.DueAt, "3 h were left, so the floor counts again from 33")
		s.move(at(33), by("ann", model.MoveSubmit)).move(at(35), by("pxa", model.MoveReject))
		require.Equal(t, at(39), s.c.Action.DueAt)
		require.True(t, s.c.Action.DueManual)
	})
	t.Run("until the severity recomputes it", func(t *testing.T) {
		t.Parallel()
		s := submitted(t, 22).move(at(30), by("pxa", model.MoveReject)).move(at(31), toSeverity(model.SeverityHigh))
		require.Equal(t, at(48+8), s.c.Action.DueAt)
		require.False(t, s.c.Action.DueManual)
	})
}

func TestCloseCancelReopen(t *testing.T) {
	t.Parallel()
	noApproval := func(_ *model.Action, cfg *sla.Config) {
		cfg.RequiresApproval = func(model.SourceType, model.Severity) bool { return false }
	}
	t.Run("closing needs approval first", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityCritical).move(at(1), by("ann", model.MoveStart))
		_, err := sla.Apply(s.c, by("ann", model.MoveClose), at(2))
		var te *model.TransitionError
		require.ErrorAs(t, err, &te)
		require.NotContains(t, te.Legal, model.MoveClose)
		require.Contains(t, te.Legal, model.MoveSubmit)
	})
	t.Run("a critical action cannot be held", func(t *testing.T) {
		t.Parallel()
		_, err := sla.Apply(opened(t, model.SeverityCritical).c, sla.MoveRequest{Move: model.MoveHold, Reason: "because"}, at(2))
		var te *model.TransitionError
		require.ErrorAs(t, err, &te)
		require.NotContains(t, te.Legal, model.MoveHold)
	})
	t.Run("tells whoever a stage of this period told", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityCritical, noApproval).move(at(1), by("ann", model.MoveStart)).fireUntil(at(28)).move(at(29), by("ann", model.MoveClose))
		require.Equal(t, []string{"closed mgr", "closed pxa", "closed pxb"}, s.heard())
		require.Equal(t, []any{at(29), personID("ann")}, []any{*s.c.Action.ClosedAt, *s.c.Action.ClosedBy})
		require.Nil(t, s.c.Action.NextAt)
	})
	t.Run("nobody when no stage was taken, or none told", func(t *testing.T) {
		t.Parallel()
		require.Empty(t, opened(t, model.SeverityCritical).fireUntil(at(20)).move(at(21), by("pxb", model.MoveCancel)).heard())
		s := opened(t, model.SeverityCritical).fireUntil(at(24)).move(at(26), by("pxb", model.MoveCancel))
		require.Equal(t, []string{"escalation ann (superseded)", "escalation mgr (superseded)"}, s.heard())
	})
	t.Run("stages of an earlier period don't count", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityCritical).fireUntil(at(26)).move(at(27), toDue(at(60))).move(at(28), by("pxb", model.MoveCancel))
		require.Empty(t, s.heard())
	})
	t.Run("the reason's words stand apart", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityCritical).move(at(1), by("pxb", model.MoveCancel))
		row := s.last.Logs[0]
		require.Equal(t, []string{"Cancelled", "because"}, []string{row.Message, row.Text})
		_, err := sla.Apply(opened(t, model.SeverityLow).c, sla.MoveRequest{Move: model.MoveCancel, Reason: "  "}, at(1))
		require.ErrorAs(t, err, new(model.FieldErrors))
	})
	t.Run("reopening counts afresh", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityCritical, noApproval).move(at(1), by("ann", model.MoveStart)).fireUntil(at(26)).move(at(27), by("ann", model.MoveClose))
		s.move(at(100), by("pxa", model.MoveReopen))
		a := s.c.Action
		require.Equal(t, []any{model.StatusInProgress, at(124), at(124), 2, 0, false, int64(0)},
			[]any{a.Status, a.DueAt, a.OriginalDueAt, a.Period, a.EscalationLevel, a.IsOverdue, a.PausedSeconds})
		require.Nil(t, a.ClosedAt)
		require.Nil(t, a.EscalatedAt)
		require.Empty(t, s.last.Events, "never an instant overdue")
		require.Equal(t, []string{"reopened+plan_change ann", "plan_change mgr"}, s.heard())
		require.Equal(t, []planned{{model.EventReminder, 1, 120}, {model.EventOverdue, 0, 124}, {model.EventEscalation, 1, 126},
			{model.EventEscalation, 2, 128}, {model.EventEscalation, 3, 130}}, s.plan())
		require.Equal(t, []string{"mgr", "ann"}, codesOf(s.c.Dir, s.fireUntil(at(126)).event(2, model.EventEscalation, 1).Told.V), "told anew")
	})
	t.Run("a reopened action may be approved by who approved it before", func(t *testing.T) {
		t.Parallel()
		s := submitted(t, 2).move(at(3), by("pxa", model.MoveApprove)).move(at(4), by("ann", model.MoveClose)).move(at(5), by("mgr", model.MoveReopen))
		require.Nil(t, s.c.Action.ApprovedBy)
		s.move(at(6), by("ann", model.MoveSubmit)).move(at(7), by("pxa", model.MoveApprove))
		require.Equal(t, int(2), s.c.Action.SubmissionNo)
	})
	t.Run("what is cancelled stays so", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityCritical).move(at(1), by("pxb", model.MoveCancel))
		_, err := sla.Apply(s.c, sla.MoveRequest{Move: model.MoveReopen, Reason: "because"}, at(2))
		require.ErrorAs(t, err, new(*model.TransitionError))
		s.move(at(3), sla.MoveRequest{Move: model.MoveNote, Text: "words"})
		require.Equal(t, []string{"Note added", "words"}, []string{s.last.Logs[0].Message, s.last.Logs[0].Text})
	})
}
