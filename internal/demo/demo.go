package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

const (
	// sendingShare is the part of the run in which the samples are sent: what
	// came last still needs time for its deadline and its stages.
	sendingShare = 3
	// lookEvery is how often the ledger is read.
	lookEvery = 250 * time.Millisecond
	// endWait bounds the summing up after the run.
	endWait = time.Minute
)

// Options is what a demo is made of. All but For, JSON and Color is required.
type Options struct {
	Store   *store.Store
	Engine  *engine.Engine
	Verify  func(context.Context) (violations int64, err error)
	Samples fs.FS             // the files of feedback, one <source system>.ndjson each
	Keys    map[string]string // API key by source system
	Intake  string            // URL of the intake
	Pages   string            // URL of the pages
	For     time.Duration     // real time; 0: one minute
	JSON    bool              // one object per event instead of the timeline
	Out     io.Writer         // where it is shown
	Color   bool              // colors in the timeline
}

// Demo is one run, ready to begin.
type Demo struct {
	Options
	files map[string][]line
}

// New reads the samples and checks that each of their source systems has a key.
func New(o Options) (*Demo, error) {
	if o.For <= 0 {
		o.For = time.Minute
	}
	if o.Store == nil || o.Engine == nil || o.Verify == nil || o.Samples == nil || o.Out == nil || o.Intake == "" || o.Pages == "" {
		return nil, errors.New("demo: needs Store, Engine, Verify, Samples, Intake, Pages and Out")
	}
	files, err := readSamples(o.Samples)
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	for source := range files {
		if o.Keys[source] == "" {
			return nil, fmt.Errorf("demo: no key for source system %s", source)
		}
	}
	return &Demo{Options: o, files: files}, nil
}

// Run plays the demo for its time, or until ctx ends, and sums it up. The error
// tells of broken invariants too.
func (d *Demo) Run(ctx context.Context) error {
	clk, err := startClock(ctx, d.Store)
	if err != nil {
		return err
	}
	dir, err := d.Store.Directory(ctx)
	if err != nil {
		return fmt.Errorf("demo: read the directory: %w", err)
	}
	r := &run{
		Demo: d, clk: clk, book: newBook(d.Store.DB(), dir, clk), staff: newStaff(d.Engine, dir, clk),
		player: newPlayer(d.Intake, d.Keys, clk),
	}
	r.view = newTimeline(d.Out, clk, d.Color)
	if d.JSON {
		r.view = newStream(d.Out)
	}
	if err := r.view.begin(d.opening(dir, clk)); err != nil {
		return err
	}
	if err := r.play(ctx); err != nil {
		return err
	}
	// An interrupted demo is summed up, too.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endWait)
	defer cancel()
	return r.sumUp(ctx)
}

// opening is what a reader is told first.
type opening struct {
	Hospitals int
	Events    int
	Sources   int
	Speed     float64
	For       time.Duration
	Sending   time.Duration
	Intake    string
	Pages     string
}

func (d *Demo) opening(dir *sla.Directory, clk clock) opening {
	o := opening{
		Hospitals: len(dir.Hospitals), Sources: len(d.files), Speed: clk.speed, For: d.For, Sending: d.For / sendingShare,
		Intake: d.Intake, Pages: d.Pages,
	}
	for _, lines := range d.files {
		o.Events += len(lines)
	}
	return o
}

// run is the state of one Run.
type run struct {
	*Demo
	clk    clock
	book   *book
	staff  *staff
	player *player
	view   view
}

// play sends, works and shows until the time is over.
func (r *run) play(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.For)
	defer cancel()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return r.player.play(ctx, r.files, r.For/sendingShare) })
	g.Go(func() error { return r.staff.work(ctx) })
	g.Go(func() error { return r.watch(ctx) })
	return g.Wait()
}

// watch reads the ledger again and again, and passes on what is new in it.
func (r *run) watch(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		p, err := r.book.read(ctx)
		if ctx.Err() != nil || errors.Is(err, model.ErrUnavailable) {
			continue
		}
		if err != nil {
			return err
		}
		r.staff.hear(p.Events)
		if err := r.view.show(p); err != nil {
			return err
		}
	}
}

// sumUp takes the counts from the ledger, with the events up to the same
// instant shown before, and checks the invariants.
func (r *run) sumUp(ctx context.Context) error {
	p, err := r.book.read(ctx)
	if err != nil {
		return err
	}
	late, err := r.book.lateness(ctx)
	if err != nil {
		return err
	}
	if err := r.view.show(p); err != nil {
		return err
	}
	violations, err := r.Verify(ctx)
	if err != nil {
		return fmt.Errorf("demo: verify: %w", err)
	}
	s := newSummary(p.Tally, r.player.answers(), late, violations)
	s.Took, s.Domain = r.clk.real(p.Tally.Now), p.Tally.Now.Sub(r.clk.domain)
	if err := r.view.end(s); err != nil {
		return err
	}
	if violations > 0 {
		return fmt.Errorf("demo: %d violations of the invariants", violations)
	}
	return nil
}

// Start is the domain time at which a demo begins: a Sunday in Ramadan, eight
// o'clock in Riyadh and six in Berlin, so that calendars are seen at work.
func Start() time.Time { return time.Date(2026, 3, 1, 5, 0, 0, 0, time.UTC) }

// clock reckons domain time in this process from one reading at the start.
type clock struct {
	began  time.Time // machine time
	domain time.Time // domain time then
	speed  float64
}

func startClock(ctx context.Context, s *store.Store) (clock, error) {
	now, err := s.Now(ctx)
	if err != nil {
		return clock{}, fmt.Errorf("demo: read the clock: %w", err)
	}
	speed := now.Clock.Speed
	if speed <= 0 {
		speed = 1
	}
	// The database's clock was read before this one: reckoned time is never
	// ahead of it.
	return clock{began: time.Now(), domain: now.Domain.UTC(), speed: speed}, nil
}

func (c clock) now() time.Time { return c.at(time.Since(c.began)) }

// at is the domain time when the demo has run for so long.
func (c clock) at(ran time.Duration) time.Time {
	return c.domain.Add(time.Duration(float64(ran) * c.speed))
}

// real is how long the demo has run at a domain time.
func (c clock) real(at time.Time) time.Duration { return c.span(at.Sub(c.domain)) }

// span is how long a span of domain time takes.
func (c clock) span(d time.Duration) time.Duration { return time.Duration(float64(d) / c.speed) }
