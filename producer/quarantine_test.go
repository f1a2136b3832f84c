package producer_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/producer"
	"github.com/pxactions/px/store"
)

func TestQuarantineAndReplay(t *testing.T) {
	t.Parallel()
	w := setup(t)
	key := w.key(quarantining)
	unmapped := `{"event_id":"q1","source_type":"complaint","hospital":"SITE-9","text":"Patientwort"}`
	r := w.post(key, unmapped)
	require.Equal(t, http.StatusAccepted, r.status, "%s", r.body)
	it := r.item(t)
	assert.Equal(t, "quarantined", it.Status)
	assert.Equal(t, "quarantined", it.Decision)
	assert.Equal(t, "unmapped:hospital", it.Reason)
	assert.Empty(t, w.queue.ids())
	again := w.post(key, unmapped).item(t)
	assert.Equal(t, "duplicate", again.Status)
	assert.Equal(t, it.ID, again.ID)

	torn := w.do(http.MethodPost, "/v1/feedback", key, "application/x-ndjson", "{\"event_id\":\"q2\n"+`{"source_type":"complaint","hospital":"RUH","x\u0000":1}`).batch(t)
	require.Equal(t, 2, torn.Quarantined, "%+v", torn)
	assert.True(t, strings.HasPrefix(torn.Items[0].EventID, "sha256:"))
	assert.Equal(t, "unreadable", torn.Items[0].Reason)
	assert.Equal(t, "invalid:event_id,(a key that is not a name)", torn.Items[1].Reason)

	done, err := w.engine.Replay(t.Context(), store.QuarantineFilter{})
	require.NoError(t, err)
	assert.Equal(t, engine.Replayed{Seen: 3, Still: 3, Reasons: map[string]int{
		"unmapped:hospital": 1, "unreadable": 1, "invalid:event_id,(an unknown field)": 1}}, done)

	w.alias(w.RUH, "his", "SITE-9")
	done, err = w.engine.Replay(t.Context(), store.QuarantineFilter{SourceSystem: "his"})
	require.NoError(t, err)
	assert.Equal(t, engine.Replayed{Seen: 3, Requeued: 1, Still: 2, Reasons: map[string]int{
		"unreadable": 1, "invalid:event_id,(an unknown field)": 1}}, done)
	id, err := model.ParseID[model.Feedback](it.ID)
	require.NoError(t, err)
	assert.Equal(t, []model.FeedbackID{id}, w.queue.ids())
	row, err := w.store.Feedback(t.Context(), id)
	require.NoError(t, err)
	assert.Empty(t, row.Decision)
	assert.Nil(t, row.Raw, "the words are in their columns now")
	assert.Equal(t, "Patientwort", row.Text)
	assert.Equal(t, w.RUH, *row.HospitalID)
	got, err := w.engine.Decide(t.Context(), []model.FeedbackID{id})
	require.NoError(t, err)
	assert.Equal(t, model.DecisionCreated, got[0].Decision)
	done, err = w.engine.Replay(t.Context(), store.QuarantineFilter{IDs: []model.FeedbackID{id}})
	require.NoError(t, err)
	assert.Zero(t, done.Seen)
	assert.Equal(t, "created", w.post(key, unmapped).item(t).Decision, "the same content after the replay")
	assert.NotContains(t, w.log.String(), "Patientwort")
}

func TestResendReplacesTheQuarantined(t *testing.T) {
	t.Parallel()
	w := setup(t)
	key := w.key(quarantining)
	bad := w.post(key, `{"event_id":"q","source_type":"complaint","hospital":"RUH","severity":"bad"}`).item(t)
	require.Equal(t, "quarantined", bad.Status)
	worse := w.post(key, `{"event_id":"q","source_type":"complaint","hospital":"RUH","severity":"worse"}`).item(t)
	require.Equal(t, "quarantined", worse.Status)
	assert.Equal(t, bad.ID, worse.ID)
	b := w.post(key, "["+complaint("q")+","+complaint("q")+","+complaint("q", `"title":"x"`)+"]").batch(t)
	assert.Equal(t, "accepted", b.Items[0].Status)
	assert.Equal(t, bad.ID, b.Items[0].ID)
	assert.Equal(t, "duplicate", b.Items[1].Status)
	assert.Equal(t, "event-changed", b.Items[2].Problem.Code)
	assert.Equal(t, 1, w.count())
	late := w.post(key, `{"event_id":"q","source_type":"complaint","hospital":"RUH","severity":"bad"}`)
	assert.Equal(t, http.StatusConflict, late.status, "what stands is not quarantined again")

	// In one batch the later one replaces the bad one too.
	b = w.post(key, `[{"event_id":"z","hospital":"RUH"},`+complaint("z")+`]`).batch(t)
	assert.Equal(t, []string{"quarantined", "accepted"}, []string{b.Items[0].Status, b.Items[1].Status})
	row, err := w.store.FeedbackByEvent(t.Context(), "his", "z")
	require.NoError(t, err)
	assert.Empty(t, row.Decision)
}

func TestQuarantineKeepsWhatIsNotUTF8(t *testing.T) {
	t.Parallel()
	w := setup(t)
	key := w.key(quarantining)
	grave := w.post(key, complaint("q", "\"text\":\"p\xe8re\"")).item(t)
	require.Equal(t, "quarantined", grave.Status)
	assert.Equal(t, "q", grave.EventID)
	assert.Equal(t, "invalid:text", grave.Reason)
	b := w.do(http.MethodPost, "/v1/feedback", key, "application/x-ndjson", complaint("\xe8")+"\n"+complaint("\xe9")+"\n\xff").batch(t)
	require.Equal(t, 3, b.Quarantined, "%+v", b)
	assert.Equal(t, 4, w.count(), "ids of other bytes are other events")
	assert.Equal(t, "duplicate", w.post(key, complaint("\xe8")).item(t).Status)
	row, err := w.store.FeedbackByEvent(t.Context(), "his", "q")
	require.NoError(t, err)
	words, ok := strings.CutPrefix(*row.Raw, "base64:")
	require.True(t, ok, *row.Raw)
	raw, err := base64.StdEncoding.DecodeString(words)
	require.NoError(t, err)
	assert.Equal(t, complaint("q", "\"text\":\"p\xe8re\""), string(raw))
	done, err := w.engine.Replay(t.Context(), store.QuarantineFilter{})
	require.NoError(t, err)
	assert.Equal(t, engine.Replayed{Seen: 4, Still: 4, Reasons: map[string]int{"unreadable": 1, "invalid:text": 1, "invalid:event_id": 2}}, done)
	assert.Equal(t, "accepted", w.post(key, complaint("q", `"text":"père"`)).item(t).Status)
}

func TestGoProgramsHearOfWhatIsNotUTF8(t *testing.T) {
	t.Parallel()
	w := setup(t)
	src := engine.Source{System: "his", Quarantine: true}
	sound := engine.Event{EventID: "a", SourceType: model.SourceComplaint, Hospital: "RUH"}
	words, inside := sound, sound
	words.Text = "p\xe8re"
	inside.Metadata = map[string]any{"ward": []string{"\xff"}}
	receipts, err := producer.Accept(t.Context(), w.engine, src, words, inside)
	require.NoError(t, err)
	for i, field := range []string{"text", "metadata"} {
		var faults model.FieldErrors
		require.ErrorAs(t, receipts[i].Err, &faults)
		require.Len(t, faults, 1)
		assert.Equal(t, []string{field, "encoding"}, []string{faults[0].Field, faults[0].Code})
	}
	assert.Zero(t, w.count())
}
