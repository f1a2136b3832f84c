package receiver

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// Call is one request as the receiver saw it.
type Call struct {
	ID     string // webhook-id
	Type   string // of the payload
	Reason string // of the payload
	Header http.Header
	Body   []byte
	Fault  error // what is wrong with it (signature, JSON, id); nil: nothing
	Answer int   // the status given; 0 for none (Hang, Drop)
}

// Webhook is a receiver on loopback that checks signatures by the standard's
// own library: 204 for a good call, 401 for a bad one. All methods may be
// called concurrently.
type Webhook struct {
	book     book[Call]
	secret   string
	verifier *standardwebhooks.Webhook
	addr     string
	server   *http.Server
	closed   chan struct{}
	once     sync.Once
	served   sync.WaitGroup
}

// maxCall bounds a request body.
const maxCall = 1 << 20

// NewSecret makes a fresh signing secret: whsec_ and 32 random bytes in base64.
func NewSecret() string {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return "whsec_" + base64.StdEncoding.EncodeToString(key)
}

// StartWebhook listens on a free port of 127.0.0.1. An empty secret makes a fresh one. Close it in the end.
func StartWebhook(secret string) (*Webhook, error) {
	if secret == "" {
		secret = NewSecret()
	}
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return nil, fmt.Errorf("read webhook secret: %w", err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for webhooks: %w", err)
	}
	w := &Webhook{secret: secret, verifier: verifier, addr: ln.Addr().String(), closed: make(chan struct{})}
	w.server = &http.Server{
		Handler:           http.HandlerFunc(w.serve),
		ReadHeaderTimeout: time.Minute,
		ErrorLog:          log.New(io.Discard, "", 0),
	}
	w.served.Go(func() { _ = w.server.Serve(ln) })
	return w, nil
}

// URL is where to post.
func (w *Webhook) URL() string { return "http://" + w.addr + "/hook" }

// Secret is what calls must be signed with.
func (w *Webhook) Secret() string { return w.secret }

// Next plans the next calls, one fault each; calls after them are taken.
func (w *Webhook) Next(faults ...Fault) { w.book.plan(faults...) }

// Always treats every further call so, unless Next has a plan for it; nil takes them again.
func (w *Webhook) Always(f *Fault) { w.book.keep(f) }

// All lists every call, in order of arrival.
func (w *Webhook) All() []Call { return w.book.list(func(Call) bool { return true }) }

// Accepted lists those that were answered with 2xx.
func (w *Webhook) Accepted() []Call { return w.book.list(Call.accepted) }

// Wait returns all accepted ones once there are at least n, or an error when ctx ends before.
func (w *Webhook) Wait(ctx context.Context, n int) ([]Call, error) {
	return w.book.wait(ctx, n, Call.accepted)
}

// WaitAll is Wait for calls, whatever was answered.
func (w *Webhook) WaitAll(ctx context.Context, n int) ([]Call, error) {
	return w.book.wait(ctx, n, func(Call) bool { return true })
}

// Close stops the receiver and cuts its connections. Safe to call again.
func (w *Webhook) Close() error {
	var err error
	w.once.Do(func() {
		close(w.closed)
		err = w.server.Close()
		w.served.Wait()
	})
	return err
}

func (c Call) accepted() bool { return c.Answer >= 200 && c.Answer < 300 }

func (w *Webhook) serve(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, maxCall))
	if err != nil {
		return
	}
	call := Call{ID: r.Header.Get(standardwebhooks.HeaderWebhookID), Header: r.Header.Clone(), Body: body}
	call.Fault = w.check(&call)
	plan := w.book.fault()
	switch {
	case plan.Hang:
		w.book.add(call)
		w.linger(r, nil)
		panic(http.ErrAbortHandler)
	case plan.Drop:
		w.book.add(call)
		panic(http.ErrAbortHandler)
	case plan.Status != 0:
		call.Answer = plan.Status
	case call.Fault != nil:
		call.Answer = http.StatusUnauthorized
	default:
		call.Answer = http.StatusNoContent
	}
	for k, v := range plan.Header {
		rw.Header().Set(k, v)
	}
	if plan.Wait > 0 {
		w.linger(r, time.After(plan.Wait))
	}
	// Recorded after the answer would be too late for a test that saw the sender's success.
	w.book.add(call)
	rw.WriteHeader(call.Answer)
	_, _ = io.WriteString(rw, plan.Say)
}

// linger returns at over, when the sender leaves, or when the receiver closes.
func (w *Webhook) linger(r *http.Request, over <-chan time.Time) {
	select {
	case <-over:
	case <-r.Context().Done():
	case <-w.closed:
	}
}

// check reads the payload and says what is wrong with the call.
func (w *Webhook) check(c *Call) error {
	if err := w.verifier.Verify(c.Body, c.Header); err != nil {
		return err
	}
	var payload struct {
		Type   string `json:"type"`
		ID     string `json:"id"`
		Reason string `json:"reason"`
	}
	if err := json.Unmarshal(c.Body, &payload); err != nil {
		return fmt.Errorf("read payload: %w", err)
	}
	c.Type, c.Reason = payload.Type, payload.Reason
	if payload.ID != c.ID {
		return errors.New("the payload's id is not the header's")
	}
	return nil
}
