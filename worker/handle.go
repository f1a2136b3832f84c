package worker

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/store"
	"github.com/pxactions/px/tasks"
)

// result is what a handler found, for the log and the metrics: codes, ids and
// numbers only.
type result struct {
	outcome string
	changed bool // something is other than before
	odd     bool // worth a warning: late, or not delivered

	action   model.ActionID
	message  model.MessageID
	feedback int // how many a creation task carried
	created  int // how many of them became actions
	merged   int // how many joined one
	late     time.Duration
}

// handle asks the engine. It matches types exactly: asynq's own mux would give
// an unknown type to the handler of its prefix.
func (w *Worker) handle(ctx context.Context, t *asynq.Task) (result, error) {
	switch t.Type() {
	case tasks.TypeCreate:
		return w.create(ctx, t)
	case tasks.TypeReminder, tasks.TypeOverdue, tasks.TypeEscalation, tasks.TypeApproval, tasks.TypeAck, tasks.TypeResume:
		return w.fire(ctx, t)
	case tasks.TypeSend:
		return w.deliver(ctx, t)
	}
	if name, ok := strings.CutPrefix(t.Type(), tasks.TypeHousekeeping); ok {
		return w.housekeep(ctx, name)
	}
	return result{}, malformed("no handler for this type of task")
}

func (w *Worker) create(ctx context.Context, t *asynq.Task) (result, error) {
	p, err := tasks.Decode[tasks.CreatePayload](t.Type(), t.Payload())
	if err != nil || len(p.Feedback) == 0 {
		return result{}, malformed("want the ids of feedback")
	}
	decided, err := w.engine.Decide(ctx, p.Feedback)
	r := result{outcome: "decided_before", feedback: len(p.Feedback)}
	for _, d := range decided {
		if d.Before || d.Decision == "" {
			continue
		}
		r.outcome, r.changed = "decided", true
		switch d.Decision {
		case model.DecisionCreated:
			r.created++
		case model.DecisionMerged:
			r.merged++
		}
	}
	return r, err
}

func (w *Worker) fire(ctx context.Context, t *asynq.Task) (result, error) {
	p, err := tasks.Decode[tasks.DeadlinePayload](t.Type(), t.Payload())
	if err != nil || p.Action.IsZero() {
		return result{}, malformed("want an action's id and its gen")
	}
	fired, err := w.engine.Fire(ctx, store.DeadlineRef{ActionID: p.Action, Gen: p.Gen})
	r := result{outcome: string(fired.Outcome), action: p.Action}
	if err != nil {
		return r, err
	}
	switch fired.Outcome {
	case store.NotDue, store.Busy:
		return r, &NotDue{Wait: fired.Wait}
	case store.Fired:
		r.changed, r.late, r.odd = true, fired.Late, fired.Late > w.cfg.LateAfter
	}
	return r, nil
}

func (w *Worker) deliver(ctx context.Context, t *asynq.Task) (result, error) {
	p, err := tasks.Decode[tasks.SendPayload](t.Type(), t.Payload())
	if err != nil || p.Message.IsZero() {
		return result{}, malformed("want a message's id and its attempt")
	}
	d, err := w.engine.Deliver(ctx, store.MessageRef{ID: p.Message, Attempt: p.Attempt})
	return result{
		outcome: string(d), message: p.Message,
		changed: d != engine.NotMine, odd: d == engine.Retrying, // the engine tells of those that failed for good
	}, err
}

func (w *Worker) housekeep(ctx context.Context, name string) (result, error) {
	r := result{outcome: "done", changed: true}
	run := w.cfg.Housekeeping[name]
	if run == nil {
		return r, malformed("no housekeeping of this name")
	}
	return r, run(ctx)
}

// ProcessTask handles one task and logs what came of it, once. It implements
// asynq.Handler.
func (w *Worker) ProcessTask(ctx context.Context, t *asynq.Task) error {
	label := w.label(t.Type())
	timer := prometheus.NewTimer(w.metrics.TaskSeconds.WithLabelValues(label))
	r, err := w.contained(ctx, t)
	a := answer{result: r, err: err, verdict: judge(ctx, r, err), took: timer.ObserveDuration()}
	w.metrics.Tasks.WithLabelValues(label, a.verdict.outcome).Inc()
	w.write(ctx, t, a)
	if err != nil {
		return &handled{err}
	}
	return nil
}

// contained turns a panic into an error. asynq would too, but would put the
// panic's value, which may be anybody's words, into Redis.
func (w *Worker) contained(ctx context.Context, t *asynq.Task) (r result, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &model.PanicError{Kind: fmt.Sprintf("%T", p), Stack: debug.Stack()}
		}
	}()
	return w.handle(ctx, t)
}

// label is a task's type as a metric's label: one of a known few.
func (w *Worker) label(typ string) string {
	switch typ {
	case tasks.TypeCreate, tasks.TypeReminder, tasks.TypeOverdue, tasks.TypeEscalation, tasks.TypeApproval, tasks.TypeAck, tasks.TypeResume, tasks.TypeSend:
		return typ
	}
	if name, ok := strings.CutPrefix(typ, tasks.TypeHousekeeping); ok && w.cfg.Housekeeping[name] != nil {
		return typ
	}
	return "unknown"
}

// answer is a handled task, as it is logged.
type answer struct {
	result
	verdict verdict
	err     error
	took    time.Duration
}

func (w *Worker) write(ctx context.Context, t *asynq.Task, a answer) {
	log := w.log
	if a.verdict.repeats {
		log = w.waiting
	}
	e := log.WithLevel(a.verdict.level)
	describe(ctx, e, t)
	e.Str("outcome", a.verdict.outcome).Int64("took_ms", a.took.Milliseconds())
	if !a.action.IsZero() {
		e.Stringer("action", a.action)
	}
	if !a.message.IsZero() {
		e.Stringer("message", a.message)
	}
	if a.feedback > 0 {
		e.Int("feedback", a.feedback).Int("created", a.created).Int("merged", a.merged)
	}
	if a.late > 0 {
		e.Int64("late_ms", a.late.Milliseconds())
	}
	var p *model.PanicError
	if errors.As(a.err, &p) {
		e.Bytes("stack", p.Stack)
	}
	e.Err(a.err).Msg("task handled")
}

// describe names the task in a log line.
func describe(ctx context.Context, e *zerolog.Event, t *asynq.Task) {
	id, _ := asynq.GetTaskID(ctx)
	queue, _ := asynq.GetQueueName(ctx)
	retry, _ := asynq.GetRetryCount(ctx)
	e.Str("task", t.Type()).Str("id", id).Str("queue", queue).Int("retry", retry)
}
