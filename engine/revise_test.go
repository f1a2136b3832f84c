package engine_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

// survey is an event of the ward's survey, with what is changed in it.
func survey(t *testing.T, change map[string]any) []byte {
	t.Helper()
	e := map[string]any{
		"event_id": "e1", "source_type": "survey", "hospital": "RUH", "department": "ED", "text": "ZEBRA",
		"score": map[string]any{"value": 1, "min": 1, "max": 5, "better": "high"},
	}
	for k, v := range change {
		if e[k] = v; v == nil {
			delete(e, k)
		}
	}
	raw, err := json.Marshal(e)
	require.NoError(t, err)
	return raw
}

func score(v float64) map[string]any {
	return map[string]any{"score": map[string]any{"value": v, "min": 1, "max": 5, "better": "high"}}
}

// accepted takes a survey in and decides it.
func accepted(t *testing.T, w *scenario.World, src engine.Source, change map[string]any) *model.Feedback {
	t.Helper()
	rs, err := w.Engine.AcceptRaw(t.Context(), src, [][]byte{survey(t, change)})
	require.NoError(t, err)
	require.NoError(t, rs[0].Err)
	_, err = w.Engine.Decide(t.Context(), []model.FeedbackID{rs[0].ID})
	require.NoError(t, err)
	f := w.Feedback(rs[0].ID)
	return &f
}

func TestARevisionIsReadLikeAnEvent(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	src := engine.Source{System: "test"}
	f := accepted(t, w, src, map[string]any{"received_at": "2026-03-01T08:00:00Z"})
	w.SetTime(scenario.Start().Add(30 * 24 * time.Hour))
	tests := map[string]struct {
		src    engine.Source
		raw    []byte
		fields []string // at fault
		err    error
	}{
		"another event id":    {src, survey(t, map[string]any{"event_id": "e2"}), []string{"event_id"}, nil},
		"another source type": {src, survey(t, map[string]any{"source_type": "call_center"}), []string{"source_type"}, nil},
		"unmapped":            {engine.Source{System: "test", Quarantine: true}, survey(t, map[string]any{"department": "ZEBRA"}), []string{"department"}, nil},
		"invalid":             {src, survey(t, map[string]any{"score": map[string]any{"value": 9, "min": 1, "max": 5, "better": "high"}}), []string{"score.value"}, nil},
		"in the future":       {src, survey(t, map[string]any{"received_at": "2027-03-01T08:00:00Z"}), []string{"received_at"}, nil},
		"too large":           {src, []byte(strings.Repeat("ZEBRA", engine.MaxEventBytes)), nil, engine.ErrTooLarge},
		"another source":      {engine.Source{System: "other"}, survey(t, nil), nil, model.ErrNotFound},
		"another hospital's":  {engine.Source{System: "test", Hospitals: []model.HospitalID{w.Hospital("BER").ID}}, survey(t, nil), nil, model.ErrNotFound},
		"to another's":        {engine.Source{System: "test", Hospitals: []model.HospitalID{w.Hospital("RUH").ID}}, survey(t, map[string]any{"hospital": "BER"}), nil, model.ErrForbidden},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := w.Engine.Revise(t.Context(), tt.src, f.ID, tt.raw)
			require.Error(t, err)
			assert.NotContains(t, err.Error(), "ZEBRA")
			if tt.err != nil {
				require.ErrorIs(t, err, tt.err)
				return
			}
			var faults model.FieldErrors
			require.ErrorAs(t, err, &faults)
			var fields []string
			for _, x := range faults {
				fields = append(fields, x.Field)
			}
			assert.Equal(t, tt.fields, fields)
		})
	}
	var unreadable *engine.UnreadableError
	_, err := w.Engine.Revise(t.Context(), src, f.ID, []byte("{"))
	require.ErrorAs(t, err, &unreadable)
	require.Zero(t, w.Feedback(f.ID).Revision)

	// The very receipt that it came with is not too old for it, and what it says is taken.
	got, err := w.Engine.Revise(t.Context(), src, f.ID, survey(t, map[string]any{"event_id": nil, "received_at": "2026-03-01T08:00:00Z", "title": "t"}))
	require.NoError(t, err)
	assert.Equal(t, 1, got.Revision)
	assert.Equal(t, "t", w.Action(*f.ActionID).Title)
	// Sent again as an event, it is known; so is the revision.
	rs, err := w.Engine.AcceptRaw(t.Context(), src, [][]byte{survey(t, map[string]any{"received_at": "2026-03-01T08:00:00Z", "title": "t"})})
	require.NoError(t, err)
	assert.Equal(t, engine.ReceiptDuplicate, rs[0].Status)
	got, err = w.Engine.Revise(t.Context(), src, f.ID, survey(t, map[string]any{"received_at": "2026-03-01T08:00:00Z", "title": "t"}))
	require.NoError(t, err)
	assert.Equal(t, 1, got.Revision)

	_, err = w.Engine.Retract(t.Context(), src, f.ID, "because ZEBRA")
	var faults model.FieldErrors
	require.ErrorAs(t, err, &faults)
	assert.NotContains(t, err.Error(), "ZEBRA")
	got, err = w.Engine.Retract(t.Context(), src, f.ID, model.RetractDuplicate)
	require.NoError(t, err)
	assert.NotNil(t, got.RetractedAt)
	assert.Equal(t, model.StatusCancelled, w.Action(*f.ActionID).Status)
	assert.InEpsilon(t, 2, w.Metric("px_moves_total", "made"), 0.1)
	e := explained(w, *f.ActionID)
	assert.Equal(t, 1, e.Feedback.Revision)
	assert.Contains(t, strings.Join(strings.Fields(e.Text()), " "), "Its source took it back on")
	w.Holds()
}

// TestWhatWasQuarantinedIsRevised: also where not even its id could be read.
func TestWhatWasQuarantinedIsRevised(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	src := engine.Source{System: "test", Quarantine: true}
	rs, err := w.Engine.AcceptRaw(t.Context(), src, [][]byte{[]byte(`{"text":`), survey(t, map[string]any{"hospital": "nowhere"}), survey(t, map[string]any{"hospital": "nowhere", "event_id": "e2"})})
	require.NoError(t, err)
	for _, r := range rs[:2] {
		require.Equal(t, engine.ReceiptQuarantined, r.Status)
		got, err := w.Engine.Revise(t.Context(), src, r.ID, survey(t, map[string]any{"event_id": nil}))
		require.NoError(t, err)
		assert.Empty(t, got.Decision)
		assert.Nil(t, w.Feedback(r.ID).Raw)
		assert.Equal(t, r.EventID, w.Feedback(r.ID).EventID)
	}
	done, err := w.Engine.Decide(t.Context(), []model.FeedbackID{rs[0].ID, rs[1].ID})
	require.NoError(t, err)
	assert.Equal(t, model.DecisionCreated, done[0].Decision)
	got, err := w.Engine.Retract(t.Context(), src, rs[2].ID, model.RetractEnteredInError)
	require.NoError(t, err)
	assert.Equal(t, model.DecisionIgnored, got.Decision)
	assert.Equal(t, sla.ReasonRetracted, got.Reason)
	w.Holds()
}

// TestADeathBetweenARevisionAndTheQueue: what was committed is done all the same.
func TestADeathBetweenARevisionAndTheQueue(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	src := engine.Source{System: "test"}
	bad, good := accepted(t, w, src, nil), accepted(t, w, src, mixed(score(5), "event_id", "e2"))
	require.Equal(t, model.DecisionIgnored, good.Decision)
	w.Queue.Take()
	w.Queue.Refuse(scenario.ErrRefused)
	lower, worse := survey(t, score(2)), survey(t, mixed(score(1), "event_id", "e2"))
	for id, raw := range map[model.FeedbackID][]byte{bad.ID: lower, good.ID: worse} {
		_, err := w.Engine.Revise(t.Context(), src, id, raw)
		require.NoError(t, err)
	}
	a := w.Action(*bad.ActionID)
	require.Less(t, a.ArmedGen, a.Gen)

	// The sender sends it again, and the queue hears of it then.
	w.Queue.Refuse(nil)
	_, err := w.Engine.Revise(t.Context(), src, bad.ID, lower)
	require.NoError(t, err)
	e := w.Queue.Take()
	require.Len(t, e.Arm, 1)
	assert.Equal(t, a.Gen, e.Arm[0].Gen)
	assert.NotEmpty(t, e.Send)
	rs, err := w.Engine.AcceptRaw(t.Context(), src, [][]byte{survey(t, mixed(score(5), "event_id", "e2")), survey(t, mixed(score(4), "event_id", "e2"))})
	require.NoError(t, err)
	assert.Equal(t, engine.ReceiptDuplicate, rs[0].Status, "a late repeat of what it said first is known")
	require.ErrorIs(t, rs[1].Err, model.ErrEventChanged)
	w.Queue.Take()
	_, err = w.Engine.Revise(t.Context(), src, good.ID, worse)
	require.NoError(t, err)
	assert.Equal(t, []model.FeedbackID{good.ID}, w.Queue.Take().Create)
	// Or nobody does, and the sweep finds it.
	w.Exec("UPDATE feedback SET heal_after = clock_timestamp() WHERE decision IS NULL")
	turn, err := w.Engine.HealFeedback(t.Context(), store.Keyset{})
	require.NoError(t, err)
	assert.Equal(t, 1, turn.Healed)
	assert.Equal(t, model.DecisionCreated, w.Feedback(good.ID).Decision)
	w.Holds()
}

func mixed(m map[string]any, key string, v any) map[string]any {
	m[key] = v
	return m
}
