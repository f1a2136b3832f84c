package engine

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"github.com/pxactions/px/store"
	"github.com/pxactions/px/tasks"
)

// Holder knows what Redis holds.
type Holder interface {
	// Ping reports whether Redis answers.
	Ping(ctx context.Context) error
	// Missing returns those of arms that Redis will not wake, and those that it
	// will wake later than planned.
	Missing(ctx context.Context, arms []tasks.Arm) (missing, late []tasks.Arm, err error)
	// Walk calls fn with all tasks, batch by batch.
	Walk(ctx context.Context, fn func([]tasks.Held) error) error
	// Still returns those of held that Redis still holds.
	Still(ctx context.Context, held []tasks.Held) ([]tasks.Held, error)
	// StrangeQueues lists the queues that this program does not know.
	StrangeQueues(ctx context.Context) ([]string, error)
	// Search calls found with every key that has the text in its value, and with
	// an empty one where its name has it.
	Search(ctx context.Context, text string, found func(key string)) error
}

// ErrQueueUnasked is a Verify that could not ask Redis for the jobs.
var ErrQueueUnasked = errors.New("redis was not asked for its jobs")

// unasked is an error of a queue as that of a Verify.
func unasked(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrQueueUnasked, err)
}

// Invariants lists the invariants that findings name.
func Invariants() []string { return []string{"I1", "I2", "I3", "I4", "I5", "I6", "I7"} }

// Verify checks the invariants on the live system: the ledger itself, the ends of
// all log chains and a part of the chains, and with a queue also Redis against
// the ledger, both ways. No finding means all hold. With ErrQueueUnasked the
// findings of the ledger stand.
func (e *Engine) Verify(ctx context.Context, q Holder) ([]store.Finding, error) {
	found, err := e.Store.Verify(ctx)
	if err != nil {
		return found, err
	}
	chains, err := e.VerifyChains(ctx)
	found = append(found, chains...)
	if err != nil || q == nil {
		return found, err
	}
	jobs, err := e.VerifyJobs(ctx, q)
	return append(found, jobs...), err
}

// chainsADay is how many actions' log chains a Verify checks: as many as take it
// some seconds. All of them is what Audit is for.
const chainsADay = 20_000

// VerifyChains checks the log chains of a part of the actions: another each day,
// so that all have their turn.
func (e *Engine) VerifyChains(ctx context.Context) ([]store.Finding, error) {
	f := store.Finding{Invariant: "I6", What: "log is not as it was written"}
	after, err := e.Store.ChainsOfToday(ctx, chainsADay)
	for done := 0; done < chainsADay && err == nil; {
		faults, next, seen, ferr := e.Store.VerifyChains(ctx, after, auditBatch)
		for _, c := range faults {
			f.Add(fmt.Sprintf("%s row %d: %s", c.Ref, c.Seq, c.What))
		}
		if err = ferr; seen == 0 {
			break
		}
		done, after = done+seen, next
	}
	return store.Found(&f), err
}

// FindText looks for a text, such as words that a patient wrote, in all of Redis.
func (e *Engine) FindText(ctx context.Context, q Holder, text string) ([]store.Finding, error) {
	f := store.Finding{Invariant: "I7", What: "the text of the marker is in Redis"}
	err := q.Search(ctx, text, func(key string) { f.Add(shown(key)) })
	return store.Found(&f), unasked(err)
}

// ours are names that this program, or asynq for it, gives: no words of anybody.
var ours = regexp.MustCompile(`^(asynq|px):[{}a-z0-9_:.@/-]{1,200}$|^[a-z0-9_.:-]{1,60}$`)

// shown is a name in Redis, unless it may be somebody's words.
func shown(name string) string {
	if ours.MatchString(name) {
		return name
	}
	return "(a name that may be somebody's words)"
}
