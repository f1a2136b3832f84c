package ops

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// limits are those of an HTTP server, in machine time. They keep slow or silent
// clients from holding connections, and many from taking all memory.
type limits struct {
	header      time.Duration // that a request's header may take
	read        time.Duration // that a whole request may take
	write       time.Duration // from a request's header to the end of its answer
	idle        time.Duration // between two requests
	headerBytes int
	connections int // at the same time
}

// usual are the limits of every HTTP server of the program. What takes longer by
// its nature (files, streams of changes) sets deadlines of its own.
func usual() limits {
	return limits{
		header: 5 * time.Second, read: 30 * time.Second, write: 60 * time.Second, idle: 2 * time.Minute,
		headerBytes: 32 << 10, connections: 2048,
	}
}

const shutdownTimeout = 10 * time.Second

// stoppingKey is where a request's context says when its server stops.
type stoppingKey struct{}

// Stopping is closed when the server of a request begins to stop, so that an
// answer without an end can end by itself; nil, and so never, for a request of
// another server than Serve's.
func Stopping(ctx context.Context) <-chan struct{} {
	c, _ := ctx.Value(stoppingKey{}).(<-chan struct{})
	return c
}

// Serve answers on l until ctx ends, then takes no new request, lets those
// under way finish for up to ten seconds and returns. The listener is closed.
func Serve(ctx context.Context, l net.Listener, h http.Handler, logger zerolog.Logger) error {
	return serve(ctx, l, h, logger, usual())
}

func serve(ctx context.Context, l net.Listener, h http.Handler, logger zerolog.Logger, most limits) error {
	conns := &crowd{most: most.connections, log: logger}
	srv := &http.Server{
		Handler: h, ConnState: conns.note, ReadHeaderTimeout: most.header, ReadTimeout: most.read, WriteTimeout: most.write,
		IdleTimeout: most.idle, MaxHeaderBytes: most.headerBytes, ErrorLog: log.New(logger, "", 0),
		BaseContext: func(net.Listener) context.Context {
			return context.WithValue(context.WithoutCancel(ctx), stoppingKey{}, ctx.Done())
		},
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	select {
	case err := <-done:
		return fmt.Errorf("serve %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	err := srv.Shutdown(bound)
	if err != nil {
		err = errors.Join(fmt.Errorf("requests on %s cut off: %w", l.Addr(), err), srv.Close())
	}
	if served := <-done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// crowd bounds the connections of a server. One too many is closed at once, so
// that a balancer goes elsewhere: to let it wait would look as if nobody were there.
type crowd struct {
	most int
	log  zerolog.Logger

	mu   sync.Mutex
	open int
	full bool // since the last connection that was let in
}

// note is the hook of a server for what becomes of its connections.
func (c *crowd) note(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch state {
	case http.StateNew:
		c.open++
		if c.open <= c.most {
			c.full = false
			return
		}
		if !c.full {
			c.full = true
			c.log.Warn().Int("connections", c.most).Stringer("addr", conn.LocalAddr()).Msg("new connections are closed: there are too many")
		}
		_ = conn.Close()
	case http.StateHijacked, http.StateClosed:
		c.open--
	}
}
