package store_test

import (
	"errors"
	"testing"

	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

func TestALockedRowIsLeftOut(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	as := w.Create(w.Complaints(3, model.SeverityCritical)...)
	fresh := w.Insert(w.Complaints(3, model.SeverityCritical)...)
	w.SetTime(*as[0].NextAt)
	held, err := w.Store.DB().BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = held.Rollback() })
	for table, id := range map[string]any{"actions": as[1].ID, "feedback": fresh[1]} {
		if _, err := held.ExecContext(t.Context(), "SELECT 1 FROM "+table+" WHERE id = ? FOR UPDATE", id); err != nil {
			t.Fatal(err)
		}
	}
	fired, _, err := w.Store.Fire(t.Context(), []store.DeadlineRef{w.Job(as[0].ID), w.Job(as[1].ID), w.Job(as[2].ID)})
	if err != nil || len(fired) != 3 {
		t.Fatalf("fire = %+v, %v", fired, err)
	}
	for _, r := range fired {
		want := store.Fired
		if r.Ref.ActionID == as[1].ID {
			want = store.Busy
		}
		if r.Outcome != want || r.Err != nil {
			t.Errorf("fire %s = %+v, want %s", r.Ref.ActionID, r, want)
		}
	}
	created, _, err := w.Store.Create(t.Context(), fresh)
	if err != nil || len(created) != 3 {
		t.Fatalf("create = %+v, %v", created, err)
	}
	for _, r := range created {
		if held := r.FeedbackID == fresh[1]; held != errors.Is(r.Err, model.ErrUnavailable) || held != (r.Decision == "") {
			t.Errorf("create %s = %+v", r.FeedbackID, r)
		}
	}
	if f := w.Feedback(fresh[1]); f.Tries != 0 {
		t.Errorf("tries = %d, want none counted: it was not looked at", f.Tries)
	}
	// A person's move waits as long, and is told.
	moved, _, err := w.Store.Move(t.Context(), []store.Move{{ActionID: as[1].ID, Request: sla.MoveRequest{Move: model.MoveNote, Text: "x"}}})
	if !errors.Is(err, model.ErrUnavailable) {
		t.Errorf("move = %+v, %v; want unavailable", moved, err)
	}
}

// TestATransactionWhoseProcessIsGoneEnds: a connection that says nothing more
// must not keep its locks until the network notices.
func TestATransactionWhoseProcessIsGoneEnds(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	id := w.Insert(w.Complaint(model.SeverityHigh))[0]
	w.Exec(`CREATE TABLE seen (idle text, lock text);
		CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			INSERT INTO seen VALUES (current_setting('idle_in_transaction_session_timeout'), current_setting('lock_timeout'));
			RETURN NEW;
		END $$;
		CREATE TRIGGER look BEFORE UPDATE ON feedback FOR EACH ROW EXECUTE FUNCTION look()`)
	if _, _, err := w.Store.Create(t.Context(), []model.FeedbackID{id}); err != nil {
		t.Fatal(err)
	}
	if n := w.Count("SELECT count(*) FROM seen WHERE idle = '1min' AND lock = '1s'"); n != 1 {
		t.Errorf("the transaction had no bounds")
	}
}
