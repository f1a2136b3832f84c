// Command verifybench measures px verify on a ledger of a million actions, with
// the jobs of the live ones in Redis.
//
//	go run ./internal/verifybench
//	go run ./internal/verifybench -actions 200000
//
// It starts a private PostgreSQL and a private Redis, fills them, runs each part
// of verify and prints its time, the slowest queries, and how much memory the
// process had at most. It fails if anything is found: what it made is sound.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"github.com/uptrace/bun"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/internal/listbench/crowd"
	"github.com/pxactions/px/internal/localenv"
	"github.com/pxactions/px/internal/tool"
	"github.com/pxactions/px/migrations"
	"github.com/pxactions/px/store"
	"github.com/pxactions/px/tasks"
)

func main() {
	tool.Main("verifybench", run)
}

func run(ctx context.Context, args []string, out, progress io.Writer) (err error) {
	fs := flag.NewFlagSet("verifybench", flag.ContinueOnError)
	fs.SetOutput(progress)
	actions := fs.Int("actions", 1_000_000, "actions in the database")
	times := fs.Int("times", 2, "runs")
	buffers := fs.String("buffers", "1GB", "PostgreSQL's shared_buffers")
	dir := fs.String("dir", "", "folder for the servers' data, which is kept, and found filled the next time (default: thrown away)")
	if err := fs.Parse(args); err != nil {
		return err
	}
	env, err := localenv.Start(ctx, localenv.Options{DataDir: *dir, Postgres: []string{"shared_buffers=" + *buffers}})
	if err != nil {
		return err
	}
	defer func() { _ = env.Close() }()
	st, err := store.Open(env.DatabaseURL, store.Options{PoolSize: 4})
	if err != nil {
		return err
	}
	defer func() { _ = st.Close() }()
	rdb, err := tasks.NewRedis(env.RedisURL, tasks.RedisOptions{})
	if err != nil {
		return err
	}
	defer func() { _ = rdb.Close() }()
	b := bench{out: out, store: st, queue: tasks.NewQueue(rdb, tasks.QueueOptions{}), queries: map[string]time.Duration{}}
	b.engine = engine.New(engine.Options{Store: st, Queue: b.queue, Log: zerolog.Nop()})
	defer b.engine.Close()
	begun := time.Now()
	if err := b.fill(ctx, *actions); err != nil {
		return err
	}
	fmt.Fprintf(progress, "filled in %.0f s\n", time.Since(begun).Seconds())
	//lint:ignore SA1019 the store opens its own database; there is no other way in
	st.DB().AddQueryHook(&b)
	for range *times {
		if err := b.verify(ctx); err != nil {
			return err
		}
	}
	return nil
}

// bench is a filled system. As a hook of bun it times the queries of the checks.
type bench struct {
	out     io.Writer
	store   *store.Store
	queue   *tasks.Queue
	engine  *engine.Engine
	mu      sync.Mutex // several checks run at a time
	queries map[string]time.Duration
}

// fill makes the actions, unless they are there, and hands their jobs to Redis.
func (b *bench) fill(ctx context.Context, n int) error {
	if _, err := migrations.Up(ctx, b.store.DB()); err != nil {
		return err
	}
	var filled bool
	if err := b.store.DB().NewRaw("SELECT EXISTS (SELECT FROM actions)").Scan(ctx, &filled); err != nil {
		return err
	}
	if !filled {
		if err := crowd.Fill(ctx, b.store.DB(), n, crowd.Lives()...); err != nil {
			return err
		}
	}
	for after, more := (store.Keyset{}), true; more; {
		turn, err := b.engine.ArmAgain(ctx, after)
		if err != nil {
			return err
		}
		after, more = turn.Next, turn.More
	}
	return nil
}

// verify runs what px verify runs, part by part.
func (b *bench) verify(ctx context.Context) error {
	const marker = "a text that nobody wrote"
	parts := []struct {
		name string
		run  func() ([]store.Finding, error)
	}{
		{"queries over the ledger", func() ([]store.Finding, error) { return b.store.VerifyRows(ctx) }},
		{"plans of live actions, and pins", func() ([]store.Finding, error) { return b.store.VerifyPlans(ctx) }},
		{"log chains of the day's part", func() ([]store.Finding, error) { return b.engine.VerifyChains(ctx) }},
		{"Redis, both ways", func() ([]store.Finding, error) { return b.engine.VerifyJobs(ctx, b.queue) }},
		{"--marker", func() ([]store.Finding, error) { return b.engine.FindText(ctx, b.queue, marker) }},
	}
	clear(b.queries)
	var all, cpu time.Duration
	var s strings.Builder
	s.WriteString("| part | s | s of processor |\n| --- | --- | --- |\n")
	for _, p := range parts {
		before, err1 := b.processor(ctx)
		begun := time.Now()
		found, err := p.run()
		took := time.Since(begun)
		after, err2 := b.processor(ctx)
		if err := errors.Join(err, err1, err2); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		if len(found) > 0 {
			return fmt.Errorf("%s: found %+v in what is sound", p.name, found)
		}
		all, cpu = all+took, cpu+after-before
		fmt.Fprintf(&s, "| %s | %.1f | %.1f |\n", p.name, took.Seconds(), (after - before).Seconds())
	}
	fmt.Fprintf(&s, "| **all** | **%.1f** | **%.1f** |\n\n", all.Seconds(), cpu.Seconds())
	if err := b.report(ctx, &s); err != nil {
		return err
	}
	_, err := io.WriteString(b.out, s.String())
	return err
}

func (b *bench) report(ctx context.Context, s *strings.Builder) error {
	var sizes struct{ Actions, Live, Logs, Events, Messages, Feedback int64 }
	err := b.store.DB().NewRaw(`SELECT (SELECT count(*) FROM actions) AS actions, (SELECT count(*) FROM actions WHERE next_at IS NOT NULL) AS live, (SELECT count(*) FROM action_logs) AS logs,
		(SELECT count(*) FROM deadline_events) AS events, (SELECT count(*) FROM messages) AS messages, (SELECT count(*) FROM feedback) AS feedback`).Scan(ctx, &sizes)
	if err != nil {
		return err
	}
	peak, err := peakMemory()
	if err != nil {
		return err
	}
	fmt.Fprintf(s, "%d CPUs, %s; %+v; VmHWM %s\n\n", runtime.NumCPU(), runtime.Version(), sizes, peak)
	slowest := slices.SortedFunc(maps.Keys(b.queries), func(x, y string) int { return int(b.queries[y] - b.queries[x]) })
	for _, q := range slowest[:min(12, len(slowest))] {
		fmt.Fprintf(s, "%6.2f s  %s\n", b.queries[q].Seconds(), q)
	}
	s.WriteString("\n")
	return nil
}

// processor is how long this process and all of PostgreSQL have had a processor
// so far: what counts on a machine that others use.
func (b *bench) processor(ctx context.Context) (time.Duration, error) {
	var backend int
	if err := b.store.DB().NewRaw("SELECT pg_backend_pid()").Scan(ctx, &backend); err != nil {
		return 0, err
	}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	type process struct{ parent, own, ended int } // ended: of its children that are gone; all in hundredths
	all := map[int]process{}
	for _, name := range stats {
		raw, err := os.ReadFile(name)
		if err != nil {
			continue // gone meanwhile
		}
		_, rest, _ := strings.Cut(string(raw), ") ")
		f := strings.Fields(rest)
		at := func(i int) int { n, _ := strconv.Atoi(f[i]); return n }
		pid, _ := strconv.Atoi(strings.Split(name, "/")[2])
		all[pid] = process{parent: at(1), own: at(11) + at(12), ended: at(13) + at(14)}
	}
	postmaster := all[backend].parent
	sum := all[os.Getpid()].own + all[postmaster].own + all[postmaster].ended
	for _, p := range all {
		if p.parent == postmaster {
			sum += p.own
		}
	}
	return time.Duration(sum) * 10 * time.Millisecond, nil
}

// peakMemory is the most memory that this process has had, as Linux tells it.
func peakMemory() (string, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return "", fmt.Errorf("peak memory: %w", err)
	}
	for line := range strings.Lines(string(status)) {
		if peak, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			return strings.TrimSpace(peak), nil
		}
	}
	return "", errors.New("peak memory: the kernel does not tell it")
}

// checkName is what a check's query begins with.
var checkName = regexp.MustCompile(`^/\* px verify: (.*?) \*/`)

// BeforeQuery implements bun.QueryHook.
func (b *bench) BeforeQuery(ctx context.Context, _ *bun.QueryEvent) context.Context { return ctx }

// AfterQuery implements bun.QueryHook.
func (b *bench) AfterQuery(_ context.Context, e *bun.QueryEvent) {
	if m := checkName.FindStringSubmatch(e.Query); m != nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.queries[m[1]] += time.Since(e.StartTime)
	}
}
