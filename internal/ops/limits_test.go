package ops

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// tight are the usual limits, but for those that a test would wait for.
func tight(change func(*limits)) limits {
	l := usual()
	change(&l)
	return l
}

// open serves h with limits until the test ends.
func open(t *testing.T, most limits, h http.HandlerFunc) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- serve(ctx, l, h, zerolog.Nop(), most) }()
	t.Cleanup(func() { stop(); assert.NoError(t, <-served) })
	return l.Addr().String()
}

// dial connects and gives up on the server after ten seconds.
func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	require.NoError(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// say sends a request, or what is there of it, and returns the answer's status; 0
// when the server closed the connection without one.
func say(t *testing.T, conn net.Conn, text string) int {
	t.Helper()
	_, err := io.WriteString(conn, text)
	require.NoError(t, err)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		require.NotErrorIs(t, err, context.DeadlineExceeded)
		var late net.Error
		require.False(t, errors.As(err, &late) && late.Timeout(), "the server holds the connection")
		return 0
	}
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

func ok(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }

func TestAHeaderHasItsLimits(t *testing.T) {
	t.Parallel()
	addr := open(t, tight(func(l *limits) { l.header = 50 * time.Millisecond }), ok)
	assert.Equal(t, http.StatusNoContent, say(t, dial(t, addr), "GET / HTTP/1.1\r\nHost: px\r\nX-Long: "+strings.Repeat("x", 30_000)+"\r\n\r\n"))
	assert.Equal(t, http.StatusRequestHeaderFieldsTooLarge, say(t, dial(t, addr), "GET / HTTP/1.1\r\nHost: px\r\nX-Long: "+strings.Repeat("x", 40_000)+"\r\n\r\n"))
	assert.Zero(t, say(t, dial(t, addr), "GET / HTTP/1.1\r\nHost: px\r\nX-Slow: "), "a header that does not end is not waited for")
	assert.Zero(t, say(t, dial(t, addr), ""), "nor is silence")
}

func TestABodyThatDoesNotComeIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	addr := open(t, tight(func(l *limits) { l.read = 50 * time.Millisecond }), func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			w.WriteHeader(http.StatusBadRequest)
		}
	})
	assert.Equal(t, http.StatusBadRequest, say(t, dial(t, addr), "POST / HTTP/1.1\r\nHost: px\r\nContent-Length: 100\r\n\r\nhalf"))
	assert.Equal(t, http.StatusBadRequest, say(t, dial(t, addr), "POST / HTTP/1.1\r\nHost: px\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"))
}

// TestAnAnswerThatNobodyReadsIsGivenUp, but for one that sets a deadline of its
// own, as the stream of changes does.
func TestAnAnswerThatNobodyReadsIsGivenUp(t *testing.T) {
	t.Parallel()
	failed := make(chan error, 1)
	addr := open(t, tight(func(l *limits) { l.write = 50 * time.Millisecond }), func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/stream" {
			c := http.NewResponseController(w)
			err := errors.Join(c.SetWriteDeadline(time.Time{}), c.Flush())
			<-time.After(100 * time.Millisecond) // beyond the limit
			_, writeErr := io.WriteString(w, "late\n")
			failed <- errors.Join(err, writeErr, c.Flush())
			return
		}
		var err error
		for block := make([]byte, 1<<20); err == nil; {
			_, err = w.Write(block)
		}
		failed <- err
	})
	unread := dial(t, addr)
	_, err := fmt.Fprint(unread, "GET / HTTP/1.1\r\nHost: px\r\n\r\n")
	require.NoError(t, err)
	var timeout net.Error
	require.ErrorAs(t, <-failed, &timeout)
	assert.True(t, timeout.Timeout())

	assert.Equal(t, http.StatusOK, say(t, dial(t, addr), "GET /stream HTTP/1.1\r\nHost: px\r\nConnection: close\r\n\r\n"))
	assert.NoError(t, <-failed)
}

func TestAnIdleConnectionIsClosed(t *testing.T) {
	t.Parallel()
	addr := open(t, tight(func(l *limits) { l.idle = 50 * time.Millisecond }), ok)
	conn := dial(t, addr)
	require.Equal(t, http.StatusNoContent, say(t, conn, "GET / HTTP/1.1\r\nHost: px\r\n\r\n"))
	_, err := conn.Read(make([]byte, 1))
	assert.ErrorIs(t, err, io.EOF)
}

// TestOneConnectionTooManyIsClosed: those that are there go on, and one that ends
// makes room.
func TestOneConnectionTooManyIsClosed(t *testing.T) {
	t.Parallel()
	addr := open(t, tight(func(l *limits) { l.connections = 2 }), ok)
	const get = "GET / HTTP/1.1\r\nHost: px\r\n\r\n"
	first, second := dial(t, addr), dial(t, addr)
	require.Equal(t, http.StatusNoContent, say(t, first, get))
	require.Equal(t, http.StatusNoContent, say(t, second, get))
	third := dial(t, addr)
	_, err := third.Read(make([]byte, 1))
	require.Error(t, err)
	var late net.Error
	require.False(t, errors.As(err, &late) && late.Timeout(), "it waits")
	require.Equal(t, http.StatusNoContent, say(t, first, get))

	require.NoError(t, second.Close())
	require.Eventually(t, func() bool {
		conn := dial(t, addr)
		defer func() { _ = conn.Close() }()
		if _, err := io.WriteString(conn, get); err != nil {
			return false
		}
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		return err == nil && res.StatusCode == http.StatusNoContent
	}, 5*time.Second, 10*time.Millisecond)
}
