// Package testenv gives each test its own PostgreSQL database, migrated and
// empty, and its own Redis database, on real servers.
//
// The servers are those named by TEST_DATABASE_URL and TEST_REDIS_URL (package
// servers), as the command internal/cmd/testenv sets them for a whole test run.
// Else the test binary starts private ones at the first need, which end with
// it. A test never skips for want of a server: it fails.
package testenv

import (
	"context"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/pxactions/px/internal/localenv"
	"github.com/pxactions/px/internal/testenv/servers"
)

const (
	// startWait bounds the start of servers, with a first download.
	startWait = 5 * time.Minute

	// cleanupWait bounds what is done after a test, whose context has ended.
	cleanupWait = 30 * time.Second
)

// shared is the one pair of servers of this test binary. Nobody closes it: the
// servers and their folders go when the process does.
var shared = sync.OnceValues(func() (*servers.Servers, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startWait)
	defer cancel()
	return servers.FromEnv(ctx, stderrLog())
})

// DatabaseURL returns the URL of a database of the test's own, with all
// migrations applied. It is dropped after the test, with whoever is still
// connected.
func DatabaseURL(tb testing.TB) string {
	tb.Helper()
	return DatabaseOn(tb, sharedServers(tb).DatabaseURL)
}

// DatabaseOn is DatabaseURL on the server of that URL, such as one of
// OwnServers. The database is left behind if the server does not run when the
// test ends.
func DatabaseOn(tb testing.TB, serverURL string) string {
	tb.Helper()
	return newDatabase(tb, serverURL, pxSchema())
}

// RedisURL returns the URL of an empty Redis database of the test's own, in the
// form that redis.ParseURL of go-redis reads. It is emptied after the test.
// Tests share the server: one that stops it, or empties all of it, needs
// OwnServers.
func RedisURL(tb testing.TB) string {
	tb.Helper()
	return newRedis(tb, sharedServers(tb).RedisURL)
}

// OwnServers starts a PostgreSQL and a Redis for this test alone, for tests that
// stop, kill and start them (env.Redis.Stop, Kill, Start; the same for
// env.Postgres). DatabaseOn(tb, env.DatabaseURL) makes a migrated database.
// They end with the test. A start takes about a second.
func OwnServers(tb testing.TB) *localenv.Env {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), startWait)
	defer cancel()
	env, err := localenv.Start(ctx, localenv.Options{Log: stderrLog()})
	if err != nil {
		tb.Fatalf("start servers for this test: %v", err)
	}
	tb.Cleanup(func() {
		if err := env.Close(); err != nil {
			tb.Errorf("end servers of this test: %v", err)
		}
	})
	return env
}

// IgnoreServers makes goleak leave out the goroutines that wait for the private
// servers of this test binary.
func IgnoreServers() goleak.Option {
	return goleak.IgnoreAnyFunction("github.com/pxactions/px/internal/localenv.(*process).run")
}

func sharedServers(tb testing.TB) *servers.Servers {
	tb.Helper()
	s, err := shared()
	if err != nil {
		tb.Fatalf("servers for tests: %v", err)
	}
	return s
}

func stderrLog() zerolog.Logger {
	return zerolog.New(zerolog.ConsoleWriter{Out: os.Stderr, NoColor: true, TimeFormat: time.TimeOnly}).With().Timestamp().Logger()
}
