package tasks

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"github.com/pxactions/px/internal/testenv"
	"github.com/pxactions/px/model"
)

// everything is one effect of each kind.
func everything() Effects {
	e := Effects{
		Create: feedbackIDs(2),
		Send:   []Send{{MessageID: model.NewID[model.Message](), Attempt: 0}, {MessageID: model.NewID[model.Message](), Attempt: 2, At: later()}},
	}
	for _, kind := range model.EventKinds() {
		e.Arm = append(e.Arm, armOf(kind, 1))
	}
	return e
}

func TestEveryTaskIsEnqueuedSafely(t *testing.T) {
	t.Parallel()
	w := setup(t, QueueOptions{})
	e := everything()
	if armed := mustEnqueue(t, w.queue, e); !slices.Equal(armed, e.Arm) {
		t.Errorf("armed %v, want all, in order", armed)
	}
	infos := w.all(t)
	if want := len(e.Arm) + 3; len(infos) != want {
		t.Fatalf("%d tasks, want %d", len(infos), want)
	}
	for _, info := range infos {
		if info.MaxRetry < 3 {
			t.Errorf("%s: MaxRetry %d: asynq archives it unrun when a worker crashes", info.ID, info.MaxRetry)
		}
		if info.Timeout < time.Second || info.Timeout%time.Second != 0 {
			t.Errorf("%s: timeout %s, want whole seconds", info.ID, info.Timeout)
		}
		if info.Retention != 0 {
			t.Errorf("%s: retention %s blocks the id", info.ID, info.Retention)
		}
		if !slices.Contains(Queues(), info.Queue) {
			t.Errorf("%s: queue %s is nobody's", info.ID, info.Queue)
		}
	}
	keys, err := w.rdb.Keys(t.Context(), "*unique*").Result()
	if err != nil || len(keys) != 0 {
		t.Errorf("unique locks %v (%v), want none", keys, err)
	}
}

var idOrNumber = regexp.MustCompile(`"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"|\b[0-9]+\b`)

func TestPayloadsHoldIDsOnly(t *testing.T) {
	t.Parallel()
	w := setup(t, QueueOptions{})
	mustEnqueue(t, w.queue, everything())
	for _, info := range w.all(t) {
		rest := idOrNumber.ReplaceAllString(string(info.Payload), "#")
		if !slices.Contains([]string{`{"feedback":[#,#]}`, `{"action":#,"gen":#}`, `{"message":#,"attempt":#}`}, rest) {
			t.Errorf("%s: payload %s holds more than ids and numbers", info.ID, info.Payload)
		}
	}
}

func TestProcessAtIsRoundedUp(t *testing.T) {
	t.Parallel()
	w := setup(t, QueueOptions{})
	arm := armOf(model.EventOverdue, 0)
	mustEnqueue(t, w.queue, Effects{Arm: []Arm{arm}})
	info, err := w.inspector.GetTaskInfo(QueueEscalation, arm.ID())
	if err != nil {
		t.Fatal(err)
	}
	if info.NextProcessAt.Before(arm.At) || info.NextProcessAt.Sub(arm.At) >= time.Second {
		t.Errorf("runs at %s, want the first whole second from %s", info.NextProcessAt, arm.At)
	}
	if info.Type != TypeOverdue || info.State != asynq.TaskStateScheduled {
		t.Errorf("%s is %s, want %s scheduled", info.Type, info.State, TypeOverdue)
	}
}

func TestPastJobRunsAtOnce(t *testing.T) {
	t.Parallel()
	w := setup(t, QueueOptions{})
	arm := armOf(model.EventEscalation, 2)
	arm.At = time.Now().Add(-time.Minute)
	mustEnqueue(t, w.queue, Effects{Arm: []Arm{arm}})
	info, err := w.inspector.GetTaskInfo(QueueEscalation, arm.ID())
	if err != nil || info.State != asynq.TaskStatePending {
		t.Fatalf("%v, %v, want pending", info, err)
	}
}

func TestTakenIDMeansAlreadyEnqueued(t *testing.T) {
	t.Parallel()
	w := setup(t, QueueOptions{})
	e := everything()
	mustEnqueue(t, w.queue, e)
	if armed := mustEnqueue(t, w.queue, e); len(armed) != len(e.Arm) {
		t.Errorf("the second time %d are armed, want %d", len(armed), len(e.Arm))
	}
	want := int64(len(e.Arm) + 3)
	if s := w.queue.Stats(); s.Enqueued != want || s.Known != want || s.Failed+s.Dropped != 0 {
		t.Errorf("stats %+v, want %d enqueued and as many known", s, want)
	}
	if w.queue.Broken() {
		t.Error("a conflict opened the breaker")
	}
}

func TestCreateIsChunked(t *testing.T) {
	t.Parallel()
	tests := []struct{ ids, batch, want int }{{1, 100, 1}, {100, 100, 1}, {101, 100, 2}, {7, 3, 3}}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%d ids by %d make %d tasks", tt.ids, tt.batch, tt.want), func(t *testing.T) {
			t.Parallel()
			w := setup(t, QueueOptions{CreateBatch: tt.batch})
			ids := feedbackIDs(tt.ids)
			mustEnqueue(t, w.queue, Effects{Create: ids})
			infos := w.all(t)
			if len(infos) != tt.want {
				t.Errorf("%d tasks, want %d", len(infos), tt.want)
			}
			seen := map[model.FeedbackID]int{}
			for _, info := range infos {
				p, err := Decode[CreatePayload](info.Type, info.Payload)
				if err != nil || len(p.Feedback) > tt.batch {
					t.Errorf("task of %d ids (%v), want at most %d", len(p.Feedback), err, tt.batch)
				}
				for _, id := range p.Feedback {
					seen[id]++
				}
			}
			for _, id := range ids {
				if seen[id] != 1 {
					t.Errorf("feedback %s is in %d tasks", id, seen[id])
				}
			}
		})
	}
}

func TestNothingToEnqueueAsksNobody(t *testing.T) {
	t.Parallel()
	rdb := dial(t, "redis://127.0.0.1:1/0", RedisOptions{})
	if armed, err := NewQueue(rdb, QueueOptions{}).Enqueue(t.Context(), Effects{}); err != nil || armed != nil {
		t.Errorf("Enqueue(nothing) = %v, %v", armed, err)
	}
}

func TestLeavingCallerOpensNoBreaker(t *testing.T) {
	t.Parallel()
	w := setup(t, QueueOptions{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := w.queue.Enqueue(ctx, everything())
	if !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v, want canceled", err)
	}
	if w.queue.Broken() {
		t.Error("the breaker is open")
	}
}

func TestDeadRedisCostsOneCall(t *testing.T) {
	t.Parallel()
	// The pause outlasts the test: what is not dropped would be tried.
	w := worldOn(t, "redis://127.0.0.1:1/0", QueueOptions{Pause: time.Hour, Concurrency: 1})
	e := Effects{Arm: []Arm{armOf(model.EventOverdue, 0), armOf(model.EventOverdue, 0), armOf(model.EventOverdue, 0)}}
	armed, err := w.queue.Enqueue(t.Context(), e)
	if !errors.Is(err, model.ErrUnavailable) || len(armed) != 0 {
		t.Fatalf("Enqueue = %v, %v, want unavailable", armed, err)
	}
	if s := w.queue.Stats(); s.Failed != 1 || s.Dropped != 2 {
		t.Errorf("stats %+v, want one tried and two dropped", s)
	}
	for range 100 {
		if _, err := w.queue.Enqueue(t.Context(), e); !errors.Is(err, model.ErrUnavailable) {
			t.Fatalf("err = %v, want unavailable", err)
		}
	}
	if s := w.queue.Stats(); s.Failed != 1 || s.Dropped != 302 {
		t.Errorf("stats %+v, want nothing tried again", s)
	}
	if err := w.queue.Ping(t.Context()); !errors.Is(err, model.ErrUnavailable) {
		t.Errorf("Ping = %v, want unavailable", err)
	}
}

func TestQueueOutlivesAnOutage(t *testing.T) {
	t.Parallel()
	env := testenv.OwnServers(t)
	w := worldOn(t, env.RedisURL, QueueOptions{Pause: time.Millisecond})
	mustEnqueue(t, w.queue, Effects{Arm: []Arm{armOf(model.EventOverdue, 0)}})
	if err := env.Redis.Kill(); err != nil {
		t.Fatal(err)
	}
	e := everything()
	if armed, err := w.queue.Enqueue(t.Context(), e); !errors.Is(err, model.ErrUnavailable) || len(armed) != 0 {
		t.Fatalf("without Redis: %v, %v, want unavailable", armed, err)
	}
	if err := env.Redis.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		armed, err := w.queue.Enqueue(ctx, e)
		if err == nil && len(armed) == len(e.Arm) {
			break
		}
		if ctx.Err() != nil {
			t.Fatalf("Redis is back, and Enqueue still says %v", err)
		}
	}
	if w.queue.Broken() {
		t.Error("the breaker is still open")
	}
}

func TestBreaker(t *testing.T) {
	t.Parallel()
	b := &breaker{pause: time.Hour}
	step := func(want bool) {
		t.Helper()
		if got := b.allow(); got != want {
			t.Fatalf("allow = %t, want %t", got, want)
		}
	}
	step(true)
	b.settle(bad)
	step(false)
	wake := func() { b.mu.Lock(); b.resting = false; b.mu.Unlock() } // what the timer does
	wake()
	step(true) // the probe
	step(false)
	b.settle(unknown) // its caller left
	step(true)
	b.settle(bad)
	step(false)
	wake()
	step(true)
	b.settle(good)
	step(true)
	step(true)
}
