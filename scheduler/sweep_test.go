package scheduler_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
)

func TestSweepsDoWhatNobodyHasDone(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	s := sweeps(w, "one", nil)
	a := w.Create(w.Complaint(model.SeverityCritical))[0]
	waiting := w.Insert(w.Complaint(model.SeverityHigh))[0]
	w.Exec("UPDATE messages SET channel = 'log'")

	if healed := once(t, s); healed["feedback"]+healed["deadlines"]+healed["messages:log"] != 0 {
		t.Fatalf("healed %v, want nothing within the grace", healed)
	}
	w.SetTime(a.NextAt.Add(2 * time.Second)) // late, but by less than the grace
	if healed := once(t, s); healed["deadlines"] != 0 {
		t.Errorf("healed %v, want the grace kept", healed)
	}
	w.Exec("UPDATE feedback SET heal_after = clock_timestamp()")
	w.Exec("UPDATE messages SET next_try_at = clock_timestamp() - interval '6 seconds'")
	open := w.Count("SELECT count(*) FROM messages WHERE state = 'pending'")
	w.SetTime(a.NextAt.Add(6 * time.Second))
	healed := once(t, s)
	if healed["feedback"] != 1 || healed["deadlines"] != 1 || healed["messages:log"] != open {
		t.Errorf("healed %v, want 1 feedback, 1 deadline, %d messages", healed, open)
	}
	if f := w.Feedback(waiting); f.Decision != model.DecisionCreated {
		t.Errorf("feedback = %s, want created", f.Decision)
	}
	if es := w.Events(a.ID); len(es) != 1 || es[0].Kind != model.EventAck || !es[0].Planned.Equal(*a.NextAt) || es[0].LateS < 6 {
		t.Errorf("events = %+v, want the acknowledgement, with its lateness", es)
	}
	for _, m := range w.Messages(a.ID)[:open] {
		if m.ActionVersion == a.Version && m.State != model.MessageSent {
			t.Errorf("message = %+v, want sent", m)
		}
	}
	for _, sweep := range []string{"feedback", "deadlines"} {
		if n := w.Metric("px_healed_total", sweep); n != 1 {
			t.Errorf("px_healed_total %s = %v, want 1", sweep, n)
		}
	}
	if n := w.Count("SELECT coalesce(sum(healed), 0) FROM sweeps"); n != 2+open {
		t.Errorf("healed by the slots = %d, want %d", n, 2+open)
	}
	if healed := once(t, s); healed["feedback"]+healed["deadlines"] != 0 {
		t.Errorf("again healed %v, want nothing left", healed)
	}
	w.Holds()
}

func TestAnOutageIsCaughtUpInOrderAndToldOnce(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		back     time.Duration // when the sweeps run again, from due
		taken    []model.EventKind
		next     time.Duration // when the next event is then, from due
		nextKind model.EventKind
	}{
		{"two hours around the due leave the ladder as it was", time.Hour, []model.EventKind{model.EventOverdue}, 2 * time.Hour, model.EventEscalation},
		{"a stage slightly late leaves the next where it was", 150 * time.Minute, []model.EventKind{model.EventOverdue, model.EventEscalation}, 4 * time.Hour, model.EventEscalation},
		{"a stage much too late shifts the ladder", 210 * time.Minute, []model.EventKind{model.EventOverdue, model.EventEscalation}, 330 * time.Minute, model.EventEscalation},
		{"of many stages one at a time is taken", 20 * time.Hour, []model.EventKind{model.EventOverdue, model.EventEscalation}, 22 * time.Hour, model.EventEscalation},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := scenario.New(t, scenario.NoAck())
			a := w.Create(w.Complaint(model.SeverityCritical))[0]
			w.FireNext(a.ID, 1) // the reminder, an hour before all stands still
			w.SetTime(a.DueAt.Add(tt.back))
			if healed := once(t, sweeps(w, "one", nil)); healed["deadlines"] != 1 {
				t.Fatalf("healed %v, want one firing", healed)
			}
			es := w.Events(a.ID)[1:]
			if len(es) != len(tt.taken) {
				t.Fatalf("events = %+v, want %v", es, tt.taken)
			}
			for i, e := range es {
				planned := a.DueAt.Add([]time.Duration{0, 2 * time.Hour}[i])
				if e.Kind != tt.taken[i] || !e.Planned.Equal(planned) || e.LateS != int64(e.Fired.Sub(planned)/time.Second) || e.Fired.Before(a.DueAt.Add(tt.back)) {
					t.Errorf("event %d = %+v, want %s planned at %s", i, e, tt.taken[i], planned)
				}
			}
			now := w.Action(a.ID)
			shift := es[len(es)-1].Fired.Sub(a.DueAt.Add(tt.back)) // the clock ran on for a moment
			if late := now.NextAt.Sub(a.DueAt.Add(tt.next)); now.NextKind != tt.nextKind || late != 0 && late != shift {
				t.Errorf("next = %s at due + %s, want %s at due + %s", now.NextKind, now.NextAt.Sub(a.DueAt), tt.nextKind, tt.next)
			}
			perPerson := w.Count(`SELECT coalesce(max(n), 0) FROM (SELECT count(*) AS n FROM messages
				WHERE action_id = ? AND action_version = ? GROUP BY recipient_id, channel) m`, a.ID, now.Version)
			if perPerson != 1 {
				t.Errorf("messages per person = %d, want one", perPerson)
			}
			w.Holds()
		})
	}
}

func TestAWalkGoesPastAPoisonRow(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	const rows = 620 // more than one batch
	ids := w.Insert(w.Complaints(rows, model.SeverityCritical)...)
	bad := w.Create(w.Complaint(model.SeverityLow))[0]
	w.Exec("UPDATE actions SET feedback_id = ? WHERE id = ?", ids[0], bad.ID) // claims what is not its own
	w.Exec("UPDATE feedback SET heal_after = clock_timestamp()")
	s := sweeps(w, "one", nil)
	if healed := once(t, s); healed["feedback"] != rows-1 {
		t.Fatalf("healed %v, want all but one", healed)
	}
	if f := w.Feedback(ids[0]); f.Tries != 1 || f.Decision != "" {
		t.Errorf("bad feedback = %+v, want one try", f)
	}
	w.Exec("UPDATE actions SET feedback_id = ? WHERE id = ?", bad.FeedbackID, bad.ID)

	jammed := w.Action(*w.Feedback(ids[rows-1]).ActionID) // the first of the walk
	w.Exec("UPDATE actions SET policy_revision = 77 WHERE id = ?", jammed.ID)
	w.SetTime(jammed.NextAt.Add(10 * time.Second))
	if healed := once(t, s); healed["deadlines"] != rows-2 {
		t.Errorf("healed %v, want all but one", healed)
	}
	if a := w.Action(jammed.ID); a.HealAfter == nil || a.Gen != jammed.Gen {
		t.Errorf("bad action = %+v, want it set aside", a)
	}
	if healed := once(t, s); healed["deadlines"] != 0 {
		t.Errorf("again healed %v, want the bad one left alone", healed)
	}
	w.Exec("UPDATE actions SET policy_revision = 0, heal_after = clock_timestamp() WHERE id = ?", jammed.ID)
	if healed := once(t, s); healed["deadlines"] != 1 {
		t.Errorf("healed %v, want the mended one", healed)
	}
	w.Exec("UPDATE feedback SET heal_after = clock_timestamp()")
	once(t, s)
	w.Holds()
}

func TestSeveralSchedulersAreHarmless(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	const rows = 60
	as := w.Create(w.Complaints(rows, model.SeverityCritical)...)
	w.Insert(w.Complaints(rows, model.SeverityHigh)...)
	w.Exec("UPDATE feedback SET heal_after = clock_timestamp()")
	w.SetTime(as[0].NextAt.Add(10 * time.Second))
	var deadlines, feedback atomic.Int64
	var wg sync.WaitGroup
	for i, p := range []*scenario.World{w, w.Twin(), w, w.Twin()} {
		wg.Go(func() {
			s := sweeps(p, string(rune('a'+i)), nil)
			for range 5 {
				healed, err := s.Once(t.Context())
				if err != nil {
					t.Errorf("sweep: %v", err)
				}
				deadlines.Add(int64(healed["deadlines"]))
				feedback.Add(int64(healed["feedback"]))
			}
		})
	}
	wg.Wait()
	if deadlines.Load() != rows || feedback.Load() != rows {
		t.Errorf("healed %d deadlines and %d feedback, want %d each", deadlines.Load(), feedback.Load(), rows)
	}
	w.Holds()
}

func TestASlotBelongsToOneUntilItsLeaseIsOver(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	a := w.Create(w.Complaint(model.SeverityCritical))[0]
	w.SetTime(a.NextAt.Add(10 * time.Second))
	if mine, err := w.Store.ClaimSweep(t.Context(), "deadlines", "dead", time.Minute); err != nil || !mine {
		t.Fatalf("claim = %v, %v", mine, err)
	}
	s := sweeps(w, "alive", nil)
	if healed := once(t, s); healed["deadlines"] != 0 {
		t.Errorf("healed %v, want the slot respected", healed)
	}
	w.Exec("UPDATE sweeps SET claimed_until = clock_timestamp() WHERE name = 'deadlines'")
	if healed := once(t, s); healed["deadlines"] != 1 {
		t.Errorf("healed %v, want the slot of a dead scheduler taken over", healed)
	}
	// The dead one comes back: it may free nothing that is not its own.
	if mine, err := w.Store.ClaimSweep(t.Context(), "deadlines", "alive", time.Minute); err != nil || !mine {
		t.Fatalf("claim = %v, %v", mine, err)
	}
	if err := w.Store.FinishSweep(t.Context(), "deadlines", "dead", 5); err != nil {
		t.Fatal(err)
	}
	if mine, err := w.Store.ClaimSweep(t.Context(), "deadlines", "third", time.Minute); err != nil || mine {
		t.Errorf("claim = %v, %v; want it still taken", mine, err)
	}
}

func TestSweepsLeaveACancelledActionAlone(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	a := w.Create(w.Complaint(model.SeverityCritical))[0]
	w.Move(a.ID, sla.MoveRequest{Move: model.MoveCancel, Reason: "sent twice"})
	w.SetTime(a.DueAt.Add(24 * time.Hour))
	if healed := once(t, sweeps(w, "one", nil)); healed["deadlines"] != 0 {
		t.Errorf("healed %v, want nothing", healed)
	}
	w.Holds()
}
