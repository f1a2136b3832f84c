package engine_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/internal/testenv"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/store"
	"github.com/pxactions/px/tasks"
)

// armed is a world whose jobs are in a Redis of its own: nine actions, each with
// its job.
type armed struct {
	*scenario.World
	rdb  redis.UniversalClient
	asq  *asynq.Client
	q    *tasks.Queue
	arms []tasks.Arm
}

func newArmed(t *testing.T) *armed {
	t.Helper()
	w := &armed{World: scenario.New(t, nil)}
	rdb, err := tasks.NewRedis(testenv.RedisURL(t), tasks.RedisOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rdb.Close() })
	w.rdb, w.asq, w.q = rdb, asynq.NewClientFromRedisClient(rdb), tasks.NewQueue(rdb, tasks.QueueOptions{})
	w.Engine = w.NewEngine(w.q, w.Engine.Notify)
	if _, err := w.Engine.Decide(t.Context(), w.Insert(w.Complaints(9, model.SeverityHigh)...)); err != nil {
		t.Fatal(err)
	}
	if w.arms, err = w.Store.Armed(t.Context(), model.ActionID{}, 10); err != nil || len(w.arms) != 9 {
		t.Fatalf("armed %d, %v; want nine", len(w.arms), err)
	}
	return w
}

// enqueue puts a task into Redis as asynq would, whatever stands in the rows.
func (w *armed) enqueue(t *testing.T, queue, id string, at time.Time) {
	t.Helper()
	_, err := w.asq.EnqueueContext(t.Context(), asynq.NewTask("sla:overdue", nil), asynq.Queue(queue), asynq.TaskID(id), asynq.ProcessAt(at))
	if err != nil {
		t.Fatal(err)
	}
}

// do runs one command of Redis.
func (w *armed) do(t *testing.T, args ...any) {
	t.Helper()
	if err := w.rdb.Do(t.Context(), args...).Err(); err != nil {
		t.Fatalf("%v: %v", args, err)
	}
}

// other is a job of the action, with another gen.
func other(a tasks.Arm, gen int64) string {
	a.Gen = gen
	return a.ID()
}

// TestVerifyFindsEveryFaultOfRedis plants one fault after another in a sound
// Redis, takes it out again, and expects each to be named, and nothing else.
func TestVerifyFindsEveryFaultOfRedis(t *testing.T) {
	t.Parallel()
	w := newArmed(t)
	first, key := w.arms[0], func(what string) string { return "asynq:{escalation}:" + what }
	hour := time.Now().Add(time.Hour)
	stranger := model.NewID[model.Action]()
	tests := []struct {
		name string
		act  func(*testing.T)
		want string // every finding
	}{
		{"one job is gone", func(t *testing.T) { w.do(t, "DEL", key("t:"+first.ID())) }, "I2 job not in Redis"},
		{"all jobs are gone", func(t *testing.T) { w.do(t, "FLUSHDB") }, "I2 job not in Redis"},
		{"a job is dead", func(t *testing.T) {
			if err := asynq.NewInspectorFromRedisClient(w.rdb).ArchiveTask("escalation", first.ID()); err != nil {
				t.Fatal(err)
			}
		}, "I2 job not in Redis"},
		{"a job is in no list", func(t *testing.T) { w.do(t, "ZREM", key("scheduled"), first.ID()) }, "I2 job not in Redis"},
		{"a job is too late", func(t *testing.T) { w.do(t, "ZINCRBY", key("scheduled"), 7200, first.ID()) }, "I2 job in Redis is scheduled later than planned"},
		{"only a stale job is there", func(t *testing.T) {
			w.enqueue(t, "escalation", other(first, first.Gen-1), hour)
			w.do(t, "DEL", key("t:"+first.ID()))
		}, "I2 job not in Redis, I2 job of an earlier gen in Redis, and the current one is not"},
		{"a stale job alone", func(t *testing.T) { w.enqueue(t, "escalation", other(first, first.Gen-1), hour) }, ""},
		{"a job is ahead", func(t *testing.T) { w.enqueue(t, "escalation", other(first, first.Gen+1), hour) }, "I2 job in Redis is ahead of the plan"},
		{"an action has two jobs", func(t *testing.T) {
			w.enqueue(t, "escalation", fmt.Sprintf("overdue.%s.g%d", first.ActionID.Hex(), first.Gen), hour)
		}, "I2 action armed twice: a job of the current gen that is not its plan's"},
		{"a job is in another queue, too", func(t *testing.T) { w.enqueue(t, "reminder", first.ID(), hour) },
			"I2 action armed twice: a job of the current gen that is not its plan's"},
		{"a job of no action", func(t *testing.T) { w.enqueue(t, "escalation", "overdue."+stranger.Hex()+".g1", hour) },
			"I2 job in Redis of an action that does not exist"},
		{"a task of no message", func(t *testing.T) { w.enqueue(t, "message", "message."+stranger.Hex()+".a0", hour) },
			"I5 task in Redis of a message that does not exist"},
		{"a task of no feedback", func(t *testing.T) {
			w.enqueue(t, "intake", tasks.CreateID([]model.FeedbackID{model.NewID[model.Feedback]()}), hour)
		}, "I1 task in Redis of feedback that does not exist"},
		{"a task of another program", func(t *testing.T) { w.enqueue(t, "intake", "Mrs. Jones", hour) }, "I2 task in Redis that is not of this program"},
		{"a queue of another program", func(t *testing.T) { w.enqueue(t, "invoices", "7", hour) }, "I2 queue in Redis that is not of this program"},
		{"a tick of the housekeeping", func(t *testing.T) { w.enqueue(t, "housekeeping", "0b7c5be5-9b0c-4a7e-8a10-4f0d6b6f8f5e", hour) }, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { // one after another: they share the Redis
			if got, _ := w.names(t); got != "" {
				t.Fatalf("before: %s, want nothing", got)
			}
			tt.act(t)
			got, found := w.names(t)
			if got != tt.want {
				t.Errorf("found %q, want %q", got, tt.want)
			}
			for _, f := range found {
				if f.HealedBy == store.HealedByArming {
					w.mends(t)
				}
				if strings.Contains(fmt.Sprint(f.Examples), "Jones") || f.Count == 0 || len(f.Examples) == 0 {
					t.Errorf("finding %+v, want examples, and no foreign words", f)
				}
			}
			w.do(t, "FLUSHDB")
			w.armAgain(t)
		})
	}
}

// names are what Verify finds, and the findings.
func (w *armed) names(t *testing.T) (string, []store.Finding) {
	t.Helper()
	found, err := w.Engine.Verify(t.Context(), w.q)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range found {
		names = append(names, f.Invariant+" "+f.What)
	}
	return strings.Join(names, ", "), found
}

// armAgain hands all jobs over, as a scheduler does after Redis lost its memory.
func (w *armed) armAgain(t *testing.T) {
	t.Helper()
	for after, more := (store.Keyset{}), true; more; {
		turn, err := w.Engine.ArmAgain(t.Context(), after)
		if err != nil {
			t.Fatal(err)
		}
		after, more = turn.Next, turn.More
	}
	if _, err := w.q.Repair(t.Context()); err != nil { // registers the queues
		t.Fatal(err)
	}
}

// mends arms all again, which leaves nothing of what arming is said to heal.
func (w *armed) mends(t *testing.T) {
	t.Helper()
	w.armAgain(t)
	_, found := w.names(t)
	for _, f := range found {
		if f.HealedBy == store.HealedByArming {
			t.Errorf("after arming again there is %s %v", f.What, f.Examples)
		}
	}
}

// TestARunningTaskIsNoArmedJob: one that has read the row before it got to its
// gen, which a database that was put back brings about, ends and is gone.
func TestARunningTaskIsNoArmedJob(t *testing.T) {
	t.Parallel()
	w := newArmed(t)
	a := w.arms[0]
	running, end := make(chan struct{}), make(chan struct{})
	srv := asynq.NewServerFromRedisClient(w.rdb, asynq.Config{
		Queues: map[string]int{tasks.QueueOf(a.Kind): 1}, TaskCheckInterval: 10 * time.Millisecond, LogLevel: asynq.FatalLevel,
	})
	err := srv.Start(asynq.HandlerFunc(func(context.Context, *asynq.Task) error {
		close(running)
		<-end
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	stop := sync.OnceFunc(func() { close(end); srv.Shutdown() })
	defer stop()
	w.do(t, "FLUSHDB")
	w.enqueue(t, tasks.QueueOf(a.Kind), a.ID(), time.Now())
	<-running
	w.armAgain(t)
	w.Exec("UPDATE actions SET armed_gen = 0 WHERE id = ?", a.ActionID)
	heal := func() int {
		w.Exec("UPDATE actions SET arm_after = 'epoch' WHERE id = ?", a.ActionID)
		turn, err := w.Engine.HealUnarmed(t.Context(), store.Keyset{})
		if err != nil {
			t.Fatal(err)
		}
		return turn.Healed
	}
	if n := heal(); n != 0 {
		t.Errorf("%d armed while a task of that id ran, want none", n)
	}
	stop()
	if n := heal(); n != 1 {
		t.Errorf("then %d armed, want the one", n)
	}
	if got, found := w.names(t); got != "" {
		t.Errorf("found %s: %+v", got, found)
	}
}

// TestVerifyFindsChangedLogs: what a person with access to the database changed
// in a story, gapless as it still is.
func TestVerifyFindsChangedLogs(t *testing.T) {
	t.Parallel()
	w := newArmed(t)
	w.Exec("UPDATE action_logs SET message = 'Never mind' WHERE action_id = ? AND seq = 1", w.arms[3].ActionID)
	got, found := w.names(t)
	if got != "I6 log is not as it was written" || found[0].Count != 1 || !strings.Contains(found[0].Examples[0], " row 1: ") {
		t.Errorf("found %q, %+v; want the one row", got, found)
	}
}

func TestVerifyFindsJobsThatRedisLacks(t *testing.T) {
	t.Parallel()
	w := newArmed(t)
	w.do(t, "FLUSHDB")
	_, found := w.names(t)
	if len(found) != 1 || found[0].Count != 9 || len(found[0].Examples) != 5 || !strings.HasPrefix(found[0].Examples[0], "ack1.") {
		t.Fatalf("findings = %+v; want nine jobs missing, and five of their ids", found)
	}
	// Without a queue to ask, the ledger alone is checked.
	if found, err := w.Engine.Verify(t.Context(), nil); err != nil || len(found) != 0 {
		t.Errorf("findings = %+v, %v; want none", found, err)
	}
}

// racing is a queue beside which the ledger moves on: between what is read
// first and the reading of the other side.
type racing struct {
	engine.Holder
	move func()
}

func (r *racing) Missing(ctx context.Context, arms []tasks.Arm) ([]tasks.Arm, []tasks.Arm, error) {
	if r.move != nil {
		move := r.move
		r.move = nil
		move()
	}
	return r.Holder.Missing(ctx, arms)
}

func TestVerifyAsksOnceMore(t *testing.T) {
	t.Parallel()
	w := newArmed(t)
	a := w.arms[0]
	moved := &racing{Holder: w.q, move: func() { // the action is worked on, and its old job is gone
		w.Exec("UPDATE actions SET gen = gen + 1 WHERE id = ?", a.ActionID)
		w.do(t, "DEL", "asynq:{escalation}:t:"+a.ID())
	}}
	found, err := w.Engine.VerifyJobs(t.Context(), moved)
	if err != nil || len(found) != 0 || moved.move != nil {
		t.Errorf("findings = %+v, %v; want none: it moved between the two readings", found, err)
	}
}
