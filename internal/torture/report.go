package main

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"time"
)

const shown = 20 // divergences, at most

// windowOf names the fault that was on, or hardly over, at an instant; empty: none.
func (r *result) windowOf(at time.Time) string {
	name := ""
	for _, w := range r.windows {
		if !at.Before(w.from) && at.Before(w.to.Add(recovery)) {
			name = w.name
		}
	}
	return name
}

// worst is the worst lateness under a fault (empty: under none) of what (empty: anything).
func (r *result) worst(fault, what string) (worst time.Duration) {
	for _, l := range r.late {
		if r.windowOf(l.due) == fault && (what == "" || l.what == what) {
			worst = max(worst, l.by)
		}
	}
	return worst
}

// write reports a run as markdown.
func (r *result) write(out io.Writer) {
	var b strings.Builder
	fmt.Fprintf(&b, "## Seed %d: %g hours of domain time at speed %g, %s\n\n", r.seed, r.hours, r.speed, r.took.Round(time.Second))
	granted := 0
	for _, n := range r.granted {
		granted += n
	}
	fmt.Fprintf(&b, "%d feedback, %d actions, %d moves (%d more refused), %d deadline events, %d messages, %d calls at the receiver; %d divergences.\n\n",
		r.feedback, r.actions, granted, r.refused, r.events, r.messages, r.calls, len(r.found))
	b.WriteString("Moves:")
	for _, name := range slices.Sorted(maps.Keys(r.granted)) {
		fmt.Fprintf(&b, " %s %d", name, r.granted[name])
	}
	fmt.Fprintf(&b, "; %d in the minute before an event.\n", r.near)
	for _, name := range slices.Sorted(maps.Keys(r.crashes)) {
		if n := r.crashes[name]; n > 0 {
			fmt.Fprintf(&b, "%s ended by itself %d times and was started again.\n", name, n)
		}
	}
	b.WriteString("\nWorst lateness in real seconds, of what came due while the fault was on or within " + recovery.String() + " after it:\n\n" +
		"| fault | times | decision | event | message |\n| --- | --- | --- | --- | --- |\n")
	times := map[string]int{"": 0}
	for _, w := range r.windows {
		times[w.name]++
	}
	for _, name := range slices.Sorted(maps.Keys(times)) {
		fmt.Fprintf(&b, "| %s | %d | %.1f | %.1f | %.1f |\n", orText(name, "none"), times[name],
			r.worst(name, "decision").Seconds(), r.worst(name, "event").Seconds(), r.worst(name, "message").Seconds())
	}
	for i, d := range r.found {
		if i == shown {
			fmt.Fprintf(&b, "\n… and %d more\n", len(r.found)-shown)
			break
		}
		fmt.Fprintf(&b, "\nDIVERGENCE (seed %d) %s\n  expected: %s\n  found:    %s\n", r.seed, d.where, d.expected, d.found)
	}
	_, _ = io.WriteString(out, b.String())
}

func orText(s, none string) string {
	if s == "" {
		return none
	}
	return s
}

// isBad reports whether an error is that of a connection that is gone.
func isBad(err error) bool {
	var netErr net.Error
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &netErr)
}
