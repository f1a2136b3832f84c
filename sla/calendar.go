package sla

import "time"

// Calendar is the open time of a place. The zero Calendar is open around the
// clock, the only one there is for now: elapsed and open time agree in it.
type Calendar struct{}

// Add returns the instant at which d of open time has passed since start.
func (Calendar) Add(start time.Time, d time.Duration) time.Time { return start.Add(d) }

// Sub returns the instant from which d of open time remains until due.
func (Calendar) Sub(due time.Time, d time.Duration) time.Time { return due.Add(-d) }

// Between returns the open time in [from, to); 0 when to is not after from.
func (Calendar) Between(from, to time.Time) time.Duration {
	if !to.After(from) {
		return 0
	}
	return to.Sub(from)
}
