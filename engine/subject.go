package engine

import (
	"context"
	"fmt"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

// Purged is what a purge of a subject's words came to.
type Purged struct {
	Actions   int    // whose words were erased
	Feedback  int    // likewise
	Files     int    // erased
	FilesLeft int    // of them: those that could not be deleted now and are left to the sweep
	Left      []Left // what keeps its words
}

// Left is what a purge left alone.
type Left struct {
	What string // action RUH-26-0004172, feedback 0190…
	Why  string
}

// Purge erases the words about a patient or visit, whatever the policy says, of
// live actions, too. What is under legal hold stays, and what is not decided yet:
// no feedback is to be dropped undecided. Errors:
// model.ErrNotFound where nothing is held about the subject; model.FieldErrors
// without a subject or a key.
func (e *Engine) Purge(ctx context.Context, subject string) (Purged, error) {
	var done Purged
	held, err := e.held(ctx, subject)
	if err != nil {
		return done, err
	}
	var actions []model.ActionID
	for _, a := range held.Actions {
		if a.LegalHoldAt != nil {
			done.Left = append(done.Left, Left{"action " + a.Ref, "it is under legal hold"})
			continue
		}
		actions = append(actions, a.ID)
	}
	var ignored []model.FeedbackID
	for _, f := range held.Feedback {
		switch {
		case f.Was, f.ActionID != nil, f.Erased: // as its action, or as its earlier revision
		case f.Decision == model.DecisionIgnored:
			ignored = append(ignored, f.ID)
		case f.Decision == model.DecisionQuarantined:
			done.Left = append(done.Left, Left{"feedback " + f.ID.String(), "it is quarantined: replay or retract it first"})
		default:
			done.Left = append(done.Left, Left{"feedback " + f.ID.String(), "it is not decided yet: try again in a moment"})
		}
	}
	for more := true; more; {
		as, fs := actions[:min(len(actions), eraseBatch)], ignored[:min(len(ignored), eraseBatch)]
		actions, ignored = actions[len(as):], ignored[len(fs):]
		one, err := e.Store.EraseSubject(ctx, held.Key, as, fs)
		done.Actions, done.Feedback, done.Files = done.Actions+one.Actions, done.Feedback+one.Feedback, done.Files+len(one.Files)
		done.FilesLeft += e.deleteFiles(ctx, one.Files)
		if err != nil {
			return done, fmt.Errorf("purge: %w", err)
		}
		more = len(actions)+len(ignored) > 0
	}
	e.Log.Info().Int("actions", done.Actions).Int("feedback", done.Feedback).Int("files", done.Files).Int("left", len(done.Left)).Msg("words of a subject erased")
	return done, nil
}

// ExportSubject hands out every row that is held about a patient or visit, with
// its words. Errors as of Purge.
func (e *Engine) ExportSubject(ctx context.Context, subject string, each func(store.SubjectRow) error) error {
	held, err := e.held(ctx, subject)
	if err != nil {
		return err
	}
	return e.Store.ExportSubject(ctx, held, each)
}

// held is what there is about a subject, quarantined feedback that names it
// included.
func (e *Engine) held(ctx context.Context, subject string) (store.Subject, error) {
	key := subjectKey(e.SubjectKey, subject)
	if key == "" {
		var faults model.FieldErrors
		faults.Add("subject", "required", "the number of a patient or visit, and PX_SUBJECT_KEY as the intake has it")
		return store.Subject{}, faults
	}
	also, err := e.quarantinedOf(ctx, key)
	if err != nil {
		return store.Subject{}, err
	}
	held, err := e.Store.Subject(ctx, key, also)
	if err == nil && len(held.Actions)+len(held.Feedback) == 0 {
		err = fmt.Errorf("%w: nothing is held about this subject (or PX_SUBJECT_KEY is not the one of the intake)", model.ErrNotFound)
	}
	return held, err
}

// quarantinedOf finds the quarantined feedback that names a subject as far as it
// can be read: its row does not.
func (e *Engine) quarantinedOf(ctx context.Context, key string) ([]model.FeedbackID, error) {
	var found []model.FeedbackID
	var f store.QuarantineFilter
	for {
		rows, err := e.Store.Quarantined(ctx, f)
		if err != nil || len(rows) == 0 {
			return found, err
		}
		for i := range rows {
			if rows[i].Raw == nil {
				continue
			}
			if ev, _, _ := ParseEvent(keptRaw(*rows[i].Raw)); subjectKey(e.SubjectKey, ev.Subject) == key {
				found = append(found, rows[i].ID)
			}
		}
		f.After = rows[len(rows)-1].ID
	}
}

// LegalHold keeps an action from being erased, by retention and on request, or
// lets it be again. m says who does it and why. Errors: model.FieldErrors,
// model.ErrForbidden, model.ErrNotFound, model.ErrUnavailable.
func (e *Engine) LegalHold(ctx context.Context, id model.ActionID, on bool, m sla.MoveRequest) (*model.Action, error) {
	if err := storable(m); err != nil {
		return nil, err
	}
	done, effects, err := e.Store.LegalHold(ctx, id, on, m)
	e.hand(ctx, effects)
	outcome := "made"
	if err != nil {
		outcome = "refused"
	}
	e.Metrics.Moves.WithLabelValues(string(model.MoveLegalHold), outcome).Inc()
	if err != nil {
		return nil, err
	}
	e.countTaken(done.Taken)
	e.Log.Info().Stringer("action", id).Bool("on", on).Msg("legal hold")
	return &done.Action, nil
}
