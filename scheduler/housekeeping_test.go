package scheduler_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/internal/testenv"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/scheduler"
	"github.com/pxactions/px/tasks"
)

// ticking reports whether asynq's dashboard shows each housekeeping, ticking
// every ten minutes. A client goes on refusing for up to a second after its
// server is back: then not yet.
func ticking(rdb redis.UniversalClient) bool {
	entries, err := asynq.NewInspectorFromRedisClient(rdb).SchedulerEntries()
	if err != nil {
		return false
	}
	var types []string
	for _, e := range entries {
		if e.Spec == "*/10 * * * *" && time.Until(e.Next) <= 10*time.Minute && len(e.Opts) > 0 {
			types = append(types, e.Task.Type())
		}
	}
	slices.Sort(types)
	return slices.Equal(types, []string{tasks.TypeHousekeeping + "audit", tasks.TypeHousekeeping + "feeds", tasks.TypeHousekeeping + "files", tasks.TypeHousekeeping + "hygiene", tasks.TypeHousekeeping + "retention", tasks.TypeHousekeeping + "verify"})
}

func TestHousekeepingTicksOnTheDashboard(t *testing.T) {
	t.Parallel()
	for name, failures := range map[string]int{"from the start": 0, "after starts that failed": 3} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, q := withQueue(t)
			s := scheduler.New(scheduler.Options{
				Engine: w.Engine, Store: w.Store, Redis: q, Client: q.rdb, Metrics: w.Metrics, Log: zerolog.Nop(),
				Interval: 20 * time.Millisecond, Holder: "one",
			})
			s.FailStarts(failures)
			stop := run(t, s)
			until(t, "the ticks are on the dashboard", func() bool { return ticking(q.rdb) })
			stop()
			if entries, err := asynq.NewInspectorFromRedisClient(q.rdb).SchedulerEntries(); err != nil || len(entries) != 0 {
				t.Errorf("entries of a scheduler that has ended = %d, %v; want none", len(entries), err)
			}
		})
	}
}

// TestASchedulerWorksWithRedisAwayFromTheStart: it starts, does what is late,
// and ticks once Redis is there.
func TestASchedulerWorksWithRedisAwayFromTheStart(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	env := testenv.OwnServers(t)
	if err := env.Redis.Stop(); err != nil {
		t.Fatal(err)
	}
	rdb, err := tasks.NewRedis(env.RedisURL, tasks.RedisOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rdb.Close() })
	q := tasks.NewQueue(rdb, tasks.QueueOptions{})
	w.Engine = w.NewEngine(q, w.Engine.Notify)
	a := w.Create(w.Complaint(model.SeverityCritical))[0]
	waiting := w.Insert(w.Complaint(model.SeverityHigh))[0]
	w.Exec("UPDATE feedback SET heal_after = clock_timestamp()")
	w.Exec("UPDATE messages SET channel = 'log', next_try_at = clock_timestamp() - interval '6 seconds'")
	w.SetTime(a.NextAt.Add(10 * time.Second))

	run(t, scheduler.New(scheduler.Options{
		Engine: w.Engine, Store: w.Store, Redis: q, Client: rdb, Metrics: w.Metrics, Log: zerolog.Nop(),
		Interval: 50 * time.Millisecond, Holder: "one",
	}))
	until(t, "what is late is done", func() bool {
		return len(w.Events(a.ID)) == 1 && w.Feedback(waiting).Decision == model.DecisionCreated &&
			w.Count("SELECT count(*) FROM messages WHERE state = 'sent'") > 0
	})
	if err := env.Redis.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(t, "the ticks are on the dashboard", func() bool { return ticking(rdb) })
	w.Holds()
}

func TestPeriodicWorkIsDoneOnceHoweverManyTick(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	p := scheduler.Periodic{Name: "verify", Every: time.Hour}
	var done atomic.Int64
	work := func(context.Context) error { done.Add(1); return nil }
	tick := func() {
		if err := p.Do(t.Context(), w.Store, "one", work); err != nil {
			t.Errorf("tick: %v", err)
		}
	}
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(tick)
	}
	wg.Wait()
	if done.Load() != 1 {
		t.Errorf("done %d times, want once", done.Load())
	}
	w.Exec("UPDATE sweeps SET last_run = last_run - interval '59 minutes'")
	if tick(); done.Load() != 1 {
		t.Errorf("done %d times within the hour, want once", done.Load())
	}
	w.Exec("UPDATE sweeps SET last_run = last_run - interval '2 minutes'")
	if tick(); done.Load() != 2 {
		t.Errorf("done %d times, want it due an hour later", done.Load())
	}
}

func TestOnlyWorkThatSucceededIsDone(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	p := scheduler.Housekeeping()[0]
	var done int
	tick := func(holder string, outcome error) {
		t.Helper()
		err := p.Do(t.Context(), w.Store, holder, func(context.Context) error { done++; return outcome })
		if !errors.Is(err, outcome) {
			t.Errorf("tick = %v, want %v", err, outcome)
		}
	}
	tick("failing", scenario.ErrRefused)
	if tick("next", scenario.ErrRefused); done != 2 {
		t.Errorf("done %d times, want it due again after a failure", done)
	}
	// Killed in the middle of its work: nobody says how it ended.
	mine, err := w.Store.ClaimDue(t.Context(), "housekeeping:"+p.Name, "killed", p.Every, time.Minute)
	if err != nil || !mine {
		t.Fatalf("claim = %v, %v", mine, err)
	}
	if tick("next", nil); done != 2 {
		t.Error("done while another may be at it")
	}
	w.Exec("UPDATE sweeps SET claimed_until = clock_timestamp()")
	if tick("next", nil); done != 3 {
		t.Errorf("done %d times, want the work of a dead worker done again", done)
	}
	if err := w.Store.FinishDue(t.Context(), "housekeeping:"+p.Name, "killed", false); err != nil {
		t.Fatal(err)
	}
	if tick("third", nil); done != 3 {
		t.Errorf("done %d times, want it over", done)
	}
}
