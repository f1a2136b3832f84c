package sla

import (
	"slices"
	"time"

	"github.com/pxactions/px/model"
)

// builtInAck is how long an owner has to start the work, by severity.
func builtInAck() map[model.Severity]TargetSpec {
	return map[model.Severity]TargetSpec{
		model.SeverityCritical: {Time: time.Hour},
		model.SeverityHigh:     {Time: 4 * time.Hour},
		model.SeverityMedium:   {Days: 1},
		model.SeverityLow:      {Days: 2},
	}
}

// setAck sets by when the owner is to start the work: so long after the
// assignment, pauses out. Nobody can start what they were not given, so it counts
// from there and not from the receipt; and where the severity was raised since,
// from then, as a graver matter than they were given. Where it is asked for only
// now, by another policy or department, it counts from now. What has been started
// needs none, and what was missed stays so until the next assignment.
func (t *turn) setAck() {
	a := &t.Action
	if a.Status != model.StatusOpen || t.ackMissed() {
		return
	}
	asked := a.AckDueAt != nil
	a.AckDueAt = nil
	target, ok := t.Config.AckTargets[a.Severity]
	if !ok || a.AssignedAt == nil {
		return
	}
	given := later(whole(*a.AssignedAt), a.Plan.V.AckFrom)
	if !asked && given.Before(t.now) {
		given, a.Plan.V.AckFrom = t.now, t.now
	}
	var since []model.Pause // what of the pauses comes after it: who owns a held action may change
	for _, p := range a.Plan.V.Pauses {
		if p.From = later(p.From, given); p.From.Before(p.To) {
			since = append(since, p)
		}
	}
	due, _ := t.clock().Pause(t.after(given, target), since)
	a.AckDueAt = &due
}

// moveAck sets it anew, where there is one, for what it is counted by has changed.
func (t *turn) moveAck() {
	if t.Action.AckDueAt != nil {
		t.setAck()
	}
}

// acknowledge notes that the owner has started.
func (t *turn) acknowledge() {
	if t.Action.AckDueAt != nil {
		t.Action.AckedAt = t.at()
	}
}

// acknowledgement is the end of the time to start, until the work is started. It
// carries the number of the assignment as its stage: each has one of its own,
// whatever the period.
func (c *Case) acknowledgement() []PlannedEvent {
	a := &c.Action
	if a.Status != model.StatusOpen || a.AckDueAt == nil || c.ackMissed() {
		return nil
	}
	return []PlannedEvent{{Kind: model.EventAck, Stage: a.AckNo, At: *a.AckDueAt}}
}

// ackMissed reports whether the present owner's time to start has run out.
func (c *Case) ackMissed() bool {
	return slices.ContainsFunc(c.Events, func(e model.DeadlineEvent) bool {
		return e.Kind == model.EventAck && e.Stage == c.Action.AckNo
	})
}

// ackPasses reports whether the action goes to somebody else because its owner
// did not start it in time. It does so once: a second miss tells of itself.
func (c *Case) ackPasses() bool {
	if !c.Config.AckReroute || c.Action.Status != model.StatusOpen || c.Action.Held() || !c.ackMissed() {
		return false
	}
	misses := 0
	for _, e := range c.Events {
		if e.Kind == model.EventAck {
			misses++
		}
	}
	return misses == 1
}

// firstRung is whom a missed acknowledgement tells: of the lowest rung of the
// ladder that holds somebody besides the assignee, those people.
func (t *turn) firstRung() []model.UserID {
	for _, r := range ladderRungs() {
		if ids := without(t.Dir.Rung(r, &t.Action, t.now, t.barred()), t.assignee()...); len(ids) > 0 {
			return ids
		}
	}
	return nil
}
