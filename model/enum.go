package model

import "slices"

// Status is where an action stands in its workflow.
type Status string

// The statuses of an action. Live = neither closed nor cancelled.
const (
	StatusOpen            Status = "open"
	StatusInProgress      Status = "in_progress"
	StatusPendingApproval Status = "pending_approval"
	StatusApproved        Status = "approved"
	StatusClosed          Status = "closed"
	StatusCancelled       Status = "cancelled"
)

// Statuses lists every status in workflow order.
func Statuses() []Status {
	return []Status{StatusOpen, StatusInProgress, StatusPendingApproval, StatusApproved, StatusClosed, StatusCancelled}
}

// Live reports whether the status is neither closed nor cancelled.
func (s Status) Live() bool { return s != StatusClosed && s != StatusCancelled }

// SourceType is what kind of source a feedback came from.
type SourceType string

// The source types.
const (
	SourceSurvey                 SourceType = "survey"
	SourceComplaint              SourceType = "complaint"
	SourceComplaintResolution    SourceType = "complaint_resolution"
	SourceSocialMedia            SourceType = "social_media"
	SourceCallCenter             SourceType = "call_center"
	SourceKPI                    SourceType = "kpi"
	SourceManual                 SourceType = "manual"
	SourcePatientFamilyCommittee SourceType = "patient_family_committee"
	SourceExecutiveCommittee     SourceType = "executive_committee"
	SourceDepartmentMeeting      SourceType = "department_meeting"
	SourceRounds                 SourceType = "rounds"
	SourceStaffFeedback          SourceType = "staff_feedback"
	SourcePatientObservation     SourceType = "patient_observation"
	SourceQualityAudit           SourceType = "quality_audit"
	SourceManagementReview       SourceType = "management_review"
)

// SourceTypes lists every source type.
func SourceTypes() []SourceType {
	return []SourceType{
		SourceSurvey, SourceComplaint, SourceComplaintResolution, SourceSocialMedia, SourceCallCenter, SourceKPI, SourceManual,
		SourcePatientFamilyCommittee, SourceExecutiveCommittee, SourceDepartmentMeeting, SourceRounds, SourceStaffFeedback,
		SourcePatientObservation, SourceQualityAudit, SourceManagementReview,
	}
}

// Category is what an action is about.
type Category string

// The categories.
const (
	CategoryClinicalQuality    Category = "clinical_quality"
	CategoryPatientSafety      Category = "patient_safety"
	CategoryServiceQuality     Category = "service_quality"
	CategoryStaffBehavior      Category = "staff_behavior"
	CategoryFacility           Category = "facility"
	CategoryProcessImprovement Category = "process_improvement"
	CategoryOther              Category = "other"
)

// Categories lists every category.
func Categories() []Category {
	return []Category{
		CategoryClinicalQuality, CategoryPatientSafety, CategoryServiceQuality, CategoryStaffBehavior, CategoryFacility,
		CategoryProcessImprovement, CategoryOther,
	}
}

// Severity is how bad a feedback is; a priority has the same four steps.
type Severity string

// The severities, also used as priorities.
const (
	SeverityLow      Severity = "low"
	SeverityMedium   Severity = "medium"
	SeverityHigh     Severity = "high"
	SeverityCritical Severity = "critical"
)

// Severities lists every severity, mildest first.
func Severities() []Severity {
	return []Severity{SeverityLow, SeverityMedium, SeverityHigh, SeverityCritical}
}

// Rank orders severities: low 1 … critical 4; 0 for none.
func (s Severity) Rank() int { return slices.Index(Severities(), s) + 1 }

// LogType is what an action's log row tells.
type LogType string

// The log types: the first seven are the domain's own, the rest ours.
const (
	LogStatusChange LogType = "status_change"
	LogAssignment   LogType = "assignment"
	LogEscalation   LogType = "escalation"
	LogNote         LogType = "note"
	LogEvidence     LogType = "evidence"
	LogApproval     LogType = "approval"
	LogSLAReminder  LogType = "sla_reminder"
	LogCreated      LogType = "created"
	LogMerged       LogType = "merged"
	LogOverdue      LogType = "overdue"
	LogPlanChange   LogType = "plan_change"
	LogHold         LogType = "hold"
	LogResume       LogType = "resume"
	LogAckMissed    LogType = "ack_missed"
	LogRevised      LogType = "revised"
)

// LogTypes lists every log type.
func LogTypes() []LogType {
	return []LogType{
		LogStatusChange, LogAssignment, LogEscalation, LogNote, LogEvidence, LogApproval, LogSLAReminder,
		LogCreated, LogMerged, LogOverdue, LogPlanChange, LogHold, LogResume, LogAckMissed,
		LogRevised,
	}
}

// EventKind is what kind of deadline event a plan holds.
type EventKind string

// The kinds of deadline event.
const (
	EventReminder         EventKind = "reminder"
	EventOverdue          EventKind = "overdue"
	EventEscalation       EventKind = "escalation"
	EventAck              EventKind = "ack"
	EventResume           EventKind = "resume"
	EventApprovalReminder EventKind = "approval_reminder"
	EventApprovalOverdue  EventKind = "approval_overdue"
)

// EventKinds lists every kind of deadline event, in the order in which kinds
// of the same instant are taken.
func EventKinds() []EventKind {
	return []EventKind{EventResume, EventAck, EventReminder, EventOverdue, EventEscalation, EventApprovalReminder, EventApprovalOverdue}
}

// FeedbackKind is what a sender calls a feedback.
type FeedbackKind string

// The kinds of feedback. An empty kind says nothing.
const (
	KindComplaint   FeedbackKind = "complaint"
	KindPraise      FeedbackKind = "praise"
	KindSuggestion  FeedbackKind = "suggestion"
	KindQuestion    FeedbackKind = "question"
	KindObservation FeedbackKind = "observation"
	KindOther       FeedbackKind = "other"
)

// FeedbackKinds lists every kind of feedback.
func FeedbackKinds() []FeedbackKind {
	return []FeedbackKind{KindComplaint, KindPraise, KindSuggestion, KindQuestion, KindObservation, KindOther}
}

// Better says which end of a scale is the good one.
type Better string

// The two ends of a scale.
const (
	BetterHigh Better = "high"
	BetterLow  Better = "low"
)

// Metric says how a score is to be read.
type Metric string

// MetricScore is a percentage of its scale; MetricNPS is the 0-to-10
// likelihood to recommend.
const (
	MetricScore Metric = "score"
	MetricNPS   Metric = "nps"
)

// Mode says what a feedback may cause.
type Mode string

// ModeLive is the usual mode; ModeHistory makes no action; ModeShadow makes
// action and events but suppresses every message.
const (
	ModeLive    Mode = "live"
	ModeHistory Mode = "history"
	ModeShadow  Mode = "shadow"
)

// Decision is what became of a feedback. Empty: undecided.
type Decision string

// The decisions. Quarantined is provisional: it is decided once after a replay.
const (
	DecisionCreated     Decision = "created"
	DecisionMerged      Decision = "merged"
	DecisionIgnored     Decision = "ignored"
	DecisionQuarantined Decision = "quarantined"
)

// RetractReason is why a source system took a feedback back. It says so by a
// code, never in words.
type RetractReason string

// The reasons to take a feedback back.
const (
	RetractDuplicate      RetractReason = "duplicate"
	RetractEnteredInError RetractReason = "entered_in_error"
	RetractWithdrawn      RetractReason = "withdrawn"
	RetractOther          RetractReason = "other"
)

// RetractReasons lists every reason to take a feedback back.
func RetractReasons() []RetractReason {
	return []RetractReason{RetractDuplicate, RetractEnteredInError, RetractWithdrawn, RetractOther}
}

// MessageState is where a message stands.
type MessageState string

// The states of a message.
const (
	MessagePending    MessageState = "pending"
	MessageSending    MessageState = "sending"
	MessageSent       MessageState = "sent"
	MessageFailed     MessageState = "failed"
	MessageSuppressed MessageState = "suppressed"
)

// Channel is a way to reach a person.
type Channel string

// The channels.
const (
	ChannelLog     Channel = "log"
	ChannelEmail   Channel = "email"
	ChannelWebhook Channel = "webhook"
)

// Channels lists every channel.
func Channels() []Channel { return []Channel{ChannelLog, ChannelEmail, ChannelWebhook} }

// Role is what a user may be asked to do.
type Role string

// The roles of the directory. Routing rules may name others.
const (
	RolePXAdmin       Role = "PX Admin"
	RolePXCoordinator Role = "PX Coordinator"
	RoleManager       Role = "Department Manager"
	RoleStaff         Role = "Staff"
	RoleExecutive     Role = "Executive"
	RoleAuditor       Role = "Auditor"
)

// InformedHow is how a complainant was told of the outcome.
type InformedHow string

// The ways to inform a complainant.
const (
	InformedPhone    InformedHow = "phone"
	InformedInPerson InformedHow = "in_person"
	InformedLetter   InformedHow = "letter"
	InformedEmail    InformedHow = "email"
	InformedMessage  InformedHow = "message"
	InformedOther    InformedHow = "other"
)

// InformedHows lists every way to inform a complainant.
func InformedHows() []InformedHow {
	return []InformedHow{InformedPhone, InformedInPerson, InformedLetter, InformedEmail, InformedMessage, InformedOther}
}

// Reason is why a message is sent, weightiest last in Weight.
type Reason string

// The reasons of messages.
const (
	ReasonAssigned         Reason = "assigned"
	ReasonReassigned       Reason = "reassigned"
	ReasonRaised           Reason = "raised"
	ReasonReminder         Reason = "reminder"
	ReasonOverdue          Reason = "overdue"
	ReasonEscalation       Reason = "escalation"
	ReasonSubmitted        Reason = "submitted"
	ReasonApprovalOverdue  Reason = "approval_overdue"
	ReasonApprovalReminder Reason = "approval_reminder"
	ReasonApproved         Reason = "approved"
	ReasonRejected         Reason = "rejected"
	ReasonReopened         Reason = "reopened"
	ReasonClosed           Reason = "closed"
	ReasonCancelled        Reason = "cancelled"
	ReasonPlanChange       Reason = "plan_change"
	ReasonAckMissed        Reason = "ack_missed"
	ReasonRevised          Reason = "revised"
	ReasonRetracted        Reason = "retracted"
)

// Weight orders reasons by design: escalation, overdue, the move itself,
// reminder, plan change. Of two reasons for one person the heavier one stands.
func (r Reason) Weight() int {
	switch r {
	case ReasonEscalation:
		return 5
	case ReasonOverdue, ReasonApprovalOverdue, ReasonAckMissed:
		return 4
	case ReasonReminder, ReasonApprovalReminder:
		return 2
	case ReasonPlanChange:
		return 1
	default:
		return 3
	}
}

// Valid reports whether v is one of all.
func Valid[T comparable](v T, all []T) bool { return slices.Contains(all, v) }
