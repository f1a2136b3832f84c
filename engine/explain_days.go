package engine

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/pxactions/px/sla"
)

// dayRow is one line of a count: days that follow each other and are alike.
type dayRow struct{ dates, hours, open, why string }

// table writes rows in columns.
func (p *prose) table(rows []dayRow, last ...dayRow) {
	rows = append(rows, last...)
	var wide [3]int
	for _, r := range rows {
		for i, cell := range []string{r.dates, r.hours, r.open} {
			wide[i] = max(wide[i], utf8.RuneCountInString(cell))
		}
	}
	for _, r := range rows {
		line := fmt.Sprintf("     %-*s  %-*s  %-*s  %s", wide[0], r.dates, wide[1], r.hours, wide[2], r.open, r.why)
		p.out.WriteString(strings.TrimRight(line, " ") + "\n")
	}
}

// hourRows tells every open interval.
func hourRows(p *prose, days []sla.OpenDay, zone *time.Location) []dayRow {
	var rows []dayRow
	for i := 0; i < len(days); {
		n, total := 1, days[i].Seconds
		for i+n < len(days) && alike(&days[i], &days[i+n]) && hoursWords(&days[i], zone) == hoursWords(&days[i+n], zone) {
			total += days[i+n].Seconds
			n++
		}
		day := &days[i]
		r := dayRow{dates: p.run(days[i : i+n]), hours: hoursWords(day, zone), why: day.Holiday + day.Special}
		if total > 0 {
			r.open = length(total)
		}
		if day.Paused > 0 {
			r.why = strings.TrimPrefix(r.why+", the clock stood still for "+length(day.Paused), ", ")
		}
		rows, i = append(rows, r), i+n
	}
	return rows
}

// hoursWords says which hours of a day count.
func hoursWords(d *sla.OpenDay, zone *time.Location) string {
	if len(d.Counted) == 0 {
		if d.Outside {
			return "closed"
		}
		return "nothing counts"
	}
	hours := make([]string, 0, len(d.Counted))
	for _, s := range d.Counted {
		hours = append(hours, clock(s.From.In(zone))+"–"+clock(s.To.In(zone)))
	}
	return strings.Join(hours, ", ")
}

// alike reports whether two days have the same name and neither a pause.
func alike(a, b *sla.OpenDay) bool {
	return a.Holiday == b.Holiday && a.Special == b.Special && a.Paused == 0 && b.Paused == 0
}

// run writes the dates of days that follow each other.
func (p *prose) run(days []sla.OpenDay) string {
	first := p.day(days[0].Date)
	if len(days) == 1 {
		return first
	}
	return first + " to " + p.day(days[len(days)-1].Date)
}

// workdays tells a count of working days, and what makes up for pauses.
func (p *prose) workdays(d *DueReason) {
	zone := d.place(p.zone)
	if d.Calendar != "" {
		p.table(workdayRows(p, d, zone))
	}
	if len(d.Added) == 0 {
		return
	}
	p.say(fmt.Sprintf("That is %s. The time for which the clock stood still is added from there:", p.exactly(*d.Unpaused)))
	if d.Added[0].Date == "" {
		p.table([]dayRow{{dates: "day and night", open: length(d.Added[0].Seconds)}})
		return
	}
	p.table(hourRows(p, d.Added, zone))
}

func workdayRows(p *prose, d *DueReason, zone *time.Location) []dayRow {
	start := d.Start.In(zone).Format(time.DateOnly)
	kind := func(day *sla.OpenDay) string {
		switch {
		case day.Date <= start:
			return "the clock starts"
		case day.Outside:
			return "closed"
		default:
			return ""
		}
	}
	var rows []dayRow
	for i := 0; i < len(d.Days); {
		n := 1
		for i+n < len(d.Days) && alike(&d.Days[i], &d.Days[i+n]) && kind(&d.Days[i]) == kind(&d.Days[i+n]) {
			n++
		}
		day := &d.Days[i]
		r := dayRow{dates: p.run(d.Days[i : i+n]), hours: kind(day), why: day.Holiday + day.Special}
		if r.hours == "" {
			r.hours = count(n, "working day", "working days")
		}
		rows, i = append(rows, r), i+n
	}
	return rows
}
