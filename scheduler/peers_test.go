package scheduler_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/store"
)

// What B9, B11 and B21 are: see sla/peers_test.go.

// ladder is a policy for critical actions, due after 24 hours, with so many
// stages, each so many hours after the one before.
func ladder(stages int, hours float64) []byte {
	return fmt.Appendf(nil, "sla: [{name: all, ack_targets: {critical: none}, stages: {critical: [{after_hours: %g, repeat: %d}]}}]", hours, stages-1)
}

// taken is what was taken of an action, in order, as "kind stage".
func taken(w *scenario.World, id model.ActionID) []string {
	var all []string
	for _, e := range w.Events(id) {
		all = append(all, fmt.Sprintf("%s %d", e.Kind, e.Stage))
	}
	return all
}

// TestB09: nobody works while two stages come due. Who looks after 13 minutes
// finds both, each once and in order. With us the ladder shifts after an outage,
// so that people have their time between two stages: the second is taken its six
// minutes after the first.
func TestB09(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, ladder(2, 0.1))
	a := w.Create(w.Complaint(model.SeverityCritical))[0]
	w.FireNext(a.ID, 1)
	s := sweeps(w, "one", nil)
	back := a.DueAt.Add(13 * time.Minute) // stages were due after 6 and 12
	w.SetTime(back)
	once(t, s)
	once(t, s)
	if got, want := taken(w, a.ID), []string{"reminder 1", "overdue 0", "escalation 1"}; !slices.Equal(got, want) {
		t.Fatalf("taken %v, want %v", got, want)
	}
	second := w.Action(a.ID).NextAt
	if second == nil || second.Sub(back) < 6*time.Minute || second.Sub(back) > 7*time.Minute {
		t.Fatalf("next at %v, want six minutes after %s", second, back)
	}
	w.SetTime(second.Add(10 * time.Second))
	once(t, s)
	once(t, s)
	if got, want := taken(w, a.ID), []string{"reminder 1", "overdue 0", "escalation 1", "escalation 2"}; !slices.Equal(got, want) {
		t.Errorf("taken %v, want %v", got, want)
	}
	es := w.Events(a.ID)
	if !es[2].Planned.Equal(a.DueAt.Add(6*time.Minute)) || es[2].LateS < 7*60 || es[2].LateS > 8*60 || es[3].LateS > 60 {
		t.Errorf("stages = %+v and %+v, want the first seven minutes late", es[2], es[3])
	}
	for _, e := range es[2:] {
		if n := w.Count("SELECT count(*) FROM messages WHERE event_id = ? AND recipient_id = ?", e.ID, e.Targets.V[0]); e.Done != model.DoneTold || n != 1 {
			t.Errorf("stage %d = %s, its target told %d times; want once", e.Stage, e.Done, n)
		}
	}
	if now := w.Action(a.ID); now.NextAt != nil {
		t.Errorf("next = %s at %s, want nothing left", now.NextKind, now.NextAt)
	}
	w.Holds()
}

// TestB11: who sweeps a hundred times after the last stage, over four days, says
// nothing more.
func TestB11(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, ladder(1, 1))
	a := w.Create(w.Complaint(model.SeverityCritical))[0]
	w.FireNext(a.ID, 3) // reminder, overdue, the one stage
	ledger := func() [4]int {
		return [4]int{
			w.Count("SELECT count(*) FROM messages"), w.Count("SELECT count(*) FROM deadline_events"),
			w.Count("SELECT count(*) FROM action_logs"), int(w.Action(a.ID).Version),
		}
	}
	s, before := sweeps(w, "one", nil), ledger()
	for hour := range 100 {
		w.SetTime(a.DueAt.Add(time.Hour + time.Duration(hour+1)*time.Hour))
		if healed := once(t, s); healed["deadlines"] != 0 {
			t.Fatalf("hour %d: healed %v, want nothing", hour, healed)
		}
	}
	if after := ledger(); after != before {
		t.Errorf("messages, events, log rows, version = %v, want %v", after, before)
	}
	w.Holds()
}

// TestB21: two replicas, each of a scheduler and of a worker that has all jobs,
// ten times round: each event is taken once, and each message arrives once. (That
// the periodic work of two schedulers is done once: TestPeriodicWorkIsDoneOnceHoweverManyTick.)
func TestB21(t *testing.T) {
	t.Parallel()
	const cycles, actions = 10, 12
	w := scenario.New(t, ladder(cycles-2, 1)) // reminder, overdue, stages
	mail := w.Mail()
	as := w.Create(w.Complaints(actions, model.SeverityCritical)...)
	replicas := []*scenario.World{w, w.Twin()}
	for range cycles {
		var next time.Time
		var jobs []store.DeadlineRef
		for _, a := range as {
			now := w.Action(a.ID)
			jobs = append(jobs, store.DeadlineRef{ActionID: a.ID, Gen: now.Gen})
			if now.NextAt.After(next) {
				next = *now.NextAt
			}
		}
		w.SetTime(next.Add(10 * time.Second))
		together(t, w, replicas, jobs)
	}
	together(t, w, replicas, nil) // what the last cycle said
	arrived := map[string]int{}
	for _, m := range mail.Accepted() {
		arrived[m.Key]++
	}
	said := 0
	for _, a := range as {
		if got := taken(w, a.ID); len(got) != cycles || len(slices.Compact(slices.Sorted(slices.Values(got)))) != cycles {
			t.Errorf("taken %v, want %d events, each once", got, cycles)
		}
		for _, m := range w.Messages(a.ID) {
			if said++; m.State != model.MessageSent || arrived[m.Key] != 1 {
				t.Errorf("%s = %s, arrived %d times; want once", m.Reason, m.State, arrived[m.Key])
			}
		}
	}
	if said != len(arrived) || said < actions*cycles {
		t.Errorf("%d messages, %d arrived", said, len(arrived))
	}
	w.Holds()
}

// together lets replicas work at the same time: each has every job and every
// message that waits, and sweeps.
func together(t *testing.T, w *scenario.World, replicas []*scenario.World, jobs []store.DeadlineRef) {
	t.Helper()
	w.Exec("UPDATE messages SET next_try_at = clock_timestamp() - interval '1 minute' WHERE state = 'pending'")
	var refs []store.MessageRef
	if err := w.Store.DB().NewRaw("SELECT id, attempts AS attempt FROM messages WHERE state = 'pending'").Scan(t.Context(), &refs); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i, p := range replicas {
		for _, job := range jobs {
			wg.Go(func() {
				if _, err := p.Engine.Fire(t.Context(), job); err != nil {
					t.Errorf("fire: %v", err)
				}
			})
		}
		for _, ref := range refs {
			wg.Go(func() {
				if _, err := p.Engine.Deliver(t.Context(), ref); err != nil {
					t.Errorf("deliver: %v", err)
				}
			})
		}
		wg.Go(func() {
			if _, err := sweeps(p, string(rune('a'+i)), nil).Once(t.Context()); err != nil {
				t.Errorf("sweep: %v", err)
			}
		})
	}
	wg.Wait()
	once(t, sweeps(w, "last", nil)) // what the replicas left to each other
}
