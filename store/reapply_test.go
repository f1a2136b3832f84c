package store_test

import (
	"testing"
	"time"

	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

const threeStages = "sla: [{name: all, ack_targets: {high: none}, high_hours: 48, stages: {high: [{after_hours: 1}, {after_hours: 2}, {after_hours: 3}]}}]"

// TestRunningActionsKeepTheirPlan: a policy swapped, or a config disabled, while
// an action runs changes nothing of it; new actions follow the new one.
func TestRunningActionsKeepTheirPlan(t *testing.T) {
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
	w.FireNext(a.ID, 3)
	es := w.Events(a.ID)
	if len(es) != 5 || !es[4].Planned.Equal(a.DueAt.Add(6*time.Hour)) || es[4].Stage != 3 {
		t.Errorf("events = %+v, want the three stages of the plan it was made with", es)
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
