package sla_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
)

// submission is one that says all that a complaint's may have to say.
func submission() sla.MoveRequest {
	m := by("ann", model.MoveSubmit)
	m.ActionPlan, m.Outcome, m.RootCause = "plan", "outcome", "staffing"
	m.Informed = &sla.Informed{At: at(0), How: model.InformedPhone}
	return m
}

func terms(change func(*sla.Approval)) func(*model.Action, *sla.Config) {
	return func(_ *model.Action, cfg *sla.Config) { change(&cfg.Approval) }
}

func TestApprovalClock(t *testing.T) {
	t.Parallel()
	submitted := func(t *testing.T, change func(*sla.Approval)) *scene {
		return opened(t, model.SeverityCritical, terms(change)).move(at(1), by("ann", model.MoveStart)).move(at(2), by("ann", model.MoveSubmit))
	}
	t.Run("reminded, then overdue, each once", func(t *testing.T) {
		t.Parallel()
		s := submitted(t, func(a *sla.Approval) {
			a.Target, a.Reminder = sla.TargetSpec{Time: 10 * time.Hour}, 3*time.Hour
		})
		require.Equal(t, []planned{{model.EventApprovalReminder, 1, 9}, {model.EventApprovalOverdue, 1, 12}}, s.plan())
		require.Equal(t, []string{"approval_reminder pxa", "approval_reminder pxb"}, s.fire(at(9)).heard())
		require.Equal(t, []string{"approval_overdue pxa", "approval_overdue pxb"}, s.fire(at(12)).heard())
		require.Empty(t, s.plan())
	})
	t.Run("after an outage the reminder is silent", func(t *testing.T) {
		t.Parallel()
		s := submitted(t, func(a *sla.Approval) { a.Reminder = 3 * time.Hour }).fire(at(50))
		require.Equal(t, model.DoneSilent, s.event(1, model.EventApprovalReminder, 1).Done)
		require.Equal(t, []string{"approval_overdue pxa", "approval_overdue pxb"}, s.heard())
	})
	t.Run("a reminder that would come before the submission does not", func(t *testing.T) {
		t.Parallel()
		s := submitted(t, func(a *sla.Approval) { a.Target, a.Reminder = sla.TargetSpec{Time: time.Hour}, time.Hour })
		require.Equal(t, []planned{{model.EventApprovalOverdue, 1, 3}}, s.plan())
	})
	t.Run("in working days", func(t *testing.T) {
		t.Parallel()
		s := submitted(t, func(a *sla.Approval) { a.Target = sla.TargetSpec{Days: 2} })
		require.Equal(t, []planned{{model.EventApprovalOverdue, 1, 50}}, s.plan(), "around the clock each day is one")
	})
	t.Run("decided, nothing is left of it", func(t *testing.T) {
		t.Parallel()
		s := submitted(t, func(a *sla.Approval) { a.Reminder = 3 * time.Hour }).move(at(3), by("pxa", model.MoveApprove))
		require.Empty(t, s.plan())
		require.Nil(t, s.c.Action.ApprovalDueAt)
	})
}

func TestStandInsForApprovers(t *testing.T) {
	t.Parallel()
	late := func(t *testing.T) *scene {
		return opened(t, model.SeverityCritical, terms(func(a *sla.Approval) {
			a.StandIns = []sla.StageTarget{{Role: model.RoleExecutive}, {User: personID("ann")}}
		})).move(at(1), by("ann", model.MoveStart)).move(at(2), by("ann", model.MoveSubmit))
	}
	s := late(t)
	_, err := sla.Apply(s.c, by("exe", model.MoveApprove), at(3))
	require.ErrorIs(t, err, model.ErrForbidden, "not before it is overdue")
	s.fire(at(26))
	require.Equal(t, []string{"approval_overdue exe", "approval_overdue pxa", "approval_overdue pxb"}, s.heard(), "never who submitted")
	for _, who := range []string{"ann", "bob"} {
		_, err = sla.Apply(s.c, by(who, model.MoveApprove), at(27))
		require.ErrorIs(t, err, model.ErrForbidden, who)
	}
	require.Equal(t, model.StatusApproved, s.move(at(27), by("exe", model.MoveApprove)).c.Action.Status)
	again := late(t).fire(at(26)).move(at(27), func() sla.MoveRequest { m := by("exe", model.MoveReject); m.Reason = "because"; return m }()).move(at(28), by("ann", model.MoveSubmit))
	_, err = sla.Apply(again.c, by("exe", model.MoveApprove), at(29))
	require.ErrorIs(t, err, model.ErrForbidden, "each submission has a clock of its own")
}

func TestWhatASubmissionNeeds(t *testing.T) {
	t.Parallel()
	all := func(a *model.Action, cfg *sla.Config) {
		cfg.Needs, cfg.ComplaintNeeds = []sla.Need{sla.NeedActionPlan, sla.NeedOutcome}, []sla.Need{sla.NeedRootCause, sla.NeedInformed, sla.NeedEvidence}
		cfg.RootCauses = []string{"staffing", "training"}
	}
	tests := []struct {
		name   string
		change func(*sla.MoveRequest, *model.Action)
		fields []string // refused for these
	}{
		{"all of it", func(*sla.MoveRequest, *model.Action) {}, nil},
		{"nothing", func(m *sla.MoveRequest, a *model.Action) { *m = by("ann", model.MoveSubmit) }, []string{"action_plan", "outcome", "root_cause", "complainant_informed"}},
		{"no complaint", func(m *sla.MoveRequest, a *model.Action) {
			m.RootCause, m.Informed, a.SourceType = "", nil, model.SourceSurvey
		}, nil},
		{"words of blanks", func(m *sla.MoveRequest, _ *model.Action) { m.Outcome = " \n" }, []string{"outcome"}},
		{"what it has already", func(m *sla.MoveRequest, a *model.Action) { m.ActionPlan, a.ActionPlan = "", "said before" }, nil},
		{"not a code", func(m *sla.MoveRequest, _ *model.Action) { m.RootCause = "Too few nurses" }, []string{"root_cause"}},
		{"not one of the codes", func(m *sla.MoveRequest, _ *model.Action) { m.RootCause = "weather" }, []string{"root_cause"}},
		{"why they were not informed", func(m *sla.MoveRequest, _ *model.Action) { m.Informed = &sla.Informed{WhyNot: "unknown address"} }, nil},
		{"informed and not", func(m *sla.MoveRequest, _ *model.Action) { m.Informed.WhyNot = "why" }, []string{"complainant_informed.why_not"}},
		{"informed in the future", func(m *sla.MoveRequest, _ *model.Action) { m.Informed.At = at(3) }, []string{"complainant_informed.at"}},
		{"informed at no time, in no way", func(m *sla.MoveRequest, _ *model.Action) { m.Informed = &sla.Informed{} }, []string{"complainant_informed.at", "complainant_informed.how"}},
		{"informed by a stranger", func(m *sla.MoveRequest, _ *model.Action) { m.Informed.By = personID("nobody") }, []string{"complainant_informed.by"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := opened(t, model.SeverityLow, all).move(at(1), by("ann", model.MoveStart))
			s.c.Evidence = 1
			m := submission()
			tt.change(&m, &s.c.Action)
			require.Equal(t, tt.fields, fieldsOf(s.c, m))
			s.c.Evidence = 0
			if tt.fields == nil && s.c.Action.SourceType == model.SourceComplaint {
				require.Equal(t, []string{"evidence"}, fieldsOf(s.c, m))
			}
		})
	}
}

// fieldsOf lists the fields that a move at 2 is refused for; nil: it is made.
func fieldsOf(c sla.Case, m sla.MoveRequest) []string {
	_, err := sla.Apply(c, m, at(2))
	var fields []string
	if faults, ok := err.(model.FieldErrors); ok {
		for _, f := range faults {
			fields = append(fields, f.Field)
		}
	} else if err != nil {
		fields = append(fields, err.Error())
	}
	return fields
}

func TestASubmissionIsKept(t *testing.T) {
	t.Parallel()
	a := opened(t, model.SeverityLow).move(at(1), by("ann", model.MoveStart)).move(at(2), submission()).c.Action
	require.Equal(t, []any{"plan", "outcome", "staffing", at(0), model.InformedPhone, personID("ann"), ""},
		[]any{a.ActionPlan, a.Outcome, a.RootCause, *a.InformedAt, a.InformedHow, *a.InformedBy, a.NotInformed})
}

func TestEscalateByHand(t *testing.T) {
	t.Parallel()
	up := func(who string) sla.MoveRequest { m := by(who, model.MoveEscalate); m.Reason = "because"; return m }
	t.Run("before due: what is left keeps its distance from due", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityCritical).move(at(3), up("ann"))
		require.Equal(t, []string{"escalation mgr"}, s.heard(), "not who makes the move")
		require.Equal(t, []planned{{model.EventReminder, 1, 20}, {model.EventOverdue, 0, 24}, {model.EventEscalation, 2, 26}, {model.EventEscalation, 3, 28}}, s.plan())
		require.Equal(t, []any{1, false, at(3)}, []any{s.c.Action.EscalationLevel, s.c.Action.IsOverdue, *s.c.Action.EscalatedAt})
		require.Equal(t, "because", s.last.Logs[0].Text)
		require.Equal(t, []string{"escalation ann", "escalation pxa", "escalation pxb"}, s.fireUntil(at(26)).heard())
	})
	t.Run("beyond the ladder, and where there is none", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityLow, func(_ *model.Action, cfg *sla.Config) { cfg.Stages = nil })
		require.Equal(t, []string{"escalation ann", "escalation mgr"}, s.move(at(1), up("coo")).heard())
		require.Equal(t, []string{"escalation ann", "escalation pxa", "escalation pxb"}, s.move(at(2), up("coo")).heard())
		require.Equal(t, 2, s.c.Action.EscalationLevel)
	})
	t.Run("by who would be told: the next rung hears", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityCritical).move(at(1), up("mgr"))
		require.Equal(t, []string{"escalation ann", "escalation pxa", "escalation pxb"}, s.heard())
		require.Equal(t, []string{"escalation ann", "escalation mgr"}, s.fireUntil(at(26)).heard(), "the rung passed over comes after")
	})
	t.Run("a stage that comes due just then is what was asked for", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityCritical).fireUntil(at(24)).move(at(26), up("coo"))
		require.Equal(t, 1, s.c.Action.EscalationLevel)
		require.Equal(t, planned{model.EventEscalation, 2, 28}, s.plan()[0])
	})
	t.Run("nobody to tell", func(t *testing.T) {
		t.Parallel()
		s := openScene(t, newAction(model.SeverityLow, monday, cast{Assignee: "ann"}), builtIn(), house(cast{Assignee: "ann"}), monday)
		_, err := sla.Apply(s.c, up("ann"), monday.Add(time.Hour))
		require.ErrorAs(t, err, new(*model.TransitionError))
	})
}
