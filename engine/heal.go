package engine

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/rs/zerolog"

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
			fault(e.Log, r.Err).Stringer("feedback", r.FeedbackID).Str("decision", string(r.Decision)).Msg("feedback not decided")
		} else if r.Err == nil && !r.Before {
			t.Healed++
		}
	}
	return t, err
}

// fault begins the log line of an item that failed alone, for a person to look
// at: where a panic was contained, with its stack, which its text leaves out.
func fault(log zerolog.Logger, err error) *zerolog.Event {
	line := log.Error().Err(err)
	var p *model.PanicError
	if errors.As(err, &p) {
		line.Bytes("stack", p.Stack)
	}
	return line
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
			fault(e.Log, r.Err).Stringer("action", r.Ref.ActionID).Msg("deadline not fired; set aside for a minute")
		} else if r.Outcome == store.Fired {
			t.Healed++
		}
	}
	return t, err
}

// healSlots is how many deliveries a turn has under way at once.
const healSlots = 16

// HealMessages delivers over one channel what nobody has delivered in time, side
// by side and bounded. What a turn has no time to begin is left to the next. A
// process that delivers nothing leaves all of them alone.
func (e *Engine) HealMessages(ctx context.Context, ch model.Channel, after store.Keyset) (Turn, error) {
	if e.Notify == nil {
		return Turn{}, nil
	}
	refs, next, err := e.Store.LateMessages(ctx, []model.Channel{ch}, after, healBatch)
	if err != nil || len(refs) == 0 {
		return Turn{Next: next}, err
	}
	t := Turn{Next: next, More: len(refs) == healBatch}
	beginning, cancel := e.beginning(ctx)
	defer cancel()
	var mu sync.Mutex
	var wg sync.WaitGroup
	slots := make(chan struct{}, healSlots)
	for _, ref := range refs {
		select {
		case slots <- struct{}{}:
		case <-beginning.Done():
		}
		if beginning.Err() != nil {
			t.Next, t.More = after, true // lists again what was not begun
			break
		}
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

// settleTime is what a turn leaves for claiming and settling a delivery.
const settleTime = 5 * time.Second

// beginning is ctx, but ends early enough for a delivery begun in it to be
// finished within ctx.
func (e *Engine) beginning(ctx context.Context) (context.Context, context.CancelFunc) {
	end, bounded := ctx.Deadline()
	if !bounded {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, end.Add(-e.sendTimeout()-settleTime))
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

// Lost reports whether a queue's memory in Redis is not what PostgreSQL
// remembers: a counter that is not higher, or another master. If so, every live
// job is to be armed again (ArmAgain) before the beat is remembered (WriteBeat). Until
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
// that the queue still has stays, a dead one makes room.
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
