package holidays

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"time"

	"github.com/pxactions/px/internal/guard"
	"github.com/pxactions/px/model"
)

// Settings is how feeds are fetched. The zero value is good for production.
type Settings struct {
	// Allow names what may be reached inside, over https: CIDRs, addresses, host
	// names. Empty: nothing.
	Allow []string
	// Timeout bounds one fetch (machine time). Zero: 30 s.
	Timeout time.Duration
	// RootCAs is whom https trusts; nil: the system's.
	RootCAs *x509.CertPool
}

const (
	fetchTimeout = 30 * time.Second
	maxRedirects = 5
)

// Fetcher fetches feeds. Safe for concurrent use.
type Fetcher struct {
	timeout  time.Duration
	https    *http.Client // public addresses and those allowed
	loopback *http.Client // this machine alone, over plain http
}

// Feed is where a feed is, and what its host said of the answer that is there
// already; empty: none is.
type Feed struct {
	URL, File          string // one of them
	ETag, LastModified string
}

// Answer is what came of a fetch.
type Answer struct {
	Body               []byte
	ETag, LastModified string
	Unchanged          bool // the answer that is there already stands; nothing else is set
}

// errRedirect is a redirect that is not followed.
var errRedirect = errors.New("redirect not followed")

// NewFetcher makes a fetcher. The error is model.FieldErrors.
func NewFetcher(s Settings) (*Fetcher, error) {
	var faults model.FieldErrors
	inside := guard.New(s.Allow, "feed.allow", &faults)
	here := guard.New([]string{"127.0.0.0/8", "::1"}, "", &faults)
	if err := faults.Err(); err != nil {
		return nil, err
	}
	f := &Fetcher{timeout: s.Timeout}
	if f.timeout <= 0 {
		f.timeout = fetchTimeout
	}
	f.https, f.loopback = inside.Client(f.timeout, true, s.RootCAs), here.Client(f.timeout, false, nil)
	f.https.CheckRedirect = func(r *http.Request, via []*http.Request) error {
		if r.URL.Scheme != "https" || len(via) > maxRedirects {
			return errRedirect
		}
		return nil
	}
	return f, nil
}

// Fetch fetches a feed once. The error says why there is none in words that hold
// neither the address nor anything of the answer; where the caller's context has
// ended, it is that one's.
func (f *Fetcher) Fetch(ctx context.Context, feed Feed) (Answer, error) {
	if feed.File != "" {
		body, err := readFile(feed.File)
		return Answer{Body: body}, err
	}
	bounded, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(bounded, http.MethodGet, feed.URL, nil)
	if err != nil {
		return Answer{}, errors.New("has no URL that can be called")
	}
	req.Header.Set("Accept", "text/calendar")
	req.Header.Set("User-Agent", "px")
	if feed.ETag != "" {
		req.Header.Set("If-None-Match", feed.ETag)
	}
	if feed.LastModified != "" {
		req.Header.Set("If-Modified-Since", feed.LastModified)
	}
	client := f.https
	if req.URL.Scheme == "http" {
		client = f.loopback
	}
	resp, err := client.Do(req)
	if err != nil {
		return Answer{}, fault(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }()
	switch {
	case resp.StatusCode == http.StatusNotModified && feed.ETag+feed.LastModified != "":
		return Answer{Unchanged: true}, nil
	case resp.StatusCode != http.StatusOK:
		return Answer{}, fmt.Errorf("is answered with HTTP status %d", resp.StatusCode)
	}
	body, err := readAll(resp.Body)
	if err != nil && !errors.Is(err, errTooLarge) {
		err = fault(ctx, err)
	}
	return Answer{Body: body, ETag: resp.Header.Get("ETag"), LastModified: resp.Header.Get("Last-Modified")}, err
}

// Close drops idle connections. The fetcher may still be used.
func (f *Fetcher) Close() {
	f.https.CloseIdleConnections()
	f.loopback.CloseIdleConnections()
}

var errTooLarge = fmt.Errorf("is larger than %d MB", MaxBytes>>20)

func readAll(r io.Reader) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, MaxBytes+1))
	if err == nil && len(body) > MaxBytes {
		return nil, errTooLarge
	}
	return body, err
}

// readFile reads a plain file: a pipe would be waited for.
func readFile(name string) ([]byte, error) {
	unreadable := func(err error) error {
		var at *fs.PathError
		if errors.As(err, &at) {
			err = at.Err
		}
		return fmt.Errorf("cannot be read: %w", err)
	}
	info, err := os.Stat(name)
	if err != nil {
		return nil, unreadable(err)
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("cannot be read: not a file")
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, unreadable(err)
	}
	defer func() { _ = file.Close() }()
	return readAll(file)
}

// fault puts a failed call into words for people.
func fault(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, errRedirect) {
		return errors.New("redirects too often, or to an address without https")
	}
	switch guard.Reason(ctx, err) {
	case guard.Blocked:
		return errors.New("leads to an address inside that PX_FEED_ALLOW does not name")
	case "timeout":
		return errors.New("gives no answer in time")
	case "tls":
		return errors.New("has no certificate that is trusted here")
	case "dns":
		return errors.New("has a host that no name server knows")
	case "refused":
		return errors.New("has a host that refuses the connection")
	default:
		return errors.New("breaks the connection off")
	}
}
