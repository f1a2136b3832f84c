package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/internal/testenv"
	"github.com/pxactions/px/model"
)

// TestOutagesAreSurvived takes Redis away, then PostgreSQL, and looks at what
// the processes say and do meanwhile, and that they come back by themselves.
func TestOutagesAreSurvived(t *testing.T) {
	t.Parallel()
	servers := testenv.OwnServers(t)
	// A claim whose commit went unanswered is taken again when it has run out.
	c := newCluster(t, testenv.DatabaseOn(t, servers.DatabaseURL), servers.RedisURL, "PX_CLAIM_LEASE=10s")
	key := c.furnish(directory(1, "", "log"), policy(hours{target: 4, reminder: 1, gap: 2}))
	ps := c.start("producer", "worker", "scheduler", "web")
	producer, worker := ps[0], ps[1]
	for _, p := range ps {
		told := slices.ContainsFunc(p.log.all(), func(l string) bool {
			f := fields(l)
			return f["replication"] == "asynchronous" && strings.Contains(l, "fsync is off")
		})
		assert.True(t, told, "%s says nothing of what PostgreSQL may lose", p.name)
	}

	require.NoError(t, servers.Redis.Stop())
	for _, p := range ps {
		code, status := http.StatusOK, "degraded"
		if p == worker {
			code, status = http.StatusServiceUnavailable, "not_ready"
		}
		c.becomes(p, code, status)
	}
	a := post(t, producer, key, toJSON(t, complaint("without Redis", model.SeverityHigh, nil)))
	assert.Equal(t, http.StatusAccepted, a.code, a.body)
	c.decided("without Redis")
	require.NoError(t, servers.Redis.Start(t.Context()))
	for _, p := range ps {
		c.becomes(p, http.StatusOK, "ready")
	}

	require.NoError(t, servers.Postgres.Stop())
	for _, p := range ps {
		c.becomes(p, http.StatusServiceUnavailable, "not_ready")
		assert.Equal(t, http.StatusOK, get(t, p.ops+"/healthz").code, p.name)
		assert.Equal(t, http.StatusOK, get(t, p.ops+"/metrics").code, p.name)
	}
	event := toJSON(t, complaint("without PostgreSQL", model.SeverityHigh, nil))
	a = post(t, producer, key, event)
	assert.Equal(t, http.StatusServiceUnavailable, a.code, a.body)
	assert.NotEmpty(t, a.header.Get("Retry-After"))
	require.NoError(t, servers.Postgres.Start(t.Context()))
	for _, p := range ps {
		c.becomes(p, http.StatusOK, "ready")
	}
	a = post(t, producer, key, event)
	assert.Equal(t, http.StatusAccepted, a.code, a.body)
	c.decided("without PostgreSQL")
	c.allSent()
	c.holds()
	stop(t, ps...)
}

// allSent waits until every message is sent.
func (c *cluster) allSent() {
	c.t.Helper()
	until(c.t, 30*time.Second, "all messages are sent", func() (bool, string) {
		open := c.count("SELECT count(*) FROM messages WHERE state <> 'sent'")
		return open == 0, fmt.Sprint(open, " open")
	})
}

// becomes waits until a process's readiness is as wanted.
func (c *cluster) becomes(p *process, code int, status string) {
	c.t.Helper()
	until(c.t, 30*time.Second, p.name+" becomes "+status, func() (bool, string) {
		a := get(c.t, p.ops+"/readyz")
		return a.code == code && strings.Contains(a.body, `"status": "`+status+`"`), a.body
	})
}

// decided waits until a feedback of source system desk has become an action, or joined one.
func (c *cluster) decided(eventID string) {
	c.t.Helper()
	until(c.t, 30*time.Second, eventID+" is decided", func() (bool, string) {
		n := c.count("SELECT count(*) FROM feedback WHERE event_id = ? AND decision IN ('created', 'merged')", eventID)
		return n == 1, "not yet"
	})
}
