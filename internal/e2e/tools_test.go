package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// lines collects what a process writes, line by line.
type lines struct {
	mu   sync.Mutex
	full []string
	rest []byte
}

// Write implements io.Writer.
func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest = append(l.rest, b...)
	for {
		i := bytes.IndexByte(l.rest, '\n')
		if i < 0 {
			return len(b), nil
		}
		l.full = append(l.full, string(l.rest[:i]))
		l.rest = l.rest[i+1:]
	}
}

func (l *lines) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.full[:len(l.full):len(l.full)]
}

// fields reads a JSON log line; nil for any other.
func fields(line string) (m map[string]any) {
	if !strings.HasPrefix(line, "{") || json.Unmarshal([]byte(line), &m) != nil {
		return nil
	}
	return m
}

// until polls a condition, and fails the test with what it last said when the
// time is up.
func until(t *testing.T, wait time.Duration, what string, holds func() (ok bool, state string)) {
	t.Helper()
	deadline := time.NewTimer(wait)
	defer deadline.Stop()
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, state := holds()
		if ok {
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			require.FailNow(t, "waited too long", "%s: waited %s, now: %s", what, wait, state)
		}
	}
}

// answer is an HTTP answer, read to its end.
type answer struct {
	code   int
	header http.Header
	body   string
}

func call(t *testing.T, method, url, key, body string) (answer, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
	}
	client := http.Client{Timeout: 30 * time.Second}
	res, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, string(b)}, err
}

func get(t *testing.T, url string) answer {
	t.Helper()
	a, err := call(t, http.MethodGet, url, "", "")
	require.NoError(t, err)
	return a
}

// post sends feedback: one JSON object, or an array of them.
func post(t *testing.T, producer *process, key, body string) answer {
	t.Helper()
	a, err := call(t, http.MethodPost, producer.url+"/v1/feedback", key, body)
	require.NoError(t, err)
	return a
}

// toJSON writes what cannot fail to be written.
func toJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return string(b)
}

// healed is what a scheduler's metrics say that one of its sweeps has done.
func healed(t *testing.T, scheduler *process, sweep string) (n float64) {
	t.Helper()
	for _, line := range strings.Split(get(t, scheduler.ops+"/metrics").body, "\n") {
		if value, ok := strings.CutPrefix(line, `px_healed_total{sweep="`+sweep+`"} `); ok {
			var err error
			n, err = strconv.ParseFloat(value, 64)
			require.NoError(t, err)
		}
	}
	return n
}
