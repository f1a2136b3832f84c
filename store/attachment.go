package store

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
)

// TryMove tells whether a move could be made now, as Move would: nil, or why it
// is refused. Nothing is locked or written, so the move itself may still be
// refused.
func (s *Store) TryMove(ctx context.Context, m Move) error {
	err := s.inSnapshot(ctx, func(ctx context.Context, tx bun.Tx, st txState) error {
		var a model.Action
		if err := tx.NewSelect().Model(&a).Where("id = ?", m.ActionID).Scan(ctx); err != nil {
			return fmt.Errorf("load the action: %w", err)
		}
		events, err := eventsOf(ctx, tx, []model.ActionID{a.ID})
		if err != nil {
			return err
		}
		c, err := s.pinned(ctx, tx, st, &a, events[a.ID])
		if err != nil {
			return err
		}
		return moveOne(m, &c, &writer{st: st, grace: s.grace}).Err
	})
	if err != nil {
		return fmt.Errorf("%s action %s: %w", m.Request.Move, m.ActionID, err)
	}
	return nil
}

// countEvidence tells the cases of moves that may ask for evidence how much
// there is.
func countEvidence(ctx context.Context, tx bun.Tx, moves []Move, round []int, cases map[model.ActionID]*sla.Case) error {
	var ids []model.ActionID
	for _, n := range round {
		if m := moves[n].Request.Move; m == model.MoveSubmit || m == model.MoveClose {
			ids = append(ids, moves[n].ActionID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	var counts []struct {
		ActionID model.ActionID
		Files    int
	}
	err := tx.NewRaw("SELECT action_id, count(*) AS files FROM action_attachments WHERE action_id IN (?) AND is_evidence GROUP BY action_id",
		bun.List(ids)).Scan(ctx, &counts)
	if err != nil {
		return fmt.Errorf("count evidence: %w", err)
	}
	for _, n := range counts {
		if c := cases[n.ActionID]; c != nil {
			c.Evidence = n.Files
		}
	}
	return nil
}

// Attachments lists an action's attachments, newest first.
func (s *Store) Attachments(ctx context.Context, id model.ActionID) ([]model.ActionAttachment, error) {
	var rows []model.ActionAttachment
	err := s.db.NewSelect().Model(&rows).Where("action_id = ?", id).OrderExpr("created_at DESC, id DESC").Scan(ctx)
	if err != nil {
		return nil, mapErr(fmt.Errorf("load the attachments of action %s: %w", id, err))
	}
	return rows, nil
}

// Attachment reads one attachment; model.ErrNotFound when there is none. Whether
// a reader may see its action is the caller's to decide.
func (s *Store) Attachment(ctx context.Context, id model.AttachmentID) (*model.ActionAttachment, error) {
	var row model.ActionAttachment
	if err := mapErr(s.db.NewSelect().Model(&row).Where("id = ?", id).Scan(ctx)); err != nil {
		return nil, fmt.Errorf("attachment %s: %w", id, err)
	}
	return &row, nil
}

// FileRef names an attachment and its action.
type FileRef struct {
	ActionID model.ActionID
	ID       model.AttachmentID
}

// AttachmentsBetween lists the attachments after one and up to another, in the
// order of their actions, then their own; the zero upTo means all that follow.
// Erased ones are not among them: they have no file.
func (s *Store) AttachmentsBetween(ctx context.Context, after, upTo FileRef) ([]FileRef, error) {
	var refs []FileRef
	q := s.db.NewSelect().Model((*model.ActionAttachment)(nil)).Column("action_id", "id").
		Where("(action_id, id) > (?, ?)", after.ActionID, after.ID).Where("erased_at IS NULL").OrderExpr("action_id, id")
	if upTo != (FileRef{}) {
		q = q.Where("(action_id, id) <= (?, ?)", upTo.ActionID, upTo.ID)
	}
	if err := q.Scan(ctx, &refs); err != nil {
		return nil, mapErr(fmt.Errorf("list attachments: %w", err))
	}
	return refs, nil
}

// KnownFiles returns which of the refs' actions, and which of their attachments
// that were not erased, there are.
func (s *Store) KnownFiles(ctx context.Context, refs []FileRef) (map[model.ActionID]bool, map[model.AttachmentID]bool, error) {
	actions, rows := map[model.ActionID]bool{}, map[model.AttachmentID]bool{}
	if len(refs) == 0 {
		return actions, rows, nil
	}
	as, fs := make([]model.ActionID, len(refs)), make([]model.AttachmentID, len(refs))
	for i, r := range refs {
		as[i], fs[i] = r.ActionID, r.ID
	}
	err := s.inSnapshot(ctx, func(ctx context.Context, tx bun.Tx, _ txState) error {
		if err := markKnown(ctx, tx, "actions", "TRUE", as, actions); err != nil {
			return err
		}
		return markKnown(ctx, tx, "action_attachments", "erased_at IS NULL", fs, rows)
	})
	return actions, rows, err
}

func markKnown[T any](ctx context.Context, tx bun.Tx, table, which string, ids []model.ID[T], known map[model.ID[T]]bool) error {
	var there []struct{ ID model.ID[T] }
	if err := tx.NewRaw("SELECT id FROM ? WHERE id IN (?) AND ?", bun.Ident(table), bun.List(ids), bun.Safe(which)).Scan(ctx, &there); err != nil {
		return fmt.Errorf("look for rows of %s: %w", table, err)
	}
	for _, row := range there {
		known[row.ID] = true
	}
	return nil
}
