package sla_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
)

func TestFireTakesNothingBeforeItsTime(t *testing.T) {
	t.Parallel()
	s := opened(t, model.SeverityCritical)
	_, ok := sla.Fire(s.c, at(20).Add(-time.Nanosecond))
	require.False(t, ok, "a nanosecond early")
	s.fire(at(20).Add(999 * time.Millisecond))
	require.Equal(t, at(20), s.event(1, model.EventReminder, 1).Fired, "stored in whole seconds")
	_, ok = sla.Fire(s.c, at(20).Add(time.Second))
	require.False(t, ok, "taken before")
}

func TestLadderShiftsOnlyAfterHalfAGap(t *testing.T) {
	t.Parallel()
	gaps := func(hours ...float64) func(*model.Action, *sla.Config) {
		return func(_ *model.Action, cfg *sla.Config) {
			cfg.Stages[model.SeverityCritical] = nil
			for _, h := range hours {
				cfg.Stages[model.SeverityCritical] = append(cfg.Stages[model.SeverityCritical], sla.Stage{Gap: time.Duration(h * float64(time.Hour))})
			}
		}
	}
	tests := []struct {
		name  string
		gaps  []float64
		taken time.Time
		want  []planned
	}{
		{"on time keeps the times", []float64{2, 2, 2}, at(26), []planned{{model.EventEscalation, 2, 28}, {model.EventEscalation, 3, 30}}},
		{"exactly half keeps the times", []float64{2, 2, 2}, at(27), []planned{{model.EventEscalation, 2, 28}, {model.EventEscalation, 3, 30}}},
		{"half of the next gap counts, not of its own", []float64{2, 4, 1}, at(28), []planned{{model.EventEscalation, 2, 30}, {model.EventEscalation, 3, 31}}},
		{"an hour more shifts the ladder", []float64{2, 4, 1}, at(29), []planned{{model.EventEscalation, 2, 33}, {model.EventEscalation, 3, 34}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := opened(t, model.SeverityCritical, gaps(tt.gaps...)).fireUntil(at(24)).fire(tt.taken)
			require.Equal(t, tt.want, s.plan())
		})
	}

	t.Run("a second more than half shifts the ladder", func(t *testing.T) {
		t.Parallel()
		late := at(27).Add(time.Second)
		s := opened(t, model.SeverityCritical).fireUntil(at(24)).fire(late)
		require.Equal(t, late.Add(2*time.Hour), *s.c.Action.NextAt)
	})
	t.Run("a late overdue shifts no stage", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityCritical).fire(at(25.9))
		require.Equal(t, planned{model.EventEscalation, 1, 26}, s.plan()[0])
	})
}

func TestOneStagePerFiring(t *testing.T) {
	t.Parallel()
	s := opened(t, model.SeverityCritical).fire(at(300))
	require.Len(t, s.last.Events, 3, "reminder, overdue and the first stage")
	require.Equal(t, 1, s.c.Action.EscalationLevel)
	require.Equal(t, []planned{{model.EventEscalation, 2, 302}, {model.EventEscalation, 3, 304}}, s.plan())
}

func TestRemindersKeepTheirNumbers(t *testing.T) {
	t.Parallel()
	with := func(hours ...int) func(*model.Action, *sla.Config) {
		return func(_ *model.Action, cfg *sla.Config) {
			var before []time.Duration
			for _, h := range hours {
				before = append(before, time.Duration(h)*time.Hour)
			}
			cfg.Reminders = reminders(before...)
		}
	}
	tests := []struct {
		name  string
		hours []int
		want  []planned
	}{
		{"all ahead", []int{12, 4, 1}, []planned{{model.EventReminder, 1, 12}, {model.EventReminder, 2, 20}, {model.EventReminder, 3, 23}}},
		{"one before the start is left out", []int{30, 4, 1}, []planned{{model.EventReminder, 2, 20}, {model.EventReminder, 3, 23}}},
		{"one at the start is left out", []int{24, 23, 1}, []planned{{model.EventReminder, 2, 1}, {model.EventReminder, 3, 23}}},
		{"none at all", nil, []planned{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := opened(t, model.SeverityCritical, with(tt.hours...))
			require.Equal(t, tt.want, s.plan()[:len(tt.want)])
			require.Equal(t, planned{model.EventOverdue, 0, 24}, s.plan()[len(tt.want)])
		})
	}
}

func TestNoEscalationWithoutStages(t *testing.T) {
	t.Parallel()
	s := opened(t, model.SeverityHigh, func(_ *model.Action, cfg *sla.Config) { cfg.Stages = nil })
	s.fireUntil(at(48))
	require.True(t, s.c.Action.IsOverdue)
	require.Nil(t, s.c.Action.NextAt)
}

func TestRemindersToldOrSilent(t *testing.T) {
	t.Parallel()
	t.Run("told when it is the last of its firing", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityCritical).fire(at(23.9))
		require.Equal(t, model.DoneTold, s.event(1, model.EventReminder, 1).Done)
		require.Equal(t, []string{"reminder ann"}, s.heard())
		require.Equal(t, at(23.9), *s.c.Action.ReminderSentAt)
	})
	t.Run("silent when overdue came with it", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityCritical).fire(at(24))
		require.Equal(t, model.DoneSilent, s.event(1, model.EventReminder, 1).Done)
		require.Equal(t, []string{"overdue ann", "overdue mgr"}, s.heard())
		require.Nil(t, s.c.Action.ReminderSentAt)
		require.Equal(t, "Reminder 1: passed over, a later event tells", s.last.Logs[0].Message)
	})
	t.Run("silent too under a superseding move", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityCritical).move(at(24), by("pxb", model.MoveCancel))
		require.Equal(t, model.DoneSilent, s.event(1, model.EventReminder, 1).Done)
		require.Equal(t, model.DoneSuperseded, s.event(1, model.EventOverdue, 0).Done)
		require.Equal(t, []string{"overdue ann (superseded)", "overdue mgr (superseded)"}, s.heard())
	})
	t.Run("nobody to tell without an owner", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityCritical, func(a *model.Action, _ *sla.Config) { a.AssignedTo = nil }).fire(at(20))
		require.Equal(t, model.DoneUntargeted, s.event(1, model.EventReminder, 1).Done)
		require.Empty(t, s.last.Messages)
	})
}

func TestLadderRungs(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		people cast
		want   [3][]string // told by stage, targets first
	}{
		{"manager, PX Admins, executives", usualCast(), [3][]string{{"mgr", "ann"}, {"pxa", "pxb", "ann"}, {"exe", "ann"}}},
		{"an empty rung is passed over", cast{Assignee: "ann", Manager: "mgr", Executives: []string{"exe"}},
			[3][]string{{"mgr", "ann"}, {"exe", "ann"}, {"exe", "ann"}}},
		{"the assignee is never a target", cast{Assignee: "pxa", Manager: "pxa", PXAdmins: []string{"pxa", "pxb"}, Executives: []string{"exe"}},
			[3][]string{{"pxb", "pxa"}, {"exe", "pxa"}, {"exe", "pxa"}}},
		{"the last rung that holds somebody is told again, whole", cast{Assignee: "ann", Manager: "mgr", PXAdmins: []string{"mgr", "pxb"}},
			[3][]string{{"mgr", "ann"}, {"pxb", "ann"}, {"mgr", "pxb", "ann"}}},
		{"nobody but the assignee", cast{Assignee: "ann"}, [3][]string{{"ann"}, {"ann"}, {"ann"}}},
		{"nobody at all", cast{}, [3][]string{{}, {}, {}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := openScene(t, newAction(model.SeverityCritical, monday, tt.people), builtIn(), house(tt.people), monday).fireUntil(at(30))
			for i, want := range tt.want {
				e := s.event(1, model.EventEscalation, i+1)
				require.Equal(t, want, codesOf(s.c.Dir, e.Told.V), "stage %d", i+1)
				require.Equal(t, len(e.Targets.V) == 0, e.Done == model.DoneUntargeted)
			}
		})
	}

	t.Run("overdue messages and copies don't count as told", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityCritical).fireUntil(at(26))
		require.Equal(t, []string{"mgr"}, codesOf(s.c.Dir, s.event(1, model.EventEscalation, 1).Targets.V), "though told of overdue")
		s.move(at(27), sla.MoveRequest{Move: model.MoveAssign, Assignee: personID("bob")})
		s.fireUntil(at(30))
		require.Equal(t, []string{"exe", "bob"}, codesOf(s.c.Dir, s.event(1, model.EventEscalation, 3).Told.V))
	})
	t.Run("the involved are passed over", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityCritical, func(a *model.Action, _ *sla.Config) {
			a.Involved = model.Of([]model.UserID{personID("mgr"), personID("pxa")})
		}).fireUntil(at(26))
		require.Equal(t, []string{"ann"}, codesOf(s.c.Dir, s.event(1, model.EventOverdue, 0).Told.V))
		require.Equal(t, []string{"pxb", "ann"}, codesOf(s.c.Dir, s.event(1, model.EventEscalation, 1).Told.V))
	})
}

func TestStageRaisesPriorityNeverLowers(t *testing.T) {
	t.Parallel()
	s := opened(t, model.SeverityMedium, func(_ *model.Action, cfg *sla.Config) {
		cfg.Stages[model.SeverityMedium] = []sla.Stage{{Gap: time.Hour, RaisePriority: model.SeverityCritical}, {Gap: time.Hour, RaisePriority: model.SeverityHigh}}
	}).fireUntil(at(74))
	require.Equal(t, model.SeverityCritical, s.c.Action.Priority)
	require.Equal(t, model.SeverityMedium, s.c.Action.Severity)
	require.Equal(t, 2, s.c.Action.EscalationLevel)
	require.Equal(t, at(74), *s.c.Action.EscalatedAt)
}

func TestOpen(t *testing.T) {
	t.Parallel()
	t.Run("fills the action", func(t *testing.T) {
		t.Parallel()
		a := opened(t, model.SeverityHigh).c.Action
		require.Equal(t, model.StatusOpen, a.Status)
		require.Equal(t, model.SeverityHigh, a.Priority)
		require.Equal(t, []any{1, int64(1), int64(1), at(48), at(48), monday, true, 1},
			[]any{a.Period, a.Version, a.Gen, a.DueAt, a.OriginalDueAt, *a.AssignedAt, a.RequiresApproval, a.AckNo})
	})
	t.Run("a late decision raises gen once", func(t *testing.T) {
		t.Parallel()
		s := openScene(t, newAction(model.SeverityCritical, monday, usualCast()), builtIn(), house(usualCast()), at(40))
		require.Equal(t, int64(1), s.c.Action.Gen)
		require.Equal(t, []string{"escalation+overdue+assigned ann", "escalation+overdue+assigned mgr"}, s.heard())
		require.Equal(t, []model.LogType{model.LogCreated, model.LogAssignment, model.LogSLAReminder, model.LogOverdue, model.LogEscalation},
			logTypes(s.last.Logs))
	})
	t.Run("a fraction of a second never makes a deadline later", func(t *testing.T) {
		t.Parallel()
		received := monday.Add(700 * time.Millisecond)
		s := openScene(t, newAction(model.SeverityCritical, received, usualCast()), builtIn(), house(usualCast()), received.Add(time.Second))
		require.Equal(t, at(24), s.c.Action.DueAt)
	})
	t.Run("only a critical one tells the manager", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, []string{"assigned ann"}, opened(t, model.SeverityHigh).heard())
		require.Equal(t, []string{"assigned ann", "assigned mgr"}, opened(t, model.SeverityCritical).heard())
	})
	t.Run("without an owner nobody is told", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityCritical, func(a *model.Action, _ *sla.Config) { a.AssignedTo = nil })
		require.Empty(t, s.heard())
		require.Equal(t, []model.LogType{model.LogCreated}, logTypes(s.last.Logs))
	})
	t.Run("the config may exempt from approval", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityLow, exemptLow)
		require.False(t, s.c.Action.RequiresApproval)
		s.move(at(1), toSeverity(model.SeverityCritical))
		require.True(t, s.c.Action.RequiresApproval, "the severity decides anew")
	})
}

func exemptLow(_ *model.Action, cfg *sla.Config) {
	cfg.RequiresApproval = func(_ model.SourceType, sev model.Severity) bool { return sev != model.SeverityLow }
}

func logTypes(logs []model.ActionLog) []model.LogType {
	var ts []model.LogType
	for _, l := range logs {
		ts = append(ts, l.LogType)
	}
	return ts
}
