package scheduler

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

const (
	heartbeatEvery   = time.Minute // machine time between two pings, at least
	heartbeatTimeout = 10 * time.Second
)

// heartbeat tells somebody outside that the sweeps work, by asking for a URL
// after a round in which each of them has ended without error. That somebody
// raises the alarm when it hears nothing. A sweep that another scheduler has just
// then says nothing: who runs it counts it.
type heartbeat struct {
	url    string
	every  time.Duration
	client *http.Client
	log    zerolog.Logger
	silent bool // the last ping failed: said once

	mu    sync.Mutex
	todo  map[string]bool // sweeps that have yet to end without error in this round
	all   []string
	round chan struct{} // a round has ended; nobody waits: the ping is not due
}

// newHeartbeat begins a round of the sweeps.
func newHeartbeat(url string, sweeps []*sweeper, log zerolog.Logger) *heartbeat {
	h := &heartbeat{
		url: url, every: heartbeatEvery, log: log, round: make(chan struct{}),
		client: &http.Client{Timeout: heartbeatTimeout, Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}},
	}
	for _, s := range sweeps {
		h.all = append(h.all, s.Name)
	}
	h.begin()
	return h
}

// begin begins a round. The caller holds the lock, or has it to itself.
func (h *heartbeat) begin() {
	h.todo = map[string]bool{}
	for _, name := range h.all {
		h.todo[name] = true
	}
}

// ended notes how a sweep has ended: an error begins the round anew.
func (h *heartbeat) ended(name string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		h.begin()
		return
	}
	delete(h.todo, name)
	if len(h.todo) > 0 {
		return
	}
	h.begin()
	select {
	case h.round <- struct{}{}:
	default:
	}
}

// run pings until the context ends, after clean rounds and not too often.
func (h *heartbeat) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.round:
		}
		pause := time.NewTimer(h.every)
		h.tell(ctx, h.ping(ctx))
		select {
		case <-ctx.Done():
			pause.Stop()
			return
		case <-pause.C:
		}
	}
}

// ping asks for the URL. The error does not name it: it may hold a secret.
func (h *heartbeat) ping(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.url, nil)
	if err != nil {
		return errors.New("not a URL that can be asked for")
	}
	resp, err := h.client.Do(req)
	var named *url.Error
	if errors.As(err, &named) {
		err = named.Err
	}
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("answered with status %d", resp.StatusCode)
	}
	return nil
}

// tell says once when pings fail and once when they work again.
func (h *heartbeat) tell(ctx context.Context, err error) {
	switch {
	case ctx.Err() != nil:
		return
	case err != nil && !h.silent:
		h.log.Warn().Err(err).Msg("heartbeat not taken")
	case err == nil && h.silent:
		h.log.Info().Msg("heartbeat taken again")
	}
	h.silent = err != nil
}
