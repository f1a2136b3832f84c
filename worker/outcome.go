package worker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/hibiken/asynq"
	"github.com/rs/zerolog"

	"github.com/pxactions/px/model"
)

// NotDue is a handler's answer to a task that came before its time. asynq
// tries again Wait (machine time) later; it is no failure.
type NotDue struct{ Wait time.Duration }

func (e *NotDue) Error() string { return fmt.Sprintf("not due for another %s", e.Wait) }

// malformed is the answer to a task that no retry can help: it is archived for
// a person to look at. want says what would be right, never what is there.
func malformed(want string) error {
	return fmt.Errorf("%w: %w: %s", errMalformed, asynq.SkipRetry, want)
}

var errMalformed = errors.New("malformed task")

// handled marks an error that has been logged and counted.
type handled struct{ err error }

func (e *handled) Error() string { return e.err.Error() }
func (e *handled) Unwrap() error { return e.err }

// verdict is how an answer is counted and logged.
type verdict struct {
	outcome string
	level   zerolog.Level
	repeats bool // an outage says it for every task
}

// judge is the one place that says what an error means. Error: a person should
// look. Warn: it heals itself. Info: something changed. Debug: nothing did.
func judge(ctx context.Context, r result, err error) verdict {
	var notDue *NotDue
	switch {
	case err == nil && r.odd:
		return verdict{outcome: r.outcome, level: zerolog.WarnLevel}
	case err == nil && r.changed:
		return verdict{outcome: r.outcome, level: zerolog.InfoLevel}
	case err == nil:
		return verdict{outcome: r.outcome, level: zerolog.DebugLevel}
	case errors.Is(err, errMalformed):
		return verdict{outcome: "malformed", level: zerolog.ErrorLevel}
	case errors.As(err, new(*model.PanicError)):
		return verdict{outcome: "panic", level: zerolog.ErrorLevel}
	case exhausted(ctx): // asynq archives it now, whatever the error
		return verdict{outcome: "exhausted", level: zerolog.ErrorLevel}
	case errors.As(err, &notDue):
		return verdict{outcome: "not_due", level: zerolog.DebugLevel}
	case errors.Is(err, model.ErrUnavailable):
		return verdict{outcome: "unavailable", level: zerolog.WarnLevel, repeats: true}
	case errors.Is(err, context.DeadlineExceeded):
		return verdict{outcome: "timeout", level: zerolog.WarnLevel}
	case errors.Is(err, asynq.ErrLeaseExpired):
		return verdict{outcome: "lease_expired", level: zerolog.WarnLevel}
	default:
		return verdict{outcome: "error", level: zerolog.WarnLevel}
	}
}

// exhausted reports whether this was the task's last try.
func exhausted(ctx context.Context) bool {
	retry, ok := asynq.GetRetryCount(ctx)
	most, _ := asynq.GetMaxRetry(ctx)
	return ok && retry >= most
}

// handleError hears of every failed task. What a handler answered is logged
// already; what is left are tasks that asynq gave up on while their handler
// still runs: timeouts and lost leases.
func (w *Worker) handleError(ctx context.Context, t *asynq.Task, err error) {
	if errors.As(err, new(*handled)) {
		return
	}
	v := judge(ctx, result{}, err)
	w.metrics.Tasks.WithLabelValues(w.label(t.Type()), v.outcome).Inc()
	e := w.log.WithLevel(v.level)
	describe(ctx, e, t)
	e.Str("outcome", v.outcome).Err(err).Msg("task given up while it runs")
}

// isFailure reports whether an error counts against the task's retries. What
// is not due, or waits for a database, never uses them up, so that no outage
// archives a task.
func isFailure(err error) bool {
	return err != nil && !errors.As(err, new(*NotDue)) && !errors.Is(err, model.ErrUnavailable) &&
		!errors.Is(err, context.DeadlineExceeded) // it waited for a database that did not answer
}

const (
	outageWait    = time.Second      // least wait for a database
	outageSpread  = 29 * time.Second // on top, at random, so that all do not come back at once
	firstBackoff  = time.Second
	longBackoff   = 10 * time.Minute
	notDueReserve = time.Second // asynq cuts the instant to the whole second
)

// retryDelay is how long (machine time) asynq waits before it tries a task
// again that failed n times before.
func retryDelay(n int, err error, _ *asynq.Task) time.Duration {
	var notDue *NotDue
	switch {
	case errors.As(err, &notDue):
		return max(notDue.Wait, 0) + notDueReserve
	case errors.Is(err, asynq.ErrLeaseExpired): // its worker is gone: nothing to wait for
		return 0
	case errors.Is(err, model.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		return outageWait + rand.N(outageSpread)
	}
	d := longBackoff
	if n >= 0 && n < 9 {
		d = min(firstBackoff<<n, longBackoff)
	}
	return d + rand.N(d/2)
}
