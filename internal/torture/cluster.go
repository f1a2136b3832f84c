package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/pxactions/px/internal/localenv"
	"github.com/pxactions/px/internal/pxbin"
	"github.com/pxactions/px/internal/receiver"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/store"
)

const (
	claimLease    = 4 * time.Second
	sweepInterval = 300 * time.Millisecond
	sweepGrace    = time.Second
	upWait        = 2 * time.Minute
)

// cluster is one installation: servers, a hook, and px processes on them.
type cluster struct {
	px      string // the binary
	before  string // that of the release before; empty: none
	dir     string // for files
	disk    string // the servers' own file system; empty: none
	servers *localenv.Env
	pg      sync.Mutex // held by who stops, starts or replaces PostgreSQL
	pgProxy *proxy     // to the primary
	proxy   *proxy     // to Redis
	hook    *receiver.Webhook
	store   *store.Store
	redis   *redis.Client // past the proxy
	clock   model.Clock
	stopped time.Time // domain time at which the clock was stopped; zero: it runs
	env     []string
	key     string

	intake, web string // addresses of the two that serve
	procs       []*process
	stop        context.CancelFunc // ends the processes
}

// open starts the servers and furnishes the installation. The caller closes it,
// also after an error.
func (c *cluster) open(ctx context.Context, start time.Time, speed float64) error {
	var err error
	if c.servers, err = localenv.Start(ctx, c.postgresSettings()); err != nil {
		return err
	}
	socket, err := pgSocket(c.servers.DatabaseURL)
	if err != nil {
		return err
	}
	if c.pgProxy, err = startProxy(socket); err != nil {
		return err
	}
	databaseURL := "postgres://px@" + c.pgProxy.addr() + "/postgres?sslmode=disable"
	if c.hook, err = receiver.StartWebhook(""); err != nil {
		return err
	}
	opt, err := redis.ParseURL(c.servers.RedisURL)
	if err != nil {
		return err
	}
	c.redis = redis.NewClient(opt)
	if c.proxy, err = startProxy(opt.Addr); err != nil {
		return err
	}
	if c.store, err = store.Open(databaseURL, store.Options{PoolSize: 6}); err != nil {
		return err
	}
	for _, addr := range []*string{&c.intake, &c.web} {
		if *addr, err = pxbin.FreeAddr(); err != nil {
			return err
		}
	}
	c.env = append(slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, "PX_") }),
		"PX_DATABASE_URL="+databaseURL, "PX_REDIS_URL=redis://"+c.proxy.addr()+"/0", "PX_DATABASE_POOL=6", "PX_SUBJECT_KEY=sixteen bytes or more",
		"PX_PRODUCER_ADDR="+c.intake, "PX_WEB_ADDR="+c.web, "PX_OPS_ADDR=127.0.0.1:0", "PX_FILES_URL=file://"+filepath.Join(c.dir, "files"),
		"PX_LOG_FORMAT=json", "PX_SWEEP_INTERVAL="+sweepInterval.String(), "PX_SWEEP_GRACE="+sweepGrace.String(),
		"PX_CLAIM_LEASE="+claimLease.String(), "PX_CONCURRENCY_MESSAGE=8",
		"PX_WEBHOOK_SECRET="+c.hook.Secret(), "PX_WEBHOOK_ALLOW=127.0.0.1")
	return c.furnish(ctx, start, speed)
}

func (c *cluster) furnish(ctx context.Context, start time.Time, speed float64) error {
	if _, err := c.command(ctx, "migrate", "up"); err != nil {
		return err
	}
	if err := c.store.SetClock(ctx, start, speed); err != nil {
		return err
	}
	now, err := c.store.Now(ctx)
	if err != nil {
		return err
	}
	c.clock = now.Clock
	people, err := c.file("directory.yaml", directory(c.hook.URL()))
	if err != nil {
		return err
	}
	if _, err := c.command(ctx, "directory", "apply", "-f", people); err != nil {
		return err
	}
	if err := c.apply(ctx, editions()[0]); err != nil {
		return err
	}
	key, err := c.command(ctx, "key", "create", "--source", "desk", "--scope", "feedback:write,feedback:read,actions:read,actions:write,on-behalf-of")
	c.key = strings.TrimSpace(key)
	return err
}

func (c *cluster) apply(ctx context.Context, t terms) error {
	path, err := c.file("policy.yaml", t.yaml())
	if err != nil {
		return err
	}
	_, err = c.command(ctx, "policy", "apply", "-f", path, "--by", "torture")
	return err
}

func (c *cluster) file(name, content string) (string, error) {
	path := filepath.Join(c.dir, name)
	return path, os.WriteFile(path, []byte(content), 0o600)
}

// command runs px to its end and returns what it printed.
func (c *cluster) command(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandWait)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.px, args...)
	cmd.Env = c.env
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("px %s: %w: %s%s", strings.Join(args, " "), err, out.String(), errs.String())
	}
	return out.String(), nil
}

// start starts the processes and returns when intake and pages are open.
func (c *cluster) start(ctx context.Context) error {
	ctx, c.stop = context.WithCancel(ctx)
	for _, name := range []string{"worker", "worker 2", "scheduler", "scheduler 2", "producer", "web"} {
		p := &process{name: name, path: c.px, args: strings.Fields(name)[:1], env: append(slices.Clip(c.env), clockFile+"="+c.clockOf(name)), log: &lines{}, done: make(chan struct{})}
		c.procs = append(c.procs, p)
		go p.keepUp(ctx)
	}
	return await(ctx, upWait, "the processes are up", func() error {
		for _, addr := range []string{c.intake, c.web} {
			resp, err := http.Get("http://" + addr + "/openapi.json")
			if err != nil {
				return err
			}
			_ = resp.Body.Close()
		}
		return nil
	})
}

// process is that of a name.
func (c *cluster) process(name string) *process {
	return c.procs[slices.IndexFunc(c.procs, func(p *process) bool { return p.name == name })]
}

// end kills the processes and waits for them.
func (c *cluster) end() {
	if c.stop == nil {
		return
	}
	c.stop()
	for _, p := range c.procs {
		<-p.done
	}
}

func (c *cluster) close() error {
	c.end()
	var errs []error
	if c.store != nil {
		errs = append(errs, c.store.Close())
	}
	if c.redis != nil {
		errs = append(errs, c.redis.Close())
	}
	for _, p := range []*proxy{c.proxy, c.pgProxy} {
		if p != nil {
			p.close()
		}
	}
	if c.hook != nil {
		errs = append(errs, c.hook.Close())
	}
	if c.servers != nil {
		errs = append(errs, c.servers.Close())
	}
	errs = append(errs, c.dropDisk())
	return errors.Join(errs...)
}

// now is the domain time, whole seconds.
func (c *cluster) now() time.Time {
	if !c.stopped.IsZero() {
		return c.stopped
	}
	return c.clock.Virtual(time.Now().UTC()).Truncate(time.Second)
}

// stopClock all but stops the domain clock where it is, so that nothing more
// comes due and what has come due can be told from what has not.
func (c *cluster) stopClock(ctx context.Context) error {
	return await(ctx, finishWait, "the clock stops", func() error {
		return c.store.DB().NewRaw(`UPDATE clock SET virtual_epoch = virtual_epoch + speed * (clock_timestamp() - real_epoch),
			real_epoch = clock_timestamp(), speed = 1e-6 RETURNING virtual_epoch`).Scan(ctx, &c.stopped)
	})
}

// await asks again and again until there is no error; after wait it returns the last one.
func await(ctx context.Context, wait time.Duration, what string, ask func() error) error {
	deadline := time.Now().Add(wait)
	for {
		err := ask()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) || !sleep(ctx, 50*time.Millisecond) {
			return fmt.Errorf("%s: not within %s: %w", what, wait, err)
		}
	}
}
