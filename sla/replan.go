package sla

import (
	"slices"
	"strconv"
	"time"

	"github.com/pxactions/px/model"
)

// standing is where an action stands, for comparing before and after a change.
type standing struct {
	status  model.Status
	held    bool
	due     time.Time
	period  int
	overdue bool
	ack     time.Time      // by when the work is to be started; zero: not asked for
	stages  []PlannedEvent // all untaken ones, also while the clock stands still
	next    PlannedEvent   // the next stage in the plan; zero: none
}

func (t *turn) standing() standing {
	a := &t.Action
	s := standing{status: a.Status, held: a.Held(), due: a.DueAt, period: a.Period, overdue: a.IsOverdue, stages: t.stages()}
	if es := t.acknowledgement(); len(es) > 0 {
		s.ack = es[0].At
	}
	plan := Upcoming(t.Case)
	if i := slices.IndexFunc(plan, func(e PlannedEvent) bool { return e.Kind == model.EventEscalation }); i >= 0 {
		s.next = plan[i]
	}
	return s
}

// stageAt is when a stage was to be taken; zero when it wasn't.
func (s standing) stageAt(no int) time.Time {
	for _, e := range s.stages {
		if e.Stage == no {
			return e.At
		}
	}
	return time.Time{}
}

// replan makes the plan anew for a due that a change has moved, or not. What is
// taken in this period isn't taken again, and reminders not after now stay out.
// While the clock stands still the due alone moves: whether it has passed shows
// when the clock goes on, and the plan is made then.
func (t *turn) replan(was standing, due time.Time) {
	a := &t.Action
	a.DueAt = due
	if a.PausedAt != nil {
		return
	}
	if t.risesPeriod(was) {
		a.Period++
		a.IsOverdue = false
	}
	mem := &a.Plan.V
	mem.Since, mem.Fixed, mem.Gaps = t.now, nil, nil
	if !due.After(t.now) && !a.IsOverdue {
		t.take(PlannedEvent{Kind: model.EventOverdue, At: due}, true)
	}
	t.keepStages(was)
}

// risesPeriod reports whether the new due starts a period, in which reminders,
// overdue and all stages apply again: when it is after now and later than it
// was, and something of the old period would have to happen once more.
func (t *turn) risesPeriod(was standing) bool {
	a := &t.Action
	if !a.DueAt.After(t.now) {
		return false
	}
	if a.IsOverdue { // of a due before now: this one is later, whenever it moved
		return true
	}
	if !a.DueAt.After(was.due) {
		return false
	}
	for i := range t.Config.Reminders[a.Severity] {
		if no := i + 1; t.taken(model.EventReminder, no) != nil && t.reminderAt(no).After(t.now) {
			return true
		}
	}
	return false
}

// keepStages places the untaken stages of an overdue action. The next one is due
// at its planned time if that is after now, else a gap from now. But no change
// makes an untaken stage later than it was, so that no toggling puts it off: where
// the action was overdue before, the earliest time that the next one has had
// since the last reopening stands, and those after it keep their distance at most.
func (t *turn) keepStages(was standing) {
	mem := &t.Action.Plan.V
	no := t.nextStage()
	earliest := earlier(was.stageAt(no), earliestOf(mem, no))
	mem.Earliest = nil
	if !earliest.IsZero() {
		mem.Earliest = &model.StageTime{Stage: no, At: earliest}
	}
	stages := t.stages()
	if !t.Action.IsOverdue || len(stages) == 0 {
		return
	}
	if at := t.nextStageAt(stages[0], earliest, was.overdue); !at.Equal(stages[0].At) {
		mem.Fixed = &model.StageTime{Stage: no, At: at}
	}
	if was.overdue {
		t.keepGaps(was)
	}
}

// nextStageAt is when the next stage of an overdue action is due after a change.
func (t *turn) nextStageAt(next PlannedEvent, earliest time.Time, wasOverdue bool) time.Time {
	at := next.At
	if !at.After(t.now) {
		at = whole(t.stageClock(next.Stage).Add(t.now, t.gap(next.Stage)))
	}
	if !wasOverdue || earliest.IsZero() || !earliest.Before(at) {
		return at
	}
	if earliest.Before(t.now) {
		return t.now
	}
	return earliest
}

// keepGaps shortens the gaps of the stages after the next one where the new
// ladder would put them later than they were.
func (t *turn) keepGaps(was standing) {
	stages := t.stages()
	gaps := map[int]time.Duration{}
	for i := 1; i < len(stages); i++ {
		no, before := stages[i].Stage, stages[i-1].At
		// A time that isn't even after the stage before is no distance to keep.
		if had := was.stageAt(no); had.After(before) && had.Before(stages[i].At) {
			gaps[no] = had.Sub(before)
			t.Action.Plan.V.Gaps = gaps
			stages = t.stages() // those after it follow
		}
	}
}

// endPause sets the resolution clock going again, as of an instant, and returns
// the due that follows: moved by the pause, if that began before it.
func (t *turn) endPause(at time.Time) time.Time {
	a := &t.Action
	p := model.Pause{From: *a.PausedAt, To: at}
	a.PausedAt = nil
	a.Plan.V.Pauses = append(slices.Clip(a.Plan.V.Pauses), p)
	if !p.From.Before(a.DueAt) {
		return a.DueAt
	}
	open := t.clock().Between(p.From, p.To)
	a.PausedSeconds += int64(open / time.Second)
	return whole(t.clock().Add(a.DueAt, open))
}

// fromTarget recomputes the due from the clock start, dropping one made by hand.
func (t *turn) fromTarget() time.Time {
	due, paused := t.targetDue()
	t.Action.DueManual = false
	t.Action.PausedSeconds = int64(paused / time.Second)
	return due
}

// logPlan tells what a change did to the plan.
func (t *turn) logPlan(was standing, m MoveRequest, what string, facts model.LogMetadata) {
	now := t.standing()
	facts["move"], facts["period"] = m.Move, now.period
	facts["old_due_at"], facts["due_at"], facts["due_manual"] = rfc3339(was.due), rfc3339(now.due), t.Action.DueManual
	if !now.due.Equal(was.due) {
		what += "; due " + clockTime(now.due) + ", was " + clockTime(was.due)
	}
	if now.period != was.period {
		what += "; period " + strconv.Itoa(now.period)
	}
	if !now.ack.Equal(was.ack) && !now.ack.IsZero() {
		facts["ack_due_at"] = rfc3339(now.ack)
		what += "; to be started by " + clockTime(now.ack)
	}
	if now.next.Stage > 0 {
		facts["next_stage"], facts["next_stage_at"] = now.next.Stage, rfc3339(now.next.At)
		what += "; stage " + strconv.Itoa(now.next.Stage) + " at " + clockTime(now.next.At)
	}
	row := t.log(model.LogPlanChange, what, facts)
	if m.Move != model.MoveReject && m.Move != model.MoveReopen { // those have a row of their own for the words
		row.Text = m.Reason
	}
}

// tellStanding tells the owner, and whoever a taken stage told in the period that
// the change found, where the action now stands, if that has changed.
func (t *turn) tellStanding(was standing) {
	now := t.standing()
	if now.status == was.status && now.held == was.held && now.due.Equal(was.due) &&
		now.next.Stage == was.next.Stage && now.next.At.Equal(was.next.At) {
		return
	}
	t.sayMove(model.ReasonPlanChange, union(t.assignee(), t.toldIn(was.period))...)
}

// earliestOf is the earliest time remembered of a stage; zero: none.
func earliestOf(mem *model.PlanMemory, no int) time.Time {
	if mem.Earliest == nil || mem.Earliest.Stage != no {
		return time.Time{}
	}
	return mem.Earliest.At
}

// earlier is the earlier of two times, where zero is no time.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
