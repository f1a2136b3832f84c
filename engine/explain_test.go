package engine_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/samples"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func value(x float64) *float64 { return &x }

// answer is an answer to Berlin's survey of outpatients, as bad as a score of 1
// to 5 says.
func answer(w *scenario.World, event string, score float64) model.Feedback {
	w.TB.Helper()
	h := w.Hospital("BER")
	d, ok := w.Dir.ResolveDepartment("", h.ID, "OPD")
	require.True(w.TB, ok)
	f := w.Complaint("")
	f.SourceSystem, f.EventID, f.SourceType, f.HospitalID, f.DepartmentID = "qualtra", event, model.SourceSurvey, h.ID.Ptr(), d.ID.Ptr()
	f.Score, f.ScoreMin, f.ScoreMax, f.ScoreBetter = &score, value(1), value(5), model.BetterHigh
	return f
}

func explained(w *scenario.World, id model.ActionID) *engine.Explanation {
	w.TB.Helper()
	e, err := engine.Explain(w.TB.Context(), w.Store, w.Action(id).Ref)
	require.NoError(w.TB, err)
	return e
}

// lived makes an action with a history: held over a weekend, given to another,
// with Easter and the change of the clocks before its deadline.
func lived(t *testing.T, policy []byte) (*scenario.World, model.ActionID) {
	t.Helper()
	w := scenario.New(t, policy)
	received := time.Date(2026, 3, 26, 9, 0, 30, 0, time.UTC)
	w.SetTime(received.Add(5 * time.Second))
	f := answer(w, "R-2026-0815", 2)
	f.ReceivedAt, f.Category = received, model.CategoryStaffBehavior
	a := w.Create(f)[0]
	w.SetTime(time.Date(2026, 3, 27, 11, 0, 0, 0, time.UTC))
	w.Move(a.ID, sla.MoveRequest{Move: model.MoveStart, Actor: a.AssignedTo})
	w.Move(a.ID, sla.MoveRequest{Move: model.MoveAssign, Actor: w.User("ber-ortiz").ID.Ptr(), Assignee: w.User("ber-ortiz").ID})
	w.SetTime(time.Date(2026, 3, 31, 9, 0, 0, 0, time.UTC))
	w.Move(a.ID, sla.MoveRequest{Move: model.MoveHold, Reason: "a word of Mrs Weber's", Until: time.Date(2026, 4, 2, 9, 0, 0, 0, time.UTC)})
	w.FireNext(a.ID, 1)
	return w, a.ID
}

// inHours is the sample policy with Berlin's targets in hours.
func inHours(t *testing.T) []byte {
	t.Helper()
	days := []byte("medium: 4wd")
	require.Contains(t, string(samples.Policy), string(days))
	return bytes.Replace(samples.Policy, days, []byte("medium: 96h"), 1)
}

func TestExplainReadsWell(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		policy []byte
	}{{"hours", inHours(t)}, {"working_days", samples.Policy}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w, id := lived(t, tt.policy)
			got := explained(w, id).Text()
			golden := filepath.Join("testdata", "explain_"+tt.name+".txt")
			if *update {
				require.NoError(t, os.WriteFile(golden, []byte(got), 0o600))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			if string(want) != got {
				t.Errorf("%s differs (go test ./engine -run Explain -update): got\n%s", golden, got)
			}
			for _, words := range []string{"Waited for hours", "Nobody came", "Weber"} {
				assert.NotContains(t, got, words)
			}
		})
	}
}

func TestAnExplanationOutlivesThePolicy(t *testing.T) {
	t.Parallel()
	w, id := lived(t, inHours(t))
	before := explained(w, id)
	_, ignored, err := decideOne(w, answer(w, "R-2", 4))
	require.NoError(t, err)
	beforeIgnored := feedbackExplained(w, ignored)
	// All of it is otherwise now: nothing is negative, everything goes to
	// executives, and within an hour.
	p, err := sla.ParsePolicy([]byte(`
calendars: [{name: berlin, timezone: Europe/Berlin, always_open: true}, {name: riyadh, timezone: Asia/Riyadh, always_open: true}]
triggers: [{name: Nothing is bad, score: {below: 1, bands: []}}]
routing: [{name: To the top, assign_to_role: Executive}]
sla: [{name: Quick, medium_hours: 1, hospital: BER}]`))
	require.NoError(t, err)
	_, _, err = w.Store.ApplyPolicy(t.Context(), p, "test", "")
	require.NoError(t, err)

	after, afterIgnored := explained(w, id), feedbackExplained(w, ignored)
	assert.Equal(t, []int64{1, 2}, []int64{before.Policy.Active, after.Policy.Active})
	assert.Contains(t, after.Text(), "is active now; what was decided before stands.")
	before.Policy.Active, before.At = after.Policy.Active, after.At
	beforeIgnored.Policy.Active, beforeIgnored.At = afterIgnored.Policy.Active, afterIgnored.At
	assert.JSONEq(t, asJSON(t, before), asJSON(t, after))
	assert.JSONEq(t, asJSON(t, beforeIgnored), asJSON(t, afterIgnored))
	assert.False(t, after.Feedback.Differs || after.Routing.Differs)

	// Its calendar reaches it, as the story tells; the decision stands.
	_, _, err = w.Store.Recalendar(t.Context(), store.Keyset{}, 100)
	require.NoError(t, err)
	now := explained(w, id)
	assert.Equal(t, before.Routing, now.Routing)
	assert.Equal(t, sla.ClockElapsed, now.Due.Clock)
	assert.NotEqual(t, before.Due.Due, now.Due.Due)
	assert.Equal(t, before.Due.FirstDue, now.Due.FirstDue)
}

func TestExplainSaysWhatHasChangedInTheDirectory(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, samples.Policy)
	a := w.Create(answer(w, "R-1", 1))[0]
	before := explained(w, a.ID)
	require.NotNil(t, before.Assigned.Live)
	w.Exec("UPDATE users SET active = false WHERE id = ?", *a.AssignedTo)
	w.Exec("UPDATE departments SET manager_id = NULL")
	w.Exec("UPDATE directory_version SET version = version + 1")
	after := explained(w, a.ID)
	assert.Equal(t, before.Assigned, after.Assigned, "who owns it and why is recorded")
	assert.Equal(t, before.Routing, after.Routing)
	assert.NotEqual(t, before.Next, after.Next, "what comes next goes by the people as they are")
	// A score that no longer comes out as it was decided: what is recorded counts.
	w.Exec("UPDATE feedback SET score = 5")
	w.Exec("UPDATE actions SET assigned_to = NULL")
	e := explained(w, a.ID)
	assert.True(t, e.Feedback.Differs)
	assert.Contains(t, e.Text(), "What was recorded counts.")
}

func TestExplainIsNotFound(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	_, err := engine.Explain(t.Context(), w.Store, "RUH-26-0000099")
	require.ErrorIs(t, err, model.ErrNotFound)
	_, err = engine.ExplainFeedback(t.Context(), w.Store, model.NewID[model.Feedback]())
	require.ErrorIs(t, err, model.ErrNotFound)
}

func TestExplainWhatJoined(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, samples.Policy)
	first, second, complaint := answer(w, "1", 1), answer(w, "2", 1), answer(w, "3", 1)
	complaint.Kind = model.KindComplaint
	var ids []model.FeedbackID
	for _, f := range []model.Feedback{first, second, complaint} {
		f.SubjectKey = "k1"
		_, id, err := decideOne(w, f)
		require.NoError(t, err)
		ids = append(ids, id)
	}
	e := feedbackExplained(w, ids[1])
	require.Contains(t, oneLine(e.Text()), "It was merged into action "+e.Action)
	require.Contains(t, oneLine(e.Text()), "It is of the same patient and department as that action")
	linked := feedbackExplained(w, ids[2]).Action
	x, err := engine.Explain(t.Context(), w.Store, e.Action)
	require.NoError(t, err)
	require.Len(t, x.Merged, 1)
	for _, words := range []string{
		"What qualtra sent of the same patient on", "(event 2) was merged into it.", "Survey from qualtra joined",
		"Of the same patient and department, and linked to it: " + linked + ".",
	} {
		require.Contains(t, oneLine(x.Text()), words)
	}
	x, err = engine.Explain(t.Context(), w.Store, linked)
	require.NoError(t, err)
	require.Equal(t, []string{e.Action}, x.Linked)
}

// decideOne decides one feedback, whatever becomes of it.
func decideOne(w *scenario.World, f model.Feedback) (model.Decision, model.FeedbackID, error) {
	w.TB.Helper()
	created, _, err := w.Store.Create(w.TB.Context(), w.Insert(f))
	if err != nil {
		return "", f.ID, err
	}
	return created[0].Decision, f.ID, created[0].Err
}

func feedbackExplained(w *scenario.World, id model.FeedbackID) *engine.FeedbackExplanation {
	w.TB.Helper()
	e, err := engine.ExplainFeedback(w.TB.Context(), w.Store, id)
	require.NoError(w.TB, err)
	return e
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return string(b)
}

func TestExplainFeedback(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, samples.Policy)
	tests := []struct {
		name     string
		edit     func(*model.Feedback)
		decision model.Decision
		says     []string
	}{
		{"not negative", func(f *model.Feedback) { f.Score = value(3) }, model.DecisionIgnored,
			[]string{"It scored 3 on a scale from 1 to 5, where high is good: 50 %", "counts what is below 50 % as negative, and this is not.", "no action was made", "revision 1 of the policy"}},
		{"praise", func(f *model.Feedback) { f.SourceType, f.Kind = model.SourceComplaint, model.KindPraise }, model.DecisionIgnored,
			[]string{"Its sender calls it praise, and praise is never negative."}},
		{"complaints off", func(f *model.Feedback) { f.SourceSystem, f.SourceType = "callcentre", model.SourceComplaint }, model.DecisionIgnored,
			[]string{`The rule "The call centre files its own complaints" makes no actions of complaints here.`}},
		{"a mild post where the policy looks closer", func(f *model.Feedback) { f.SourceType, f.Sentiment = model.SourceSocialMedia, value(-0.2) }, model.DecisionIgnored,
			[]string{"rated −0.2", `"Berlin answers mild posts too" counts only what is up to −0.3 as negative, and this is not.`}},
		{"points to recommend", func(f *model.Feedback) {
			f.ScoreMetric, f.ScoreMin, f.ScoreMax, f.Score = model.MetricNPS, nil, nil, value(3)
		}, model.DecisionCreated,
			[]string{"It gave 3 of 10 points", "up to 4 points as negative, of medium severity", "Action BER-26-"}},
		{"history", func(f *model.Feedback) { f.Mode = model.ModeHistory }, model.DecisionIgnored,
			[]string{"history makes no actions", "it would have become an action of high severity"}},
		{"off its scale", func(f *model.Feedback) { f.Score = value(7) }, model.DecisionQuarantined,
			[]string{"It was set aside", "Its score does not lie on its scale.", "send it again under the same event id"}},
		{"safety", func(f *model.Feedback) {
			f.Score, f.Severity, f.Category = value(2.5), "medium", model.CategoryPatientSafety
		}, model.DecisionCreated,
			[]string{"counts what is below 50 % as negative, and this one as low.", "Its sender called it medium; of the two the graver counts. As it is about patient safety it is at least high. So its severity is high."}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := answer(w, tt.name, 1)
			tt.edit(&f)
			decision, id, err := decideOne(w, f)
			require.NoError(t, err)
			require.Equal(t, tt.decision, decision)
			e := feedbackExplained(w, id)
			for _, words := range tt.says {
				assert.Contains(t, oneLine(e.Text()), words)
			}
			assert.False(t, e.Feedback.Differs)
			assert.NotContains(t, e.Text()+asJSON(t, e), "Waited for hours")
		})
	}
}

// TestExplainSaysWhatAReopenedActionGets under a policy by which it goes on with
// what was left.
func TestExplainSaysWhatAReopenedActionGets(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, []byte("sla: [{name: Goes on, reopen: remaining, requires_approval: false}]"))
	monday := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	at := func(hours int) time.Time { return monday.Add(time.Duration(hours) * time.Hour) }
	reopened := func(t *testing.T, closed, again int, moves ...sla.MoveRequest) string {
		t.Helper()
		w.SetTime(monday)
		f := w.Complaint(model.SeverityCritical)
		f.ReceivedAt = monday
		a := w.Create(f)[0]
		w.SetTime(at(1))
		w.Move(a.ID, sla.MoveRequest{Move: model.MoveStart})
		for _, m := range moves {
			w.Move(a.ID, m)
		}
		w.SetTime(at(closed))
		w.Move(a.ID, scenario.Submission(model.MoveClose, nil))
		w.SetTime(at(again))
		w.Move(a.ID, sla.MoveRequest{Move: model.MoveReopen, Reason: "it came back"})
		return oneLine(explained(w, a.ID).Text())
	}
	early := reopened(t, 10, 100) // of 24 hours
	assert.Contains(t, early, "The clock stood still from Mon 2 Mar, 21:00 to Fri 6 Mar, 15:00, when the action was reopened to go on with what was left: 90 h that do not count. So it is due Sat 7 Mar, 05:00.")
	assert.Contains(t, early, "Target goes on with what was left; due Sat 7 Mar, 05:00, was Tue 3 Mar, 11:00; a new period begins")
	late := reopened(t, 30, 100)
	assert.Contains(t, late, "By the target alone it would be due Tue 3 Mar, 11:00. Reopened on Fri 6 Mar, 15:00, it got the least time that a reopening leaves, and is due Fri 6 Mar, 19:00.")
	byHand := reopened(t, 10, 100, sla.MoveRequest{Move: model.MoveDue, DueAt: at(50), Reason: "they are away"})
	assert.Contains(t, byHand, "On Mon 2 Mar, 12:00 the program set it by hand, and the clock stood still since; it is due Sun 8 Mar, 07:00.")
}

// TestExplainSaysWhatWasRaised from what was recorded, without the words, and
// the same after these are gone.
func TestExplainSaysWhatWasRaised(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, []byte(`triggers:
  - name: Grave words
    raise:
      - {keywords: ["abus*"], severity: critical}
      - {category: facility, severity: high}
      - {category: facility, keywords: dirty, severity: critical}
      - {keywords: fell, severity: medium, negative: true}`))
	for _, tt := range []struct {
		name, text string
		edit       func(*model.Feedback)
		decision   model.Decision
		says       []string
	}{
		{"a word", "She was abused", func(*model.Feedback) {}, model.DecisionCreated,
			[]string{`Its severity was raised from medium to critical by a word of the trigger "Grave words". So its severity is critical.`}},
		{"a category", "Cold", func(f *model.Feedback) { f.Category = model.CategoryFacility }, model.DecisionCreated,
			[]string{`Its severity was raised from medium to high by its category, facility, under the trigger "Grave words". So its severity is high.`}},
		{"both", "dirty", func(f *model.Feedback) { f.Category = model.CategoryFacility }, model.DecisionCreated,
			[]string{`raised from medium to critical by its category, facility, and a word of the trigger "Grave words".`}},
		{"what turns a good score", "He fell", func(f *model.Feedback) { f.Score = value(5) }, model.DecisionCreated,
			[]string{`counts what is below 50 % as negative, and this is not. Yet it counts as negative, and as medium at least, by a word of the trigger "Grave words". So its severity is medium.`}},
		{"what turns a good score, with a severity sent", "He fell", func(f *model.Feedback) { f.Score, f.Severity = value(5), "high" }, model.DecisionCreated,
			[]string{`Yet it counts as negative, and as medium at least, by a word of the trigger "Grave words". Its sender called it high; of the two the graver counts. So its severity is high.`}},
		{"what turns a suggestion", "He fell", func(f *model.Feedback) { f.Score, f.Kind = nil, model.KindSuggestion }, model.DecisionCreated,
			[]string{`It is not negative. Yet it counts as negative`}},
		{"what lacks its score", "He fell", func(f *model.Feedback) { f.Score = nil }, model.DecisionCreated,
			[]string{`It has no score, and nothing else that says whether it is negative. Yet it counts`}},
		{"history", "He fell", func(f *model.Feedback) { f.Score, f.Mode = value(5), model.ModeHistory }, model.DecisionIgnored,
			[]string{`Yet it counts as negative`, "it would have become an action of medium severity. By itself it would have passed; what the policy raises makes it negative."}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := answer(w, tt.name, 2)
			f.Title, f.Text = "Of our stay", tt.text
			tt.edit(&f)
			decision, id, err := decideOne(w, f)
			require.NoError(t, err)
			require.Equal(t, tt.decision, decision)
			before := feedbackExplained(w, id)
			for _, words := range tt.says {
				assert.Contains(t, oneLine(before.Text()), words)
			}
			assert.False(t, before.Feedback.Differs)
			for _, word := range []string{"abus", "dirty", "fell", "stay"} {
				assert.NotContains(t, before.Text()+asJSON(t, before), word)
			}
			w.Exec("UPDATE feedback SET title = '', text = '' WHERE id = ?", id)
			after := feedbackExplained(w, id)
			if decision != model.DecisionCreated { // nothing else is recorded of it
				assert.Contains(t, oneLine(after.Text()), "or words were erased. What was recorded counts.")
				return
			}
			after.At = before.At
			assert.Equal(t, before, after)
			x, err := engine.Explain(t.Context(), w.Store, before.Action)
			require.NoError(t, err)
			assert.Equal(t, before.Feedback, *x.Feedback)
		})
	}
}

// oneLine undoes the wrapping.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func TestExplainFeedbackThatCameToNoDecisionOfItsOwn(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, samples.Policy)
	a := w.Create(answer(w, "R-1", 1))[0]
	open, unmapped, merged := answer(w, "R-2", 1), answer(w, "R-3", 1), answer(w, "R-4", 2)
	at := w.Action(a.ID).CreatedAt
	revision := int64(1)
	unmapped.Decision, unmapped.Reason, unmapped.DecidedAt, unmapped.DepartmentID = model.DecisionQuarantined, "unmapped:department", &at, nil
	merged.Decision, merged.Reason, merged.DecidedAt, merged.ActionID, merged.PolicyRevision = model.DecisionMerged, "same_subject", &at, &a.ID, &revision
	w.Insert(open, unmapped, merged)
	assert.Contains(t, oneLine(feedbackExplained(w, open.ID).Text()), "Nothing yet: it waits to be decided")
	text := oneLine(feedbackExplained(w, unmapped.ID).Text())
	assert.Contains(t, text, "no longer has, what it names in department. Add the name that the source uses as an alias")
	assert.NotContains(t, text, "the policy", "none was asked")
	e := feedbackExplained(w, merged.ID)
	assert.Equal(t, []any{a.Ref, model.StatusOpen, false}, []any{e.Action, e.Status, e.Feedback.Differs})
	assert.Contains(t, oneLine(e.Text()), "It was merged into action "+a.Ref)
	x := explained(w, a.ID)
	require.Len(t, x.Merged, 1)
	assert.Contains(t, x.Text(), "was merged into it")
	assert.Equal(t, "R-1", x.Feedback.EventID, "the action is explained by the first")
}
