package sla

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/model"
)

const explainedTriggers = `
triggers:
  - {name: Emergency, hospital: RUH, department: ED, score: {below: 60, bands: [{at_most: 15, severity: high}, {at_most: 35, severity: medium}]}}
  - {hospital: BER, kpi: [{at_least: 8, severity: critical}, {at_least: 3, severity: low}]}
  - {name: Desk off, source_system: desk, complaints: never}
`

func value(x *float64) float64 {
	if x == nil {
		return 0
	}
	return *x
}

func TestExplainTrigger(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	r := h.rules(t, explainedTriggers)
	score := func(v float64) func(*model.Feedback) {
		return func(f *model.Feedback) {
			f.SourceType, f.Score, f.ScoreMin, f.ScoreMax, f.ScoreBetter = model.SourceSurvey, num(v), num(0), num(100), model.BetterHigh
		}
	}
	kpi := func(v float64) func(*model.Feedback) {
		return func(f *model.Feedback) {
			f.SourceType, f.KPIValue, f.KPITarget, f.KPIBetter = model.SourceKPI, num(v), num(100), model.BetterHigh
		}
	}
	tests := []struct {
		name               string
		hospital, dep      string
		edit               func(*model.Feedback)
		decision           model.Decision
		measure, rule      string
		percent, band      float64 // band: its limit; 0: none
		derived, severity  model.Severity
		raised, wantsScope bool
	}{
		{"a score in a band of the department's rule", "RUH", "ED", score(30), model.DecisionCreated, MeasureScore, "Emergency", 30, 35, "medium", "medium", false, true},
		{"a score under the limit and above all bands", "RUH", "ED", score(55), model.DecisionCreated, MeasureScore, "Emergency", 55, 0, "low", "low", false, true},
		{"a score that is not negative lies in no band", "RUH", "ED", score(60), model.DecisionIgnored, MeasureScore, "Emergency", 60, 0, "", "", false, true},
		{"elsewhere the built-in rule", "RUH", "LAB", score(10), model.DecisionCreated, MeasureScore, "", 10, 10, "high", "high", false, false},
		{"a rule without a name goes by its place", "BER", "ED", kpi(96), model.DecisionCreated, MeasureKPI, "trigger 2", 4, 3, "low", "low", false, true},
		{"a KPI by the built-in rule", "RUH", "ED", kpi(96), model.DecisionIgnored, MeasureKPI, "", 4, 0, "", "", false, false},
		{"the sent severity is graver", "RUH", "LAB", func(f *model.Feedback) { score(40)(f); f.Severity = "critical" }, model.DecisionCreated, MeasureScore, "", 40, 0, "low", "critical", false, false},
		{"safety raises it", "RUH", "LAB", func(f *model.Feedback) { score(40)(f); f.Category = model.CategoryPatientSafety }, model.DecisionCreated, MeasureScore, "", 40, 0, "low", "high", true, false},
		{"safety raises nothing that is high", "RUH", "LAB", func(f *model.Feedback) { score(5)(f); f.Category = model.CategoryPatientSafety }, model.DecisionCreated, MeasureScore, "", 5, 10, "high", "high", false, false},
		{"complaints are off", "RUH", "ED", func(*model.Feedback) {}, model.DecisionIgnored, MeasureComplaints, "Desk off", 0, 0, "", "", false, true},
		{"rounds have no value", "RUH", "ED", func(f *model.Feedback) { f.SourceType = model.SourceRounds }, model.DecisionCreated, MeasureSource, "", 0, 0, "", "medium", false, false},
		{"a score off its scale lies in no band", "RUH", "ED", score(101), model.DecisionQuarantined, MeasureScore, "Emergency", 0, 0, "", "", false, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := h.complaint(t, tt.hospital, tt.dep)
			tt.edit(f)
			got := r.ExplainTrigger(f)
			assert.Equal(t, []any{tt.decision, tt.measure, tt.derived, tt.severity, tt.raised}, []any{got.Decision, got.Measure, got.Derived, got.Severity, got.Raised})
			if tt.measure != MeasureSource {
				require.NotNil(t, got.Rule)
				assert.Equal(t, tt.rule, got.Rule.Name)
				assert.Equal(t, tt.wantsScope, len(got.Rule.Scope) > 0, got.Rule.Scope)
			}
			assert.InDelta(t, tt.percent, value(got.Percent), 0)
			limit := 0.0
			if got.Band != nil {
				limit = value(got.Band.AtMost) + value(got.Band.AtLeast)
			}
			assert.InDelta(t, tt.band, limit, 0)
			d := r.Decide(f, nil, noon(), "")
			assert.Equal(t, []any{d.Decision, d.Reason, d.Severity}, []any{got.Decision, got.Reason, got.Severity}, "as Decide decides")
		})
	}
}

func TestExplainTriggerOfHistorySaysWhatItWouldBe(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	r := BuiltIn(h.dir)
	f := h.complaint(t, "RUH", "ED")
	f.Mode = model.ModeHistory
	got, would := r.ExplainTrigger(f), r.Decide(f, nil, noon(), "").Would
	assert.Equal(t, *would, Verdict{got.Decision, got.Reason, got.Severity})
}

func TestExplainRouting(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	r := h.rules(t, `routing:
  - {name: safety, category: patient_safety, severity: high, priority: 9}
  - {name: lab, hospital: RUH, department: LAB, priority: 8}
  - {name: berlin, hospital: BER, priority: 7}
  - {name: off, priority: 6, is_active: false}
  - {name: into, hospital: RUH, source_type: complaint, assign_to_department: LAB, priority: 5}
  - {name: rest, priority: 4}`)
	tests := []struct {
		name, hospital, dep    string
		edit                   func(*model.Feedback)
		tried                  []string // and what did not fit
		after, others, offLine int
		into                   string
	}{
		{
			"every condition that fails is named, up to the fit", "RUH", "ED", func(*model.Feedback) {},
			[]string{"safety: category patient_safety/other severity high/medium", "lab: department LAB/ED", "into:"}, 1, 1, 1, "LAB",
		},
		{
			"no department is none", "RUH", "", func(f *model.Feedback) { f.SourceType = model.SourceRounds },
			[]string{"safety: category patient_safety/other severity high/medium", "lab: department LAB/", "into: source_type complaint/rounds", "rest:"}, 0, 1, 1, "",
		},
		{
			"the first may fit", "RUH", "LAB", func(f *model.Feedback) { f.Category = model.CategoryPatientSafety; f.Severity = "high" },
			[]string{"safety:"}, 3, 1, 1, "LAB",
		},
		{"another hospital has rules of its own", "BER", "ED", func(*model.Feedback) {}, []string{"safety: category patient_safety/other severity high/medium", "berlin:"}, 1, 2, 1, "ED"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := h.complaint(t, tt.hospital, tt.dep)
			tt.edit(f)
			d := r.Decide(f, nil, noon(), "")
			got := r.ExplainRouting(f, d.Severity)
			var tried []string
			for _, x := range got.Tried {
				s := x.Name + ":"
				for _, m := range x.Fails {
					s += fmt.Sprintf(" %s %s/%s", m.Condition, m.Want, m.Have)
				}
				tried = append(tried, s)
			}
			assert.Equal(t, tt.tried, tried)
			assert.Equal(t, []int{tt.after, tt.others, tt.offLine}, []int{got.After, got.Others, got.Inactive})
			assert.Equal(t, tt.into, h.dir.departmentCode(got.Department))
			assert.Equal(t, d.Route.Rule.ID, got.Fit().Rule.ID, "as Route decides")
			assert.Equal(t, model.Deref(d.Outcome.Action.DepartmentID), model.Deref(got.Department))
		})
	}
}

func TestExplainRoutingWithoutRules(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	got := BuiltIn(h.dir).ExplainRouting(h.complaint(t, "RUH", "ED"), "low")
	assert.Empty(t, got.Tried)
	assert.Nil(t, got.Fit())
	assert.Equal(t, "ED", h.dir.departmentCode(got.Department))
}

func TestExplainConfigs(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	r := h.rules(t, `sla:
  - {name: all}
  - {name: riyadh, hospital: RUH}
  - {name: old, hospital: RUH, is_active: false}
  - {name: emergency, hospital: RUH, department: ED}
  - {name: lab, hospital: RUH, department: LAB, is_active: false}`)
	tests := []struct {
		name, hospital, dep string
		want                []string // the winner with a star, what is off with a minus
	}{
		{"the department's wins", "RUH", "ED", []string{"department emergency*", "hospital riyadh", "hospital old-", "global all", "built_in built-in"}},
		{"one switched off does not", "RUH", "LAB", []string{"department lab-", "hospital riyadh*", "hospital old-", "global all", "built_in built-in"}},
		{"no department", "RUH", "", []string{"hospital riyadh*", "hospital old-", "global all", "built_in built-in"}},
		{"the one for all", "BER", "ED", []string{"global all*", "built_in built-in"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := h.complaint(t, tt.hospital, tt.dep)
			var got []string
			for _, c := range r.ExplainConfigs(*f.HospitalID, f.DepartmentID) {
				s := c.Scope + " " + c.Name
				switch {
				case c.Wins:
					s += "*"
				case !c.Active:
					s += "-"
				}
				got = append(got, s)
			}
			assert.Equal(t, tt.want, got)
		})
	}
	none := BuiltIn(h.dir).ExplainConfigs(*h.hospital(t, "RUH"), nil)
	assert.Len(t, none, 1)
	assert.True(t, none[0].Wins, "the built-in one where there is no other")
}

// TestTheStoryRecordsHowTheOwnerWasChosen: later the directory says otherwise.
func TestTheStoryRecordsHowTheOwnerWasChosen(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, policy string
		directory    func(*DirectoryDoc)
		department   string
		live         []int // of ann, bob
		want         model.LogMetadata
	}{
		{
			"the fewest of a department", "{name: a, assign_to_role: Staff}", nil, "ED", []int{3, 2},
			model.LogMetadata{"owner": "bob", "owner_by": ByRole, "owner_live": 2, "owner_at": AtDepartment, "owner_of": 2, "owner_tied": 1, "department": "ED"},
		},
		{
			"the hospital's where the department's have enough", "{name: a, assign_to_role: Staff}", nil, "ED", []int{9, 9},
			model.LogMetadata{"owner": "cas", "owner_at": AtHospital, "owner_of": 3, "owner_tied": 1, "owner_live": 0, "owner_passed_over": AtDepartment},
		},
		{
			"as few as another", "{name: a, assign_to_role: Staff}", nil, "ED", []int{2, 2},
			model.LogMetadata{"owner": "ann", "owner_live": 2, "owner_of": 2, "owner_tied": 2},
		},
		{
			"who stands in for all who are away", "{name: a, assign_to_role: Staff}", absent(map[string]string{"ann": "dep", "bob": "dep"}), "ED", []int{0, 0},
			model.LogMetadata{"owner": "dep", "owner_stands_in": true, "owner_at": AtDepartment},
		},
		{
			"who stands in for whom the rule names", "{name: a, assign_to_user: out}", nil, "ED", []int{0, 1},
			model.LogMetadata{"owner": "bob", "owner_by": ByUser, "owner_for": "out", "owner_live": 1, "owner_at": nil},
		},
		{
			"who stands in for the manager", "{name: a, assign_to_role: Chaplain}", absent(map[string]string{"mgr": "dep"}), "ED", []int{0, 0},
			model.LogMetadata{"owner": "dep", "owner_by": ByManager, "owner_for": "mgr", "owner_at": nil},
		},
		{"the whole hospital's", "{name: a}", nil, "LAB", []int{0, 0}, model.LogMetadata{"owner": "pxa", "owner_by": ByPXAdmin, "owner_at": AtHospital, "owner_of": 2, "department": "LAB"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, tt.directory)
			r := h.rules(t, "load_cap: 5\nrouting: ["+tt.policy+"]")
			loads := Loads{h.user(t, "ann"): {Live: tt.live[0]}, h.user(t, "bob"): {Live: tt.live[1]}}
			logs := r.Decide(h.complaint(t, "RUH", tt.department), loads, noon(), "").Outcome.Logs
			i := slices.IndexFunc(logs, func(l model.ActionLog) bool { return l.LogType == model.LogCreated })
			for key, want := range tt.want {
				assert.Equal(t, want, logs[i].Metadata.V[key], key)
			}
		})
	}
}
