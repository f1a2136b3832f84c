package sla_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pxactions/px/samples"
	"github.com/pxactions/px/sla"
)

// sampleRules is the sample policy among the sample people.
func sampleRules(t *testing.T) *sla.Rules { return compiled(t, string(samples.Policy)) }

// compiled is a policy among the sample people.
func compiled(t *testing.T, src string) *sla.Rules {
	t.Helper()
	doc, err := sla.ParseDirectory(samples.Directory)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := doc.Rows(nil, uuid.New, time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	p, err := sla.ParsePolicy([]byte(src))
	if err != nil {
		t.Fatal(err)
	}
	rules, err := sla.Prepare(p, 1, sla.NewDirectory(1, rows.Hospitals, rows.Departments, rows.Users, rows.Surveys))
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

func TestTheSamplePolicyDoesAsExpected(t *testing.T) {
	t.Parallel()
	x, err := sla.ParseExpectations([]sla.File{{Text: samples.PolicyTests}})
	if err != nil {
		t.Fatal(err)
	}
	failures, passed := x.Failures(sampleRules(t))
	if len(failures) > 0 || passed != len(x.Cases) {
		t.Errorf("%d of %d passed:\n%s", passed, len(x.Cases), strings.Join(failures, "\n"))
	}
}

func TestWhatIsNotAsExpectedIsTold(t *testing.T) {
	t.Parallel()
	const complaint = "source_type: complaint, hospital: RUH, department: ED, severity: critical, received_at: 2026-04-02T22:00:00+03:00"
	rules := sampleRules(t)
	for _, tt := range []struct{ name, feedback, expect, want string }{
		{"everything else", complaint, `decision: ignored, reason: x, severity: low, department: LAB, routing_rule: y, owner: z, sla_config: Riyadh, due: 2026-04-02T22:00:00Z`,
			"decision is created, want ignored; reason is complaint, want x; severity is critical, want low; department is ED, want LAB; " +
				"routing_rule is Critical complaints to the manager, want y; owner is ruh-salmaz, want z; sla_config is Riyadh emergency, want Riyadh; " +
				"due is 2026-04-02T23:00:00Z, want 2026-04-02T22:00:00Z"},
		{"nobody", complaint, `owner: "", department: ""`, "department is ED, want none; owner is ruh-salmaz, want none"},
		{"an action that is not made", "source_type: complaint, kind: praise, hospital: RUH, received_at: 2026-04-02T22:00:00Z", "owner: ruh-amal", "makes no action: ignored (praise)"},
		{"a hospital that is not there", "source_type: complaint, hospital: NIX, received_at: 2026-04-02T22:00:00Z", "decision: created", `no hospital is known as "NIX"`},
		{"a department that is not there", "source_type: complaint, hospital: RUH, department: NIX, received_at: 2026-04-02T22:00:00Z", "decision: created", `no department of RUH is known as "NIX"`},
		{"a survey that is not there", "source_type: survey, hospital: RUH, survey: NIX, received_at: 2026-04-02T22:00:00Z", "decision: created", `no survey is known as "NIX"`},
		{"a person who is not there", "source_type: complaint, hospital: RUH, involved_users: nix, received_at: 2026-04-02T22:00:00Z", "decision: created", `nobody is known as "nix"`},
		{"a score without its scale", "source_type: survey, hospital: RUH, score: {value: 1}, received_at: 2026-04-02T22:00:00Z", "decision: created", "decision is quarantined, want created"},
		{"a KPI", "source_type: kpi, hospital: RUH, kpi: {value: 70, target: 100, better: high}, received_at: 2026-04-02T22:00:00Z", "severity: low", "severity is high, want low"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			x, err := sla.ParseExpectations([]sla.File{{Text: []byte("cases: [{name: c, feedback: {" + tt.feedback + "}, expect: {" + tt.expect + "}}]")}})
			if err != nil {
				t.Fatal(err)
			}
			failures, passed := x.Failures(rules)
			if got := strings.Join(failures, "\n"); got != "c: "+tt.want || passed != 0 {
				t.Errorf("got  %s\nwant c: %s", got, tt.want)
			}
		})
	}
}

func TestExpectationsOfWords(t *testing.T) {
	t.Parallel()
	src := strings.Replace(string(samples.Policy), "triggers:", "triggers:\n  - { name: Grave, hospital: RUH, raise: [{ keywords: fell, severity: critical, negative: true }] }", 1)
	rules := compiled(t, src)
	x, err := sla.ParseExpectations([]sla.File{{Text: []byte(`cases:
  - name: in the text
    feedback: { source_type: survey, hospital: RUH, survey: INPATIENT-2026, score: { value: 5 }, text: He fell., received_at: 2026-04-05T09:00:00+03:00 }
    expect: { decision: created, reason: raised, severity: critical }
  - name: in the title
    feedback: { source_type: complaint, hospital: RUH, title: He fell, received_at: 2026-04-05T09:00:00+03:00 }
    expect: { reason: complaint, severity: critical }
  - name: nowhere
    feedback: { source_type: complaint, hospital: RUH, title: No fellow, received_at: 2026-04-05T09:00:00+03:00 }
    expect: { severity: critical }`)}})
	if err != nil {
		t.Fatal(err)
	}
	failures, passed := x.Failures(rules)
	if got := strings.Join(failures, "\n"); got != "nowhere: severity is medium, want critical" || passed != 2 {
		t.Errorf("%d passed, got %s", passed, got)
	}
}

func TestFaultsOfExpectations(t *testing.T) {
	t.Parallel()
	_, err := sla.ParseExpectations([]sla.File{{Text: []byte(`
cases:
  - feedback: { source_type: letter, received_at: yesterday, score: { better: up } }
    expect: { owner: x, du: 1 }
  - name: b
    feedback: { severity: bad }
    expect: {}
`)}})
	for _, want := range []string{
		"cases[0].name: line 3", "cases[0].feedback.source_type: line 3", "cases[0].feedback.hospital: line 3", "cases[0].feedback.received_at: line 3",
		"cases[0].feedback.score.better: line 3", "cases[0].expect.du: line 4", "cases[1].feedback.severity: line 6",
		"cases[1].feedback.received_at: line 6", "cases[1].expect: line 7",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("faults = %v, want %s among them", err, want)
		}
	}
	if _, err := sla.ParseExpectations([]sla.File{{Text: []byte("policy: a.yaml")}}); err == nil {
		t.Error("no case at all is no fault")
	}
}
