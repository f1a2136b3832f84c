package store

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
)

// What VerifyPlans finds.
const (
	planLost    = "live action without a next event, though its plan has one"
	planDiffers = "next event differs from the plan"
	pinMissing  = "pinned policy or SLA config is missing"
)

// wordColumns are the columns of an action that may be long and that no plan asks for.
func wordColumns() []string {
	return []string{"title", "description", "rejection_reason", "hold_reason", "action_plan", "outcome", "root_cause", "complainant_not_informed", "metadata"}
}

// VerifyPlans compares the head in every live row with the plan that the rules
// make of it. Each batch is a snapshot of its own and locks nothing.
func (s *Store) VerifyPlans(ctx context.Context) ([]Finding, error) {
	lost, wrong := Finding{Invariant: "I2", What: planLost}, Finding{Invariant: "I2", What: planDiffers}
	var after model.ActionID
	for more := true; more; {
		err := s.inSnapshot(ctx, func(ctx context.Context, tx bun.Tx, st txState) error {
			var rows []model.Action
			err := tx.NewSelect().Model(&rows).ExcludeColumn(wordColumns()...).
				Where("id > ?", after).Where("status NOT IN ('closed', 'cancelled')").OrderExpr("id").Limit(1000).Scan(ctx)
			if err != nil {
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
				case err != nil: // pins are checked by themselves
				case a.NextAt == nil && len(sla.Upcoming(c)) > 0:
					lost.Add(a.ID.String())
				case !headFits(&c):
					wrong.Add(a.ID.String())
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	unpinned, err := s.verifyPins(ctx)
	return Found(&lost, &wrong, unpinned), err
}

func headFits(c *sla.Case) bool {
	plan := sla.Upcoming(*c)
	a := &c.Action
	if len(plan) == 0 || a.NextAt == nil {
		return len(plan) == 0 && a.NextAt == nil
	}
	return plan[0].At.Equal(*a.NextAt) && plan[0].Kind == a.NextKind && plan[0].Stage == deref(a.NextStage)
}

// verifyPins looks whether what actions pin is there. There are few pins,
// however many actions.
func (s *Store) verifyPins(ctx context.Context) (*Finding, error) {
	f := &Finding{Invariant: "I2", What: pinMissing}
	err := s.inSnapshot(ctx, func(ctx context.Context, tx bun.Tx, st txState) error {
		f.Count, f.Examples = 0, nil
		var pins []struct {
			model.Action `bun:",extend"`
			N            int64
		}
		err := tx.NewRaw(`/* px verify: pins */ SELECT policy_revision, sla_config_id, calendar_revision, count(*) AS n FROM actions
			GROUP BY policy_revision, sla_config_id, calendar_revision`).Scan(ctx, &pins)
		if err != nil {
			return fmt.Errorf("list what actions pin: %w", err)
		}
		for i := range pins {
			p := &pins[i]
			_, err := s.pinned(ctx, tx, st, &p.Action, nil)
			if err == nil {
				continue
			}
			if unavailable(err) || ctx.Err() != nil {
				return err
			}
			f.Count += p.N
			var ids []string
			err = tx.NewRaw(`SELECT id::text FROM actions WHERE policy_revision = ? AND sla_config_id IS NOT DISTINCT FROM ? AND calendar_revision = ? ORDER BY id LIMIT ?`,
				p.PolicyRevision, p.SLAConfigID, p.CalendarRevision, MaxExamples-len(f.Examples)).Scan(ctx, &ids)
			if err != nil {
				return fmt.Errorf("name actions of a missing pin: %w", err)
			}
			f.Examples = append(f.Examples, ids...)
		}
		return nil
	})
	return f, err
}
