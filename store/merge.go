package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/uptrace/bun"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/tasks"
)

// subjectsOf are the subjects of feedback, in order, each once; none where the
// policy does not ask for them.
func subjectsOf(st txState, rows []model.Feedback) []string {
	if st.Rules.MergeWindow() == 0 {
		return nil
	}
	var keys []string
	for i := range rows {
		if k := rows[i].SubjectKey; k != "" {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// lockSubjects takes the locks of the subjects of feedback to be decided, in
// their order, until the transaction ends: two signals of one patient that are
// decided at once must not both find that there is no action yet. With lockFree
// it returns the subjects that somebody else has.
func lockSubjects(ctx context.Context, tx bun.Tx, st txState, rows []model.Feedback, lock string) (held map[string]bool, err error) {
	keys := subjectsOf(st, rows)
	if len(keys) == 0 {
		return nil, nil
	}
	take := "pg_advisory_xact_lock(lock) IS NULL" // it waits and is never null
	if lock == lockFree {
		take = "NOT pg_try_advisory_xact_lock(lock)"
	}
	var answers []struct {
		Key  string
		Held bool
	}
	err = tx.NewRaw(`SELECT key, ? AS held FROM (
			SELECT key, hashtextextended(key, 0) AS lock FROM unnest(ARRAY[?]::text[]) AS key ORDER BY 2 OFFSET 0
		) AS subjects`, bun.Safe(take), bun.List(keys)).Scan(ctx, &answers)
	if err != nil {
		return nil, fmt.Errorf("lock subjects: %w", err)
	}
	held = make(map[string]bool, len(answers))
	for _, a := range answers {
		held[a.Key] = a.Held
	}
	return held, nil
}

// maxKin is how many live actions of one subject are looked through, the first
// that were received: more are not of one patient, and each is locked.
const maxKin = 50

// kinOf loads the live actions of subjects that were received near enough, in the
// order of their receipt, maxKin of each at most. taken are the subjects with one
// that somebody else is at.
func (s *Store) kinOf(ctx context.Context, tx bun.Tx, st txState, rows []model.Feedback, lock string) (kin map[string][]sla.Case, taken map[string]bool, err error) {
	keys := subjectsOf(st, rows)
	if len(keys) == 0 {
		return nil, nil, nil
	}
	byReceipt := func(a, b model.Feedback) int { return a.ReceivedAt.Compare(b.ReceivedAt) }
	from := slices.MinFunc(rows, byReceipt).ReceivedAt.Add(-st.Rules.MergeWindow())
	to := slices.MaxFunc(rows, byReceipt).ReceivedAt.Add(st.Rules.MergeWindow())
	var live []struct {
		ID         model.ActionID
		SubjectKey string
	}
	err = tx.NewRaw(`SELECT id, subject_key FROM (
			SELECT id, subject_key, row_number() OVER (PARTITION BY subject_key ORDER BY received_at, id) AS no FROM actions
			WHERE subject_key IN (?) AND subject_key <> '' AND status NOT IN ('closed', 'cancelled') AND received_at BETWEEN ? AND ?
		) AS live WHERE no <= ? ORDER BY no`, bun.List(keys), from, to, maxKin).Scan(ctx, &live)
	if err != nil {
		return nil, nil, fmt.Errorf("look for actions of the same subject: %w", err)
	}
	if len(live) == 0 {
		return nil, nil, nil
	}
	ids := make([]model.ActionID, len(live))
	for i, a := range live {
		ids[i] = a.ID
	}
	cases, err := s.loadCases(ctx, tx, st, ids, lock)
	if err != nil {
		return nil, nil, err
	}
	kin, taken = map[string][]sla.Case{}, map[string]bool{}
	for _, a := range live {
		if c := cases[a.ID]; c != nil {
			kin[a.SubjectKey] = append(kin[a.SubjectKey], *c)
		} else {
			taken[a.SubjectKey] = true
		}
	}
	return kin, taken, nil
}

// bySubject splits feedback so that no round has two of one subject: the second
// is to find the action that the first became.
func bySubject(st txState, rows []model.Feedback) [][]model.Feedback {
	if st.Rules.MergeWindow() == 0 {
		return [][]model.Feedback{rows}
	}
	var out [][]model.Feedback
	seen := map[string]int{}
	for _, f := range rows {
		n := 0
		if f.SubjectKey != "" {
			n = seen[f.SubjectKey]
			seen[f.SubjectKey]++
		}
		if n == len(out) {
			out = append(out, nil)
		}
		out[n] = append(out[n], f)
	}
	return out
}

// Unmerged is a feedback that has become an action of its own.
type Unmerged struct {
	Action  model.Action // of its own
	From    model.Action // what it had joined
	Taken   []Taken      // what was due of both
	NoOwner bool         // the action of its own found nobody to own it
}

// Unmerge takes a feedback out of the action that it had joined and makes it an
// action of its own, by the active policy, linked to that one where this links the
// two. Both stories say so. Errors: model.ErrNotFound, model.ErrConflict when it
// has not joined one, model.FieldErrors when the active policy would make no
// action of it.
func (s *Store) Unmerge(ctx context.Context, id model.FeedbackID, m sla.MoveRequest) (Unmerged, tasks.Effects, error) {
	var done Unmerged
	var effects tasks.Effects
	err := s.inTx(ctx, func(ctx context.Context, tx bun.Tx, st txState) error {
		var f model.Feedback
		if err := tx.NewSelect().Model(&f).Where("id = ?", id).For("UPDATE").Scan(ctx); err != nil {
			return fmt.Errorf("load feedback: %w", err)
		}
		if f.Decision != model.DecisionMerged {
			return fmt.Errorf("%w: it was not merged into an action", model.ErrConflict)
		}
		if f.RetractedAt != nil {
			return model.ErrRetracted
		}
		from := *f.ActionID
		if _, err := lockSubjects(ctx, tx, st, []model.Feedback{f}, lockAll); err != nil {
			return err
		}
		cases, err := s.loadCases(ctx, tx, st, []model.ActionID{from}, lockAll)
		if err != nil {
			return err
		}
		loads, err := readLoads(ctx, tx, st)
		if err != nil {
			return err
		}
		c, w := cases[from], &writer{st: st, grace: s.grace}
		r := decide(&f, st, loads, w, *c)
		if f.Decision != model.DecisionCreated {
			var faults model.FieldErrors
			faults.Add("feedback", "not_negative", fmt.Sprintf("cannot be an action of its own: the active policy says %s, %s", f.Decision, f.Reason))
			return faults
		}
		if err := nameActions(ctx, tx, w); err != nil {
			return err
		}
		out, err := sla.Part(*c, &f, w.created[0].Ref, m, w.nowFor(&c.Action))
		if err != nil {
			return err
		}
		w.add(out, c.Action.Gen)
		if err := w.write(ctx, tx); err != nil {
			return err
		}
		done = Unmerged{Action: w.created[0], From: out.Action, Taken: append(r.Taken, w.taken(out)...), NoOwner: r.NoOwner}
		effects = w.effects()
		return writeDecisions(ctx, tx, []model.Feedback{f})
	})
	if err != nil {
		return done, effects, fmt.Errorf("unmerge feedback %s: %w", id, err)
	}
	return done, effects, nil
}
