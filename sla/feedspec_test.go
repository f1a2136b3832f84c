package sla

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pxactions/px/model"
)

// fed is a policy of one calendar, open from eight to four, with feeds.
func fed(feeds string) string {
	return "calendars: [{name: office, timezone: Asia/Riyadh, weekly: {sun-thu: '08:00-16:00'}, feeds: [" + feeds + "]}]"
}

func TestDatesOfFeedsAreClosed(t *testing.T) {
	t.Parallel()
	p, err := ParsePolicy([]byte(fed(`{name: a, url: "https://h/a.ics", dates: [{date: 2026-03-02, name: Storm}, {from: 2026-03-04, to: 2026-03-05}]},
		{name: b, file: /b.ics, dates: [{date: 2026-03-03}]}`)))
	if err != nil {
		t.Fatal(err)
	}
	p.Calendars[0].SpecialDays = []SpecialSpec{{Date: Date{2026, 3, 3}, Open: []Hours{{9 * 3600, 10 * 3600}}}}
	cal, err := p.Calendars[0].Compile()
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)         // Sunday, 15:00 in Riyadh
	want := time.Date(2026, 3, 8, 5, 30, 0, 0, time.UTC)       // an hour on Sunday, one on the special day, half of one a week later
	if due := cal.Add(at, 150*time.Minute); !due.Equal(want) { // Friday and Saturday are closed, too
		t.Errorf("due %s, want %s", due, want)
	}
	if _, day := cal.hours.specialOn(Date{2026, 3, 2}.day()); !day || cal.hours.dates[Date{2026, 3, 2}.day()].name != "Storm" {
		t.Error("the name is lost")
	}
}

func TestFaultsOfFeeds(t *testing.T) {
	t.Parallel()
	for feed, want := range map[string]string{
		`{name: a, url: "https://calendar.example.org/a.ics?b=c"}`:         "",
		`{name: a, url: "http://localhost:8080/a.ics"}`:                    "",
		`{name: a, url: "http://127.0.0.1/a"}`:                             "",
		`{name: a, url: "http://[::1]:80/a"}`:                              "",
		`{name: a, file: /etc/px/a.ics}`:                                   "",
		`{name: a, url: "http://calendar.example.org/a.ics"}`:              "calendars[0].feeds[0].url",
		`{name: a, url: "http://127.example.org/a.ics"}`:                   "calendars[0].feeds[0].url",
		`{name: a, url: "webcal://calendar.example.org/a.ics"}`:            "calendars[0].feeds[0].url",
		`{name: a, url: "https://user:secret@example.org/a.ics"}`:          "calendars[0].feeds[0].url",
		`{name: a, url: "https://"}`:                                       "calendars[0].feeds[0].url",
		`{name: a, url: "https://a b/"}`:                                   "calendars[0].feeds[0].url",
		`{name: a, url: a.ics}`:                                            "calendars[0].feeds[0].url",
		`{name: a, file: a.ics}`:                                           "calendars[0].feeds[0].file",
		`{name: a}`:                                                        "calendars[0].feeds[0]",
		`{name: a, file: /a, url: "https://a"}`:                            "calendars[0].feeds[0]",
		`{file: /a}`:                                                       "calendars[0].feeds[0].name",
		`{name: a, file: /a}, {name: a, file: /b}`:                         "calendars[0].feeds[1].name",
		`{name: a, file: /a, dates: [{date: 09-23}]}`:                      "calendars[0].feeds[0].dates[0].date",
		`{name: a, file: /a, dates: [{from: 2026-09-23}]}`:                 "calendars[0].feeds[0].dates[0]",
		`{name: a, file: /a, dates: [{from: 2026-09-23, to: 2030-01-01}]}`: "calendars[0].feeds[0].dates[0].to",
		`{name: a, file: /a, match: x}`:                                    "calendars[0].feeds[0].match",
	} {
		_, err := ParsePolicy([]byte(fed(feed)))
		var faults model.FieldErrors
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", feed, err)
		case want != "" && (!errors.As(err, &faults) || len(faults) != 1 || faults[0].Field != want):
			t.Errorf("%s: %v, want a fault of %s", feed, err, want)
		case err != nil && strings.Contains(err.Error(), "secret"):
			t.Errorf("%s: %v quotes it", feed, err)
		}
	}
	_, err := ParsePolicy([]byte("calendars: [{name: a, timezone: UTC, always_open: true, feeds: [{name: b, file: /b}]}]"))
	if err == nil || !strings.Contains(err.Error(), "always_open") {
		t.Errorf("always open with a feed: %v", err)
	}
}

// holidayTexts writes entries as 2026-03-02, or 2026-03-02/04, with their names.
func holidayTexts(entries []HolidaySpec) []string {
	var all []string
	for _, e := range entries {
		text := e.Date.String()
		if e.Date.IsZero() {
			text = e.From.String() + "/" + e.To.String()[8:]
		}
		all = append(all, strings.TrimSpace(text+" "+e.Name))
	}
	return all
}

func TestHolidaysAreEntriesOfRuns(t *testing.T) {
	t.Parallel()
	march := func(d int) Date { return Date{2026, 3, d} }
	got := holidayTexts(Holidays(map[Date]string{march(2): "A", march(3): "A", march(4): "A", march(5): "B", march(7): "A", march(8): "A"}))
	if want := []string{"2026-03-02/04 A", "2026-03-05 B", "2026-03-07/08 A"}; !slices.Equal(got, want) {
		t.Errorf("Holidays = %q, want %q", got, want)
	}
	if got := Holidays(nil); len(got) != 0 {
		t.Errorf("none = %v", got)
	}
	// Each entry must be one that the policy may have.
	long := map[Date]string{}
	for d := (Date{2025, 1, 1}).day(); d < (Date{2027, 6, 1}).day(); d++ {
		long[dateOf(d)] = "closed"
	}
	entries := Holidays(long)
	if CountDates(entries) != len(long) || len(entries) != 3 {
		t.Errorf("%d dates in %d entries, want %d in 3", CountDates(entries), len(entries), len(long))
	}
	spec := CalendarSpec{Timezone: "UTC", Weekly: map[string][]Hours{"mon": {{0, 3600}}}, Feeds: []FeedSpec{{Name: "a", File: "/a", Dates: entries}}}
	if _, err := spec.Compile(); err != nil {
		t.Error(err)
	}
}

func TestPastDatesOfAFeedStay(t *testing.T) {
	t.Parallel()
	march := func(from, to int, name string) HolidaySpec {
		return HolidaySpec{Name: name, From: Date{2026, 3, from}, To: Date{2026, 3, to}}
	}
	last := []HolidaySpec{march(1, 4, "old"), march(10, 11, "gone")}
	fresh := []HolidaySpec{march(2, 2, "new"), march(12, 12, "moved")}
	kept := KeepPast(last, fresh, Date{2026, 3, 4})
	want := []string{"2026-03-01 old", "2026-03-02 new", "2026-03-03 old", "2026-03-12 moved"}
	if got := holidayTexts(kept); !slices.Equal(got, want) {
		t.Errorf("KeepPast = %q, want %q", got, want)
	}
	added, removed := CompareHolidays(last, kept)
	if got := holidayTexts(added); !slices.Equal(got, []string{"2026-03-02 new", "2026-03-12 moved"}) {
		t.Errorf("added = %q", got)
	}
	if got := holidayTexts(removed); !slices.Equal(got, []string{"2026-03-04 old", "2026-03-10/11 gone"}) {
		t.Errorf("removed = %q", got)
	}
	if got := holidayTexts(HolidaysFrom(kept, Date{2026, 3, 3})); !slices.Equal(got, []string{"2026-03-03 old", "2026-03-12 moved"}) {
		t.Errorf("from the third = %q", got)
	}
	riyadh := CalendarSpec{Timezone: "Asia/Riyadh"}
	if got := riyadh.Today(time.Date(2026, 3, 1, 22, 0, 0, 0, time.UTC)); got != (Date{2026, 3, 2}) {
		t.Errorf("today = %s, want the second: it is one o'clock there", got)
	}
	if got := (&CalendarSpec{Timezone: "Nowhere"}).Today(time.Date(2026, 3, 1, 22, 0, 0, 0, time.UTC)); got != (Date{2026, 3, 1}) {
		t.Errorf("today without a zone = %s", got)
	}
}

// TestFeedsAreWrittenAndReadBack, and their dates are marked as the program's.
func TestFeedsAreWrittenAndReadBack(t *testing.T) {
	t.Parallel()
	p, err := ParsePolicy([]byte(fed(`{name: a, url: "https://h/a.ics", dates: [{date: 2026-03-02, name: Storm}, {from: 2026-03-04, to: 2026-03-05}]}, {name: b, file: /b.ics}`)))
	if err != nil {
		t.Fatal(err)
	}
	text, err := p.YAML()
	if err != nil || strings.Count(string(text), "# Written by px") != 1 {
		t.Fatalf("YAML = %s, %v", text, err)
	}
	again, err := ParsePolicy(text)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := again.YAML(); err != nil || string(second) != string(text) {
		t.Errorf("read back = %s, %v", second, err)
	}
	own := p.WithFeeds()
	own.Feed("office", "a").Dates = nil
	if p.Feed("office", "a").Dates == nil || p.Feed("office", "c") != nil || p.Feed("home", "a") != nil {
		t.Error("a copy's feeds are its own, and there are no others")
	}
}
