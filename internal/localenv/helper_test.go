package localenv

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// helperVar makes the test binary a program that starts servers with the
// options in it, says where they are, and waits for the end of its input.
const helperVar = "LOCALENV_TEST_HELPER"

func TestMain(m *testing.M) {
	if v := os.Getenv(helperVar); v != "" {
		os.Exit(helper(v))
	}
	os.Exit(m.Run())
}

// report is what the helper says of itself.
type report struct {
	UID         int
	DatabaseURL string
	RedisURL    string
	PIDs        []int
}

func helper(options string) int {
	var o Options
	if err := json.Unmarshal([]byte(options), &o); err != nil {
		fmt.Println(err)
		return 1
	}
	env, err := Start(context.Background(), o)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	err = json.NewEncoder(os.Stdout).Encode(report{
		UID: os.Getuid(), DatabaseURL: env.DatabaseURL, RedisURL: env.RedisURL,
		PIDs: []int{env.Postgres.proc.pid, env.Redis.proc.pid},
	})
	if err != nil {
		return 1
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	if err := env.Close(); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// startHelper runs the helper, as another user if that is not nil.
func startHelper(t *testing.T, o Options, as *syscall.Credential) (cmd *exec.Cmd, in io.Closer, r report) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	if as != nil {
		self = copyFile(t, self, filepath.Join(openDir(t), "helper"))
	}
	b, err := json.Marshal(o)
	require.NoError(t, err)
	cmd = exec.Command(self)
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), helperVar+"="+string(b))
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal([]byte(line), &r), line)
	return cmd, stdin, r
}

func copyFile(t *testing.T, from, to string) string {
	t.Helper()
	b, err := os.ReadFile(from)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(to, b, 0o755))
	require.NoError(t, os.Chmod(to, 0o755))
	return to
}

// openDir is a temporary folder that every user may enter, unlike t.TempDir; its
// path is short enough for sockets.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "pxt-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755))
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

// setup gives the test a place of its own for run folders.
func setup(t *testing.T) Options {
	t.Helper()
	return Options{TempDir: filepath.Join(openDir(t), "run")}
}

func mustStart(t *testing.T, o Options) *Env {
	t.Helper()
	env, err := Start(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, env.Close()) })
	return env
}

func query(t *testing.T, url, sql string) (string, error) {
	t.Helper()
	cfg, err := pgx.ParseConfig(url)
	require.NoError(t, err)
	cfg.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	conn, err := pgx.ConnectConfig(t.Context(), cfg)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close(context.Background()) }()
	rows, err := conn.Query(t.Context(), sql)
	if err != nil {
		return "", err
	}
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return strings.Join(got, ","), err
}

func mustQuery(t *testing.T, url, sql string) string {
	t.Helper()
	got, err := query(t, url, sql)
	require.NoError(t, err)
	return got
}

func client(t *testing.T, url string) *redis.Client {
	t.Helper()
	opt, err := redis.ParseURL(url)
	require.NoError(t, err)
	c := redis.NewClient(opt)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// entries are the names in a folder, none when there is no such folder.
func entries(t *testing.T, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if !os.IsNotExist(err) {
		require.NoError(t, err)
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

// running reports whether the process exists and is not a zombie.
func running(pid int) bool {
	out, err := exec.Command("ps", "-o", "stat=", "-p", fmt.Sprint(pid)).Output()
	return err == nil && !strings.HasPrefix(strings.TrimSpace(string(out)), "Z")
}

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	require.Eventually(t, cond, 30*time.Second, 20*time.Millisecond, what)
}

func isRoot() bool { return os.Geteuid() == 0 }
