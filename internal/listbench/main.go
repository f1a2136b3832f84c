// Command listbench measures the list of actions: every filter, in every order,
// for several readers, over a million actions.
//
//	go run ./internal/listbench
//
// It starts a private PostgreSQL, unless it is given another, fills a database
// of its own, times the calls that the program makes (the first page, the
// second, and one 1,000 actions further), and looks at the plan of each. It
// fails where a plan reads a table from end to end or sorts too many rows, and
// where the pages of a kind of filter, in an order, take longer than they may.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/pxactions/px/internal/listbench/crowd"
	"github.com/pxactions/px/internal/localenv"
	"github.com/pxactions/px/internal/tool"
	"github.com/pxactions/px/migrations"
	"github.com/pxactions/px/store"
)

// buffers is the memory of the private server, for its own is made for a demo. A
// server of a group of hospitals has more: PostgreSQL's manual begins at a quarter of the machine.
const buffers = "4GB"

// config is what the flags say.
type config struct {
	actions     int
	times       int           // each page
	most        time.Duration // that a page may take, at the 95th percentile
	busy        bool          // judge by the server's processor time: others use the machine
	only        string        // filters whose name has this in it; empty: all
	databaseURL string        // of an empty database, or of one that was filled before; empty: a private one
	dir         string        // where the private server's data goes; empty: the folder for temporary files
}

func main() {
	tool.Main("listbench", run)
}

func parse(args []string, usage io.Writer) (config, error) {
	var c config
	fs := flag.NewFlagSet("listbench", flag.ContinueOnError)
	fs.SetOutput(usage)
	fs.IntVar(&c.actions, "actions", 1_000_000, "actions in the database")
	fs.IntVar(&c.times, "times", 10, "how often each page is asked for")
	fs.DurationVar(&c.most, "most", 50*time.Millisecond, "how long a page may take, at the 95th percentile")
	fs.BoolVar(&c.busy, "busy", false, "measure the processor time of the server, for a machine that others use")
	fs.StringVar(&c.only, "only", "", "only filters with this in their name")
	fs.StringVar(&c.databaseURL, "database", "", "PostgreSQL database to use; filled if it has no actions (default: a private one)")
	fs.StringVar(&c.dir, "dir", "", "folder for the private PostgreSQL's data (default: the folder for temporary files)")
	if err := fs.Parse(args); err != nil {
		return c, err
	}
	if c.actions < 1000 || c.times < 1 {
		return c, errors.New("-actions: want 1000 at least; -times: want 1 at least")
	}
	return c, nil
}

func run(ctx context.Context, args []string, out, progress io.Writer) (err error) {
	cfg, err := parse(args, progress)
	if err != nil {
		return err
	}
	if cfg.databaseURL == "" {
		dir, err := os.MkdirTemp(cfg.dir, "px-listbench-")
		if err != nil {
			return fmt.Errorf("folder for the private PostgreSQL: %w", err)
		}
		defer func() { _ = os.RemoveAll(dir) }()
		if err := os.Chmod(dir, 0o755); err != nil { // the server may run as another user
			return fmt.Errorf("folder for the private PostgreSQL: %w", err)
		}
		env, err := localenv.StartPostgres(ctx, localenv.Options{DataDir: dir, Postgres: []string{"shared_buffers=" + buffers}})
		if err != nil {
			return err
		}
		defer func() { _ = env.Close() }()
		cfg.databaseURL = env.DatabaseURL
	}
	if err := fill(ctx, cfg, progress); err != nil {
		return err
	}
	st, err := store.Open(cfg.databaseURL, store.Options{PoolSize: 1})
	if err != nil {
		return fmt.Errorf("-database: %w", err)
	}
	defer func() { _ = st.Close() }()
	b := bench{cfg: cfg, store: st, progress: progress}
	if err := b.run(ctx); err != nil {
		return err
	}
	b.slow()
	if err := b.report(ctx, out); err != nil {
		return err
	}
	if len(b.faults) > 0 {
		return fmt.Errorf("%d faults:\n%s", len(b.faults), strings.Join(b.faults, "\n"))
	}
	return nil
}

// fill migrates and fills a database that has no actions.
func fill(ctx context.Context, cfg config, progress io.Writer) error {
	st, err := store.Open(cfg.databaseURL, store.Options{PoolSize: 2})
	if err != nil {
		return fmt.Errorf("-database: %w", err)
	}
	defer func() { _ = st.Close() }()
	if _, err := migrations.Up(ctx, st.DB()); err != nil {
		return err
	}
	var filled bool
	if err := st.DB().NewRaw("SELECT EXISTS (SELECT FROM actions)").Scan(ctx, &filled); err != nil || filled {
		return err
	}
	begun := time.Now()
	if err := crowd.Fill(ctx, st.DB(), cfg.actions); err != nil {
		return err
	}
	fmt.Fprintf(progress, "%d actions made in %.0f s\n", cfg.actions, time.Since(begun).Seconds())
	return nil
}
