package sla

import (
	"cmp"
	"slices"
	"sort"
	"sync/atomic"
	"time"

	"github.com/pxactions/px/model"
)

// Calendar is the open time of a place. The zero Calendar is open around the
// clock: elapsed and open time agree in it. It never changes and is safe for
// concurrent use.
//
// Windows are half-open and kept to the nanosecond; open time is real elapsed
// time inside them, so a window over a change of the clocks is longer or
// shorter. Calendars know the years 1800 to 2199; what would lie after them is
// their end.
type Calendar struct{ hours *openHours }

// Add returns the first instant at which d of open time has passed since start:
// one used up exactly at closing is at closing. It is start where d is not
// positive.
func (c Calendar) Add(start time.Time, d time.Duration) time.Time {
	if c.hours == nil || d <= 0 {
		return start.Add(max(d, 0))
	}
	at := start.UnixNano()
	year := yearOf(start)
	y := c.hours.year(year)
	need := y.openBefore(at) + int64(d)
	for need > y.total {
		if year == lastYear {
			return endOfTime
		}
		need -= y.total
		year++
		y = c.hours.year(year)
	}
	// The first window at whose end that much has been open.
	i := sort.Search(len(y.windows), func(i int) bool { return y.openUntil(i) >= need })
	return time.Unix(0, y.windows[i].from+need-y.windows[i].before).UTC()
}

// Sub returns the last instant that leaves d of open time until due. It is due
// where d is not positive.
func (c Calendar) Sub(due time.Time, d time.Duration) time.Time {
	if c.hours == nil || d <= 0 {
		return due.Add(-max(d, 0))
	}
	year := yearOf(due)
	y := c.hours.year(year)
	need := y.openBefore(due.UnixNano()) - int64(d)
	for need < 0 {
		if year == firstYear {
			return startOfTime
		}
		year--
		y = c.hours.year(year)
		need += y.total
	}
	// The last window before whose opening no more than that has been open.
	i := sort.Search(len(y.windows), func(i int) bool { return y.windows[i].before > need }) - 1
	return time.Unix(0, y.windows[i].from+need-y.windows[i].before).UTC()
}

// Between returns the open time in [from, to); 0 when to is not after from.
func (c Calendar) Between(from, to time.Time) time.Duration {
	if !to.After(from) {
		return 0
	}
	if c.hours == nil {
		return to.Sub(from)
	}
	first, last := yearOf(from), yearOf(to)
	open := c.hours.year(last).openBefore(to.UnixNano()) - c.hours.year(first).openBefore(from.UnixNano())
	for year := first; year < last; year++ {
		open += c.hours.year(year).total
	}
	return time.Duration(open)
}

// AddDays returns the instant n working days after start, at the same time of
// day by the calendar's zone. A working day is a date on which a window opens;
// start's own date is not counted. Around the clock every day is one.
func (c Calendar) AddDays(start time.Time, n int) time.Time {
	if c.hours == nil || n <= 0 {
		return start.AddDate(0, 0, max(n, 0))
	}
	local := start.In(c.hours.zone)
	d := dayOf(local)
	for n > 0 && d < lastDay {
		d++
		if len(c.hours.hoursOn(d)) > 0 {
			n--
		}
	}
	h, m, s := local.Clock()
	return time.Unix(0, c.hours.reach(d, h*3600+m*60+s)+int64(local.Nanosecond())).UTC()
}

// Pause moves a due by pauses, which are in order and don't overlap: each that
// begins before the due moves it by its open time. The second result is the
// open time of those that did.
func (c Calendar) Pause(due time.Time, pauses []model.Pause) (time.Time, time.Duration) {
	var paused time.Duration
	for _, p := range pauses {
		if p.From.Before(due) {
			open := c.Between(p.From, p.To)
			due, paused = c.Add(due, open), paused+open
		}
	}
	return due, paused
}

// The years that calendars know, and their ends. A year is far within what an
// int64 of nanoseconds holds.
const (
	firstYear = 1800
	lastYear  = 2199
)

var (
	startOfTime = time.Date(firstYear, 1, 1, 0, 0, 0, 0, time.UTC)
	endOfTime   = time.Date(lastYear+1, 1, 1, 0, 0, 0, 0, time.UTC)
	lastDay     = dayOf(endOfTime)
)

// yearOf is the year in UTC, within those that calendars know.
func yearOf(t time.Time) int { return min(max(t.UTC().Year(), firstYear), lastYear) }

// day is a date: days since 1970-01-01.
type day int32

// dayOf is the date of an instant in the zone it carries.
func dayOf(t time.Time) day {
	y, m, d := t.Date()
	return day(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / secondsADay)
}

func (d day) time() time.Time { return time.Unix(int64(d)*secondsADay, 0).UTC() }

func (d day) weekday() time.Weekday { return time.Weekday((int(d)%7 + 11) % 7) } // 1970-01-01 was a Thursday

const secondsADay = 24 * 60 * 60

// openHours is a compiled calendar.
type openHours struct {
	zone   *time.Location
	weekly [7][]Hours       // by time.Weekday
	dates  map[day]special  // dates that differ from their weekday
	yearly map[Date]special // the same, of every year

	// years are made when first asked for; two that make the same one at once
	// make the same.
	years [lastYear - firstYear + 1]atomic.Pointer[yearHours]
}

// special is what a date has in place of its weekday's windows.
type special struct {
	name    string // what people call the date; may be empty
	holiday bool   // special days win over it
	open    []Hours
}

// hoursOn lists the windows that open on a date.
func (h *openHours) hoursOn(d day) []Hours {
	if s, ok := h.specialOn(d); ok {
		return s.open
	}
	return h.weekly[d.weekday()]
}

func (h *openHours) specialOn(d day) (special, bool) {
	s, ok := h.dates[d]
	if ok && !s.holiday || len(h.yearly) == 0 {
		return s, ok
	}
	t := d.time()
	if y, every := h.yearly[Date{0, t.Month(), t.Day()}]; every && (!ok || !y.holiday) {
		return y, true
	}
	return s, ok
}

// yearHours is the open time of one year in UTC, so that a search replaces the
// walk through its days.
type yearHours struct {
	windows []window // apart from each other, in order; clipped to the year
	total   int64    // nanoseconds open
}

// window is [from, to) in nanoseconds since 1970, with what is open before it
// in its year.
type window struct{ from, to, before int64 }

func (y *yearHours) openUntil(i int) int64 {
	w := &y.windows[i]
	return w.before + w.to - w.from
}

// openBefore is the open time of the year before an instant.
func (y *yearHours) openBefore(at int64) int64 {
	i := sort.Search(len(y.windows), func(i int) bool { return y.windows[i].to > at })
	if i == len(y.windows) {
		return y.total
	}
	return y.windows[i].before + max(at-y.windows[i].from, 0)
}

func (h *openHours) year(year int) *yearHours {
	slot := &h.years[year-firstYear]
	if y := slot.Load(); y != nil {
		return y
	}
	y := h.makeYear(year)
	slot.Store(y)
	return y
}

// makeYear lays out the windows of a year. Those of the dates around it may
// reach into it, by their zone or over midnight.
func (h *openHours) makeYear(year int) *yearHours {
	begin := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)
	end := begin.AddDate(1, 0, 0)
	var ws []window
	for d := dayOf(begin) - 3; d <= dayOf(end)+1; d++ {
		for _, w := range h.hoursOn(d) {
			from := max(h.reach(d, w.Open), begin.UnixNano())
			to := min(h.reach(d, w.Close), end.UnixNano())
			if from < to { // a change of the clocks may swallow a window
				ws = append(ws, window{from: from, to: to})
			}
		}
	}
	slices.SortFunc(ws, func(a, b window) int { return cmp.Compare(a.from, b.from) })
	y := &yearHours{}
	for _, w := range ws {
		if n := len(y.windows); n > 0 && w.from <= y.windows[n-1].to {
			y.total += max(w.to-y.windows[n-1].to, 0)
			y.windows[n-1].to = max(y.windows[n-1].to, w.to)
			continue
		}
		w.before = y.total
		y.total += w.to - w.from
		y.windows = append(y.windows, w)
	}
	y.windows = slices.Clip(y.windows)
	return y
}

// maxOffset is more than any zone has ever been apart from UTC.
const maxOffset = 16 * 60 * 60

// reach is the first instant at which the clocks of the zone show a date's
// seconds after midnight, or more: an opening that a change of the clocks skips
// is right after it, and of an hour that comes twice the first counts.
func (h *openHours) reach(d day, seconds int) int64 {
	local := int64(d)*secondsADay + int64(seconds)
	t := time.Unix(local-maxOffset, 0).In(h.zone) // there the clocks cannot show it yet
	for {
		_, offset := t.Zone()
		at := max(local-int64(offset), t.Unix())
		_, change := t.ZoneBounds()
		if change.IsZero() || at < change.Unix() {
			return at * int64(time.Second)
		}
		t = change
	}
}
