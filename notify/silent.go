package notify

import (
	"context"
	"errors"
	"sync"
)

// silentAfter is how many calls a host may leave without an answer, one after the
// other, until it counts as silent.
const silentAfter = 3

// hosts knows which hosts are silent: they take calls and answer none in time.
// Such a host gets one call at a time until it answers. More would hold the slots
// that all hosts share, each for as long as a call may take. Its zero value knows
// of none.
type hosts struct {
	mu    sync.Mutex
	known map[string]*silence // those that left the last call without an answer
}

// silence is that of one host.
type silence struct {
	calls  int  // without an answer, one after the other
	asking bool // one is under way that finds out whether it still is
}

// enter reports whether a call may be made now; then leave must follow. asks: it
// is the one that finds out whether a silent host still is.
func (h *hosts) enter(host string) (asks, may bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.known[host]
	if s == nil || s.calls < silentAfter {
		return false, true
	}
	asks = !s.asking
	s.asking = true
	return asks, asks
}

// leave tells how a call ended; nil: it was taken.
func (h *hosts) leave(ctx context.Context, host string, asks bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.known[host]
	if s != nil && asks {
		s.asking = false
	}
	var se *SendError
	switch {
	case errors.Is(ctx.Err(), context.Canceled): // the caller left: nothing is known
	case !errors.As(err, &se) || se.Code != "timeout":
		delete(h.known, host)
	case s == nil:
		if h.known == nil {
			h.known = map[string]*silence{}
		}
		h.known[host] = &silence{calls: 1}
	default:
		s.calls++
	}
}
