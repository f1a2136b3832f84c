package scheduler_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/internal/testenv"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/scheduler"
	"github.com/pxactions/px/tasks"
)

// sweeps is a scheduler of one process of the world; redis nil: no queue.
func sweeps(w *scenario.World, holder string, redis engine.Beater) *scheduler.Scheduler {
	return scheduler.New(scheduler.Options{
		Engine: w.Engine, Store: w.Store, Redis: redis, Metrics: w.Metrics, Log: zerolog.Nop(), Holder: holder,
	})
}

// once runs every sweep one time.
func once(t *testing.T, s *scheduler.Scheduler) map[string]int {
	t.Helper()
	healed, err := s.Once(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return healed
}

// queue is the real queue on a Redis of the test's own, which can be told to
// refuse effects.
type queue struct {
	*tasks.Queue
	rdb redis.UniversalClient

	mu     sync.Mutex
	refuse bool
}

func (q *queue) Enqueue(ctx context.Context, e tasks.Effects) ([]tasks.Arm, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.refuse {
		return nil, scenario.ErrRefused
	}
	return q.Queue.Enqueue(ctx, e)
}

// missing is how many of the jobs that PostgreSQL believes armed Redis lacks.
func (q *queue) missing(t *testing.T, w *scenario.World) int {
	t.Helper()
	arms, err := w.Store.Armed(t.Context(), model.ActionID{}, 1000)
	if err != nil {
		t.Fatal(err)
	}
	gone, _, err := q.Missing(t.Context(), arms)
	if err != nil {
		t.Fatal(err)
	}
	return len(gone)
}

// withQueue is a world whose engine speaks to a real Redis.
func withQueue(t *testing.T) (*scenario.World, *queue) {
	t.Helper()
	w := scenario.New(t, nil)
	rdb, err := tasks.NewRedis(testenv.RedisURL(t), tasks.RedisOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rdb.Close() })
	q := &queue{Queue: tasks.NewQueue(rdb, tasks.QueueOptions{}), rdb: rdb}
	w.Engine = w.NewEngine(q, w.Engine.Notify)
	return w, q
}

// run runs a scheduler until stop is called, or the test ends.
func run(t *testing.T, s *scheduler.Scheduler) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("scheduler: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// until polls a condition, and fails the test when it does not come to hold.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("waited too long until %s", what)
		}
	}
}
