package clockbench

import (
	"testing"
	"time"

	"github.com/rickar/cal/v2"

	"github.com/pxactions/px/sla"
)

const (
	firstYear, years = 2020, 20
	opening, closing = 9 * time.Hour, 17 * time.Hour
)

// holidays are twelve in each of twenty years.
func holidays() []time.Time {
	var all []time.Time
	for year := firstYear; year < firstYear+years; year++ {
		for month := time.January; month <= time.December; month++ {
			all = append(all, time.Date(year, month, 1+(year+int(month))%28, 0, 0, 0, 0, time.UTC))
		}
	}
	return all
}

func ours(tb testing.TB) sla.Calendar {
	tb.Helper()
	spec := sla.CalendarSpec{Name: "office", Timezone: "UTC", Weekly: map[string][]sla.Hours{
		"mon-fri": {{Open: int(opening.Seconds()), Close: int(closing.Seconds())}},
	}}
	for _, d := range holidays() {
		spec.Holidays = append(spec.Holidays, sla.HolidaySpec{Date: sla.Date{Year: d.Year(), Month: d.Month(), Day: d.Day()}})
	}
	c, err := spec.Compile()
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func theirs() *cal.BusinessCalendar {
	c := cal.NewBusinessCalendar()
	c.SetWorkHours(opening, closing)
	for _, d := range holidays() {
		c.AddHoliday(&cal.Holiday{Name: "x", Month: d.Month(), Day: d.Day(), StartYear: d.Year(), EndYear: d.Year(), Func: cal.CalcDayOfMonth})
	}
	return c
}

var (
	start   = time.Date(2026, 11, 25, 10, 30, 0, 0, time.UTC)
	targets = []time.Duration{4 * time.Hour, 120 * time.Hour, 2000 * time.Hour}
)

func TestBothAgree(t *testing.T) {
	a, b := ours(t), theirs()
	for _, d := range append(targets, 37*time.Hour+11*time.Minute) {
		if x, y := a.Add(start, d), b.AddWorkHours(start, d); !x.Equal(y) {
			t.Errorf("%s: %s and %s", d, x, y)
		}
	}
}

func BenchmarkAdd(b *testing.B) {
	mine, other := ours(b), theirs()
	for _, d := range targets {
		b.Run("px/"+d.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				mine.Add(start, d)
			}
		})
		b.Run("rickar/"+d.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				other.AddWorkHours(start, d)
			}
		})
	}
}
