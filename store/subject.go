package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
)

// Subject is what is held about one patient or visit, by the key of Feedback.SubjectKey.
type Subject struct {
	Key      string
	Actions  []SubjectAction   // by ref
	Feedback []SubjectFeedback // by id
}

// SubjectAction is an action about a subject: its own, or that its feedback is
// part of.
type SubjectAction struct {
	ID          model.ActionID
	Ref         string
	LegalHoldAt *time.Time // nil: it may be erased
}

// SubjectFeedback is a feedback that tells of a subject, or did so in an earlier
// revision.
type SubjectFeedback struct {
	ID       model.FeedbackID
	Decision model.Decision // empty: not decided yet
	ActionID *model.ActionID
	Was      bool // in an earlier revision only
	Erased   bool // its words were
}

// Subject looks for what is held about a subject. also is feedback that is known
// to be of it, though its row does not say so.
func (s *Store) Subject(ctx context.Context, key string, also []model.FeedbackID) (Subject, error) {
	found := Subject{Key: key}
	err := s.inSnapshot(ctx, func(ctx context.Context, tx bun.Tx, _ txState) error {
		found = Subject{Key: key}
		err := tx.NewRaw(`SELECT id, decision, action_id, subject_key <> ?0 AND id NOT IN (?1) AS was, erased_at IS NOT NULL AS erased FROM feedback WHERE id IN (
				SELECT id FROM feedback WHERE subject_key = ?0 UNION ALL SELECT id FROM feedback WHERE id IN (?1)
				UNION ALL SELECT feedback_id FROM feedback_revisions WHERE content->>'subject_key' = ?0) ORDER BY id`,
			key, bun.List(append([]model.FeedbackID{{}}, also...))).Scan(ctx, &found.Feedback)
		if err != nil {
			return fmt.Errorf("look for feedback of a subject: %w", err)
		}
		// An action has the subject of the feedback that it was made of.
		err = tx.NewRaw(`SELECT id, ref, legal_hold_at FROM actions WHERE id IN (SELECT action_id FROM feedback WHERE subject_key = ?) ORDER BY ref`,
			key).Scan(ctx, &found.Actions)
		if err != nil {
			return fmt.Errorf("look for actions of a subject: %w", err)
		}
		return nil
	})
	return found, err
}

// EraseSubject erases the words of a batch of a subject's actions, of all feedback
// in them and of ignored feedback, and what earlier revisions said about it,
// whatever the policy says. What is under legal hold, or not decided, stays.
func (s *Store) EraseSubject(ctx context.Context, key string, actions []model.ActionID, ignored []model.FeedbackID) (Erased, error) {
	var done Erased
	if len(actions) > 0 {
		one, err := s.eraseActions(ctx, actions, sla.ErasedOnRequest, "legal_hold_at IS NULL AND (erased_at IS NULL OR erased_at <= updated_at)")
		if err != nil {
			return done, err
		}
		done.add(one)
	}
	if len(ignored) > 0 {
		n, err := s.eraseFeedback(ctx, ignored, "TRUE")
		if err != nil {
			return done, err
		}
		done.Feedback += n
	}
	return done, s.inTx(ctx, func(ctx context.Context, tx bun.Tx, _ txState) error {
		// A subquery for each of the few rows: a join may read all actions.
		return eraseRevisions(ctx, tx, `content->>'subject_key' = ? AND
			(SELECT a.legal_hold_at FROM feedback f JOIN actions a ON a.id = f.action_id WHERE f.id = feedback_revisions.feedback_id) IS NULL`, key)
	})
}

// SubjectRow is one row that is held about a subject, as it stands in its table;
// a log row with its words.
type SubjectRow struct {
	Table string          `json:"table"`
	Row   json.RawMessage `json:"row"`
}

// ExportSubject hands out every row that is held about a subject, and of its files
// the list, under one snapshot.
func (s *Store) ExportSubject(ctx context.Context, of Subject, each func(SubjectRow) error) error {
	actions, feedback := []model.ActionID{{}}, []model.FeedbackID{{}} // no IN () in SQL
	for _, a := range of.Actions {
		actions = append(actions, a.ID)
	}
	for _, f := range of.Feedback {
		if !f.Was {
			feedback = append(feedback, f.ID)
		}
	}
	return s.inSnapshot(ctx, func(ctx context.Context, tx bun.Tx, _ txState) error {
		for _, q := range []struct{ table, query string }{
			{"feedback", "SELECT to_jsonb(f) FROM feedback f WHERE id IN (?0) OR action_id IN (?1) ORDER BY received_at, id"},
			{"feedback_revisions", `SELECT to_jsonb(r) FROM feedback_revisions r WHERE (feedback_id, revision) IN (
					SELECT feedback_id, revision FROM feedback_revisions WHERE content->>'subject_key' = ?2
					UNION ALL SELECT feedback_id, revision FROM feedback_revisions WHERE feedback_id IN (?0)
					UNION ALL SELECT feedback_id, e.revision FROM feedback_revisions e JOIN feedback f ON f.id = feedback_id WHERE f.action_id IN (?1))
				ORDER BY feedback_id, revision`},
			{"actions", "SELECT to_jsonb(a) FROM actions a WHERE id IN (?1) ORDER BY created_at, id"},
			{"action_logs", `SELECT to_jsonb(l) || jsonb_build_object('words', lt.words) FROM action_logs l LEFT JOIN log_texts lt ON lt.log_id = l.id
				WHERE action_id IN (?1) ORDER BY action_id, seq`},
			{"action_attachments", "SELECT to_jsonb(t) FROM action_attachments t WHERE action_id IN (?1) ORDER BY action_id, created_at, id"},
		} {
			var rows []json.RawMessage
			if err := tx.NewRaw(q.query, bun.List(feedback), bun.List(actions), of.Key).Scan(ctx, &rows); err != nil {
				return fmt.Errorf("export %s of a subject: %w", q.table, err)
			}
			for _, row := range rows {
				if err := each(SubjectRow{q.table, row}); err != nil {
					return err
				}
			}
		}
		return nil
	})
}
