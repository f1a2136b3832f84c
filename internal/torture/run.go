package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pxactions/px/store"
)

const (
	// finishWait is how long, after the faults, what was asked may go without an answer.
	finishWait = 60 * time.Second
	// verifyWait is how long px verify may find what is only under way.
	verifyWait = 5 * time.Second
	// plantedWait is the same where the harness planted jobs: one that met an outage comes again within 30 s.
	plantedWait = 45 * time.Second
	// recovery is how long after a fault lateness is put down to it.
	recovery = 12 * time.Second
	// lull is how much domain time passes between two faults, on average.
	lull = 20 * time.Minute
	// calmLate is how late anything may be that no fault explains; the machine may be a busy one.
	calmLate = 30 * time.Second
)

// theEnd is where what is left is found.
const theEnd = "the end"

// start is when domain time begins, a Monday.
var start = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

// config is what the flags say.
type config struct {
	seed   uint64
	hours  float64       // of domain time in which things happen
	speed  float64       // of domain time
	rate   float64       // feedback in a real second
	moves  float64       // in a real second
	px     string        // a built px; empty: of tree
	tree   string        // of the source
	before string        // commit of the release before
	only   string        // comma-separated names of faults; empty: all
	report string        // file; empty: none
	drain  time.Duration // for what is left at the end
	out    io.Writer
}

// window is one fault as it was injected, in real time.
type window struct {
	name     string
	from, to time.Time
	err      error // the injection did not work
}

// result is what a run found.
type result struct {
	config
	took     time.Duration
	windows  []window
	feedback int
	actions  int
	granted  map[string]int // moves, by name
	refused  int            // moves
	near     int            // moves in the minute before an event
	events   int
	messages int
	calls    int
	crashes  map[string]int // ends of processes that nobody asked for
	late     []lateness
	found    []divergence
}

// run tortures one installation.
func run(ctx context.Context, cfg config) (res *result, err error) {
	dir, err := os.MkdirTemp("", "px-torture-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	c := &cluster{px: cfg.px, dir: dir}
	defer func() { err = errors.Join(err, c.close()) }()
	if cfg.only, err = c.prepare(ctx, cfg); err != nil {
		return nil, err
	}
	if c.px == "" {
		if c.px, err = buildPX(ctx, cfg.tree, dir); err != nil {
			return nil, err
		}
	}
	if err := c.open(ctx, start, cfg.speed); err != nil {
		return nil, err
	}
	if err := c.start(ctx); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, c.tails())
	}
	began := time.Now()
	heard := &answers{}
	h := &house{c: c, client: &http.Client{Transport: heard}, all: map[string]*asked{}}
	d := &desk{c: c, client: &http.Client{Transport: heard}}
	defer http.DefaultClient.CloseIdleConnections()
	res = &result{config: cfg, windows: c.play(ctx, cfg, d, h), crashes: map[string]int{}, granted: map[string]int{}}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := c.stopClock(ctx); err != nil {
		return nil, err
	}
	if err := c.drain(ctx, cfg.drain); err != nil {
		res.found = append(res.found, divergence{theEnd, "all decided, taken and told", err.Error()})
	}
	if err := c.verify(ctx, res.windows); err != nil {
		res.found = append(res.found, divergence{"px verify", "no finding", err.Error()})
	}
	c.end()
	if err := c.judge(ctx, res, d, h, heard); err != nil {
		return nil, err
	}
	res.took = time.Since(began)
	return res, nil
}

// play lets people and sources act while faults are injected, for the hours of
// the run, and waits for the last answers.
func (c *cluster) play(ctx context.Context, cfg config, d *desk, h *house) []window {
	length := time.Duration(cfg.hours * float64(time.Hour) / cfg.speed)
	acting, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	whole, cancelWhole := context.WithTimeout(ctx, length+finishWait)
	defer cancelWhole()
	var wg sync.WaitGroup
	wg.Go(func() { d.run(acting, whole, cfg.seed, cfg.rate) })
	wg.Go(func() { h.run(acting, whole, cfg.seed, cfg.moves) })
	windows := c.storm(acting, cfg)
	wg.Wait()
	return windows
}

// storm injects one fault after the other until ctx ends, each once, in the order
// of the seed, before any comes again; every third time two at once.
func (c *cluster) storm(ctx context.Context, cfg config) []window {
	r := rand.New(rand.NewPCG(cfg.seed, 0))
	var all []window
	var left []fault
	for sleep(ctx, time.Duration(float64(lull)*(0.5+r.Float64())/cfg.speed)) {
		if len(left) < 2 {
			more := deck(cfg.only)
			r.Shuffle(len(more), func(i, j int) { more[i], more[j] = more[j], more[i] })
			left = append(left, more...)
		}
		n := 1
		if len(left) > 1 && r.IntN(3) == 0 {
			n = 2
		}
		ws := make([]window, n)
		var wg sync.WaitGroup
		for i, f := range left[:n] {
			own := rand.New(rand.NewPCG(r.Uint64(), 0))
			wg.Go(func() { ws[i] = c.inject(ctx, f, own, n == 1) })
		}
		wg.Wait()
		left = left[n:]
		for _, w := range ws {
			fmt.Fprintf(cfg.out, "%6.1fs  %-30s %.1fs %s\n", w.from.Sub(c.clock.RealEpoch).Seconds(), w.name, w.to.Sub(w.from).Seconds(), orNone(w.err))
		}
		all = append(all, ws...)
	}
	return all
}

// inject injects a fault. One that cannot be is a fault of the harness when it
// is alone; beside another it may find nobody to hurt.
func (c *cluster) inject(ctx context.Context, f fault, r *rand.Rand, alone bool) window {
	w := window{name: f.name, from: time.Now()}
	w.err = f.do(ctx, c, r)
	if (ctx.Err() != nil || !alone) && !errors.As(w.err, &divergence{}) {
		w.err = nil
	}
	w.to = time.Now()
	return w
}

func orNone(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// deck is the faults of these names; empty: all.
func deck(only string) []fault {
	all := faults()
	if only == "" {
		return all
	}
	return slices.DeleteFunc(all, func(f fault) bool { return !slices.Contains(strings.Split(only, ","), f.name) })
}

// drain waits until all is decided, told, and taken that is due.
func (c *cluster) drain(ctx context.Context, wait time.Duration) error {
	return await(ctx, wait, "the rest is done", func() error {
		var undecided, open, late int
		err := c.store.DB().NewRaw(`SELECT (SELECT count(*) FROM feedback WHERE decision IS NULL),
			(SELECT count(*) FROM messages WHERE state IN ('pending', 'sending')),
			(SELECT count(*) FROM actions WHERE next_at <= ?::timestamptz)`, c.now()).Scan(ctx, &undecided, &open, &late)
		if err == nil && undecided+open+late > 0 {
			err = fmt.Errorf("%d undecided, %d messages open, %d events late", undecided, open, late)
		}
		return err
	})
}

// verify asks px; as the processes work on, a finding must stay to count. Jobs that
// the harness itself enqueued, of the right gen and a wrong kind, do not count:
// they wait in Redis until their time and do nothing then. What stands for a row
// that does not exist counts at once: it goes when it runs.
func (c *cluster) verify(ctx context.Context, windows []window) error {
	planted := slices.ContainsFunc(windows, func(w window) bool { return strings.Contains(w.name, planting) })
	wait := verifyWait
	if planted {
		wait = plantedWait
	}
	var orphans error
	err := await(ctx, wait, "px verify", func() error {
		out, err := c.command(ctx, "verify", "--json")
		var v struct {
			Findings     []store.Finding
			RedisChecked bool `json:"redis_checked"`
		}
		if err == nil || json.Unmarshal([]byte(out), &v) != nil {
			return err
		}
		found := slices.DeleteFunc(v.Findings, func(f store.Finding) bool {
			return planted && strings.HasPrefix(f.What, "action armed twice")
		})
		if len(found) == 0 && v.RedisChecked {
			return nil
		}
		err = fmt.Errorf("redis asked: %t", v.RedisChecked)
		for _, f := range found {
			err = fmt.Errorf("%s %s: %d, such as %s; %w", f.Invariant, f.What, f.Count, f.Examples[0], err)
		}
		if strings.Contains(err.Error(), "does not exist") {
			orphans = err
		}
		return err
	})
	if err == nil {
		err = orphans
	}
	return err
}

// judge compares what became of all with the model.
func (c *cluster) judge(ctx context.Context, res *result, d *desk, h *house, heard *answers) error {
	l, err := c.read(ctx)
	if err != nil {
		return err
	}
	k := &checker{l: l, clock: c.clock, moves: h.all, sents: d.all}
	k.check()
	for _, f := range d.faults {
		k.differ("intake", "no answer 500, whatever is away", "%s", f)
	}
	calls := c.hook.All()
	k.messages(calls)
	k.answers(heard, c.procs)
	res.feedback, res.actions, res.events, res.messages, res.calls = len(d.all), len(l.actions), k.events, len(l.messages), len(calls)
	for _, m := range h.all {
		if m.code/100 == 2 {
			res.granted[m.name]++
		} else {
			res.refused++
		}
	}
	for _, p := range c.procs {
		res.crashes[p.name] += p.crashes
		for _, line := range p.log.panics {
			k.differ(p.name, "no panic", "%s", line)
		}
	}
	res.late, res.near = k.late, k.near
	res.found = append(res.found, k.found...)
	for _, w := range res.windows {
		var div divergence
		if errors.As(w.err, &div) {
			res.found = append(res.found, div)
		} else if w.err != nil {
			res.found = append(res.found, divergence{"fault " + w.name, "it can be injected", w.err.Error()})
		}
	}
	if calm := res.worst("", ""); calm > calmLate {
		res.found = append(res.found, divergence{"lateness without a fault", fmt.Sprintf("at most %s", calmLate), calm.String()})
	}
	return nil
}

// tails shows the last lines of every process.
func (c *cluster) tails() string {
	var b strings.Builder
	for _, p := range c.procs {
		fmt.Fprintf(&b, "---- %s\n%s\n", p.name, p.log.tail())
	}
	return b.String()
}

// cutItself reports whether an error is that of a connection that the harness cut.
func cutItself(err error) bool {
	return store.Contended(err) || strings.Contains(err.Error(), "57P01") || isBad(err)
}
