package e2e

import (
	"fmt"
	"net/http"
	"slices"
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

// receivers are the mail server and the webhook receiver of one test, and the
// settings that lead to them.
func receivers(t *testing.T) (*receiver.SMTP, *receiver.Webhook, []string) {
	t.Helper()
	mails, err := receiver.StartSMTP(receiver.SMTPOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = mails.Close() })
	hook, err := receiver.StartWebhook("")
	require.NoError(t, err)
	t.Cleanup(func() { _ = hook.Close() })
	return mails, hook, []string{
		"PX_SMTP_HOST=" + mails.Host(), "PX_SMTP_PORT=" + strconv.Itoa(mails.Port()), "PX_SMTP_TLS=none",
		"PX_SMTP_FROM=PX Action Center <px@hospital.example>", "PX_WEBHOOK_SECRET=" + hook.Secret(), "PX_WEBHOOK_ALLOW=127.0.0.1",
	}
}

// TestOneActionsWholeStory plays one feedback through all processes, from an
// empty database to a closed action.
func TestOneActionsWholeStory(t *testing.T) {
	t.Parallel()
	servers := testenv.OwnServers(t)
	mails, hook, settings := receivers(t)
	c := newCluster(t, servers.DatabaseURL, servers.RedisURL, settings...)

	early := c.command(nil, "worker")
	assert.Equal(t, 1, early.code)
	assert.Contains(t, early.err, "px migrate up")
	assert.Contains(t, c.px("migrate", "up"), "applied")
	c.px("migrate", "status")
	h := hours{target: 2, reminder: 1, gap: 1}
	c.setClock(epoch(), 900)
	key := c.furnish(directory(1, hook.URL(), "email", "webhook"), policy(h))
	ps := c.start("producer", "worker", "scheduler", "web")

	taken := post(t, ps[0], key, toJSON(t, complaint("1", model.SeverityCritical, map[string]any{
		"title": "Grandmother waited", "text": "Nobody looked after my grandmother.", "subject": "MRN-4711",
	})))
	require.Equal(t, http.StatusAccepted, taken.code, taken.body)
	until(t, 90*time.Second, "the ladder has been climbed", func() (bool, string) {
		n := c.count("SELECT count(*) FROM deadline_events")
		return n == 5, fmt.Sprintf("%d events", n)
	})
	l := c.ledger()
	require.Len(t, l.actions, 1)
	a := l.actions[*l.feedback[0].ActionID]
	assert.Equal(t, "sami1", l.people[*a.AssignedTo])
	c.checkPlan(a, l.events[a.ID], h, 5*time.Second)

	for _, move := range [][]string{
		{"start", a.Ref, "--as", "sami1"},
		append([]string{"submit", a.Ref, "--as", "sami1"}, results()...),
		{"approve", a.Ref, "--as", "adam"},
		{"close", a.Ref, "--as", "adam"},
	} {
		c.px(append([]string{"action"}, move...)...)
	}
	c.settled(30 * time.Second)
	l = c.ledger()
	assert.Equal(t, model.StatusClosed, l.actions[a.ID].Status)
	assert.Nil(t, l.actions[a.ID].NextAt)
	c.checkMessages(l)
	checkTold(t, l)
	checkDelivered(t, l, mails.Accepted(), hook.All())
	assert.Contains(t, c.px("action", "show", a.Ref), "closed")
	c.holds()
	checkEndpoints(t, ps, a.Ref)
	stop(t, ps...)
}

// checkTold compares who heard of what with the rules, as reason and stage, with
// the people's codes; each over both channels.
func checkTold(t *testing.T, l ledger) {
	t.Helper()
	told := map[string][]string{}
	for _, m := range l.messages {
		reason := string(m.Reason)
		if m.Facts.V.Stage > 0 {
			reason += strconv.Itoa(m.Facts.V.Stage)
		}
		told[reason] = append(told[reason], l.people[m.RecipientID])
	}
	for reason := range told {
		slices.Sort(told[reason])
	}
	twice := func(people ...string) (all []string) {
		for _, p := range people {
			all = append(all, p, p)
		}
		return all
	}
	assert.Equal(t, map[string][]string{
		"assigned":    twice("mona", "sami1"), // the manager too, as it is critical
		"reminder1":   twice("sami1"),
		"overdue":     twice("mona", "sami1"),
		"escalation1": twice("mona", "sami1"),
		"escalation2": twice("adam", "anna", "sami1"),
		"escalation3": twice("ella", "sami1"),
		"submitted":   twice("adam", "anna"),
		"plan_change": twice("ella", "mona"),         // of the submission; the admins hear of it as approvers
		"closed":      twice("anna", "ella", "mona"), // those whom a stage told, less adam, who closed it
	}, told)
}

// checkDelivered matches what arrived with the rows, key by key.
func checkDelivered(t *testing.T, l ledger, mails []receiver.Mail, calls []receiver.Call) {
	t.Helper()
	rows := map[string]model.Message{}
	for _, m := range l.messages {
		rows[m.Key] = m
	}
	arrived := map[string]int{}
	for _, m := range mails {
		arrived[m.Key]++
		row := rows[m.Key]
		assert.Equal(t, model.ChannelEmail, row.Channel)
		assert.Equal(t, []string{l.people[row.RecipientID] + "@example.org"}, m.To)
		assert.Contains(t, m.Body, row.Facts.V.Ref)
		noPatientWords(t, m.Subject+m.Body)
	}
	for _, call := range calls {
		arrived[call.ID]++
		require.NoError(t, call.Fault, "signature and payload of call %s", call.ID)
		assert.Equal(t, model.ChannelWebhook, rows[call.ID].Channel)
		assert.Equal(t, string(rows[call.ID].Reason), call.Reason)
		assert.Contains(t, string(call.Body), rows[call.ID].Facts.V.Ref)
		noPatientWords(t, string(call.Body))
	}
	for key := range rows {
		assert.Equal(t, 1, arrived[key], "message %s of %s arrived", key, rows[key].Reason)
	}
	assert.Len(t, arrived, len(rows))
}

func noPatientWords(t *testing.T, s string) {
	t.Helper()
	for _, word := range []string{"randmother", "MRN-4711", "looked after"} {
		assert.NotContains(t, s, word)
	}
}

// checkEndpoints asks every process for what operators see.
func checkEndpoints(t *testing.T, ps []*process, ref string) {
	t.Helper()
	families := map[string][]string{
		"producer":  {"px_intake_total{result=\"accepted\"} 1"},
		"worker":    {"px_tasks_total{", "px_task_duration_seconds_bucket{", "px_deadline_lateness_seconds_bucket{", "px_decisions_total{", "px_messages_total{"},
		"scheduler": {"px_healed_total{"},
	}
	for _, p := range ps {
		assert.Equal(t, http.StatusOK, get(t, p.ops+"/healthz").code, p.name)
		ready := get(t, p.ops+"/readyz")
		assert.Equal(t, http.StatusOK, ready.code, p.name)
		assert.Contains(t, ready.body, `"ready"`, p.name)
		metrics := get(t, p.ops+"/metrics")
		assert.Equal(t, http.StatusOK, metrics.code, p.name)
		for _, f := range append(families[p.name], `px_collector_up{source="redis"} 1`, `px_collector_up{source="postgres"} 1`,
			"px_queue_tasks{", "px_actions{", "px_feedback_undecided 0", "px_messages_failed 0", "go_goroutines ", "process_cpu_seconds_total ") {
			assert.Contains(t, metrics.body, f, p.name)
		}
	}
	web := ps[slices.IndexFunc(ps, func(p *process) bool { return p.name == "web" })]
	for path, want := range map[string]string{"/actions?status=all": ref, "/actions/" + ref: ref, "/asynq": "<html", "/asynq/api/queues": `"escalation"`} {
		page := get(t, web.url+path)
		assert.Equal(t, http.StatusOK, page.code, path)
		assert.True(t, strings.Contains(page.body, want), "%s lacks %s", path, want)
	}
}
