package scheduler_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/store"
)

// TestOnlyHandsJobsOverAgain: what an operator asks for, and no other sweep.
func TestOnlyHandsJobsOverAgain(t *testing.T) {
	t.Parallel()
	w, q := withQueue(t)
	ids := w.Insert(w.Complaints(3, model.SeverityHigh)...)
	if _, err := w.Engine.Decide(t.Context(), ids); err != nil {
		t.Fatal(err)
	}
	if err := q.rdb.FlushDB(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	healed, err := sweeps(w, "me", q).Only(t.Context(), store.HealedByArming, store.HealedByMessages)
	names := slices.Sorted(maps.Keys(healed))
	if err != nil || healed[store.HealedByArming] != 3 || !slices.Equal(names, []string{"arming", "messages:log", "messages:webhook"}) {
		t.Errorf("healed %v, %v; want three jobs, and the messages", healed, err)
	}
	if n := q.missing(t, w); n != 0 {
		t.Errorf("missing = %d, want all back", n)
	}
}
