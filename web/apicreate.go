package web

import (
	"errors"
	"net/http"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/internal/problem"
	"github.com/pxactions/px/model"
)

// manualAction is what an action is made by hand from.
type manualAction struct {
	SourceType  model.SourceType `json:"source_type,omitempty" enum:"manual,patient_family_committee,executive_committee,department_meeting,rounds,staff_feedback,patient_observation,quality_audit,management_review" doc:"Absent: manual."`
	Title       string           `json:"title" minLength:"1" maxLength:"500"`
	Description string           `json:"description,omitempty" maxLength:"20000"`
	Hospital    string           `json:"hospital" minLength:"1" maxLength:"200" doc:"By code."`
	Department  string           `json:"department,omitempty" maxLength:"200" doc:"By its code in the hospital."`
	Category    model.Category   `json:"category,omitempty" enum:"clinical_quality,patient_safety,service_quality,staff_behavior,facility,process_improvement,other"`
	Severity    model.Severity   `json:"severity,omitempty" enum:"low,medium,high,critical" doc:"Absent: medium."`
	Subject     string           `json:"subject,omitempty" maxLength:"200" doc:"Patient or visit number. Only a keyed hash of it is kept."`
	Involved    []string         `json:"involved_users,omitempty" maxItems:"50" doc:"Staff by code. They are never asked to handle it."`
	Restricted  bool             `json:"restricted,omitempty" doc:"Only named roles may see the action."`
	Metadata    map[string]any   `json:"metadata,omitempty" doc:"At most 16 KiB of JSON."`
}

// MadeAction is what became of an action made by hand.
type MadeAction struct {
	FeedbackID string         `json:"feedback_id" format:"uuid" doc:"It is kept as a feedback, whatever came of it."`
	Decision   model.Decision `json:"decision,omitempty" enum:"created,merged,ignored,quarantined" doc:"Absent: not decided yet."`
	Reason     string         `json:"reason,omitempty" doc:"Why it was decided so, as a code."`
	Merged     bool           `json:"merged" doc:"It joined an action that was there already."`
	ID         string         `json:"id,omitempty" format:"uuid" doc:"The action's."`
	Ref        string         `json:"ref,omitempty" doc:"The action's."`
	Action     *Action        `json:"action,omitempty" doc:"Absent where the maker may not see it."`
}

// create makes an action by hand.
func (a *api) create(c *call) error {
	once, err := onceKey(c.r)
	if err != nil {
		return err
	}
	var body manualAction
	if _, err := c.readBody(&body); err != nil {
		return err
	}
	event, err := c.event(&body)
	if err != nil {
		return err
	}
	src := engine.Source{System: c.Key.SourceSystem, Hospitals: c.Key.Hospitals.V, Person: c.Person(), Origin: c.origin()}
	if once != "" && c.User != nil {
		once = c.User.Code + "/" + once // each person has keys of their own
	}
	made, err := a.engine.Make(c.r.Context(), src, engine.Manual{Event: event, Once: once})
	var faults model.FieldErrors
	if errors.As(err, &faults) {
		return renamed(faults)
	}
	if err != nil {
		return err
	}
	if made.Err != nil {
		a.log.Warn().Err(made.Err).Stringer("feedback", made.Receipt.ID).Str("request_id", c.request).Msg("action made by hand is not decided yet")
	}
	a.tellMade(c, &made)
	return nil
}

// event is the feedback that stands for an action made by hand.
func (c *call) event(b *manualAction) (engine.Event, error) {
	var faults model.FieldErrors
	if b.SourceType == "" {
		b.SourceType = model.SourceManual
	}
	if !model.Valid(b.SourceType, engine.ManualSources()) {
		faults.Add("source_type", "enum", "one of "+words(engine.ManualSources()))
	}
	if b.Title == "" {
		faults.Add("title", "required", "what it is about, in a line")
	}
	h, ok := c.Dir.ResolveHospital(c.Key.SourceSystem, b.Hospital)
	switch {
	case b.Hospital == "":
		faults.Add("hospital", "required", "the code of a hospital")
	case !ok:
		faults.Add("hospital", "unmapped", "the code of a hospital")
	}
	if err := faults.Err(); err != nil {
		return engine.Event{}, err
	}
	if !c.Access.MayAt(c.endpoint.Right, h.ID) {
		return engine.Event{}, c.lacks(c.endpoint.Right)
	}
	e := engine.Event{
		SourceType: b.SourceType, Title: b.Title, Text: b.Description, Hospital: b.Hospital, Department: b.Department, Category: b.Category,
		Severity: b.Severity, Subject: b.Subject, InvolvedUsers: b.Involved, Restricted: b.Restricted, Metadata: b.Metadata,
	}
	return e, nil
}

// renamed gives faults of an event the names that this request has for its fields.
func renamed(faults model.FieldErrors) error {
	var out model.FieldErrors
	for _, f := range faults {
		name := f.Field
		if name == "text" {
			name = "description"
		}
		out.Add(name, f.Code, f.Want)
	}
	return out
}

func (a *api) tellMade(c *call, made *engine.Made) {
	rc := &made.Receipt
	out := MadeAction{FeedbackID: rc.ID.String(), Decision: rc.Decision, Reason: rc.Reason, Merged: rc.Decision == model.DecisionMerged}
	status := http.StatusAccepted
	if row := made.Action; row != nil {
		out.ID, out.Ref, status = row.ID.String(), row.Ref, http.StatusCreated
		c.w.Header().Set("Location", "/v1/actions/"+out.ID)
		if c.Access.May(model.RightView, row) {
			shown := actionOf(row, c.Dir)
			out.Action = &shown
			c.w.Header().Set("ETag", etag(row))
		}
	}
	if rc.Status == engine.ReceiptDuplicate {
		c.w.Header().Set("Idempotency-Replayed", "true")
	}
	if status == http.StatusCreated && (out.Merged || rc.Status == engine.ReceiptDuplicate) {
		status = http.StatusOK
	}
	problem.JSON(c.w, status, out)
}
