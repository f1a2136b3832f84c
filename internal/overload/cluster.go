package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/pxactions/px/internal/localenv"
	"github.com/pxactions/px/internal/pxbin"
	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/migrations"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/samples"
	"github.com/pxactions/px/store"
)

// cluster is one installation: servers, a producer and a worker.
type cluster struct {
	store    *store.Store
	keys     []string
	intake   string // URLs
	ops      string
	producer *exec.Cmd
	closers  []func() error
}

// start makes an installation that is up.
func start(ctx context.Context, cfg config, progress io.Writer) (c *cluster, err error) {
	c = &cluster{}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.close())
		}
	}()
	dir, err := os.MkdirTemp(cfg.dir, "px-overload-")
	if err != nil {
		return c, fmt.Errorf("a folder for the data: %w", err)
	}
	c.closers = append(c.closers, func() error { return os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { // PostgreSQL may run as another user
		return c, fmt.Errorf("a folder for the data: %w", err)
	}
	if cfg.px == "" {
		cfg.px = filepath.Join(dir, "px")
		if err := pxbin.Build(ctx, ".", cfg.px); err != nil {
			return c, err
		}
	}
	env, err := localenv.Start(ctx, localenv.Options{DataDir: filepath.Join(dir, "data")}) // durable: each commit waits for the disk
	if err != nil {
		return c, err
	}
	c.closers = append(c.closers, env.Close)
	if err := c.fill(ctx, env.DatabaseURL); err != nil {
		return c, err
	}
	return c, c.processes(ctx, cfg, env, progress)
}

// fill makes the schema, the samples and the keys of the sources.
func (c *cluster) fill(ctx context.Context, databaseURL string) error {
	var err error
	if c.store, err = store.Open(databaseURL, store.Options{PoolSize: 2}); err != nil {
		return err
	}
	c.closers = append(c.closers, c.store.Close)
	if _, err := migrations.Up(ctx, c.store.DB()); err != nil {
		return err
	}
	if err := scenario.Seed(ctx, c.store, samples.Policy); err != nil {
		return err
	}
	for i := range keys {
		key, err := c.store.CreateKey(ctx, &model.APIKey{
			Name: "overload", SourceSystem: fmt.Sprintf("source-%d", i), Scopes: model.Of(store.Scopes()), OnUnmapped: model.UnmappedReject,
		})
		if err != nil {
			return err
		}
		c.keys = append(c.keys, key)
	}
	return nil
}

// processes starts the producer and the worker.
func (c *cluster) processes(ctx context.Context, cfg config, env *localenv.Env, progress io.Writer) error {
	intake, err1 := pxbin.FreeAddr()
	ops, err := pxbin.FreeAddr()
	if err := errors.Join(err1, err); err != nil {
		return err
	}
	c.intake, c.ops = "http://"+intake, "http://"+ops
	for _, p := range []struct{ name, ops string }{{"producer", ops}, {"worker", "127.0.0.1:0"}} {
		cmd := exec.Command(cfg.px, p.name)
		cmd.Env = append(os.Environ(), "PX_DATABASE_URL="+env.DatabaseURL, "PX_REDIS_URL="+env.RedisURL, "PX_SUBJECT_KEY=a key for the overload alone",
			"PX_PRODUCER_ADDR="+intake, "PX_OPS_ADDR="+p.ops, "PX_LOG_LEVEL=error")
		cmd.Stderr = progress
		if err := cmd.Start(); err != nil {
			return fmt.Errorf("start px %s: %w", p.name, err)
		}
		c.closers = append(c.closers, func() error { return end(cmd) })
		if p.name == "producer" {
			c.producer = cmd
		}
	}
	for until := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if _, err = c.probe(ctx, "/readyz"); err == nil {
			return nil
		}
		if time.Now().After(until) || ctx.Err() != nil {
			return fmt.Errorf("px producer is not up: %w", err)
		}
	}
}

// end lets a process finish.
func end(cmd *exec.Cmd) error {
	kill := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("%s ended: %w", strings.Join(cmd.Args, " "), err)
	}
	return nil
}

func (c *cluster) close() error {
	var errs []error
	for i := len(c.closers) - 1; i >= 0; i-- {
		errs = append(errs, c.closers[i]())
	}
	return errors.Join(errs...)
}

// health is what probes were answered.
type health struct {
	asked, good int
	slowest     time.Duration
}

// probe asks the producer whether it is up, as an orchestrator does.
func (c *cluster) probe(ctx context.Context, path string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.ops+path, nil)
	if err != nil {
		return 0, err
	}
	begin := time.Now()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%s answers %d", path, res.StatusCode)
	}
	return time.Since(begin), nil
}

// watch probes every second until it is asked what it has seen.
func (c *cluster) watch(ctx context.Context) func() health {
	ctx, stop := context.WithCancel(ctx)
	seen := make(chan health)
	go func() {
		var h health
		for ticker := time.NewTicker(time.Second); ; {
			select {
			case <-ctx.Done():
				ticker.Stop()
				seen <- h
				return
			case <-ticker.C:
			}
			took, err := c.probe(context.WithoutCancel(ctx), "/healthz")
			h.asked++
			if err == nil {
				h.good++
				h.slowest = max(h.slowest, took)
			}
		}
	}()
	return func() health { stop(); return <-seen }
}

// peak is the most memory that the producer has had, in bytes.
func (c *cluster) peak() (int64, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", c.producer.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("peak memory: %w", err)
	}
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), "VmHWM:"); ok {
			kilobytes, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(rest, "kB")), 10, 64)
			return kilobytes << 10, err
		}
	}
	return 0, errors.New("peak memory: not told")
}

// kept is how the rows compare with the answers.
type kept struct{ rows, lost, unsure, unknown int }

// compare reads every row and holds it against what its sender was told.
func (c *cluster) compare(ctx context.Context, l *load) (k kept, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	there := map[int64]bool{}
	rows, err := c.store.DB().QueryContext(ctx, "SELECT event_id::bigint FROM feedback")
	if err != nil {
		return k, fmt.Errorf("read the rows: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var n int64
		if err := rows.Scan(&n); err != nil {
			return k, err
		}
		k.rows++
		there[n] = true
		switch o, ok := l.outcomes[n]; {
		case !ok:
			k.unknown++
		case o == unsure:
			k.unsure++
		}
	}
	for n, o := range l.outcomes {
		if o == accepted && !there[n] {
			k.lost++
		}
	}
	return k, rows.Err()
}
