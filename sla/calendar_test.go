package sla_test

import (
	"math/rand/v2"
	"os"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
)

func TestClockCases(t *testing.T) {
	t.Parallel()
	f, err := os.Open("testdata/sla_cases.json")
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	cases, err := sla.ReadClockCases(f)
	require.NoError(t, err)
	failures, passed := cases.Failures()
	for _, line := range failures {
		t.Error(line)
	}
	if passed != 90 {
		t.Errorf("%d passed, want 90", passed)
	}
}

// oracle walks second by second through what a calendar says of wall clocks. It
// shares no code with the calendar.
type oracle struct {
	zone     *time.Location
	weekly   map[time.Weekday][][2]int
	holidays map[string]bool
	special  map[string][][2]int
	dates    map[int][][2]int // of on
}

// on lists the windows that open on a date, given as days since 1970.
func (o *oracle) on(days int) [][2]int {
	if ws, known := o.dates[days]; known {
		return ws
	}
	date := time.Unix(int64(days)*86400, 0).UTC()
	ws := o.weekly[date.Weekday()]
	if o.holidays[date.Format(time.DateOnly)] {
		ws = nil
	}
	if s, ok := o.special[date.Format(time.DateOnly)]; ok {
		ws = s
	}
	o.dates[days] = ws
	return ws
}

// isOpen reports whether a second is open: whether some window of its date or
// one of the two before has opened and not closed by then. It is judged by the
// furthest that the wall clock has shown (seconds since 1970, as if in UTC), for
// a repeated hour opens and closes nothing again.
func (o *oracle) isOpen(shown int) bool {
	for back := range 3 {
		days := shown/86400 - back
		for _, w := range o.on(days) {
			if at := shown - days*86400; at >= w[0] && at < w[1] {
				return true
			}
		}
	}
	return false
}

// openSeconds lists which of the n seconds from start on are open.
func (o *oracle) openSeconds(start time.Time, n int) []bool {
	shown := 0
	wall := func(s int) int {
		at := start.Unix() + int64(s)
		_, offset := time.Unix(at, 0).In(o.zone).Zone()
		shown = max(shown, int(at)+offset)
		return shown
	}
	for s := -26 * 3600; s < 0; s += 60 {
		wall(s)
	}
	open := make([]bool, n)
	for s := range n {
		open[s] = o.isOpen(wall(s))
	}
	return open
}

var fuzzZones = []string{"UTC", "Asia/Riyadh", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Africa/Cairo", "America/St_Johns", "Pacific/Apia", "America/Sao_Paulo"}

// randomCalendar makes a calendar and the oracle of the same hours.
func randomCalendar(t *testing.T, rnd *rand.Rand, around time.Time) (sla.Calendar, *oracle) {
	t.Helper()
	names := []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}
	zone := fuzzZones[rnd.IntN(len(fuzzZones))]
	loc, err := time.LoadLocation(zone)
	require.NoError(t, err)
	spec := sla.CalendarSpec{Name: "x", Timezone: zone, Weekly: map[string][]sla.Hours{}}
	o := &oracle{zone: loc, weekly: map[time.Weekday][][2]int{}, holidays: map[string]bool{}, special: map[string][][2]int{}, dates: map[int][][2]int{}}
	windows := func() (hs []sla.Hours, pairs [][2]int) {
		for range rnd.IntN(4) {
			grain := []int{1, 60, 1800}[rnd.IntN(3)]
			open := rnd.IntN(86400/grain) * grain
			end := open + grain*(1+rnd.IntN(86399/grain))
			if end > 2*86400 {
				end = 2 * 86400
			}
			hs, pairs = append(hs, sla.Hours{Open: open, Close: end}), append(pairs, [2]int{open, end})
		}
		return hs, pairs
	}
	open := false
	for d, name := range names {
		hs, pairs := windows()
		spec.Weekly[name], o.weekly[time.Weekday(d)] = hs, pairs
		open = open || len(hs) > 0
	}
	if !open {
		spec.Weekly["wed"], o.weekly[time.Wednesday] = []sla.Hours{{Open: 3600, Close: 7200}}, [][2]int{{3600, 7200}}
	}
	for range rnd.IntN(6) {
		day := around.AddDate(0, 0, rnd.IntN(16)-4)
		date := sla.Date{Year: day.Year(), Month: day.Month(), Day: day.Day()}
		if rnd.IntN(2) == 0 {
			spec.Holidays = append(spec.Holidays, sla.HolidaySpec{Date: date})
			o.holidays[date.String()] = true
			continue
		}
		hs, pairs := windows()
		spec.SpecialDays = append(spec.SpecialDays, sla.SpecialSpec{Date: date, Open: hs})
		o.special[date.String()] = pairs
	}
	cal, err := spec.Compile()
	require.NoError(t, err)
	return cal, o
}

// turns are instants around which clocks change or years end.
var turns = []time.Time{
	time.Date(2024, 3, 31, 1, 0, 0, 0, time.UTC), time.Date(2024, 10, 27, 1, 0, 0, 0, time.UTC), // Berlin
	time.Date(2024, 3, 10, 7, 0, 0, 0, time.UTC), time.Date(2024, 11, 3, 6, 0, 0, 0, time.UTC), // New York
	time.Date(2024, 4, 6, 15, 0, 0, 0, time.UTC), time.Date(2024, 10, 5, 15, 30, 0, 0, time.UTC), // Lord Howe, by half an hour
	time.Date(2011, 12, 30, 10, 0, 0, 0, time.UTC), // Apia left out a day
	time.Date(2017, 10, 15, 3, 0, 0, 0, time.UTC),  // São Paulo skipped midnight
	time.Date(2018, 2, 18, 2, 0, 0, 0, time.UTC),   // and repeated the hour before it
	time.Date(2024, 12, 31, 23, 0, 0, 0, time.UTC), // a year's end
	time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC),    // nothing
}

// checkAgainstOracle compares Add, Sub and Between with the walk, on a random
// calendar for a few days around a random turn.
func checkAgainstOracle(t *testing.T, seed uint64) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(seed, 11))
	turn := turns[rnd.IntN(len(turns))]
	cal, o := randomCalendar(t, rnd, turn)
	const walked = 5 * 86400
	begin := turn.Add(-time.Duration(rnd.IntN(walked)) * time.Second)
	open := o.openSeconds(begin, walked)
	until := make([]int, walked+1) // open seconds before each
	for s, is := range open {
		until[s+1] = until[s]
		if is {
			until[s+1]++
		}
	}
	at := func(s int) time.Time { return begin.Add(time.Duration(s) * time.Second) }
	for range 20 {
		a, b := rnd.IntN(walked), rnd.IntN(walked+1)
		if a > b {
			a, b = b, a
		}
		if got, want := cal.Between(at(a), at(b)), time.Duration(until[b]-until[a])*time.Second; got != want {
			t.Fatalf("seed %d %s: Between(%s, %s) = %s, want %s", seed, o.zone, at(a), at(b), got, want)
		}
		if until[b] == until[a] {
			continue
		}
		n := 1 + rnd.IntN(until[b]-until[a])
		due := sort.Search(walked+1, func(s int) bool { return until[s] >= until[a]+n })
		if got := cal.Add(at(a), time.Duration(n)*time.Second); !got.Equal(at(due)) {
			t.Fatalf("seed %d %s: Add(%s, %ds) = %s, want %s", seed, o.zone, at(a), n, got, at(due))
		}
		// The last instant that leaves n until b: before the first that leaves less.
		from := sort.Search(walked+1, func(s int) bool { return until[b]-until[s] < n }) - 1
		if got := cal.Sub(at(b), time.Duration(n)*time.Second); from >= 0 && !got.Equal(at(from)) {
			t.Fatalf("seed %d %s: Sub(%s, %ds) = %s, want %s", seed, o.zone, at(b), n, got, at(from))
		}
	}
}

func TestClockAgreesWithAWalkThroughEverySecond(t *testing.T) {
	t.Parallel()
	for seed := range uint64(30) {
		checkAgainstOracle(t, seed)
	}
}

// FuzzClock looks for a calendar on which the clock and the walk differ:
// go test ./sla -run '^$' -fuzz FuzzClock -fuzztime 5m
func FuzzClock(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(checkAgainstOracle)
}

// checkLaws checks what holds at any distance, over pauses too.
func checkLaws(t *testing.T, seed uint64) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(seed, 13))
	turn := turns[rnd.IntN(len(turns))]
	cal, _ := randomCalendar(t, rnd, turn)
	random := func(d time.Duration) time.Duration { return time.Duration(rnd.Int64N(int64(d))) }
	for range 50 {
		start := turn.Add(random(400*24*time.Hour) - 200*24*time.Hour)
		d := 1 + random([]time.Duration{time.Minute, 100 * time.Hour, 5000 * time.Hour}[rnd.IntN(3)])
		due := cal.Add(start, d)
		if got := cal.Between(start, due); got != d {
			t.Fatalf("seed %d: Between(%s, Add(…, %s)) = %s", seed, start, d, got)
		}
		if got := cal.Between(cal.Sub(due, d), due); got != d || cal.Sub(due, d).Before(start) {
			t.Fatalf("seed %d: Sub(%s, %s) = %s does not invert Add from %s", seed, due, d, cal.Sub(due, d), start)
		}
		if later := cal.Add(start.Add(random(time.Hour)), d); later.Before(due) {
			t.Fatalf("seed %d: from a later start %s is due earlier: %s, not %s", seed, d, later, due)
		}
		if longer := cal.Add(start, d+random(time.Hour)); longer.Before(due) {
			t.Fatalf("seed %d: a longer target than %s is due earlier", seed, d)
		}
		from := start.Add(random(100 * time.Hour))
		pause := model.Pause{From: from, To: from.Add(random(100 * time.Hour))}
		moved, paused := cal.Pause(due, []model.Pause{pause})
		if open := cal.Between(start, moved) - paused; open != d || paused > 0 && cal.Between(pause.From, pause.To) != paused {
			t.Fatalf("seed %d: with pauses out, %s are open until the due, want %s", seed, open, d)
		}
	}
}

func TestClockLaws(t *testing.T) {
	t.Parallel()
	for seed := range uint64(100) {
		checkLaws(t, seed)
	}
}

// FuzzClockLaws: go test ./sla -run '^$' -fuzz FuzzClockLaws -fuzztime 5m
func FuzzClockLaws(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(checkLaws)
}

// twentyYears is a calendar of office hours with twelve holidays in each of
// twenty years.
func twentyYears(tb testing.TB) sla.Calendar {
	tb.Helper()
	spec := sla.CalendarSpec{Name: "x", Timezone: "Europe/Berlin", Weekly: map[string][]sla.Hours{
		"mon-fri": {{Open: 8 * 3600, Close: 12 * 3600}, {Open: 13 * 3600, Close: 17 * 3600}},
	}}
	for year := 2020; year < 2040; year++ {
		for month := time.January; month <= time.December; month++ {
			spec.Holidays = append(spec.Holidays, sla.HolidaySpec{Date: sla.Date{Year: year, Month: month, Day: 1 + (year+int(month))%28}})
		}
	}
	cal, err := spec.Compile()
	require.NoError(tb, err)
	return cal
}

func BenchmarkAdd(b *testing.B) {
	cal := twentyYears(b)
	start := time.Date(2026, 11, 25, 10, 30, 0, 0, time.UTC)
	for _, target := range []time.Duration{4 * time.Hour, 120 * time.Hour, 2000 * time.Hour} {
		b.Run(target.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				cal.Add(start, target)
			}
		})
	}
}

func TestCalendarFaults(t *testing.T) {
	t.Parallel()
	office := func(change func(*sla.CalendarSpec)) sla.CalendarSpec {
		s := sla.CalendarSpec{Name: "x", Timezone: "Asia/Riyadh", Weekly: map[string][]sla.Hours{"sun-thu": {{Open: 8 * 3600, Close: 16 * 3600}}}}
		change(&s)
		return s
	}
	date := func(text string) (d sla.Date) {
		require.NoError(t, d.UnmarshalText([]byte(text)))
		return d
	}
	tests := []struct {
		name, field string
		spec        sla.CalendarSpec
	}{
		{"unknown zone", "calendar.timezone", office(func(s *sla.CalendarSpec) { s.Timezone = "Riyadh" })},
		{"no zone", "calendar.timezone", office(func(s *sla.CalendarSpec) { s.Timezone = "" })},
		{"no open time", "calendar.weekly", office(func(s *sla.CalendarSpec) { s.Weekly = nil })},
		{"a day that is none", "calendar.weekly.sunday", office(func(s *sla.CalendarSpec) { s.Weekly["sunday"] = nil })},
		{"a day given twice", "calendar.weekly.thu-fri", office(func(s *sla.CalendarSpec) { s.Weekly["thu-fri"] = nil })},
		{"always open and a holiday", "calendar.always_open", office(func(s *sla.CalendarSpec) { s.AlwaysOpen = true })},
		{"a holiday without date", "calendar.holidays[0]", office(func(s *sla.CalendarSpec) { s.Holidays = []sla.HolidaySpec{{Name: "Eid"}} })},
		{"a run backwards", "calendar.special_days[0].to", office(func(s *sla.CalendarSpec) {
			s.SpecialDays = []sla.SpecialSpec{{From: date("2026-03-19"), To: date("2026-02-18")}}
		})},
		{"a run without end", "calendar.special_days[0]", office(func(s *sla.CalendarSpec) { s.SpecialDays = []sla.SpecialSpec{{From: date("2026-02-18")}} })},
		{"a run of every year", "calendar.special_days[0].from", office(func(s *sla.CalendarSpec) {
			s.SpecialDays = []sla.SpecialSpec{{From: date("02-18"), To: date("03-19")}}
		})},
		{"days of a run that are none", "calendar.special_days[0].days", office(func(s *sla.CalendarSpec) {
			s.SpecialDays = []sla.SpecialSpec{{From: date("2026-02-18"), To: date("2026-03-19"), Days: "weekdays"}}
		})},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := tt.spec.Compile()
			var faults model.FieldErrors
			require.ErrorAs(t, err, &faults)
			require.Equal(t, tt.field, faults[0].Field, err)
		})
	}
	for _, text := range []string{"09:00", "9-17", "24:00-06:00", "09:00-09:00", "09:00-25:00", "-"} {
		require.Error(t, new(sla.Hours).UnmarshalText([]byte(text)), text)
	}
	for _, text := range []string{"2026-02-29", "13-01", "1-1", "today", "1700-01-01"} {
		require.Error(t, new(sla.Date).UnmarshalText([]byte(text)), text)
	}
}

// TestDatesThatDiffer: special days win over holidays, dates of one year over
// those of every year, and the last entry over those before it.
func TestDatesThatDiffer(t *testing.T) {
	t.Parallel()
	date := func(text string) (d sla.Date) {
		require.NoError(t, d.UnmarshalText([]byte(text)))
		return d
	}
	hours := func(text string) []sla.Hours {
		var h sla.Hours
		require.NoError(t, h.UnmarshalText([]byte(text)))
		return []sla.Hours{h}
	}
	spec := sla.CalendarSpec{
		Name: "riyadh", Timezone: "Asia/Riyadh", Weekly: map[string][]sla.Hours{"sun-thu": hours("08:00-16:00")},
		Holidays: []sla.HolidaySpec{{Date: date("09-23")}, {Date: date("2026-12-24")}, {From: date("2026-03-15"), To: date("2026-03-21")}},
		SpecialDays: []sla.SpecialSpec{
			{From: date("2026-02-18"), To: date("2026-03-19"), Days: "sun-thu", Open: hours("10:00-15:00")},
			{Date: date("2026-03-01"), Open: hours("10:00-11:00")},
			{Date: date("12-24"), Open: hours("08:00-12:00")},
			{Date: date("2027-09-23"), Open: hours("22:00-01:00")},
		},
	}
	cal, err := spec.Compile()
	require.NoError(t, err)
	zone, err := time.LoadLocation("Asia/Riyadh")
	require.NoError(t, err)
	for text, want := range map[string]time.Duration{
		"2026-01-04": 8 * time.Hour, // a Sunday
		"2026-01-02": 0,             // a Friday
		"2026-09-23": 0,             // the holiday of every year
		"2027-09-23": 2 * time.Hour, // but this year's is special, and one hour of it is tomorrow
		"2027-09-24": time.Hour,
		"2026-02-18": 5 * time.Hour, // the run
		"2026-02-20": 0,             // not its Friday
		"2026-03-01": time.Hour,     // the later entry
		"2026-03-16": 5 * time.Hour, // special wins over holiday
		"2026-03-21": 0,             // outside the run
		"2026-12-24": 4 * time.Hour, // special of every year wins over a holiday of one
	} {
		d := date(text)
		from := time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, zone)
		require.Equal(t, want, cal.Between(from, from.AddDate(0, 0, 1)), text)
	}
}

// TestExamplesOfTheDocs works out the cases that docs/sla.md shows.
func TestExamplesOfTheDocs(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/sla.md")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(text), "```json\n")
	require.True(t, found)
	block, _, found := strings.Cut(rest, "```")
	require.True(t, found)
	cases, err := sla.ReadClockCases(strings.NewReader(block))
	require.NoError(t, err)
	failures, passed := cases.Failures()
	require.Empty(t, failures)
	require.Equal(t, 8, passed)
}
