package engine

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/pxactions/px/model"
)

// Event is one feedback as a source system tells it: the wire format of the
// intake. A zero field is an absent one. Places, people and surveys are named by
// code or by the source system's own alias.
type Event struct {
	EventID       string             `json:"event_id" minLength:"1" maxLength:"200" doc:"Unique in the source system. Sending it again with the same content gets the first answer."`
	SourceType    model.SourceType   `json:"source_type" enum:"survey,complaint,complaint_resolution,social_media,call_center,kpi,manual,patient_family_committee,executive_committee,department_meeting,rounds,staff_feedback,patient_observation,quality_audit,management_review"`
	SourceRef     string             `json:"source_ref,omitempty" maxLength:"200" doc:"What the sender calls the thing it comes from."`
	SourceObject  *SourceObject      `json:"source_object,omitempty"`
	Subject       string             `json:"subject,omitempty" maxLength:"200" doc:"Patient or visit number. Only a keyed hash of it is kept."`
	Hospital      string             `json:"hospital" minLength:"1" maxLength:"200" doc:"Code, or the source system's alias."`
	Department    string             `json:"department,omitempty" maxLength:"200" doc:"Code within the hospital, or alias."`
	Survey        string             `json:"survey,omitempty" maxLength:"200" doc:"Code or alias. A survey whose scale is known needs no min, max and better in score."`
	Kind          model.FeedbackKind `json:"kind,omitempty" enum:"complaint,praise,suggestion,question,observation,other"`
	Score         *Score             `json:"score,omitempty"`
	Sentiment     *float64           `json:"sentiment,omitempty" minimum:"-1" maximum:"1"`
	KPI           *KPI               `json:"kpi,omitempty"`
	Category      model.Category     `json:"category,omitempty" enum:"clinical_quality,patient_safety,service_quality,staff_behavior,facility,process_improvement,other"`
	Severity      model.Severity     `json:"severity,omitempty" enum:"low,medium,high,critical"`
	Title         string             `json:"title,omitempty" maxLength:"500"`
	Text          string             `json:"text,omitempty" maxLength:"20000"`
	InvolvedUsers []string           `json:"involved_users,omitempty" maxItems:"50" doc:"Staff by code or alias. They are never asked to handle it."`
	Restricted    bool               `json:"restricted,omitempty" doc:"Only named roles may see the action."`
	OccurredAt    *time.Time         `json:"occurred_at,omitempty" doc:"RFC 3339 with offset."`
	ReceivedAt    *time.Time         `json:"received_at,omitempty" doc:"When the hospital got it, RFC 3339 with offset: the SLA clock starts here. At most the policy's max_age ago, 7 days unless it says otherwise (any time for history), never in the future. Absent: when the intake commits it."`
	Mode          model.Mode         `json:"mode,omitempty" enum:"live,history,shadow" doc:"Absent: live."`
	Metadata      map[string]any     `json:"metadata,omitempty" doc:"At most 16 KiB of JSON."`
}

// SourceObject names the thing in the sender's own database.
type SourceObject struct {
	ContentType string `json:"content_type" doc:"app.model"`
	ObjectID    string `json:"object_id" format:"uuid"`
}

// Score is a rating. Min, Max and Better are needed unless the survey is known
// to have them or the metric is nps.
type Score struct {
	Value  *float64     `json:"value" nullable:"false"`
	Min    *float64     `json:"min,omitempty"`
	Max    *float64     `json:"max,omitempty"`
	Better model.Better `json:"better,omitempty" enum:"high,low" doc:"The good end of the scale."`
	Metric model.Metric `json:"metric,omitempty" enum:"score,nps" doc:"Absent: the survey's, else score."`
}

// KPI is a measured value and what it should have been.
type KPI struct {
	Name   string       `json:"name,omitempty" maxLength:"200"`
	Value  *float64     `json:"value" nullable:"false"`
	Target *float64     `json:"target" nullable:"false" doc:"Not 0."`
	Better model.Better `json:"better" enum:"high,low"`
}

// fieldOrder lists the fields in the order of the wire format, which is that of
// the faults told.
func fieldOrder() []string {
	return []string{
		"event_id", "source_type", "source_ref", "source_object", "subject", "hospital", "department", "survey", "kind", "score",
		"sentiment", "kpi", "category", "severity", "title", "text", "involved_users", "restricted", "occurred_at", "received_at",
		"mode", "metadata",
	}
}

// UnreadableError is input that is no JSON object at all.
type UnreadableError struct {
	Offset int64  // bytes read before the fault
	Why    string // never quotes the input
}

func (e *UnreadableError) Error() string { return e.Why }

// ParseEvent reads one event. Numbers and booleans may be written as strings;
// null and the empty string are as good as absent. Every member that is of the
// wrong type, unknown or there twice is a fault; what values may be is Check's
// concern. The error is an *UnreadableError when raw is not one JSON object.
func ParseEvent(raw []byte) (Event, model.FieldErrors, error) {
	var e Event
	r := &reader{}
	if err := readable(raw); err != nil {
		return e, nil, err
	}
	top := r.members(raw, "")
	e.EventID = top.text("event_id")
	e.SourceType = model.SourceType(top.text("source_type"))
	e.SourceRef = top.text("source_ref")
	if o, ok := top.object("source_object"); ok {
		e.SourceObject = &SourceObject{ContentType: o.text("content_type"), ObjectID: o.text("object_id")}
		o.end()
	}
	e.Subject = top.text("subject")
	e.Hospital, e.Department, e.Survey = top.text("hospital"), top.text("department"), top.text("survey")
	e.Kind = model.FeedbackKind(top.text("kind"))
	if o, ok := top.object("score"); ok {
		e.Score = &Score{
			Value: o.number("value"), Min: o.number("min"), Max: o.number("max"),
			Better: model.Better(o.text("better")), Metric: model.Metric(o.text("metric")),
		}
		o.end()
	}
	e.Sentiment = top.number("sentiment")
	if o, ok := top.object("kpi"); ok {
		e.KPI = &KPI{Name: o.text("name"), Value: o.number("value"), Target: o.number("target"), Better: model.Better(o.text("better"))}
		o.end()
	}
	e.Category, e.Severity = model.Category(top.text("category")), model.Severity(top.text("severity"))
	e.Title, e.Text = top.text("title"), top.text("text")
	e.InvolvedUsers = top.texts("involved_users")
	e.Restricted = top.flag("restricted")
	e.OccurredAt, e.ReceivedAt = top.instant("occurred_at"), top.instant("received_at")
	e.Mode = model.Mode(top.text("mode"))
	e.Metadata = top.free("metadata")
	top.end()
	return e, r.faults, nil
}

// readable checks that raw is one JSON object and says where it is not.
func readable(raw []byte) error {
	if !json.Valid(raw) {
		var v any
		err := json.Unmarshal(raw, &v)
		if se, ok := err.(*json.SyntaxError); ok { //nolint:errorlint // Unmarshal returns it bare
			why := "not JSON: a character that does not belong there"
			if se.Offset >= int64(len(raw)) {
				why = "not JSON: it ends too early"
			}
			if !utf8.Valid(raw) {
				why = "not JSON, and not UTF-8"
			}
			return &UnreadableError{Offset: se.Offset, Why: why}
		}
		return &UnreadableError{Why: "not JSON"}
	}
	if t := bytes.TrimLeft(raw, " \t\r\n"); t[0] != '{' {
		return &UnreadableError{Why: "a JSON object is expected"}
	}
	return nil
}

// normalise brings an event into its one form: no blanks around names, times in
// UTC and whole microseconds, empty parts gone. Two events of the same form are
// the same event.
func (e *Event) normalise() {
	for _, s := range []*string{
		&e.EventID, (*string)(&e.SourceType), &e.SourceRef, &e.Subject, &e.Hospital, &e.Department, &e.Survey, (*string)(&e.Kind),
		(*string)(&e.Category), (*string)(&e.Severity), (*string)(&e.Mode),
	} {
		*s = strings.TrimSpace(*s)
	}
	if o := e.SourceObject; o != nil {
		e.SourceObject = nilIfZero(SourceObject{strings.TrimSpace(o.ContentType), strings.ToLower(strings.TrimSpace(o.ObjectID))})
	}
	if s := e.Score; s != nil {
		e.Score = nilIfZero(Score{s.Value, s.Min, s.Max, model.Better(strings.TrimSpace(string(s.Better))), model.Metric(strings.TrimSpace(string(s.Metric)))})
	}
	if k := e.KPI; k != nil {
		e.KPI = nilIfZero(KPI{strings.TrimSpace(k.Name), k.Value, k.Target, model.Better(strings.TrimSpace(string(k.Better)))})
	}
	var users []string
	for _, u := range e.InvolvedUsers {
		if u = strings.TrimSpace(u); u != "" {
			users = append(users, u)
		}
	}
	e.InvolvedUsers = users
	for _, t := range []**time.Time{&e.OccurredAt, &e.ReceivedAt} {
		if *t != nil {
			at := (*t).UTC().Truncate(time.Microsecond)
			*t = &at
		}
	}
	if len(e.Metadata) == 0 {
		e.Metadata = nil
	}
	if e.Mode == model.ModeLive {
		e.Mode = ""
	}
}

func nilIfZero[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// contentHash is the SHA-256 of a normalised event, the numbers of its metadata
// in one form.
func (e *Event) contentHash() ([]byte, error) {
	one := *e
	if e.Metadata != nil {
		one.Metadata, _ = oneForm(e.Metadata).(map[string]any)
	}
	b, err := json.Marshal(&one)
	if err != nil {
		return nil, err
	}
	h := sha256.Sum256(b)
	return h[:], nil
}

// rawHash is the SHA-256 of what could not be read as an event: of its JSON in
// one form, or of its bytes where it has none. It never equals a contentHash.
func rawHash(raw []byte) []byte {
	form := append([]byte("raw "), raw...)
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if json.Valid(raw) && faithful(raw) && d.Decode(&v) == nil {
		if b, err := json.Marshal(v); err == nil {
			form = append([]byte("json "), b...)
		}
	}
	h := sha256.Sum256(form)
	return h[:]
}
