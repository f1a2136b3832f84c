package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

func newHook(t *testing.T, w *scenario.World, name string) *model.Hook {
	t.Helper()
	h := &model.Hook{Name: name, URL: "https://host.example/px", CreatedBy: "test"}
	if err := w.Store.CreateHook(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	return h
}

func TestHooksAreChecked(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	newHook(t, w, "taken")
	for _, tt := range []struct {
		field, code string
		h           model.Hook
	}{
		{"hook.name", "format", model.Hook{Name: "Our host", URL: "https://host.example/"}},
		{"hook.name", "format", model.Hook{URL: "https://host.example/"}},
		{"hook.name", "duplicate", model.Hook{Name: "taken", URL: "https://host.example/"}},
		{"hook.url", "format", model.Hook{Name: "a", URL: "ftp://host.example/"}},
		{"hook.url", "format", model.Hook{Name: "a", URL: "https://user:pw@host.example/"}},
		{"hook.url", "format", model.Hook{Name: "a"}},
		{"hook.hospitals", "unmapped", model.Hook{Name: "a", URL: "https://host.example/", Hospitals: model.Of([]model.HospitalID{model.NewID[model.Hospital]()})}},
	} {
		var faults model.FieldErrors
		if err := w.Store.CreateHook(t.Context(), &tt.h); !errors.As(err, &faults) || faults[0].Field != tt.field || faults[0].Code != tt.code {
			t.Errorf("create %+v: %v, want %s of %s", tt.h, err, tt.code, tt.field)
		}
	}
	for _, err := range []error{w.Store.ActivateHook(t.Context(), "none", true), w.Store.DeleteHook(t.Context(), "none")} {
		if !errors.Is(err, model.ErrNotFound) {
			t.Errorf("a hook that is not there: %v", err)
		}
	}
	if err := w.Store.DeleteHook(t.Context(), "taken"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Store.HookByName(t.Context(), "taken"); !errors.Is(err, model.ErrNotFound) {
		t.Errorf("a deleted hook is still there: %v", err)
	}
	newHook(t, w, "taken")
}

// TestAHookIsCalledByOne: a claim keeps others away, and whoever lost it writes
// nothing any more.
func TestAHookIsCalledByOne(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	h := newHook(t, w, "host")
	claim := func(lease time.Duration) *model.Hook {
		t.Helper()
		c, err := w.Store.ClaimHook(t.Context(), h.ID, lease)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	settle := func(s store.HookSettled) bool {
		t.Helper()
		mine, err := w.Store.SettleHook(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		return mine
	}
	slow := claim(0) // runs out at once
	if slow == nil || slow.Secret != h.Secret || slow.Cursor != h.Cursor {
		t.Fatalf("claimed %+v, want the hook as it was made", slow)
	}
	quick := claim(time.Minute)
	if quick == nil || claim(time.Minute) != nil {
		t.Fatal("a claim that ran out is taken over, one that did not is not")
	}
	next := model.Cursor{Epoch: h.Cursor.Epoch, XID: h.Cursor.XID + 1, ActionID: model.NewID[model.Action](), Seq: 3}
	if settle(store.HookSettled{Hook: slow, Next: next}) {
		t.Error("who lost the claim settled it")
	}
	if !settle(store.HookSettled{Hook: quick, Next: next}) {
		t.Error("who has the claim did not settle it")
	}
	if c := claim(time.Minute); c == nil || c.Cursor != next || c.LastOKAt == nil {
		t.Errorf("after the call %+v, want it behind %s", c, next)
	} else if !settle(store.HookSettled{Hook: c, Why: "http_503", RetryIn: time.Hour}) {
		t.Error("the failure was not written")
	}
	if c := claim(time.Minute); c != nil {
		t.Error("claimed before its next try")
	}
	for _, active := range []bool{false, true} {
		if err := w.Store.ActivateHook(t.Context(), "host", active); err != nil {
			t.Fatal(err)
		}
		if c := claim(time.Minute); (c != nil) != active {
			t.Errorf("claimed %+v of a hook that is active: %t", c, active)
		}
	}
}

// TestCursorsOfAnotherLifeAreRefused: what was given out by a database that was
// restored since is never taken for a place in this one.
func TestCursorsOfAnotherLifeAreRefused(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	end, err := w.Store.StreamEnd(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	gone := func(what string, c model.Cursor) {
		t.Helper()
		if _, err := w.Store.Changes(t.Context(), store.ChangeFilter{After: c}); !errors.Is(err, store.ErrCursorGone) {
			t.Errorf("%s: %v, want ErrCursorGone", what, err)
		}
	}
	gone("another epoch", model.Cursor{Epoch: "other", XID: end.XID})
	gone("ahead of the database", model.Cursor{Epoch: end.Epoch, XID: end.XID + 1_000_000_000})
	w.Exec("UPDATE stream SET cluster = cluster + 1")
	gone("another cluster", end)
	if err := w.Store.CreateHook(t.Context(), &model.Hook{Name: "host", URL: "https://host.example/"}); !errors.Is(err, store.ErrCursorGone) {
		t.Errorf("a hook of a stream that stands still: %v", err)
	}
	if _, err := w.Store.RestartStream(t.Context()); err != nil {
		t.Fatal(err)
	}
	gone("before the restart", end)
	if end, err = w.Store.StreamEnd(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Store.Changes(t.Context(), store.ChangeFilter{After: end}); err != nil {
		t.Errorf("after the restart: %v", err)
	}
}

// TestAStreamGoesOnAfterARestore restores, as it were, a dump into a cluster
// that counts far fewer transactions.
func TestAStreamGoesOnAfterARestore(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	ahead, behind := newHook(t, w, "ahead"), newHook(t, w, "behind")
	a := w.Create(w.Complaint(model.SeverityHigh))[0]
	heard := w.Action(a.ID).LogSeq
	w.Move(a.ID, sla.MoveRequest{Move: model.MoveNote, Text: "seen"})
	w.Move(a.ID, sla.MoveRequest{Move: model.MoveNote, Text: "seen again"})
	const there = 1_000_000_000_000
	w.Exec("UPDATE stream SET cluster = cluster + 1")
	w.Exec("UPDATE action_logs SET xid = (? + seq)::text::xid8", there)
	w.Exec("UPDATE hooks SET cursor_xid = (?)::text::xid8 WHERE id = ?", there+heard+10, ahead.ID)
	w.Exec("UPDATE hooks SET cursor_xid = (?)::text::xid8, cursor_action_id = ?, cursor_seq = ? WHERE id = ?", there+heard, a.ID, heard, behind.ID)

	got, err := w.Store.RestartStream(t.Context())
	if err != nil || got != (store.StreamRestart{Kept: 2, Dropped: int64(heard), Hooks: 2}) {
		t.Fatalf("restart = %+v, %v", got, err)
	}
	w.Move(a.ID, sla.MoveRequest{Move: model.MoveNote, Text: "here"})
	for _, name := range []string{"ahead", "behind"} {
		h, err := w.Store.HookByName(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		r := follow(t, w.Store, store.ChangeFilter{After: h.Cursor})
		if all := r.has(3); all[0].Seq != heard+1 {
			t.Errorf("%s goes on with %+v, want what it had not heard", name, all[0])
		}
	}
	if faults := faultsOf(t, w); len(faults) != 0 {
		t.Errorf("the chain of hashes: %+v", faults)
	}
}
