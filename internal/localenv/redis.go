package localenv

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"
)

// redisDatabases is how many databases the private Redis has: tests take one
// each, as asynq's keys cannot be given a prefix.
const redisDatabases = 4096

func (o Options) startRedis(ctx context.Context, prog program) (*Server, error) {
	p, err := o.newPlace(ctx, "redis")
	if err != nil {
		return nil, fmt.Errorf("private Redis: %w", err)
	}
	socket := filepath.Join(p.run, "redis.sock")
	return startServer(ctx, p, spec{
		name:    "Redis",
		url:     "unix://" + socket + "?db=0",
		command: func() *exec.Cmd { return prog.command("", redisArgs(p, socket)...) },
		ready:   func(ctx context.Context, _ int) bool { return redisReady(ctx, socket) },
		stop:    syscall.SIGTERM,
		crash:   syscall.SIGKILL,
	}, o.Log)
}

func redisArgs(p *place, socket string) []string {
	appendOnly := "no"
	if p.kept {
		appendOnly = "yes"
	}
	return []string{
		"--port", "0",
		"--unixsocket", socket,
		"--unixsocketperm", "700",
		"--dir", p.data,
		"--databases", strconv.Itoa(redisDatabases),
		"--maxmemory-policy", "noeviction",
		"--save", "",
		"--appendonly", appendOnly,
		"--appendfsync", "everysec",
		"--daemonize", "no",
	}
}

// redisReady reports whether the server answers; while it loads its file it
// answers with an error.
func redisReady(ctx context.Context, socket string) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	// A killed server leaves its socket behind, and a new one makes it before it
	// listens: the client would complain of either on standard error.
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
	if err != nil {
		return false
	}
	_ = conn.Close()
	c := redis.NewClient(&redis.Options{Network: "unix", Addr: socket, MaxRetries: -1, DialerRetries: 1, DisableIdentity: true})
	defer func() { _ = c.Close() }()
	return c.Ping(ctx).Err() == nil
}

// startMini starts the imitation of Redis in this process. It listens on a port
// of the loopback device, so that its URL works like any other.
func startMini(log zerolog.Logger) (url string, closeMini func(), err error) {
	m := miniredis.NewMiniRedis()
	if err := m.StartAddr("127.0.0.1:0"); err != nil {
		return "", nil, fmt.Errorf("miniredis: %w", err)
	}
	log.Warn().Msg("no Redis server on this machine: an in-process imitation stands in; it is slower and forgets all when this program ends")
	quit := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { expire(m, quit) })
	var once sync.Once
	return "redis://" + m.Addr() + "/0", func() {
		once.Do(func() {
			close(quit)
			wg.Wait()
			m.Close()
		})
	}, nil
}

// expire moves the clock that miniredis counts time to live by, once a second.
// Its own option for that looks at each key at each command, which is far too
// slow with many keys.
func expire(m *miniredis.Miniredis, quit <-chan struct{}) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-quit:
			return
		case <-tick.C:
			now := time.Now()
			m.FastForward(now.Sub(last))
			last = now
		}
	}
}
