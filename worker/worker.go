package worker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/internal/metrics"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/store"
	"github.com/pxactions/px/tasks"
)

// Engine is what the handlers ask; *engine.Engine is the one.
type Engine interface {
	Decide(ctx context.Context, ids []model.FeedbackID) ([]store.Created, error)
	Fire(ctx context.Context, ref store.DeadlineRef) (store.FireResult, error)
	Deliver(ctx context.Context, ref store.MessageRef) (engine.Delivery, error)
}

var _ Engine = (*engine.Engine)(nil)

// Worker runs asynq's servers, several in one process, so that a storm in one
// queue delays no other.
type Worker struct {
	cfg     Config
	rdb     redis.UniversalClient
	engine  Engine
	log     zerolog.Logger
	waiting zerolog.Logger // for what repeats during an outage
	metrics *metrics.Metrics
	serving atomic.Bool
}

// New prepares a worker; it does not connect. rdb is shared and closed by the
// caller, after Run has returned. An error names the setting that is wrong.
func New(cfg Config, rdb redis.UniversalClient, e Engine, log zerolog.Logger, m *metrics.Metrics) (*Worker, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("worker: %w", err)
	}
	return &Worker{
		cfg: cfg, rdb: rdb, engine: e, log: log, metrics: m,
		waiting: log.Sample(&zerolog.BurstSampler{Burst: 3, Period: 10 * time.Second}),
	}, nil
}

// Ready is nil while the worker takes tasks, else says why it does not. It
// touches nothing.
func (w *Worker) Ready() error {
	if !w.serving.Load() {
		return errors.New("worker takes no tasks: it waits for Redis, or is stopping")
	}
	return nil
}

// Run waits for Redis, takes tasks until ctx ends, and returns when what was
// running has ended or gone back to its queue. It leaves signals alone.
func (w *Worker) Run(ctx context.Context) error {
	if !w.awaitRedis(ctx) {
		return nil
	}
	for _, warning := range tasks.CheckRedis(ctx, w.rdb) {
		w.log.Warn().Str("why", warning).Msg("Redis is not set up as it should be")
	}
	servers, err := w.start()
	if err == nil {
		w.serving.Store(true)
		w.log.Info().Int("servers", len(servers)).Msg("worker started")
		<-ctx.Done()
		w.serving.Store(false)
	}
	var wg sync.WaitGroup
	for _, s := range servers {
		wg.Go(s.Shutdown)
	}
	wg.Wait()
	w.log.Info().Msg("worker stopped")
	return err
}

const (
	firstWait = 100 * time.Millisecond
	longWait  = 5 * time.Second
)

// awaitRedis reports false when ctx ended first. asynq would start without
// Redis, but its loops then fill the log.
func (w *Worker) awaitRedis(ctx context.Context) bool {
	for wait := firstWait; ; wait = min(2*wait, longWait) {
		err := w.rdb.Ping(ctx).Err()
		if err == nil {
			return true
		}
		w.waiting.Warn().Err(err).Msg("worker waits for Redis")
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return false
		case <-timer.C:
		}
	}
}

// start starts every queue's servers. Those it returns with an error are
// running all the same.
func (w *Worker) start() ([]*asynq.Server, error) {
	logger := tasks.AsynqLogger(w.log)
	rdb := tasks.Renewing(w.rdb)
	var servers []*asynq.Server
	for _, queue := range tasks.Queues() {
		total, n := w.cfg.Concurrency[queue], w.cfg.Servers[queue]
		if total < 0 || n < 0 {
			continue
		}
		n = min(n, total)
		for i := range n {
			// The remainder goes to the first ones.
			share := total / n
			if i < total%n {
				share++
			}
			s := asynq.NewServerFromRedisClient(rdb, w.serverConfig(queue, share, logger))
			if err := s.Start(w); err != nil {
				return servers, fmt.Errorf("start a server of queue %s: %w", queue, err)
			}
			servers = append(servers, s)
		}
	}
	return servers, nil
}

func (w *Worker) serverConfig(queue string, concurrency int, logger asynq.Logger) asynq.Config {
	return asynq.Config{
		Queues:                   map[string]int{queue: 1},
		Concurrency:              concurrency,
		TaskCheckInterval:        w.cfg.CheckEvery,
		DelayedTaskCheckInterval: w.cfg.ForwardEvery,
		ShutdownTimeout:          w.cfg.Drain,
		RetryDelayFunc:           retryDelay,
		IsFailure:                isFailure,
		ErrorHandler:             asynq.ErrorHandlerFunc(w.handleError),
		Logger:                   logger,
		LogLevel:                 asynq.InfoLevel,
	}
}
