package engine_test

import (
	"slices"
	"testing"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
)

// TestB12 is about what is done between queueing and sending: who is asked for
// it, in a message that waits, is not asked any more, and the row says why.
func TestB12(t *testing.T) {
	t.Parallel()
	w, mail, assigned := withMail(t)
	deliver(t, w, assigned.ID)
	id := assigned.ActionID
	owner := assigned.RecipientID
	admin := w.Dir.Holders(model.RolePXAdmin, w.Hospital("RUH").ID.Ptr(), nil, w.Action(id).DueAt, []model.UserID{owner})[0]
	last := func(reason model.Reason) model.Message {
		t.Helper()
		ms := w.Messages(id)
		slices.Reverse(ms)
		i := slices.IndexFunc(ms, func(m model.Message) bool { return m.Reason == reason && m.State == model.MessagePending })
		if i < 0 {
			t.Fatalf("messages = %+v, want a %s that waits", ms, reason)
		}
		return ms[i]
	}
	sent, dropped := 1, 0
	check := func(m model.Message, want bool) {
		t.Helper()
		d, row := deliver(t, w, m.ID)
		if want {
			if sent++; d != engine.Delivered || row.State != model.MessageSent {
				t.Errorf("%s = %s, %s; want it sent", m.Reason, d, row.State)
			}
		} else if dropped++; d != engine.Suppressed || row.State != model.MessageSuppressed || row.SuppressedReason != "stale" || row.NextTryAt != nil {
			t.Errorf("%s = %s, %+v; want it dropped, and why", m.Reason, d, row)
		}
		if len(mail.All()) != sent {
			t.Errorf("after %s: %d mails, want %d", m.Reason, len(mail.All()), sent)
		}
	}

	w.FireNext(id, 1)
	reminder := last(model.ReasonReminder)
	w.Move(id, sla.MoveRequest{Move: model.MoveAssign, Assignee: admin})
	check(reminder, false) // its reader is not the owner any more

	w.FireNext(id, 1)
	w.Move(id, sla.MoveRequest{Move: model.MoveStart})
	check(last(model.ReasonOverdue), true) // at work, but not done

	w.FireNext(id, 1)
	escalation := last(model.ReasonEscalation)
	w.Move(id, sla.MoveRequest{Move: model.MoveCancel, Reason: "sent twice"})
	check(escalation, false)
	check(last(model.ReasonOverdue), false) // the manager's, or the owner's: both had one
	if n := w.Metric("px_messages_total", "email", "suppressed"); n != float64(dropped) {
		t.Errorf("px_messages_total suppressed = %v, want %d", n, dropped)
	}
	// The move itself is told, to whom it concerns.
	check(last(model.ReasonCancelled), true)
	w.Holds()
}
