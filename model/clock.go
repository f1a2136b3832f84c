package model

import (
	"time"

	"github.com/uptrace/bun"
)

// Clock maps the database's clock to domain time: virtual epoch + speed ×
// (database time − real epoch). In production speed is 1 and both epochs agree.
type Clock struct {
	bun.BaseModel `bun:"table:clock,alias:c"`

	RealEpoch    time.Time
	VirtualEpoch time.Time
	Speed        float64
}

// Virtual is the domain time of a machine instant, at full precision.
func (c Clock) Virtual(machine time.Time) time.Time {
	if c.Speed == 0 {
		return machine
	}
	return c.VirtualEpoch.Add(scale(machine.Sub(c.RealEpoch), c.Speed)).UTC()
}

// Real is the machine instant at which domain time reaches t.
func (c Clock) Real(t time.Time) time.Time {
	if c.Speed == 0 {
		return t
	}
	return c.RealEpoch.Add(scale(t.Sub(c.VirtualEpoch), 1/c.Speed)).UTC()
}

// scale is exact at speed 1: a float holds months in whole nanoseconds, and
// years no longer.
func scale(d time.Duration, by float64) time.Duration {
	if by == 1 {
		return d
	}
	return time.Duration(float64(d) * by)
}

// Now is one reading of both clocks, taken once per transaction.
type Now struct {
	Machine time.Time // the database's clock_timestamp()
	Domain  time.Time // domain time at full precision
	Clock   Clock
}
