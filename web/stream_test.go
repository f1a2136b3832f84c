package web_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/pxactions/px/internal/ops"
	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
	"github.com/pxactions/px/web"
)

// quick is a stream that looks often.
func quick(w *scenario.World, f store.ChangeFilter) http.Handler {
	return web.QuickStream(w.Store, f, time.Minute, 10*time.Second)
}

// listener reads a stream as a browser's EventSource does.
type listener struct {
	t    *testing.T
	resp *http.Response
	r    *bufio.Scanner
	last string // Last-Event-ID
}

func listen(t *testing.T, url, last string) *listener {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	if ct := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || ct != "text/event-stream" {
		t.Fatalf("answer %d %s, want a stream", resp.StatusCode, ct)
	}
	return &listener{t: t, resp: resp, r: bufio.NewScanner(resp.Body), last: last}
}

// block reads to the next empty line; nil: the stream has ended.
func (l *listener) block() map[string]string {
	fields := map[string]string{}
	for l.r.Scan() {
		if l.r.Text() == "" {
			if id, ok := fields["id"]; ok {
				l.last = id
			}
			return fields
		}
		name, value, _ := strings.Cut(l.r.Text(), ":")
		fields[name] = strings.TrimPrefix(value, " ")
	}
	return nil
}

// next is the next change.
func (l *listener) next() store.Change {
	l.t.Helper()
	for {
		b := l.block()
		if b == nil {
			l.t.Fatalf("the stream ended: %v", l.r.Err())
		}
		if b["data"] == "" {
			continue
		}
		var c struct {
			store.Change
			ID string `json:"id"`
		}
		if err := json.Unmarshal([]byte(b["data"]), &c); err != nil || b["event"] != "change" || c.ID != b["id"] {
			l.t.Fatalf("event %v, %v", b, err)
		}
		return c.Change
	}
}

func note(w *scenario.World, a model.Action) {
	w.TB.Helper()
	w.Move(a.ID, sla.MoveRequest{Move: model.MoveNote, Text: "seen"})
}

// TestAStreamGoesOnWhereItWasCut: a reader who comes again with its last id gets
// what it missed, and nothing twice.
func TestAStreamGoesOnWhereItWasCut(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	a := w.Create(w.Complaint(model.SeverityHigh))[0]
	seq := w.Action(a.ID).LogSeq
	srv := httptest.NewServer(quick(w, store.ChangeFilter{}))
	t.Cleanup(srv.Close)

	all := listen(t, srv.URL+"?after=0", "")
	for i := range seq {
		if c := all.next(); c.Seq != i+1 || c.Ref != a.Ref {
			t.Fatalf("change %+v, want %d", c, i+1)
		}
	}
	l := listen(t, srv.URL, all.last)
	l.block() // where it stands, before any change
	start := l.last
	if start == "" {
		t.Fatal("a reader that is cut before the first change does not know where it stood")
	}
	note(w, a)
	if c := l.next(); c.Seq != seq+1 || c.Move != "note" {
		t.Fatalf("change %+v, want the note", c)
	}
	cut := l.last
	_ = l.resp.Body.Close()
	note(w, a)
	note(w, a)
	for from, first := range map[string]int{start: seq + 1, cut: seq + 2} {
		l := listen(t, srv.URL, from)
		for i := first; i <= seq+3; i++ {
			if c := l.next(); c.Seq != i {
				t.Errorf("from %s: change %d, want %d", from, c.Seq, i)
			}
		}
	}
	now := listen(t, srv.URL, "")
	now.block()
	note(w, a)
	for c := now.next(); c.Seq != seq+4; c = now.next() {
		if c.Seq < seq { // what is of this very moment may be repeated
			t.Errorf("from now: change %+v of before", c)
		}
	}
}

func TestAStreamTellsOnlyWhatItsReaderMaySee(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	srv := httptest.NewServer(web.QuickStream(w.Store, store.ChangeFilter{}, 20*time.Millisecond, 10*time.Second))
	t.Cleanup(srv.Close)
	secret := w.Complaint(model.SeverityHigh)
	secret.Restricted = true
	w.Create(secret)
	l := listen(t, srv.URL+"?after=0", "")
	l.block()
	before := l.last
	for l.last == before { // signs of life say where it stands, past what it may not see
		if b := l.block(); b == nil || b["data"] != "" {
			t.Fatalf("block %v, want a sign of life", b)
		}
		note(w, w.Create(secretAgain(w))[0])
	}
	open := w.Create(w.Complaint(model.SeverityHigh))[0]
	if c := l.next(); c.Ref != open.Ref {
		t.Errorf("change of %s, want the one that is not restricted", c.Ref)
	}
}

func secretAgain(w *scenario.World) model.Feedback {
	f := w.Complaint(model.SeverityHigh)
	f.Restricted = true
	return f
}

func TestWrongPlacesInTheStreamAreProblems(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	h := web.Stream(w.Store, zerolog.Nop(), store.ChangeFilter{})
	answer := func(what, query, last string, code int, want string) {
		t.Helper()
		req := httptest.NewRequest(http.MethodGet, "/v1/events"+query, nil)
		req.Header.Set("Last-Event-ID", last)
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, req)
		var p struct{ Type, Code, Detail string }
		err := json.Unmarshal(rec.Body.Bytes(), &p)
		if err != nil || rec.Code != code || p.Code != want || p.Type != "urn:px:problem:"+want || rec.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %s", what, rec.Code, rec.Body)
		}
	}
	end, err := w.Store.StreamEnd(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	answer("nonsense", "?after=yesterday", "", 422, "cursor-invalid")
	answer("a header of nonsense, whatever the parameter", "?after=0", "x", 422, "cursor-invalid")
	answer("another database's", "", "other-1-"+end.ActionID.Hex()+"-0", 410, "cursor-gone")
	answer("a server that cannot stream", "", "", 500, "internal") // the recorder has no deadlines
	away, err := store.Open("postgres://px@127.0.0.1:1/px", store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = away.Close() })
	h = web.Stream(away, zerolog.Nop(), store.ChangeFilter{})
	answer("a database that is away", "", end.String(), 503, "unavailable")
}

// TestAStreamOutlivesTheLimitsOfRequests and goes with the server that serves
// it, at once.
func TestAStreamOutlivesTheLimitsOfRequests(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	a := w.Create(w.Complaint(model.SeverityHigh))[0]
	srv := httptest.NewUnstartedServer(quick(w, store.ChangeFilter{}))
	srv.Config.ReadTimeout, srv.Config.WriteTimeout = 50*time.Millisecond, 50*time.Millisecond
	srv.Start()
	t.Cleanup(srv.Close)
	l := listen(t, srv.URL, "")
	l.block()
	for over := time.After(200 * time.Millisecond); ; {
		note(w, a)
		l.next()
		select {
		case <-over:
			return
		default:
		}
	}
}

func TestAStreamDoesNotHoldUpTheShutdown(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- ops.Serve(ctx, lis, web.Stream(w.Store, zerolog.Nop(), store.ChangeFilter{}), zerolog.Nop())
	}()
	l := listen(t, "http://"+lis.Addr().String(), "")
	l.block()
	stop()
	if err := <-served; err != nil { // requests that had to be cut off are an error
		t.Errorf("serve: %v", err)
	}
	if b := l.block(); b != nil || l.r.Err() != nil {
		t.Errorf("the reader got %v, %v; want a clean end", b, l.r.Err())
	}
}

// TestAReaderWhoDoesNotReadIsLeft: with nothing between the two to hold what is
// sent.
func TestAReaderWhoDoesNotReadIsLeft(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	w.Create(w.Complaint(model.SeverityHigh))
	done := make(chan struct{})
	h := web.QuickStream(w.Store, store.ChangeFilter{}, time.Minute, 50*time.Millisecond)
	srv := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		defer close(done)
		h.ServeHTTP(rw, r)
	}), ReadHeaderTimeout: time.Minute}
	mine, theirs := net.Pipe()
	t.Cleanup(func() { _ = mine.Close() })
	lis := &oneConn{conn: make(chan net.Conn, 1), closed: make(chan struct{})}
	lis.conn <- theirs
	go func() { _ = srv.Serve(lis) }()
	t.Cleanup(func() { _ = srv.Close() })
	if _, err := fmt.Fprint(mine, "GET /?after=0 HTTP/1.1\r\nHost: px\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Error("the stream waits for a reader who does not read")
	}
}

// oneConn is a listener with one connection.
type oneConn struct {
	conn   chan net.Conn
	closed chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	select {
	case c := <-l.conn:
		return c, nil
	case <-l.closed:
		return nil, io.EOF
	}
}

func (l *oneConn) Close() error   { close(l.closed); return nil }
func (l *oneConn) Addr() net.Addr { return &net.UnixAddr{} }

// TestAStreamEndsWithItsKey: who has lost the key must not read on over a
// connection that is open.
func TestAStreamEndsWithItsKey(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	h, err := web.New(web.Options{Store: s.Store, Engine: s.Engine, Log: zerolog.Nop(), KeyTTL: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	key := s.newKey(t, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL+"/v1/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("answer %v, %v", resp, err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	if _, err := s.Store.RevokeKey(t.Context(), key[:10]); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatalf("the stream goes on under a key that was revoked: %v", err)
	}
}

// TestReadersAreBounded: each one costs the database something for as long as it
// is there.
func TestReadersAreBounded(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	srv := httptest.NewServer(quick(w, store.ChangeFilter{}))
	t.Cleanup(srv.Close)
	var first *listener
	for range 5 {
		first = listen(t, srv.URL, "")
		first.block()
	}
	ask := func() (int, string) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		return resp.StatusCode, resp.Header.Get("Retry-After")
	}
	if code, after := ask(); code != http.StatusServiceUnavailable || after == "" {
		t.Fatalf("one too many = %d, Retry-After %q", code, after)
	}
	_ = first.resp.Body.Close()
	for deadline := time.Now().Add(20 * time.Second); ; {
		code, _ := ask()
		if code == http.StatusOK {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the place of one who has gone stays taken: %d", code)
		}
	}
}
