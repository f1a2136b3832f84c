package scheduler

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/internal/metrics"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/store"
	"github.com/pxactions/px/tasks"
)

// slotLease is how long (machine time) a scheduler keeps a sweep to itself. It
// renews while it works, so only a dead one is replaced after this.
const slotLease = 15 * time.Second

// slotTimeout bounds the taking and the giving back of a slot.
const slotTimeout = 10 * time.Second

// turnTimeout bounds one batch of a sweep.
const turnTimeout = time.Minute

// Sweep is one kind of healing: what is late is walked in batches.
type Sweep struct {
	Name string
	// Turn does one bounded batch behind a keyset.
	Turn func(context.Context, store.Keyset) (engine.Turn, error)
}

// sweeper runs one sweep.
type sweeper struct {
	Sweep
	store   *store.Store
	holder  string
	lease   time.Duration
	metrics *metrics.Metrics
	log     zerolog.Logger
	heart   *heartbeat // hears how each run ended; nil: nobody does
	away    bool       // the last run ended with something unavailable: said once
}

// Run does what is late now: all of it, batch by batch. It returns how much was
// healed. Another scheduler at the same sweep makes it return at once, and then
// mine is false.
func (s *sweeper) Run(ctx context.Context) (healed int, mine bool, err error) {
	mine, err = s.claim(ctx)
	if err != nil || !mine {
		return 0, false, err
	}
	defer func() {
		fctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), slotTimeout)
		defer cancel()
		ferr := s.store.FinishSweep(fctx, s.Name, s.holder, healed)
		if err == nil {
			err = ferr
		}
	}()
	var after store.Keyset
	for ctx.Err() == nil {
		t, err := s.turn(ctx, after)
		healed += t.Healed
		s.metrics.Healed.WithLabelValues(s.Name).Add(float64(t.Healed))
		if err != nil || !t.More {
			return healed, true, err
		}
		after = t.Next
		if mine, err := s.claim(ctx); err != nil || !mine {
			return healed, false, err
		}
	}
	return healed, true, nil
}

// claim takes or renews the slot. It is bounded, because a connection to a
// database that has died may answer nothing at all.
func (s *sweeper) claim(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, slotTimeout)
	defer cancel()
	return s.store.ClaimSweep(ctx, s.Name, s.holder, s.lease)
}

// turn does one batch and keeps the slot meanwhile.
func (s *sweeper) turn(ctx context.Context, after store.Keyset) (engine.Turn, error) {
	ctx, cancel := context.WithTimeout(ctx, turnTimeout)
	var renewing sync.WaitGroup
	renewing.Go(func() { s.renew(ctx) })
	defer renewing.Wait()
	defer cancel()
	return s.Turn(ctx, after)
}

// renew renews the slot until the context ends. Whether it worked is asked
// before the next batch: what is under way cannot be undone.
func (s *sweeper) renew(ctx context.Context) {
	ticker := time.NewTicker(s.lease / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			_, _ = s.claim(ctx)
		}
	}
}

// tick runs the sweep once and says what an operator should know: what it
// healed, and once when something is away and once when it is back.
func (s *sweeper) tick(ctx context.Context) {
	start := time.Now()
	healed, mine, err := s.Run(ctx)
	if healed > 0 {
		s.log.Warn().Str("sweep", s.Name).Int("healed", healed).Int64("took_ms", time.Since(start).Milliseconds()).Msg("sweep healed")
	}
	away := errors.Is(err, model.ErrUnavailable)
	switch {
	case ctx.Err() != nil:
		return
	case away && !s.away:
		s.log.Warn().Str("sweep", s.Name).Err(err).Msg("sweep waits: a service is away")
	case !away && s.away:
		s.log.Info().Str("sweep", s.Name).Msg("sweep goes on: the service is back")
	case err != nil && !away:
		s.log.Error().Str("sweep", s.Name).Err(err).Msg("sweep failed")
	}
	s.away = away
	if s.heart != nil && (mine || err != nil) {
		s.heart.ended(s.Name, err)
	}
}

// loop ticks until the context ends.
func (s *sweeper) loop(ctx context.Context, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		s.tick(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Sweeps lists the healing that needs no queue, and with a queue also what
// hands over jobs that it has not heard of or has lost. Each channel of this
// process has a sweep of its own: a receiver that hangs holds up no other
// channel, and messages of a channel without settings here do not use up their
// tries.
func Sweeps(e *engine.Engine, q engine.Beater) []Sweep {
	all := []Sweep{
		{"feedback", e.HealFeedback},
		{"deadlines", e.HealDeadlines},
		{"calendars", e.HealCalendars},
		{"owners", e.HealOwners},
	}
	if e.Notify != nil {
		for _, ch := range e.Notify.Channels() {
			all = append(all, Sweep{"messages:" + string(ch), func(ctx context.Context, after store.Keyset) (engine.Turn, error) {
				return e.HealMessages(ctx, ch, after)
			}})
		}
	}
	if q == nil {
		return all
	}
	return append(all, Sweep{"unarmed", e.HealUnarmed}, Sweep{"lost", lost(e, q)})
}

// lost is the sweep that notices queues which have forgotten their jobs and
// hands all jobs over again, once for all queues. The beats are remembered only
// when the walk is through, so a scheduler that dies on the way leaves it to the
// next.
func lost(e *engine.Engine, q engine.Beater) func(context.Context, store.Keyset) (engine.Turn, error) {
	var beats map[string]store.Beat // of the queues that the walk is for
	return func(ctx context.Context, after store.Keyset) (t engine.Turn, err error) {
		if after == (store.Keyset{}) {
			if beats, err = listen(ctx, e, q); err != nil || len(beats) == 0 {
				return engine.Turn{}, err
			}
			e.Log.Warn().Strs("queues", slices.Sorted(maps.Keys(beats))).Msg("redis has lost its memory: arming every live action again")
		}
		t, err = e.ArmAgain(ctx, after)
		if t.More {
			breathe(ctx)
		}
		if err != nil || t.More {
			return t, err
		}
		for queue, beat := range beats {
			if err := e.Store.WriteBeat(ctx, queue, beat); err != nil {
				return t, err
			}
		}
		return t, nil
	}
}

// listen returns the beats of the queues that have lost their jobs, and
// remembers those of the others.
func listen(ctx context.Context, e *engine.Engine, q engine.Beater) (map[string]store.Beat, error) {
	gone := map[string]store.Beat{}
	for _, queue := range []string{tasks.QueueEscalation, tasks.QueueReminder} {
		lost, now, err := e.Lost(ctx, q, queue)
		if err != nil {
			return nil, err
		}
		if lost {
			gone[queue] = now
			continue
		}
		if err := e.Store.WriteBeat(ctx, queue, now); err != nil {
			return nil, err
		}
	}
	return gone, nil
}

// armPause stands between two batches of arming everything again, so that it
// never takes more than a few thousand jobs a second from the other work.
const armPause = 100 * time.Millisecond

// breathe waits for armPause, or until the context ends.
func breathe(ctx context.Context) {
	timer := time.NewTimer(armPause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
