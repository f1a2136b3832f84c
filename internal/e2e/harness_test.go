// Package e2e runs the real binary: px processes as processes of the operating
// system, on a real PostgreSQL and Redis, with a fast domain clock.
package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/internal/localenv"
	"github.com/pxactions/px/internal/pxbin"
	"github.com/pxactions/px/store"
	"github.com/pxactions/px/tasks"
)

const (
	startWait   = 30 * time.Second // until a process says that it is up
	stopWait    = 30 * time.Second // until it has ended after SIGTERM
	commandWait = 60 * time.Second // for a command that ends by itself
	logShown    = 60               // last lines of each process, when a test fails

	// Of every cluster: how often the sweeps come, and what they leave to the workers.
	sweepInterval = 300 * time.Millisecond
	sweepGrace    = time.Second
	// lateAtMost is what the sweeps promise, and slack: for the sweep's own run
	// over what came due together, and for a worker's start after its death. Both
	// take a fraction of a second alone; but the tests run side by side, a dozen
	// processes and several servers on as few as two cores.
	lateAtMost = sweepInterval + sweepGrace + lateSlack
	lateSlack  = 8 * time.Second
)

func TestMain(m *testing.M) {
	tasks.LogRedis(zerolog.Nop())
	code := m.Run()
	_ = os.RemoveAll(binDir())
	os.Exit(code)
}

func binDir() string { return filepath.Join(os.TempDir(), fmt.Sprintf("px-e2e-%d", os.Getpid())) }

// binary builds px, once for all tests.
var binary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(binDir(), "px")
	return path, pxbin.Build(context.Background(), filepath.Join("..", ".."), path)
})

// cluster is one installation: a database, a Redis, and px processes on them.
type cluster struct {
	t     *testing.T
	store *store.Store
	speed float64 // of the domain clock
	env   []string
	procs []*process
	// tolerated are parts of error lines that are no failure of this test.
	tolerated []string
}

// newCluster prepares an installation; settings are PX_* variables of all its
// processes, such as PX_LOG_LEVEL=debug.
func newCluster(t *testing.T, databaseURL, redisURL string, settings ...string) *cluster {
	t.Helper()
	st, err := store.Open(databaseURL, store.Options{PoolSize: 4})
	require.NoError(t, err)
	c := &cluster{t: t, store: st, speed: 1, env: append([]string{
		"PX_DATABASE_URL=" + databaseURL, "PX_REDIS_URL=" + redisURL, "PX_DATABASE_POOL=8", "PX_SUBJECT_KEY=sixteen bytes or more",
		"PX_PRODUCER_ADDR=127.0.0.1:0", "PX_WEB_ADDR=127.0.0.1:0", "PX_OPS_ADDR=127.0.0.1:0", "PX_FILES_URL=file://" + t.TempDir(),
		"PX_LOG_FORMAT=json", "PX_SWEEP_INTERVAL=" + sweepInterval.String(), "PX_SWEEP_GRACE=" + sweepGrace.String(), "PX_DRAIN_TIMEOUT=5s",
	}, settings...)}
	t.Cleanup(func() { _ = st.Close() })
	t.Cleanup(c.end)
	return c
}

// end kills what still runs, and fails the test for error lines.
func (c *cluster) end() {
	for _, p := range c.procs {
		p.kill()
	}
	for _, p := range c.procs {
		for _, line := range p.log.all() {
			if isFault(line) && !slices.ContainsFunc(c.tolerated, func(s string) bool { return strings.Contains(line, s) }) {
				c.t.Errorf("%s: %s", p.name, line)
			}
		}
	}
	if !c.t.Failed() {
		return
	}
	for _, p := range c.procs {
		lines := p.log.all()
		c.t.Logf("---- %s (%s), last lines:\n%s", p.name, p.cmd.ProcessState, strings.Join(lines[max(0, len(lines)-logShown):], "\n"))
	}
}

func isFault(line string) bool {
	return strings.Contains(line, `"level":"error"`) || strings.Contains(line, `"level":"fatal"`) ||
		strings.HasPrefix(line, "panic:") || strings.HasPrefix(line, "fatal error:")
}

// setClock starts the domain clock, at its epoch and speed, before there is data.
func (c *cluster) setClock(at time.Time, speed float64) {
	c.t.Helper()
	require.NoError(c.t, c.store.SetClock(c.t.Context(), at, speed))
	c.speed = speed
}

// result is what a finished command said.
type result struct {
	code     int
	out, err string
}

// command runs px to its end, with further PX_* variables.
func (c *cluster) command(env []string, args ...string) result {
	c.t.Helper()
	return runPX(c.t, append(slices.Clone(c.env), env...), args...)
}

// px runs a command that must succeed and returns what it printed.
func (c *cluster) px(args ...string) string {
	c.t.Helper()
	r := c.command(nil, args...)
	require.Zero(c.t, r.code, "px %v: %s%s", args, r.out, r.err)
	return r.out
}

func runPX(t *testing.T, env []string, args ...string) result {
	t.Helper()
	path, err := binary()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), commandWait)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(plainEnv(), env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		require.NoError(t, err, "px %v", args)
	}
	require.NoError(t, ctx.Err(), "px %v does not end", args)
	return result{code: cmd.ProcessState.ExitCode(), out: out.String(), err: errs.String()}
}

// plainEnv is this environment without settings of px.
func plainEnv() []string {
	return slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, "PX_") })
}

// start starts px processes and returns when all are up.
func (c *cluster) start(names ...string) []*process {
	c.t.Helper()
	ps := make([]*process, len(names))
	for i, name := range names {
		ps[i] = c.launch(name)
	}
	for _, p := range ps {
		c.await(p)
	}
	return ps
}

// await returns when the process is up, and learns its addresses.
func (c *cluster) await(p *process) {
	c.t.Helper()
	p.ops = "http://" + c.said(p, "health and metrics served", "addr")
	switch p.name {
	case "producer":
		p.url = "http://" + c.said(p, "intake open", "addr")
	case "web":
		p.url = strings.TrimSuffix(c.said(p, "pages open", "url"), "/actions")
	}
}

// said waits for a log line and returns one of its fields.
func (c *cluster) said(p *process, message, field string) (value string) {
	c.t.Helper()
	until(c.t, startWait, p.name+" says "+message, func() (bool, string) {
		for _, line := range p.log.all() {
			if m := fields(line); m["message"] == message {
				value, _ = m[field].(string)
				return true, ""
			}
		}
		return p.ended(), "nothing yet"
	})
	require.NotEmpty(c.t, value, "%s ended, or said no %s:\n%s", p.name, field, strings.Join(p.log.all(), "\n"))
	return value
}

// launch starts one px process and doesn't wait for it.
func (c *cluster) launch(name string) *process {
	c.t.Helper()
	p := spawn(c.t, append(plainEnv(), c.env...), name)
	c.procs = append(c.procs, p)
	return p
}

// process is one running px.
type process struct {
	name     string
	ops, url string // addresses without a path, once it is up
	cmd      *exec.Cmd
	log      *lines
	done     chan struct{}
}

func spawn(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	p := newProcess(t, env, args...)
	p.start(t)
	return p
}

// newProcess is one that is yet to start.
func newProcess(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	path, err := binary()
	require.NoError(t, err)
	p := &process{name: args[0], cmd: exec.Command(path, args...), log: &lines{}, done: make(chan struct{})}
	p.cmd.Env, p.cmd.Stderr, p.cmd.Stdout = env, p.log, p.log
	p.cmd.WaitDelay = time.Second
	return p
}

func (p *process) start(t *testing.T) {
	t.Helper()
	started := make(chan error, 1)
	go p.run(started)
	require.NoError(t, <-started)
}

// run keeps one thread for the process: to the kernel, the thread that started
// it is its parent, with which it is to die.
func (p *process) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(p.done)
	localenv.DieWithParent(p.cmd, syscall.SIGKILL)
	err := p.cmd.Start()
	started <- err
	if err == nil {
		_ = p.cmd.Wait()
	}
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// kill ends the process at once, as a crash would.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// stop asks the processes to end, as an operator does; each must, with exit code 0.
func stop(t *testing.T, ps ...*process) {
	t.Helper()
	for _, p := range ps {
		require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	}
	for _, p := range ps {
		timer := time.NewTimer(stopWait)
		select {
		case <-p.done:
		case <-timer.C:
			p.kill()
			t.Errorf("%s did not end within %s of SIGTERM", p.name, stopWait)
		}
		timer.Stop()
		if code := p.cmd.ProcessState.ExitCode(); code != 0 {
			t.Errorf("%s ended with exit code %d, want 0", p.name, code)
		}
	}
}
