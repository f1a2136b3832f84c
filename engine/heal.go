package engine

import (
	"context"
	"errors"
	"sync"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/store"
)

// healBatch is how many rows one turn of a sweep takes.
const healBatch = 500

// Turn is the result of one bounded batch of a sweep.
type Turn struct {
	Healed int
	Next   store.Keyset // where the walk goes on
	More   bool         // there may be more behind Next
}

// HealFeedback decides feedback that no worker has decided in time.
func (e *Engine) HealFeedback(ctx context.Context, after store.Keyset) (Turn, error) {
	ids, next, err := e.Store.LateFeedback(ctx, after, healBatch)
	if err != nil || len(ids) == 0 {
		return Turn{Next: next}, err
	}
	t := Turn{Next: next, More: len(ids) == healBatch}
	byID, err := e.decideBatch(ctx, ids)
	for _, r := range byID {
		if r.Err != nil && !errors.Is(r.Err, model.ErrUnavailable) {
			e.Log.Error().Stringer("feedback", r.FeedbackID).Str("decision", string(r.Decision)).Err(r.Err).Msg("feedback not decided")
		} else if r.Err == nil && !r.Before {
			t.Healed++
		}
	}
	return t, err
}

// HealDeadlines fires what no worker has fired in time.
func (e *Engine) HealDeadlines(ctx context.Context, after store.Keyset) (Turn, error) {
	refs, next, err := e.Store.LateDeadlines(ctx, after, healBatch)
	if err != nil || len(refs) == 0 {
		return Turn{Next: next}, err
	}
	t := Turn{Next: next, More: len(refs) == healBatch}
	byRef, err := e.fireBatch(ctx, refs)
	for _, r := range byRef {
		if r.Err != nil {
			e.Log.Error().Stringer("action", r.Ref.ActionID).Err(r.Err).Msg("deadline not fired; set aside for a minute")
		} else if r.Outcome == store.Fired {
			t.Healed++
		}
	}
	return t, err
}

// HealMessages delivers what nobody has delivered in time. Deliveries go out
// side by side, bounded, so that one slow receiver does not hold up the rest. A
// process that delivers nothing leaves them alone.
func (e *Engine) HealMessages(ctx context.Context, after store.Keyset) (Turn, error) {
	if e.Notify == nil {
		return Turn{}, nil
	}
	// A process without mail settings must not use up the tries of one that has them.
	refs, next, err := e.Store.LateMessages(ctx, e.Notify.Channels(), after, healBatch)
	if err != nil || len(refs) == 0 {
		return Turn{Next: next}, err
	}
	t := Turn{Next: next, More: len(refs) == healBatch}
	var mu sync.Mutex
	var wg sync.WaitGroup
	slots := make(chan struct{}, 16)
	for _, ref := range refs {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			d, derr := e.Deliver(ctx, ref)
			mu.Lock()
			defer mu.Unlock()
			if derr != nil {
				err = derr
			} else if d != NotMine {
				t.Healed++
			}
		})
	}
	wg.Wait()
	return t, err
}

// HealUnarmed hands over the jobs that the queue has not heard of.
func (e *Engine) HealUnarmed(ctx context.Context, _ store.Keyset) (Turn, error) {
	effects, err := e.Store.Unarmed(ctx, healBatch)
	if err != nil || effects.Empty() || e.Queue == nil {
		return Turn{}, err
	}
	armed, err := e.Queue.Enqueue(ctx, effects)
	if merr := e.Store.MarkArmed(ctx, armed); merr != nil {
		return Turn{}, merr
	}
	return Turn{Healed: len(armed), More: err == nil && len(effects.Arm) == healBatch}, err
}

// Beater raises the counter that a queue keeps in Redis under its hash tag.
type Beater interface {
	Beat(ctx context.Context, queue string) (counter int64, runID string, err error)
}

// Lost reports which queues' memory in Redis is not what PostgreSQL remembers:
// a counter that is not higher, or another master. For those every live job is
// to be armed again (ArmAgain) before the beat is remembered (WriteBeat). Until
// then the queue stays lost, however often it is asked and whoever asks.
func (e *Engine) Lost(ctx context.Context, b Beater, queue string) (lost bool, now store.Beat, err error) {
	before, err := e.Store.ReadBeat(ctx, queue)
	if err != nil {
		return false, now, err
	}
	counter, runID, err := b.Beat(ctx, queue)
	if err != nil {
		return false, now, err
	}
	now = store.Beat{Counter: counter, RunID: runID}
	lost = before.Counter > 0 && (counter <= before.Counter || runID != before.RunID)
	if !lost || before.RunID == lostMark {
		return lost, now, nil
	}
	// Redis counts on from here and would soon look sound again.
	return true, now, e.Store.WriteBeat(ctx, queue, store.Beat{Counter: before.Counter, RunID: lostMark})
}

// lostMark stands for the run id of a master whose loss is not yet made good.
const lostMark = "lost"

// ArmAgain hands over every live job in next_at order, one batch a turn. A job
// that the queue still has answers a conflict, which costs nothing.
func (e *Engine) ArmAgain(ctx context.Context, after store.Keyset) (Turn, error) {
	effects, next, err := e.Store.Armable(ctx, after, healBatch)
	if err != nil || effects.Empty() {
		return Turn{Next: next}, err
	}
	armed, err := e.Queue.Enqueue(ctx, effects)
	if err != nil {
		return Turn{}, err
	}
	return Turn{Healed: len(armed), Next: next, More: len(effects.Arm) == healBatch}, e.Store.MarkArmed(ctx, armed)
}
