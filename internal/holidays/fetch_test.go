package holidays

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pxactions/px/internal/receiver"
	"github.com/pxactions/px/model"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// host is a server on loopback, over http or https.
type host struct {
	url     string
	fetcher *Fetcher // which trusts it
}

func newHost(t *testing.T, secure bool, h http.HandlerFunc, s Settings) host {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	if secure {
		config, roots, err := receiver.NewTLS()
		if err != nil {
			t.Fatal(err)
		}
		server.TLS, s.RootCAs = config, roots
		server.StartTLS()
	} else {
		server.Start()
	}
	f, err := NewFetcher(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close(); server.Close() })
	return host{server.URL, f}
}

// answer writes the same to everybody.
func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func TestFetchIsConditional(t *testing.T) {
	t.Parallel()
	const modified = "Wed, 23 Sep 2026 08:00:00 GMT"
	for _, secure := range []bool{false, true} {
		h := newHost(t, secure, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Accept") != "text/calendar" || r.Header.Get("User-Agent") != "px" {
				t.Errorf("headers = %v", r.Header)
			}
			if r.Header.Get("If-None-Match") == `"v1"` && r.Header.Get("If-Modified-Since") == modified {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			w.Header().Set("ETag", `"v1"`)
			w.Header().Set("Last-Modified", modified)
			_, _ = io.WriteString(w, "content")
		}, Settings{Allow: []string{"127.0.0.1"}})
		first, err := h.fetcher.Fetch(t.Context(), Feed{URL: h.url})
		if err != nil || string(first.Body) != "content" || first.ETag != `"v1"` || first.LastModified != modified || first.Unchanged {
			t.Fatalf("first = %+v, %v", first, err)
		}
		second, err := h.fetcher.Fetch(t.Context(), Feed{URL: h.url, ETag: first.ETag, LastModified: first.LastModified})
		if err != nil || !second.Unchanged || len(second.Body) > 0 {
			t.Errorf("second = %+v, %v; want it unchanged", second, err)
		}
	}
}

// TestABadAnswerIsAnError that tells neither where it came from nor what it was.
func TestABadAnswerIsAnError(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"500":                    {answer(500, "secret"), "HTTP status 500"},
		"404":                    {answer(404, "secret"), "HTTP status 404"},
		"no content":             {answer(204, ""), "HTTP status 204"},
		"304 that nobody wanted": {answer(304, ""), "HTTP status 304"},
		"too large":              {answer(200, strings.Repeat("x", MaxBytes+1)), "larger than 5 MB"},
		"cut off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "secret")
		}, "breaks the connection off"},
		"dropped":  {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "breaks the connection off"},
		"redirect": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/secret", http.StatusFound) }, "redirects too often"},
		"redirect to http": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
		}, "without https"},
		"redirect to an file": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		}, "without https"},
		"redirect inside": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://10.0.0.1/", http.StatusFound)
		}, "PX_FEED_ALLOW"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, true, tt.answer, Settings{Allow: []string{"127.0.0.1"}})
			got, err := h.fetcher.Fetch(t.Context(), Feed{URL: h.url})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("Fetch = %q, %v; want %q", got.Body, err, tt.want)
			}
			if strings.Contains(err.Error(), "127.0.0.1") || strings.Contains(err.Error(), "secret") {
				t.Errorf("the error tells too much: %v", err)
			}
		})
	}
}

func TestARedirectWithHTTPSIsFollowed(t *testing.T) {
	t.Parallel()
	hops := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/xxxxx" {
			_, _ = io.WriteString(w, "content")
			return
		}
		http.Redirect(w, r, r.URL.Path+"x", http.StatusFound)
	}
	h := newHost(t, true, hops, Settings{Allow: []string{"127.0.0.1"}})
	if got, err := h.fetcher.Fetch(t.Context(), Feed{URL: h.url + "/"}); err != nil || string(got.Body) != "content" {
		t.Errorf("after five = %q, %v", got.Body, err)
	}
	plain := newHost(t, false, hops, Settings{})
	if _, err := plain.fetcher.Fetch(t.Context(), Feed{URL: plain.url + "/"}); err == nil || !strings.Contains(err.Error(), "302") {
		t.Errorf("on loopback = %v, want it not followed", err)
	}
}

func TestNothingInsideIsReached(t *testing.T) {
	t.Parallel()
	secure := newHost(t, true, answer(200, "content"), Settings{})
	plain := newHost(t, false, answer(200, "content"), Settings{Allow: []string{"10.0.0.0/8"}})
	for url, want := range map[string]string{
		secure.url:                         "PX_FEED_ALLOW",
		"https://169.254.169.254/metadata": "PX_FEED_ALLOW",
		"http://10.0.0.1/":                 "PX_FEED_ALLOW", // over plain http this machine alone
		"http://8.8.8.8/":                  "PX_FEED_ALLOW",
		"http://127.0.0.1:1/":              "refuses the connection",
		"https://nowhere.invalid/":         "no name server knows",
		"https://a b/":                     "no URL that can be called",
	} {
		if _, err := plain.fetcher.Fetch(t.Context(), Feed{URL: url}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", url, err, want)
		}
	}
	if got, err := plain.fetcher.Fetch(t.Context(), Feed{URL: strings.Replace(plain.url, "127.0.0.1", "localhost", 1)}); err != nil || string(got.Body) != "content" {
		t.Errorf("this machine by name = %q, %v", got.Body, err)
	}
	stranger := newHost(t, true, answer(200, "content"), Settings{Allow: []string{"127.0.0.1"}})
	if _, err := stranger.fetcher.Fetch(t.Context(), Feed{URL: secure.url}); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an unknown certificate: %v", err)
	}
	var faults model.FieldErrors
	if _, err := NewFetcher(Settings{Allow: []string{"http://x"}}); !errors.As(err, &faults) || faults[0].Field != "feed.allow" {
		t.Errorf("NewFetcher = %v, want the fault", err)
	}
}

func TestASlowHostIsLeft(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 2)
	hang := func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush() //nolint:forcetypeassert // the server's own
		asked <- struct{}{}
		<-r.Context().Done()
	}
	h := newHost(t, false, hang, Settings{Timeout: 100 * time.Millisecond})
	if _, err := h.fetcher.Fetch(t.Context(), Feed{URL: h.url}); err == nil || !strings.Contains(err.Error(), "no answer in time") {
		t.Errorf("Fetch = %v, want it too slow", err)
	}
	<-asked
	patient := newHost(t, false, hang, Settings{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	if _, err := patient.fetcher.Fetch(ctx, Feed{URL: patient.url}); !errors.Is(err, context.Canceled) {
		t.Errorf("Fetch = %v, want the caller's own end", err)
	}
}

func TestAFileIsRead(t *testing.T) {
	t.Parallel()
	f, err := NewFetcher(Settings{})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	good, large, pipe := filepath.Join(dir, "good"), filepath.Join(dir, "large"), filepath.Join(dir, "pipe")
	for name, size := range map[string]int{good: 7, large: MaxBytes + 1} {
		if err := os.WriteFile(name, []byte(strings.Repeat("x", size)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := f.Fetch(t.Context(), Feed{File: good}); err != nil || len(got.Body) != 7 || got.Unchanged {
		t.Errorf("good = %+v, %v", got, err)
	}
	for name, want := range map[string]string{
		large: "larger than 5 MB", pipe: "not a file", dir: "not a file", filepath.Join(dir, "none"): "no such file",
	} {
		if _, err := f.Fetch(t.Context(), Feed{File: name}); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}
