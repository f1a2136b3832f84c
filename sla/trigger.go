package sla

import (
	"cmp"
	"math"
	"slices"

	"github.com/pxactions/px/model"
)

// defaultBelow is the per cent of a scale below which a score is negative.
const defaultBelow = 50.0

// The reasons of decisions: stable codes, for machines and reports.
const (
	// Of created actions: what made the feedback negative.
	ReasonScoreNegative     = "score_negative"
	ReasonNPSNegative       = "nps_negative"
	ReasonSentimentNegative = "sentiment_negative"
	ReasonKPINegative       = "kpi_negative"
	ReasonComplaint         = "complaint" // a complaint, by its source or by its kind
	ReasonAlways            = "always"    // manual entries and meetings
	ReasonRaised            = "raised"    // let pass by all of these, and made negative by a raise of the policy

	// Of merged feedback.
	ReasonSameSubject = "same_subject" // a live action tells of the same matter

	// Of ignored feedback.
	ReasonNotNegative   = "not_negative"
	ReasonPraise        = "praise"
	ReasonComplaintsOff = "complaints_off" // the policy makes no actions of complaints here
	ReasonHistory       = "history"
	ReasonRetracted     = "retracted" // its source took it back before it was decided

	// Of quarantined feedback: what is missing or can't be read.
	ReasonHospitalMissing     = "hospital_missing"
	ReasonHospitalUnknown     = "hospital_unknown"
	ReasonDepartmentUnknown   = "department_unknown" // not in the directory, or not in that hospital
	ReasonSourceTypeUnknown   = "source_type_unknown"
	ReasonCategoryUnknown     = "category_unknown"
	ReasonSeverityUnknown     = "severity_unknown"
	ReasonKindUnknown         = "kind_unknown"
	ReasonModeUnknown         = "mode_unknown"
	ReasonScoreMissing        = "score_missing"
	ReasonScoreOutOfRange     = "score_out_of_range"
	ReasonScaleMissing        = "scale_missing" // min, max or the better end
	ReasonScaleInvalid        = "scale_invalid" // max not above min, or not a 0-to-10 scale for NPS
	ReasonMetricUnknown       = "metric_unknown"
	ReasonSentimentMissing    = "sentiment_missing"
	ReasonSentimentOutOfRange = "sentiment_out_of_range"
	ReasonKPIMissing          = "kpi_missing" // value, target or the better end
	ReasonKPITargetZero       = "kpi_target_zero"
	ReasonKPIInvalid          = "kpi_invalid" // not finite
)

// verdict is what the trigger says of one feedback. Decision is created,
// ignored or quarantined; derived is the severity that follows from the value
// itself, empty where there is none.
type verdict struct {
	decision model.Decision
	reason   string
	derived  model.Severity
}

func negative(reason string, derived model.Severity) verdict {
	return verdict{model.DecisionCreated, reason, derived}
}

func ignored(reason string) verdict { return verdict{decision: model.DecisionIgnored, reason: reason} }

func unreadable(reason string) verdict {
	return verdict{decision: model.DecisionQuarantined, reason: reason}
}

// scored reports whether feedback of a source type is judged by its score.
func scored(st model.SourceType) bool {
	return st == model.SourceSurvey || st == model.SourceComplaintResolution || st == model.SourceCallCenter
}

// judge applies the trigger to feedback whose enums are known.
func (r *Rules) judge(f *model.Feedback) verdict {
	switch {
	case scored(f.SourceType):
		return r.judgeScored(f)
	case f.SourceType == model.SourceSocialMedia:
		return r.judgeSentiment(f)
	case f.SourceType == model.SourceKPI:
		return r.judgeKPI(f)
	case f.Kind == model.KindPraise:
		return ignored(ReasonPraise)
	case f.SourceType == model.SourceComplaint:
		return r.judgeComplaint(f)
	default:
		return negative(ReasonAlways, "")
	}
}

func (r *Rules) judgeComplaint(f *model.Feedback) verdict {
	if pick(r.triggers.complaints, f) == ComplaintsNever {
		return ignored(ReasonComplaintsOff)
	}
	return negative(ReasonComplaint, "")
}

// judgeKind decides feedback without the value it should be judged by: what
// its sender calls it may say enough, else it is missing.
func (r *Rules) judgeKind(f *model.Feedback, missing string) verdict {
	switch f.Kind {
	case model.KindComplaint:
		return r.judgeComplaint(f)
	case model.KindPraise:
		return ignored(ReasonPraise)
	case model.KindSuggestion, model.KindQuestion:
		return ignored(ReasonNotNegative)
	default:
		return unreadable(missing)
	}
}

func (r *Rules) judgeScored(f *model.Feedback) verdict {
	if f.Score == nil {
		return r.judgeKind(f, ReasonScoreMissing)
	}
	scale := r.scaleOf(f)
	switch scale.metric {
	case model.MetricNPS:
		return r.judgeNPS(f, scale)
	case model.MetricScore:
	default:
		return unreadable(ReasonMetricUnknown)
	}
	percent, fault := scale.percent(*f.Score)
	if fault != "" {
		return unreadable(fault)
	}
	rule := pick(r.triggers.score, f)
	if percent >= rule.below {
		return ignored(ReasonNotNegative)
	}
	for _, b := range rule.bands {
		if percent <= b.AtMost {
			return negative(ReasonScoreNegative, b.Severity)
		}
	}
	return negative(ReasonScoreNegative, model.SeverityLow)
}

// scale is how a score is to be read.
type scale struct {
	metric   model.Metric
	min, max *float64
	better   model.Better
}

// scaleOf is the scale that came with a feedback, completed by what is known of
// its survey.
func (r *Rules) scaleOf(f *model.Feedback) scale {
	s := scale{f.ScoreMetric, f.ScoreMin, f.ScoreMax, f.ScoreBetter}
	if f.SurveyID != nil {
		if sv := r.dir.Surveys[*f.SurveyID]; sv != nil {
			s.metric = cmp.Or(s.metric, sv.Metric)
			s.min, s.max = cmp.Or(s.min, sv.ScoreMin), cmp.Or(s.max, sv.ScoreMax)
			s.better = cmp.Or(s.better, sv.ScoreBetter)
		}
	}
	s.metric = cmp.Or(s.metric, model.MetricScore)
	return s
}

// percent places a score on its scale, 0 the worst end and 100 the best, or
// says what is wrong.
func (s scale) percent(score float64) (float64, string) {
	if s.min == nil || s.max == nil || s.better != model.BetterHigh && s.better != model.BetterLow {
		return 0, ReasonScaleMissing
	}
	lo, hi := *s.min, *s.max
	span := hi - lo
	if !finite(span) || span <= 0 {
		return 0, ReasonScaleInvalid
	}
	if !(score >= lo && score <= hi) {
		return 0, ReasonScoreOutOfRange
	}
	percent := round((score - lo) / span * 100)
	if s.better == model.BetterLow {
		percent = 100 - percent
	}
	return percent, ""
}

func (r *Rules) judgeNPS(f *model.Feedback, s scale) verdict {
	if s.min != nil && *s.min != 0 || s.max != nil && *s.max != 10 || s.better != "" && s.better != model.BetterHigh {
		return unreadable(ReasonScaleInvalid)
	}
	points := *f.Score
	if !(points >= 0 && points <= 10) || points != math.Trunc(points) {
		return unreadable(ReasonScoreOutOfRange)
	}
	return within(pick(r.triggers.nps, f), points, ReasonNPSNegative)
}

func (r *Rules) judgeSentiment(f *model.Feedback) verdict {
	if f.Sentiment == nil {
		return r.judgeKind(f, ReasonSentimentMissing)
	}
	if !(*f.Sentiment >= -1 && *f.Sentiment <= 1) {
		return unreadable(ReasonSentimentOutOfRange)
	}
	return within(pick(r.triggers.sentiment, f), *f.Sentiment, ReasonSentimentNegative)
}

// within finds the band of a value; above all bands it is not negative.
func within(bands []UpTo, value float64, reason string) verdict {
	for _, b := range bands {
		if value <= b.AtMost {
			return negative(reason, b.Severity)
		}
	}
	return ignored(ReasonNotNegative)
}

func (r *Rules) judgeKPI(f *model.Feedback) verdict {
	percent, fault := offTarget(f)
	if fault != "" {
		return unreadable(fault)
	}
	for _, b := range pick(r.triggers.kpi, f) {
		if percent >= b.AtLeast {
			return negative(ReasonKPINegative, b.Severity)
		}
	}
	return ignored(ReasonNotNegative)
}

// offTarget is by how many per cent of its target a KPI is off on the bad side,
// or says what is wrong.
func offTarget(f *model.Feedback) (float64, string) {
	if f.KPIValue == nil || f.KPITarget == nil || f.KPIBetter != model.BetterHigh && f.KPIBetter != model.BetterLow {
		return 0, ReasonKPIMissing
	}
	value, target := *f.KPIValue, *f.KPITarget
	if target == 0 {
		return 0, ReasonKPITargetZero
	}
	off := target - value
	if f.KPIBetter == model.BetterLow {
		off = value - target
	}
	percent := round(off / math.Abs(target) * 100)
	if !finite(percent) {
		return 0, ReasonKPIInvalid
	}
	return percent, ""
}

// round takes off what binary fractions add to a per cent, so that 0.57 of 0.6
// is 5 per cent off and stands exactly on its boundary.
func round(percent float64) float64 {
	const steps = 1e9
	if scaled := percent * steps; finite(scaled) {
		return math.Round(scaled) / steps
	}
	return percent
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// severityOf merges severities: the higher of sent and derived, medium where
// there is neither, and at least high where a patient's safety is concerned.
func severityOf(sent, derived model.Severity, c model.Category) model.Severity {
	s := higher(sent, derived)
	if s == "" {
		s = model.SeverityMedium
	}
	if c == model.CategoryPatientSafety {
		s = higher(s, model.SeverityHigh)
	}
	return s
}

func higher(a, b model.Severity) model.Severity {
	if b.Rank() > a.Rank() {
		return b
	}
	return a
}

// triggers are the trigger rules by what they decide, most specific scope
// first; the last of each list is the built-in rule, which fits all.
type triggers struct {
	complaints []scoped[Complaints]
	score      []scoped[scoreRule]
	nps        []scoped[[]UpTo]
	sentiment  []scoped[[]UpTo]
	kpi        []scoped[[]FromSpec]
	raise      []scoped[raiseRule]
}

type scoreRule struct {
	below float64
	bands []UpTo // worst first
}

// scope is a compiled set of conditions; a zero one fits all.
type scope struct {
	name         string // of its trigger, for people; empty: built in
	survey       model.SurveyID
	department   model.DepartmentID
	hospital     model.HospitalID
	sourceSystem string
	sourceType   model.SourceType
}

func (s *scope) fits(f *model.Feedback) bool {
	return (s.sourceType == "" || s.sourceType == f.SourceType) &&
		(s.sourceSystem == "" || s.sourceSystem == f.SourceSystem) &&
		fitsID(s.hospital, f.HospitalID) && fitsID(s.department, f.DepartmentID) && fitsID(s.survey, f.SurveyID)
}

func fitsID[T any](want model.ID[T], have *model.ID[T]) bool {
	return want.IsZero() || have != nil && *have == want
}

// weight orders scopes by how specific they are. Two scopes that fit the same
// feedback never weigh the same: they would have the same conditions.
func (s *scope) weight() int {
	w := 0
	for i, has := range []bool{s.sourceType != "", s.sourceSystem != "", !s.hospital.IsZero(), !s.department.IsZero(), !s.survey.IsZero()} {
		if has {
			w |= 1 << i
		}
	}
	return w
}

// scoped is a rule that counts within a scope.
type scoped[T any] struct {
	scope scope
	rule  T
}

// pick returns the most specific rule for a feedback.
func pick[T any](rules []scoped[T], f *model.Feedback) T { return pickScoped(rules, f).rule }

// pickScoped is pick with the scope; every list ends with a rule that fits all.
func pickScoped[T any](rules []scoped[T], f *model.Feedback) scoped[T] {
	for i := range rules {
		if rules[i].scope.fits(f) {
			return rules[i]
		}
	}
	return scoped[T]{}
}

func bySpecificity[T any](rules []scoped[T]) {
	slices.SortStableFunc(rules, func(a, b scoped[T]) int { return cmp.Compare(b.scope.weight(), a.scope.weight()) })
}
