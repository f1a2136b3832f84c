package demo

import (
	"time"
)

// summary is what the demo came to.
type summary struct {
	tally
	answers
	Violations int64
	Late       spread
	Took       time.Duration // real time
	Domain     time.Duration // domain time
}

// spread is how late the deadline events were taken, in real time.
type spread struct {
	N             int
	P50, P99, Max time.Duration
}

func newSummary(t tally, a answers, late []time.Duration, violations int64) summary {
	return summary{tally: t, answers: a, Late: spreadOf(late), Violations: violations}
}

// spreadOf describes durations that are sorted.
func spreadOf(sorted []time.Duration) spread {
	n := len(sorted)
	if n == 0 {
		return spread{}
	}
	// The least value that so many percent do not exceed.
	at := func(percent int) time.Duration { return sorted[(n*percent+99)/100-1] }
	return spread{N: n, P50: at(50), P99: at(99), Max: sorted[n-1]}
}
