package engine_test

import (
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

// What B8, B12, … are: see sla/peers_test.go.

// TestB08: a job delivered twice, at once or one after the other, in one process
// or two, and a job of a plan that has been replaced: one effect each.
func TestB08(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, scenario.NoAck())
	a := w.Create(w.Complaint(model.SeverityCritical))[0]
	replaced := w.Job(a.ID) // of the reminder before the severity changed
	w.Move(a.ID, sla.MoveRequest{Move: model.MoveSeverity, Severity: model.SeverityHigh})
	told, job := len(w.Messages(a.ID)), w.Job(a.ID)
	w.SetTime(*w.Action(a.ID).NextAt)
	if r, err := w.Engine.Fire(t.Context(), replaced); err != nil || r.Outcome != store.Stale {
		t.Errorf("job of the old plan = %+v, %v; want it stale", r, err)
	}
	if es := w.Events(a.ID); len(es) != 0 {
		t.Fatalf("events = %+v, want none of the old plan", es)
	}
	fired := make([]store.FireOutcome, 8)
	procs := []*scenario.World{w, w.Twin()}
	var wg sync.WaitGroup
	for i := range fired {
		wg.Go(func() {
			for { // busy: another has the row just now, and asynq asks again
				r, err := procs[i%2].Engine.Fire(t.Context(), job)
				if err != nil {
					t.Errorf("fire: %v", err)
				}
				if fired[i] = r.Outcome; r.Outcome != store.Busy {
					return
				}
			}
		})
	}
	wg.Wait()
	if r, err := w.Engine.Fire(t.Context(), job); err != nil || r.Outcome != store.Stale {
		t.Errorf("once more = %+v, %v; want it stale", r, err)
	}
	if n := len(slices.DeleteFunc(fired, func(o store.FireOutcome) bool { return o != store.Fired })); n == 0 {
		t.Error("nobody fired")
	}
	es, ms := w.Events(a.ID), w.Messages(a.ID)
	if len(es) != 1 || es[0].Kind != model.EventReminder || len(ms) != told+1 || ms[len(ms)-1].Reason != model.ReasonReminder {
		t.Errorf("events = %+v, messages = %+v; want one reminder, told once", es, ms)
	}
	if now := w.Action(a.ID); now.Gen != job.Gen+1 {
		t.Errorf("gen = %d, want %d", now.Gen, job.Gen+1)
	}
	w.Holds()
}

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

// TestB28: a process whose clock is ten minutes fast. It is handed its jobs, and
// begins its sweeps, ten minutes early; the database's clock decides that nothing
// is due. (That no code of the store, the engine or the rules reads the machine's
// clock is a rule of its own, kept by internal/house.)
func TestB28(t *testing.T) {
	t.Parallel()
	const fast = 10 * time.Minute
	w := scenario.New(t, scenario.NoAck())
	a := w.Create(w.Complaint(model.SeverityCritical))[0]
	w.FireNext(a.ID, 1)
	w.SetTime(a.DueAt.Add(-fast))
	before := w.Action(a.ID)
	r, err := w.Engine.Fire(t.Context(), w.Job(a.ID))
	if err != nil || r.Outcome != store.NotDue || r.Wait > fast || r.Wait < fast-time.Minute {
		t.Errorf("fire = %+v, %v; want it to wait for %s", r, err, fast)
	}
	if late, _, err := w.Store.LateDeadlines(t.Context(), store.Keyset{}, 10); err != nil || len(late) != 0 {
		t.Errorf("late = %+v, %v; want nothing", late, err)
	}
	if turn, err := w.Engine.HealDeadlines(t.Context(), store.Keyset{}); err != nil || turn.Healed != 0 {
		t.Errorf("sweep = %+v, %v; want nothing", turn, err)
	}
	if now := w.Action(a.ID); !reflect.DeepEqual(now, before) {
		t.Errorf("action = %+v, want it as it was", now)
	}
	w.SetTime(a.DueAt)
	if r, err := w.Engine.Fire(t.Context(), w.Job(a.ID)); err != nil || r.Outcome != store.Fired {
		t.Errorf("fire = %+v, %v; want the overdue", r, err)
	}
	if e := w.Events(a.ID)[1]; e.Kind != model.EventOverdue || !e.Planned.Equal(a.DueAt) || e.Fired.Before(a.DueAt) {
		t.Errorf("event = %+v, want the overdue, not before %s", e, a.DueAt)
	}
	w.Holds()
}
