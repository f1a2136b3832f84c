package sla

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pxactions/px/model"
)

// Expectations say what a policy is to make of feedback: cases that whoever
// edits the policy keeps beside it.
type Expectations struct {
	Policy    string       `yaml:"policy,omitzero"`    // file, seen from this one
	Directory string       `yaml:"directory,omitzero"` // likewise
	Cases     []Expectable `yaml:"cases"`
}

// Expectable is one feedback and what is to become of it.
type Expectable struct {
	Name     string       `yaml:"name"`
	Feedback FeedbackSpec `yaml:"feedback"`
	Expect   ExpectSpec   `yaml:"expect"`
}

// FeedbackSpec is a feedback with the keys of the intake.
type FeedbackSpec struct {
	SourceType    model.SourceType   `yaml:"source_type"`
	SourceSystem  string             `yaml:"source_system,omitzero"` // whose aliases count; empty: codes, and the aliases of all
	Hospital      string             `yaml:"hospital"`
	Department    string             `yaml:"department,omitzero"`
	Survey        string             `yaml:"survey,omitzero"`
	Kind          model.FeedbackKind `yaml:"kind,omitzero"`
	Category      model.Category     `yaml:"category,omitzero"`
	Severity      model.Severity     `yaml:"severity,omitzero"`
	Title         string             `yaml:"title,omitzero"`
	Text          string             `yaml:"text,omitzero"`
	Score         *ScoreValue        `yaml:"score,omitzero"`
	Sentiment     *float64           `yaml:"sentiment,omitzero"`
	KPI           *KPIValue          `yaml:"kpi,omitzero"`
	InvolvedUsers []string           `yaml:"involved_users,omitzero"`
	ReceivedAt    Instant            `yaml:"received_at"` // also when it is decided
}

// ScoreValue is a rating, as of the intake.
type ScoreValue struct {
	Value  *float64     `yaml:"value"`
	Min    *float64     `yaml:"min,omitzero"`
	Max    *float64     `yaml:"max,omitzero"`
	Better model.Better `yaml:"better,omitzero"`
	Metric model.Metric `yaml:"metric,omitzero"`
}

// KPIValue is a measured value, as of the intake.
type KPIValue struct {
	Name   string       `yaml:"name,omitzero"`
	Value  *float64     `yaml:"value"`
	Target *float64     `yaml:"target"`
	Better model.Better `yaml:"better"`
}

// ExpectSpec is what is to become of a feedback; what is left out may be anything.
type ExpectSpec struct {
	Decision   model.Decision `yaml:"decision,omitzero"` // created, ignored, quarantined
	Reason     string         `yaml:"reason,omitzero"`
	Severity   model.Severity `yaml:"severity,omitzero"`
	Department *string        `yaml:"department,omitzero"`   // code; "": none
	Rule       *string        `yaml:"routing_rule,omitzero"` // name; "": none fits
	Owner      *string        `yaml:"owner,omitzero"`        // code; "": nobody
	Config     string         `yaml:"sla_config,omitzero"`   // name
	Due        Instant        `yaml:"due,omitzero"`
}

// Instant is a time with its zone: 2026-03-02T09:00:00+03:00.
type Instant struct{ time.Time }

// UnmarshalText reads RFC 3339.
func (i *Instant) UnmarshalText(b []byte) error {
	at, err := time.Parse(time.RFC3339, string(b))
	if err != nil {
		return errors.New("must be an instant with its zone, as 2026-03-02T09:00:00+03:00")
	}
	i.Time = at
	return nil
}

// ParseExpectations reads files of expectations; faults as of ParsePolicy.
func ParseExpectations(files []File) (*Expectations, error) {
	x := &Expectations{}
	if err := readDocument(files, x, x.check); err != nil {
		return nil, err
	}
	return x, nil
}

func (x *Expectations) check() model.FieldErrors {
	c := &checker{}
	if len(x.Cases) == 0 {
		c.add("cases", "required", "must have one case at least")
	}
	for i := range x.Cases {
		at, k := fmt.Sprintf("cases[%d]", i), &x.Cases[i]
		c.name(at, k.Name)
		c.feedback(at+".feedback", &k.Feedback)
		if k.Expect == (ExpectSpec{}) {
			c.add(at+".expect", "required", "must say something: decision, reason, severity, department, routing_rule, owner, sla_config or due")
		}
		oneOf(c, at+".expect.decision", k.Expect.Decision, []model.Decision{model.DecisionCreated, model.DecisionIgnored, model.DecisionQuarantined})
		oneOf(c, at+".expect.severity", k.Expect.Severity, model.Severities())
	}
	return c.faults
}

func (c *checker) feedback(at string, f *FeedbackSpec) {
	if f.SourceType == "" {
		c.add(at+".source_type", "required", "must be one of %s", list(model.SourceTypes()))
	}
	if f.Hospital == "" {
		c.add(at+".hospital", "required", "must be a hospital's code or alias")
	}
	if f.ReceivedAt.IsZero() {
		c.add(at+".received_at", "required", "must be an instant with its zone, as 2026-03-02T09:00:00+03:00")
	}
	oneOf(c, at+".source_type", f.SourceType, model.SourceTypes())
	oneOf(c, at+".kind", f.Kind, model.FeedbackKinds())
	oneOf(c, at+".category", f.Category, model.Categories())
	oneOf(c, at+".severity", f.Severity, model.Severities())
	ends := []model.Better{model.BetterHigh, model.BetterLow}
	if s := f.Score; s != nil {
		oneOf(c, at+".score.better", s.Better, ends)
		oneOf(c, at+".score.metric", s.Metric, []model.Metric{model.MetricScore, model.MetricNPS})
	}
	if k := f.KPI; k != nil {
		oneOf(c, at+".kpi.better", k.Better, ends)
	}
}

// Failures decides every case by the rules and returns a line for each that
// comes out otherwise, and how many do not. Nobody has any action yet.
func (x *Expectations) Failures(r *Rules) (failures []string, passed int) {
	for i := range x.Cases {
		k := &x.Cases[i]
		var wrong []string
		f, err := k.Feedback.row(r.dir)
		if err != nil {
			wrong = []string{err.Error()}
		} else {
			d := r.Decide(&f, nil, f.ReceivedAt, "")
			wrong = k.Expect.compare(r, &d)
		}
		if len(wrong) == 0 {
			passed++
			continue
		}
		failures = append(failures, k.Name+": "+strings.Join(wrong, "; "))
	}
	return failures, passed
}

// row is the feedback as the intake would write it.
func (s *FeedbackSpec) row(dir *Directory) (model.Feedback, error) {
	f := model.Feedback{
		SourceSystem: s.SourceSystem, SourceType: s.SourceType, Kind: s.Kind, Category: s.Category, Severity: s.Severity,
		Title: s.Title, Text: s.Text,
		Sentiment: s.Sentiment, Mode: model.ModeLive, ReceivedAt: s.ReceivedAt.UTC(),
	}
	h, ok := dir.ResolveHospital(s.SourceSystem, s.Hospital)
	if !ok {
		return f, fmt.Errorf("no hospital is known as %q", s.Hospital)
	}
	f.HospitalID = &h.ID
	if s.Department != "" {
		d, ok := dir.ResolveDepartment(s.SourceSystem, h.ID, s.Department)
		if !ok {
			return f, fmt.Errorf("no department of %s is known as %q", h.Code, s.Department)
		}
		f.DepartmentID = &d.ID
	}
	if s.Survey != "" {
		v, ok := dir.ResolveSurvey(s.SourceSystem, s.Survey)
		if !ok {
			return f, fmt.Errorf("no survey is known as %q", s.Survey)
		}
		f.SurveyID = &v.ID
	}
	for _, name := range s.InvolvedUsers {
		u, ok := dir.ResolveUser(s.SourceSystem, name)
		if !ok {
			return f, fmt.Errorf("nobody is known as %q", name)
		}
		f.Involved.V = append(f.Involved.V, u.ID)
	}
	if v := s.Score; v != nil {
		f.Score, f.ScoreMin, f.ScoreMax, f.ScoreBetter, f.ScoreMetric = v.Value, v.Min, v.Max, v.Better, v.Metric
	}
	if v := s.KPI; v != nil {
		f.KPIName, f.KPIValue, f.KPITarget, f.KPIBetter = v.Name, v.Value, v.Target, v.Better
	}
	return f, nil
}

// fact is one thing that a decision is to have; a nil want asks for nothing.
type fact struct {
	what, got string
	want      *string
}

// compare says in what a decision is not as expected.
func (s *ExpectSpec) compare(r *Rules, d *Decision) []string {
	facts := []fact{
		{"decision", string(d.Decision), given(string(s.Decision))},
		{"reason", d.Reason, given(s.Reason)},
		{"severity", string(d.Severity), given(string(s.Severity))},
	}
	ofAction := s.ofAction(r, d)
	asked := slices.ContainsFunc(ofAction, func(f fact) bool { return f.want != nil })
	if d.Outcome != nil {
		facts = append(facts, ofAction...)
	}
	var wrong []string
	for _, f := range facts {
		if f.want != nil && f.got != *f.want {
			wrong = append(wrong, fmt.Sprintf("%s is %s, want %s", f.what, cmp.Or(f.got, "none"), cmp.Or(*f.want, "none")))
		}
	}
	if d.Outcome == nil && asked {
		wrong = append(wrong, fmt.Sprintf("makes no action: %s (%s)", d.Decision, d.Reason))
	}
	return wrong
}

// ofAction is what the action is to have, if there is one.
func (s *ExpectSpec) ofAction(r *Rules, d *Decision) []fact {
	var department, rule, owner, config, due, wantDue string
	if d.Outcome != nil {
		a := &d.Outcome.Action
		if dep := r.dir.Departments[model.Deref(a.DepartmentID)]; dep != nil {
			department = dep.Code
		}
		if d.Route.Rule != nil {
			rule = d.Route.Rule.Name
		}
		if u := r.dir.Users[model.Deref(a.AssignedTo)]; u != nil {
			owner = u.Code
		}
		config = r.Config(a.SLAConfigID).Name
		due = a.DueAt.In(s.Due.Location()).Format(time.RFC3339)
	}
	if !s.Due.IsZero() {
		wantDue = s.Due.Format(time.RFC3339)
	}
	return []fact{
		{"department", department, s.Department}, {"routing_rule", rule, s.Rule}, {"owner", owner, s.Owner},
		{"sla_config", config, given(s.Config)}, {"due", due, given(wantDue)},
	}
}

func given(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
