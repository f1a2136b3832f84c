package main

import (
	"cmp"
	"slices"
	"time"
)

// life is the independent model of one action: what of its plan is still to
// come, as a list of instants, carried through the turns that its log records.
// It is written from the rules in words (docs/sla.md) and calls nothing of
// package sla. Instants are domain time in whole seconds.
type life struct {
	terms    terms
	severity string
	status   string
	start    time.Time // of the clock
	due      time.Time
	period   int
	level    int // stages taken since the last reopening
	overdue  bool

	since   time.Time             // reminders not after it stay out
	taken   map[slotKey]bool      // of all periods
	climbed map[int]climb         // stages taken in this period
	stages  map[int]time.Time     // those to come
	gaps    map[int]time.Duration // shortened by a change
	first   stageTime             // the earliest time that the next stage has had

	pauses   []pause // that are over
	paused   time.Time
	held     bool
	resumeAt time.Time
	holds    int

	submitted   time.Time
	approvalAt  time.Time
	submissions int

	out []event // taken in the turn at hand
}

type (
	slotKey struct {
		period int
		kind   string
		stage  int
	}
	// slot is an event to come.
	slot struct {
		kind  string
		stage int
		at    time.Time
	}
	// event is one that was taken.
	event struct {
		kind          string
		period, stage int
		planned       time.Time
		fired         time.Time
		done          string
	}
	climb     struct{ planned, fired time.Time }
	stageTime struct {
		stage int
		at    time.Time
	}
	pause struct{ from, to time.Time }
)

// born is an action whose clock starts at an instant.
func born(t terms, severity string, start time.Time) *life {
	l := &life{
		terms: t, severity: severity, status: "open", start: start, since: start, period: 1,
		taken: map[slotKey]bool{}, climbed: map[int]climb{},
	}
	l.due = start.Add(l.target())
	l.stages = l.ladder()
	return l
}

func (l *life) target() time.Duration { return hours(l.terms.target[l.severity]) }

func (l *life) live() bool { return l.status != "closed" && l.status != "cancelled" }

func (l *life) has(kind string, stage int) bool { return l.taken[slotKey{l.period, kind, stage}] }

func (l *life) reminderAt(i int) time.Time { return l.due.Add(-hours(l.terms.reminders[i])) }

// plan is what is to come, in the order in which it is taken.
func (l *life) plan() []slot {
	var all []slot
	add := func(kind string, stage int, at time.Time) {
		if !l.has(kind, stage) {
			all = append(all, slot{kind, stage, at})
		}
	}
	switch {
	case !l.live(), l.status == "approved":
	case l.held:
		add("resume", l.holds, l.resumeAt)
	case l.status == "pending_approval":
		if at := l.approvalAt.Add(-hours(l.terms.remind)); at.After(l.submitted) {
			add("approval_reminder", l.submissions, at)
		}
		add("approval_overdue", l.submissions, l.approvalAt)
	default:
		for i := range l.terms.reminders {
			if at := l.reminderAt(i); at.After(l.since) {
				add("reminder", i+1, at)
			}
		}
		add("overdue", 0, l.due)
		for no, at := range l.stages {
			add("escalation", no, at)
		}
	}
	order := []string{"resume", "reminder", "overdue", "escalation", "approval_reminder", "approval_overdue"}
	slices.SortFunc(all, func(a, b slot) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(slices.Index(order, a.kind), slices.Index(order, b.kind)), cmp.Compare(a.stage, b.stage))
	})
	return all
}

// ladder is where the stages to come lie: each a gap after the one before it (the
// due, for the first), or after its taking, where that was more than half a gap late.
func (l *life) ladder() map[int]time.Time {
	times := map[int]time.Time{}
	before, taken := l.due, l.due
	for no := 1; no <= rungs(l.severity); no++ {
		if c, ok := l.climbed[no]; ok {
			before, taken = c.planned, c.fired
			continue
		}
		if 2*taken.Sub(before) > l.gap(no) {
			before = taken
		}
		before = before.Add(l.gap(no))
		taken, times[no] = before, before
	}
	return times
}

func (l *life) gap(no int) time.Duration {
	if g, ok := l.gaps[no]; ok {
		return g
	}
	return hours(l.terms.gap)
}

// settle takes all that is due at an instant, of the stages one at most. lapsed:
// a move has made it beside the point.
func (l *life) settle(now time.Time, lapsed bool) {
	var due []slot
	climbs := 0
	for _, s := range l.plan() {
		if s.at.After(now) {
			break
		}
		if s.kind == "escalation" {
			if climbs++; climbs > 1 {
				continue
			}
		}
		due = append(due, s)
	}
	for i, s := range due {
		done := "told"
		if lapsed {
			done = "superseded"
		}
		if i < len(due)-1 && (s.kind == "reminder" || s.kind == "approval_reminder") {
			done = "silent"
		}
		l.take(s, now, done)
		if s.kind == "resume" {
			l.resume(s.at, now, lapsed)
		}
	}
}

func (l *life) take(s slot, now time.Time, done string) {
	l.taken[slotKey{l.period, s.kind, s.stage}] = true
	l.out = append(l.out, event{s.kind, l.period, s.stage, s.at, now, done})
	switch s.kind {
	case "overdue":
		l.overdue = true
	case "escalation":
		l.level++
		l.climbed[s.stage] = climb{s.at, now}
		l.first = stageTime{}
		l.stages = l.ladder()
	}
}
