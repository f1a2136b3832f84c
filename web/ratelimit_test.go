package web_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/internal/problem"
	"github.com/pxactions/px/internal/ratelimit"
	"github.com/pxactions/px/web"
)

// TestAKeyOverItsRateMovesNothing: whoever it acts for; pages have no key, and
// another key has its own rate.
func TestAKeyOverItsRateMovesNothing(t *testing.T) {
	t.Parallel()
	s := newService(t)
	at := time.Now()
	h, err := web.New(web.Options{Store: s.Store, Engine: s.Engine, Log: zerolog.Nop(), Limit: ratelimit.New(1, 2, func() time.Time { return at })})
	require.NoError(t, err)
	s.srv.Close()
	s.srv = httptest.NewServer(h)
	t.Cleanup(s.srv.Close)

	first := s.do(t, http.MethodGet, "/v1/actions", "", as("ruh-reem")...)
	require.Equal(t, http.StatusOK, first.status, "%s", first.body)
	assert.Equal(t, `"key";q=2;w=2`, first.header.Get("RateLimit-Policy"))
	assert.Equal(t, `"key";r=1;t=1`, first.header.Get("RateLimit"))
	s.do(t, http.MethodGet, "/v1/actions/NONE-26-1", "", as("ruh-amal")...).problem(t, http.StatusNotFound, problem.NotFound)

	over := s.do(t, http.MethodPost, "/v1/actions", `{"title":"x","hospital":"RUH"}`, as("ruh-reem")...)
	over.problem(t, http.StatusTooManyRequests, problem.RateLimited)
	assert.Equal(t, "1", over.header.Get("Retry-After"))
	assert.Equal(t, http.StatusTooManyRequests, s.do(t, http.MethodGet, "/v1/events", "").status, "a stream is a request, too")

	s.key = s.newKey(t, nil)
	assert.Equal(t, http.StatusOK, s.do(t, http.MethodGet, "/v1/actions", "").status)
}
