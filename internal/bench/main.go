// Command bench measures the program beside a plain one that does the same
// work: one asynq task per feedback, one transaction per task, one round trip
// per command. Both write the same rows on the very same servers, in turns.
//
//	go run ./internal/bench -rounds 3 -feedback 5000
//
// It starts a durable private PostgreSQL and a private Redis without
// persistence, unless it is given others. Every measurement has a database of
// its own.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/pxactions/px/internal/tool"
	"github.com/pxactions/px/tasks"
)

// config is what the flags say.
type config struct {
	feedback    int    // per measurement
	rounds      int    // each runs every phase of both programs
	batch       int    // events in one call of px's intake
	phases      string // comma-separated, of phases()
	programs    string // comma-separated, of programNames()
	databaseURL string // of a server that the benchmark may fill; empty: a private one
	redisURL    string // of a database that the benchmark may empty; empty: a private one
	dir         string // where the private server's data goes; empty: the folder for temporary files
	profile     string // file of a CPU profile of px's last queued phase; empty: none
	timeout     time.Duration
	sql         string      // to run on each measurement's database first; empty: nothing
	statements  *statements // nil: not asked for
}

func main() {
	tasks.LogRedis(zerolog.Nop())
	tool.Main("bench", run)
}

func run(ctx context.Context, args []string, out, progress io.Writer) (err error) {
	cfg, err := parse(args, progress)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, cfg.timeout)
	defer cancel()
	s, err := openServers(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	about, err := s.describe(ctx)
	if err != nil {
		return err
	}
	b := bench{cfg: cfg, servers: s, progress: progress}
	if err := b.run(ctx); err != nil {
		return err
	}
	return b.report(out, about)
}

func parse(args []string, usage io.Writer) (config, error) {
	var c config
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(usage)
	fs.IntVar(&c.feedback, "feedback", 5000, "feedback per measurement")
	fs.IntVar(&c.rounds, "rounds", 3, "rounds; each measures every phase of both programs")
	fs.IntVar(&c.batch, "batch", 100, "events in one call of px's intake, at most 500")
	fs.StringVar(&c.phases, "phases", strings.Join(phases(), ","), "what to measure")
	fs.StringVar(&c.programs, "programs", strings.Join(programNames(), ","), "whom to measure")
	fs.StringVar(&c.databaseURL, "database", "", "PostgreSQL to use, with a role that may create databases (default: a private one)")
	fs.StringVar(&c.redisURL, "redis", "", "Redis database to use; it is emptied (default: a private one)")
	fs.StringVar(&c.dir, "dir", "", "folder for the private PostgreSQL's data (default: the folder for temporary files)")
	fs.StringVar(&c.profile, "profile", "", "file for a CPU profile of px's last queued phase")
	fs.StringVar(&c.sql, "sql", "", "SQL to run on each measurement's database first, to try another index, say")
	traced := fs.Bool("statements", false, "tell what px waits for in the database")
	fs.DurationVar(&c.timeout, "timeout", 10*time.Minute, "end of the whole run")
	if err := fs.Parse(args); err != nil {
		return c, err
	}
	if *traced {
		c.statements = &statements{all: map[string]*statement{}}
	}
	for _, n := range []struct {
		flag       string
		have, most int
	}{{"feedback", c.feedback, 1_000_000}, {"rounds", c.rounds, 100}, {"batch", c.batch, 500}} {
		if n.have < 1 || n.have > n.most {
			return c, fmt.Errorf("-%s: want 1 to %d, have %d", n.flag, n.most, n.have)
		}
	}
	for _, l := range []struct {
		flag, have string
		of         []string
	}{{"phases", c.phases, phases()}, {"programs", c.programs, programNames()}} {
		for _, name := range strings.Split(l.have, ",") {
			if !slices.Contains(l.of, name) {
				return c, fmt.Errorf("-%s: nothing is named %q; want some of %s", l.flag, name, strings.Join(l.of, ","))
			}
		}
	}
	return c, nil
}
