package engine_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
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

const (
	patient = "MRN 4711"
	day     = 24 * time.Hour
)

// retaining is a world whose policy keeps words for 30 days and messages for 10.
func retaining(t *testing.T) *scenario.World {
	t.Helper()
	return scenario.New(t, append([]byte("retention: {words_days: 30, messages_days: 10}\n"), scenario.NoAck()...))
}

// zebra lists the tables in which the word stands.
func zebra(t *testing.T, w *scenario.World) []string {
	t.Helper()
	var tables, found []string
	require.NoError(t, w.Store.DB().NewRaw("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1").Scan(t.Context(), &tables))
	for _, table := range tables {
		if w.Count(`SELECT count(*) FROM "`+table+`" t WHERE t::text ILIKE '%zebra%'`) > 0 {
			found = append(found, table)
		}
	}
	return found
}

// everywhere is where words may stand.
func everywhere() []string {
	return []string{"action_attachments", "action_words", "actions", "feedback", "feedback_revisions", "log_texts"}
}

// worked is an action of the patient with a word in every place that takes one, not
// yet closed, and what else came in about them.
func worked(t *testing.T, w *scenario.World) *model.Action {
	t.Helper()
	src := engine.Source{System: "test", Quarantine: true}
	words := func(id string, more map[string]any) map[string]any {
		e := map[string]any{
			"event_id": id, "source_type": "complaint", "score": nil, "severity": "high", "subject": patient,
			"title": "Zebra " + id, "text": "zebra", "metadata": map[string]any{"zebra": "zebra"},
		}
		for k, v := range more {
			e[k] = v
		}
		return e
	}
	survey1 := map[string]any{"source_type": "survey", "severity": nil, "score": score(1)["score"]}
	f := accepted(t, w, src, words("c1", nil))
	require.NotNil(t, f.ActionID)
	a := w.Action(*f.ActionID)
	joined := accepted(t, w, src, words("s1", survey1))
	require.Equal(t, f.ActionID, joined.ActionID, "a second signal joins")
	survey1["score"] = score(5)["score"]
	require.Equal(t, model.DecisionIgnored, accepted(t, w, src, words("s2", survey1)).Decision)
	_, err := w.Engine.Revise(t.Context(), src, f.ID, survey(t, words("c1", map[string]any{"text": "Another zebra"})))
	require.NoError(t, err)
	attach := request(&a)
	attach.Filename, attach.Description = "zebra.txt", "a zebra"
	_, err = w.Engine.Attach(t.Context(), attach, strings.NewReader(text))
	require.NoError(t, err)
	admin := w.User("ruh-amal").ID.Ptr()
	submit := scenario.Submission(model.MoveSubmit, a.AssignedTo)
	submit.ActionPlan, submit.Outcome, submit.Informed.WhyNot = "zebra", "zebra", "zebra"
	for _, m := range []sla.MoveRequest{
		{Move: model.MoveNote, Text: "zebra"}, {Move: model.MoveStart}, {Move: model.MoveHold, Reason: "zebra"}, {Move: model.MoveResume},
		submit, {Move: model.MoveReject, Reason: "zebra", Actor: admin}, submit, {Move: model.MoveApprove, Actor: admin},
	} {
		a = w.Move(a.ID, m)
	}
	return &a
}

func closed(t *testing.T, w *scenario.World) *model.Action {
	t.Helper()
	a := worked(t, w)
	*a = w.Move(a.ID, sla.MoveRequest{Move: model.MoveClose})
	require.Equal(t, everywhere(), zebra(t, w))
	return a
}

// provable fails the test unless the log is as it was written and every invariant
// holds.
func provable(t *testing.T, w *scenario.World) {
	t.Helper()
	done, err := w.Engine.Audit(t.Context(), nil)
	require.NoError(t, err)
	assert.Empty(t, done.Faults)
	w.Exec("UPDATE messages SET state = 'sent', next_try_at = NULL, claimed_until = NULL WHERE state = 'pending'") // nobody delivers here
	w.Holds()
}

func TestWordsAreErasedAfterTheirDays(t *testing.T) {
	t.Parallel()
	w := retaining(t)
	a := closed(t, w)
	provable(t, w)
	facts := w.Action(a.ID)
	for _, age := range []time.Duration{0, 30*day - time.Minute} {
		w.SetTime(a.ClosedAt.Add(age))
		require.NoError(t, w.Engine.Retain(t.Context()))
		require.Equal(t, everywhere(), zebra(t, w), "after %s", age)
	}
	require.Nil(t, w.Action(a.ID).ErasedAt)

	w.SetTime(a.ClosedAt.Add(30*day + time.Minute))
	require.NoError(t, w.Engine.Retain(t.Context()))
	assert.Empty(t, zebra(t, w))
	assert.Empty(t, kept(w), "files")
	provable(t, w)
	after := w.Action(a.ID)
	require.NotNil(t, after.ErasedAt)
	assert.Equal(t, []any{facts.Ref, facts.Status, facts.RootCause, facts.SubjectKey, facts.DueAt, facts.UpdatedAt, facts.LogSeq + 1},
		[]any{after.Ref, after.Status, after.RootCause, after.SubjectKey, after.DueAt, after.UpdatedAt, after.LogSeq}, "facts stay")
	assert.Equal(t, 3, w.Count("SELECT count(*) FROM feedback WHERE erased_at IS NOT NULL AND subject_key <> ''"))

	require.NoError(t, w.Engine.Retain(t.Context()), "again")
	assert.Equal(t, after.LogSeq, w.Action(a.ID).LogSeq, "what is erased stays as it is")
	w.SetTime(a.ClosedAt.Add(31 * day))
	w.Move(a.ID, sla.MoveRequest{Move: model.MoveNote, Text: "zebra"})
	require.Equal(t, []string{"log_texts"}, zebra(t, w))
	w.SetTime(a.ClosedAt.Add(32 * day))
	require.NoError(t, w.Engine.Retain(t.Context()))
	assert.Empty(t, zebra(t, w), "what was written since")
	provable(t, w)
}

func TestNothingIsErasedWithoutDaysInThePolicy(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, scenario.NoAck())
	a := closed(t, w)
	messages := w.Count("SELECT count(*) FROM messages")
	w.SetTime(a.ClosedAt.Add(20 * 365 * day))
	require.NoError(t, w.Engine.Retain(t.Context()))
	assert.Equal(t, everywhere(), zebra(t, w))
	assert.Equal(t, messages, w.Count("SELECT count(*) FROM messages"))
	assert.Len(t, kept(w), 1)
}

func TestWhatHasNotEndedKeepsItsWords(t *testing.T) {
	t.Parallel()
	w := retaining(t)
	a := worked(t, w)
	open, cancelled := w.Complaint(model.SeverityLow), w.Complaint(model.SeverityLow)
	made := w.Create(open, cancelled)
	w.Move(made[1].ID, sla.MoveRequest{Move: model.MoveCancel, Reason: "a test"})
	w.SetTime(a.UpdatedAt.Add(400 * day))
	require.NoError(t, w.Engine.Retain(t.Context()))
	assert.Equal(t, "Waited for hours", w.Action(made[0].ID).Title, "open")
	assert.Empty(t, w.Action(made[1].ID).Title, "cancelled")
	assert.Contains(t, w.Action(a.ID).Title, "Zebra", "approved, not closed")
}

func TestMessagesAreDroppedAfterTheirDays(t *testing.T) {
	t.Parallel()
	w := retaining(t)
	a := closed(t, w)
	w.FireNext(w.Create(w.Complaint(model.SeverityHigh))[0].ID, 2) // of a live one
	all := w.Count("SELECT count(*) FROM messages WHERE action_id = ?", a.ID)
	require.Positive(t, all)
	count := func() int { return w.Count("SELECT count(*) FROM messages WHERE action_id = ?", a.ID) }
	w.SetTime(a.ClosedAt.Add(11 * day))
	require.NoError(t, w.Engine.Retain(t.Context()))
	assert.Equal(t, all, count(), "while one is on its way")
	w.Exec("UPDATE messages SET state = 'sent', next_try_at = NULL WHERE state = 'pending'")
	w.Exec("UPDATE messages SET state = 'failed' WHERE id = (SELECT min(id::text)::uuid FROM messages WHERE action_id = ?)", a.ID)
	w.SetTime(a.ClosedAt.Add(10*day - time.Minute))
	require.NoError(t, w.Engine.Retain(t.Context()))
	assert.Equal(t, all, count(), "before their days are over")
	w.SetTime(a.ClosedAt.Add(10*day + time.Minute))
	live := w.Count("SELECT count(*) FROM messages WHERE action_id <> ?", a.ID)
	require.NoError(t, w.Engine.Retain(t.Context()))
	assert.Zero(t, count(), "those that failed, too")
	assert.Equal(t, live, w.Count("SELECT count(*) FROM messages WHERE action_id <> ?", a.ID), "those of a live action")
	assert.Equal(t, everywhere(), zebra(t, w), "the words have more days")
	require.NotNil(t, w.Action(a.ID).MessagesDroppedAt)
	assert.Empty(t, slices.DeleteFunc(verified(t, w), func(f store.Finding) bool { return f.Invariant != "I5" }))
}

func verified(t *testing.T, w *scenario.World) []store.Finding {
	t.Helper()
	found, err := w.Store.Verify(t.Context())
	require.NoError(t, err)
	return found
}

func TestALegalHoldKeepsWhatThereIs(t *testing.T) {
	t.Parallel()
	w := retaining(t)
	a := closed(t, w)
	admin, ward := w.User("ruh-amal").ID.Ptr(), a.AssignedTo
	_, err := w.Engine.LegalHold(t.Context(), a.ID, true, sla.MoveRequest{Actor: ward, Reason: "a lawsuit"})
	require.ErrorIs(t, err, model.ErrForbidden)
	for want, m := range map[string]sla.MoveRequest{"reason": {Reason: " "}, "legal_hold": {Reason: "none to lift"}} {
		_, err = w.Engine.LegalHold(t.Context(), a.ID, want == "reason", m)
		var faults model.FieldErrors
		require.ErrorAs(t, err, &faults)
		assert.Equal(t, want, faults[0].Field)
	}
	_, err = w.Engine.LegalHold(t.Context(), model.NewID[model.Action](), true, sla.MoveRequest{Reason: "a lawsuit"})
	require.ErrorIs(t, err, model.ErrNotFound)
	held, err := w.Engine.LegalHold(t.Context(), a.ID, true, sla.MoveRequest{Actor: admin, Reason: "a lawsuit"})
	require.NoError(t, err)
	require.NotNil(t, held.LegalHoldAt)
	var row model.ActionLog
	require.NoError(t, w.Store.DB().NewSelect().Model(&row).Where("action_id = ? AND seq = ?", a.ID, held.LogSeq).Scan(t.Context()))
	assert.Equal(t, []any{model.LogNote, "Legal hold set: nothing of it is erased", admin, any("legal_hold")},
		[]any{row.LogType, row.Message, row.CreatedBy, row.Metadata.V["move"]})

	messages := w.Count("SELECT count(*) FROM messages WHERE action_id = ?", a.ID)
	w.Exec("UPDATE messages SET state = 'sent', next_try_at = NULL")
	w.SetTime(a.ClosedAt.Add(400 * day))
	require.NoError(t, w.Engine.Retain(t.Context()))
	assert.Equal(t, everywhere(), zebra(t, w))
	done, err := w.Engine.Purge(t.Context(), patient)
	require.NoError(t, err)
	assert.Equal(t, []engine.Left{{What: "action " + a.Ref, Why: "it is under legal hold"}}, done.Left)
	assert.Zero(t, done.Actions)
	assert.Equal(t, everywhere(), zebra(t, w))
	assert.Equal(t, messages, w.Count("SELECT count(*) FROM messages WHERE action_id = ?", a.ID))

	_, err = w.Engine.LegalHold(t.Context(), a.ID, false, sla.MoveRequest{Actor: admin, Reason: "it is over"})
	require.NoError(t, err)
	w.SetTime(a.ClosedAt.Add(401 * day))
	require.NoError(t, w.Engine.Retain(t.Context()))
	assert.Empty(t, zebra(t, w))
	assert.Zero(t, w.Count("SELECT count(*) FROM messages WHERE action_id = ?", a.ID))
	provable(t, w)
}

func TestAPurgeErasesAllWordsOfASubject(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, scenario.NoAck()) // whatever the policy says
	a := worked(t, w)                      // and though it is live
	require.Equal(t, everywhere(), zebra(t, w))
	var tables []string
	words := map[string]int{}
	export := func() {
		tables, words = nil, map[string]int{}
		require.NoError(t, w.Engine.ExportSubject(t.Context(), patient, func(r store.SubjectRow) error {
			require.True(t, json.Valid(r.Row))
			if tables = append(tables, r.Table); strings.Contains(strings.ToLower(string(r.Row)), "zebra") {
				words[r.Table]++
			}
			return nil
		}))
	}
	export()
	assert.Equal(t, map[string]int{"feedback": 3, "feedback_revisions": 1, "actions": 1, "action_logs": 3, "action_attachments": 1}, words)
	rows := len(tables)

	_, err := w.Engine.Purge(t.Context(), "MRN 4712")
	require.ErrorIs(t, err, model.ErrNotFound)
	_, err = w.Engine.Purge(t.Context(), "  ")
	require.ErrorAs(t, err, &model.FieldErrors{})
	require.Equal(t, everywhere(), zebra(t, w))
	done, err := w.Engine.Purge(t.Context(), " mrn  4711 ") // as the intake folds it
	require.NoError(t, err)
	assert.Equal(t, engine.Purged{Actions: 1, Feedback: 3, Files: 1}, done)
	assert.Empty(t, zebra(t, w))
	assert.Empty(t, kept(w))
	export()
	assert.Empty(t, words)
	assert.Len(t, tables, rows+1, "the facts are held yet, and that the words were erased")
	_, _, err = w.Engine.OpenAttachment(t.Context(), attachmentOf(t, w, a))
	require.ErrorIs(t, err, model.ErrNotFound)
	assert.Zero(t, sweep(w))
	provable(t, w)

	after := w.Move(a.ID, sla.MoveRequest{Move: model.MoveClose, Actor: w.User("ruh-amal").ID.Ptr()})
	assert.Equal(t, model.StatusClosed, after.Status, "what was approved is not asked for again")
	assert.Empty(t, zebra(t, w))
	provable(t, w)
}

func attachmentOf(t *testing.T, w *scenario.World, a *model.Action) model.AttachmentID {
	t.Helper()
	files, err := w.Store.Attachments(t.Context(), a.ID)
	require.NoError(t, err)
	require.Len(t, files, 1)
	return files[0].ID
}

func TestAPurgeLeavesWhatIsNotDecided(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	src := engine.Source{System: "test", Quarantine: true}
	rs, err := w.Engine.AcceptRaw(t.Context(), src, [][]byte{
		survey(t, map[string]any{"event_id": "undecided", "subject": patient}),
		survey(t, map[string]any{"event_id": "unmapped", "subject": patient, "hospital": "nowhere"}),
		survey(t, map[string]any{"event_id": "another", "subject": "MRN 1", "hospital": "nowhere"}),
	})
	require.NoError(t, err)
	done, err := w.Engine.Purge(t.Context(), patient)
	require.NoError(t, err)
	slices.SortFunc(done.Left, func(a, b engine.Left) int { return strings.Compare(a.Why, b.Why) })
	assert.Equal(t, engine.Purged{Left: []engine.Left{
		{What: "feedback " + rs[0].ID.String(), Why: "it is not decided yet: try again in a moment"},
		{What: "feedback " + rs[1].ID.String(), Why: "it is quarantined: replay or retract it first"},
	}}, done)
	assert.Equal(t, []string{"feedback"}, zebra(t, w))
	_, err = w.Engine.Decide(t.Context(), []model.FeedbackID{rs[0].ID})
	require.NoError(t, err)
	_, err = w.Engine.Retract(t.Context(), src, rs[1].ID, model.RetractWithdrawn)
	require.NoError(t, err)
	done, err = w.Engine.Purge(t.Context(), patient)
	require.NoError(t, err)
	assert.Equal(t, engine.Purged{Actions: 1, Feedback: 1}, done)
}

// TestAnErasedFileThatStaysIsSweptAway: its row is gone as far as the sweep goes.
func TestAnErasedFileThatStaysIsSweptAway(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, scenario.NoAck())
	a := w.Create(w.Complaint(model.SeverityHigh))[0]
	w.Exec("UPDATE actions SET subject_key = 'k'")
	_, err := w.Engine.Attach(t.Context(), request(&a), strings.NewReader(text))
	require.NoError(t, err)
	name := kept(w)[0]
	erased, err := w.Store.EraseSubject(t.Context(), "k", []model.ActionID{a.ID}, nil) // and then the process died
	require.NoError(t, err)
	require.Len(t, erased.Files, 1)
	assert.Zero(t, sweep(w), "it is young yet")
	age(w)
	assert.Equal(t, engine.FilesSwept{Orphans: 1}, sweep(w))
	_, err = os.Stat(filepath.Join(w.FilesDir, name))
	assert.ErrorIs(t, err, os.ErrNotExist)
}

// TestAPurgeErasesWhatWasSaidBefore of somebody whom the feedback is not about any
// more, and nothing else.
func TestAPurgeErasesWhatWasSaidBefore(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	src := engine.Source{System: "test"}
	said := func(subject, text string) map[string]any {
		e := score(5)
		e["subject"], e["text"] = subject, text
		return e
	}
	f := accepted(t, w, src, said(patient, "zebra"))
	_, err := w.Engine.Revise(t.Context(), src, f.ID, survey(t, said("MRN 5", "Well done.")))
	require.NoError(t, err)
	_, err = w.Engine.Decide(t.Context(), []model.FeedbackID{f.ID})
	require.NoError(t, err)
	require.Equal(t, []string{"feedback_revisions"}, zebra(t, w))
	another := w.Create(w.Complaint(model.SeverityLow))[0]
	_, err = w.Engine.LegalHold(t.Context(), another.ID, true, sla.MoveRequest{Reason: "a lawsuit of somebody else"})
	require.NoError(t, err)
	done, err := w.Engine.Purge(t.Context(), patient)
	require.NoError(t, err)
	assert.Equal(t, engine.Purged{}, done)
	assert.Empty(t, zebra(t, w))
	assert.Equal(t, "Well done.", w.Feedback(f.ID).Text)
	assert.Equal(t, engine.ReceiptDuplicate, accept(t, w, src, survey(t, said(patient, "zebra"))).Status, "a late repeat")
	assert.Empty(t, zebra(t, w))
	require.NoError(t, w.Engine.Retain(t.Context()))
	assert.Equal(t, "Well done.", w.Feedback(f.ID).Text)
	provable(t, w)
}
