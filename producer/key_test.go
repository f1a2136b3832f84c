package producer_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/internal/metrics"
	"github.com/pxactions/px/internal/testenv"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/producer"
	"github.com/pxactions/px/store"
)

func TestKeysLetInOrNot(t *testing.T) {
	t.Parallel()
	w := setup(t)
	past := func(k string) string {
		_, err := w.store.DB().NewRaw("UPDATE api_keys SET expires_at = clock_timestamp() WHERE hash = ?", store.HashKey(k)).Exec(t.Context())
		require.NoError(t, err)
		return k
	}
	revoked := w.key()
	_, err := w.store.RevokeKey(t.Context(), revoked[:10])
	require.NoError(t, err)
	soon := time.Now().Add(time.Hour)
	only := func(scope string) string {
		return w.key(func(k *model.APIKey) { k.Scopes = model.Of([]string{scope}) })
	}
	tests := []struct {
		name, key, header string
		status            int
		code              string
	}{
		{"no key", "", "", 401, "key-missing"},
		{"an empty bearer", "Bearer ", "Authorization", 401, "key-missing"},
		{"another scheme", "Basic cHg6cHg=", "Authorization", 401, "key-missing"},
		{"a made-up key", "Bearer px_nobody", "Authorization", 401, "key-unknown"},
		{"a prefix", "Bearer " + w.key()[:10], "Authorization", 401, "key-unknown"},
		{"an expired key", past(w.key()), "X-API-Key", 401, "key-expired"},
		{"a revoked key", revoked, "X-API-Key", 401, "key-revoked"},
		{"a key for reading", only(store.ScopeFeedbackRead), "X-API-Key", 403, "scope-missing"},
		{"a key for writing", only(store.ScopeFeedbackWrite), "X-API-Key", 202, ""},
		{"a key that expires later", "bearer " + w.key(func(k *model.APIKey) { k.ExpiresAt = &soon }), "Authorization", 202, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.server.URL+"/v1/feedback", strings.NewReader(complaint("k")))
			require.NoError(t, err)
			req.Header.Set("Content-Type", "application/json")
			if tt.header != "" {
				req.Header.Set(tt.header, tt.key)
			}
			res, err := w.server.Client().Do(req)
			require.NoError(t, err)
			defer func() { _ = res.Body.Close() }()
			require.Equal(t, tt.status, res.StatusCode)
			if tt.status == http.StatusUnauthorized {
				assert.True(t, strings.HasPrefix(res.Header.Get("WWW-Authenticate"), "Bearer "))
			}
			if tt.code != "" {
				var p producer.Problem
				require.NoError(t, decodeInto(res.Body, &p))
				assert.Equal(t, tt.code, p.Code)
			}
		})
	}
	reading := w.do(http.MethodGet, "/v1/feedback?event_id=none", only(store.ScopeFeedbackWrite), "", "")
	assert.Equal(t, http.StatusForbidden, reading.status)
}

func TestRevokedKeyStopsWithinSeconds(t *testing.T) {
	t.Parallel()
	w := setup(t)
	key := w.key()
	require.Equal(t, http.StatusAccepted, w.post(key, complaint("a")).status)
	keys, err := w.store.ListKeys(t.Context())
	require.NoError(t, err)
	require.Len(t, keys, 1)
	require.NotNil(t, keys[0].LastUsedAt)
	used := *keys[0].LastUsedAt
	assert.NotContains(t, string(keys[0].Hash), key)

	_, err = w.store.RevokeKey(t.Context(), keys[0].ID.String())
	require.NoError(t, err)
	require.Eventually(t, func() bool { return w.post(key, complaint("a")).status == http.StatusUnauthorized }, 5*time.Second, keyTTL/4)
	keys, err = w.store.ListKeys(t.Context())
	require.NoError(t, err)
	assert.Equal(t, used, *keys[0].LastUsedAt, "noted at most once a minute")
}

func TestLastUseIsNotedOnceAMinute(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.key()
	keys, err := w.store.ListKeys(t.Context())
	require.NoError(t, err)
	id := keys[0].ID
	touch := func() time.Time {
		require.NoError(t, w.store.TouchKey(t.Context(), id, time.Minute))
		keys, err := w.store.ListKeys(t.Context())
		require.NoError(t, err)
		return *keys[0].LastUsedAt
	}
	first := touch()
	assert.Equal(t, first, touch())
	_, err = w.store.DB().NewRaw("UPDATE api_keys SET last_used_at = last_used_at - interval '61 seconds'").Exec(t.Context())
	require.NoError(t, err)
	assert.False(t, touch().Before(first))
}

func TestUnknownRoutesAreProblems(t *testing.T) {
	t.Parallel()
	w := setup(t)
	tests := []struct {
		name, method, path string
		status             int
		allow              string
	}{
		{"no such path", "GET", "/v2/feedback", 404, ""},
		{"the root", "GET", "/", 404, ""},
		{"deleting", "DELETE", "/v1/feedback/0190a000-0000-7000-8000-000000000001", 405, "GET, HEAD"},
		{"a path that is not clean", "GET", "/v1//feedback", 404, ""},
		{"putting", "PUT", "/v1/feedback", 405, "GET, HEAD, POST"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := w.do(tt.method, tt.path, "", "", "")
			require.Equal(t, tt.status, r.status)
			r.problem(t)
			assert.Equal(t, tt.allow, r.header.Get("Allow"))
		})
	}
	key := w.key()
	for _, path := range []string{"/v1/feedback/none", "/v1/feedback/0190a000-0000-7000-8000-000000000001", "/v1/feedback?event_id=none", "/v1/feedback?event_id=%00"} {
		assert.Equal(t, "not-found", w.do("GET", path, key, "", "").problem(t).Code)
	}
	assert.Equal(t, "event_id", w.do("GET", "/v1/feedback", key, "", "").problem(t).Errors[0].Field)
}

func TestDescriptionIsServed(t *testing.T) {
	t.Parallel()
	w := setup(t)
	var doc struct {
		OpenAPI    string `json:"openapi"`
		Paths      map[string]map[string]any
		Components struct {
			Schemas map[string]struct{ Required []string }
		}
	}
	r := w.do("GET", "/openapi.json", "", "", "")
	require.Equal(t, 200, r.status)
	require.NoError(t, decodeInto(strings.NewReader(string(r.body)), &doc))
	assert.Equal(t, "3.1.0", doc.OpenAPI)
	assert.Len(t, doc.Paths, 4)
	assert.Equal(t, []string{"event_id", "source_type", "hospital"}, doc.Components.Schemas["Event"].Required)
	assert.Contains(t, string(r.body), "application/x-ndjson")
	type responses = map[string]struct{ Content map[string]any }
	var described struct {
		Paths map[string]map[string]struct{ Responses responses }
	}
	require.NoError(t, decodeInto(strings.NewReader(string(r.body)), &described))
	got := described.Paths["/v1/feedback"]["post"].Responses
	for _, status := range []string{"400", "401", "403", "409", "413", "415", "422", "429", "500", "503"} {
		assert.Contains(t, got[status].Content, "application/problem+json", status)
	}
	for _, status := range []string{"202", "400", "403", "409", "413", "422", "500"} {
		assert.Contains(t, got[status].Content, "application/json", "%s: what a list of events is answered", status)
	}
	for _, status := range []string{"401", "415", "429", "503"} {
		assert.NotContains(t, got[status].Content, "application/json", "%s: never of single events", status)
	}
	yaml := w.do("GET", "/openapi.yaml", "", "", "")
	require.Equal(t, 200, yaml.status)
	assert.Contains(t, string(yaml.body), "openapi: 3.1.0")
	docs := w.do("GET", "/docs", "", "", "")
	require.Equal(t, 200, docs.status)
	assert.Contains(t, string(docs.body), "involved_users")
	assert.NotContains(t, string(docs.body), "<script")
}

func TestPostgresAwayIsSaidPlainly(t *testing.T) {
	t.Parallel()
	env := testenv.OwnServers(t)
	s, err := store.Open(testenv.DatabaseOn(t, env.DatabaseURL), store.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	w := &world{t: t, store: s, queue: &queue{}}
	w.seed()
	e := engine.New(engine.Options{Store: s, Metrics: metrics.New()})
	t.Cleanup(e.Close)
	p, err := producer.New(producer.Options{Engine: e, KeyTTL: time.Hour})
	require.NoError(t, err)
	w.serve(p)
	key := w.key()
	require.Equal(t, http.StatusAccepted, w.post(key, complaint("a")).status)

	require.NoError(t, env.Postgres.Stop())
	for _, body := range []string{complaint("b"), "[" + complaint("b") + "," + complaint("c") + "]"} {
		r := w.post(key, body)
		require.Equal(t, http.StatusServiceUnavailable, r.status, "%s", r.body)
		assert.Equal(t, "unavailable", r.problem(t).Code)
		assert.NotEmpty(t, r.header.Get("Retry-After"))
	}
	r := w.post("px_"+strings.Repeat("x", 40), complaint("b"))
	assert.Equal(t, http.StatusServiceUnavailable, r.status, "a key that cannot be looked up is not a wrong key")
}

// TestASilentDatabaseIsAnsweredFor: locks that another holds are as a PostgreSQL
// that is stopped: a query gets no answer and no error.
func TestASilentDatabaseIsAnsweredFor(t *testing.T) {
	t.Parallel()
	w := setup(t, func(o *producer.Options) { o.KeyTTL = time.Hour })
	w.engine.AcceptTimeout = 200 * time.Millisecond
	key, cold := w.key(), w.key()
	require.Equal(t, http.StatusAccepted, w.post(key, complaint("before")).status)
	for _, tt := range []struct {
		name, table string
		ask         func() reply
	}{
		{"the clock", "clock", func() reply { return w.post(key, complaint("x")) }},
		{"the feedback", "feedback", func() reply { return w.post(key, complaint("x")) }},
		{"the feedback, asked for", "feedback", func() reply { return w.do(http.MethodGet, "/v1/feedback?event_id=x", key, "", "") }},
		{"the keys", "api_keys", func() reply { return w.post(cold, complaint("x")) }},
	} {
		tx, err := w.store.DB().BeginTx(t.Context(), nil)
		require.NoError(t, err)
		_, err = tx.ExecContext(t.Context(), "LOCK TABLE "+tt.table+" IN ACCESS EXCLUSIVE MODE")
		require.NoError(t, err)
		start := time.Now()
		r := tt.ask()
		require.NoError(t, tx.Rollback())
		assert.Equal(t, http.StatusServiceUnavailable, r.status, "%s: %s", tt.name, r.body)
		assert.Equal(t, "5", r.header.Get("Retry-After"), tt.name)
		assert.Less(t, time.Since(start), 5*time.Second, tt.name)
	}
}
