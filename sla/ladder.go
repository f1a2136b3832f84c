package sla

import (
	"slices"

	"github.com/pxactions/px/model"
)

// ladderRungs is the built-in ladder, lowest rung first.
func ladderRungs() []Rung { return []Rung{RungManager, RungPXAdmin, RungExecutive} }

// stageTargets says whom a stage tells: those that the SLA config names for it,
// less the assignee and who escalates by hand; where that leaves nobody, by the
// ladder.
func (t *turn) stageTargets(no int) []model.UserID {
	var ids []model.UserID
	for _, target := range t.stage(no).Targets {
		ids = union(ids, t.named(target))
	}
	if ids = without(ids, t.knowing()...); len(ids) > 0 {
		return ids
	}
	return t.climb()
}

// named is whom a stage's target means now, less those barred.
func (t *turn) named(target StageTarget) []model.UserID {
	a := &t.Action
	switch {
	case target.Manager:
		return t.manager()
	case target.Role == "":
		if id, ok := t.Dir.StandIn(target.User, t.now, t.barred()); ok {
			return []model.UserID{id}
		}
		return nil
	}
	if a.DepartmentID != nil {
		if ids := t.Dir.Holders(target.Role, &a.HospitalID, a.DepartmentID, t.now, t.barred()); len(ids) > 0 {
			return ids
		}
	}
	return t.Dir.hospitalRung(target.Role, a, t.now, t.barred())
}

// climb says whom a stage tells by the ladder: of the first rung that still
// holds somebody who neither knows of it nor was told in this period, those
// people only. When none is left, the last rung that holds anybody besides the
// assignee is told again. Empty: there is nobody at all.
func (t *turn) climb() []model.UserID {
	told := t.toldIn(t.Action.Period)
	var again []model.UserID
	for _, r := range ladderRungs() {
		held := without(t.Dir.Rung(r, &t.Action, t.now, t.barred()), t.knowing()...)
		if fresh := without(held, told...); len(fresh) > 0 {
			return fresh
		}
		if len(held) > 0 {
			again = held
		}
	}
	return again
}

// knowing are whom a stage has nothing to tell as its target: the assignee, and
// who takes it by hand.
func (t *turn) knowing() []model.UserID {
	ids := t.assignee()
	if t.byHand && t.actor != nil {
		ids = append(ids, *t.actor)
	}
	return ids
}

// toldIn lists whom the stages taken in a period told as their targets.
// Overdue messages, assignments and copies don't count.
func (c *Case) toldIn(period int) []model.UserID {
	var ids []model.UserID
	for _, e := range c.Events {
		if e.Period == period && e.Kind == model.EventEscalation {
			ids = union(ids, e.Targets.V)
		}
	}
	return ids
}

// barred lists who must have nothing to do with the action.
func (t *turn) barred() []model.UserID { return t.Dir.Barred(&t.Action, t.Config.Readers) }

// assignee is the owner as a list: empty when there is none.
func (c *Case) assignee() []model.UserID {
	if c.Action.AssignedTo == nil {
		return nil
	}
	return []model.UserID{*c.Action.AssignedTo}
}

// manager is the department's manager as a list: empty when there is none.
func (t *turn) manager() []model.UserID {
	return t.Dir.Rung(RungManager, &t.Action, t.now, t.barred())
}

// without is ids less those barred, in a new slice.
func without(ids []model.UserID, barred ...model.UserID) []model.UserID {
	return slices.DeleteFunc(slices.Clone(ids), func(id model.UserID) bool { return slices.Contains(barred, id) })
}

// union is ids and then those of more that are not among them, in a new slice,
// never nil: a list of nobody is written as [].
func union(ids, more []model.UserID) []model.UserID {
	return append(append([]model.UserID{}, ids...), without(more, ids...)...)
}
