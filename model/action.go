package model

import (
	"encoding/json"
	"time"

	"github.com/uptrace/bun"
)

// Action is something a person must do by a deadline because of a feedback.
//
// Its plan is not stored: it follows from DueAt, the pinned SLA config, the
// deadline events taken so far and the few facts of Plan. Only the plan's head
// (NextAt, NextKind, NextStage, Gen) stands in the row.
type Action struct {
	bun.BaseModel `bun:"table:actions,alias:a"`

	ID           ActionID       `bun:"type:uuid,pk"`
	Ref          string         // spoken reference: RUH-26-0004172
	SourceType   SourceType     //
	ContentType  string         // app.model
	ObjectID     *ID[struct{}]  `bun:"type:uuid"`
	FeedbackID   *FeedbackID    `bun:"type:uuid"` // the first feedback; nil for one made by hand
	LinkedTo     *ActionID      `bun:"type:uuid"` // an earlier one of the same subject and department, which this tells more of; nil: none
	SubjectKey   string         //
	Title        string         // may hold patient's words
	Description  string         // may hold patient's words
	HospitalID   HospitalID     `bun:"type:uuid"`
	DepartmentID *DepartmentID  `bun:"type:uuid"`
	Category     Category       //
	Priority     Severity       //
	Severity     Severity       //
	Status       Status         //
	AssignedTo   *UserID        `bun:"type:uuid"`
	AssignedAt   *time.Time     //
	ReceivedAt   time.Time      // when the hospital got the feedback
	ClockStart   time.Time      // where the target counts from: ReceivedAt, or the last reopening with a fresh target
	DueAt        time.Time      // the deadline, whole seconds
	DueManual    bool           // DueAt was set by hand or by the floor of a rejection or reopening, and stands
	IsOverdue    bool           //
	Involved     JSON[[]UserID] `bun:"involved_users,type:jsonb"`
	Restricted   bool           //
	Shadow       bool           // every message of it is suppressed

	ReminderSentAt  *time.Time //
	EscalatedAt     *time.Time // when the last stage was taken
	EscalationLevel int        // stages taken since the last reopening

	RequiresApproval bool        //
	SubmittedBy      *UserID     `bun:"type:uuid"`
	SubmittedAt      *time.Time  //
	ApprovedBy       *UserID     `bun:"type:uuid"`
	ApprovedAt       *time.Time  //
	RejectedBy       *UserID     `bun:"type:uuid"`
	RejectedAt       *time.Time  //
	RejectionReason  string      //
	ClosedAt         *time.Time  //
	ClosedBy         *UserID     `bun:"type:uuid"`
	ActionPlan       string      //
	Outcome          string      //
	RootCause        string      //
	InformedAt       *time.Time  `bun:"complainant_informed_at"`
	InformedHow      InformedHow `bun:"complainant_informed_how"`
	InformedBy       *UserID     `bun:"complainant_informed_by,type:uuid"`
	NotInformed      string      `bun:"complainant_not_informed"` // why the complainant was not, where they were not; words

	Metadata JSON[json.RawMessage] `bun:"type:jsonb"`

	PolicyRevision   int64            // pinned; 0: built-in policy
	SLAConfigID      *SLAConfigID     `bun:"sla_config_id,type:uuid"` // pinned; nil: the built-in config
	Calendar         string           // of open time, pinned by its name; empty: around the clock
	CalendarRevision int64            // the policy revision that the calendar is read from
	Period           int              // counts from 1; see design: reopening or a later due starts a new one
	OriginalDueAt    time.Time        // set at creation and at reopening with a fresh target only
	PausedSeconds    int64            // open seconds of the pauses that moved DueAt
	PausedAt         *time.Time       // the resolution clock stands still since then (submission, hold)
	Plan             JSON[PlanMemory] `bun:"plan,type:jsonb"` // what neither clock nor events tell of the plan
	HeldAt           *time.Time       //
	HoldReason       string           //
	ResumeAt         *time.Time       // auto-resume
	AckDueAt         *time.Time       //
	AckedAt          *time.Time       //
	ApprovalDueAt    *time.Time       //

	NextAt    *time.Time `bun:"next_at"`
	NextKind  EventKind  `bun:",nullzero"`
	NextStage *int       //
	Gen       int64      // number of the armed job: rises with each re-plan and each fire
	ArmedGen  int64      // the gen last handed to the queue
	ArmAfter  time.Time  // machine time: the sweep arms from here on
	HealAfter *time.Time // machine time: set when a sweep failed on this row alone
	LogSeq    int        // seq of its last log row
	LogHash   []byte     // hash of its last log row; nil: none is chained yet
	Version   int64      // rises with every write but arming

	AckNo        int // running number of the assignment, the stage of its ack event
	SubmissionNo int // running number of the submission, the stage of its approval events
	HoldNo       int // running number of the hold, the stage of its resume event

	LegalHoldAt       *time.Time // nothing of it may be erased since then; nil: it may
	ErasedAt          *time.Time // when its words were last erased; what was written since stands
	MessagesDroppedAt *time.Time // when its messages were last dropped; later ones are there

	CreatedAt time.Time //
	UpdatedAt time.Time //
}

// PlanMemory is what a plan depends on besides due, SLA config and the events
// taken: the traces that changes left. Times are domain time in whole seconds.
type PlanMemory struct {
	Since    time.Time             `json:"since"`              // reminders not after it are out of the plan: the clock start, then the last re-plan
	Pauses   []Pause               `json:"pauses,omitempty"`   // since the clock start, in order; the open one is PausedAt
	Fixed    *StageTime            `json:"fixed,omitempty"`    // where the last change put the next untaken stage; nil: its planned time
	Gaps     map[int]time.Duration `json:"gaps_ns,omitempty"`  // by stage: gaps that changes shortened, elapsed, so that no stage got later
	AckFrom  time.Time             `json:"ack_from,omitzero"`  // when the severity was last raised, or a start first asked for: from there the time to start counts; zero: from the assignment
	Earliest *StageTime            `json:"earliest,omitempty"` // the earliest time the next untaken stage has had since the last reopening
}

// Pause is one span [From, To) in which the resolution clock stood still.
type Pause struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// StageTime is a time of one stage of escalation.
type StageTime struct {
	Stage int       `json:"stage"`
	At    time.Time `json:"at"`
}

// Held reports whether the action is on hold.
func (a *Action) Held() bool { return a.HeldAt != nil }

// Live reports whether the action is neither closed nor cancelled.
func (a *Action) Live() bool { return a.Status.Live() }

// ActionAttachment is a file on an action; the file itself stands outside the
// database under StorageKey.
type ActionAttachment struct {
	bun.BaseModel `bun:"table:action_attachments,alias:at"`

	ID          AttachmentID `bun:"type:uuid,pk"`
	ActionID    ActionID     `bun:"type:uuid"`
	File        string       // the same as StorageKey
	Filename    string       // as it is shown and saved; may hold a patient's name
	FileType    string       // as sniffed: image/png
	FileSize    int64        // bytes
	SHA256      []byte       `bun:"sha256"` // of the file
	StorageKey  string       //
	UploadedBy  *UserID      `bun:"type:uuid"` // nil: an operator without a name
	Description string       // words; may be a patient's
	IsEvidence  bool         // counts where evidence is asked for
	ErasedAt    *time.Time   // when its name, description and file were erased; nil: they are there
	CreatedAt   time.Time    //
	UpdatedAt   time.Time    //
}
