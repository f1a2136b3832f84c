package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// intake is an intake that answers as told: a status for whole requests, in
// turn, and a status for single events.
type intake struct {
	t      *testing.T
	url    string
	mu     sync.Mutex
	whole  []int          // one per request; 0 or none left: item by item
	header http.Header    // with every whole refusal
	events map[string]int // status by event id; none: 202
	max    int            // events per request before it says 413; 0: no limit
	got    map[string]int // how often each event was accepted
	calls  int
}

func newIntake(t *testing.T) *intake {
	t.Helper()
	in := &intake{t: t, events: map[string]int{}, got: map[string]int{}, header: http.Header{}}
	s := httptest.NewServer(in)
	t.Cleanup(s.Close)
	in.url = s.URL
	return in
}

func (in *intake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.calls++
	body, err := io.ReadAll(r.Body)
	assert.NoError(in.t, err)
	assert.Equal(in.t, "Bearer px_key", r.Header.Get("Authorization"))
	lines := bytes.Split(bytes.TrimSpace(body), []byte("\n"))
	status := 0
	if len(in.whole) > 0 {
		status, in.whole = in.whole[0], in.whole[1:]
	}
	if in.max > 0 && len(lines) > in.max {
		status = http.StatusRequestEntityTooLarge
	}
	if status != 0 {
		for k, v := range in.header {
			w.Header()[k] = v
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(Problem{Title: http.StatusText(status), Code: "told", Status: status})
		return
	}
	in.answer(w, lines)
}

func (in *intake) answer(w http.ResponseWriter, lines [][]byte) {
	var b Batch
	for i, l := range lines {
		it := Receipt{Index: i, EventID: eventID(l), Status: StatusAccepted, Code: 202, ID: "id-" + eventID(l)}
		if in.got[it.EventID] > 0 {
			it.Status = StatusDuplicate
		}
		if s := in.events[it.EventID]; s != 0 {
			it.Status, it.Code, it.ID = StatusError, s, ""
			it.Problem = &Problem{Title: http.StatusText(s), Status: s, Errors: []FieldError{{Field: "hospital", Code: "unmapped", Message: "a code"}}}
		} else {
			in.got[it.EventID]++
		}
		b.Items = append(b.Items, it)
	}
	status := http.StatusAccepted
	if b.Items[0].Problem != nil {
		status = b.Items[0].Code
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(b)
}

// newClient makes a client whose waits take no time; they are told.
func newClient(t *testing.T, url string, opts ...Option) (*Client, *[]time.Duration) {
	t.Helper()
	c, err := New(url, "px_key", opts...)
	require.NoError(t, err)
	var waits []time.Duration
	c.wait = func(ctx context.Context, d time.Duration) error {
		waits = append(waits, d)
		return ctx.Err()
	}
	return c, &waits
}

func event(id string) Feedback {
	return Feedback{EventID: id, SourceType: "complaint", Hospital: "RUH"}
}

func TestSendRetriesWhatMayHelp(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		whole  []int
		header http.Header
		calls  int
		status int           // 0: accepted
		wait   time.Duration // the first one, at least
	}{
		{"at once", nil, nil, 1, 0, 0},
		{"after a fault of the server", []int{500}, nil, 2, 0, 100 * time.Millisecond},
		{"after being told when", []int{503}, http.Header{"Retry-After": {"7"}}, 2, 0, 7 * time.Second},
		{"after too many requests", []int{429, 429}, nil, 3, 0, 100 * time.Millisecond},
		{"not for ever", []int{502, 502, 502, 502, 502}, nil, 4, 502, 100 * time.Millisecond},
		{"not with a wrong key", []int{401}, nil, 1, 401, 0},
		{"not what is forbidden", []int{403}, nil, 1, 403, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			in := newIntake(t)
			in.whole, in.header = tt.whole, tt.header
			c, waits := newClient(t, in.url)
			r, err := c.Send(t.Context(), event("a"))
			assert.Equal(t, tt.calls, in.calls)
			if tt.wait > 0 {
				assert.GreaterOrEqual(t, (*waits)[0], tt.wait)
			}
			if tt.status != 0 {
				var p *Problem
				require.ErrorAs(t, err, &p)
				assert.Equal(t, tt.status, p.Status)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, "id-a", r.ID)
			assert.Equal(t, 1, in.got["a"])
		})
	}
}

func TestRefusedEventIsAProblem(t *testing.T) {
	t.Parallel()
	in := newIntake(t)
	in.events["a"] = 422
	c, _ := newClient(t, in.url)
	_, err := c.Send(t.Context(), event("a"))
	var p *Problem
	require.ErrorAs(t, err, &p)
	assert.Equal(t, "hospital", p.Errors[0].Field)
	assert.Contains(t, err.Error(), "hospital: a code")
	assert.Equal(t, 1, in.calls)
}

func TestBatchIsToldItemByItem(t *testing.T) {
	t.Parallel()
	in := newIntake(t)
	in.events["7"], in.max = 409, 300
	c, _ := newClient(t, in.url)
	fs := make([]Feedback, 1100)
	for i := range fs {
		fs[i] = event(fmt.Sprint(i))
	}
	b, err := c.SendBatch(t.Context(), fs)
	require.NoError(t, err)
	assert.Equal(t, 1099, b.Accepted)
	assert.Equal(t, 1, b.Failed)
	for i, it := range b.Items {
		assert.Equal(t, i, it.Index)
		assert.Equal(t, fmt.Sprint(i), it.EventID)
	}
	assert.Equal(t, 409, b.Items[7].Problem.Status)
}

func TestEventOfSeveralLinesGoesAsOne(t *testing.T) {
	t.Parallel()
	in := newIntake(t)
	c, _ := newClient(t, in.url)
	b, err := c.SendLines(t.Context(), [][]byte{[]byte("{\n \"event_id\": \"a\"\n}\n"), []byte(`{"event_id":"b"}`)})
	require.NoError(t, err)
	assert.Equal(t, 2, b.Accepted)
	assert.Equal(t, map[string]int{"a": 1, "b": 1}, in.got)
}

func TestItemsThatMetAFaultAreSentAgain(t *testing.T) {
	t.Parallel()
	in := newIntake(t)
	in.events["b"] = 503
	c, _ := newClient(t, in.url)
	c.wait = func(context.Context, time.Duration) error {
		in.mu.Lock()
		defer in.mu.Unlock()
		delete(in.events, "b")
		return nil
	}
	b, err := c.SendBatch(t.Context(), []Feedback{event("a"), event("b"), event("c")})
	require.NoError(t, err)
	assert.Equal(t, 3, b.Accepted)
	assert.Equal(t, map[string]int{"a": 1, "b": 1, "c": 1}, in.got)
}

func TestCallersContextEndsTheWait(t *testing.T) {
	t.Parallel()
	in := newIntake(t)
	in.whole, in.header = []int{503}, http.Header{"Retry-After": {"3600"}}
	c, waits := newClient(t, in.url)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err := c.Send(ctx, event("a"))
	var p *Problem
	require.ErrorAs(t, err, &p)
	assert.Empty(t, *waits, "an hour does not fit into a minute")

	gone, leave := context.WithCancel(t.Context())
	leave()
	_, err = c.Send(gone, event("a"))
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, pause(gone, time.Hour), context.Canceled)
	require.NoError(t, pause(t.Context(), time.Nanosecond))
}

func TestAnswersOfOthersAreNoReceipts(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{"a page": "<html>", "nothing": "", "an empty object": "{}", "too few items": `{"items":[]}`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }))
			t.Cleanup(s.Close)
			c, _ := newClient(t, s.URL)
			_, err := c.Send(t.Context(), event("a"))
			require.Error(t, err)
		})
	}
}

// TestAnswersOfOthersAreNotQuoted: a proxy may say again what was sent.
func TestAnswersOfOthersAreNotQuoted(t *testing.T) {
	t.Parallel()
	const words = "Xylophonewhisper"
	for _, kind := range []string{"text/html", "application/json", "application/problem+json"} {
		for _, status := range []int{200, 400, 403, 413} {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", kind)
				w.WriteHeader(status)
				if kind == "text/html" {
					_, _ = io.WriteString(w, "<h1>"+words)
					return
				}
				_, _ = io.WriteString(w, `{"title": "refused `+words+`", "detail": "`+words+`", "errors": [{"field": "`+words+`"}]}`)
			}))
			t.Cleanup(s.Close)
			c, _ := newClient(t, s.URL)
			_, err := c.Send(t.Context(), event("a"))
			require.Error(t, err)
			assert.NotContains(t, err.Error(), words, "%s %d", kind, status)
		}
	}
}

func TestBadSettingsAreRefused(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "px.example.org", "ftp://x", "http://"} {
		_, err := New(url, "k")
		require.Error(t, err, url)
	}
	for _, key := range []string{"", "a\nb"} {
		_, err := New("http://x", key)
		require.Error(t, err)
	}
	for _, o := range []Option{WithHTTPClient(nil), WithRetry(0, 1, 1), WithRetry(1, 2, 1), WithSpool("", 1), WithSpool("x", 0), WithSpool("/no/such/folder/x", 1)} {
		_, err := New("http://x", "k", o)
		require.Error(t, err)
	}
}

func TestAwayIntakeFillsTheSpool(t *testing.T) {
	t.Parallel()
	in := newIntake(t)
	path := filepath.Join(t.TempDir(), "spool.ndjson")
	c, _ := newClient(t, in.url, WithSpool(path, 1<<20), WithRetry(1, 1, 1))
	in.whole = []int{503, 500, 401}
	for _, id := range []string{"a", "bad"} {
		r, err := c.Send(t.Context(), event(id))
		require.NoError(t, err)
		assert.True(t, r.Spooled)
		assert.Equal(t, id, r.EventID)
	}
	_, err := c.Send(t.Context(), event("wrong key"))
	require.Error(t, err, "a wrong key is told, not spooled")

	// A new process finds the events, and cuts off what a crash left.
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteString(`{"event_id":"torn`)
	require.NoError(t, errors.Join(err, f.Close()))
	c, _ = newClient(t, in.url, WithSpool(path, 1<<20), WithRetry(1, 1, 1))
	in.whole = []int{503}
	done, err := c.Flush(t.Context())
	require.Error(t, err, "still away")
	assert.Zero(t, done.Delivered)
	assert.Positive(t, done.LeftBytes)

	in.events["bad"] = 422
	done, err = c.Flush(t.Context())
	require.NoError(t, err)
	assert.Equal(t, Flushed{Delivered: 1, Rejected: 1}, done)
	rejected, err := os.ReadFile(path + ".rejected")
	require.NoError(t, err)
	assert.Contains(t, string(rejected), `"event_id":"bad"`)
	assert.Contains(t, string(rejected), `"unmapped"`)
	left, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Empty(t, left)
	done, err = c.Flush(t.Context())
	require.NoError(t, err)
	assert.Zero(t, done)
}

func TestFlushKeepsWhatMetAFault(t *testing.T) {
	t.Parallel()
	in := newIntake(t)
	path := filepath.Join(t.TempDir(), "spool.ndjson")
	c, _ := newClient(t, in.url, WithSpool(path, 1<<20), WithRetry(1, 1, 1))
	const events = 1200 // several requests
	for from := 0; from < events; from += 100 {
		ls := make([][]byte, 100)
		for i := range ls {
			ls[i] = fmt.Appendf(nil, `{"event_id":"%d"}`, from+i)
		}
		require.NoError(t, c.spool.add(ls))
	}
	in.events["600"] = 503
	done, err := c.Flush(t.Context())
	require.Error(t, err)
	assert.Equal(t, 999, done.Delivered)
	in.events = map[string]int{}
	require.NoError(t, c.spool.add([][]byte{[]byte(`{"event_id":"late"}`)}))
	done, err = c.Flush(t.Context())
	require.NoError(t, err)
	assert.Equal(t, Flushed{Delivered: 202}, done)
	assert.Len(t, in.got, events+1)
}

func TestFullSpoolIsSaid(t *testing.T) {
	t.Parallel()
	in := newIntake(t)
	in.whole = []int{503, 503}
	c, _ := newClient(t, in.url, WithSpool(filepath.Join(t.TempDir(), "s"), 100), WithRetry(1, 1, 1))
	r, err := c.Send(t.Context(), event("a"))
	require.NoError(t, err)
	require.True(t, r.Spooled)
	_, err = c.Send(t.Context(), event(strings.Repeat("b", 50)))
	require.ErrorIs(t, err, ErrSpoolFull)
	var p *Problem
	require.ErrorAs(t, err, &p, "and why it was to be spooled")
}

func TestManySendersShareASpool(t *testing.T) {
	t.Parallel()
	in := newIntake(t)
	path := filepath.Join(t.TempDir(), "spool.ndjson")
	c, err := New(in.url, "px_key", WithSpool(path, 1<<20), WithRetry(1, 1, 1))
	require.NoError(t, err)
	var wg sync.WaitGroup
	const senders = 20
	in.mu.Lock()
	for range senders / 2 {
		in.whole = append(in.whole, 503)
	}
	in.mu.Unlock()
	for i := range senders {
		wg.Go(func() {
			_, err := c.Send(t.Context(), event(fmt.Sprint(i)))
			assert.NoError(t, err)
			if i%4 == 0 {
				_, _ = c.Flush(t.Context()) // may meet one of the refusals
			}
		})
	}
	wg.Wait()
	_, err = c.Flush(t.Context())
	require.NoError(t, err)
	assert.Len(t, in.got, senders)
}

func TestRetryAfterIsRead(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	tests := []struct {
		in   string
		want time.Duration
	}{
		{"", 0}, {"5", 5 * time.Second}, {"-1", 0}, {"soon", 0},
		{"Mon, 02 Mar 2026 08:01:00 GMT", time.Minute}, {"Mon, 02 Mar 2026 07:00:00 GMT", 0},
	}
	for _, tt := range tests {
		assert.Equal(t, tt.want, retryAfter(tt.in, now), tt.in)
	}
}
