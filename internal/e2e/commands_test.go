package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/internal/testenv"
	"github.com/pxactions/px/model"
)

// withAction is an installation with one action, open and of high severity, and
// its reference.
func withAction(t *testing.T) (c *cluster, ref string) {
	t.Helper()
	c = newCluster(t, testenv.DatabaseURL(t), testenv.RedisURL(t))
	key := c.furnish(directory(1, "", "log"), policy(hours{target: 48, reminder: 4, gap: 2}))
	c.px("directory", "apply", "-f", c.file("more.yaml",
		"hospitals: [{ code: TST, name: Test Hospital, zone: Asia/Riyadh }]\ndepartments: [{ hospital: TST, code: ICU, name: Intensive care }]\n"))
	ps := c.start("producer", "worker")
	a := post(t, ps[0], key, toJSON(t, complaint("1", model.SeverityHigh, map[string]any{"text": "Nobody came.\nFor \u001b[31mhours."})))
	require.Equal(t, http.StatusAccepted, a.code, a.body)
	c.decided("1")
	for _, a := range c.ledger().actions {
		ref = a.Ref
	}
	return c, ref
}

// results is what a complaint's submission has to say.
func results() []string {
	return []string{"--plan", "A second nurse.", "--outcome", "In place.", "--root-cause", "staffing", "--not-informed", "left no address"}
}

func TestEveryMoveHasACommand(t *testing.T) {
	t.Parallel()
	c, ref := withAction(t)
	action := func() model.Action {
		for _, a := range c.ledger().actions {
			return a
		}
		return model.Action{}
	}
	due := time.Now().UTC().Add(100 * time.Hour).Truncate(time.Minute)
	local := due.In(time.FixedZone("Riyadh", 3*3600)).Format("2006-01-02T15:04")
	c.px("action", "hold", ref, "--until", local, "--as", "adam", "--reason", "waits for the family")
	if a := action(); assert.NotNil(t, a.ResumeAt) {
		assert.Equal(t, []any{due, model.EventResume}, []any{a.ResumeAt.UTC(), a.NextKind})
	}
	c.px("action", "resume", ref, "--as", "adam")
	assert.Equal(t, model.EventReminder, action().NextKind)
	for _, args := range [][]string{
		{"severity", ref, "--to", "critical"},
		{"department", ref, "--to", "ICU", "--reason", "it was there"},
		{"due", ref, "--to", local, "--reason", "the surgeon is back then"},
	} {
		c.px(append([]string{"action"}, append(args, "--as", "adam")...)...)
	}
	a := action()
	assert.Equal(t, model.SeverityCritical, a.Severity)
	assert.Equal(t, due, a.DueAt.UTC(), "by the hospital's clock")
	c.px("action", "due", ref, "--to", due.Add(time.Hour).Format(time.RFC3339), "--as", "adam", "--reason", "an hour more")
	assert.Equal(t, due.Add(time.Hour), action().DueAt.UTC())
	for _, args := range [][]string{
		{"start", ref, "--as", "sami1"}, append([]string{"submit", ref, "--as", "sami1"}, results()...), {"approve", ref, "--as", "anna"}, {"close", ref, "--as", "anna"},
		{"reopen", ref, "--as", "adam", "--reason", "she called again"},
	} {
		r := c.command(nil, append([]string{"action"}, args...)...)
		require.Zero(t, r.code, "%v: %s", args, r.err)
		assert.Contains(t, r.out, ref+" is ")
		assert.Empty(t, r.err, "an answer is all that a command says")
	}
	assert.Equal(t, model.StatusInProgress, action().Status)
	for flag, args := range map[string][]string{
		"--to: one of":        {"severity", ref, "--to", "severe"},
		"--to: no department": {"department", ref, "--to", "ENT"},
		"--until: an instant": {"hold", ref, "--until", "tomorrow", "--reason", "x"},
		"--to: an instant":    {"due", ref, "--to", "tomorrow", "--reason", "x"},
	} {
		r := c.command(nil, append(append([]string{"action"}, args...), "--as", "adam")...)
		assert.Equal(t, 2, r.code, "%v", args)
		assert.Contains(t, r.err, flag)
	}
	c.holds()
}

func TestShowTellsTheWords(t *testing.T) {
	t.Parallel()
	c, ref := withAction(t)
	c.px("action", "start", ref, "--as", "sami1")
	c.px("action", "note", ref, "Called the family\ntwice.", "--as", "sami1")
	c.px(append([]string{"action", "submit", ref, "--as", "sami1"}, results()...)...)
	c.px("action", "reject", ref, "--as", "adam", "--reason", "No proof.")
	out := c.px("action", "show", ref)
	for _, words := range []string{
		"title: Waited for hours\n", "text: Nobody came.\n  For [31mhours.\n", "plan: A second nurse.\n", "outcome: In place.\n",
		"Note added: “Called the family twice.”", "Rejected: “No proof.”",
	} {
		assert.Contains(t, out, words)
	}
	var y struct {
		Title   string
		Text    string
		Plan    string `json:"action_plan"`
		Outcome string
		Log     []struct{ Type, By, Message, Text string }
	}
	require.NoError(t, json.Unmarshal([]byte(c.px("action", "show", ref, "--json")), &y))
	assert.Equal(t, []string{"Waited for hours", "Nobody came.\nFor \u001b[31mhours.", "A second nurse.", "In place."}, []string{y.Title, y.Text, y.Plan, y.Outcome})
	var notes []string
	for _, l := range y.Log {
		if l.Text != "" {
			notes = append(notes, l.By+" "+l.Type+" "+l.Text)
		}
	}
	assert.Contains(t, notes, "sami1 note Called the family\ntwice.")
	assert.Contains(t, notes, "adam approval No proof.")
}

func TestFilesAreAttachedByCommand(t *testing.T) {
	t.Parallel()
	c, ref := withAction(t)
	out := c.px("action", "attach", ref, c.file("visit.txt", "Called the family.\n"), "--as", "sami1", "--evidence", "--description", "Secret words")
	assert.Contains(t, out, ref+" has visit.txt: text/plain, 19 bytes, sha256 ")
	assert.Regexp(t, `visit\.txt +text/plain +19 +yes +sami1 `, c.px("action", "files", ref))
	show := c.px("action", "show", ref)
	assert.Contains(t, show, "Evidence added")
	assert.NotContains(t, show, "visit.txt")
	for _, args := range [][]string{
		{ref, c.file("page.png", "<html></html>"), "--as", "sami1"}, {"TST-26-0", c.file("a.txt", "x"), "--as", "sami1"}, {ref, c.file("a.txt", "x"), "--as", "sami9"},
	} {
		r := c.command(nil, append([]string{"action", "attach"}, args...)...)
		assert.NotEqual(t, 0, r.code, "%v", args)
	}
	c.holds()
}

func TestPolicyCanBeRolledBack(t *testing.T) {
	t.Parallel()
	c := newCluster(t, testenv.DatabaseURL(t), testenv.RedisURL(t))
	c.furnish(directory(1, "", "log"), policy(hours{target: 48, reminder: 4, gap: 2}))
	first := c.px("policy", "export")
	c.px("policy", "apply", "-f", c.file("other.yaml", "sla: [{ name: other, high_hours: 5 }]"), "--by", "quinn", "--note", "shorter")
	out := c.px("policy", "rollback", "--to", "1", "--by", "quinn")
	assert.Contains(t, out, "revision 3 is active: the policy of revision 1")
	assert.Equal(t, first, c.px("policy", "export"))
	assert.Contains(t, c.px("policy", "rollback", "--to", "1"), "revision 3 is this policy already")
	history := c.px("policy", "history")
	for _, want := range []string{"REVISION", "shorter", "back to revision 1", "quinn", "test"} {
		assert.Contains(t, history, want)
	}
	assert.NotZero(t, c.command(nil, "policy", "rollback", "--to", "9").code)
}

func TestVerifyWithoutRedisChecksTheDatabase(t *testing.T) {
	t.Parallel()
	c, ref := withAction(t)
	nowhere := []string{"PX_REDIS_URL=redis://127.0.0.1:1/0"}
	r := c.command(nowhere, "verify")
	assert.Equal(t, 1, r.code)
	assert.Contains(t, r.out, "Redis is away: its jobs were not checked")
	_, err := c.store.DB().NewRaw("UPDATE actions SET armed_gen = gen + 1 WHERE ref = ?", ref).Exec(t.Context())
	require.NoError(t, err)
	r = c.command(nowhere, "verify")
	assert.Equal(t, 1, r.code)
	assert.Contains(t, r.out, "I2  armed gen ahead of the plan: 1 rows")
	assert.Contains(t, r.out, "Redis is away: its jobs were not checked")
	r = c.command(nowhere, "verify", "--json")
	assert.Equal(t, 1, r.code)
	assert.Contains(t, r.out, `"redis_checked":false`)
	assert.Contains(t, r.out, "armed gen ahead of the plan")
}

// TestVerifySaysWhatItWouldMendFirst: nothing is changed without --yes, and what
// no sweep mends stays and is named.
func TestVerifySaysWhatItWouldMendFirst(t *testing.T) {
	t.Parallel()
	c, ref := withAction(t)
	assert.Contains(t, c.px("verify", "--repair"), "every invariant holds")
	for _, sql := range []string{
		"UPDATE actions SET armed_gen = 0, arm_after = clock_timestamp() - interval '1 hour' WHERE ref = ?",
		"UPDATE actions SET escalation_level = 3 WHERE ref = ?",
	} {
		_, err := c.store.DB().NewRaw(sql, ref).Exec(t.Context())
		require.NoError(t, err)
	}
	for range 2 {
		r := c.command(nil, "verify", "--repair")
		assert.Equal(t, 1, r.code)
		assert.Contains(t, r.out, "I2  job not armed for too long: 1 rows")
		assert.Contains(t, r.out, "the sweep unarmed would mend this")
		assert.Contains(t, r.out, "no sweep mends this")
		assert.Contains(t, r.out, "nothing was changed; with --yes these sweeps run: unarmed")
	}
	r := c.command(nil, "verify", "--repair", "--yes")
	assert.Equal(t, 1, r.code)
	assert.Contains(t, r.out, "sweep unarmed: 1 healed")
	assert.NotContains(t, r.out, "not armed")
	assert.Contains(t, r.out, "I3  escalation level differs from the events: 1 rows")
	r = c.command(nil, "verify", "--repair", "--yes", "--json")
	assert.Equal(t, 1, r.code)
	assert.Contains(t, r.out, `"violations":1,`)
	assert.NotContains(t, r.out, "healed")
}

func TestVerifyLooksForAMarker(t *testing.T) {
	t.Parallel()
	redisURL := testenv.RedisURL(t)
	c := newCluster(t, testenv.DatabaseURL(t), redisURL)
	assert.Contains(t, c.px("verify", "--marker", "Mrs. Jones"), "every invariant holds")
	rdb := redisAt(t, redisURL)
	require.NoError(t, rdb.Set(t.Context(), "px:note", "said by mrs. jones", 0).Err())
	require.NoError(t, rdb.Set(t.Context(), "of Mrs. Jones", "", 0).Err())
	r := c.command(nil, "verify", "--marker", "Mrs. Jones")
	assert.Equal(t, 1, r.code)
	assert.Contains(t, r.out, "I7  the text of the marker is in Redis: 2 rows")
	assert.Contains(t, r.out, "px:note")
	assert.NotContains(t, r.out+r.err, "Jones")
	for _, args := range [][]string{{"--marker", "abc"}, {"--yes"}} {
		assert.Equal(t, 2, c.command(nil, append([]string{"verify"}, args...)...).code, args)
	}
}

func TestTheQuarantineTellsWhatToMap(t *testing.T) {
	t.Parallel()
	c := newCluster(t, testenv.DatabaseURL(t), testenv.RedisURL(t))
	c.furnish(directory(1, "", "log"), policy(hours{target: 48, reminder: 4, gap: 2}))
	key := c.key("his", "--on-unmapped", "quarantine")
	ps := c.start("producer")
	for _, id := range []string{"1", "2"} {
		a := post(t, ps[0], key, toJSON(t, complaint(id, model.SeverityHigh, map[string]any{"hospital": "SITE-9"})))
		require.Equal(t, http.StatusAccepted, a.code, a.body)
	}
	for _, args := range [][]string{{"feedback", "quarantined"}, {"feedback", "show", "1", "--source", "his"}} {
		out := c.px(args...)
		assert.Contains(t, out, `hospital "SITE-9"`)
		assert.NotContains(t, out, "Nobody came")
	}
	assert.Equal(t, "2 looked at: 0 requeued, 2 still quarantined, 0 failed\n  2  unmapped:hospital\n", c.px("feedback", "replay"))
}

// TestSignalsOfOnePatient: what the sources say of one patient becomes one
// action, and what joined wrongly is taken out again.
func TestSignalsOfOnePatient(t *testing.T) {
	t.Parallel()
	c := newCluster(t, testenv.DatabaseURL(t), testenv.RedisURL(t))
	key := c.furnish(directory(1, "", "log"), policy(hours{target: 48, reminder: 4, gap: 2}))
	ps := c.start("producer", "worker")
	send := func(id string, e map[string]any) {
		t.Helper()
		e = complaint(id, model.SeverityMedium, e)
		e["subject"] = "MRN-4711"
		a := post(t, ps[0], key, toJSON(t, e))
		require.Equal(t, http.StatusAccepted, a.code, a.body)
		c.decided(id)
	}
	send("1", map[string]any{})
	send("2", map[string]any{"source_type": "rounds", "severity": "high"})
	l := c.ledger()
	require.Len(t, l.actions, 1)
	var first model.Action
	for _, a := range l.actions {
		first = a
	}
	assert.Equal(t, model.SeverityHigh, first.Severity)
	assert.Contains(t, c.px("feedback", "show", "2", "--source", "desk"), "merged: same_subject")
	r := c.command(nil, "feedback", "unmerge", "1", "--source", "desk", "--as", "adam", "--reason", "another patient")
	assert.Equal(t, 1, r.code)
	assert.Contains(t, r.err, "not merged into an action")
	out := c.px("feedback", "unmerge", "2", "--source", "desk", "--as", "adam", "--reason", "another patient")
	assert.Contains(t, out, "taken out of "+first.Ref+"; it is TST-26-")
	assert.Contains(t, c.px("action", "show", first.Ref), "linked: TST-26-")
	assert.Contains(t, c.px("action", "show", first.Ref), ": “another patient”")
	require.Len(t, c.ledger().actions, 2)
	c.holds()
}

func TestAuditFindsWhatWasChanged(t *testing.T) {
	t.Parallel()
	c, ref := withAction(t)
	c.px("action", "note", ref, "Called the family.", "--as", "sami1")
	assert.Equal(t, "1 actions and 0 days checked, 0 faults\n", c.px("audit", "verify"))
	assert.Empty(t, c.px("audit", "days"))
	day := time.Now().UTC().Format(time.DateOnly)
	out := c.px("audit", "export", "--from", day, "--to", day)
	assert.NotContains(t, out, "Called the family")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	require.Len(t, lines, 3)
	var row map[string]any
	require.NoError(t, json.Unmarshal([]byte(lines[2]), &row))
	assert.Equal(t, []any{ref, 3.0, "note", "sami1", 64, 64}, []any{row["ref"], row["seq"], row["type"], row["created_by_code"], len(row["hash"].(string)), len(row["previous"].(string))})

	_, err := c.store.DB().ExecContext(t.Context(), "UPDATE action_logs SET message = 'Nothing' WHERE seq = 2")
	require.NoError(t, err)
	r := c.command(nil, "audit", "verify", "--days", c.file("days", "2026-03-01 7 00ff\n"))
	assert.Equal(t, 1, r.code)
	assert.Equal(t, ref+" row 2: the row was changed, or the row before it\n"+
		"2026-03-01: the day is not sealed as the copy kept elsewhere says\n1 actions and 0 days checked, 2 faults\n", r.out)
	for _, args := range [][]string{
		{"verify", "--days", c.file("bad", "yesterday\n")}, {"export", "--from", day, "--to", "2026-03"}, {"export", "--from", day, "--to", "2020-01-01"},
	} {
		r := c.command(nil, append([]string{"audit"}, args...)...)
		assert.Equal(t, 2, r.code, "%v", args)
	}
}
