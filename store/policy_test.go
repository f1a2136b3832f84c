package store_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

// hours is a policy of one global SLA config.
func hours(critical int) string {
	return fmt.Sprintf("sla:\n  - name: all\n    critical_hours: %d\n    ack_targets: {critical: none}\n", critical)
}

func applyPolicy(t *testing.T, s *store.Store, doc string) (int64, bool) {
	t.Helper()
	p, err := sla.ParsePolicy([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	revision, changed, err := s.ApplyPolicy(t.Context(), p, "tester", "")
	if err != nil {
		t.Fatal(err)
	}
	return revision, changed
}

func applyDirectory(t *testing.T, s *store.Store, doc string) error {
	t.Helper()
	d, err := sla.ParseDirectory([]byte(doc))
	if err != nil {
		return err
	}
	_, err = s.ApplyDirectory(t.Context(), d)
	return err
}

func TestPolicyRevisionsOnlyGrow(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	if p, row, err := w.Store.Policy(t.Context(), 0); err != nil || row.Revision != 0 || len(p.SLA) != 0 {
		t.Errorf("no policy yet = %+v, %+v, %v; want the empty one", p, row, err)
	}
	steps := []struct {
		doc      string
		revision int64
		changed  bool
	}{
		{hours(10), 1, true}, {hours(10), 1, false}, {"# a comment is no change\n" + hours(10), 1, false},
		{hours(20), 2, true}, {hours(10), 3, true}, // what was active once is a new revision
	}
	for i, st := range steps {
		if revision, changed := applyPolicy(t, w.Store, st.doc); revision != st.revision || changed != st.changed {
			t.Errorf("step %d = revision %d, changed %t; want %d, %t", i, revision, changed, st.revision, st.changed)
		}
	}
	if n := w.Count("SELECT count(*) FROM policy_revisions"); n != 3 {
		t.Errorf("revisions = %d, want 3", n)
	}
	if n := w.Count("SELECT count(*) FROM sla_configs WHERE is_active AND revision = 3 AND critical_hours = 10"); n != 1 {
		t.Errorf("active rows of the last revision = %d, want 1", n)
	}
	if n := w.Count("SELECT count(*) FROM sla_configs"); n != 3 {
		t.Errorf("rows = %d, want those of the old revisions kept", n)
	}
	p, row, err := w.Store.Policy(t.Context(), 2)
	if err != nil || row.CreatedBy != "tester" || *p.SLA[0].CriticalHours != 20 {
		t.Errorf("revision 2 = %+v, %+v, %v", p, row, err)
	}
	if _, _, err := w.Store.Policy(t.Context(), 9); !errors.Is(err, model.ErrNotFound) {
		t.Errorf("revision 9 = %v, want not found", err)
	}
}

func TestCodesThatPointNowhereAreFaults(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	p, err := sla.ParsePolicy([]byte("sla:\n  - {name: a, hospital: NOWHERE}\nrouting:\n  - {name: r, assign_to_user: nobody}\n"))
	if err != nil {
		t.Fatal(err)
	}
	var faults model.FieldErrors
	if _, _, err := w.Store.ApplyPolicy(t.Context(), p, "tester", ""); !errors.As(err, &faults) || len(faults) != 2 {
		t.Errorf("apply = %v, want both faults", err)
	}
	if n := w.Count("SELECT count(*) FROM policy_revisions"); n != 0 {
		t.Errorf("revisions = %d, want none", n)
	}
	faults = nil
	err = applyDirectory(t, w.Store, "departments:\n  - {hospital: RUH, code: NEW, name: New, manager: nobody}\n")
	if !errors.As(err, &faults) || len(faults) != 1 {
		t.Errorf("apply directory = %v, want one fault", err)
	}
	if n := w.Count("SELECT count(*) FROM departments WHERE code = 'NEW'"); n != 0 {
		t.Error("a faulty directory was written")
	}
}

func TestRunningActionsKeepTheirRevision(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, []byte(hours(10)))
	twin := w.Twin() // another process, whose rules are compiled already
	old := w.Create(w.Complaint(model.SeverityCritical))[0]
	if _, err := twin.Store.Directory(t.Context()); err != nil {
		t.Fatal(err)
	}
	applyPolicy(t, w.Store, hours(30)+"    auto_escalate: false\n")

	created, _, err := twin.Store.Create(t.Context(), w.Insert(w.Complaint(model.SeverityCritical)))
	if err != nil || created[0].ActionID == nil {
		t.Fatalf("create = %+v, %v", created, err)
	}
	fresh := w.Action(*created[0].ActionID)
	if fresh.PolicyRevision != 2 || fresh.DueAt.Sub(fresh.ClockStart) != 30*time.Hour {
		t.Errorf("new action: revision %d, target %s; want the new policy without a restart", fresh.PolicyRevision, fresh.DueAt.Sub(fresh.ClockStart))
	}
	w.FireNext(old.ID, 3)
	es := w.Events(old.ID)
	if old.PolicyRevision != 1 || len(es) != 3 || es[2].Kind != model.EventEscalation || !es[1].Planned.Equal(old.ClockStart.Add(10*time.Hour)) {
		t.Errorf("old action's events = %+v, want the plan of revision 1", es)
	}
	w.Holds()
	w.FireNext(fresh.ID, 2)
	if a := w.Action(fresh.ID); a.NextAt != nil {
		t.Errorf("new action's next event = %s, want none: it does not escalate", a.NextKind)
	}
}

func TestAnotherDepartmentsSLACountsFromTheMove(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, []byte("sla:\n  - {name: ward, hospital: RUH, department: WARD3, critical_hours: 6}\n"))
	a := w.Create(w.Complaint(model.SeverityCritical))[0]
	if a.SLAConfigID != nil || a.DueAt.Sub(a.ClockStart) != 24*time.Hour {
		t.Fatalf("action = %+v, want the built-in config", a)
	}
	applyPolicy(t, w.Store, "sla:\n  - {name: ward, hospital: RUH, department: WARD3, critical_hours: 2}\n")
	ward, ok := w.Dir.ResolveDepartment("", a.HospitalID, "WARD3")
	if !ok {
		t.Fatal("no WARD3")
	}
	moved := w.Move(a.ID, sla.MoveRequest{Move: model.MoveDepartment, Department: ward.ID})
	if moved.SLAConfigID == nil || moved.DueAt.Sub(moved.ClockStart) != 6*time.Hour || moved.PolicyRevision != 1 {
		t.Errorf("moved = config %v, target %s, revision %d; want the ward's six hours of the pinned revision", moved.SLAConfigID, moved.DueAt.Sub(moved.ClockStart), moved.PolicyRevision)
	}
	w.Holds()
}

func TestDirectoryChangesAreSeenByEveryProcess(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, []byte("routing:\n  - {name: all, assign_to_user: ruh-huda}\n"))
	twin := w.Twin()
	owner := func() string {
		t.Helper()
		created, _, err := twin.Store.Create(t.Context(), w.Insert(w.Complaint(model.SeverityLow)))
		if err != nil || created[0].ActionID == nil {
			t.Fatalf("create = %+v, %v", created, err)
		}
		dir, err := twin.Store.Directory(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return dir.Users[*w.Action(*created[0].ActionID).AssignedTo].Code
	}
	const huda = "users:\n  - {code: ruh-huda, name: Huda, roles: [Staff], hospital: RUH, department: ED"
	steps := []struct{ name, doc, owner string }{
		{"as the sample has it", "", "ruh-huda"},
		{"absent, somebody stands in", huda + ", substitute: {user: ruh-bilal, from: 2026-03-01, to: 2026-03-09}}", "ruh-bilal"},
		{"back again", huda + ", substitute: {user: ruh-bilal, from: 2026-02-01, to: 2026-02-09}}", "ruh-huda"},
		{"left, somebody stands in", huda + ", active: false, substitute: {user: ruh-bilal}}", "ruh-bilal"},
		{"left, and nobody stands in", huda + ", active: false}", "ruh-salmaz"}, // the department's manager
	}
	for _, st := range steps {
		if st.doc != "" {
			if err := applyDirectory(t, w.Store, st.doc+"\n"); err != nil {
				t.Fatalf("%s: %v", st.name, err)
			}
		}
		if got := owner(); got != st.owner {
			t.Errorf("%s: owner %s, want %s", st.name, got, st.owner)
		}
	}
	if n := w.Count("SELECT count(*) FROM users WHERE code = 'ruh-huda'"); n != 1 {
		t.Errorf("rows of one code = %d, want the one kept", n)
	}
	if n := w.Count("SELECT version FROM directory_version"); n != 6 { // made, seeded, four changes
		t.Errorf("directory version = %d, want 6", n)
	}
	w.Holds()
}

// TestADirectoryIsNeverSeenByHalves changes people and places while others read
// them: a user of a new department is never seen without it.
func TestADirectoryIsNeverSeenByHalves(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	done := make(chan error, 1)
	go func() {
		for i := range 40 {
			doc := fmt.Sprintf("departments:\n  - {hospital: RUH, code: D%d, name: D, manager: u%d}\nusers:\n  - {code: u%d, name: U, hospital: RUH, department: D%d}\n", i, i, i, i)
			if err := applyDirectory(t, w.Store, doc); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for last := int64(0); ; {
		s, err := store.Open(w.URL, store.Options{PoolSize: 1}) // with nothing cached
		if err != nil {
			t.Fatal(err)
		}
		dir, err := s.Directory(t.Context())
		_ = s.Close()
		if err != nil || dir.Version < last {
			t.Fatalf("directory = version %d after %d, %v", dir.Version, last, err)
		}
		last = dir.Version
		// One department with its user comes with every version from 3 on.
		if n := len(dir.Departments) - len(w.Dir.Departments); n != len(dir.Users)-len(w.Dir.Users) || int64(n) != dir.Version-w.Dir.Version {
			t.Fatalf("version %d has %d new departments and %d new users", dir.Version, n, len(dir.Users)-len(w.Dir.Users))
		}
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			return
		default:
		}
	}
}
