package engine_test

import (
	"encoding/hex"
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

// accept is accepted for what need not be decided.
func accept(t *testing.T, w *scenario.World, src engine.Source, raw []byte) engine.Receipt {
	t.Helper()
	rs, err := w.Engine.AcceptRaw(t.Context(), src, [][]byte{raw})
	require.NoError(t, err)
	require.Len(t, rs, 1)
	return rs[0]
}

// TestQuarantinedWordsAreErasedAfterTheirDays and what is left of them neither calls
// for anybody nor stands in the way of the event when it comes again.
func TestQuarantinedWordsAreErasedAfterTheirDays(t *testing.T) {
	t.Parallel()
	w := retaining(t)
	src := engine.Source{System: "test", Quarantine: true}
	unmapped := survey(t, map[string]any{"event_id": "unmapped", "subject": patient, "hospital": "nowhere", "text": "zebra"})
	first, garbled := accept(t, w, src, unmapped), accept(t, w, src, []byte("{ zebra"))
	require.Equal(t, []engine.ReceiptStatus{engine.ReceiptQuarantined, engine.ReceiptQuarantined}, []engine.ReceiptStatus{first.Status, garbled.Status})
	failed := w.Complaint(model.SeverityLow) // deciding it failed: it has no raw
	failed.Text, failed.Decision, failed.Reason, failed.DecidedAt = "zebra", model.DecisionQuarantined, "failed", &failed.CreatedAt
	w.Insert(failed)
	since := *w.Feedback(first.ID).DecidedAt
	w.SetTime(since.Add(29 * day))
	done, err := w.Engine.Replay(t.Context(), store.QuarantineFilter{IDs: []model.FeedbackID{first.ID, garbled.ID}})
	require.NoError(t, err)
	require.Equal(t, 2, done.Still, "looked at again, but no nearer")
	require.NoError(t, w.Engine.Retain(t.Context()))
	require.Equal(t, 3, w.Count("SELECT count(*) FROM feedback t WHERE t::text ILIKE '%zebra%'"))

	w.SetTime(since.Add(30*day + time.Hour))
	require.NoError(t, w.Engine.Retain(t.Context()))
	assert.Empty(t, zebra(t, w))
	for _, id := range []model.FeedbackID{first.ID, garbled.ID, failed.ID} {
		f := w.Feedback(id)
		assert.Equal(t, []any{model.DecisionQuarantined, 0, true}, []any{f.Decision, len(f.ContentHash), f.ErasedAt != nil})
	}
	assert.Equal(t, "sha256:erased:"+garbled.ID.String(), w.Feedback(garbled.ID).EventID, "an id made of a hash")
	counts, err := w.Store.Counts(t.Context())
	require.NoError(t, err)
	assert.Zero(t, counts.Quarantined, "nobody is called")
	done, err = w.Engine.Replay(t.Context(), store.QuarantineFilter{})
	require.NoError(t, err)
	assert.Zero(t, done.Seen, "nothing is decided without its words")
	_, err = w.Engine.Purge(t.Context(), patient)
	require.ErrorIs(t, err, model.ErrNotFound)
	provable(t, w)

	again := accept(t, w, src, unmapped)
	assert.Equal(t, engine.ReceiptQuarantined, again.Status, "it may be read this time")
	assert.Equal(t, first.ID, again.ID)
	require.NoError(t, w.Engine.Retain(t.Context()))
	assert.Equal(t, []string{"feedback"}, zebra(t, w), "it has its days anew")
	provable(t, w)
}

// TestErasureTakesTheHashesOfWords and repeats are known by their id from then on.
func TestErasureTakesTheHashesOfWords(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, scenario.NoAck())
	src := engine.Source{System: "test"}
	event := map[string]any{"event_id": "c1", "source_type": "complaint", "score": nil, "severity": "high", "subject": patient, "text": "It is me"}
	made := accepted(t, w, src, event)
	raw := survey(t, event)
	event["text"] = "It is still me"
	revised := survey(t, event)
	_, err := w.Engine.Revise(t.Context(), src, made.ID, revised)
	require.NoError(t, err)
	note := store.Move{
		ActionID: *made.ActionID, Request: sla.MoveRequest{Move: model.MoveNote, Text: "zebra", Actor: w.User("ruh-amal").ID.Ptr()},
		Once: store.Once{Scope: "s", Key: "k", Hash: []byte("zebra's hash")},
	}
	move := func() store.Moved {
		t.Helper()
		rs, _, err := w.Store.Move(t.Context(), []store.Move{note})
		require.NoError(t, err)
		return rs[0]
	}
	require.NoError(t, move().Err)
	hashes := func() (left []string) {
		t.Helper()
		require.NoError(t, w.Store.DB().NewRaw(`SELECT encode(content_hash, 'hex') FROM feedback UNION ALL SELECT encode(content_hash, 'hex') FROM feedback_revisions
			UNION ALL SELECT encode(request_hash, 'hex') FROM idempotency_keys`).Scan(t.Context(), &left))
		return left
	}
	require.Contains(t, hashes(), hex.EncodeToString([]byte("zebra's hash")))
	for _, before := range [][]byte{raw, revised} {
		require.Equal(t, engine.ReceiptDuplicate, accept(t, w, src, before).Status)
	}

	_, err = w.Engine.Purge(t.Context(), patient)
	require.NoError(t, err)
	assert.Equal(t, []string{"", "", ""}, hashes())
	for _, before := range [][]byte{raw, revised} {
		again := accept(t, w, src, before)
		assert.Equal(t, []any{engine.ReceiptDuplicate, made.ID}, []any{again.Status, again.ID})
	}
	assert.True(t, move().Replayed, "the key alone tells a repeat")
	granted, err := w.Store.Granted(t.Context(), *made.ActionID, note.Once)
	require.NoError(t, err)
	assert.True(t, granted)
	provable(t, w)
	assert.Zero(t, w.Count("SELECT count(*) FROM log_texts WHERE words = 'zebra'"))
}

// TestAnOpenActionAsksForItsResultsAfterAPurge: the work on it goes on, and what was
// erased of it was no result yet.
func TestAnOpenActionAsksForItsResultsAfterAPurge(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, scenario.NoAck())
	a := w.Create(w.Complaint(model.SeverityHigh))[0]
	w.Exec("UPDATE feedback SET subject_key = 'k'")
	submit := scenario.Submission(model.MoveSubmit, a.AssignedTo)
	w.Move(a.ID, sla.MoveRequest{Move: model.MoveStart})
	w.Move(a.ID, submit)
	w.Move(a.ID, sla.MoveRequest{Move: model.MoveReject, Reason: "not enough", Actor: w.User("ruh-amal").ID.Ptr()})
	_, err := w.Store.EraseSubject(t.Context(), "k", []model.ActionID{a.ID}, nil)
	require.NoError(t, err)
	rs, _, err := w.Store.Move(t.Context(), []store.Move{{ActionID: a.ID, Request: sla.MoveRequest{Move: model.MoveSubmit, Actor: a.AssignedTo}}})
	require.NoError(t, err)
	var faults model.FieldErrors
	require.ErrorAs(t, rs[0].Err, &faults)
	assert.Equal(t, "action_plan", faults[0].Field)
	assert.Equal(t, model.StatusPendingApproval, w.Move(a.ID, submit).Status)
}
