package store_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

// scores of a call from 1 to 5, by what the trigger makes of them.
const scoreHigh, scoreMedium, scoreLow, scoreGood = 1.0, 1.5, 2.9, 4.5

// scored is a signal of the call centre with a score.
func scored(w *scenario.World, score float64) model.Feedback {
	f := call(w, "")
	f.Severity, f.Score = "", &score
	return f
}

// revise sends new content of a feedback and must succeed.
func revise(w *scenario.World, id model.FeedbackID, change func(*model.Feedback)) store.Revised {
	w.TB.Helper()
	row := w.Feedback(id)
	change(&row)
	row.ReceivedAt = time.Time{}
	row.ContentHash = []byte(model.NewID[model.Feedback]().String())
	done, _, err := w.Store.Revise(w.TB.Context(), row, model.Origin{Key: model.NewID[model.APIKey]().Ptr(), Request: "r1"})
	if err != nil {
		w.TB.Fatal(err)
	}
	return done
}

func toScore(score float64) func(*model.Feedback) {
	return func(f *model.Feedback) { f.Score = &score }
}

func retract(w *scenario.World, id model.FeedbackID, why model.RetractReason) store.Revised {
	w.TB.Helper()
	done, _, err := w.Store.Retract(w.TB.Context(), id, why, model.Origin{})
	if err != nil {
		w.TB.Fatal(err)
	}
	return done
}

// told are the reasons of the messages about an action, without those of its making.
func told(w *scenario.World, id model.ActionID) []model.Reason {
	var rs []model.Reason
	for _, m := range w.Messages(id) {
		if m.ActionVersion > 1 {
			rs = append(rs, append([]model.Reason{m.Reason}, m.Also.V...)...)
		}
	}
	return rs
}

func stories(w *scenario.World, id model.ActionID) []model.ActionLog {
	w.TB.Helper()
	y, err := w.Store.Story(w.TB.Context(), id, store.StoryOptions{})
	if err != nil {
		w.TB.Fatal(err)
	}
	return y.Logs
}

// TestARevisionFindsItsAction: what becomes of an action when its feedback turns
// out otherwise, by how far people are with it.
func TestARevisionFindsItsAction(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, scenario.NoAck())
	close := func(id model.ActionID) {
		w.Exec("UPDATE actions SET requires_approval = false WHERE id = ?", id)
		w.Move(id, sla.MoveRequest{Move: model.MoveStart})
		w.Move(id, sla.MoveRequest{Move: model.MoveClose, ActionPlan: "p", Outcome: "o"})
	}
	states := map[string]func(model.ActionID){
		"untouched": func(model.ActionID) {},
		"noted":     func(id model.ActionID) { w.Move(id, sla.MoveRequest{Move: model.MoveNote, Text: "seen"}) },
		"started":   func(id model.ActionID) { w.Move(id, sla.MoveRequest{Move: model.MoveStart}) },
		"due moved": func(id model.ActionID) {
			w.Move(id, sla.MoveRequest{Move: model.MoveDue, DueAt: scenario.Start().Add(1000 * time.Hour), Reason: "x"})
		},
		"held":      func(id model.ActionID) { w.Move(id, sla.MoveRequest{Move: model.MoveHold, Reason: "x"}) },
		"closed":    close,
		"cancelled": func(id model.ActionID) { w.Move(id, sla.MoveRequest{Move: model.MoveCancel, Reason: "x"}) },
	}
	const none = 0
	tests := []struct {
		state    string
		to       float64 // none: retracted
		status   model.Status
		severity model.Severity
		told     model.Reason // empty: nobody
	}{
		{"untouched", scoreHigh, model.StatusOpen, model.SeverityHigh, model.ReasonRevised},
		{"untouched", scoreLow, model.StatusOpen, model.SeverityLow, model.ReasonRevised},
		{"untouched", scoreGood, model.StatusCancelled, model.SeverityMedium, model.ReasonRetracted},
		{"untouched", none, model.StatusCancelled, model.SeverityMedium, model.ReasonRetracted},
		{"noted", scoreHigh, model.StatusOpen, model.SeverityHigh, model.ReasonRevised},
		{"noted", none, model.StatusCancelled, model.SeverityMedium, model.ReasonRetracted},
		{"started", scoreHigh, model.StatusInProgress, model.SeverityMedium, model.ReasonRevised},
		{"started", scoreGood, model.StatusInProgress, model.SeverityMedium, model.ReasonRevised},
		{"started", none, model.StatusInProgress, model.SeverityMedium, model.ReasonRetracted},
		{"due moved", scoreHigh, model.StatusOpen, model.SeverityMedium, model.ReasonRevised},
		{"due moved", none, model.StatusOpen, model.SeverityMedium, model.ReasonRetracted},
		{"held", scoreGood, model.StatusOpen, model.SeverityMedium, model.ReasonRevised},
		{"closed", scoreHigh, model.StatusClosed, model.SeverityMedium, model.ReasonRevised},
		{"closed", scoreLow, model.StatusClosed, model.SeverityMedium, ""},
		{"closed", none, model.StatusClosed, model.SeverityMedium, ""},
		{"cancelled", scoreHigh, model.StatusCancelled, model.SeverityMedium, model.ReasonRevised},
		{"cancelled", scoreGood, model.StatusCancelled, model.SeverityMedium, ""},
		{"cancelled", none, model.StatusCancelled, model.SeverityMedium, ""},
	}
	for _, tt := range tests {
		t.Run(tt.state, func(t *testing.T) {
			f := scored(w, scoreMedium)
			was := w.Create(f)[0]
			states[tt.state](was.ID)
			before := w.Action(was.ID)
			w.Exec("DELETE FROM messages WHERE action_id = ?", was.ID)
			if tt.to == none {
				retract(w, f.ID, model.RetractDuplicate)
			} else {
				revise(w, f.ID, toScore(tt.to))
			}
			a := w.Action(was.ID)
			if a.Status != tt.status || a.Severity != tt.severity {
				t.Errorf("score %v: %s %s, want %s %s", tt.to, a.Status, a.Severity, tt.status, tt.severity)
			}
			if planned := tt.severity != model.SeverityMedium; planned == a.DueAt.Equal(before.DueAt) {
				t.Errorf("score %v: due %s, was %s", tt.to, a.DueAt, before.DueAt)
			}
			got := told(w, a.ID)
			if tt.told == "" && len(got) > 0 || tt.told != "" && !slices.Contains(got, tt.told) {
				t.Errorf("score %v: told %v, want %q", tt.to, got, tt.told)
			}
			n := 0
			for _, l := range stories(w, a.ID) {
				if l.LogType == model.LogRevised {
					n++
				}
			}
			if n != 1 {
				t.Errorf("score %v: %d lines of the story tell of it, want 1", tt.to, n)
			}
		})
	}
	w.Exec("DELETE FROM deadline_events") // their messages are gone
	w.Holds()
}

// TestARevisionOfWhatHasNoAction is decided like what comes in.
func TestARevisionOfWhatHasNoAction(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	good, undecided, other := scored(w, scoreGood), scored(w, scoreGood), scored(w, scoreMedium)
	ids := w.Insert(good, undecided, other)
	decideAll(t, w.Store, ids[0])
	w.SetTime(scenario.Start().Add(100 * time.Hour))

	// Bad feedback that came as good first makes its action, and its clock starts now.
	done := revise(w, ids[0], toScore(scoreHigh))
	if f := done.Feedback; f.Decision != "" || f.Revision != 1 || f.RevisedAt == nil {
		t.Errorf("revised = %+v, want it undecided", f)
	}
	r := decideAll(t, w.Store, ids[0])[ids[0]]
	if r.Decision != model.DecisionCreated || r.Reason != sla.ReasonScoreNegative {
		t.Fatalf("decided again = %+v, want an action", r)
	}
	if a := w.Action(*r.ActionID); a.Severity != model.SeverityHigh || a.IsOverdue || a.ReceivedAt.Before(scenario.Start().Add(99*time.Hour)) {
		t.Errorf("action %+v, want it high and not overdue", a)
	}
	// What is not decided yet is decided by what it says now, from when it came in.
	revise(w, ids[1], toScore(scoreLow))
	if r := decideAll(t, w.Store, ids[1])[ids[1]]; r.Decision != model.DecisionCreated || !w.Action(*r.ActionID).ReceivedAt.Equal(undecided.ReceivedAt) {
		t.Errorf("decided = %+v, want an action of the first receipt", r)
	}
	// Taken back before that, it makes none.
	if f := retract(w, ids[2], model.RetractEnteredInError).Feedback; f.Decision != model.DecisionIgnored || f.Reason != sla.ReasonRetracted {
		t.Errorf("retracted = %+v, want it ignored", f)
	}
	if r := decideAll(t, w.Store, ids[2])[ids[2]]; !r.Before || r.Decision != model.DecisionIgnored {
		t.Errorf("decided = %+v, want it decided before", r)
	}
	var kept []struct {
		Revision int
		Decision string
		Reason   string
		Score    float64
		Columns  int
	}
	err := w.Store.DB().NewRaw(`SELECT revision, coalesce(decision, '') AS decision, reason, (content->>'score')::float8 AS score,
		(SELECT count(*) FROM jsonb_object_keys(content) k WHERE k IN ('decision', 'event_id', 'heal_after')) AS columns
		FROM feedback_revisions ORDER BY decision DESC`).Scan(t.Context(), &kept)
	if err != nil || len(kept) != 2 || kept[0].Score != scoreGood || kept[0].Decision != "ignored" || kept[0].Reason != sla.ReasonNotNegative || kept[0].Columns != 0 {
		t.Errorf("kept = %+v, %v; want the first contents and what was decided of them", kept, err)
	}
	w.Holds()
}

// TestRevisingTwiceIsOnce: the same content, and a second retraction, answer as the first.
func TestRevisingTwiceIsOnce(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	f := scored(w, scoreLow)
	a := w.Create(f)[0]
	row := w.Feedback(f.ID)
	row.ContentHash, row.Text = []byte("h2"), "Somebody came."
	for n := range 2 {
		done, effects, err := w.Store.Revise(t.Context(), row, model.Origin{})
		if err != nil || done.Before != (n == 1) || done.Feedback.Revision != 1 || len(effects.Arm) != 1 {
			t.Fatalf("revise = %+v, %+v, %v", done, effects, err)
		}
	}
	if got := w.Action(a.ID); got.Version != a.Version+1 || got.Description != row.Text {
		t.Errorf("action %+v, want it changed once", got)
	}
	for n := range 2 {
		why := []model.RetractReason{model.RetractDuplicate, model.RetractOther}[n]
		done := retract(w, f.ID, why)
		if done.Before != (n == 1) || done.Feedback.RetractReason != model.RetractDuplicate {
			t.Errorf("retract = %+v", done)
		}
	}
	if done, _, err := w.Store.Revise(t.Context(), row, model.Origin{}); err != nil || !done.Before {
		t.Errorf("what stands, again = %+v, %v; want the first answer", done, err)
	}
	row.ContentHash = []byte("h3")
	if _, _, err := w.Store.Revise(t.Context(), row, model.Origin{}); !errors.Is(err, model.ErrRetracted) {
		t.Errorf("revised after the retraction = %v", err)
	}
	row.ID = model.NewID[model.Feedback]()
	if _, _, err := w.Store.Revise(t.Context(), row, model.Origin{}); !errors.Is(err, model.ErrNotFound) {
		t.Errorf("no such feedback = %v", err)
	}
	w.Holds()
}

// TestAnotherEventIsNoRevision: source type, hospital and mode are what it is.
func TestAnotherEventIsNoRevision(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	f := scored(w, scoreLow)
	w.Create(f)
	row := w.Feedback(f.ID)
	row.ContentHash, row.SourceType, row.HospitalID, row.Mode = []byte("h2"), model.SourceSurvey, w.Hospital("BER").ID.Ptr(), model.ModeHistory
	_, _, err := w.Store.Revise(t.Context(), row, model.Origin{})
	var faults model.FieldErrors
	if !errors.As(err, &faults) || len(faults) != 3 || faults[1].Field != "hospital" {
		t.Errorf("revise = %v, want three faults", err)
	}
	if w.Feedback(f.ID).Revision != 0 || w.Count("SELECT count(*) FROM feedback_revisions") != 0 {
		t.Error("something was written")
	}
}

// TestWhatIsWithdrawnComesBack: bad feedback is not lost because it was called good
// in between.
func TestWhatIsWithdrawnComesBack(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	f := scored(w, scoreMedium)
	a := w.Create(f)[0]
	revise(w, f.ID, toScore(scoreGood))
	if got := w.Action(a.ID); got.Status != model.StatusCancelled || got.NextAt != nil {
		t.Fatalf("action = %+v, want it cancelled", got)
	}
	revise(w, f.ID, func(f *model.Feedback) { f.Text = "All well." })
	w.SetTime(scenario.Start().Add(500 * time.Hour))
	revise(w, f.ID, toScore(scoreHigh))
	got := w.Action(a.ID)
	if got.Status != model.StatusOpen || got.Severity != model.SeverityHigh || got.IsOverdue || !got.DueAt.After(scenario.Start().Add(500*time.Hour)) ||
		got.NextAt == nil || got.Period != 2 {
		t.Errorf("action = %+v, want it open with a fresh target", got)
	}
	if rs := told(w, a.ID); !slices.Contains(rs, model.ReasonReopened) {
		t.Errorf("told %v, want the owner told", rs)
	}
	w.FireNext(a.ID, 3) // its deadlines come again
	if n := w.Count("SELECT count(*) FROM feedback_revisions WHERE feedback_id = ?", f.ID); n != 3 {
		t.Errorf("%d contents kept, want 3", n)
	}
	w.Holds()
}

// TestWhatOthersSayStands: an action with more feedback in it is as grave as what
// stands of it, and goes when nothing does.
func TestWhatOthersSayStands(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	first, second := call(w, "k"), call(w, "k")
	high := scoreHigh
	second.Score, second.Severity = &high, ""
	ids := w.Insert(first, second)
	got := decideAll(t, w.Store, ids...)
	id := *got[ids[0]].ActionID
	if got[ids[1]].Decision != model.DecisionMerged || w.Action(id).Severity != model.SeverityHigh {
		t.Fatalf("decided %+v", got)
	}
	revise(w, ids[1], func(f *model.Feedback) { f.Severity, f.Title = model.SeverityCritical, "Not this title" })
	if a := w.Action(id); a.Severity != model.SeverityCritical || a.Title != first.Title {
		t.Errorf("action %s %q, want it critical and with its own title", a.Severity, a.Title)
	}
	retract(w, ids[1], model.RetractWithdrawn)
	if a := w.Action(id); a.Severity != model.SeverityLow || a.Status != model.StatusOpen {
		t.Errorf("action %s %s, want what the first says", a.Severity, a.Status)
	}
	if _, _, err := w.Store.Unmerge(t.Context(), ids[1], sla.MoveRequest{Reason: "x"}); !errors.Is(err, model.ErrRetracted) {
		t.Errorf("unmerge of what was retracted = %v", err)
	}
	retract(w, ids[0], model.RetractWithdrawn)
	if a := w.Action(id); a.Status != model.StatusCancelled {
		t.Errorf("action %s, want it cancelled: nothing is left", a.Status)
	}
	w.Holds()
}

// TestARevisionMayMoveAnAction: to the department that it names now, and away from
// an owner who has become involved or may not read it any more.
func TestARevisionMayMoveAnAction(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	fs := []model.Feedback{scored(w, scoreLow), scored(w, scoreLow), scored(w, scoreLow)}
	as := w.Create(fs...)
	var ward *model.Department
	for _, d := range w.Dir.Departments {
		if d.HospitalID == *fs[0].HospitalID && d.ID != *fs[0].DepartmentID && d.Active {
			ward = d
		}
	}
	revise(w, fs[0].ID, func(f *model.Feedback) {
		f.DepartmentID, f.Category, f.Title = ward.ID.Ptr(), model.CategoryPatientSafety, "Another title"
	})
	a := w.Action(as[0].ID)
	if *a.DepartmentID != ward.ID || a.Category != model.CategoryPatientSafety || a.Severity != model.SeverityHigh || a.Title != "Another title" {
		t.Errorf("action %+v, want it in %s, about safety and high", a, ward.Code)
	}
	w.Move(as[1].ID, sla.MoveRequest{Move: model.MoveStart})
	owner := *as[1].AssignedTo
	revise(w, fs[1].ID, func(f *model.Feedback) { f.Involved = model.Of([]model.UserID{owner}) })
	if a := w.Action(as[1].ID); a.AssignedTo == nil || *a.AssignedTo == owner || a.Status != model.StatusInProgress {
		t.Errorf("owner %v, want somebody who is not involved", a.AssignedTo)
	}
	for _, m := range w.Messages(as[1].ID) {
		if m.RecipientID == owner && m.ActionVersion > 2 {
			t.Errorf("who is involved is told: %+v", m)
		}
	}
	revise(w, fs[2].ID, func(f *model.Feedback) { f.Restricted = true })
	if a := w.Action(as[2].ID); !a.Restricted {
		t.Error("it is not restricted")
	}
	w.Holds()
}

// TestNoWordsInWhatTellsOfARevision: neither in the story nor in messages.
func TestNoWordsInWhatTellsOfARevision(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	f := scored(w, scoreLow)
	a := w.Create(f)[0]
	revise(w, f.ID, func(f *model.Feedback) { f.Title, f.Text, f.SubjectKey = "ZEBRA title", "ZEBRA text", "ZEBRA" })
	retract(w, f.ID, model.RetractOther)
	facts := ""
	for _, l := range stories(w, a.ID) {
		raw, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		facts += string(raw)
		if l.LogType == model.LogRevised && l.Metadata.V["move"] == string(model.MoveRevise) {
			if got, _ := json.Marshal(l.Metadata.V["changed"]); string(got) != `["subject","title","text"]` {
				t.Errorf("changed = %s", got)
			}
		}
	}
	for _, m := range w.Messages(a.ID) {
		raw, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		facts += string(raw)
	}
	if strings.Contains(facts, "ZEBRA") {
		t.Errorf("words are told: %s", facts)
	}
	w.Holds()
}

// TestRevisingWhileSomebodyStarts: whoever comes second finds what the first did.
func TestRevisingWhileSomebodyStarts(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	twin := w.Twin()
	const n = 12
	var fs []model.Feedback
	for range n {
		fs = append(fs, scored(w, scoreMedium))
	}
	as := w.Create(fs...)
	var wg sync.WaitGroup
	started := make([]bool, n)
	for i := range n {
		wg.Go(func() {
			for { // who waits too long for a lock comes again
				_, _, err := w.Store.Retract(t.Context(), fs[i].ID, model.RetractDuplicate, model.Origin{})
				if !errors.Is(err, model.ErrUnavailable) {
					if err != nil {
						t.Error(err)
					}
					return
				}
			}
		})
		wg.Go(func() {
			for {
				rs, _, err := twin.Store.Move(t.Context(), []store.Move{{ActionID: as[i].ID, Request: sla.MoveRequest{Move: model.MoveStart}}})
				if err != nil {
					t.Error(err)
					return
				}
				if errors.Is(rs[0].Err, model.ErrUnavailable) {
					continue
				}
				started[i] = rs[0].Err == nil
				return
			}
		})
	}
	wg.Wait()
	for i := range n {
		want := model.StatusCancelled
		if started[i] {
			want = model.StatusInProgress
		}
		if a := w.Action(as[i].ID); a.Status != want || w.Feedback(fs[i].ID).RetractedAt == nil {
			t.Errorf("action %s, want %s", a.Status, want)
		}
	}
	w.Holds()
}
