package sla

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/model"
)

const raisingPolicy = `
triggers:
  - name: Grave words
    raise:
      - {category: staff_behavior, severity: high}
      - {keywords: [wrong medication, "abus*", خطأ], severity: critical}
      - {category: facility, keywords: fell, severity: critical, negative: true}
      - {keywords: refund, severity: low, negative: true}
  - {source_system: qualtra, raise: [{keywords: [dirty], severity: high, negative: true}], score: {below: 90}}
  - {hospital: BER, raise: []}
  - {hospital: BER, source_type: complaint, complaints: never}
  - {hospital: RUH, source_type: complaint, department: LAB, complaints: never}
`

func TestRaise(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	r := h.rules(t, raisingPolicy)
	survey := func(f *model.Feedback, v float64) {
		f.SourceType, f.Score, f.ScoreMin, f.ScoreMax, f.ScoreBetter = model.SourceSurvey, num(v), num(0), num(10), model.BetterHigh
	}
	const created, ignored, quarantined = model.DecisionCreated, model.DecisionIgnored, model.DecisionQuarantined
	tests := []struct {
		name, hospital, department string
		edit                       func(*model.Feedback)
		decision                   model.Decision
		reason                     string
		severity                   model.Severity
		raise                      string
	}{
		{"nothing fits", "RUH", "ED", func(f *model.Feedback) { f.Text = "It was cold" }, created, ReasonComplaint, "medium", ""},
		{"a category", "RUH", "ED", func(f *model.Feedback) { f.Category = model.CategoryStaffBehavior }, created, ReasonComplaint, "high", "Grave words: category medium>high"},
		{"a word of the text", "RUH", "ED", func(f *model.Feedback) { f.Text = "the Wrong\nMedication!" }, created, ReasonComplaint, "critical", "Grave words: keywords medium>critical"},
		{"a word of the title", "RUH", "ED", func(f *model.Feedback) { f.Title = "Abusive" }, created, ReasonComplaint, "critical", "Grave words: keywords medium>critical"},
		{"an Arabic word with its signs", "RUH", "ED", func(f *model.Feedback) { f.Text = "خَطَـأ في الدواء" }, created, ReasonComplaint, "critical", "Grave words: keywords medium>critical"},
		{"a phrase does not go from the title into the text", "RUH", "ED", func(f *model.Feedback) { f.Title, f.Text = "wrong", "medication" }, created, ReasonComplaint, "medium", ""},
		{"the gravest of those that fit", "RUH", "ED", func(f *model.Feedback) { f.Category, f.Text = model.CategoryStaffBehavior, "abused" }, created, ReasonComplaint, "critical", "Grave words: keywords medium>critical"},
		{"category and word, both there", "RUH", "ED", func(f *model.Feedback) { f.Category, f.Text = model.CategoryFacility, "he fell" }, created, ReasonComplaint, "critical", "Grave words: category keywords medium>critical"},
		{"category and word, the word alone", "RUH", "ED", func(f *model.Feedback) { f.Text = "he fell" }, created, ReasonComplaint, "medium", ""},
		{"category and word, the category alone", "RUH", "ED", func(f *model.Feedback) { f.Category = model.CategoryFacility }, created, ReasonComplaint, "medium", ""},
		{"it never lowers", "RUH", "ED", func(f *model.Feedback) { f.Severity, f.Category = "critical", model.CategoryStaffBehavior }, created, ReasonComplaint, "critical", ""},
		{"nor does low", "RUH", "ED", func(f *model.Feedback) { f.Text = "refund" }, created, ReasonComplaint, "medium", ""},
		{"on top of safety", "RUH", "ED", func(f *model.Feedback) { f.Category, f.Text = model.CategoryPatientSafety, "abuse" }, created, ReasonComplaint, "critical", "Grave words: keywords high>critical"},
		{"a derived severity", "RUH", "ED", func(f *model.Feedback) { survey(f, 4); f.Category = model.CategoryStaffBehavior }, created, ReasonScoreNegative, "high", "Grave words: category low>high"},

		{"a good score stays one", "RUH", "ED", func(f *model.Feedback) { survey(f, 9); f.Text = "wrong medication" }, ignored, ReasonNotNegative, "", ""},
		{"a good score with what turns it", "RUH", "ED", func(f *model.Feedback) { survey(f, 9); f.Category, f.Text = model.CategoryFacility, "fell" }, created, ReasonRaised, "critical", "Grave words: category keywords not_negative>critical"},
		{"what turns it may be low", "RUH", "ED", func(f *model.Feedback) { survey(f, 9); f.Text = "refund" }, created, ReasonRaised, "low", "Grave words: keywords not_negative>low"},
		{"the sent severity counts then", "RUH", "ED", func(f *model.Feedback) { survey(f, 9); f.Text, f.Severity = "refund", "high" }, created, ReasonRaised, "high", "Grave words: keywords not_negative>low"},
		{"safety counts then", "RUH", "ED", func(f *model.Feedback) { survey(f, 9); f.Text, f.Category = "refund", model.CategoryPatientSafety }, created, ReasonRaised, "high", "Grave words: keywords not_negative>low"},
		{"once turned, all that fit raise", "RUH", "ED", func(f *model.Feedback) { survey(f, 9); f.Text, f.Category = "refund", model.CategoryStaffBehavior }, created, ReasonRaised, "high", "Grave words: category keywords not_negative>high"},
		{"a suggestion", "RUH", "ED", func(f *model.Feedback) {
			f.SourceType, f.Kind, f.Text = model.SourceCallCenter, model.KindSuggestion, "refund"
		}, created, ReasonRaised, "low", "Grave words: keywords not_negative>low"},
		{"a complaint where there are none", "RUH", "LAB", func(f *model.Feedback) { f.Text = "refund" }, created, ReasonRaised, "low", "Grave words: keywords complaints_off>low"},
		{"praise stays praise", "RUH", "ED", func(f *model.Feedback) { f.Kind, f.Text = model.KindPraise, "refund" }, ignored, ReasonPraise, "", ""},
		{"praise with a good score, too", "RUH", "ED", func(f *model.Feedback) { survey(f, 9); f.Kind, f.Text = model.KindPraise, "refund" }, ignored, ReasonNotNegative, "", ""},
		{"praise with a bad score is negative as ever", "RUH", "ED", func(f *model.Feedback) { survey(f, 4); f.Kind, f.Text = model.KindPraise, "abuse" }, created, ReasonScoreNegative, "critical", "Grave words: keywords low>critical"},
		{"no score at all", "RUH", "ED", func(f *model.Feedback) { f.SourceType, f.Text = model.SourceSurvey, "refund" }, created, ReasonRaised, "low", "Grave words: keywords score_missing>low"},
		{"no sentiment", "RUH", "ED", func(f *model.Feedback) { f.SourceType, f.Text = model.SourceSocialMedia, "refund" }, created, ReasonRaised, "low", "Grave words: keywords sentiment_missing>low"},
		{"no score and no word", "RUH", "ED", func(f *model.Feedback) { f.SourceType, f.Text = model.SourceSurvey, "abuse" }, quarantined, ReasonScoreMissing, "", ""},
		{"a score off its scale is to be mended", "RUH", "ED", func(f *model.Feedback) { survey(f, 11); f.Text = "refund" }, quarantined, ReasonScoreOutOfRange, "", ""},

		{"the most specific list decides alone", "RUH", "ED", func(f *model.Feedback) { f.SourceSystem, f.Text = "qualtra", "wrong medication" }, created, ReasonComplaint, "medium", ""},
		{"a trigger without a name goes by its place", "RUH", "ED", func(f *model.Feedback) { f.SourceSystem, f.Text = "qualtra", "dirty" }, created, ReasonComplaint, "high", "trigger 2: keywords medium>high"},
		{"an empty list raises nothing", "BER", "ED", func(f *model.Feedback) { f.SourceType, f.Text = model.SourceRounds, "wrong medication" }, created, ReasonAlways, "medium", ""},
		{"another key does not hide the list", "RUH", "LAB", func(f *model.Feedback) { f.SourceType, f.Text = model.SourceRounds, "abuse" }, created, ReasonAlways, "critical", "Grave words: keywords medium>critical"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := h.complaint(t, tt.hospital, tt.department)
			tt.edit(f)
			d := r.Decide(f, nil, noon(), "")
			assert.Equal(t, []any{tt.decision, tt.reason, tt.severity, tt.raise}, []any{d.Decision, d.Reason, d.Severity, raiseText(d.Raise)})
			x := r.ExplainTrigger(f)
			assert.Equal(t, []any{d.Decision, d.Reason, d.Severity, d.Raise}, []any{x.Decision, x.Reason, x.Severity, x.Raise}, "as Decide decides")

			// What was recorded explains it when the words are gone.
			if d.Outcome != nil {
				recorded := RaiseOf(createdFacts(t, d.Outcome))
				assert.Equal(t, d.Raise, recorded)
				f.Title, f.Text = "", ""
				assert.Equal(t, x, r.ExplainRecordedTrigger(f, recorded))
			}

			tt.edit(f)
			f.Mode = model.ModeHistory
			if history := r.Decide(f, nil, noon(), ""); tt.decision != quarantined {
				assert.Equal(t, &Verdict{tt.decision, tt.reason, tt.severity}, history.Would)
				assert.Equal(t, ReasonHistory, history.Reason)
			}
		})
	}
}

func raiseText(r *Raise) string {
	if r == nil {
		return ""
	}
	s := r.Trigger + ":"
	if r.Category {
		s += " category"
	}
	if r.Keywords {
		s += " keywords"
	}
	return fmt.Sprintf("%s %s%s>%s", s, r.From, r.Instead, r.To)
}

// createdFacts are the facts of an action's first log row, as the database gives
// them back.
func createdFacts(t *testing.T, out *Outcome) model.LogMetadata {
	t.Helper()
	i := slices.IndexFunc(out.Logs, func(l model.ActionLog) bool { return l.LogType == model.LogCreated })
	src, err := json.Marshal(out.Logs[i].Metadata.V)
	require.NoError(t, err)
	var back model.LogMetadata
	require.NoError(t, json.Unmarshal(src, &back))
	return back
}

// TestARaiseRepeatsNoWords: the story, its facts and the messages hold neither
// the word that was found nor any that was asked for.
func TestARaiseRepeatsNoWords(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	r := h.rules(t, `triggers: [{name: Grave, raise: [{keywords: ["abus*", fell], severity: critical, negative: true}]}]`)
	f := h.complaint(t, "RUH", "ED")
	f.Text = "She was abused and fell"
	d := r.Decide(f, nil, noon(), "")
	require.NotNil(t, d.Raise)
	told, err := json.Marshal([]any{d.Outcome.Logs, d.Outcome.Messages, d.Outcome.Events, d.Raise, d.Reason, r.ExplainTrigger(f)})
	require.NoError(t, err)
	for _, word := range []string{"abus", "fell"} {
		assert.NotContains(t, string(told), word)
	}
}

// TestRaisesNeverLower on feedback of all kinds: against the same policy without
// raises, nothing is less negative or less grave.
func TestRaisesNeverLower(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	plain := h.rules(t, "")
	raising := h.rules(t, `triggers: [{raise: [{category: staff_behavior, severity: medium}, {keywords: bad, severity: high, negative: true}, {keywords: worse, severity: critical}]}]`)
	for _, st := range model.SourceTypes() {
		for _, category := range append(model.Categories(), "") {
			for _, kind := range append(model.FeedbackKinds(), "") {
				for _, sev := range append(model.Severities(), "") {
					for i, text := range []string{"", "bad", "worse", "bad and worse"} {
						f := h.complaint(t, "RUH", "ED")
						f.SourceType, f.Category, f.Kind, f.Severity, f.Text = st, category, kind, sev, text
						if i%2 == 0 {
							f.Score, f.ScoreMin, f.ScoreMax, f.ScoreBetter = num(float64(3*i)), num(0), num(10), model.BetterHigh
						}
						before, after := plain.Decide(f, nil, noon(), ""), raising.Decide(f, nil, noon(), "")
						if before.Decision == model.DecisionCreated && after.Decision != before.Decision || after.Severity.Rank() < before.Severity.Rank() ||
							(after.Raise != nil) != (after.Severity != before.Severity || after.Decision != before.Decision) {
							t.Errorf("%s %s %s %s %q: %s %s, was %s %s", st, category, kind, sev, text, after.Decision, after.Severity, before.Decision, before.Severity)
						}
					}
				}
			}
		}
	}
}

// BenchmarkDecideByWords: 200 keywords over a text of 2,000 characters, beside
// the same without keywords.
func BenchmarkDecideByWords(b *testing.B) {
	keywords := make([]string, 200)
	for i := range keywords {
		keywords[i] = fmt.Sprintf("%s %c%d%s", []string{"wrong", "the nurse", "الدواء", "broken"}[i%4], 'a'+i%26, i, []string{"", "*"}[i%2])
	}
	spec := RaiseSpec{Keywords: keywords, Severity: model.SeverityCritical}
	for name, text := range map[string]string{
		"latin":  strings.Repeat("We waited for hours, and the nurse gave him the wrong one. ", 40)[:2000],
		"arabic": string([]rune(strings.Repeat("انتظرنا لساعات، وأعطته الممرضةُ الدواءَ الخطأ في الليل. ", 50))[:2000]),
	} {
		for with, raise := range map[string][]RaiseSpec{"without": {}, "keywords": {spec}} {
			b.Run(name+"/"+with, func(b *testing.B) {
				h := newHouse(b, nil)
				r, err := Compile(&Policy{Triggers: []TriggerSpec{{Raise: raise}}}, 1, h.dir)
				if err != nil {
					b.Fatal(err)
				}
				f := h.complaint(b, "RUH", "ED")
				f.Text = text
				b.ReportAllocs()
				for b.Loop() {
					if d := r.Decide(f, nil, noon(), "RUH-26-0000001"); d.Severity != model.SeverityMedium {
						b.Fatal(d.Severity)
					}
				}
			})
		}
	}
}
