package sla

import (
	"fmt"
	"slices"
	"time"

	"github.com/pxactions/px/model"
)

// DefaultMergeWindow is how far apart two signals of one subject may have been
// received to be about the same matter, where the policy names no other window.
const DefaultMergeWindow = 72 * time.Hour

// merging is the compiled rule of which signals join a live action.
type merging struct {
	window     time.Duration // 0: none do
	complaints bool          // complaints join, too
	safety     bool          // so does what is about a patient's safety
}

func (s *MergeSpec) rule() merging {
	if s == nil {
		s = &MergeSpec{}
	}
	if !orTrue(s.IsActive) {
		return merging{}
	}
	m := merging{window: DefaultMergeWindow, complaints: s.Complaints == MergeJoin, safety: s.PatientSafety == MergeJoin}
	if s.Window != nil {
		m.window = time.Duration(*s.Window)
	}
	return m
}

// MergeWindow is how far apart two signals of one subject may have been received
// to be about the same matter; 0: the policy neither merges nor links.
func (r *Rules) MergeWindow() time.Duration { return r.merging.window }

// kin finds, among the live actions of the feedback's subject, the one that tells
// of the same matter as the action a, which is about to be made of it: of the
// same department, received within the window. join: the feedback is to become
// part of that one instead. What must be answered in its own right is not, nor
// what another circle of people may read, nor anything once the work is
// submitted; such actions are linked. Nil: there is none.
func (r *Rules) kin(f *model.Feedback, a *model.Action, among []Case) (found *Case, join bool) {
	for i := range among {
		k := &among[i].Action
		apart := k.ReceivedAt.Sub(a.ReceivedAt).Abs()
		if a.SubjectKey == "" || k.SubjectKey != a.SubjectKey || k.HospitalID != a.HospitalID || !k.Live() ||
			model.Deref(k.DepartmentID) != model.Deref(a.DepartmentID) || apart > r.MergeWindow() || r.MergeWindow() == 0 {
			continue
		}
		if k.Restricted && !a.Restricted { // who reads of this is not to know of that
			continue
		}
		if r.joins(f, a, k) {
			return &among[i], true
		}
		if found == nil {
			found = &among[i]
		}
	}
	return found, false
}

// joins reports whether a feedback may become part of its subject's live action
// k rather than the action a.
func (r *Rules) joins(f *model.Feedback, a, k *model.Action) bool {
	own := f.SourceType == model.SourceComplaint || f.Kind == model.KindComplaint
	switch {
	case f.Decision == model.DecisionMerged: // and is being taken out again
		return false
	case own && !r.merging.complaints, a.Category == model.CategoryPatientSafety && !r.merging.safety:
		return false
	case k.Status != model.StatusOpen && k.Status != model.StatusInProgress:
		return false
	case k.Held() && a.Severity.Rank() > k.Severity.Rank(): // what waits cannot be raised
		return false
	case k.Restricted != a.Restricted || k.Shadow != a.Shadow:
		return false
	}
	return k.AssignedTo == nil || !slices.Contains(a.Involved.V, *k.AssignedTo)
}

// join makes a feedback part of a live action: what is due is settled first, and
// a graver severity counts from here on, as if somebody had raised it.
func (r *Rules) join(c Case, f *model.Feedback, d *Decision, now time.Time) Outcome {
	t := newTurn(c, now)
	t.settle()
	was := t.standing()
	a := &t.Action
	a.Involved.V = union(a.Involved.V, f.Involved.V)
	t.actor, t.origin = f.SentBy, originOf(f)
	t.log(model.LogMerged, fmt.Sprintf("%s from %s joined, of %s severity", sourceLabel(f.SourceType), f.SourceSystem, d.Severity), model.LogMetadata{
		"feedback": f.ID, "source_system": f.SourceSystem, "source_type": f.SourceType, "severity": d.Severity, "reason": d.Reason,
	})
	t.actor, t.origin = nil, model.Origin{}
	if d.Severity.Rank() > a.Severity.Rank() {
		t.setSeverity(was, MoveRequest{Move: model.MoveMerge, Severity: d.Severity})
	}
	return t.outcome()
}

// Part takes a feedback out of the action that it had joined: its story says so.
// Severity and plan stay as they are; people judge what is left. Who may not is
// model.ErrForbidden.
func Part(c Case, f *model.Feedback, into string, m MoveRequest, now time.Time) (Outcome, error) {
	t := newTurn(c, now)
	t.actor, t.origin = m.Actor, m.Origin
	t.settle()
	if t.actor != nil || t.origin.Key != nil {
		x, who, err := t.access()
		if err == nil {
			err = t.permitted(x, who, model.RightUnmerge)
		}
		if err != nil {
			return Outcome{}, err
		}
	}
	t.log(model.LogMerged, fmt.Sprintf("%s from %s taken out; it is %s now", sourceLabel(f.SourceType), f.SourceSystem, into), model.LogMetadata{
		"move": model.MoveUnmerge, "feedback": f.ID, "source_system": f.SourceSystem, "action": into,
	}).Text = m.Reason
	return t.outcome(), nil
}
