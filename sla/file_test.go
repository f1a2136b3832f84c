package sla

import (
	"reflect"
	"strings"
	"testing"

	"github.com/pxactions/px/model"
)

// files are named texts, in order: "a.yaml", "…", "b.yaml", "…".
func files(nameAndText ...string) []File {
	var fs []File
	for i := 0; i < len(nameAndText); i += 2 {
		fs = append(fs, File{Name: nameAndText[i], Text: []byte(nameAndText[i+1])})
	}
	return fs
}

func TestFilesMakeOnePolicy(t *testing.T) {
	t.Parallel()
	const (
		calendars = "calendars:\n- {name: office, timezone: UTC, weekly: {mon-fri: 08:00-16:00}}\n"
		first     = "max_age: 3d\nrouting:\n- &x {name: a, priority: 3}\n- *x\ntriggers: [{nps: []}]\n"
		second    = "load_cap: 4\nrouting:\n- &x {name: c}\n- *x\nsla: [{name: all, calendar: office}]\n"
	)
	got, err := ParsePolicyFiles(files("a.yaml", first, "b.yaml", "# nothing yet\n", "c.yaml", second, "d.yaml", calendars, "e.yaml", "routing: []\n"))
	if err != nil {
		t.Fatal(err)
	}
	want, err := ParsePolicy([]byte(`
max_age: 3d
load_cap: 4
calendars: [{name: office, timezone: UTC, weekly: {mon-fri: "08:00-16:00"}}]
routing: [{name: a, priority: 3}, {name: a, priority: 3}, {name: c}, {name: c}]
triggers: [{nps: []}]
sla: [{name: all, calendar: office}]
`))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v: got\n%+v\nwant\n%+v", err, got, want)
	}
}

func TestFaultsOfFilesNameTheirFile(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		files []File
		want  []string
	}{
		{"a fault of form in each", files("a.yaml", "routing:\n- {name: a, colour: red}\n- name: b\n  priority: high", "b.yaml", "\nrouting:\n- {name: c, severity: urgent}\n- {name: d, priority: low}"), []string{
			"routing[0].colour: a.yaml:2: unknown key",
			"routing[1].priority: a.yaml:4: must be a whole number",
			"routing[2].severity: b.yaml:3: \"urgent\" is unknown",
			"routing[3].priority: b.yaml:4: must be a whole number",
		}},
		{"a list that is none", files("a.yaml", "routing:\n- name: a", "b.yaml", "\n\nrouting: {name: b}"), []string{"routing: b.yaml:3: must be a list"}},
		{"a file that is none", files("a.yaml", "routing:\n- name: a", "b.yaml", "\n- name: b"), []string{"document: b.yaml:2: must be a mapping"}},
		{"no YAML, twice", files("a.yaml", "routing: [", "b.yaml", "sla: [{}]", "c.yaml", "max_age: 1d\n---\nmax_age: 1d"), []string{
			"document: a.yaml:1: ",
			"document: c.yaml:3: must be one document, here begins a second",
		}},
		{"a key that may stand once", files("a.yaml", "max_age: 1d", "b.yaml", "load_cap: 3\nmax_age: 1d"), []string{"max_age: b.yaml:2: must stand in one file only, and a.yaml:1 has it already"}},
		{"a key twice in one file", files("a.yaml", "routing: [{name: a}]", "b.yaml", "routing: [{name: b}]\nrouting: [{name: c}, {name: d}]", "c.yaml", "\nrouting: [{name: e, priority: x}]"), []string{
			"routing: b.yaml:1: must stand here only once, b.yaml:2 repeats it",
			"routing[2].priority: c.yaml:2: must be a whole number",
		}},
		{"a calendar in two files", files("a.yaml", "calendars:\n- {name: o, timezone: UTC, always_open: true}", "b.yaml", "\n\ncalendars:\n- {name: o, timezone: UTC, always_open: true}"), []string{
			`calendars[1].name: b.yaml:4: must be unique, calendars[0] (a.yaml:2) has the name "o" already`,
		}},
		{"a scope in two files", files("a.yaml", "sla: [{name: x}]", "b.yaml", "sla: !!seq\n- name: y"), []string{
			"sla[1]: b.yaml:2: must be the only active SLA config of its scope, which sla[0] (a.yaml:1) has already",
		}},
		{"a trigger in two files", files("a.yaml", "triggers:\n- {hospital: RUH, nps: []}", "b.yaml", "triggers: &t\n- {hospital: RUH, nps: []}"), []string{
			"triggers[1].nps: b.yaml:2: is already set for this scope by triggers[0] (a.yaml:2)",
		}},
		{"an alias of another file", files("a.yaml", "routing: [&x {name: a}]", "b.yaml", "routing: [*x]"), []string{"routing[1]: b.yaml:1: names an anchor that is not in the document"}},
		{"faults in the order of the files", files("a.yaml", "\n\nmax_age: soon", "b.yaml", "load_cap: -1"), []string{"max_age: a.yaml:3: ", "load_cap: b.yaml:1: "}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := ParsePolicyFiles(tt.files)
			got := strings.Split(faultsOf(t, err), "\n")
			if len(got) != len(tt.want) {
				t.Fatalf("got  %q\nwant %q", got, tt.want)
			}
			for i := range got {
				if !strings.HasPrefix(got[i], tt.want[i]) {
					t.Errorf("got  %s\nwant %s", got[i], tt.want[i])
				}
			}
		})
	}
}

// TestWarningsAndCodesNameTheirFile: what is found after the reading.
func TestWarningsAndCodesNameTheirFile(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(d *DirectoryDoc) { d.Users = append(d.Users, groupAdmins()...) })
	fs := files("a.yaml", "routing:\n- {name: a}\nsla: [{name: all}]", "b.yaml", "routing:\n- {name: b, priority: 1, category: other}\n- {name: c}")
	p, rules, err := Inspect(fs, h.dir)
	if err != nil {
		t.Fatal(err)
	}
	got := faultsOf(t, Locate(fs, rules.Lint(p, noon()).Warnings.Err()))
	if want := `routing[2]: b.yaml:3: never fits: "a" comes first`; !strings.HasPrefix(got, want) || strings.Contains(got, "\n") {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	fs = files("a.yaml", "routing: [{name: a}]", "b.yaml", "routing:\n- {name: b, hospital: NIX2}\n- {name: c, sevrity: low}")
	_, _, err = Inspect(fs, h.dir)
	want := []string{"routing[1].hospital: b.yaml:2: ", "routing[2].sevrity: b.yaml:3: "}
	lines := strings.Split(faultsOf(t, err), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], want[0]) || !strings.HasPrefix(lines[1], want[1]) {
		t.Errorf("got  %q\nwant %q", lines, want)
	}
	if err := Locate(files("a.yaml", "["), model.FieldErrors{{Field: "x", Code: "y", Want: "z"}}); err.Error() != "x: z" {
		t.Errorf("unreadable by now: %v", err)
	}
}

// TestFilesOfExpectations are joined, too.
func TestFilesOfExpectations(t *testing.T) {
	t.Parallel()
	const one = "cases: [{name: %s, feedback: {source_type: manual, hospital: RUH, received_at: 2026-04-02T22:00:00Z}, expect: {owner: x}}]\n"
	a, b := strings.Replace(one, "%s", "a", 1), strings.Replace(one, "%s", "b", 1)
	x, err := ParseExpectations(files("a.yaml", "policy: p.yaml\n"+a, "b.yaml", b))
	if err != nil || len(x.Cases) != 2 || x.Cases[1].Name != "b" || x.Policy != "p.yaml" {
		t.Errorf("%v: %+v", err, x)
	}
	_, err = ParseExpectations(files("a.yaml", "policy: p.yaml\n"+a, "b.yaml", b+"policy: p.yaml\n"))
	if got := faultsOf(t, err); got != "policy: b.yaml:2: must stand in one file only, and a.yaml:1 has it already" {
		t.Error(got)
	}
}
