package store_test

import (
	"strings"
	"testing"
	"time"

	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

// office is a policy with one calendar, Sunday to Thursday from eight to four in
// Riyadh, less the given lines' dates.
func office(lines string) []byte {
	return []byte(`
calendars:
  - name: office
    timezone: Asia/Riyadh
    weekly: { sun-thu: 08:00-16:00 }
` + lines + `
sla:
  - name: all
    calendar: office
    medium_hours: 16
    reminder_hours_before: 2
    ack_targets: { medium: none }
`)
}

// atStart is a complaint received to the second at the start of the world, whose
// clock runs on.
func atStart(w *scenario.World, sev model.Severity) model.Feedback {
	f := w.Complaint(sev)
	f.ReceivedAt = scenario.Start()
	return f
}

func TestOpenTimeIsCountedByTheCalendar(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, office("")) // Monday 2 March 2026, 11:00 in Riyadh
	as := w.Create(atStart(w, model.SeverityMedium), atStart(w, model.SeverityCritical))
	if due := time.Date(2026, 3, 4, 8, 0, 0, 0, time.UTC); !as[0].DueAt.Equal(due) {
		t.Errorf("medium is due %s, want 16 open hours later, %s", as[0].DueAt, due)
	}
	if due := scenario.Start().Add(24 * time.Hour); !as[1].DueAt.Equal(due) {
		t.Errorf("critical is due %s, want 24 hours later, %s", as[1].DueAt, due)
	}
	if as[0].Calendar != "office" || as[0].CalendarRevision != 1 {
		t.Errorf("calendar = %q of revision %d", as[0].Calendar, as[0].CalendarRevision)
	}
	w.Move(as[1].ID, sla.MoveRequest{Move: model.MoveCancel, Reason: "test"})
	w.FireNext(as[0].ID, 3) // reminder, overdue, stage 1
	for i, want := range []time.Time{
		time.Date(2026, 3, 4, 6, 0, 0, 0, time.UTC),
		time.Date(2026, 3, 4, 8, 0, 0, 0, time.UTC),
		time.Date(2026, 3, 4, 10, 0, 0, 0, time.UTC),
	} {
		if e := w.Events(as[0].ID)[i]; !e.Planned.Equal(want) {
			t.Errorf("%s planned %s, want %s", e.Kind, e.Planned, want)
		}
	}
	w.Holds()
}

// TestANewHolidayReachesOpenActions, and nothing else of a new policy does.
func TestANewHolidayReachesOpenActions(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, office(""))
	as := w.Create(atStart(w, model.SeverityMedium), atStart(w, model.SeverityCritical), atStart(w, model.SeverityMedium), atStart(w, model.SeverityMedium))
	manual := as[2].DueAt.Add(time.Hour)
	w.Move(as[2].ID, sla.MoveRequest{Move: model.MoveDue, DueAt: manual, Reason: "promised"})
	w.Move(as[3].ID, sla.MoveRequest{Move: model.MoveCancel, Reason: "twice"})

	text := strings.Replace(string(office(`    holidays: [{ date: 2026-03-03, name: Storm }]`)), "medium_hours: 16", "medium_hours: 8", 1)
	apply(t, w, text)
	moved := w.Action(as[2].ID)
	done, _, err := w.Store.Recalendar(t.Context(), store.Keyset{}, 2)
	if err != nil || done.Seen != 2 {
		t.Fatalf("first batch = %+v, %v", done, err)
	}
	rest, _, err := w.Store.Recalendar(t.Context(), done.Next, 2)
	if err != nil || rest.Seen != 1 {
		t.Fatalf("second batch = %+v, %v", rest, err)
	}
	for i, gen := range []int64{as[0].Gen + 1, as[1].Gen, moved.Gen} { // the other plans stand, and so do their jobs
		if a := w.Action(as[i].ID); a.Gen != gen {
			t.Errorf("action %d has gen %d, want %d", i, a.Gen, gen)
		}
	}
	if again, _, err := w.Store.Recalendar(t.Context(), store.Keyset{}, 10); err != nil || again.Seen != 0 {
		t.Errorf("again = %+v, %v; want nothing left", again, err)
	}
	for i, want := range []time.Time{as[0].DueAt.Add(24 * time.Hour), as[1].DueAt, manual, as[3].DueAt} {
		a := w.Action(as[i].ID)
		if !a.DueAt.Equal(want) || a.PolicyRevision != 1 {
			t.Errorf("action %d is due %s under revision %d, want %s under 1", i, a.DueAt, a.PolicyRevision, want)
		}
		if wantRev := int64(2); i < 3 && a.CalendarRevision != wantRev {
			t.Errorf("action %d has the calendar of revision %d, want %d", i, a.CalendarRevision, wantRev)
		}
	}
	if n := w.Count("SELECT count(*) FROM action_logs WHERE action_id = ? AND message LIKE 'Calendar office changed; due 2026-03-05 08:00 UTC, was %'", as[0].ID); n != 1 {
		t.Errorf("the story tells %d times of the change, want once", n)
	}
	if n := w.Count("SELECT count(*) FROM messages WHERE action_id = ? AND reason = 'plan_change'", as[0].ID); n != 1 {
		t.Errorf("the owner was told %d times, want once", n)
	}
	w.Holds()
}

func TestADirectoryMayOnlyNameCalendarsThatAreThere(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, office(""))
	w.Exec("UPDATE hospitals SET calendar = 'riyadh' WHERE code = 'RUH'")
	w.Exec("UPDATE directory_version SET version = version + 1")
	p, err := sla.ParsePolicy(office("    holidays: [{ date: 2026-03-03 }]"))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.Store.ApplyPolicy(t.Context(), p, "test", ""); err == nil || !strings.Contains(err.Error(), "RUH: riyadh") {
		t.Errorf("apply = %v, want that RUH's calendar is missing", err)
	}
}

func apply(t *testing.T, w *scenario.World, text string) {
	t.Helper()
	p, err := sla.ParsePolicy([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if _, changed, err := w.Store.ApplyPolicy(t.Context(), p, "test", ""); err != nil || !changed {
		t.Fatalf("apply = %t, %v", changed, err)
	}
}
