package engine_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

// TestTwoProcessesAtTheSameItems lets eight workers of two processes decide,
// fire and move the same items at once, in orders of their own.
func TestTwoProcessesAtTheSameItems(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, scenario.NoAck())
	procs := []*scenario.World{w, w.Twin()}
	const actions = 30
	ids := w.Insert(w.Complaints(actions, model.SeverityCritical)...)
	var created, started, moved atomic.Int64

	together(func(worker int) {
		p := procs[worker%2]
		for _, i := range rand.Perm(actions) {
			rs, err := p.Engine.Decide(t.Context(), ids[i:i+1])
			if err != nil {
				t.Errorf("decide: %v", err)
			} else if !rs[0].Before {
				created.Add(1)
			}
		}
	})
	var as []model.ActionID
	for _, id := range ids {
		as = append(as, *w.Feedback(id).ActionID)
	}
	if n := w.Count("SELECT count(*) FROM actions"); n != actions || created.Load() < actions {
		t.Fatalf("actions = %d, decided %d times; want %d", n, created.Load(), actions)
	}

	for range 3 { // reminder, overdue, stage 1
		jobs := make([]store.DeadlineRef, len(as))
		for i, id := range as {
			jobs[i] = w.Job(id)
		}
		w.SetTime(*w.Action(as[0]).NextAt)
		together(func(worker int) {
			p := procs[worker%2]
			for _, i := range rand.Perm(len(as)) {
				if worker < 2 {
					note := sla.MoveRequest{Move: model.MoveNote, Text: "seen"}
					if _, err := p.Engine.Move(t.Context(), as[i], 0, note); err != nil {
						t.Errorf("note: %v", err)
					} else {
						moved.Add(1)
					}
					continue
				}
				if _, err := p.Engine.Fire(t.Context(), jobs[i]); err != nil {
					t.Errorf("fire: %v", err)
				}
			}
		})
	}
	// The version decides among those who saw the same one.
	seen := map[model.ActionID]int64{}
	for _, id := range as {
		seen[id] = w.Action(id).Version
	}
	together(func(worker int) {
		p := procs[worker%2]
		for _, i := range rand.Perm(len(as)) {
			_, err := p.Engine.Move(t.Context(), as[i], seen[as[i]], sla.MoveRequest{Move: model.MoveStart})
			switch {
			case err == nil:
				moved.Add(1)
				started.Add(1)
			case !errors.Is(err, model.ErrConflict):
				t.Errorf("start: %v", err)
			}
		}
	})
	if started.Load() != actions {
		t.Errorf("started %d times, want %d", started.Load(), actions)
	}
	gapless(t, w, as, moved.Load())
	if n := w.Count("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"); n != 0 {
		t.Errorf("%d deadlocks", n)
	}
	w.Holds()
}

// gapless checks that every write raised an action's version by one, and that
// every event was taken once.
func gapless(t *testing.T, w *scenario.World, as []model.ActionID, moved int64) {
	t.Helper()
	var versions, firings int64
	for _, id := range as {
		a, events := w.Action(id), w.Events(id)
		kinds := make([]model.EventKind, len(events))
		for i, e := range events {
			kinds[i] = e.Kind
		}
		if want := []model.EventKind{model.EventReminder, model.EventOverdue, model.EventEscalation}; !slices.Equal(kinds, want) {
			t.Errorf("events of %s = %v, want %v", a.Ref, kinds, want)
		}
		versions += a.Version
		// A move that settled an event did both in one write.
		firings += int64(w.Count("SELECT count(DISTINCT e.fired) FROM deadline_events e WHERE e.action_id = ?", id))
		if n := w.Count("SELECT count(*) FROM action_logs WHERE action_id = ?", id); n != a.LogSeq {
			t.Errorf("logs of %s = %d, seq %d", a.Ref, n, a.LogSeq)
		}
	}
	least, most := int64(len(as))+moved, int64(len(as))+moved+firings
	if versions < least || versions > most {
		t.Errorf("versions sum up to %d, want %d to %d", versions, least, most)
	}
	if n := w.Count("SELECT count(*) FROM feedback WHERE decision = 'created'"); n != len(as) {
		t.Errorf("feedback decided = %d, want %d", n, len(as))
	}
}

// together runs eight workers and waits for them.
func together(work func(worker int)) {
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() { work(i) })
	}
	wg.Wait()
}
