package sla_test

import (
	"slices"
	"strings"
	"time"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
)

// legal is the table of moves, from the words of the rules: what may be done in
// a status; held leaves resume, cancel and note.
func (o *judge) legal(m model.Move) bool {
	held, clock := !o.until.IsZero(), o.status == model.StatusOpen || o.status == model.StatusInProgress
	live := o.status != model.StatusClosed && o.status != model.StatusCancelled
	switch m {
	case model.MoveNote:
		return true
	case model.MoveCancel:
		return live
	case model.MoveResume:
		return held
	case model.MoveReopen:
		return o.status == model.StatusClosed
	case model.MoveAssign:
		return live && !held
	case model.MoveStart:
		return o.status == model.StatusOpen && !held
	case model.MoveSubmit:
		return o.status == model.StatusInProgress && !held
	case model.MoveApprove, model.MoveReject:
		return o.status == model.StatusPendingApproval
	case model.MoveClose: // what is in progress may need approval first
		return o.status == model.StatusApproved || o.status == model.StatusInProgress && !held && !o.needsApproval()
	case model.MoveHold: // not a critical one
		return clock && !held && o.sev != model.SeverityCritical
	default: // severity, department, due, escalate
		return clock && !held
	}
}

func (o *judge) needsApproval() bool {
	return o.cfg.RequiresApproval == nil || o.cfg.RequiresApproval(model.SourceComplaint, o.sev)
}

// move makes a person's move; "": it is made, else why not: transition, or the
// field that is wrong.
func (o *judge) move(m sla.MoveRequest, now time.Time) (*judge, string) {
	n := o.clone()
	n.now = now
	n.settle(slices.Contains([]model.Move{model.MoveSubmit, model.MoveClose, model.MoveCancel, model.MoveHold}, m.Move))
	if !n.legal(m.Move) {
		return o, "transition"
	}
	if m.Move == model.MoveSeverity && m.Severity == n.sev {
		return o, "severity"
	}
	if m.Move == model.MoveDue && n.overdue() && m.DueAt.Before(now.Add(4*time.Hour)) {
		return o, "due_at"
	}
	said := len(n.says)
	n.carryOut(m)
	if m.Actor != nil { // who makes a move gets no message about it
		own := slices.DeleteFunc(slices.Clone(n.says[said:]), func(s saying) bool {
			return personID(s.who) == *m.Actor && s.reason != model.ReasonOverdue
		})
		n.says = append(n.says[:said], own...)
	}
	n.remember()
	return n, ""
}

// change is any change of the plan that is not a person's move.
func (o *judge) change(now time.Time, do func(*judge)) *judge {
	n := o.clone()
	n.now = now
	n.settle(false)
	n.changed(func() { do(n) })
	n.remember()
	return n
}

// recalendar counts by another calendar, which is a change where it changes the
// plan. A due by hand stands, with the pauses that it was given.
func (o *judge) recalendar(open sla.Calendar, now time.Time) *judge {
	n := o.clone()
	n.now = now
	n.settle(false)
	if !n.byHand.IsZero() {
		n.byHand, n.handPauses = n.due(), len(n.pauses)
	}
	other := n.clone()
	other.open = open
	if !other.due().Equal(n.due()) || !slices.Equal(other.plan(), n.plan()) {
		n.changed(func() { n.open = open })
	}
	n.open = open
	n.remember()
	return n
}

func (o *judge) changed(do func()) {
	was := o.standing()
	_, asked := o.cfg.AckTargets[o.sev]
	do()
	if !asked { // a start that is asked for from now on counts from now
		o.raised = latest(o.raised, o.now)
	}
	o.replan(was)
	o.tell(was)
}

func (o *judge) carryOut(m sla.MoveRequest) {
	was := o.standing()
	switch m.Move {
	case model.MoveStart:
		o.status = model.StatusInProgress
	case model.MoveSubmit:
		o.status, o.stopped, o.approval = model.StatusPendingApproval, o.now, o.now.Add(24*time.Hour)
		o.submissions++
		o.say(model.ReasonSubmitted, "pxa", "pxb")
		o.tell(was)
	case model.MoveApprove:
		o.status = model.StatusApproved
	case model.MoveReject:
		o.say(model.ReasonRejected, o.owner)
		o.status = model.StatusInProgress
		o.goOn(o.now)
		o.atLeastFloor()
		o.replan(was)
		o.tell(was)
	case model.MoveClose:
		o.status, o.closed = model.StatusClosed, o.now
		o.say(model.ReasonClosed, o.toldBy(o.period)...)
	case model.MoveCancel:
		o.status, o.until = model.StatusCancelled, time.Time{}
		o.say(model.ReasonCancelled, o.toldBy(o.period)...)
	case model.MoveReopen:
		o.reopen(was)
	case model.MoveAssign:
		o.say(model.ReasonReassigned, o.owner)
		o.owner, o.assigned, o.raised = codeOf(house(usualCast()), m.Assignee), o.now, time.Time{}
		o.assignments++
		o.say(model.ReasonReassigned, o.owner)
	case model.MoveSeverity:
		o.changed(func() { o.raise(m.Severity) })
	case model.MoveDepartment:
		o.changed(func() {
			o.manager, o.byHand = "lab", time.Time{}
			if m.Config != nil {
				o.cfg, o.open = m.Config, m.OpenTime.Calendar
			}
		})
	case model.MoveDue:
		o.changed(func() { o.byHand, o.handPauses = m.DueAt, len(o.pauses) })
	case model.MoveHold:
		o.holds++
		o.stopped, o.until = o.now, m.Until
		o.tell(was)
	case model.MoveResume:
		o.resume(o.now)
	case model.MoveEscalate: // unless one came due just now
		if !slices.ContainsFunc(o.took, func(d deed) bool { return d.kind == model.EventEscalation }) {
			o.take(sla.PlannedEvent{Kind: model.EventEscalation, Stage: o.climbed() + 1, At: o.now})
			o.taken[len(o.taken)-1].hand = true
		}
	}
}

// raise sets another severity, by a person or by what joined.
func (o *judge) raise(to model.Severity) {
	if to.Rank() > o.sev.Rank() {
		o.raised = o.now
		if to == model.SeverityCritical {
			o.say(model.ReasonRaised, o.owner, o.manager)
		}
	}
	o.sev, o.byHand = to, time.Time{}
}

func (o *judge) reopen(was asTold) {
	o.say(model.ReasonReopened, o.owner)
	o.status, o.planned, o.next, o.had, o.kept = model.StatusInProgress, o.now, time.Time{}, nil, nil
	if o.cfg.Reopen == sla.ReopenRemaining {
		if o.stopped.IsZero() {
			o.stopped = o.closed
		}
		o.goOn(o.now)
		o.atLeastFloor()
	} else {
		o.start, o.pauses, o.byHand, o.stopped = o.now, nil, time.Time{}, time.Time{}
		o.original = o.due()
	}
	o.period, o.level = o.period+1, 0
	o.tell(was)
}

func line(who string, reasons []string, lapsed bool) string {
	s := strings.Join(reasons, "+") + " " + who
	if lapsed {
		s += " (superseded)"
	}
	return s
}
