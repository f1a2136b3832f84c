package sla_test

import (
	"maps"
	"slices"
	"time"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
)

// newJudge is of an action that was received and decided at once.
func newJudge(cfg *sla.Config, open sla.Calendar, sev model.Severity, start time.Time) *judge {
	o := &judge{cfg: cfg, open: open, sev: sev, status: model.StatusOpen, owner: "ann", manager: "mgr", start: start, planned: start,
		assigned: start, assignments: 1, period: 1, now: start}
	o.original = o.due()
	o.say(model.ReasonAssigned, "ann")
	if sev == model.SeverityCritical {
		o.say(model.ReasonAssigned, "mgr")
	}
	o.remember()
	return o
}

func (o *judge) say(r model.Reason, to ...string) {
	for _, who := range to {
		o.says = append(o.says, saying{who, r, o.lapsed})
	}
}

// settle takes what the plan says is due, in order, of stages at most one.
func (o *judge) settle(lapsed bool) {
	climbed := false
	o.lapsed = lapsed
	for _, e := range o.plan() {
		if stage := e.Kind == model.EventEscalation; !e.At.After(o.now) && !(stage && climbed) {
			climbed = climbed || stage
			o.take(e)
			o.remember()
		}
	}
	o.lapsed = false
	for i := range o.took[:max(len(o.took)-1, 0)] {
		if slices.Contains([]model.EventKind{model.EventReminder, model.EventApprovalReminder}, o.took[i].kind) {
			o.took[i].done = model.DoneSilent
		}
	}
	if n := len(o.took); n > 0 && o.took[n-1].kind != model.EventReminder && o.took[n-1].kind != model.EventApprovalReminder {
		o.says = slices.DeleteFunc(o.says, func(s saying) bool {
			return s.reason == model.ReasonReminder || s.reason == model.ReasonApprovalReminder
		})
	}
}

func (o *judge) take(e sla.PlannedEvent) {
	d := deed{period: o.period, kind: e.Kind, stage: e.Stage, planned: e.At, fired: o.now, done: model.DoneTold}
	if o.lapsed {
		d.done = model.DoneSuperseded
	}
	switch e.Kind {
	case model.EventAck:
		o.say(model.ReasonAckMissed, o.manager)
	case model.EventReminder:
		o.say(model.ReasonReminder, o.owner)
	case model.EventOverdue:
		o.say(model.ReasonOverdue, o.owner, o.manager)
	case model.EventApprovalReminder:
		o.say(model.ReasonApprovalReminder, "pxa", "pxb")
	case model.EventApprovalOverdue:
		o.say(model.ReasonApprovalOverdue, "pxa", "pxb")
	case model.EventEscalation:
		rungs := [][]string{{o.manager}, {"pxa", "pxb"}, {"exe"}}
		for _, rung := range rungs {
			rung = slices.DeleteFunc(slices.Clone(rung), func(who string) bool { return slices.Contains(o.toldBy(o.period), who) })
			if d.targets == nil && len(rung) > 0 {
				d.targets = rung
			}
		}
		if d.targets == nil {
			d.targets = rungs[2]
		}
		o.say(model.ReasonEscalation, append(slices.Clone(d.targets), o.owner)...)
		if o.lapsed {
			d.targets = nil
		}
		o.level++
		o.next, o.had = time.Time{}, nil
	}
	o.taken, o.took = append(o.taken, d), append(o.took, d)
	if e.Kind == model.EventResume {
		o.resume(e.At)
	}
}

// toldBy is whom the stages of a period told.
func (o *judge) toldBy(period int) (who []string) {
	for _, d := range o.taken {
		if d.period == period && d.kind == model.EventEscalation {
			who = append(who, d.targets...)
		}
	}
	return who
}

// asTold is what people are told of, where a change changes it, and how it was.
type asTold struct {
	due    time.Time
	next   sla.PlannedEvent
	held   bool
	status model.Status
	period int
	late   bool
	stages []time.Time // all of them, also while the clock stands
}

func (o *judge) standing() asTold {
	was := asTold{due: o.due(), held: !o.until.IsZero(), status: o.status, period: o.period, late: o.overdue(), stages: o.stages()}
	for _, e := range o.plan() {
		if e.Kind == model.EventEscalation {
			was.next = e
			break
		}
	}
	return was
}

// tell says where it stands now, if that has changed.
func (o *judge) tell(was asTold) {
	is := o.standing()
	if was.due != is.due || was.next != is.next || was.held != is.held || was.status != is.status {
		o.say(model.ReasonPlanChange, append(o.toldBy(was.period), o.owner)...)
	}
}

// replan is the new plan that a change makes.
func (o *judge) replan(was asTold) {
	if !o.running() {
		return // judged when the clock goes on
	}
	o.planned = o.now
	due := o.due()
	again := o.overdue()
	for i, r := range o.reminders() {
		_, done := o.deed(o.period, model.EventReminder, i+1)
		again = again || done && r.After(o.now)
	}
	o.next, o.kept = time.Time{}, map[int]time.Duration{}
	if due.After(o.now) && due.After(was.due) && again {
		o.period++
		return
	}
	if !due.After(o.now) && !o.overdue() {
		o.take(sla.PlannedEvent{Kind: model.EventOverdue, At: due})
	}
	n := o.climbed()
	if !o.overdue() || n >= len(o.cfg.Stages[o.sev]) {
		return
	}
	o.next = o.stages()[n]
	if !o.next.After(o.now) {
		o.next = o.gapAfter(n+1, deed{planned: o.now})
	}
	if !was.late {
		return
	}
	if had, ok := o.had[n+1]; ok && had.Before(o.next) {
		o.next = latest(had, o.now)
	}
	for i := n + 1; i < min(len(o.stages()), len(was.stages)); i++ {
		before, had := o.stages()[i-1], was.stages[i]
		if had.After(before) && had.Before(o.stages()[i]) {
			o.kept[i+1] = had.Sub(before)
		}
	}
}

func (o *judge) resume(at time.Time) {
	was := o.standing()
	o.goOn(at)
	o.replan(was)
	o.tell(was)
}

// goOn sets the clock going again.
func (o *judge) goOn(at time.Time) {
	o.pauses = append(o.pauses, model.Pause{From: o.stopped, To: at})
	o.stopped, o.until = time.Time{}, time.Time{}
}

// atLeastFloor lets the floor stand where less is left.
func (o *judge) atLeastFloor() {
	if least := o.floor(); o.due().Before(least) {
		o.byHand, o.handPauses = least, len(o.pauses)
	}
}

// fire is the job at an instant.
func (o *judge) fire(now time.Time) *judge {
	n := o.clone()
	n.now = now
	n.settle(false)
	n.remember()
	return n
}

// heard is who is told why in this transaction, the weightiest first, the lines
// sorted.
func (o *judge) heard() []string {
	weight := func(r model.Reason) int {
		switch r {
		case model.ReasonEscalation:
			return 5
		case model.ReasonOverdue, model.ReasonAckMissed, model.ReasonApprovalOverdue:
			return 4
		case model.ReasonReminder, model.ReasonApprovalReminder:
			return 2
		case model.ReasonPlanChange:
			return 1
		}
		return 3
	}
	lines := map[string]string{}
	slices.SortStableFunc(o.says, func(a, b saying) int { return weight(b.reason) - weight(a.reason) })
	for _, lapsed := range []bool{false, true} {
		reasons := map[string][]string{}
		for _, s := range o.says {
			if s.lapsed == lapsed && !slices.Contains(reasons[s.who], string(s.reason)) {
				reasons[s.who] = append(reasons[s.who], string(s.reason))
			}
		}
		for who, rs := range reasons {
			if _, hears := lines[who]; !hears {
				lines[who] = line(who, rs, lapsed)
			}
		}
	}
	return slices.Sorted(maps.Values(lines))
}
