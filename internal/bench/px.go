package main

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/internal/metrics"
	"github.com/pxactions/px/notify"
	"github.com/pxactions/px/store"
	"github.com/pxactions/px/tasks"
	"github.com/pxactions/px/worker"
)

// program is one of those measured.
type program interface {
	// accept takes events in; it returns when all are committed and their
	// creation tasks are in Redis.
	accept(ctx context.Context, events []engine.Event) error
	// work starts to handle tasks. stop ends it and waits.
	work(ctx context.Context) (stop func() error, err error)
	close() error
}

func programNames() []string { return []string{"px", "plain"} }

func newProgram(name string, w *world, cfg config) (program, error) {
	if name == "px" {
		return newPX(w, cfg)
	}
	return newPlain(w)
}

// senders is how many callers px's intake has at the same time.
const senders = 4

// px is the program as it ships, with its default settings. Messages are
// written and enqueued, but nobody delivers them here.
type px struct {
	store  *store.Store
	rdb    redis.UniversalClient
	queue  *tasks.Queue
	engine *engine.Engine
	worker *worker.Worker
	batch  int
}

func newPX(w *world, cfg config) (*px, error) {
	p := &px{batch: cfg.batch}
	var err error
	if p.store, err = store.Open(w.databaseURL, store.Options{}); err != nil {
		return nil, err
	}
	if cfg.statements != nil {
		//lint:ignore SA1019 WithQueryHook makes a copy, and the store would go on with its own bun.DB
		p.store.DB().AddQueryHook(cfg.statements) //nolint:staticcheck // as above
	}
	if p.rdb, err = tasks.NewRedis(w.redisURL, tasks.RedisOptions{PoolSize: 64}); err != nil {
		return nil, errors.Join(err, p.store.Close())
	}
	p.queue = tasks.NewQueue(p.rdb, tasks.QueueOptions{})
	log := zerolog.New(io.Discard).Level(zerolog.InfoLevel) // lines are made, as in production
	m := metrics.New()
	if p.engine, err = newEngine(p.store, p.queue, m, log); err != nil {
		return nil, errors.Join(err, p.rdb.Close(), p.store.Close())
	}
	undelivered := map[string]int{tasks.QueueMessage: -1, tasks.QueueHousekeeping: -1}
	if p.worker, err = worker.New(worker.Config{Concurrency: undelivered}, p.rdb, p.engine, log, m); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

func newEngine(st *store.Store, q engine.Queue, m *metrics.Metrics, log zerolog.Logger) (*engine.Engine, error) {
	router, err := notify.New(notify.Settings{Log: zerolog.Nop(), Now: time.Now})
	if err != nil {
		return nil, err
	}
	return engine.New(engine.Options{
		Store: st, Queue: q, Notify: router, Metrics: m, Log: log,
		SubjectKey: []byte("a key of sixteen bytes, at least"), LinkBase: "http://px.test",
	}), nil
}

func (p *px) accept(ctx context.Context, events []engine.Event) error {
	return inParallel(senders, chunks(events, p.batch), func(chunk []engine.Event) error {
		return acceptAll(ctx, p.engine, chunk)
	})
}

// acceptAll gives one call to the intake and wants every event taken.
func acceptAll(ctx context.Context, e *engine.Engine, events []engine.Event) error {
	receipts, err := e.Accept(ctx, engine.Source{System: sourceSystem}, events)
	for _, r := range receipts {
		if r.Status != engine.ReceiptAccepted {
			return errors.Join(errors.New("an event was not accepted: "+string(r.Status)), r.Err, err)
		}
	}
	return err
}

func (p *px) work(ctx context.Context) (func() error, error) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- p.worker.Run(ctx) }()
	return func() error {
		cancel()
		return <-done
	}, nil
}

func (p *px) close() error {
	p.engine.Close()
	return errors.Join(p.rdb.Close(), p.store.Close())
}

func chunks[T any](all []T, size int) [][]T {
	var out [][]T
	for from := 0; from < len(all); from += size {
		out = append(out, all[from:min(from+size, len(all))])
	}
	return out
}

// inParallel hands items to n goroutines and returns their first errors.
func inParallel[T any](n int, items []T, do func(T) error) error {
	feed := make(chan T)
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			for item := range feed {
				if errs[i] == nil {
					errs[i] = do(item)
				}
			}
		})
	}
	for _, item := range items {
		feed <- item
	}
	close(feed)
	wg.Wait()
	return errors.Join(errs...)
}
