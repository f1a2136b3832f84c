package sla

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pxactions/px/model"
)

func TestLint(t *testing.T) {
	t.Parallel()
	const office = "calendars: [{name: office, timezone: UTC, weekly: {mon-fri: 08:00-16:00}}]\n"
	const global = "\nsla: [{name: all}]"
	const raising = "triggers:\n- raise:\n"
	tests := []struct {
		name, policy, want string // want: the field and words of the one warning; empty: none
	}{
		{"a rule behind a wider one", "routing:\n- {name: b, source_type: survey, severity: low}\n- {name: a, source_type: survey}" + global, "routing[0]: line 2: never fits: \"a\" comes first"},
		{"a rule behind an inactive one", "routing:\n- {name: b, source_type: survey, severity: low}\n- {name: a, source_type: survey, is_active: false}" + global, ""},
		{"a wider rule behind a narrower one", "routing:\n- {name: a, severity: low}\n- {name: b}" + global, ""},
		{"words kept for days that may be meant as years", "retention:\n  words_days: 3" + global, "retention.words_days: line 2: erases the words of all that ended more than 3 days ago"},
		{"words kept for a month", "retention: {words_days: 30, messages_days: 1}" + global, ""},
		{"a rule for another hospital", "routing:\n- {name: a, hospital: RUH}\n- {name: b, hospital: BER}" + global, ""},
		{"no config for a hospital", "sla: [{name: r, hospital: RUH}, {name: n, hospital: NIX}, {name: b, hospital: BER, department: ED}]", ""},
		{"no config for a department", "sla: [{name: r, hospital: RUH, department: LAB}, {name: n, hospital: NIX}, {name: b, hospital: BER}]", "sla: line 1: RUH has no SLA config of its own and there is none for all: the built-in one counts for its departments ED"},
		{"a reminder before the start", "sla:\n- {name: all, low_hours: 4, reminder_hours_before: 4}", "sla[0]: line 2: the reminder 4h before due never comes for low"},
		{"a start no sooner than the due", "sla:\n- {name: all, low_hours: 30, ack_targets: {low: 2wd}}", "sla[0].ack_targets.low: line 2: the work need not be started before it is due"},
		{"a built-in start that would be no sooner", "sla:\n- {name: all, high_hours: 4, reminder_hours_before: 1}", ""},
		{"a stage for who has left", "sla:\n- name: all\n  stages: {low: [{after_hours: 1, tell: ['user:out']}, {after_hours: 1, tell: ['user:gone']}]}", "sla[0].stages.low[1].tell[0]: line 3: gone is not there, and nobody stands in"},
		{"a stage for a role of nobody", "sla:\n- name: all\n  stages: {low: [{after_hours: 1, tell: ['role:Nurse']}]}", "sla[0].stages.low[0].tell[0]: line 3: nobody has the role \"Nurse\""},
		{"special days on a weekend", "calendars:\n- name: office\n  timezone: UTC\n  weekly: {mon-fri: 08:00-16:00}\n  special_days: [{from: 2026-03-02, to: 2026-03-29, open: 10:00-12:00}]" + global, "calendars[0].special_days[0]: line 5: opens sat, sun, closed in other weeks"},
		{"special days on workdays alone", "calendars:\n- name: office\n  timezone: UTC\n  weekly: {mon-fri: 08:00-16:00}\n  special_days: [{from: 2026-03-02, to: 2026-03-29, days: mon-fri, open: 10:00-12:00}]" + global, ""},
		{"a raise to low", raising + "  - {category: other, severity: low}" + global, "triggers[0].raise[0]: line 3: raises nothing: everything is at least low"},
		{"a raise to low that turns", raising + "  - {category: other, severity: low, negative: true}" + global, ""},
		{"a raise of safety to high", raising + "  - {category: patient_safety, keywords: fell, severity: high}" + global, "triggers[0].raise[0]: line 3: raises nothing: what is about patient safety"},
		{"a raise of safety to critical", raising + "  - {category: patient_safety, severity: critical}" + global, ""},
		{"a raise behind a wider one", raising + "  - {category: other, severity: high}\n  - {category: other, keywords: fell, severity: high}" + global, "triggers[0].raise[1]: line 4: does nothing: raise[0]"},
		{"a raise before a wider one", raising + "  - {keywords: [abuse, 'he fell', 'Abused*'], severity: medium}\n  - {keywords: ['abus*', he fell], severity: high}" + global, "triggers[0].raise[0]: line 3: does nothing: raise[1]"},
		{"two raises alike", raising + "  - {keywords: fell, severity: high}\n  - {keywords: Fell, severity: high}" + global, "triggers[0].raise[1]: line 4: does nothing: raise[0]"},
		{"a wider raise that is milder", raising + "  - {keywords: 'abus*', severity: medium}\n  - {keywords: abuse, severity: high}" + global, ""},
		{"a wider raise that does not turn", raising + "  - {keywords: 'abus*', severity: high}\n  - {keywords: abuse, severity: high, negative: true}" + global, ""},
		{"a narrower word", raising + "  - {keywords: abuse, severity: high}\n  - {keywords: 'abuse*', severity: high}" + global, "triggers[0].raise[0]: line 3: does nothing: raise[1]"},
		{"a target that takes long", office + "sla:\n- {name: all, calendar: office, clock: {low: elapsed}}", "sla[0]: line 3: medium: 3d of open time takes up to 13d, more than twice as long"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, func(d *DirectoryDoc) {
				off := false
				d.Users = append(d.Users, UserSpec{Code: "gone", Name: "Gone", Active: &off})
				d.Users = append(d.Users, groupAdmins()...)
			})
			p, err := ParsePolicy([]byte(tt.policy))
			if err != nil {
				t.Fatal(err)
			}
			r, err := Compile(p, 1, h.dir)
			if err != nil {
				t.Fatal(err)
			}
			got := faultsOf(t, Locate([]File{{Text: []byte(tt.policy)}}, r.Lint(p, noon()).Warnings.Err()))
			if tt.want == "" && got != "" || !strings.HasPrefix(got, tt.want) || strings.Contains(got, "\n") {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestLongestWait(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	p, err := ParsePolicy([]byte("calendars: [{name: office, timezone: UTC, weekly: {mon-fri: 08:00-16:00}, holidays: [{date: 2026-12-25}]}]\nsla: [{name: all, calendar: office, medium_hours: 8, targets: {low: 5wd}}]"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := Compile(p, 1, h.dir)
	if err != nil {
		t.Fatal(err)
	}
	want := map[model.Severity]time.Duration{
		model.SeverityMedium: 96 * time.Hour,  // closed on Thursday before Christmas until Monday's closing
		model.SeverityLow:    240 * time.Hour, // a week, the holiday, and the weekend behind it
	}
	l := r.Lint(p, noon())
	if len(l.Longest) != 2 {
		t.Fatalf("longest = %+v", l.Longest)
	}
	for _, w := range l.Longest {
		if w.Elapsed != want[w.Severity] {
			t.Errorf("%s takes up to %s, want %s", w.Severity, w.Elapsed, want[w.Severity])
		}
	}
}

// group is a policy and a directory as of a large group of hospitals: ten of
// them, 500 departments, 2,000 people, 1,000 routing rules and 300 SLA configs.
func group(tb testing.TB) (*Policy, *Directory, *model.Feedback) {
	tb.Helper()
	doc := &DirectoryDoc{}
	p := &Policy{}
	sources, severities := model.SourceTypes(), model.Severities()
	for h := range 10 {
		hospital := fmt.Sprintf("H%02d", h)
		doc.Hospitals = append(doc.Hospitals, HospitalSpec{Code: hospital, Name: hospital, Zone: "Asia/Riyadh", Calendar: hospital})
		var hours Hours
		if err := hours.UnmarshalText([]byte("08:00-16:00")); err != nil {
			tb.Fatal(err)
		}
		p.Calendars = append(p.Calendars, CalendarSpec{Name: hospital, Timezone: "Asia/Riyadh", Weekly: map[string][]Hours{"sun-thu": {hours}}})
		for d := range 50 {
			dep := fmt.Sprintf("D%02d", d)
			manager := hospital + dep + "0"
			doc.Departments = append(doc.Departments, DepartmentSpec{Hospital: hospital, Code: dep, Name: dep, Manager: manager})
			for u := range 4 {
				doc.Users = append(doc.Users, UserSpec{Code: fmt.Sprintf("%s%s%d", hospital, dep, u), Name: "x", Hospital: hospital, Department: dep, Roles: []model.Role{model.RoleStaff}})
			}
			for i := range 2 {
				p.Routing = append(p.Routing, RuleSpec{
					Name: fmt.Sprintf("%s %s %d", hospital, dep, i), Hospital: hospital, Department: dep,
					SourceType: sources[(d+i)%len(sources)], Severity: severities[(d+i)%len(severities)], AssignToRole: model.RoleStaff, Priority: d,
				})
			}
			if d < 30 {
				p.SLA = append(p.SLA, ConfigSpec{Name: hospital + dep, Hospital: hospital, Department: dep})
			}
		}
	}
	rows, err := doc.Rows(nil, uuid.New, noon())
	if err != nil {
		tb.Fatal(err)
	}
	dir := NewDirectory(1, rows.Hospitals, rows.Departments, rows.Users, rows.Surveys)
	h, _ := dir.ResolveHospital("", "H09")
	d, _ := dir.ResolveDepartment("", h.ID, "D00") // its rules are the last that are tried
	return p, dir, &model.Feedback{SourceType: model.SourceComplaint, Severity: model.SeverityMedium, HospitalID: &h.ID, DepartmentID: &d.ID}
}

func BenchmarkValidate(b *testing.B) {
	p, dir, _ := group(b)
	src, err := p.YAML()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		p, err := ParsePolicy(src)
		if err != nil {
			b.Fatal(err)
		}
		r, err := Compile(p, 1, dir)
		if err != nil {
			b.Fatal(err)
		}
		r.Lint(p, noon())
	}
}

func BenchmarkDecideInAGroup(b *testing.B) {
	p, dir, f := group(b)
	r, err := Compile(p, 1, dir)
	if err != nil {
		b.Fatal(err)
	}
	loads := Loads{}
	for b.Loop() {
		if d := r.Decide(f, loads, noon(), "H09-26-0000001"); d.Outcome == nil {
			b.Fatal(d.Reason)
		}
	}
}

func TestSpanText(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0m", 90 * time.Minute: "1h30m", 36 * time.Hour: "36h", 48 * time.Hour: "2d", 53 * time.Hour: "2d5h", 30 * time.Minute: "30m",
	} {
		if got := SpanText(d); got != want {
			t.Errorf("%d is written as %s, want %s", d, got, want)
		}
	}
}

// groupAdmins are two PX Admins of no hospital: enough to decide on any approval.
func groupAdmins() []UserSpec {
	return []UserSpec{{Code: "top1", Name: "Top", Roles: []model.Role{model.RolePXAdmin}}, {Code: "top2", Name: "Top", Roles: []model.Role{model.RolePXAdmin}}}
}

func TestLintApprovers(t *testing.T) {
	t.Parallel()
	p, err := ParsePolicy([]byte("sla: [{name: all}]"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		extra  []UserSpec
		wanted []string // the hospitals warned of
	}{
		{"one for all of them", nil, []string{"BER", "NIX"}},
		{"two for all of them", groupAdmins()[:1], nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, err := Compile(p, 1, newHouse(t, func(d *DirectoryDoc) { d.Users = append(d.Users, tt.extra...) }).dir)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, w := range r.Lint(p, noon()).Warnings {
				if w.Code == "approvers" {
					got = append(got, w.Want[:3])
				}
			}
			if !slices.Equal(got, tt.wanted) {
				t.Errorf("warned of %v, want %v", got, tt.wanted)
			}
		})
	}
}
