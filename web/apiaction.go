package web

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/pxactions/px/internal/problem"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
)

// Action is an action as the API tells of it: the domain's fields, with people
// and places by code. Lists leave the long texts and metadata out.
type Action struct {
	ID          string           `json:"id" format:"uuid"`
	Ref         string           `json:"ref" example:"RUH-26-0004172" doc:"What people call it by."`
	Version     int64            `json:"version" doc:"Rises with each change; the ETag."`
	SourceType  model.SourceType `json:"source_type" enum:"survey,complaint,complaint_resolution,social_media,call_center,kpi,manual,patient_family_committee,executive_committee,department_meeting,rounds,staff_feedback,patient_observation,quality_audit,management_review"`
	ContentType string           `json:"content_type,omitempty" doc:"app.model of the source's own object."`
	ObjectID    string           `json:"object_id,omitempty" format:"uuid"`
	FeedbackID  string           `json:"feedback_id,omitempty" format:"uuid" doc:"The first feedback."`
	LinkedTo    string           `json:"linked_to,omitempty" format:"uuid" doc:"An earlier action that it tells more of."`
	Title       string           `json:"title"`
	Description string           `json:"description,omitempty"`
	Hospital    string           `json:"hospital"`
	Department  string           `json:"department,omitempty"`
	Category    model.Category   `json:"category" enum:"clinical_quality,patient_safety,service_quality,staff_behavior,facility,process_improvement,other"`
	Priority    model.Severity   `json:"priority" enum:"low,medium,high,critical"`
	Severity    model.Severity   `json:"severity" enum:"low,medium,high,critical"`
	Status      model.Status     `json:"status" enum:"open,in_progress,pending_approval,approved,closed,cancelled"`
	AssignedTo  string           `json:"assigned_to,omitempty" doc:"Absent: nobody owns it."`
	AssignedAt  *time.Time       `json:"assigned_at,omitempty"`
	ReceivedAt  time.Time        `json:"received_at"`
	ClockStart  time.Time        `json:"clock_start" doc:"Where the target counts from."`
	DueAt       time.Time        `json:"due_at"`
	DueManual   bool             `json:"due_manual"`
	OriginalDue time.Time        `json:"original_due_at"`
	IsOverdue   bool             `json:"is_overdue"`
	Involved    []string         `json:"involved_users,omitempty"`
	Restricted  bool             `json:"restricted"`
	Shadow      bool             `json:"shadow" doc:"Nobody is told of it."`

	ReminderSentAt  *time.Time `json:"reminder_sent_at,omitempty"`
	EscalatedAt     *time.Time `json:"escalated_at,omitempty"`
	EscalationLevel int        `json:"escalation_level"`

	RequiresApproval bool       `json:"requires_approval"`
	SubmittedBy      string     `json:"submitted_by,omitempty"`
	SubmittedAt      *time.Time `json:"submitted_at,omitempty"`
	ApprovalDueAt    *time.Time `json:"approval_due_at,omitempty"`
	ApprovedBy       string     `json:"approved_by,omitempty"`
	ApprovedAt       *time.Time `json:"approved_at,omitempty"`
	RejectedBy       string     `json:"rejected_by,omitempty"`
	RejectedAt       *time.Time `json:"rejected_at,omitempty"`
	RejectionReason  string     `json:"rejection_reason,omitempty"`
	ClosedBy         string     `json:"closed_by,omitempty"`
	ClosedAt         *time.Time `json:"closed_at,omitempty"`
	ActionPlan       string     `json:"action_plan,omitempty"`
	Outcome          string     `json:"outcome,omitempty"`
	RootCause        string     `json:"root_cause,omitempty"`
	Informed         *informed  `json:"complainant_informed,omitempty"`

	HeldAt     *time.Time     `json:"held_at,omitempty"`
	HoldReason string         `json:"hold_reason,omitempty"`
	ResumeAt   *time.Time     `json:"resume_at,omitempty"`
	AckDueAt   *time.Time     `json:"ack_due_at,omitempty"`
	AckedAt    *time.Time     `json:"acked_at,omitempty"`
	Period     int            `json:"period"`
	Policy     int64          `json:"policy_revision" doc:"That it was made under; 0: the built-in policy."`
	Next       *Upcoming      `json:"next,omitempty" doc:"What happens to it next if nobody does anything; absent: nothing."`
	Metadata   map[string]any `json:"metadata,omitempty"`
	CreatedAt  time.Time      `json:"created_at"`
	UpdatedAt  time.Time      `json:"updated_at"`
	LegalHold  *time.Time     `json:"legal_hold_at,omitempty" doc:"Nothing of it is erased since then."`
	ErasedAt   *time.Time     `json:"erased_at,omitempty" doc:"When its words were last erased: title, texts and metadata are empty, but for what was written since."`
}

// Upcoming is an event of an action's plan.
type Upcoming struct {
	Kind  model.EventKind `json:"kind" enum:"reminder,overdue,escalation,ack,resume,approval_reminder,approval_overdue"`
	Stage int             `json:"stage" doc:"Of reminders and escalations from 1; else a running number, or 0."`
	At    time.Time       `json:"at"`
}

func actionOf(a *model.Action, dir *sla.Directory) Action {
	user := func(id *model.UserID) string { return userCode(dir, id) }
	out := Action{
		ID: a.ID.String(), Ref: a.Ref, Version: a.Version, SourceType: a.SourceType, ContentType: a.ContentType, ObjectID: idText(a.ObjectID),
		FeedbackID: idText(a.FeedbackID), LinkedTo: idText(a.LinkedTo), Title: a.Title, Description: a.Description,
		Category: a.Category, Priority: a.Priority, Severity: a.Severity, Status: a.Status,
		AssignedTo: user(a.AssignedTo), AssignedAt: utc(a.AssignedAt), ReceivedAt: a.ReceivedAt.UTC(), ClockStart: a.ClockStart.UTC(),
		DueAt: a.DueAt.UTC(), DueManual: a.DueManual, OriginalDue: a.OriginalDueAt.UTC(), IsOverdue: a.IsOverdue,
		Involved: userCodes(dir, a.Involved.V), Restricted: a.Restricted, Shadow: a.Shadow,
		ReminderSentAt: utc(a.ReminderSentAt), EscalatedAt: utc(a.EscalatedAt), EscalationLevel: a.EscalationLevel,
		RequiresApproval: a.RequiresApproval, SubmittedBy: user(a.SubmittedBy), SubmittedAt: utc(a.SubmittedAt), ApprovalDueAt: utc(a.ApprovalDueAt),
		ApprovedBy: user(a.ApprovedBy), ApprovedAt: utc(a.ApprovedAt), RejectedBy: user(a.RejectedBy), RejectedAt: utc(a.RejectedAt),
		RejectionReason: a.RejectionReason, ClosedBy: user(a.ClosedBy), ClosedAt: utc(a.ClosedAt),
		ActionPlan: a.ActionPlan, Outcome: a.Outcome, RootCause: a.RootCause, Informed: informedOf(a, dir),
		HeldAt: utc(a.HeldAt), HoldReason: a.HoldReason, ResumeAt: utc(a.ResumeAt), AckDueAt: utc(a.AckDueAt), AckedAt: utc(a.AckedAt),
		Period: a.Period, Policy: a.PolicyRevision, CreatedAt: a.CreatedAt.UTC(), UpdatedAt: a.UpdatedAt.UTC(),
		LegalHold: utc(a.LegalHoldAt), ErasedAt: utc(a.ErasedAt),
	}
	if h := dir.Hospitals[a.HospitalID]; h != nil {
		out.Hospital = h.Code
	}
	if d := dir.Departments[model.Deref(a.DepartmentID)]; d != nil {
		out.Department = d.Code
	}
	if a.NextAt != nil && a.NextStage != nil {
		out.Next = &Upcoming{Kind: a.NextKind, Stage: *a.NextStage, At: a.NextAt.UTC()}
	}
	_ = json.Unmarshal(a.Metadata.V, &out.Metadata) // absent in lists; else an object, as it came in
	return out
}

func informedOf(a *model.Action, dir *sla.Directory) *informed {
	if a.InformedAt == nil && a.NotInformed == "" {
		return nil
	}
	return &informed{At: utc(a.InformedAt), How: a.InformedHow, By: userCode(dir, a.InformedBy), WhyNot: a.NotInformed}
}

// userCode is how the directory names a person; empty: nobody.
func userCode(dir *sla.Directory, id *model.UserID) string {
	if u := dir.Users[model.Deref(id)]; u != nil {
		return u.Code
	}
	return ""
}

func userCodes(dir *sla.Directory, ids []model.UserID) []string {
	var codes []string
	for _, id := range ids {
		if code := userCode(dir, &id); code != "" {
			codes = append(codes, code)
		}
	}
	return codes
}

func idText[T any](id *model.ID[T]) string {
	if id == nil {
		return ""
	}
	return id.String()
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	at := t.UTC()
	return &at
}

// get answers with one action.
func (a *api) get(c *call) error {
	row, err := c.action(a)
	if err != nil {
		return err
	}
	c.w.Header().Set("ETag", etag(row))
	problem.JSON(c.w, http.StatusOK, actionOf(row, c.Dir))
	return nil
}
