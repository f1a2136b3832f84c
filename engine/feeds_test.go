package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/pxactions/px/internal/holidays"
	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

// feedHost is a host of one holiday feed, over real HTTP on loopback.
type feedHost struct {
	*httptest.Server
	mu     sync.Mutex
	status int // 0: as HTTP has it
	hang   bool
	body   string
	asked  []string // the If-None-Match of each request
}

func newFeedHost(t *testing.T, dates ...string) *feedHost {
	t.Helper()
	h := &feedHost{}
	h.say(dates...)
	h.Server = httptest.NewServer(h)
	t.Cleanup(h.Close)
	return h
}

func (h *feedHost) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	status, hang, body := h.status, h.hang, h.body
	h.asked = append(h.asked, r.Header.Get("If-None-Match"))
	h.mu.Unlock()
	tag := fmt.Sprintf("%q", fmt.Sprint(len(body)))
	switch {
	case hang:
		<-r.Context().Done()
	case status != 0:
		w.WriteHeader(status)
	case r.Header.Get("If-None-Match") == tag:
		w.WriteHeader(http.StatusNotModified)
	default:
		w.Header().Set("ETag", tag)
		_, _ = w.Write([]byte(body))
	}
}

// say makes the feed have these dates.
func (h *feedHost) say(dates ...string) {
	var b strings.Builder
	b.WriteString("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n")
	for _, d := range dates {
		b.WriteString("BEGIN:VEVENT\r\nDTSTART;VALUE=DATE:" + d + "\r\nSUMMARY:Storm\r\nEND:VEVENT\r\n")
	}
	h.set(0, false, b.String()+"END:VCALENDAR\r\n")
}

func (h *feedHost) set(status int, hang bool, body string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.status, h.hang, h.body = status, hang, body
}

func (h *feedHost) lastTag() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.asked[len(h.asked)-1]
}

// fedPolicy is a policy with an office, and the feeds of it.
func fedPolicy(feeds string) []byte {
	return []byte("calendars: [{name: office, timezone: Asia/Riyadh, weekly: {sun-thu: '08:00-16:00'}, feeds: [" + feeds + "]}]\nsla: [{name: all, calendar: office, medium_hours: 8}]")
}

func (h *feedHost) feed(name string) string { return fmt.Sprintf("{name: %s, url: %q}", name, h.URL) }

// fedWorld is a world whose engine fetches feeds and logs into a buffer.
func fedWorld(t *testing.T, policy []byte) (*scenario.World, *bytes.Buffer) {
	t.Helper()
	w := scenario.New(t, policy)
	return w, fetching(t, w)
}

func fetching(t *testing.T, w *scenario.World) *bytes.Buffer {
	t.Helper()
	fetcher, err := holidays.NewFetcher(holidays.Settings{Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fetcher.Close)
	var log bytes.Buffer
	w.Engine.Feeds, w.Engine.Log = fetcher, zerolog.New(&log)
	return &log
}

// refresh asks the one feed that there is.
func refresh(t *testing.T, w *scenario.World) store.FeedRecord {
	t.Helper()
	all, err := w.Engine.RefreshFeeds(t.Context(), false)
	if err != nil || len(all) != 1 {
		t.Fatalf("refresh = %+v, %v", all, err)
	}
	return all[0]
}

// dates are those that the active policy has of a feed.
func dates(t *testing.T, w *scenario.World, feed string) []string {
	t.Helper()
	p, _, err := w.Store.Policy(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range p.Feed("office", feed).Dates {
		all = append(all, e.Date.String()+e.From.String())
	}
	return all
}

func applied(t *testing.T, w *scenario.World, policy []byte) int64 {
	t.Helper()
	p, err := sla.ParsePolicy(policy)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Engine.FetchFeeds(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	revision, _, err := w.Store.ApplyPolicy(t.Context(), p, "test", "")
	if err != nil {
		t.Fatal(err)
	}
	return revision
}

const noYear = "00-00"

func TestAFeedsHolidayReachesOpenActions(t *testing.T) {
	t.Parallel()
	h := newFeedHost(t, "20260401")
	w, log := fedWorld(t, fedPolicy(h.feed("saudi")))
	first := refresh(t, w)
	if first.Revision != 2 || first.Row.LastError != "" || sla.CountDates(first.Added) != 1 {
		t.Fatalf("first answer = %+v", first)
	}
	f := w.Complaint(model.SeverityMedium)
	f.ReceivedAt = scenario.Start() // Monday at eleven in Riyadh
	a := w.Create(f)[0]
	if want := time.Date(2026, 3, 3, 8, 0, 0, 0, time.UTC); !a.DueAt.Equal(want) || a.CalendarRevision != 2 {
		t.Fatalf("due %s by revision %d, want %s by 2", a.DueAt, a.CalendarRevision, want)
	}

	h.say("20260401", "20260303")
	rec := refresh(t, w)
	if rec.Revision != 3 || sla.CountDates(rec.Added) != 1 || len(rec.Removed) != 0 {
		t.Fatalf("second answer = %+v", rec)
	}
	if turn, err := w.Engine.HealCalendars(t.Context(), store.Keyset{}); err != nil || turn.More {
		t.Fatalf("turn = %+v, %v", turn, err)
	}
	now := w.Action(a.ID)
	if !now.DueAt.Equal(a.DueAt.AddDate(0, 0, 1)) || now.CalendarRevision != 3 || now.PolicyRevision != 2 {
		t.Errorf("due %s, want a day later, and the SLA config kept", now.DueAt)
	}
	if n := w.Count("SELECT count(*) FROM action_logs WHERE action_id = ? AND message LIKE 'Calendar office changed; due 2026-03-04 %'", a.ID); n != 1 {
		t.Errorf("the story tells %d times of it, want once", n)
	}
	if n := w.Count("SELECT count(*) FROM messages WHERE action_id = ? AND reason = 'plan_change'", a.ID); n != 1 {
		t.Errorf("the owner was told %d times, want once", n)
	}
	if n := w.Count("SELECT count(*) FROM policy_revisions WHERE created_by = 'feed saudi' AND note = 'calendar office: 1 dates new or renamed, 0 gone'"); n != 2 {
		t.Errorf("revisions by the feed = %d, want 2", n)
	}
	if n := w.Count("SELECT count(*) FROM sla_configs WHERE is_active AND revision = 3"); n != 1 {
		t.Errorf("active SLA configs of the revision = %d, want 1", n)
	}
	p, _, err := w.Store.Policy(t.Context(), 2)
	if err != nil || len(p.Feed("office", "saudi").Dates) != 1 {
		t.Errorf("revision 2 = %+v, %v; want it as it was", p, err)
	}

	same := refresh(t, w)
	if same.Revision != 0 || h.lastTag() == "" || !same.Row.FetchedAt.After(*rec.Row.FetchedAt) || string(same.Row.SHA256) != string(rec.Row.SHA256) {
		t.Errorf("unchanged = %+v, asked with %q", same.Row, h.lastTag())
	}
	for outcome, want := range map[string]float64{"changed": 2, "unchanged": 1} {
		if n := w.Metric("px_feed_refreshes_total", outcome); n != want {
			t.Errorf("%s = %v, want %v", outcome, n, want)
		}
	}
	if n := strings.Count(log.String(), "holidays changed"); n != 2 {
		t.Errorf("told %d times:\n%s", n, log)
	}
	w.Holds()
}

func TestABadFeedKeepsTheLastGoodOne(t *testing.T) {
	t.Parallel()
	h := newFeedHost(t, "20260401", "20260402")
	w, log := fedWorld(t, fedPolicy(h.feed("saudi")))
	good := refresh(t, w)
	w.Engine.Feeds, _ = holidays.NewFetcher(holidays.Settings{Timeout: 200 * time.Millisecond})
	var since time.Time
	for i, bad := range []struct {
		set  func()
		want string
	}{
		{func() { h.set(500, false, "") }, "HTTP status 500"},
		{func() { h.set(500, false, "") }, "HTTP status 500"},
		{func() { h.set(0, false, "<html>secret</html>") }, "is not iCalendar"},
		{func() { h.say() }, "has no holiday any more, and had 2"},
		{func() { h.say("20120101") }, "has no holiday any more, and had 2"},
		{func() { h.set(0, true, "") }, "no answer in time"},
		{func() { h.CloseClientConnections(); h.Listener.Close() }, "refuses the connection"},
	} {
		bad.set()
		rec := refresh(t, w)
		if i == 0 && rec.Row.FailedSince != nil {
			since = *rec.Row.FailedSince
		}
		if !strings.Contains(rec.Row.LastError, bad.want) || rec.Revision != 0 || !rec.Row.FailedSince.Equal(since) || !rec.Row.FetchedAt.Equal(*good.Row.FetchedAt) {
			t.Errorf("%s: %+v", bad.want, rec.Row)
		}
		if got := dates(t, w, "saudi"); !slices.Equal(got, []string{noYear + "2026-04-01"}) {
			t.Errorf("%s: dates %v", bad.want, got)
		}
	}
	if n := w.Metric("px_feed_refreshes_total", "failed"); n != 7 {
		t.Errorf("failed = %v, want 7", n)
	}
	if n := strings.Count(log.String(), `"warn"`); n != 5 || strings.Contains(log.String(), "secret") || strings.Contains(log.String(), "127.0.0.1") {
		t.Errorf("%d warnings, want one for each new reason and no content:\n%s", n, log)
	}
	if n := w.Count("SELECT count(*) FROM policy_revisions"); n != 2 {
		t.Errorf("revisions = %d, want 2", n)
	}

	back := newFeedHost(t, "20260401", "20260402")
	applied(t, w, fedPolicy(back.feed("saudi")))
	if rec := refresh(t, w); rec.Row.LastError != "" || rec.Row.FailedSince != nil || len(rec.Added)+len(rec.Removed) != 0 {
		t.Errorf("back again = %+v", rec)
	}
	if !strings.Contains(log.String(), "answers again") {
		t.Errorf("nobody is told that it is back:\n%s", log)
	}
}

func TestParallelRefreshesMakeOneRevision(t *testing.T) {
	t.Parallel()
	h := newFeedHost(t, "20260401")
	w, _ := fedWorld(t, fedPolicy(h.feed("saudi")))
	worlds := []*scenario.World{w}
	for range 3 {
		twin := w.Twin()
		fetching(t, twin)
		worlds = append(worlds, twin)
	}
	for round, day := range []string{"20260402", "20260403"} {
		h.say("20260401", day)
		var wg sync.WaitGroup
		for _, one := range worlds {
			wg.Go(func() {
				if _, err := one.Engine.RefreshFeeds(t.Context(), true); err != nil {
					t.Errorf("refresh: %v", err)
				}
			})
		}
		wg.Wait()
		if n := w.Count("SELECT count(*) FROM policy_revisions"); n != 2+round {
			t.Errorf("revisions after round %d = %d, want %d", round, n, 2+round)
		}
	}
}

func TestAnAppliedPolicyKeepsWhatItsFeedsSaid(t *testing.T) {
	t.Parallel()
	h, gone := newFeedHost(t, "20260401"), newFeedHost(t)
	gone.Close()
	w, _ := fedWorld(t, nil)
	if r := applied(t, w, fedPolicy(h.feed("saudi"))); r != 1 || !slices.Equal(dates(t, w, "saudi"), []string{"2026-04-01" + noYear}) {
		t.Fatalf("revision %d has %v, want the dates from the first on", r, dates(t, w, "saudi"))
	}
	h.say("20260401", "20260501")
	refresh(t, w)
	both := []string{"2026-04-01" + noYear, "2026-05-01" + noYear}
	if r := applied(t, w, fedPolicy(h.feed("saudi"))); r != 2 || !slices.Equal(dates(t, w, "saudi"), both) {
		t.Errorf("the same file again: revision %d, %v; want nothing changed", r, dates(t, w, "saudi"))
	}
	if r := applied(t, w, []byte(strings.Replace(string(fedPolicy(h.feed("saudi"))), "medium_hours: 8", "medium_hours: 9", 1))); r != 3 || !slices.Equal(dates(t, w, "saudi"), both) {
		t.Errorf("another file: revision %d, %v; want the dates carried over", r, dates(t, w, "saudi"))
	}
	old, _, err := w.Store.Policy(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if r, _, err := w.Store.ApplyPolicy(t.Context(), old, "test", ""); err != nil || r != 4 || !slices.Equal(dates(t, w, "saudi"), both) {
		t.Errorf("rolled back: revision %d, %v, %v; want what the feed says now", r, dates(t, w, "saudi"), err)
	}
	pv, err := w.Store.PreviewPolicy(t.Context(), old)
	if err != nil || len(pv.Calendars.Moved) != 0 {
		t.Errorf("preview = %+v, %v", pv, err)
	}

	// A further feed that cannot be reached keeps nothing from being applied, nor
	// does one that has moved there lose what it said.
	moved := fedPolicy(gone.feed("saudi") + ", " + gone.feed("other") + ", {name: file, file: /nowhere/at/all.ics}")
	if r := applied(t, w, moved); r != 5 || !slices.Equal(dates(t, w, "saudi"), both) || len(dates(t, w, "other")) != 0 {
		t.Errorf("revision %d: %v, %v", r, dates(t, w, "saudi"), dates(t, w, "other"))
	}
	p, _, err := w.Store.Policy(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	feeds, err := w.Store.Feeds(t.Context(), p)
	if err != nil || len(feeds) != 3 {
		t.Fatalf("feeds = %+v, %v", feeds, err)
	}
	for i, want := range []string{"refuses the connection", "refuses the connection", "no such file"} {
		if f := feeds[i]; !strings.Contains(f.Row.LastError, want) || f.Fetched() {
			t.Errorf("feed %s = %+v, want %q", f.Spec.Name, f.Row, want)
		}
	}
	// Back where it was, nothing is new until the next refresh.
	h.say("20260601")
	if r := applied(t, w, fedPolicy(h.feed("saudi"))); r != 6 || !slices.Equal(dates(t, w, "saudi"), both) {
		t.Errorf("back: revision %d, %v; want what is known of it", r, dates(t, w, "saudi"))
	}
}

// TestFeedsFollowTheYears: on the first of January a host that calls its feed
// unchanged is asked for the whole all the same.
func TestFeedsFollowTheYears(t *testing.T) {
	t.Parallel()
	h := newFeedHost(t, "20300923\r\nRRULE:FREQ=YEARLY", "20260923")
	w, _ := fedWorld(t, fedPolicy(h.feed("saudi")))
	if got := sla.CountDates(refresh(t, w).Dates); got != 3 { // 2026, 2030, 2031
		t.Fatalf("dates = %d, want 3", got)
	}
	w.SetTime(time.Date(2027, 1, 1, 0, 30, 0, 0, time.UTC))
	if rec := refresh(t, w); h.lastTag() != "" || rec.Revision != 3 || sla.CountDates(rec.Dates) != 4 {
		t.Errorf("in the new year: asked with %q, %+v", h.lastTag(), rec)
	}
	if rec := refresh(t, w); h.lastTag() == "" || rec.Revision != 0 {
		t.Errorf("again: asked with %q, %+v", h.lastTag(), rec)
	}
	// What is over stays, whether the span or the publisher has left it behind.
	w.SetTime(time.Date(2029, 1, 1, 0, 30, 0, 0, time.UTC))
	h.say("20300923\r\nRRULE:FREQ=YEARLY")
	if rec := refresh(t, w); len(rec.Removed) != 0 || sla.CountDates(rec.Dates) != 6 {
		t.Errorf("years later: %+v", rec)
	}
}

func TestAFileIsAFeed(t *testing.T) {
	t.Parallel()
	w, _ := fedWorld(t, nil)
	name := t.TempDir() + "/office.ics"
	write(t, name, "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART;VALUE=DATE:20260401\nEND:VEVENT\nBEGIN:VEVENT\nDTSTART:20260402T090000Z\nEND:VEVENT\nEND:VCALENDAR\n")
	applied(t, w, fedPolicy(fmt.Sprintf("{name: own, file: %q}", name)))
	if rec := refresh(t, w); rec.Row.Timed != 1 || rec.Revision != 0 || !slices.Equal(dates(t, w, "own"), []string{"2026-04-01" + noYear}) {
		t.Errorf("file = %+v, %v", rec, dates(t, w, "own"))
	}
	leaving, leave := context.WithCancel(t.Context())
	leave()
	if _, err := w.Engine.RefreshFeeds(leaving, false); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that leaves = %v", err)
	}
	applying, err := w.Store.DB().Begin() // as another change of the policy does
	if err != nil {
		t.Fatal(err)
	}
	if _, err := applying.Exec("LOCK TABLE policy_revisions IN SHARE ROW EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Engine.RefreshFeeds(t.Context(), false); !errors.Is(err, model.ErrUnavailable) {
		t.Errorf("with the policy in other hands = %v, want it tried again", err)
	}
	if err := applying.Rollback(); err != nil {
		t.Fatal(err)
	}
	w.Engine.Feeds = nil
	if all, err := w.Engine.RefreshFeeds(t.Context(), false); err != nil || len(all) != 0 {
		t.Errorf("a process without a fetcher = %+v, %v", all, err)
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
