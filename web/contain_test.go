package web_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/iotest"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/web"
)

const said = "Xylophonewhisper"

// tripwire is a body whose reading panics with the words in it.
type tripwire struct{}

func (tripwire) Read([]byte) (int, error) { panic(said) }

// TestAPanicIsLoggedWithoutItsValue: pages and action API alike answer, and log where it
// was.
func TestAPanicIsLoggedWithoutItsValue(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	log := &logged{}
	h, err := web.New(web.Options{Store: s.Store, Engine: s.Engine, Log: zerolog.New(log), Login: true})
	require.NoError(t, err)
	for path, body := range map[string]io.Reader{"/login": tripwire{}, "/v1/actions": tripwire{}} {
		req := httptest.NewRequest(http.MethodPost, path, body)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if path != "/login" {
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("Authorization", "Bearer "+s.newKey(t, nil))
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, req)
		assert.Equal(t, http.StatusInternalServerError, rec.Code, path)
		assert.NotContains(t, rec.Body.String(), said, path)
		has(t, log.String(), `"route":"POST `+path+`"`)
	}
	has(t, log.String(), "request panicked", `"panic":"string"`, "tripwire")
	hasNot(t, log.String(), said)
}

// TestABodyCutOffIsNotLogged: what came of it is nobody's to read.
func TestABodyCutOffIsNotLogged(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	log := &logged{}
	h, err := web.New(web.Options{Store: s.Store, Engine: s.Engine, Log: zerolog.New(log), Login: true})
	require.NoError(t, err)
	for _, path := range []string{"/login", "/v1/actions"} {
		req := httptest.NewRequest(http.MethodPost, path, iotest.ErrReader(errors.New(said)))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Authorization", "Bearer "+s.newKey(t, nil))
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, req)
		assert.Equal(t, http.StatusBadRequest, rec.Code, path)
		assert.NotContains(t, rec.Body.String(), said, path)
	}
	hasNot(t, log.String(), said)
}

// TestWhatIsNoChangeOfAQueueGoesNowhere: asynq would pause a queue of any name, and the
// path of a change is logged.
func TestWhatIsNoChangeOfAQueueGoesNowhere(t *testing.T) {
	t.Parallel()
	g := newGate(t, "ruh-amal")
	admin := g.in(t, "ruh-amal")
	for _, target := range []string{
		"queues/" + said + ":pause", "queues/" + said, said, "queues/intake/" + said, "queues/intake:" + said, "queues/intake/archived_tasks/" + said + ":run",
		"queues/intake/active_tasks/" + said + ":cancel", "queues/intake/groups/" + said + "/aggregating_tasks:run_all",
	} {
		for _, method := range []string{http.MethodPost, http.MethodDelete, said} {
			got := admin.send(method, "/asynq/api/"+target, nil, "Sec-Fetch-Site", "same-origin")
			assert.Equal(t, http.StatusNotFound, got.code, target)
			hasNot(t, got.page, said)
		}
	}
	hasNot(t, g.log.String(), said, "queues changed")
	keys, err := g.rdb.Keys(t.Context(), "*"+said+"*").Result()
	require.NoError(t, err)
	assert.Empty(t, keys)
	// What the buttons send does arrive.
	for target, method := range map[string]string{
		"queues/intake/archived_tasks/escalation2.0198f0c4a5b67c8d9e0f112233445566.g3:run":   http.MethodPost,
		"queues/intake/archived_tasks/create.0198f0c4a5b67c8d9e0f112233445566.n3.00ff00ff00": http.MethodDelete,
		"queues/intake/retry_tasks/8c5f0f9e-5f0e-4c9c-8a55-0123456789ab:archive":             http.MethodPost,
		"queues/intake/pending_tasks:delete_all":                                             http.MethodDelete,
		"queues/intake/scheduled_tasks:batch_run":                                            http.MethodPost,
	} {
		admin.send(method, "/asynq/api/"+target, nil, "Sec-Fetch-Site", "same-origin")
		has(t, g.log.String(), target)
	}
}
