package sla

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pxactions/px/model"
)

// Revision is what a source system says anew of a feedback that is part of an
// action.
type Revision struct {
	Move          model.Move          // revise or retract
	Retracted     model.RetractReason // retract: why
	Was, Is       *model.Feedback     // as it read before, and as it reads now; of a retraction both the same
	Before, After Verdict             // what the trigger says of the two; of a retraction After is the zero Verdict
	Others        model.Severity      // the gravest of what else is in the action and stands; empty: nothing is
	Moved         bool                // somebody has moved the action
	Withdrawn     bool                // a revision cancelled the action, nobody else
	Config        *Config             // of the department that the feedback names now
	OpenTime      OpenTime            // there
	Origin        model.Origin        // where it came from, for the log
}

// Judge says what the trigger makes of a feedback, whatever its mode. What cannot
// be judged is quarantined.
func (r *Rules) Judge(f *model.Feedback) Verdict {
	if fault := r.faultOf(f); fault != "" {
		return Verdict{Decision: model.DecisionQuarantined, Reason: fault}
	}
	u := r.rule(f)
	return Verdict{Decision: u.decision, Reason: u.reason, Severity: u.severity}
}

// severity is that of the action by what stands of its feedback; empty: nothing
// of it is negative.
func (v *Revision) severity() model.Severity { return higher(v.Others, v.After.Severity) }

// Revise carries new content of a feedback, or its retraction, into the action
// that it is part of; what is due is settled first. An action that nobody has
// touched follows: it is planned anew, or cancelled where nothing negative is left
// of it. One that somebody works on stays as it is, and its owner is told; so is
// who closed or owned an action that has ended, where the matter turns out graver.
// What a revision has cancelled comes back, with a fresh target, when a later one
// is negative. Whoever has become involved, or may not read what is restricted
// now, loses the action.
func (r *Rules) Revise(c Case, v Revision, loads Loads, now time.Time) Outcome {
	t := newTurn(c, now)
	t.origin = v.Origin
	a := &t.Action
	untouched := a.Status == model.StatusOpen && !a.Held() && !v.Moved
	withdraw := untouched && v.severity() == ""
	t.lapsed = withdraw
	t.settle()
	t.lapsed = false
	t.logRevision(&v)
	a.Involved.V = union(a.Involved.V, v.Is.Involved.V)
	a.Restricted = a.Restricted || v.Is.Restricted
	reason := model.ReasonRevised
	if v.Move == model.MoveRetract {
		reason = model.ReasonRetracted
	}
	switch {
	case withdraw:
		t.withdraw(&v)
	case untouched:
		t.follow(&v)
		t.say(voice{reason: reason, event: -1}, t.assignee()...)
	case a.Live():
		t.say(voice{reason: reason, event: -1}, t.assignee()...)
	case v.Withdrawn && v.severity() != "":
		t.revive(&v)
	case v.After.Severity.Rank() > v.Before.Severity.Rank():
		told := t.assignee()
		if a.ClosedBy != nil {
			told = union(told, []model.UserID{*a.ClosedBy})
		}
		t.say(voice{reason: reason, event: -1}, told...)
	}
	if a.Live() {
		r.passOn(t, v.Move, loads)
	}
	barred := t.barred()
	t.voices = slices.DeleteFunc(t.voices, func(v voice) bool { return v.event < 0 && slices.Contains(barred, v.to) })
	return t.outcome()
}

// withdraw cancels an action of which nothing negative is left.
func (t *turn) withdraw(v *Revision) {
	a := &t.Action
	told := union(t.assignee(), t.toldIn(a.Period))
	a.Status = model.StatusCancelled
	row := t.log(model.LogStatusChange, "Cancelled: nothing negative is left of its feedback", model.LogMetadata{
		"move": v.Move, "reason": cmp.Or(string(v.Retracted), v.After.Reason),
	})
	row.OldStatus, row.NewStatus = model.StatusOpen, a.Status
	t.say(voice{reason: model.ReasonRetracted, event: -1}, told...)
}

// follow makes an action say what its feedback says now, and plans it anew.
func (t *turn) follow(v *Revision) {
	a := &t.Action
	t.takeOver(v)
	if m := (MoveRequest{Move: v.Move, Department: model.Deref(v.Is.DepartmentID), Config: v.Config, OpenTime: v.OpenTime}); v.moves(a) {
		if err := t.changeDepartment(m); err != nil { // closed meanwhile: it stays where it is
			t.log(model.LogRevised, "The department that it names takes no actions", model.LogMetadata{"move": v.Move})
		}
	}
	if sev := v.severity(); sev != a.Severity {
		t.setSeverity(t.standing(), MoveRequest{Move: v.Move, Severity: sev})
	}
}

// moves reports whether the feedback that an action was made of names another
// department than it did.
func (v *Revision) moves(a *model.Action) bool {
	is := model.Deref(v.Is.DepartmentID)
	return v.Move == model.MoveRevise && v.leads(a) && !is.IsZero() && is != model.Deref(v.Was.DepartmentID) && is != model.Deref(a.DepartmentID)
}

// leads reports whether the feedback is the one that the action was made of.
func (v *Revision) leads(a *model.Action) bool {
	return a.FeedbackID != nil && *a.FeedbackID == v.Is.ID
}

// takeOver takes over what an action says of the feedback that it was made of.
func (t *turn) takeOver(v *Revision) {
	a, f := &t.Action, v.Is
	if v.Move != model.MoveRevise || !v.leads(a) {
		return
	}
	a.Category = cmp.Or(f.Category, model.CategoryOther)
	a.Title, a.Description = titleOf(f, a.Category), f.Text
	a.ContentType, a.ObjectID, a.SubjectKey = f.ContentType, f.ObjectID, f.SubjectKey
	if len(f.Metadata.V) > 0 {
		a.Metadata = f.Metadata
	}
}

// revive brings back an action that a revision has cancelled: the clock starts
// now, for until now there was nothing to do.
func (t *turn) revive(v *Revision) {
	a, was := &t.Action, t.standing()
	old := a.Severity
	t.takeOver(v)
	a.Status, a.Severity = model.StatusOpen, v.severity()
	a.RequiresApproval = t.requiresApproval()
	t.beginPeriod()
	t.startAfresh()
	if a.AssignedTo != nil {
		a.AssignedAt = t.at()
		a.AckNo++
	}
	t.setAck()
	row := t.log(model.LogStatusChange, "Open again: its feedback is negative after all", model.LogMetadata{"move": v.Move})
	row.OldStatus, row.NewStatus = was.status, a.Status
	t.logPlan(was, MoveRequest{Move: v.Move}, "Target counts afresh", model.LogMetadata{"old_severity": old, "severity": a.Severity})
	t.sayMove(model.ReasonReopened, t.assignee()...)
}

// passOn gives the action to somebody else where its owner must have nothing to
// do with it any more. With nobody else there the owner stays.
func (r *Rules) passOn(t *turn, m model.Move, loads Loads) {
	a := &t.Action
	if a.AssignedTo == nil || !slices.Contains(t.barred(), *a.AssignedTo) {
		return
	}
	q := r.quest(a, loads, t.now)
	to, _ := q.owner(r.routing.first(a), &a.HospitalID, a.DepartmentID)
	if to == nil {
		return
	}
	loads.count(*to, t.now)
	t.assign(*to, MoveRequest{Move: m})
}

// logRevision tells what the source says, without a word of it.
func (t *turn) logRevision(v *Revision) {
	f := v.Is
	facts := model.LogMetadata{"move": v.Move, "feedback": f.ID, "source_system": f.SourceSystem, "revision": f.Revision}
	what := fmt.Sprintf("%s from %s retracted: %s", sourceLabel(f.SourceType), f.SourceSystem, strings.ReplaceAll(string(v.Retracted), "_", " "))
	if v.Move == model.MoveRetract {
		facts["reason"] = v.Retracted
	} else {
		what = fmt.Sprintf("%s from %s revised (revision %d)", sourceLabel(f.SourceType), f.SourceSystem, f.Revision)
		facts["reason"], facts["changed"] = v.After.Reason, changedFields(v.Was, f)
		facts["old_severity"], facts["severity"] = v.Before.Severity, v.After.Severity
		switch {
		case v.After.Severity == "":
			what += "; it is not negative"
		case v.After.Severity != v.Before.Severity:
			what += fmt.Sprintf("; its severity is %s, was %s", v.After.Severity, cmp.Or(v.Before.Severity, "none"))
		}
	}
	t.log(model.LogRevised, what, facts)
}

// changedFields names what two contents of a feedback differ in, as the intake
// calls it, without saying how.
func changedFields(was, is *model.Feedback) []string {
	same := func(x, y *float64) bool { return x == y || x != nil && y != nil && *x == *y }
	changed := []string{}
	for _, f := range []struct {
		name string
		same bool
	}{
		{"subject", was.SubjectKey == is.SubjectKey},
		{"department", model.Deref(was.DepartmentID) == model.Deref(is.DepartmentID)},
		{"survey", model.Deref(was.SurveyID) == model.Deref(is.SurveyID)},
		{"kind", was.Kind == is.Kind},
		{"score", same(was.Score, is.Score) && same(was.ScoreMin, is.ScoreMin) && same(was.ScoreMax, is.ScoreMax) &&
			was.ScoreBetter == is.ScoreBetter && was.ScoreMetric == is.ScoreMetric},
		{"sentiment", same(was.Sentiment, is.Sentiment)},
		{"kpi", was.KPIName == is.KPIName && same(was.KPIValue, is.KPIValue) && same(was.KPITarget, is.KPITarget) && was.KPIBetter == is.KPIBetter},
		{"category", was.Category == is.Category},
		{"severity", was.Severity == is.Severity},
		{"title", was.Title == is.Title},
		{"text", was.Text == is.Text},
		{"involved_users", slices.Equal(was.Involved.V, is.Involved.V)},
		{"restricted", was.Restricted == is.Restricted},
		{"received_at", was.ReceivedAt.Equal(is.ReceivedAt)},
	} {
		if !f.same {
			changed = append(changed, f.name)
		}
	}
	return changed
}
