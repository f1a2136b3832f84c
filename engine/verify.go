package engine

import (
	"context"
	"fmt"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/store"
	"github.com/pxactions/px/tasks"
)

// Holder knows which jobs Redis does not hold.
type Holder interface {
	// Missing returns those of arms whose task is not in Redis.
	Missing(ctx context.Context, arms []tasks.Arm) ([]tasks.Arm, error)
}

// Verify checks the invariants on the live system: the ledger itself, and with
// a queue also that Redis holds every job it should. No finding means all hold.
func (e *Engine) Verify(ctx context.Context, q Holder) ([]store.Finding, error) {
	found, err := e.Store.Verify(ctx)
	if err != nil || q == nil {
		return found, err
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
			return found, fmt.Errorf("ask Redis for jobs: %w", err)
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
