package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/store"
	"github.com/pxactions/px/tasks"
)

// Holder knows which jobs Redis does not hold.
type Holder interface {
	// Ping reports whether Redis answers.
	Ping(ctx context.Context) error
	// Missing returns those of arms whose task is not in Redis.
	Missing(ctx context.Context, arms []tasks.Arm) ([]tasks.Arm, error)
}

// ErrQueueUnasked is a Verify that could not ask Redis for the jobs.
var ErrQueueUnasked = errors.New("redis was not asked for its jobs")

// Verify checks the invariants on the live system: the ledger itself, and with
// a queue also that Redis holds every job it should. No finding means all hold.
// With ErrQueueUnasked the findings of the ledger stand.
func (e *Engine) Verify(ctx context.Context, q Holder) ([]store.Finding, error) {
	found, err := e.Store.Verify(ctx)
	if err != nil || q == nil {
		return found, err
	}
	if err := q.Ping(ctx); err != nil { // with no job to ask for, too
		return found, fmt.Errorf("%w: %w", ErrQueueUnasked, err)
	}
	missing := store.Finding{Invariant: "I2", What: "job not in Redis"}
	var after model.ActionID
	for {
		arms, err := e.Store.Armed(ctx, after, 1000)
		if err != nil {
			return found, err
		}
		if len(arms) == 0 {
			break
		}
		after = arms[len(arms)-1].ActionID
		gone, err := q.Missing(ctx, arms)
		if err != nil {
			return found, fmt.Errorf("%w: %w", ErrQueueUnasked, err)
		}
		for _, a := range gone {
			if missing.Count++; len(missing.Examples) < 5 {
				missing.Examples = append(missing.Examples, a.ID())
			}
		}
	}
	if missing.Count > 0 {
		found = append(found, missing)
	}
	return found, nil
}
