package sla

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pxactions/px/model"
)

// Apply makes a person's move. It first takes, in the same transaction, all
// events of the plan with time ≤ now: on time means before. Their messages are
// superseded when the move submits, closes, cancels or holds. Then it makes the
// move and, where that changes the plan, a new plan.
//
// Errors: *model.TransitionError when the move isn't legal now, model.FieldErrors
// when the request is wrong, model.ErrForbidden when the actor may not make it.
func Apply(c Case, m MoveRequest, now time.Time) (Outcome, error) {
	m.Reason = strings.TrimSpace(m.Reason)
	t := newTurn(c, now)
	t.actor, t.origin = m.Actor, m.Origin
	t.lapsed = supersedes(m.Move)
	t.settle()
	t.lapsed = false
	// What is legal may have changed just now: a hold may be over.
	to, err := model.Transition(&t.Action, m.Move, m.Reason)
	if err != nil {
		return Outcome{}, err
	}
	if err := t.permit(m); err != nil {
		return Outcome{}, err
	}
	if err := t.move(m, to); err != nil {
		return Outcome{}, err
	}
	return t.outcome(), nil
}

// supersedes reports whether a move makes what was due beside the point.
func supersedes(m model.Move) bool {
	return slices.Contains([]model.Move{model.MoveSubmit, model.MoveClose, model.MoveCancel, model.MoveHold}, m)
}

func (t *turn) move(m MoveRequest, to model.Status) error {
	switch m.Move {
	case model.MoveStart, model.MoveSubmit, model.MoveApprove, model.MoveReject, model.MoveClose, model.MoveCancel, model.MoveReopen:
		return t.step(m, to)
	case model.MoveAssign:
		return t.reassign(m)
	case model.MoveSeverity:
		return t.changeSeverity(m)
	case model.MoveDepartment:
		return t.changeDepartment(m)
	case model.MoveDue:
		return t.changeDue(m)
	case model.MoveNote:
		return t.note(m)
	case model.MoveEscalate:
		return t.escalate(m)
	case model.MoveHold:
		return t.hold(m)
	case model.MoveResume:
		t.log(model.LogResume, "Resumed", model.LogMetadata{"move": m.Move}).Text = m.Reason
		t.resume(t.now, m)
		return nil
	case model.MoveAttach:
		return t.attach(m)
	default:
		return t.refuse(m.Move, "nobody can make it")
	}
}

// refuse is the error of a move that the table allows and the rules don't.
func (t *turn) refuse(m model.Move, why string) error {
	a := &t.Action
	legal := slices.DeleteFunc(model.Legal(a.Status, a.Held()), func(l model.Move) bool { return l == m })
	return &model.TransitionError{Move: m, From: a.Status, Legal: legal, Why: why}
}

// step makes the moves that change the status.
func (t *turn) step(m MoveRequest, to model.Status) error {
	a := &t.Action
	if m.Move == model.MoveClose && a.Status == model.StatusInProgress && a.RequiresApproval {
		return t.refuse(m.Move, "it needs approval first; submit it")
	}
	if m.Move == model.MoveSubmit || m.Move == model.MoveClose {
		if err := t.setResults(m); err != nil {
			return err
		}
	}
	was := t.standing()
	a.Status = to
	if to != model.StatusPendingApproval {
		a.ApprovalDueAt = nil
	}
	switch m.Move {
	case model.MoveStart:
		t.acknowledge()
		t.logStatus(model.LogStatusChange, was.status, m, "Work started")
	case model.MoveSubmit:
		t.submit(m, was)
	case model.MoveApprove:
		a.ApprovedBy, a.ApprovedAt = t.actor, t.at()
		t.logStatus(model.LogApproval, was.status, m, "Approved")
	case model.MoveReject:
		t.reject(m, was)
	case model.MoveClose:
		a.ClosedBy, a.ClosedAt = t.actor, t.at()
		t.logStatus(model.LogStatusChange, was.status, m, "Closed")
		t.sayMove(model.ReasonClosed, t.toldIn(a.Period)...)
	case model.MoveCancel:
		t.release()
		t.logStatus(model.LogStatusChange, was.status, m, "Cancelled")
		t.sayMove(model.ReasonCancelled, t.toldIn(a.Period)...)
	case model.MoveReopen:
		t.reopen(m, was)
	}
	return nil
}

// submit stops the resolution clock and starts the approvers' one.
func (t *turn) submit(m MoveRequest, was standing) {
	a, due := &t.Action, t.approvalDue()
	a.SubmittedBy, a.SubmittedAt, a.PausedAt, a.ApprovalDueAt = t.actor, t.at(), t.at(), &due
	a.SubmissionNo++
	t.logStatus(model.LogStatusChange, was.status, m, fmt.Sprintf("Submitted for approval (submission %d)", a.SubmissionNo))
	t.sayMove(model.ReasonSubmitted, t.approvers()...)
	t.tellStanding(was)
}

// reject sets the resolution clock going again with what was left, at least
// the floor.
func (t *turn) reject(m MoveRequest, was standing) {
	a := &t.Action
	a.RejectedBy, a.RejectedAt, a.RejectionReason = t.actor, t.at(), m.Reason
	t.logStatus(model.LogApproval, was.status, m, "Rejected")
	t.sayMove(model.ReasonRejected, t.assignee()...)
	facts := model.LogMetadata{}
	t.replan(was, t.atLeastFloor(t.endPause(t.now), facts))
	t.logPlan(was, m, "Clock resumed", facts)
	t.tellStanding(was)
}

// atLeastFloor is a due, or the floor from now where it comes sooner: that stands.
func (t *turn) atLeastFloor(due time.Time, facts model.LogMetadata) time.Time {
	least := whole(t.clock().Add(t.now, t.floor()))
	if !due.Before(least) {
		return due
	}
	t.Action.DueManual, facts["floor"] = true, true
	return least
}

// reopen begins a period of its own, with a fresh target or with what was left.
func (t *turn) reopen(m MoveRequest, was standing) {
	a, facts, what := &t.Action, model.LogMetadata{"reopen": ReopenFresh}, "Target counts afresh"
	if t.Config.Reopen == ReopenRemaining {
		what = "Target goes on with what was left"
		facts["reopen"] = ReopenRemaining
		t.goOn(facts)
	} else {
		t.startAfresh()
	}
	a.ClosedBy, a.ClosedAt, a.ApprovedBy, a.ApprovedAt, a.SubmittedBy, a.SubmittedAt = nil, nil, nil, nil, nil, nil
	t.beginPeriod()
	t.logStatus(model.LogStatusChange, was.status, m, "Reopened")
	t.logPlan(was, m, what, facts)
	t.sayMove(model.ReasonReopened, t.assignee()...)
	t.tellStanding(was)
}

// startAfresh counts the whole target from now on.
func (t *turn) startAfresh() {
	a := &t.Action
	a.ClockStart, a.PausedAt, a.Plan.V = t.now, nil, model.PlanMemory{Since: t.now}
	a.DueAt = t.fromTarget()
	a.OriginalDueAt = a.DueAt
}

// beginPeriod begins a period of which nothing has been taken.
func (t *turn) beginPeriod() {
	a := &t.Action
	a.Period++
	a.IsOverdue, a.ReminderSentAt, a.EscalationLevel, a.EscalatedAt = false, nil, 0, nil
}

// goOn sets the clock of a closed action going again with what was left, at least
// the floor. The time in which it was closed, from when the clock stopped, is a
// pause like any other: so a change of severity or calendar, later, counts on from
// the first clock start, and neither gives a target anew.
func (t *turn) goOn(facts model.LogMetadata) {
	a := &t.Action
	a.PausedAt = cmp.Or(a.PausedAt, a.ClosedAt) // a submission stopped it, else the closure
	facts["stopped_at"] = rfc3339(*a.PausedAt)
	facts["left_s"] = int64(t.clock().Between(*a.PausedAt, a.DueAt) / time.Second)
	due := t.endPause(t.now)
	a.Plan.V = model.PlanMemory{Since: t.now, Pauses: a.Plan.V.Pauses}
	a.DueAt = t.atLeastFloor(due, facts)
}

// escalate takes the next stage at once, also one beyond the ladder: who is told
// is who it would tell then. What comes after it keeps its distance from due. A
// stage that came due just now is what was asked for: no second one follows it.
func (t *turn) escalate(m MoveRequest) error {
	taken := t.Events[t.first:]
	if i := slices.IndexFunc(taken, func(e model.DeadlineEvent) bool { return e.Kind == model.EventEscalation }); i >= 0 {
		t.log(model.LogEscalation, "Escalated by hand as it came due", model.LogMetadata{"move": m.Move, "stage": taken[i].Stage}).Text = m.Reason
		return nil
	}
	e := PlannedEvent{Kind: model.EventEscalation, Stage: t.nextStage(), At: t.now}
	t.byHand = true
	if len(t.stageTargets(e.Stage)) == 0 {
		return t.refuse(m.Move, "there is nobody else to tell")
	}
	t.log(model.LogEscalation, "Escalated by hand", model.LogMetadata{"move": m.Move, "stage": e.Stage}).Text = m.Reason
	t.take(e, true)
	t.byHand = false
	return nil
}

func (t *turn) note(m MoveRequest) error {
	if strings.TrimSpace(m.Text) == "" {
		return fieldError("text", "required", "the words of the note")
	}
	t.log(model.LogNote, "Note added", model.LogMetadata{"move": m.Move}).Text = m.Text
	return nil
}
