package scheduler_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/scheduler"
)

// monitor is what hears the heartbeats.
type monitor struct {
	*httptest.Server
	mu     sync.Mutex
	status int
	heard  []string // methods and paths
}

func startMonitor(t *testing.T) *monitor {
	t.Helper()
	m := &monitor{status: http.StatusOK}
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.heard = append(m.heard, r.Method+" "+r.URL.Path)
		w.WriteHeader(m.status)
	}))
	t.Cleanup(m.Close)
	return m
}

func (m *monitor) answer(status int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.status = status
}

func (m *monitor) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.heard)
}

// book is a log that may be read while it is written.
type book struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *book) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *book) count(what string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Count(b.b.String(), what)
}

// beating is a scheduler that pings the monitor and sweeps all the time.
func beating(w *scenario.World, q engine.Beater, url string, every time.Duration) (*scheduler.Scheduler, *book) {
	log := &book{}
	s := scheduler.New(scheduler.Options{
		Engine: w.Engine, Store: w.Store, Redis: q, Metrics: w.Metrics, Log: zerolog.New(log), Holder: "one", Interval: 5 * time.Millisecond, Heartbeat: url + "/s3cret",
	})
	s.PingEvery(every)
	return s, log
}

// beater is a queue that counts how often a sweep asks it, and may be away.
type beater struct {
	away  atomic.Bool
	asked atomic.Int64
}

func (b *beater) Beat(context.Context, string) (int64, string, error) {
	n := b.asked.Add(1)
	if b.away.Load() {
		return 0, "", model.ErrUnavailable
	}
	return n, "run", nil
}

// rounds waits until the sweep that asks has gone round several times.
func (b *beater) rounds(t *testing.T) {
	t.Helper()
	n := b.asked.Load()
	until(t, "several rounds", func() bool { return b.asked.Load() > n+20 })
}

func TestCleanRoundsPing(t *testing.T) {
	t.Parallel()
	w, q, m := scenario.New(t, nil), &beater{}, startMonitor(t)
	s, _ := beating(w, q, m.URL, time.Hour)
	run(t, s)
	until(t, "the first ping", func() bool { return m.count() == 1 })
	if m.heard[0] != "GET /s3cret" {
		t.Errorf("heard %q", m.heard)
	}
	q.rounds(t)
	if n := m.count(); n != 1 {
		t.Errorf("%d pings within the pause, want 1", n)
	}
}

func TestASweepThatFailsIsSilence(t *testing.T) {
	t.Parallel()
	w, q, m := scenario.New(t, nil), &beater{}, startMonitor(t)
	q.away.Store(true)
	s, _ := beating(w, q, m.URL, time.Millisecond)
	run(t, s)
	q.rounds(t)
	if n := m.count(); n != 0 {
		t.Fatalf("%d pings while a sweep fails", n)
	}
	q.away.Store(false)
	until(t, "a ping once it works", func() bool { return m.count() > 0 })
}

// TestWhatAnotherSchedulerSweepsIsNotCounted: it may be what fails there.
func TestWhatAnotherSchedulerSweepsIsNotCounted(t *testing.T) {
	t.Parallel()
	w, q, m := scenario.New(t, nil), &beater{}, startMonitor(t)
	if mine, err := w.Store.ClaimSweep(t.Context(), "deadlines", "another", time.Hour); err != nil || !mine {
		t.Fatalf("claim = %t, %v", mine, err)
	}
	s, _ := beating(w, q, m.URL, time.Millisecond)
	run(t, s)
	q.rounds(t)
	if n := m.count(); n != 0 {
		t.Errorf("%d pings of a scheduler that one sweep is kept from", n)
	}
	if err := w.Store.FinishSweep(t.Context(), "deadlines", "another", 0); err != nil {
		t.Fatal(err)
	}
	until(t, "a ping once it has all sweeps", func() bool { return m.count() > 0 })
}

func TestAHeartbeatNotTakenIsToldOnce(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	m := startMonitor(t)
	m.answer(http.StatusNotFound)
	s, log := beating(w, nil, m.URL, time.Millisecond)
	run(t, s)
	until(t, "several refusals", func() bool { return m.count() > 3 })
	m.answer(http.StatusOK)
	until(t, "it is told", func() bool { return log.count("heartbeat taken again") == 1 })
	m.Close()
	until(t, "it is told of the next outage", func() bool { return log.count("heartbeat not taken") == 2 })
	if log.count("answered with status 404") != 1 || log.count("s3cret") != 0 {
		t.Errorf("the log: %s", log.b.String())
	}
}
