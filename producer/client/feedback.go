package client

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Feedback is one signal for the intake. EventID, SourceType and Hospital are
// required; the zero value of any other field leaves it out.
type Feedback struct {
	EventID       string         `json:"event_id"`                 // unique per source system, at most 200 characters: what makes sending it twice harmless
	SourceType    string         `json:"source_type"`              // survey, complaint, call_center, kpi, …
	SourceRef     string         `json:"source_ref,omitempty"`     // what you call the thing it comes from
	SourceObject  *SourceObject  `json:"source_object,omitempty"`  //
	Subject       string         `json:"subject,omitempty"`        // patient or visit number; the intake keeps only a keyed hash
	Hospital      string         `json:"hospital"`                 // code, or your own name for it as the directory knows it
	Department    string         `json:"department,omitempty"`     // likewise
	Survey        string         `json:"survey,omitempty"`         // likewise
	Kind          string         `json:"kind,omitempty"`           // complaint, praise, suggestion, question, observation, other
	Score         *Score         `json:"score,omitempty"`          //
	Sentiment     *float64       `json:"sentiment,omitempty"`      // from -1 to 1
	KPI           *KPI           `json:"kpi,omitempty"`            //
	Category      string         `json:"category,omitempty"`       //
	Severity      string         `json:"severity,omitempty"`       // low, medium, high, critical
	Title         string         `json:"title,omitempty"`          // at most 500 characters
	Text          string         `json:"text,omitempty"`           // at most 20,000 characters
	InvolvedUsers []string       `json:"involved_users,omitempty"` // staff by code: they never handle it
	Restricted    bool           `json:"restricted,omitempty"`     // only named roles may see the action
	OccurredAt    *time.Time     `json:"occurred_at,omitempty"`    //
	ReceivedAt    *time.Time     `json:"received_at,omitempty"`    // when the hospital got it: the clock starts here; nil: when the intake commits it
	Mode          string         `json:"mode,omitempty"`           // live, history, shadow; empty: live
	Metadata      map[string]any `json:"metadata,omitempty"`       // at most 16 KiB as JSON
}

// SourceObject names the thing in the sender's own database.
type SourceObject struct {
	ContentType string `json:"content_type"` // app.model
	ObjectID    string `json:"object_id"`    // a UUID
}

// Score is a rating. Min, Max and Better may be left out where Survey names a
// survey whose scale the directory knows, or the metric is nps.
type Score struct {
	Value  float64  `json:"value"`
	Min    *float64 `json:"min,omitempty"`
	Max    *float64 `json:"max,omitempty"`
	Better string   `json:"better,omitempty"` // high or low: the good end of the scale
	Metric string   `json:"metric,omitempty"` // score or nps; empty: score
}

// KPI is a measured value and what it should have been.
type KPI struct {
	Name   string  `json:"name,omitempty"`
	Value  float64 `json:"value"`
	Target float64 `json:"target"`           // never 0
	Better string  `json:"better,omitempty"` // high or low
}

// The statuses of a Receipt.
const (
	StatusAccepted    = "accepted"    // committed by this call
	StatusDuplicate   = "duplicate"   // committed before with the same content; the receipt is the first answer
	StatusQuarantined = "quarantined" // kept, to be read or mapped later
	StatusError       = "error"       // refused; see Problem
	StatusSpooled     = "spooled"     // the intake is away; the event waits in the spool file
)

// Receipt is what became of one event.
type Receipt struct {
	Index    int      `json:"index"`               // place in the batch, from 0
	EventID  string   `json:"event_id"`            //
	ID       string   `json:"id,omitempty"`        // the feedback's id; empty when refused or spooled
	Status   string   `json:"status"`              //
	Code     int      `json:"code"`                // as an HTTP status: 202, 409, 422, …; 0 when spooled
	Decision string   `json:"decision,omitempty"`  // created, merged, ignored, quarantined; empty: not decided yet
	Reason   string   `json:"reason,omitempty"`    // why it was decided so, as a code
	ActionID string   `json:"action_id,omitempty"` //
	Problem  *Problem `json:"problem,omitempty"`   // why it was refused
	Spooled  bool     `json:"-"`                   // Status is spooled
}

// Outcome is what became of a feedback so far.
type Outcome struct {
	ID           string     `json:"id"`
	EventID      string     `json:"event_id"`
	SourceSystem string     `json:"source_system"`
	Status       string     `json:"status"`             // pending, decided, quarantined
	Decision     string     `json:"decision,omitempty"` // created, merged, ignored, quarantined; empty while pending
	Reason       string     `json:"reason,omitempty"`   // why it was decided so, as a code
	ActionID     string     `json:"action_id,omitempty"`
	Mode         string     `json:"mode"`
	ReceivedAt   time.Time  `json:"received_at"` // when the clock starts
	AcceptedAt   time.Time  `json:"accepted_at"` // when the intake committed it
	DecidedAt    *time.Time `json:"decided_at,omitempty"`
	Revision     int        `json:"revision,omitempty"`     // how often it was revised
	RetractedAt  *time.Time `json:"retracted_at,omitempty"` // nil: it stands
}

// Batch is what became of many events.
type Batch struct {
	Accepted    int       `json:"accepted"`
	Duplicates  int       `json:"duplicates"`
	Quarantined int       `json:"quarantined"`
	Failed      int       `json:"failed"`
	Spooled     int       `json:"-"`
	Items       []Receipt `json:"items"` // in the order sent
}

// tally counts the items anew.
func (b *Batch) tally() {
	b.Accepted, b.Duplicates, b.Quarantined, b.Failed, b.Spooled = 0, 0, 0, 0, 0
	for _, it := range b.Items {
		switch it.Status {
		case StatusAccepted:
			b.Accepted++
		case StatusDuplicate:
			b.Duplicates++
		case StatusQuarantined:
			b.Quarantined++
		case StatusSpooled:
			b.Spooled++
		default:
			b.Failed++
		}
	}
}

// lines writes events as JSON. One that JSON cannot say as it is stops all: it
// would arrive as something else.
func lines(fs []Feedback) ([][]byte, error) {
	out := make([][]byte, len(fs))
	for i := range fs {
		b, err := json.Marshal(&fs[i])
		if err != nil {
			return nil, &Problem{Status: 0, Code: "unsendable", Title: "This event cannot be written as JSON", Detail: err.Error()}
		}
		if replaced(b) {
			return nil, notText(i, b)
		}
		out[i] = b
	}
	return out, nil
}

// replaced reports whether encoding/json wrote U+FFFD for bytes that are not
// UTF-8: those it writes as an escape, a U+FFFD of the caller's as itself.
func replaced(written []byte) bool {
	return bytes.Contains(bytes.ReplaceAll(written, []byte(`\\`), nil), []byte(`\ufffd`))
}

// notText says which fields of the event at index i are not UTF-8.
func notText(i int, written []byte) *Problem {
	p := &Problem{Code: "unsendable", Title: "This event is not UTF-8", Detail: fmt.Sprintf("event %d of the call", i+1)}
	var fields map[string]json.RawMessage
	_ = json.Unmarshal(written, &fields) // it was written a moment ago
	for name, v := range fields {
		if replaced(v) {
			p.Errors = append(p.Errors, FieldError{Field: name, Code: "encoding", Message: "valid UTF-8"})
		}
	}
	slices.SortFunc(p.Errors, func(a, b FieldError) int { return strings.Compare(a.Field, b.Field) })
	return p
}
