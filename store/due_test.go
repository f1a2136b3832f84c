package store_test

import (
	"testing"

	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/model"
)

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
