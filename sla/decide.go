package sla

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/pxactions/px/model"
)

// maxTitle is the length of an action's title, in characters.
const maxTitle = 500

// Decision is what becomes of one feedback.
type Decision struct {
	Decision model.Decision // created, merged, ignored or quarantined
	Reason   string         // a stable code: ReasonScoreNegative, …
	Severity model.Severity // of the signal, which is that of an action made of it; empty: none

	Outcome *Outcome // what to write; created and merged only
	Route   Route    // how the action found its owner; created only
	NoOwner bool     // created, and there is nobody to own it
	Raise   *Raise   // what made it graver; nil: nothing

	Would *Verdict // of history only: the decision it would have had
}

// Verdict is a decision that was not carried out.
type Verdict struct {
	Decision model.Decision
	Reason   string
	Severity model.Severity // empty: no action would have been made
}

// Decide decides one feedback at an instant: is it negative, whose is it, which
// SLA config counts, by when. ref is the spoken reference of the action, should
// there be one. The owner found is counted into loads (nil: nobody has any), so
// that one batch spreads its own assignments. What can't be read is quarantined
// with a reason, never guessed. Where kin, the live actions of its subject in the
// order of their receipt, has one that tells of the same matter, the feedback is
// merged into that, or the action made of it is linked to it.
func (r *Rules) Decide(f *model.Feedback, loads Loads, now time.Time, ref string, kin ...Case) Decision {
	if fault := r.faultOf(f); fault != "" {
		return Decision{Decision: model.DecisionQuarantined, Reason: fault}
	}
	u := r.rule(f)
	d := Decision{Decision: u.decision, Reason: u.reason, Severity: u.severity, Raise: u.raise}
	switch {
	case u.decision == model.DecisionQuarantined:
	case f.Mode == model.ModeHistory:
		would := &Verdict{Decision: d.Decision, Reason: d.Reason, Severity: d.Severity}
		return Decision{Decision: model.DecisionIgnored, Reason: ReasonHistory, Would: would}
	case u.decision == model.DecisionCreated:
		r.open(&d, f, loads, now, ref, kin)
	}
	return d
}

// faultOf names what of a feedback the rules don't know; empty when nothing.
// The intake refuses all of these; a row may still come from elsewhere.
func (r *Rules) faultOf(f *model.Feedback) string {
	switch {
	case f.HospitalID == nil:
		return ReasonHospitalMissing
	case r.dir.Hospitals[*f.HospitalID] == nil:
		return ReasonHospitalUnknown
	case !model.Valid(f.SourceType, model.SourceTypes()):
		return ReasonSourceTypeUnknown
	case f.Category != "" && !model.Valid(f.Category, model.Categories()):
		return ReasonCategoryUnknown
	case f.Severity != "" && f.Severity.Rank() == 0:
		return ReasonSeverityUnknown
	case f.Kind != "" && !model.Valid(f.Kind, model.FeedbackKinds()):
		return ReasonKindUnknown
	case f.Mode != "" && f.Mode != model.ModeLive && f.Mode != model.ModeHistory && f.Mode != model.ModeShadow:
		return ReasonModeUnknown
	}
	if f.DepartmentID != nil {
		if dep := r.dir.Departments[*f.DepartmentID]; dep == nil || dep.HospitalID != *f.HospitalID {
			return ReasonDepartmentUnknown
		}
	}
	return ""
}

// open fills the action that a negative feedback becomes, and its plan; or it
// makes it part of one of its kin.
func (r *Rules) open(d *Decision, f *model.Feedback, loads Loads, now time.Time, ref string, kin []Case) {
	a := r.action(f, d.Severity, now, ref)
	d.Route = r.Route(&a, loads, now)
	a.DepartmentID = d.Route.Department
	same, join := r.kin(f, &a, kin)
	if join {
		out := r.join(*same, f, d, now)
		*d = Decision{Decision: model.DecisionMerged, Reason: ReasonSameSubject, Severity: d.Severity, Outcome: &out}
		return
	}
	if same != nil {
		a.LinkedTo = same.Action.ID.Ptr()
	}
	a.AssignedTo = d.Route.Owner
	d.NoOwner = a.AssignedTo == nil
	if !d.NoOwner {
		loads.count(*a.AssignedTo, now)
	}
	cfg := r.Match(a.HospitalID, a.DepartmentID)
	open := r.OpenTime(cfg, a.HospitalID, a.DepartmentID)
	a.SLAConfigID, a.Calendar, a.CalendarRevision = cfg.ID, open.Name, open.Revision
	out := Open(Case{Action: a, Config: cfg, Open: open.Calendar, Dir: r.dir, Maker: f.SentBy, From: originOf(f)}, now)
	out.explain(d, same, r.dir)
	d.Outcome = &out
}

// originOf is where a feedback came from.
func originOf(f *model.Feedback) model.Origin {
	return model.Origin{Key: f.SentKey, Request: f.RequestID}
}

func (r *Rules) action(f *model.Feedback, sev model.Severity, now time.Time, ref string) model.Action {
	received := f.ReceivedAt
	if received.IsZero() {
		received = f.CreatedAt
	}
	if received.IsZero() {
		received = now
	}
	category := cmp.Or(f.Category, model.CategoryOther)
	metadata := f.Metadata
	if len(metadata.V) == 0 {
		metadata.V = json.RawMessage("{}")
	}
	return model.Action{
		Ref:            ref,
		SourceType:     f.SourceType,
		ContentType:    f.ContentType,
		ObjectID:       f.ObjectID,
		FeedbackID:     f.ID.Ptr(),
		SubjectKey:     f.SubjectKey,
		Title:          titleOf(f, category),
		Description:    f.Text,
		HospitalID:     *f.HospitalID,
		DepartmentID:   f.DepartmentID,
		Category:       category,
		Priority:       sev,
		Severity:       sev,
		ReceivedAt:     received,
		Involved:       model.Of(append([]model.UserID{}, f.Involved.V...)), // [] in the row, never null
		Restricted:     f.Restricted,
		Shadow:         f.Mode == model.ModeShadow || r.dir.Hospitals[*f.HospitalID].Shadow,
		Metadata:       metadata,
		PolicyRevision: r.Revision,
	}
}

// titleOf is the feedback's title, else one that says nothing of the patient.
func titleOf(f *model.Feedback, c model.Category) string {
	title := strings.TrimSpace(f.Title)
	if title == "" {
		return sourceLabel(f.SourceType) + ": " + strings.ReplaceAll(string(c), "_", " ")
	}
	if len(title) > maxTitle {
		if runes := []rune(title); len(runes) > maxTitle {
			return string(runes[:maxTitle])
		}
	}
	return title
}

func sourceLabel(st model.SourceType) string {
	switch st {
	case model.SourceKPI:
		return "KPI"
	case model.SourcePatientFamilyCommittee:
		return "Patient and family committee"
	default:
		words := strings.ReplaceAll(string(st), "_", " ")
		return strings.ToUpper(words[:1]) + words[1:]
	}
}

// explain adds to the story's first line, which Open begins with, why there is an
// action, why it went where it went, and which one tells of the same matter (nil:
// none does).
func (o *Outcome) explain(d *Decision, same *Case, dir *Directory) {
	first := &o.Logs[0]
	facts := first.Metadata.V
	facts["reason"], facts["owner_by"] = d.Reason, d.Route.By
	if rule := d.Route.Rule; rule != nil {
		facts["routing_rule"] = fmt.Sprintf("%s (%s)", rule.Name, rule.ID)
	}
	if same != nil {
		first.Message += "; linked to " + same.Action.Ref
		facts["linked_to"] = same.Action.Ref
	}
	d.Raise.note(facts)
	d.Route.note(facts, dir)
}

// note adds what only the directory of that time tells: later it may say
// otherwise.
func (rt *Route) note(facts model.LogMetadata, dir *Directory) {
	code := func(id *model.UserID) string {
		if u := dir.Users[model.Deref(id)]; u != nil {
			return u.Code
		}
		return ""
	}
	if dep := dir.Departments[model.Deref(rt.Department)]; dep != nil {
		facts["department"] = dep.Code
	}
	if rt.Owner == nil {
		return
	}
	facts["owner"], facts["owner_live"] = code(rt.Owner), rt.Choice.Live
	if rt.Choice.For != nil {
		facts["owner_for"] = code(rt.Choice.For)
	}
	if rt.Choice.At != "" {
		facts["owner_at"], facts["owner_of"], facts["owner_tied"] = rt.Choice.At, rt.Choice.Of, rt.Choice.Tied
	}
	if rt.Choice.StandIn {
		facts["owner_stands_in"] = true
	}
	if rt.Choice.Full {
		facts["owner_passed_over"] = AtDepartment
	}
}
