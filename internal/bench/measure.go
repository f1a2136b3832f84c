package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/model"
)

const (
	sourceSystem = "bench"
	// pollEvery is how exactly the end of a measurement is known.
	pollEvery = 10 * time.Millisecond
)

// The phases. Queued: feedback is committed and its creation tasks are in Redis
// when workers start. Whole: workers run; the clock starts with the first event
// that comes in. Both end when every action is committed and armed. Storm: all
// actions are due in the same second; the clock starts at that second and ends
// when every event is taken and every next job is armed.
const (
	phaseQueued = "queued"
	phaseWhole  = "whole"
	phaseStorm  = "storm"
)

func phases() []string { return []string{phaseQueued, phaseWhole, phaseStorm} }

// bench runs the measurements and keeps them.
type bench struct {
	cfg      config
	servers  *servers
	progress io.Writer
	results  []result
	counts   map[string]counts // by phase: what the first measurement wrote
}

type result struct {
	phase, program string
	round          int
	took           time.Duration
	cpu            usage
}

// counts are the rows that a measurement left behind.
type counts struct{ Actions, Armed, Logs, Events, Messages, Decided int }

func (b *bench) run(ctx context.Context) error {
	b.counts = map[string]counts{}
	for round := 1; round <= b.cfg.rounds; round++ {
		for _, phase := range strings.Split(b.cfg.phases, ",") {
			for _, name := range strings.Split(b.cfg.programs, ",") {
				r := result{phase: phase, program: name, round: round}
				if err := b.measure(ctx, &r); err != nil {
					return fmt.Errorf("round %d, %s, %s: %w", round, phase, name, err)
				}
				b.results = append(b.results, r)
				fmt.Fprintf(b.progress, "round %d  %-7s %-6s %6.0f/s  %5.2f ms of CPU each\n", round, phase, name, b.rate(r), b.cpuEach(r))
			}
		}
	}
	return nil
}

func (b *bench) rate(r result) float64 { return float64(b.cfg.feedback) / r.took.Seconds() }

// cpuEach is the CPU time per action in milliseconds, both servers included.
func (b *bench) cpuEach(r result) float64 {
	return 1000 * r.cpu.sum().Seconds() / float64(b.cfg.feedback)
}

func (b *bench) measure(ctx context.Context, r *result) (err error) {
	w, err := b.servers.fresh(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.drop()) }()
	if _, err := w.db().ExecContext(ctx, b.cfg.sql); err != nil {
		return fmt.Errorf("-sql: %w", err)
	}
	p, err := newProgram(r.program, w, b.cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	now, err := w.store.Now(ctx)
	if err != nil {
		return err
	}
	events := eventsOf(b.cfg.feedback, r.phase == phaseStorm, now.Domain)
	runtime.GC()
	switch r.phase {
	case phaseQueued:
		err = b.queued(ctx, w, p, events, r)
	case phaseWhole:
		err = b.whole(ctx, w, p, events, r)
	default:
		err = b.storm(ctx, w, p, events, r)
	}
	if err != nil {
		return err
	}
	return b.check(ctx, w, r)
}

func (b *bench) queued(ctx context.Context, w *world, p program, events []engine.Event, r *result) (err error) {
	if err := p.accept(ctx, events); err != nil {
		return err
	}
	if b.cfg.profile != "" && r.program == "px" && r.round == b.cfg.rounds {
		f, err := os.Create(b.cfg.profile)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	end, err := b.begin(ctx, r)
	if err != nil {
		return err
	}
	stop, err := p.work(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	if err := await(ctx, w, allArmed); err != nil {
		return err
	}
	return end(time.Now())
}

func (b *bench) whole(ctx context.Context, w *world, p program, events []engine.Event, r *result) (err error) {
	stop, err := p.work(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	end, err := b.begin(ctx, r)
	if err != nil {
		return err
	}
	if err := p.accept(ctx, events); err != nil {
		return err
	}
	if err := await(ctx, w, allArmed); err != nil {
		return err
	}
	return end(time.Now())
}

// begin starts the clock and the count of CPU time; end stops both.
func (b *bench) begin(ctx context.Context, r *result) (end func(at time.Time) error, err error) {
	before, err := b.servers.cpu(ctx)
	start := time.Now()
	return func(at time.Time) error {
		r.took = at.Sub(start)
		after, err := b.servers.cpu(ctx)
		r.cpu = after.minus(before)
		return err
	}, err
}

const (
	allArmed = `SELECT NOT EXISTS (SELECT FROM feedback WHERE decision IS NULL)
		AND NOT EXISTS (SELECT FROM actions WHERE next_at IS NOT NULL AND armed_gen < gen)`
	allFired = `SELECT NOT EXISTS (SELECT FROM actions WHERE next_at <= ?::timestamptz)
		AND NOT EXISTS (SELECT FROM actions WHERE next_at IS NOT NULL AND armed_gen < gen)`
)

// await returns once the query says true.
func await(ctx context.Context, w *world, query string, args ...any) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		var done bool
		if err := w.db().NewRaw(query, args...).Scan(ctx, &done); err != nil {
			return err
		}
		if done {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// check counts what was written: both programs must have written the same.
func (b *bench) check(ctx context.Context, w *world, r *result) error {
	var c counts
	err := w.db().NewRaw(`SELECT (SELECT count(*) FROM actions) AS actions, (SELECT count(*) FROM actions WHERE armed_gen = gen) AS armed,
		(SELECT count(*) FROM action_logs) AS logs, (SELECT count(*) FROM deadline_events) AS events, (SELECT count(*) FROM messages) AS messages,
		(SELECT count(*) FROM feedback WHERE decision = 'created') AS decided`).Scan(ctx, &c)
	if err != nil {
		return err
	}
	if n := b.cfg.feedback; c.Actions != n || c.Armed != n || c.Decided != n {
		return fmt.Errorf("wrote %+v, want %d actions, all armed", c, n)
	}
	if first, ok := b.counts[r.phase]; ok && c != first {
		return fmt.Errorf("wrote %+v, but the first measurement %+v: they did not do the same work", c, first)
	}
	b.counts[r.phase] = c
	return nil
}

// eventsOf makes complaints over departments and severities; for a storm all
// have the same deadline.
func eventsOf(n int, same bool, now time.Time) []engine.Event {
	departments := []string{"ED", "WARD3", "OPD", "PHARM", "LAB"}
	severities := []model.Severity{model.SeverityLow, model.SeverityMedium, model.SeverityHigh, model.SeverityCritical}
	text := strings.Repeat("The visit took far longer than anybody said it would. ", 4)
	received := now.Add(-time.Minute).Truncate(time.Second)
	events := make([]engine.Event, n)
	for i := range events {
		e := engine.Event{
			EventID: fmt.Sprint("event-", i), SourceType: model.SourceComplaint, Hospital: "RUH", Department: departments[i%len(departments)],
			Subject: fmt.Sprint("patient-", i), Severity: severities[i%len(severities)], Category: model.CategoryServiceQuality,
			Title: "Waited for hours", Text: text, ReceivedAt: &received,
		}
		if same {
			e.Department, e.Severity = "ED", model.SeverityHigh
		}
		events[i] = e
	}
	return events
}
