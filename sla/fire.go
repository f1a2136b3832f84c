package sla

import (
	"slices"
	"time"

	"github.com/pxactions/px/model"
)

// turn is one decision in the making: the case as it stands so far, and what
// the transaction is to write.
type turn struct {
	Case                 // working copies: Events grows with what is taken
	now    time.Time     // domain time, whole seconds
	actor  *model.UserID // who makes the move; nil: the program
	origin model.Origin  // where the move came from
	first  int           // index in Events of the first one of this turn
	logs   []model.ActionLog
	files  []model.ActionAttachment
	voices []voice
	lapsed bool // a move took what was due: its messages are superseded
	byHand bool // a person takes a stage before the plan does
}

func newTurn(c Case, now time.Time) *turn {
	c.Events = slices.Clip(c.Events) // so that growing it never writes into the caller's
	return &turn{Case: c, now: whole(now), first: len(c.Events)}
}

// asProgram does what is the program's doing, whoever moves now.
func (t *turn) asProgram(do func()) {
	actor, origin := t.actor, t.origin
	t.actor, t.origin = nil, model.Origin{}
	do()
	t.actor, t.origin = actor, origin
}

// at is now as a nullable column's value.
func (t *turn) at() *time.Time {
	now := t.now
	return &now
}

// Open makes a new action's plan and takes what of it is already past, in the
// same transaction; assigned counts as the move of it. The action comes filled
// but for its plan: place, severity, owner, ReceivedAt, and ClockStart where
// the clock starts elsewhere than there.
func Open(c Case, now time.Time) Outcome {
	t := newTurn(c, now)
	t.open()
	t.settle()
	return t.outcome()
}

func (t *turn) open() {
	a := &t.Action
	if a.ClockStart.IsZero() {
		a.ClockStart = a.ReceivedAt
	}
	a.ReceivedAt, a.ClockStart = whole(a.ReceivedAt), whole(a.ClockStart)
	if a.Priority == "" {
		a.Priority = a.Severity
	}
	a.Status, a.CreatedAt = model.StatusOpen, t.now
	a.SLAConfigID = t.Config.ID
	a.RequiresApproval = t.requiresApproval()
	a.Period, a.Version, a.Gen, a.LogSeq = 1, 0, 0, 0
	a.Plan.V = model.PlanMemory{Since: a.ClockStart}
	a.DueAt, _ = t.targetDue()
	a.OriginalDueAt = a.DueAt
	t.actor, t.origin = t.Maker, t.From
	t.log(model.LogCreated, "Created; due "+clockTime(a.DueAt), model.LogMetadata{
		"severity": a.Severity, "due_at": rfc3339(a.DueAt), "clock_start": rfc3339(a.ClockStart), "sla_config": t.Config.Name,
		"clock": t.clockName(),
	})
	t.actor, t.origin = nil, model.Origin{} // the rest is the rules' doing
	if owner := a.AssignedTo; owner != nil {
		a.AssignedTo = nil
		t.assign(*owner, MoveRequest{Move: model.MoveAssign})
	}
}

func (t *turn) requiresApproval() bool {
	f := t.Config.RequiresApproval
	return f == nil || f(t.Action.SourceType, t.Action.Severity)
}

// Fire takes what is due: all events with time ≤ now, in order, of the stages
// at most one. False means that nothing is: too early, or taken before.
func Fire(c Case, now time.Time) (Outcome, bool) {
	t := newTurn(c, now)
	if !t.settle() {
		return Outcome{}, false
	}
	return t.outcome(), true
}

// settle takes all events of the plan with time ≤ now and reports whether there
// were any. Of the stages it takes the first alone: the next one, which that may
// shift, is taken by a firing of its own. What else lies behind it is taken, too,
// for after the move that settles it nobody might ask for it any more.
func (t *turn) settle() bool {
	var due []PlannedEvent
	climbed := false
	for _, e := range Upcoming(t.Case) {
		stage := e.Kind == model.EventEscalation
		if e.At.After(t.now) || stage && climbed {
			continue
		}
		climbed = climbed || stage
		due = append(due, e)
	}
	for i, e := range due {
		t.take(e, i == len(due)-1)
	}
	return len(due) > 0
}

// take records that one event takes effect now and tells whom it tells.
func (t *turn) take(e PlannedEvent, last bool) {
	targets, copies := t.addressees(e)
	if t.byHand && t.actor != nil { // who makes a move gets no message about it
		copies = without(copies, *t.actor)
	}
	done := model.DoneTold
	switch {
	case (e.Kind == model.EventReminder || e.Kind == model.EventApprovalReminder) && !last:
		// What came due after it says more: it is told of by that.
		done, targets, copies = model.DoneSilent, nil, nil
	case t.lapsed:
		done = model.DoneSuperseded
	case e.Kind == model.EventResume: // the new plan tells
	case len(targets) == 0:
		done = model.DoneUntargeted
	}
	v := voice{reason: reasonOf(e.Kind), event: len(t.Events) - t.first, lapsed: t.lapsed}
	if e.Kind == model.EventEscalation {
		v.via = t.stage(e.Stage).Channels
	}
	t.say(v, targets...)
	v.copy = true
	t.say(v, copies...)
	if t.lapsed && !t.Action.Shadow { // in shadow mode nobody hears anyway: the ladder goes on as if told
		targets, copies = nil, nil
	}
	told := union(targets, copies)
	if id, ok := t.standIn(told); ok {
		told = append(told, id)
	}
	ev := model.DeadlineEvent{
		ActionID: t.Action.ID, Period: t.Action.Period, Kind: e.Kind, Stage: e.Stage,
		Planned: e.At, Fired: t.now, LateS: int64(t.now.Sub(e.At) / time.Second), Done: done, ByHand: t.byHand,
		Targets: model.Of(union(targets, nil)), Told: model.Of(told),
	}
	t.effect(&ev)
	t.Events = append(t.Events, ev)
	t.logEvent(&ev)
	if e.Kind == model.EventResume {
		t.asProgram(func() { t.resume(e.At, MoveRequest{Move: model.MoveResume}) })
	}
}

// addressees are whom an event tells: its targets and who gets a copy.
func (t *turn) addressees(e PlannedEvent) (targets, copies []model.UserID) {
	switch e.Kind {
	case model.EventReminder:
		return t.assignee(), nil
	case model.EventOverdue:
		return union(t.assignee(), t.manager()), nil
	case model.EventEscalation:
		return t.stageTargets(e.Stage), t.assignee()
	case model.EventAck:
		return t.firstRung(), nil
	case model.EventApprovalReminder:
		return t.approvers(), nil
	case model.EventApprovalOverdue:
		return union(t.approvers(), t.approvalStandIns()), nil
	default:
		return nil, nil
	}
}

// reasonOf is why an event tells people: the kinds that do are named alike, but
// for the acknowledgement, whose event is that it was missed.
func reasonOf(k model.EventKind) model.Reason {
	if k == model.EventAck {
		return model.ReasonAckMissed
	}
	return model.Reason(k)
}

// effect is what a taken event changes in the action besides its plan.
func (t *turn) effect(ev *model.DeadlineEvent) {
	a := &t.Action
	switch ev.Kind {
	case model.EventReminder:
		if ev.Done == model.DoneTold {
			a.ReminderSentAt = t.at()
		}
	case model.EventOverdue:
		a.IsOverdue = true
	case model.EventEscalation:
		a.EscalationLevel++
		a.EscalatedAt = t.at()
		a.Plan.V.Fixed, a.Plan.V.Earliest = nil, nil // they were this stage's
		if raise := t.stage(ev.Stage).RaisePriority; raise.Rank() > a.Priority.Rank() {
			a.Priority = raise
		}
	}
}

// outcome closes the turn: the plan's head into the row, the numbers up, and the
// messages made from what was said.
func (t *turn) outcome() Outcome {
	a := &t.Action
	fired := len(t.Events) > t.first
	if moved := t.setHead(); moved || fired || a.Gen == 0 {
		a.Gen++
	}
	a.Version++
	a.UpdatedAt = t.now
	events := t.Events[t.first:]
	for i := range events {
		events[i].Gen = a.Gen
	}
	return Outcome{Action: *a, Events: events, Logs: t.logs, Files: t.files, Messages: t.messages()}
}

// setHead writes the plan's head into the row and reports whether it is another.
func (t *turn) setHead() bool {
	a := &t.Action
	at, kind, stage := a.NextAt, a.NextKind, a.NextStage
	a.NextAt, a.NextKind, a.NextStage = nil, "", nil
	if plan := Upcoming(t.Case); len(plan) > 0 {
		head := plan[0]
		a.NextAt, a.NextKind, a.NextStage = &head.At, head.Kind, &head.Stage
	}
	if at == nil || a.NextAt == nil {
		return (at == nil) != (a.NextAt == nil)
	}
	return !at.Equal(*a.NextAt) || kind != a.NextKind || stage == nil || *stage != *a.NextStage
}
