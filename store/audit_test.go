package store_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

// faultsOf checks all chains of a world.
func faultsOf(t *testing.T, w *scenario.World) []store.ChainFault {
	t.Helper()
	var all []store.ChainFault
	var after model.ActionID
	for {
		faults, next, seen, err := w.Store.VerifyChains(t.Context(), after, 1)
		if err != nil {
			t.Fatal(err)
		}
		if seen == 0 {
			return all
		}
		all, after = append(all, faults...), next
	}
}

// TestTamperingIsFound: whoever can write to the database cannot change the story
// unseen, and erasing words breaks nothing.
func TestTamperingIsFound(t *testing.T) {
	t.Parallel()
	const row = "WHERE action_id = ?0 AND seq = 3"
	for _, tt := range []struct {
		name string
		sql  []string
		seq  int    // of the fault
		what string // empty: none
	}{
		{name: "nothing"},
		{name: "words erased", sql: []string{"UPDATE log_texts SET words = NULL"}},
		{name: "a message edited", sql: []string{"UPDATE action_logs SET message = 'Overdue' " + row}, seq: 3, what: "the row was changed, or the row before it"},
		{name: "a fact edited", sql: []string{`UPDATE action_logs SET metadata = metadata || '{"late_s": 0, "more": 1}' ` + row}, seq: 3, what: "the row was changed, or the row before it"},
		{name: "an instant edited", sql: []string{"UPDATE action_logs SET created_at = created_at - interval '1 hour' " + row}, seq: 3, what: "the row was changed, or the row before it"},
		{name: "an actor edited", sql: []string{"UPDATE action_logs SET created_by = (SELECT id FROM users ORDER BY id LIMIT 1) " + row}, seq: 3, what: "the row was changed, or the row before it"},
		{name: "a row removed", sql: []string{"DELETE FROM action_logs " + row}, seq: 4, what: "a row is missing, or rows are out of order"},
		{name: "a row removed and the others moved up", sql: []string{
			"DELETE FROM action_logs " + row, "UPDATE action_logs SET seq = seq + 1000 WHERE action_id = ?0 AND seq > 3",
			"UPDATE action_logs SET seq = seq - 1001 WHERE action_id = ?0 AND seq > 3"}, seq: 3, what: "the row was changed, or the row before it"},
		{name: "rows swapped", sql: []string{
			"UPDATE action_logs SET seq = 1000 " + row, "UPDATE action_logs SET seq = 3 WHERE action_id = ?0 AND seq = 4",
			"UPDATE action_logs SET seq = 4 WHERE action_id = ?0 AND seq = 1000"}, seq: 3, what: "the row was changed, or the row before it"},
		{name: "the last row removed", sql: []string{
			"DELETE FROM action_logs l WHERE action_id = ?0 AND seq = (SELECT max(seq) FROM action_logs WHERE action_id = l.action_id)"},
			what: "the chain does not end as the action says: its last rows were changed or removed"},
		{name: "a row taken out of the chain", sql: []string{"UPDATE action_logs SET row_hash = NULL " + row}, seq: 3, what: "the row is not chained, although rows before it are"},
		{name: "the first rows taken out of the chain", sql: []string{"UPDATE action_logs SET row_hash = NULL WHERE action_id = ?0 AND seq < 3"}, seq: 3, what: "the row was changed, or the row before it"},
		{name: "the whole chain removed", sql: []string{"UPDATE action_logs SET row_hash = NULL WHERE action_id = ?0"}, what: "the chain does not end as the action says: its last rows were changed or removed"},
		{name: "the chain's end removed", sql: []string{"UPDATE actions SET log_hash = NULL WHERE id = ?0"}, what: "the chain does not end as the action says: its last rows were changed or removed"},
		{name: "words edited", sql: []string{"UPDATE log_texts SET words = 'called twice' WHERE log_id IN (SELECT id FROM action_logs WHERE action_id = ?0)"}, seq: 4, what: "the words were changed"},
		{name: "words removed", sql: []string{"DELETE FROM log_texts WHERE log_id IN (SELECT id FROM action_logs WHERE action_id = ?0)"}, seq: 4, what: "the words are gone, and not by erasure"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := scenario.New(t, nil)
			a := w.Create(w.Complaint(model.SeverityCritical))[0]
			w.Move(a.ID, sla.MoveRequest{Move: model.MoveStart, Actor: a.AssignedTo})
			w.Move(a.ID, sla.MoveRequest{Move: model.MoveNote, Actor: a.AssignedTo, Text: "called"})
			w.FireNext(a.ID, 2)
			other := w.Create(w.Complaint(model.SeverityLow))[0]
			for _, sql := range tt.sql {
				w.Exec(sql, a.ID)
			}
			faults := faultsOf(t, w)
			if tt.what == "" {
				if len(faults) != 0 {
					t.Errorf("faults %+v, want none", faults)
				}
				return
			}
			if len(faults) == 0 || faults[0] != (store.ChainFault{Ref: a.Ref, Seq: tt.seq, What: tt.what}) {
				t.Errorf("faults %+v, want row %d: %s", faults, tt.seq, tt.what)
			}
			for _, f := range faults {
				if f.Ref == other.Ref {
					t.Errorf("fault %+v of an action that nobody touched", f)
				}
			}
		})
	}
}

// TestAnOlderStoryIsChainedFromHereOn: actions that are older than the chain.
func TestAnOlderStoryIsChainedFromHereOn(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	a := w.Create(w.Complaint(model.SeverityHigh))[0]
	w.Exec("UPDATE action_logs SET row_hash = NULL")
	w.Exec("UPDATE actions SET log_hash = NULL")
	if faults := faultsOf(t, w); len(faults) != 0 {
		t.Errorf("before the chain: %+v", faults)
	}
	w.Move(a.ID, sla.MoveRequest{Move: model.MoveStart, Actor: a.AssignedTo})
	w.FireNext(a.ID, 1)
	if faults := faultsOf(t, w); len(faults) != 0 {
		t.Errorf("with its first chained rows: %+v", faults)
	}
	w.Exec("DELETE FROM action_logs WHERE action_id = ?0 AND seq = 1", a.ID)
	w.Exec("UPDATE action_logs SET seq = seq + 1000 WHERE action_id = ?0", a.ID)
	w.Exec("UPDATE action_logs SET seq = seq - 1001 WHERE action_id = ?0", a.ID)
	if faults := faultsOf(t, w); len(faults) == 0 {
		t.Error("that an older row was removed is not found")
	}
}

func TestDaysAreSealed(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	start := scenario.Start().Truncate(24 * time.Hour)
	seal := func() []store.AuditDay {
		t.Helper()
		days, err := w.Store.SealDays(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return days
	}
	if days := seal(); len(days) != 0 {
		t.Errorf("with no log at all: %+v", days)
	}
	a := w.Create(w.Complaint(model.SeverityCritical))[0]
	w.SetTime(start.Add(24*time.Hour + 59*time.Minute))
	if days := seal(); len(days) != 0 {
		t.Errorf("before the day is surely over: %+v", days)
	}
	w.SetTime(start.Add(3*24*time.Hour + 2*time.Hour))
	days := seal()
	if len(days) != 3 || days[0].Rows != int64(a.LogSeq) || days[1].Rows != 0 || bytes.Equal(days[1].Hash, days[2].Hash) {
		t.Fatalf("days %+v, want the first with %d rows and two without", days, a.LogSeq)
	}
	if again := seal(); len(again) != 0 {
		t.Errorf("again: %+v", again)
	}
	kept, err := w.Store.AuditDays(t.Context())
	if err != nil || len(kept) != 3 || !bytes.Equal(kept[2].Hash, days[2].Hash) {
		t.Fatalf("kept %+v, %v", kept, err)
	}
	check := func() (faults int) {
		t.Helper()
		var before []byte
		for _, d := range kept {
			f, err := w.Store.VerifyDay(t.Context(), d, before)
			if err != nil {
				t.Fatal(err)
			}
			if f != nil {
				faults++
			}
			before = d.Hash
		}
		return faults
	}
	if n := check(); n != 0 {
		t.Errorf("%d faults, want none", n)
	}
	w.Exec("DELETE FROM action_logs WHERE seq = 1")
	if n := check(); n != 1 {
		t.Errorf("%d faults after a row was removed, want the first day's", n)
	}
}

// TestTheExportProvesItself: an auditor with a program of their own comes to the
// same hashes.
func TestTheExportProvesItself(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	a := w.Create(w.Complaint(model.SeverityCritical))[0]
	w.Move(a.ID, sla.MoveRequest{Move: model.MoveNote, Actor: a.AssignedTo, Text: "Secret words <&>"})
	day := scenario.Start().Truncate(24 * time.Hour)
	w.SetTime(day.Add(30 * time.Hour))
	sealed, err := w.Store.SealDays(t.Context())
	if err != nil || len(sealed) != 1 {
		t.Fatalf("sealed %+v, %v", sealed, err)
	}
	sum := sha256.New()
	var rows int
	err = w.Store.ExportLog(t.Context(), day, day.AddDate(0, 0, 1), func(x store.LogExport) error {
		rows++
		text, _ := hex.DecodeString(x.TextHash)
		if len(text) == 0 {
			text = nil
		}
		prev, _ := hex.DecodeString(x.Previous)
		h, err := model.LogHash(prev, &model.ActionLog{
			ActionID: x.Action, Seq: x.Seq, LogType: x.Type, Message: x.Message, CreatedBy: x.By, OldStatus: x.Old, NewStatus: x.New,
			Metadata: model.Of(x.Metadata), TextHash: text, CreatedAt: x.At,
		})
		if err != nil || hex.EncodeToString(h) != x.Hash || x.Ref != a.Ref {
			t.Errorf("row %+v hashes to %x, %v", x, h, err)
		}
		sum.Write(h)
		return nil
	})
	if err != nil || rows != w.Action(a.ID).LogSeq || !bytes.Equal(sum.Sum(nil), sealed[0].Hash) {
		t.Errorf("%d rows, %v; want all of the day, and its hash", rows, err)
	}
	none := 0
	if err := w.Store.ExportLog(t.Context(), day.AddDate(0, 0, 1), day.AddDate(0, 0, 9), func(store.LogExport) error { none++; return nil }); err != nil || none != 0 {
		t.Errorf("of other days: %d rows, %v", none, err)
	}
}

// TestChainsOfTodayCoverAll: whatever the day, the parts of the days that follow
// have every action.
func TestChainsOfTodayCoverAll(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	as := w.Create(w.Complaints(5, model.SeverityLow)...)
	slices.SortFunc(as, func(a, b model.Action) int { return strings.Compare(a.ID.String(), b.ID.String()) })
	begins := []model.ActionID{{}, as[1].ID, as[3].ID} // of the three parts of two
	after, err := w.Store.ChainsOfToday(t.Context(), 2)
	if err != nil || !slices.Contains(begins, after) {
		t.Errorf("today's part begins behind %s, %v; want one of %s", after, err, begins)
	}
	if after, err := w.Store.ChainsOfToday(t.Context(), 5); err != nil || !after.IsZero() {
		t.Errorf("the only part begins behind %s, %v; want the beginning", after, err)
	}
}
