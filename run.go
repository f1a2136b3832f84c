package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/internal/files"
	"github.com/pxactions/px/internal/metrics"
	"github.com/pxactions/px/migrations"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/notify"
	"github.com/pxactions/px/store"
	"github.com/pxactions/px/tasks"
)

// app is what a process works with. Close it when done.
type app struct {
	settings *Settings
	log      zerolog.Logger
	metrics  *metrics.Metrics
	store    *store.Store
	redis    redis.UniversalClient // nil: without Redis
	queue    *tasks.Queue          // nil: without Redis
	engine   *engine.Engine
	files    *files.Bucket   // opened at its first use
	channels []model.Channel // what it can tell people through
	holder   string          // names this process among its like
}

// openStore opens the database alone, for commands that need no queue, and
// checks that its schema is the one this program knows.
func openStore(ctx context.Context, s *Settings) (*store.Store, error) {
	if s.DatabaseURL == "" {
		return nil, usagef("PX_DATABASE_URL: needed, such as postgres://px@db/px (px dev and px demo run without)")
	}
	st, err := store.Open(s.DatabaseURL, store.Options{PoolSize: s.DatabasePool.V, Grace: s.SweepGrace.V, ClaimLease: s.ClaimLease.V})
	if err != nil {
		return nil, usagef("PX_DATABASE_URL: %w", err)
	}
	if err := st.Ping(ctx); err != nil {
		_ = st.Close()
		return nil, fmt.Errorf("PX_DATABASE_URL: %w", err)
	}
	return st, nil
}

// needed tells of every setting that a process, or command, lacks.
func (s *Settings) needed(process string, subjectKey bool) error {
	var missing []error
	if s.DatabaseURL == "" {
		missing = append(missing, usagef("PX_DATABASE_URL: needed by px %s, such as postgres://px@db/px (px dev and px demo run without)", process))
	}
	if s.RedisURL == "" {
		missing = append(missing, usagef("PX_REDIS_URL: needed by px %s, such as redis://cache:6379/0", process))
	}
	if subjectKey && s.SubjectKey == "" {
		missing = append(missing, usagef("PX_SUBJECT_KEY: needed by px %s: at least 16 characters, the same in every producer", process))
	}
	return errors.Join(missing...)
}

// openCommand is open for a command that ends by itself: it answers, and logs
// what is wrong alone.
func openCommand(ctx context.Context, s *Settings, name string) (*app, error) {
	quiet(s, zerolog.WarnLevel)
	return open(ctx, s, name)
}

// open makes an app. A process that works with the queue refuses to start
// without its URL, but not when Redis merely is away.
func open(ctx context.Context, s *Settings, process string) (*app, error) {
	if err := s.needed(process, false); err != nil {
		return nil, err
	}
	a := &app{settings: s, log: s.logger(process), metrics: metrics.New(), holder: holderName(process)}
	st, err := openStore(ctx, s)
	if err != nil {
		return nil, err
	}
	a.store = st
	if err := a.checkSchema(ctx); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	tasks.LogRedis(a.log)
	a.redis, err = tasks.NewRedis(s.RedisURL, tasks.RedisOptions{PoolSize: s.RedisPool.V})
	if err != nil {
		return nil, errors.Join(usagef("PX_REDIS_URL: %w", err), a.Close())
	}
	a.queue = tasks.NewQueue(a.redis, tasks.QueueOptions{CreateBatch: s.CreateBatch.V})
	return a, a.openEngine(a.queue)
}

func (a *app) openEngine(q engine.Queue) error {
	router, err := notify.New(a.settings.notify(a.log, a.store.MachineNow))
	if err != nil {
		return usagef("PX_SMTP_* and PX_WEBHOOK_*: %w", err)
	}
	feeds, err := a.settings.fetcher()
	if err != nil {
		return usagef("PX_FEED_ALLOW: %w", err)
	}
	if a.files, err = files.New(a.settings.FilesURL); err != nil {
		return usagef("PX_FILES_URL: %w", err)
	}
	a.channels = router.Channels()
	a.engine = engine.New(engine.Options{
		Store: a.store, Queue: q, Notify: router, Feeds: feeds, Metrics: a.metrics, Log: a.log,
		SubjectKey: []byte(a.settings.SubjectKey), LinkBase: a.settings.LinkBase,
		Files: a.files, FileLimit: int64(a.settings.FilesLimit.V),
	})
	return nil
}

// checkSchema says plainly when the schema is older than the program.
func (a *app) checkSchema(ctx context.Context) error {
	pending, err := migrations.Pending(ctx, a.store.DB())
	if err != nil {
		return fmt.Errorf("read the schema's version: %w", err)
	}
	if len(pending) > 0 {
		return fmt.Errorf("the database's schema is older than this program: run `px migrate up` first (%d to apply)", len(pending))
	}
	return nil
}

// Close ends everything that was opened, the engine first.
func (a *app) Close() error {
	if a.engine != nil {
		a.engine.Close()
	}
	var errs []error
	if a.files != nil {
		errs = append(errs, a.files.Close())
	}
	if a.redis != nil {
		errs = append(errs, a.redis.Close())
	}
	if a.store != nil {
		errs = append(errs, a.store.Close())
	}
	return errors.Join(errs...)
}

// holderName names a process so that no two are the same.
func holderName(process string) string {
	host, err := os.Hostname()
	if err != nil {
		host = "host"
	}
	return fmt.Sprintf("%s@%s/%d/%s", process, host, os.Getpid(), model.NewID[struct{}]().Hex()[24:])
}
