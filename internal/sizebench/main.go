// Command sizebench measures what the program asks of the story of actions and of
// messages when these tables have grown to 50 million rows, against a million.
//
//	go run ./internal/sizebench -table action_logs -dir /var/tmp/px-sizes
//	go run ./internal/sizebench -table messages -rows 1000000,5000000
//
// It starts a private PostgreSQL, fills it with a crowd of actions and swells one
// table with the rows of years before, size by size; then it times the calls of
// the program. 50 million rows need about 20 GB.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/pxactions/px/internal/localenv"
	"github.com/pxactions/px/internal/tool"
	"github.com/pxactions/px/store"
)

// config is what the flags say.
type config struct {
	table   string // which one swells
	rows    []int  // to how many rows, one size after the other
	actions int    // of the crowd, whose stories and messages are worked with
	times   int    // each call
	buffers string // PostgreSQL's shared_buffers
	dir     string // where the private server's data goes; empty: the folder for temporary files
}

func main() {
	tool.Main("sizebench", run)
}

func parse(args []string, usage io.Writer) (config, error) {
	var c config
	fs := flag.NewFlagSet("sizebench", flag.ContinueOnError)
	fs.SetOutput(usage)
	rows := fs.String("rows", "1000000,50000000", "sizes of the table, one after the other")
	fs.StringVar(&c.table, "table", "action_logs", "which table swells: action_logs or messages")
	fs.IntVar(&c.actions, "actions", 50_000, "actions of the crowd; each has four log rows and 1.3 messages")
	fs.IntVar(&c.times, "times", 200, "how often each call is made")
	fs.StringVar(&c.buffers, "buffers", "1GB", "PostgreSQL's shared_buffers")
	fs.StringVar(&c.dir, "dir", "", "folder for the private PostgreSQL's data, which is kept, and swollen on the next time (default: thrown away)")
	if err := fs.Parse(args); err != nil {
		return c, err
	}
	for s := range strings.SplitSeq(*rows, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 100_000 {
			return c, fmt.Errorf("-rows: want numbers of 100000 at least, with commas between them")
		}
		c.rows = append(c.rows, n)
	}
	if fillers()[c.table] == "" {
		return c, errors.New("-table: want action_logs or messages")
	}
	if c.actions < 10_000 || c.times < 20 {
		return c, errors.New("-actions: want 10000 at least; -times: want 20 at least")
	}
	return c, nil
}

func run(ctx context.Context, args []string, out, progress io.Writer) (err error) {
	cfg, err := parse(args, progress)
	if err != nil {
		return err
	}
	// How long a commit takes to reach the disk hangs on no table's size: left out.
	env, err := localenv.StartPostgres(ctx, localenv.Options{DataDir: cfg.dir, Postgres: []string{
		"shared_buffers=" + cfg.buffers, "fsync=off", "synchronous_commit=off", "full_page_writes=off",
		"wal_level=minimal", "max_wal_senders=0", "max_wal_size=1GB", "maintenance_work_mem=512MB",
	}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, env.Close()) }()
	b := bench{cfg: cfg, progress: progress}
	for _, open := range []struct {
		to    **store.Store
		conns int
	}{{&b.fill, 2}, {&b.store, 1}} {
		st, err := store.Open(env.DatabaseURL, store.Options{PoolSize: open.conns})
		if err != nil {
			return err
		}
		defer func() { _ = st.Close() }()
		*open.to = st
	}
	if err := b.people(ctx); err != nil {
		return err
	}
	for _, n := range cfg.rows {
		begun := time.Now()
		if err := b.swell(ctx, n); err != nil {
			return err
		}
		fmt.Fprintf(progress, "%d rows in %.0f s\n", n, time.Since(begun).Seconds())
		if err := b.measure(ctx); err != nil {
			return fmt.Errorf("%d rows: %w", n, err)
		}
	}
	return b.report(ctx, out)
}
