package producer_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/internal/ratelimit"
	"github.com/pxactions/px/producer"
)

// TestAKeyOverItsRateIsToldWhenToCome: its feedback is not taken, another key's is,
// and who has no key is told that alone.
func TestAKeyOverItsRateIsToldWhenToCome(t *testing.T) {
	t.Parallel()
	at := time.Now()
	w := setup(t, func(o *producer.Options) { o.Limit = ratelimit.New(1, 2, func() time.Time { return at }) })
	key, other := w.key(), w.key()
	first := w.post(key, complaint("a"))
	require.Equal(t, http.StatusAccepted, first.status)
	assert.Equal(t, `"key";q=2;w=2`, first.header.Get("RateLimit-Policy"))
	assert.Equal(t, `"key";r=1;t=1`, first.header.Get("RateLimit"))
	assert.Equal(t, http.StatusNotFound, w.do(http.MethodGet, "/v1/feedback?event_id=none", key, "", "").status, "reading counts, too")

	over := w.post(key, complaint("b"))
	require.Equal(t, http.StatusTooManyRequests, over.status)
	assert.Equal(t, "rate-limited", over.problem(t).Code)
	assert.Equal(t, "1", over.header.Get("Retry-After"))
	assert.Equal(t, `"key";r=0;t=2`, over.header.Get("RateLimit"))
	assert.InDelta(t, 1, w.shed("rate"), 0)
	assert.Equal(t, 1, w.count())

	assert.Equal(t, http.StatusAccepted, w.post(other, complaint("c")).status)
	for i := range 5 {
		nobody := w.post("px_nobody"+strconv.Itoa(i), complaint("d"))
		assert.Equal(t, http.StatusUnauthorized, nobody.status)
		assert.Empty(t, nobody.header.Get("RateLimit"))
	}
	at = at.Add(time.Second)
	assert.Equal(t, http.StatusAccepted, w.post(key, complaint("b")).status)
}

// shed is how many requests were refused for a reason.
func (w *world) shed(reason string) float64 {
	w.t.Helper()
	families, err := w.engine.Metrics.Registry.Gather()
	require.NoError(w.t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "px_requests_shed_total" && m.GetLabel()[0].GetValue() == reason {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

func (w *world) overloaded(r reply, reason string) {
	w.t.Helper()
	before := w.count()
	require.Equal(w.t, http.StatusServiceUnavailable, r.status, "%s", r.body)
	assert.Equal(w.t, "overloaded", r.problem(w.t).Code)
	assert.Equal(w.t, "1", r.header.Get("Retry-After"))
	assert.InDelta(w.t, 1, w.shed(reason), 0, reason)
	assert.Equal(w.t, before, w.count())
}

// TestMoreRequestsThanItTakesAreRefused: the one that is at it goes on, and its
// place is free again afterwards.
func TestMoreRequestsThanItTakesAreRefused(t *testing.T) {
	t.Parallel()
	w := setup(t, func(o *producer.Options) { o.MaxRequests = 1 })
	key := w.key()
	require.Equal(t, http.StatusAccepted, w.post(key, complaint("first")).status)
	tx, err := w.store.DB().BeginTx(t.Context(), nil)
	require.NoError(t, err)
	_, err = tx.ExecContext(t.Context(), "LOCK TABLE feedback IN ACCESS EXCLUSIVE MODE")
	require.NoError(t, err)
	held := make(chan reply, 1)
	go func() {
		r, _ := w.try(http.MethodPost, "/v1/feedback", key, "application/json", complaint("held"))
		held <- r
	}()
	require.Eventually(t, func() bool { return w.producer.Busy() == 1 }, 5*time.Second, time.Millisecond)
	late := w.post(key, complaint("late"))
	assert.Equal(t, http.StatusOK, w.do(http.MethodGet, "/openapi.json", "", "", "").status, "what it says of itself takes no place")
	require.NoError(t, tx.Rollback())
	w.overloaded(late, "requests")
	assert.Equal(t, http.StatusAccepted, (<-held).status)
	assert.Equal(t, http.StatusAccepted, w.post(key, complaint("late")).status)
}

// TestMoreBytesThanItHoldsAreRefused: a request weighs its body and something for
// each event, so that many small ones are no way around.
func TestMoreBytesThanItHoldsAreRefused(t *testing.T) {
	t.Parallel()
	w := setup(t, func(o *producer.Options) { o.MaxBody, o.MaxItems, o.MaxHeld = 4000, 100, 10_000 })
	key := w.key()
	w.overloaded(w.do(http.MethodPost, "/v1/feedback", key, "application/x-ndjson", strings.Repeat("{}\n", 100)), "bytes")
	for range 3 {
		r := w.do(http.MethodPost, "/v1/feedback", key, "application/x-ndjson", strings.Repeat("{}\n", 5))
		assert.Equal(t, http.StatusUnprocessableEntity, r.status, "%s: what was held is free again", r.body)
		r = w.post(key, complaint(strings.Repeat("x", 3900)))
		assert.Equal(t, http.StatusUnprocessableEntity, r.status)
		assert.Equal(t, http.StatusRequestEntityTooLarge, w.post(key, strings.Repeat("x", 4001)).status)
		assert.Equal(t, http.StatusBadRequest, w.post(key, "[").status)
	}
	assert.Zero(t, w.producer.Held())
}

// TestDepthIsBounded: what is nested deeper than anybody means it is refused, and
// costs no more than its bytes.
func TestDepthIsBounded(t *testing.T) {
	t.Parallel()
	w := setup(t)
	key := w.key()
	nested := func(levels int) string {
		return strings.Repeat(`{"a":`, levels) + "1" + strings.Repeat("}", levels)
	}
	assert.Equal(t, http.StatusAccepted, w.post(key, complaint("deep", `"metadata":`+nested(32))).status)
	r := w.post(key, complaint("deeper", `"metadata":`+nested(33)))
	require.Equal(t, http.StatusUnprocessableEntity, r.status)
	assert.Equal(t, "metadata", r.problem(t).Errors[0].Field)
	for _, body := range []string{
		complaint("a", `"metadata":`+nested(100_000)), nested(100_000), strings.Repeat("[", 200_000), strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000),
	} {
		assert.Contains(t, []int{http.StatusBadRequest, http.StatusUnprocessableEntity}, w.post(key, body).status)
	}
	assert.Equal(t, 1, w.count())
}
