package ops_test

import (
	"context"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/pxactions/px/internal/ops"
)

// TestAnAnswerWithoutEndEndsWithItsServer: it hears that the server stops, while
// its request goes on.
func TestAnAnswerWithoutEndEndsWithItsServer(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	begun, ended := make(chan struct{}), make(chan error, 1)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(begun)
		select {
		case <-ops.Stopping(r.Context()):
			ended <- r.Context().Err()
		case <-time.After(20 * time.Second):
			ended <- context.DeadlineExceeded
		}
		w.WriteHeader(http.StatusNoContent)
	})
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- ops.Serve(ctx, l, h, zerolog.Nop()) }()
	answered := make(chan int, 1)
	go func() {
		c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		resp, err := c.Get("http://" + l.Addr().String())
		if err != nil {
			answered <- 0
			return
		}
		_ = resp.Body.Close()
		answered <- resp.StatusCode
	}()
	<-begun
	stop()
	if err := <-ended; err != nil {
		t.Errorf("the request ended with %v, want it to go on", err)
	}
	if code := <-answered; code != http.StatusNoContent {
		t.Errorf("answered %d, want the whole answer", code)
	}
	if err := <-served; err != nil {
		t.Errorf("serve: %v", err)
	}
	if ops.Stopping(t.Context()) != nil {
		t.Error("a request of no server hears of a stop")
	}
}
