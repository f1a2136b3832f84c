package engine

import (
	"context"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/store"
)

// Fire takes what is due of an action's plan, if ref is its current job and its
// time has come.
func (e *Engine) Fire(ctx context.Context, ref store.DeadlineRef) (store.FireResult, error) {
	all, err := e.fire.do(ctx, ref)
	if err != nil {
		return store.FireResult{}, err
	}
	r := all[ref]
	return r, r.Err
}

func (e *Engine) fireBatch(ctx context.Context, refs []store.DeadlineRef) (map[store.DeadlineRef]store.FireResult, error) {
	results, effects, err := e.Store.Fire(ctx, refs)
	e.hand(ctx, effects)
	byRef := make(map[store.DeadlineRef]store.FireResult, len(results))
	for _, r := range results {
		byRef[r.Ref] = r
		e.countTaken(r.Taken)
	}
	return byRef, err
}

// countTaken counts events, whoever's transaction took them.
func (e *Engine) countTaken(taken []store.Taken) {
	for _, ev := range taken {
		e.Metrics.LatenessSeconds.WithLabelValues(string(ev.Kind)).Observe(ev.Late.Seconds())
		if ev.Kind == model.EventEscalation && ev.Done == model.DoneUntargeted {
			e.Metrics.Untargeted.Inc()
		}
	}
}
