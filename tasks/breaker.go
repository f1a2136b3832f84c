package tasks

import (
	"sync"
	"time"
)

// breaker keeps a dead Redis from costing time per call: after a fault nothing
// is tried for a pause, then one call alone probes, and its success lets all
// through again.
type breaker struct {
	pause time.Duration // machine time

	mu      sync.Mutex
	faulty  bool // nothing but a probe gets through
	resting bool // not even a probe
	probing bool // one is under way
}

// verdict is what came of a call that the breaker let through.
type verdict int

const (
	unknown verdict = iota // the caller left before an answer
	good
	bad
)

// allow reports whether a call may try; it must then tell settle what came of it.
func (b *breaker) allow() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case !b.faulty:
		return true
	case b.resting || b.probing:
		return false
	}
	b.probing = true
	return true
}

func (b *breaker) settle(v verdict) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch v {
	case good:
		b.faulty, b.resting, b.probing = false, false, false
	case bad:
		b.rest()
	case unknown:
		b.probing = false
	}
}

// rest starts a pause; the caller holds the lock.
func (b *breaker) rest() {
	b.faulty, b.probing = true, false
	if b.resting {
		return // the first fault began it
	}
	b.resting = true
	time.AfterFunc(b.pause, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.resting = false
	})
}

// open reports whether calls are refused for now.
func (b *breaker) open() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.faulty
}
