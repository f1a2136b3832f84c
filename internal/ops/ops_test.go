package ops_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/pxactions/px/internal/metrics"
	"github.com/pxactions/px/internal/ops"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errAway = errors.New("connection refused")

func newServer(t *testing.T, o ops.Options) *ops.Server {
	t.Helper()
	o.Process, o.Metrics, o.Log = "worker", metrics.New(), zerolog.Nop()
	if o.Now == nil {
		o.Now = time.Now
	}
	s, err := ops.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func get(t *testing.T, h http.Handler, path string) (int, string) {
	t.Helper()
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, nil))
	return rec.Code, rec.Body.String()
}

func TestHealthTouchesNothing(t *testing.T) {
	t.Parallel()
	var touched atomic.Int64
	touch := func(context.Context) error { touched.Add(1); return errAway }
	s := newServer(t, ops.Options{Checks: []ops.Check{{Name: "postgres", Required: true, Run: touch}}})
	if code, body := get(t, s, "/healthz"); code != http.StatusOK || body != "ok\n" {
		t.Errorf("healthz = %d %q", code, body)
	}
	if n := touched.Load(); n != 0 {
		t.Errorf("checks run = %d, want none", n)
	}
}

func TestReadiness(t *testing.T) {
	t.Parallel()
	ok := func(context.Context) error { return nil }
	away := func(context.Context) error { return errAway }
	silent := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	tests := []struct {
		name   string
		checks []ops.Check
		stop   bool
		code   int
		status string
		failed string
	}{
		{name: "no checks is ready", code: 200, status: "ready"},
		{name: "all well is ready", checks: []ops.Check{{Name: "postgres", Required: true, Run: ok}}, code: 200, status: "ready"},
		{name: "what is not required degrades only", checks: []ops.Check{{Name: "postgres", Required: true, Run: ok}, {Name: "redis", Run: away}}, code: 200, status: "degraded", failed: "redis"},
		{name: "what is required takes it out", checks: []ops.Check{{Name: "postgres", Required: true, Run: away}, {Name: "redis", Run: ok}}, code: 503, status: "not_ready", failed: "postgres"},
		{name: "no answer counts as failing", checks: []ops.Check{{Name: "postgres", Required: true, Timeout: 10 * time.Millisecond, Run: silent}}, code: 503, status: "not_ready", failed: "postgres"},
		{name: "a stopping process is out", stop: true, checks: []ops.Check{{Name: "postgres", Required: true, Run: ok}}, code: 503, status: "stopping"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, ops.Options{Checks: tt.checks})
			if tt.stop {
				s.Stopping()
			}
			code, body := get(t, s, "/readyz")
			var a struct {
				Process, Status string
				Checks          []struct{ Name, State, Error string }
			}
			if err := json.Unmarshal([]byte(body), &a); err != nil {
				t.Fatal(err)
			}
			if code != tt.code || a.Status != tt.status || a.Process != "worker" || len(a.Checks) != len(tt.checks) {
				t.Errorf("readyz = %d %s, want %d %s", code, body, tt.code, tt.status)
			}
			for _, c := range a.Checks {
				if failing := c.State == "failing"; failing != (c.Name == tt.failed) || failing != (c.Error != "") {
					t.Errorf("check %+v, want failing: %q", c, tt.failed)
				}
			}
		})
	}
}

func depths(context.Context) (map[string]ops.Depth, error) {
	return map[string]ops.Depth{"escalation": {Pending: 3, Scheduled: 40}}, nil
}

func counts(context.Context) (ops.Counts, error) {
	return ops.Counts{Live: 50, Overdue: 7, Escalated: 2, Undecided: 4, MessagesFailed: 1}, nil
}

func TestMetricsShowQueuesAndLedger(t *testing.T) {
	t.Parallel()
	s := newServer(t, ops.Options{Depths: depths, Counts: counts})
	code, body := get(t, s, "/metrics")
	if code != http.StatusOK {
		t.Fatalf("metrics = %d %s", code, body)
	}
	for _, line := range []string{
		`px_queue_tasks{queue="escalation",state="pending"} 3`,
		`px_queue_tasks{queue="escalation",state="scheduled"} 40`,
		`px_actions{state="live"} 50`,
		`px_actions{state="overdue"} 7`,
		`px_actions{state="escalated"} 2`,
		`px_feedback_undecided 4`,
		`px_messages_failed 1`,
		`px_collector_up{source="redis"} 1`,
		`px_collector_up{source="postgres"} 1`,
		`go_goroutines `,
	} {
		if !strings.Contains(body, line) {
			t.Errorf("metrics lack %q", line)
		}
	}
}

func TestMetricsOutliveTheirSources(t *testing.T) {
	t.Parallel()
	// One source refuses, the other never answers while the process lives.
	s := newServer(t, ops.Options{
		Depths: func(context.Context) (map[string]ops.Depth, error) { return nil, errAway },
		Counts: func(ctx context.Context) (ops.Counts, error) { <-ctx.Done(); return ops.Counts{}, ctx.Err() },
		Wait:   50 * time.Millisecond,
	})
	begun := time.Now()
	code, body := get(t, s, "/metrics")
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("scrape took %s, want 2 s at most", took)
	}
	if code != http.StatusOK || strings.Contains(body, "px_actions{") || strings.Contains(body, "px_queue_tasks{") {
		t.Errorf("metrics = %d with values of dead sources", code)
	}
	for _, line := range []string{`px_collector_up{source="redis"} 0`, `px_collector_up{source="postgres"} 0`, "px_enqueue_failures_total 0"} {
		if !strings.Contains(body, line) {
			t.Errorf("metrics lack %q", line)
		}
	}
}

func TestSourcesAreReadOncePerKeep(t *testing.T) {
	t.Parallel()
	var reads atomic.Int64
	var now atomic.Int64
	s := newServer(t, ops.Options{
		Counts: func(context.Context) (ops.Counts, error) { return ops.Counts{Live: reads.Add(1)}, nil },
		Now:    func() time.Time { return time.Unix(now.Load(), 0) },
	})
	for range 3 {
		get(t, s, "/metrics")
	}
	if n := reads.Load(); n != 1 {
		t.Fatalf("reads = %d, want 1", n)
	}
	now.Add(15)
	if _, body := get(t, s, "/metrics"); !strings.Contains(body, `px_actions{state="live"} 2`) {
		t.Error("the answer is older than 15 s")
	}
}

func TestServeEndsCleanly(t *testing.T) {
	t.Parallel()
	s := newServer(t, ops.Options{Depths: depths, Counts: counts})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.ServeListener(ctx, l) }()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Get("http://" + l.Addr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(io.Discard, res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil || res.StatusCode != http.StatusOK {
		t.Errorf("metrics = %d, %v", res.StatusCode, err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("serve = %v", err)
	}
	if code, _ := get(t, s, "/readyz"); code != http.StatusServiceUnavailable {
		t.Errorf("readyz after the end = %d, want 503", code)
	}
}

func TestServeRefusesATakenAddress(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if err := newServer(t, ops.Options{}).Serve(t.Context(), l.Addr().String()); err == nil {
		t.Error("serve = nil on a taken address")
	}
}

func TestServeWithoutAnAddressWaits(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := newServer(t, ops.Options{}).Serve(ctx, ""); err != nil {
		t.Error(err)
	}
}
