package e2e

import (
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/internal/receiver"
	"github.com/pxactions/px/internal/testenv"
	"github.com/pxactions/px/model"
)

// sekrit is in every secret of the test, so that one look finds all of them.
const sekrit = "Sekrit"

// TestSecretsAreNeverTold gives every process secrets that fail wherever they
// can, and looks for them in all that the processes say.
func TestSecretsAreNeverTold(t *testing.T) {
	t.Parallel()
	mails, err := receiver.StartSMTP(receiver.SMTPOptions{User: "px", Password: "another"})
	require.NoError(t, err)
	t.Cleanup(func() { _ = mails.Close() })
	hook, err := receiver.StartWebhook("")
	require.NoError(t, err)
	t.Cleanup(func() { _ = hook.Close() })
	storage := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, "<Error><Code>SignatureDoesNotMatch</Code><Message>no</Message></Error>")
	}))
	t.Cleanup(storage.Close)
	redis, err := url.Parse(testenv.RedisURL(t))
	require.NoError(t, err)
	redis.User = url.UserPassword("nobody", sekrit+"Redis")
	key := "whsec_" + base64.StdEncoding.EncodeToString([]byte("twentyfour bytes or more.")) + sekrit + "Hook=="
	c := newCluster(t, testenv.DatabaseURL(t), redis.String(),
		"PX_LOG_LEVEL=debug", "PX_SUBJECT_KEY="+sekrit+"Subject, long enough", "PX_API_KEY="+sekrit+"API", "PX_HEARTBEAT_URL=http://127.0.0.1:1/"+sekrit+"Beat",
		"PX_SMTP_HOST="+mails.Host(), "PX_SMTP_PORT="+strconv.Itoa(mails.Port()), "PX_SMTP_TLS=none", "PX_SMTP_FROM=px@hospital.example",
		"PX_SMTP_USER=px", "PX_SMTP_PASSWORD="+sekrit+"SMTP", "PX_WEBHOOK_ALLOW=127.0.0.1",
		"PX_FILES_URL=s3://px?region=any&endpoint="+storage.URL, "AWS_ACCESS_KEY_ID="+sekrit+"Access", "AWS_SECRET_ACCESS_KEY="+sekrit+"S3")
	c.tolerated = []string{"heartbeat"}
	told := map[string]string{}
	api := c.furnish(directory(1, hook.URL(), "email", "webhook"), policy(hours{target: 4, reminder: 1, gap: 2}))

	ps := []*process{c.launch("producer"), c.launch("worker"), c.launch("scheduler"), c.launch("web")}
	for _, p := range ps {
		c.await(p)
	}
	d := &driver{cluster: c, web: ps[3].url, key: c.key("host", "--scope", "actions:read,actions:write,on-behalf-of")}
	a := post(t, ps[0], api, toJSON(t, complaint("s", model.SeverityHigh, map[string]any{"subject": "MRN 1"})))
	require.Equal(t, http.StatusAccepted, a.code, a.body)
	c.decided("s") // by the sweep: Redis lets nobody in
	until(t, 30*time.Second, "the mail server and the webhook have refused", func() (bool, string) {
		n := c.count("SELECT count(DISTINCT channel) FROM messages WHERE attempts > 0 AND last_error <> ''")
		return n == 2, c.rows("messages")
	})
	for _, row := range c.ledger().actions {
		form, kind := file(t, "plan.txt", "text/plain", "a plan")
		a = d.send(t, http.MethodPost, d.web+"/v1/actions/"+row.Ref+"/attachments", form, "On-Behalf-Of", "sami1", "Content-Type", kind)
		assert.Equal(t, http.StatusServiceUnavailable, a.code)
		told["answer"] = a.body
	}
	for _, p := range ps {
		told["readiness of "+p.name] = get(t, p.ops+"/readyz").body
		told["metrics of "+p.name] = get(t, p.ops+"/metrics").body
	}
	told["dashboard"] = get(t, d.web+"/asynq").body
	stop(t, ps...)
	told["messages"] = c.rows("messages")

	bad := []string{"PX_DATABASE_URL=postgres://px:" + sekrit + "DB@127.0.0.1:1/px", "PX_REDIS_URL=redis://px:" + sekrit + "Redis@127.0.0.1:1"}
	broken := []string{"PX_DATABASE_URL=postgres://px:" + sekrit + "%zz@h:port/px", "PX_REDIS_URL=redis://px:" + sekrit + "%zz@h:port",
		"PX_WEBHOOK_SECRET=" + key, "PX_HEARTBEAT_URL=ftp://" + sekrit, "PX_SMTP_FROM=" + sekrit, "PX_SUBJECT_KEY=" + sekrit, "PX_LOG_LEVEL=" + sekrit}
	for _, name := range []string{"producer", "worker", "scheduler", "web"} {
		for what, env := range map[string][]string{"without servers": bad, "with broken settings": broken} {
			r := c.command(env, name)
			assert.NotZero(t, r.code, name)
			assert.NotEmpty(t, r.err, name)
			told[name+" "+what] = r.out + r.err
		}
	}
	for _, args := range [][]string{{"migrate", "up"}, {"verify"}, {"send", c.file("one.ndjson", "{}")}, {"policy", "export"}} {
		r := c.command(append(bad, "PX_INTAKE_URL=http://127.0.0.1:1"), args...)
		assert.NotZero(t, r.code, "%v", args)
		told[strings.Join(args, " ")] = r.out + r.err
	}
	r := c.command(nil, "worker", "--smtp-password="+sekrit)
	assert.Equal(t, 2, r.code)
	told["argv"] = r.out + r.err
	for _, p := range ps {
		told["log of "+p.name] = strings.Join(p.log.all(), "\n")
	}
	for place, text := range told {
		assert.NotEmpty(t, text, place)
		for line := range strings.Lines(text) {
			assert.NotContains(t, line, sekrit, place)
		}
	}
	assert.Contains(t, told["log of worker"], "worker waits for Redis")
}
