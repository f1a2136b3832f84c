package sla_test

import (
	"maps"
	"slices"
	"time"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
)

// judge says what is to become of an action, by the words of the rules alone
// (docs/sla.md). It keeps what has happened and works out from that anew, each
// time, when what is due; with the program it shares the calendar's arithmetic
// and nothing else.
type judge struct {
	cfg     *sla.Config
	open    sla.Calendar
	sev     model.Severity
	status  model.Status
	owner   string
	manager string

	start, original time.Time
	byHand          time.Time     // the due that somebody set; zero: the target counts
	handPauses      int           // how many pauses were over before that
	pauses          []model.Pause // since the start
	stopped         time.Time     // the clock stands since; zero: it runs
	until           time.Time     // of a hold; zero: not held
	holds           int
	approval        time.Time // by when the approvers are to decide
	submissions     int
	closed          time.Time

	assigned, raised time.Time
	assignments      int

	period, level int
	taken         []deed
	planned       time.Time             // the last change: no reminder up to here is planned any more
	next          time.Time             // where the last change put the next stage; zero: where its gap does
	kept          map[int]time.Duration // what the last change kept of the time between a stage and the one before
	had           map[int]time.Time     // the earliest time of the next stage, since the last reopening or since it is the next

	now    time.Time // of the transaction
	took   []deed
	says   []saying
	lapsed bool // a move makes idle what is said now
}

// deed is an event that was taken.
type deed struct {
	period         int
	kind           model.EventKind
	stage          int
	planned, fired time.Time
	done           model.EventDone
	targets        []string
	hand           bool // a person took it
}

// saying is one reason to tell somebody; lapsed: a move made it idle.
type saying struct {
	who    string
	reason model.Reason
	lapsed bool
}

func (o *judge) clone() *judge {
	n := *o
	n.pauses, n.taken, n.took, n.says = slices.Clone(o.pauses), slices.Clone(o.taken), nil, nil
	n.kept, n.had = maps.Clone(o.kept), maps.Clone(o.had)
	return &n
}

// clock is the severity's own.
func (o *judge) clock() sla.Calendar {
	if o.cfg.Clock[o.sev] == sla.ClockElapsed {
		return sla.Calendar{}
	}
	return o.open
}

func (o *judge) target() sla.TargetSpec {
	return sla.TargetSpec{Time: o.cfg.Target[o.sev], Days: o.cfg.Days[o.sev]}
}

func (o *judge) count(from time.Time, t sla.TargetSpec) time.Time {
	if t.Days > 0 {
		return o.open.AddDays(from, t.Days)
	}
	return o.clock().Add(from, t.Time)
}

// without moves a due by the open time of the pauses that began before it.
func (o *judge) without(due time.Time, pauses []model.Pause) time.Time {
	for _, p := range pauses {
		if p.From.Before(due) {
			due = o.clock().Add(due, o.clock().Between(p.From, p.To))
		}
	}
	return due
}

func (o *judge) due() time.Time {
	if !o.byHand.IsZero() {
		return o.without(o.byHand, o.pauses[o.handPauses:])
	}
	return o.without(o.count(o.start, o.target()), o.pauses)
}

// floor is four hours on the own clock, or the target if that is less, from now.
func (o *judge) floor() time.Time {
	return o.clock().Add(o.now, min(4*time.Hour, o.cfg.Target[o.sev]))
}

// ack is by when the work is to be started; false: it is not asked for.
func (o *judge) ack() (time.Time, bool) {
	target, ok := o.cfg.AckTargets[o.sev]
	if _, missed := o.deed(0, model.EventAck, o.assignments); !ok || missed || o.status != model.StatusOpen {
		return time.Time{}, false
	}
	from := latest(o.assigned, o.raised)
	var since []model.Pause
	for _, p := range o.pauses {
		if p.To.After(from) {
			since = append(since, model.Pause{From: latest(p.From, from), To: p.To})
		}
	}
	return o.without(o.count(from, target), since), true
}

func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// deed finds what was taken, in a period; 0: in any.
func (o *judge) deed(period int, kind model.EventKind, stage int) (deed, bool) {
	for _, d := range o.taken {
		if (period == 0 || d.period == period) && d.kind == kind && d.stage == stage {
			return d, true
		}
	}
	return deed{}, false
}

func (o *judge) overdue() bool {
	_, ok := o.deed(o.period, model.EventOverdue, 0)
	return ok
}

func (o *judge) running() bool {
	return o.until.IsZero() && (o.status == model.StatusOpen || o.status == model.StatusInProgress)
}

// plan is what has yet to happen, soonest first.
func (o *judge) plan() []sla.PlannedEvent {
	plan := []sla.PlannedEvent{}
	add := func(kind model.EventKind, stage int, at time.Time) {
		plan = append(plan, sla.PlannedEvent{Kind: kind, Stage: stage, At: at.UTC()})
	}
	switch _, decided := o.deed(0, model.EventApprovalOverdue, o.submissions); {
	case !o.until.IsZero():
		add(model.EventResume, o.holds, o.until)
	case o.status == model.StatusPendingApproval && !decided:
		if _, done := o.deed(0, model.EventApprovalReminder, o.submissions); !done && o.cfg.Approval.Reminder > 0 {
			add(model.EventApprovalReminder, o.submissions, o.approval.Add(-o.cfg.Approval.Reminder))
		}
		add(model.EventApprovalOverdue, o.submissions, o.approval)
	case o.running():
		if at, ok := o.ack(); ok {
			add(model.EventAck, o.assignments, at)
		}
		for i, at := range o.reminders() {
			if _, done := o.deed(o.period, model.EventReminder, i+1); !done && at.After(o.planned) {
				add(model.EventReminder, i+1, at)
			}
		}
		if !o.overdue() {
			add(model.EventOverdue, 0, o.due())
		}
		for i, at := range o.stages() {
			if i >= o.climbed() {
				add(model.EventEscalation, i+1, at)
			}
		}
	}
	kinds := model.EventKinds()
	slices.SortStableFunc(plan, func(a, b sla.PlannedEvent) int {
		if c := a.At.Compare(b.At); c != 0 {
			return c
		}
		return slices.Index(kinds, a.Kind) - slices.Index(kinds, b.Kind)
	})
	return plan
}

// reminders are the times of all of them, taken or not.
func (o *judge) reminders() (times []time.Time) {
	for _, r := range o.cfg.Reminders[o.sev] {
		times = append(times, o.clock().Sub(o.due(), r.Before))
	}
	return times
}

// climbed counts the stages taken in this period.
func (o *judge) climbed() (n int) {
	for _, d := range o.taken {
		if d.period == o.period && d.kind == model.EventEscalation {
			n++
		}
	}
	return n
}

// stages are the times of all of them: of those taken as recorded, of the others
// a gap after the one before, or after its taking, where that was later than half
// the gap.
func (o *judge) stages() (times []time.Time) {
	last := deed{planned: o.due()}
	for i := range o.cfg.Stages[o.sev] {
		d, done := o.deed(o.period, model.EventEscalation, i+1)
		switch {
		case done:
		case i == o.climbed() && !o.next.IsZero():
			d.planned = o.next
		default:
			d.planned = o.gapAfter(i+1, last)
		}
		times, last = append(times, d.planned), d
	}
	return times
}

func (o *judge) gapAfter(stage int, last deed) time.Time {
	if last.hand { // before due it takes nothing from those after it
		last.planned, last.fired = latest(last.planned, o.due()), latest(last.fired, o.due())
	}
	clock, gap := o.clock(), o.cfg.Stages[o.sev][stage-1].Gap
	if d, ok := o.kept[stage]; ok {
		clock, gap = sla.Calendar{}, d
	}
	if stage > 1 && last.fired.After(clock.Add(last.planned, gap/2)) {
		return clock.Add(last.fired, gap)
	}
	return clock.Add(last.planned, gap)
}

// remember notes what the next stage has.
func (o *judge) remember() {
	n := o.climbed()
	if !o.running() || n >= len(o.cfg.Stages[o.sev]) {
		return
	}
	at := o.stages()[n]
	if had, ok := o.had[n+1]; ok && had.Before(at) {
		at = had
	}
	o.had = map[int]time.Time{n + 1: at}
}
