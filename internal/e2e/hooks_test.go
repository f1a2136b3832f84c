package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// host is a program that follows changes as docs/events.md tells it to.
type host struct {
	mu     sync.Mutex
	secret string
	faults []error
	seqs   map[string][]int // by ref
	text   strings.Builder
}

func (h *host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	h.text.Write(body)
	verifier, err := standardwebhooks.NewWebhook(h.secret)
	if err == nil {
		err = verifier.Verify(body, r.Header)
	}
	var call struct {
		Changes []struct {
			Ref string
			Seq int
		}
	}
	if err == nil {
		err = json.Unmarshal(body, &call)
	}
	if err != nil {
		h.faults = append(h.faults, err)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	for _, c := range call.Changes {
		if have := h.seqs[c.Ref]; len(have) == 0 || have[len(have)-1] < c.Seq { // a repeat is passed over
			h.seqs[c.Ref] = append(have, c.Seq)
		}
	}
}

// last is the newest change that was heard of; 0: none.
func (h *host) last(ref string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n := len(h.seqs[ref]); n > 0 {
		return h.seqs[ref][n-1]
	}
	return 0
}

// said is all that it was told.
func (h *host) said() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.String()
}

func TestAHostFollowsByHook(t *testing.T) {
	t.Parallel()
	c, ref := withAction(t)
	h := &host{seqs: map[string][]int{}}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	secret := strings.TrimSpace(c.px("hook", "create", "--name", "his", "--url", srv.URL, "--by", "dana"))
	require.True(t, strings.HasPrefix(secret, "whsec_"), secret)
	h.mu.Lock() // whoever calls is another process: nothing else orders the two
	h.secret = secret
	h.mu.Unlock()

	blocked := c.command(nil, "hook", "test", "his")
	assert.Equal(t, 1, blocked.code)
	assert.Contains(t, blocked.err, "blocked_address", "an address inside is reached only if it is named")
	c.env = append(c.env, "PX_WEBHOOK_ALLOW=127.0.0.1")
	assert.Equal(t, "his took the call\n", c.px("hook", "test", "his"))

	// Whoever makes moves here is another process than whoever tells of them.
	before := c.count("SELECT max(seq) FROM action_logs")
	c.px("hook", "pause", "his")
	c.px("action", "note", ref, "He was in tears.", "--as", "adam")
	assert.Contains(t, c.px("hook", "list"), "paused")
	c.px("hook", "resume", "his")
	ps := c.start("scheduler")
	c.px("action", "start", ref, "--as", "sami1")
	until(t, lateAtMost, "the host has heard of both", func() (bool, string) { return h.last(ref) >= before+2, c.px("hook", "list") })
	stop(t, ps...)
	h.mu.Lock()
	defer h.mu.Unlock()
	assert.Empty(t, h.faults)
	// Transactions of other tests, in the same cluster, may have run when the hook
	// was made: then it hears of what was just before, too.
	first := h.seqs[ref][0]
	assert.LessOrEqual(t, first, before+1, "what changed since the hook was made")
	for i, seq := range h.seqs[ref] {
		assert.Equal(t, first+i, seq, "in order, without a gap")
	}
	assert.NotContains(t, h.text.String(), "tears")
	assert.Contains(t, c.px("hook", "list"), "active")

	assert.Equal(t, 2, c.command(nil, "events", "restart").code, "without --yes")
	assert.Contains(t, c.px("events", "restart", "--yes"), "1 hooks go on")
	c.px("hook", "delete", "his")
	assert.NotContains(t, c.px("hook", "list"), srv.URL)
	for want, args := range map[string][]string{
		"no hook is called his": {"pause", "his"}, "hook.name": {"create", "--name", "Our host", "--url", srv.URL},
		"no hospital has the code": {"create", "--name", "a", "--url", srv.URL, "--hospital", "XXX"},
	} {
		r := c.command(nil, append([]string{"hook"}, args...)...)
		assert.NotZero(t, r.code)
		assert.Contains(t, r.err, want)
	}
}
