package localenv

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

func TestServersWorkAndLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	o := setup(t)
	env, err := Start(t.Context(), o)
	require.NoError(t, err)
	require.Equal(t, "UTF8", mustQuery(t, env.DatabaseURL, "SHOW server_encoding"))
	require.Equal(t, "300", mustQuery(t, env.DatabaseURL, "SHOW max_connections"))
	require.Empty(t, mustQuery(t, env.DatabaseURL, "SHOW listen_addresses"))
	c := client(t, env.RedisURL)
	require.NoError(t, c.Do(t.Context(), "SELECT", "4095").Err())
	require.Equal(t, "noeviction", c.ConfigGet(t.Context(), "maxmemory-policy").Val()["maxmemory-policy"])
	require.Len(t, entries(t, o.TempDir), 2)
	for _, name := range entries(t, o.TempDir) {
		st, err := os.Stat(filepath.Join(o.TempDir, name))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o700), st.Mode().Perm())
	}

	require.NoError(t, env.Close())
	require.NoError(t, env.Close())
	require.NoDirExists(t, o.TempDir)
	require.Error(t, env.Redis.Start(t.Context()))
}

func TestOneServerAloneIsStarted(t *testing.T) {
	t.Parallel()
	o := setup(t)
	pg, err := StartPostgres(t.Context(), o)
	require.NoError(t, err)
	require.Empty(t, pg.RedisURL)
	require.Nil(t, pg.Redis)
	require.NoError(t, pg.Close())
	r, err := StartRedis(t.Context(), o)
	require.NoError(t, err)
	require.Empty(t, r.DatabaseURL)
	require.NoError(t, client(t, r.RedisURL).Ping(t.Context()).Err())
	require.NoError(t, r.Close())
}

func TestServersStopAndStartUnderTheSameURL(t *testing.T) {
	t.Parallel()
	env := mustStart(t, setup(t))
	mustQuery(t, env.DatabaseURL, "CREATE TABLE kept ()")
	c := client(t, env.RedisURL)
	for _, end := range []func() error{env.Postgres.Stop, env.Postgres.Kill, env.Redis.Stop, env.Redis.Kill} {
		require.NoError(t, end())
		require.NoError(t, end(), "a second time does nothing")
	}
	_, err := query(t, env.DatabaseURL, "SELECT ''")
	require.Error(t, err)
	require.Error(t, c.Ping(t.Context()).Err())

	for _, s := range []*Server{env.Postgres, env.Redis} {
		require.NoError(t, s.Start(t.Context()))
		require.NoError(t, s.Start(t.Context()), "a second time does nothing")
	}
	mustQuery(t, env.DatabaseURL, "SELECT FROM kept")
	require.NoError(t, c.Ping(t.Context()).Err())

	require.NoError(t, env.Postgres.Kill())
	require.NoError(t, env.Postgres.Start(t.Context()))
	mustQuery(t, env.DatabaseURL, "SELECT FROM kept")
}

func TestAFrozenServerSaysNothingUntilItThaws(t *testing.T) {
	t.Parallel()
	env := mustStart(t, setup(t))
	c := client(t, env.RedisURL)
	conn, err := pgx.Connect(t.Context(), env.DatabaseURL)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	for _, s := range []*Server{env.Postgres, env.Redis} {
		require.NoError(t, s.Freeze())
	}
	const moment = 200 * time.Millisecond
	ctx, cancel := context.WithTimeout(t.Context(), moment)
	defer cancel()
	require.ErrorIs(t, c.Ping(ctx).Err(), context.DeadlineExceeded)
	answers := make(chan error, 1)
	go func() { answers <- conn.Ping(t.Context()) }() // of a child
	select {
	case err := <-answers:
		t.Errorf("a frozen PostgreSQL answers: %v", err)
	case <-time.After(moment):
	}
	for _, s := range []*Server{env.Postgres, env.Redis} {
		require.NoError(t, s.Thaw())
		require.NoError(t, s.Thaw(), "a second time does nothing")
	}
	require.NoError(t, <-answers)
	require.NoError(t, c.Ping(t.Context()).Err())

	require.NoError(t, env.Postgres.Freeze())
	require.NoError(t, env.Redis.Freeze())
	require.NoError(t, env.Close(), "a frozen one can be ended")
}

func TestKilledProcessTakesServersAndFoldersWithIt(t *testing.T) {
	t.Parallel()
	for name, kept := range map[string]bool{"thrown away": false, "kept": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := setup(t)
			if kept {
				o.DataDir = filepath.Join(openDir(t), "data")
			}
			cmd, _, r := startHelper(t, o, nil)
			require.Len(t, entries(t, o.TempDir), 2)
			require.NoError(t, cmd.Process.Kill())
			_ = cmd.Wait() // killed
			eventually(t, "the folders go", func() bool { return len(entries(t, o.TempDir)) == 0 })
			for _, pid := range r.PIDs {
				require.False(t, running(pid))
			}
		})
	}
}

func TestKeptDataSurvives(t *testing.T) {
	t.Parallel()
	o := setup(t)
	o.DataDir = filepath.Join(openDir(t), "data")

	// A process that is killed after it wrote.
	cmd, _, r := startHelper(t, o, nil)
	mustQuery(t, r.DatabaseURL, "CREATE TABLE kept ()")
	require.NoError(t, client(t, r.RedisURL).Set(t.Context(), "k", "v", 0).Err())
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait() // killed

	// At once, while its servers are still shutting down.
	env, err := Start(t.Context(), o)
	require.NoError(t, err)
	require.Equal(t, r.DatabaseURL, env.DatabaseURL)
	require.Equal(t, r.RedisURL, env.RedisURL)
	require.Equal(t, "on", mustQuery(t, env.DatabaseURL, "SHOW fsync"))
	mustQuery(t, env.DatabaseURL, "SELECT FROM kept")
	require.Equal(t, "v", client(t, env.RedisURL).Get(t.Context(), "k").Val())
	require.NoError(t, env.Close())

	// A lock file of a server killed with its machine, and a process id that is
	// in use by something else.
	pidFile := filepath.Join(o.DataDir, "pg", "cluster", "postmaster.pid")
	require.NoError(t, os.WriteFile(pidFile, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o600))
	env = mustStart(t, o)
	mustQuery(t, env.DatabaseURL, "SELECT FROM kept")
}

func TestDataFolderInUseIsRefused(t *testing.T) {
	t.Parallel()
	o := setup(t)
	o.DataDir = filepath.Join(openDir(t), "data")
	env := mustStart(t, o)
	_, err := Start(t.Context(), o)
	require.ErrorIs(t, err, ErrInUse)
	require.ErrorContains(t, err, o.DataDir)
	mustQuery(t, env.DatabaseURL, "SELECT ''")
}

func TestDataFolderOfAnotherVersionIsRefused(t *testing.T) {
	t.Parallel()
	o := setup(t)
	o.NoFetch = true
	o.DataDir = openDir(t)
	require.NoError(t, os.MkdirAll(filepath.Join(o.DataDir, "pg", "cluster"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(o.DataDir, "pg", "cluster", "PG_VERSION"), []byte("9\n"), 0o644))
	_, err := StartPostgres(t.Context(), o)
	require.ErrorIs(t, err, ErrUnavailable)
	require.ErrorContains(t, err, "9")
}

func TestClusterThatWasNeverFinishedIsMadeAnew(t *testing.T) {
	t.Parallel()
	o := setup(t)
	o.DataDir = filepath.Join(openDir(t), "data")
	half := filepath.Join(o.DataDir, "pg", "cluster.new")
	require.NoError(t, os.MkdirAll(half, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(half, "PG_VERSION"), []byte("15\n"), 0o644))
	env, err := StartPostgres(t.Context(), o)
	require.NoError(t, err)
	mustQuery(t, env.DatabaseURL, "SELECT ''")
	require.NoError(t, env.Close())
}

func TestBlockingFolderIsNamed(t *testing.T) {
	t.Parallel()
	if !isRoot() {
		// A plain user's servers run as that user: nothing is in their way.
		a, err := serverAccount("")
		require.NoError(t, err)
		require.NoError(t, a.checkReach(t.TempDir()))
		return
	}
	o := setup(t)
	closed := filepath.Join(openDir(t), "closed")
	require.NoError(t, os.MkdirAll(filepath.Join(closed, "inner"), 0o755))
	require.NoError(t, os.Chmod(closed, 0o700))
	o.DataDir = filepath.Join(closed, "inner", "data")
	_, err := Start(t.Context(), o)
	require.ErrorContains(t, err, "may not enter "+closed+" (mode 0700)")
	require.Empty(t, entries(t, o.TempDir))
}

func TestAbandonedFolderIsSweptAndLivingOneIsNot(t *testing.T) {
	t.Parallel()
	o := setup(t)
	env := mustStart(t, o)
	living := entries(t, o.TempDir)
	require.NoError(t, os.MkdirAll(filepath.Join(o.TempDir, "pg-abandoned", "data"), 0o700))
	second, err := StartRedis(t.Context(), o)
	require.NoError(t, err)
	require.NoError(t, second.Close())
	require.Equal(t, living, entries(t, o.TempDir))
	mustQuery(t, env.DatabaseURL, "SELECT ''")
}

func TestTemporaryFolderIsChecked(t *testing.T) {
	t.Parallel()
	long := Options{TempDir: filepath.Join(openDir(t), strings.Repeat("x", 100))}
	_, err := StartRedis(t.Context(), long)
	require.ErrorContains(t, err, "choose a shorter one")

	anybody := Options{TempDir: openDir(t)}
	require.NoError(t, os.Chmod(anybody.TempDir, 0o777))
	_, err = StartRedis(t.Context(), anybody)
	require.ErrorContains(t, err, "nobody else may write")
}

func TestPlainUserNeedsNothing(t *testing.T) {
	t.Parallel()
	var as *syscall.Credential
	want := os.Getuid()
	o := setup(t)
	if isRoot() {
		as = &syscall.Credential{Uid: 65534, Gid: 65534}
		want = 65534
		o.TempDir = filepath.Join(openDir(t), "run")
		require.NoError(t, os.Chown(filepath.Dir(o.TempDir), want, want))
		o.CacheDir = warmCache(t)
	}
	cmd, in, r := startHelper(t, o, as)
	require.Equal(t, want, r.UID)
	owner := mustQuery(t, r.DatabaseURL, "SHOW data_directory")
	st, err := os.Stat(owner)
	require.NoError(t, err)
	require.EqualValues(t, want, st.Sys().(*syscall.Stat_t).Uid)
	require.NoError(t, in.Close())
	require.NoError(t, cmd.Wait())
	require.Empty(t, entries(t, o.TempDir))
}

// warmCache is the cache of this user, filled: another user may read it.
func warmCache(t *testing.T) string {
	t.Helper()
	o, err := Options{}.withDefaults()
	require.NoError(t, err)
	_, err = o.locate(t.Context(), true, true)
	require.NoError(t, err)
	require.NoError(t, o.makeCache(o.cacheDir()))
	return o.CacheDir
}

func TestWithoutServersTheErrorSaysWhatToDo(t *testing.T) {
	t.Parallel()
	o := setup(t)
	o.hideInstalled, o.NoFetch, o.CacheDir = true, true, openDir(t)
	_, err := Start(t.Context(), o)
	require.ErrorIs(t, err, ErrUnavailable)
	for _, want := range []string{"no PostgreSQL", "no Redis", "install", "LOCALENV_FETCH=0"} {
		require.ErrorContains(t, err, want)
	}
	require.Empty(t, entries(t, o.TempDir))
}

func TestStartGivesUpWhenItsContextEnds(t *testing.T) {
	t.Parallel()
	o := setup(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Start(ctx, o)
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, entries(t, o.TempDir))
}

func TestMiniredisStandsInWhereAllowed(t *testing.T) {
	t.Parallel()
	o := setup(t)
	o.hideInstalled, o.NoFetch, o.AllowMiniredis, o.CacheDir = true, true, true, openDir(t)
	env, err := StartRedis(t.Context(), o)
	require.NoError(t, err)
	require.Nil(t, env.Redis)
	u, err := url.Parse(env.RedisURL)
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1", u.Hostname())
	c := client(t, env.RedisURL)
	require.NoError(t, c.Set(t.Context(), "k", "v", time.Second).Err())
	eventually(t, "the key's time runs out", func() bool { return c.Get(t.Context(), "k").Err() == redis.Nil })
	require.NoError(t, env.Close())
	require.Error(t, c.Ping(t.Context()).Err())
}
