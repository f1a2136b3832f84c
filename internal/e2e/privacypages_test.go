package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/internal/testenv"
)

// TestNoRouteTellsOfWords sends the marker to every route, page and form, in files, in
// requests that break off and while the servers are away, and looks for it where others
// might read it.
func TestNoRouteTellsOfWords(t *testing.T) {
	t.Parallel()
	servers := testenv.OwnServers(t)
	c := newCluster(t, testenv.DatabaseOn(t, servers.DatabaseURL), servers.RedisURL, "PX_LOG_LEVEL=debug", "PX_WEB_LOGIN=always", "PX_RATE_LIMIT=0")
	rdb := redisAt(t, servers.RedisURL)
	c.setClock(epoch(), 1)
	raise := "triggers:\n  - name: Grave words\n    raise: [{ keywords: [" + marker + "], severity: high }]\n"
	c.furnish(directory(2, "", "log"), policy(hours{target: 48, reminder: 4, gap: 2})+raise)
	const secret = "seven moons over the river"
	code, said := c.setPassword("adam", secret)
	require.Zero(t, code, said)
	ps := c.start("producer", "worker", "scheduler", "web")
	d := &driver{cluster: c, producer: ps[0].url, web: ps[3].url, key: c.key("api", "--scope",
		"feedback:write,feedback:read,actions:read,actions:write,events:read,directory:write,on-behalf-of")}

	ref, feedback := d.raised(t)
	w := newWalker(t, d, ref, feedback)
	w.pages(t, secret)
	told := c.sendFiles(t, ps[0].url)
	for _, url := range []string{d.producer, d.web} {
		cutOff(t, url)
	}
	w.all(t)
	for _, args := range [][]string{{"explain", ref}, {"feedback", "show", feedback}, {"feedback", "replay"}, {"verify"}} {
		r := c.command([]string{"PX_LOG_LEVEL=debug"}, args...)
		assert.Zero(t, r.code, "px %v: %s", args, r.err)
		told += r.out + r.err
	}
	until(t, lateAtMost, "all is decided", func() (bool, string) {
		n := c.count("SELECT count(*) FROM feedback WHERE decision IS NULL")
		return n == 0, fmt.Sprint(n)
	})

	places := map[string]string{"commands": told, "Redis": dump(t, rdb)}
	for _, table := range []string{"messages", "action_logs", "sweeps"} {
		places["table "+table] = c.rows(table)
	}
	require.NoError(t, servers.Redis.Stop())
	a := post(t, ps[0], d.key, toJSON(t, complaint("without Redis", "low", map[string]any{"text": marker})))
	assert.Equal(t, http.StatusAccepted, a.code, a.body)
	require.NoError(t, servers.Postgres.Stop())
	w.away(t)
	for _, p := range ps {
		places["metrics of "+p.name] = get(t, p.ops+"/metrics").body
	}
	stop(t, ps...)
	for _, p := range ps {
		places["log of "+p.name] = strings.Join(p.log.all(), "\n")
	}
	for place, text := range places {
		assert.NotEmpty(t, text, place)
		for line := range strings.Lines(text) {
			assert.NotContains(t, strings.ToLower(line), strings.ToLower(marker), place)
		}
	}
}

// raised sends a feedback whose words the policy looks for; its decision says that they
// were there, and not which.
func (d *driver) raised(t *testing.T) (ref, feedback string) {
	t.Helper()
	body := toJSON(t, complaint("raised", "low", map[string]any{"text": "She said " + marker}))
	sent := d.send(t, http.MethodPost, d.producer+"/v1/feedback", body)
	require.Equal(t, http.StatusAccepted, sent.code, sent.body)
	feedback = fields(sent.body)["id"].(string)
	until(t, lateAtMost, "it is decided", func() (bool, string) {
		return d.count("SELECT count(*) FROM actions WHERE severity = 'high'") == 1, d.rows("feedback")
	})
	for _, a := range d.ledger().actions {
		ref = a.Ref
	}
	return ref, feedback
}

// pages are the paths that package web serves beside the API, by its source, so that a new
// one is asked for, too; with the marker for what stands in braces.
func pages(t *testing.T) (paths []string) {
	t.Helper()
	source, err := os.ReadFile("../../web/web.go")
	require.NoError(t, err)
	for _, m := range regexp.MustCompile(`mux\.Handle(?:Func)?\((.+?), `).FindAllStringSubmatch(string(source), -1) {
		pattern := strings.NewReplacer("dashboardRoot", "/asynq", "loginPath", "/login", "logoutPath", "/logout", "{$}", "", `"`, "", "+", "").Replace(m[1])
		path := regexp.MustCompile(`{\w+}`).ReplaceAllString(strings.TrimPrefix(strings.TrimPrefix(pattern, "GET "), "POST "), marker)
		require.Regexp(t, `^/[\w/]*$`, path, "a path is needed here for %s", m[1])
		paths = append(paths, path)
	}
	require.Greater(t, len(paths), 9)
	return paths
}

// pages asks for every page and sends every form, logged in and not.
func (w *walker) pages(t *testing.T, secret string) {
	t.Helper()
	form := []string{"Content-Type", "application/x-www-form-urlencoded"}
	login := func(code, password string) request {
		v := url.Values{"code": {code}, "password": {password}, "next": {"/actions?ref=" + marker}}
		return request{method: http.MethodPost, target: "/login", body: v.Encode(), headers: form}
	}
	in := w.send(t, w.web, login("adam", secret))
	require.Equal(t, http.StatusSeeOther, in.code, in.body)
	cookie, _, _ := strings.Cut(in.header.Get("Set-Cookie"), ";")

	rs := []request{login(marker, marker), login("adam", marker)}
	for _, body := range []string{"code=%" + marker, strings.Repeat(marker, 1000), marker + ";" + marker} {
		rs = append(rs, request{method: http.MethodPost, target: "/login", body: body, headers: form})
	}
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, marker} {
		rs = append(rs, request{method: method, target: "/actions?title=" + marker, body: "title=" + marker, headers: form},
			request{method: method, target: "/asynq/api/queues/" + marker + ":pause"}, request{method: method, target: "/asynq/api/queues/message/" + marker},
			request{method: method, target: "/asynq/api/queues/message/archived_tasks/" + marker + ":run"})
	}
	targets := []string{
		"/asynq/" + marker, "/asynq/api/" + marker, "/asynq/api/queues/" + marker, "/asynq/api/queues/message/tasks/" + marker, "/asynq/api/metrics?duration=" + marker,
		"/docs/" + marker, "/login?next=" + marker, "/actions?%" + marker, "/%2e%2e/" + marker, "/actions/" + w.known["web id"] + "/" + marker,
	}
	for _, page := range pages(t) {
		rest := strings.TrimSuffix(page, "/")
		targets = append(targets, page, rest+"/"+marker, page+"?"+marker+"="+marker, strings.ReplaceAll(page, marker, w.known["web id"])+"?ref="+marker)
	}
	for _, target := range targets {
		rs = append(rs, request{method: http.MethodGet, target: target}, request{method: http.MethodPost, target: target, body: marker + "=" + marker, headers: form})
	}
	for _, name := range []string{"hospital", "department", "status", "severity", "source", "category", "assignee", "owner", "overdue", "ref", "text", "q", "sort", "after", "refresh"} {
		rs = append(rs, request{method: http.MethodGet, target: "/actions?" + name + "=" + marker})
	}
	typed := regexp.MustCompile(`value="[^"]*"`) // a form keeps it for who typed it
	for _, r := range rs {
		for _, cookie := range []string{cookie, "__Host-px=" + marker} {
			a := w.send(t, w.web, request{r.method, r.target, r.body, append([]string{"Cookie", cookie}, r.headers...), false})
			if strings.HasPrefix(r.target, "/asynq/") && r.method == http.MethodGet {
				continue // asynqmon says what an operator asked it for is not there
			}
			assert.Less(t, a.code, http.StatusInternalServerError, "%.300s: %s", fmt.Sprint(r), a.body)
			if a.code >= http.StatusBadRequest {
				said := typed.ReplaceAllString(a.body, "")
				assert.NotContains(t, strings.ToLower(said), strings.ToLower(marker), "%.300s", fmt.Sprint(r))
			}
		}
	}
	for _, header := range []string{"Origin", "Sec-Fetch-Site", "X-Forwarded-For", "X-Request-Id", "User-Agent", "Referer"} {
		a := w.send(t, w.web, request{method: http.MethodPost, target: "/logout", headers: []string{header, "https://" + marker, "Cookie", cookie}})
		assert.NotContains(t, a.body, marker, header)
	}
}

// sendFiles sends files with faults of every kind by px send, and returns what it said.
func (c *cluster) sendFiles(t *testing.T, intake string) (told string) {
	t.Helper()
	env := []string{"PX_INTAKE_URL=" + intake, "PX_API_KEY=" + c.key("files"), "PX_LOG_LEVEL=debug"}
	event := func(id string, more map[string]any) string {
		return toJSON(t, complaint(id, "low", more))
	}
	said, place := event("f-1", map[string]any{"text": marker}), event("f-2", map[string]any{"hospital": marker})
	words := "She said " + marker
	unknown := event("f-3", map[string]any{words: marker})
	for name, content := range map[string]string{
		"good.ndjson":   said + "\n",
		"bad.ndjson":    strings.Join([]string{place, marker, `{"text": "` + marker, `["` + marker + `"]`, `"` + marker + `"`, said[:len(said)-1] + "x}"}, "\n"),
		"bad.json":      "[" + place + "," + marker + "]",
		"behind.json":   said + marker,
		"open.json":     "[" + said,
		"none.csv":      words + "," + words + "\n" + words + ",2\n",
		"twice.csv":     "event_id,source_type,hospital,text," + words + "," + words + "\n",
		"quotes.csv":    "event_id,source_type,hospital,text\n1,complaint,TST,\"" + marker + "\"x\n2,complaint,TST," + marker + ",more\n3,complaint," + marker + ",x\n",
		"latin.csv":     "event_id,source_type,hospital,metadata." + words + "\n1,complaint,TST,\xe9" + marker + "\n",
		"unclosed.csv":  "event_id,source_type,hospital,text\n1,complaint,TST,\"" + marker + "\n",
		"refused.jsonl": unknown + "\n",
	} {
		r := c.command(env, "send", c.file(name, content))
		told += r.out + r.err
		assert.Equal(t, name == "good.ndjson", r.code == 0, "%s: %s%s", name, r.out, r.err)
	}
	return told
}

// cutOff breaks a request off in its body, and sends what is no HTTP.
func cutOff(t *testing.T, at string) {
	t.Helper()
	for _, text := range []string{
		"POST /v1/feedback HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n{\"text\": \"" + marker,
		"POST /v1/actions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" + marker,
		"POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 5000\r\n\r\ncode=" + marker,
		marker + " said no\r\n\r\n", marker + "\r\n\r\n", "GET /" + marker + " " + marker + "/9.9\r\n\r\n", "GET /%zz" + marker + " HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: " + marker + " " + marker + "\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\n" + marker + " " + marker + "\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nX-Words: " + strings.Repeat(marker, 5000) + "\r\n\r\n",
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(at, "http://"))
		require.NoError(t, err)
		require.NoError(t, conn.SetDeadline(time.Now().Add(30*time.Second)))
		_, _ = io.WriteString(conn, text)
		_ = conn.(*net.TCPConn).CloseWrite()
		said, _ := io.ReadAll(conn)
		assert.NotContains(t, string(said), marker, "%.100q", text)
		_ = conn.Close()
	}
}
