package ratelimit

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/internal/problem"
	"github.com/pxactions/px/model"
)

// clock is a machine's clock that a test advances.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func newClock() *clock { return &clock{at: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)} }

func TestAKeyHasItsBurstAndThenItsRate(t *testing.T) {
	t.Parallel()
	c := newClock()
	l := New(2, 4, c.now)
	key, other := model.NewID[model.APIKey](), model.NewID[model.APIKey]()
	admit := func(key model.KeyID) (*problem.Problem, string) {
		h := http.Header{}
		p := l.Admit(h, key)
		assert.Equal(t, `"key";q=4;w=2`, h.Get("RateLimit-Policy"))
		return p, h.Get("RateLimit")
	}
	for _, want := range []string{`"key";r=3;t=1`, `"key";r=2;t=1`, `"key";r=1;t=2`, `"key";r=0;t=2`} {
		p, left := admit(key)
		require.Nil(t, p)
		assert.Equal(t, want, left)
	}
	p, left := admit(key)
	require.NotNil(t, p)
	assert.Equal(t, `"key";r=0;t=2`, left)
	assert.Equal(t, [3]any{429, problem.RateLimited, 1}, [3]any{p.Status, p.Code, p.RetryAfter})
	assert.Equal(t, "2 a second, after 4 at once", p.Detail)

	p, left = admit(other)
	require.Nil(t, p, "each key has a bucket of its own")
	assert.Equal(t, `"key";r=3;t=1`, left)

	c.at = c.at.Add(time.Duration(p429Wait(t, l, key)) * time.Second)
	p, left = admit(key)
	require.Nil(t, p, "it may come again when it was told to")
	assert.Equal(t, `"key";r=1;t=2`, left, "what was refused took nothing")
	c.at = c.at.Add(time.Hour)
	_, left = admit(key)
	assert.Equal(t, `"key";r=3;t=1`, left, "a bucket holds no more than its burst")
}

// p429Wait is the wait that a key without tokens is told.
func p429Wait(t *testing.T, l *Limiter, key model.KeyID) int {
	t.Helper()
	p := l.Admit(http.Header{}, key)
	require.NotNil(t, p)
	return p.RetryAfter
}

func TestNoLimitIsNone(t *testing.T) {
	t.Parallel()
	l := New(0, 1, time.Now)
	h := http.Header{}
	for range 3 {
		assert.Nil(t, l.Admit(h, model.NewID[model.APIKey]()))
	}
	assert.Empty(t, h)
}

func TestWhatIsRememberedIsBounded(t *testing.T) {
	t.Parallel()
	c := newClock()
	l := New(1, 3, c.now)
	idle := make([]model.KeyID, maxBuckets)
	for i := range idle {
		idle[i] = model.NewID[model.APIKey]()
		l.Admit(http.Header{}, idle[i])
	}
	require.Len(t, l.buckets, maxBuckets)
	c.at = c.at.Add(500 * time.Millisecond)
	busy := model.NewID[model.APIKey]()
	l.Admit(http.Header{}, busy)
	assert.LessOrEqual(t, len(l.buckets), maxBuckets, "all are in use: any goes")
	for range 3 {
		l.Admit(http.Header{}, busy)
	}
	c.at = c.at.Add(time.Second)
	for len(l.buckets) < maxBuckets {
		l.Admit(http.Header{}, model.NewID[model.APIKey]())
	}
	l.Admit(http.Header{}, model.NewID[model.APIKey]())
	assert.Less(t, len(l.buckets), 10, "full buckets go first")
	assert.Contains(t, l.buckets, busy, "one that is not full stays")
}
