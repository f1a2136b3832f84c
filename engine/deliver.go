package engine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/notify"
	"github.com/pxactions/px/store"
)

// Delivery is what became of one attempt at a message.
type Delivery string

// Delivered: the receiver took it. Retrying: the row will be tried again.
// Failed: it ends there, visible to operators. NotMine: the attempt is stale,
// done, not due, or in another's hands. Suppressed: nobody is there to get it, or
// its action has moved on.
const (
	Delivered  Delivery = "sent"
	Retrying   Delivery = "retry"
	Failed     Delivery = "failed"
	NotMine    Delivery = "stale"
	Suppressed Delivery = "suppressed"
)

// maxSend bounds one delivery.
const maxSend = 45 * time.Second

// sendTimeout is shorter than a claim, so that a slow receiver never gets the
// same message from two hands; the claim's other half is for the settlement.
func (e *Engine) sendTimeout() time.Duration { return min(maxSend, e.Store.ClaimLease()/2) }

// Deliver makes one attempt at a message: claim, send, settle. The row owns the
// retries, so a failed delivery is not an error here; an error means that the
// database did not answer.
func (e *Engine) Deliver(ctx context.Context, ref store.MessageRef) (Delivery, error) {
	e.delivering.RLock()
	defer e.delivering.RUnlock()
	all, err := e.deliver.do(ctx, ref)
	if err != nil {
		return "", err
	}
	c := all[ref]
	if c == nil || !c.taken.CompareAndSwap(false, true) {
		return NotMine, nil
	}
	// Once claimed, the attempt runs to its end even if the caller leaves.
	sendCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.sendTimeout())
	defer cancel()
	s := e.send(sendCtx, c.Claimed)
	if err := e.settleClaimed(ctx, s); err != nil {
		return "", err
	}
	d := deliveryOf(s.State)
	e.Metrics.Messages.WithLabelValues(string(c.Channel), string(d)).Inc()
	if d == Failed {
		e.Log.Warn().Stringer("message", c.ID).Stringer("action", c.ActionID).Str("channel", string(c.Channel)).Str("why", s.Why).Msg("message failed for good")
	}
	return d, nil
}

// settleClaimed writes down how a claimed delivery ended. While the database is
// away it tries again for as long as the caller waits and the claim lasts: what
// is never written down is sent once more when its claim has run out.
func (e *Engine) settleClaimed(ctx context.Context, s store.Settled) error {
	patience, cancel := context.WithTimeout(ctx, e.Store.ClaimLease()/2)
	defer cancel()
	for wait := settleFirstWait; ; wait = min(2*wait, settleLongWait) {
		// The group's own end comes first, and says what was the matter.
		bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), groupTimeout+settleLongWait)
		_, err := e.settle.do(bound, s)
		cancel()
		if !errors.Is(err, model.ErrUnavailable) && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		select {
		case <-patience.Done():
			return err
		case <-time.After(wait + rand.N(wait)):
		}
	}
}

// How long (machine time) settleClaimed waits for the database; as much again
// is added at random, so that not all come back at once.
const (
	settleFirstWait = 100 * time.Millisecond
	settleLongWait  = 2 * time.Second
)

// claim is one claimed message. A group may hold its ref twice, of a sweep and
// of a task: the first caller takes it.
type claim struct {
	store.Claimed
	taken atomic.Bool
}

func (e *Engine) claimBatch(ctx context.Context, refs []store.MessageRef) (map[store.MessageRef]*claim, error) {
	claimed, err := e.Store.ClaimMessages(ctx, e.Notify.Channels(), refs)
	byRef := make(map[store.MessageRef]*claim, len(claimed))
	for _, c := range claimed {
		byRef[store.MessageRef{ID: c.ID, Attempt: c.Attempts - 1}] = &claim{Claimed: c}
	}
	return byRef, err
}

func (e *Engine) settleBatch(ctx context.Context, items []store.Settled) (struct{}, error) {
	effects, err := e.Store.SettleMessages(ctx, items)
	e.hand(ctx, effects)
	return struct{}{}, err
}

// send makes the one try and says how the row is to be settled.
func (e *Engine) send(ctx context.Context, c store.Claimed) store.Settled {
	s := store.Settled{ID: c.ID, Attempts: c.Attempts}
	if c.Recipient == nil || !c.Recipient.Active {
		s.State, s.Why = model.MessageSuppressed, "recipient_inactive"
		return s
	}
	if c.Stale {
		s.State, s.Why = model.MessageSuppressed, "stale"
		return s
	}
	zone := ""
	if c.Hospital != nil {
		zone = c.Hospital.Zone
	}
	if c.Attempts > notify.MaxAttempts { // claimed that often and never settled
		s.State, s.Why = model.MessageFailed, "never_settled"
		return s
	}
	receipt, err := e.try(ctx, c.Channel, notify.Compose(&c.Message, c.Recipient, zone, e.LinkBase))
	if err == nil {
		s.State, s.ProviderRef = model.MessageSent, receipt.ProviderRef
		return s
	}
	s.Why = "error"
	var se *notify.SendError
	if errors.As(err, &se) {
		s.Why = se.Code
	}
	wait, again := notify.NextTry(c.Attempts, err, rand.Float64())
	s.State, s.RetryIn = model.MessageFailed, wait
	if again {
		s.State = model.MessagePending
	}
	return s
}

// try sends once. A panic in a channel is that message's failure alone: it must
// not take a sweep down with it.
func (e *Engine) try(ctx context.Context, ch model.Channel, l notify.Letter) (r notify.Receipt, err error) {
	defer func() {
		if p := recover(); p != nil {
			e.Log.Error().Str("channel", string(ch)).Str("panic", fmt.Sprintf("%T", p)).Bytes("stack", debug.Stack()).Msg("channel panicked")
			err = &notify.SendError{Code: "panic"}
		}
	}()
	return e.Notify.Send(ctx, ch, l)
}

func deliveryOf(s model.MessageState) Delivery {
	switch s {
	case model.MessageSent:
		return Delivered
	case model.MessagePending:
		return Retrying
	case model.MessageSuppressed:
		return Suppressed
	default:
		return Failed
	}
}
