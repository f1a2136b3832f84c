package sla

import (
	"slices"
	"testing"
	"time"

	"github.com/pxactions/px/model"
)

func TestRouting(t *testing.T) {
	t.Parallel()
	loads := func(t *testing.T, h house) Loads {
		return Loads{h.user(t, "pxa"): {Live: 3}, h.user(t, "ann"): {Live: 1, LastAssigned: noon()}}
	}
	tests := []struct {
		name       string
		directory  func(*DirectoryDoc)
		policy     string
		hospital   string
		department string
		involved   []string
		owner, by  string
		into       string // department of RUH that it ends in; empty: as it was
	}{
		{name: "no rule: the department's manager", hospital: "RUH", department: "ED", owner: "mgr", by: ByManager},
		{name: "no rule, no department: a PX Admin with the fewest", hospital: "RUH", owner: "pxb", by: ByPXAdmin},
		{name: "no manager: a PX Admin", hospital: "RUH", department: "LAB", owner: "pxb", by: ByPXAdmin},
		{name: "no PX Admin: an executive", hospital: "BER", owner: "bexe", by: ByExecutive},
		{name: "nobody in the hospital: a PX Admin without one", hospital: "NIX", department: "ED", owner: "grp", by: ByGlobalAdmin},
		{
			name: "nobody at all", hospital: "NIX", department: "ED", by: ByNobody,
			directory: change("grp", func(u *UserSpec) { u.Active = new(bool) }),
		},
		{name: "the rule's user", policy: "{name: a, assign_to_user: cas}", hospital: "RUH", department: "ED", owner: "cas", by: ByUser},
		{name: "the rule's user before its role", policy: "{name: a, assign_to_user: cas, assign_to_role: Executive}", hospital: "RUH", department: "ED", owner: "cas", by: ByUser},
		{name: "a user gone: the substitute", policy: "{name: a, assign_to_user: out}", hospital: "RUH", department: "ED", owner: "bob", by: ByUser},
		{
			name: "a user gone without substitute: the role", policy: "{name: a, assign_to_user: out, assign_to_role: Executive}",
			directory: change("out", func(u *UserSpec) { u.Substitute = nil }),
			hospital:  "RUH", department: "ED", owner: "exe", by: ByRole,
		},
		{name: "an involved user: the manager", policy: "{name: a, assign_to_user: cas}", hospital: "RUH", department: "ED", involved: []string{"cas"}, owner: "mgr", by: ByManager},
		{name: "a role in the department, the fewest live actions", policy: "{name: a, assign_to_role: Staff}", hospital: "RUH", department: "ED", owner: "bob", by: ByRole},
		{name: "a role in the department, less the involved", policy: "{name: a, assign_to_role: Staff}", hospital: "RUH", department: "ED", involved: []string{"bob"}, owner: "ann", by: ByRole},
		{name: "a role in the hospital where the department has none", policy: "{name: a, assign_to_role: Executive}", hospital: "RUH", department: "ED", owner: "exe", by: ByRole},
		{
			name: "a role in the hospital where all in the department are involved", policy: "{name: a, assign_to_role: Staff}",
			hospital: "RUH", department: "ED", involved: []string{"ann", "bob"}, owner: "cas", by: ByRole,
		},
		{name: "a role nobody has: the manager", policy: "{name: a, assign_to_role: Chaplain}", hospital: "RUH", department: "ED", owner: "mgr", by: ByManager},
		{
			name: "a holder who is there goes before an absent one's substitute", policy: "{name: a, assign_to_role: Staff}",
			directory: absent(map[string]string{"bob": "dep"}), hospital: "RUH", department: "ED", owner: "ann", by: ByRole,
		},
		{
			name: "with all holders absent a substitute stands in", policy: "{name: a, assign_to_role: Staff}",
			directory: absent(map[string]string{"bob": "dep", "ann": "dep"}), hospital: "RUH", department: "ED", owner: "dep", by: ByRole,
		},
		{name: "an absent manager's substitute", directory: absent(map[string]string{"mgr": "dep"}), hospital: "RUH", department: "ED", owner: "dep", by: ByManager},
		{
			name: "three substitutes are followed", directory: absent(map[string]string{"mgr": "dep", "dep": "ann", "ann": "bob"}),
			hospital: "RUH", department: "ED", owner: "bob", by: ByManager,
		},
		{
			name: "a fourth is not", directory: absent(map[string]string{"mgr": "dep", "dep": "ann", "ann": "bob", "bob": "cas"}),
			hospital: "RUH", department: "ED", owner: "pxb", by: ByPXAdmin,
		},
		{
			name: "a circle of substitutes ends", directory: absent(map[string]string{"mgr": "dep", "dep": "mgr"}),
			hospital: "RUH", department: "ED", owner: "pxb", by: ByPXAdmin,
		},
		{
			name: "an involved substitute is left out", directory: absent(map[string]string{"mgr": "dep"}), involved: []string{"dep"},
			hospital: "RUH", department: "ED", owner: "pxb", by: ByPXAdmin,
		},
		{
			name: "an involved manager's deputy does not act for one who is there", involved: []string{"mgr"},
			directory: change("mgr", func(u *UserSpec) { u.Substitute = &Substitute{User: "dep"} }),
			hospital:  "RUH", department: "ED", owner: "pxb", by: ByPXAdmin,
		},
		{name: "involved PX Admins are left out", hospital: "RUH", involved: []string{"pxa", "pxb"}, owner: "exe", by: ByExecutive},
		{name: "all involved: a PX Admin without hospital", hospital: "RUH", involved: []string{"pxa", "pxb", "exe"}, owner: "grp", by: ByGlobalAdmin},
		{name: "a target department", policy: "{name: a, hospital: RUH, assign_to_department: ED}", hospital: "RUH", department: "LAB", owner: "mgr", by: ByManager, into: "ED"},
		{name: "a target department and a role in it", policy: "{name: a, hospital: RUH, assign_to_department: ED, assign_to_role: Staff}", hospital: "RUH", owner: "bob", by: ByRole, into: "ED"},
		{
			name: "the higher priority", hospital: "RUH", department: "ED", owner: "exe", by: ByUser,
			policy: "{name: a, priority: 1, assign_to_user: cas}, {name: b, priority: 2, assign_to_user: exe}",
		},
		{
			name: "then the name", hospital: "RUH", department: "ED", owner: "cas", by: ByUser,
			policy: "{name: b, assign_to_user: exe}, {name: a, assign_to_user: cas}",
		},
		{
			name: "an inactive rule does not count", hospital: "RUH", department: "ED", owner: "exe", by: ByUser,
			policy: "{name: a, assign_to_user: cas, is_active: false}, {name: b, assign_to_user: exe}",
		},
		{
			name: "only the first fit counts, though it finds nobody", hospital: "RUH", department: "ED", owner: "mgr", by: ByManager,
			policy: "{name: a, assign_to_role: Chaplain}, {name: b, assign_to_user: exe}",
		},
		{
			name: "conditions that don't fit", hospital: "RUH", department: "ED", owner: "exe", by: ByUser,
			policy: `{name: a, assign_to_user: cas, source_type: survey}, {name: b, assign_to_user: cas, category: facility},
				{name: c, assign_to_user: cas, severity: low}, {name: d, assign_to_user: cas, hospital: BER},
				{name: e, assign_to_user: cas, hospital: RUH, department: LAB}, {name: f, assign_to_user: exe}`,
		},
		{
			name: "conditions that all fit", hospital: "RUH", department: "ED", owner: "cas", by: ByUser,
			policy: "{name: a, assign_to_user: cas, source_type: complaint, category: other, severity: medium, hospital: RUH, department: ED}",
		},
		{
			name: "a department's rule does not fit without department", hospital: "RUH", owner: "pxb", by: ByPXAdmin,
			policy: "{name: a, assign_to_user: cas, hospital: RUH, department: ED}",
		},
		{
			name: "another hospital's rules leave the general ones", hospital: "BER", department: "ED", owner: "exe", by: ByUser,
			policy: "{name: a, priority: 9, assign_to_user: cas, hospital: RUH}, {name: b, assign_to_user: exe}",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, tt.directory)
			r := h.rules(t, "routing: ["+tt.policy+"]")
			f := h.complaint(t, tt.hospital, tt.department)
			f.Involved = model.Of(h.users(t, tt.involved...))
			d := r.Decide(f, loads(t, h), noon(), "")
			if got := h.code(d.Outcome.Action.AssignedTo); got != tt.owner || d.Route.By != tt.by || d.NoOwner != (tt.owner == "") {
				t.Errorf("owner %q by %s (nobody: %t), want %q by %s", got, d.Route.By, d.NoOwner, tt.owner, tt.by)
			}
			want := f.DepartmentID
			if tt.into != "" {
				want = h.department(t, "RUH", tt.into)
			}
			if got := d.Outcome.Action.DepartmentID; model.Deref(got) != model.Deref(want) {
				t.Errorf("department %v, want %v", got, want)
			}
		})
	}
}

func TestBatchSpreadsItsOwnAssignments(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	r := h.rules(t, "routing: [{name: a, assign_to_role: Staff}]")
	early, late := noon().Add(-2*time.Hour), noon().Add(-time.Hour)
	loads := Loads{h.user(t, "ann"): {Live: 1, LastAssigned: late}, h.user(t, "bob"): {Live: 1, LastAssigned: early}}
	var got []string
	for range 4 {
		d := r.Decide(h.complaint(t, "RUH", "ED"), loads, noon(), "")
		got = append(got, h.code(d.Outcome.Action.AssignedTo))
	}
	// bob waited longest; then ann has fewer; then both are alike and ann comes first by code; then bob has fewer.
	if want := []string{"bob", "ann", "ann", "bob"}; !slices.Equal(got, want) {
		t.Errorf("owners %v, want %v", got, want)
	}
	if l := loads[h.user(t, "ann")]; l.Live != 3 || !l.LastAssigned.Equal(noon()) {
		t.Errorf("ann's load is %+v", l)
	}
}

func TestMatch(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	r := h.rules(t, `
sla:
  - {name: off, hospital: BER, critical_hours: 1, is_active: false}
  - {name: ruh-ed, hospital: RUH, department: ED, critical_hours: 2}
  - {name: ruh, hospital: RUH, critical_hours: 3}
  - {name: all, critical_hours: 4}
`)
	tests := []struct{ name, hospital, department, want string }{
		{"the department's", "RUH", "ED", "ruh-ed"},
		{"the hospital's for another department", "RUH", "LAB", "ruh"},
		{"the hospital's without department", "RUH", "", "ruh"},
		{"the global one, an inactive one does not count", "BER", "ED", "all"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := h.complaint(t, tt.hospital, tt.department)
			f.Severity = model.SeverityCritical
			a := r.Decide(f, nil, noon(), "").Outcome.Action
			cfg := r.Config(a.SLAConfigID)
			if cfg == nil || cfg.Name != tt.want || !a.DueAt.Equal(noon().Add(cfg.Target[model.SeverityCritical])) {
				t.Errorf("config %+v, due %s, want %s", cfg, a.DueAt, tt.want)
			}
		})
	}
	t.Run("after routing into the department", func(t *testing.T) {
		t.Parallel()
		r := h.rules(t, `
routing: [{name: a, hospital: RUH, assign_to_department: ED}]
sla: [{name: ruh-ed, hospital: RUH, department: ED}]`)
		a := r.Decide(h.complaint(t, "RUH", "LAB"), nil, noon(), "").Outcome.Action
		if cfg := r.Config(a.SLAConfigID); cfg.Name != "ruh-ed" {
			t.Errorf("config %s", cfg.Name)
		}
	})
	t.Run("the built-in one", func(t *testing.T) {
		t.Parallel()
		a := BuiltIn(h.dir).Decide(h.complaint(t, "RUH", "ED"), nil, noon(), "").Outcome.Action
		if a.SLAConfigID != nil || !a.DueAt.Equal(noon().Add(72*time.Hour)) || !a.RequiresApproval {
			t.Errorf("config %v, due %s, approval %t", a.SLAConfigID, a.DueAt, a.RequiresApproval)
		}
	})
	t.Run("an unknown id is nil", func(t *testing.T) {
		t.Parallel()
		if cfg := r.Config(model.NewID[model.SLAConfig]().Ptr()); cfg != nil {
			t.Errorf("config %+v", cfg)
		}
	})
}

func TestLoadCap(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	r := h.rules(t, "load_cap: 2\nrouting: [{name: staff, assign_to_role: Staff}]")
	a := model.Action{HospitalID: *h.hospital(t, "RUH"), DepartmentID: h.department(t, "RUH", "ED"), SourceType: model.SourceComplaint}
	load := func(ann, bob, cas int) Loads {
		return Loads{h.user(t, "ann"): {Live: ann}, h.user(t, "bob"): {Live: bob}, h.user(t, "cas"): {Live: cas}}
	}
	for _, tt := range []struct {
		name  string
		loads Loads
		want  string
	}{
		{"one of the department has room", load(2, 1, 0), "bob"},
		{"the department has enough, the hospital has room", load(2, 3, 1), "cas"},
		{"all have enough: the department's least loaded", load(3, 2, 2), "bob"},
	} {
		if got := h.code(r.Route(&a, tt.loads, noon()).Owner); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}
