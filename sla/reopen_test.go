package sla_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
)

// goesOn is a config under which a reopened action goes on with what was left,
// and nothing needs approval.
func goesOn(_ *model.Action, cfg *sla.Config) {
	cfg.Reopen = sla.ReopenRemaining
	cfg.RequiresApproval = func(model.SourceType, model.Severity) bool { return false }
}

// reopened is what a reopening decides.
type reopened struct {
	due, original time.Time
	manual        bool
	paused        time.Duration
	period        int
}

func reopenedAs(a model.Action) reopened {
	return reopened{a.DueAt, a.OriginalDueAt, a.DueManual, time.Duration(a.PausedSeconds) * time.Second, a.Period}
}

func TestReopeningGoesOnWithWhatWasLeft(t *testing.T) {
	t.Parallel()
	const h = time.Hour
	closed := func(s *scene, hours float64) *scene {
		return s.fireUntil(at(hours)).move(at(hours), by("ann", model.MoveClose))
	}
	started := func(t *testing.T, sev model.Severity, bend ...func(*model.Action, *sla.Config)) *scene {
		return opened(t, sev, append(bend, goesOn)...).move(at(1), by("ann", model.MoveStart))
	}
	tests := []struct {
		name string
		life func(t *testing.T) *scene
		want reopened
		left float64 // hours
	}{
		{"closed early", func(t *testing.T) *scene { return closed(started(t, "critical"), 10) }, reopened{at(114), at(24), false, 90 * h, 2}, 14},
		{"closed with less than the floor left", func(t *testing.T) *scene { return closed(started(t, "critical"), 22) }, reopened{at(104), at(24), true, 78 * h, 2}, 2},
		{"closed with just the floor left", func(t *testing.T) *scene { return closed(started(t, "critical"), 20) }, reopened{at(104), at(24), false, 80 * h, 2}, 4},
		{"closed at the due", func(t *testing.T) *scene { return closed(started(t, "critical"), 24) }, reopened{at(104), at(24), true, 0, 2}, 0},
		{"closed after the due", func(t *testing.T) *scene { return closed(started(t, "critical"), 27) }, reopened{at(104), at(24), true, 0, 2}, 0},
		{"a target below the floor", func(t *testing.T) *scene {
			return closed(started(t, "critical", func(_ *model.Action, cfg *sla.Config) { cfg.Target["critical"] = 2 * h }), 3)
		}, reopened{at(102), at(2), true, 0, 2}, 0},
		{"held before", func(t *testing.T) *scene {
			return closed(started(t, "high").move(at(10), holdUntil(30)), 40)
		}, reopened{at(128), at(48), false, 80 * h, 2}, 28},
		{"due by hand", func(t *testing.T) *scene { return closed(started(t, "critical").move(at(2), toDue(at(50))), 10) }, reopened{at(140), at(24), true, 90 * h, 2}, 40},
		{"in a later period", func(t *testing.T) *scene {
			return closed(started(t, "critical").fireUntil(at(25)).move(at(26), toDue(at(50))), 40)
		}, reopened{at(110), at(24), true, 60 * h, 3}, 10},
		{"approved: its submission stopped the clock", func(t *testing.T) *scene {
			s := started(t, "critical").move(at(2), by("ann", model.MoveSubmit)).move(at(30), by("pxa", model.MoveApprove))
			return s.move(at(50), by("ann", model.MoveClose))
		}, reopened{at(122), at(24), false, 98 * h, 2}, 22},
		{"approved, and submitted too late", func(t *testing.T) *scene {
			s := started(t, "critical").fireUntil(at(25)).move(at(25), by("ann", model.MoveSubmit)).move(at(26), by("pxa", model.MoveApprove))
			return s.move(at(27), by("ann", model.MoveClose))
		}, reopened{at(104), at(24), true, 0, 2}, 0},
		{"rejected and approved", func(t *testing.T) *scene {
			s := started(t, "critical").move(at(2), by("ann", model.MoveSubmit)).move(at(12), by("pxa", model.MoveReject)) // due at 34
			return s.move(at(20), by("ann", model.MoveSubmit)).move(at(21), by("pxa", model.MoveApprove)).move(at(22), by("ann", model.MoveClose))
		}, reopened{at(114), at(24), false, 90 * h, 2}, 14},
		{"closed and reopened before", func(t *testing.T) *scene {
			return closed(closed(started(t, "critical"), 10).move(at(30), by("mgr", model.MoveReopen)), 40) // left 14, of which 10 pass
		}, reopened{at(104), at(24), false, 80 * h, 3}, 4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := tt.life(t).move(at(100), by("pxa", model.MoveReopen))
			require.Equal(t, tt.want, reopenedAs(s.c.Action))
			require.Empty(t, s.last.Events, "never an instant overdue")
			facts := s.last.Logs[1].Metadata.V
			require.Equal(t, []any{sla.ReopenRemaining, int64(tt.left * 3600)}, []any{facts["reopen"], facts["left_s"]})
			require.Equal(t, tt.left < 4, facts["floor"] == true)
			s.fireUntil(s.c.Action.DueAt)
			require.True(t, s.c.Action.IsOverdue)
			require.Equal(t, tt.want.due, s.event(tt.want.period, model.EventOverdue, 0).Fired, "reminders, deadline and stages apply again")
		})
	}
}

func TestAfterAReopeningWithWhatWasLeft(t *testing.T) {
	t.Parallel()
	early := func(t *testing.T) *scene { // 14 hours left
		return opened(t, "critical", goesOn).move(at(1), by("ann", model.MoveStart)).move(at(10), by("ann", model.MoveClose)).move(at(100), by("pxa", model.MoveReopen))
	}
	late := func(t *testing.T) *scene { // the floor
		return opened(t, "critical", goesOn).move(at(1), by("ann", model.MoveStart)).fireUntil(at(24)).move(at(25), by("ann", model.MoveClose)).move(at(100), by("pxa", model.MoveReopen))
	}
	t.Run("another severity counts from the first start, the closure out", func(t *testing.T) {
		t.Parallel()
		s := early(t).move(at(101), toSeverity("high"))
		require.Equal(t, at(48+90), s.c.Action.DueAt)
		s.move(at(102), toSeverity("critical"))
		require.Equal(t, []any{at(114), false, 2}, []any{s.c.Action.DueAt, s.c.Action.DueManual, s.c.Action.Period}, "no time is won by it")
	})
	t.Run("another severity recomputes the floor", func(t *testing.T) {
		t.Parallel()
		s := late(t).move(at(101), toSeverity("high"))
		require.Equal(t, []any{at(48 + 75), false}, []any{s.c.Action.DueAt, s.c.Action.DueManual})
		s.move(at(102), toSeverity("critical"))
		require.Equal(t, []any{at(24), true}, []any{s.c.Action.DueAt, s.c.Action.IsOverdue})
	})
	t.Run("a hold is added to what was left", func(t *testing.T) {
		t.Parallel()
		s := early(t).move(at(101), toSeverity("high")).move(at(102), holdUntil(112)).fire(at(112))
		require.Equal(t, []any{at(148), int64(100 * 3600)}, []any{s.c.Action.DueAt, s.c.Action.PausedSeconds})
		s = late(t).move(at(101), by("ann", model.MoveSubmit)).move(at(102), by("pxa", model.MoveReject))
		require.Equal(t, []any{at(106), true}, []any{s.c.Action.DueAt, s.c.Action.DueManual}, "of the floor four hours again")
	})
	t.Run("the policy may turn back to fresh targets", func(t *testing.T) {
		t.Parallel()
		s := early(t).move(at(103), by("ann", model.MoveClose))
		s.c.Config.Reopen = sla.ReopenFresh
		s.move(at(200), by("pxa", model.MoveReopen))
		require.Equal(t, reopened{at(224), at(224), false, 0, 3}, reopenedAs(s.c.Action))
	})
}

// TestWhatWasLeftIsOpenTime where the action's own clock counts that.
func TestWhatWasLeftIsOpenTime(t *testing.T) {
	t.Parallel()
	office := lifeCalendars()[1] // Monday to Friday, 8 to 16
	people, cfg := usualCast(), builtIn()
	cfg.Target["critical"] = 16 * time.Hour
	a := newAction("critical", monday, people)
	goesOn(&a, cfg)
	s := &scene{t: t, c: sla.Case{Config: cfg, Dir: house(people), Open: office.Calendar}}
	s.absorb(sla.Open(sla.Case{Action: a, Config: cfg, Dir: s.c.Dir, Open: office.Calendar}, monday), monday)
	require.Equal(t, at(32), s.c.Action.DueAt, "Tuesday at closing")
	s.move(at(1), by("ann", model.MoveStart)).move(at(4), by("ann", model.MoveClose)) // Monday noon: 12 hours left
	s.move(at(7*24+2), by("pxa", model.MoveReopen))                                   // Monday at ten
	require.Equal(t, at(8*24+6), s.c.Action.DueAt, "Tuesday at two")
	longer := lifeCalendars()[2] // 2 to 23: a changed calendar counts all of it anew
	out := sla.Recalendar(s.c, longer, at(7*24+3))
	s.c.Open = longer.Calendar
	s.absorb(out, at(7*24+3))
	due, _ := longer.Calendar.Pause(longer.Calendar.Add(monday, 16*time.Hour), s.c.Action.Plan.V.Pauses)
	require.Equal(t, []any{due, false}, []any{s.c.Action.DueAt, s.c.Action.DueManual})
}
