package store

import (
	"bytes"
	"context"
	"fmt"

	"github.com/uptrace/bun"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/tasks"
)

// Revised is what became of a feedback that its source has revised or retracted.
type Revised struct {
	Feedback model.Feedback // as it now stands
	Action   *model.Action  // that it is part of; nil: none, or it was said before
	Taken    []Taken        // what was due of the action
	Before   bool           // it had been said before this call
}

// Revise puts new content in the place of a feedback's; what it said before is
// kept. One that no action was made of is undecided again, be it ignored or
// quarantined; where there is an action, the rules carry it in there. The same
// content as the one that stands changes nothing and yields the current effects.
// Errors: model.ErrNotFound, model.ErrRetracted, model.FieldErrors where it is
// another event.
func (s *Store) Revise(ctx context.Context, row model.Feedback, from model.Origin) (Revised, tasks.Effects, error) {
	return s.revise(ctx, row.ID, func(ctx context.Context, tx bun.Tx, st txState, f *model.Feedback) (amended, error) {
		c := amended{row: row, revision: sla.Revision{Move: model.MoveRevise, Origin: from}}
		if bytes.Equal(f.ContentHash, row.ContentHash) {
			return c, errSaidBefore
		}
		if f.RetractedAt != nil {
			return c, model.ErrRetracted
		}
		if err := sameEvent(f, &row); err != nil {
			return c, err
		}
		at := second(st.Now.Domain)
		c.row.Revision, c.row.RevisedAt = f.Revision+1, &at
		switch {
		case !row.ReceivedAt.IsZero():
		case f.Decision == model.DecisionIgnored: // until now there was nothing to do
			c.row.ReceivedAt = at
		default:
			c.row.ReceivedAt = f.ReceivedAt
		}
		c.row.HealAfter = st.Now.Machine.Add(s.grace)
		return c, keepContent(ctx, tx, f, st)
	})
}

// Retract marks a feedback as taken back. Undecided or quarantined, it is ignored;
// where there is an action, the rules carry it in there. What is retracted already
// stays so for the first reason. Errors: model.ErrNotFound.
func (s *Store) Retract(ctx context.Context, id model.FeedbackID, why model.RetractReason, from model.Origin) (Revised, tasks.Effects, error) {
	return s.revise(ctx, id, func(_ context.Context, _ bun.Tx, st txState, f *model.Feedback) (amended, error) {
		c := amended{row: *f, revision: sla.Revision{Move: model.MoveRetract, Retracted: why, Origin: from}}
		if f.RetractedAt != nil {
			return c, errSaidBefore
		}
		at := second(st.Now.Domain)
		c.row.RetractedAt, c.row.RetractReason = &at, why
		return c, nil
	})
}

// errSaidBefore ends a revision that changes nothing.
var errSaidBefore = fmt.Errorf("%w: said before", model.ErrConflict)

// amended is the row that a revision or retraction makes of a feedback, and what of
// it the rules are to know.
type amended struct {
	row      model.Feedback
	revision sla.Revision
}

func (s *Store) revise(ctx context.Context, id model.FeedbackID, to func(context.Context, bun.Tx, txState, *model.Feedback) (amended, error)) (Revised, tasks.Effects, error) {
	var done Revised
	var effects tasks.Effects
	err := s.inTx(ctx, func(ctx context.Context, tx bun.Tx, st txState) error {
		done, effects = Revised{}, tasks.Effects{}
		var f model.Feedback
		if err := tx.NewSelect().Model(&f).Where("id = ?", id).For("UPDATE").Scan(ctx); err != nil {
			return fmt.Errorf("load feedback: %w", err)
		}
		c, err := to(ctx, tx, st, &f)
		switch {
		case err == errSaidBefore: //nolint:errorlint // it never leaves this file
			done = Revised{Feedback: f, Before: true}
			effects, err = outstanding(ctx, tx, st, &f)
			return err
		case err != nil:
			return err
		}
		row := &c.row
		row.Decision, row.Reason, row.ActionID, row.DecidedAt, row.PolicyRevision = f.Decision, f.Reason, f.ActionID, f.DecidedAt, f.PolicyRevision
		if f.ActionID != nil {
			effects, err = s.reviseAction(ctx, tx, st, &f, &c, &done)
		} else {
			undecide(&c, st)
			if row.Decision == "" {
				effects.Create = []model.FeedbackID{id}
			}
		}
		if err != nil {
			return err
		}
		done.Feedback = *row
		return writeRevised(ctx, tx, row)
	})
	if err != nil {
		return Revised{}, tasks.Effects{}, fmt.Errorf("revise feedback %s: %w", id, err)
	}
	return done, effects, nil
}

// outstanding is what the queue may not have heard of a feedback.
func outstanding(ctx context.Context, tx bun.Tx, st txState, f *model.Feedback) (tasks.Effects, error) {
	switch {
	case f.Decision == "":
		return tasks.Effects{Create: []model.FeedbackID{f.ID}}, nil
	case f.ActionID != nil:
		return currentEffects(ctx, tx, st, []model.ActionID{*f.ActionID})
	}
	return tasks.Effects{}, nil
}

// undecide makes feedback without an action undecided for what it says now; what
// is taken back before it was decided is ignored.
func undecide(c *amended, st txState) {
	f := &c.row
	at := second(st.Now.Domain)
	switch {
	case c.revision.Move == model.MoveRevise:
		f.Decision, f.Reason, f.DecidedAt, f.PolicyRevision, f.Tries = "", "", nil, nil, 0
	case f.Decision != model.DecisionIgnored:
		f.Decision, f.Reason, f.DecidedAt, f.PolicyRevision = model.DecisionIgnored, sla.ReasonRetracted, &at, nil
	}
}

// sameEvent: what is read as another source, place or mode is no other content of
// the same event. What could not be read may turn out to be anything.
func sameEvent(was, is *model.Feedback) error {
	var faults model.FieldErrors
	if was.Decision == model.DecisionQuarantined {
		return nil
	}
	const instead = "what it was; to change that, retract the feedback and send it under another id"
	if was.SourceType != is.SourceType {
		faults.Add("source_type", "conflict", instead)
	}
	if deref(was.HospitalID) != deref(is.HospitalID) {
		faults.Add("hospital", "conflict", instead)
	}
	if was.Mode != is.Mode {
		faults.Add("mode", "conflict", instead)
	}
	return faults.Err()
}

// keepContent keeps what a feedback says and what was decided of it.
func keepContent(ctx context.Context, tx bun.Tx, f *model.Feedback, st txState) error {
	_, err := tx.NewRaw(`INSERT INTO feedback_revisions
			(feedback_id, revision, content_hash, content, decision, reason, decided_at, policy_revision, replaced_at)
		SELECT id, revision, content_hash, jsonb_strip_nulls(to_jsonb(f) - ARRAY[?]::text[]), decision, reason, decided_at, policy_revision, ?
		FROM feedback f WHERE id = ?`, bun.List(notContent()), second(st.Now.Domain), f.ID).Exec(ctx)
	if err != nil {
		return fmt.Errorf("keep the earlier content: %w", err)
	}
	return nil
}

// notContent are the columns of a feedback that are no part of a content: neither
// what its source said nor who sent it.
func notContent() []string {
	return []string{
		"id", "source_system", "event_id", "content_hash", "decision", "reason", "action_id", "decided_at", "policy_revision",
		"tries", "heal_after", "created_at", "revision", "revised_at", "retracted_at", "retract_reason",
	}
}

func writeRevised(ctx context.Context, tx bun.Tx, f *model.Feedback) error {
	_, err := tx.NewUpdate().Model(f).ExcludeColumn("id", "source_system", "event_id", "created_at").WherePK().Exec(ctx)
	if err != nil {
		return fmt.Errorf("write feedback: %w", err)
	}
	return nil
}

// reviseAction carries a change into the action that the feedback is part of.
// Rows are locked in the order of Create: feedback, subjects, actions.
func (s *Store) reviseAction(ctx context.Context, tx bun.Tx, st txState, was *model.Feedback, c *amended, done *Revised) (tasks.Effects, error) {
	var none tasks.Effects
	if _, err := lockSubjects(ctx, tx, st, []model.Feedback{*was, c.row}, lockAll); err != nil {
		return none, err
	}
	id := *was.ActionID
	cases, err := s.loadCases(ctx, tx, st, []model.ActionID{id}, lockAll)
	if err != nil {
		return none, err
	}
	k, v := cases[id], &c.revision
	v.Was, v.Is = was, &c.row
	if err := s.judgeRevision(ctx, tx, st, v); err != nil {
		return none, err
	}
	if v.Others, err = s.othersOf(ctx, tx, st, id, was.ID); err != nil {
		return none, err
	}
	if err := readTouch(ctx, tx, id, v); err != nil {
		return none, err
	}
	if c.row.DepartmentID != nil {
		rules, err := s.pinnedRules(ctx, tx, st, &k.Action)
		if err != nil {
			return none, err
		}
		v.Config = rules.Match(k.Action.HospitalID, c.row.DepartmentID)
		v.OpenTime = st.Rules.OpenTime(v.Config, k.Action.HospitalID, c.row.DepartmentID)
	}
	loads, err := readLoads(ctx, tx, st)
	if err != nil {
		return none, err
	}
	w := &writer{st: st, grace: s.grace}
	now := w.nowFor(&k.Action)
	out := st.Rules.Revise(*k, *v, loads, now)
	w.add(out, k.Action.Gen)
	if err := w.write(ctx, tx); err != nil {
		return none, err
	}
	if f := &c.row; v.Move == model.MoveRevise {
		at := second(now)
		f.DecidedAt = &at
		if f.Decision == model.DecisionCreated && v.After.Severity != "" {
			f.Reason = v.After.Reason
		}
	}
	done.Action, done.Taken = &out.Action, w.taken(out)
	return w.effects(), nil
}

// judgeRevision says what the trigger makes of both contents, by the policy under
// which the feedback was decided. What cannot be judged counts as it did before.
func (s *Store) judgeRevision(ctx context.Context, tx bun.Tx, st txState, v *sla.Revision) error {
	rules, err := s.rulesOf(ctx, tx, st, deref(v.Was.PolicyRevision))
	if err != nil {
		return err
	}
	v.Before = rules.Judge(v.Was)
	if v.Move == model.MoveRevise {
		if v.After = rules.Judge(v.Is); v.After.Decision == model.DecisionQuarantined {
			v.After = v.Before
		}
	}
	return nil
}

// othersOf is the gravest severity of what else is in an action and stands. The
// action is locked, so nothing joins or leaves meanwhile.
func (s *Store) othersOf(ctx context.Context, tx bun.Tx, st txState, id model.ActionID, but model.FeedbackID) (model.Severity, error) {
	var rows []model.Feedback
	err := tx.NewSelect().Model(&rows).Where("action_id = ?", id).Where("id <> ?", but).Where("retracted_at IS NULL").Scan(ctx)
	if err != nil {
		return "", fmt.Errorf("load what else is in the action: %w", err)
	}
	var gravest model.Severity
	for i := range rows {
		rules, err := s.rulesOf(ctx, tx, st, deref(rows[i].PolicyRevision))
		if err != nil {
			return "", err
		}
		if sev := rules.Judge(&rows[i]).Severity; sev.Rank() > gravest.Rank() {
			gravest = sev
		}
	}
	return gravest, nil
}

// readTouch reads from an action's story whether somebody has moved it (a person, an
// API key, or a command without a name; notes, and what came in, leave it
// untouched), and whether what ended it was a revision.
func readTouch(ctx context.Context, tx bun.Tx, id model.ActionID, v *sla.Revision) error {
	ours := []model.Move{model.MoveRevise, model.MoveRetract}
	var touch struct{ Moved, Withdrawn bool }
	err := tx.NewRaw(`SELECT coalesce(bool_or(log_type NOT IN ('note', 'created') AND NOT (log_type = 'merged' AND metadata->>'move' IS NULL) AND coalesce(metadata->>'move', '') NOT IN (?0) AND
				(created_by IS NOT NULL OR metadata->>'key' IS NOT NULL OR metadata->>'move' IN (?1) AND seq > 2)), false) AS moved,
			coalesce((array_agg(metadata->>'move' ORDER BY seq DESC) FILTER (WHERE new_status <> ''))[1] IN (?0), false) AS withdrawn
		FROM action_logs WHERE action_id = ?2`, bun.List(ours), bun.List(model.Moves()), id).Scan(ctx, &touch)
	if err != nil {
		return fmt.Errorf("read the action's story: %w", err)
	}
	v.Moved, v.Withdrawn = touch.Moved, touch.Withdrawn
	return nil
}
