package store_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
	"github.com/pxactions/px/tasks"
)

// TestAPreviewSaysWhatComesOfAPolicy: nothing is written, and applying it does
// what was said, first by its calendars alone, then as a whole.
func TestAPreviewSaysWhatComesOfAPolicy(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, office(""))
	as := w.Create(w.Complaint(model.SeverityMedium), w.Complaint(model.SeverityMedium), w.Complaint(model.SeverityCritical), w.Complaint(model.SeverityLow), w.Complaint(model.SeverityHigh))
	w.Move(as[1].ID, sla.MoveRequest{Move: model.MoveCancel, Reason: "twice"})
	w.SetTime(as[4].DueAt.Add(time.Minute)) // its overdue is due, which no policy has to do with
	text := strings.NewReplacer("medium_hours: 16", "medium_hours: 8\n    low_hours: 4\n    high_hours: 480\n    critical_hours: 240").
		Replace(string(office("    holidays: [{ date: 2026-03-03, name: Storm }]")))
	p, err := sla.ParsePolicy([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	before := w.Count("SELECT sum(version) FROM actions") + w.Count("SELECT count(*) FROM messages")
	pv := preview(t, w, p)
	if n := w.Count("SELECT sum(version) FROM actions") + w.Count("SELECT count(*) FROM messages"); n != before || w.Count("SELECT max(revision) FROM policy_revisions") != 1 {
		t.Error("the preview wrote something")
	}
	day := 24 * time.Hour
	if pv.Live != 4 || !slices.Equal(pv.Calendars.Moved, []time.Duration{day, day}) || len(pv.Calendars.Told) == 0 {
		t.Errorf("preview = %+v, want that a day is lost for medium and low", pv)
	}
	// Medium loses a day to the storm and as much to the shorter target.
	if len(pv.Whole.Moved) != 3 || pv.Whole.Moved[0] > 0 || !slices.Equal(pv.Whole.Overdue, []string{as[3].Ref}) || !slices.Contains(pv.Whole.Cleared, as[4].Ref) {
		t.Errorf("preview = %+v, want all but medium to move, low to be overdue and high no more", pv.Whole)
	}

	apply(t, w, text)
	same(t, "calendars", pv.Calendars, actual(t, w, w.Store.Recalendar))
	pv = preview(t, w, p)
	if len(pv.Calendars.Moved) > 0 {
		t.Errorf("once applied, its calendars still move %v", pv.Calendars.Moved)
	}
	same(t, "whole", pv.Whole, actual(t, w, w.Store.Reapply))
	if pv = preview(t, w, p); len(pv.Whole.Moved)+len(pv.Whole.Told) > 0 {
		t.Errorf("once put under it, %+v is still to come", pv.Whole)
	}
	w.Holds()

	p.SLA[0].Hospital = "NIX"
	var faults model.FieldErrors
	if _, err := w.Store.PreviewPolicy(t.Context(), p); !errors.As(err, &faults) {
		t.Errorf("preview of an unknown hospital = %v, want its fault", err)
	}
}

func preview(t *testing.T, w *scenario.World, p *sla.Policy) store.Preview {
	t.Helper()
	pv, err := w.Store.PreviewPolicy(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	return pv
}

// actual takes what is due, walks, and tells what the walk did.
func actual(t *testing.T, w *scenario.World, walk func(context.Context, store.Keyset, int) (store.Walked, tasks.Effects, error)) store.Impact {
	t.Helper()
	var rows []model.Action
	list := func() map[string]model.Action {
		if err := w.Store.DB().NewSelect().Model(&rows).Scan(t.Context()); err != nil {
			t.Fatal(err)
		}
		by := map[string]model.Action{}
		for _, a := range rows {
			by[a.Ref] = a
		}
		return by
	}
	var refs []store.DeadlineRef
	for _, a := range list() {
		refs = append(refs, store.DeadlineRef{ActionID: a.ID, Gen: a.Gen})
	}
	if _, _, err := w.Store.Fire(t.Context(), refs); err != nil {
		t.Fatal(err)
	}
	before := list()
	if _, _, err := walk(t.Context(), store.Keyset{}, 10); err != nil {
		t.Fatal(err)
	}
	im := store.Impact{Told: map[string]int{}}
	for ref, a := range list() {
		if d := a.DueAt.Sub(before[ref].DueAt); d != 0 {
			im.Moved = append(im.Moved, d)
		}
		if a.IsOverdue && !before[ref].IsOverdue {
			im.Overdue = append(im.Overdue, ref)
		}
		if !a.IsOverdue && before[ref].IsOverdue {
			im.Cleared = append(im.Cleared, ref)
		}
		for _, m := range w.Messages(a.ID) {
			if m.ActionVersion == a.Version && a.Version != before[ref].Version {
				im.Told[w.Dir.Users[m.RecipientID].Code]++
			}
		}
	}
	slices.Sort(im.Moved)
	slices.Sort(im.Overdue)
	slices.Sort(im.Cleared)
	return im
}

func same(t *testing.T, what string, said, done store.Impact) {
	t.Helper()
	if !slices.Equal(said.Moved, done.Moved) || !slices.Equal(said.Overdue, done.Overdue) || !slices.Equal(said.Cleared, done.Cleared) || !maps.Equal(said.Told, done.Told) {
		t.Errorf("%s: said %+v, done %+v", what, said, done)
	}
}

func TestRevisionsSayHowMuchIsInThem(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, office(""))
	apply(t, w, "routing: [{name: a}, {name: b}]\ntriggers: [{complaints: never}]")
	rs, err := w.Store.Revisions(t.Context())
	if err != nil || len(rs) != 2 {
		t.Fatalf("revisions = %+v, %v", rs, err)
	}
	for i, want := range [][6]int{{2, 0, 1, 2, 0, 32}, {1, 1, 0, 0, 1, 32}} {
		if r := rs[i]; want != [6]int{int(r.Revision), r.Calendars, r.Triggers, r.Routing, r.SLA, len(r.SHA256)} || r.CreatedBy != "test" || r.CreatedAt.IsZero() {
			t.Errorf("revision %d = %+v", i, r)
		}
	}
}
