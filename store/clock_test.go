package store_test

import (
	"testing"
	"time"

	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/store"
)

func TestTheClockRunsAtItsSpeed(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	for _, speed := range []float64{1, 600} {
		if err := w.Store.SetClock(t.Context(), scenario.Start(), speed); err != nil {
			t.Fatal(err)
		}
		first, err := w.Store.Now(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		second, err := w.Twin().Store.Now(t.Context()) // every process reads the same one
		if err != nil {
			t.Fatal(err)
		}
		ran, passed := second.Domain.Sub(first.Domain), second.Machine.Sub(first.Machine)
		if want := time.Duration(float64(passed) * speed); (ran - want).Abs() > time.Millisecond {
			t.Errorf("speed %v: domain time ran %s while %s passed, want %s", speed, ran, passed, want)
		}
		if first.Domain.Before(scenario.Start()) || first.Clock.Speed != speed {
			t.Errorf("speed %v: now = %+v", speed, first)
		}
	}
	if err := w.Store.SetClock(t.Context(), scenario.Start(), 0); err == nil {
		t.Error("a clock that stands still is taken")
	}
}

// TestPlannedInstantsAreExactAtSpeed: whatever the speed and however late the
// firing, an event's planned instant is the plan's own.
func TestPlannedInstantsAreExactAtSpeed(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, scenario.NoAck())
	if err := w.Store.SetClock(t.Context(), scenario.Start(), 600); err != nil {
		t.Fatal(err)
	}
	a := w.Create(w.Complaint(model.SeverityCritical))[0]
	for range 3 {
		next := *w.Action(a.ID).NextAt
		if err := w.Store.SetClock(t.Context(), next, 600); err != nil {
			t.Fatal(err)
		}
		rs, effects, err := w.Store.Fire(t.Context(), []store.DeadlineRef{w.Job(a.ID)})
		if err != nil || rs[0].Outcome != store.Fired || !rs[0].Taken[0].Planned.Equal(next) {
			t.Fatalf("fire = %+v, %v; want the event of %s", rs, err, next)
		}
		now, err := w.Store.Now(t.Context())
		if err != nil || rs[0].Late < 0 || rs[0].Late > now.Machine.Sub(now.Clock.Real(next)) {
			t.Errorf("lateness = %s, want it in machine time", rs[0].Late)
		}
		// The next job's machine instant is the real one of the virtual one.
		if at := *w.Action(a.ID).NextAt; now.Clock.Virtual(effects.Arm[0].At).Sub(at).Abs() > time.Millisecond {
			t.Errorf("job at %s, want the machine's instant of %s", effects.Arm[0].At, at)
		}
	}
	for i, after := range []time.Duration{20, 24, 26} {
		if e := w.Events(a.ID)[i]; !e.Planned.Equal(a.ClockStart.Add(after * time.Hour)) {
			t.Errorf("event %d planned at %s, want %d h after the start", i, e.Planned, after)
		}
	}
}
