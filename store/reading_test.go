package store

import (
	"testing"
	"time"
)

// TestASlowAnswerIsNoWrongClock: only what cannot be the answer's time counts.
func TestASlowAnswerIsNoWrongClock(t *testing.T) {
	t.Parallel()
	at := time.Now()
	for name, c := range map[string]struct{ machine, ahead time.Duration }{
		"at the question":      {0, 0},
		"within a slow answer": {30 * time.Second, 0},
		"at the answer":        {time.Minute, 0},
		"ahead":                {-time.Second, time.Second},
		"behind":               {time.Minute + time.Hour, -time.Hour},
	} {
		if got := newReading(at, at.Add(c.machine).Round(0), at.Add(time.Minute)).ahead; got != c.ahead {
			t.Errorf("%s: ahead by %s, want %s", name, got, c.ahead)
		}
	}
	s := &Store{}
	s.read.Store(&reading{machine: at.Add(time.Hour).Round(0), at: time.Now().Add(-time.Minute)})
	if got := s.MachineNow().Sub(at.Add(time.Hour)); got < time.Minute || got > 2*time.Minute {
		t.Errorf("a minute after the reading PostgreSQL's clock is taken for %s later", got)
	}
}
