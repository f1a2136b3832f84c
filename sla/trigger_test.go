package sla

import (
	"math"
	"testing"

	"github.com/pxactions/px/model"
)

func TestTrigger(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	built := BuiltIn(h.dir)
	score := func(st model.SourceType, v, lo, hi float64, better model.Better) func(*model.Feedback) {
		return func(f *model.Feedback) {
			f.SourceType, f.Score, f.ScoreMin, f.ScoreMax, f.ScoreBetter = st, num(v), num(lo), num(hi), better
		}
	}
	survey := func(code string, v float64) func(*model.Feedback) {
		return func(f *model.Feedback) {
			f.SourceType, f.Score, f.SurveyID = model.SourceSurvey, num(v), h.survey(t, code)
		}
	}
	nps := func(v float64) func(*model.Feedback) {
		return func(f *model.Feedback) {
			f.SourceType, f.Score, f.ScoreMetric = model.SourceSurvey, num(v), model.MetricNPS
		}
	}
	social := func(v float64) func(*model.Feedback) {
		return func(f *model.Feedback) { f.SourceType, f.Sentiment = model.SourceSocialMedia, num(v) }
	}
	kpi := func(v, target float64, better model.Better) func(*model.Feedback) {
		return func(f *model.Feedback) {
			f.SourceType, f.KPIValue, f.KPITarget, f.KPIBetter = model.SourceKPI, num(v), num(target), better
		}
	}
	kind := func(st model.SourceType, k model.FeedbackKind) func(*model.Feedback) {
		return func(f *model.Feedback) { f.SourceType, f.Kind = st, k }
	}
	both := func(a, b func(*model.Feedback)) func(*model.Feedback) {
		return func(f *model.Feedback) { a(f); b(f) }
	}
	const (
		created, out, quarantined = model.DecisionCreated, model.DecisionIgnored, model.DecisionQuarantined
		high, low                 = model.BetterHigh, model.BetterLow
	)
	tests := []struct {
		name     string
		edit     func(*model.Feedback)
		decision model.Decision
		reason   string
		severity model.Severity
	}{
		{"50 per cent is not negative", score(model.SourceSurvey, 3, 1, 5, high), out, ReasonNotNegative, ""},
		{"just below 50 is low", score(model.SourceSurvey, 49.99, 0, 100, high), created, ReasonScoreNegative, "low"},
		{"just above 25 is low", score(model.SourceSurvey, 25.01, 0, 100, high), created, ReasonScoreNegative, "low"},
		{"25 per cent is medium", score(model.SourceSurvey, 2, 1, 5, high), created, ReasonScoreNegative, "medium"},
		{"just above 10 is medium", score(model.SourceSurvey, 10.01, 0, 100, high), created, ReasonScoreNegative, "medium"},
		{"10 per cent is high", score(model.SourceSurvey, 10, 0, 100, high), created, ReasonScoreNegative, "high"},
		{"10 per cent is high in spite of binary fractions", score(model.SourceSurvey, 0.13, 0.1, 0.4, high), created, ReasonScoreNegative, "high"},
		{"50 per cent is not negative in spite of binary fractions", score(model.SourceSurvey, 3.3, 1.1, 5.5, high), out, ReasonNotNegative, ""},
		{"the worst is high", score(model.SourceSurvey, 1, 1, 5, high), created, ReasonScoreNegative, "high"},
		{"the best is not negative", score(model.SourceSurvey, 5, 1, 5, high), out, ReasonNotNegative, ""},
		{"inverted: 50 is not negative", score(model.SourceSurvey, 5, 0, 10, low), out, ReasonNotNegative, ""},
		{"inverted: just over the middle is low", score(model.SourceSurvey, 5.1, 0, 10, low), created, ReasonScoreNegative, "low"},
		{"inverted: 7.5 of 10 is medium", score(model.SourceSurvey, 7.5, 0, 10, low), created, ReasonScoreNegative, "medium"},
		{"inverted: 9 of 10 is high", score(model.SourceSurvey, 9, 0, 10, low), created, ReasonScoreNegative, "high"},
		{"a scale below zero works", score(model.SourceSurvey, -2, -2, 2, high), created, ReasonScoreNegative, "high"},
		{"the scale is known from the survey", survey("ONE-FIVE", 2), created, ReasonScoreNegative, "medium"},
		{"the better end is known from the survey", survey("PAIN", 9), created, ReasonScoreNegative, "high"},
		{"complaint resolution goes by score", score(model.SourceComplaintResolution, 1, 1, 5, high), created, ReasonScoreNegative, "high"},
		{"call centre goes by score", score(model.SourceCallCenter, 4, 1, 5, high), out, ReasonNotNegative, ""},
		{"a good score decides against kind complaint", both(kind(model.SourceSurvey, model.KindComplaint), score(model.SourceSurvey, 5, 1, 5, high)), out, ReasonNotNegative, ""},

		{"no better end", score(model.SourceSurvey, 1, 1, 5, ""), quarantined, ReasonScaleMissing, ""},
		{"no scale", func(f *model.Feedback) { f.SourceType, f.Score = model.SourceSurvey, num(1) }, quarantined, ReasonScaleMissing, ""},
		{"a scale without width", score(model.SourceSurvey, 1, 1, 1, high), quarantined, ReasonScaleInvalid, ""},
		{"a scale upside down", score(model.SourceSurvey, 1, 5, 1, high), quarantined, ReasonScaleInvalid, ""},
		{"an endless scale", score(model.SourceSurvey, 1, -math.MaxFloat64, math.MaxFloat64, high), quarantined, ReasonScaleInvalid, ""},
		{"a score above its scale", score(model.SourceSurvey, 6, 1, 5, high), quarantined, ReasonScoreOutOfRange, ""},
		{"a score below its scale", score(model.SourceSurvey, 0, 1, 5, high), quarantined, ReasonScoreOutOfRange, ""},
		{"a score that is no number", score(model.SourceSurvey, math.NaN(), 1, 5, high), quarantined, ReasonScoreOutOfRange, ""},
		{"no score, no kind", kind(model.SourceSurvey, ""), quarantined, ReasonScoreMissing, ""},
		{"no score, some other kind", kind(model.SourceCallCenter, model.KindOther), quarantined, ReasonScoreMissing, ""},
		{"a complaint by phone", kind(model.SourceCallCenter, model.KindComplaint), created, ReasonComplaint, "medium"},
		{"a complaint in a survey", kind(model.SourceSurvey, model.KindComplaint), created, ReasonComplaint, "medium"},
		{"praise by phone", kind(model.SourceCallCenter, model.KindPraise), out, ReasonPraise, ""},
		{"a question by phone", kind(model.SourceCallCenter, model.KindQuestion), out, ReasonNotNegative, ""},

		{"nps 0 is high", nps(0), created, ReasonNPSNegative, "high"},
		{"nps 2 is high", nps(2), created, ReasonNPSNegative, "high"},
		{"nps 3 is medium", nps(3), created, ReasonNPSNegative, "medium"},
		{"nps 4 is medium", nps(4), created, ReasonNPSNegative, "medium"},
		{"nps 5 is low", nps(5), created, ReasonNPSNegative, "low"},
		{"nps 6 is low", nps(6), created, ReasonNPSNegative, "low"},
		{"nps 7 is not negative", nps(7), out, ReasonNotNegative, ""},
		{"nps 10 is not negative", nps(10), out, ReasonNotNegative, ""},
		{"nps 11 does not exist", nps(11), quarantined, ReasonScoreOutOfRange, ""},
		{"nps 6.5 does not exist", nps(6.5), quarantined, ReasonScoreOutOfRange, ""},
		{"nps is known from the survey", survey("NPS", 4), created, ReasonNPSNegative, "medium"},
		{"nps on another scale", both(score(model.SourceSurvey, 3, 1, 5, high), func(f *model.Feedback) { f.ScoreMetric = model.MetricNPS }), quarantined, ReasonScaleInvalid, ""},
		{"an unknown metric", both(score(model.SourceSurvey, 3, 1, 5, high), func(f *model.Feedback) { f.ScoreMetric = "csat" }), quarantined, ReasonMetricUnknown, ""},

		{"sentiment -1 is medium", social(-1), created, ReasonSentimentNegative, "medium"},
		{"sentiment -0.6 is medium", social(-0.6), created, ReasonSentimentNegative, "medium"},
		{"sentiment -0.59 is not negative", social(-0.59), out, ReasonNotNegative, ""},
		{"sentiment outside its range", social(-1.01), quarantined, ReasonSentimentOutOfRange, ""},
		{"sentiment that is no number", social(math.NaN()), quarantined, ReasonSentimentOutOfRange, ""},
		{"no sentiment", kind(model.SourceSocialMedia, ""), quarantined, ReasonSentimentMissing, ""},
		{"a complaint in public without sentiment", kind(model.SourceSocialMedia, model.KindComplaint), created, ReasonComplaint, "medium"},

		{"kpi 5 per cent short is low", kpi(95, 100, high), created, ReasonKPINegative, "low"},
		{"kpi 5 per cent short in spite of binary fractions", kpi(0.57, 0.6, high), created, ReasonKPINegative, "low"},
		{"kpi 4.9 per cent short is not negative", kpi(95.1, 100, high), out, ReasonNotNegative, ""},
		{"kpi 9.9 per cent short is low", kpi(90.1, 100, high), created, ReasonKPINegative, "low"},
		{"kpi 10 per cent short is medium", kpi(90, 100, high), created, ReasonKPINegative, "medium"},
		{"kpi 19.9 per cent short is medium", kpi(80.1, 100, high), created, ReasonKPINegative, "medium"},
		{"kpi 20 per cent short is high", kpi(80, 100, high), created, ReasonKPINegative, "high"},
		{"kpi above target is not negative", kpi(130, 100, high), out, ReasonNotNegative, ""},
		{"kpi 20 per cent too long is high", kpi(36, 30, low), created, ReasonKPINegative, "high"},
		{"kpi shorter than its target is not negative", kpi(20, 30, low), out, ReasonNotNegative, ""},
		{"kpi with a target below zero", kpi(-24, -20, high), created, ReasonKPINegative, "high"},
		{"kpi target 0", kpi(1, 0, high), quarantined, ReasonKPITargetZero, ""},
		{"kpi without its better end", kpi(1, 2, ""), quarantined, ReasonKPIMissing, ""},
		{"kpi without value", func(f *model.Feedback) {
			f.SourceType, f.KPITarget, f.KPIBetter = model.SourceKPI, num(1), high
		}, quarantined, ReasonKPIMissing, ""},
		{"kpi that is no number", kpi(math.NaN(), 2, high), quarantined, ReasonKPIInvalid, ""},

		{"a complaint always", kind(model.SourceComplaint, ""), created, ReasonComplaint, "medium"},
		{"praise at the complaints desk", kind(model.SourceComplaint, model.KindPraise), out, ReasonPraise, ""},
		{"a manual entry always", kind(model.SourceManual, ""), created, ReasonAlways, "medium"},
		{"praise by hand", kind(model.SourceManual, model.KindPraise), out, ReasonPraise, ""},
		{"rounds always", kind(model.SourceRounds, model.KindSuggestion), created, ReasonAlways, "medium"},
		{"praise on rounds", kind(model.SourceRounds, model.KindPraise), out, ReasonPraise, ""},

		{"the higher of sent and derived: sent", both(nps(6), func(f *model.Feedback) { f.Severity = "critical" }), created, ReasonNPSNegative, "critical"},
		{"the higher of sent and derived: derived", both(nps(0), func(f *model.Feedback) { f.Severity = "low" }), created, ReasonNPSNegative, "high"},
		{"sent alone counts, below medium too", both(kind(model.SourceManual, ""), func(f *model.Feedback) { f.Severity = "low" }), created, ReasonAlways, "low"},
		{"a sent severity makes nothing negative", both(nps(9), func(f *model.Feedback) { f.Severity = "critical" }), out, ReasonNotNegative, ""},
		{"safety is at least high", both(nps(6), func(f *model.Feedback) { f.Category = model.CategoryPatientSafety }), created, ReasonNPSNegative, "high"},
		{"safety leaves critical", both(kind(model.SourceManual, ""), func(f *model.Feedback) {
			f.Category, f.Severity = model.CategoryPatientSafety, "critical"
		}), created, ReasonAlways, "critical"},
		{"safety makes nothing negative", both(nps(9), func(f *model.Feedback) { f.Category = model.CategoryPatientSafety }), out, ReasonNotNegative, ""},

		{"no hospital", func(f *model.Feedback) { f.HospitalID = nil }, quarantined, ReasonHospitalMissing, ""},
		{"an unknown hospital", func(f *model.Feedback) { f.HospitalID = model.NewID[model.Hospital]().Ptr() }, quarantined, ReasonHospitalUnknown, ""},
		{"another hospital's department", func(f *model.Feedback) { f.DepartmentID = h.department(t, "BER", "ED") }, quarantined, ReasonDepartmentUnknown, ""},
		{"an unknown source type", kind("fax", ""), quarantined, ReasonSourceTypeUnknown, ""},
		{"an unknown category", func(f *model.Feedback) { f.Category = "food" }, quarantined, ReasonCategoryUnknown, ""},
		{"an unknown severity", func(f *model.Feedback) { f.Severity = "urgent" }, quarantined, ReasonSeverityUnknown, ""},
		{"an unknown kind", kind(model.SourceComplaint, "rant"), quarantined, ReasonKindUnknown, ""},
		{"an unknown mode", func(f *model.Feedback) { f.Mode = "dry" }, quarantined, ReasonModeUnknown, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := h.complaint(t, "RUH", "ED")
			tt.edit(f)
			d := built.Decide(f, Loads{}, noon(), "RUH-26-0000001")
			if d.Decision != tt.decision || d.Reason != tt.reason || d.Severity != tt.severity {
				t.Errorf("got %s %s %q, want %s %s %q", d.Decision, d.Reason, d.Severity, tt.decision, tt.reason, tt.severity)
			}
			if (d.Outcome != nil) != (tt.decision == created) {
				t.Errorf("outcome %v for %s", d.Outcome, d.Decision)
			}
		})
	}
}

func TestTriggerScopes(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	r := h.rules(t, `
triggers:
  - {source_type: survey, score: {below: 10, bands: []}}
  - {source_system: qualtra, score: {below: 20}}
  - {hospital: RUH, score: {below: 30}, complaints: never}
  - {hospital: RUH, source_type: complaint, complaints: always}
  - {hospital: RUH, department: ED, score: {below: 40}}
  - {survey: ONE-FIVE, score: {bands: [{at_most: 30, severity: medium}, {at_most: 5, severity: critical}]}}
  - {hospital: BER, nps: [{at_most: 8, severity: low}], sentiment: [{at_most: -0.2, severity: low}, {at_most: -0.6, severity: high}]}
  - {hospital: BER, kpi: [{at_least: 1, severity: low}, {at_least: 50, severity: critical}], complaints: never}
`)
	at := func(hospital, department string, percent float64) *model.Feedback {
		f := h.complaint(t, hospital, department)
		f.SourceSystem, f.SourceType = "other", model.SourceSurvey
		f.Score, f.ScoreMin, f.ScoreMax, f.ScoreBetter = num(percent), num(0), num(100), model.BetterHigh
		return f
	}
	with := func(f *model.Feedback, edit func(*model.Feedback)) *model.Feedback { edit(f); return f }
	sentiment := func(f *model.Feedback, v float64) *model.Feedback {
		f.SourceType, f.Sentiment = model.SourceSocialMedia, &v
		return f
	}
	tests := []struct {
		name   string
		f      *model.Feedback
		reason string
		sev    model.Severity
	}{
		{"a department's trigger beats its hospital's", at("RUH", "ED", 39), ReasonScoreNegative, "low"},
		{"a department's trigger ends where it says", at("RUH", "ED", 40), ReasonNotNegative, ""},
		{"a hospital's trigger beats a source's", with(at("RUH", "LAB", 29), func(f *model.Feedback) { f.SourceSystem = "qualtra" }), ReasonScoreNegative, "low"},
		{"a source's trigger beats a source type's", with(at("BER", "ED", 19), func(f *model.Feedback) { f.SourceSystem = "qualtra" }), ReasonScoreNegative, "medium"},
		{"a source type's trigger beats the built-in", at("BER", "ED", 10), ReasonNotNegative, ""},
		{"without bands all is low", at("BER", "ED", 1), ReasonScoreNegative, "low"},
		{"the built-in counts where none fits", with(at("BER", "ED", 49), func(f *model.Feedback) { f.SourceType = model.SourceCallCenter }), ReasonScoreNegative, "low"},
		{"a survey's trigger beats a department's", with(at("RUH", "ED", 49), func(f *model.Feedback) { f.SurveyID = h.survey(t, "ONE-FIVE") }), ReasonScoreNegative, "low"},
		{"bands may come in any order", with(at("RUH", "ED", 5), func(f *model.Feedback) { f.SurveyID = h.survey(t, "ONE-FIVE") }), ReasonScoreNegative, "critical"},
		{"nps by policy", with(at("BER", "ED", 8), func(f *model.Feedback) { f.ScoreMetric, f.ScoreMin, f.ScoreMax = "nps", nil, nil }), ReasonNPSNegative, "low"},
		{"milder sentiment by policy", sentiment(at("BER", "ED", 0), -0.2), ReasonSentimentNegative, "low"},
		{"sentiment's bands come worst first", sentiment(at("BER", "ED", 0), -0.7), ReasonSentimentNegative, "high"},
		{"another hospital's sentiment is its own", sentiment(at("RUH", "ED", 0), -0.2), ReasonNotNegative, ""},
		{"kpi by policy", with(at("BER", "ED", 0), func(f *model.Feedback) {
			f.SourceType, f.KPIValue, f.KPITarget, f.KPIBetter = model.SourceKPI, num(1), num(2), model.BetterHigh
		}), ReasonKPINegative, "critical"},
		{"complaints off", h.complaint(t, "BER", "ED"), ReasonComplaintsOff, ""},
		{"complaints off counts for complaints by phone", with(h.complaint(t, "RUH", "ED"), func(f *model.Feedback) {
			f.SourceType, f.Kind = model.SourceCallCenter, model.KindComplaint
		}), ReasonComplaintsOff, ""},
		{"complaints on again for one source", h.complaint(t, "RUH", "ED"), ReasonComplaint, "medium"},
		{"rounds don't know the switch", with(h.complaint(t, "BER", "ED"), func(f *model.Feedback) { f.SourceType = model.SourceRounds }), ReasonAlways, "medium"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if d := r.Decide(tt.f, nil, noon(), ""); d.Reason != tt.reason || d.Severity != tt.sev {
				t.Errorf("got %s %s %q, want %s %q", d.Decision, d.Reason, d.Severity, tt.reason, tt.sev)
			}
		})
	}
}
