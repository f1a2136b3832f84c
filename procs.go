package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/internal/openapi"
	"github.com/pxactions/px/internal/ops"
	"github.com/pxactions/px/producer"
	"github.com/pxactions/px/scheduler"
	"github.com/pxactions/px/store"
	"github.com/pxactions/px/tasks"
	"github.com/pxactions/px/web"
	"github.com/pxactions/px/worker"
)

// part is one of the jobs a process does until its context ends.
type part func(ctx context.Context) error

// runParts runs parts side by side; the first that fails ends the others, and
// all have ended when it returns.
func runParts(ctx context.Context, parts ...part) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := make([]error, len(parts))
	var wg sync.WaitGroup
	for i, p := range parts {
		wg.Go(func() {
			if errs[i] = p(ctx); errs[i] != nil {
				cancel()
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// process opens an app, runs what make says beside the ops endpoints, and
// closes it.
func process(ctx context.Context, s *Settings, name string, checks func(*app) []ops.Check, parts ...func(*app) (part, error)) (err error) {
	a, err := open(ctx, s, name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	all, err := a.parts(parts...)
	if err != nil {
		return err
	}
	o, err := a.ops(name, checks(a))
	if err != nil {
		return err
	}
	a.tellDurability(ctx)
	a.log.Info().Str("version", built()).Msg("process started")
	err = a.serve(ctx, o, append(all, a.watchClock))
	a.log.Info().Msg("process stopped")
	return err
}

// tellDurability says once which commits PostgreSQL may lose.
func (a *app) tellDurability(ctx context.Context) {
	d, err := a.store.Durability(ctx)
	if err != nil {
		a.log.Warn().Err(err).Msg("how safe PostgreSQL keeps its commits is not known")
		return
	}
	window, safe := d.Loss()
	line := a.log.Info()
	if !safe {
		line = a.log.Warn()
	}
	line.Str("replication", d.Replication()).Str("synchronous_commit", d.Commit).Str("synchronous_standby_names", d.Standbys).
		Str("may_be_lost", window).Msg("how safe PostgreSQL keeps its commits")
}

// serve runs the parts; the ops endpoints outlive them, so that an operator can
// watch a drain.
func (a *app) serve(ctx context.Context, o *ops.Server, parts []part) error {
	opsCtx, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	defer context.AfterFunc(ctx, o.Stopping)()
	work := func(ctx context.Context) error {
		defer end()
		return runParts(ctx, parts...)
	}
	if a.settings.OpsAddr == "" {
		return work(ctx)
	}
	l, err := a.listenOps()
	if err != nil {
		return err
	}
	return runParts(ctx, work, func(context.Context) error { return o.ServeListener(opsCtx, l) })
}

// listenOps listens on PX_OPS_ADDR. Several processes on one machine share its
// default, so there the second and further ones take a free port and say which.
func (a *app) listenOps() (net.Listener, error) {
	l, err := listen("PX_OPS_ADDR", a.settings.OpsAddr)
	if errors.Is(err, syscall.EADDRINUSE) && a.settings.OpsAddr == defaultOpsAddr {
		return listen("PX_OPS_ADDR", "127.0.0.1:0")
	}
	return l, err
}

func (a *app) parts(makers ...func(*app) (part, error)) ([]part, error) {
	var all []part
	for _, m := range makers {
		p, err := m(a)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// checkDatabase and checkRedis are what readiness depends on.
func (a *app) checkDatabase() ops.Check {
	return ops.Check{Name: "postgresql", Required: true, Run: a.store.Writable}
}

// checkOwners degrades a process while a live action has nobody to own it.
func (a *app) checkOwners() ops.Check {
	return ops.Check{Name: "owners", Run: func(ctx context.Context) error {
		unowned, err := a.store.Unowned(ctx)
		if err == nil && unowned {
			err = errors.New("live actions without an owner: the directory has nobody eligible")
		}
		return err
	}}
}

// checkChannels degrades a process that people are to be told through while it
// lacks a channel that an active person has.
func (a *app) checkChannels() ops.Check {
	return ops.Check{Name: "channels", Run: func(ctx context.Context) error {
		dir, err := a.store.Directory(ctx)
		if err != nil {
			return err
		}
		for _, u := range dir.Users {
			for _, ch := range u.Channels.V {
				if u.Active && !slices.Contains(a.channels, ch) {
					return fmt.Errorf("people are to be told by %s, which has no settings here", ch)
				}
			}
		}
		return nil
	}}
}

func (a *app) checkRedis(required bool) ops.Check {
	return ops.Check{Name: "redis", Required: required, Run: a.queue.Ping}
}

// checkFiles degrades a process that cannot reach the storage of files. A storage
// that hangs must not hold up the answer: an orchestrator waits for it a second.
func (a *app) checkFiles() ops.Check {
	return ops.Check{Name: "files", Timeout: 500 * time.Millisecond, Run: a.files.Check}
}

func (a *app) ops(name string, checks []ops.Check) (*ops.Server, error) {
	o := ops.Options{
		Process: name, Metrics: a.metrics, Checks: checks, Now: time.Now, Log: a.log,
		Counts: func(ctx context.Context) (ops.Counts, error) {
			n, err := a.store.Counts(ctx)
			return ops.Counts(n), err
		},
		Depths: func(ctx context.Context) (map[string]ops.Depth, error) {
			depths, err := a.queue.Depths(ctx)
			out := make(map[string]ops.Depth, len(depths))
			for q, d := range depths {
				out[q] = ops.Depth(d)
			}
			return out, err
		},
	}
	return ops.New(o)
}

// listen opens a listener, with an error that names the setting.
func listen(setting, addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", setting, err)
	}
	return l, nil
}

type producerCmd struct{}

// Run takes feedback in until told to stop. It stays ready without Redis.
func (producerCmd) Run(ctx context.Context, s *Settings) error {
	if err := s.needed("producer", true); err != nil {
		return err
	}
	return process(ctx, s, "producer", func(a *app) []ops.Check {
		return []ops.Check{a.checkDatabase(), a.checkRedis(false), a.checkClock()}
	}, (*app).producer)
}

// description is that of the whole HTTP interface, whichever process serves it.
func description() (*openapi.Doc, error) {
	return openapi.New(built(), producer.Describe, web.Describe)
}

func (a *app) producer() (part, error) {
	doc, err := description()
	if err != nil {
		return nil, err
	}
	p, err := producer.New(producer.Options{
		Engine: a.engine, Log: a.log, Doc: doc, Limit: a.settings.limiter(),
		MaxRequests: a.settings.IntakeRequests.V, MaxHeld: int64(a.settings.IntakeBytes.V),
	})
	if err != nil {
		return nil, err
	}
	l, err := listen("PX_PRODUCER_ADDR", a.settings.ProducerAddr)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		a.log.Info().Stringer("addr", l.Addr()).Msg("intake open")
		return ops.Serve(ctx, l, p, a.log)
	}, nil
}

type workerCmd struct{}

// Run works tasks until told to stop, and then drains.
func (workerCmd) Run(ctx context.Context, s *Settings) error {
	var w *worker.Worker
	return process(ctx, s, "worker", func(a *app) []ops.Check {
		taking := ops.Check{Name: "taking tasks", Required: true, Run: func(context.Context) error { return w.Ready() }}
		return []ops.Check{a.checkDatabase(), a.checkRedis(true), taking, a.checkOwners(), a.checkChannels(), a.checkClock()}
	}, func(a *app) (part, error) {
		var err error
		w, err = a.newWorker()
		if err != nil {
			return nil, err
		}
		return w.Run, nil
	})
}

func (a *app) newWorker() (*worker.Worker, error) {
	s := a.settings
	return worker.New(worker.Config{
		Concurrency: map[string]int{
			tasks.QueueIntake: s.ConcurrencyIntake.V, tasks.QueueEscalation: s.ConcurrencyEscalation.V,
			tasks.QueueReminder: s.ConcurrencyReminder.V, tasks.QueueMessage: s.ConcurrencyMessage.V,
		},
		Drain:        s.DrainTimeout.V,
		Housekeeping: a.housekeeping(),
	}, a.redis, a.engine, a.log, a.metrics)
}

func (a *app) worker() (part, error) {
	w, err := a.newWorker()
	if err != nil {
		return nil, err
	}
	return w.Run, nil
}

// housekeeping is the periodic work by its name. A tick that is not due is
// passed over: every scheduler ticks.
func (a *app) housekeeping() map[string]func(context.Context) error {
	work := map[string]func(context.Context) error{"verify": a.verify, "hygiene": a.hygiene, "feeds": a.refreshFeeds, "audit": a.engine.SealDays, "files": a.sweepFiles, "retention": a.engine.Retain}
	due := map[string]func(context.Context) error{}
	for _, p := range scheduler.Housekeeping() {
		due[p.Name] = func(ctx context.Context) error { return p.Do(ctx, a.store, a.holder, work[p.Name]) }
	}
	return due
}

func (a *app) verify(ctx context.Context) error {
	for _, invariant := range engine.Invariants() { // shown before the first is broken: what rises from nothing is no rise
		a.metrics.Violations.WithLabelValues(invariant)
	}
	found, err := a.engine.Verify(ctx, a.queue)
	for _, f := range found {
		a.metrics.Violations.WithLabelValues(f.Invariant).Add(float64(f.Count))
		a.log.Error().Str("invariant", f.Invariant).Str("what", f.What).Int64("rows", f.Count).Strs("examples", f.Examples).Msg("invariant broken")
	}
	return err
}

func (a *app) hygiene(ctx context.Context) error {
	r, err := a.queue.Repair(ctx)
	if r.Total() > 0 {
		a.log.Warn().Int("dangling", r.Dangling).Int("archived", r.Archived).Int("leases", r.Leases).Int("ghosts", r.Ghosts).Msg("queue cleaned")
	}
	dropped, sessions := a.store.DropSessions(ctx)
	if dropped > 0 {
		a.log.Info().Int("sessions", dropped).Msg("old sessions dropped")
	}
	_, requests := a.store.ForgetRequests(ctx, store.RequestsKept)
	return errors.Join(err, sessions, requests)
}

// refreshFeeds asks the holiday feeds. A bad one is no failure of the task: it is
// asked again when the feeds are due, and tells by itself.
func (a *app) refreshFeeds(ctx context.Context) error {
	_, err := a.engine.RefreshFeeds(ctx, false)
	return err
}

// sweepFiles takes away files that no attachment knows. The engine tells what it
// found.
func (a *app) sweepFiles(ctx context.Context) error {
	_, err := a.engine.SweepFiles(ctx)
	return err
}

type schedulerCmd struct{}

// Run sweeps until told to stop. It works with Redis away.
func (schedulerCmd) Run(ctx context.Context, s *Settings) error {
	return process(ctx, s, "scheduler", func(a *app) []ops.Check {
		return []ops.Check{a.checkDatabase(), a.checkRedis(false), a.checkOwners(), a.checkChannels(), a.checkClock()}
	}, (*app).scheduler)
}

func (a *app) scheduler() (part, error) {
	sch := scheduler.New(scheduler.Options{
		Engine: a.engine, Store: a.store, Redis: a.queue, Client: a.redis, Metrics: a.metrics, Log: a.log,
		Interval: a.settings.SweepInterval.V, Holder: a.holder, Heartbeat: a.settings.HeartbeatURL,
	})
	return sch.Run, nil
}

type webCmd struct{}

// Run serves the pages until told to stop.
func (webCmd) Run(ctx context.Context, s *Settings) error {
	return process(ctx, s, "web", func(a *app) []ops.Check {
		return []ops.Check{a.checkDatabase(), a.checkRedis(false), a.checkFiles(), a.checkClock()}
	}, (*app).web)
}

func (a *app) web() (part, error) {
	doc, err := description()
	if err != nil {
		return nil, err
	}
	proxies, err := a.settings.webProxies()
	if err != nil {
		return nil, usagef("PX_WEB_PROXIES: %w", err)
	}
	login := a.settings.webLogin()
	h, err := web.New(web.Options{Store: a.store, Redis: a.redis, Engine: a.engine, Doc: doc, Log: a.log, Limit: a.settings.limiter(), Login: login, Proxies: proxies})
	if err != nil {
		return nil, err
	}
	l, err := listen("PX_WEB_ADDR", a.settings.WebAddr)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		a.log.Info().Str("url", "http://"+l.Addr().String()+"/actions").Bool("login", login).Msg("pages open")
		if login {
			a.log.Info().Str("proxies", a.settings.WebProxies).Msg("pages need a login, and a proxy that ends TLS before them: this is plain HTTP, where browsers keep no session")
		}
		return ops.Serve(ctx, l, h, a.log)
	}, nil
}
