package localenv

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
)

// busOffset is how far above a node's port its cluster bus listens.
const busOffset = 10000

// Node is a Redis that others of its kind can reach: one of a cluster, one that
// Sentinel watches, or a Sentinel.
type Node struct {
	*Server
	Addr string // host:port on the loopback device
	URL  string // as of Env.RedisURL: by its socket
}

// StartNode starts a throw-away Redis that listens on a port of the loopback
// device besides its socket, with further arguments ("--cluster-enabled", "yes");
// with a certificate among them ("--tls-cert-file") the port is one for TLS.
// The caller calls Close; else as Start.
func StartNode(ctx context.Context, o Options, args ...string) (*Node, error) {
	listen := "--port"
	if slices.Contains(args, "--tls-cert-file") {
		listen = "--tls-port"
	}
	return o.startNode(ctx, func(p *place, socket, port string) []string {
		return append(append(redisArgs(p, socket), listen, port, "--bind", "127.0.0.1"), args...)
	})
}

// StartSentinel is StartNode for a Sentinel, which is told by its commands what
// to watch.
func StartSentinel(ctx context.Context, o Options) (*Node, error) {
	return o.startNode(ctx, func(p *place, socket, port string) []string {
		return []string{
			filepath.Join(p.data, "sentinel.conf"), "--sentinel",
			"--port", port, "--bind", "127.0.0.1", "--unixsocket", socket, "--unixsocketperm", "700", "--dir", p.data,
		}
	})
}

// Close ends the node and removes its data. It may be called twice.
func (n *Node) Close() error { return n.close() }

// startNode takes a free port; somebody else may take it first.
func (o Options) startNode(ctx context.Context, args func(p *place, socket, port string) []string) (n *Node, err error) {
	o.DataDir = ""
	if o, err = o.withDefaults(); err != nil {
		return nil, err
	}
	found, err := o.locate(ctx, false, true)
	if err != nil {
		return nil, err
	}
	var errs []error
	for range 3 {
		n, err := o.tryNode(ctx, found.redis, args)
		if err == nil {
			return n, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

func (o Options) tryNode(ctx context.Context, prog program, args func(p *place, socket, port string) []string) (*Node, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	p, err := o.newPlace(ctx, "redis")
	if err != nil {
		return nil, fmt.Errorf("private Redis: %w", err)
	}
	// A Sentinel writes what it knows into its file.
	conf := filepath.Join(p.data, "sentinel.conf")
	if err := errors.Join(os.WriteFile(conf, nil, 0o600), p.account.own(conf)); err != nil {
		p.unlock()
		return nil, errors.Join(err, os.RemoveAll(p.run))
	}
	socket := filepath.Join(p.run, "redis.sock")
	url := "unix://" + socket + "?db=0"
	s, err := startServer(ctx, p, spec{
		name:    "Redis",
		url:     url,
		command: func() *exec.Cmd { return prog.command("", args(p, socket, strconv.Itoa(port))...) },
		ready:   func(ctx context.Context, _ int) bool { return redisReady(ctx, socket) },
		stop:    syscall.SIGTERM,
		crash:   syscall.SIGKILL,
	}, o.Log)
	if err != nil {
		return nil, err
	}
	return &Node{Server: s, Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), URL: url}, nil
}

// freePort finds a port that is free, and so is that of its cluster bus.
func freePort() (int, error) {
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return 0, fmt.Errorf("find a free port: %w", err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		bus, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port+busOffset)))
		_ = l.Close()
		if err != nil {
			continue
		}
		_ = bus.Close()
		return port, nil
	}
	return 0, errors.New("find a free port: none whose cluster bus has one, too")
}
