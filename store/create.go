package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/tasks"
)

// maxTries is how often deciding a feedback alone may fail before it is
// quarantined for a person to look at.
const maxTries = 5

// Created is what became of one feedback.
type Created struct {
	FeedbackID model.FeedbackID
	Decision   model.Decision // empty: deciding it failed and will be tried again
	Reason     string
	ActionID   *model.ActionID
	Before     bool    // it had been decided before this call
	Taken      []Taken // events already past, which the decision took, be it of the action that it joined
	NoOwner    bool    // the action found nobody to own it
	Late       time.Duration
	Err        error
}

// Create decides feedback: each ends created, merged, ignored or (where it cannot
// be decided) quarantined, with its action written in the same transaction. One
// bad feedback is left undecided with a try counted; the others go through.
// Feedback that was decided before yields its action's current effect. Ids that
// name nothing are passed over.
func (s *Store) Create(ctx context.Context, ids []model.FeedbackID) ([]Created, tasks.Effects, error) {
	ids = sortedIDs(ids)
	var results []Created
	var effects tasks.Effects
	failed, err := bisect(ctx, ids, func(ctx context.Context, ids []model.FeedbackID) error {
		rs, e, err := s.create(ctx, ids)
		if err == nil {
			results, effects = append(results, rs...), join(effects, e)
		}
		return err
	})
	for i, ferr := range failed {
		r, err := s.failFeedback(ctx, ids[i])
		if err != nil {
			return results, effects, err
		}
		r.Err = fmt.Errorf("decide feedback %s: %w", ids[i], ferr)
		results = append(results, r)
	}
	return results, effects, err
}

func (s *Store) create(ctx context.Context, ids []model.FeedbackID) ([]Created, tasks.Effects, error) {
	results, effects, err := s.createLocking(ctx, ids, lockAll)
	if errors.Is(err, errLocked) {
		return s.createLocking(ctx, ids, lockFree)
	}
	return results, effects, err
}

func (s *Store) createLocking(ctx context.Context, ids []model.FeedbackID, lock string) ([]Created, tasks.Effects, error) {
	var results []Created
	var effects tasks.Effects
	err := s.inTx(ctx, func(ctx context.Context, tx bun.Tx, st txState) error {
		results, effects = nil, tasks.Effects{}
		var rows []model.Feedback
		err := tx.NewSelect().Model(&rows).Where("id IN (?)", bun.List(ids)).OrderExpr("id").For(lock).Scan(ctx)
		if err != nil {
			return fmt.Errorf("load feedback: %w", err)
		}
		locked, err := busyFeedback(ctx, tx, ids, rows)
		if err != nil {
			return err
		}
		rows, results, effects, err = s.decidedBefore(ctx, tx, st, rows)
		results = append(results, locked...)
		if err != nil || len(rows) == 0 {
			return err
		}
		decided, e, err := s.decideAll(ctx, tx, st, rows, lock)
		results = append(results, decided...)
		effects.Add(e)
		return err
	})
	return results, effects, err
}

// decideAll decides feedback that is locked and undecided. What has to do with a
// subject that somebody else is at is left undecided, as busy.
func (s *Store) decideAll(ctx context.Context, tx bun.Tx, st txState, rows []model.Feedback, lock string) ([]Created, tasks.Effects, error) {
	var results []Created
	var effects tasks.Effects
	loads, err := readLoads(ctx, tx, st)
	if err != nil {
		return nil, effects, err
	}
	held, err := lockSubjects(ctx, tx, st, rows, lock)
	if err != nil {
		return nil, effects, err
	}
	for _, round := range bySubject(st, rows) {
		kin, taken, err := s.kinOf(ctx, tx, st, round, lock)
		if err != nil {
			return nil, effects, err
		}
		round = slices.DeleteFunc(round, func(f model.Feedback) bool {
			if !held[f.SubjectKey] && !taken[f.SubjectKey] {
				return false
			}
			results = append(results, busy(f.ID))
			return true
		})
		if len(round) == 0 {
			continue
		}
		w := &writer{st: st, grace: s.grace}
		for i := range round {
			results = append(results, decide(&round[i], st, loads, w, kin[round[i].SubjectKey]...))
		}
		if err := nameActions(ctx, tx, w); err != nil {
			return nil, effects, err
		}
		if err := w.write(ctx, tx); err != nil {
			return nil, effects, err
		}
		if err := writeDecisions(ctx, tx, round); err != nil {
			return nil, effects, err
		}
		effects.Add(w.effects())
	}
	return results, effects, nil
}

// busyFeedback answers for the feedback that another transaction is at: whoever
// asked is to come again.
func busyFeedback(ctx context.Context, tx bun.Tx, ids []model.FeedbackID, rows []model.Feedback) ([]Created, error) {
	have := make(map[model.FeedbackID]bool, len(rows))
	for i := range rows {
		have[rows[i].ID] = true
	}
	locked, err := lockedOf(ctx, tx, "feedback", missing(ids, have))
	var answers []Created
	for id := range locked {
		answers = append(answers, busy(id))
	}
	return answers, err
}

func busy(id model.FeedbackID) Created {
	return Created{FeedbackID: id, Err: fmt.Errorf("feedback %s: %w", id, errLocked)}
}

// decidedBefore splits off the feedback that needs no decision and gathers the
// current effects of its actions.
func (s *Store) decidedBefore(ctx context.Context, tx bun.Tx, st txState, rows []model.Feedback) ([]model.Feedback, []Created, tasks.Effects, error) {
	var open []model.Feedback
	var done []Created
	var actions []model.ActionID
	for _, f := range rows {
		if f.Decision == "" {
			open = append(open, f)
			continue
		}
		done = append(done, Created{FeedbackID: f.ID, Decision: f.Decision, Reason: f.Reason, ActionID: f.ActionID, Before: true})
		if f.ActionID != nil {
			actions = append(actions, *f.ActionID)
		}
	}
	effects, err := currentEffects(ctx, tx, st, actions)
	return open, done, effects, err
}

// decide asks the rules about one feedback and notes the answer in its row.
func decide(f *model.Feedback, st txState, loads sla.Loads, w *writer, kin ...sla.Case) Created {
	now := st.Now.Domain
	for i := range kin { // nothing falls behind what was written of them
		if at := w.nowFor(&kin[i].Action); at.After(now) {
			now = at
		}
	}
	d := st.Rules.Decide(f, loads, now, "", kin...)
	at, rev := second(now), st.Rules.Revision
	f.Decision, f.Reason, f.DecidedAt, f.PolicyRevision = d.Decision, d.Reason, &at, &rev
	if d.Would != nil {
		f.WouldDecision, f.WouldReason, f.WouldSeverity = d.Would.Decision, d.Would.Reason, d.Would.Severity
	}
	r := Created{FeedbackID: f.ID, Decision: d.Decision, Reason: d.Reason, NoOwner: d.NoOwner}
	if d.Outcome == nil {
		return r
	}
	a, before := &d.Outcome.Action, int64(0)
	if d.Decision == model.DecisionMerged {
		i := slices.IndexFunc(kin, func(c sla.Case) bool { return c.Action.ID == a.ID })
		before = kin[i].Action.Gen
	} else {
		a.ID, a.FeedbackID, a.CreatedAt = model.NewID[model.Action](), f.ID.Ptr(), at
	}
	f.ActionID, r.ActionID = a.ID.Ptr(), a.ID.Ptr()
	r.Late = st.Now.Machine.Sub(f.HealAfter.Add(-w.grace)) // heal_after is acceptance + grace, or the last try's
	r.Taken = w.taken(*d.Outcome)
	w.add(*d.Outcome, before)
	return r
}

// nameActions gives every new action its spoken reference: hospital code, year
// and a global number that only actions use up.
func nameActions(ctx context.Context, tx bun.Tx, w *writer) error {
	if len(w.created) == 0 {
		return nil
	}
	var numbers []int64
	err := tx.NewRaw("SELECT nextval('action_ref_seq') FROM generate_series(1, ?)", len(w.created)).Scan(ctx, &numbers)
	if err != nil {
		return fmt.Errorf("number actions: %w", err)
	}
	refs := make(map[model.ActionID]string, len(w.created))
	for i := range w.created {
		a := &w.created[i]
		code := "PX"
		if h := w.st.Dir.Hospitals[a.HospitalID]; h != nil {
			code = h.Code
		}
		a.Ref = fmt.Sprintf("%s-%02d-%07d", code, a.CreatedAt.Year()%100, numbers[i])
		refs[a.ID] = a.Ref
	}
	for i := range w.messages {
		if ref, made := refs[w.messages[i].ActionID]; made {
			w.messages[i].Facts.V.Ref = ref
		}
	}
	return nil
}

func writeDecisions(ctx context.Context, tx bun.Tx, rows []model.Feedback) error {
	_, err := tx.NewUpdate().With("_data", tx.NewValues(&rows).Column("id", "decision", "reason", "action_id", "decided_at", "policy_revision",
		"would_decision", "would_reason", "would_severity")).
		Model((*model.Feedback)(nil)).TableExpr("_data").
		Set("decision = _data.decision").Set("reason = _data.reason").Set("action_id = _data.action_id").
		Set("decided_at = _data.decided_at").Set("policy_revision = _data.policy_revision").
		Set("would_decision = _data.would_decision").Set("would_reason = _data.would_reason").Set("would_severity = _data.would_severity").
		Where("f.id = _data.id").Exec(ctx)
	if err != nil {
		return fmt.Errorf("write decisions: %w", err)
	}
	return nil
}

// failFeedback counts a failed try of one feedback and puts it back, or
// quarantines it after the last.
func (s *Store) failFeedback(ctx context.Context, id model.FeedbackID) (Created, error) {
	r := Created{FeedbackID: id}
	err := s.inTx(ctx, func(ctx context.Context, tx bun.Tx, st txState) error {
		_, err := tx.NewUpdate().Model((*model.Feedback)(nil)).
			Set("tries = tries + 1").
			Set("heal_after = ?", st.Now.Machine.Add(s.grace)).
			Set("decision = CASE WHEN tries + 1 >= ? THEN 'quarantined' END", maxTries).
			Set("reason = CASE WHEN tries + 1 >= ? THEN 'failed' ELSE '' END", maxTries).
			Set("decided_at = CASE WHEN tries + 1 >= ? THEN ?::timestamptz END", maxTries, second(st.Now.Domain)).
			Where("id = ? AND decision IS NULL", id).
			Returning("coalesce(decision, ''), reason").Exec(ctx, &r.Decision, &r.Reason)
		if errors.Is(err, sql.ErrNoRows) {
			return nil // somebody has decided it meanwhile
		}
		return err
	})
	return r, err
}

// loadMemory is how far back (domain time) readLoads remembers who was given an
// action that is closed by now.
const loadMemory = 3 * 24 * time.Hour

// readLoads counts everybody's live actions, and tells when each was last given
// one, be it closed by now: else whoever closes fast would get them all.
func readLoads(ctx context.Context, tx bun.Tx, st txState) (sla.Loads, error) {
	var rows []struct {
		AssignedTo   model.UserID
		Live         int
		LastAssigned time.Time
	}
	err := tx.NewRaw(`SELECT assigned_to, sum(live) AS live, max(assigned_at) AS last_assigned FROM (
			SELECT assigned_to, assigned_at, 1 AS live FROM actions WHERE status NOT IN ('closed', 'cancelled') AND assigned_to IS NOT NULL
			UNION ALL
			SELECT assigned_to, assigned_at, 0 FROM actions WHERE status IN ('closed', 'cancelled') AND assigned_to IS NOT NULL AND created_at > ?
		) AS given GROUP BY assigned_to`, st.Now.Domain.Add(-loadMemory)).Scan(ctx, &rows)
	if err != nil {
		return nil, fmt.Errorf("read loads: %w", err)
	}
	loads := make(sla.Loads, len(rows))
	for _, r := range rows {
		loads[r.AssignedTo] = sla.Load{Live: r.Live, LastAssigned: r.LastAssigned}
	}
	return loads, nil
}

// sortedIDs returns the ids in order, each once, so that concurrent batches
// lock rows in the same order.
func sortedIDs[T any](ids []model.ID[T]) []model.ID[T] {
	out := slices.Clone(ids)
	slices.SortFunc(out, compareIDs[T])
	return slices.Compact(out)
}

func compareIDs[T any](a, b model.ID[T]) int { return slices.Compare(a.UUID[:], b.UUID[:]) }

func join(a, b tasks.Effects) tasks.Effects {
	a.Add(b)
	return a
}
