package tasks_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/tasks"
)

// TestARedisThatNeverAnswersOpensTheBreaker stands for a black hole: it takes
// connections and says nothing, and the caller's own bound is no longer than the
// queue's.
func TestARedisThatNeverAnswersOpensTheBreaker(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	rdb, err := tasks.NewRedis("redis://"+l.Addr().String(), tasks.RedisOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rdb.Close() })
	q := tasks.NewQueue(rdb, tasks.QueueOptions{Timeout: 300 * time.Millisecond, Pause: time.Minute})
	effects := tasks.Effects{Create: []model.FeedbackID{model.NewID[model.Feedback]()}}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := q.Enqueue(ctx, effects); err == nil {
		t.Fatal("enqueued into nothing")
	}
	if !q.Broken() {
		t.Fatal("the breaker is closed: every further call would wait as long")
	}
	if _, err := q.Enqueue(t.Context(), effects); !errors.Is(err, model.ErrUnavailable) || q.Stats().Dropped != 1 {
		t.Errorf("second call: %v, %+v; want it dropped at once", err, q.Stats())
	}
}
