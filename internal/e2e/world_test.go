package e2e

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/model"
)

// epoch is the domain time at which the tests' clocks start, a Monday.
func epoch() time.Time { return time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC) }

// hours are those of a test's SLA config, the same for every severity.
type hours struct{ target, reminder, gap int }

// stages is how far the built-in ladder goes.
func stages(s model.Severity) int {
	return map[model.Severity]int{model.SeverityLow: 1, model.SeverityMedium: 2, model.SeverityHigh: 3, model.SeverityCritical: 3}[s]
}

// policy routes all to the department's staff and counts all hours in elapsed time.
func policy(h hours) string {
	return fmt.Sprintf(`
routing:
  - { name: To the staff, assign_to_role: Staff }
sla:
  - name: Short hours
    critical_hours: %[1]d
    high_hours: %[1]d
    medium_hours: %[1]d
    low_hours: %[1]d
    reminder_hours_before: %[2]d
    escalation_delay_hours: %[3]d
    clock: { critical: elapsed, high: elapsed, medium: elapsed, low: elapsed }
    ack_targets: { critical: none, high: none, medium: none, low: none }
`, h.target, h.reminder, h.gap)
}

// directory is one hospital with an emergency department: staff sami1 …, their
// manager mona, the admins adam and anna, and ella, an executive. All are
// reached over the channels, webhooks under the hook's address.
func directory(staff int, hook string, channels ...string) string {
	var b strings.Builder
	b.WriteString(`
hospitals: [{ code: TST, name: Test Hospital }]
departments: [{ hospital: TST, code: ED, name: Emergency, manager: mona }]
users:
`)
	person := func(code, role, more string) {
		if hook != "" {
			more += ", webhook_url: \"" + hook + "\""
		}
		fmt.Fprintf(&b, "  - { code: %s, name: %s, email: %s@example.org, roles: [%s], hospital: TST, channels: [%s]%s }\n",
			code, code, code, role, strings.Join(channels, ", "), more)
	}
	for i := range staff {
		person(fmt.Sprintf("sami%d", i+1), "Staff", ", department: ED")
	}
	person("mona", "Department Manager", ", department: ED")
	person("adam", "PX Admin", "")
	person("anna", "PX Admin", "")
	person("ella", "Executive", "")
	return b.String()
}

// furnish applies people and policy by the commands, and makes a key.
func (c *cluster) furnish(people, rules string) (key string) {
	c.t.Helper()
	c.px("directory", "apply", "-f", c.file("directory.yaml", people))
	c.px("policy", "apply", "-f", c.file("policy.yaml", rules), "--by", "test")
	return c.key("desk")
}

func (c *cluster) key(source string, args ...string) string {
	c.t.Helper()
	return strings.TrimSpace(c.px(append([]string{"key", "create", "--source", source}, args...)...))
}

func (c *cluster) file(name, content string) string {
	c.t.Helper()
	path := filepath.Join(c.t.TempDir(), name)
	require.NoError(c.t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// complaint is a feedback that always becomes an action; more sets further fields.
func complaint(id string, severity model.Severity, more map[string]any) map[string]any {
	e := map[string]any{
		"event_id": id, "source_type": "complaint", "hospital": "TST", "department": "ED", "severity": severity,
		"category": "service_quality", "title": "Waited for hours", "text": "Nobody came.",
	}
	for k, v := range more {
		e[k] = v
	}
	return e
}

// ledger is all that became of the feedback, read in one go.
type ledger struct {
	feedback []model.Feedback
	actions  map[model.ActionID]model.Action
	events   map[model.ActionID][]model.DeadlineEvent // in the order of their planned instants
	messages []model.Message
	people   map[model.UserID]string // codes
}

func (c *cluster) ledger() ledger {
	c.t.Helper()
	ctx := c.t.Context()
	l := ledger{actions: map[model.ActionID]model.Action{}, events: map[model.ActionID][]model.DeadlineEvent{}, people: map[model.UserID]string{}}
	var actions []model.Action
	var events []model.DeadlineEvent
	var users []model.User
	for _, rows := range []any{&l.feedback, &actions, &events, &l.messages, &users} {
		require.NoError(c.t, c.store.DB().NewSelect().Model(rows).OrderExpr("id").Scan(ctx))
	}
	for _, a := range actions {
		l.actions[a.ID] = a
	}
	slices.SortStableFunc(events, func(a, b model.DeadlineEvent) int {
		return cmp.Or(a.Planned.Compare(b.Planned), cmp.Compare(a.Gen, b.Gen), cmp.Compare(a.Stage, b.Stage))
	})
	for _, e := range events {
		l.events[e.ActionID] = append(l.events[e.ActionID], e)
	}
	for _, u := range users {
		l.people[u.ID] = u.Code
	}
	return l
}

// count runs a query for one number.
func (c *cluster) count(query string, args ...any) (n int) {
	c.t.Helper()
	require.NoError(c.t, c.store.DB().NewRaw(query, args...).Scan(c.t.Context(), &n))
	return n
}

// settled waits until every feedback is decided, no event of the plans is left,
// and no message is on its way.
func (c *cluster) settled(wait time.Duration) {
	c.t.Helper()
	until(c.t, wait, "all is done", func() (bool, string) {
		undecided := c.count("SELECT count(*) FROM feedback WHERE decision IS NULL")
		planned := c.count("SELECT count(*) FROM actions WHERE next_at IS NOT NULL")
		open := c.count("SELECT count(*) FROM messages WHERE state IN ('pending', 'sending')")
		return undecided+planned+open == 0, fmt.Sprintf("%d undecided, %d with an event to come, %d messages open", undecided, planned, open)
	})
}

// holds runs px verify, which must find nothing.
func (c *cluster) holds() {
	c.t.Helper()
	require.Contains(c.t, c.px("verify"), "every invariant holds")
}

// checkPlan compares an untouched action's events with its plan, to the second,
// and bounds their real lateness. Each stage of escalation is a gap after the
// time of the one before, or, where that one was taken more than half a gap
// late, a gap after its taking.
func (c *cluster) checkPlan(a model.Action, events []model.DeadlineEvent, h hours, late time.Duration) {
	c.t.Helper()
	type planned struct {
		kind  model.EventKind
		stage int
		at    time.Time
	}
	hour := func(n int) time.Duration { return time.Duration(n) * time.Hour }
	due := a.ClockStart.Add(hour(h.target))
	want := []planned{{model.EventReminder, 1, due.Add(-hour(h.reminder))}, {model.EventOverdue, 0, due}}
	at := due
	for k := 1; k <= stages(a.Severity); k++ {
		if k > 1 && len(events) > k {
			if before := events[k]; 2*before.Fired.Sub(before.Planned) > hour(h.gap) {
				at = before.Fired
			}
		}
		at = at.Add(hour(h.gap))
		want = append(want, planned{model.EventEscalation, k, at})
	}
	got := make([]planned, len(events))
	for i, e := range events {
		got[i] = planned{e.Kind, e.Stage, e.Planned.UTC()}
		assert.LessOrEqual(c.t, c.real(e.Fired.Sub(e.Planned)), late, "%s %s %d was late in real time", a.Ref, e.Kind, e.Stage)
		assert.False(c.t, e.Fired.Before(e.Planned), "%s %s %d was early", a.Ref, e.Kind, e.Stage)
	}
	for i := range want {
		want[i].at = want[i].at.UTC()
	}
	assert.Equal(c.t, want, got, "%s: planned instants", a.Ref)
	assert.Equal(c.t, due.UTC(), a.DueAt.UTC(), "%s: due", a.Ref)
	assert.Equal(c.t, stages(a.Severity), a.EscalationLevel, "%s: escalation level", a.Ref)
}

// checkMessages finds messages told twice: one person, one channel and one
// event, or one move, must have one.
func (c *cluster) checkMessages(l ledger) {
	c.t.Helper()
	type telling struct {
		action    model.ActionID
		event     model.DeadlineEventID
		reason    model.Reason // of a move; an event has one reason per person
		recipient model.UserID
		channel   model.Channel
	}
	seen := map[telling]bool{}
	for _, m := range l.messages {
		k := telling{action: m.ActionID, recipient: m.RecipientID, channel: m.Channel}
		if m.EventID != nil {
			k.event = *m.EventID
		} else {
			k.reason = m.Reason
		}
		assert.False(c.t, seen[k], "message %s tells %s of %s again", m.ID, l.people[m.RecipientID], m.Reason)
		seen[k] = true
		assert.Equal(c.t, model.MessageSent, m.State, "message %s of %s: %s %s", m.ID, m.Reason, m.LastError, m.SuppressedReason)
	}
}

// jsonLines is an NDJSON file's content.
func jsonLines(t *testing.T, events ...map[string]any) string {
	t.Helper()
	var b strings.Builder
	for _, e := range events {
		b.WriteString(toJSON(t, e) + "\n")
	}
	return b.String()
}
