package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/store"
)

// Replayed is what a replay did.
type Replayed struct {
	Seen     int // quarantined feedback looked at
	Requeued int // now undecided: a worker or a sweep decides them
	Still    int // cannot be read or mapped yet; their reason is new
	Failed   int // could not be written; they stay as they are
	// Reasons counts those that stay by their new reason, without what only the
	// sender may have named: unmapped:hospital, invalid:score; nil: none.
	Reasons map[string]int
}

// Replay reads quarantined feedback again, with the directory as it now is.
// What can be mapped is decided like any other; the rest stays, with its new
// reason. What was quarantined because deciding it failed gets a fresh start.
// The filter's Limit is for the whole; 0: no limit. received_at is judged as of
// when the feedback came in.
func (e *Engine) Replay(ctx context.Context, f store.QuarantineFilter) (Replayed, error) {
	const page = 200
	var done Replayed
	if f.Before.IsZero() {
		now, err := e.Store.Now(ctx)
		if err != nil {
			return done, fmt.Errorf("replay feedback: %w", err)
		}
		f.Before = now.Domain.Add(time.Second) // what comes in meanwhile is for the next replay
	}
	most := f.Limit
	for most == 0 || done.Seen < most {
		f.Limit = page
		if most > 0 {
			f.Limit = min(page, most-done.Seen)
		}
		rows, err := e.Store.Quarantined(ctx, f)
		if err != nil {
			return done, fmt.Errorf("replay feedback: %w", err)
		}
		if len(rows) == 0 {
			return done, nil
		}
		if err := e.replay(ctx, rows, &done); err != nil {
			return done, fmt.Errorf("replay feedback: %w", err)
		}
		f.After = rows[len(rows)-1].ID
	}
	return done, nil
}

func (r *Replayed) still(reason string) {
	r.Still++
	if r.Reasons == nil {
		r.Reasons = map[string]int{}
	}
	code, fields, ok := strings.Cut(reason, ":")
	if !ok {
		r.Reasons[code]++
		return
	}
	var known []string
	for field := range strings.SplitSeq(fields, ",") {
		if i := strings.IndexAny(field, ".["); i > 0 {
			field = field[:i]
		}
		if !slices.Contains(fieldOrder(), field) {
			field = "(an unknown field)"
		}
		if !slices.Contains(known, field) {
			known = append(known, field)
		}
	}
	r.Reasons[code+":"+strings.Join(known, ",")]++
}

func (e *Engine) replay(ctx context.Context, rows []model.Feedback, done *Replayed) error {
	_, rules, err := e.Store.Present(ctx)
	if err != nil {
		return err
	}
	rs := make([]store.Replacement, len(rows))
	for i := range rows {
		rs[i] = store.Replacement{Row: e.reread(&rows[i], mapper{dir: rules.Directory(), maxAge: rules.MaxAge, subjectKey: e.SubjectKey}), Was: rows[i].ContentHash}
	}
	failed, effects, err := e.Store.ReplaceQuarantined(ctx, rs)
	if err != nil {
		return err
	}
	e.hand(ctx, effects)
	done.Seen += len(rows)
	done.Failed += len(failed)
	done.Requeued += len(effects.Create)
	for _, r := range rs {
		if failed[r.Row.ID] == nil && r.Row.Decision == model.DecisionQuarantined {
			done.still(r.Row.Reason)
		}
	}
	for id, err := range failed {
		e.Log.Warn().Stringer("feedback", id).Err(err).Msg("quarantined feedback not replayed")
	}
	return nil
}

// reread makes the row that a replay writes.
func (e *Engine) reread(old *model.Feedback, m mapper) model.Feedback {
	row := *old
	if old.Raw == nil {
		row.Decision, row.Reason, row.PolicyRevision = "", "", nil
		return row
	}
	m.src, m.now = Source{
		System: old.SourceSystem, Quarantine: true, Person: old.SentBy, Origin: model.Origin{Key: old.SentKey, Request: old.RequestID},
	}, old.CreatedAt
	d := &draft{raw: keptRaw(*old.Raw), check: newChecker(nil), answer: &Receipt{}}
	var faults model.FieldErrors
	d.event, faults, d.err = ParseEvent(d.raw)
	d.check = newChecker(faults)
	m.prepare(d)
	if d.err != nil || len(d.check.faults) > 0 {
		row.Reason = d.reason()
		return row
	}
	row = d.row
	row.ID, row.CreatedAt = old.ID, old.CreatedAt
	if row.ReceivedAt.IsZero() {
		row.ReceivedAt = old.ReceivedAt
	}
	return row
}
