package sla

import (
	"testing"
	"time"

	"github.com/pxactions/px/model"
)

// TestWhoGetsAHeldActionHasTheTimeAfterTheHold: what of a hold comes after the
// assignment is no time to start in.
func TestWhoGetsAHeldActionHasTheTimeAfterTheHold(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	r := h.rules(t, "sla: [{name: all, ack_targets: {medium: 24h}, clock: {medium: elapsed}}]")
	c := kinOf(t, r, h.signal(t, "k1"))
	actor, out := h.user(t, "pxa"), h.user(t, "out")
	c.Action.AssignedTo = &out // who has left
	absorb := func(o Outcome) { c.Action, c.Events = o.Action, append(c.Events, o.Events...) }
	held, err := Apply(c, MoveRequest{Move: model.MoveHold, Actor: &actor, Reason: "wait", Until: noon().Add(100 * time.Hour)}, noon().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	absorb(held)
	handed, ok := r.Reroute(c, nil, noon().Add(2*time.Hour))
	if !ok {
		t.Fatal("it is not handed over")
	}
	absorb(handed)
	resumed, ok := Fire(c, noon().Add(100*time.Hour))
	if !ok {
		t.Fatal("it is not resumed")
	}
	absorb(resumed)
	if got, want := *c.Action.AckDueAt, noon().Add(124*time.Hour); !got.Equal(want) {
		t.Errorf("to be started by %s, want %s: 24 hours after the hold", got, want)
	}
}

// TestWhoWasNeverAskedIsNotLate: a policy that asks of open actions for the first
// time gives their owners the time from then on.
func TestWhoWasNeverAskedIsNotLate(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	c := kinOf(t, h.rules(t, "sla: [{name: all, ack_targets: {medium: none}}]"), h.signal(t, "k1"))
	asks, actor := h.rules(t, "sla: [{name: all, ack_targets: {medium: 4h}}]"), h.user(t, "pxa")
	applied := asks.Reapply(c, noon().Add(50*time.Hour))
	c.Action, c.Config, c.Events = applied.Action, asks.Match(c.Action.HospitalID, c.Action.DepartmentID), applied.Events
	if got, want := c.Action.AckDueAt, noon().Add(54*time.Hour); got == nil || !got.Equal(want) {
		t.Fatalf("to be started by %v, want %s", got, want)
	}
	// Nor later, when something else plans anew.
	out, err := Apply(c, MoveRequest{Move: model.MoveDue, Actor: &actor, Reason: "later", DueAt: noon().Add(200 * time.Hour)}, noon().Add(51*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := out.Action.AckDueAt, noon().Add(54*time.Hour); got == nil || !got.Equal(want) {
		t.Errorf("to be started by %v after another change, want %s", got, want)
	}
}
