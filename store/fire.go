package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/tasks"
)

// DeadlineRef names the armed job of an action. Gen is the fence: only the
// current one may fire.
type DeadlineRef struct {
	ActionID model.ActionID
	Gen      int64
}

// FireOutcome is what a firing found.
type FireOutcome string

// Fired: events were taken. Stale: the action has moved on, or is gone. NotDue:
// its time has not come by the domain clock.
const (
	Fired  FireOutcome = "fired"
	Stale  FireOutcome = "stale"
	NotDue FireOutcome = "not_due"
)

// FireResult is what became of one ref.
type FireResult struct {
	Ref     DeadlineRef
	Outcome FireOutcome
	Wait    time.Duration         // machine time until due, when NotDue
	Events  []model.DeadlineEvent // what was taken, when Fired
	Late    time.Duration         // machine time from the job's planned instant, when Fired
	Lates   []time.Duration       // the same of each of Events
	Err     error                 // this item alone failed; it is set aside for a while
}

// healBackoff is how long (machine time) a row that failed alone is left out
// of the sweeps, so that it never holds up the others.
const healBackoff = time.Minute

// Fire takes what is due of each action's plan: events, logs, messages and the
// next job in one transaction. A stale ref yields the row's current effect
// unless the queue has heard of it. A ref that fails alone carries its error and
// leaves the others unharmed.
func (s *Store) Fire(ctx context.Context, refs []DeadlineRef) ([]FireResult, tasks.Effects, error) {
	refs = sortedRefs(refs)
	var results []FireResult
	var effects tasks.Effects
	failed, err := bisect(ctx, refs, func(ctx context.Context, refs []DeadlineRef) error {
		rs, e, err := s.fire(ctx, refs)
		if err == nil {
			results, effects = append(results, rs...), join(effects, e)
		}
		return err
	})
	for i, ferr := range failed {
		results = append(results, FireResult{Ref: refs[i], Err: fmt.Errorf("fire action %s: %w", refs[i].ActionID, ferr)})
		_, err := s.db.NewRaw("UPDATE actions SET heal_after = clock_timestamp() + ? * interval '1 second' WHERE id = ?",
			healBackoff.Seconds(), refs[i].ActionID).Exec(ctx)
		if err != nil {
			return results, effects, mapErr(err)
		}
	}
	return results, effects, err
}

func (s *Store) fire(ctx context.Context, refs []DeadlineRef) ([]FireResult, tasks.Effects, error) {
	var results []FireResult
	var effects tasks.Effects
	err := s.inTx(ctx, func(ctx context.Context, tx bun.Tx, st txState) error {
		results, effects = nil, tasks.Effects{}
		ids := make([]model.ActionID, len(refs))
		for i, r := range refs {
			ids[i] = r.ActionID
		}
		cases, err := s.loadCases(ctx, tx, st, ids)
		if err != nil {
			return err
		}
		w := &writer{st: st, grace: s.grace}
		for _, ref := range refs {
			r, err := fireOne(ref, cases[ref.ActionID], w, &effects)
			if err != nil {
				return err
			}
			results = append(results, r)
		}
		if err := w.write(ctx, tx); err != nil {
			return err
		}
		effects.Add(w.effects())
		return nil
	})
	return results, effects, err
}

func fireOne(ref DeadlineRef, c *sla.Case, w *writer, effects *tasks.Effects) (FireResult, error) {
	r := FireResult{Ref: ref, Outcome: Stale}
	if c == nil {
		return r, nil
	}
	a := &c.Action
	if a.Gen != ref.Gen || a.NextAt == nil {
		effects.Add(armOf(a, w.st.Now.Clock))
		return r, nil
	}
	if a.NextAt.After(w.st.Now.Domain) {
		r.Outcome, r.Wait = NotDue, w.st.Now.Clock.Real(*a.NextAt).Sub(w.st.Now.Machine)
		return r, nil
	}
	out, ok := sla.Fire(*c, w.st.Now.Domain)
	if !ok {
		// Not stale: nothing would ever take it, and nobody would hear of it.
		return r, fmt.Errorf("the row's next event, %s %d at %s, is not in its plan", a.NextKind, deref(a.NextStage), a.NextAt.Format(time.RFC3339))
	}
	r.Outcome, r.Events, r.Late = Fired, out.Events, w.late(*a.NextAt)
	for _, e := range out.Events {
		r.Lates = append(r.Lates, w.late(e.Planned))
	}
	w.add(out, a.Gen)
	return r, nil
}

// late is the machine time since a domain instant.
func (w *writer) late(at time.Time) time.Duration {
	return w.st.Now.Machine.Sub(w.st.Now.Clock.Real(at))
}

// loadCases locks the actions, in the order of their ids, and gathers what the
// rules must know of each.
func (s *Store) loadCases(ctx context.Context, tx bun.Tx, st txState, ids []model.ActionID) (map[model.ActionID]*sla.Case, error) {
	var as []model.Action
	if err := tx.NewSelect().Model(&as).Where("id IN (?)", bun.List(ids)).OrderExpr("id").For("UPDATE").Scan(ctx); err != nil {
		return nil, fmt.Errorf("load actions: %w", err)
	}
	events, err := eventsOf(ctx, tx, ids)
	if err != nil {
		return nil, err
	}
	cases := make(map[model.ActionID]*sla.Case, len(as))
	for i := range as {
		cfg, err := s.pinned(ctx, tx, st, &as[i])
		if err != nil {
			return nil, err
		}
		cases[as[i].ID] = &sla.Case{Action: as[i], Events: events[as[i].ID], Config: cfg, Dir: st.Dir}
	}
	return cases, nil
}

// eventsOf reads the deadline events that each action has taken.
func eventsOf(ctx context.Context, tx bun.Tx, ids []model.ActionID) (map[model.ActionID][]model.DeadlineEvent, error) {
	var es []model.DeadlineEvent
	if err := tx.NewSelect().Model(&es).Where("action_id IN (?)", bun.List(ids)).Scan(ctx); err != nil {
		return nil, fmt.Errorf("load deadline events: %w", err)
	}
	by := make(map[model.ActionID][]model.DeadlineEvent, len(ids))
	for _, e := range es {
		by[e.ActionID] = append(by[e.ActionID], e)
	}
	return by, nil
}

// pinnedRules are the rules of the policy revision that an action was made under.
func (s *Store) pinnedRules(ctx context.Context, tx bun.Tx, st txState, a *model.Action) (*sla.Rules, error) {
	if a.PolicyRevision == st.Rules.Revision {
		return st.Rules, nil
	}
	return s.rules.revision(ctx, tx, a.PolicyRevision, st.Dir)
}

// pinned is the SLA config that an action was given when it was made.
func (s *Store) pinned(ctx context.Context, tx bun.Tx, st txState, a *model.Action) (*sla.Config, error) {
	rules, err := s.pinnedRules(ctx, tx, st, a)
	if err != nil {
		return nil, err
	}
	cfg := rules.Config(a.SLAConfigID)
	if cfg == nil {
		return nil, fmt.Errorf("action %s: policy revision %d has no such SLA config", a.ID, a.PolicyRevision)
	}
	return cfg, nil
}

// sortedRefs returns the refs in the order of their actions, the newest gen of
// each action once.
func sortedRefs(refs []DeadlineRef) []DeadlineRef {
	out := slices.Clone(refs)
	slices.SortFunc(out, func(a, b DeadlineRef) int {
		if c := compareIDs(a.ActionID, b.ActionID); c != 0 {
			return c
		}
		return int(b.Gen - a.Gen)
	})
	return slices.CompactFunc(out, func(a, b DeadlineRef) bool { return a.ActionID == b.ActionID })
}
