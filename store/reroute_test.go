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
