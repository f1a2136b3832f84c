package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
)

// Options tunes a Store. The zero value is good for tests.
type Options struct {
	PoolSize int           // connections at most; 0: 16
	Grace    time.Duration // machine time before a sweep may take or arm what a worker should; 0: 5 s
	// ClaimLease is how long (machine time) a claimed message stays with its
	// claimant; afterwards another may take it under the same key. 0: 90 s.
	ClaimLease time.Duration
}

// Store reads and writes the program's PostgreSQL database.
type Store struct {
	db         *bun.DB
	grace      time.Duration
	claimLease time.Duration
	rules      *rulesCache
	read       atomic.Pointer[reading] // the last of PostgreSQL's clock; nil: none yet
}

// Open prepares a store on a PostgreSQL URL. It does not connect: Ping does.
func Open(databaseURL string, o Options) (*Store, error) {
	cfg, err := configOf(databaseURL)
	if err != nil {
		return nil, err
	}
	if o.PoolSize <= 0 {
		o.PoolSize = 16
	}
	if o.Grace <= 0 {
		o.Grace = 5 * time.Second
	}
	if o.ClaimLease <= 0 {
		o.ClaimLease = 90 * time.Second
	}
	pool := stdlib.OpenDB(*cfg)
	pool.SetMaxOpenConns(o.PoolSize)
	pool.SetMaxIdleConns(o.PoolSize)
	pool.SetConnMaxIdleTime(5 * time.Minute)
	// An old worker must live with a newer schema's extra columns.
	db := bun.NewDB(pool, pgdialect.New(), bun.WithDiscardUnknownColumns())
	return &Store{db: db, grace: o.Grace, claimLease: o.ClaimLease, rules: newRulesCache()}, nil
}

// configOf reads a URL, and sets what it does not.
func configOf(databaseURL string) (*pgx.ConnConfig, error) {
	cfg, err := pgx.ParseConfig(databaseURL)
	if err != nil {
		// pgx puts the URL, password included, into its error.
		return nil, fmt.Errorf("database URL is not a PostgreSQL URL such as postgres://user@host/db")
	}
	// bun writes arguments into the SQL text, so prepared statements are
	// wasted; the simple protocol also works behind PgBouncer.
	cfg.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	cfg.OnPgError = keepConnection
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = connectTimeout / time.Duration(hosts(cfg))
	}
	return cfg, nil
}

// connectTimeout is how long an attempt to connect may take with all hosts of
// the URL, one after the other: those before the primary may be dead machines,
// and who waits for the connection does not wait longer.
const connectTimeout = 5 * time.Second

// hosts is how many the URL has; each is there twice where TLS is optional.
func hosts(cfg *pgx.ConnConfig) int {
	type host struct {
		name string
		port uint16
	}
	all := map[host]bool{{cfg.Host, cfg.Port}: true}
	for _, f := range cfg.Fallbacks {
		all[host{f.Host, f.Port}] = true
	}
	return len(all)
}

// keepConnection says whether a connection is good for more after an error of the
// server. It is not after one that takes no writes: that is a replica, or was
// made one, and the next attempt may reach the primary.
func keepConnection(_ *pgconn.PgConn, pe *pgconn.PgError) bool {
	return !strings.EqualFold(pe.Severity, "FATAL") && pe.Code != readOnly
}

// DB is the underlying database, for migrations and tests.
func (s *Store) DB() *bun.DB { return s.db }

// ClaimLease is how long (machine time) a claimed message stays with its claimant.
func (s *Store) ClaimLease() time.Duration { return s.claimLease }

// Close closes every connection.
func (s *Store) Close() error { return s.db.Close() }

// Ping reports whether the database answers: nil or ErrUnavailable.
func (s *Store) Ping(ctx context.Context) error {
	return mapErr(s.db.PingContext(ctx))
}

// Writable reports whether the database answers and takes writes: nil or
// ErrUnavailable.
func (s *Store) Writable(ctx context.Context) error {
	var refuses bool
	err := s.db.NewRaw("SELECT current_setting('transaction_read_only') = 'on'").Scan(ctx, &refuses)
	if err == nil && refuses {
		return fmt.Errorf("%w: the server takes no writes: it is a replica, or set so", model.ErrUnavailable)
	}
	return mapErr(err)
}

// Now reads both clocks.
func (s *Store) Now(ctx context.Context) (model.Now, error) {
	st, err := s.readState(ctx, s.db)
	return st.now(), mapErr(err)
}

// SetClock makes domain time start at virtual and run at speed from now on.
// For demos and tests; production keeps speed 1.
func (s *Store) SetClock(ctx context.Context, virtual time.Time, speed float64) error {
	_, err := s.db.NewRaw(`UPDATE clock SET real_epoch = clock_timestamp(), virtual_epoch = ?, speed = ?`, virtual.UTC(), speed).Exec(ctx)
	return mapErr(err)
}

// txState is what every transaction reads first: one reading of the clock, and
// the rules that are active at it.
type txState struct {
	Now   model.Now
	Rules *sla.Rules
	Dir   *sla.Directory
}

// stateRow is that first query's answer.
type stateRow struct {
	Machine      time.Time
	RealEpoch    time.Time
	VirtualEpoch time.Time
	Speed        float64
	Server       time.Time // when it was started: tells it from the one that took its place
	Directory    int64
	Revision     int64
}

func (r stateRow) now() model.Now {
	c := model.Clock{RealEpoch: r.RealEpoch, VirtualEpoch: r.VirtualEpoch, Speed: r.Speed}
	return model.Now{Machine: r.Machine.UTC(), Domain: c.Virtual(r.Machine.UTC()), Clock: c}
}

// The bounds of a transaction, as PostgreSQL writes them: how long it waits for
// another's lock, and how long one whose process has vanished keeps its own.
const (
	lockTimeout = "1s"
	idleTimeout = "60s"
)

func readState(ctx context.Context, db bun.IDB) (stateRow, error) {
	var r stateRow
	err := db.NewRaw(`SELECT clock_timestamp() AS machine, c.real_epoch, c.virtual_epoch, c.speed,
		pg_postmaster_start_time() AS server, set_config('lock_timeout', ?, true), set_config('idle_in_transaction_session_timeout', ?, true),
		(SELECT version FROM directory_version) AS directory,
		(SELECT coalesce(max(revision), 0) FROM policy_revisions) AS revision
		FROM clock c`, lockTimeout, idleTimeout).Scan(ctx, &r)
	return r, err
}

// inTx runs fn in one transaction under one reading of the clock.
func (s *Store) inTx(ctx context.Context, fn func(ctx context.Context, tx bun.Tx, st txState) error) error {
	return s.inTxAs(ctx, &sql.TxOptions{}, fn)
}

func (s *Store) inTxAs(ctx context.Context, o *sql.TxOptions, fn func(ctx context.Context, tx bun.Tx, st txState) error) error {
	err := s.db.RunInTx(ctx, o, func(ctx context.Context, tx bun.Tx) error {
		r, err := s.readState(ctx, tx)
		if err != nil {
			return err
		}
		dir, err := s.rules.directory(ctx, tx, r.Server, r.Directory)
		if err != nil {
			return err
		}
		rules, err := s.rules.revision(ctx, tx, r.Revision, dir)
		if err != nil {
			return err
		}
		return fn(ctx, tx, txState{Now: r.now(), Rules: rules, Dir: dir})
	})
	if errors.Is(err, sql.ErrTxDone) && ctx.Err() != nil {
		err = ctx.Err() // whose end it was that rolled it back, between two statements
	}
	return mapErr(err)
}

// second truncates a domain instant to the whole second that is stored.
func second(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }
