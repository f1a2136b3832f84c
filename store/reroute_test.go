package store_test

import (
	"testing"

	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

func TestWhoLeavesHandsOverTheirActions(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, []byte("routing: [{name: all, assign_to_role: PX Coordinator}]"))
	as := w.Create(w.Complaints(5, model.SeverityHigh)...)
	gone := *as[0].AssignedTo
	var theirs []model.ActionID
	for _, a := range as {
		if *a.AssignedTo == gone {
			theirs = append(theirs, a.ID)
		}
	}
	if len(theirs) < 2 || len(theirs) == len(as) {
		t.Fatalf("%d of 5 are theirs, want some", len(theirs))
	}
	closed := theirs[0]
	w.Move(closed, sla.MoveRequest{Move: model.MoveCancel, Reason: "twice"})
	if done, _, err := w.Store.Reroute(t.Context(), store.Keyset{}, 10); err != nil || done.Seen != 0 {
		t.Fatalf("with everybody there = %+v, %v; want nothing to do", done, err)
	}
	w.Exec("UPDATE users SET active = false WHERE id = ?", gone)
	w.Exec("UPDATE directory_version SET version = version + 1")
	var seen int
	for after := (store.Keyset{}); ; {
		done, _, err := w.Store.Reroute(t.Context(), after, 1)
		if err != nil {
			t.Fatal(err)
		}
		if seen += done.Seen; done.Seen == 0 {
			break
		}
		after = done.Next
	}
	if seen != len(theirs)-1 {
		t.Errorf("seen %d, want the %d live ones", seen, len(theirs)-1)
	}
	for _, id := range theirs[1:] {
		a := w.Action(id)
		if a.AssignedTo == nil || *a.AssignedTo == gone {
			t.Errorf("action %s is still with who left", a.Ref)
		}
		if n := w.Count("SELECT count(*) FROM action_logs WHERE action_id = ? AND log_type = 'assignment' AND metadata->>'move' = 'reroute'", id); n != 1 {
			t.Errorf("the story tells %d times of it, want once", n)
		}
		if n := w.Count("SELECT count(*) FROM messages WHERE action_id = ? AND recipient_id = ? AND reason = 'reassigned'", id, *a.AssignedTo); n != 1 {
			t.Errorf("the new owner was told %d times, want once", n)
		}
	}
	if a := w.Action(closed); *a.AssignedTo != gone {
		t.Error("an ended action changed hands")
	}
	// With nobody left, the owner stays, and the walk comes to an end.
	w.Exec("UPDATE users SET active = false")
	w.Exec("UPDATE directory_version SET version = version + 1")
	if done, _, err := w.Store.Reroute(t.Context(), store.Keyset{}, 10); err != nil || done.Seen != 4 || len(done.Moved) != 0 {
		t.Errorf("with nobody = %+v, %v; want nothing moved", done, err)
	}
	w.Holds()
}

// TestWhoDoesNotStartLosesTheAction: once, to somebody else; a second miss stays
// with who is then the owner.
func TestWhoDoesNotStartLosesTheAction(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, []byte(`
routing: [{name: all, assign_to_role: PX Coordinator}]
sla:
  - {name: quick, hospital: RUH, department: ED, ack_targets: {high: 1h}, ack_reroute: true}
  - {name: all, ack_targets: {high: 1h}}`))
	elsewhere := w.Complaint(model.SeverityHigh)
	elsewhere.DepartmentID = nil
	as := w.Create(append(w.Complaints(3, model.SeverityHigh), elsewhere)...)
	missed, started, held, told := as[0], as[1], as[2], as[3]
	w.Move(started.ID, sla.MoveRequest{Move: model.MoveStart})
	w.Move(held.ID, sla.MoveRequest{Move: model.MoveHold, Reason: "waits for the family"})
	reroute := func() []store.Moved {
		t.Helper()
		done, _, err := w.Store.Reroute(t.Context(), store.Keyset{}, 10)
		if err != nil {
			t.Fatal(err)
		}
		return done.Moved
	}
	if moved := reroute(); len(moved) != 0 {
		t.Fatalf("in time = %+v, want nobody to lose one", moved)
	}
	w.FireNext(missed.ID, 1)
	w.FireNext(told.ID, 1)
	if moved := reroute(); len(moved) != 1 || moved[0].Action.ID != missed.ID || *moved[0].Action.AssignedTo == *missed.AssignedTo {
		t.Fatalf("moved = %+v, want the one missed, to somebody else", moved)
	}
	if moved := reroute(); len(moved) != 0 {
		t.Fatalf("again = %+v, want the new owner's time kept", moved)
	}
	second := *w.Action(missed.ID).AssignedTo
	w.FireNext(missed.ID, 1)
	if moved := reroute(); len(moved) != 0 || *w.Action(missed.ID).AssignedTo != second {
		t.Errorf("moved = %+v, want it to change hands once", moved)
	}
	// Nor is it locked at every sweep from now on.
	if done, _, err := w.Store.Reroute(t.Context(), store.Keyset{}, 10); err != nil || done.Seen != 0 {
		t.Errorf("after the second miss = %+v, %v; want it passed over", done, err)
	}
	if es := w.Events(missed.ID); len(es) != 2 || es[0].Kind != model.EventAck || es[1].Stage != 2 {
		t.Errorf("events = %+v, want both misses", es)
	}
	w.Holds()
}
