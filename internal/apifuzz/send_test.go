package apifuzz

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// How a body is cut on its way.
const (
	cutBody   = "less than Content-Length says"
	cutChunks = "chunks without an end"
	badChunks = "chunks that are none"
)

// patience is how long an answer may take on a busy machine.
const patience = 30 * time.Second

// send sends a request to a server and reads the answer. An answer of nobody is
// one without a status: a connection that was closed in the middle of a request
// owes none.
func send(ctx context.Context, client *http.Client, base string, r request) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if r.broken != "" {
		return sendBroken(ctx, base, r)
	}
	u, err := url.Parse(base)
	if err != nil {
		return reply{}, err
	}
	// Sent as it stands, not as it would be were it sound.
	path, query, _ := strings.Cut(r.target, "?")
	u.Opaque, u.RawQuery = "//"+u.Host+path, query
	req, err := http.NewRequestWithContext(ctx, r.method, base, bytes.NewReader(r.body))
	if err != nil {
		return reply{}, err
	}
	req.URL = u
	for name, values := range r.header {
		for _, v := range values {
			req.Header.Add(name, clean(v))
		}
	}
	res, err := client.Do(req)
	if err != nil {
		return reply{}, err
	}
	out := reply{status: res.StatusCode, header: res.Header}
	if res.Header.Get("Content-Type") == "text/event-stream" {
		return out, res.Body.Close() // it has no end
	}
	out.body, err = io.ReadAll(res.Body)
	return out, errors.Join(err, res.Body.Close())
}

// clean takes out of a header what the client would refuse to send.
func clean(v string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return -1
		}
		return c
	}, v)
}

// sendBroken writes a request by hand, and half of its body.
func sendBroken(ctx context.Context, base string, r request) (reply, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = conn.Close() }()
	until, _ := ctx.Deadline()
	if err := conn.SetDeadline(until); err != nil {
		return reply{}, err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n", r.method, r.target, strings.TrimPrefix(base, "http://"))
	for name, values := range r.header {
		fmt.Fprintf(&b, "%s: %s\r\n", name, clean(values[0]))
	}
	half := r.body[:len(r.body)/2]
	switch r.broken {
	case cutBody:
		fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(r.body)+1, half)
	case cutChunks:
		fmt.Fprintf(&b, "Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(half)+1, half)
	default:
		fmt.Fprintf(&b, "Transfer-Encoding: chunked\r\n\r\nzz\r\n%s", half)
	}
	if _, err := conn.Write(b.Bytes()); err != nil {
		return reply{}, nil // it was refused before it was read
	}
	if half, ok := conn.(*net.TCPConn); ok {
		if err := half.CloseWrite(); err != nil {
			return reply{}, nil
		}
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: r.method})
	if err != nil {
		return reply{}, nil
	}
	out := reply{status: res.StatusCode, header: res.Header}
	if res.Header.Get("Content-Type") != "text/event-stream" {
		out.body, err = io.ReadAll(res.Body)
	}
	_ = res.Body.Close()
	if err != nil {
		return reply{}, nil
	}
	return out, nil
}
