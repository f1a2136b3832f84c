package store_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

// call is a signal of the call centre about one patient, of severity low.
func call(w *scenario.World, subject string) model.Feedback {
	f := w.Complaint(model.SeverityLow)
	lo, hi, score := 1.0, 5.0, 2.9
	f.SourceType, f.SubjectKey = model.SourceCallCenter, subject
	f.Score, f.ScoreMin, f.ScoreMax, f.ScoreBetter = &score, &lo, &hi, model.BetterHigh
	return f
}

// decideAll decides feedback and returns the answers by its id.
func decideAll(t *testing.T, s *store.Store, ids ...model.FeedbackID) map[model.FeedbackID]store.Created {
	t.Helper()
	rs, _, err := s.Create(t.Context(), ids)
	if err != nil {
		t.Fatal(err)
	}
	by := map[model.FeedbackID]store.Created{}
	for _, r := range rs {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		by[r.FeedbackID] = r
	}
	return by
}

// TestSignalsOfOnePatientBecomeOneAction: in one batch and over several, with the
// graver severity, and complaints apart.
func TestSignalsOfOnePatientBecomeOneAction(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	mild, second := call(w, "k1"), call(w, "k1")
	second.Severity = model.SeverityHigh
	complaint := w.Complaint(model.SeverityMedium)
	complaint.SubjectKey = "k1"
	ids := w.Insert(mild, second, call(w, "k2"), call(w, ""), call(w, ""), complaint)
	got := decideAll(t, w.Store, ids...)
	first := *got[ids[0]].ActionID
	if r := got[ids[1]]; r.Decision != model.DecisionMerged || *r.ActionID != first || r.Reason != sla.ReasonSameSubject {
		t.Errorf("the second signal = %+v, want it merged into the first's action", r)
	}
	for _, id := range append(ids[2:5:5], ids[5]) {
		if r := got[id]; r.Decision != model.DecisionCreated {
			t.Errorf("feedback = %+v, want an action of its own", r)
		}
	}
	if a := w.Action(*got[ids[5]].ActionID); a.LinkedTo == nil || *a.LinkedTo != first {
		t.Errorf("the complaint is linked to %v, want %s", a.LinkedTo, first)
	}
	later := w.Insert(call(w, "k1"))[0]
	decideAll(t, w.Store, later)
	a := w.Action(first)
	if a.Severity != model.SeverityHigh || a.Ref == "" || w.Feedback(later).ActionID == nil || *w.Feedback(later).ActionID != first {
		t.Errorf("action %+v, want it high and joined by a third", a)
	}
	y, err := w.Store.Story(t.Context(), first, store.StoryOptions{})
	if err != nil || len(y.Feedback) != 3 || len(y.Linked) != 1 {
		t.Errorf("story = %d feedback, %d links, %v; want 3 and the complaint", len(y.Feedback), len(y.Linked), err)
	}
	for _, m := range w.Messages(first) {
		if m.Facts.V.Ref != a.Ref {
			t.Errorf("message %+v names %q, want %s", m, m.Facts.V.Ref, a.Ref)
		}
	}
	if r := decideAll(t, w.Store, later)[later]; !r.Before || r.Decision != model.DecisionMerged {
		t.Errorf("decided again = %+v, want the first answer", r)
	}
	w.Holds()
}

// TestSignalsDecidedAtOnceBecomeOneAction: whoever comes second finds the action
// that the first has made, whichever process it is.
func TestSignalsDecidedAtOnceBecomeOneAction(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	twin := w.Twin()
	const patients, signals = 6, 8
	var ids []model.FeedbackID
	for n := range patients * signals {
		ids = append(ids, w.Insert(call(w, string(rune('a'+n%patients))))...)
	}
	var wg sync.WaitGroup
	for n := range signals {
		batch := ids[n*patients : (n+1)*patients]
		wg.Go(func() {
			s := []*store.Store{w.Store, twin.Store}[n%2]
			for len(batch) > 0 { // what others are at is to be tried again
				rs, _, err := s.Create(t.Context(), batch)
				if err != nil {
					t.Error(err)
					return
				}
				batch = nil
				for _, r := range rs {
					if r.Err != nil {
						batch = append(batch, r.FeedbackID)
					}
				}
			}
		})
	}
	wg.Wait()
	if n := w.Count("SELECT count(*) FROM actions"); n != patients {
		t.Errorf("%d actions, want one of each of %d patients", n, patients)
	}
	if n := w.Count("SELECT count(*) FROM feedback WHERE decision = 'merged'"); n != patients*(signals-1) {
		t.Errorf("%d merged, want %d", n, patients*(signals-1))
	}
	w.Holds()
}

// TestASubjectThatSomebodyIsAtWaitsAlone: the others of its batch are decided.
func TestASubjectThatSomebodyIsAtWaitsAlone(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	a := w.Create(call(w, "k1"))[0]
	for what, hold := range map[string]string{
		"the subject": "SELECT pg_advisory_xact_lock(hashtextextended('k1', 0))",
		"the action":  "SELECT 1 FROM actions WHERE id = '" + a.ID.String() + "' FOR UPDATE",
	} {
		tx, err := w.Store.DB().Begin()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec(hold); err != nil {
			t.Fatal(err)
		}
		ids := w.Insert(call(w, "k1"), call(w, ""))
		rs, _, err := w.Store.Create(t.Context(), ids)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rs {
			if busy := r.FeedbackID == ids[0]; busy != (r.Err != nil) {
				t.Errorf("while %s is held: %+v; want the one of that subject to wait, alone", what, r)
			}
		}
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
		if r := decideAll(t, w.Store, ids[0])[ids[0]]; r.Decision != model.DecisionMerged {
			t.Errorf("after %s was free: %+v, want it merged", what, r)
		}
	}
	w.Holds()
}

// TestALinkTellsNothingOfWhatIsRestricted: who may read that sees both, nobody
// else that it is there.
func TestALinkTellsNothingOfWhatIsRestricted(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	open, secret := call(w, "k1"), call(w, "k1")
	secret.Restricted = true
	ids := w.Insert(open, secret)
	got := decideAll(t, w.Store, ids...)
	for i, want := range []int{0, 1} {
		y, err := w.Store.Story(t.Context(), *got[ids[i]].ActionID, store.StoryOptions{})
		if err != nil || len(y.Linked) != want {
			t.Errorf("links of %s = %+v, %v; want %d", y.Action.Ref, y.Linked, err, want)
		}
	}
}

// TestOnlyWhatMayBeJoinedIsWaitedFor: neither where the policy joins nothing, nor
// for an action of long before.
func TestOnlyWhatMayBeJoinedIsWaitedFor(t *testing.T) {
	t.Parallel()
	for name, policy := range map[string]string{"of long before": "{}", "nothing joins": "merge: {is_active: false}"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := scenario.New(t, []byte(policy))
			old := call(w, "k1")
			if name == "of long before" {
				old.ReceivedAt = scenario.Start().Add(-73 * time.Hour)
			}
			a := w.Create(old)[0]
			tx, err := w.Store.DB().Begin()
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = tx.Rollback() }()
			if _, err := tx.Exec("SELECT 1 FROM actions WHERE id = ? FOR UPDATE", a.ID); err != nil {
				t.Fatal(err)
			}
			id := w.Insert(call(w, "k1"))[0]
			if r := decideAll(t, w.Store, id)[id]; r.Decision != model.DecisionCreated {
				t.Errorf("decided = %+v, want an action of its own", r)
			}
		})
	}
}

// TestASubjectOfManyIsNoBurden: a sender that gives every patient the same number
// has its feedback decided, and the actions that came late fired, all the same.
func TestASubjectOfManyIsNoBurden(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	complaints := w.Complaints(52, model.SeverityLow)
	for i := range complaints {
		complaints[i].SubjectKey, complaints[i].ReceivedAt = "0", scenario.Start().Add(time.Duration(i-60)*time.Minute)
	}
	ids := w.Insert(complaints...)
	made := decideAll(t, w.Store, ids[:51]...)
	tx, err := w.Store.DB().Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.Exec("SELECT 1 FROM actions WHERE id = ? FOR UPDATE", *made[ids[50]].ActionID); err != nil {
		t.Fatal(err)
	}
	r := decideAll(t, w.Store, ids[51])[ids[51]]
	if a := w.Action(*r.ActionID); a.LinkedTo == nil || *a.LinkedTo != *made[ids[0]].ActionID {
		t.Errorf("linked to %v, want the first of all", a.LinkedTo)
	}
}

func TestUnmerge(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	ids := w.Insert(call(w, "k1"), call(w, "k1"))
	decideAll(t, w.Store, ids...)
	from, admin := *w.Feedback(ids[0]).ActionID, w.User("ruh-amal").ID
	req := sla.MoveRequest{Actor: &admin, Reason: "another patient"}
	if _, _, err := w.Store.Unmerge(t.Context(), ids[0], req); !errors.Is(err, model.ErrConflict) {
		t.Errorf("of the first = %v, want a conflict: it made the action", err)
	}
	if _, _, err := w.Store.Unmerge(t.Context(), model.NewID[model.Feedback](), req); !errors.Is(err, model.ErrNotFound) {
		t.Errorf("of none = %v, want not found", err)
	}
	done, effects, err := w.Store.Unmerge(t.Context(), ids[1], req)
	if err != nil || done.From.ID != from || done.Action.ID == from || len(effects.Arm) != 2 && len(effects.Arm) != 1 {
		t.Fatalf("unmerge = %+v, %+v, %v", done, effects, err)
	}
	f, own := w.Feedback(ids[1]), w.Action(done.Action.ID)
	if f.Decision != model.DecisionCreated || *f.ActionID != own.ID || own.LinkedTo == nil || *own.LinkedTo != from || own.Ref == w.Action(from).Ref {
		t.Errorf("feedback %s of %s, want an action of its own, linked", f.Decision, own.Ref)
	}
	if n := w.Count("SELECT count(*) FROM action_logs l JOIN log_texts x ON x.log_id = l.id WHERE action_id = ? AND metadata->>'action' = ? AND words = 'another patient'", from, own.Ref); n != 1 {
		t.Errorf("the story tells of it %d times, want once", n)
	}
	// It would not be negative by the policy of now: it stays where it is.
	later := w.Insert(call(w, "k1"))[0]
	decideAll(t, w.Store, later)
	apply(t, w, "triggers: [{score: {below: 10}}]")
	var faults model.FieldErrors
	if _, _, err := w.Store.Unmerge(t.Context(), later, req); !errors.As(err, &faults) || w.Feedback(later).Decision != model.DecisionMerged {
		t.Errorf("of what is not negative any more = %v, want it refused", err)
	}
	w.SetTime(scenario.Start().Add(time.Minute))
	w.Holds()
}
