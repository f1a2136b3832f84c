package scheduler_test

import (
	"testing"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/store"
	"github.com/pxactions/px/tasks"
)

func TestUnarmedJobsAreHandedOverOnceTheQueueTakes(t *testing.T) {
	t.Parallel()
	w, q := withQueue(t)
	s := sweeps(w, "one", q)
	q.refuse = true
	ids := w.Insert(w.Complaints(12, model.SeverityHigh)...)
	if _, err := w.Engine.Decide(t.Context(), ids); err != nil {
		t.Fatal(err)
	}
	w.Exec("UPDATE actions SET arm_after = clock_timestamp()")
	if _, err := s.Once(t.Context()); err == nil {
		t.Error("no error of a sweep whose queue refuses")
	}
	if n := w.Count("SELECT count(*) FROM actions WHERE armed_gen < gen AND arm_after > clock_timestamp()"); n != 12 {
		t.Errorf("unarmed behind a new grace = %d, want 12", n)
	}
	q.refuse = false
	if healed := once(t, s); healed["unarmed"] != 0 {
		t.Errorf("healed %v, want the grace kept", healed)
	}
	w.Exec("UPDATE actions SET arm_after = clock_timestamp()")
	if healed := once(t, s); healed["unarmed"] != 12 {
		t.Errorf("healed %v, want 12 armed", healed)
	}
	if n := w.Metric("px_healed_total", "unarmed"); n != 12 {
		t.Errorf("px_healed_total unarmed = %v, want 12", n)
	}
	if n := q.missing(t, w); n != 0 || w.Count("SELECT count(*) FROM actions WHERE armed_gen = gen") != 12 {
		t.Errorf("%d jobs missing", n)
	}
	w.Holds()
}

func TestARedisThatLostItsMemoryIsToldEverythingAgain(t *testing.T) {
	t.Parallel()
	w, q := withQueue(t)
	s := sweeps(w, "one", q)
	ids := w.Insert(w.Complaints(20, model.SeverityCritical)...)
	if _, err := w.Engine.Decide(t.Context(), ids); err != nil {
		t.Fatal(err)
	}
	again := func() int {
		t.Helper()
		return once(t, s)["lost"]
	}
	for range 2 { // remembers the beat
		if n := again(); n != 0 || q.missing(t, w) != 0 {
			t.Fatalf("armed again %d, missing %d; want none", n, q.missing(t, w))
		}
	}
	if err := q.rdb.FlushDB(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if n := q.missing(t, w); n != 20 {
		t.Fatalf("missing = %d, want all", n)
	}
	if n := again(); n != 20 || q.missing(t, w) != 0 {
		t.Errorf("armed again %d, missing %d; want all back, each once for both queues", n, q.missing(t, w))
	}
	if n := again(); n != 0 {
		t.Errorf("armed again %d, want it to be over", n)
	}

	// Another master: what it holds may be old, whatever its counter says. One
	// queue's word is enough.
	for _, queues := range []string{"%", tasks.QueueEscalation, tasks.QueueReminder} {
		w.Exec("UPDATE sweeps SET run_id = 'another' WHERE name LIKE ?", "redis:"+queues)
		if n := again(); n != 20 {
			t.Errorf("armed again %d after a failover of %s, want all", n, queues)
		}
		if n := again(); n != 0 {
			t.Errorf("armed again %d, want it to be over", n)
		}
	}
	w.Holds()
}

// TestALossStandsUntilItIsMadeGood: Redis counts on after its loss and would
// soon look sound; only the walk's end may say so.
func TestALossStandsUntilItIsMadeGood(t *testing.T) {
	t.Parallel()
	w, q := withQueue(t)
	s := sweeps(w, "one", q)
	ids := w.Insert(w.Complaints(5, model.SeverityCritical)...)
	if _, err := w.Engine.Decide(t.Context(), ids); err != nil {
		t.Fatal(err)
	}
	once(t, s)
	once(t, s)
	if err := q.rdb.FlushDB(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	q.refuse = true
	for range 5 { // more often than the counter had stood at
		if _, err := s.Once(t.Context()); err == nil {
			t.Fatal("no error of a walk whose queue refuses")
		}
	}
	q.refuse = false
	once(t, sweeps(w, "another scheduler", q))
	if n := q.missing(t, w); n != 0 {
		t.Errorf("missing = %d, want all back", n)
	}
	for _, queue := range []string{tasks.QueueEscalation, tasks.QueueReminder} {
		b, err := w.Store.ReadBeat(t.Context(), queue)
		if err != nil || b == (store.Beat{}) || b.RunID == "lost" {
			t.Errorf("beat of %s = %+v, %v; want the present master's", queue, b, err)
		}
	}
}
