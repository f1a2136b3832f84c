package web_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/internal/problem"
	"github.com/pxactions/px/internal/ratelimit"
	"github.com/pxactions/px/model"
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

// TestDepthOfABodyIsBounded: what is nested deeper than anybody means it is refused.
func TestDepthOfABodyIsBounded(t *testing.T) {
	t.Parallel()
	s := newService(t)
	a := s.decide(t, s.Complaint(model.SeverityLow))
	for _, body := range []string{
		strings.Repeat("[", 200_000), `{"text":` + strings.Repeat("[", 60_000) + strings.Repeat("]", 60_000) + `}`,
		`{"text":"x","at":` + strings.Repeat(`{"a":`, 9_000) + "1" + strings.Repeat("}", 9_000) + `}`,
	} {
		r := s.move(t, a, model.MoveNote, body, as("ruh-reem")...)
		assert.Contains(t, []int{http.StatusBadRequest, http.StatusUnprocessableEntity}, r.status, "%s", r.body)
	}
	deep := `{"title":"x","hospital":"RUH","metadata":` + strings.Repeat(`{"a":`, 33) + "1" + strings.Repeat("}", 33) + `}`
	r := s.do(t, http.MethodPost, "/v1/actions", deep, as("ruh-reem")...)
	assert.Equal(t, "metadata", r.problem(t, http.StatusUnprocessableEntity, problem.Invalid).Errors[0].Field)
}
