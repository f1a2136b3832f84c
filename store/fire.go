package store

import (
	"context"
	"errors"
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
// its time has not come by the domain clock. Busy: another transaction is at
// the action.
const (
	Fired  FireOutcome = "fired"
	Stale  FireOutcome = "stale"
	NotDue FireOutcome = "not_due"
	Busy   FireOutcome = "busy"
)

// FireResult is what became of one ref.
type FireResult struct {
	Ref     DeadlineRef
	Outcome FireOutcome
	Wait    time.Duration // machine time until due, when NotDue, or until it is worth a try, when Busy
	Taken   []Taken       // what was taken, when Fired
	Late    time.Duration // machine time from the job's planned instant, when Fired
	Err     error         // this item alone failed; it is set aside for a while
}

// Taken is an event that a transaction took.
type Taken struct {
	model.DeadlineEvent
	Late time.Duration // machine time from its planned instant
}

// healBackoff is how long (machine time) a row that failed alone is left out
// of the sweeps, so that it never holds up the others.
const healBackoff = time.Minute

// busyWait is how long (machine time) a job waits for an action that somebody
// holds: each try may cost its batch the wait for the lock.
const busyWait = 5 * time.Second

// Fire takes what is due of each action's plan: events, logs, messages and the
// next job in one transaction. A stale ref yields the row's current effects
// unless the queue has heard of them. A ref that fails alone carries its error
// and leaves the others unharmed; one whose action is locked is left out as Busy.
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

// The ways to lock rows: wait for those that others hold, which a batch does
// first, or leave them out, so that they don't hold up the rest.
const (
	lockAll  = "UPDATE"
	lockFree = "UPDATE SKIP LOCKED"
)

func (s *Store) fire(ctx context.Context, refs []DeadlineRef) ([]FireResult, tasks.Effects, error) {
	results, effects, err := s.fireLocking(ctx, refs, lockAll)
	if errors.Is(err, errLocked) {
		return s.fireLocking(ctx, refs, lockFree)
	}
	return results, effects, err
}

func (s *Store) fireLocking(ctx context.Context, refs []DeadlineRef, lock string) ([]FireResult, tasks.Effects, error) {
	var results []FireResult
	var effects tasks.Effects
	err := s.inTx(ctx, func(ctx context.Context, tx bun.Tx, st txState) error {
		results, effects = nil, tasks.Effects{}
		ids := make([]model.ActionID, len(refs))
		for i, r := range refs {
			ids[i] = r.ActionID
		}
		cases, err := s.loadCases(ctx, tx, st, ids, lock)
		if err != nil {
			return err
		}
		locked, err := lockedOf(ctx, tx, "actions", missing(ids, cases))
		if err != nil {
			return err
		}
		w := &writer{st: st, grace: s.grace}
		var stale, fired []model.ActionID
		for _, ref := range refs {
			r, err := fireOne(ref, cases[ref.ActionID], w)
			switch {
			case err != nil:
				return err
			case locked[ref.ActionID]:
				r.Outcome, r.Wait = Busy, busyWait
			case r.Outcome == Stale:
				stale = append(stale, ref.ActionID)
			case r.Outcome == Fired:
				fired = append(fired, ref.ActionID)
			}
			results = append(results, r)
		}
		if err := w.write(ctx, tx); err != nil {
			return err
		}
		stale = slices.DeleteFunc(stale, func(id model.ActionID) bool { return slices.Contains(fired, id) })
		effects, err = currentEffects(ctx, tx, st, stale)
		effects.Add(w.effects())
		return err
	})
	return results, effects, err
}

func fireOne(ref DeadlineRef, c *sla.Case, w *writer) (FireResult, error) {
	r := FireResult{Ref: ref, Outcome: Stale}
	if c == nil || c.Action.Gen != ref.Gen || c.Action.NextAt == nil {
		return r, nil
	}
	a, now := &c.Action, w.nowFor(&c.Action)
	if a.NextAt.After(now) {
		r.Outcome, r.Wait = NotDue, w.st.Now.Clock.Real(*a.NextAt).Sub(w.st.Now.Machine)
		return r, nil
	}
	out, ok := sla.Fire(*c, now)
	if !ok {
		// Not stale: nothing would ever take it, and nobody would hear of it.
		return r, fmt.Errorf("the row's next event, %s %d at %s, is not in its plan", a.NextKind, deref(a.NextStage), a.NextAt.Format(time.RFC3339))
	}
	r.Outcome, r.Taken, r.Late = Fired, w.taken(out), w.late(*a.NextAt)
	w.add(out, a.Gen)
	return r, nil
}

// nowFor is the domain time at which an action is decided. The clock was read
// before its row was locked: whoever had the lock may have written at a later
// reading, behind which nothing may fall.
func (w *writer) nowFor(a *model.Action) time.Time {
	if a.UpdatedAt.After(w.st.Now.Domain) {
		return a.UpdatedAt
	}
	return w.st.Now.Domain
}

// taken lists what an outcome took, with its lateness.
func (w *writer) taken(o sla.Outcome) []Taken {
	ts := make([]Taken, len(o.Events))
	for i, e := range o.Events {
		ts[i] = Taken{e, w.late(e.Planned)}
	}
	return ts
}

// late is the machine time since a domain instant.
func (w *writer) late(at time.Time) time.Duration {
	return w.st.Now.Machine.Sub(w.st.Now.Clock.Real(at))
}

// loadCases locks the actions, in the order of their ids, and gathers what the
// rules must know of each. lock is lockAll or lockFree.
func (s *Store) loadCases(ctx context.Context, tx bun.Tx, st txState, ids []model.ActionID, lock string) (map[model.ActionID]*sla.Case, error) {
	var as []model.Action
	if err := tx.NewSelect().Model(&as).Where("id IN (?)", bun.List(ids)).OrderExpr("id").For(lock).Scan(ctx); err != nil {
		return nil, fmt.Errorf("load actions: %w", err)
	}
	events, err := eventsOf(ctx, tx, ids)
	if err != nil {
		return nil, err
	}
	cases := make(map[model.ActionID]*sla.Case, len(as))
	for i := range as {
		c, err := s.pinned(ctx, tx, st, &as[i], events[as[i].ID])
		if err != nil {
			return nil, err
		}
		cases[as[i].ID] = &c
	}
	return cases, nil
}

// missing lists the ids that have no entry.
func missing[T, V any](ids []model.ID[T], have map[model.ID[T]]V) []model.ID[T] {
	var out []model.ID[T]
	for _, id := range ids {
		if _, ok := have[id]; !ok {
			out = append(out, id)
		}
	}
	return out
}

// lockedOf tells which of the rows that a locking read left out exist: those
// are in another transaction's hands.
func lockedOf[T any](ctx context.Context, tx bun.Tx, table string, ids []model.ID[T]) (map[model.ID[T]]bool, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	var there []struct{ ID model.ID[T] }
	if err := tx.NewRaw("SELECT id FROM ? WHERE id IN (?)", bun.Ident(table), bun.List(ids)).Scan(ctx, &there); err != nil {
		return nil, fmt.Errorf("look for locked rows of %s: %w", table, err)
	}
	locked := make(map[model.ID[T]]bool, len(there))
	for _, row := range there {
		locked[row.ID] = true
	}
	return locked, nil
}

// currentEffects is what the queue may not have heard of: jobs that are not
// armed, and the pending messages of their actions.
func currentEffects(ctx context.Context, tx bun.Tx, st txState, ids []model.ActionID) (tasks.Effects, error) {
	var effects tasks.Effects
	if len(ids) == 0 {
		return effects, nil
	}
	var as []model.Action
	if err := tx.NewSelect().Model(&as).Where("id IN (?)", bun.List(ids)).Scan(ctx); err != nil {
		return effects, fmt.Errorf("load the actions' effects: %w", err)
	}
	ids = nil
	for i := range as {
		effects.Add(armOf(&as[i], st.Now.Clock))
		if a := &as[i]; a.NextAt == nil || a.ArmedGen < a.Gen {
			ids = append(ids, a.ID)
		}
	}
	if len(ids) == 0 {
		return effects, nil
	}
	var ms []model.Message
	err := tx.NewSelect().Model(&ms).Where("action_id IN (?)", bun.List(ids)).Where("state = ?", model.MessagePending).Scan(ctx)
	if err != nil {
		return effects, fmt.Errorf("load the messages' effects: %w", err)
	}
	for i := range ms {
		effects.Add(sendOf(&ms[i], st.Now))
	}
	return effects, nil
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
	return s.rulesOf(ctx, tx, st, a.PolicyRevision)
}

func (s *Store) rulesOf(ctx context.Context, tx bun.Tx, st txState, revision int64) (*sla.Rules, error) {
	if revision == st.Rules.Revision {
		return st.Rules, nil
	}
	return s.rules.revision(ctx, tx, revision, st.Dir)
}

// pinned gathers what the rules must know of an action: the SLA config that it
// was given when it was made, and the calendar that it was last planned by.
func (s *Store) pinned(ctx context.Context, tx bun.Tx, st txState, a *model.Action, events []model.DeadlineEvent) (sla.Case, error) {
	c := sla.Case{Action: *a, Events: events, Dir: st.Dir}
	rules, err := s.pinnedRules(ctx, tx, st, a)
	if err != nil {
		return c, err
	}
	if c.Config = rules.Config(a.SLAConfigID); c.Config == nil {
		return c, fmt.Errorf("action %s: policy revision %d has no such SLA config", a.ID, a.PolicyRevision)
	}
	if a.CalendarRevision != a.PolicyRevision {
		if rules, err = s.rulesOf(ctx, tx, st, a.CalendarRevision); err != nil {
			return c, err
		}
	}
	c.Open = rules.OpenTimeOf(a.Calendar).Calendar
	return c, nil
}

// sortedRefs returns the refs in the order of their actions, each once. Of an
// action all gens stay: which of them is the row's, only the row tells, for a
// database that was put back to an earlier moment is behind the newest.
func sortedRefs(refs []DeadlineRef) []DeadlineRef {
	out := slices.Clone(refs)
	slices.SortFunc(out, func(a, b DeadlineRef) int {
		if c := compareIDs(a.ActionID, b.ActionID); c != 0 {
			return c
		}
		return int(b.Gen - a.Gen)
	})
	return slices.Compact(out)
}
