package main

import (
	"fmt"
	"time"
)

// move is one that a person asked for, as the harness sent it.
type move struct {
	name     string
	severity string    // severity: the new one
	at       time.Time // due, hold: until when
}

// superseding moves make what was due beside the point.
func (m move) superseding() bool {
	switch m.name {
	case "submit", "close", "cancel", "hold":
		return true
	}
	return false
}

// turn is what one transaction did: it takes what is due and makes a move, if
// there is one. It returns the events that are to be taken in it.
func (l *life) turn(now time.Time, m *move) ([]event, error) {
	l.out = nil
	l.settle(now, m != nil && m.superseding())
	if m == nil {
		return l.out, nil
	}
	if !l.legal(m.name) {
		return l.out, fmt.Errorf("%s from %s (held: %t)", m.name, l.status, l.held)
	}
	l.make(*m, now)
	return l.out, nil
}

// legal is the workflow, of the moves that the harness makes.
func (l *life) legal(m string) bool {
	if m == "note" {
		return true
	}
	working := l.status == "open" || l.status == "in_progress"
	switch {
	case m == "cancel":
		return l.live()
	case l.held || m == "resume":
		return l.held && m == "resume"
	case m == "start":
		return l.status == "open"
	case m == "submit":
		return l.status == "in_progress"
	case m == "approve", m == "reject":
		return l.status == "pending_approval"
	case m == "close":
		return l.status == "approved"
	case m == "reopen":
		return l.status == "closed"
	case m == "assign":
		return l.live()
	}
	return working // severity, due, hold
}

func (l *life) make(m move, now time.Time) {
	switch m.name {
	case "start":
		l.status = "in_progress"
	case "submit":
		l.status, l.paused, l.submitted = "pending_approval", now, now
		l.submissions++
		l.approvalAt = now.Add(hours(l.terms.approval))
	case "approve":
		l.status = "approved"
	case "reject":
		l.status = "in_progress"
		l.replan(later(l.goOn(now), now.Add(min(4*time.Hour, l.target()))), now, false)
	case "close":
		l.status = "closed"
	case "cancel":
		l.status, l.held = "cancelled", false
	case "reopen":
		l.reopen(now)
	case "severity":
		was := l.standing()
		l.severity = m.severity
		l.replanFrom(was, l.fromTarget(), now, false)
	case "due":
		l.replan(m.at, now, false)
	case "hold":
		l.held, l.paused, l.resumeAt = true, now, m.at
		l.holds++
	case "resume":
		l.resume(now, now, false)
	}
}

// fromTarget counts the target from the start of the clock, with the pauses out
// that began before the due.
func (l *life) fromTarget() time.Time {
	due := l.start.Add(l.target())
	for _, p := range l.pauses {
		if p.from.Before(due) {
			due = due.Add(p.to.Sub(p.from))
		}
	}
	return due
}

// goOn ends the pause, as of an instant, and says where the due is then.
func (l *life) goOn(at time.Time) time.Time {
	p := pause{l.paused, at}
	l.paused = time.Time{}
	l.pauses = append(l.pauses, p)
	if p.from.Before(l.due) {
		return l.due.Add(p.to.Sub(p.from))
	}
	return l.due
}

func (l *life) resume(at, now time.Time, lapsed bool) {
	was := l.standing()
	due := l.goOn(at)
	l.held, l.resumeAt = false, time.Time{}
	l.replanFrom(was, due, now, lapsed)
}

func (l *life) reopen(now time.Time) {
	l.status, l.start, l.since, l.paused, l.pauses = "in_progress", now, now, time.Time{}, nil
	l.due = now.Add(l.target())
	l.period++
	l.level, l.overdue, l.first, l.gaps, l.climbed = 0, false, stageTime{}, nil, map[int]climb{}
	l.stages = l.ladder()
}

// before is what of a plan its successor depends on.
type before struct {
	due     time.Time
	overdue bool
	stages  map[int]time.Time
}

func (l *life) standing() before { return before{l.due, l.overdue, l.stages} }

func (l *life) replan(due, now time.Time, lapsed bool) { l.replanFrom(l.standing(), due, now, lapsed) }

// replanFrom makes a plan anew for a due.
func (l *life) replanFrom(was before, due, now time.Time, lapsed bool) {
	l.due = due
	if due.After(now) && (l.overdue || due.After(was.due) && l.reminderAgain(now)) {
		l.period++
		l.overdue, l.climbed = false, map[int]climb{}
	}
	l.since, l.gaps = now, nil
	if !due.After(now) && !l.overdue {
		done := "told"
		if lapsed {
			done = "superseded"
		}
		l.take(slot{"overdue", 0, due}, now, done)
	}
	l.placeStages(was, now)
}

// reminderAgain reports whether a reminder that was taken would have to be given again.
func (l *life) reminderAgain(now time.Time) bool {
	for i := range l.terms.reminders {
		if l.has("reminder", i+1) && l.reminderAt(i).After(now) {
			return true
		}
	}
	return false
}

// placeStages puts the stages to come after a change: the next one of an overdue
// action at its time or, where that has passed, a gap from now; but none that was
// overdue before comes later than it was.
func (l *life) placeStages(was before, now time.Time) {
	next := 1
	for l.climbed[next] != (climb{}) {
		next++
	}
	first := was.stages[next]
	if l.first.stage == next && (first.IsZero() || l.first.at.Before(first)) {
		first = l.first.at
	}
	l.first = stageTime{}
	if !first.IsZero() {
		l.first = stageTime{next, first}
	}
	l.stages = l.ladder()
	at, ok := l.stages[next]
	if !l.overdue || !ok {
		return
	}
	if !at.After(now) {
		at = now.Add(l.gap(next))
	}
	if was.overdue && !first.IsZero() && first.Before(at) {
		at = later(first, now)
	}
	l.stages[next] = at
	for no := next + 1; no <= rungs(l.severity); no++ {
		before, had := l.stages[no-1], was.stages[no]
		l.stages[no] = before.Add(hours(l.terms.gap))
		if was.overdue && had.After(before) && had.Before(l.stages[no]) {
			l.stages[no] = had
			if l.gaps == nil {
				l.gaps = map[int]time.Duration{}
			}
			l.gaps[no] = had.Sub(before)
		}
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
