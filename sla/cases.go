package sla

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/pxactions/px/model"
)

// ClockCases are worked examples of the SLA clock, in a file of JSON: calendars
// by name, and what is to come of them.
type ClockCases struct {
	Calendars map[string]caseCalendar `json:"calendars"`
	Cases     []clockCase             `json:"cases"`
}

// caseCalendar is a calendar as a file of cases writes it: dates alone, and
// windows as pairs.
type caseCalendar struct {
	Timezone    string                 `json:"timezone"`
	AlwaysOpen  bool                   `json:"always_open"`
	Weekly      map[string][][2]string `json:"weekly"`
	Holidays    []Date                 `json:"holidays"`
	SpecialDays map[Date][][2]string   `json:"special_days"`
}

// clockCase is one example. Its kind says what is asked:
//
//	due       when target of open time from start, pauses out, is used up; null while a pause is open
//	elapsed   the open seconds of [start, end), pauses out
//	before    the last instant that leaves target until end
//	workdays  the instant that many working days after start
//	error     that the target is refused
type clockCase struct {
	ID            string          `json:"id"`
	Kind          string          `json:"kind"`
	Title         string          `json:"title"`
	Calendar      string          `json:"calendar"`
	Start         time.Time       `json:"start"`
	End           time.Time       `json:"end"`
	TargetMinutes int64           `json:"target_minutes"`
	TargetSeconds int64           `json:"target_seconds"`
	Workdays      int             `json:"workdays"`
	Pauses        [][2]*time.Time `json:"pauses"`

	ExpectedDue     *time.Time `json:"expected_due"`
	ExpectedAt      *time.Time `json:"expected_at"`
	ExpectedSeconds int64      `json:"expected_seconds"`
	ExpectedError   string     `json:"expected_error"`
}

// ReadClockCases reads a file of cases.
func ReadClockCases(r io.Reader) (*ClockCases, error) {
	var cs ClockCases
	if err := json.NewDecoder(r).Decode(&cs); err != nil {
		return nil, fmt.Errorf("read the cases: %w", err)
	}
	if len(cs.Cases) == 0 {
		return nil, errors.New("read the cases: there is none under the key cases")
	}
	for _, c := range cs.Cases {
		for _, p := range c.Pauses {
			if p[0] == nil {
				return nil, fmt.Errorf("read the cases: %s: a pause needs its beginning", c.ID)
			}
		}
	}
	return &cs, nil
}

// Failures works all cases out and returns a line for each that differs, and how
// many do not.
func (cs *ClockCases) Failures() (failures []string, passed int) {
	calendars := map[string]Calendar{}
	for name, spec := range cs.Calendars {
		c, err := spec.compile(name)
		if err != nil {
			failures = append(failures, fmt.Sprintf("calendar %s: %v", name, err))
			continue
		}
		calendars[name] = c
	}
	for i := range cs.Cases {
		c := &cs.Cases[i]
		got, want := "", ""
		if cal, ok := calendars[c.Calendar]; ok {
			got, want = c.work(cal)
		} else {
			got, want = "no calendar "+c.Calendar, "one under the key calendars"
		}
		if got == want {
			passed++
			continue
		}
		failures = append(failures, fmt.Sprintf("%s %s: got %s, want %s (%s)", c.ID, c.Kind, got, want, c.Title))
	}
	return failures, passed
}

func (s *caseCalendar) compile(name string) (Calendar, error) {
	spec := CalendarSpec{Name: name, Timezone: s.Timezone, AlwaysOpen: s.AlwaysOpen, Weekly: map[string][]Hours{}}
	var err error
	for key, pairs := range s.Weekly {
		if spec.Weekly[key], err = hoursOf(pairs); err != nil {
			return Calendar{}, fmt.Errorf("weekly.%s: %w", key, err)
		}
	}
	for _, d := range s.Holidays {
		spec.Holidays = append(spec.Holidays, HolidaySpec{Date: d})
	}
	for d, pairs := range s.SpecialDays {
		open, err := hoursOf(pairs)
		if err != nil {
			return Calendar{}, fmt.Errorf("special_days.%s: %w", d, err)
		}
		spec.SpecialDays = append(spec.SpecialDays, SpecialSpec{Date: d, Open: open})
	}
	return spec.Compile()
}

func hoursOf(pairs [][2]string) ([]Hours, error) {
	all := make([]Hours, len(pairs))
	for i, p := range pairs {
		var err error
		if all[i], err = ParseHours(p[0], p[1]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// work answers a case and says what was wanted, both in words to compare.
func (c *clockCase) work(cal Calendar) (got, want string) {
	target := time.Duration(c.TargetMinutes)*time.Minute + time.Duration(c.TargetSeconds)*time.Second
	pauses, open := c.pauses()
	switch c.Kind {
	case "due":
		if open {
			return instantText(nil), instantText(c.ExpectedDue)
		}
		due, _ := cal.Pause(cal.Add(c.Start, target), pauses)
		return instantText(&due), instantText(c.ExpectedDue)
	case "before":
		at := cal.Sub(c.End, target)
		return instantText(&at), instantText(c.ExpectedAt)
	case "workdays":
		due := cal.AddDays(c.Start, c.Workdays)
		return instantText(&due), instantText(c.ExpectedDue)
	case "elapsed":
		d := cal.Between(c.Start, c.End)
		for _, p := range pauses {
			if p.To.After(c.End) {
				p.To = c.End
			}
			d -= cal.Between(p.From, p.To)
		}
		return d.String(), (time.Duration(c.ExpectedSeconds) * time.Second).String()
	case "error":
		if err := checkTarget(target); err != nil {
			return err.Error(), c.ExpectedError
		}
		return "no error", c.ExpectedError
	default:
		return "kind " + c.Kind, "due, elapsed, before, workdays or error"
	}
}

// pauses are the ended ones, from the start on, in order and apart from each
// other, and whether one has no end.
func (c *clockCase) pauses() (ended []model.Pause, open bool) {
	sorted := slices.SortedFunc(slices.Values(c.Pauses), func(a, b [2]*time.Time) int { return a[0].Compare(*b[0]) })
	from := c.Start // what is before it is past, or counted
	for _, p := range sorted {
		if p[1] == nil {
			return ended, true
		}
		if p[0].After(from) {
			from = *p[0]
		}
		if p[1].After(from) {
			ended = append(ended, model.Pause{From: from, To: *p[1]})
			from = *p[1]
		}
	}
	return ended, false
}

func instantText(at *time.Time) string {
	if at == nil {
		return "never"
	}
	return at.UTC().Format(time.RFC3339Nano)
}
