package engine

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/pxactions/px/store"
)

// policyTime (machine time) is longer than any transaction: one that read the
// policy before it changed is over by then.
const policyTime = 2 * time.Minute

// calendarWalk remembers which revision's calendars have reached every action.
type calendarWalk struct{ reached atomic.Int64 }

// HealCalendars brings live actions to the calendars of the active policy. Once
// every action has been reached, and nothing of before can still be under way,
// it asks for the revision alone until there is another. It heals nothing, as
// nothing was lost: a turn's Healed is 0.
func (e *Engine) HealCalendars(ctx context.Context, after store.Keyset) (Turn, error) {
	if after == (store.Keyset{}) {
		active, err := e.Store.ActiveRevision(ctx)
		if err != nil || active == e.calendars.reached.Load() {
			return Turn{}, err
		}
	}
	done, effects, err := e.Store.Recalendar(ctx, after, healBatch)
	if err != nil {
		return Turn{}, err
	}
	e.hand(ctx, effects)
	planned := e.countMoved(done.Planned, "action not brought to its calendar")
	if planned > 0 {
		e.Log.Info().Int64("revision", done.Revision).Int("actions", planned).Msg("planned anew: their calendar has changed")
	}
	if after == (store.Keyset{}) && done.Seen == 0 && done.Since > policyTime {
		e.calendars.reached.Store(done.Revision)
	}
	return Turn{Next: done.Next, More: done.Seen == healBatch}, nil
}

// countMoved counts what a walk of the program's own did, and tells of the
// actions that failed alone. It returns how many did not.
func (e *Engine) countMoved(moved []store.Moved, failure string) (made int) {
	for _, m := range moved {
		if m.Err != nil {
			e.Log.Error().Stringer("action", m.Action.ID).Err(m.Err).Msg(failure)
			continue
		}
		e.countTaken(m.Taken)
		made++
	}
	return made
}

// HealOwners hands the live actions of people who are not active any more to
// others. A turn's Healed is how many.
func (e *Engine) HealOwners(ctx context.Context, after store.Keyset) (Turn, error) {
	done, effects, err := e.Store.Reroute(ctx, after, healBatch)
	e.hand(ctx, effects)
	healed := e.countMoved(done.Moved, "action not handed over")
	return Turn{Healed: healed, Next: done.Next, More: err == nil && done.Seen == healBatch}, err
}
