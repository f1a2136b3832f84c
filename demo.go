package main

import (
	"context"
	"embed"
	"errors"
	"io/fs"
	"net"
	"os"
	"time"

	"github.com/rs/zerolog"

	"github.com/pxactions/px/internal/demo"
	"github.com/pxactions/px/internal/localenv"
	"github.com/pxactions/px/samples"
	"github.com/pxactions/px/store"
)

//go:embed testdata/feedback/*.ndjson
var sampleFeedback embed.FS

// demoSpeed is how much faster domain time runs: ten minutes a second.
const demoSpeed = 600

type demoCmd struct {
	For  time.Duration `default:"60s" help:"How long the demo runs, 10s at least."`
	JSON bool          `help:"One JSON object per event, and last the summary."`
}

// Run plays the samples through every process, with staff who work some actions
// in time, some late and some never, and sums up what came of it.
func (c demoCmd) Run(ctx context.Context, s *Settings) (err error) {
	if c.For < 10*time.Second {
		return usagef("--for: 10s at least")
	}
	quiet(s, zerolog.ErrorLevel)
	log := s.logger("demo")
	end, err := private(ctx, s, localenv.Options{AllowMiniredis: true, Log: log.Level(min(log.GetLevel(), 1))})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	keys, err := c.prepare(ctx, s)
	if err != nil {
		return err
	}
	s.SweepInterval.V, s.SweepGrace.V = 500*time.Millisecond, time.Second
	s.ProducerAddr, s.WebAddr = freeAddr(s.ProducerAddr), freeAddr(s.WebAddr)
	s.LinkBase, s.OpsAddr = "http://"+s.WebAddr, ""
	a, err := open(ctx, s, "demo")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	return c.play(ctx, a, keys)
}

// prepare makes an empty database into that of two hospitals, with its clock at
// the demo's speed and a key for each source system.
func (c demoCmd) prepare(ctx context.Context, s *Settings) (map[string]string, error) {
	keys := map[string]string{}
	err := withStore(ctx, s, func(st *store.Store) error {
		// Before the migrations: a demo changes nothing of somebody's database.
		empty, err := st.Empty(ctx)
		if err != nil {
			return err
		}
		if !empty {
			return usagef("PX_DATABASE_URL: px demo sets the clock of its database, so it takes only an empty one: without people, places, policy, keys, feedback and actions")
		}
		if err := prepare(ctx, s); err != nil {
			return err
		}
		if err := st.SetClock(ctx, demo.Start(), demoSpeed); err != nil {
			return err
		}
		if err := applySamples(ctx, st, samples.DemoPolicy); err != nil {
			return err
		}
		sources, err := demo.Sources(c.samples())
		if err != nil {
			return err
		}
		for _, source := range sources {
			if keys[source], err = newKey(ctx, st, source); err != nil {
				return err
			}
		}
		return nil
	})
	return keys, err
}

func (c demoCmd) samples() fs.FS {
	sub, err := fs.Sub(sampleFeedback, "testdata/feedback")
	if err != nil {
		panic(err) // the pattern above is the path
	}
	return sub
}

func (c demoCmd) play(ctx context.Context, a *app, keys map[string]string) error {
	parts, err := a.parts((*app).producer, (*app).worker, (*app).scheduler, (*app).web)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	d, err := demo.New(demo.Options{
		Store: a.store, Engine: a.engine, Verify: func(ctx context.Context) (int64, error) {
			found, err := a.engine.Verify(ctx, a.queue)
			return violations(found), err
		},
		Samples: c.samples(), Keys: keys, Intake: "http://" + a.settings.ProducerAddr, Pages: "http://" + a.settings.WebAddr,
		For: c.For, JSON: c.JSON, Out: os.Stdout, Color: isTerminal(os.Stdout),
	})
	if err != nil {
		return err
	}
	show := func(ctx context.Context) error {
		defer cancel()
		return d.Run(ctx)
	}
	return runParts(ctx, append(parts, show)...)
}

// freeAddr is addr when nobody listens there, else a free port of the same host.
func freeAddr(addr string) string {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	for _, try := range []string{addr, net.JoinHostPort(host, "0")} {
		l, err := net.Listen("tcp", try)
		if err != nil {
			continue
		}
		defer func() { _ = l.Close() }()
		return l.Addr().String()
	}
	return addr
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
