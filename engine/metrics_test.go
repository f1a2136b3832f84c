package engine_test

import (
	"testing"
	"time"

	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

func TestDecisionsAreCountedOnce(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	praise := w.Complaint(model.SeverityLow)
	praise.Kind = model.KindPraise
	ids := w.Insert(w.Complaint(model.SeverityHigh), praise)
	for range 2 { // the second time is a task's retry
		if _, err := w.Engine.Decide(t.Context(), ids); err != nil {
			t.Fatal(err)
		}
	}
	for decision, want := range map[model.Decision]float64{model.DecisionCreated: 1, model.DecisionIgnored: 1} {
		if n := w.Metric("px_decisions_total", string(decision)); n != want {
			t.Errorf("px_decisions_total %s = %v, want %v", decision, n, want)
		}
	}
	if n := w.Metric("px_decision_delay_seconds"); n != 1 {
		t.Errorf("px_decision_delay_seconds observed %v times, want once", n)
	}
}

func TestLatenessIsEachEventsOwn(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, scenario.NoAck())
	a := w.Create(w.Complaint(model.SeverityCritical))[0]
	w.SetTime(a.DueAt.Add(30 * time.Minute)) // the reminder is late by 4.5 h, the due by half an hour
	r, err := w.Engine.Fire(t.Context(), w.Job(a.ID))
	if err != nil || r.Outcome != store.Fired || len(r.Taken) != 2 {
		t.Fatalf("fire = %+v, %v; want two events", r, err)
	}
	for i, want := range []time.Duration{270 * time.Minute, 30 * time.Minute} {
		if d := r.Taken[i].Late - want; d < 0 || d > time.Minute {
			t.Errorf("event %d late by %s, want %s", i, r.Taken[i].Late, want)
		}
	}
	for _, kind := range []string{"reminder", "overdue"} {
		if n := w.Metric("px_deadline_lateness_seconds", kind); n != 1 {
			t.Errorf("px_deadline_lateness_seconds %s observed %v times, want once", kind, n)
		}
	}
}

// TestNobodyThereIsCounted empties the hospital: an action without owner, and a
// stage with nobody to tell.
func TestNobodyThereIsCounted(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	w.Exec("UPDATE users SET active = false")
	w.Exec("UPDATE directory_version SET version = version + 1")
	created, err := w.Engine.Decide(t.Context(), w.Insert(w.Complaint(model.SeverityCritical)))
	if err != nil || !created[0].NoOwner {
		t.Fatalf("decide = %+v, %v; want no owner", created, err)
	}
	if n := w.Metric("px_actions_without_owner_total"); n != 1 {
		t.Errorf("px_actions_without_owner_total = %v, want 1", n)
	}
	id := *created[0].ActionID
	for range 3 {
		w.SetTime(*w.Action(id).NextAt)
		if r, err := w.Engine.Fire(t.Context(), w.Job(id)); err != nil || r.Outcome != store.Fired {
			t.Fatalf("fire = %+v, %v", r, err)
		}
	}
	if es := w.Events(id); len(es) != 3 || es[2].Kind != model.EventEscalation || es[2].Done != model.DoneUntargeted {
		t.Errorf("events = %+v, want an untargeted stage", es)
	}
	if n := w.Metric("px_stages_untargeted_total"); n != 1 {
		t.Errorf("px_stages_untargeted_total = %v, want the one stage", n)
	}
	// One that a move settles counts like one that fires.
	w.SetTime(*w.Action(id).NextAt)
	if _, err := w.Engine.Move(t.Context(), id, 0, sla.MoveRequest{Move: model.MoveNote, Text: "seen"}); err != nil {
		t.Fatal(err)
	}
	if n := w.Metric("px_stages_untargeted_total"); n != 2 {
		t.Errorf("px_stages_untargeted_total = %v, want the stage that the move settled too", n)
	}
	if n := w.Metric("px_deadline_lateness_seconds", "escalation"); n != 2 {
		t.Errorf("px_deadline_lateness_seconds observed %v stages, want 2", n)
	}
	w.Holds()
}

func TestMovesAreCountedByOutcome(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	a := w.Create(w.Complaint(model.SeverityHigh))[0]
	for _, refused := range []bool{false, true} {
		got, err := w.Engine.Move(t.Context(), a.ID, 0, sla.MoveRequest{Move: model.MoveStart, Actor: a.AssignedTo})
		if refused != (err != nil) || refused != (got == nil) {
			t.Errorf("move = %+v, %v; want refused: %t", got, err, refused)
		}
	}
	for _, outcome := range []string{"made", "refused"} {
		if n := w.Metric("px_moves_total", "start", outcome); n != 1 {
			t.Errorf("px_moves_total start %s = %v, want 1", outcome, n)
		}
	}
	if _, err := w.Engine.Move(t.Context(), model.NewID[model.Action](), 0, sla.MoveRequest{Move: model.MoveStart}); err == nil {
		t.Error("an action that is not there was moved")
	}
}
