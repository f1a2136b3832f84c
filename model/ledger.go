package model

import (
	"time"

	"github.com/uptrace/bun"
)

// DeadlineEvent records that one event of a plan took effect, exactly once per
// (ActionID, Period, Kind, Stage).
type DeadlineEvent struct {
	bun.BaseModel `bun:"table:deadline_events,alias:e"`

	ID       DeadlineEventID `bun:"type:uuid,pk"`
	ActionID ActionID        `bun:"type:uuid"`
	Period   int             //
	Kind     EventKind       //
	Stage    int             // 0 for overdue; reminders and stages from 1; running number for ack, approval and resume
	Planned  time.Time       // when it was to happen, domain time
	Fired    time.Time       // when it was taken, domain time
	LateS    int64           `bun:"late_s"` // whole seconds from Planned to Fired
	Done     EventDone       //
	Targets  JSON[[]UserID]  `bun:"type:jsonb"` // addressed as the event's own targets
	Told     JSON[[]UserID]  `bun:"type:jsonb"` // everyone addressed: targets, then copies
	Gen      int64           // the action's gen that this firing made
	ByHand   bool            // a person escalated, before the plan did
}

// EventDone says what a deadline event did.
type EventDone string

// Told: people were addressed. Silent: a late reminder that was not the last
// of its firing. Superseded: a move took it and its messages with it.
// Untargeted: a stage that found nobody but the assignee, or another event
// that found nobody at all.
const (
	DoneTold       EventDone = "told"
	DoneSilent     EventDone = "silent"
	DoneSuperseded EventDone = "superseded"
	DoneUntargeted EventDone = "untargeted"
)

// ActionLog is one line of an action's story. Its facts are never changed, so
// there is no updated_at.
type ActionLog struct {
	bun.BaseModel `bun:"table:action_logs,alias:l"`

	ID        LogID             `bun:"type:uuid,pk"`
	ActionID  ActionID          `bun:"type:uuid"`
	Seq       int               // gapless from 1 per action: the order
	LogType   LogType           //
	Message   string            // built from facts, holds no patient's words
	CreatedBy *UserID           `bun:"type:uuid"` // nil: the program
	OldStatus Status            //
	NewStatus Status            //
	Metadata  JSON[LogMetadata] `bun:"type:jsonb"`
	TextHash  []byte            // salted SHA-256 of the words in log_texts; nil: none
	Hash      []byte            `bun:"row_hash"` // see LogHash; nil: older than the chain
	CreatedAt time.Time         //
	Text      string            `bun:"-"` // the words, on their way in and out
}

// LogMetadata is the facts of a log row, by name. Never a patient's words.
type LogMetadata map[string]any

// LogText is the free text of one log row, kept apart so that it can be erased
// without touching the facts.
type LogText struct {
	bun.BaseModel `bun:"table:log_texts,alias:lt"`

	LogID LogID   `bun:"type:uuid,pk"`
	Words *string // nil once erased
	Salt  []byte  //
}

// Message is one message to one person over one channel. The row owns the
// retries: it is delivered at least once under Key, or ends failed or suppressed.
type Message struct {
	bun.BaseModel `bun:"table:messages,alias:m"`

	ID               MessageID          `bun:"type:uuid,pk"`
	ActionID         ActionID           `bun:"type:uuid"`
	EventID          *DeadlineEventID   `bun:"type:uuid"` // the event it tells of, if one
	ActionVersion    int64              // the version of the action that the telling transaction wrote
	RecipientID      UserID             `bun:"type:uuid"`
	Channel          Channel            //
	Reason           Reason             //
	Also             JSON[[]Reason]     `bun:"type:jsonb"` // lighter reasons that the same message stands for
	Facts            JSON[MessageFacts] `bun:"type:jsonb"`
	State            MessageState       //
	SuppressedReason string             // superseded, shadow, stale, …
	NotBefore        time.Time          // domain time
	NextTryAt        *time.Time         // machine time; nil in an end state
	ClaimedUntil     *time.Time         // machine time, while sending
	Attempts         int                //
	LastError        string             // a code or the server's status line, never its payload
	Key              string             // stable across attempts, given to the receiver
	ProviderRef      string             //
	SentAt           *time.Time         // domain time
	CreatedAt        time.Time          //
}

// MessageFacts is all that a message may tell: pinned when it is written.
type MessageFacts struct {
	Ref        string     `json:"ref"`
	Category   Category   `json:"category"`
	Hospital   string     `json:"hospital"`
	Department string     `json:"department,omitempty"`
	Severity   Severity   `json:"severity"`
	Priority   Severity   `json:"priority"`
	Status     Status     `json:"status"`
	DueAt      time.Time  `json:"due_at"`
	Stage      int        `json:"stage,omitempty"`
	LateS      int64      `json:"late_s,omitempty"`
	NextAt     *time.Time `json:"next_at,omitempty"`
	NextKind   EventKind  `json:"next_kind,omitempty"`
	Copy       bool       `json:"copy,omitempty"` // told as a copy, not as the target

	StandsInFor string `json:"stands_in_for,omitempty"` // the owner who is away, in whose place the recipient is told
}
