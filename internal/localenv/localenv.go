// Package localenv hands out a private PostgreSQL and a private Redis: real
// servers that only this process uses, that need no configuration and no root,
// and that end with the process, however it ends.
//
// Programs come from the machine, else from Debian packages unpacked (not
// installed) into a cache folder. The servers listen on unix sockets in a
// folder that nobody else can enter, so no port is taken and none can clash.
package localenv

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/rs/zerolog"
)

// ErrUnavailable is in the chain of every error that means: this machine has
// no such server and none could be fetched. The text says what would help.
var ErrUnavailable = errors.New("server not available")

// ErrInUse is in the chain of the error for a data folder that another process
// is using.
var ErrInUse = errors.New("data folder in use")

// Options say what to start and where. The zero value starts throw-away
// servers and fetches programs that are missing.
type Options struct {
	// DataDir keeps the servers' data across restarts; it is made when absent.
	// Empty: the data is thrown away when the servers end, and is not safe
	// against a power cut while they run.
	DataDir string

	// TempDir holds sockets and throw-away data. It must be short: a unix
	// socket's path has at most 103 bytes. Empty: /tmp/px-<uid>.
	TempDir string

	// CacheDir holds fetched programs. Empty: /var/cache/px for root, else px
	// in the user's cache folder.
	CacheDir string

	// NoFetch forbids fetching packages. LOCALENV_FETCH=0 in the environment
	// does the same.
	NoFetch bool

	// AllowMiniredis lets an in-process imitation, which keeps nothing, stand
	// in for a Redis that is not to be had. For a demo only.
	AllowMiniredis bool

	// Postgres are further settings of PostgreSQL, each "name=value"; they go
	// before those that it has anyway.
	Postgres []string

	// Log hears of what takes long or is unusual. The zero value is silent.
	Log zerolog.Logger

	hideInstalled bool     // tests: behave as on a machine without servers
	aptArgs       []string // tests: further arguments for every apt call
	dpkgStatus    string   // tests: dpkg's list of installed packages
}

// Env is a set of running private servers. Its methods may be called from
// several goroutines.
type Env struct {
	// DatabaseURL opens the database "postgres" as a superuser; empty when no
	// PostgreSQL was asked for. With a DataDir it is the same at each start.
	DatabaseURL string

	// RedisURL is understood by redis.ParseURL of go-redis and names database
	// 0; empty when no Redis was asked for. With a DataDir it is the same at
	// each start.
	RedisURL string

	// FilesDir is a folder, not made yet, for files that belong to the database:
	// kept with its data, or gone with it. Empty when no PostgreSQL was asked for.
	FilesDir string

	// Postgres and Redis stop, kill and start a server in the midst of a test.
	// Nil for a server not asked for, and Redis for miniredis.
	Postgres, Redis *Server

	closeMini func()
}

// Start starts a private PostgreSQL and a private Redis and returns when both
// accept connections. ctx bounds the start only. The caller calls Close; when
// the process dies before, even by SIGKILL, the servers and throw-away folders
// go with it.
func Start(ctx context.Context, o Options) (*Env, error) {
	return start(ctx, o, true, true)
}

// StartPostgres is Start for PostgreSQL alone, for a Redis given by URL.
func StartPostgres(ctx context.Context, o Options) (*Env, error) {
	return start(ctx, o, true, false)
}

// StartRedis is Start for Redis alone, for a PostgreSQL given by URL.
func StartRedis(ctx context.Context, o Options) (*Env, error) {
	return start(ctx, o, false, true)
}

// Close ends the servers, removes what is to be thrown away, and returns when
// nothing is left. It may be called twice.
func (e *Env) Close() error {
	var wg sync.WaitGroup
	var pgErr, redisErr error
	if e.Postgres != nil {
		wg.Go(func() { pgErr = e.Postgres.close() })
	}
	if e.Redis != nil {
		wg.Go(func() { redisErr = e.Redis.close() })
	}
	wg.Wait()
	if e.closeMini != nil {
		e.closeMini()
	}
	return errors.Join(pgErr, redisErr)
}

func start(ctx context.Context, o Options, wantPostgres, wantRedis bool) (*Env, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	found, err := o.locate(ctx, wantPostgres, wantRedis)
	if err != nil {
		return nil, err
	}
	env := &Env{}
	var wg sync.WaitGroup
	var pgErr, redisErr error
	if wantPostgres {
		wg.Go(func() {
			tool := o.initdb()
			env.Postgres, pgErr = o.startPostgres(ctx, found.postgres, tool[0], tool[1:]...)
		})
	}
	if wantRedis && found.redis.path != "" {
		wg.Go(func() { env.Redis, redisErr = o.startRedis(ctx, found.redis) })
	}
	if wantRedis && found.redis.path == "" {
		env.RedisURL, env.closeMini, redisErr = startMini(o.Log)
	}
	wg.Wait()
	if err := errors.Join(pgErr, redisErr); err != nil {
		return nil, errors.Join(err, env.Close())
	}
	if env.Postgres != nil {
		env.DatabaseURL = env.Postgres.spec.url
		env.FilesDir = filepath.Join(cmp.Or(o.DataDir, env.Postgres.place.run), "files")
	}
	if env.Redis != nil {
		env.RedisURL = env.Redis.spec.url
	}
	return env, nil
}

func (o Options) withDefaults() (Options, error) {
	if v := os.Getenv("LOCALENV_FETCH"); v == "0" || v == "false" {
		o.NoFetch = true
	}
	if o.TempDir == "" {
		// Not TMPDIR, which may be too long for a socket's path.
		o.TempDir = fmt.Sprintf("/tmp/px-%d", os.Geteuid())
	}
	if o.CacheDir == "" && os.Geteuid() == 0 {
		// Not under /root: the servers run as another user and must get there.
		o.CacheDir = "/var/cache/px"
	}
	if o.CacheDir == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			// A user without HOME: what is fetched then lives as long as /tmp.
			dir = o.TempDir + "-cache"
		}
		o.CacheDir = filepath.Join(dir, "px")
	}
	if o.dpkgStatus == "" {
		o.dpkgStatus = "/var/lib/dpkg/status"
	}
	for _, p := range []*string{&o.DataDir, &o.TempDir, &o.CacheDir} {
		if *p == "" {
			continue
		}
		abs, err := filepath.Abs(*p)
		if err != nil {
			return o, fmt.Errorf("folder %s: %w", *p, err)
		}
		*p = abs
	}
	return o, nil
}
