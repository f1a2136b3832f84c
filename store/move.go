package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/uptrace/bun"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/tasks"
)

// Move is one person's move on one action.
type Move struct {
	ActionID model.ActionID
	Version  int64 // the version the person saw; 0: any
	Request  sla.MoveRequest
	Once     Once // what to remember it by; zero: a repeat is a move of its own
}

// Moved is what became of one move: the row after it, or why it was refused.
// Err is a *model.TransitionError, model.FieldErrors, model.ErrForbidden,
// model.ErrNotFound, model.ErrConflict (the version) or ErrReused.
type Moved struct {
	Action   model.Action
	Taken    []Taken // what was due, which the move settled
	Replayed bool    // the move was made before, by Once, and was not made again
	Err      error
}

// Move makes each move in its own right: what is due is settled first, then
// the move, then the new plan, in one transaction. Moves on the same action are
// made in their order. Results stand in the order of the moves.
func (s *Store) Move(ctx context.Context, moves []Move) ([]Moved, tasks.Effects, error) {
	results := make([]Moved, len(moves))
	var effects tasks.Effects
	for _, round := range rounds(moves) {
		failed, err := bisect(ctx, round, func(ctx context.Context, round []int) error {
			e, err := s.move(ctx, moves, round, results)
			if err == nil {
				effects.Add(e)
			}
			return err
		})
		for i, ferr := range failed {
			m := moves[round[i]]
			results[round[i]] = Moved{Err: fmt.Errorf("%s action %s: %w", m.Request.Move, m.ActionID, ferr)}
		}
		if err != nil {
			return results, effects, err
		}
	}
	return results, effects, nil
}

func (s *Store) move(ctx context.Context, moves []Move, round []int, results []Moved) (tasks.Effects, error) {
	var effects tasks.Effects
	err := s.inTx(ctx, func(ctx context.Context, tx bun.Tx, st txState) error {
		ids := make([]model.ActionID, len(round))
		for i, n := range round {
			ids[i] = moves[n].ActionID
		}
		cases, err := s.loadCases(ctx, tx, st, ids, lockAll)
		if err != nil {
			return err
		}
		if err := countEvidence(ctx, tx, moves, round, cases); err != nil {
			return err
		}
		w := &writer{st: st, grace: s.grace}
		for _, n := range round {
			m, c := moves[n], cases[moves[n].ActionID]
			if err := s.matchPlace(ctx, tx, st, &m, c); err != nil {
				return err
			}
			if c != nil {
				before, ok, err := replayed(ctx, tx, &m, &c.Action)
				if err != nil {
					return err
				}
				if ok {
					results[n] = before
					continue
				}
			}
			results[n] = moveOne(m, c, w)
		}
		if err := w.write(ctx, tx); err != nil {
			return err
		}
		if err := remember(ctx, tx, moves, round, results); err != nil {
			return err
		}
		effects = w.effects()
		return nil
	})
	return effects, err
}

// matchPlace gives a move to another department the SLA config that counts
// there, by the policy that the action was made under, and the calendar as it
// is now.
func (s *Store) matchPlace(ctx context.Context, tx bun.Tx, st txState, m *Move, c *sla.Case) error {
	if c == nil || m.Request.Move != model.MoveDepartment || m.Request.Config != nil || m.Request.Department.IsZero() {
		return nil
	}
	rules, err := s.pinnedRules(ctx, tx, st, &c.Action)
	if err != nil {
		return err
	}
	m.Request.Config = rules.Match(c.Action.HospitalID, &m.Request.Department)
	m.Request.OpenTime = st.Rules.OpenTime(m.Request.Config, c.Action.HospitalID, &m.Request.Department)
	return nil
}

func moveOne(m Move, c *sla.Case, w *writer) Moved {
	if c == nil {
		return Moved{Err: fmt.Errorf("action %s: %w", m.ActionID, model.ErrNotFound)}
	}
	if m.Version != 0 && m.Version != c.Action.Version {
		return Moved{Action: c.Action, Err: fmt.Errorf("action %s: %w: it is at version %d", c.Action.Ref, model.ErrConflict, c.Action.Version)}
	}
	out, err := sla.Apply(*c, m.Request, w.nowFor(&c.Action))
	if err != nil {
		return Moved{Action: c.Action, Err: err}
	}
	w.add(out, c.Action.Gen)
	return Moved{Action: out.Action, Taken: w.taken(out)}
}

// rounds splits moves so that no round has two on the same action; within a
// round they are in the order of the actions' ids.
func rounds(moves []Move) [][]int {
	var out [][]int
	seen := map[model.ActionID]int{}
	for i, m := range moves {
		n := seen[m.ActionID]
		seen[m.ActionID]++
		if n == len(out) {
			out = append(out, nil)
		}
		out[n] = append(out[n], i)
	}
	for _, r := range out {
		slices.SortStableFunc(r, func(a, b int) int { return compareIDs(moves[a].ActionID, moves[b].ActionID) })
	}
	return out
}
