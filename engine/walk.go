package engine

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/pxactions/px/store"
	"github.com/pxactions/px/tasks"
)

// policyTime (machine time) is longer than any transaction: one that read the
// policy before it changed is over by then.
const policyTime = 2 * time.Minute

// calendarWalk remembers which revision's calendars have reached every action.
type calendarWalk struct{ reached atomic.Int64 }

// HealCalendars brings live actions to the calendars of the active policy. Once
// every action has been reached, and nothing of before can still be under way,
// it asks for the revision alone until there is another, be it of the same number
// after a failover that lost the first. It heals nothing, as nothing was lost: a
// turn's Healed is 0.
func (e *Engine) HealCalendars(ctx context.Context, after store.Keyset) (Turn, error) {
	active, since, err := e.Store.ActiveRevision(ctx)
	if err != nil || active == e.calendars.reached.Load() && since > policyTime {
		return Turn{}, err
	}
	t, seen, err := e.walk(ctx, after, e.Store.Recalendar, "planned anew: their calendar has changed")
	t.Healed = 0
	if err == nil && seen == 0 && after == (store.Keyset{}) && since > policyTime {
		e.calendars.reached.Store(active)
	}
	return t, err
}

// HealOwners hands the live actions of people who are not active any more, or
// who did not start in time where that counts, to others. A turn's Healed is how many.
func (e *Engine) HealOwners(ctx context.Context, after store.Keyset) (Turn, error) {
	t, _, err := e.walk(ctx, after, e.Store.Reroute, "handed over: their owner has left, or did not start in time")
	return t, err
}

// Reapply puts every live action under the active policy, and returns how many
// that changed. It goes over them until none is left; where a pass gets nowhere,
// the error says how many others hold or could not be changed. What was cut off
// is finished by another call.
func (e *Engine) Reapply(ctx context.Context) (changed int, err error) {
	for {
		seen, before := 0, changed
		for t := (Turn{More: true}); t.More; changed += t.Healed {
			var n int
			if t, n, err = e.walk(ctx, t.Next, e.Store.Reapply, "put under the active policy"); err != nil {
				return changed, err
			}
			seen += n
		}
		switch left := seen - (changed - before); {
		case left == 0:
			return changed, nil
		case changed == before:
			return changed, fmt.Errorf("%d open actions are not under the policy yet: others are at work on them, or they could not be changed; try again", left)
		}
	}
}

// walk takes one batch of a walk over live actions. A turn's Healed is how many
// changed for people to see; those that failed alone are logged.
func (e *Engine) walk(ctx context.Context, after store.Keyset, take func(context.Context, store.Keyset, int) (store.Walked, tasks.Effects, error), what string) (t Turn, seen int, err error) {
	done, effects, err := take(ctx, after, healBatch)
	e.hand(ctx, effects)
	for _, m := range done.Moved {
		if m.Err != nil {
			fault(e.Log, m.Err).Stringer("action", m.Action.ID).Msg("action not changed")
			continue
		}
		e.countTaken(m.Taken)
		t.Healed++
	}
	if t.Healed > 0 {
		e.Log.Info().Int("actions", t.Healed).Msg(what)
	}
	t.Next, t.More = done.Next, err == nil && done.Seen == healBatch
	return t, done.Seen, err
}
