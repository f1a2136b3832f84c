package sla

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pxactions/px/model"
)

// faultsOf writes an error's faults as "field: want", one a line.
func faultsOf(t *testing.T, err error) string {
	t.Helper()
	var faults model.FieldErrors
	if err != nil && !errors.As(err, &faults) {
		t.Fatalf("not field errors: %v", err)
	}
	lines := make([]string, len(faults))
	for i, f := range faults {
		lines[i] = f.Error()
		if f.Code == "" {
			t.Errorf("%s has no code", f.Field)
		}
	}
	return strings.Join(lines, "\n")
}

func TestPolicyFaults(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, src, want string }{
		{"no window to merge in", "merge: {window: 0h}", "merge.window: line 1: must be above 0 and at most ten years; for no merging at all say is_active: false"},
		{"an unknown key", "max_age: 7d\nslas: []", "slas: line 2: unknown key, must be one of max_age, load_cap, restricted_readers, root_causes, merge, retention, calendars, triggers"},
		{"an unknown key inside", "routing:\n- name: a\n  prio: 3", "routing[0].prio: line 3: unknown key"},
		{"a key twice", "max_age: 1d\nmax_age: 2d", "max_age: line 1: must stand here only once, line 2 repeats it"},
		{"no YAML", "routing: [", "document: line 1: "},
		{"two documents", "max_age: 1d\n---\nmax_age: 1d", "document: line 3: must be one document"},
		{"a list for a document", "- a", "document: line 1: must be a mapping"},
		{"a mapping for a list", "routing:\n  name: a", "routing: line 1: must be a list"},
		{"a list for a mapping", "triggers:\n- score: [1]", "triggers[0].score: line 2: must be a mapping"},
		{"a list for a value", "routing:\n- name: [a]", "routing[0].name: line 2: must be a single value"},
		{"an empty element", "routing:\n- name: a\n-", "routing[1]: line 3: must not be empty"},
		{"an alias to nowhere", "max_age: *x", "max_age: line 1: names an anchor"},
		{"an alias for the whole", "*x", "document: line 1: names an anchor"},
		{"an alias to what it stands in", "routing: &x [*x]", "routing[0]: line 1: must be a mapping"},
		{"words for a number", "sla:\n- name: a\n  low_hours: ten", "sla[0].low_hours: line 3: must be a whole number"},
		{"a fraction for whole hours", "sla:\n- name: a\n  low_hours: 0.5", "sla[0].low_hours: line 3: must be a whole number"},
		{"yes for true", "sla:\n- name: a\n  is_active: yes", "sla[0].is_active: line 3: must be true or false"},
		{"infinity", "sla:\n- name: a\n  stages: {low: [{after_hours: .inf}]}", "stages.low[0].after_hours: line 3: must be a number"},
		{"an unknown reopening", "sla:\n- name: a\n  reopen: later", "sla[0].reopen: line 3: \"later\" is unknown, must be one of fresh, remaining"},
		{"a target of nothing", "sla:\n- name: a\n  targets: {low: 0h}", "sla[0].targets.low: line 3: must be above 0"},
		{"a target that is none", "sla:\n- name: a\n  targets: {low: 3 days}", "sla[0].targets.low: line 3: must be a length of time or of working days"},
		{"reminders twice", "sla:\n- name: a\n  reminders: 4h\n  reminder_hours_before: 4", "sla[0].reminders: line 3: must not stand beside reminder_hours_before"},
		{"a reminder of no length", "sla:\n- name: a\n  reminders: 0h", "sla[0].reminders[0]: line 3: must be above 0"},
		{"per cent of working days", "sla:\n- name: a\n  targets: {low: 3wd}\n  reminders: 75%", "sla[0].reminders[0]: line 4: per cent needs a target in hours"},
		{"a stage's unknown clock", "sla:\n- name: a\n  stages: {low: [{after_hours: 1, clock: wall}]}", "sla[0].stages.low[0].clock: line 3: \"wall\" is unknown"},
		{"a stage's unknown channel", "sla:\n- name: a\n  stages: {low: [{after_hours: 1, channels: [fax]}]}", "sla[0].stages.low[0].channels[0]: line 3: \"fax\" is unknown"},
		{"a stage that never ends", "sla:\n- name: a\n  stages: {low: [{after_hours: 1, repeat: 21}]}", "sla[0].stages.low[0].repeat: line 3: must be from 0 to 20"},
		{"a calendar twice", "calendars:\n- {name: a, timezone: UTC, always_open: true}\n- {name: a, timezone: UTC, always_open: true}", "calendars[1].name: line 3: must be unique, calendars[0] (line 2) has the name \"a\" already"},
		{"a calendar without open time", "calendars:\n- {name: a, timezone: UTC}", "calendars[0].weekly: line 2: a window on one weekday"},
		{"an age without unit", "max_age: 7", "max_age: line 1: must be a length of time with its unit"},
		{"an age below zero", "max_age: -1h", "max_age: line 1: must be above 0"},

		{"an unknown source type", "routing:\n- name: a\n  source_type: fax", `routing[0].source_type: line 3: "fax" is unknown, must be one of survey, complaint,`},
		{"an unknown category", "routing:\n- name: a\n  category: food", `routing[0].category: line 3: "food" is unknown`},
		{"an unknown severity", "routing:\n- name: a\n  severity: urgent", `routing[0].severity: line 3: "urgent" is unknown, must be one of low, medium, high, critical`},
		{"a rule without name", "routing:\n- category: other", "routing[0].name: line 2: must be 1 to 200"},
		{"a blank role", "routing:\n- name: a\n  assign_to_role: ' '", "routing[0].assign_to_role: line 3: must be the name of a role"},
		{"a priority beyond its column", "routing:\n- name: a\n  priority: 3000000000", "routing[0].priority: line 3: must be from"},
		{"a department without hospital", "routing:\n- name: a\n  department: ED", "routing[0].hospital: line 2: required with department"},
		{"a target department without hospital", "routing:\n- name: a\n  assign_to_department: ED", "routing[0].hospital: line 2: required with assign_to_department"},

		{"a trigger that says nothing", "triggers:\n- hospital: RUH", "triggers[0]: line 2: says nothing"},
		{"two triggers of one scope", "triggers:\n- {hospital: RUH, nps: []}\n- {hospital: RUH, complaints: always, nps: []}", "triggers[1].nps: line 3: is already set for this scope by triggers[0] (line 2)"},
		{"a trigger that never applies", "triggers:\n- {source_type: survey, kpi: []}", "triggers[0].kpi: line 2: never applies to source_type survey"},
		{"an unknown switch", "triggers:\n- complaints: sometimes", `triggers[0].complaints: line 2: "sometimes" is unknown, must be one of always, never`},
		{"a threshold above 100", "triggers:\n- score: {below: 101}", "triggers[0].score.below: line 2: must be above 0 and at most 100"},
		{"a band above the threshold", "triggers:\n- score: {bands: [{at_most: 50, severity: low}]}", "triggers[0].score.bands[0].at_most: line 2: must be less than 50"},
		{"a band without severity", "triggers:\n- nps: [{at_most: 3}]", "triggers[0].nps[0].severity: line 2: must be one of low"},
		{"two bands of one edge", "triggers:\n- nps: [{at_most: 3, severity: low}, {at_most: 3, severity: high}]", "triggers[0].nps[1].at_most: line 2: 3 stands in another band too"},
		{"sentiment outside its range", "triggers:\n- sentiment: [{at_most: -2, severity: low}]", "triggers[0].sentiment[0].at_most: line 2: must be from -1 to 1"},
		{"a raise for nothing", "triggers:\n- raise: [{severity: high}]", "triggers[0].raise[0]: line 2: must have a category, keywords, or both"},
		{"a raise to nothing", "triggers:\n- raise:\n  - category: other", "triggers[0].raise[0].severity: line 3: must be one of low"},
		{"a raise of an unknown category", "triggers:\n- raise: [{category: food, severity: high}]", "triggers[0].raise[0].category: line 2: \"food\" is unknown"},
		{"a raise without a keyword", "triggers:\n- raise: [{category: other, keywords: [], severity: high}]", "triggers[0].raise[0].keywords: line 2: must have one word or phrase at least"},
		{"a blank keyword", "triggers:\n- raise:\n  - severity: high\n    keywords:\n    - fell\n    - ' '", "triggers[0].raise[0].keywords[1]: line 6: must be a word or a phrase"},
		{"a keyword of nothing that is seen", "triggers:\n- raise: [{keywords: [ـ], severity: high}]", "triggers[0].raise[0].keywords[0]: line 2: must be a word or a phrase"},
		{"every word", "triggers:\n- raise: [{keywords: ['*'], severity: high}]", "triggers[0].raise[0].keywords[0]: line 2: must be a word or a phrase"},
		{"a keyword that is too long", "triggers:\n- raise: [{keywords: [" + strings.Repeat("خ", 101) + "], severity: high}]", "triggers[0].raise[0].keywords[0]: line 2: must be at most 100 characters"},
		{"a star inside", "triggers:\n- raise: [{keywords: ['fe*ll'], severity: high}]", "triggers[0].raise[0].keywords[0]: line 2: must have * at its end only"},
		{"a star before", "triggers:\n- raise: [{keywords: ['*fell'], severity: high}]", "triggers[0].raise[0].keywords[0]: line 2: must have * at its end only"},
		{"two stars", "triggers:\n- raise: [{keywords: ['fell**'], severity: high}]", "triggers[0].raise[0].keywords[0]: line 2: must have * at its end only"},
		{"a star behind a blank", "triggers:\n- raise: [{keywords: ['fell *'], severity: high}]", "triggers[0].raise[0].keywords[0]: line 2: must have * at its end only"},
		{"a star behind a sign", "triggers:\n- raise: [{keywords: ['fell!*'], severity: high}]", "triggers[0].raise[0].keywords[0]: line 2: must have * at its end only"},
		{"a keyword twice", "triggers:\n- raise: [{keywords: [Café, fell, cafe], severity: high}]", "triggers[0].raise[0].keywords[2]: line 2: is the same as keywords[0]"},
		{"two lists of raises for one scope", "triggers:\n- raise: []\n- raise: []", "triggers[1].raise: line 3: is already set for this scope by triggers[0]"},
		{"kpi on target", "triggers:\n- kpi: [{at_least: 0, severity: low}]", "triggers[0].kpi[0].at_least: line 2: must be above 0"},

		{"words kept below no days", "retention: {words_days: -1}", "retention.words_days: line 1: must be a number of days from 1 to 3650; 0, or left out, keeps for ever"},
		{"messages kept beyond reason", "retention:\n  messages_days: 3651", "retention.messages_days: line 2: must be a number of days from 1 to 3650"},
		{"parts of a day", "retention: {words_days: 1.5}", "retention.words_days: line 1: must be a whole number"},
		{"something else to keep", "retention: {feedback_days: 3}", "retention.feedback_days: line 1: unknown key, must be one of words_days, messages_days"},
		{"nothing is erased", "retention: {words_days: 0}", ""},

		{"a target of zero", "sla:\n- name: a\n  critical_hours: 0", "sla[0].critical_hours: line 3: must be whole hours from 1"},
		{"a target below zero", "sla:\n- name: a\n  medium_hours: -3", "sla[0].medium_hours: line 3: must be whole hours from 1"},
		{"a target beyond reason", "sla:\n- name: a\n  medium_hours: 100000", "sla[0].medium_hours: line 3: must be whole hours from 1 to 87600"},
		{"a reminder of zero", "sla:\n- name: a\n  reminder_hours_before: 0", "sla[0].reminder_hours_before[0]: line 3: must be whole hours from 1"},
		{"a reminder twice", "sla:\n- name: a\n  reminder_hours_before: [4, 4]", "sla[0].reminder_hours_before[1]: line 3: 4 stands in the list twice"},
		{"an escalation delay of zero", "sla:\n- name: a\n  escalation_delay_hours: 0", "sla[0].escalation_delay_hours: line 3: must be whole hours"},
		{"a stage without gap", "sla:\n- name: a\n  stages:\n    high:\n    - raise_priority: critical", "sla[0].stages.high[0].after_hours: line 5: must be above 0"},
		{"a stage gap below zero", "sla:\n- name: a\n  stages: {high: [{after_hours: -1}]}", "sla[0].stages.high[0].after_hours: line 3: must be above 0"},
		{"a stage gap below a second", "sla:\n- name: a\n  stages: {high: [{after_hours: 0.0001}]}", "sla[0].stages.high[0].after_hours: line 3: must be above 0"},
		{"stages of an unknown severity", "sla:\n- name: a\n  stages: {urgent: []}", `sla[0].stages.urgent: line 3: "urgent" is unknown`},
		{"a stage that raises to nowhere", "sla:\n- name: a\n  stages: {low: [{after_hours: 1, raise_priority: top}]}", `raise_priority: line 3: "top" is unknown`},
		{"an unknown clock", "sla:\n- name: a\n  clock: {low: sun}", `sla[0].clock.low: line 3: "sun" is unknown, must be one of elapsed, open`},
		{"an exemption of all", "sla:\n- name: a\n  approval_exempt: [{}]", "sla[0].approval_exempt[0]: line 3: must name a source_type or a severity"},
		{"two active configs for all", "sla:\n- name: a\n- name: b", "sla[1]: line 3: must be the only active SLA config of its scope, which sla[0] (line 2) has already"},
		{"two active configs of a department", "sla:\n- {name: a, hospital: RUH, department: ED}\n- {name: b, hospital: RUH, department: ED}", "sla[1]: line 3: must be the only active"},
		{"two configs of which one is active", "sla:\n- name: a\n- {name: b, is_active: false}", ""},
		{"an empty document", "# nothing\n", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := ParsePolicy([]byte(tt.src))
			got := faultsOf(t, err)
			if (tt.want == "") != (got == "") || !strings.Contains(got, tt.want) || strings.Contains(got, "\n") {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestPolicyReportsAllFaultsInOrder(t *testing.T) {
	t.Parallel()
	_, err := ParsePolicy([]byte(`sla:
- name: ""
  low_hours: 0
  colour: red
routing:
- name: a
  severity: urgent
  priority: high
max_age: soon
`))
	want := []string{"sla[0].name", "sla[0].low_hours", "sla[0].colour", "routing[0].severity", "routing[0].priority", "max_age"}
	var got []string
	for line := range strings.Lines(faultsOf(t, err)) {
		field, _, _ := strings.Cut(line, ":")
		got = append(got, field)
	}
	if !slices.Equal(got, want) {
		t.Errorf("faults %q, want %q", got, want)
	}
}

func TestCompileFaultsNameTheirLines(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	src := []byte(`triggers:
- {hospital: ROM, survey: NONE, complaints: never}
routing:
- name: a
  hospital: RUH
  department: SPA
  assign_to_department: GYM
  assign_to_user: eve
  assign_to_role: Anything Goes
sla:
- name: a
  hospital: BER
  department: LAB
`)
	p, err := ParsePolicy(src)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Compile(p, 1, h.dir)
	want := `triggers[0].hospital: line 2: no hospital has the code "ROM"
triggers[0].survey: line 2: no survey has the code "NONE"
routing[0].department: line 6: no department of RUH has the code "SPA"
routing[0].assign_to_department: line 7: no department of RUH has the code "GYM"
routing[0].assign_to_user: line 8: nobody has the code "eve"
sla[0].department: line 13: no department of BER has the code "LAB"`
	if got := faultsOf(t, Locate([]File{{Text: src}}, err)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if _, err := Compile(&Policy{SLA: []ConfigSpec{{}}}, 1, nil); faultsOf(t, err) == "" {
		t.Error("Compile took a policy that ParsePolicy would refuse")
	}
}

const wholePolicy = `
max_age: 36h
triggers:
- {name: t, hospital: RUH, department: ED, source_type: survey, source_system: desk, survey: NPS, complaints: never, score: {below: 40.5, bands: []}, nps: [{at_most: 3, severity: low}]}
- {sentiment: [], kpi: [{at_least: 2.5, severity: critical}]}
routing:
- {name: "007: \"x\"", description: "two\nlines", source_type: rounds, category: facility, severity: low, hospital: RUH, department: ED, assign_to_role: Chaplain, assign_to_user: ann, assign_to_department: LAB, priority: -3, is_active: false}
- {name: "007: \"x\""}
sla:
- name: "yes"
  critical_hours: 1
  reminder_hours_before: []
  stages: {low: [], critical: [{after_hours: 0.5, raise_priority: high}, {after_hours: 2}], high: [{after_hours: 3}]}
  clock: {low: elapsed, critical: open}
  requires_approval: true
  approval_exempt: [{source_type: rounds}, {severity: low}]
- {name: b, hospital: BER, reminder_hours_before: [2, 24, 8], auto_escalate: false, requires_approval: false, escalation_delay_hours: 5, is_active: true}
`

func TestPolicyRoundTrip(t *testing.T) {
	t.Parallel()
	for name, src := range map[string]string{"empty": "", "empty lists": "triggers: []\nrouting:\nsla: []", "whole": wholePolicy} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := ParsePolicy([]byte(src))
			if err != nil {
				t.Fatal(err)
			}
			out, err := p.YAML()
			if err != nil {
				t.Fatal(err)
			}
			again, err := ParsePolicy(out)
			if err != nil {
				t.Fatalf("%v in\n%s", err, out)
			}
			if !reflect.DeepEqual(p, again) {
				t.Errorf("%+v came back as %+v from\n%s", p, again, out)
			}
			out2, _ := again.YAML()
			if string(out) != string(out2) {
				t.Errorf("not stable:\n%s\n%s", out, out2)
			}
			stored, err := json.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			var fromJSON Policy
			if err := json.Unmarshal(stored, &fromJSON); err != nil || !reflect.DeepEqual(p, &fromJSON) {
				t.Errorf("%v: %+v came back as %+v from %s", err, p, fromJSON, stored)
			}
			if viaYAML, err := ParsePolicy(stored); err != nil || !reflect.DeepEqual(p, viaYAML) {
				t.Errorf("JSON read as YAML: %v", err)
			}
		})
	}
}

func TestAliasesInPolicy(t *testing.T) {
	t.Parallel()
	p, err := ParsePolicy([]byte("routing:\n- &x {name: a, priority: 3}\n- *x\n"))
	if err != nil || len(p.Routing) != 2 || p.Routing[1] != p.Routing[0] {
		t.Errorf("%v: %+v", err, p)
	}
}

func TestCompiledConfigs(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	r := h.rules(t, wholePolicy)
	if r.MaxAge != 36*time.Hour || BuiltIn(nil).MaxAge != 7*24*time.Hour {
		t.Errorf("max age %s", r.MaxAge)
	}
	a := r.Match(*h.hospital(t, "RUH"), nil)
	b := r.Match(*h.hospital(t, "BER"), h.department(t, "BER", "ED"))
	hour := time.Hour
	wantStages := map[model.Severity][]Stage{
		"critical": {{Gap: hour / 2, RaisePriority: "high"}, {Gap: 2 * hour}}, "high": {{Gap: 3 * hour}},
		"medium": {{Gap: 2 * hour}, {Gap: 2 * hour}}, "low": {},
	}
	if !reflect.DeepEqual(a.Stages, wantStages) || len(b.Stages["critical"]) != 0 {
		t.Errorf("stages %v and %v", a.Stages, b.Stages)
	}
	if len(a.Reminders["low"]) != 0 || !slices.Equal(b.Reminders["low"], []Reminder{{Before: 24 * hour}, {Before: 8 * hour}, {Before: 2 * hour}}) {
		t.Errorf("reminders %v and %v", a.Reminders, b.Reminders)
	}
	wantClock := map[model.Severity]ClockKind{"critical": ClockOpen, "high": ClockElapsed, "medium": ClockOpen, "low": ClockElapsed}
	if !reflect.DeepEqual(a.Clock, wantClock) {
		t.Errorf("clock %v", a.Clock)
	}
	wantTarget := map[model.Severity]time.Duration{"critical": hour, "high": 48 * hour, "medium": 72 * hour, "low": 120 * hour}
	if !reflect.DeepEqual(a.Target, wantTarget) {
		t.Errorf("targets %v", a.Target)
	}
	for _, tt := range []struct {
		c    *Config
		st   model.SourceType
		sev  model.Severity
		want bool
	}{{a, "rounds", "high", false}, {a, "survey", "low", false}, {a, "survey", "high", true}, {b, "survey", "critical", false}} {
		if got := tt.c.RequiresApproval(tt.st, tt.sev); got != tt.want {
			t.Errorf("%s: approval of %s %s is %t", tt.c.Name, tt.st, tt.sev, got)
		}
	}
	built := r.Config(nil)
	for sev, n := range map[model.Severity]int{"critical": 3, "high": 3, "medium": 2, "low": 1} {
		if got := built.Stages[sev]; len(got) != n || got[0].Gap != 2*hour {
			t.Errorf("built-in stages of %s: %v", sev, got)
		}
	}
	if built.ID != nil || built.RequiresApproval != nil || !slices.Equal(built.Reminders["high"], []Reminder{{Before: 4 * hour}}) {
		t.Errorf("built-in config %+v", built)
	}
}

func TestRowsAreTheSameEachTime(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	configs, rules := h.rules(t, wholePolicy).Rows()
	configs2, rules2 := h.rules(t, wholePolicy).Rows()
	if !reflect.DeepEqual(configs, configs2) || !reflect.DeepEqual(rules, rules2) {
		t.Error("a second compilation has other rows")
	}
	if rules[0].ID == rules[1].ID {
		t.Error("two rules of one name have one id")
	}
	p, _ := ParsePolicy([]byte(wholePolicy))
	next, err := Compile(p, 8, h.dir)
	if err != nil {
		t.Fatal(err)
	}
	if later, _ := next.Rows(); later[0].ID == configs[0].ID {
		t.Error("two revisions share an id")
	}
	c := configs[1]
	if c.Revision != 7 || c.ReminderHoursBefore != 2 || c.AutoEscalate || c.EscalationDelayHours != 5 || c.CriticalHours != 24 ||
		*c.HospitalID != *h.hospital(t, "BER") || c.DepartmentID != nil || !c.IsActive {
		t.Errorf("config row %+v", c)
	}
	var spec ConfigSpec
	if err := json.Unmarshal(c.Spec.V, &spec); err != nil || !reflect.DeepEqual(spec, p.SLA[1]) {
		t.Errorf("%v: spec %s", err, c.Spec.V)
	}
	rl := rules[0]
	if rl.AssignToRole != "Chaplain" || *rl.AssignToUser != h.user(t, "ann") || *rl.AssignToDepartment != *h.department(t, "RUH", "LAB") || rl.Priority != -3 || rl.IsActive {
		t.Errorf("rule row %+v", rl)
	}
}

func FuzzParsePolicy(f *testing.F) {
	f.Add(wholePolicy)
	f.Add("routing: &x [*x]\nsla: {<<: *x}")
	f.Add("? a\n: !!str\n- |")
	f.Fuzz(func(t *testing.T, src string) {
		p, err := ParsePolicy([]byte(src))
		if err != nil {
			return
		}
		out, err := p.YAML()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ParsePolicy(out); err != nil || !reflect.DeepEqual(p, again) {
			t.Errorf("%v: %+v came back as %+v from\n%s", err, p, again, out)
		}
	})
}
