package store_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
	"github.com/pxactions/px/tasks"
)

// poison makes a feedback that cannot be decided: an action claims it already.
// The cure takes the claim back.
func poison(w *scenario.World, id model.FeedbackID) (cure func()) {
	w.TB.Helper()
	squatter := w.Create(w.Complaint(model.SeverityLow))[0]
	w.Exec("UPDATE actions SET feedback_id = ? WHERE id = ?", id, squatter.ID)
	return func() { w.Exec("UPDATE actions SET feedback_id = ? WHERE id = ?", squatter.FeedbackID, squatter.ID) }
}

// jam makes an action that cannot fire: a message says that its next version
// has told the owner already. The cure takes the message away.
func jam(w *scenario.World, a model.Action) (cure func()) {
	w.TB.Helper()
	m := w.Messages(a.ID)[0]
	for _, have := range w.Messages(a.ID) {
		if have.RecipientID == *a.AssignedTo {
			m = have
		}
	}
	m.ID, m.ActionVersion = model.NewID[model.Message](), a.Version+1
	m.Key = "px_" + m.ID.Hex()
	if _, err := w.Store.DB().NewInsert().Model(&m).Exec(w.TB.Context()); err != nil {
		w.TB.Fatal(err)
	}
	return func() { w.Exec("DELETE FROM messages WHERE id = ?", m.ID) }
}

func TestOneBadFeedbackNeverSinksItsBatch(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	ids := w.Insert(w.Complaints(7, model.SeverityHigh)...)
	bad := ids[2]
	cure := poison(w, bad)
	created, effects, err := w.Store.Create(t.Context(), ids)
	if err != nil || len(created) != 7 || len(effects.Arm) != 6 {
		t.Fatalf("create = %d results, %d jobs, %v; want 7, 6", len(created), len(effects.Arm), err)
	}
	for _, c := range created {
		if c.FeedbackID != bad {
			if c.Err != nil || c.Decision != model.DecisionCreated {
				t.Errorf("good feedback = %+v", c)
			}
			continue
		}
		if !errors.Is(c.Err, model.ErrConflict) || c.Decision != "" || !strings.Contains(c.Err.Error(), bad.String()) {
			t.Errorf("bad feedback = %+v, want undecided, with an error that names it", c)
		}
		if strings.Contains(c.Err.Error(), "Waited") {
			t.Errorf("error %q quotes the row", c.Err)
		}
	}
	f := w.Feedback(bad)
	if now, err := w.Store.Now(t.Context()); err != nil || f.Tries != 1 || f.Decision != "" || !f.HealAfter.After(now.Machine) {
		t.Errorf("bad feedback's row = %+v, want one try, behind a grace", f)
	}
	if n := w.Count("SELECT count(*) FROM actions"); n != 7 { // six and the squatter
		t.Errorf("actions = %d, want 7", n)
	}
	cure()
	created, _, err = w.Store.Create(t.Context(), []model.FeedbackID{bad})
	if err != nil || created[0].Decision != model.DecisionCreated || created[0].Before {
		t.Errorf("cured feedback = %+v, %v; want created", created, err)
	}
	w.Holds()
}

func TestFeedbackThatFailsAloneIsQuarantinedAtTheFifthTry(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	ids := w.Insert(w.Complaint(model.SeverityHigh))
	cure := poison(w, ids[0])
	for try := 1; try <= 5; try++ {
		created, effects, err := w.Store.Create(t.Context(), ids)
		if err != nil || created[0].Err == nil || !effects.Empty() {
			t.Fatalf("try %d = %+v, %+v, %v; want an error", try, created, effects, err)
		}
		want := map[bool]model.Decision{true: model.DecisionQuarantined}[try == 5]
		if f := w.Feedback(ids[0]); f.Tries != try || f.Decision != want || created[0].Decision != want {
			t.Fatalf("try %d: %d tries, decision %q; want %q", try, f.Tries, f.Decision, want)
		}
	}
	f := w.Feedback(ids[0])
	if f.Reason != "failed" || f.DecidedAt == nil || f.ActionID != nil {
		t.Errorf("quarantined feedback = %+v, want the reason failed", f)
	}
	cure()
	created, _, err := w.Store.Create(t.Context(), ids)
	if err != nil || !created[0].Before || created[0].Decision != model.DecisionQuarantined {
		t.Errorf("a sixth time = %+v, %v; want what was decided before", created, err)
	}
	w.Holds()
}

func TestOneBadActionNeverSinksItsBatch(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, scenario.NoAck())
	as := w.Create(w.Complaints(5, model.SeverityCritical)...)
	bad := as[3]
	cure := jam(w, bad)
	w.SetTime(*bad.NextAt)
	var jobs []store.DeadlineRef
	for _, a := range as {
		jobs = append(jobs, store.DeadlineRef{ActionID: a.ID, Gen: a.Gen})
	}
	fired, effects, err := w.Store.Fire(t.Context(), jobs)
	if err != nil || len(fired) != 5 || len(effects.Arm) != 4 {
		t.Fatalf("fire = %d results, %d jobs, %v; want 5, 4", len(fired), len(effects.Arm), err)
	}
	for _, r := range fired {
		if bad.ID != r.Ref.ActionID && (r.Err != nil || r.Outcome != store.Fired) {
			t.Errorf("good action = %+v", r)
		}
		if bad.ID == r.Ref.ActionID && !errors.Is(r.Err, model.ErrConflict) {
			t.Errorf("bad action = %+v, want a conflict", r)
		}
	}
	a := w.Action(bad.ID)
	now, err := w.Store.Now(t.Context())
	if err != nil || a.HealAfter == nil || a.HealAfter.Sub(now.Machine) < 30*time.Second || a.Gen != bad.Gen || len(w.Events(a.ID)) != 0 {
		t.Errorf("bad action's row = %+v, want it untouched but set aside for a minute", a)
	}
	w.SetTime(bad.NextAt.Add(10 * time.Second))
	if late, _, err := w.Store.LateDeadlines(t.Context(), store.Keyset{}, 10); err != nil || len(late) != 0 {
		t.Errorf("late = %v, %v; want the bad one left out", late, err)
	}
	cure()
	w.FireNext(bad.ID, 1)
	if a := w.Action(bad.ID); a.HealAfter != nil {
		t.Errorf("heal_after = %v, want none once it fired", a.HealAfter)
	}
	w.Holds()
}

func TestHistoryKeepsTheDecisionItWouldHaveHad(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	bad, good := w.Complaint(model.SeverityHigh), w.Complaint(model.SeverityHigh)
	good.Kind = model.KindPraise
	bad.Mode, good.Mode = model.ModeHistory, model.ModeHistory
	ids := w.Insert(bad, good)
	if _, _, err := w.Store.Create(t.Context(), ids); err != nil {
		t.Fatal(err)
	}
	f := w.Feedback(ids[0])
	if f.Reason != sla.ReasonHistory || f.WouldDecision != model.DecisionCreated || f.WouldReason != sla.ReasonComplaint || f.WouldSeverity != model.SeverityHigh {
		t.Errorf("complaint = %+v, want that it would have been created, high", f)
	}
	f = w.Feedback(ids[1])
	if f.Reason != sla.ReasonHistory || f.WouldDecision != model.DecisionIgnored || f.WouldReason != sla.ReasonPraise || f.WouldSeverity != "" {
		t.Errorf("praise = %+v, want that it would have been ignored", f)
	}
}

// TestWhoClosesFastDoesNotGetThemAll: of those alike in load, who waited
// longest is next, also where the last action is closed by now.
func TestWhoClosesFastDoesNotGetThemAll(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, []byte("routing: [{name: all, assign_to_role: PX Coordinator}]"))
	owners := map[model.UserID]int{}
	for range 4 {
		a := w.Create(w.Complaint(model.SeverityHigh))[0]
		owners[*a.AssignedTo]++
		w.Move(a.ID, sla.MoveRequest{Move: model.MoveCancel, Reason: "test"})
		w.SetTime(a.CreatedAt.Add(time.Hour))
	}
	if len(owners) != 2 {
		t.Errorf("owners = %v, want both coordinators in turns", owners)
	}
	for _, n := range owners {
		if n != 2 {
			t.Errorf("owners = %v, want two each", owners)
		}
	}
}

func TestARowThatContradictsItsPlanIsAnErrorOfItsOwn(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, scenario.NoAck())
	as := w.Create(w.Complaints(3, model.SeverityCritical)...)
	due := as[0].DueAt
	for i, broken := range []string{"next_kind = 'ack', next_at = due_at", "policy_revision = 99"} {
		w.Exec("UPDATE actions SET "+broken+" WHERE id = ?", as[i].ID)
	}
	w.SetTime(due.Add(-time.Hour * 5)) // nothing is due by the plan
	w.Exec("UPDATE actions SET next_at = ? WHERE id = ?", due.Add(-6*time.Hour), as[0].ID)
	jobs := []store.DeadlineRef{w.Job(as[0].ID), w.Job(as[1].ID), w.Job(as[2].ID)}
	fired, _, err := w.Store.Fire(t.Context(), jobs)
	if err != nil || len(fired) != 3 {
		t.Fatalf("fire = %+v, %v", fired, err)
	}
	for _, r := range fired {
		if sound := r.Ref.ActionID == as[2].ID; sound != (r.Err == nil) {
			t.Errorf("action %s = %+v", r.Ref.ActionID, r)
		}
	}
}

func TestDuplicatesAreFolded(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	id := w.Insert(w.Complaint(model.SeverityCritical))[0]
	created, effects, err := w.Store.Create(t.Context(), []model.FeedbackID{id, id, id})
	if err != nil || len(created) != 1 || len(effects.Arm) != 1 {
		t.Fatalf("create = %+v, %+v, %v; want one", created, effects, err)
	}
	a := w.Action(*created[0].ActionID)
	w.SetTime(*a.NextAt)
	older := store.DeadlineRef{ActionID: a.ID, Gen: a.Gen - 1}
	fired, effects, err := w.Store.Fire(t.Context(), []store.DeadlineRef{older, w.Job(a.ID), w.Job(a.ID), older})
	if err != nil || len(fired) != 2 || fired[0].Outcome != store.Fired || fired[1].Outcome != store.Stale || len(effects.Arm) != 1 {
		t.Errorf("fire = %+v, %+v, %v; want the newest job fired, the older stale, and one armed", fired, effects, err)
	}
	// Moves are not folded: each is made, in their order.
	moves := []store.Move{
		{ActionID: a.ID, Request: sla.MoveRequest{Move: model.MoveStart, Actor: a.AssignedTo}},
		{ActionID: a.ID, Request: sla.MoveRequest{Move: model.MoveStart, Actor: a.AssignedTo}},
		{ActionID: a.ID, Request: sla.MoveRequest{Move: model.MoveNote, Actor: a.AssignedTo, Text: "done twice"}},
	}
	moved, _, err := w.Store.Move(t.Context(), moves)
	var illegal *model.TransitionError
	if err != nil || moved[0].Err != nil || !errors.As(moved[1].Err, &illegal) || moved[2].Err != nil {
		t.Errorf("moves = %+v, %v; want the second alone refused", moved, err)
	}
	w.Holds()
}

func TestWhatWasAppliedBeforeYieldsTheCurrentEffect(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, scenario.NoAck())
	ids := w.Insert(w.Complaint(model.SeverityCritical))
	_, first, err := w.Store.Create(t.Context(), ids)
	if err != nil || len(first.Arm) != 1 || len(first.Send) == 0 {
		t.Fatalf("create = %+v, %v", first, err)
	}
	created, again, err := w.Store.Create(t.Context(), ids)
	if err != nil || !created[0].Before || created[0].ActionID == nil || !sameJobs(again.Arm, first.Arm) || len(again.Send) != len(first.Send) {
		t.Errorf("again = %+v, %+v, %v; want the first effects", created, again, err)
	}
	id := *created[0].ActionID
	old := w.Job(id)
	w.FireNext(id, 1)
	armed := func() []tasks.Arm {
		t.Helper()
		rs, e, err := w.Store.Fire(t.Context(), []store.DeadlineRef{old})
		if err != nil || rs[0].Outcome != store.Stale {
			t.Fatalf("stale fire = %+v, %v", rs, err)
		}
		return e.Arm
	}
	now := armed()
	if len(now) != 1 || now[0].Gen != w.Action(id).Gen || now[0].Kind != model.EventOverdue {
		t.Errorf("effect = %+v, want the job of the current gen", now)
	}
	if err := w.Store.MarkArmed(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	if heard := armed(); len(heard) != 0 {
		t.Errorf("effect = %+v, want none: the queue has heard of it", heard)
	}
	// An older gen that is noted late changes nothing, nor does one to come.
	for _, gen := range []int64{1, now[0].Gen + 1} {
		if err := w.Store.MarkArmed(t.Context(), []tasks.Arm{{ActionID: id, Gen: gen}}); err != nil {
			t.Fatal(err)
		}
	}
	if a := w.Action(id); a.ArmedGen != a.Gen {
		t.Errorf("armed gen = %d of %d", a.ArmedGen, a.Gen)
	}
	w.Holds()
}

func sameJobs(a, b []tasks.Arm) bool {
	return slices.EqualFunc(a, b, func(a, b tasks.Arm) bool { return a.ID() == b.ID() && a.At.Equal(b.At) })
}

func TestNotDueWaitsByTheMachineClock(t *testing.T) {
	t.Parallel()
	for _, speed := range []float64{1, 600} {
		w := scenario.New(t, nil)
		a := w.Create(w.Complaint(model.SeverityCritical))[0]
		if err := w.Store.SetClock(t.Context(), a.NextAt.Add(-time.Hour), speed); err != nil {
			t.Fatal(err)
		}
		rs, _, err := w.Store.Fire(t.Context(), []store.DeadlineRef{w.Job(a.ID)})
		most := time.Duration(float64(time.Hour) / speed)
		if err != nil || rs[0].Outcome != store.NotDue || rs[0].Wait > most || rs[0].Wait < most-5*time.Second {
			t.Errorf("speed %v: %+v, %v; want not due for %s", speed, rs, err, most)
		}
	}
}

func TestABatchOfThreeHundredMixedJobs(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, scenario.NoAck())
	due := w.Create(w.Complaints(120, model.SeverityCritical)...)
	early := w.Create(w.Complaints(80, model.SeverityLow)...)
	stale := w.Create(w.Complaints(60, model.SeverityCritical)...)
	var jobs []store.DeadlineRef
	for _, a := range slices.Concat(due, early) {
		jobs = append(jobs, store.DeadlineRef{ActionID: a.ID, Gen: a.Gen})
	}
	for _, a := range stale {
		jobs = append(jobs, store.DeadlineRef{ActionID: a.ID, Gen: a.Gen - 1})
	}
	for range 40 {
		jobs = append(jobs, store.DeadlineRef{ActionID: model.NewID[model.Action](), Gen: 1})
	}
	cures := []func(){jam(w, due[17]), jam(w, due[99])}
	w.SetTime(due[0].NextAt.Add(time.Minute))
	fired, _, err := w.Store.Fire(t.Context(), jobs)
	if err != nil || len(fired) != 300 {
		t.Fatalf("fire = %d results, %v; want 300", len(fired), err)
	}
	got := map[store.FireOutcome]int{}
	for _, r := range fired {
		if r.Err != nil {
			r.Outcome = "failed"
		}
		got[r.Outcome]++
	}
	if got[store.Fired] != 118 || got[store.NotDue] != 80 || got[store.Stale] != 100 || got["failed"] != 2 {
		t.Errorf("outcomes = %v", got)
	}
	for _, cure := range cures {
		cure()
	}
	// The sixty that were named by an old gen are late only now.
	fired, _, err = w.Store.Fire(t.Context(), append(jobsOf(w, stale), w.Job(due[17].ID), w.Job(due[99].ID)))
	if err != nil || slices.ContainsFunc(fired, func(r store.FireResult) bool { return r.Outcome != store.Fired }) {
		t.Errorf("fire of the rest = %+v, %v", fired, err)
	}
	w.Holds()
}

func jobsOf(w *scenario.World, as []model.Action) []store.DeadlineRef {
	var jobs []store.DeadlineRef
	for _, a := range as {
		jobs = append(jobs, w.Job(a.ID))
	}
	return jobs
}
