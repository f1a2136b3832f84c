package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/uptrace/bun"

	"github.com/pxactions/px/internal/testenv"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/tasks"
)

// marker stands in for whatever a patient may say. It is one word of letters,
// so that no encoding on the way hides it.
const marker = "Xylophonewhisper"

// TestPatientsWordsStayInTheirTables sends the marker wherever words can stand,
// through good and bad requests, moves and all messages, and then looks for it
// where it must not be.
func TestPatientsWordsStayInTheirTables(t *testing.T) {
	t.Parallel()
	servers := testenv.OwnServers(t)
	mails, hook, settings := receivers(t)
	c := newCluster(t, testenv.DatabaseOn(t, servers.DatabaseURL), servers.RedisURL, append(settings, "PX_LOG_LEVEL=debug")...)
	rdb := redisAt(t, servers.RedisURL)
	heard := listen(t, rdb.Options())

	c.setClock(epoch(), 3600)
	desk := c.furnish(directory(1, hook.URL(), "email", "webhook"), policy(hours{target: 2, reminder: 1, gap: 1}))
	lenient := c.key("lenient", "--on-unmapped", "quarantine")
	ps := c.start("producer", "worker", "scheduler", "web")
	c.sendMarkers(ps[0], desk, lenient)
	until(t, 60*time.Second, "the ladder has been climbed", func() (bool, string) {
		made, up := c.count("SELECT count(*) FROM actions"), c.count("SELECT count(*) FROM actions WHERE escalation_level = 3")
		return made > 0 && made == up, fmt.Sprintf("%d of %d actions", up, made)
	})
	told := c.workMarked()
	get(t, ps[3].url+"/actions/"+marker)
	get(t, ps[3].url+"/actions?hospital="+marker)
	c.settled(30 * time.Second)

	places := map[string]string{"commands": told, "Redis now": dump(t, rdb), "Redis ever": heard()}
	for _, p := range ps {
		places["metrics of "+p.name] = get(t, p.ops+"/metrics").body
	}
	stop(t, ps...)
	for _, p := range ps {
		places["log of "+p.name] = strings.Join(p.log.all(), "\n")
	}
	for _, m := range mails.All() {
		places["mails"] += m.Subject + "\n" + m.Body + "\n" + string(m.Raw)
	}
	for _, call := range hook.All() {
		places["webhooks"] += fmt.Sprint(call.Header) + string(call.Body)
	}
	for _, table := range []string{"messages", "action_logs", "deadline_events", "sweeps"} {
		places["table "+table] = c.rows(table)
	}
	for place, text := range places {
		assert.NotEmpty(t, text, place)
		for line := range strings.Lines(text) {
			assert.NotContains(t, strings.ToLower(line), strings.ToLower(marker), place)
		}
	}
	assert.Contains(t, places["Redis ever"], "action:create", "all that was written to Redis was heard")
	for _, table := range []string{"feedback", "actions", "log_texts"} {
		assert.Contains(t, c.rows(table), marker, "table %s keeps the words", table)
	}
}

// redisAt is a client of a Redis.
func redisAt(t *testing.T, url string) *redis.Client {
	t.Helper()
	opt, err := redis.ParseURL(url)
	require.NoError(t, err)
	rdb := redis.NewClient(opt)
	t.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

// sendMarkers sends the marker in every field that takes words, and in every
// way that a request can be wrong.
func (c *cluster) sendMarkers(producer *process, desk, lenient string) {
	t := c.t
	t.Helper()
	words := map[string]any{
		"title": marker, "text": "She said " + marker + ".", "subject": marker, "source_ref": marker,
		"metadata": map[string]any{marker: marker},
	}
	with := func(id string, more map[string]any) string {
		e := complaint(id, model.SeverityCritical, words)
		for k, v := range more {
			e[k] = v
		}
		return toJSON(t, e)
	}
	whole := with("marked", nil)
	assert.Equal(t, http.StatusAccepted, post(t, producer, desk, whole).code)
	wrong := map[int][]string{
		http.StatusBadRequest:            {whole[:len(whole)-1], marker, `{"event_id": ` + marker + `}`, "[" + whole + "," + marker + "]"},
		http.StatusConflict:              {with("marked", map[string]any{"text": "Now " + marker})},
		http.StatusRequestEntityTooLarge: {with("large", map[string]any{"text": strings.Repeat(marker, 80_000)})},
		http.StatusUnprocessableEntity: {
			with("b1", map[string]any{"hospital": marker}), with("b2", map[string]any{"department": marker}),
			with("b3", map[string]any{"severity": marker}), with("b4", map[string]any{"received_at": marker}),
			with("b5", map[string]any{"involved_users": []string{marker}}), with("b6", map[string]any{"score": map[string]any{"value": marker}}),
			with("b7", map[string]any{"title": strings.Repeat(marker, 100)}), with("b8", map[string]any{"text": []string{marker}}),
			with("b9", map[string]any{"survey": marker}),
		},
	}
	for code, bodies := range wrong {
		for _, body := range bodies {
			a := post(t, producer, desk, body)
			assert.Equal(t, code, a.code, a.body)
			assert.NotContains(t, a.body, marker)
			assert.Less(t, post(t, producer, lenient, body).code, http.StatusInternalServerError)
		}
	}
	// A field's name is told to its sender, and to nobody else.
	unknown := with("b10", map[string]any{marker: marker})
	assert.Equal(t, http.StatusUnprocessableEntity, post(t, producer, desk, unknown).code)
	assert.Equal(t, http.StatusAccepted, post(t, producer, lenient, unknown).code)
	assert.Equal(t, http.StatusUnauthorized, post(t, producer, marker, whole).code)
}

// workMarked makes every move that takes words and returns what the commands said.
func (c *cluster) workMarked() (told string) {
	c.t.Helper()
	f, err := c.store.FeedbackByEvent(c.t.Context(), "desk", "marked")
	require.NoError(c.t, err)
	ref := c.ledger().actions[*f.ActionID].Ref
	for _, args := range [][]string{
		{"action", "start", ref, "--as", "sami1"},
		{"action", "note", ref, marker, "--as", "sami1"},
		{"action", "submit", ref, "--as", "sami1", "--plan", marker, "--outcome", marker, "--root-cause", "staffing", "--not-informed", marker},
		{"action", "reject", ref, "--as", "adam", "--reason", marker},
		{"action", "submit", ref, "--as", "sami1", "--outcome", marker},
		{"action", "approve", ref, "--as", "anna"},
		{"action", "close", ref, "--as", "anna", "--outcome", marker},
		{"action", "list", "--json"},
		{"feedback", "show", "marked", "--source", "desk"},
		{"feedback", "replay"}, {"verify"},
	} {
		r := c.command([]string{"PX_LOG_LEVEL=debug"}, args...)
		assert.Zero(c.t, r.code, "px %v: %s", args, r.err)
		told += r.out + r.err
	}
	return told
}

// rows is a table's content as JSON, a row a line.
func (c *cluster) rows(table string) string {
	c.t.Helper()
	var all []string
	require.NoError(c.t, c.store.DB().NewRaw("SELECT to_jsonb(t)::text FROM ?0 t", bun.Ident(table)).Scan(c.t.Context(), &all))
	return strings.Join(all, "\n")
}

// listen hears every command that Redis gets; heard returns them so far.
func listen(t *testing.T, opt *redis.Options) (heard func() string) {
	t.Helper()
	conn, err := net.Dial(opt.Network, opt.Addr)
	require.NoError(t, err)
	_, err = conn.Write([]byte("MONITOR\r\n"))
	require.NoError(t, err)
	all := &lines{}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(all, conn) // until the connection is closed
	}()
	t.Cleanup(func() { _ = conn.Close(); <-ended })
	return func() string { return strings.Join(all.all(), "\n") }
}

// dump is the name of every key of Redis, and for each that has the marker, a line
// that says so.
func dump(t *testing.T, rdb *redis.Client) string {
	t.Helper()
	var b strings.Builder
	keys := rdb.Scan(t.Context(), 0, "*", 100).Iterator()
	for keys.Next(t.Context()) {
		b.WriteString(keys.Val() + "\n")
	}
	require.NoError(t, keys.Err())
	q := tasks.NewQueue(rdb, tasks.QueueOptions{})
	require.NoError(t, q.Search(t.Context(), marker, func(key string) { fmt.Fprintf(&b, "%s has %s\n", key, marker) }))
	return b.String()
}
