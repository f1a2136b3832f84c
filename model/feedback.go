package model

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/uptrace/bun"
)

// Feedback is one signal from a source system. It is accepted once, by
// (SourceSystem, EventID), and ends in exactly one decision. Where its source
// revises it, the last one stands.
type Feedback struct {
	bun.BaseModel `bun:"table:feedback,alias:f"`

	ID           FeedbackID            `bun:"type:uuid,pk"`
	SourceSystem string                //
	EventID      string                // the sender's; "sha256:<hash>" where none can be read, "sha256:erased:<id>" once erased
	ContentHash  []byte                // SHA-256 of the canonical content; empty once that is erased
	SourceType   SourceType            `bun:",nullzero"`
	SourceRef    string                // what the sender calls the thing it comes from
	ContentType  string                // app.model of the source object, if it is one
	ObjectID     *ID[struct{}]         `bun:"type:uuid"`
	SubjectKey   string                // keyed hash of patient or visit number; empty: none
	HospitalID   *HospitalID           `bun:"type:uuid"`
	DepartmentID *DepartmentID         `bun:"type:uuid"`
	SurveyID     *SurveyID             `bun:"type:uuid"`
	Kind         FeedbackKind          //
	Score        *float64              //
	ScoreMin     *float64              //
	ScoreMax     *float64              //
	ScoreBetter  Better                //
	ScoreMetric  Metric                // empty: score
	Sentiment    *float64              // in [-1, 1]
	KPIName      string                `bun:"kpi_name"`
	KPIValue     *float64              `bun:"kpi_value"`
	KPITarget    *float64              `bun:"kpi_target"`
	KPIBetter    Better                `bun:"kpi_better"`
	Category     Category              // as sent; empty: none
	Severity     Severity              // as sent; empty: none
	Title        string                // patient's words
	Text         string                // patient's words
	Involved     JSON[[]UserID]        `bun:"involved_users,type:jsonb"`
	Restricted   bool                  //
	OccurredAt   *time.Time            //
	ReceivedAt   time.Time             // when the hospital got it: the SLA clock starts here
	Mode         Mode                  //
	Metadata     JSON[json.RawMessage] `bun:"type:jsonb"` // an object
	Raw          *string               // what was sent, kept while quarantined

	Revision      int           // how often its source has sent new content; what it said before stands in feedback_revisions
	RevisedAt     *time.Time    // when it last did, domain time; nil: never
	RetractedAt   *time.Time    // when its source took it back, domain time; nil: it stands
	RetractReason RetractReason // empty: it stands
	ErasedAt      *time.Time    // when its words were erased, domain time; nil: they are there

	Decision       Decision   `bun:",nullzero"`
	Reason         string     // a code of the rules, never the patient's words
	ActionID       *ActionID  `bun:"type:uuid"`
	DecidedAt      *time.Time //
	PolicyRevision *int64     //
	WouldDecision  Decision   `bun:",nullzero"` // what a history event would have become; empty: not history
	WouldReason    string     // and why
	WouldSeverity  Severity   // and how severe; empty: no action
	Tries          int        // how often deciding it alone failed
	HealAfter      time.Time  // machine time: the sweep takes it from here on
	CreatedAt      time.Time  // domain time of the intake's commit

	SentBy    *UserID `bun:"type:uuid"` // who made it by hand; nil: nobody
	SentKey   *KeyID  `bun:"type:uuid"` // the API key that it came with; nil: none
	RequestID string  // of the request that it came in; empty: none
}

// Repeats reports whether an event of the same id, with a content of that hash, is
// this one over again. What it said may have been erased: then nobody can tell, and
// it is, unless it could never be read.
func (f *Feedback) Repeats(hash []byte) bool {
	if f.ErasedAt != nil {
		return f.Decision != DecisionQuarantined
	}
	return bytes.Equal(f.ContentHash, hash)
}
