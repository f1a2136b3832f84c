package sla

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/pxactions/px/model"
)

// permit says who may make a move: who the access table says, of approvals and
// rejections who may approve, and of what could hide a grave matter a PX Admin who
// does not own it. The program and an operator's command without a name may make
// any but an approval.
func (t *turn) permit(m MoveRequest) error {
	approves := m.Move == model.MoveApprove || m.Move == model.MoveReject
	if t.actor == nil && t.origin.Key == nil {
		if approves {
			return fmt.Errorf("%w: to %s needs a person to answer for it", model.ErrForbidden, m.Move)
		}
		return nil
	}
	x, who, err := t.access()
	if err != nil {
		return err
	}
	if approves && t.actor != nil {
		return t.permitApprover(x)
	}
	if err := t.permitted(x, who, model.RightTo(m.Move)); err != nil {
		return err
	}
	return t.permitGrave(m, x)
}

// access is what the actor may do, and how to name them.
func (t *turn) access() (Access, string, error) {
	if t.actor == nil {
		return ServiceAccess(t.Dir), "an API key without a person", nil
	}
	who := t.code(*t.actor)
	x, err := t.Dir.Access(*t.actor, t.Config.Readers, t.now)
	if err != nil {
		return x, who, fmt.Errorf("%s: %w", who, err)
	}
	return x, who, nil
}

func (t *turn) permitted(x Access, who string, right model.Right) error {
	if x.May(right, &t.Action) {
		return nil
	}
	return fmt.Errorf("%w: %s lacks the right %q to this action, which one of %s has where it is", model.ErrForbidden, who, right, held(right))
}

// permitGrave: a complaint, or what is high or critical, is cancelled or made less
// severe by a PX Admin only, and never by its owner.
func (t *turn) permitGrave(m MoveRequest, x Access) error {
	a := &t.Action
	softens := m.Move == model.MoveCancel || m.Move == model.MoveSeverity && m.Severity.Rank() > 0 && m.Severity.Rank() < a.Severity.Rank()
	grave := a.SourceType == model.SourceComplaint || a.Severity.Rank() >= model.SeverityHigh.Rank()
	if !softens || !grave {
		return nil
	}
	if t.actor == nil || !x.MayAt(model.RightTo(model.MoveApprove), a.HospitalID) || slices.Contains(t.assignee(), *t.actor) {
		return fmt.Errorf("%w: to cancel a complaint, or what is high or critical, or to lower its severity takes a %s who does not own it",
			model.ErrForbidden, model.RolePXAdmin)
	}
	return nil
}

// permitApprover: not the assignee, not the submitter, not involved, and a PX
// Admin of the hospital or of all of them, or who stands in for one.
func (t *turn) permitApprover(x Access) error {
	a, u := &t.Action, x.user
	switch {
	case slices.Contains(t.assignee(), u.ID):
		return fmt.Errorf("%w: the assignee cannot decide on the approval", model.ErrForbidden)
	case a.SubmittedBy != nil && *a.SubmittedBy == u.ID:
		return fmt.Errorf("%w: who submitted cannot decide on the approval", model.ErrForbidden)
	case slices.Contains(a.Involved.V, u.ID):
		return fmt.Errorf("%w: who is involved cannot decide on the approval", model.ErrForbidden)
	case x.May(model.RightTo(model.MoveApprove), a), t.steppedIn(u.ID):
		return nil
	case !x.Has(model.RightTo(model.MoveApprove)):
		return fmt.Errorf("%w: only a %s decides on approvals", model.ErrForbidden, model.RolePXAdmin)
	}
	return fmt.Errorf("%w: only a %s of the action's hospital decides on its approval", model.ErrForbidden, model.RolePXAdmin)
}

// reassign gives the action to another owner.
func (t *turn) reassign(m MoveRequest) error {
	u := t.Dir.Users[m.Assignee]
	switch {
	case m.Assignee.IsZero():
		return fieldError("assignee", "required", "the user who is to own the action")
	case u == nil:
		return fieldError("assignee", "unknown", "a user of the directory")
	case !u.Active:
		return fieldError("assignee", "inactive", "an active user")
	case slices.Contains(t.Action.Involved.V, u.ID):
		return fieldError("assignee", "involved", "a user who is not involved in the feedback")
	case t.Action.Restricted && !reads(u, t.Config.Readers):
		return fieldError("assignee", "restricted", "a user who may read restricted actions: with the role "+list(t.Config.Readers))
	case slices.Contains(t.assignee(), u.ID):
		return fieldError("assignee", "unchanged", "another user than the present owner")
	}
	t.assign(u.ID, m)
	return nil
}

// assign makes somebody the owner: the first, or another one. A first owner of
// a critical action is not told alone: the manager is, too.
func (t *turn) assign(to model.UserID, m MoveRequest) {
	a := &t.Action
	old := t.assignee()
	a.AssignedTo, a.AssignedAt = &to, t.at()
	a.AckNo++
	t.setAck()
	facts := model.LogMetadata{"move": m.Move, "assigned_to": t.code(to)}
	what, reason, told := "Assigned to "+t.code(to), model.ReasonAssigned, t.assignee()
	if len(old) > 0 {
		facts["assigned_from"] = t.code(old[0])
		what, reason, told = "Reassigned from "+t.code(old[0])+" to "+t.code(to), model.ReasonReassigned, union(told, old)
	} else if a.Severity == model.SeverityCritical {
		told = union(told, t.manager())
	}
	if a.AckDueAt != nil && a.Status == model.StatusOpen {
		facts["ack_due_at"] = rfc3339(*a.AckDueAt)
		what += "; to be started by " + clockTime(*a.AckDueAt)
	}
	t.log(model.LogAssignment, what, facts).Text = m.Reason
	t.sayMove(reason, told...)
}

func (t *turn) changeSeverity(m MoveRequest) error {
	switch {
	case !model.Valid(m.Severity, model.Severities()):
		return fieldError("severity", "unknown", "one of low, medium, high, critical")
	case m.Severity == t.Action.Severity:
		return fieldError("severity", "unchanged", "another severity than the present one")
	}
	t.setSeverity(t.standing(), m)
	return nil
}

// setSeverity plans anew for another severity.
func (t *turn) setSeverity(was standing, m MoveRequest) {
	a := &t.Action
	old := a.Severity
	a.Severity = m.Severity
	verb := "lowered"
	if m.Severity.Rank() > old.Rank() {
		verb, a.Plan.V.AckFrom = "raised", t.now
	}
	a.RequiresApproval = t.requiresApproval()
	t.setAck() // the old one may have had none
	t.replan(was, t.fromTarget())
	t.logPlan(was, m, fmt.Sprintf("Severity %s from %s to %s", verb, old, a.Severity),
		model.LogMetadata{"old_severity": old, "severity": a.Severity})
	if a.Severity == model.SeverityCritical {
		t.sayMove(model.ReasonRaised, union(t.assignee(), t.manager())...)
	}
	t.tellStanding(was)
}

func (t *turn) changeDepartment(m MoveRequest) error {
	a := &t.Action
	d := t.Dir.Departments[m.Department]
	switch {
	case m.Department.IsZero():
		return fieldError("department", "required", "the department that is to deal with the action")
	case d == nil || d.HospitalID != a.HospitalID:
		return fieldError("department", "unknown", "a department of the action's hospital")
	case !d.Active:
		return fieldError("department", "inactive", "an active department")
	case model.Deref(a.DepartmentID) == d.ID:
		return fieldError("department", "unchanged", "another department than the present one")
	}
	was := t.standing()
	facts := model.LogMetadata{"department": d.Code}
	if old := t.Dir.Departments[model.Deref(a.DepartmentID)]; old != nil {
		facts["old_department"] = old.Code
	}
	a.DepartmentID = &d.ID
	if m.Config != nil {
		t.Config, a.SLAConfigID = m.Config, m.Config.ID
		t.Open, a.Calendar, a.CalendarRevision = m.OpenTime.Calendar, m.OpenTime.Name, m.OpenTime.Revision
		facts["sla_config"] = m.Config.Name
		t.setAck()
	}
	a.RequiresApproval = t.requiresApproval()
	t.replan(was, t.fromTarget())
	t.logPlan(was, m, "Department changed to "+d.Code, facts)
	t.tellStanding(was)
	return nil
}

// Reroute gives a live action whose owner is not active any more, or, where its
// SLA config says so, has not started it in time, to whom the rules would give
// it now, at the place where it is; what is due is settled first. False: the
// owner stays, or there is nobody else. The new one is
// counted into loads.
func (r *Rules) Reroute(c Case, loads Loads, now time.Time) (Outcome, bool) {
	a := &c.Action
	if a.AssignedTo == nil {
		return Outcome{}, false
	}
	q := r.quest(a, loads, now)
	if u := r.dir.Users[*a.AssignedTo]; u != nil && u.Active {
		if !c.ackPasses() {
			return Outcome{}, false
		}
		q.excluded = append(slices.Clip(q.excluded), u.ID)
	}
	to, _ := q.owner(r.routing.first(a), &a.HospitalID, a.DepartmentID)
	if to == nil || *to == *a.AssignedTo {
		return Outcome{}, false
	}
	loads.count(*to, now)
	t := newTurn(c, now)
	t.settle()
	t.assign(*to, MoveRequest{Move: model.MoveReroute})
	return t.outcome(), true
}

// Recalendar plans a live action anew for a calendar that has changed: what is
// due is settled first. A due that was set by hand stands; what is counted from
// it follows the calendar.
func Recalendar(c Case, open OpenTime, now time.Time) Outcome {
	t := newTurn(c, now)
	t.settle()
	was, plan := t.standing(), Upcoming(t.Case)
	a := &t.Action
	t.Open, a.Calendar, a.CalendarRevision = open.Calendar, open.Name, open.Revision
	due := a.DueAt
	if !a.DueManual {
		due = t.fromTarget()
	}
	t.moveAck()
	if same := func(x, y PlannedEvent) bool { return x.Kind == y.Kind && x.Stage == y.Stage && x.At.Equal(y.At) }; due.Equal(was.due) && slices.EqualFunc(plan, Upcoming(t.Case), same) {
		return t.outcome()
	}
	t.replan(was, due)
	t.logPlan(was, MoveRequest{Move: model.MoveCalendar}, "Calendar "+open.Name+" changed", model.LogMetadata{"calendar": open.Name, "calendar_revision": open.Revision})
	t.tellStanding(was)
	return t.outcome()
}

// changeDue sets the due by hand; it stands until something recomputes it.
func (t *turn) changeDue(m MoveRequest) error {
	due := whole(m.DueAt)
	switch {
	case m.DueAt.IsZero():
		return fieldError("due_at", "required", "the new deadline")
	case t.Action.IsOverdue && due.Before(t.now.Add(Floor)):
		return fieldError("due_at", "range", fmt.Sprintf("at least %d hours ahead, for the action is overdue", int(Floor.Hours())))
	case due.After(t.now.AddDate(farthest, 0, 0)), due.Before(t.now.AddDate(-farthest, 0, 0)):
		return fieldError("due_at", "range", fmt.Sprintf("at most %d years away", farthest))
	}
	was := t.standing()
	t.Action.DueManual = true
	t.replan(was, due)
	t.logPlan(was, m, "Due set by hand", model.LogMetadata{})
	t.tellStanding(was)
	return nil
}

// farthest is how far a deadline may be, in years: what is planned behind it has
// to be an instant that can be stored.
const farthest = 10

// hold stops the clock: nothing of the plan comes due until it resumes, by a
// person or by itself.
func (t *turn) hold(m MoveRequest) error {
	a, cfg := &t.Action, t.Config
	if a.Severity == model.SeverityCritical && !cfg.HoldCritical {
		return t.refuse(m.Move, "a critical action is not to wait")
	}
	last := whole(t.now.Add(cmp.Or(cfg.MaxHold, DefaultMaxHold)))
	until := last
	if !m.Until.IsZero() {
		until = whole(m.Until)
	}
	if !until.After(t.now) || until.After(last) {
		return fieldError("until", "range", "after now and not after "+rfc3339(last))
	}
	was := t.standing()
	a.HoldNo++
	a.HeldAt, a.PausedAt, a.ResumeAt, a.HoldReason = t.at(), t.at(), &until, m.Reason
	row := t.log(model.LogHold, "On hold until "+clockTime(until), model.LogMetadata{"move": m.Move, "hold_no": a.HoldNo, "resume_at": rfc3339(until)})
	row.Text = m.Reason
	t.tellStanding(was)
	return nil
}

// resume sets the clock going again, as of an instant that may be past. A stage
// whose time came meanwhile is due now.
func (t *turn) resume(at time.Time, m MoveRequest) {
	was := t.standing()
	due := t.endPause(at)
	t.release()
	t.moveAck()
	t.replan(was, due)
	m.Reason = "" // it stands in the row of the move itself
	t.logPlan(was, m, "Clock resumed", model.LogMetadata{"hold_no": t.Action.HoldNo})
	t.tellStanding(was)
}

// release ends a hold, if there is one.
func (t *turn) release() {
	t.Action.HeldAt, t.Action.ResumeAt, t.Action.HoldReason = nil, nil, ""
}

func fieldError(field, code, want string) error {
	var fe model.FieldErrors
	fe.Add(field, code, want)
	return fe
}
