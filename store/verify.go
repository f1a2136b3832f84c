package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/tasks"
)

// Finding is one way in which the data break an invariant.
type Finding struct {
	Invariant string   `json:"invariant"` // I1 … I6 of the design
	What      string   `json:"what"`
	Count     int64    `json:"count"`
	Examples  []string `json:"examples"` // ids of up to five rows
}

// flight is how long (machine time) something may be under way before Verify
// calls it lost: far above the promise of the sweeps.
const flight = time.Minute

// check is one invariant as a query for the ids of the rows that break it. ?0
// is the machine time before which nothing is in flight any more, ?1 the same
// in domain time.
type check struct{ invariant, what, query string }

func checks() []check {
	return []check{
		{"I1", "feedback undecided for too long", `SELECT id::text FROM feedback WHERE decision IS NULL AND heal_after < ?0`},
		{"I1", "feedback says created, but no action says so", `SELECT f.id::text FROM feedback f LEFT JOIN actions a ON a.feedback_id = f.id
			WHERE f.decision = 'created' AND (a.id IS NULL OR a.id <> f.action_id)`},
		{"I1", "action made of feedback that was not decided so", `SELECT a.id::text FROM actions a JOIN feedback f ON f.id = a.feedback_id
			WHERE f.decision IS DISTINCT FROM 'created' OR f.action_id <> a.id`},
		{"I1", "feedback says merged, but its action's story does not", `SELECT f.id::text FROM feedback f WHERE f.decision = 'merged' AND NOT EXISTS (
			SELECT 1 FROM action_logs l WHERE l.action_id = f.action_id AND l.log_type = 'merged' AND l.metadata->>'feedback' = f.id::text)`},
		{"I1", "earlier content of revised feedback is lost", `SELECT f.id::text FROM feedback f WHERE revision > 0 AND revision <> (
			SELECT count(*) FROM feedback_revisions r WHERE r.feedback_id = f.id AND r.revision < f.revision)`},
		{"I1", "feedback retracted, but not decided, or its action's story does not say so", `SELECT f.id::text FROM feedback f
			WHERE retracted_at IS NOT NULL AND (decision IS NULL OR decision = 'quarantined' OR action_id IS NOT NULL AND NOT EXISTS (
				SELECT 1 FROM action_logs l WHERE l.action_id = f.action_id AND l.log_type = 'revised'
					AND l.metadata->>'move' = 'retract' AND l.metadata->>'feedback' = f.id::text))`},
		{"I1", "decision without a reason", `SELECT id::text FROM feedback WHERE decision IS NOT NULL AND reason = ''`},
		{"I2", "next deadline event is late", `SELECT id::text FROM actions WHERE next_at < ?1`},
		{"I2", "job not armed for too long", `SELECT id::text FROM actions WHERE next_at IS NOT NULL AND armed_gen < gen AND arm_after < ?0`},
		{"I2", "armed gen ahead of the plan", `SELECT id::text FROM actions WHERE armed_gen > gen`},
		{"I3", "escalation without overdue before it", `SELECT action_id::text FROM deadline_events e WHERE kind = 'escalation' AND NOT by_hand AND NOT EXISTS (
			SELECT 1 FROM deadline_events o WHERE o.action_id = e.action_id AND o.period = e.period AND o.kind = 'overdue' AND o.fired <= e.fired)`},
		{"I3", "escalation stage skipped or out of order", `SELECT action_id::text FROM deadline_events e WHERE kind = 'escalation' AND stage > 1 AND NOT EXISTS (
			SELECT 1 FROM deadline_events o WHERE o.action_id = e.action_id AND o.period = e.period AND o.kind = 'escalation'
				AND o.stage = e.stage - 1 AND o.fired <= e.fired AND o.planned <= e.planned)`},
		{"I3", "overdue mark differs from the events", `SELECT a.id::text FROM actions a WHERE a.is_overdue <> EXISTS (
			SELECT 1 FROM deadline_events e WHERE e.action_id = a.id AND e.period = a.period AND e.kind = 'overdue')`},
		{"I3", "event taken twice", `SELECT min(id::text) FROM deadline_events GROUP BY action_id, period, kind, stage HAVING count(*) > 1`},
		{"I3", "one firing's events were not taken at one instant", `SELECT action_id::text FROM deadline_events GROUP BY action_id, gen HAVING count(DISTINCT fired) > 1`},
		{"I4", "event before its time, or lateness not as recorded", `SELECT id::text FROM deadline_events
			WHERE fired < planned OR late_s <> extract(epoch FROM fired - planned)::bigint`},
		{"I5", "message stuck on its way", `SELECT id::text FROM messages WHERE state IN ('pending', 'sending') AND next_try_at < ?0 AND not_before < ?1`},
		{"I5", "suppressed message without a reason", `SELECT id::text FROM messages WHERE state = 'suppressed' AND suppressed_reason = ''`},
		{"I5", "person told without a message", `SELECT e.action_id::text FROM deadline_events e CROSS JOIN LATERAL jsonb_array_elements_text(e.told) t(id)
			WHERE e.done IN ('told', 'untargeted') AND NOT EXISTS (
				SELECT 1 FROM messages m WHERE m.action_id = e.action_id AND m.recipient_id = t.id::uuid AND m.created_at = e.fired)`},
		{"I6", "log rows not gapless", `SELECT a.id::text FROM actions a LEFT JOIN action_logs l ON l.action_id = a.id
			GROUP BY a.id, a.log_seq HAVING count(l.id) <> a.log_seq OR coalesce(max(l.seq), 0) <> a.log_seq`},
		{"I6", "status differs from the log", `SELECT a.id::text FROM actions a JOIN LATERAL (
			SELECT new_status FROM action_logs l WHERE l.action_id = a.id AND l.new_status <> '' ORDER BY seq DESC LIMIT 1) l ON true
			WHERE l.new_status <> a.status`},
	}
}

// Verify reads the whole ledger under one snapshot and returns every finding;
// none means that the invariants hold. What is in flight is left out.
func (s *Store) Verify(ctx context.Context) ([]Finding, error) {
	var found []Finding
	err := s.db.RunInTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}, func(ctx context.Context, tx bun.Tx) error {
		found = nil
		r, err := readState(ctx, tx)
		if err != nil {
			return err
		}
		now := r.now()
		settled := now.Machine.Add(-flight)
		for _, c := range checks() {
			var ids []string
			if err := tx.NewRaw(c.query, settled, now.Clock.Virtual(settled)).Scan(ctx, &ids); err != nil {
				return fmt.Errorf("check %q: %w", c.what, err)
			}
			found = report(found, c.invariant, c.what, ids)
		}
		return nil
	})
	if err != nil {
		return nil, mapErr(err)
	}
	plans, err := s.verifyPlans(ctx)
	return append(found, plans...), mapErr(err)
}

func report(found []Finding, invariant, what string, ids []string) []Finding {
	if len(ids) == 0 {
		return found
	}
	return append(found, Finding{Invariant: invariant, What: what, Count: int64(len(ids)), Examples: ids[:min(5, len(ids))]})
}

// What verifyPlans finds.
const (
	planDiffers = "next event differs from the plan"
	pinMissing  = "pinned policy or SLA config is missing"
)

// verifyPlans compares the head in every row with the plan that the rules make
// of it. Each batch is a snapshot of its own and locks nothing.
func (s *Store) verifyPlans(ctx context.Context) ([]Finding, error) {
	var wrong, unpinned []string
	var after model.ActionID
	for more := true; more; {
		err := s.inSnapshot(ctx, func(ctx context.Context, tx bun.Tx, st txState) error {
			var rows []model.Action
			if err := tx.NewSelect().Model(&rows).Where("id > ?", after).OrderExpr("id").Limit(1000).Scan(ctx); err != nil {
				return fmt.Errorf("load actions: %w", err)
			}
			if more = len(rows) > 0; !more {
				return nil
			}
			ids := make([]model.ActionID, len(rows))
			for i := range rows {
				ids[i], after = rows[i].ID, rows[i].ID
			}
			events, err := eventsOf(ctx, tx, ids)
			if err != nil {
				return err
			}
			for i := range rows {
				a := &rows[i]
				c, err := s.pinned(ctx, tx, st, a, events[a.ID])
				switch {
				case unavailable(err) || ctx.Err() != nil:
					return err
				case err != nil:
					unpinned = append(unpinned, a.ID.String())
				case !headFits(&c):
					wrong = append(wrong, a.ID.String())
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return report(report(nil, "I2", planDiffers, wrong), "I2", pinMissing, unpinned), nil
}

func headFits(c *sla.Case) bool {
	plan := sla.Upcoming(*c)
	a := &c.Action
	if len(plan) == 0 || a.NextAt == nil {
		return len(plan) == 0 && a.NextAt == nil
	}
	return plan[0].At.Equal(*a.NextAt) && plan[0].Kind == a.NextKind && plan[0].Stage == deref(a.NextStage)
}

// Armed lists, in batches by id, the jobs that the queue is believed to hold and
// that are not due within the flight time: what Redis must have.
func (s *Store) Armed(ctx context.Context, after model.ActionID, limit int) ([]tasks.Arm, error) {
	now, err := s.Now(ctx)
	if err != nil {
		return nil, err
	}
	var rows []model.Action
	err = s.db.NewSelect().Model(&rows).Column("id", "gen", "next_at", "next_kind", "next_stage").
		Where("next_at > ?::timestamptz", now.Clock.Virtual(now.Machine.Add(flight))).Where("armed_gen = gen").Where("id > ?", after).
		OrderExpr("id").Limit(int64(limit)).Scan(ctx)
	if err != nil {
		return nil, mapErr(fmt.Errorf("list armed actions: %w", err))
	}
	arms := make([]tasks.Arm, len(rows))
	for i := range rows {
		arms[i] = armOf(&rows[i], now.Clock).Arm[0]
	}
	return arms, nil
}
