package engine_test

import (
	"strings"
	"testing"
	"time"

	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

func TestCalendarsReachOpenActionsByTheSweep(t *testing.T) {
	t.Parallel()
	policy := func(holidays string) []byte {
		return []byte("calendars: [{name: office, timezone: UTC, weekly: {mon-fri: 08:00-16:00}" + holidays + "}]\nsla: [{name: all, calendar: office, medium_hours: 8}]")
	}
	w := scenario.New(t, policy(""))
	f := w.Complaint(model.SeverityMedium)
	f.ReceivedAt = scenario.Start() // Monday at eight
	a := w.Create(f)[0]
	turn := func() {
		t.Helper()
		if turn, err := w.Engine.HealCalendars(t.Context(), store.Keyset{}); err != nil || turn.More || turn.Healed != 0 {
			t.Fatalf("turn = %+v, %v", turn, err)
		}
	}
	turn()
	if now := w.Action(a.ID); now.Version != a.Version {
		t.Errorf("version %d, want it untouched: nothing has changed", now.Version)
	}
	p, err := sla.ParsePolicy(policy(", holidays: [{date: 2026-03-02}]"))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.Store.ApplyPolicy(t.Context(), p, "test", ""); err != nil {
		t.Fatal(err)
	}
	w.Queue.Take()
	turn()
	now := w.Action(a.ID)
	if !now.DueAt.Equal(a.DueAt.AddDate(0, 0, 1)) || now.ArmedGen != now.Gen {
		t.Errorf("due %s, armed %d of %d; want a day later, and armed", now.DueAt, now.ArmedGen, now.Gen)
	}
	if e := w.Queue.Take(); len(e.Arm) != 1 || len(e.Send) != 1 {
		t.Errorf("effects = %+v, want the new job and the owner's message", e)
	}
	// A worker that read the old policy may still write: the walk goes on until that cannot be.
	w.Exec("UPDATE actions SET calendar_revision = 1")
	turn()
	if now := w.Action(a.ID); now.CalendarRevision != 2 {
		t.Errorf("an action that came later has the calendar of revision %d", now.CalendarRevision)
	}
	w.Exec("UPDATE policy_revisions SET created_at = created_at - interval '1 hour'")
	turn()
	w.Exec("UPDATE actions SET calendar_revision = 1")
	turn()
	if now := w.Action(a.ID); now.CalendarRevision != 1 {
		t.Error("the walk never rests")
	}
	// After a failover that lost the revision its number is given again.
	w.Exec("UPDATE policy_revisions SET created_at = created_at + interval '1 hour'")
	turn()
	if now := w.Action(a.ID); now.CalendarRevision != 2 {
		t.Error("another revision of the same number does not reach the action")
	}
}

func TestWhoLeavesIsReplacedByTheSweep(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	a := w.Create(w.Complaint(model.SeverityHigh))[0]
	w.Exec("UPDATE users SET active = false WHERE id = ?", a.AssignedTo)
	w.Exec("UPDATE directory_version SET version = version + 1")
	turn, err := w.Engine.HealOwners(t.Context(), store.Keyset{})
	if err != nil || turn.Healed != 1 || turn.More {
		t.Fatalf("turn = %+v, %v; want one", turn, err)
	}
	if now := w.Action(a.ID); *now.AssignedTo == *a.AssignedTo {
		t.Error("the owner has left and is still the owner")
	}
	if turn, err := w.Engine.HealOwners(t.Context(), store.Keyset{}); err != nil || turn.Healed != 0 {
		t.Errorf("again = %+v, %v; want nothing", turn, err)
	}
	w.Holds()
}

// TestReapplySaysWhatIsLeft: an action that somebody holds is not passed over in
// silence, and the next call finishes it.
func TestReapplySaysWhatIsLeft(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, []byte("sla: [{name: all, high_hours: 48}]"))
	as := w.Create(w.Complaints(3, model.SeverityHigh)...)
	p, err := sla.ParsePolicy([]byte("sla: [{name: all, high_hours: 60}]"))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.Store.ApplyPolicy(t.Context(), p, "test", ""); err != nil {
		t.Fatal(err)
	}
	tx, err := w.Store.DB().BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(t.Context(), "SELECT 1 FROM actions WHERE id = ? FOR UPDATE", as[1].ID); err != nil {
		t.Fatal(err)
	}
	if n, err := w.Engine.Reapply(t.Context()); n != 2 || err == nil || !strings.HasPrefix(err.Error(), "1 open actions are not under the policy yet") {
		t.Errorf("reapply = %d, %v; want two, and that one is left", n, err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if n, err := w.Engine.Reapply(t.Context()); n != 1 || err != nil {
		t.Errorf("reapply = %d, %v; want the one that was left", n, err)
	}
	for _, a := range as {
		if now := w.Action(a.ID); now.PolicyRevision != 2 || !now.DueAt.Equal(a.DueAt.Add(12*time.Hour)) {
			t.Errorf("action under revision %d, due %s; want the new policy's", now.PolicyRevision, now.DueAt)
		}
	}
	w.Holds()
}
