package store

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/tasks"
)

// LegalHold keeps an action from being erased, or lets it be again. Errors: those
// of sla.LegalHold, model.ErrNotFound.
func (s *Store) LegalHold(ctx context.Context, id model.ActionID, on bool, m sla.MoveRequest) (Moved, tasks.Effects, error) {
	var done Moved
	var effects tasks.Effects
	err := s.inTx(ctx, func(ctx context.Context, tx bun.Tx, st txState) error {
		cases, err := s.loadCases(ctx, tx, st, []model.ActionID{id}, lockAll)
		if err != nil {
			return err
		}
		c := cases[id]
		if c == nil {
			return model.ErrNotFound
		}
		w := &writer{st: st, grace: s.grace}
		out, err := sla.LegalHold(*c, on, m, w.nowFor(&c.Action))
		if err != nil {
			return err
		}
		w.add(out, c.Action.Gen)
		done, effects = Moved{Action: out.Action, Taken: w.taken(out)}, w.effects()
		return w.write(ctx, tx)
	})
	if err != nil {
		return Moved{}, tasks.Effects{}, fmt.Errorf("legal hold of action %s: %w", id, err)
	}
	return done, effects, nil
}
