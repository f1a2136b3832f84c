package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/internal/metrics"
	"github.com/pxactions/px/internal/testenv"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/store"
	"github.com/pxactions/px/tasks"
)

func TestMain(m *testing.M) {
	tasks.LogRedis(zerolog.Nop())
	goleak.VerifyTestMain(m, testenv.IgnoreServers())
}

// patience bounds every wait of a test for what happens in Redis.
const patience = 30 * time.Second

// fakeEngine answers what a test wants. Unset: as if all went well.
type fakeEngine struct {
	decide  func(ctx context.Context, ids []model.FeedbackID) ([]store.Created, error)
	fire    func(ctx context.Context, ref store.DeadlineRef) (store.FireResult, error)
	deliver func(ctx context.Context, ref store.MessageRef) (engine.Delivery, error)
}

func (f fakeEngine) Decide(ctx context.Context, ids []model.FeedbackID) ([]store.Created, error) {
	if f.decide != nil {
		return f.decide(ctx, ids)
	}
	var all []store.Created
	for _, id := range ids {
		all = append(all, store.Created{FeedbackID: id, Decision: model.DecisionCreated})
	}
	return all, nil
}

func (f fakeEngine) Fire(ctx context.Context, ref store.DeadlineRef) (store.FireResult, error) {
	if f.fire != nil {
		return f.fire(ctx, ref)
	}
	return store.FireResult{Ref: ref, Outcome: store.Fired}, nil
}

func (f fakeEngine) Deliver(ctx context.Context, ref store.MessageRef) (engine.Delivery, error) {
	if f.deliver != nil {
		return f.deliver(ctx, ref)
	}
	return engine.Delivered, nil
}

// world is a worker on a Redis of the test's own.
type world struct {
	rdb       redis.UniversalClient
	queue     *tasks.Queue
	inspector *asynq.Inspector
	worker    *Worker
	metrics   *metrics.Metrics
	log       *logBook
	stop      func() // ends Run and waits for it; may be called twice
}

func setup(t *testing.T, e Engine, cfg Config) world {
	t.Helper()
	w := prepare(t, testenv.RedisURL(t), e, cfg)
	w.run(t)
	return w
}

func prepare(t *testing.T, url string, e Engine, cfg Config) world {
	t.Helper()
	rdb, err := tasks.NewRedis(url, tasks.RedisOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rdb.Close() })
	w := world{rdb: rdb, queue: tasks.NewQueue(rdb, tasks.QueueOptions{Pause: 10 * time.Millisecond}), inspector: asynq.NewInspectorFromRedisClient(rdb), metrics: metrics.New(), log: &logBook{}}
	cfg.ForwardEvery, cfg.CheckEvery = 20*time.Millisecond, 10*time.Millisecond
	w.worker, err = New(cfg, rdb, e, zerolog.New(w.log).Level(zerolog.DebugLevel), w.metrics)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) run(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.worker.Run(ctx) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
	t.Cleanup(w.stop)
}

// enqueue hands effects over, again and again while Redis is away.
func (w *world) enqueue(t *testing.T, e tasks.Effects) {
	t.Helper()
	if _, err := w.queue.Enqueue(t.Context(), e); err != nil {
		t.Fatal(err)
	}
}

// eventually waits for ok, looking every few milliseconds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

// line waits for a log line with the outcome and returns it.
func (w *world) line(t *testing.T, outcome string) map[string]any {
	t.Helper()
	var found map[string]any
	eventually(t, "a log line with outcome "+outcome, func() bool {
		for _, l := range w.log.lines() {
			if l["outcome"] == outcome {
				found = l
				return true
			}
		}
		return false
	})
	return found
}

// info waits until the task is in the state.
func (w *world) inState(t *testing.T, queue, id string, state asynq.TaskState) *asynq.TaskInfo {
	t.Helper()
	var info *asynq.TaskInfo
	eventually(t, id+" "+state.String(), func() bool {
		var err error
		info, err = w.inspector.GetTaskInfo(queue, id)
		return err == nil && info.State == state
	})
	return info
}

// gone waits until asynq has forgotten the task: it succeeded.
func (w *world) gone(t *testing.T, queue, id string) {
	t.Helper()
	eventually(t, id+" done", func() bool {
		return w.rdb.Exists(t.Context(), "asynq:{"+queue+"}:t:"+id).Val() == 0
	})
}

// counted is how often a task of the type ended in the outcome.
func (w *world) counted(t *testing.T, typ, outcome string) float64 {
	t.Helper()
	families, err := w.metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "px_tasks_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if labels["type"] == typ && labels["outcome"] == outcome {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

// logBook keeps the log's lines.
type logBook struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logBook) lines() []map[string]any {
	var all []map[string]any
	for s := range strings.Lines(l.String()) {
		var m map[string]any
		if json.Unmarshal([]byte(s), &m) == nil {
			all = append(all, m)
		}
	}
	return all
}

// due is a job that is due now.
func due(kind model.EventKind) tasks.Arm {
	return tasks.Arm{ActionID: model.NewID[model.Action](), Gen: 7, Kind: kind, Stage: 1}
}
