package tasks

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/pxactions/px/internal/testenv"
	"github.com/pxactions/px/model"
)

func TestMain(m *testing.M) {
	LogRedis(zerolog.Nop())
	goleak.VerifyTestMain(m, testenv.IgnoreServers())
}

// world is one test's Redis with a queue on it.
type world struct {
	rdb       redis.UniversalClient
	queue     *Queue
	inspector *asynq.Inspector
}

func setup(tb testing.TB, o QueueOptions) world {
	tb.Helper()
	return worldOn(tb, testenv.RedisURL(tb), o)
}

func worldOn(tb testing.TB, url string, o QueueOptions) world {
	tb.Helper()
	rdb := dial(tb, url, RedisOptions{})
	return world{rdb: rdb, queue: NewQueue(rdb, o), inspector: asynq.NewInspectorFromRedisClient(rdb)}
}

func dial(tb testing.TB, url string, o RedisOptions) redis.UniversalClient {
	tb.Helper()
	rdb, err := NewRedis(url, o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := rdb.Close(); err != nil {
			tb.Errorf("close: %v", err)
		}
	})
	return rdb
}

// all returns every task of all queues, whatever its state.
func (w world) all(tb testing.TB) []*asynq.TaskInfo {
	tb.Helper()
	queues, err := w.inspector.Queues()
	if err != nil {
		tb.Fatal(err)
	}
	var found []*asynq.TaskInfo
	for _, q := range queues {
		for _, list := range []func(string, ...asynq.ListOption) ([]*asynq.TaskInfo, error){
			w.inspector.ListPendingTasks, w.inspector.ListScheduledTasks, w.inspector.ListRetryTasks,
			w.inspector.ListArchivedTasks, w.inspector.ListActiveTasks,
		} {
			infos, err := list(q, asynq.PageSize(1000))
			if err != nil {
				tb.Fatal(err)
			}
			found = append(found, infos...)
		}
	}
	return found
}

func feedbackIDs(n int) []model.FeedbackID {
	ids := make([]model.FeedbackID, n)
	for i := range ids {
		ids[i] = model.NewID[model.Feedback]()
	}
	return ids
}

// later is an instant that is not due within a test, between two seconds.
func later() time.Time {
	return time.Now().Add(time.Hour).Truncate(time.Second).Add(1 * time.Nanosecond)
}

func armOf(kind model.EventKind, stage int) Arm {
	return Arm{ActionID: model.NewID[model.Action](), Gen: 3, Kind: kind, Stage: stage, At: later()}
}

func mustEnqueue(tb testing.TB, q *Queue, e Effects) []Arm {
	tb.Helper()
	armed, err := q.Enqueue(context.Background(), e)
	if err != nil {
		tb.Fatal(err)
	}
	return armed
}

func newTestLog(w io.Writer) zerolog.Logger { return zerolog.New(w) }
