package sla

import (
	"slices"

	"github.com/pxactions/px/model"
)

// What a trigger judges a feedback by.
const (
	MeasureScore      = "score"
	MeasureNPS        = "nps"
	MeasureSentiment  = "sentiment"
	MeasureKPI        = "kpi"
	MeasureComplaints = "complaints" // a complaint, and whether the policy makes actions of complaints
	MeasureSource     = "source"     // where it comes from, or what its sender calls it; there is no value
)

// TriggerFinding is how a trigger judges one feedback, with what led there: what
// Decide would say of it, history or not.
type TriggerFinding struct {
	Decision model.Decision `json:"decision"` // created, ignored or quarantined
	Reason   string         `json:"reason"`   // a stable code: ReasonScoreNegative, …

	Measure string             `json:"measure"`           // MeasureScore, …
	Kind    model.FeedbackKind `json:"kind,omitempty"`    // what the sender calls it
	Value   *float64           `json:"value,omitempty"`   // as sent
	Scale   *Scale             `json:"scale,omitempty"`   // of a score
	Target  *float64           `json:"target,omitempty"`  // of a KPI
	Better  model.Better       `json:"better,omitempty"`  // of a KPI: its good side
	Percent *float64           `json:"percent,omitempty"` // of a score: its place on the scale, 0 the worst; of a KPI: how far off target on the bad side

	Rule *TriggerRule `json:"rule,omitempty"` // nil where no rule is asked
	Band *Band        `json:"band,omitempty"` // of the rule, that the value lies in; nil: none

	Derived  model.Severity `json:"derived_severity,omitempty"` // from the value
	Sent     model.Severity `json:"sent_severity,omitempty"`
	Category model.Category `json:"category,omitempty"`
	Severity model.Severity `json:"severity,omitempty"`          // what an action gets; empty: none is made
	Raised   bool           `json:"raised_for_safety,omitempty"` // that it is about safety made it more severe
	Raise    *Raise         `json:"raise,omitempty"`             // by the policy; nil: none
}

// Scale is how a score is read: as sent, completed by what is known of its
// survey.
type Scale struct {
	Min    *float64     `json:"min,omitempty"`
	Max    *float64     `json:"max,omitempty"`
	Better model.Better `json:"better,omitempty"`
}

// TriggerRule is the rule that judged: the most specific one for its measure.
type TriggerRule struct {
	Name       string     `json:"name,omitempty"`  // empty: the built-in rule
	Scope      []string   `json:"scope,omitempty"` // what it is for: survey, department, hospital, source_system, source_type
	Below      *float64   `json:"below,omitempty"` // per cent of the scale; of scores only
	Bands      []Band     `json:"bands,omitempty"`
	Complaints Complaints `json:"complaints,omitempty"`
}

// Band is one band of a trigger rule: up to AtMost, or from AtLeast on.
type Band struct {
	AtMost   *float64       `json:"at_most,omitempty"`
	AtLeast  *float64       `json:"at_least,omitempty"`
	Severity model.Severity `json:"severity"`
}

// ExplainTrigger judges a feedback again and says what led to the verdict. The
// scales of surveys are those of the directory now.
func (r *Rules) ExplainTrigger(f *model.Feedback) TriggerFinding {
	return r.explainTrigger(f, func(u *ruling) { r.raise(f, u) })
}

// ExplainRecordedTrigger is ExplainTrigger with the raise that was recorded when
// an action was made of the feedback (nil: none), whatever its words say by now:
// they may have been erased.
func (r *Rules) ExplainRecordedTrigger(f *model.Feedback, recorded *Raise) TriggerFinding {
	return r.explainTrigger(f, func(u *ruling) { u.apply(recorded, f) })
}

func (r *Rules) explainTrigger(f *model.Feedback, raise func(*ruling)) TriggerFinding {
	t := TriggerFinding{Kind: f.Kind, Sent: f.Severity, Category: f.Category, Measure: MeasureSource}
	if fault := r.faultOf(f); fault != "" {
		t.Decision, t.Reason = model.DecisionQuarantined, fault
		return t
	}
	u := r.unraised(f)
	t.Decision, t.Reason, t.Derived = u.decision, u.reason, u.derived
	r.measure(f, &t)
	if u.decision == model.DecisionQuarantined {
		t.Band = nil
	}
	raise(&u)
	t.Decision, t.Reason, t.Severity, t.Raise = u.decision, u.reason, u.severity, u.raise
	t.Raised = t.Severity != "" && severityOf(f.Severity, u.derived, f.Category) != severityOf(f.Severity, u.derived, "")
	return t
}

// measure fills in what was judged and the rule that judged it.
func (r *Rules) measure(f *model.Feedback, t *TriggerFinding) {
	switch {
	case scored(f.SourceType) && f.Score != nil:
		r.measureScore(f, t)
	case f.SourceType == model.SourceSocialMedia && f.Sentiment != nil:
		s := pickScoped(r.triggers.sentiment, f)
		t.Measure, t.Value = MeasureSentiment, f.Sentiment
		t.rule(s.scope, upTo(s.rule))
		t.Band = bandOf(t.Rule.Bands, *f.Sentiment)
	case f.SourceType == model.SourceKPI:
		r.measureKPI(f, t)
	case t.Reason == ReasonComplaint, t.Reason == ReasonComplaintsOff:
		s := pickScoped(r.triggers.complaints, f)
		t.Measure = MeasureComplaints
		t.rule(s.scope, nil)
		t.Rule.Complaints = s.rule
	}
}

func (r *Rules) measureScore(f *model.Feedback, t *TriggerFinding) {
	sc := r.scaleOf(f)
	t.Measure, t.Value, t.Scale = MeasureScore, f.Score, &Scale{sc.min, sc.max, sc.better}
	if sc.metric == model.MetricNPS {
		s := pickScoped(r.triggers.nps, f)
		t.Measure = MeasureNPS
		t.rule(s.scope, upTo(s.rule))
		t.Band = bandOf(t.Rule.Bands, *f.Score)
		return
	}
	s := pickScoped(r.triggers.score, f)
	t.rule(s.scope, upTo(s.rule.bands))
	t.Rule.Below = &s.rule.below
	if percent, fault := sc.percent(*f.Score); fault == "" {
		t.Percent = &percent
		if percent < s.rule.below {
			t.Band = bandOf(t.Rule.Bands, percent)
		}
	}
}

func (r *Rules) measureKPI(f *model.Feedback, t *TriggerFinding) {
	s := pickScoped(r.triggers.kpi, f)
	t.Measure, t.Value, t.Target, t.Better = MeasureKPI, f.KPIValue, f.KPITarget, f.KPIBetter
	bands := make([]Band, len(s.rule))
	for i := range s.rule {
		bands[i] = Band{AtLeast: &s.rule[i].AtLeast, Severity: s.rule[i].Severity}
	}
	t.rule(s.scope, bands)
	if percent, fault := offTarget(f); fault == "" {
		t.Percent = &percent
		t.Band = bandOf(bands, percent)
	}
}

func (t *TriggerFinding) rule(at scope, bands []Band) {
	t.Rule = &TriggerRule{Name: at.name, Bands: bands}
	for _, c := range []struct {
		name string
		set  bool
	}{
		{"survey", !at.survey.IsZero()},
		{"department", !at.department.IsZero()},
		{"hospital", !at.hospital.IsZero()},
		{"source_system", at.sourceSystem != ""},
		{"source_type", at.sourceType != ""},
	} {
		if c.set {
			t.Rule.Scope = append(t.Rule.Scope, c.name)
		}
	}
}

func upTo(bands []UpTo) []Band {
	bs := make([]Band, len(bands))
	for i := range bands {
		bs[i] = Band{AtMost: &bands[i].AtMost, Severity: bands[i].Severity}
	}
	return bs
}

// bandOf is the first band that a value lies in; nil: none.
func bandOf(bands []Band, value float64) *Band {
	i := slices.IndexFunc(bands, func(b Band) bool {
		return b.AtMost != nil && value <= *b.AtMost || b.AtLeast != nil && value >= *b.AtLeast
	})
	if i < 0 {
		return nil
	}
	return &bands[i]
}
