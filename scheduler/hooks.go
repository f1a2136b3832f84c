package scheduler

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/pxactions/px/model"
)

// hookTurns calls the hooks of one process, each on its own: one that hangs
// holds up no other.
type hookTurns struct {
	s    *Scheduler
	wg   sync.WaitGroup
	mu   sync.Mutex
	busy map[model.HookID]bool
	away bool // the last turn ended with something unavailable: said once
}

// deliverHooks looks for changes that hooks have not heard of, until the context
// ends.
func (s *Scheduler) deliverHooks(ctx context.Context) {
	t := &hookTurns{s: s, busy: map[model.HookID]bool{}}
	defer t.wg.Wait()
	ticker := time.NewTicker(s.o.Interval)
	defer ticker.Stop()
	known := map[string]model.HookID{}
	for {
		known = t.turn(ctx, known)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// turn begins with every active hook that is not being called yet. It takes
// those of the turn before and returns those of this one.
func (t *hookTurns) turn(ctx context.Context, known map[string]model.HookID) map[string]model.HookID {
	read, cancel := context.WithTimeout(ctx, slotTimeout)
	defer cancel()
	hooks, err := t.s.o.Store.Hooks(read)
	t.tell(ctx, err)
	if err != nil {
		return known
	}
	active := map[string]model.HookID{}
	for _, h := range hooks {
		if !h.Active {
			continue
		}
		active[h.Name] = h.ID
		if t.take(h.ID) {
			t.wg.Go(func() {
				defer t.free(h.ID)
				t.tell(ctx, t.s.o.Engine.DeliverHook(ctx, h))
			})
		}
	}
	for name, id := range known {
		switch {
		case active[name] == id:
		case t.take(id): // paused or deleted, and no call is under way: it is not behind
			t.free(id)
			t.s.o.Metrics.HookLag.DeleteLabelValues(name)
			t.s.o.Metrics.HookFailures.DeleteLabelValues(name)
		default:
			active[name] = id
		}
	}
	return active
}

func (t *hookTurns) take(id model.HookID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.busy[id] {
		return false
	}
	t.busy[id] = true
	return true
}

func (t *hookTurns) free(id model.HookID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.busy, id)
}

// tell says once when the database is away and once when it is back.
func (t *hookTurns) tell(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	away := errors.Is(err, model.ErrUnavailable)
	switch {
	case away && !t.away:
		t.s.o.Log.Warn().Err(err).Msg("hooks wait: a service is away")
	case !away && t.away:
		t.s.o.Log.Info().Msg("hooks go on: the service is back")
	case err != nil && !away:
		t.s.o.Log.Error().Err(err).Msg("hooks failed")
	}
	t.away = away
}
