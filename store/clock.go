package store

import (
	"context"
	"time"

	"github.com/uptrace/bun"
)

// reading is PostgreSQL's clock as it was read, and this process's own: when that
// was by its monotonic clock, and how far its wall clock was ahead at least.
type reading struct {
	machine time.Time
	at      time.Time
	ahead   time.Duration
}

// readState reads what every transaction reads first.
func (s *Store) readState(ctx context.Context, db bun.IDB) (stateRow, error) {
	asked := time.Now()
	r, err := readState(ctx, db)
	if err == nil {
		s.read.Store(newReading(asked, r.Machine, time.Now()))
	}
	return r, err
}

// newReading is of an instant of PostgreSQL's between two of ours.
func newReading(asked, machine, answered time.Time) *reading {
	// Wall clocks: without the monotonic reading, which a set clock leaves alone.
	early, late := asked.Round(0).Sub(machine), answered.Round(0).Sub(machine)
	r := &reading{machine: machine, at: answered}
	switch {
	case early > 0:
		r.ahead = early
	case late < 0:
		r.ahead = late
	}
	return r
}

// MachineNow is PostgreSQL's clock: as it was last read, and carried on by how
// long that is ago. What leaves the process under a time goes by it, so that a
// machine whose clock is wrong says what all others say. Before the first
// reading: this process's own clock.
func (s *Store) MachineNow() time.Time {
	r := s.read.Load()
	if r == nil {
		return time.Now()
	}
	return r.machine.Add(time.Since(r.at))
}

// ClockAhead reads PostgreSQL's clock and returns how far this process's is ahead
// of it at least, negative: behind. How long the answer took is not counted.
func (s *Store) ClockAhead(ctx context.Context) (time.Duration, error) {
	if _, err := s.Now(ctx); err != nil {
		return 0, err
	}
	return s.read.Load().ahead, nil
}
