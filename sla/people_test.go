package sla

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pxactions/px/model"
)

func TestResolve(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	tests := []struct{ name, source, hospital, want string }{
		{"by code", "mail", "BER", "BER"},
		{"with space around it", "mail", " BER ", "BER"},
		{"by an alias of all sources", "mail", "Riyadh", "RUH"},
		{"by the source's own alias", "desk", "R-1", "RUH"},
		{"another source's alias is nobody's", "mail", "R-1", ""},
		{"the source's own alias beats a code", "desk", "RUH", "BER"},
		{"without a source", "", "RUH", "RUH"},
		{"the sign for all sources is no source", "*", "R-1", ""},
		{"nothing", "desk", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			row, ok := h.dir.ResolveHospital(tt.source, tt.hospital)
			if got := ""; ok {
				if got = row.Code; got != tt.want {
					t.Errorf("got %q, want %q", got, tt.want)
				}
			} else if tt.want != "" {
				t.Errorf("got nothing, want %q", tt.want)
			}
		})
	}
	t.Run("a department within its hospital", func(t *testing.T) {
		t.Parallel()
		if d, ok := h.dir.ResolveDepartment("desk", *h.hospital(t, "BER"), "Rettung"); !ok || d.Name != "Notaufnahme" {
			t.Errorf("got %v", d)
		}
		if d, ok := h.dir.ResolveDepartment("desk", *h.hospital(t, "RUH"), "Rettung"); ok {
			t.Errorf("got %v", d)
		}
	})
	t.Run("somebody who left", func(t *testing.T) {
		t.Parallel()
		if u, ok := h.dir.ResolveUser("", "out"); !ok || u.Active {
			t.Errorf("got %v", u)
		}
	})
	t.Run("in an empty directory", func(t *testing.T) {
		t.Parallel()
		if _, ok := (&Directory{}).ResolveSurvey("", "NPS"); ok {
			t.Error("found")
		}
	})
}

func TestRungs(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name       string
		rung       Rung
		hospital   string
		department string
		directory  func(*DirectoryDoc)
		involved   []string
		want       []string
	}{
		{name: "the manager", rung: RungManager, hospital: "RUH", department: "ED", want: []string{"mgr"}},
		{name: "no department, no manager", rung: RungManager, hospital: "RUH"},
		{name: "the hospital's PX Admins", rung: RungPXAdmin, hospital: "RUH", want: []string{"pxa", "pxb"}},
		{name: "less the involved", rung: RungPXAdmin, hospital: "RUH", involved: []string{"pxa"}, want: []string{"pxb"}},
		{name: "an absent one's substitute", rung: RungPXAdmin, hospital: "RUH", directory: absent(map[string]string{"pxa": "cas"}), want: []string{"cas", "pxb"}},
		{name: "a substitute who is there anyway", rung: RungPXAdmin, hospital: "RUH", directory: absent(map[string]string{"pxa": "pxb"}), want: []string{"pxb"}},
		{name: "PX Admins of all hospitals where it has none", rung: RungPXAdmin, hospital: "BER", want: []string{"grp"}},
		{name: "executives", rung: RungExecutive, hospital: "BER", want: []string{"bexe"}},
		{name: "no executives", rung: RungExecutive, hospital: "NIX"},
		{name: "no such rung", rung: "king", hospital: "RUH"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, tt.directory)
			a := &model.Action{HospitalID: *h.hospital(t, tt.hospital), Involved: model.Of(h.users(t, tt.involved...))}
			if tt.department != "" {
				a.DepartmentID = h.department(t, tt.hospital, tt.department)
			}
			if got := h.codes(h.dir.Rung(tt.rung, a, noon(), a.Involved.V)); !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestAbsenceIsHalfOpen(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(d *DirectoryDoc) {
		change("mgr", func(u *UserSpec) {
			u.Substitute = &Substitute{User: "dep", From: "2026-03-02", To: "2026-03-03T10:00:00+03:00"}
		})(d)
	})
	from := time.Date(2026, 3, 1, 21, 0, 0, 0, time.UTC) // midnight in Riyadh
	to := time.Date(2026, 3, 3, 7, 0, 0, 0, time.UTC)
	for at, want := range map[time.Time]string{
		from.Add(-1): "mgr", from: "dep", to.Add(-1): "dep", to: "mgr",
	} {
		if id, ok := h.dir.Manager(h.department(t, "RUH", "ED"), at, nil); !ok || h.code(&id) != want {
			t.Errorf("at %s: %s, want %s", at, h.code(&id), want)
		}
	}
}

func TestDirectoryFaults(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, src, want string }{
		{"an unknown key", "people: []", "people: line 1: unknown key"},
		{"a hospital's code", "hospitals: [{code: ruh-1, name: R}]", "hospitals[0].code: line 1: must be 2 to 8 capital letters"},
		{"a hospital twice", "hospitals:\n- {code: RUH, name: R}\n- {code: RUH, name: S}", "hospitals[1].code: line 3: must be unique, hospitals[0].code (line 2) has it too"},
		{"an unknown zone", "hospitals: [{code: RUH, name: R, zone: Mars}]", "hospitals[0].zone: line 1: must be an IANA time zone"},
		{"one alias for two", "hospitals:\n- {code: RUH, name: R, aliases: {x: [a]}}\n- {code: BER, name: B, aliases: {x: a}}", "hospitals[1].aliases.x[0]: line 3: must be unique, hospitals[0].aliases.x[0] (line 2)"},
		{"a blank alias", "hospitals: [{code: RUH, name: R, aliases: {x: ' '}}]", "hospitals[0].aliases.x[0]: line 1: must not be blank"},
		{"a department without hospital", "departments: [{code: ED, name: E}]", "departments[0].hospital: line 1: must be a hospital's code"},
		{"a user without name", "users: [{code: a}]", "users[0].name: line 1: must be 1 to 200"},
		{"a user without code", "users: [{name: a}]", "users[0].code: line 1: must be 1 to 200"},
		{"a wrong address", "users: [{code: a, name: A, email: 'A <a@x.org>'}]", "users[0].email: line 1: must be an address"},
		{"an unknown channel", "users: [{code: a, name: A, channels: [fax]}]", `users[0].channels[0]: line 1: "fax" is unknown, must be one of log, email, webhook`},
		{"a channel without address", "users: [{code: a, name: A, channels: email}]", "users[0].channels[0]: line 1: needs an email"},
		{"a wrong webhook", "users: [{code: a, name: A, webhook_url: 'ftp://x'}]", "users[0].webhook_url: line 1: must be an http or https address"},
		{"a department for nobody's hospital", "users: [{code: a, name: A, department: ED}]", "users[0].hospital: line 1: required with department"},
		{"their own substitute", "users: [{code: a, name: A, substitute: {user: a}}]", "users[0].substitute.user: line 1: must be somebody else"},
		{"an absence backwards", "users: [{code: a, name: A, substitute: {from: 2026-04-02, to: 2026-04-01}}]", "users[0].substitute.to: line 1: must be after from"},
		{"an absence without start", "users: [{code: a, name: A, substitute: {to: 2026-04-01}}]", "users[0].substitute.from: line 1: required with to"},
		{"an absence in words", "users: [{code: a, name: A, substitute: {from: easter}}]", "users[0].substitute.from: line 1: must be a date or an instant"},
		{"a substitute that says nothing", "users: [{code: a, name: A, substitute: {}}]", "users[0].substitute: line 1: says nothing"},
		{"a scale upside down", "surveys: [{code: S, name: S, min: 5, max: 1}]", "surveys[0].max: line 1: must be above min"},
		{"nps on another scale", "surveys: [{code: S, name: S, metric: nps, min: 1}]", "surveys[0].metric: line 1: NPS runs from 0 to 10"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := ParseDirectory([]byte(tt.src))
			if got := faultsOf(t, err); !strings.HasPrefix(got, tt.want) || strings.Contains(got, "\n") {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
	t.Run("codes that point nowhere", func(t *testing.T) {
		t.Parallel()
		src := []byte("departments:\n- {hospital: ROM, code: ED, name: E, manager: x}\nusers:\n- {code: a, name: A, hospital: RUH, department: SPA, substitute: {user: y}}\n- {code: b, name: B, hospital: RUH, department: ED}\n")
		doc, err := ParseDirectory(src)
		if err != nil {
			t.Fatal(err)
		}
		_, err = doc.Rows(newHouse(t, nil).dir, uuid.New, noon())
		want := `departments[0].hospital: line 2: no hospital has the code "ROM"
departments[0].manager: line 2: nobody has the code "x"
users[0].department: line 4: no department of RUH has the code "SPA"
users[0].substitute.user: line 4: nobody has the code "y"`
		if got := faultsOf(t, Locate([]File{{Text: src}}, err)); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	})
}

func TestDirectoryRowsKeepWhatIsKnown(t *testing.T) {
	t.Parallel()
	h := newHouse(t, change("ann", func(u *UserSpec) { u.WebhookSecret = "whsec_x" }))
	doc, err := ParseDirectory([]byte("users: [{code: ann, name: Anna, hospital: RUH, department: LAB, roles: Staff}, {code: new, name: New, substitute: {user: ann}}]"))
	if err != nil {
		t.Fatal(err)
	}
	rows, err := doc.Rows(h.dir, uuid.New, noon().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	ann, fresh := rows.Users[0], rows.Users[1]
	if ann.ID != h.user(t, "ann") || ann.Name != "Anna" || *ann.DepartmentID != *h.department(t, "RUH", "LAB") || ann.WebhookSecret != "whsec_x" ||
		!ann.CreatedAt.Equal(noon()) || !ann.UpdatedAt.Equal(noon().Add(time.Hour)) {
		t.Errorf("ann is %+v", ann)
	}
	if fresh.ID.IsZero() || *fresh.SubstituteID != ann.ID || fresh.SubstituteFrom != nil || !fresh.Active || fresh.Locale != "en" {
		t.Errorf("new is %+v", fresh)
	}
	if rows.Hospitals == nil || len(rows.Hospitals)+len(rows.Departments)+len(rows.Surveys) > 0 {
		t.Errorf("rows of what the document does not name: %+v", rows)
	}
}

func TestSamples(t *testing.T) {
	t.Parallel()
	read := func(name string) []byte {
		src, err := os.ReadFile(filepath.Join("..", "samples", name))
		if err != nil {
			t.Fatal(err)
		}
		return src
	}
	doc, err := ParseDirectory(read("directory.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	out, err := doc.YAML()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := ParseDirectory(out); err != nil || !reflect.DeepEqual(doc, again) {
		t.Errorf("the directory does not come back: %v", err)
	}
	dir := directoryOf(t, doc)
	for _, u := range doc.Users {
		if !strings.HasSuffix(u.Email, "@example.org") {
			t.Errorf("%s has an address outside example.org", u.Code)
		}
	}
	for _, d := range dir.Departments {
		if d.ManagerID == nil || !slices.Contains(dir.Users[*d.ManagerID].Roles.V, model.RoleManager) {
			t.Errorf("department %s has no manager", d.Code)
		}
	}
	for _, source := range []string{"qualtra", "complaints-desk", "callcentre", "social-ear", "kpi-monitor", "committee-minutes"} {
		for _, hospital := range doc.Hospitals {
			if len(hospital.Aliases[source]) == 0 {
				t.Errorf("%s has no name for %s", source, hospital.Code)
			}
		}
	}
	for _, name := range []string{"policy.yaml", "demo-policy.yaml"} {
		src := read(name)
		p, err := ParsePolicy(src)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		r, err := Compile(p, 1, dir)
		if err != nil {
			t.Fatalf("%s: %v", name, Locate([]File{{Text: src}}, err))
		}
		if len(r.rules) == 0 || len(r.rows) == 0 {
			t.Errorf("%s has no rules or configs", name)
		}
		out, err := p.YAML()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ParsePolicy(out); err != nil || !reflect.DeepEqual(p, again) {
			t.Errorf("%s does not come back: %v", name, err)
		}
	}
}
