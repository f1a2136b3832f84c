package store

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/tasks"
)

// Walked is what one batch of a walk over live actions did.
type Walked struct {
	Seen  int     // actions that it was about
	Moved []Moved // those that changed for people to see, and those that failed alone
	Next  Keyset  // where the walk goes on
}

// walk is a change that the program makes to live actions by itself, a batch at
// a time in the order of their ids.
type walk struct {
	what  string                                                // for errors
	which func(q *bun.SelectQuery, st txState) *bun.SelectQuery // the live actions that it is about
	begin func(ctx context.Context, tx bun.Tx, st txState) (walkStep, error)
}

// walkStep decides one of them; false: there is nothing to change. Whatever the
// row was chosen by may be different by now.
type walkStep func(c sla.Case, w *writer) (sla.Outcome, bool, error)

// walk takes one batch. Rows that somebody holds are left to the next walk; an
// action that fails alone leaves the others unharmed.
func (s *Store) walk(ctx context.Context, after Keyset, limit int, k walk) (Walked, tasks.Effects, error) {
	done := Walked{Next: after}
	var ids []model.ActionID
	err := s.inTx(ctx, func(ctx context.Context, tx bun.Tx, st txState) error {
		var rows []struct{ ID model.ActionID }
		q := tx.NewSelect().Model((*model.Action)(nil)).Column("id").Where("status NOT IN ('closed', 'cancelled')").OrderExpr("id").Limit(int64(limit))
		if after.ID != "" {
			q = q.Where("id > ?::uuid", after.ID)
		}
		if err := k.which(q, st).Scan(ctx, &rows); err != nil {
			return fmt.Errorf("list actions to %s: %w", k.what, err)
		}
		ids = make([]model.ActionID, len(rows))
		for i, r := range rows {
			ids[i] = r.ID
		}
		return nil
	})
	if err != nil || len(ids) == 0 {
		return done, tasks.Effects{}, err
	}
	done.Seen, done.Next.ID = len(ids), ids[len(ids)-1].String()
	var effects tasks.Effects
	failed, err := bisect(ctx, ids, func(ctx context.Context, ids []model.ActionID) error {
		moved, e, err := s.walkBatch(ctx, ids, k)
		if err == nil {
			done.Moved, effects = append(done.Moved, moved...), join(effects, e)
		}
		return err
	})
	for i, ferr := range failed {
		done.Moved = append(done.Moved, Moved{Action: model.Action{ID: ids[i]}, Err: fmt.Errorf("%s action %s: %w", k.what, ids[i], ferr)})
	}
	return done, effects, err
}

func (s *Store) walkBatch(ctx context.Context, ids []model.ActionID, k walk) ([]Moved, tasks.Effects, error) {
	var moved []Moved
	var effects tasks.Effects
	err := s.inTx(ctx, func(ctx context.Context, tx bun.Tx, st txState) error {
		moved, effects = nil, tasks.Effects{}
		step, err := k.begin(ctx, tx, st)
		if err != nil {
			return err
		}
		cases, err := s.loadCases(ctx, tx, st, ids, lockFree)
		if err != nil {
			return err
		}
		w := &writer{st: st, grace: s.grace}
		for _, id := range ids {
			c := cases[id]
			if c == nil || !c.Action.Live() {
				continue
			}
			out, ok, err := step(*c, w)
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
			w.add(out, c.Action.Gen)
			if len(out.Logs) > 0 {
				moved = append(moved, Moved{Action: out.Action, Taken: w.taken(out)})
			}
		}
		if err := w.write(ctx, tx); err != nil {
			return err
		}
		effects = w.effects()
		return nil
	})
	return moved, effects, err
}

// Recalendar brings live actions to the calendars of the active policy: new
// holidays and special days reach them, while their SLA config stays.
func (s *Store) Recalendar(ctx context.Context, after Keyset, limit int) (Walked, tasks.Effects, error) {
	return s.walk(ctx, after, limit, walk{
		what: "bring to its calendar",
		which: func(q *bun.SelectQuery, st txState) *bun.SelectQuery {
			return q.Where("calendar_revision < ?", st.Rules.Revision)
		},
		begin: func(ctx context.Context, tx bun.Tx, st txState) (walkStep, error) {
			return func(c sla.Case, w *writer) (sla.Outcome, bool, error) {
				a := &c.Action
				if a.CalendarRevision >= st.Rules.Revision {
					return sla.Outcome{}, false, nil
				}
				old, err := s.rulesOf(ctx, tx, st, a.CalendarRevision)
				if err != nil {
					return sla.Outcome{}, false, err
				}
				if st.Rules.SameCalendar(old, a.Calendar) {
					a.CalendarRevision, a.Version = st.Rules.Revision, a.Version+1
					return sla.Outcome{Action: *a}, true, nil
				}
				return sla.Recalendar(c, st.Rules.OpenTimeOf(a.Calendar), w.nowFor(a)), true, nil
			}, nil
		},
	})
}

// Reroute gives live actions whose owner is not active any more, or has not
// started them in time where their SLA config makes that count, to whom the
// active rules would give them now. Those that nobody else can own keep the
// owner they have.
func (s *Store) Reroute(ctx context.Context, after Keyset, limit int) (Walked, tasks.Effects, error) {
	return s.walk(ctx, after, limit, walk{
		what: "reroute",
		which: func(q *bun.SelectQuery, st txState) *bun.SelectQuery {
			// An array, for it is made once, each half by what is quickest for it: an
			// OR would have every live action read. Who misses it second keeps it.
			return q.Where(`id = ANY(ARRAY(
				SELECT id FROM actions WHERE assigned_to IN (SELECT id FROM users WHERE NOT active) AND status NOT IN ('closed', 'cancelled')
				UNION ALL
				SELECT id FROM actions AS o WHERE status = 'open' AND ack_due_at < ? AND held_at IS NULL
					AND sla_config_id IN (SELECT id FROM sla_configs WHERE spec->>'ack_reroute' = 'true')
					AND (SELECT count(*) FROM deadline_events AS e WHERE e.action_id = o.id AND e.kind = 'ack') = 1))`, st.Now.Domain)
		},
		begin: func(ctx context.Context, tx bun.Tx, st txState) (walkStep, error) {
			loads, err := readLoads(ctx, tx, st)
			return func(c sla.Case, w *writer) (sla.Outcome, bool, error) {
				out, ok := st.Rules.Reroute(c, loads, w.nowFor(&c.Action))
				return out, ok, nil
			}, err
		},
	})
}

// Reapply puts live actions under the active policy as a whole: SLA config,
// calendar, and who needs approval.
func (s *Store) Reapply(ctx context.Context, after Keyset, limit int) (Walked, tasks.Effects, error) {
	return s.walk(ctx, after, limit, walk{
		what: "put under the policy",
		which: func(q *bun.SelectQuery, st txState) *bun.SelectQuery {
			return q.Where("policy_revision < ?", st.Rules.Revision)
		},
		begin: func(_ context.Context, _ bun.Tx, st txState) (walkStep, error) {
			return func(c sla.Case, w *writer) (sla.Outcome, bool, error) {
				if c.Action.PolicyRevision >= st.Rules.Revision {
					return sla.Outcome{}, false, nil
				}
				return st.Rules.Reapply(c, w.nowFor(&c.Action)), true, nil
			}, nil
		},
	})
}
