package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/internal/receiver"
	"github.com/pxactions/px/internal/testenv"
	"github.com/pxactions/px/model"
)

// TestChannelsThatAreAwayAreCaughtUp takes the mail server away, then the webhook
// host, in every way that they have; each time the other channel goes on.
func TestChannelsThatAreAwayAreCaughtUp(t *testing.T) {
	t.Parallel()
	mails, hook, settings := receivers(t)
	c := newCluster(t, testenv.DatabaseURL(t), testenv.RedisURL(t), settings...)
	key := c.furnish(directory(1, hook.URL(), "email", "webhook"), policy(hours{target: 4, reminder: 1, gap: 2}))
	ps := c.start("producer", "worker")
	for _, away := range []struct {
		channel, other model.Channel
		treat          func(*receiver.Fault)
		status         int
		why            string // of the last one
	}{
		{model.ChannelEmail, model.ChannelWebhook, mails.Always, 451, "smtp_451"},
		{model.ChannelWebhook, model.ChannelEmail, hook.Always, 503, "http_503"},
	} {
		at := func(state model.MessageState, ch model.Channel) int {
			return c.count("SELECT count(*) FROM messages WHERE state = ? AND channel = ?", state, ch)
		}
		sent := at(model.MessageSent, away.channel)
		away.treat(&receiver.Fault{Drop: true})
		a := post(t, ps[0], key, toJSON(t, complaint("without "+string(away.channel), model.SeverityHigh, nil)))
		assert.Equal(t, http.StatusAccepted, a.code, a.body)
		failing := func(why string) {
			t.Helper()
			until(t, 30*time.Second, "the message waits, the other is sent", func() (bool, string) {
				waiting := c.count("SELECT count(*) FROM messages WHERE state = 'pending' AND attempts > 0 AND channel = ? AND last_error LIKE ?", away.channel, why+"%")
				open := c.count("SELECT count(*) FROM messages WHERE state <> 'sent' AND channel = ?", away.other)
				return waiting > 0 && open == 0 && at(model.MessageSent, away.other) > 0, fmt.Sprintf("%d waiting, %d of the other open: %s", waiting, open, c.rows("messages"))
			})
			assert.Equal(t, sent, at(model.MessageSent, away.channel))
			assert.Equal(t, http.StatusOK, get(t, ps[1].ops+"/readyz").code)
		}
		again := func() { // without the wait
			_, err := c.store.DB().NewRaw("UPDATE messages SET next_try_at = clock_timestamp() WHERE state = 'pending'").Exec(t.Context())
			require.NoError(t, err)
			c.px("feedback", "replay") // hands nothing over: the sweep has to
		}
		failing("")
		away.treat(&receiver.Fault{Status: away.status})
		again()
		sweeper := c.start("scheduler")
		failing(away.why)
		away.treat(nil)
		again()
		c.allSent()
		stop(t, sweeper...)
	}
	c.checkMessages(c.ledger())
	keys := map[string]bool{}
	for _, m := range mails.Accepted() {
		assert.False(t, keys[m.Key], "a mail came twice")
		keys[m.Key] = true
	}
	for _, call := range hook.Accepted() {
		assert.False(t, keys[call.ID], "a webhook came twice")
		keys[call.ID] = true
	}
	c.holds()
	stop(t, ps...)
}

// TestAFileStorageThatIsAwayIsSaid: files are refused, and all else goes on.
func TestAFileStorageThatIsAwayIsSaid(t *testing.T) {
	t.Parallel()
	mount := filepath.Join(t.TempDir(), "mount")
	place := filepath.Join(mount, "files")
	c := newCluster(t, testenv.DatabaseURL(t), testenv.RedisURL(t), "PX_FILES_URL=file://"+place)
	key := c.furnish(directory(1, "", "log"), policy(hours{target: 4, reminder: 1, gap: 2}))
	ps := c.start("producer", "worker", "web")
	web := ps[2]
	d := &driver{cluster: c, web: web.url, key: c.key("host", "--scope", "actions:read,actions:write,on-behalf-of")}
	a := post(t, ps[0], key, toJSON(t, complaint("with a file", model.SeverityHigh, nil)))
	require.Equal(t, http.StatusAccepted, a.code, a.body)
	c.decided("with a file")
	var ref string
	for _, row := range c.ledger().actions {
		ref = row.Ref
	}
	action := web.url + "/v1/actions/" + ref
	upload := func() answer {
		form, kind := file(t, "plan.txt", "text/plain", "a plan")
		return d.send(t, http.MethodPost, action+"/attachments", form, "On-Behalf-Of", "sami1", "Content-Type", kind)
	}
	a = upload()
	require.Equal(t, http.StatusCreated, a.code, a.body)
	location := web.url + a.header.Get("Location")
	require.Equal(t, "a plan", d.send(t, http.MethodGet, location, "").body)

	require.NoError(t, os.Rename(mount, mount+".gone"))
	require.NoError(t, os.WriteFile(mount, nil, 0o600))
	c.becomes(web, http.StatusOK, "degraded")
	assert.Contains(t, get(t, web.ops+"/readyz").body, `"name": "files"`)
	for what, a := range map[string]answer{"upload": upload(), "download": d.send(t, http.MethodGet, location, "")} {
		assert.Equal(t, http.StatusServiceUnavailable, a.code, "%s: %s", what, a.body)
		assert.NotEmpty(t, a.header.Get("Retry-After"), what)
		assert.NotContains(t, a.body, mount, what)
	}
	r := c.command(nil, "action", "attach", ref, c.file("more.txt", "more"), "--as", "sami1")
	assert.Equal(t, 1, r.code)
	assert.Equal(t, http.StatusOK, get(t, web.url+"/actions/"+ref).code)
	c.px("action", "note", ref, "goes on", "--as", "sami1")

	require.NoError(t, os.Remove(mount))
	require.NoError(t, os.Rename(mount+".gone", mount))
	c.becomes(web, http.StatusOK, "ready")
	assert.Equal(t, http.StatusCreated, upload().code)
	assert.Equal(t, "a plan", strings.TrimSpace(d.send(t, http.MethodGet, location, "").body))
	stop(t, ps...)
}

// TestAChannelWithoutSettingsIsSaid: a worker without a mail server says so, and
// leaves mails to one that has it.
func TestAChannelWithoutSettingsIsSaid(t *testing.T) {
	t.Parallel()
	mails, hook, settings := receivers(t)
	smtp := func(s string) bool { return strings.HasPrefix(s, "PX_SMTP_") }
	c := newCluster(t, testenv.DatabaseURL(t), testenv.RedisURL(t), slices.DeleteFunc(slices.Clone(settings), smtp)...)
	key := c.furnish(directory(1, hook.URL(), "email", "webhook"), policy(hours{target: 4, reminder: 1, gap: 2}))
	ps := c.start("producer", "worker")
	c.becomes(ps[1], http.StatusOK, "degraded")
	assert.Contains(t, get(t, ps[1].ops+"/readyz").body, "people are to be told by email, which has no settings here")
	a := post(t, ps[0], key, toJSON(t, complaint("without mail", model.SeverityHigh, nil)))
	require.Equal(t, http.StatusAccepted, a.code, a.body)
	until(t, 30*time.Second, "the webhook has its message", func() (bool, string) { return len(hook.Accepted()) > 0, c.rows("messages") })
	assert.Empty(t, mails.All())
	c.env = append(c.env, slices.DeleteFunc(slices.Clone(settings), func(s string) bool { return !smtp(s) })...)
	more := c.start("worker", "scheduler")
	c.becomes(more[0], http.StatusOK, "ready")
	c.allSent()
	assert.NotEmpty(t, mails.Accepted())
	c.holds()
	stop(t, append(ps, more...)...)
}
