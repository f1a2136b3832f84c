// Package ops is what every process shows its operators: whether it lives,
// whether it can work, and what it counts.
package ops

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"

	"github.com/pxactions/px/internal/metrics"
)

// Options is what a process shows.
type Options struct {
	Process string           // the process's name, as it stands in /readyz
	Metrics *metrics.Metrics // needed: /metrics serves its registry
	Checks  []Check          // what readiness depends on; none: always ready

	Depths func(context.Context) (map[string]Depth, error) // of the queues, by name; nil: not shown
	Counts func(context.Context) (Counts, error)           // of the ledger; nil: not shown
	Keep   time.Duration                                   // how long (machine time) Depths and Counts are kept; 0: 15 s
	Wait   time.Duration                                   // how long a scrape waits for them at most; 0: 1.5 s

	Now func() time.Time // the machine's clock
	Log zerolog.Logger
}

// Check is one thing that a process works with.
type Check struct {
	Name     string
	Required bool          // false: failing shows as degraded, and the process stays ready
	Timeout  time.Duration // machine time; 0: 2 s
	Run      func(context.Context) error
}

// The states of a process and of its checks.
const (
	stateReady    = "ready"
	stateDegraded = "degraded"  // a check that is not required fails
	stateNotReady = "not_ready" // a required check fails
	stateStopping = "stopping"
	stateOK       = "ok"
	stateFailing  = "failing"
)

const defaultCheckTimeout = 2 * time.Second

// Server answers /healthz, /readyz and /metrics.
type Server struct {
	o         Options
	mux       *http.ServeMux
	collector *collector
	stopping  atomic.Bool
}

// New prepares a server and registers its gauges with the metrics; one per set
// of metrics.
func New(o Options) (*Server, error) {
	if o.Metrics == nil || o.Now == nil {
		return nil, errors.New("ops: Metrics and Now are needed")
	}
	s := &Server{o: o, mux: http.NewServeMux(), collector: newCollector(o)}
	if err := o.Metrics.Registry.Register(s.collector); err != nil {
		return nil, fmt.Errorf("register the gauges of the process: %w", err)
	}
	s.mux.HandleFunc("GET /healthz", s.health)
	s.mux.HandleFunc("GET /readyz", s.ready)
	s.mux.Handle("GET /metrics", promhttp.HandlerFor(o.Metrics.Registry, promhttp.HandlerOpts{Registry: o.Metrics.Registry}))
	return s, nil
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	s.mux.ServeHTTP(w, r)
}

// Stopping makes /readyz say so from now on, while a process finishes what it
// has begun; /healthz and /metrics go on.
func (s *Server) Stopping() { s.stopping.Store(true) }

// Serve listens on addr (port 0 takes a free one; an empty addr serves nothing)
// until ctx ends, and returns when everything has ended.
func (s *Server) Serve(ctx context.Context, addr string) error {
	if addr == "" {
		<-ctx.Done()
		return nil
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("serve health and metrics: %w", err)
	}
	return s.ServeListener(ctx, l)
}

// ServeListener is Serve on a listener, which it closes.
func (s *Server) ServeListener(ctx context.Context, l net.Listener) error {
	s.o.Log.Info().Str("addr", l.Addr().String()).Msg("health and metrics served")
	err := Serve(ctx, l, s, s.o.Log)
	s.Stopping()
	s.collector.close()
	return err
}

// health says that the process answers, and touches nothing else: whoever
// restarts processes on it must not do so because a database is away.
func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("ok\n"))
}

// readiness is the answer of /readyz.
type readiness struct {
	Process string       `json:"process"`
	Status  string       `json:"status"`
	Checks  []checkState `json:"checks"`
}

type checkState struct {
	Name     string `json:"name"`
	State    string `json:"state"`
	Required bool   `json:"required"`
	Error    string `json:"error,omitempty"`
}

func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	a := readiness{Process: s.o.Process, Status: stateReady, Checks: s.check(r.Context())}
	for _, c := range a.Checks {
		switch {
		case c.State == stateOK:
		case c.Required:
			a.Status = stateNotReady
		case a.Status == stateReady:
			a.Status = stateDegraded
		}
	}
	if s.stopping.Load() {
		a.Status = stateStopping
	}
	w.Header().Set("Content-Type", "application/json")
	if a.Status == stateNotReady || a.Status == stateStopping {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	if err := enc.Encode(a); err != nil {
		s.o.Log.Debug().Err(err).Msg("readiness not written")
	}
}

// check runs all checks at once and waits for each as long as it may take,
// even one that does not heed its context.
func (s *Server) check(ctx context.Context) []checkState {
	states := make([]checkState, len(s.o.Checks))
	var wg sync.WaitGroup
	for i, c := range s.o.Checks {
		wg.Go(func() {
			states[i] = checkState{Name: c.Name, State: stateOK, Required: c.Required}
			if err := runCheck(ctx, c); err != nil {
				states[i].State, states[i].Error = stateFailing, err.Error()
			}
		})
	}
	wg.Wait()
	return states
}

func runCheck(ctx context.Context, c Check) error {
	timeout := c.Timeout
	if timeout <= 0 {
		timeout = defaultCheckTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("no answer within %s", timeout)
	}
}
