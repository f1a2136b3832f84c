package worker

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/pxactions/px/internal/testenv"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/store"
	"github.com/pxactions/px/tasks"
)

func TestConfig(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		cfg  Config
		want string // part of the error; empty: none
	}{
		{"nothing said", Config{}, ""},
		{"an unknown queue", Config{Concurrency: map[string]int{"intakes": 3}}, `no queue is named "intakes"; want one of escalation, intake`},
		{"servers of an unknown queue", Config{Servers: map[string]int{"x": 3}}, "servers: no queue"},
		{"a negative drain", Config{Drain: -time.Second}, "drain: want 0 or more"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg, err := tt.cfg.withDefaults()
			if (err == nil) != (tt.want == "") || (err != nil && !strings.Contains(err.Error(), tt.want)) {
				t.Fatalf("err = %v, want %q", err, tt.want)
			}
			if err == nil && (cfg.Concurrency[tasks.QueueIntake] != 64 || cfg.Servers[tasks.QueueMessage] != 1 || cfg.ForwardEvery != 250*time.Millisecond || cfg.CheckEvery != 100*time.Millisecond) {
				t.Errorf("defaults %+v", cfg)
			}
		})
	}
}

func TestServersPerQueue(t *testing.T) {
	t.Parallel()
	w := setup(t, fakeEngine{}, Config{
		Concurrency: map[string]int{tasks.QueueEscalation: 5, tasks.QueueReminder: 1, tasks.QueueMessage: -1},
		Servers:     map[string]int{tasks.QueueEscalation: 3},
	})
	type count struct{ servers, concurrency int }
	want := map[string]count{
		tasks.QueueEscalation:   {3, 5},
		tasks.QueueReminder:     {1, 1}, // no server without concurrency
		tasks.QueueIntake:       {2, 64},
		tasks.QueueHousekeeping: {1, 2},
	}
	eventually(t, "all servers in the dashboard", func() bool {
		servers, err := w.inspector.Servers()
		if err != nil || len(servers) != 7 {
			return false
		}
		got := map[string]count{}
		for _, s := range servers {
			for queue := range s.Queues {
				c := got[queue]
				got[queue] = count{c.servers + 1, c.concurrency + s.Concurrency}
			}
		}
		for queue, c := range want {
			if got[queue] != c {
				t.Errorf("%s: %+v, want %+v", queue, got[queue], c)
			}
		}
		return true
	})
}

func TestStormInOneQueueDelaysNoOther(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	w := setup(t, fakeEngine{fire: func(_ context.Context, ref store.DeadlineRef) (store.FireResult, error) {
		if ref.Gen == 1 { // a reminder
			<-release
		}
		return store.FireResult{Outcome: store.Fired}, nil
	}}, Config{Concurrency: map[string]int{tasks.QueueReminder: 4}})
	var storm tasks.Effects
	for range 50 {
		a := due(model.EventReminder)
		a.Gen = 1
		storm.Arm = append(storm.Arm, a)
	}
	w.enqueue(t, storm)
	urgent := due(model.EventEscalation)
	w.enqueue(t, tasks.Effects{Arm: []tasks.Arm{urgent}})
	w.gone(t, tasks.QueueEscalation, urgent.ID())
	close(release)
	w.gone(t, tasks.QueueReminder, storm.Arm[49].ID())
}

func TestDrain(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		drain time.Duration
		ends  bool // the handler ends in time
	}{
		{"what ends in time is done", 20 * time.Second, true},
		{"what does not goes back to its queue", 200 * time.Millisecond, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			begun, release := make(chan struct{}), make(chan struct{})
			var stopped atomic.Bool
			w := setup(t, fakeEngine{fire: func(ctx context.Context, _ store.DeadlineRef) (store.FireResult, error) {
				close(begun)
				<-release
				if tt.ends && ctx.Err() != nil {
					t.Errorf("the context ended within the drain: %v", ctx.Err())
				}
				return store.FireResult{Outcome: store.Fired}, nil
			}}, Config{Drain: tt.drain})
			arm := due(model.EventOverdue)
			w.enqueue(t, tasks.Effects{Arm: []tasks.Arm{arm}})
			receive(t, begun)
			// The first queue is served before the last one's server has started.
			eventually(t, "ready", func() bool { return w.worker.Ready() == nil })
			end := make(chan struct{})
			go func() { w.stop(); stopped.Store(true); close(end) }()
			eventually(t, "draining", func() bool { return w.worker.Ready() != nil })
			if tt.ends {
				if stopped.Load() {
					t.Error("Run returned while a task was running")
				}
				close(release)
			}
			receive(t, end)
			if tt.ends {
				w.gone(t, tasks.QueueEscalation, arm.ID())
				return
			}
			if info := w.inState(t, tasks.QueueEscalation, arm.ID(), asynq.TaskStatePending); info.Retried != 0 {
				t.Errorf("retried %d: going back is no failure", info.Retried)
			}
			close(release)
		})
	}
}

func TestWorkerStartsBeforeRedis(t *testing.T) {
	t.Parallel()
	env := testenv.OwnServers(t)
	if err := env.Redis.Stop(); err != nil {
		t.Fatal(err)
	}
	w := prepare(t, env.RedisURL, fakeEngine{}, Config{})
	w.run(t)
	eventually(t, "a word of the wait", func() bool { return strings.Contains(w.log.String(), "waits for Redis") })
	if w.worker.Ready() == nil {
		t.Error("ready without Redis")
	}
	if err := env.Redis.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "ready", func() bool { return w.worker.Ready() == nil })
	work(t, &w)

	// It also outlives an outage in the midst.
	if err := env.Redis.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := env.Redis.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	work(t, &w)
	if strings.Contains(w.log.String(), `"level":"error"`) {
		t.Errorf("an outage that healed calls for a person:\n%s", w.log)
	}
}

// work sees one job through, enqueueing until Redis takes it.
func work(t *testing.T, w *world) {
	t.Helper()
	arm := due(model.EventOverdue)
	eventually(t, "enqueued", func() bool {
		armed, err := w.queue.Enqueue(t.Context(), tasks.Effects{Arm: []tasks.Arm{arm}})
		return err == nil && len(armed) == 1
	})
	w.gone(t, tasks.QueueEscalation, arm.ID())
}

func TestStopWhileWaitingForRedis(t *testing.T) {
	t.Parallel()
	w := prepare(t, "unix://"+filepath.Join(os.TempDir(), "no-redis-here.sock"), fakeEngine{}, Config{})
	w.run(t)
	eventually(t, "a word of the wait", func() bool { return strings.Contains(w.log.String(), "waits for Redis") })
	w.stop()
}

// refusedScript is a go-redis hook that sees scripts on a key fail.
type refusedScript struct {
	key  string
	seen chan struct{}
}

func (r *refusedScript) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (r *refusedScript) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (r *refusedScript) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		for _, cmd := range cmds {
			if cmd.Err() != nil && slices.Contains(cmd.Args(), any(r.key)) {
				r.seen <- struct{}{}
			}
		}
		return err
	}
}

// TestBlipRunsNoTaskTwice takes Redis away at the moment a handler succeeds.
// Without tasks.Renewing the task stays active, and runs again once its lease
// has run out.
func TestBlipRunsNoTaskTwice(t *testing.T) {
	t.Parallel()
	env := testenv.OwnServers(t)
	begun, release := make(chan struct{}), make(chan struct{})
	var runs atomic.Int64
	w := prepare(t, env.RedisURL, fakeEngine{fire: func(context.Context, store.DeadlineRef) (store.FireResult, error) {
		if runs.Add(1) == 1 {
			close(begun)
			<-release
		}
		return store.FireResult{Outcome: store.Fired}, nil
	}}, Config{})
	w.run(t)
	arm := due(model.EventOverdue)
	eventually(t, "ready", func() bool { return w.worker.Ready() == nil })
	w.enqueue(t, tasks.Effects{Arm: []tasks.Arm{arm}})
	receive(t, begun)
	if err := w.rdb.Save(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if err := env.Redis.Kill(); err != nil {
		t.Fatal(err)
	}
	refused := &refusedScript{key: "asynq:{escalation}:t:" + arm.ID(), seen: make(chan struct{}, 100)}
	w.rdb.AddHook(refused)
	close(release)
	receive(t, refused.seen)
	if err := env.Redis.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := w.rdb.Exists(t.Context(), "asynq:{escalation}:t:"+arm.ID()).Val(); n != 1 {
		t.Fatal("the restarted Redis does not know the task: the test tests nothing")
	}
	w.gone(t, tasks.QueueEscalation, arm.ID()) // well before the lease's end, which is 60 s away
	if n := runs.Load(); n != 1 {
		t.Errorf("the task ran %d times", n)
	}
}
