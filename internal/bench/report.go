package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// report prints one table row per phase and program: every round, the median,
// and how many times the plain program's median that is.
func (b *bench) report(out io.Writer, about string) error {
	var s strings.Builder
	fmt.Fprintf(&s, "%s\n%d feedback per measurement, programs in turns, per second\n\n", about, b.cfg.feedback)
	fmt.Fprint(&s, "| phase | program |")
	for i := range b.cfg.rounds {
		fmt.Fprintf(&s, " round %d |", i+1)
	}
	fmt.Fprint(&s, " median | ratio | CPU ms each: program, PostgreSQL, Redis | ratio |\n| --- | --- |", strings.Repeat(" --- |", b.cfg.rounds), " --- | --- | --- | --- |\n")
	for _, phase := range strings.Split(b.cfg.phases, ",") {
		plainRate, plainCPU := b.rates(phase, "plain").median(), b.cpus(phase, "plain", usage.sum).median()
		for _, name := range strings.Split(b.cfg.programs, ",") {
			rates, cpu := b.rates(phase, name), b.cpus(phase, name, usage.sum).median()
			fmt.Fprintf(&s, "| %s | %s |", phase, name)
			for _, r := range rates {
				fmt.Fprintf(&s, " %.0f |", r)
			}
			fmt.Fprintf(&s, " %.0f | %s | %.2f: %.2f, %.2f, %.2f | %s |\n", rates.median(), ratio(rates.median(), plainRate), cpu,
				b.cpus(phase, name, func(u usage) time.Duration { return u.program }).median(),
				b.cpus(phase, name, func(u usage) time.Duration { return u.postgres }).median(),
				b.cpus(phase, name, func(u usage) time.Duration { return u.redis }).median(), ratio(plainCPU, cpu))
		}
	}
	fmt.Fprintln(&s)
	for _, phase := range strings.Split(b.cfg.phases, ",") {
		c, n := b.counts[phase], float64(b.cfg.feedback)
		fmt.Fprintf(&s, "%s: each wrote %d actions, all armed; per action %.1f logs, %.1f events, %.1f messages\n",
			phase, c.Actions, float64(c.Logs)/n, float64(c.Events)/n, float64(c.Messages)/n)
	}
	if _, err := io.WriteString(out, s.String()); err != nil || b.cfg.statements == nil {
		return err
	}
	return b.cfg.statements.write(out)
}

// ratio says how many times below above is; - when one is not known.
func ratio(above, below float64) string {
	if above == 0 || below == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f", above/below)
}

// series is one number per round.
type series []float64

func (b *bench) rates(phase, program string) series {
	return b.series(phase, program, b.rate)
}

// cpus is a part of the CPU time per action, in milliseconds.
func (b *bench) cpus(phase, program string, part func(usage) time.Duration) series {
	return b.series(phase, program, func(r result) float64 {
		return 1000 * part(r.cpu).Seconds() / float64(b.cfg.feedback)
	})
}

func (b *bench) series(phase, program string, of func(result) float64) series {
	var all series
	for _, r := range b.results {
		if r.phase == phase && r.program == program {
			all = append(all, of(r))
		}
	}
	return all
}

// median is 0 of none.
func (s series) median() float64 {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
