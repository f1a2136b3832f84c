package sla

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pxactions/px/model"
)

func TestDecideCopiesTheFeedback(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	r := h.rules(t, "sla: [{name: all, requires_approval: false}]")
	f := h.complaint(t, "RUH", "ED")
	f.ContentType, f.ObjectID, f.SubjectKey = "surveys.response", model.NewID[struct{}]().Ptr(), "k1"
	f.Title, f.Text, f.Restricted = "  Waited  ", "Six hours.", true
	f.Involved, f.Metadata = model.Of(h.users(t, "cas")), model.Of(json.RawMessage(`{"bed":7}`))
	f.Category, f.Severity = model.CategoryFacility, model.SeverityHigh
	f.ReceivedAt = noon().Add(-time.Hour)
	d := r.Decide(f, nil, noon(), "RUH-26-0000042")
	a := d.Outcome.Action
	switch {
	case a.Ref != "RUH-26-0000042", a.Title != "Waited", a.Description != f.Text, !a.Restricted, a.Shadow:
		t.Errorf("words and flags: %+v", a)
	case a.ContentType != f.ContentType, *a.ObjectID != *f.ObjectID, a.SubjectKey != "k1", *a.FeedbackID != f.ID:
		t.Errorf("origin: %+v", a)
	case a.Priority != model.SeverityHigh, a.Severity != model.SeverityHigh, a.Category != model.CategoryFacility:
		t.Errorf("classification: %+v", a)
	case !a.ClockStart.Equal(f.ReceivedAt), !a.DueAt.Equal(f.ReceivedAt.Add(48 * time.Hour)), a.RequiresApproval:
		t.Errorf("clock: %+v", a)
	case a.PolicyRevision != 7, r.Config(a.SLAConfigID) == nil, string(a.Metadata.V) != `{"bed":7}`, h.code(&a.Involved.V[0]) != "cas":
		t.Errorf("pins: %+v", a)
	case a.Status != model.StatusOpen, a.Version != 1, a.AssignedAt == nil || !a.AssignedAt.Equal(noon()):
		t.Errorf("state: %+v", a)
	}
	facts := d.Outcome.Logs[0].Metadata.V
	if facts["reason"] != ReasonComplaint || facts["owner_by"] != ByPXAdmin { // it is restricted
		t.Errorf("the story begins with %v", facts)
	}
}

func TestDecideTitles(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	tests := []struct {
		name, title, want string
		source            model.SourceType
		category          model.Category
	}{
		{"none: source and category", "", "Complaint: service quality", model.SourceComplaint, model.CategoryServiceQuality},
		{"none, no category", " ", "Quality audit: other", model.SourceQualityAudit, ""},
		{"none, a committee", "", "Patient and family committee: facility", model.SourcePatientFamilyCommittee, model.CategoryFacility},
		{"500 characters stay", strings.Repeat("م", 500), strings.Repeat("م", 500), model.SourceManual, ""},
		{"longer is cut", strings.Repeat("م", 501), strings.Repeat("م", 500), model.SourceManual, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := h.complaint(t, "RUH", "")
			f.Title, f.SourceType, f.Category = tt.title, tt.source, tt.category
			if got := BuiltIn(h.dir).Decide(f, nil, noon(), "").Outcome.Action.Title; got != tt.want {
				t.Errorf("title %q, want %q", got, tt.want)
			}
		})
	}
}

func TestDecideModes(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(d *DirectoryDoc) { d.Hospitals[1].Shadow = true })
	r := BuiltIn(h.dir)
	t.Run("history notes what would have been", func(t *testing.T) {
		t.Parallel()
		f := h.complaint(t, "RUH", "ED")
		f.Mode = model.ModeHistory
		loads := Loads{}
		d := r.Decide(f, loads, noon(), "")
		want := Verdict{model.DecisionCreated, ReasonComplaint, model.SeverityMedium}
		if d.Decision != model.DecisionIgnored || d.Reason != ReasonHistory || d.Outcome != nil || d.Would == nil || *d.Would != want || len(loads) > 0 {
			t.Errorf("got %+v, would %+v", d, d.Would)
		}
	})
	t.Run("history that would have been ignored", func(t *testing.T) {
		t.Parallel()
		f := h.complaint(t, "RUH", "ED")
		f.Mode, f.Kind = model.ModeHistory, model.KindPraise
		if d := r.Decide(f, nil, noon(), ""); d.Reason != ReasonHistory || *d.Would != (Verdict{Decision: model.DecisionIgnored, Reason: ReasonPraise}) {
			t.Errorf("got %+v, would %+v", d, d.Would)
		}
	})
	t.Run("history that can't be read is quarantined", func(t *testing.T) {
		t.Parallel()
		f := h.complaint(t, "RUH", "ED")
		f.Mode, f.SourceType = model.ModeHistory, model.SourceKPI
		if d := r.Decide(f, nil, noon(), ""); d.Decision != model.DecisionQuarantined || d.Reason != ReasonKPIMissing {
			t.Errorf("got %+v", d)
		}
	})
	for _, tt := range []struct {
		name, hospital string
		mode           model.Mode
		want           bool
	}{
		{"live", "RUH", model.ModeLive, false},
		{"no mode is live", "RUH", "", false},
		{"shadow by event", "RUH", model.ModeShadow, true},
		{"shadow by hospital", "BER", model.ModeLive, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := h.complaint(t, tt.hospital, "ED")
			f.Mode = tt.mode
			d := r.Decide(f, nil, noon(), "")
			if got := d.Outcome.Action.Shadow; got != tt.want {
				t.Errorf("shadow %t, want %t", got, tt.want)
			}
			for _, m := range d.Outcome.Messages {
				if (m.State == model.MessageSuppressed) != tt.want {
					t.Errorf("message %s to %s is %s", m.Reason, h.code(&m.RecipientID), m.State)
				}
			}
		})
	}
}

// randomFeedback is anything that could stand in a row, and more.
func randomFeedback(r *rand.Rand, h house, hospitals []*model.HospitalID, departments []*model.DepartmentID) *model.Feedback {
	number := func() *float64 {
		values := []float64{0, -1, 1, 5, 10, 49.9, 50, 100, -0.6, math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, -math.MaxFloat64, 5e-324, r.NormFloat64() * 20}
		if i := r.IntN(len(values) + 3); i < len(values) {
			return &values[i]
		}
		return nil
	}
	better := []model.Better{"", "high", "low", "up"}
	f := &model.Feedback{
		HospitalID: any1(r, hospitals), DepartmentID: any1(r, departments),
		SourceType: any1(r, append(model.SourceTypes(), "", "fax")), SourceSystem: any1(r, []string{"", "desk"}),
		Kind: any1(r, append(model.FeedbackKinds(), "", "rant")), Category: any1(r, append(model.Categories(), "", "x")),
		Severity: any1(r, append(model.Severities(), "", "x")), Mode: any1(r, []model.Mode{"", "live", "history", "shadow", "x"}),
		Score: number(), ScoreMin: number(), ScoreMax: number(), ScoreBetter: any1(r, better), ScoreMetric: any1(r, []model.Metric{"", "score", "nps", "x"}),
		Sentiment: number(), KPIValue: number(), KPITarget: number(), KPIBetter: any1(r, better),
		Title: any1(r, []string{"", "\xff\xfe", strings.Repeat("\xff", 600), "x"}),
	}
	if r.IntN(2) == 0 {
		f.ReceivedAt = noon().Add(time.Duration(r.Int64N(int64(400*24*time.Hour))) - 390*24*time.Hour)
	}
	if r.IntN(3) == 0 {
		f.SurveyID = any1(r, []*model.SurveyID{model.NewID[model.Survey]().Ptr(), {}})
	}
	for id := range h.dir.Users {
		if r.IntN(3) == 0 {
			f.Involved.V = append(f.Involved.V, id)
		}
	}
	return f
}

func any1[T any](r *rand.Rand, all []T) T { return all[r.IntN(len(all))] }

func TestDecideNeverPanicsOrGuesses(t *testing.T) {
	t.Parallel()
	h := newHouse(t, absent(map[string]string{"mgr": "dep", "dep": "mgr", "bob": "ann", "pxa": "grp"}))
	policies := []*Rules{BuiltIn(h.dir), BuiltIn(nil), h.rules(t, `
triggers: [{source_system: desk, score: {below: 90}, complaints: never}]
routing: [{name: a, hospital: RUH, assign_to_department: ED, assign_to_role: Staff}, {name: b, assign_to_user: out}]
sla: [{name: a, reminder_hours_before: [], auto_escalate: false}]`)}
	hospitals := []*model.HospitalID{nil, {}, h.hospital(t, "RUH"), h.hospital(t, "RUH"), h.hospital(t, "BER"), h.hospital(t, "NIX")}
	departments := []*model.DepartmentID{nil, nil, {}, h.department(t, "RUH", "ED"), h.department(t, "RUH", "LAB"), h.department(t, "BER", "ED")}
	random := rand.New(rand.NewPCG(1, 2))
	seen := map[model.Decision]int{}
	for range 20000 {
		f := randomFeedback(random, h, hospitals, departments)
		d := any1(random, policies).Decide(f, Loads{}, noon(), "X-26-1")
		seen[d.Decision]++
		if d.Reason == "" || (d.Decision == model.DecisionCreated) != (d.Outcome != nil) {
			t.Fatalf("%+v became %+v", f, d)
		}
		if d.Outcome == nil {
			continue
		}
		a := d.Outcome.Action
		if d.NoOwner != (a.AssignedTo == nil) || a.Severity.Rank() == 0 || !a.DueAt.After(a.ClockStart) || a.Title == "" || a.HospitalID != *f.HospitalID {
			t.Fatalf("%+v became %+v", f, a)
		}
		for _, id := range f.Involved.V {
			if a.AssignedTo != nil && *a.AssignedTo == id {
				t.Fatalf("the involved %s owns the action", h.code(&id))
			}
		}
	}
	if len(seen) != 3 {
		t.Errorf("decisions seen: %v", seen)
	}
}

// bigHospital is a directory and policy as large as they come.
func bigHospital(b *testing.B) (*Rules, []*model.Feedback) {
	b.Helper()
	doc := &DirectoryDoc{Hospitals: []HospitalSpec{{Code: "H1", Name: "One"}, {Code: "H2", Name: "Two"}}}
	p := &Policy{}
	for i := range 500 {
		code := fmt.Sprintf("D%03d", i)
		doc.Departments = append(doc.Departments, DepartmentSpec{Hospital: fmt.Sprintf("H%d", i%2+1), Code: code, Name: code, Manager: fmt.Sprintf("u%04d", i*4)})
	}
	for i := range 2000 {
		dep := doc.Departments[i/4]
		doc.Users = append(doc.Users, UserSpec{Code: fmt.Sprintf("u%04d", i), Name: "N", Hospital: dep.Hospital, Department: dep.Code, Roles: []model.Role{model.RoleStaff}})
	}
	for i := range 1000 {
		r := RuleSpec{Name: fmt.Sprintf("r%04d", i), Category: model.Categories()[i%6], Severity: model.Severities()[i%4], AssignToRole: model.RoleStaff}
		if i%2 == 0 {
			r.Hospital, r.Department = doc.Departments[i/2].Hospital, doc.Departments[i/2].Code
		}
		p.Routing = append(p.Routing, r)
	}
	for i := range 300 {
		p.SLA = append(p.SLA, ConfigSpec{Name: fmt.Sprintf("s%d", i), Hospital: doc.Departments[i].Hospital, Department: doc.Departments[i].Code})
		p.Triggers = append(p.Triggers, TriggerSpec{Hospital: doc.Departments[i].Hospital, Department: doc.Departments[i].Code, Score: &ScoreSpec{}})
	}
	rows, err := doc.Rows(nil, uuid.New, noon())
	if err != nil {
		b.Fatal(err)
	}
	dir := NewDirectory(1, rows.Hospitals, rows.Departments, rows.Users, rows.Surveys)
	r, err := Compile(p, 1, dir)
	if err != nil {
		b.Fatal(err)
	}
	var fs []*model.Feedback
	for i := range 512 {
		dep := &rows.Departments[i%len(rows.Departments)]
		fs = append(fs, &model.Feedback{
			HospitalID: &dep.HospitalID, DepartmentID: &dep.ID, SourceType: model.SourceSurvey, ReceivedAt: noon(),
			Score: num(1), ScoreMin: num(1), ScoreMax: num(5), ScoreBetter: model.BetterHigh,
			Category: model.Categories()[i%7], Severity: model.Severities()[i%4], // "other" fits no rule: all thousand are tried
		})
	}
	return r, fs
}

func BenchmarkDecide(b *testing.B) {
	r, fs := bigHospital(b)
	loads := Loads{}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if d := r.Decide(fs[i%len(fs)], loads, noon(), "H1-26-0000001"); d.Outcome == nil {
			b.Fatal(d.Reason)
		}
	}
}
