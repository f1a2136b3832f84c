// Command overload offers the intake ten times what it can take, and checks that
// it stays up, keeps within a bound of memory and keeps every event that it has
// answered 202:
//
//	go run ./internal/overload -for 5m
//
// It starts a durable private PostgreSQL, a private Redis, one px producer with
// its usual settings and one px worker, measures for a while what the producer
// takes from a few senders that wait for their answers, and then offers ten times
// that, whatever the answers are. The load comes from this machine, too.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/pxactions/px/internal/tool"
)

// config is what the flags say.
type config struct {
	measure time.Duration // of what is sustainable
	span    time.Duration // of the overload
	times   int           // what is offered, by what is sustainable
	memory  int64         // bytes that the producer may have, at most
	px      string        // the program; empty: built anew
	dir     string        // where the data of PostgreSQL goes
}

func main() {
	tool.Main("overload", run)
}

func parse(args []string, usage io.Writer) (config, error) {
	var c config
	var megabytes int64
	fs := flag.NewFlagSet("overload", flag.ContinueOnError)
	fs.SetOutput(usage)
	fs.DurationVar(&c.measure, "measure", 10*time.Second, "how long to measure what is sustainable")
	fs.DurationVar(&c.span, "for", 5*time.Minute, "how long to offer too much")
	fs.IntVar(&c.times, "times", 10, "how much too much")
	fs.Int64Var(&megabytes, "memory", 384, "MiB that the producer may have, at most")
	fs.StringVar(&c.px, "px", "", "px, built already (default: built anew)")
	fs.StringVar(&c.dir, "dir", "", "folder for the data of PostgreSQL (default: the folder for temporary files)")
	if err := fs.Parse(args); err != nil {
		return c, err
	}
	c.memory = megabytes << 20
	if c.measure <= 0 || c.span <= 0 || c.times < 1 || megabytes < 1 || fs.NArg() > 0 {
		return c, errors.New("want -measure and -for above 0, -times and -memory of at least 1, and nothing else")
	}
	return c, nil
}

func run(ctx context.Context, args []string, out, progress io.Writer) (err error) {
	cfg, err := parse(args, progress)
	if err != nil {
		return err
	}
	c, err := start(ctx, cfg, progress)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	l := newLoad(c)
	fmt.Fprintf(progress, "measuring for %s\n", cfg.measure)
	taken := l.closed(ctx, cfg.measure)
	if taken < 1 {
		return fmt.Errorf("the intake takes nothing: %s", l.sum())
	}
	before := l.forget()
	fmt.Fprintf(progress, "it takes %.0f events a second; offering %d times that for %s\n", taken, cfg.times, cfg.span)
	watch := c.watch(ctx)
	offered := l.open(ctx, cfg.span, taken*float64(cfg.times))
	up := watch()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return report(ctx, out, cfg, c, l, facts{sustainable: taken, offered: offered, up: up, before: before})
}

// facts are what was seen besides the answers.
type facts struct {
	sustainable, offered float64 // events a second
	up                   health
	before               int // events that were answered 202 before the overload
}

// report tells what was measured; the error is what does not hold.
func report(ctx context.Context, out io.Writer, cfg config, c *cluster, l *load, f facts) error {
	peak, memErr := c.peak()
	kept, err := c.compare(ctx, l)
	if err != nil {
		return err
	}
	s := l.sum()
	fmt.Fprintf(out, "sustainable        %8.0f events/s\n", f.sustainable)
	fmt.Fprintf(out, "offered            %8.0f events/s in %.0f requests/s for %s\n", f.offered, float64(s.requests)/cfg.span.Seconds(), cfg.span)
	fmt.Fprintf(out, "answered 202       %8d events, %.0f/s; p50 %s, p99 %s\n", s.accepted, float64(s.accepted)/cfg.span.Seconds(), l.quantile(.5), l.quantile(.99))
	fmt.Fprintf(out, "requests refused   %8d 429, %d 503 overloaded, %d 503 unavailable, %d 422, %d without an answer, %d else\n",
		s.limited, s.overloaded, s.unavailable, s.invalid, s.silent, s.other)
	fmt.Fprintf(out, "rows               %8d of %d events answered 202 since the start; %d more that were answered unavailable, or not at all\n", kept.rows-kept.unsure, s.accepted+f.before, kept.unsure)
	fmt.Fprintf(out, "peak memory        %8d MiB of %d (VmHWM of px producer)\n", peak>>20, cfg.memory>>20)
	fmt.Fprintf(out, "health             %8d of %d probes answered in time; the slowest took %s\n", f.up.good, f.up.asked, f.up.slowest.Round(time.Millisecond))
	var faults []error
	fault := func(broken bool, format string, args ...any) {
		if broken {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	fault(kept.lost > 0, "%d events were answered 202 and have no row", kept.lost)
	fault(kept.unknown > 0, "%d rows are of events that were refused", kept.unknown)
	fault(memErr == nil && peak > cfg.memory, "px producer had %d MiB, more than %d", peak>>20, cfg.memory>>20)
	fault(f.up.good < f.up.asked, "px producer was not up all the time")
	fault(s.accepted == 0, "nothing was taken")
	fault(s.other > 0, "%d answers are none of those that are meant", s.other)
	fault(l.quantile(.99) > answerWithin, "the slowest accepted took more than %s", answerWithin)
	return errors.Join(append(faults, memErr)...)
}
