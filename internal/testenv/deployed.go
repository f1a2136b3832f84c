package testenv

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/pxactions/px/internal/localenv"
)

// RedisNode starts a Redis with a port for this test alone, with further
// arguments; it ends with the test.
func RedisNode(tb testing.TB, args ...string) *localenv.Node {
	tb.Helper()
	return startNode(tb, func(ctx context.Context, o localenv.Options) (*localenv.Node, error) {
		return localenv.StartNode(ctx, o, args...)
	})
}

// RedisCluster starts a cluster of n masters without replicas for this test
// alone, and returns when all of them serve. Further arguments are for each.
func RedisCluster(tb testing.TB, n int, args ...string) []*localenv.Node {
	tb.Helper()
	args = append([]string{"--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-require-full-coverage", "no"}, args...)
	nodes := make([]*localenv.Node, n)
	for i := range nodes {
		nodes[i] = RedisNode(tb, args...)
		const slots = 16384
		Redis(tb, nodes[i], "cluster", "set-config-epoch", i+1)
		Redis(tb, nodes[i], "cluster", "addslotsrange", i*slots/n, (i+1)*slots/n-1)
		if i > 0 {
			host, port, _ := net.SplitHostPort(nodes[0].Addr)
			Redis(tb, nodes[i], "cluster", "meet", host, port)
		}
	}
	for _, node := range nodes {
		Wait(tb, "the cluster serves", func() bool {
			slots, _ := Redis(tb, node, "cluster", "slots").([]any)
			info, _ := Redis(tb, node, "cluster", "info").(string)
			return len(slots) == n && strings.Contains(info, "cluster_state:ok")
		})
	}
	return nodes
}

// Watched is a master with its replica, and the Sentinel that watches them.
type Watched struct {
	Name                      string // of the master, in Sentinel
	Master, Replica, Sentinel *localenv.Node
}

// RedisSentinel starts them for this test alone and returns when a failover is
// possible.
func RedisSentinel(tb testing.TB) Watched {
	tb.Helper()
	w := Watched{Name: "mymaster", Master: RedisNode(tb, "--repl-diskless-sync-delay", "0")}
	host, port, _ := net.SplitHostPort(w.Master.Addr)
	w.Replica = RedisNode(tb, "--replicaof", host+" "+port)
	w.Sentinel = startNode(tb, localenv.StartSentinel)
	// In this order: Sentinel asks a master for its replicas at once, and then
	// every ten seconds.
	Wait(tb, "the replica follows", func() bool {
		info, _ := Redis(tb, w.Replica, "info", "replication").(string)
		return strings.Contains(info, "master_link_status:up")
	})
	Redis(tb, w.Sentinel, "sentinel", "monitor", w.Name, host, port, 1)
	// A busy machine alone is no reason for a failover.
	Redis(tb, w.Sentinel, "sentinel", "set", w.Name, "down-after-milliseconds", 60_000, "failover-timeout", 3000)
	Wait(tb, "Sentinel knows the replica", func() bool {
		replicas, _ := Redis(tb, w.Sentinel, "sentinel", "replicas", w.Name).([]any)
		return len(replicas) == 1
	})
	return w
}

// FailOver kills the master and returns when Sentinel has made the replica the
// next one.
func (w Watched) FailOver(tb testing.TB) {
	tb.Helper()
	Redis(tb, w.Sentinel, "sentinel", "set", w.Name, "down-after-milliseconds", 1000)
	if err := w.Master.Kill(); err != nil {
		tb.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(w.Replica.Addr)
	Wait(tb, "Sentinel has another master", func() bool {
		at, _ := Redis(tb, w.Sentinel, "sentinel", "get-master-addr-by-name", w.Name).([]any)
		return len(at) == 2 && at[1] == port
	})
}

func startNode(tb testing.TB, start func(context.Context, localenv.Options) (*localenv.Node, error)) *localenv.Node {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), startWait)
	defer cancel()
	node, err := start(ctx, localenv.Options{Log: stderrLog()})
	if err != nil {
		tb.Fatalf("start a Redis for this test: %v", err)
	}
	tb.Cleanup(func() {
		if err := node.Close(); err != nil {
			tb.Errorf("end a Redis of this test: %v", err)
		}
	})
	return node
}

// Redis sends one command to a node, by its socket, and returns the answer.
func Redis(tb testing.TB, node *localenv.Node, args ...any) any {
	tb.Helper()
	opt, err := redis.ParseURL(node.URL)
	if err != nil {
		tb.Fatal(err)
	}
	opt.DisableIdentity = true
	opt.Protocol = 2
	c := redis.NewClient(opt)
	defer func() { _ = c.Close() }()
	answer, err := c.Do(tb.Context(), args...).Result()
	if err != nil {
		tb.Fatalf("%v of %s: %v", args, node.Addr, err)
	}
	return answer
}

// Wait polls until ok, and fails the test when that takes too long.
func Wait(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(cleanupWait)
	for !ok() {
		select {
		case <-tick.C:
		case <-timeout:
			tb.Fatalf("not within %s: %s", cleanupWait, what)
		}
	}
}
