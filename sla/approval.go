package sla

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pxactions/px/model"
)

// Approval is the terms of an approval: a clock of its own, which runs while that
// of the action stands still.
type Approval struct {
	Target   TargetSpec    // from a submission to approval_overdue: elapsed, or working days of the calendar; zero: ApprovalTarget
	Reminder time.Duration // before that, elapsed; 0, or not before the target is over: none
	StandIns []StageTarget // besides the approvers, told when it is overdue, and may decide from then on; empty: the PX Admins of no hospital
}

// ApprovalTarget is how long approvers have where the SLA config does not say.
const ApprovalTarget = 24 * time.Hour

// Need is something that a submission, or a closure without one, has to have.
type Need string

// What may be needed.
const (
	NeedActionPlan Need = "action_plan"
	NeedOutcome    Need = "outcome"
	NeedRootCause  Need = "root_cause"
	NeedInformed   Need = "complainant_informed" // told, or why not
	NeedEvidence   Need = "evidence"             // a file marked so, at least
)

// Needs lists what may be needed.
func Needs() []Need {
	return []Need{NeedActionPlan, NeedOutcome, NeedRootCause, NeedInformed, NeedEvidence}
}

// approvalDue is when an approval asked for now is overdue.
func (t *turn) approvalDue() time.Time {
	target := t.Config.Approval.Target
	switch {
	case target.Days > 0:
		return whole(t.Open.AddDays(t.now, target.Days))
	case target.Time > 0:
		return whole(t.now.Add(target.Time))
	}
	return whole(t.now.Add(ApprovalTarget))
}

// approvalEvents carry the number of the submission as their stage, so that
// none is taken for one of an earlier submission.
func (c *Case) approvalEvents() []PlannedEvent {
	a := &c.Action
	if a.ApprovalDueAt == nil {
		return nil
	}
	var es []PlannedEvent
	remind := a.ApprovalDueAt.Add(-c.Config.Approval.Reminder)
	if c.Config.Approval.Reminder > 0 && a.SubmittedAt != nil && remind.After(*a.SubmittedAt) && c.taken(model.EventApprovalReminder, a.SubmissionNo) == nil {
		es = append(es, PlannedEvent{Kind: model.EventApprovalReminder, Stage: a.SubmissionNo, At: remind})
	}
	if c.taken(model.EventApprovalOverdue, a.SubmissionNo) == nil {
		es = append(es, PlannedEvent{Kind: model.EventApprovalOverdue, Stage: a.SubmissionNo, At: *a.ApprovalDueAt})
	}
	return es
}

// approvers are who may be asked to approve: the hospital's PX Admins, less
// assignee and submitter; where that leaves nobody, the PX Admins without
// hospital, less the same.
func (t *turn) approvers() []model.UserID {
	a := &t.Action
	party := t.party()
	own := without(t.Dir.Holders(model.RolePXAdmin, &a.HospitalID, nil, t.now, t.barred()), party...)
	if len(own) > 0 {
		return own
	}
	return without(t.Dir.Holders(model.RolePXAdmin, nil, nil, t.now, t.barred()), party...)
}

// party are who never decides on an approval: assignee and submitter.
func (t *turn) party() []model.UserID {
	party := t.assignee()
	if by := t.Action.SubmittedBy; by != nil {
		party = append(party, *by)
	}
	return party
}

// approvalStandIns are who is told besides the approvers when an approval is
// overdue, less assignee and submitter.
func (t *turn) approvalStandIns() []model.UserID {
	var ids []model.UserID
	for _, target := range t.Config.Approval.StandIns {
		ids = union(ids, t.named(target))
	}
	if len(t.Config.Approval.StandIns) == 0 {
		ids = t.Dir.Holders(model.RolePXAdmin, nil, nil, t.now, t.barred())
	}
	return without(ids, t.party()...)
}

// steppedIn reports whether somebody may decide in the approvers' place, because
// they have let their time run out.
func (t *turn) steppedIn(id model.UserID) bool {
	return t.taken(model.EventApprovalOverdue, t.Action.SubmissionNo) != nil && slices.Contains(t.approvalStandIns(), id)
}

// setResults keeps what a submission or closure says of plan, outcome, cause and
// complainant, and refuses one that lacks what the SLA config needs. What was approved
// had it all, though its words may have been erased since.
func (t *turn) setResults(m MoveRequest) error {
	a := &t.Action
	var faults model.FieldErrors
	for _, f := range []struct {
		to   *string
		said string
	}{{&a.ActionPlan, m.ActionPlan}, {&a.Outcome, m.Outcome}, {&a.RootCause, m.RootCause}} {
		if said := strings.TrimSpace(f.said); said != "" {
			*f.to = said
		}
	}
	if m.RootCause != "" {
		t.checkRootCause(&faults)
	}
	if m.Informed != nil {
		t.setInformed(*m.Informed, &faults)
	}
	if len(faults) == 0 && a.Status != model.StatusApproved {
		t.missing(&faults)
	}
	return faults.Err()
}

func (t *turn) checkRootCause(faults *model.FieldErrors) {
	code, codes := t.Action.RootCause, t.Config.RootCauses
	switch {
	case !validCode(code):
		faults.Add("root_cause", "format", "a code of lower-case letters, digits, _ . and -, at most 60")
	case len(codes) > 0 && !slices.Contains(codes, code):
		faults.Add("root_cause", "unknown", "one of "+strings.Join(codes, ", "))
	}
}

// maxCode bounds the code of a root cause, in bytes.
const maxCode = 60

func validCode(code string) bool {
	return code != "" && len(code) <= maxCode && strings.Trim(code, "abcdefghijklmnopqrstuvwxyz0123456789_.-") == ""
}

func (t *turn) setInformed(i Informed, faults *model.FieldErrors) {
	a := &t.Action
	if i.WhyNot = strings.TrimSpace(i.WhyNot); i.WhyNot != "" {
		if !i.At.IsZero() || i.How != "" || !i.By.IsZero() {
			faults.Add("complainant_informed.why_not", "conflict", "nothing beside at, how and by: they were told, or not")
		}
		a.InformedAt, a.InformedHow, a.InformedBy, a.NotInformed = nil, "", nil, i.WhyNot
		return
	}
	switch {
	case i.At.IsZero():
		faults.Add("complainant_informed.at", "required", "when the complainant was told, or why_not")
	case i.At.After(t.now):
		faults.Add("complainant_informed.at", "range", "not in the future")
	}
	if !model.Valid(i.How, model.InformedHows()) {
		faults.Add("complainant_informed.how", "unknown", fmt.Sprintf("one of %v", model.InformedHows()))
	}
	by := t.actor
	if !i.By.IsZero() {
		by = &i.By
	}
	if by == nil || t.Dir.Users[*by] == nil {
		faults.Add("complainant_informed.by", "unknown", "a user of the directory, who told the complainant")
	}
	at := whole(i.At)
	a.InformedAt, a.InformedHow, a.InformedBy, a.NotInformed = &at, i.How, by, ""
}

// missing finds what the SLA config needs and the action has not.
func (t *turn) missing(faults *model.FieldErrors) {
	a := &t.Action
	needs := t.Config.Needs
	if a.SourceType == model.SourceComplaint {
		needs = append(slices.Clip(needs), t.Config.ComplaintNeeds...)
	}
	for _, n := range Needs() {
		if !slices.Contains(needs, n) {
			continue
		}
		switch {
		case n == NeedActionPlan && a.ActionPlan == "":
			faults.Add(string(n), "required", "what was planned to be done")
		case n == NeedOutcome && a.Outcome == "":
			faults.Add(string(n), "required", "what came of it")
		case n == NeedRootCause && a.RootCause == "":
			faults.Add(string(n), "required", "the code of the cause")
		case n == NeedInformed && a.InformedAt == nil && a.NotInformed == "":
			faults.Add(string(n), "required", "when, how and by whom the complainant was told, or why not")
		case n == NeedEvidence && t.Evidence == 0:
			faults.Add(string(n), "required", "a file marked as evidence; attach one first")
		}
	}
}
