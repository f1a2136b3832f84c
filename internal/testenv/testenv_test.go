package testenv

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"github.com/uptrace/bun"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, IgnoreServers()) }

func dial(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func dialRedis(t *testing.T, url string) *redis.Client {
	t.Helper()
	opt, err := redis.ParseURL(url)
	require.NoError(t, err)
	c := redis.NewClient(opt)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestDatabaseURLGivesAMigratedDatabaseOfItsOwn(t *testing.T) {
	t.Parallel()
	one, two := DatabaseURL(t), DatabaseURL(t)
	require.NotEqual(t, one, two)
	a, b := dial(t, one), dial(t, two)
	_, err := a.Exec(t.Context(), "CREATE TABLE only_here ()")
	require.NoError(t, err)

	var here, there, migrated bool
	exists := "SELECT EXISTS (SELECT FROM pg_tables WHERE tablename = $1)"
	require.NoError(t, a.QueryRow(t.Context(), exists, "only_here").Scan(&here))
	require.NoError(t, b.QueryRow(t.Context(), exists, "only_here").Scan(&there))
	require.NoError(t, b.QueryRow(t.Context(), exists, "bun_migrations").Scan(&migrated))
	require.True(t, here)
	require.False(t, there)
	require.True(t, migrated)
}

func TestDatabaseIsDroppedAfterTheTestWithItsConnections(t *testing.T) {
	t.Parallel()
	outer := t
	var url string
	t.Run("a test that leaves a connection open", func(t *testing.T) {
		url = DatabaseURL(t)
		conn := dial(outer, url) // closed only after this test's own cleanup
		require.NoError(t, conn.Ping(t.Context()))
	})
	_, err := connect(t.Context(), url)
	require.ErrorContains(t, err, "does not exist")
}

func TestTemplateIsMadeOnceHoweverManyAskAtOnce(t *testing.T) {
	t.Parallel()
	server := sharedServers(t).DatabaseURL
	var made atomic.Int32
	s := schema{
		// The name makes it a schema that no other run has made.
		files: fstest.MapFS{"0001_" + filepath.Base(t.TempDir()) + time.Now().String(): {Data: []byte("x")}},
		up: func(ctx context.Context, db *bun.DB) error {
			made.Add(1)
			_, err := db.ExecContext(ctx, "CREATE TABLE made ()")
			return err
		},
	}
	var wg sync.WaitGroup
	urls := make([]string, 8)
	for i := range urls {
		wg.Go(func() { urls[i] = newDatabase(t, server, s) })
	}
	wg.Wait()
	require.EqualValues(t, 1, made.Load())
	for _, u := range urls {
		_, err := dial(t, u).Exec(t.Context(), "SELECT FROM made")
		require.NoError(t, err)
	}
	dropTemplate(t, server, s)
}

func TestTemplateOfMigrationsThatFailIsMadeAgain(t *testing.T) {
	t.Parallel()
	server := sharedServers(t).DatabaseURL
	broken := errors.New("broken")
	s := schema{
		files: fstest.MapFS{"0001_broken" + time.Now().String(): {Data: []byte("x")}},
		up:    func(context.Context, *bun.DB) error { return broken },
	}
	require.ErrorIs(t, createDatabase(t.Context(), server, "px_test_never", s), broken)
	s.up = func(context.Context, *bun.DB) error { return nil }
	require.NoError(t, dial(t, newDatabase(t, server, s)).Ping(t.Context()))
	dropTemplate(t, server, s)
}

func dropTemplate(t *testing.T, server string, s schema) {
	t.Helper()
	sum, err := hash(s.files)
	require.NoError(t, err)
	conn := dial(t, server)
	for _, sql := range []string{
		"ALTER DATABASE px_template_" + sum + " WITH IS_TEMPLATE false",
		"DROP DATABASE px_template_" + sum,
	} {
		_, err := conn.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
}

func TestRedisURLGivesAnEmptyDatabaseOfItsOwn(t *testing.T) {
	t.Parallel()
	one, two := RedisURL(t), RedisURL(t)
	require.NotEqual(t, one, two)
	a, b := dialRedis(t, one), dialRedis(t, two)
	require.NoError(t, a.Set(t.Context(), "k", "v", 0).Err())
	n, err := b.DBSize(t.Context()).Result()
	require.NoError(t, err)
	require.Zero(t, n)
}

func TestRedisDatabaseIsEmptiedAndGivenBack(t *testing.T) {
	t.Parallel()
	var url string
	t.Run("a test that writes", func(t *testing.T) {
		url = RedisURL(t)
		require.NoError(t, dialRedis(t, url).Set(t.Context(), "k", "v", 0).Err())
	})
	c := dialRedis(t, url)
	n, err := c.DBSize(t.Context()).Result()
	require.NoError(t, err)
	require.Zero(t, n)
	db0 := dialRedis(t, sharedServers(t).RedisURL)
	_, number, _ := strings.Cut(url, "db=")
	require.Zero(t, db0.Exists(t.Context(), redisClaim+number).Val())
}

func TestOwnServersGoAndComeBackUnderTheSameURL(t *testing.T) {
	t.Parallel()
	env := OwnServers(t)
	url := DatabaseOn(t, env.DatabaseURL)
	conn := dial(t, url)
	_, err := conn.Exec(t.Context(), "CREATE TABLE kept ()")
	require.NoError(t, err)
	c := dialRedis(t, env.RedisURL)
	require.NoError(t, c.Set(t.Context(), "k", "v", 0).Err())

	require.NoError(t, env.Redis.Kill())
	require.Error(t, c.Ping(t.Context()).Err())
	require.NoError(t, env.Redis.Start(t.Context()))
	require.ErrorIs(t, c.Get(t.Context(), "k").Err(), redis.Nil)

	require.NoError(t, env.Postgres.Stop())
	require.Error(t, conn.Ping(t.Context()))
	_, err = connect(t.Context(), url)
	require.Error(t, err)
	require.NoError(t, env.Postgres.Start(t.Context()))
	_, err = dial(t, url).Exec(t.Context(), "SELECT FROM kept")
	require.NoError(t, err)
}

func TestAddressThatIsNoURLIsRefused(t *testing.T) {
	t.Parallel()
	_, err := withDatabase("host=localhost dbname=postgres", "x")
	require.ErrorContains(t, err, "must be a URL")
}

func TestServersNamedByTheEnvironmentAreUsedAsTheyAre(t *testing.T) {
	t.Parallel()
	want := os.Getenv("TEST_DATABASE_URL")
	got := sharedServers(t).DatabaseURL
	if want != "" {
		require.Equal(t, want, got)
	}
	require.True(t, strings.HasPrefix(got, "postgres"))
}
