package holidays

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/emersion/go-ical"
	"github.com/teambition/rrule-go"
)

// event is one VEVENT.
type event struct {
	key
	sequence         int
	name             string
	cancelled, timed bool

	start time.Time // midnight, UTC
	days  int
	rules []*rrule.ROption
	extra []time.Time // RDATE

	except   map[time.Time]bool // EXDATE
	replaced map[time.Time]bool // occurrences that have an event of their own
}

const dateForm = "20060102"

func newEvent(props ical.Props) (event, error) {
	e := event{name: nameOf(props.Get(ical.PropSummary))}
	text := func(name string) string {
		if p := props.Get(name); p != nil {
			return strings.TrimSpace(p.Value)
		}
		return ""
	}
	e.uid, e.cancelled = text(ical.PropUID), strings.EqualFold(text(ical.PropStatus), string(ical.EventCancelled))
	e.sequence, _ = strconv.Atoi(text(ical.PropSequence))
	of, err := dates(props[ical.PropRecurrenceID])
	switch {
	case err != nil || len(of) > 1:
		return e, errors.New("RECURRENCE-ID must be a date")
	case len(of) == 1 && props.Get(ical.PropRecurrenceID).Params.Get(ical.ParamRange) != "":
		return e, errors.New("RECURRENCE-ID with a RANGE is not understood")
	case len(of) == 1:
		e.of = of[0]
	}
	start := props.Get(ical.PropDateTimeStart)
	if start == nil {
		return e, errors.New("must have a DTSTART")
	}
	if !allDay(start) {
		e.timed = true
		return e, nil
	}
	if e.start, err = time.Parse(dateForm, start.Value); err != nil {
		return e, errors.New("DTSTART must be a date, as 20260923")
	}
	if e.days, err = length(props, e.start); err != nil {
		return e, err
	}
	return e, e.recurrence(props)
}

// allDay also knows what lacks the VALUE=DATE that it should have.
func allDay(p *ical.Prop) bool {
	return strings.EqualFold(p.Params.Get(ical.ParamValue), string(ical.ValueDate)) || len(p.Value) == len(dateForm)
}

// length is how many days an event takes. DTEND is the day after; what ends on
// the day on which it begins takes that day.
func length(props ical.Props, start time.Time) (int, error) {
	days := 1
	switch end, duration := props.Get(ical.PropDateTimeEnd), props.Get(ical.PropDuration); {
	case end != nil:
		last, err := time.Parse(dateForm, end.Value)
		if err != nil || last.Before(start) {
			return 0, errors.New("DTEND must be a date, as 20260924, and not before DTSTART")
		}
		days = max(int(last.Sub(start)/(24*time.Hour)), 1)
	case duration != nil:
		d, err := duration.Duration()
		if err != nil || d < 24*time.Hour || d%(24*time.Hour) != 0 {
			return 0, errors.New("DURATION must be whole days, as P1D")
		}
		days = int(d / (24 * time.Hour))
	}
	if days > maxRun {
		return 0, fmt.Errorf("must be no longer than %d days", maxRun)
	}
	return days, nil
}

// dates reads the dates of properties that may hold several each; of a date with
// a time, its date.
func dates(props []ical.Prop) ([]time.Time, error) {
	var all []time.Time
	for _, p := range props {
		for value := range strings.SplitSeq(p.Value, ",") {
			date, _, _ := strings.Cut(strings.TrimSpace(value), "T")
			t, err := time.Parse(dateForm, date)
			if err != nil {
				return nil, errors.New("must be dates, as 20260923")
			}
			all = append(all, t)
		}
	}
	return all, nil
}

// The limits of one rule, so that working it out ends soon.
const (
	maxRule     = 500 // bytes
	maxInterval = 1000
	firstYear   = 1600 // in which it may begin
)

func (e *event) recurrence(props ical.Props) (err error) {
	if len(props["EXRULE"]) > 0 {
		return errors.New("EXRULE is not understood: RFC 5545 has it no more")
	}
	if e.extra, err = dates(props[ical.PropRecurrenceDates]); err != nil {
		return fmt.Errorf("RDATE %w", err)
	}
	except, err := dates(props[ical.PropExceptionDates])
	if err != nil {
		return fmt.Errorf("EXDATE %w", err)
	}
	e.except = map[time.Time]bool{}
	for _, date := range except {
		e.except[date] = true
	}
	for _, p := range props[ical.PropRecurrenceRule] {
		text := strings.ToUpper(strings.TrimSuffix(strings.TrimSpace(p.Value), ";"))
		rule, err := rrule.StrToROption(text)
		switch {
		case err != nil || len(text) > maxRule || rule.Count < 0 || len(rule.Byeaster) > 0:
			return errors.New("RRULE cannot be read")
		case rule.Freq > rrule.DAILY:
			return errors.New("RRULE must not repeat an all-day event more than once a day")
		case rule.Interval < 0 || rule.Interval > maxInterval:
			return fmt.Errorf("RRULE must have an INTERVAL from 1 to %d", maxInterval)
		case e.start.Year() < firstYear:
			return fmt.Errorf("DTSTART must not be before %d with an RRULE", firstYear)
		}
		// RFC 5545, 3.3.10: to be ignored with a date.
		rule.Byhour, rule.Byminute, rule.Bysecond = nil, nil, nil
		rule.Dtstart = e.start
		e.rules = append(e.rules, rule)
	}
	return nil
}

// enter adds the event's days in [from, to).
func (e *event) enter(days map[time.Time]map[string]bool, from, to time.Time) error {
	begins, err := e.begins(from, to)
	if err != nil {
		return err
	}
	for _, begin := range begins {
		if e.except[begin] || e.replaced[begin] {
			continue
		}
		for i := range e.days {
			date := begin.AddDate(0, 0, i)
			if date.Before(from) || !date.Before(to) {
				continue
			}
			if days[date] == nil {
				days[date] = map[string]bool{}
			}
			if days[date][e.name] = true; len(days) > MaxDays {
				return fmt.Errorf("has more than %d holidays from %d to %d: it is no calendar of holidays", MaxDays, from.Year(), to.Year()-1)
			}
		}
	}
	return nil
}

// begins lists when the event begins, in order, so far as it touches [from, to).
func (e *event) begins(from, to time.Time) ([]time.Time, error) {
	begins := slices.Clone(e.extra)
	if len(e.rules) == 0 {
		begins = append(begins, e.start)
	}
	for _, rule := range e.rules {
		occurrences, err := tame(func() ([]time.Time, error) { return expand(*rule, from.AddDate(0, 0, -e.days), to) })
		if err != nil {
			return nil, errors.New("an RRULE has a part out of its range")
		}
		begins = append(begins, occurrences...)
	}
	begins = slices.DeleteFunc(begins, func(t time.Time) bool { return !t.Before(to) || !t.AddDate(0, 0, e.days).After(from) })
	slices.SortFunc(begins, time.Time.Compare)
	return slices.Compact(begins), nil
}

// The library looks for a rule's next occurrence until the last year that it
// knows, which takes long for one that never comes true. Dates and weekdays
// repeat after a cycle of years, so rules are worked out in the last one.
const (
	lastYear = rrule.MAXYEAR
	cycle    = 400
)

// expand works a rule out in [from, to].
func expand(rule rrule.ROption, from, to time.Time) ([]time.Time, error) {
	if rule.Until.IsZero() || rule.Until.After(to) {
		rule.Until = to // of its own the library stops 290 years after the start
	}
	if rule.Until.Before(from) {
		return nil, nil
	}
	years := (lastYear - to.Year()) / cycle * cycle
	rule.Dtstart, rule.Until = rule.Dtstart.AddDate(years, 0, 0), rule.Until.AddDate(years, 0, 0)
	r, err := rrule.NewRRule(rule)
	if err != nil {
		return nil, err
	}
	found := r.Between(from.AddDate(years, 0, 0), to.AddDate(years, 0, 0), true)
	for i := range found {
		found[i] = found[i].AddDate(-years, 0, 0)
	}
	return found, nil
}
