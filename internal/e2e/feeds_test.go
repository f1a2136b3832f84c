package e2e

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/internal/testenv"
	"github.com/pxactions/px/tasks"
)

// TestHolidaysComeFromAFeed, by every command that has to do with it, and by the
// periodic task.
func TestHolidaysComeFromAFeed(t *testing.T) {
	t.Parallel()
	year := time.Now().UTC().Format("2006")
	event := func(date string) string {
		return "BEGIN:VEVENT\r\nDTSTART;VALUE=DATE:" + year + date + "\r\nSUMMARY:Storm\r\nEND:VEVENT\r\n"
	}
	var events atomic.Pointer[string] // nil: the host is out of order
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if e := events.Load(); e != nil {
			_, _ = io.WriteString(w, "BEGIN:VCALENDAR\r\n"+*e+"END:VCALENDAR\r\n")
			return
		}
		w.WriteHeader(http.StatusInternalServerError)
	}))
	t.Cleanup(host.Close)
	redis := testenv.RedisURL(t)
	c := newCluster(t, testenv.DatabaseURL(t), redis)
	c.furnish(directory(1, "", "log"), policy(hours{target: 48, reminder: 4, gap: 2}))
	assert.Contains(t, c.px("policy", "feeds", "refresh"), "the active policy has no holiday feeds")

	missing := filepath.Join(t.TempDir(), "own.ics")
	file := c.file("fed.yaml", "calendars: [{name: office, timezone: UTC, weekly: {mon-fri: '08:00-16:00'}, feeds: [{name: saudi, url: '"+host.URL+"'}, {name: own, file: '"+missing+"'}]}]\nsla: [{name: all}]")
	checked := c.px("policy", "validate", "-f", file)
	assert.Contains(t, checked, "fed.yaml:1: warning: calendars[0].feeds[1].file: cannot be read: no such file")
	assert.Contains(t, checked, "no faults, 1 warnings")
	r := c.command(nil, "policy", "apply", "-f", file)
	assert.Zero(t, r.code, r.err)
	assert.Contains(t, r.err, "warning: office, feed saudi: is answered with HTTP status 500; it has no holidays until it can be fetched")
	assert.Contains(t, r.out, "revision 2 is active")
	list := c.px("policy", "feeds")
	assert.Regexp(t, `office +saudi +never +0 +none +- +is answered with HTTP status 500, since `+year, list)
	assert.Regexp(t, `office +own +never +0 +none +- +cannot be read: no such file or directory, since `, list)

	require.NoError(t, os.WriteFile(missing, []byte("BEGIN:VCALENDAR\r\n"+event("0101")+"END:VCALENDAR\r\n"), 0o600))
	storm := event("1231")
	events.Store(&storm)
	out := c.px("policy", "feeds", "refresh")
	assert.Contains(t, out, "office, feed saudi: 1 dates, revision 3 is active\n  + "+year+"-12-31 Storm\n")
	assert.Contains(t, out, "office, feed own: 1 dates, revision 4 is active\n  + "+year+"-01-01 Storm\n")
	assert.Contains(t, c.px("policy", "feeds", "refresh"), "office, feed saudi: 1 dates, nothing has changed\n")
	assert.Regexp(t, `office +saudi +`+year+`-\S+ +1 +`+year+`-12-31 Storm +[0-9a-f]{12} +-\n`, c.px("policy", "feeds"))
	assert.Regexp(t, `3 +\S+ +feed saudi +1 / 0 / 0 / 1 +[0-9a-f]{12} +calendar office: 1 dates new or renamed, 0 gone`, c.px("policy", "history"))
	assert.Contains(t, c.px("policy", "diff", "-f", file), "no difference from revision 4")
	assert.Contains(t, c.px("policy", "apply", "-f", file), "revision 4 is this policy already")
	assert.Contains(t, c.px("policy", "export"), "# Written by px")
	assert.Contains(t, c.px("policy", "validate", "-f", file), "no faults, 0 warnings")

	both := storm + event("1230")
	events.Store(&both)
	rdb, err := tasks.NewRedis(redis, tasks.RedisOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = rdb.Close() })
	task, options := tasks.Housekeeping("feeds")
	_, err = asynq.NewClientFromRedisClient(rdb).Enqueue(task, options...)
	require.NoError(t, err)
	c.start("worker")
	until(t, startWait, "the worker refreshes the feeds", func() (bool, string) {
		return c.command(nil, "policy", "export", "--revision", "5").code == 0, "no revision 5"
	})

	out = c.px("policy", "apply", "-f", c.file("more.yaml", "calendars: [{name: other, timezone: UTC, weekly: {mon-fri: '08:00-16:00'}, feeds: [{name: saudi, url: '"+host.URL+"'}]}]"))
	assert.Contains(t, out, "other, feed saudi: 2 dates\n")
	assert.Contains(t, out, "revision 6 is active")
	c.px("policy", "apply", "-f", file)

	events.Store(nil)
	r = c.command(nil, "policy", "feeds", "refresh")
	assert.Equal(t, 1, r.code)
	assert.Contains(t, r.out, "office, feed saudi: is answered with HTTP status 500; its 2 dates of "+year)
	assert.Contains(t, c.px("policy", "export"), "from: \""+year+"-12-30\"")
}
