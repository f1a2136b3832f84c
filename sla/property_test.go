package sla_test

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
)

// TestRandomLives leads many actions through random moves and firings, some of
// them late. What every outcome must hold is checked by the scene; what holds
// between two of them is checked here.
func TestRandomLives(t *testing.T) {
	t.Parallel()
	const lives, turns = 2000, 30
	for seed := range uint64(lives) {
		life := newLife(t, seed)
		for range turns {
			life.turn()
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// life is one random action.
type life struct {
	*scene
	rnd *rand.Rand
	now time.Time
}

func newLife(t *testing.T, seed uint64) *life {
	t.Helper()
	l := &life{rnd: rand.New(rand.NewPCG(seed, 7)), now: monday}
	people := pick(l, usualCast(), cast{}, cast{Assignee: "ann"}, cast{Assignee: "mgr", Manager: "mgr", PXAdmins: []string{"pxa"}},
		cast{Assignee: "ann", Manager: "pxa", PXAdmins: []string{"pxa", "pxb"}})
	cfg := builtIn()
	cfg.Reminders = reminders(pick(l, []time.Duration{4 * time.Hour}, nil, []time.Duration{30 * time.Hour, 12 * time.Hour, time.Hour})...)
	cfg.Stages[model.SeverityHigh] = pick(l, cfg.Stages[model.SeverityHigh], nil, []sla.Stage{{Gap: 6 * time.Hour}, {Gap: time.Hour}, {Gap: 20 * time.Minute}})
	if l.rnd.IntN(2) == 0 {
		cfg.AckTargets = map[model.Severity]sla.TargetSpec{
			model.SeverityCritical: {Time: time.Hour}, model.SeverityHigh: {Time: 20 * time.Hour}, model.SeverityMedium: {Days: 1},
		}
	}
	cfg.Reopen = pick(l, "", sla.ReopenFresh, sla.ReopenRemaining)
	if l.rnd.IntN(2) == 0 { // with approval few lives come to be reopened
		cfg.RequiresApproval = func(model.SourceType, model.Severity) bool { return false }
	}
	a := newAction(pick(l, model.Severities()...), monday, people)
	a.Shadow = l.rnd.IntN(5) == 0
	if l.rnd.IntN(3) == 0 {
		l.wait(60 * time.Hour)
	}
	l.scene = openScene(t, a, cfg, house(people), l.now)
	return l
}

func pick[T any](l *life, from ...T) T { return from[l.rnd.IntN(len(from))] }

// wait lets up to d pass, in fractions of a second too.
func (l *life) wait(d time.Duration) { l.now = l.now.Add(time.Duration(l.rnd.Int64N(int64(d)))) }

// lifeCalendars are what an action may come to be counted by.
func lifeCalendars() []sla.OpenTime {
	hours := func(open, end int) sla.Calendar {
		spec := sla.CalendarSpec{Name: "x", Timezone: "UTC", Weekly: map[string][]sla.Hours{"mon-fri": {{Open: open * 3600, Close: end * 3600}}}}
		cal, err := spec.Compile()
		if err != nil {
			panic(err)
		}
		return cal
	}
	return []sla.OpenTime{{}, {Name: "office", Revision: 2, Calendar: hours(8, 16)}, {Name: "long", Revision: 3, Calendar: hours(2, 23)}}
}

// recalendar changes the calendar under a live action, whatever its state.
func (l *life) recalendar() {
	if !l.c.Action.Live() {
		return
	}
	open := pick(l, lifeCalendars()...)
	out := sla.Recalendar(l.c, open, l.now)
	l.c.Open = open.Calendar
	if len(out.Logs) == 0 { // the plan is the same
		l.c.Action = out.Action
		return
	}
	l.absorb(out, l.now)
	a := l.c.Action
	require.False(l.t, a.IsOverdue && l.openTarget() && a.DueAt.After(l.now), "overdue is past due")
}

func (l *life) turn() {
	if l.rnd.IntN(10) == 0 {
		l.recalendar()
	}
	next := l.c.Action.NextAt
	switch l.rnd.IntN(4) {
	case 0, 1:
		if next == nil {
			l.wait(10 * time.Hour)
			return
		}
		if next.After(l.now) {
			_, early := sla.Fire(l.c, next.Add(-time.Nanosecond))
			require.False(l.t, early, "nothing is due before next_at")
			l.now = *next
		}
		if l.rnd.IntN(4) == 0 {
			l.wait(5 * time.Hour)
		}
		l.fire(l.now)
	case 2:
		l.wait(3 * time.Hour)
		l.act()
	case 3:
		l.act()
	}
}

// act makes a random legal move and checks what must hold across it.
func (l *life) act() {
	legal := model.Legal(l.c.Action.Status, l.c.Action.Held())
	m := l.request(pick(l, legal...))
	before, stages := l.c.Action, l.stageTimes()
	out, err := sla.Apply(l.c, m, l.now)
	if err != nil {
		require.True(l.t, expected(err), "%s: %v", m.Move, err)
		return
	}
	l.absorb(out, l.now)
	l.checkActor(m, out)
	after := l.c.Action
	require.False(l.t, after.IsOverdue && l.openTarget() && after.DueAt.After(l.now), "overdue is past due")
	if m.Move == model.MoveReopen {
		require.Empty(l.t, out.Events)
		require.Equal(l.t, before.Period+1, after.Period)
		l.checkReopening(before, after)
		return
	}
	require.GreaterOrEqual(l.t, after.Period, before.Period)
	require.GreaterOrEqual(l.t, after.AckNo, before.AckNo)
	l.checkAcks()
	require.Equal(l.t, before.OriginalDueAt, after.OriginalDueAt)
	require.GreaterOrEqual(l.t, after.EscalationLevel, before.EscalationLevel)
	if before.IsOverdue && after.IsOverdue && l.openTarget() {
		l.checkStagesNoLater(stages, len(out.Events) > 0)
	}
}

// checkAcks: an assignment is missed once at most, by who had not started.
func (l *life) checkAcks() {
	l.t.Helper()
	missed := map[int]bool{}
	for _, e := range l.c.Events {
		if e.Kind != model.EventAck {
			continue
		}
		require.False(l.t, missed[e.Stage], "assignment %d is missed twice", e.Stage)
		missed[e.Stage] = true
		require.LessOrEqual(l.t, e.Stage, l.c.Action.AckNo)
		if acked := l.c.Action.AckedAt; acked != nil {
			require.False(l.t, e.Planned.After(*acked), "assignment %d was started before it was missed", e.Stage)
		}
	}
}

// checkReopening: a fresh target, or what was left when the clock stopped and at
// least the floor, in both cases from now on.
func (l *life) checkReopening(before, after model.Action) {
	l.t.Helper()
	now, target := l.now.Truncate(time.Second), l.c.Config.Target[after.Severity]
	if l.c.Config.Reopen != sla.ReopenRemaining {
		require.Equal(l.t, l.c.Open.Add(now, target).UTC(), after.DueAt.UTC())
		require.Equal(l.t, after.DueAt, after.OriginalDueAt)
		return
	}
	stopped := before.ClosedAt
	if before.PausedAt != nil {
		stopped = before.PausedAt
	}
	left := max(l.c.Open.Between(*stopped, before.DueAt), min(sla.Floor, target))
	// Not the instant: one set by hand may lie where nothing is open.
	require.Equal(l.t, left, l.c.Open.Between(now, after.DueAt))
	require.Equal(l.t, before.OriginalDueAt, after.OriginalDueAt)
}

// checkStagesNoLater: no change makes an untaken stage of an overdue action
// later than it was; what a late taking shifts is not the change's doing.
func (l *life) checkStagesNoLater(was map[int]time.Time, fired bool) {
	l.t.Helper()
	if fired {
		return
	}
	for no, at := range l.stageTimes() {
		if had, ok := was[no]; ok {
			require.False(l.t, at.After(had), "stage %d at %s had %s", no, at, had)
		}
	}
}

func (l *life) stageTimes() map[int]time.Time {
	times := map[int]time.Time{}
	for _, e := range sla.Upcoming(l.c) {
		if e.Kind == model.EventEscalation {
			times[e.Stage] = e.At
		}
	}
	return times
}

// openTarget: the resolution clock runs.
func (l *life) openTarget() bool {
	st := l.c.Action.Status
	return (st == model.StatusOpen || st == model.StatusInProgress) && !l.c.Action.Held()
}

func (l *life) request(m model.Move) sla.MoveRequest {
	r := sla.MoveRequest{Move: m, Reason: "because", Text: "words"}
	if l.rnd.IntN(3) > 0 {
		r.Actor = personID(pick(l, "coo", "lab", "pxa", "cat", "far", "ann", "pxb")).Ptr()
	}
	if l.c.Dir.Users[model.Deref(r.Actor)] == nil {
		r.Actor = personID("coo").Ptr()
	}
	r.Assignee = personID(pick(l, "bob", "cat", "lab"))
	r.Severity = pick(l, model.Severities()...)
	r.Department = idOf[model.Department](pick(l, "WARD", "LAB"))
	if l.rnd.IntN(3) > 0 {
		r.Until = l.now.Add(time.Duration(l.rnd.IntN(60)-5) * time.Hour)
	}
	r.DueAt = l.now.Add(time.Duration(l.rnd.IntN(40)-5) * time.Hour)
	return r
}

// expected errors of random requests: the wrong person, the same value again,
// what is not built, or what the action does not allow.
func expected(err error) bool {
	var te *model.TransitionError
	var fe model.FieldErrors
	return errors.As(err, &te) || errors.As(err, &fe) || errors.Is(err, model.ErrForbidden)
}
