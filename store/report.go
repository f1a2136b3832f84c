package store

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/pxactions/px/model"
)

// MoveCounts is how often one person made the moves that can make figures look
// better than they are.
type MoveCounts struct {
	Person       *model.UserID // nil: an API key that named nobody, or an operator without a name
	DueOverrides int           // deadlines set by hand
	Downgrades   int           // severities lowered
	Holds        int
	Cancels      int
}

// MovesBy counts those moves made at from or later and before to, by person; of
// some hospitals, or of all: none given. People are in the order of how many
// they made.
func (s *Store) MovesBy(ctx context.Context, from, to time.Time, hospitals []model.HospitalID) ([]MoveCounts, error) {
	var rows []MoveCounts
	rank := `array_position('{low,medium,high,critical}'::text[], l.metadata->>?)`
	q := s.db.NewSelect().TableExpr("action_logs AS l").Join("JOIN actions AS a ON a.id = l.action_id").
		ColumnExpr("l.created_by AS person").
		ColumnExpr("count(*) FILTER (WHERE l.metadata->>'move' = ?) AS due_overrides", model.MoveDue).
		ColumnExpr("count(*) FILTER (WHERE l.metadata->>'move' = ?) AS downgrades", model.MoveSeverity).
		ColumnExpr("count(*) FILTER (WHERE l.metadata->>'move' = ?) AS holds", model.MoveHold).
		ColumnExpr("count(*) FILTER (WHERE l.metadata->>'move' = ?) AS cancels", model.MoveCancel).
		Where("l.created_at >= ?::timestamptz AND l.created_at < ?::timestamptz", from, to).
		Where("l.log_type IN (?)", bun.List([]model.LogType{model.LogPlanChange, model.LogHold, model.LogStatusChange})).
		Where("l.metadata->>'move' IN (?)", bun.List([]model.Move{model.MoveDue, model.MoveSeverity, model.MoveHold, model.MoveCancel})).
		Where("l.metadata->>'move' <> ? OR "+rank+" < "+rank, model.MoveSeverity, "severity", "old_severity").
		GroupExpr("l.created_by").OrderExpr("count(*) DESC, l.created_by")
	if len(hospitals) > 0 {
		q = q.Where("a.hospital_id IN (?)", bun.List(hospitals))
	}
	if err := q.Scan(ctx, &rows); err != nil {
		return nil, mapErr(fmt.Errorf("count moves by person: %w", err))
	}
	return rows, nil
}
