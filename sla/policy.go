package sla

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/pxactions/px/model"
)

// DefaultMaxAge is how long ago a source may say that it received a feedback,
// where the policy names no other limit.
const DefaultMaxAge = 7 * 24 * time.Hour

// Policy is the whole policy as one document: what is negative, who gets it,
// and by when. People and places stand in it by code only. An absent key means
// the built-in rule.
type Policy struct {
	MaxAge    Age            `yaml:"max_age,omitzero" json:"max_age,omitzero"`                       // 0: DefaultMaxAge
	LoadCap   int            `yaml:"load_cap,omitzero" json:"load_cap,omitzero"`                     // live actions; see docs; 0: none
	Readers   []model.Role   `yaml:"restricted_readers,omitzero" json:"restricted_readers,omitzero"` // besides PX Admins; nil: PX Coordinator and Executive
	Causes    []string       `yaml:"root_causes,omitzero" json:"root_causes,omitzero"`               // codes; empty: any
	Merge     *MergeSpec     `yaml:"merge,omitzero" json:"merge,omitzero"`                           // nil: as its zero value
	Retention *RetentionSpec `yaml:"retention,omitzero" json:"retention,omitzero"`                   // nil: as its zero value
	Calendars []CalendarSpec `yaml:"calendars,omitzero" json:"calendars,omitzero"`
	Triggers  []TriggerSpec  `yaml:"triggers,omitzero" json:"triggers,omitzero"`
	Routing   []RuleSpec     `yaml:"routing,omitzero" json:"routing,omitzero"`
	SLA       []ConfigSpec   `yaml:"sla,omitzero" json:"sla,omitzero"`
}

// Age is a length of time written with its unit: 7d, 36h, 90m.
type Age time.Duration

// MarshalText writes whole days as days, anything else as time.Duration does.
func (a Age) MarshalText() ([]byte, error) {
	if d := time.Duration(a); d != 0 && d%(24*time.Hour) == 0 {
		return fmt.Appendf(nil, "%dd", d/(24*time.Hour)), nil
	}
	return []byte(time.Duration(a).String()), nil
}

// String is the form of MarshalText.
func (a Age) String() string {
	b, _ := a.MarshalText() // never fails
	return string(b)
}

// UnmarshalText reads whole days (7d) or what time.ParseDuration reads.
func (a *Age) UnmarshalText(b []byte) error {
	if days, ok := strings.CutSuffix(string(b), "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n <= maxHours/24 && n >= -maxHours/24 {
			*a = Age(time.Duration(n) * 24 * time.Hour)
			return nil
		}
	}
	d, err := time.ParseDuration(string(b))
	if err != nil {
		return fmt.Errorf("must be a length of time with its unit, as 7d or 36h")
	}
	*a = Age(d)
	return nil
}

// readers are the roles that may have to do with restricted actions. PX Admins
// always may: somebody has to decide on them.
func (p *Policy) readers() []model.Role {
	if p.Readers == nil {
		return []model.Role{model.RolePXAdmin, model.RolePXCoordinator, model.RoleExecutive}
	}
	return append([]model.Role{model.RolePXAdmin}, p.Readers...)
}

// MergeSpec says which signals of one subject join its live action in the same
// department instead of becoming one of their own.
type MergeSpec struct {
	Window        *Age      `yaml:"window,omitzero" json:"window,omitzero"`                 // how far apart they were received, at most; nil: DefaultMergeWindow
	Complaints    MergeKind `yaml:"complaints,omitzero" json:"complaints,omitzero"`         // empty: link
	PatientSafety MergeKind `yaml:"patient_safety,omitzero" json:"patient_safety,omitzero"` // empty: link
	IsActive      *bool     `yaml:"is_active,omitzero" json:"is_active,omitzero"`           // nil: true
}

// MergeKind says what becomes of a signal whose subject has a live action.
type MergeKind string

// MergeJoin makes it part of that one, MergeLink an action of its own that is
// linked to it.
const (
	MergeJoin MergeKind = "merge"
	MergeLink MergeKind = "link"
)

// TriggerSpec says, for feedback of one scope, what is negative and how bad. A
// blank condition fits all. For each of complaints, score, nps, sentiment, kpi
// and raise the most specific trigger that has it decides: one for a survey before
// one for a department, then hospital, then source system, then source type;
// with none, the built-in rule.
type TriggerSpec struct {
	Name         string           `yaml:"name,omitzero" json:"name,omitzero"`
	Hospital     string           `yaml:"hospital,omitzero" json:"hospital,omitzero"`
	Department   string           `yaml:"department,omitzero" json:"department,omitzero"` // needs Hospital
	SourceType   model.SourceType `yaml:"source_type,omitzero" json:"source_type,omitzero"`
	SourceSystem string           `yaml:"source_system,omitzero" json:"source_system,omitzero"`
	Survey       string           `yaml:"survey,omitzero" json:"survey,omitzero"`

	Complaints Complaints `yaml:"complaints,omitzero" json:"complaints,omitzero"`
	Score      *ScoreSpec `yaml:"score,omitzero" json:"score,omitzero"`
	NPS        []UpTo     `yaml:"nps,omitzero" json:"nps,omitzero"`             // points; above every band: not negative
	Sentiment  []UpTo     `yaml:"sentiment,omitzero" json:"sentiment,omitzero"` // in [-1, 1]; above every band: not negative
	KPI        []FromSpec `yaml:"kpi,omitzero" json:"kpi,omitzero"`             // per cent off target; below every band: not negative

	Raise []RaiseSpec `yaml:"raise,omitzero" json:"raise,omitzero"` // all that fit count, the gravest wins; empty: none here
}

// Complaints says whether complaints become actions. Empty: as the next less
// specific trigger says.
type Complaints string

// The settings for complaints.
const (
	ComplaintsAlways Complaints = "always"
	ComplaintsNever  Complaints = "never"
)

// ScoreSpec reads scores as per cent of their scale, 0 the worst.
type ScoreSpec struct {
	Below *float64 `yaml:"below,omitzero" json:"below,omitzero"` // negative below this; nil: 50
	Bands []UpTo   `yaml:"bands,omitzero" json:"bands,omitzero"` // nil: up to 10 high, up to 25 medium; outside all: low
}

// UpTo is a band of values up to AtMost, itself included.
type UpTo struct {
	AtMost   float64        `yaml:"at_most" json:"at_most"`
	Severity model.Severity `yaml:"severity" json:"severity"`
}

// FromSpec is a band of values from AtLeast on, itself included.
type FromSpec struct {
	AtLeast  float64        `yaml:"at_least" json:"at_least"`
	Severity model.Severity `yaml:"severity" json:"severity"`
}

// RaiseSpec makes negative feedback at least as grave as it says. Of Category and
// Keywords it has one at least; with both, both must fit.
type RaiseSpec struct {
	Category model.Category `yaml:"category,omitzero" json:"category,omitzero"`
	Keywords []string       `yaml:"keywords,omitzero" json:"keywords,omitzero"` // words or phrases, one of which the title or the text has; abus*: a word's beginning
	Severity model.Severity `yaml:"severity" json:"severity"`
	Negative bool           `yaml:"negative,omitzero" json:"negative,omitzero"` // it makes feedback negative, too, that would pass; save praise
}

// RuleSpec is one routing rule. A blank condition fits all; the first fit by
// descending priority, then name, wins. Department and AssignToDepartment are
// departments of Hospital.
type RuleSpec struct {
	Name        string `yaml:"name" json:"name"`
	Description string `yaml:"description,omitzero" json:"description,omitzero"`

	SourceType model.SourceType `yaml:"source_type,omitzero" json:"source_type,omitzero"`
	Category   model.Category   `yaml:"category,omitzero" json:"category,omitzero"`
	Severity   model.Severity   `yaml:"severity,omitzero" json:"severity,omitzero"`
	Hospital   string           `yaml:"hospital,omitzero" json:"hospital,omitzero"`
	Department string           `yaml:"department,omitzero" json:"department,omitzero"`

	AssignToRole       model.Role `yaml:"assign_to_role,omitzero" json:"assign_to_role,omitzero"`
	AssignToUser       string     `yaml:"assign_to_user,omitzero" json:"assign_to_user,omitzero"`
	AssignToDepartment string     `yaml:"assign_to_department,omitzero" json:"assign_to_department,omitzero"`

	Priority int   `yaml:"priority,omitzero" json:"priority,omitzero"`
	IsActive *bool `yaml:"is_active,omitzero" json:"is_active,omitzero"` // nil: true
}

// ConfigSpec is one SLA config: for a department, for a hospital, or with
// neither for all. At most one of each scope is active.
type ConfigSpec struct {
	Name       string `yaml:"name" json:"name"`
	Hospital   string `yaml:"hospital,omitzero" json:"hospital,omitzero"`
	Department string `yaml:"department,omitzero" json:"department,omitzero"` // needs Hospital

	CriticalHours *int `yaml:"critical_hours,omitzero" json:"critical_hours,omitzero"` // nil: 24
	HighHours     *int `yaml:"high_hours,omitzero" json:"high_hours,omitzero"`         // nil: 48
	MediumHours   *int `yaml:"medium_hours,omitzero" json:"medium_hours,omitzero"`     // nil: 72
	LowHours      *int `yaml:"low_hours,omitzero" json:"low_hours,omitzero"`           // nil: 120

	// Targets replaces a severity's hours: 36h, 90m, or working days, 3wd.
	Targets map[model.Severity]TargetSpec `yaml:"targets,omitzero" json:"targets,omitzero"`

	// Reminders replaces ReminderHoursBefore: 4h, 2h open, 24h elapsed, or 75% of the target.
	Reminders            []ReminderSpec `yaml:"reminders,omitzero" json:"reminders,omitzero"`
	ReminderHoursBefore  []int          `yaml:"reminder_hours_before,omitzero" json:"reminder_hours_before,omitzero"`   // one or a list; nil: 4; empty: none
	AutoEscalate         *bool          `yaml:"auto_escalate,omitzero" json:"auto_escalate,omitzero"`                   // nil: true
	EscalationDelayHours *int           `yaml:"escalation_delay_hours,omitzero" json:"escalation_delay_hours,omitzero"` // between stages; nil: 2

	// Stages replaces a severity's ladder; a severity left out has the built-in
	// number of stages (3, 3, 2, 1 from critical down), EscalationDelayHours apart.
	Stages map[model.Severity][]StageSpec `yaml:"stages,omitzero" json:"stages,omitzero"`
	// Calendar counts open time; empty: the department's, else the hospital's.
	Calendar string `yaml:"calendar,omitzero" json:"calendar,omitzero"`
	// Clock names each severity's clock; a severity left out keeps the built-in one.
	Clock map[model.Severity]ClockKind `yaml:"clock,omitzero" json:"clock,omitzero"`

	// AckTargets is by when the work is to be started, by severity: 1h, 2wd, or
	// none. A severity left out has 1h, 4h, 1wd, 2wd, from critical down, where
	// that is over before its target.
	AckTargets map[model.Severity]AckTargetSpec `yaml:"ack_targets,omitzero" json:"ack_targets,omitzero"`
	AckReroute bool                             `yaml:"ack_reroute,omitzero" json:"ack_reroute,omitzero"` // who misses it loses the action to somebody else, once

	MaxHoldHours *int  `yaml:"max_hold_hours,omitzero" json:"max_hold_hours,omitzero"` // the longest hold, elapsed; nil: 336, two weeks
	HoldCritical *bool `yaml:"hold_critical,omitzero" json:"hold_critical,omitzero"`   // critical actions may be held; nil: false

	Reopen Reopening `yaml:"reopen,omitzero" json:"reopen,omitzero"` // empty: fresh

	RequiresApproval *bool       `yaml:"requires_approval,omitzero" json:"requires_approval,omitzero"` // nil: true
	ApprovalExempt   []Exemption `yaml:"approval_exempt,omitzero" json:"approval_exempt,omitzero"`     // what needs none all the same

	ApprovalTarget   *TargetSpec       `yaml:"approval_target,omitzero" json:"approval_target,omitzero"`       // elapsed, or working days; nil: 24h
	ApprovalReminder *Age              `yaml:"approval_reminder,omitzero" json:"approval_reminder,omitzero"`   // before that; nil: 4h, where that is less; 0s: none
	ApprovalStandIns []StageTargetSpec `yaml:"approval_stand_ins,omitzero" json:"approval_stand_ins,omitzero"` // told when it is overdue, and may decide from then on; empty: the PX Admins of no hospital

	// SubmissionNeeds is what a submission, or a closure without one, has to have,
	// ComplaintNeeds the same of complaints besides.
	SubmissionNeeds []Need `yaml:"submission_needs,omitzero" json:"submission_needs,omitzero"` // nil: action_plan, outcome
	ComplaintNeeds  []Need `yaml:"complaint_needs,omitzero" json:"complaint_needs,omitzero"`   // nil: root_cause, complainant_informed

	IsActive *bool `yaml:"is_active,omitzero" json:"is_active,omitzero"` // nil: true
}

// StageSpec is one step of escalation.
type StageSpec struct {
	AfterHours    float64           `yaml:"after_hours" json:"after_hours"`                         // after the due, or after the stage before; parts of an hour are allowed
	Clock         ClockKind         `yaml:"clock,omitzero" json:"clock,omitzero"`                   // which time that counts; empty: the severity's own
	Tell          []StageTargetSpec `yaml:"tell,omitzero" json:"tell,omitzero"`                     // manager, role:NAME, user:CODE; empty: by the ladder
	Channels      []model.Channel   `yaml:"channels,omitzero" json:"channels,omitzero"`             // over these alone, for who has one of them
	Repeat        int               `yaml:"repeat,omitzero" json:"repeat,omitzero"`                 // so many times more, after the same time each
	RaisePriority model.Severity    `yaml:"raise_priority,omitzero" json:"raise_priority,omitzero"` // at least this from here on; empty: leave it
}

// ClockKind says which time a target counts.
type ClockKind string

// Elapsed time counts every hour, open time those of the calendar.
const (
	ClockElapsed ClockKind = "elapsed"
	ClockOpen    ClockKind = "open"
)

// Reopening says what time a reopened action gets.
type Reopening string

// A whole target from then on, or what was left on the action's own clock when
// it stopped: at the submission for the last approval, else at the closure.
const (
	ReopenFresh     Reopening = "fresh"
	ReopenRemaining Reopening = "remaining"
)

// Exemption is what needs no approval; a blank condition fits all.
type Exemption struct {
	SourceType model.SourceType `yaml:"source_type,omitzero" json:"source_type,omitzero"`
	Severity   model.Severity   `yaml:"severity,omitzero" json:"severity,omitzero"`
}

// ParsePolicy reads a policy document (YAML or JSON). It returns every fault at
// once as model.FieldErrors, each with its line. Codes of people and places are
// checked by Compile.
func ParsePolicy(src []byte) (*Policy, error) { return ParsePolicyFiles([]File{{Text: src}}) }

// ParsePolicyFiles is ParsePolicy for a document in files.
func ParsePolicyFiles(files []File) (*Policy, error) {
	p := &Policy{}
	if err := readDocument(files, p, p.check); err != nil {
		return nil, err
	}
	return p, nil
}

// YAML writes the document in a stable form that ParsePolicy reads back to the
// same policy. What the program itself writes into it is marked so.
func (p *Policy) YAML() ([]byte, error) {
	marks := yaml.CommentMap{}
	for i := range p.Calendars {
		for j := range p.Calendars[i].Feeds {
			marks[fmt.Sprintf("$.calendars[%d].feeds[%d].dates", i, j)] = []*yaml.Comment{yaml.HeadComment(" Written by px, as the feed said last; an edit is lost.")}
		}
	}
	return yaml.MarshalWithOptions(p, yaml.IndentSequence(true), yaml.WithComment(marks))
}
