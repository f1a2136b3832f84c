package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/store"
	"github.com/pxactions/px/tasks"
)

// Revise takes new content for a feedback of a source: a whole event as JSON, with
// the event id that it came with or none. The same content as the one that stands
// gets the first answer. received_at is judged as of when the feedback came in.
// The answer is the feedback as it now stands.
//
// Errors: model.ErrNotFound (also of what the source may not see),
// *UnreadableError, ErrTooLarge, model.FieldErrors, model.ErrForbidden (the
// hospital), model.ErrRetracted, model.ErrUnavailable.
func (e *Engine) Revise(ctx context.Context, src Source, id model.FeedbackID, raw []byte) (*model.Feedback, error) {
	return e.restate(ctx, model.MoveRevise, src, id, func(was *model.Feedback) (store.Revised, tasks.Effects, error) {
		row, err := e.readRevision(ctx, src, was, raw)
		if err != nil {
			return store.Revised{}, tasks.Effects{}, err
		}
		return e.Store.Revise(ctx, row, src.Origin)
	})
}

// Retract marks a feedback of a source as taken back. What was taken back before
// gets the first answer. Errors: model.ErrNotFound, model.FieldErrors,
// model.ErrUnavailable.
func (e *Engine) Retract(ctx context.Context, src Source, id model.FeedbackID, why model.RetractReason) (*model.Feedback, error) {
	if !model.Valid(why, model.RetractReasons()) {
		return nil, model.FieldErrors{{Field: "reason", Code: "enum", Want: "one of " + strings.Join(words(model.RetractReasons()), ", ")}}
	}
	return e.restate(ctx, model.MoveRetract, src, id, func(*model.Feedback) (store.Revised, tasks.Effects, error) {
		return e.Store.Retract(ctx, id, why, src.Origin)
	})
}

// restate does what revising and retracting have in common.
func (e *Engine) restate(ctx context.Context, m model.Move, src Source, id model.FeedbackID,
	do func(*model.Feedback) (store.Revised, tasks.Effects, error)) (*model.Feedback, error) {
	was, err := e.Store.Feedback(ctx, id)
	if err != nil {
		return nil, err
	}
	if was.SourceSystem != src.System || len(src.Hospitals) > 0 && was.HospitalID != nil && !slices.Contains(src.Hospitals, *was.HospitalID) {
		return nil, model.ErrNotFound
	}
	done, effects, err := do(was)
	if err != nil {
		e.Metrics.Moves.WithLabelValues(string(m), "refused").Inc()
		return nil, err
	}
	e.hand(ctx, effects)
	if done.Before {
		return &done.Feedback, nil
	}
	e.countTaken(done.Taken)
	e.Metrics.Moves.WithLabelValues(string(m), "made").Inc()
	log := e.Log.Info().Stringer("feedback", id).Str("move", string(m)).Int("revision", done.Feedback.Revision)
	if done.Action != nil {
		log = log.Stringer("action", done.Action.ID).Str("status", string(done.Action.Status))
	}
	log.Msg("feedback revised")
	return &done.Feedback, nil
}

// readRevision reads and maps the new content of a feedback.
func (e *Engine) readRevision(ctx context.Context, src Source, was *model.Feedback, raw []byte) (model.Feedback, error) {
	var none model.Feedback
	if len(raw) > MaxEventBytes {
		return none, ErrTooLarge
	}
	now, rules, err := e.Store.Present(ctx)
	if err != nil {
		return none, fmt.Errorf("revise feedback %s: %w", was.ID, err)
	}
	d := &draft{raw: raw, answer: &Receipt{}}
	var faults model.FieldErrors
	if d.event, faults, err = ParseEvent(raw); err != nil {
		return none, err
	}
	d.check = newChecker(faults)
	own := strings.TrimPrefix(was.EventID, rawMark) // what had no id of its own has its hash, which no sender may write
	if id := strings.TrimSpace(d.event.EventID); id != "" && id != was.EventID {
		d.check.add("event_id", "conflict", "the id that the feedback came with, or none")
	}
	d.event.EventID = own
	m := mapper{src: src, dir: rules.Directory(), now: now.Domain, maxAge: rules.MaxAge + now.Domain.Sub(was.CreatedAt), subjectKey: e.SubjectKey}
	m.prepare(d)
	if d.err != nil {
		return none, d.err
	}
	if len(d.check.faults) > 0 {
		return none, d.check.sorted()
	}
	d.row.ID, d.row.EventID, d.row.CreatedAt = was.ID, was.EventID, was.CreatedAt
	return d.row, nil
}

// ParseRetraction reads why a feedback is taken back: an object whose only member
// is reason. Errors: *UnreadableError, model.FieldErrors.
func ParseRetraction(raw []byte) (model.RetractReason, error) {
	if err := readable(raw); err != nil {
		return "", err
	}
	r := &reader{}
	top := r.members(raw, "")
	why := model.RetractReason(top.text("reason"))
	top.end()
	return why, r.faults.Err()
}
