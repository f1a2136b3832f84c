package sla

import (
	"cmp"
	"slices"
	"time"

	"github.com/pxactions/px/model"
)

// Upcoming is an action's plan: its untaken events, soonest first, those of one
// instant in the order in which they are taken. It is empty when nothing is
// left to happen: closed, cancelled, approved, or all taken.
func Upcoming(c Case) []PlannedEvent {
	var es []PlannedEvent
	switch a := &c.Action; {
	case !a.Live(), a.Status == model.StatusApproved:
	case a.Held():
		es = c.resumption()
	case a.Status == model.StatusPendingApproval:
		es = c.approvalEvents()
	default:
		es = slices.Concat(c.acknowledgement(), c.reminders(), c.overdue(), c.stages())
	}
	slices.SortStableFunc(es, func(a, b PlannedEvent) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(kindOrder(a.Kind), kindOrder(b.Kind)), cmp.Compare(a.Stage, b.Stage))
	})
	return es
}

func kindOrder(k model.EventKind) int { return slices.Index(model.EventKinds(), k) }

// reminders are numbered over the whole list of the config, whether or not an
// earlier one is in the plan.
func (c *Case) reminders() []PlannedEvent {
	var es []PlannedEvent
	for i := range c.Config.Reminders[c.Action.Severity] {
		no := i + 1
		if at := c.reminderAt(no); at.After(c.Action.Plan.V.Since) && c.taken(model.EventReminder, no) == nil {
			es = append(es, PlannedEvent{Kind: model.EventReminder, Stage: no, At: at})
		}
	}
	return es
}

func (c *Case) reminderAt(no int) time.Time {
	r := c.Config.Reminders[c.Action.Severity][no-1]
	return whole(c.clockOf(r.Clock).Sub(c.Action.DueAt, r.Before))
}

func (c *Case) overdue() []PlannedEvent {
	if c.taken(model.EventOverdue, 0) != nil {
		return nil
	}
	return []PlannedEvent{{Kind: model.EventOverdue, At: c.Action.DueAt}}
}

// stages are the untaken stages of escalation with their times, whatever the
// action's status: each a gap after the one before, or, where that one was taken
// later than half of the gap after its time, a gap after its taking. So small
// lateness doesn't add up, and after an outage the ladder shifts as a whole.
func (c *Case) stages() []PlannedEvent {
	var es []PlannedEvent
	before, taken := c.Action.DueAt, c.Action.DueAt
	for i := range c.ladder() {
		no := i + 1
		if ev := c.taken(model.EventEscalation, no); ev != nil {
			if before, taken = ev.Planned, ev.Fired; ev.ByHand { // one before due takes nothing from those after it
				before, taken = later(before, c.Action.DueAt), later(taken, c.Action.DueAt)
			}
			continue
		}
		gap, clock := c.gap(no), c.stageClock(no)
		if late := clock.Between(before, taken); 2*late > gap {
			before = taken
		}
		at := whole(clock.Add(before, gap))
		if f := c.Action.Plan.V.Fixed; f != nil && f.Stage == no {
			at = f.At
		}
		es = append(es, PlannedEvent{Kind: model.EventEscalation, Stage: no, At: at})
		before, taken = at, at
	}
	return es
}

// gap is the time between a stage and the one before it (due, for stage 1).
func (c *Case) gap(no int) time.Duration {
	if g, shortened := c.Action.Plan.V.Gaps[no]; shortened {
		return g
	}
	return c.ladder()[no-1].Gap
}

// resumption is the end of a hold, the only event in the plan meanwhile. It
// carries the number of the hold as its stage.
func (c *Case) resumption() []PlannedEvent {
	a := &c.Action
	if a.ResumeAt == nil || c.taken(model.EventResume, a.HoldNo) != nil {
		return nil
	}
	return []PlannedEvent{{Kind: model.EventResume, Stage: a.HoldNo, At: *a.ResumeAt}}
}

// taken finds the event of this period, nil while it is untaken.
func (c *Case) taken(kind model.EventKind, stage int) *model.DeadlineEvent {
	i := slices.IndexFunc(c.Events, func(e model.DeadlineEvent) bool {
		return e.Period == c.Action.Period && e.Kind == kind && e.Stage == stage
	})
	if i < 0 {
		return nil
	}
	return &c.Events[i]
}

// nextStage is the first untaken stage, which the ladder may not reach.
func (c *Case) nextStage() int {
	no := 1
	for c.taken(model.EventEscalation, no) != nil {
		no++
	}
	return no
}

// stage is a stage of the ladder; one beyond it, which only a person takes, tells
// by the rungs.
func (c *Case) stage(no int) Stage {
	if l := c.ladder(); no <= len(l) {
		return l[no-1]
	}
	return Stage{}
}

func (c *Case) ladder() []Stage       { return c.Config.Stages[c.Action.Severity] }
func (c *Case) target() time.Duration { return c.Config.Target[c.Action.Severity] }

// clock is the action's own clock: elapsed time, or the open time of its place.
func (c *Case) clock() Calendar { return c.clockOf("") }

// clockOf is the clock of a kind; empty: the action's own.
func (c *Case) clockOf(kind ClockKind) Calendar {
	if cmp.Or(kind, c.Config.Clock[c.Action.Severity]) == ClockElapsed {
		return Calendar{}
	}
	return c.Open
}

// stageClock counts the gap before a stage. One that a change has shortened is
// elapsed: the time that the stage had may be where its clock stands still.
func (c *Case) stageClock(no int) Calendar {
	if _, shortened := c.Action.Plan.V.Gaps[no]; shortened {
		return Calendar{}
	}
	return c.clockOf(c.ladder()[no-1].Clock)
}

// floor is what a rejection, or a reopening with what was left, leaves at least.
func (c *Case) floor() time.Duration { return min(Floor, c.target()) }

// targetDue is where the target puts the due: from the clock start with the
// pauses out. A pause that begins at or after the due doesn't move it. The
// second result is the open time of the pauses that did.
func (c *Case) targetDue() (time.Time, time.Duration) {
	target := TargetSpec{Time: c.target(), Days: c.Config.Days[c.Action.Severity]}
	return c.clock().Pause(c.after(c.Action.ClockStart, target), c.Action.Plan.V.Pauses)
}

// after is the end of a target that begins at an instant, on the action's clock.
func (c *Case) after(from time.Time, t TargetSpec) time.Time {
	if t.Days > 0 {
		return whole(c.Open.AddDays(from, t.Days))
	}
	return whole(c.clock().Add(from, t.Time))
}

// whole truncates to the second: domain instants have no finer grain. For an
// instant t without a fraction, t ≤ now and t ≤ whole(now) are the same.
func whole(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }
