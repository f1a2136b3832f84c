package scheduler

import (
	"context"
	"errors"
	"time"
)

// FailStarts makes the next n starts of the periodic ticks fail.
func (s *Scheduler) FailStarts(n int) {
	start := s.start
	s.start = func(ctx context.Context) (func(), error) {
		if n--; n >= 0 {
			return nil, errors.New("not yet")
		}
		return start(ctx)
	}
}

// PingEvery sets the least time between two pings of the heartbeat.
func (s *Scheduler) PingEvery(d time.Duration) { s.heart.every = d }
