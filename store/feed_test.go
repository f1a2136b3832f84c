package store_test

import (
	"strings"
	"testing"
	"time"

	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

const fedOffice = "    feeds: [{ name: saudi, file: /a.ics }]"

// said is a good answer of the feed of fedOffice, asked so long after the start.
func said(after time.Duration, days ...int) store.FeedAnswer {
	a := store.FeedAnswer{
		Calendar: "office", Feed: "saudi", Source: "/a.ics", Asked: scenario.Start().Add(after), Today: sla.DateOf(scenario.Start()), SHA256: []byte{1}, ETag: "e",
	}
	for _, d := range days {
		a.Dates = append(a.Dates, sla.HolidaySpec{Date: sla.Date{Year: 2026, Month: 4, Day: d}})
	}
	return a
}

func record(t *testing.T, w *scenario.World, a store.FeedAnswer) store.FeedRecord {
	t.Helper()
	rec, err := w.Store.RecordFeed(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

// TestTheAnswerAskedForLastCounts, whichever comes in last.
func TestTheAnswerAskedForLastCounts(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, office(fedOffice))
	if rec := record(t, w, said(2*time.Hour, 1, 2)); rec.Stale || rec.Revision != 2 || rec.Was.Feed != "" {
		t.Fatalf("first = %+v", rec)
	}
	fault := said(time.Hour)
	fault.Fault = "is answered with HTTP status 500"
	unchanged := said(time.Hour)
	unchanged.Unchanged = true
	for name, late := range map[string]store.FeedAnswer{"an older answer": said(time.Hour, 9), "the same": said(2*time.Hour, 9), "an older fault": fault, "an older confirmation": unchanged} {
		if rec := record(t, w, late); !rec.Stale || rec.Revision != 0 || rec.Row.LastError != "" || sla.CountDates(rec.Dates) != 2 {
			t.Errorf("%s = %+v, want it stale", name, rec)
		}
	}
	unchanged.Asked, unchanged.Source = scenario.Start().Add(3*time.Hour), "/b.ics"
	if rec := record(t, w, unchanged); !rec.Stale || rec.Row.Source != "/a.ics" {
		t.Errorf("a confirmation of what another source said = %+v, want it stale", rec)
	}
	if rec := record(t, w, said(4*time.Hour, 2, 3)); rec.Revision != 3 || sla.CountDates(rec.Added) != 1 || sla.CountDates(rec.Removed) != 1 {
		t.Errorf("a newer answer = %+v", rec)
	}
	if n := w.Count("SELECT count(*) FROM calendar_feeds"); n != 1 {
		t.Errorf("rows = %d, want one", n)
	}
}

// TestAFeedOfNoPolicyMakesNoRevision: the policy that has it is not applied yet,
// or another is active by now.
func TestAFeedOfNoPolicyMakesNoRevision(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	if rec := record(t, w, said(time.Hour, 1)); rec.Revision != 0 {
		t.Errorf("without a policy = %+v", rec)
	}
	apply(t, w, string(office("    feeds: [{ name: saudi, file: /b.ics }, { name: other, file: /a.ics }]")))
	if rec := record(t, w, said(2*time.Hour, 1, 2)); rec.Revision != 0 || sla.CountDates(rec.Added) != 1 {
		t.Errorf("of another source = %+v", rec)
	}
	p, _, err := w.Store.Policy(t.Context(), 0)
	if err != nil || sla.CountDates(p.Feed("office", "saudi").Dates) != 1 || p.Feed("office", "other").Dates != nil {
		t.Errorf("policy = %+v, %v; want what was known when it was applied", p, err)
	}
}

// TestAFeedCountsWhateverChecksCameLater than the policy.
func TestAFeedCountsWhateverChecksCameLater(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, office(fedOffice))
	w.Exec("UPDATE hospitals SET calendar = 'nowhere' WHERE code = 'RUH'")
	w.Exec("UPDATE directory_version SET version = version + 1")
	if rec := record(t, w, said(time.Hour, 1)); rec.Revision != 2 {
		t.Errorf("answer = %+v, want its revision", rec)
	}
}

func TestDatesThatCannotBeReadAreNotLostInSilence(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, office(fedOffice))
	record(t, w, said(time.Hour, 1))
	w.Exec(`UPDATE calendar_feeds SET dates = '{"secret": 1}'`)
	p, err := sla.ParsePolicy(office(fedOffice))
	if err != nil {
		t.Fatal(err)
	}
	for name, try := range map[string]func() error{
		"record": func() error { _, err := w.Store.RecordFeed(t.Context(), said(2*time.Hour, 2)); return err },
		"apply":  func() error { _, _, err := w.Store.ApplyPolicy(t.Context(), p, "test", ""); return err },
		"carry":  func() error { _, err := w.Store.CarryFeeds(t.Context(), p); return err },
	} {
		if err := try(); err == nil || !strings.Contains(err.Error(), `dates of feed "saudi" of calendar "office"`) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s = %v", name, err)
		}
	}
	if feeds, err := w.Store.Feeds(t.Context(), p); err != nil || len(feeds) != 1 || !feeds[0].Fetched() {
		t.Errorf("feeds = %+v, %v", feeds, err)
	}
	if dates, err := store.FeedDates(model.CalendarFeed{}); err != nil || dates != nil {
		t.Errorf("dates of a feed that was never asked = %v, %v", dates, err)
	}
}
