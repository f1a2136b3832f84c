package store_test

import (
	"testing"
	"time"

	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/model"
)

func TestPeriodicWorkIsDueAgainOnceGivenBack(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	for i, want := range []bool{true, false, true} {
		if i == 2 {
			if err := w.Store.GiveBack(t.Context(), "verify"); err != nil {
				t.Fatal(err)
			}
		}
		got, err := w.Store.ClaimDue(t.Context(), "verify", time.Hour)
		if err != nil || got != want {
			t.Fatalf("claim %d = %v, %v; want %v", i+1, got, err, want)
		}
	}
}

func TestAnOwnerWhoLeftIsNoOwner(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	created, _, err := w.Store.Create(t.Context(), w.Insert(w.Complaint(model.SeverityHigh)))
	if err != nil {
		t.Fatal(err)
	}
	if unowned, err := w.Store.Unowned(t.Context()); err != nil || unowned {
		t.Fatalf("unowned = %v, %v before", unowned, err)
	}
	owner := w.Action(*created[0].ActionID).AssignedTo
	if _, err := w.Store.DB().NewRaw("UPDATE users SET active = false WHERE id = ?", *owner).Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	if unowned, err := w.Store.Unowned(t.Context()); err != nil || !unowned {
		t.Errorf("unowned = %v, %v once the owner has left", unowned, err)
	}
}
