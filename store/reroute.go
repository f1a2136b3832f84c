package store

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/tasks"
)

// Rerouted is what one batch of Reroute did.
type Rerouted struct {
	Seen  int     // live actions whose owner is not active
	Moved []Moved // those that got another owner, and those that failed alone
	Next  Keyset  // where the walk goes on
}

// Reroute gives live actions whose owner is not active any more to whom the
// active rules would give them now, a batch at a time in the order of their
// ids. Those that nobody else can own keep the owner they have. Rows that
// somebody holds are left to the next walk.
func (s *Store) Reroute(ctx context.Context, after Keyset, limit int) (Rerouted, tasks.Effects, error) {
	done := Rerouted{Next: after}
	var rows []struct{ ID model.ActionID }
	err := s.db.NewRaw(`SELECT a.id FROM actions a WHERE a.status NOT IN ('closed', 'cancelled') AND (?0 = '' OR a.id > nullif(?0, '')::uuid)
		AND a.assigned_to IN (SELECT id FROM users WHERE NOT active) ORDER BY a.id LIMIT ?1`, after.ID, limit).Scan(ctx, &rows)
	if err != nil || len(rows) == 0 {
		return done, tasks.Effects{}, mapErr(err)
	}
	ids := make([]model.ActionID, len(rows))
	for i, r := range rows {
		ids[i] = r.ID
	}
	done.Seen, done.Next.ID = len(ids), ids[len(ids)-1].String()
	var effects tasks.Effects
	failed, err := bisect(ctx, ids, func(ctx context.Context, ids []model.ActionID) error {
		moved, e, err := s.reroute(ctx, ids)
		if err == nil {
			done.Moved, effects = append(done.Moved, moved...), join(effects, e)
		}
		return err
	})
	for i, ferr := range failed {
		done.Moved = append(done.Moved, Moved{Action: model.Action{ID: ids[i]}, Err: fmt.Errorf("reroute action %s: %w", ids[i], ferr)})
	}
	return done, effects, err
}

func (s *Store) reroute(ctx context.Context, ids []model.ActionID) ([]Moved, tasks.Effects, error) {
	var moved []Moved
	var effects tasks.Effects
	err := s.inTx(ctx, func(ctx context.Context, tx bun.Tx, st txState) error {
		moved, effects = nil, tasks.Effects{}
		cases, err := s.loadCases(ctx, tx, st, ids, lockFree)
		if err != nil {
			return err
		}
		loads, err := readLoads(ctx, tx, st)
		if err != nil {
			return err
		}
		w := &writer{st: st, grace: s.grace}
		for _, id := range ids {
			c := cases[id]
			if c == nil || !c.Action.Live() {
				continue
			}
			if out, ok := st.Rules.Reroute(*c, loads, w.nowFor(&c.Action)); ok {
				moved = append(moved, Moved{Action: out.Action, Taken: w.taken(out)})
				w.add(out, c.Action.Gen)
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
