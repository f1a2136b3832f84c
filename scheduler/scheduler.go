package scheduler

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/internal/metrics"
	"github.com/pxactions/px/store"
	"github.com/pxactions/px/tasks"
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
}

// Periodic is one piece of housekeeping: a task that ticks by Spec (cron, UTC)
// and is done only if it was not done within Every, because each scheduler
// ticks and none remembers.
type Periodic struct {
	Name  string
	Spec  string
	Every time.Duration
}

// Housekeeping lists the periodic work.
func Housekeeping() []Periodic {
	return []Periodic{
		{Name: "verify", Spec: "15 2 * * *", Every: 20 * time.Hour},
		{Name: "hygiene", Spec: "*/10 * * * *", Every: 9 * time.Minute},
	}
}

// Scheduler runs the sweeps and the ticks of one process.
type Scheduler struct {
	o      Options
	sweeps []*sweeper
}

// New makes a scheduler; Run starts it.
func New(o Options) *Scheduler {
	if o.Interval <= 0 {
		o.Interval = 2 * time.Second
	}
	s := &Scheduler{o: o}
	for _, sw := range Sweeps(o.Engine, o.Redis) {
		s.sweeps = append(s.sweeps, &sweeper{Sweep: sw, store: o.Store, holder: o.Holder, metrics: o.Metrics, log: o.Log})
	}
	return s
}

// Once runs every sweep one time, in order, and returns how much each healed.
func (s *Scheduler) Once(ctx context.Context) (map[string]int, error) {
	healed := map[string]int{}
	for _, sw := range s.sweeps {
		n, err := sw.Run(ctx)
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
	if s.o.Client != nil {
		wg.Go(func() { s.tickHousekeeping(ctx) })
	}
	s.o.Log.Info().Int("sweeps", len(s.sweeps)).Dur("interval", s.o.Interval).Msg("scheduler started")
	wg.Wait()
	s.o.Log.Info().Msg("scheduler stopped")
	return nil
}

// tickHousekeeping runs asynq's periodic scheduler, once Redis answers.
func (s *Scheduler) tickHousekeeping(ctx context.Context) {
	ticker := time.NewTicker(s.o.Interval)
	defer ticker.Stop()
	for s.o.Client.Ping(ctx).Err() != nil {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
	cron := asynq.NewSchedulerFromRedisClient(s.o.Client, &asynq.SchedulerOpts{
		Logger:   tasks.AsynqLogger(s.o.Log),
		LogLevel: asynq.WarnLevel,
		Location: time.UTC,
	})
	for _, p := range Housekeeping() {
		task, options := tasks.Housekeeping(p.Name)
		if _, err := cron.Register(p.Spec, task, options...); err != nil {
			s.o.Log.Error().Err(err).Str("housekeeping", p.Name).Msg("periodic task not registered")
			return
		}
	}
	if err := cron.Start(); err != nil {
		s.o.Log.Error().Err(err).Msg("periodic tasks not started")
		return
	}
	<-ctx.Done()
	cron.Shutdown()
}
