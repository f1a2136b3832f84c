package sla_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
)

// TestChanges makes every change at every point of a plan, around the clock and
// in office hours, and lets the action live on to its end. After each transaction
// program and judge say the same.
func TestChanges(t *testing.T) {
	t.Parallel()
	for _, w := range []struct {
		name string
		sev  model.Severity
		open sla.OpenTime
	}{
		{"around the clock", model.SeverityHigh, sla.OpenTime{}},
		{"office hours", model.SeverityMedium, lifeCalendars()[1]},
	} {
		for _, p := range points() {
			there := newPair(t, w.sev, w.open)
			p.lead(there)
			for _, c := range changes() {
				t.Run(fmt.Sprintf("%s/%s/%s", w.name, c.name, p.name), func(t *testing.T) {
					t.Parallel()
					l := there.copied(t)
					c.make(l)
					l.toTheEnd()
				})
			}
		}
	}
}

// pair is an action, and what the judge makes of the same life.
type pair struct {
	*scene
	o    *judge
	open sla.OpenTime
	now  time.Time
	step string
}

func newPair(t *testing.T, sev model.Severity, open sla.OpenTime) *pair {
	t.Helper()
	cfg := changesConfig(1)
	a := newAction(sev, monday, usualCast())
	a.SubjectKey = "k1"
	c := sla.Case{Action: a, Config: cfg, Dir: house(usualCast()), Open: open.Calendar}
	c.Dir.Users[personID("ann")].Roles.V = []model.Role{model.RolePXCoordinator} // she goes on working at it when it is not hers any more
	l := &pair{scene: &scene{t: t, c: sla.Case{Config: cfg, Dir: c.Dir, Open: open.Calendar}}, open: open, now: monday}
	l.absorb(sla.Open(c, monday), monday)
	l.o = newJudge(cfg, open.Calendar, sev, monday)
	l.agree("opened")
	return l
}

// copied lives on by itself.
func (l *pair) copied(t *testing.T) *pair {
	n, s := *l, *l.scene
	s.t, s.c.Events, s.logs, s.messages = t, slices.Clip(s.c.Events), slices.Clip(s.logs), slices.Clip(s.messages)
	n.scene = &s
	return &n
}

// changesConfig has for every severity a ladder and reminders of its own; all
// its times are so many times as long. Low ones need no approval, and nobody is
// asked to start them soon, but in other departments.
func changesConfig(times float64) *sla.Config {
	hours := func(h float64) time.Duration { return time.Duration(times * h * float64(time.Hour)) }
	cfg := &sla.Config{
		Target: map[model.Severity]time.Duration{}, Reminders: map[model.Severity][]sla.Reminder{}, Stages: map[model.Severity][]sla.Stage{},
		AckTargets: map[model.Severity]sla.TargetSpec{"critical": {Time: hours(1)}, "high": {Time: hours(4)}, "medium": {Days: 1}},
		Clock:      map[model.Severity]sla.ClockKind{"critical": sla.ClockElapsed, "high": sla.ClockElapsed},

		Approval:         sla.Approval{Reminder: 4 * time.Hour},
		RequiresApproval: func(_ model.SourceType, sev model.Severity) bool { return sev != model.SeverityLow },
	}
	if times != 1 {
		cfg.AckTargets[model.SeverityLow] = sla.TargetSpec{Days: 2}
	}
	for sev, of := range map[model.Severity]struct {
		target            float64
		reminders, stages []float64
	}{
		"critical": {24, []float64{6, 1}, []float64{1, 2, 3}},
		"high":     {48, []float64{12, 4}, []float64{2, 3, 5}},
		"medium":   {72, []float64{12, 4, 1}, []float64{3, 4, 6}},
		"low":      {120, []float64{24}, []float64{6}},
	} {
		cfg.Target[sev] = hours(of.target)
		for _, h := range of.reminders {
			cfg.Reminders[sev] = append(cfg.Reminders[sev], sla.Reminder{Before: hours(h)})
		}
		for _, h := range of.stages {
			cfg.Stages[sev] = append(cfg.Stages[sev], sla.Stage{Gap: hours(h)})
		}
	}
	return cfg
}

// moment is all that both are to agree on after a transaction, in words.
func moment(due, original time.Time, overdue bool, period, level int, plan []sla.PlannedEvent, took []deed, heard []string) string {
	clock := func(t time.Time) string { return t.UTC().Format("Mon 02 Jan 15:04:05") }
	text := fmt.Sprintf("due %s, first %s, overdue %t, period %d, level %d", clock(due), clock(original), overdue, period, level)
	for _, d := range took {
		text += fmt.Sprintf("\ntook %s %d of period %d, planned %s, at %s: %s %s", d.kind, d.stage, d.period, clock(d.planned), clock(d.fired), d.done, d.targets)
	}
	for _, e := range plan {
		text += fmt.Sprintf("\nplans %s %d at %s", e.Kind, e.Stage, clock(e.At))
	}
	return text + "\ntells " + strings.Join(slices.Sorted(slices.Values(heard)), ", ")
}

func (l *pair) agree(step string) {
	l.step = fmt.Sprintf("%s at %s", step, l.now.Format("Mon 02 Jan 15:04:05"))
	var took []deed
	for _, e := range l.last.Events {
		d := deed{e.Period, e.Kind, e.Stage, e.Planned, e.Fired, e.Done, nil, false}
		if e.Kind == model.EventEscalation {
			d.targets = codesOf(l.c.Dir, e.Targets.V)
		}
		took = append(took, d)
	}
	a, o := l.c.Action, l.o
	require.Equal(l.t, moment(o.due(), o.original, o.overdue(), o.period, o.level, o.plan(), o.took, o.heard()),
		moment(a.DueAt, a.OriginalDueAt, a.IsOverdue, a.Period, a.EscalationLevel, sla.Upcoming(l.c), took, l.heard()), l.step)
}

// fireNow runs the job, late or not.
func (l *pair) fireNow() {
	l.fire(l.now)
	l.o = l.o.fire(l.now)
	l.agree("fired")
}

// until fires everything on time, up to and with an instant.
func (l *pair) until(at time.Time) {
	for n := l.c.Action.NextAt; n != nil && !n.After(at); n = l.c.Action.NextAt {
		l.now = latest(*n, l.now)
		l.fireNow()
	}
	l.now = latest(l.now, at)
}

// toTheEnd lets everything happen that is still planned.
func (l *pair) toTheEnd() {
	for range 20 {
		if l.c.Action.NextAt == nil {
			return
		}
		l.until(*l.c.Action.NextAt)
	}
	require.Fail(l.t, "it never ends")
}

// act makes a move, which is refused where the judge says so; false: it was.
func (l *pair) act(m sla.MoveRequest) bool {
	if m.Reason == "" {
		m.Reason = "because"
	}
	after, why := l.o.move(m, l.now)
	if why != "" {
		_, err := sla.Apply(l.c, m, l.now)
		require.Equal(l.t, why, refusal(err), "%s after %s", m.Move, l.step)
		return false
	}
	l.move(l.now, m)
	if m.Config != nil {
		l.c.Open = m.OpenTime.Calendar
	}
	l.o = after
	l.agree(string(m.Move))
	return true
}

func refusal(err error) string {
	var fe model.FieldErrors
	switch {
	case errors.As(err, new(*model.TransitionError)):
		return "transition"
	case errors.As(err, &fe):
		return fe[0].Field
	default:
		return fmt.Sprint(err)
	}
}
