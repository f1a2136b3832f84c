// Package producer takes feedback in from other systems: over HTTP with API
// keys, and from Go programs in the same process. Both end in the same use case:
// validate, commit the row, enqueue. Package client is the way in for Go
// programs elsewhere.
package producer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/rs/zerolog"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/internal/openapi"
	"github.com/pxactions/px/internal/problem"
	"github.com/pxactions/px/internal/ratelimit"
)

// The defaults of Options.
const (
	DefaultMaxBody  = 10 << 20
	DefaultMaxItems = 10_000

	DefaultMaxRequests = 128
	DefaultMaxHeld     = 64 << 20

	DefaultKeyTTL = engine.DefaultKeyTTL
)

// Options is what the intake is made of. Only Engine is needed.
type Options struct {
	Engine      *engine.Engine
	Log         zerolog.Logger
	Doc         *openapi.Doc       // the description it serves; nil: of the intake alone
	MaxBody     int64              // bytes of one request; 0: 10 MiB
	MaxItems    int                // events of one request; 0: 10,000
	MaxRequests int                // requests in hand at the same time; 0: 128
	MaxHeld     int64              // bytes held for them, 1 KiB for each event included; 0: 64 MiB
	Limit       *ratelimit.Limiter // of each key; nil: none
	KeyTTL      time.Duration      // how long a key is remembered, so at most how long a revoked one still works; 0: 3 s
}

// Producer is the HTTP intake, an http.Handler. It is safe for concurrent use.
type Producer struct {
	Options
	keys *engine.Keyring
	load load
	http http.Handler
}

// New makes the intake.
func New(o Options) (*Producer, error) {
	if o.Engine == nil {
		return nil, errors.New("producer: an engine is needed")
	}
	if o.MaxBody < 0 || o.MaxItems < 0 || o.MaxRequests < 0 || o.MaxHeld < 0 || o.KeyTTL < 0 {
		return nil, errors.New("producer: limits are not below 0")
	}
	o.MaxBody = cmp.Or(o.MaxBody, DefaultMaxBody)
	o.MaxItems = cmp.Or(o.MaxItems, DefaultMaxItems)
	o.MaxRequests = cmp.Or(o.MaxRequests, DefaultMaxRequests)
	o.MaxHeld = cmp.Or(o.MaxHeld, DefaultMaxHeld)
	o.KeyTTL = cmp.Or(o.KeyTTL, DefaultKeyTTL)
	p := &Producer{Options: o, keys: engine.NewKeyring(o.Engine.Store, o.KeyTTL, o.Log)}
	p.load.requests.most, p.load.bytes.most = int64(o.MaxRequests), o.MaxHeld
	if p.Doc == nil {
		var err error
		if p.Doc, err = openapi.New("", Describe); err != nil {
			return nil, fmt.Errorf("producer: describe the intake: %w", err)
		}
	}
	p.http = openapi.Exact(p.routes())
	return p, nil
}

// ServeHTTP implements http.Handler.
func (p *Producer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rec := &recorder{ResponseWriter: w}
	problem.RequestID(w, r)
	defer problem.Contain(p.Log, "intake panicked", w, r, func() {
		if rec.status == 0 {
			problem.Write(rec, problem.New(http.StatusInternalServerError, problem.Internal, "Something went wrong here", ""))
		}
	})
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	p.http.ServeHTTP(rec, r)
}

// recorder remembers the status of an answer.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// Accept takes events of a Go program in this process, with the checks and the
// promises of the HTTP intake and without its keys: once it returns, every event
// not refused is committed. There is one receipt per event, in order; see
// engine.Receipt for the errors of refused ones.
func Accept(ctx context.Context, e *engine.Engine, src engine.Source, events ...engine.Event) ([]engine.Receipt, error) {
	return e.Accept(ctx, src, events)
}
