package sla

import (
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// FeedSpec is a list of holidays that somebody else keeps, as iCalendar: at a
// URL, or in a file on the machines that refresh it. Of both one is given.
type FeedSpec struct {
	Name string `yaml:"name" json:"name"`                   // once in its calendar
	URL  string `yaml:"url,omitzero" json:"url,omitzero"`   // https, or http to this machine alone
	File string `yaml:"file,omitzero" json:"file,omitzero"` // an absolute path
	// Dates are those of the last good answer. The program writes them into each
	// revision, so that it says all that counts; people leave them out.
	Dates []HolidaySpec `yaml:"dates,omitzero" json:"dates,omitzero"`
}

// Source is the feed's URL or file.
func (f *FeedSpec) Source() string { return f.URL + f.File }

// Feed finds a feed of the policy by its calendar's and its own name; nil: there
// is none.
func (p *Policy) Feed(calendar, name string) *FeedSpec {
	for i := range p.Calendars {
		for j := range p.Calendars[i].Feeds {
			if f := &p.Calendars[i].Feeds[j]; p.Calendars[i].Name == calendar && f.Name == name {
				return f
			}
		}
	}
	return nil
}

// WithFeeds returns a copy of the policy in which the feeds are its own to
// change; everything else is shared.
func (p *Policy) WithFeeds() *Policy {
	own := *p
	own.Calendars = slices.Clone(p.Calendars)
	for i := range own.Calendars {
		own.Calendars[i].Feeds = slices.Clone(own.Calendars[i].Feeds)
	}
	return &own
}

// Holidays makes entries of dates and their names: a run of dates of one name is
// one entry.
func Holidays(dates map[Date]string) []HolidaySpec {
	byDay := make(map[day]string, len(dates))
	for d, name := range dates {
		byDay[d.day()] = name
	}
	return entriesOfDays(byDay)
}

// KeepPast adds to a feed's new dates those of its last answer that lie before
// today: publishers drop what is over, and a due that was worked out by it must
// not move for that.
func KeepPast(last, fresh []HolidaySpec, today Date) []HolidaySpec {
	kept := daysOf(last)
	maps.DeleteFunc(kept, func(d day, _ string) bool { return d >= today.day() })
	maps.Copy(kept, daysOf(fresh))
	return entriesOfDays(kept)
}

// CompareHolidays tells which dates are new, or have a new name, and which are
// gone.
func CompareHolidays(before, after []HolidaySpec) (added, removed []HolidaySpec) {
	was, is := daysOf(before), daysOf(after)
	more, less := maps.Clone(is), maps.Clone(was)
	maps.DeleteFunc(more, func(d day, name string) bool { old, had := was[d]; return had && old == name })
	maps.DeleteFunc(less, func(d day, _ string) bool { _, has := is[d]; return has })
	return entriesOfDays(more), entriesOfDays(less)
}

// CountDates is how many dates entries of one year each name.
func CountDates(entries []HolidaySpec) int { return len(daysOf(entries)) }

// HolidaysFrom returns the entries that are not over on a date.
func HolidaysFrom(entries []HolidaySpec, today Date) []HolidaySpec {
	days := daysOf(entries)
	maps.DeleteFunc(days, func(d day, _ string) bool { return d < today.day() })
	return entriesOfDays(days)
}

// daysOf are the dates of entries, each with its name.
func daysOf(entries []HolidaySpec) map[day]string {
	days := map[day]string{}
	for _, e := range entries {
		first, last := e.From, e.To
		if !e.Date.IsZero() {
			first, last = e.Date, e.Date
		}
		for d := first.day(); d <= last.day(); d++ {
			days[d] = e.Name
		}
	}
	return days
}

func entriesOfDays(days map[day]string) []HolidaySpec {
	var entries []HolidaySpec
	var last day
	length := 0
	for _, d := range sortedKeys(days) {
		name, date := days[d], dateOf(d)
		if n := len(entries); n > 0 && d == last+1 && entries[n-1].Name == name && length < maxRun {
			e := &entries[n-1]
			if !e.Date.IsZero() {
				e.From, e.Date = e.Date, Date{}
			}
			e.To = date
			length++
		} else {
			entries = append(entries, HolidaySpec{Name: name, Date: date})
			length = 1
		}
		last = d
	}
	return entries
}

func dateOf(d day) Date { return DateOf(d.time()) }

// DateOf is the date of an instant in the zone that it carries.
func DateOf(t time.Time) Date {
	y, m, d := t.Date()
	return Date{y, m, d}
}

// Today is the date of an instant where the calendar is.
func (s *CalendarSpec) Today(at time.Time) Date {
	zone, err := time.LoadLocation(s.Timezone)
	if err != nil { // of a policy that was never checked
		zone = time.UTC
	}
	return DateOf(at.In(zone))
}

// feeds checks the feeds of one calendar and enters the dates that they have.
func (c *checker) feeds(at string, feeds []FeedSpec, h *openHours) {
	names := map[string]bool{}
	for i := range feeds {
		f, here := &feeds[i], fmt.Sprintf("%s[%d]", at, i)
		c.name(here, f.Name)
		if names[f.Name] {
			c.add(here+".name", "duplicate", "another feed of this calendar has the name %q", f.Name)
		}
		names[f.Name] = true
		switch {
		case (f.URL == "") == (f.File == ""):
			c.add(here, "required", "either url or file")
		case f.URL != "" && !feedURL(f.URL):
			c.add(here+".url", "format", "must be https://… (for webcal:// too), or http:// with a loopback host, without user and password")
		case f.File != "" && !filepath.IsAbs(f.File):
			c.add(here+".file", "format", "must be an absolute path, as /etc/px/holidays.ics: workers read it")
		}
		for j := range f.Dates {
			e := &f.Dates[j]
			if !e.Date.IsZero() && e.Date.Year == 0 {
				c.add(fmt.Sprintf("%s.dates[%d].date", here, j), "format", "must be a date with its year, as 2026-09-23")
				continue
			}
			c.dates(fmt.Sprintf("%s.dates[%d]", here, j), &SpecialSpec{Date: e.Date, From: e.From, To: e.To}, special{name: e.Name, holiday: true}, h)
		}
	}
}

func feedURL(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.User != nil {
		return false
	}
	a, err := netip.ParseAddr(u.Hostname())
	return u.Scheme == "https" || u.Scheme == "http" && (strings.EqualFold(u.Hostname(), "localhost") || err == nil && a.IsLoopback())
}
