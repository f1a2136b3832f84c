package sla_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
)

func TestAssign(t *testing.T) {
	t.Parallel()
	assign := func(code string) sla.MoveRequest {
		return sla.MoveRequest{Move: model.MoveAssign, Assignee: personID(code)}
	}
	t.Run("tells new and old, not the manager", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityCritical).move(at(1), assign("bob"))
		require.Equal(t, []string{"reassigned ann", "reassigned bob"}, s.heard())
		require.Equal(t, "Reassigned from ann to bob", s.last.Logs[0].Message)
		require.Equal(t, []any{personID("bob"), at(1), 2}, []any{*s.c.Action.AssignedTo, *s.c.Action.AssignedAt, s.c.Action.AckNo})
	})
	t.Run("a first owner of a critical action is told with the manager", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityCritical, func(a *model.Action, _ *sla.Config) { a.AssignedTo = nil }).move(at(1), assign("bob"))
		require.Equal(t, []string{"assigned bob", "assigned mgr"}, s.heard())
	})
	t.Run("who takes it over is not told", func(t *testing.T) {
		t.Parallel()
		m := assign("coo")
		m.Actor = personID("coo").Ptr()
		require.Equal(t, []string{"reassigned ann"}, opened(t, model.SeverityCritical).move(at(1), m).heard())
	})
	t.Run("doesn't touch the plan", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityCritical)
		gen := s.c.Action.Gen
		require.Equal(t, gen, s.move(at(1), assign("bob")).c.Action.Gen)
	})
}

func TestWrongRequests(t *testing.T) {
	t.Parallel()
	involved := func(a *model.Action) { a.Involved = model.Of([]model.UserID{personID("cat")}) }
	tests := []struct {
		name        string
		m           sla.MoveRequest
		field, code string
	}{
		{"no new owner", sla.MoveRequest{Move: model.MoveAssign}, "assignee", "required"},
		{"an unknown owner", sla.MoveRequest{Move: model.MoveAssign, Assignee: personID("who")}, "assignee", "unknown"},
		{"an owner who has left", sla.MoveRequest{Move: model.MoveAssign, Assignee: personID("gone")}, "assignee", "inactive"},
		{"an involved owner", sla.MoveRequest{Move: model.MoveAssign, Assignee: personID("cat")}, "assignee", "involved"},
		{"the same owner", sla.MoveRequest{Move: model.MoveAssign, Assignee: personID("ann")}, "assignee", "unchanged"},
		{"no severity", sla.MoveRequest{Move: model.MoveSeverity}, "severity", "unknown"},
		{"the same severity", toSeverity(model.SeverityCritical), "severity", "unchanged"},
		{"no department", sla.MoveRequest{Move: model.MoveDepartment}, "department", "required"},
		{"the same department", toDepartment("WARD"), "department", "unchanged"},
		{"a shut department", toDepartment("SHUT"), "department", "inactive"},
		{"another hospital's department", toDepartment("AFAR"), "department", "unknown"},
		{"no due", sla.MoveRequest{Move: model.MoveDue, Reason: "because"}, "due_at", "required"},
		{"a due without a reason", sla.MoveRequest{Move: model.MoveDue, DueAt: at(30)}, "reason", "required"},
		{"a due too far", toDue(at(0).AddDate(11, 0, 0)), "due_at", "range"},
		{"a due too long ago", toDue(at(0).AddDate(-11, 0, 0)), "due_at", "range"},
		{"a due too near for an overdue action", toDue(at(29).Add(-time.Second)), "due_at", "range"},
		{"an empty note", sla.MoveRequest{Move: model.MoveNote, Text: " "}, "text", "required"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := opened(t, model.SeverityCritical, func(a *model.Action, _ *sla.Config) { involved(a) }).fireUntil(at(24))
			_, err := sla.Apply(s.c, tt.m, at(25))
			var fe model.FieldErrors
			require.ErrorAs(t, err, &fe)
			require.Equal(t, []string{tt.field, tt.code}, []string{fe[0].Field, fe[0].Code})
		})
	}

	t.Run("no move by who has left", func(t *testing.T) {
		t.Parallel()
		_, err := sla.Apply(opened(t, model.SeverityLow).c, by("gone", model.MoveStart), at(1))
		require.ErrorIs(t, err, model.ErrForbidden)
	})
	t.Run("a refused move changes nothing of the case", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityCritical)
		before, events := s.c.Action, len(s.c.Events)
		_, err := sla.Apply(s.c, toSeverity("worse"), at(40))
		require.Error(t, err)
		require.Equal(t, before, s.c.Action)
		require.Len(t, s.c.Events, events)
	})
}

func toDepartment(code string) sla.MoveRequest {
	return sla.MoveRequest{Move: model.MoveDepartment, Department: idOf[model.Department](code)}
}

func TestSeverityChange(t *testing.T) {
	t.Parallel()
	t.Run("raised to critical tells owner and manager", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityHigh).move(at(1), toSeverity(model.SeverityCritical))
		require.Equal(t, []string{"raised+plan_change ann", "raised mgr"}, s.heard())
		require.Equal(t, at(24), s.c.Action.DueAt)
		require.Equal(t, at(48), s.c.Action.OriginalDueAt)
		require.Equal(t, []model.LogType{model.LogPlanChange}, logTypes(s.last.Logs))
		require.Equal(t, "Severity raised from high to critical; due 2026-03-03 08:00 UTC, was 2026-03-04 08:00 UTC; stage 1 at 2026-03-03 10:00 UTC",
			s.last.Logs[0].Message)
	})
	t.Run("otherwise the owner hears where it stands", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, []string{"plan_change ann"}, opened(t, model.SeverityMedium).move(at(1), toSeverity(model.SeverityHigh)).heard())
		require.Equal(t, []string{"plan_change ann"}, opened(t, model.SeverityCritical).move(at(1), toSeverity(model.SeverityLow)).heard())
	})
	t.Run("nobody hears when nothing moved", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityHigh, func(_ *model.Action, cfg *sla.Config) {
			cfg.Target[model.SeverityMedium] = 48 * time.Hour
		}).move(at(1), toSeverity(model.SeverityMedium))
		require.Empty(t, s.heard())
	})
	t.Run("past due at once: one event, one message", func(t *testing.T) {
		t.Parallel()
		m := toSeverity(model.SeverityCritical)
		m.Actor = personID("coo").Ptr()
		s := opened(t, model.SeverityHigh, func(a *model.Action, _ *sla.Config) { a.AssignedTo = m.Actor }).move(at(30), m)
		require.Len(t, s.last.Events, 1)
		require.Equal(t, []string{"overdue coo", "overdue+raised mgr"}, s.heard())
		require.Equal(t, planned{model.EventEscalation, 1, 32}, s.plan()[0])
	})
	t.Run("a stage still ahead keeps its planned time", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityHigh).move(at(25), toSeverity(model.SeverityCritical))
		require.Equal(t, planned{model.EventEscalation, 1, 26}, s.plan()[0])
	})
	t.Run("lowered below the stages taken leaves none", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityCritical, sameTargets).fireUntil(at(28)).move(at(29), toSeverity(model.SeverityLow))
		require.Nil(t, s.c.Action.NextAt)
		require.Equal(t, []string{"plan_change ann", "plan_change mgr", "plan_change pxa", "plan_change pxb"}, s.heard())
		s.move(at(31), toSeverity(model.SeverityCritical))
		require.Equal(t, planned{model.EventEscalation, 3, 31}, s.plan()[0], "it had 30, which is past")
	})
	t.Run("a reminder not after now stays out", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityHigh).move(at(20), toSeverity(model.SeverityCritical))
		require.Equal(t, planned{model.EventOverdue, 0, 24}, s.plan()[0])
		s.fire(at(24))
		require.Len(t, s.last.Events, 1)
	})
}

// sameTargets gives every severity 24 hours, so that a change of severity
// changes the ladder only.
func sameTargets(_ *model.Action, cfg *sla.Config) {
	for sev := range cfg.Target {
		cfg.Target[sev] = 24 * time.Hour
	}
}

func TestDepartmentChange(t *testing.T) {
	t.Parallel()
	t.Run("to another manager, same plan", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityCritical).move(at(1), toDepartment("LAB"))
		require.Empty(t, s.heard())
		require.Equal(t, "Department changed to LAB; stage 1 at 2026-03-03 10:00 UTC", s.last.Logs[0].Message)
		require.Equal(t, []string{"lab", "ann"}, codesOf(s.c.Dir, s.fireUntil(at(26)).event(1, model.EventEscalation, 1).Told.V))
	})
	t.Run("with the config that matches there", func(t *testing.T) {
		t.Parallel()
		m, id := toDepartment("LAB"), idOf[model.SLAConfig]("lab")
		m.Config = builtIn()
		m.Config.ID, m.Config.Name = &id, "lab"
		m.Config.Target[model.SeverityCritical] = 12 * time.Hour
		s := opened(t, model.SeverityCritical).move(at(1), m)
		require.Equal(t, at(12), s.c.Action.DueAt)
		require.Equal(t, id, *s.c.Action.SLAConfigID)
		require.Equal(t, []string{"plan_change ann"}, s.heard())
	})
}

func TestManualDue(t *testing.T) {
	t.Parallel()
	t.Run("four hours ahead is enough on an overdue action", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityCritical).fireUntil(at(24)).move(at(25), toDue(at(29)))
		require.Equal(t, []any{2, false, true, at(29)}, []any{s.c.Action.Period, s.c.Action.IsOverdue, s.c.Action.DueManual, s.c.Action.DueAt})
		require.Equal(t, "because", s.last.Logs[0].Text)
	})
	t.Run("may be nearer when it is not overdue", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityCritical).move(at(1), toDue(at(2)))
		require.Equal(t, planned{model.EventOverdue, 0, 2}, s.plan()[0])
	})
	t.Run("in the past is overdue at once", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityCritical).move(at(5), toDue(at(5)))
		require.True(t, s.c.Action.IsOverdue)
		require.Equal(t, []string{"overdue+plan_change ann", "overdue mgr"}, s.heard())
	})
	t.Run("stands through a pause, which moves it", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityCritical).move(at(1), by("ann", model.MoveStart)).move(at(1), toDue(at(40)))
		s.move(at(2), by("ann", model.MoveSubmit)).move(at(5), by("pxa", model.MoveReject))
		require.Equal(t, at(43), s.c.Action.DueAt)
		require.Equal(t, int64(3*3600), s.c.Action.PausedSeconds)
		s.move(at(6), toSeverity(model.SeverityHigh))
		require.Equal(t, at(51), s.c.Action.DueAt, "48 and the pause: the severity recomputes it")
	})
}

func TestPeriodRises(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		fired float64 // everything until here is taken
		m     sla.MoveRequest
		at    float64
		want  int
	}{
		{"not while nothing was taken", 19, toDue(at(60)), 19, 1},
		{"when a reminder taken would apply again", 20, toDue(at(60)), 21, 2},
		{"not when the reminder would be past", 20, toDue(at(24.5)), 21, 1},
		{"not when the due comes earlier", 20, toDue(at(23)), 21, 1},
		{"when overdue was taken", 24, toDue(at(60)), 25, 2},
		{"when a lower severity clears the overdue", 24, toSeverity(model.SeverityLow), 25, 2},
		{"not when the new due is past too", 49, toSeverity(model.SeverityHigh), 49, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := opened(t, model.SeverityCritical).fireUntil(at(tt.fired)).move(at(tt.at), tt.m)
			require.Equal(t, tt.want, s.c.Action.Period)
		})
	}

	t.Run("not when a reminder would apply again to an earlier due", func(t *testing.T) {
		t.Parallel()
		m := toDepartment("LAB")
		m.Config = builtIn()
		m.Config.Target[model.SeverityCritical], m.Config.Reminders = 23*time.Hour, reminders(time.Hour)
		s := opened(t, model.SeverityCritical).fireUntil(at(20)).move(at(21), m)
		require.Equal(t, 1, s.c.Action.Period)
		require.Equal(t, planned{model.EventOverdue, 0, 23}, s.plan()[0])
	})
	t.Run("all applies again and the level goes on", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityCritical).fireUntil(at(26)).move(at(27), toDue(at(60)))
		require.Equal(t, []planned{{model.EventReminder, 1, 56}, {model.EventOverdue, 0, 60}, {model.EventEscalation, 1, 62},
			{model.EventEscalation, 2, 64}, {model.EventEscalation, 3, 66}}, s.plan())
		require.Equal(t, []string{"plan_change ann", "plan_change mgr"}, s.heard(), "the manager was told in the period it leaves")
		require.Equal(t, at(24), s.c.Action.OriginalDueAt)
		s.fireUntil(at(62))
		require.Equal(t, 2, s.c.Action.EscalationLevel)
		require.Equal(t, []string{"mgr", "ann"}, codesOf(s.c.Dir, s.event(2, model.EventEscalation, 1).Told.V))
	})
}
