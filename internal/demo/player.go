package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	sendTries = 6
	sendWait  = 10 * time.Second
	maxAnswer = 1 << 20
)

// answers counts what the intake answered.
type answers struct {
	Sent       int // lines that got an answer
	Duplicates int // taken before
	Changed    int // taken before, with other content
	Refused    int // cannot be read or mapped
	Lost       int // no answer, however often asked
}

// player sends the samples, each source system on its own line of HTTP requests.
type player struct {
	url    string
	keys   map[string]string
	clk    clock
	client *http.Client

	mu    sync.Mutex
	count answers
}

func newPlayer(intake string, keys map[string]string, clk clock) *player {
	return &player{url: intake + "/v1/feedback", keys: keys, clk: clk, client: &http.Client{Timeout: sendWait}}
}

func (p *player) answers() answers {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count
}

// play sends every line when its turn comes: the days of the samples fit within
// the given real time. It returns nil when ctx ends before.
func (p *player) play(ctx context.Context, files map[string][]line, within time.Duration) error {
	defer p.client.CloseIdleConnections()
	turn := turns(files, within)
	g, ctx := errgroup.WithContext(ctx)
	for source, lines := range files {
		g.Go(func() error {
			r := newRetimer()
			for i := range lines {
				if !sleep(ctx, time.Until(p.clk.began.Add(turn(&lines[i])))) {
					return nil
				}
				if err := p.send(ctx, p.keys[source], r.retime(&lines[i], p.clk.now())); err != nil {
					return fmt.Errorf("send %s.ndjson: %w", source, err)
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// turns returns when, from the start, a line is to be sent.
func turns(files map[string][]line, within time.Duration) func(*line) time.Duration {
	var first, last time.Time
	for _, lines := range files {
		for i := range lines {
			at := lines[i].arrival
			if first.IsZero() || at.Before(first) {
				first = at
			}
			if at.After(last) {
				last = at
			}
		}
	}
	return func(l *line) time.Duration {
		if !last.After(first) {
			return 0
		}
		return time.Duration(float64(l.arrival.Sub(first)) / float64(last.Sub(first)) * float64(within))
	}
}

// send posts one line until the intake answers to it.
func (p *player) send(ctx context.Context, key string, body []byte) error {
	wait := 100 * time.Millisecond
	for range sendTries {
		code, status, err := p.post(ctx, key, body)
		if err == nil && code != http.StatusTooManyRequests && code < http.StatusInternalServerError {
			return p.note(code, status)
		}
		if !sleep(ctx, wait) {
			return nil
		}
		wait *= 2
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count.Lost++
	return nil
}

// note counts an answer. One that means that the demo itself is at fault is an
// error.
func (p *player) note(code int, status string) error {
	if code == http.StatusUnauthorized || code == http.StatusForbidden || code == http.StatusNotFound {
		return fmt.Errorf("the intake answered %d %s", code, http.StatusText(code))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count.Sent++
	switch {
	case code == http.StatusConflict:
		p.count.Changed++
	case code >= http.StatusBadRequest:
		p.count.Refused++
	case status == "duplicate":
		p.count.Duplicates++
	}
	return nil
}

func (p *player) post(ctx context.Context, key string, body []byte) (code int, status string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Content-Type", "application/json")
	res, err := p.client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return 0, "", err
	}
	var item struct {
		Status string `json:"status"`
	}
	if res.StatusCode == http.StatusAccepted {
		if err := json.Unmarshal(answer, &item); err != nil {
			return 0, "", err
		}
	}
	return res.StatusCode, item.Status, nil
}

// sleep waits and reports whether ctx goes on.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
