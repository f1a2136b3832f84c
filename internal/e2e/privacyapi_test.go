package e2e

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/internal/testenv"
	"github.com/pxactions/px/model"
)

// TestWordsOfTheAPIStayInTheirTables sends the marker through the action API, right
// and wrong, and looks for it in whatever tells others of it.
func TestWordsOfTheAPIStayInTheirTables(t *testing.T) {
	t.Parallel()
	servers := testenv.OwnServers(t)
	_, hook, settings := receivers(t)
	c := newCluster(t, testenv.DatabaseOn(t, servers.DatabaseURL), servers.RedisURL, append(settings, "PX_LOG_LEVEL=debug", "PX_WEBHOOK_ALLOW=127.0.0.1")...)
	rdb := redisAt(t, servers.RedisURL)
	c.setClock(epoch(), 1)
	c.furnish(directory(2, hook.URL(), "email", "webhook"), policy(hours{target: 2, reminder: 1, gap: 1}))
	follower := &host{seqs: map[string][]int{}}
	srv := httptest.NewServer(follower)
	t.Cleanup(srv.Close)
	secret := strings.TrimSpace(c.px("hook", "create", "--name", "his", "--url", srv.URL, "--by", "anna"))
	follower.mu.Lock() // whoever calls is another process: nothing else orders the two
	follower.secret = secret
	follower.mu.Unlock()
	ps := c.start("producer", "worker", "scheduler", "web")
	d := &driver{cluster: c, producer: ps[0].url, web: ps[3].url, key: c.key("api", "--scope",
		"feedback:write,feedback:read,actions:read,actions:write,events:read,directory:write,on-behalf-of")}

	stream := d.follow(t)
	ref := d.workMarked(t)
	d.sendWrong(t, ref)
	c.settled(30 * time.Second)
	last := c.count("SELECT max(seq) FROM action_logs l JOIN actions a ON a.id = l.action_id WHERE ref = ?", ref)
	until(t, lateAtMost, "the host has heard of all", func() (bool, string) { return follower.last(ref) >= last, c.px("hook", "list") })

	places := map[string]string{"Redis": dump(t, rdb), "stream": stream(ref, last)}
	for _, p := range ps {
		places["metrics of "+p.name] = get(t, p.ops+"/metrics").body
	}
	for _, path := range []string{"queues", "queues/message/pending_tasks", "queues/escalation/scheduled_tasks", "servers", "redis_info"} {
		places["dashboard "+path] = get(t, d.web+"/asynq/api/"+path).body
	}
	stop(t, ps...)
	for _, p := range ps {
		places["log of "+p.name] = strings.Join(p.log.all(), "\n")
	}
	places["hook"] = follower.said()
	for _, call := range hook.All() {
		places["messages"] += string(call.Body)
	}
	for _, table := range []string{"messages", "action_logs", "deadline_events", "hooks", "sweeps"} {
		places["table "+table] = c.rows(table)
	}
	for place, text := range places {
		assert.NotEmpty(t, text, place)
		for line := range strings.Lines(text) {
			assert.NotContains(t, strings.ToLower(line), strings.ToLower(marker), place)
		}
	}
	for _, table := range []string{"actions", "log_texts", "action_attachments", "feedback"} {
		assert.Contains(t, c.rows(table), marker, "table %s keeps the words", table)
	}
}

// driver uses the HTTP interface as another system does.
type driver struct {
	*cluster
	producer, web, key string
}

// send makes a request; header names and values alternate.
func (d *driver) send(t *testing.T, method, url, body string, headers ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+d.key)
	req.Header.Set("Content-Type", "application/json")
	for pair := range slices.Chunk(headers, 2) {
		req.Header.Set(pair[0], pair[1])
	}
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return answer{res.StatusCode, res.Header, string(b)}
}

// workMarked makes an action by hand and works it to its end and back, with the
// marker wherever there are words, and corrects a feedback.
func (d *driver) workMarked(t *testing.T) (ref string) {
	t.Helper()
	ok := func(a answer) answer {
		t.Helper()
		require.Less(t, a.code, 300, a.body)
		return a
	}
	made := ok(d.send(t, http.MethodPost, d.web+"/v1/actions", toJSON(t, map[string]any{
		"title": marker, "description": "She said " + marker, "hospital": "TST", "department": "ED", "subject": marker, "metadata": map[string]any{marker: marker},
	}), "On-Behalf-Of", "anna"))
	ref = fields(made.body)["ref"].(string)
	action := d.web + "/v1/actions/" + ref
	owner := "sami1"
	if strings.Contains(made.body, `"assigned_to":"sami1"`) {
		owner = "sami2"
	}
	for _, m := range []struct {
		move, person string
		body         map[string]any
	}{
		{"assign", "anna", map[string]any{"assignee": owner, "reason": marker}},
		{"start", owner, map[string]any{"reason": marker}},
		{"note", owner, map[string]any{"text": marker}},
		{"due", "anna", map[string]any{"due_at": epoch().Add(48 * time.Hour), "reason": marker}},
		{"severity", "anna", map[string]any{"severity": "high", "reason": marker}},
		{"hold", "anna", map[string]any{"reason": marker}},
		{"resume", "anna", map[string]any{"reason": marker}},
		{"escalate", "anna", map[string]any{"reason": marker}},
		{"submit", owner, map[string]any{"action_plan": marker, "outcome": marker, "complainant_informed": map[string]any{"why_not": marker}}},
		{"reject", "anna", map[string]any{"reason": marker}},
		{"submit", owner, map[string]any{"reason": marker}},
		{"approve", "anna", map[string]any{"reason": marker}},
		{"close", "anna", map[string]any{"outcome": marker}},
		{"reopen", "anna", map[string]any{"reason": marker}},
	} {
		ok(d.send(t, http.MethodPost, action+"/"+m.move, toJSON(t, m.body), "On-Behalf-Of", m.person))
	}
	form, kind := file(t, marker+".txt", "text/plain", "She said "+marker)
	ok(d.send(t, http.MethodPost, action+"/attachments", form, "On-Behalf-Of", owner, "Content-Type", kind))

	words := map[string]any{"title": marker, "text": marker}
	sent := ok(d.send(t, http.MethodPost, d.producer+"/v1/feedback", toJSON(t, complaint("c-1", model.SeverityLow, words))))
	feedback := d.producer + "/v1/feedback/" + fields(sent.body)["id"].(string)
	words["text"] = "No: " + marker
	ok(d.send(t, http.MethodPost, feedback+"/revise", toJSON(t, complaint("c-1", model.SeverityHigh, words))))
	ok(d.send(t, http.MethodPost, feedback+"/retract", `{"reason": "withdrawn"}`))
	for _, path := range []string{"", "/timeline", "/plan", "/explain", "/attachments"} {
		ok(d.send(t, http.MethodGet, action+path, ""))
	}
	ok(d.send(t, http.MethodGet, d.web+"/v1/actions?text="+marker, ""))
	return ref
}

// file is a form with one file.
func file(t *testing.T, name, kind, content string) (form, contentType string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	part, err := w.CreatePart(map[string][]string{"Content-Disposition": {`form-data; name="file"; filename="` + name + `"`}, "Content-Type": {kind}})
	require.NoError(t, err)
	_, err = io.WriteString(part, content)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.String(), w.FormDataContentType()
}

// sendWrong sends the marker in every way that a request can be wrong; no answer
// says it again.
func (d *driver) sendWrong(t *testing.T, ref string) {
	t.Helper()
	refused := func(code int, a answer) {
		t.Helper()
		assert.Equal(t, code, a.code, a.body)
		assert.NotContains(t, a.body, marker)
	}
	action := d.web + "/v1/actions/" + ref
	word := `"` + marker + `"`
	for path, bodies := range map[string][]string{
		"note":     {`{"text": [` + word + `]}`, word, marker},
		"assign":   {`{"assignee": ` + word + `}`},
		"due":      {`{"due_at": ` + word + `, "reason": "x"}`},
		"severity": {`{"severity": ` + word + `}`},
		"submit":   {`{"root_cause": ` + word + `}`, `{"complainant_informed": {"how": ` + word + `}}`, `{"complainant_informed": {"by": ` + word + `}}`},
		"hold":     {`{"until": ` + word + `, "reason": "x"}`},
	} {
		for _, body := range bodies {
			a := d.send(t, http.MethodPost, action+"/"+path, body, "On-Behalf-Of", "anna")
			assert.Contains(t, []int{http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusConflict}, a.code, "%s %s: %s", path, body, a.body)
			assert.NotContains(t, a.body, marker, path)
		}
	}
	refused(http.StatusConflict, d.send(t, http.MethodPost, action+"/start", `{"reason": `+word+`}`, "On-Behalf-Of", "anna"))
	refused(http.StatusForbidden, d.send(t, http.MethodPost, action+"/note", `{"text": `+word+`}`, "On-Behalf-Of", marker))
	refused(http.StatusBadRequest, d.send(t, http.MethodPost, action+"/note", `{"text": `+word+`}`, "If-Match", marker))
	refused(http.StatusUnauthorized, d.send(t, http.MethodGet, action, "", "Authorization", "Bearer "+marker))
	refused(http.StatusUnsupportedMediaType, d.send(t, http.MethodPost, action+"/note", word, "Content-Type", "text/"+marker))
	refused(http.StatusNotFound, d.send(t, http.MethodGet, d.web+"/v1/actions/"+marker, ""))
	refused(http.StatusNotFound, d.send(t, http.MethodGet, d.web+"/v1/"+marker, ""))
	for _, query := range []string{"status", "severity", "source", "hospital", "assignee", "after", "order", "overdue", "due_from", "limit"} {
		refused(http.StatusUnprocessableEntity, d.send(t, http.MethodGet, d.web+"/v1/actions?"+query+"="+marker, ""))
	}
	refused(http.StatusUnprocessableEntity, d.send(t, http.MethodGet, d.web+"/v1/events?after="+marker, ""))
	form, kind := file(t, marker+".exe", "application/"+marker, "MZ"+marker)
	refused(http.StatusUnprocessableEntity, d.send(t, http.MethodPost, action+"/attachments", form, "Content-Type", kind))
	for _, body := range []string{`[{"code": ` + word + `}]`, `[{"code": "x", "name": [` + word + `]}]`, word} {
		a := d.send(t, http.MethodPut, d.web+"/v1/directory/users", body)
		assert.Contains(t, []int{http.StatusBadRequest, http.StatusUnprocessableEntity}, a.code, a.body)
	}
	cancelled := d.send(t, http.MethodPost, action+"/cancel", `{"reason": `+word+`}`, "On-Behalf-Of", "adam")
	assert.Equal(t, http.StatusOK, cancelled.code, cancelled.body)
	a := d.send(t, http.MethodPost, d.producer+"/v1/feedback/"+marker+"/retract", `{"reason": `+word+`}`)
	assert.Contains(t, []int{http.StatusNotFound, http.StatusUnprocessableEntity}, a.code, a.body)
	assert.NotContains(t, a.body, marker)
}

// follow hears the stream of changes from now on. What it gives waits for the change of an
// action with a number, and returns all that was heard.
func (d *driver) follow(t *testing.T) (heard func(ref string, seq int) string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.web+"/v1/events", nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+d.key)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, res.StatusCode)
	all := &lines{}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(all, res.Body) // until it is closed
	}()
	t.Cleanup(func() { _ = res.Body.Close(); <-ended })
	return func(ref string, seq int) string {
		until(t, lateAtMost, "the stream has told of all", func() (bool, string) {
			for _, line := range all.all() {
				data, ok := strings.CutPrefix(line, "data: ")
				if !ok {
					continue
				}
				if f := fields(data); f["ref"] == ref && f["seq"] == float64(seq) {
					return true, ""
				}
			}
			return false, strings.Join(all.all(), "\n")
		})
		return strings.Join(all.all(), "\n")
	}
}
