package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/store"
	"github.com/pxactions/px/tasks"
)

func TestEveryKindReachesTheEngine(t *testing.T) {
	t.Parallel()
	fired := make(chan store.DeadlineRef, 100)
	decided := make(chan []model.FeedbackID, 100)
	delivered := make(chan store.MessageRef, 100)
	kept := make(chan struct{}, 100)
	w := setup(t, fakeEngine{
		fire: func(_ context.Context, ref store.DeadlineRef) (store.FireResult, error) {
			fired <- ref
			return store.FireResult{Outcome: store.Fired}, nil
		},
		decide: func(_ context.Context, ids []model.FeedbackID) ([]store.Created, error) {
			decided <- ids
			return nil, nil
		},
		deliver: func(_ context.Context, ref store.MessageRef) (engine.Delivery, error) {
			delivered <- ref
			return engine.Delivered, nil
		},
	}, Config{Housekeeping: map[string]func(context.Context) error{"verify": func(context.Context) error { kept <- struct{}{}; return nil }}})

	e := tasks.Effects{Create: []model.FeedbackID{model.NewID[model.Feedback](), model.NewID[model.Feedback]()}}
	want := map[store.DeadlineRef]bool{}
	for _, kind := range model.EventKinds() {
		a := due(kind)
		e.Arm = append(e.Arm, a)
		want[store.DeadlineRef{ActionID: a.ActionID, Gen: a.Gen}] = true
	}
	e.Send = []tasks.Send{{MessageID: model.NewID[model.Message](), Attempt: 4}}
	w.enqueue(t, e)
	task, opts := tasks.Housekeeping("verify")
	if _, err := asynq.NewClientFromRedisClient(w.rdb).Enqueue(task, opts...); err != nil {
		t.Fatal(err)
	}

	for range len(want) {
		ref := receive(t, fired)
		if !want[ref] {
			t.Errorf("fired %v, which nobody armed, or twice", ref)
		}
		delete(want, ref)
	}
	if ids := receive(t, decided); !slices.Equal(ids, e.Create) {
		t.Errorf("decided %v, want %v", ids, e.Create)
	}
	if ref := receive(t, delivered); ref != (store.MessageRef{ID: e.Send[0].MessageID, Attempt: 4}) {
		t.Errorf("delivered %v", ref)
	}
	receive(t, kept)
	for _, a := range e.Arm {
		w.gone(t, tasks.QueueOf(a.Kind), a.ID())
	}
}

func receive[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("nothing within %s", patience)
		panic("unreachable")
	}
}

func TestOutcomesAreLogged(t *testing.T) {
	t.Parallel()
	arm := due(model.EventOverdue)
	tests := []struct {
		name, outcome, level string
		effects              tasks.Effects
		engine               fakeEngine
		field                string
		value                any
	}{
		{name: "a firing is news", outcome: "fired", level: "info", effects: tasks.Effects{Arm: []tasks.Arm{arm}}, field: "action", value: arm.ActionID.String()},
		{
			name: "a late firing is odd", outcome: "fired", level: "warn", effects: tasks.Effects{Arm: []tasks.Arm{arm}},
			engine: fakeEngine{fire: func(context.Context, store.DeadlineRef) (store.FireResult, error) {
				return store.FireResult{Outcome: store.Fired, Late: time.Hour}, nil
			}}, field: "late_ms", value: 3600e3,
		},
		{
			name: "a stale job is nothing", outcome: "stale", level: "debug", effects: tasks.Effects{Arm: []tasks.Arm{arm}},
			engine: fakeEngine{fire: func(context.Context, store.DeadlineRef) (store.FireResult, error) {
				return store.FireResult{Outcome: store.Stale}, nil
			}}, field: "queue", value: tasks.QueueEscalation,
		},
		{name: "decisions are news", outcome: "decided", level: "info", effects: tasks.Effects{Create: []model.FeedbackID{model.NewID[model.Feedback](), model.NewID[model.Feedback]()}}, field: "feedback", value: 2.0},
		{
			name: "old decisions are nothing", outcome: "decided_before", level: "debug", effects: tasks.Effects{Create: []model.FeedbackID{model.NewID[model.Feedback]()}},
			engine: fakeEngine{decide: func(context.Context, []model.FeedbackID) ([]store.Created, error) {
				return []store.Created{{Decision: model.DecisionCreated, Before: true}}, nil
			}}, field: "created", value: 0.0,
		},
		{name: "a delivery is news", outcome: "sent", level: "info", effects: tasks.Effects{Send: []tasks.Send{{MessageID: model.NewID[model.Message]()}}}, field: "task", value: tasks.TypeSend},
		{
			name: "a delivery to be tried again is odd", outcome: "retry", level: "warn", effects: tasks.Effects{Send: []tasks.Send{{MessageID: model.NewID[model.Message]()}}},
			engine: fakeEngine{deliver: func(context.Context, store.MessageRef) (engine.Delivery, error) { return engine.Retrying, nil }}, field: "retry", value: 0.0,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := setup(t, tt.engine, Config{})
			w.enqueue(t, tt.effects)
			l := w.line(t, tt.outcome)
			if l["level"] != tt.level || l[tt.field] != tt.value || l["took_ms"] == nil || l["id"] == "" {
				t.Errorf("line %v, want level %s and %s = %v", l, tt.level, tt.field, tt.value)
			}
			typ := l["task"].(string)
			if n := w.counted(t, typ, tt.outcome); n != 1 {
				t.Errorf("%s counted %v times", tt.outcome, n)
			}
		})
	}
}

func TestNotDueWaitsAndUsesNoRetryUp(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	w := setup(t, fakeEngine{fire: func(_ context.Context, ref store.DeadlineRef) (store.FireResult, error) {
		if calls.Add(1) == 1 {
			return store.FireResult{Outcome: store.NotDue, Wait: 300 * time.Millisecond}, nil
		}
		return store.FireResult{Outcome: store.Fired}, nil
	}}, Config{})
	arm := due(model.EventOverdue)
	start := time.Now()
	w.enqueue(t, tasks.Effects{Arm: []tasks.Arm{arm}})
	l := w.line(t, "fired")
	if took := time.Since(start); took < 300*time.Millisecond {
		t.Errorf("tried again after %s, before it was due", took)
	}
	if l["retry"] != 0.0 {
		t.Errorf("retry %v, want 0: not due is no failure", l["retry"])
	}
	if l := w.line(t, "not_due"); l["level"] != "debug" {
		t.Errorf("level %v, want debug", l["level"])
	}
}

func TestOutageOfTheDatabaseArchivesNothing(t *testing.T) {
	t.Parallel()
	w := setup(t, fakeEngine{fire: func(context.Context, store.DeadlineRef) (store.FireResult, error) {
		return store.FireResult{}, fmt.Errorf("fire: %w", model.ErrUnavailable)
	}}, Config{})
	arm := due(model.EventOverdue)
	w.enqueue(t, tasks.Effects{Arm: []tasks.Arm{arm}})
	info := w.inState(t, tasks.QueueEscalation, arm.ID(), asynq.TaskStateRetry)
	if info.Retried != 0 {
		t.Errorf("retried %d, want 0: no outage may use the retries up", info.Retried)
	}
	if wait := time.Until(info.NextProcessAt); wait > 31*time.Second {
		t.Errorf("next try in %s, want 30 s at most", wait)
	}
	if l := w.line(t, "unavailable"); l["level"] != "warn" {
		t.Errorf("level %v, want warn", l["level"])
	}
}

const marker = "Mrs-Marker-0501234567"

func TestWhatNoRetryHelpsIsArchived(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		typ     string
		payload string
		queue   string
		label   string
	}{
		{"no ids", tasks.TypeCreate, `{"feedback":[]}`, tasks.QueueIntake, tasks.TypeCreate},
		{"no JSON", tasks.TypeOverdue, marker, tasks.QueueEscalation, tasks.TypeOverdue},
		{"a bad id", tasks.TypeSend, `{"message":"` + marker + `"}`, tasks.QueueMessage, tasks.TypeSend},
		{"a type that starts like a known one", tasks.TypeReminder + "2", `{}`, tasks.QueueReminder, "unknown"},
		{"housekeeping that nobody knows", tasks.TypeHousekeeping + "party", ``, tasks.QueueHousekeeping, "unknown"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := setup(t, fakeEngine{}, Config{})
			task := asynq.NewTask(tt.typ, []byte(tt.payload))
			if _, err := asynq.NewClientFromRedisClient(w.rdb).Enqueue(task, asynq.Queue(tt.queue), asynq.TaskID("x"), asynq.MaxRetry(5)); err != nil {
				t.Fatal(err)
			}
			info := w.inState(t, tt.queue, "x", asynq.TaskStateArchived)
			l := w.line(t, "malformed")
			if l["level"] != "error" {
				t.Errorf("level %v, want error: a person should look", l["level"])
			}
			if strings.Contains(info.LastErr+w.log.String(), marker) {
				t.Errorf("the payload's words are told: %s\n%s", info.LastErr, w.log)
			}
			if n := w.counted(t, tt.label, "malformed"); n != 1 {
				t.Errorf("counted %v times", n)
			}
		})
	}
}

func TestPanicIsContained(t *testing.T) {
	t.Parallel()
	w := setup(t, fakeEngine{fire: func(_ context.Context, ref store.DeadlineRef) (store.FireResult, error) {
		if ref.Gen == 7 {
			panic("complaint of " + marker)
		}
		return store.FireResult{Outcome: store.Fired}, nil
	}}, Config{})
	bad, good := due(model.EventOverdue), due(model.EventOverdue)
	good.Gen++
	w.enqueue(t, tasks.Effects{Arm: []tasks.Arm{bad}})
	info := w.inState(t, tasks.QueueEscalation, bad.ID(), asynq.TaskStateRetry)
	l := w.line(t, "panic")
	if l["level"] != "error" || !strings.Contains(fmt.Sprint(l["stack"]), "handle_test.go") {
		t.Errorf("line %v, want an error with its stack", l)
	}
	if strings.Contains(info.LastErr+w.log.String(), marker) {
		t.Errorf("the panic's words are told: %s\n%s", info.LastErr, w.log)
	}
	if n := w.counted(t, tasks.TypeOverdue, "panic"); n != 1 {
		t.Errorf("counted %v times", n)
	}
	w.enqueue(t, tasks.Effects{Arm: []tasks.Arm{good}})
	w.line(t, "fired")
}

func TestLastTryIsForAPerson(t *testing.T) {
	t.Parallel()
	w := setup(t, fakeEngine{}, Config{Housekeeping: map[string]func(context.Context) error{
		"verify": func(context.Context) error { return errors.New("disk is full") },
	}})
	task := asynq.NewTask(tasks.TypeHousekeeping+"verify", nil)
	if _, err := asynq.NewClientFromRedisClient(w.rdb).Enqueue(task, asynq.Queue(tasks.QueueHousekeeping), asynq.TaskID("x"), asynq.MaxRetry(1)); err != nil {
		t.Fatal(err)
	}
	if l := w.line(t, "error"); l["level"] != "warn" {
		t.Errorf("the first failure: %v, want a warning", l)
	}
	if l := w.line(t, "exhausted"); l["level"] != "error" || l["retry"] != 1.0 {
		t.Errorf("the last failure: %v, want an error", l)
	}
	w.inState(t, tasks.QueueHousekeeping, "x", asynq.TaskStateArchived)
}

func TestTimeoutIsToldWhileTheHandlerHangs(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	w := setup(t, fakeEngine{}, Config{Housekeeping: map[string]func(context.Context) error{
		"verify": func(context.Context) error { <-release; return nil },
	}})
	task := asynq.NewTask(tasks.TypeHousekeeping+"verify", nil)
	if _, err := asynq.NewClientFromRedisClient(w.rdb).Enqueue(task, asynq.Queue(tasks.QueueHousekeeping), asynq.MaxRetry(5), asynq.Timeout(time.Second)); err != nil {
		t.Fatal(err)
	}
	if l := w.line(t, "timeout"); l["level"] != "warn" || l["task"] != "housekeeping:verify" {
		t.Errorf("line %v", l)
	}
	close(release)
}

func TestRetryDelay(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		n        int
		err      error
		min, max time.Duration
		failure  bool
	}{
		{"not due waits its time and a second", 0, fmt.Errorf("x: %w", &NotDue{Wait: time.Minute}), 61 * time.Second, 61 * time.Second, false},
		{"not due never waits less than a second", 0, &NotDue{Wait: -time.Hour}, time.Second, time.Second, false},
		{"an outage waits up to 30 s", 5, fmt.Errorf("x: %w", model.ErrUnavailable), time.Second, 30 * time.Second, false},
		{"a lost lease is tried at once", 3, asynq.ErrLeaseExpired, 0, 0, true},
		{"the first failure waits a second", 0, errors.New("x"), time.Second, 1500 * time.Millisecond, true},
		{"later ones wait longer", 5, errors.New("x"), 32 * time.Second, 48 * time.Second, true},
		{"no wait is endless", 1000, errors.New("x"), 10 * time.Minute, 15 * time.Minute, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for range 50 {
				if d := retryDelay(tt.n, &handled{tt.err}, nil); d < tt.min || d > tt.max {
					t.Fatalf("delay %s, want %s to %s", d, tt.min, tt.max)
				}
			}
			if got := isFailure(&handled{tt.err}); got != tt.failure {
				t.Errorf("isFailure = %t, want %t", got, tt.failure)
			}
		})
	}
}
