package engine

import (
	"context"
	"errors"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/store"
)

// Decide turns accepted feedback into its one decision each, and where that is
// `created` into an action with an owner and a plan. Feedback that was decided
// before has its current effects enqueued again. One that fails alone is left
// undecided for a sweep, with its error joined into the result.
func (e *Engine) Decide(ctx context.Context, ids []model.FeedbackID) ([]store.Created, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	all, err := e.decide.do(ctx, ids...)
	if err != nil {
		return nil, err
	}
	var mine []store.Created
	var errs []error
	for _, id := range ids {
		r, ok := all[id]
		if !ok {
			continue
		}
		mine = append(mine, r)
		if r.Err != nil {
			errs = append(errs, r.Err)
		}
	}
	return mine, errors.Join(errs...)
}

func (e *Engine) decideBatch(ctx context.Context, ids []model.FeedbackID) (map[model.FeedbackID]store.Created, error) {
	results, effects, err := e.Store.Create(ctx, ids)
	e.hand(ctx, effects)
	byID := make(map[model.FeedbackID]store.Created, len(results))
	for _, r := range results {
		byID[r.FeedbackID] = r
		if !r.Before && r.Decision != "" {
			e.countDecision(r)
		}
	}
	return byID, err
}

func (e *Engine) countDecision(r store.Created) {
	e.countTaken(r.Taken)
	e.Metrics.Decisions.WithLabelValues(string(r.Decision), r.Reason).Inc()
	if r.ActionID != nil {
		e.Metrics.DecisionSeconds.Observe(r.Late.Seconds())
	}
	if r.NoOwner {
		e.tellNoOwner(*r.ActionID)
	}
}

func (e *Engine) tellNoOwner(id model.ActionID) {
	e.Metrics.NoOwner.Inc()
	e.Log.Warn().Stringer("action", id).Msg("action has no owner: nobody eligible in the directory")
}
