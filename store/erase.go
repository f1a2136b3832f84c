package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
)

// Erased is what was erased: the facts stay, and say when.
type Erased struct {
	Actions  int       // whose words were, in their stories, too
	Feedback int       // whose words were, of earlier revisions, too
	Files    []FileRef // whose rows were: their files are to be deleted now
}

func (e *Erased) add(more Erased) {
	e.Actions += more.Actions
	e.Feedback += more.Feedback
	e.Files = append(e.Files, more.Files...)
}

const (
	// ended is when an action ended, one that was cancelled no earlier than it did.
	ended = "coalesce(closed_at, updated_at)"
	// withWords and withMessages are the ended actions that a retention is about, as the
	// indexes of these names have them.
	withWords    = "status IN ('closed', 'cancelled') AND legal_hold_at IS NULL AND (erased_at IS NULL OR erased_at <= updated_at)"
	withMessages = "status IN ('closed', 'cancelled') AND legal_hold_at IS NULL AND (messages_dropped_at IS NULL OR messages_dropped_at <= updated_at)"
	// withQuietMessages leaves out those with a message on its way, of actions AS r.
	withQuietMessages = withMessages + " AND NOT EXISTS (SELECT FROM messages m WHERE m.action_id = r.id AND m.state IN ('pending', 'sending'))"
	// looseWithWords is feedback that ended without an action, likewise.
	looseWithWords = "decision IN ('ignored', 'quarantined') AND erased_at IS NULL"
)

// EraseEnded erases the words of a batch of actions that ended as long ago as the
// active policy says, and of their feedback, in the order of their ends. more is
// false after the last. Without days in the policy it does nothing. An action that
// fails alone leaves the others unharmed; the error names it.
func (s *Store) EraseEnded(ctx context.Context, after Keyset, limit int) (done Erased, next Keyset, more bool, err error) {
	next, more, err = retain(ctx, s, after, limit, retained[model.Action]{
		table: "actions", order: ended, which: withWords, until: (*sla.Rules).WordsUntil,
		each: func(ctx context.Context, ids []model.ActionID, until time.Time) error {
			one, err := s.eraseActions(ctx, ids, sla.ErasedByRetention, withWords+" AND "+ended+" <= ?", until)
			done.add(one)
			return err
		},
	})
	return done, next, more, err
}

// EraseLoose is EraseEnded for feedback without an action: what was ignored, and what
// has been in quarantine for as long.
func (s *Store) EraseLoose(ctx context.Context, after Keyset, limit int) (done Erased, next Keyset, more bool, err error) {
	next, more, err = retain(ctx, s, after, limit, retained[model.Feedback]{
		table: "feedback", order: "decided_at", which: looseWithWords, until: (*sla.Rules).WordsUntil,
		each: func(ctx context.Context, ids []model.FeedbackID, until time.Time) error {
			n, err := s.eraseFeedback(ctx, ids, "decided_at <= ?", until)
			done.Feedback += n
			return err
		},
	})
	return done, next, more, err
}

// DropMessages deletes the messages of a batch of actions that ended as long ago as
// the active policy says, those that failed, too, and returns how many; otherwise as
// EraseEnded. An action with a message on its way waits for a later batch.
func (s *Store) DropMessages(ctx context.Context, after Keyset, limit int) (dropped int, next Keyset, more bool, err error) {
	next, more, err = retain(ctx, s, after, limit, retained[model.Action]{
		table: "actions", order: ended, which: withQuietMessages, until: (*sla.Rules).MessagesUntil,
		each: func(ctx context.Context, ids []model.ActionID, until time.Time) error {
			n, err := s.dropMessages(ctx, ids, until)
			dropped += n
			return err
		},
	})
	return dropped, next, more, err
}

// retained is what a retention goes over: rows of a table, in the order of when
// they ended, up to an instant of the active policy.
type retained[T any] struct {
	table, order, which string
	until               func(*sla.Rules, time.Time) (time.Time, bool)
	each                func(ctx context.Context, ids []model.ID[T], until time.Time) error // one transaction
}

func retain[T any](ctx context.Context, s *Store, after Keyset, limit int, r retained[T]) (next Keyset, more bool, err error) {
	next = after
	now, rules, err := s.Present(ctx)
	if err != nil {
		return next, false, err
	}
	until, ok := r.until(rules, now.Domain)
	if !ok {
		return next, false, nil
	}
	var rows []struct {
		ID    model.ID[T]
		Ended time.Time
	}
	q := s.db.NewSelect().TableExpr("? AS r", bun.Ident(r.table)).ColumnExpr("id, "+r.order+" AS ended").Where(r.which).
		Where(r.order+" <= ?::timestamptz", until).OrderExpr(r.order + ", id").Limit(int64(limit))
	if after.ID != "" {
		q = q.Where("("+r.order+", id) > (?::timestamptz, ?::uuid)", after.At, after.ID)
	}
	if err := q.Scan(ctx, &rows); err != nil {
		return next, false, mapErr(fmt.Errorf("list what is to be erased of %s: %w", r.table, err))
	}
	if len(rows) == 0 {
		return next, false, nil
	}
	ids := make([]model.ID[T], len(rows))
	for i, row := range rows {
		ids[i], next = row.ID, Keyset{At: row.Ended, ID: row.ID.String()}
	}
	failed, err := bisect(ctx, ids, func(ctx context.Context, ids []model.ID[T]) error { return r.each(ctx, ids, until) })
	for i, ferr := range failed {
		err = errors.Join(err, fmt.Errorf("%s %s: %w", r.table, ids[i], ferr))
	}
	return next, len(rows) == limit, err
}

// eraseActions erases the words of those of the actions that a condition holds for
// yet, with all that belongs to them. The feedback is locked first, as by who
// decides or revises it.
func (s *Store) eraseActions(ctx context.Context, ids []model.ActionID, cause sla.ErasureCause, which string, args ...any) (Erased, error) {
	var done Erased
	err := s.inTx(ctx, func(ctx context.Context, tx bun.Tx, st txState) error {
		done = Erased{}
		if _, err := tx.ExecContext(ctx, "SELECT FROM feedback WHERE action_id IN (?) ORDER BY id FOR UPDATE", bun.List(ids)); err != nil {
			return fmt.Errorf("lock feedback: %w", err)
		}
		var as []model.Action
		err := tx.NewSelect().Model(&as).Column("id", "log_seq", "log_hash", "updated_at").Where("id IN (?)", bun.List(ids)).Where(which, args...).
			OrderExpr("id").For("UPDATE").Scan(ctx)
		if err != nil || len(as) == 0 {
			return err
		}
		w := &writer{st: st, grace: s.grace}
		kept := make([]model.ActionID, len(as))
		for i := range as {
			a := &as[i]
			at := second(w.nowFor(a))
			if len(a.LogHash) == 0 {
				a.LogHash = model.ChainStart(a.ID, a.LogSeq)
			}
			a.LogHash = w.addLog(sla.Erasure(a, cause, at), a.ID, a.LogHash)
			a.LogSeq++
			a.ErasedAt, kept[i] = &at, a.ID
		}
		if err := eraseStories(ctx, tx, as, kept); err != nil {
			return err
		}
		if err := w.write(ctx, tx); err != nil {
			return err
		}
		if done.Files, err = eraseFiles(ctx, tx, kept, second(st.Now.Domain)); err != nil {
			return err
		}
		done.Actions = len(as)
		done.Feedback, err = eraseFeedback(ctx, tx, second(st.Now.Domain), "action_id IN (?)", bun.List(kept))
		return err
	})
	return done, err
}

// eraseStories erases what actions and the rows of their stories say in words. The
// digests of the rows stay, and nobody can guess by them without the salt.
func eraseStories(ctx context.Context, tx bun.Tx, as []model.Action, ids []model.ActionID) error {
	_, err := tx.NewUpdate().With("_data", tx.NewValues(&as).Column("id", "log_seq", "log_hash", "erased_at")).Model((*model.Action)(nil)).TableExpr("_data").
		Set("log_seq = _data.log_seq").Set("log_hash = _data.log_hash").Set("erased_at = _data.erased_at").Set("version = a.version + 1").
		Set("title = '', description = '', rejection_reason = '', action_plan = '', outcome = '', hold_reason = ''").
		Set("complainant_not_informed = '', metadata = '{}'").Where("a.id = _data.id").Exec(ctx)
	if err != nil {
		return fmt.Errorf("erase actions: %w", err)
	}
	// That a key was used stays known: what it asked for, which could be guessed, does not.
	_, err = tx.ExecContext(ctx, "UPDATE idempotency_keys SET request_hash = '' WHERE action_id IN (?)", bun.List(ids))
	if err != nil {
		return fmt.Errorf("erase the hashes of requests: %w", err)
	}
	_, err = tx.ExecContext(ctx, `UPDATE log_texts lt SET words = NULL, salt = '' FROM action_logs l
		WHERE l.id = lt.log_id AND l.action_id IN (?) AND lt.words IS NOT NULL`, bun.List(ids))
	if err != nil {
		return fmt.Errorf("erase the words of logs: %w", err)
	}
	return nil
}

// eraseFiles marks attachments as erased. What their files were is known by their
// digests.
func eraseFiles(ctx context.Context, tx bun.Tx, ids []model.ActionID, at time.Time) ([]FileRef, error) {
	var refs []FileRef
	err := tx.NewRaw(`UPDATE action_attachments SET filename = '', description = '', erased_at = ?0, updated_at = ?0
		WHERE action_id IN (?1) AND erased_at IS NULL RETURNING action_id, id`, at, bun.List(ids)).Scan(ctx, &refs)
	if err != nil {
		return nil, fmt.Errorf("erase attachments: %w", err)
	}
	return refs, nil
}

// wordsOf are the columns of a feedback, and the keys of an earlier content, that
// hold words.
func wordsOf() []string { return []string{"title", "text", "metadata", "raw"} }

// eraseFeedback erases the words of feedback and of what it said before. The hashes of
// the contents go with them, by triggers of these tables.
func eraseFeedback(ctx context.Context, tx bun.Tx, at time.Time, which string, args ...any) (int, error) {
	var rows []struct{ ID model.FeedbackID }
	q := tx.NewUpdate().Model((*model.Feedback)(nil)).Set("title = '', text = '', metadata = '{}', raw = NULL, erased_at = ?", at).
		Where("erased_at IS NULL").Where(which, args...).Returning("f.id")
	if _, err := q.Exec(ctx, &rows); err != nil || len(rows) == 0 {
		return 0, err
	}
	ids := make([]model.FeedbackID, len(rows))
	for i, r := range rows {
		ids[i] = r.ID
	}
	return len(ids), eraseRevisions(ctx, tx, "feedback_id IN (?)", bun.List(ids))
}

func eraseRevisions(ctx context.Context, tx bun.Tx, which string, args ...any) error {
	_, err := tx.NewUpdate().Table("feedback_revisions").Set("content = content - ARRAY[?]::text[]", bun.List(wordsOf())).Where(which, args...).Exec(ctx)
	if err != nil {
		return fmt.Errorf("erase earlier contents: %w", err)
	}
	return nil
}

// eraseFeedback erases the words of feedback without an action, as far as a
// condition holds for it yet.
func (s *Store) eraseFeedback(ctx context.Context, ids []model.FeedbackID, which string, args ...any) (n int, err error) {
	err = s.inTx(ctx, func(ctx context.Context, tx bun.Tx, st txState) error {
		var rows []struct{ ID model.FeedbackID }
		err := tx.NewSelect().Model((*model.Feedback)(nil)).Column("id").Where("id IN (?)", bun.List(ids)).Where(looseWithWords).Where(which, args...).
			OrderExpr("id").For("UPDATE").Scan(ctx, &rows)
		if err != nil || len(rows) == 0 {
			return err
		}
		kept := make([]model.FeedbackID, len(rows))
		for i, r := range rows {
			kept[i] = r.ID
		}
		n, err = eraseFeedback(ctx, tx, second(st.Now.Domain), "id IN (?)", bun.List(kept))
		return err
	})
	return n, err
}

func (s *Store) dropMessages(ctx context.Context, ids []model.ActionID, until time.Time) (dropped int, err error) {
	err = s.inTx(ctx, func(ctx context.Context, tx bun.Tx, st txState) error {
		var as []model.Action
		err := tx.NewSelect().Model(&as).ModelTableExpr("actions AS r").ColumnExpr("id, updated_at").Where("id IN (?)", bun.List(ids)).
			Where(withQuietMessages).Where(ended+" <= ?", until).OrderExpr("id").For("UPDATE OF r").Scan(ctx)
		if err != nil || len(as) == 0 {
			return err
		}
		w, kept := &writer{st: st}, make([]model.ActionID, len(as))
		for i := range as {
			at := second(w.nowFor(&as[i]))
			as[i].MessagesDroppedAt, kept[i] = &at, as[i].ID
		}
		res, err := tx.NewDelete().Model((*model.Message)(nil)).Where("action_id IN (?)", bun.List(kept)).Exec(ctx)
		if err != nil {
			return fmt.Errorf("drop messages: %w", err)
		}
		n, err := res.RowsAffected()
		if err != nil {
			return err
		}
		dropped = int(n)
		_, err = tx.NewUpdate().With("_data", tx.NewValues(&as).Column("id", "messages_dropped_at")).Model((*model.Action)(nil)).TableExpr("_data").
			Set("messages_dropped_at = _data.messages_dropped_at").Where("a.id = _data.id").Exec(ctx)
		return err
	})
	return dropped, err
}
