package sla_test

import (
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
)

type point struct {
	name string
	lead func(*pair)
}

type aChange struct {
	name string
	make func(*pair)
}

// instant finds a time of an action's plan.
type instant func(*pair) time.Time

func of(kind model.EventKind, stage int) instant {
	return func(l *pair) time.Time {
		for _, e := range l.o.plan() {
			if e.Kind == kind && e.Stage == stage {
				return e.At
			}
		}
		require.Fail(l.t, "it is not planned", "%s %d", kind, stage)
		return time.Time{}
	}
}

func (at instant) plus(d time.Duration) instant {
	return func(l *pair) time.Time { return at(l).Add(d) }
}

func due(l *pair) time.Time { return of(model.EventOverdue, 0)(l) }

func stage(no int) instant { return of(model.EventEscalation, no) }

func lastReminder(l *pair) time.Time {
	return of(model.EventReminder, len(l.o.cfg.Reminders[l.o.sev]))(l)
}

// fired goes to so long after an instant; all up to that was taken on time.
func fired(at instant, wait time.Duration) func(*pair) {
	return func(l *pair) {
		l.until(at(l))
		l.now = l.now.Add(wait)
	}
}

// unfired goes there, too, but nothing was taken from the instant on.
func unfired(at instant, wait time.Duration) func(*pair) {
	return func(l *pair) {
		then := at(l)
		l.until(then.Add(-time.Second))
		l.now = then.Add(wait)
	}
}

// held goes so long into a hold of 20 hours.
func held(from instant, wait time.Duration) func(*pair) {
	return func(l *pair) {
		l.until(from(l))
		l.act(sla.MoveRequest{Move: model.MoveHold, Until: l.now.Add(20 * h), Actor: personID("coo").Ptr()})
		l.now = l.now.Add(wait)
	}
}

func submittedAt(at instant) func(*pair) {
	return func(l *pair) {
		l.act(by("ann", model.MoveStart))
		l.until(at(l))
		l.act(by("ann", model.MoveSubmit))
		l.now = l.now.Add(h)
	}
}

// then makes moves, an hour between them.
func then(first func(*pair), moves ...sla.MoveRequest) func(*pair) {
	return func(l *pair) {
		first(l)
		for _, m := range moves {
			l.act(m)
			l.now = l.now.Add(h)
		}
	}
}

const h = time.Hour

// points are where a change may find an action.
func points() []point {
	ack, now := of(model.EventAck, 1), func(*pair) {}
	ann, low := by("ann", model.MoveStart), toSeverity(model.SeverityLow)
	second := func(l *pair) {
		fired(stage(1), h/2)(l)
		l.act(toDue(l.now.Add(14 * h)))
	}
	return append(stoppedPoints(), []point{
		{"right after creation", now},
		{"before the ack due", unfired(ack, -time.Second)},
		{"at the ack due", unfired(ack, 0)},
		{"after the ack due", fired(ack, h/2)},
		{"started", then(now, ann)},
		{"between reminders", fired(of(model.EventReminder, 1), h)},
		{"at the instant of the reminder", unfired(lastReminder, 0)},
		{"after the last reminder", fired(lastReminder, h/2)},
		{"at the instant of the due", unfired(due, 0)},
		{"after overdue", fired(due, h/2)},
		{"at the instant of stage 1", unfired(stage(1), 0)},
		{"after stage 1", fired(stage(1), h/2)},
		{"after stage 2", fired(stage(2), h/2)},
		{"after stage 3", fired(stage(3), h/2)},
		{"long after stage 3", fired(stage(3), 100*h)},
		{"in an outage before the due", func(l *pair) { l.now = due(l).Add(-h / 2) }},
		{"in an outage over the due", func(l *pair) { l.now = due(l).Add(h) }},
		{"in an outage over stage 1", unfired(stage(1), 2*h)},
		{"in an outage over all", func(l *pair) { l.now = stage(3)(l).Add(30 * h) }},
		{"after an outage", func(l *pair) {
			l.now = stage(3)(l).Add(30 * h)
			l.fireNow()
			l.now = l.now.Add(h / 2)
		}},
		{"started, in an outage over stage 1", func(l *pair) { l.act(ann); unfired(stage(1), h)(l) }},
		{"assigned overdue, in an outage over stage 1 and the ack due", func(l *pair) {
			fired(due, h)(l)
			l.act(sla.MoveRequest{Move: model.MoveAssign, Assignee: personID("cat")})
			l.now = latest(of(model.EventAck, 2)(l), stage(1)(l)).Add(h / 2)
		}},
		{"lowered", then(now, low)},
		{"lowered and started, in an outage over the due", func(l *pair) { then(now, low, ann)(l); unfired(due, 3*h)(l) }},
		{"with a due by hand", func(l *pair) { l.act(toDue(due(l).Add(-5 * h))); l.now = l.now.Add(h) }},
		{"in the second period", second},
		{"overdue in the second period", func(l *pair) { second(l); fired(due, h/2)(l) }},
		{"after stage 1 of the second period", func(l *pair) { second(l); fired(stage(1), h/2)(l) }},
	}...)
}

// stoppedPoints are those at which the clock stands, or stood.
func stoppedPoints() []point {
	ack, resume := of(model.EventAck, 1), by("ann", model.MoveResume)
	approved := then(submittedAt(instant(due).plus(-h)), by("pxa", model.MoveApprove))
	closed := then(approved, by("ann", model.MoveClose))
	return []point{
		{"held early", held(instant(due).plus(-30*h), 10*h)},
		{"held before the ack due", held(ack.plus(-h/2), 10*h)},
		{"held just before the due", held(instant(due).plus(-h/2), 10*h)},
		{"held overdue", held(instant(due).plus(h/2), h/2)},
		{"held over stage 1", held(stage(1).plus(-h/2), 10*h)},
		{"held after stage 1", held(stage(1).plus(h/2), 19*h)},
		{"held until a while ago", held(instant(due).plus(-h), 23*h)},
		{"resumed", then(held(instant(due).plus(-h), 10*h), resume)},
		{"resumed, with a due by hand", func(l *pair) {
			l.act(toDue(due(l).Add(-5 * h)))
			then(held(instant(due).plus(-2*h), 9*h), resume)(l)
		}},
		{"submitted in time", submittedAt(instant(due).plus(-h))},
		{"submitted overdue", submittedAt(instant(due).plus(h))},
		{"approved", approved},
		{"closed", closed},
		{"reopened", then(closed, by("pxa", model.MoveReopen))},
		{"cancelled", func(l *pair) { l.act(by("pxb", model.MoveCancel)) }},
	}
}

// changes are what may happen to an action.
func changes() []aChange {
	do := func(m sla.MoveRequest) func(*pair) { return func(l *pair) { l.act(m) } }
	dueIn := func(d time.Duration) func(*pair) { return func(l *pair) { l.act(toDue(l.o.due().Add(d))) } }
	dueFromNow := func(d time.Duration) func(*pair) { return func(l *pair) { l.act(toDue(l.now.Add(d))) } }
	return append(longerChanges(), []aChange{
		{"severity raised", func(l *pair) { l.toSeverity(1) }},
		{"severity lowered", func(l *pair) { l.toSeverity(-1) }},
		{"another department", do(toDepartment("LAB"))},
		{"a department with shorter targets", func(l *pair) { l.toLab(0.5) }},
		{"a department with longer targets", func(l *pair) { l.toLab(1.5) }},
		{"due earlier", dueIn(-6 * h)},
		{"due later", dueIn(20 * h)},
		{"due a little later", dueIn(2 * h)},
		{"due as soon as an overdue one may be", dueFromNow(4 * h)},
		{"due a second sooner than that", dueFromNow(4*h - time.Second)},
		{"resumed", do(by("ann", model.MoveResume))},
		{"rejected", do(by("pxa", model.MoveReject))},
		{"approved", do(by("pxa", model.MoveApprove))},
		{"closed", do(by("ann", model.MoveClose))},
		{"reopened", do(by("ann", model.MoveReopen))},
		{"a policy with shorter targets", func(l *pair) { l.reapply("critical_hours: 12, high_hours: 24, medium_hours: 36, low_hours: 60") }},
		{"a policy with longer targets", func(l *pair) { l.reapply("critical_hours: 40, high_hours: 60, targets: {medium: 12wd}") }},
		{"a calendar of longer hours", func(l *pair) { l.recalendar(lifeCalendars()[2]) }},
		{"a calendar of office hours", func(l *pair) { l.recalendar(lifeCalendars()[1]) }},
		{"a calendar around the clock", func(l *pair) { l.recalendar(sla.OpenTime{}) }},
		{"assigned", do(sla.MoveRequest{Move: model.MoveAssign, Assignee: personID("bob"), Actor: personID("coo").Ptr()})},
		{"a note", do(sla.MoveRequest{Move: model.MoveNote, Text: "rang them", Actor: personID("ann").Ptr()})},
		{"started", do(by("ann", model.MoveStart))},
		{"escalated by hand", do(by("coo", model.MoveEscalate))},
		{"escalated by hand twice", func(l *pair) {
			if l.act(by("coo", model.MoveEscalate)) {
				l.now = l.now.Add(h / 2)
				l.act(by("coo", model.MoveEscalate))
			}
		}},
		{"a graver signal joins", func(l *pair) { l.joined(model.SeverityCritical) }},
		{"a milder signal joins", func(l *pair) { l.joined(model.SeverityLow) }},
		{"cancelled", do(by("pxb", model.MoveCancel))},
	}...)
}

// longerChanges are those of several transactions.
func longerChanges() []aChange {
	hold := func(l *pair, until, wait time.Duration) bool {
		ok := l.act(sla.MoveRequest{Move: model.MoveHold, Until: l.now.Add(until), Actor: personID("ann").Ptr()})
		l.now = l.now.Add(wait)
		return ok
	}
	toggled := func(steps int) func(*pair) {
		return func(l *pair) {
			if l.toSeverity(steps) {
				l.now = l.now.Add(h / 4)
				l.toSeverity(-steps)
			}
		}
	}
	return []aChange{
		{"severity raised and lowered", toggled(1)},
		{"severity lowered and raised", toggled(-1)},
		{"held and resumed by a person", func(l *pair) {
			if hold(l, 10*h, 7*h) {
				l.act(by("coo", model.MoveResume))
			}
		}},
		{"held until it resumes by itself", func(l *pair) { hold(l, 30*h, 0) }},
		{"held until it resumes late", func(l *pair) {
			if hold(l, 3*h, 9*h) {
				l.fireNow()
			}
		}},
		{"submitted and rejected", func(l *pair) {
			if l.begun() && l.act(by("ann", model.MoveSubmit)) {
				l.now = l.now.Add(5 * h)
				l.act(by("pxa", model.MoveReject))
			}
		}},
		{"closed and reopened, fresh", func(l *pair) { l.reopened(sla.ReopenFresh) }},
		{"closed and reopened, with what was left", func(l *pair) { l.reopened(sla.ReopenRemaining) }},
	}
}

// toLab moves it to where another config counts, with times so many times as long.
func (l *pair) toLab(times float64) {
	m := toDepartment("LAB")
	m.Config, m.OpenTime = changesConfig(times), l.open
	l.act(m)
}

// toSeverity goes so many steps up, as far as there are any.
func (l *pair) toSeverity(steps int) bool {
	all := model.Severities()
	return l.act(sla.MoveRequest{Move: model.MoveSeverity, Severity: all[min(max(slices.Index(all, l.o.sev)+steps, 0), len(all)-1)], Actor: personID("pxb").Ptr()})
}

// begun starts the work, where nobody has.
func (l *pair) begun() bool {
	return l.o.status != model.StatusOpen || l.act(by("ann", model.MoveStart))
}

func (l *pair) reopened(how sla.Reopening) {
	cfg := *l.c.Config
	cfg.Reopen = how
	l.c.Config, l.o = &cfg, l.o.clone()
	l.o.cfg = &cfg
	steps := []sla.MoveRequest{by("ann", model.MoveSubmit), by("pxa", model.MoveApprove), by("ann", model.MoveClose), by("pxa", model.MoveReopen)}
	if !l.o.needsApproval() {
		steps = steps[2:]
	}
	for ok := l.begun(); ok && len(steps) > 0; steps = steps[1:] {
		ok = l.act(steps[0])
		l.now = l.now.Add(2 * h)
	}
}

// rules are a policy for everybody.
func (l *pair) rules(policy string) *sla.Rules {
	p, err := sla.ParsePolicy([]byte("merge: {window: 30d}\ncalendars: [{name: office, timezone: UTC, weekly: {mon-fri: 08:00-16:00}}]\n" + policy))
	require.NoError(l.t, err)
	r, err := sla.Compile(p, 7, l.c.Dir)
	require.NoError(l.t, err)
	return r
}

func (l *pair) reapply(targets string) {
	if !l.c.Action.Live() {
		return
	}
	r := l.rules("sla: [{name: all, calendar: office, reminders: [9h, 1h], stages: {high: [{after_hours: 1}, {after_hours: 4}], medium: [{after_hours: 4}, {after_hours: 2}]}, " + targets + "}]")
	cfg := r.Match(l.c.Action.HospitalID, l.c.Action.DepartmentID)
	open := r.OpenTime(cfg, l.c.Action.HospitalID, l.c.Action.DepartmentID)
	out := r.Reapply(l.c, l.now)
	l.c.Config, l.c.Open = cfg, open.Calendar
	l.absorb(out, l.now)
	l.o = l.o.change(l.now, func(o *judge) { o.cfg, o.open, o.byHand = cfg, open.Calendar, time.Time{} })
	l.agree("reapplied")
}

func (l *pair) recalendar(open sla.OpenTime) {
	if !l.c.Action.Live() {
		return
	}
	out := sla.Recalendar(l.c, open, l.now)
	l.c.Open = open.Calendar
	l.o = l.o.recalendar(open.Calendar, l.now)
	if len(out.Logs) == 0 { // the plan is the same
		l.c.Action, l.last = out.Action, out
	} else {
		l.absorb(out, l.now)
	}
	l.agree("calendar changed")
}

func (l *pair) joined(sev model.Severity) {
	score := func(x float64) *float64 { return &x }
	f := &model.Feedback{
		ID: model.ID[model.Feedback]{UUID: uuid.NewSHA1(uuid.Nil, []byte("feedback"))}, SourceSystem: "qualtra", SourceType: model.SourceSurvey,
		HospitalID: &l.c.Action.HospitalID, DepartmentID: l.c.Action.DepartmentID, ReceivedAt: monday.Add(h), SubjectKey: "k1",
		Severity: sev, Score: score(9), ScoreMin: score(0), ScoreMax: score(20), ScoreBetter: model.BetterHigh,
	}
	d := l.rules("").Decide(f, nil, l.now, "RUH-26-0000002", l.c)
	joins := (l.o.status == model.StatusOpen || l.o.status == model.StatusInProgress) && (l.o.until.IsZero() || sev.Rank() <= l.o.sev.Rank())
	require.Equal(l.t, joins, d.Decision == model.DecisionMerged, d.Reason)
	if !joins {
		return
	}
	l.absorb(*d.Outcome, l.now)
	if sev.Rank() > l.o.sev.Rank() {
		l.o = l.o.change(l.now, func(o *judge) { o.raise(sev) })
	} else {
		l.o = l.o.fire(l.now)
	}
	l.agree("joined")
}
