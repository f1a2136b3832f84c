package store_test

import (
	"slices"
	"testing"
	"time"

	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

const threeStages = "sla: [{name: all, ack_targets: {high: none}, high_hours: 48, stages: {high: [{after_hours: 1}, {after_hours: 2}, {after_hours: 3}]}}]"

// TestB20RunningActionsKeepTheirPlan: a policy swapped, or a config disabled, while
// an action runs changes nothing of it, also in a process that starts afterwards;
// new actions follow the new one.
func TestB20RunningActionsKeepTheirPlan(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, []byte(threeStages))
	a := w.Create(w.Complaint(model.SeverityHigh))[0]
	for _, text := range []string{
		"sla: [{name: all, ack_targets: {high: none}, high_hours: 5, stages: {high: []}}]",
		"sla: [{name: all, ack_targets: {high: none}, high_hours: 48, is_active: false}]",
	} {
		apply(t, w, text)
		w.FireNext(a.ID, 1)
	}
	w = w.Twin()
	w.FireNext(a.ID, 3)
	var planned []time.Duration // the stages, from due
	for _, e := range w.Events(a.ID) {
		if e.Kind == model.EventEscalation {
			planned = append(planned, e.Planned.Sub(a.DueAt))
		}
	}
	// The built-in config, which counts for new ones, has three stages, too.
	if !slices.Equal(planned, []time.Duration{time.Hour, 3 * time.Hour, 6 * time.Hour}) {
		t.Errorf("stages at due + %v, want those of the plan it was made with", planned)
	}
	if now := w.Action(a.ID); now.NextAt != nil || !now.DueAt.Equal(a.DueAt) || now.PolicyRevision != 1 {
		t.Errorf("action = due %s under revision %d, next %v; want nothing changed and nothing left", now.DueAt, now.PolicyRevision, now.NextAt)
	}
	fresh := w.Create(w.Complaint(model.SeverityHigh))[0]
	if fresh.SLAConfigID != nil {
		t.Error("the disabled config was matched")
	}
}

// TestReapplyPutsOpenActionsUnderThePolicy in the middle of an escalation: what
// was taken stands, the rest is planned by the new policy.
func TestReapplyPutsOpenActionsUnderThePolicy(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, []byte(threeStages))
	as := w.Create(w.Complaint(model.SeverityHigh), w.Complaint(model.SeverityHigh), w.Complaint(model.SeverityHigh))
	w.Move(as[2].ID, sla.MoveRequest{Move: model.MoveCancel, Reason: "twice"})
	apply(t, w, "sla: [{name: short, ack_targets: {high: none}, high_hours: 5, requires_approval: false, stages: {high: [{after_hours: 1}]}}]")
	w.SetTime(as[0].ReceivedAt.Add(10 * time.Hour))
	done, _, err := w.Store.Reapply(t.Context(), store.Keyset{}, 10)
	if err != nil || done.Seen != 2 || len(done.Moved) != 2 {
		t.Fatalf("reapply = %+v, %v; want the two open ones", done, err)
	}
	for _, a := range as[:2] {
		now := w.Action(a.ID)
		if due := a.ReceivedAt.Add(5 * time.Hour); !now.DueAt.Equal(due) || !now.IsOverdue || now.PolicyRevision != 2 || now.RequiresApproval {
			t.Errorf("action = due %s, overdue %t, revision %d, approval %t; want the new policy's", now.DueAt, now.IsOverdue, now.PolicyRevision, now.RequiresApproval)
		}
		es := w.Events(a.ID) // one breach, and none of the reminders before it
		if len(es) != 1 || es[0].Kind != model.EventOverdue {
			t.Errorf("events = %+v, want the overdue alone", es)
		}
		if n := w.Count("SELECT count(*) FROM messages WHERE action_id = ? AND recipient_id = ? AND created_at = ?", a.ID, a.AssignedTo, now.UpdatedAt); n != 1 {
			t.Errorf("the owner got %d messages, want one", n)
		}
	}
	if n := w.Action(as[2].ID).PolicyRevision; n != 1 {
		t.Errorf("an ended action is under revision %d", n)
	}
	if again, _, err := w.Store.Reapply(t.Context(), store.Keyset{}, 10); err != nil || again.Seen != 0 {
		t.Errorf("again = %+v, %v; want nothing left", again, err)
	}
	w.FireNext(as[0].ID, 1)
	w.FireNext(as[1].ID, 1)
	if a := w.Action(as[0].ID); a.NextAt != nil || a.EscalationLevel != 1 {
		t.Errorf("next %v at level %d, want the new ladder's one stage and then nothing", a.NextAt, a.EscalationLevel)
	}
	w.Holds()
}
