package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/internal/metrics"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/store"
	"github.com/pxactions/px/tasks"
)

// storm makes the actions through px, then lets all come due at once.
func (b *bench) storm(ctx context.Context, w *world, p program, events []engine.Event, r *result) (err error) {
	if err := makeActions(ctx, w, events); err != nil {
		return err
	}
	due, err := w.makeDue(ctx, 3*time.Second+time.Duration(len(events))*time.Millisecond)
	if err != nil {
		return err
	}
	if err := w.arm(ctx); err != nil {
		return err
	}
	stop, err := p.work(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	left := time.Until(due.at)
	if left < 0 {
		return errors.New("arming took too long: the actions came due before the workers ran")
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
	}
	end, err := b.begin(ctx, r)
	if err != nil {
		return err
	}
	if err := await(ctx, w, allFired, due.domain); err != nil {
		return err
	}
	return end(time.Now())
}

func makeActions(ctx context.Context, w *world, events []engine.Event) error {
	heard := &listener{}
	e, err := newEngine(w.store, heard, metrics.New(), zerolog.Nop())
	if err != nil {
		return err
	}
	defer e.Close()
	for _, chunk := range chunks(events, 500) {
		if err := acceptAll(ctx, e, chunk); err != nil {
			return err
		}
	}
	for _, ids := range chunks(heard.create, 250) {
		if _, err := e.Decide(ctx, ids); err != nil {
			return err
		}
	}
	return nil
}

// listener hears of feedback to be decided and lets all else go.
type listener struct{ create []model.FeedbackID }

// Enqueue implements engine.Queue.
func (l *listener) Enqueue(_ context.Context, e tasks.Effects) ([]tasks.Arm, error) {
	l.create = append(l.create, e.Create...)
	return nil, nil
}

// instant is one moment on both clocks.
type instant struct{ at, domain time.Time }

// makeDue sets the domain clock so that all actions come due after lead, on a
// whole second.
func (w *world) makeDue(ctx context.Context, lead time.Duration) (instant, error) {
	var first, last time.Time
	if err := w.db().NewRaw("SELECT min(next_at), max(next_at) FROM actions").Scan(ctx, &first, &last); err != nil {
		return instant{}, err
	}
	if !first.Equal(last) {
		return instant{}, fmt.Errorf("actions are due from %s to %s, want one instant", first, last)
	}
	now, err := w.store.Now(ctx)
	if err != nil {
		return instant{}, err
	}
	at := now.Machine.Add(lead).Truncate(time.Second).Add(time.Second)
	// SetClock starts at the moment it runs; the few milliseconds it may be off
	// are read back below.
	if err := w.store.SetClock(ctx, first.Add(-at.Sub(now.Machine)), 1); err != nil {
		return instant{}, err
	}
	if now, err = w.store.Now(ctx); err != nil {
		return instant{}, err
	}
	return instant{at: now.Clock.Real(first), domain: first}, nil
}

// arm hands every action's job to Redis, quickly: this is not what is measured.
func (w *world) arm(ctx context.Context) (err error) {
	rdb, err := tasks.NewRedis(w.redisURL, tasks.RedisOptions{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rdb.Close()) }()
	queue := tasks.NewQueue(rdb, tasks.QueueOptions{})
	var after store.Keyset
	for {
		effects, next, err := w.store.Armable(ctx, after, 1000)
		if err != nil || effects.Empty() {
			return err
		}
		armed, err := queue.Enqueue(ctx, effects)
		if err != nil {
			return err
		}
		if err := w.store.MarkArmed(ctx, armed); err != nil {
			return err
		}
		after = next
	}
}
