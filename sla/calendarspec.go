package sla

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// CalendarSpec is the open time of a place: the windows of each weekday, and
// the dates that differ. A window belongs to the date on which it opens.
type CalendarSpec struct {
	Name       string `yaml:"name" json:"name"`
	Timezone   string `yaml:"timezone" json:"timezone"`                         // IANA name
	AlwaysOpen bool   `yaml:"always_open,omitzero" json:"always_open,omitzero"` // around the clock; then nothing else
	// Weekly maps weekdays to windows. A key is a day (mon) or a run of days
	// (sun-thu); days left out are closed.
	Weekly map[string][]Hours `yaml:"weekly,omitzero" json:"weekly,omitzero"`
	// Holidays are closed.
	Holidays []HolidaySpec `yaml:"holidays,omitzero" json:"holidays,omitzero"`
	// Feeds are holidays that somebody else keeps.
	Feeds []FeedSpec `yaml:"feeds,omitzero" json:"feeds,omitzero"`
	// SpecialDays replace the weekly windows of their dates and win over
	// holidays; of several for one date the last counts.
	SpecialDays []SpecialSpec `yaml:"special_days,omitzero" json:"special_days,omitzero"`
}

// HolidaySpec is a holiday: one date, a date of every year (12-25), or all
// from From to To, both included.
type HolidaySpec struct {
	Name string `yaml:"name,omitzero" json:"name,omitzero"`
	Date Date   `yaml:"date,omitzero" json:"date,omitzero"`
	From Date   `yaml:"from,omitzero" json:"from,omitzero"`
	To   Date   `yaml:"to,omitzero" json:"to,omitzero"`
}

// SpecialSpec is a date, or a run of them, with windows of its own.
type SpecialSpec struct {
	Name string  `yaml:"name,omitzero" json:"name,omitzero"`
	Date Date    `yaml:"date,omitzero" json:"date,omitzero"`
	From Date    `yaml:"from,omitzero" json:"from,omitzero"`
	To   Date    `yaml:"to,omitzero" json:"to,omitzero"`
	Days string  `yaml:"days,omitzero" json:"days,omitzero"` // only these weekdays of the run: sun-thu; empty: all
	Open []Hours `yaml:"open,omitzero" json:"open,omitzero"` // empty: closed
}

// Hours is one window by the clock on the wall: 09:00-17:00. One that does not
// end after its beginning ends on the next day; 24:00 is the end of the day.
type Hours struct{ Open, Close int } // seconds after midnight; Close may be past 24 h

// MarshalText writes what UnmarshalText reads.
func (h Hours) MarshalText() ([]byte, error) {
	end := h.Close
	if end > secondsADay {
		end -= secondsADay
	}
	return []byte(clockText(h.Open) + "-" + clockText(end)), nil
}

// UnmarshalText reads 09:00-17:00.
func (h *Hours) UnmarshalText(b []byte) error {
	open, end, ok := strings.Cut(string(b), "-")
	if !ok {
		return fmt.Errorf("must be a window, as 09:00-17:00")
	}
	w, err := ParseHours(strings.TrimSpace(open), strings.TrimSpace(end))
	if err != nil {
		return err
	}
	*h = w
	return nil
}

// ParseHours makes a window of its opening and closing times.
func ParseHours(open, end string) (Hours, error) {
	from, ok := parseClock(open)
	to, ok2 := parseClock(end)
	switch {
	case !ok || !ok2 || from == secondsADay:
		return Hours{}, fmt.Errorf("must be a window from 00:00 to 24:00, as 09:00-17:00")
	case from == to:
		return Hours{}, fmt.Errorf("must not be empty; 00:00-24:00 is the whole day")
	case to < from:
		to += secondsADay
	}
	return Hours{from, to}, nil
}

// parseClock reads HH:MM or HH:MM:SS as seconds after midnight, 24:00 included.
func parseClock(s string) (int, bool) {
	if s == "24:00" {
		return secondsADay, true
	}
	for _, layout := range []string{"15:04", "15:04:05"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.Hour()*3600 + t.Minute()*60 + t.Second(), true
		}
	}
	return 0, false
}

func clockText(seconds int) string {
	text := fmt.Sprintf("%02d:%02d", seconds/3600, seconds/60%60)
	if s := seconds % 60; s != 0 {
		text += fmt.Sprintf(":%02d", s)
	}
	return text
}

// Date is a date of one year, or, with Year 0, of every year.
type Date struct {
	Year  int
	Month time.Month
	Day   int
}

// MarshalText writes 2026-09-23, or 09-23 for every year.
func (d Date) MarshalText() ([]byte, error) {
	if d.Year == 0 {
		return fmt.Appendf(nil, "%02d-%02d", d.Month, d.Day), nil
	}
	return fmt.Appendf(nil, "%04d-%02d-%02d", d.Year, d.Month, d.Day), nil
}

// UnmarshalText reads what MarshalText writes.
func (d *Date) UnmarshalText(b []byte) error {
	s := string(b)
	if t, err := time.Parse(time.DateOnly, s); err == nil && t.Year() >= firstYear && t.Year() <= lastYear {
		*d = Date{t.Year(), t.Month(), t.Day()}
		return nil
	}
	// 2024 was a leap year: 02-29 is a date.
	if t, err := time.Parse(time.DateOnly, "2024-"+s); err == nil && len(s) == len("01-02") {
		*d = Date{0, t.Month(), t.Day()}
		return nil
	}
	return fmt.Errorf("must be a date, as 2026-09-23, or as 09-23 for every year")
}

// String is the form of MarshalText.
func (d Date) String() string {
	b, _ := d.MarshalText() // never fails
	return string(b)
}

// IsZero reports whether there is no date.
func (d Date) IsZero() bool { return d == Date{} }

func (d Date) day() day { return dayOf(time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC)) }

// weekdays are the days' names, by time.Weekday.
var weekdays = [...]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// parseDays reads a weekday or a run of them (sun-thu; fri-mon runs over the
// week's end).
func parseDays(s string) ([]time.Weekday, bool) {
	first, last, run := strings.Cut(s, "-")
	from, to := slices.Index(weekdays[:], strings.TrimSpace(first)), slices.Index(weekdays[:], strings.TrimSpace(last))
	if !run {
		to = from
	}
	if from < 0 || to < 0 {
		return nil, false
	}
	var days []time.Weekday
	for d := from; ; d = (d + 1) % len(weekdays) {
		days = append(days, time.Weekday(d))
		if d == to {
			return days, true
		}
	}
}

// maxRun is the longest run of dates that one entry may name.
const maxRun = 400

// Compile makes the calendar, or names every fault as model.FieldErrors.
func (s *CalendarSpec) Compile() (Calendar, error) {
	var c checker
	cal := c.calendar("calendar", s)
	return cal, c.faults.Err()
}

// checkTarget refuses a target that no clock can count: nil, or what is wrong.
func checkTarget(d time.Duration) error {
	if d <= 0 {
		return fmt.Errorf("target must be > 0")
	}
	return nil
}

// calendar checks one calendar and compiles it. With faults the result is not to
// be used.
func (c *checker) calendar(at string, s *CalendarSpec) Calendar {
	zone, err := time.LoadLocation(s.Timezone)
	if err != nil || s.Timezone == "" || s.Timezone == "Local" {
		c.add(at+".timezone", "unknown", "must be an IANA time zone, as Asia/Riyadh")
		zone = time.UTC
	}
	if s.AlwaysOpen {
		if len(s.Weekly)+len(s.Holidays)+len(s.Feeds)+len(s.SpecialDays) > 0 {
			c.add(at+".always_open", "conflict", "leaves no room for weekly, holidays, feeds or special_days")
		}
		return Calendar{}
	}
	h := &openHours{zone: zone, dates: map[day]special{}, yearly: map[Date]special{}}
	c.weekly(at+".weekly", s.Weekly, h)
	c.feeds(at+".feeds", s.Feeds, h)
	for i := range s.Holidays {
		hd := &s.Holidays[i]
		c.dates(fmt.Sprintf("%s.holidays[%d]", at, i), &SpecialSpec{Date: hd.Date, From: hd.From, To: hd.To}, special{name: hd.Name, holiday: true}, h)
	}
	for i := range s.SpecialDays {
		sd := &s.SpecialDays[i]
		c.dates(fmt.Sprintf("%s.special_days[%d]", at, i), sd, special{name: sd.Name, open: sd.Open}, h)
	}
	return Calendar{h}
}

// weekly wants open time in every week, so that no target takes for ever.
func (c *checker) weekly(at string, weekly map[string][]Hours, h *openHours) {
	var given [7]bool
	open := false
	for _, key := range sortedKeys(weekly) {
		days, ok := parseDays(key)
		if !ok {
			c.add(at+"."+key, "unknown", "must be a weekday or a run of them: mon, sun-thu")
			continue
		}
		for _, d := range days {
			if given[d] {
				c.add(at+"."+key, "duplicate", "%s has its windows from another key too", weekdays[d])
			}
			given[d] = true
			h.weekly[d] = weekly[key]
			open = open || len(h.weekly[d]) > 0
		}
	}
	if !open {
		c.add(at, "required", "a window on one weekday at least, or always_open")
	}
}

// dates enters what the dates of one entry have.
func (c *checker) dates(at string, s *SpecialSpec, what special, h *openHours) {
	days, ok := []time.Weekday(nil), true
	if s.Days != "" {
		if days, ok = parseDays(s.Days); !ok {
			c.add(at+".days", "unknown", "must be a weekday or a run of them: mon, sun-thu")
		}
	}
	first, last := s.From, s.To
	switch {
	case s.Date.IsZero() == (s.From.IsZero() && s.To.IsZero()), !s.Date.IsZero() && s.Days != "":
		c.add(at, "required", "either date, or from and to (and days)")
		return
	case !s.Date.IsZero() && s.Date.Year == 0:
		h.yearly[s.Date] = what
		return
	case !s.Date.IsZero():
		first, last = s.Date, s.Date
	case s.From.IsZero() || s.To.IsZero():
		c.add(at, "required", "from and to, both")
		return
	case s.From.Year == 0 || s.To.Year == 0:
		c.add(at+".from", "format", "must be dates with their years, as 2026-02-18")
		return
	}
	if run := int(last.day()-first.day()) + 1; run < 1 || run > maxRun {
		c.add(at+".to", "range", "must not be before from, nor more than %s days after it", strconv.Itoa(maxRun))
		return
	}
	for d := first.day(); d <= last.day(); d++ {
		if len(days) == 0 || slices.Contains(days, d.weekday()) {
			h.dates[d] = what
		}
	}
}
