package e2e

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/internal/testenv"
	"github.com/pxactions/px/model"
)

// TestServersThatHangAreSurvived freezes PostgreSQL, then Redis: both take
// connections and questions, and answer nothing. Whoever asks px hears soon.
func TestServersThatHangAreSurvived(t *testing.T) {
	t.Parallel()
	servers := testenv.OwnServers(t)
	c := newCluster(t, testenv.DatabaseOn(t, servers.DatabaseURL), servers.RedisURL, "PX_CLAIM_LEASE=10s")
	key := c.furnish(directory(1, "", "log"), policy(hours{target: 4, reminder: 1, gap: 2}))
	ps := c.start("producer", "worker", "scheduler", "web")
	producer, worker, web := ps[0], ps[1], ps[3]
	d := &driver{cluster: c, web: web.url, key: c.key("host", "--scope", "actions:read,events:read")}
	stream := d.follow(t)
	ready := func() {
		t.Helper()
		for _, p := range ps {
			c.becomes(p, http.StatusOK, "ready")
		}
	}
	event := func(id string) string { return toJSON(t, complaint(id, model.SeverityHigh, nil)) }
	ref := func(id string) string {
		t.Helper()
		f, err := c.store.FeedbackByEvent(t.Context(), "desk", id)
		require.NoError(t, err)
		return c.ledger().actions[*f.ActionID].Ref
	}

	require.NoError(t, servers.Postgres.Freeze())
	var asking sync.WaitGroup
	for what, ask := range map[string]func() answer{
		"intake": func() answer { return post(t, producer, key, event("hanging database")) },
		"page":   func() answer { return get(t, web.url+"/actions") },
		"API":    func() answer { return d.send(t, http.MethodGet, web.url+"/v1/actions", "") },
		"stream": func() answer { return d.send(t, http.MethodGet, web.url+"/v1/events", "") },
	} {
		asking.Go(func() {
			a := ask()
			assert.Equal(t, http.StatusServiceUnavailable, a.code, "%s: %s", what, a.body)
			assert.NotEmpty(t, a.header.Get("Retry-After"), what)
		})
	}
	for _, p := range ps {
		c.becomes(p, http.StatusServiceUnavailable, "not_ready")
		assert.Equal(t, http.StatusOK, get(t, p.ops+"/healthz").code, p.name)
		assert.Equal(t, http.StatusOK, get(t, p.ops+"/metrics").code, p.name)
	}
	asking.Wait()
	require.NoError(t, servers.Postgres.Thaw())
	ready()
	a := post(t, producer, key, event("hanging database"))
	assert.Equal(t, http.StatusAccepted, a.code, a.body)
	c.decided("hanging database")
	stream(ref("hanging database"), 1)

	require.NoError(t, servers.Redis.Freeze())
	start := time.Now()
	a = post(t, producer, key, event("hanging Redis"))
	assert.Equal(t, http.StatusAccepted, a.code, a.body)
	assert.Less(t, time.Since(start), 10*time.Second, "the intake waits for Redis")
	for _, p := range ps {
		code, status := http.StatusOK, "degraded"
		if p == worker {
			code, status = http.StatusServiceUnavailable, "not_ready"
		}
		c.becomes(p, code, status)
	}
	c.decided("hanging Redis")
	stream(ref("hanging Redis"), 1)
	page := get(t, web.url+"/actions/"+ref("hanging Redis"))
	assert.Equal(t, http.StatusOK, page.code)
	queues := get(t, web.url+"/asynq")
	assert.Equal(t, http.StatusServiceUnavailable, queues.code)
	assert.Contains(t, queues.body, "Redis does not answer")
	require.NoError(t, servers.Redis.Thaw())
	ready()
	c.allSent()
	c.holds()
	stop(t, ps...)
	for _, p := range ps {
		assert.NotContains(t, strings.Join(p.log.all(), "\n"), `"stack"`, p.name)
	}
}
