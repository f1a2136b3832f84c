package store_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

// TestLifeOfAnAction walks one action through its whole plan by stepping the
// clock to each armed job and firing it.
func TestLifeOfAnAction(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	ids := w.Insert(w.Complaint(model.SeverityCritical))
	created, effects, err := w.Store.Create(t.Context(), ids)
	if err != nil || len(created) != 1 || created[0].Err != nil {
		t.Fatalf("create: %+v, %v", created, err)
	}
	if len(effects.Arm) != 1 || effects.Arm[0].Kind != model.EventAck {
		t.Fatalf("effects = %+v, want one acknowledgement armed", effects)
	}
	id := *created[0].ActionID
	for {
		a := w.Action(id)
		if a.NextAt == nil {
			break
		}
		ref := store.DeadlineRef{ActionID: id, Gen: a.Gen}
		rs, _, err := w.Store.Fire(t.Context(), []store.DeadlineRef{ref})
		if err != nil || rs[0].Outcome != store.NotDue || rs[0].Wait <= 0 {
			t.Fatalf("early fire = %+v, %v; want not due", rs, err)
		}
		w.SetTime(*a.NextAt)
		rs, _, err = w.Store.Fire(t.Context(), []store.DeadlineRef{ref})
		if err != nil || rs[0].Outcome != store.Fired {
			t.Fatalf("fire = %+v, %v", rs, err)
		}
		rs, _, err = w.Store.Fire(t.Context(), []store.DeadlineRef{ref})
		if err != nil || rs[0].Outcome != store.Stale {
			t.Fatalf("second fire = %+v, %v; want stale", rs, err)
		}
	}
	want := []struct {
		kind  model.EventKind
		stage int
		after time.Duration
	}{
		{model.EventAck, 1, time.Hour}, {model.EventReminder, 1, 20 * time.Hour}, {model.EventOverdue, 0, 24 * time.Hour},
		{model.EventEscalation, 1, 26 * time.Hour}, {model.EventEscalation, 2, 28 * time.Hour}, {model.EventEscalation, 3, 30 * time.Hour},
	}
	events := w.Events(id)
	if len(events) != len(want) {
		t.Fatalf("events = %+v, want %d", events, len(want))
	}
	for i, e := range events {
		if e.Kind != want[i].kind || e.Stage != want[i].stage || !e.Planned.Equal(w.Action(id).ClockStart.Add(want[i].after)) {
			t.Errorf("event %d = %s %d at %s, want %+v", i, e.Kind, e.Stage, e.Planned, want[i])
		}
	}
	w.Holds()
}

func TestMoveToClosure(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	created, _, err := w.Store.Create(t.Context(), w.Insert(w.Complaint(model.SeverityHigh)))
	if err != nil {
		t.Fatal(err)
	}
	id := *created[0].ActionID
	owner := w.Action(id).AssignedTo
	if owner == nil {
		t.Fatal("no owner")
	}
	admin := w.Dir.Holders(model.RolePXAdmin, w.Hospital("RUH").ID.Ptr(), nil, scenario.Start(), []model.UserID{*owner})[0]
	steps := []sla.MoveRequest{
		{Move: model.MoveStart, Actor: owner},
		{Move: model.MoveNote, Actor: owner, Text: "called the family"},
		scenario.Submission(model.MoveSubmit, owner),
		{Move: model.MoveReject, Actor: &admin, Reason: "say by when"},
		{Move: model.MoveSubmit, Actor: owner, Outcome: "done, from Monday"},
		{Move: model.MoveApprove, Actor: &admin},
		{Move: model.MoveClose, Actor: &admin},
	}
	for _, s := range steps {
		rs, _, err := w.Store.Move(t.Context(), []store.Move{{ActionID: id, Request: s}})
		if err != nil || rs[0].Err != nil {
			t.Fatalf("%s: %v, %v", s.Move, err, rs[0].Err)
		}
	}
	if a := w.Action(id); a.Status != model.StatusClosed || a.NextAt != nil || a.ClosedAt == nil {
		t.Errorf("action = %+v", a)
	}
	w.Holds()
}

// TestJSONSurvivesTheDatabase: an escape that is only text is no control
// character, whatever a driver makes of it.
func TestJSONSurvivesTheDatabase(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	const doc = `{"b": "\\u0000 ok", "q": "it's \"so\"", "n": 1.50, "e": "م"}`
	f := w.Complaint(model.SeverityLow)
	f.Metadata = model.Of(json.RawMessage(doc))
	a := w.Create(f)[0]
	var want, got map[string]any
	if err := json.Unmarshal([]byte(doc), &want); err != nil {
		t.Fatal(err)
	}
	for name, have := range map[string]json.RawMessage{"feedback": w.Feedback(f.ID).Metadata.V, "action": a.Metadata.V} {
		got = nil
		if err := json.Unmarshal(have, &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("metadata of the %s = %s, %v; want %s", name, have, err, doc)
		}
	}
}

// TestABatchAnswersForEachGen: a database that was put back to an earlier moment
// has jobs in the queue that are ahead of it. They find nothing to do, and leave
// the one that comes beside them its due.
func TestABatchAnswersForEachGen(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, scenario.NoAck())
	a := w.Create(w.Complaints(1, model.SeverityCritical)...)[0]
	jobs := []store.DeadlineRef{{ActionID: a.ID, Gen: a.Gen - 1}, {ActionID: a.ID, Gen: a.Gen}, {ActionID: a.ID, Gen: a.Gen + 1}, {ActionID: a.ID, Gen: a.Gen}}
	for _, want := range []store.FireOutcome{store.NotDue, store.Fired} {
		rs, _, err := w.Store.Fire(t.Context(), jobs)
		if err != nil || len(rs) != 3 {
			t.Fatalf("fire = %+v, %v; want three results", rs, err)
		}
		for _, r := range rs {
			if (r.Outcome == want) != (r.Ref.Gen == a.Gen) || (r.Outcome == store.Stale) != (r.Ref.Gen != a.Gen) {
				t.Errorf("gen %d of %d: %s", r.Ref.Gen, a.Gen, r.Outcome)
			}
		}
		w.SetTime(*a.NextAt)
	}
}
