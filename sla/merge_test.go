package sla

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pxactions/px/model"
)

// signal is an answer to a survey about one patient, of 2 on a scale to 5.
func (h house) signal(t testing.TB, subject string) *model.Feedback {
	t.Helper()
	f := h.complaint(t, "RUH", "ED")
	f.SourceType, f.SourceSystem, f.SubjectKey = model.SourceSurvey, "qualtra", subject
	f.SurveyID, f.Score = h.survey(t, "ONE-FIVE"), num(2)
	return f
}

// kinOf is the live action that a feedback has become, as the store loads it.
func kinOf(t testing.TB, r *Rules, f *model.Feedback) Case {
	t.Helper()
	d := r.Decide(f, nil, noon(), "RUH-26-0000001")
	if d.Decision != model.DecisionCreated {
		t.Fatalf("decision %s: %s", d.Decision, d.Reason)
	}
	c := Case{Action: d.Outcome.Action, Events: d.Outcome.Events, Config: r.Match(d.Outcome.Action.HospitalID, d.Outcome.Action.DepartmentID), Dir: r.dir}
	c.Action.ID = model.ActionID{UUID: uuid.New()}
	return c
}

func TestSignalsOfOneSubjectJoin(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	const (
		created = model.DecisionCreated
		merged  = model.DecisionMerged
	)
	tests := []struct {
		name, policy string
		signal       func(*model.Feedback)
		kin          func(*model.Action)
		want         model.Decision
		linked       bool
	}{
		{name: "the same department, in time", want: merged},
		{name: "work has begun", kin: func(a *model.Action) { a.Status = model.StatusInProgress }, want: merged},
		{name: "on hold", kin: func(a *model.Action) { a.HeldAt, a.PausedAt = &a.ReceivedAt, &a.ReceivedAt }, want: merged},
		{name: "on hold, and graver", signal: func(f *model.Feedback) { f.Severity = model.SeverityCritical }, kin: func(a *model.Action) {
			a.HeldAt, a.PausedAt = &a.ReceivedAt, &a.ReceivedAt
		}, want: created, linked: true},
		{name: "no subject", signal: func(f *model.Feedback) { f.SubjectKey = "" }, want: created},
		{name: "neither has one", signal: func(f *model.Feedback) { f.SubjectKey = "" }, kin: func(a *model.Action) { a.SubjectKey = "" }, want: created},
		{name: "another subject", signal: func(f *model.Feedback) { f.SubjectKey = "k2" }, want: created},
		{name: "another department", signal: func(f *model.Feedback) { f.DepartmentID = h.department(t, "RUH", "LAB") }, want: created},
		{name: "routed into another department", policy: "routing: [{name: r, source_type: survey, hospital: RUH, assign_to_department: LAB}]", kin: func(a *model.Action) { a.DepartmentID = h.department(t, "RUH", "ED") }, want: created},
		{name: "another hospital", signal: func(f *model.Feedback) {
			f.HospitalID, f.DepartmentID = h.hospital(t, "BER"), nil
		}, kin: func(a *model.Action) { a.DepartmentID = nil }, want: created},
		{name: "not live", kin: func(a *model.Action) { a.Status = model.StatusClosed }, want: created},
		{name: "at the window's end", signal: func(f *model.Feedback) { f.ReceivedAt = noon().Add(72 * time.Hour) }, want: merged},
		{name: "after the window", signal: func(f *model.Feedback) { f.ReceivedAt = noon().Add(72*time.Hour + time.Second) }, want: created},
		{name: "received before it", signal: func(f *model.Feedback) { f.ReceivedAt = noon().Add(-73 * time.Hour) }, want: created},
		{name: "a wider window", policy: "merge: {window: 7d}", signal: func(f *model.Feedback) { f.ReceivedAt = noon().Add(100 * time.Hour) }, want: merged},
		{name: "switched off", policy: "merge: {is_active: false}", want: created},
		{name: "a complaint is linked", signal: func(f *model.Feedback) { f.SourceType = model.SourceComplaint }, want: created, linked: true},
		{name: "what its sender calls a complaint is, too", signal: func(f *model.Feedback) { f.Kind = model.KindComplaint }, want: created, linked: true},
		{name: "a complaint joins by policy", policy: "merge: {complaints: merge}", signal: func(f *model.Feedback) { f.SourceType = model.SourceComplaint }, want: merged},
		{name: "patient safety is linked", signal: func(f *model.Feedback) { f.Category = model.CategoryPatientSafety }, want: created, linked: true},
		{name: "patient safety joins by policy", policy: "merge: {patient_safety: merge}", signal: func(f *model.Feedback) { f.Category = model.CategoryPatientSafety }, want: merged},
		{name: "submitted work is not added to", kin: func(a *model.Action) { a.Status = model.StatusPendingApproval }, want: created, linked: true},
		{name: "approved work neither", kin: func(a *model.Action) { a.Status = model.StatusApproved }, want: created, linked: true},
		{name: "for other readers", signal: func(f *model.Feedback) { f.Restricted = true }, want: created, linked: true},
		{name: "what others may not even know of", kin: func(a *model.Action) { a.Restricted = true }, want: created},
		{name: "in shadow mode", signal: func(f *model.Feedback) { f.Mode = model.ModeShadow }, want: created, linked: true},
		{name: "about its owner", signal: func(f *model.Feedback) { f.Involved = model.Of(h.users(t, "mgr")) }, want: created, linked: true},
		{name: "not negative", signal: func(f *model.Feedback) { f.Score = num(5) }, want: model.DecisionIgnored},
		{name: "history", signal: func(f *model.Feedback) { f.Mode = model.ModeHistory }, want: model.DecisionIgnored},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := h.rules(t, tt.policy)
			first, f := h.signal(t, "k1"), h.signal(t, "k1")
			k := kinOf(t, h.rules(t, ""), first)
			if tt.kin != nil {
				tt.kin(&k.Action)
			}
			if tt.signal != nil {
				tt.signal(f)
			}
			d := r.Decide(f, nil, noon().Add(time.Hour), "RUH-26-0000002", k)
			if d.Decision != tt.want {
				t.Fatalf("decision = %s (%s), want %s", d.Decision, d.Reason, tt.want)
			}
			switch tt.want {
			case merged:
				if a := d.Outcome.Action; a.ID != k.Action.ID || a.Version != k.Action.Version+1 || d.Reason != ReasonSameSubject || !d.Route.isZero() {
					t.Errorf("joined %+v for %s", a, d.Reason)
				}
			case created:
				a := d.Outcome.Action
				if linked := a.LinkedTo != nil && *a.LinkedTo == k.Action.ID; linked != tt.linked || !linked && a.LinkedTo != nil {
					t.Errorf("linked to %v, want %v", a.LinkedTo, tt.linked)
				}
				if told := strings.HasSuffix(d.Outcome.Logs[0].Message, "; linked to RUH-26-0000001"); told != tt.linked {
					t.Errorf("the story begins with %q", d.Outcome.Logs[0].Message)
				}
			}
		})
	}
}

// isZero reports whether no route was recorded.
func (rt *Route) isZero() bool { return rt.Rule == nil && rt.Owner == nil && rt.By == "" }

func TestWhatJoinsMayRaise(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	r := h.rules(t, "")
	k := kinOf(t, r, h.signal(t, "k1")) // 25 % is medium: due after 72 hours
	f := h.signal(t, "k1")
	f.Severity, f.Involved, f.Text = model.SeverityCritical, model.Of(h.users(t, "bob")), "Secret words."
	loads := Loads{}
	out := r.Decide(f, loads, noon().Add(time.Hour), "", k).Outcome
	a := out.Action
	if a.Severity != model.SeverityCritical || !a.DueAt.Equal(noon().Add(24*time.Hour)) || !a.OriginalDueAt.Equal(k.Action.OriginalDueAt) || a.Gen != k.Action.Gen+1 {
		t.Errorf("action %+v, want it critical and due 24 hours after the first receipt", a)
	}
	if got := h.codes(a.Involved.V); len(got) != 1 || got[0] != "bob" || len(loads) != 0 {
		t.Errorf("involved %v, loads %v; want bob, and nobody assigned anything", got, loads)
	}
	if len(out.Logs) != 2 || out.Logs[0].LogType != model.LogMerged || out.Logs[0].Metadata.V["feedback"] != f.ID || out.Logs[1].LogType != model.LogPlanChange {
		t.Errorf("logs %+v, want that it joined, and the change of plan", out.Logs)
	}
	for _, m := range out.Messages {
		if m.Reason != model.ReasonRaised {
			t.Errorf("message for %s, want that it was raised", m.Reason)
		}
	}
	if len(out.Messages) == 0 {
		t.Error("nobody was told that it is critical now")
	}
	// What is milder changes nothing but the story.
	f = h.signal(t, "k1")
	f.Severity = model.SeverityLow
	k.Action = a
	out = r.Decide(f, loads, noon().Add(90*time.Minute), "", k).Outcome
	if len(out.Logs) != 1 || len(out.Messages) != 0 || out.Action.Gen != a.Gen || out.Action.Severity != a.Severity {
		t.Errorf("outcome %+v, want one line", out)
	}
}

// TestJoiningSettlesFirst: what was due before the feedback came is taken by the
// plan that it found.
func TestJoiningSettlesFirst(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	r := h.rules(t, "sla: [{name: all, ack_targets: {medium: none}}]")
	k := kinOf(t, r, h.signal(t, "k1"))
	f := h.signal(t, "k1")
	f.Severity = model.SeverityHigh
	out := r.Decide(f, nil, noon().Add(69*time.Hour), "", k).Outcome
	if len(out.Events) != 2 || out.Events[0].Kind != model.EventReminder || out.Events[1].Kind != model.EventOverdue {
		t.Errorf("events %+v, want the reminder of before, and that a high one is overdue by now", out.Events)
	}
}

func TestPart(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	r := h.rules(t, "")
	k := kinOf(t, r, h.signal(t, "k1"))
	f := h.signal(t, "k1")
	k.Action = r.Decide(f, nil, noon(), "", k).Outcome.Action
	f.Decision = model.DecisionMerged
	d := r.Decide(f, nil, noon().Add(time.Hour), "RUH-26-0000002", k)
	if d.Decision != model.DecisionCreated || d.Outcome.Action.LinkedTo == nil {
		t.Fatalf("decision %+v, want an action of its own, linked", d)
	}
	actor := h.user(t, "pxa")
	owner := *k.Action.AssignedTo
	if _, err := Part(k, f, "RUH-26-0000002", MoveRequest{Actor: &owner, Reason: "not mine"}, noon().Add(time.Hour)); !errors.Is(err, model.ErrForbidden) {
		t.Errorf("taken out by its owner = %v, want it forbidden", err)
	}
	out, err := Part(k, f, "RUH-26-0000002", MoveRequest{Actor: &actor, Reason: "another patient"}, noon().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	l := out.Logs[0]
	if len(out.Logs) != 1 || l.LogType != model.LogMerged || l.Text != "another patient" || *l.CreatedBy != actor || strings.Contains(l.Message, "patient") {
		t.Errorf("log %+v, want who took it out, and why apart", l)
	}
	if out.Action.Severity != k.Action.Severity || !out.Action.DueAt.Equal(k.Action.DueAt) || out.Action.Version != k.Action.Version+1 {
		t.Errorf("action %+v, want its plan as it was", out.Action)
	}
}
