package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/uptrace/bun"

	"github.com/pxactions/px/internal/localenv"
	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/migrations"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/samples"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

// template is the database that every measurement's own is copied from.
const template = "px_bench_template"

// servers are the PostgreSQL and the Redis that both programs work on.
type servers struct {
	databaseURL string
	redisURL    string
	admin       *store.Store // on the server's own database
	watch       *redis.Client
	closers     []func() error
	made        int
}

func openServers(ctx context.Context, cfg config) (s *servers, err error) {
	s = &servers{databaseURL: cfg.databaseURL, redisURL: cfg.redisURL}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.databaseURL == "" {
		if err := s.startPostgres(ctx, cfg.dir); err != nil {
			return s, err
		}
	}
	if s.redisURL == "" {
		env, err := localenv.StartRedis(ctx, localenv.Options{})
		if err != nil {
			return s, err
		}
		s.closers = append(s.closers, env.Close)
		s.redisURL = env.RedisURL
	}
	opt, err := redis.ParseURL(s.redisURL)
	if err != nil {
		return s, errors.New("-redis: want a URL such as redis://127.0.0.1:6379/1")
	}
	s.watch = redis.NewClient(opt)
	s.closers = append(s.closers, s.watch.Close)
	if s.admin, err = store.Open(s.databaseURL, store.Options{PoolSize: 2}); err != nil {
		return s, fmt.Errorf("-database: %w", err)
	}
	s.closers = append(s.closers, s.admin.Close)
	return s, s.makeTemplate(ctx)
}

// startPostgres starts a server whose data folder outlives a crash: only such a
// one waits for the disk at each commit, as production does.
func (s *servers) startPostgres(ctx context.Context, parent string) error {
	dir, err := os.MkdirTemp(parent, "px-bench-")
	if err != nil {
		return fmt.Errorf("folder for the private PostgreSQL: %w", err)
	}
	s.closers = append(s.closers, func() error { return os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { // the server may run as another user
		return fmt.Errorf("folder for the private PostgreSQL: %w", err)
	}
	env, err := localenv.StartPostgres(ctx, localenv.Options{DataDir: dir})
	if err != nil {
		return err
	}
	s.closers = append(s.closers, env.Close)
	s.databaseURL = env.DatabaseURL
	return nil
}

func (s *servers) close() error {
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i]())
	}
	return errors.Join(errs...)
}

// makeTemplate makes a migrated database with the sample hospitals and policy.
func (s *servers) makeTemplate(ctx context.Context) error {
	if err := s.exec(ctx, "DROP DATABASE IF EXISTS "+template, "CREATE DATABASE "+template); err != nil {
		return err
	}
	s.closers = append(s.closers, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		return s.exec(ctx, "DROP DATABASE IF EXISTS "+template)
	})
	dbURL, err := withDatabase(s.databaseURL, template)
	if err != nil {
		return err
	}
	st, err := store.Open(dbURL, store.Options{PoolSize: 2})
	if err != nil {
		return err
	}
	defer func() { _ = st.Close() }()
	if _, err := migrations.Up(ctx, st.DB()); err != nil {
		return err
	}
	policy, err := unacknowledged()
	if err != nil {
		return err
	}
	return scenario.Seed(ctx, st, policy)
}

// unacknowledged is the sample policy without acknowledgement, which counts from
// each assignment: the storm is of what all actions have at one instant.
func unacknowledged() ([]byte, error) {
	p, err := sla.ParsePolicy(samples.Policy)
	if err != nil {
		return nil, fmt.Errorf("sample policy: %w", err)
	}
	for i := range p.SLA {
		p.SLA[i].AckTargets = map[model.Severity]sla.AckTargetSpec{}
		for _, sev := range model.Severities() {
			p.SLA[i].AckTargets[sev] = sla.AckTargetSpec{None: true}
		}
	}
	return p.YAML()
}

func (s *servers) exec(ctx context.Context, statements ...string) error {
	for _, sql := range statements {
		if _, err := s.admin.DB().ExecContext(ctx, sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return nil
}

// world is what one measurement has for itself.
type world struct {
	databaseURL string
	redisURL    string
	store       *store.Store // to set up, to look and to count; no program uses it
	drop        func() error
}

func (w *world) db() *bun.DB { return w.store.DB() }

// fresh makes a new database and empties Redis. The checkpoint leaves the work
// of whoever came before behind.
func (s *servers) fresh(ctx context.Context) (*world, error) {
	s.made++
	name := fmt.Sprintf("px_bench_%d_%d", os.Getpid(), s.made)
	if err := s.exec(ctx, "CREATE DATABASE "+name+" TEMPLATE "+template, "CHECKPOINT"); err != nil {
		return nil, err
	}
	if err := s.watch.FlushDB(ctx).Err(); err != nil {
		return nil, fmt.Errorf("empty Redis: %w", err)
	}
	dbURL, err := withDatabase(s.databaseURL, name)
	if err != nil {
		return nil, err
	}
	st, err := store.Open(dbURL, store.Options{PoolSize: 2})
	if err != nil {
		return nil, err
	}
	return &world{databaseURL: dbURL, redisURL: s.redisURL, store: st, drop: func() error {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		return errors.Join(st.Close(), s.exec(ctx, "DROP DATABASE "+name+" WITH (FORCE)"))
	}}, nil
}

func withDatabase(serverURL, name string) (string, error) {
	u, err := url.Parse(serverURL)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return "", errors.New("-database: want a URL such as postgres://user@host/database")
	}
	u.Path = "/" + name
	return u.String(), nil
}

// describe tells the settings that decide what the numbers mean.
func (s *servers) describe(ctx context.Context) (string, error) {
	about := []string{fmt.Sprintf("%d CPUs, %s", runtime.NumCPU(), runtime.Version())}
	for _, name := range []string{"server_version", "fsync", "synchronous_commit", "full_page_writes", "shared_buffers"} {
		var value string
		if err := s.admin.DB().QueryRowContext(ctx, "SHOW "+name).Scan(&value); err != nil {
			return "", fmt.Errorf("ask PostgreSQL for %s: %w", name, err)
		}
		if name != "server_version" && name != "shared_buffers" && value != "on" {
			return "", fmt.Errorf("PostgreSQL has %s = %s: only a durable one tells anything", name, value)
		}
		about = append(about, strings.ReplaceAll(name, "server_version", "PostgreSQL")+" "+value)
	}
	info, err := s.watch.InfoMap(ctx, "server", "persistence").Result()
	if err != nil {
		return "", fmt.Errorf("ask Redis for its settings: %w", err)
	}
	about = append(about, "Redis "+info["Server"]["redis_version"], "appendonly "+map[string]string{"0": "no", "1": "yes"}[info["Persistence"]["aof_enabled"]])
	return strings.Join(about, ", "), nil
}
