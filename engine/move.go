package engine

import (
	"context"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

// moveTries is how often a move is tried that another one got in the way of.
const moveTries = 5

// Move makes a person's move on an action: what is due is settled first, then
// the move, then the new plan is armed. version is the version the person saw;
// 0 means any. Errors: *model.TransitionError, model.FieldErrors,
// model.ErrForbidden, model.ErrNotFound, model.ErrConflict,
// model.ErrUnavailable.
func (e *Engine) Move(ctx context.Context, id model.ActionID, version int64, req sla.MoveRequest) (*model.Action, error) {
	moved, err := e.MoveOnce(ctx, store.Move{ActionID: id, Version: version, Request: req})
	if err != nil {
		return nil, err
	}
	return &moved.Action, nil
}

// MoveOnce is Move, and remembers the request where m.Once says so: a repeat is
// answered with the action as it is then. A move that another one got in the way of
// is tried again, but for a version that has passed. Errors: as Move, and store.ErrReused.
func (e *Engine) MoveOnce(ctx context.Context, m store.Move) (store.Moved, error) {
	if err := storable(m.Request); err != nil {
		return store.Moved{}, err
	}
	var moved store.Moved
	var err error
	for range moveTries {
		moved, err = e.moveOnce(ctx, m)
		again := store.Contended(err) || m.Version == 0 && errors.Is(err, model.ErrConflict)
		if !again || ctx.Err() != nil {
			break
		}
	}
	move := string(m.Request.Move)
	switch {
	case err != nil:
		e.Metrics.Moves.WithLabelValues(move, "refused").Inc()
	case moved.Replayed:
		e.Metrics.Moves.WithLabelValues(move, "replayed").Inc()
	default:
		e.countTaken(moved.Taken)
		e.Metrics.Moves.WithLabelValues(move, "made").Inc()
		e.Log.Info().Stringer("action", m.ActionID).Str("move", move).Str("status", string(moved.Action.Status)).
			Str("request_id", m.Request.Origin.Request).Msg("action moved")
	}
	return moved, err
}

func (e *Engine) moveOnce(ctx context.Context, m store.Move) (store.Moved, error) {
	results, effects, err := e.Store.Move(ctx, []store.Move{m})
	e.hand(ctx, effects)
	if err == nil {
		err = results[0].Err
	}
	return results[0], err
}

// Unmerge takes a feedback out of the action that it had joined and makes it an
// action of its own. req says who does it and why. Errors: as Move, and
// model.ErrConflict when the feedback has not joined an action.
func (e *Engine) Unmerge(ctx context.Context, id model.FeedbackID, req sla.MoveRequest) (store.Unmerged, error) {
	if strings.TrimSpace(req.Reason) == "" {
		var faults model.FieldErrors
		faults.Add("reason", "required", "say why it does not belong there")
		return store.Unmerged{}, faults
	}
	if err := storable(req); err != nil {
		return store.Unmerged{}, err
	}
	done, effects, err := e.Store.Unmerge(ctx, id, req)
	e.hand(ctx, effects)
	if err != nil {
		e.Metrics.Moves.WithLabelValues(string(model.MoveUnmerge), "refused").Inc()
		return done, err
	}
	e.countTaken(done.Taken)
	if done.NoOwner {
		e.tellNoOwner(done.Action.ID)
	}
	e.Metrics.Moves.WithLabelValues(string(model.MoveUnmerge), "made").Inc()
	e.Log.Info().Stringer("feedback", id).Stringer("action", done.Action.ID).Stringer("from", done.From.ID).Msg("feedback taken out of an action")
	return done, nil
}

// storable refuses words that PostgreSQL cannot hold, naming the field.
func storable(req sla.MoveRequest) error {
	var faults model.FieldErrors
	words := []struct{ name, words string }{
		{"reason", req.Reason}, {"text", req.Text}, {"action_plan", req.ActionPlan}, {"outcome", req.Outcome}, {"root_cause", req.RootCause},
	}
	if req.Informed != nil {
		words = append(words, struct{ name, words string }{"complainant_informed.why_not", req.Informed.WhyNot})
	}
	for _, f := range words {
		if strings.ContainsRune(f.words, 0) || !utf8.ValidString(f.words) {
			faults.Add(f.name, "format", "must be UTF-8 text without NUL characters")
		}
	}
	return faults.Err()
}
