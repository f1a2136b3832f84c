package producer_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/internal/problem"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/producer"
	"github.com/pxactions/px/producer/client"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

// rated is an answer to the survey of inpatients, from 1 to 5.
func rated(id, score string, more ...string) string {
	e := `{"event_id":"` + id + `","source_type":"survey","hospital":"RUH","survey":"INPATIENT","score":{"value":` + score + `}`
	for _, m := range more {
		e += "," + m
	}
	return e + "}"
}

// decided sends an event and has it decided.
func (w *world) decided(key, event string) (string, *model.Feedback) {
	w.t.Helper()
	r := w.post(key, event)
	require.Equal(w.t, http.StatusAccepted, r.status, "%s", r.body)
	id := r.item(w.t).ID
	return id, w.decide(id)
}

func (w *world) decide(id string) *model.Feedback {
	w.t.Helper()
	fid, err := model.ParseID[model.Feedback](id)
	require.NoError(w.t, err)
	_, err = w.engine.Decide(w.t.Context(), []model.FeedbackID{fid})
	require.NoError(w.t, err)
	f, err := w.store.Feedback(w.t.Context(), fid)
	require.NoError(w.t, err)
	return f
}

func (w *world) action(id model.ActionID) *model.Action {
	w.t.Helper()
	a, err := w.store.ActionByRef(w.t.Context(), id.String())
	require.NoError(w.t, err)
	return a
}

func (w *world) say(key, id, what, body string) reply {
	w.t.Helper()
	return w.do(http.MethodPost, "/v1/feedback/"+id+"/"+what, key, "application/json", body)
}

func TestASourceRevisesAndRetracts(t *testing.T) {
	t.Parallel()
	w := setup(t)
	key := w.key()

	// Untouched: the action follows, and goes when nothing is negative.
	id, f := w.decided(key, rated("e1", "2.9"))
	graver := rated("e1", "1", `"title":"Patientwort"`)
	for range 2 {
		r := w.say(key, id, "revise", graver)
		require.Equal(t, http.StatusOK, r.status, "%s", r.body)
		assert.NotContains(t, string(r.body), "Patientwort")
		got := decode[producer.Feedback](t, r)
		assert.Equal(t, 1, got.Revision)
		assert.Equal(t, f.ActionID.String(), got.ActionID)
	}
	assert.Equal(t, model.SeverityHigh, w.action(*f.ActionID).Severity)
	assert.Equal(t, "duplicate", w.post(key, graver).item(t).Status)
	require.Equal(t, http.StatusOK, w.say(key, id, "revise", rated("e1", "5")).status)
	assert.Equal(t, model.StatusCancelled, w.action(*f.ActionID).Status)

	// Started: it stays.
	id, f = w.decided(key, rated("e2", "1"))
	_, _, err := w.store.Move(t.Context(), []store.Move{{ActionID: *f.ActionID, Request: sla.MoveRequest{Move: model.MoveStart}}})
	require.NoError(t, err)
	for _, why := range []string{"entered_in_error", "other"} {
		got := decode[producer.Feedback](t, w.say(key, id, "retract", `{"reason":"`+why+`"}`))
		assert.NotNil(t, got.RetractedAt)
		assert.Equal(t, "created", got.Decision)
	}
	assert.Equal(t, model.StatusInProgress, w.action(*f.ActionID).Status)
	p := w.say(key, id, "revise", rated("e2", "2")).problem(t)
	assert.Equal(t, http.StatusConflict, p.Status)
	assert.Equal(t, "retracted", p.Code)

	// Good first, then bad: it makes its action. The id may be left out.
	id, f = w.decided(key, rated("e3", "5"))
	require.Equal(t, model.DecisionIgnored, f.Decision)
	got := decode[producer.Feedback](t, w.say(key, id, "revise", `{"source_type":"survey","hospital":"RUH","survey":"INPATIENT","score":{"value":1}}`))
	assert.Equal(t, "pending", got.Status)
	assert.Equal(t, model.DecisionCreated, w.decide(id).Decision)

	// Taken back before it was decided.
	id = w.post(key, rated("e4", "1")).item(t).ID
	got = decode[producer.Feedback](t, w.say(key, id, "retract", `{"reason":"duplicate"}`))
	assert.Equal(t, "ignored", got.Decision)
	assert.Equal(t, "retracted", got.Reason)

	found, err := w.store.Verify(t.Context())
	require.NoError(t, err)
	assert.Empty(t, found)
	assert.NotContains(t, w.log.String(), "Patientwort")
}

func TestWhatIsNoRevisionIsRefused(t *testing.T) {
	t.Parallel()
	w := setup(t)
	key := w.key()
	id, _ := w.decided(key, rated("e1", "2"))
	other := w.key(func(k *model.APIKey) { k.SourceSystem = "other" })
	elsewhere := w.key(func(k *model.APIKey) { k.Hospitals = model.Of([]model.HospitalID{w.JED}) })
	reader := w.key(func(k *model.APIKey) { k.Scopes = model.Of([]string{store.ScopeFeedbackRead}) })
	tests := map[string]struct {
		key, id, what, body string
		status              int
		code                string
	}{
		"no key":             {"", id, "retract", `{"reason":"other"}`, 401, "key-missing"},
		"only to read":       {reader, id, "retract", `{"reason":"other"}`, 403, "scope-missing"},
		"of another source":  {other, id, "retract", `{"reason":"other"}`, 404, "not-found"},
		"elsewhere":          {elsewhere, id, "revise", rated("e1", "1"), 404, "not-found"},
		"no such":            {key, model.NewID[model.Feedback]().String(), "revise", rated("e1", "1"), 404, "not-found"},
		"no id":              {key, "Patientwort", "revise", rated("e1", "1"), 404, "not-found"},
		"words for a reason": {key, id, "retract", `{"reason":"Patientwort"}`, 422, "invalid-event"},
		"no reason":          {key, id, "retract", `{}`, 422, "invalid-event"},
		"more than a reason": {key, id, "retract", `{"reason":"other","text":"Patientwort"}`, 422, "invalid-event"},
		"a list":             {key, id, "revise", "[" + rated("e1", "1") + "]", 400, "unreadable"},
		"no JSON":            {key, id, "revise", `{"text":"Patientwort`, 400, "unreadable"},
		"another id":         {key, id, "revise", rated("e2", "1"), 422, "invalid-event"},
		"another source":     {key, id, "revise", complaint("e1"), 422, "invalid-event"},
		"unmapped":           {key, id, "revise", rated("e1", "1", `"department":"Patientwort"`), 422, "invalid-event"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := w.say(tt.key, tt.id, tt.what, tt.body)
			assert.NotContains(t, string(r.body), "Patientwort")
			p := r.problem(t)
			assert.Equal(t, tt.status, p.Status)
			assert.Equal(t, tt.code, p.Code)
		})
	}
}

func TestTheClientRevisesAndRetracts(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c, err := client.New(w.server.URL, w.key())
	require.NoError(t, err)
	f := client.Feedback{EventID: "e1", SourceType: "survey", Hospital: "RUH", Survey: "INPATIENT", Score: &client.Score{Value: 2}}
	r, err := c.Send(t.Context(), f)
	require.NoError(t, err)
	f.Score.Value, f.EventID = 1, ""
	o, err := c.Revise(t.Context(), r.ID, f)
	require.NoError(t, err)
	assert.Equal(t, 1, o.Revision)
	o, err = c.Retract(t.Context(), r.ID, client.RetractWithdrawn)
	require.NoError(t, err)
	assert.Equal(t, "ignored", o.Decision)
	assert.NotNil(t, o.RetractedAt)
	f.Text = "x"
	_, err = c.Revise(t.Context(), r.ID, f)
	var p *client.Problem
	require.ErrorAs(t, err, &p)
	assert.Equal(t, "retracted", p.Code)
}

// TestTheLogHasTheRequestOfARevision: what changes an action says where it came from.
func TestTheLogHasTheRequestOfARevision(t *testing.T) {
	t.Parallel()
	w := setup(t)
	key := w.key()
	id, f := w.decided(key, rated("e1", "2.9"))
	asked := []string{}
	for _, ask := range [][2]string{{"revise", rated("e1", "1")}, {"retract", `{"reason":"withdrawn"}`}} {
		r := w.say(key, id, ask[0], ask[1])
		require.Equal(t, http.StatusOK, r.status, "%s", r.body)
		asked = append(asked, r.header.Get(problem.RequestHeader))
	}
	var logged []string
	err := w.store.DB().NewRaw("SELECT metadata->>'request_id' FROM action_logs WHERE action_id = ? AND log_type = 'revised'", *f.ActionID).Scan(t.Context(), &logged)
	require.NoError(t, err)
	require.ElementsMatch(t, asked, logged)
}

// TestWhoSentItIsKept: a revision has its own sender; what is replayed keeps the
// one that it came with.
func TestWhoSentItIsKept(t *testing.T) {
	t.Parallel()
	w := setup(t)
	key := w.key()
	id, _ := w.decided(key, rated("e1", "5"))
	r := w.say(key, id, "revise", rated("e1", "1"))
	require.Equal(t, http.StatusOK, r.status, "%s", r.body)
	sender := func() (string, bool) {
		var row struct {
			RequestID string
			Keyed     bool
		}
		err := w.store.DB().NewRaw("SELECT request_id, sent_key IS NOT NULL AS keyed FROM feedback WHERE id = ?", id).Scan(t.Context(), &row)
		require.NoError(t, err)
		return row.RequestID, row.Keyed
	}
	request, keyed := sender()
	require.Equal(t, []any{r.header.Get(problem.RequestHeader), true}, []any{request, keyed})

	_, err := w.store.DB().NewRaw(`UPDATE feedback SET decision = 'quarantined', reason = 'unmapped:department', action_id = NULL, decided_at = created_at, raw = ?
		WHERE id = ?`, rated("e1", "1"), id).Exec(t.Context())
	require.NoError(t, err)
	done, err := w.engine.Replay(t.Context(), store.QuarantineFilter{})
	require.NoError(t, err)
	require.Equal(t, 1, done.Requeued)
	again, keyed := sender()
	require.Equal(t, []any{request, true}, []any{again, keyed})
}
