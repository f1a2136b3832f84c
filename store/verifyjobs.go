package store

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/tasks"
)

// Job is what an action's row says of its job.
type Job struct {
	Gen      int64
	Arm      *tasks.Arm // of the next event; nil: none is planned
	Expected bool       // the queue was told, and its time is far enough off: Redis must have it
}

// Armed lists, in batches by id, the jobs that the queue is believed to hold and
// that are not due within the flight time: what Redis must have.
func (s *Store) Armed(ctx context.Context, after model.ActionID, limit int) ([]tasks.Arm, error) {
	now, err := s.Now(ctx)
	if err != nil {
		return nil, err
	}
	var rows []model.Action
	err = s.db.NewSelect().Model(&rows).Column(jobColumns()...).
		Where("next_at > ?::timestamptz", now.Clock.Virtual(now.Machine.Add(flight))).Where("armed_gen = gen").Where("id > ?", after).
		OrderExpr("id").Limit(int64(limit)).Scan(ctx)
	if err != nil {
		return nil, mapErr(fmt.Errorf("list armed actions: %w", err))
	}
	arms := make([]tasks.Arm, len(rows))
	for i := range rows {
		arms[i] = *jobOf(&rows[i], now).Arm
	}
	return arms, nil
}

// Jobs reads what the rows of actions say of their jobs; an id without a row has
// no entry.
func (s *Store) Jobs(ctx context.Context, ids []model.ActionID) (map[model.ActionID]Job, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	now, err := s.Now(ctx)
	if err != nil {
		return nil, err
	}
	var rows []model.Action
	if err := s.db.NewSelect().Model(&rows).Column(jobColumns()...).Where("id IN (?)", bun.List(ids)).Scan(ctx); err != nil {
		return nil, mapErr(fmt.Errorf("read the jobs of actions: %w", err))
	}
	jobs := make(map[model.ActionID]Job, len(rows))
	for i := range rows {
		jobs[rows[i].ID] = jobOf(&rows[i], now)
	}
	return jobs, nil
}

func jobColumns() []string {
	return []string{"id", "gen", "armed_gen", "next_at", "next_kind", "next_stage"}
}

func jobOf(a *model.Action, now model.Now) Job {
	j := Job{Gen: a.Gen}
	if a.NextAt == nil {
		return j
	}
	j.Arm = &tasks.Arm{ActionID: a.ID, Gen: a.Gen, Kind: a.NextKind, Stage: deref(a.NextStage), At: now.Clock.Real(*a.NextAt)}
	j.Expected = a.ArmedGen == a.Gen && j.Arm.At.After(now.Machine.Add(flight))
	return j
}

// AbsentFeedback returns those ids that no row of feedback has.
func (s *Store) AbsentFeedback(ctx context.Context, ids []model.FeedbackID) ([]model.FeedbackID, error) {
	return absent(ctx, s, "feedback", ids)
}

// AbsentMessages returns those ids that no row of messages has.
func (s *Store) AbsentMessages(ctx context.Context, ids []model.MessageID) ([]model.MessageID, error) {
	return absent(ctx, s, "messages", ids)
}

func absent[T any](ctx context.Context, s *Store, table string, ids []model.ID[T]) ([]model.ID[T], error) {
	if len(ids) == 0 {
		return nil, nil
	}
	var rows []struct{ ID model.ID[T] }
	if err := s.db.NewRaw("SELECT id FROM ? WHERE id IN (?)", bun.Ident(table), bun.List(ids)).Scan(ctx, &rows); err != nil {
		return nil, mapErr(fmt.Errorf("look for rows of %s: %w", table, err))
	}
	there := make(map[model.ID[T]]bool, len(rows))
	for _, row := range rows {
		there[row.ID] = true
	}
	return missing(ids, there), nil
}
