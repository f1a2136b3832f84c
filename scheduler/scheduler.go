package scheduler

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/internal/metrics"
	"github.com/pxactions/px/store"
)

// Options is what a scheduler is made of.
type Options struct {
	Engine   *engine.Engine
	Store    *store.Store
	Redis    engine.Beater         // nil: no queue, the sweeps do everything
	Client   redis.UniversalClient // for the periodic ticks; nil: none
	Metrics  *metrics.Metrics
	Log      zerolog.Logger
	Interval time.Duration // machine time between sweeps; 0: 2 s
	Holder   string        // names this process in the sweeps' slots; unique
	Lease    time.Duration // machine time until the slot of a dead scheduler is taken over; 0: 15 s
	// Heartbeat is a URL that is asked for, once a minute at most, after all
	// sweeps have ended without error; empty: none.
	Heartbeat string
}

// Scheduler runs the sweeps and the ticks of one process.
type Scheduler struct {
	o      Options
	sweeps []*sweeper
	heart  *heartbeat // nil: nobody is told
	// start starts the periodic ticks; stop ends them.
	start func(context.Context) (stop func(), err error)
}

// New makes a scheduler; Run starts it.
func New(o Options) *Scheduler {
	if o.Interval <= 0 {
		o.Interval = 2 * time.Second
	}
	if o.Lease <= 0 {
		o.Lease = slotLease
	}
	s := &Scheduler{o: o}
	s.start = s.startTicks
	for _, sw := range Sweeps(o.Engine, o.Redis) {
		s.sweeps = append(s.sweeps, s.sweeper(sw))
	}
	if o.Heartbeat != "" {
		s.heart = newHeartbeat(o.Heartbeat, s.sweeps, o.Log)
		for _, sw := range s.sweeps {
			sw.heart = s.heart
		}
	}
	return s
}

// Once runs every sweep one time, in order, and returns how much each healed.
func (s *Scheduler) Once(ctx context.Context) (map[string]int, error) {
	return once(ctx, s.sweeps)
}

// Only is Once for the sweeps of these names; "messages" are those of all
// channels, and store.HealedByArming hands every live job to the queue again.
func (s *Scheduler) Only(ctx context.Context, names ...string) (map[string]int, error) {
	var chosen []*sweeper
	for _, sw := range append(slices.Clone(s.sweeps), s.sweeper(Sweep{store.HealedByArming, s.o.Engine.ArmAgain})) {
		if kind, _, _ := strings.Cut(sw.Name, ":"); slices.Contains(names, kind) {
			chosen = append(chosen, sw)
		}
	}
	return once(ctx, chosen)
}

func (s *Scheduler) sweeper(sw Sweep) *sweeper {
	return &sweeper{Sweep: sw, store: s.o.Store, holder: s.o.Holder, lease: s.o.Lease, metrics: s.o.Metrics, log: s.o.Log}
}

func once(ctx context.Context, sweeps []*sweeper) (map[string]int, error) {
	healed := map[string]int{}
	for _, sw := range sweeps {
		n, _, err := sw.Run(ctx)
		if err != nil {
			return healed, fmt.Errorf("sweep %s: %w", sw.Name, err)
		}
		healed[sw.Name] = n
	}
	return healed, nil
}

// Run works until the context ends. Nothing here waits for Redis.
func (s *Scheduler) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, sw := range s.sweeps {
		wg.Go(func() { sw.loop(ctx, s.o.Interval) })
	}
	if s.heart != nil {
		wg.Go(func() { s.heart.run(ctx) })
	}
	if s.o.Engine.Notify != nil {
		wg.Go(func() { s.deliverHooks(ctx) })
	}
	if s.o.Client != nil {
		wg.Go(func() { s.tickHousekeeping(ctx) })
	}
	s.o.Log.Info().Int("sweeps", len(s.sweeps)).Dur("interval", s.o.Interval).Msg("scheduler started")
	wg.Wait()
	s.o.Log.Info().Msg("scheduler stopped")
	return nil
}
