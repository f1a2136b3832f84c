package store

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/tasks"
)

// Recalendared is what one batch of Recalendar did.
type Recalendared struct {
	Revision int64         // the active one, whose calendars count
	Since    time.Duration // machine time since it was applied; 0 for the built-in policy
	Seen     int           // live actions that had an older revision's calendar
	Planned  []Moved       // those whose calendar differs, planned anew, and those that failed alone
	Next     Keyset        // where the walk goes on
}

// Recalendar brings live actions to the calendars of the active policy, a batch
// at a time in the order of their ids: new holidays and special days reach them,
// while their SLA config stays. Rows that somebody holds are left to the next
// walk. An action that fails alone leaves the others unharmed.
func (s *Store) Recalendar(ctx context.Context, after Keyset, limit int) (Recalendared, tasks.Effects, error) {
	done := Recalendared{Next: after}
	var ids []model.ActionID
	err := s.inTx(ctx, func(ctx context.Context, tx bun.Tx, st txState) (err error) {
		done.Revision = st.Rules.Revision
		ids, err = olderCalendars(ctx, tx, st, after, limit)
		if err == nil && done.Revision > 0 {
			var applied time.Time
			err = tx.NewRaw("SELECT created_at FROM policy_revisions WHERE revision = ?", done.Revision).Scan(ctx, &applied)
			done.Since = st.Now.Machine.Sub(st.Now.Clock.Real(applied))
		}
		return err
	})
	if err != nil || len(ids) == 0 {
		return done, tasks.Effects{}, err
	}
	done.Seen, done.Next.ID = len(ids), ids[len(ids)-1].String()
	var effects tasks.Effects
	failed, err := bisect(ctx, ids, func(ctx context.Context, ids []model.ActionID) error {
		planned, e, err := s.recalendar(ctx, ids)
		if err == nil {
			done.Planned, effects = append(done.Planned, planned...), join(effects, e)
		}
		return err
	})
	for i, ferr := range failed {
		done.Planned = append(done.Planned, Moved{Action: model.Action{ID: ids[i]}, Err: ferr})
	}
	return done, effects, err
}

func olderCalendars(ctx context.Context, tx bun.Tx, st txState, after Keyset, limit int) ([]model.ActionID, error) {
	var rows []struct{ ID model.ActionID }
	q := tx.NewSelect().Model((*model.Action)(nil)).Column("id").Where("status NOT IN ('closed', 'cancelled')").
		Where("calendar_revision < ?", st.Rules.Revision).OrderExpr("id").Limit(int64(limit))
	if after.ID != "" {
		q = q.Where("id > ?::uuid", after.ID)
	}
	if err := q.Scan(ctx, &rows); err != nil {
		return nil, fmt.Errorf("list actions of older calendars: %w", err)
	}
	ids := make([]model.ActionID, len(rows))
	for i, r := range rows {
		ids[i] = r.ID
	}
	return ids, nil
}

func (s *Store) recalendar(ctx context.Context, ids []model.ActionID) ([]Moved, tasks.Effects, error) {
	var planned []Moved
	var effects tasks.Effects
	err := s.inTx(ctx, func(ctx context.Context, tx bun.Tx, st txState) error {
		planned, effects = nil, tasks.Effects{}
		cases, err := s.loadCases(ctx, tx, st, ids, lockFree)
		if err != nil {
			return err
		}
		w := &writer{st: st, grace: s.grace}
		var same []model.ActionID
		for _, id := range ids {
			c := cases[id]
			if c == nil || !c.Action.Live() || c.Action.CalendarRevision >= st.Rules.Revision {
				continue
			}
			old, err := s.rulesOf(ctx, tx, st, c.Action.CalendarRevision)
			if err != nil {
				return err
			}
			if st.Rules.SameCalendar(old, c.Action.Calendar) {
				same = append(same, id)
				continue
			}
			out := sla.Recalendar(*c, st.Rules.OpenTimeOf(c.Action.Calendar), w.nowFor(&c.Action))
			planned = append(planned, Moved{Action: out.Action, Taken: w.taken(out)})
			w.add(out, c.Action.Gen)
		}
		if len(same) > 0 {
			_, err := tx.NewRaw("UPDATE actions SET calendar_revision = ?, version = version + 1 WHERE id IN (?)", st.Rules.Revision, bun.List(same)).Exec(ctx)
			if err != nil {
				return fmt.Errorf("note the calendars' revision: %w", err)
			}
		}
		if err := w.write(ctx, tx); err != nil {
			return err
		}
		effects = w.effects()
		return nil
	})
	return planned, effects, err
}
