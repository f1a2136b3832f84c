package sla_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
)

func berlinOffice(t *testing.T) (sla.Calendar, *time.Location) {
	t.Helper()
	p, err := sla.ParsePolicy([]byte(`calendars:
  - name: office
    timezone: Europe/Berlin
    weekly: { mon-thu: ["08:00-12:00", "13:00-17:00"], fri: 08:00-14:00, sun: 22:00-04:00 }
    holidays: [{ name: Good Friday, date: 2026-04-03 }, { date: 04-06 }]
    special_days: [{ name: Stocktaking, date: 2026-04-01, open: 09:00-11:00 }, { date: 2026-04-04, open: 10:00-12:00 }]`))
	require.NoError(t, err)
	cal, err := p.Calendars[0].Compile()
	require.NoError(t, err)
	zone, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	return cal, zone
}

// lines writes a walk in short: date, what is particular, hours, seconds paused.
func lines(days []sla.OpenDay, zone *time.Location) []string {
	var out []string
	for _, d := range days {
		s := d.Date
		for _, why := range []string{d.Holiday, d.Special} {
			if why != "" {
				s += " (" + why + ")"
			}
		}
		if d.Outside {
			s += " closed"
		}
		for _, w := range d.Counted {
			s += " " + w.From.In(zone).Format("15:04") + "-" + w.To.In(zone).Format("15:04")
		}
		if d.Paused > 0 {
			s += fmt.Sprintf(" paused %d", d.Paused)
		}
		out = append(out, s)
	}
	return out
}

func TestWalkListsEveryOpenInterval(t *testing.T) {
	t.Parallel()
	cal, zone := berlinOffice(t)
	at := func(text string) time.Time {
		when, err := time.ParseInLocation("2006-01-02 15:04", text, zone)
		require.NoError(t, err)
		return when
	}
	tests := []struct {
		name, from, to string
		pauses         [][2]string
		want           string
	}{
		{"within a window", "2026-03-26 09:00", "2026-03-26 10:30", nil, "2026-03-26 09:00-10:30"},
		{"a window over midnight belongs to the date on which it opens", "2026-03-30 01:00", "2026-03-30 09:00", nil, "2026-03-29 01:00-04:00|2026-03-30 08:00-09:00"},
		{"over a weekend and the night in which the clocks change", "2026-03-27 12:00", "2026-03-30 08:30", nil,
			"2026-03-27 12:00-14:00|2026-03-28 closed|2026-03-29 22:00-04:00|2026-03-30 08:00-08:30"},
		{"over a special day, holidays with and without name", "2026-04-01 08:00", "2026-04-07 08:00", nil,
			"2026-04-01 (Stocktaking) 09:00-11:00|2026-04-02 08:00-12:00 13:00-17:00|2026-04-03 (Good Friday) closed|" +
				"2026-04-04 (special day) 10:00-12:00|2026-04-05 22:00-04:00|2026-04-06 (holiday) closed|2026-04-07"},
		{"pauses are cut out", "2026-03-26 09:00", "2026-03-27 10:00", [][2]string{{"2026-03-26 10:00", "2026-03-26 11:00"}, {"2026-03-26 16:00", "2026-03-27 09:00"}},
			"2026-03-26 09:00-10:00 11:00-12:00 13:00-16:00 paused 7200|2026-03-27 09:00-10:00 paused 3600"},
		{"a pause of a whole day", "2026-03-26 09:00", "2026-03-27 10:00", [][2]string{{"2026-03-26 08:00", "2026-03-26 20:00"}},
			"2026-03-26 paused 25200|2026-03-27 08:00-10:00"},
		{"nothing before it begins", "2026-03-27 10:00", "2026-03-27 10:00", nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var pauses []model.Pause
			for _, p := range tt.pauses {
				pauses = append(pauses, model.Pause{From: at(p[0]), To: at(p[1])})
			}
			got := cal.Walk(at(tt.from), at(tt.to), pauses)
			assert.Equal(t, tt.want, strings.Join(lines(got, zone), "|"))
		})
	}
}

func TestWalkAroundTheClock(t *testing.T) {
	t.Parallel()
	from := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	days := sla.Calendar{}.Walk(from, from.Add(10*time.Hour), []model.Pause{{From: from.Add(2 * time.Hour), To: from.Add(3 * time.Hour)}})
	require.Len(t, days, 1)
	assert.Empty(t, days[0].Date)
	assert.Equal(t, []int64{9 * 3600, 3600, 2}, []int64{days[0].Seconds, days[0].Paused, int64(len(days[0].Counted))})
}

// TestAWalkIsAsLongAsBetween: its intervals follow each other and add up exactly,
// whatever the calendar.
func TestAWalkIsAsLongAsBetween(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		rnd := rand.New(rand.NewPCG(seed, 9))
		around := time.Date(2026, time.Month(1+rnd.IntN(12)), 1+rnd.IntN(28), rnd.IntN(24), rnd.IntN(60), rnd.IntN(60), 0, time.UTC)
		cal, _ := randomCalendar(t, rnd, around)
		target := time.Duration(1+rnd.IntN(40*3600)) * time.Second
		due := cal.Add(around, target)
		var pauses []model.Pause
		for p := around.Add(time.Duration(rnd.IntN(90000)) * time.Second); p.Before(due) && len(pauses) < 3; {
			end := p.Add(time.Duration(1+rnd.IntN(200000)) * time.Second)
			pauses = append(pauses, model.Pause{From: p, To: end})
			due = cal.Add(due, cal.Between(p, end))
			p = end.Add(time.Duration(1+rnd.IntN(90000)) * time.Second)
		}
		var counted, paused int64
		last := around
		for _, d := range cal.Walk(around, due, pauses) {
			paused += d.Paused
			for _, s := range d.Counted {
				require.False(t, s.From.Before(last) || !s.From.Before(s.To), "seed %d: %v after %v", seed, s, last)
				require.Equal(t, s.To.Sub(s.From), cal.Between(s.From, s.To), "seed %d: all of it is open", seed)
				counted += int64(s.To.Sub(s.From) / time.Second)
				last = s.To
			}
		}
		require.Equal(t, int64(target/time.Second), counted, "seed %d: the intervals are the target", seed)
		require.Equal(t, cal.Between(around, due), time.Duration(counted+paused)*time.Second, "seed %d: with the pauses, all that was open", seed)
	}
}

func TestClockChanges(t *testing.T) {
	t.Parallel()
	_, zone := berlinOffice(t)
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	spring, autumn := time.Date(2026, 3, 29, 1, 0, 0, 0, time.UTC), time.Date(2026, 10, 25, 1, 0, 0, 0, time.UTC)
	assert.Equal(t, []sla.ClockChange{{At: spring, By: 3600}, {At: autumn, By: -3600}}, sla.ClockChanges(zone, from, from.AddDate(1, 0, 0)))
	assert.Len(t, sla.ClockChanges(zone, from, spring), 1, "one at the end counts")
	assert.Empty(t, sla.ClockChanges(zone, spring, autumn.Add(-time.Second)))
	assert.Empty(t, sla.ClockChanges(time.UTC, from, autumn))
}

func TestForeseeTakesThePlanAsItIs(t *testing.T) {
	t.Parallel()
	s := opened(t, model.SeverityHigh)
	plan := sla.Upcoming(s.c)
	seen := sla.Foresee(s.c, s.c.Action.CreatedAt)
	require.Len(t, seen, len(plan))
	var who []string
	for i, f := range seen {
		assert.Equal(t, plan[i], f.PlannedEvent)
		who = append(who, fmt.Sprintf("%s %v+%v", f.Kind, codesOf(s.c.Dir, f.Targets), codesOf(s.c.Dir, f.Copies)))
	}
	assert.Equal(t, []string{
		"reminder [ann]+[]", "overdue [ann mgr]+[]", "escalation [mgr]+[ann]", "escalation [pxa pxb]+[ann]", "escalation [exe]+[ann]",
	}, who)
	assert.Equal(t, plan, sla.Upcoming(s.c), "nothing has happened to the case")
}

func TestExplainClockCountsTheTargetAgain(t *testing.T) {
	t.Parallel()
	cal, zone := berlinOffice(t)
	start := time.Date(2026, 3, 26, 9, 0, 0, 0, time.UTC) // 10:00 in Berlin
	local := func(day, hour int) time.Time { return time.Date(2026, 3, day, hour, 0, 0, 0, zone).UTC() }
	cfg := builtIn()
	cfg.Target[model.SeverityMedium] = 14 * time.Hour // 6 h on Thursday, 6 h on Friday, 2 h in the night to Monday
	tests := []struct {
		name    string
		sev     model.Severity
		pauses  []model.Pause
		due     time.Time
		moves   []bool
		changes int
	}{
		{"open time over the change of the clocks", "medium", nil, local(30, 0), nil, 1},
		{
			"a pause before the due moves it, one after it does not", "medium",
			[]model.Pause{{From: local(27, 8), To: local(27, 10)}, {From: local(30, 3), To: local(30, 9)}}, local(30, 2), []bool{true, false}, 1,
		},
		{"elapsed time", "high", nil, start.Add(48 * time.Hour), nil, 0},
		{"elapsed time over the change of the clocks", "high", []model.Pause{{From: start, To: start.Add(24 * time.Hour)}}, start.Add(72 * time.Hour), []bool{true}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := newAction(tt.sev, start, usualCast())
			a.ClockStart, a.DueAt, a.Plan.V.Pauses, a.Calendar = start, tt.due, tt.pauses, "office"
			bent := *cfg
			bent.Clock = map[model.Severity]sla.ClockKind{model.SeverityHigh: sla.ClockElapsed}
			f := sla.ExplainClock(sla.Case{Action: a, Config: &bent, Open: cal, Dir: house(usualCast())}, zone)
			assert.Equal(t, tt.due, f.TargetDue.UTC())
			var sum int64
			for _, d := range f.Days {
				sum += d.Seconds
			}
			assert.Equal(t, f.Target, sum)
			assert.Equal(t, int64(cfg.Target[tt.sev]/time.Second), f.Target)
			var moves []bool
			for _, p := range f.Pauses {
				moves = append(moves, p.Moves)
			}
			assert.Equal(t, tt.moves, moves)
			assert.Len(t, f.Changes, tt.changes)
		})
	}
}

// TestExplainClockOfWorkingDays: the start's own date is none, a holiday is none,
// and a pause moves the due by open time.
func TestExplainClockOfWorkingDays(t *testing.T) {
	t.Parallel()
	cal, zone := berlinOffice(t)
	start := time.Date(2026, 4, 1, 10, 0, 0, 0, zone)
	a := newAction(model.SeverityMedium, start.UTC(), usualCast())
	a.ClockStart, a.Calendar = start.UTC(), "office"
	cfg := builtIn()
	cfg.Days = map[model.Severity]int{model.SeverityMedium: 3} // Thursday; Saturday, a special day; Sunday night
	c := sla.Case{Action: a, Config: cfg, Open: cal, Dir: house(usualCast())}
	f := sla.ExplainClock(c, zone)
	assert.Equal(t, []any{int64(0), 3, sla.ClockOpen}, []any{f.Target, f.Workdays, f.Clock})
	assert.Equal(t, time.Date(2026, 4, 5, 10, 0, 0, 0, zone).UTC(), f.TargetDue)
	assert.Equal(t, "2026-04-01 (Stocktaking) 10:00-11:00|2026-04-02 08:00-12:00 13:00-17:00|2026-04-03 (Good Friday) closed|2026-04-04 (special day) 10:00-12:00|2026-04-05",
		strings.Join(lines(f.Days, zone), "|"))

	c.Action.Plan.V.Pauses = []model.Pause{{From: start.UTC(), To: start.Add(time.Hour).UTC()}}
	f = sla.ExplainClock(c, zone)
	assert.True(t, f.Pauses[0].Moves)
	assert.Equal(t, time.Date(2026, 4, 5, 23, 0, 0, 0, zone).UTC(), f.TargetDue, "an hour of open time later")
	assert.Equal(t, []any{time.Date(2026, 4, 5, 10, 0, 0, 0, zone).UTC(), "2026-04-05 22:00-23:00"}, []any{f.Unpaused.UTC(), strings.Join(lines(f.Added, zone), "|")})
}
