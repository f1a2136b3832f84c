package store_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

// What B5, B6, … are: see sla/peers_test.go. B20 is in reapply_test.go.

// ladder is a policy for high actions with a stage an hour after the due, and
// after each other, for each of these people.
func ladder(name string, hours int, people ...string) string {
	stages := make([]string, len(people))
	for i, code := range people {
		stages[i] = "{after_hours: 1, tell: user:" + code + "}"
	}
	return fmt.Sprintf("sla: [{name: %s, ack_targets: {high: none}, high_hours: %d, stages: {high: [%s]}}]", name, hours, strings.Join(stages, ", "))
}

// reapply puts open actions under the active policy, of which there are n.
func reapply(t *testing.T, w *scenario.World, n int) {
	t.Helper()
	done, _, err := w.Store.Reapply(t.Context(), store.Keyset{}, 10)
	if err != nil || len(done.Moved) != n {
		t.Fatalf("reapply = %+v, %v; want %d actions", done, err, n)
	}
}

// checkStages compares whom the stages told, as "stage code", in order.
func checkStages(t *testing.T, w *scenario.World, id model.ActionID, want ...string) {
	t.Helper()
	got := []string{}
	for _, e := range w.Events(id) {
		if e.Kind == model.EventEscalation {
			for _, u := range e.Targets.V {
				got = append(got, fmt.Sprintf("%d %s", e.Stage, w.Dir.Users[u].Code))
			}
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("stages told %v, want %v", got, want)
	}
}

// TestB05: a policy swapped while actions run, and applied to the open ones: its
// first step is told at once, and the old one is silent from then on. With us what
// is told at once is the overdue, and a ladder goes on by the numbers of its
// stages: who has been told of the first is not told again by another's.
func TestB05(t *testing.T) {
	t.Parallel()
	old := []byte(ladder("old", 48, "ruh-omar", "ruh-huda", "ruh-bilal"))
	t.Run("B5 before the due", func(t *testing.T) {
		t.Parallel()
		w := scenario.New(t, old)
		a := w.Create(w.Complaint(model.SeverityHigh))[0]
		apply(t, w, ladder("new", 5, "ruh-maha", "ruh-grace"))
		w.SetTime(a.ReceivedAt.Add(10 * time.Hour))
		reapply(t, w, 1)
		if es := w.Events(a.ID); len(es) != 1 || es[0].Kind != model.EventOverdue || es[0].Done != model.DoneTold || es[0].Fired.Sub(a.ReceivedAt) != 10*time.Hour {
			t.Errorf("events = %+v, want the overdue, at once", es)
		}
		w.FireNext(a.ID, 2)
		checkStages(t, w, a.ID, "1 ruh-maha", "2 ruh-grace")
		if now := w.Action(a.ID); now.NextAt != nil {
			t.Errorf("next = %s at %s, want nothing of the old ladder", now.NextKind, now.NextAt)
		}
		w.Holds()
	})
	t.Run("B5 in the midst of the ladder", func(t *testing.T) {
		t.Parallel()
		w := scenario.New(t, old)
		a := w.Create(w.Complaint(model.SeverityHigh))[0]
		w.FireNext(a.ID, 3) // reminder, overdue, stage 1
		apply(t, w, ladder("new", 48, "ruh-maha", "ruh-grace", "ruh-saad"))
		w.SetTime(a.DueAt.Add(90 * time.Minute))
		reapply(t, w, 1)
		if now := w.Action(a.ID); now.NextAt == nil || !now.NextAt.Equal(a.DueAt.Add(2*time.Hour)) {
			t.Errorf("next = %s at %v, want stage 2 no later than it was", now.NextKind, now.NextAt)
		}
		w.FireNext(a.ID, 2)
		checkStages(t, w, a.ID, "1 ruh-omar", "2 ruh-grace", "3 ruh-saad")
		w.Holds()
	})
}

// TestB06: a policy without the stage that comes next, applied to open actions:
// the ladder goes on at the same number, and ends where there is none. With us it
// never begins anew: what was told stays told.
func TestB06(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		left []string
		want []string
	}{
		{"B6 the stage that comes next", []string{"ruh-omar", "ruh-huda", "ruh-saad"}, []string{"1 ruh-omar", "2 ruh-huda", "3 ruh-saad"}},
		{"B6 the one taken last", []string{"ruh-omar", "ruh-bilal", "ruh-saad"}, []string{"1 ruh-omar", "2 ruh-huda", "3 ruh-saad"}},
		{"B6 all that were to come", []string{"ruh-omar"}, []string{"1 ruh-omar", "2 ruh-huda"}},
		{"B6 all of them", nil, []string{"1 ruh-omar", "2 ruh-huda"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := scenario.New(t, []byte(ladder("old", 48, "ruh-omar", "ruh-huda", "ruh-bilal", "ruh-saad")))
			a := w.Create(w.Complaint(model.SeverityHigh))[0]
			w.FireNext(a.ID, 4) // reminder, overdue, stages 1 and 2
			apply(t, w, ladder("new", 48, tt.left...))
			reapply(t, w, 1)
			for w.Action(a.ID).NextAt != nil {
				w.FireNext(a.ID, 1)
			}
			checkStages(t, w, a.ID, tt.want...)
			w.Holds()
		})
	}
}

// TestB17: a config is disabled. New actions do not match it. One that runs keeps
// its plan, as the policy's pages promise, until it is put under the new policy:
// then the old ladder tells nobody any more.
func TestB17(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, []byte(ladder("all", 48, "ruh-omar", "ruh-huda")))
	as := w.Create(w.Complaints(2, model.SeverityHigh)...)
	kept, moved := as[0], as[1]
	w.FireNext(kept.ID, 2)
	w.FireNext(moved.ID, 2)
	apply(t, w, "sla: [{name: silent, ack_targets: {high: none}, high_hours: 100, reminders: [], auto_escalate: false}, "+
		"{name: all, is_active: false, high_hours: 48, stages: {high: [{after_hours: 1, tell: user:ruh-omar}]}}]")
	w.FireNext(kept.ID, 2)
	checkStages(t, w, kept.ID, "1 ruh-omar", "2 ruh-huda")
	fresh := w.Create(w.Complaint(model.SeverityHigh))[0]
	if fresh.SLAConfigID == nil || *fresh.SLAConfigID == *kept.SLAConfigID || fresh.DueAt.Sub(fresh.ReceivedAt) != 100*time.Hour {
		t.Errorf("new action = due after %s, want the config that is active", fresh.DueAt.Sub(fresh.ReceivedAt))
	}

	w.SetTime(moved.DueAt.Add(30 * time.Minute))
	reapply(t, w, 2)
	now := w.Action(moved.ID)
	if now.IsOverdue || now.NextKind != model.EventOverdue || now.DueAt.Sub(now.ReceivedAt) != 100*time.Hour {
		t.Errorf("re-applied = overdue %t, next %s, due after %s; want the silent config's", now.IsOverdue, now.NextKind, now.DueAt.Sub(now.ReceivedAt))
	}
	w.FireNext(moved.ID, 1)
	if now := w.Action(moved.ID); now.NextAt != nil {
		t.Errorf("next = %s at %s, want no timer of the old ladder", now.NextKind, now.NextAt)
	}
	checkStages(t, w, moved.ID)
	if n := w.Count("SELECT count(*) FROM messages WHERE action_id = ? AND reason = 'escalation'", moved.ID); n != 0 {
		t.Errorf("%d escalations, want none", n)
	}
	w.Holds()
}

// TestB30: who has left is deactivated, not deleted: their rows of the log stay,
// with their name, and the chain with them. The database refuses a deletion.
func TestB30(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, scenario.NoAck())
	a := w.Create(w.Complaint(model.SeverityHigh))[0]
	owner := w.User("ruh-huda")
	if *a.AssignedTo != owner.ID {
		w.Move(a.ID, sla.MoveRequest{Move: model.MoveAssign, Assignee: owner.ID})
	}
	w.Move(a.ID, sla.MoveRequest{Move: model.MoveStart, Actor: &owner.ID})
	w.Move(a.ID, sla.MoveRequest{Move: model.MoveNote, Actor: &owner.ID, Text: "called the family"})
	if _, err := w.Store.DB().NewRaw("DELETE FROM users WHERE id = ?", owner.ID).Exec(t.Context()); err == nil {
		t.Fatal("a user of the log was deleted")
	}
	gone := false
	doc := &sla.DirectoryDoc{Users: []sla.UserSpec{{Code: owner.Code, Name: owner.Name, Hospital: "RUH", Active: &gone}}}
	if _, err := w.Store.ApplyDirectory(t.Context(), doc); err != nil {
		t.Fatal(err)
	}
	story, err := w.Store.Story(t.Context(), a.ID, store.StoryOptions{})
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for _, l := range story.Logs {
		if l.CreatedBy != nil && *l.CreatedBy == owner.ID {
			rows++
		}
	}
	if u := story.Dir.Users[owner.ID]; rows != 2 || u == nil || u.Name != owner.Name || u.Active {
		t.Errorf("%d rows by %+v, want the two that they wrote, under their name", rows, u)
	}
	if broken, _, _, err := w.Store.VerifyChains(t.Context(), model.ActionID{}, 100); err != nil || len(broken) > 0 {
		t.Errorf("chains = %+v, %v", broken, err)
	}
	w.Holds()
}
