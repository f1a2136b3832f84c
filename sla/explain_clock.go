package sla

import (
	"cmp"
	"slices"
	"time"

	"github.com/pxactions/px/model"
)

// Span is [From, To).
type Span struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

func (s Span) length() time.Duration { return s.To.Sub(s.From) }

// OpenDay is what one date gives to a count of open time.
type OpenDay struct {
	Date    string `json:"date,omitempty"`      // by the calendar's zone; empty: around the clock, all the way
	Holiday string `json:"holiday,omitempty"`   // why its weekday's hours do not count; "holiday" where it has no name
	Special string `json:"special,omitempty"`   // why it has hours of its own; "special day" where it has no name
	Counted []Span `json:"counted,omitempty"`   // the open intervals that count, pauses left out
	Seconds int64  `json:"counted_s"`           // their length
	Paused  int64  `json:"paused_s,omitempty"`  // open seconds that pauses took
	Outside bool   `json:"no_window,omitempty"` // the date has no hours at all
}

// Walk lists, date by date, the open intervals in [from, to), less what lies in
// pauses, which are in order and don't overlap. All together they are as long as
// Between of the same instants, less that of the pauses. Around the clock it is
// one entry without date.
func (c Calendar) Walk(from, to time.Time, pauses []model.Pause) []OpenDay {
	if !from.Before(to) {
		return nil
	}
	if c.hours == nil {
		var d OpenDay
		d.count(Span{from.UTC(), to.UTC()}, pauses)
		return []OpenDay{d}
	}
	var days []OpenDay
	first, covered := dayOf(from.In(c.hours.zone)), from
	for d := first - 2; d <= lastDay; d++ {
		begins := time.Unix(0, c.hours.reach(d, 0))
		if !begins.Before(to) {
			break
		}
		day := c.hours.openDay(d)
		for _, s := range c.hours.windowsOn(d) {
			if s.From = later(s.From, covered); s.To.After(to) {
				s.To = to.UTC()
			}
			if s.From.Before(s.To) {
				day.count(s, pauses)
				covered = s.To
			}
		}
		if d >= first || day.Seconds+day.Paused > 0 {
			days = append(days, day)
		}
	}
	return days
}

// openDay names what is particular about a date.
func (h *openHours) openDay(d day) OpenDay {
	day := OpenDay{Date: d.time().Format(time.DateOnly), Outside: len(h.hoursOn(d)) == 0}
	switch s, ok := h.specialOn(d); {
	case ok && s.holiday:
		day.Holiday = cmp.Or(s.name, "holiday")
	case ok:
		day.Special = cmp.Or(s.name, "special day")
	}
	return day
}

// windowsOn lists the windows of a date in their order.
func (h *openHours) windowsOn(d day) []Span {
	var spans []Span
	for _, w := range h.hoursOn(d) {
		spans = append(spans, Span{time.Unix(0, h.reach(d, w.Open)).UTC(), time.Unix(0, h.reach(d, w.Close)).UTC()})
	}
	slices.SortFunc(spans, func(a, b Span) int { return a.From.Compare(b.From) })
	return spans
}

// count enters an open interval, cut where pauses lie in it.
func (d *OpenDay) count(s Span, pauses []model.Pause) {
	add := func(s Span) {
		if s.From.Before(s.To) {
			d.Counted = append(d.Counted, s)
			d.Seconds += int64(s.length() / time.Second)
		}
	}
	for _, p := range pauses {
		if !p.From.Before(s.To) || !s.From.Before(p.To) {
			continue
		}
		add(Span{s.From, p.From.UTC()})
		resumed := p.To.UTC()
		if resumed.After(s.To) {
			resumed = s.To
		}
		d.Paused += int64(resumed.Sub(later(s.From, p.From)) / time.Second)
		s.From = resumed
	}
	add(s)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b.UTC()
	}
	return a
}

// ClockChange is an instant at which the clocks of a zone are put forward (By
// above zero) or back.
type ClockChange struct {
	At time.Time `json:"at"`
	By int64     `json:"by_s"` // seconds
}

// ClockChanges lists the changes of a zone's clocks in (from, to].
func ClockChanges(zone *time.Location, from, to time.Time) []ClockChange {
	var changes []ClockChange
	t := from.In(zone)
	for {
		_, before := t.Zone()
		_, end := t.ZoneBounds()
		if end.IsZero() || end.After(to) {
			return changes
		}
		t = end
		if _, after := t.Zone(); after != before { // a zone may change its name alone
			changes = append(changes, ClockChange{At: end.UTC(), By: int64(after - before)})
		}
	}
}

// PauseFinding is a time in which the clock of an action stood still.
type PauseFinding struct {
	Span
	Seconds int64 `json:"open_s"` // of the action's own clock
	Moves   bool  `json:"moves"`  // it began before the due, and so put it off
}

// ClockFinding is how an action's due follows from its target.
type ClockFinding struct {
	Clock    ClockKind      `json:"clock"`              // elapsed: every hour counts
	Calendar string         `json:"calendar,omitempty"` // whose hours count; empty: all
	Zone     string         `json:"zone,omitempty"`     // the calendar's
	Revision int64          `json:"calendar_revision"`  // of the policy that the calendar is read from
	Severity model.Severity `json:"severity"`
	Target   int64          `json:"target_s,omitempty"`            // 0: WorkingDays count instead
	Workdays int            `json:"target_working_days,omitempty"` // the start's own date is not one of them, the time of day stays
	Start    time.Time      `json:"clock_start"`
	Due      time.Time      `json:"due_at"`
	Manual   bool           `json:"due_manual,omitempty"` // set by hand, or by the least that a rejection leaves

	// What the target alone gives: the walk from Start to there, every open
	// interval of it, is as long as a target in time.
	TargetDue time.Time      `json:"target_due_at"`
	Days      []OpenDay      `json:"days"`
	Unpaused  *time.Time     `json:"without_pauses_due_at,omitempty"` // of working days only: Days end there, and
	Added     []OpenDay      `json:"added_for_pauses,omitempty"`      // these intervals make up for the pauses
	Pauses    []PauseFinding `json:"pauses,omitempty"`
	Paused    *time.Time     `json:"paused_since,omitempty"` // the clock stands still
	Changes   []ClockChange  `json:"clock_changes,omitempty"`
}

// ExplainClock counts an action's target again. at is the zone whose clocks
// people there read, for changes on the way around the clock.
func ExplainClock(c Case, at *time.Location) ClockFinding {
	a, clock, walked := &c.Action, c.clock(), c.clock()
	due, _ := c.targetDue()
	moving := whole(clock.Add(a.ClockStart, c.target()))
	f := ClockFinding{
		Clock: ClockElapsed, Revision: a.CalendarRevision, Severity: a.Severity, Target: int64(c.target() / time.Second),
		Start: a.ClockStart.UTC(), Due: a.DueAt.UTC(), Manual: a.DueManual, TargetDue: due, Paused: a.PausedAt,
	}
	if n := c.Config.Days[a.Severity]; n > 0 {
		f.Target, f.Workdays, walked = 0, n, c.Open
		moving = whole(c.Open.AddDays(a.ClockStart, n))
	}
	if walked.hours != nil {
		at = walked.hours.zone
		f.Clock, f.Calendar, f.Zone = ClockOpen, a.Calendar, at.String()
	}
	base := moving
	var moved []model.Pause
	for _, p := range a.Plan.V.Pauses {
		open := clock.Between(p.From, p.To)
		f.Pauses = append(f.Pauses, PauseFinding{Span{p.From.UTC(), p.To.UTC()}, int64(open / time.Second), p.From.Before(moving)})
		if p.From.Before(moving) {
			moving = clock.Add(moving, open)
			moved = append(moved, p)
		}
	}
	if f.Workdays > 0 {
		f.Unpaused, f.Days, f.Added = &base, walked.Walk(a.ClockStart, base, nil), clock.Walk(base, due, nil)
	} else {
		f.Days = clock.Walk(a.ClockStart, due, moved)
	}
	f.Changes = ClockChanges(at, a.ClockStart, later(due, a.DueAt))
	return f
}

// Foreseen is an event of a plan and whom it would tell, were it taken at its
// time with the people as they are.
type Foreseen struct {
	PlannedEvent
	Targets []model.UserID
	Copies  []model.UserID
}

// foreseeable is more events than a plan has; a plan without end would end there.
const foreseeable = 200

// Foresee takes an action's plan, event by event, as if nobody did anything.
// What is past already would be taken now.
func Foresee(c Case, now time.Time) []Foreseen {
	var list []Foreseen
	for len(list) < foreseeable {
		plan := Upcoming(c)
		if len(plan) == 0 {
			return list
		}
		now = later(now, plan[0].At)
		out, ok := Fire(c, now)
		if !ok {
			return list
		}
		for _, e := range out.Events {
			list = append(list, Foreseen{
				PlannedEvent: PlannedEvent{Kind: e.Kind, Stage: e.Stage, At: e.Planned},
				Targets:      e.Targets.V, Copies: without(e.Told.V, e.Targets.V...),
			})
		}
		c.Action, c.Events = out.Action, append(slices.Clip(c.Events), out.Events...)
	}
	return list
}
