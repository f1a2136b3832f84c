package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

// reader follows the stream as a program does: by the text of its last cursor.
type reader struct {
	t      *testing.T
	s      *store.Store
	f      store.ChangeFilter
	at     string
	all    []store.Change
	seen   map[model.ActionID]int
	orders bool // every action is read from its first change on
}

func follow(t *testing.T, s *store.Store, f store.ChangeFilter) *reader {
	return &reader{t: t, s: s, f: f, at: f.After.String(), seen: map[model.ActionID]int{}, orders: f.After == (model.Cursor{})}
}

// read reads one page and checks that each action's changes come by their seq.
func (r *reader) read() store.ChangePage {
	r.t.Helper()
	var err error
	if r.f.After, err = model.ParseCursor("after", r.at); err != nil {
		r.t.Fatal(err)
	}
	p, err := r.s.Changes(r.t.Context(), r.f)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, c := range p.Changes {
		if last := r.seen[c.ActionID]; c.Seq != last+1 && (last != 0 || r.orders) {
			r.t.Fatalf("change %d of %s after %d: skipped, repeated or out of order", c.Seq, c.Ref, last)
		}
		r.seen[c.ActionID] = c.Seq
	}
	r.all = append(r.all, p.Changes...)
	r.at = p.Next.String()
	return p
}

// until reads on until a condition holds. Transactions of other tests on the
// same server may hold the stream back meanwhile.
func (r *reader) until(what string, holds func() bool) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			r.t.Fatalf("waited too long until %s; read %d changes", what, len(r.all))
		case <-tick.C:
			r.read()
		}
	}
}

// has waits for a number of changes and returns them.
func (r *reader) has(n int) []store.Change {
	r.t.Helper()
	r.until(fmt.Sprintf("there are %d changes", n), func() bool { return len(r.all) >= n })
	if len(r.all) != n {
		r.t.Fatalf("%d changes, want %d", len(r.all), n)
	}
	return r.all
}

func logRows(w *scenario.World) int {
	w.TB.Helper()
	return w.Count("SELECT count(*) FROM action_logs WHERE xid IS NOT NULL")
}

// insertLog adds a log row in a transaction of the test's own, as any release
// does it: without a word on the stream.
func insertLog(t *testing.T, tx bun.Tx, id model.ActionID) {
	t.Helper()
	_, err := tx.ExecContext(t.Context(), `INSERT INTO action_logs (id, action_id, seq, log_type, message, created_at)
		SELECT gen_random_uuid(), ?0, max(seq) + 1, 'note', 'Note added', now() FROM action_logs WHERE action_id = ?0`, id)
	if err != nil {
		t.Fatal(err)
	}
}

func begin(t *testing.T, w *scenario.World) bun.Tx {
	t.Helper()
	tx, err := w.Store.DB().BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tx.Rollback() })
	return tx
}

func TestOutOfOrderCommitsLoseNothing(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	as := w.Create(w.Complaints(2, model.SeverityHigh)...)
	r := follow(t, w.Store, store.ChangeFilter{})
	r.has(logRows(w))
	before := len(r.all)

	slow := begin(t, w)
	insertLog(t, slow, as[0].ID)
	w.Move(as[1].ID, sla.MoveRequest{Move: model.MoveNote, Text: "quick"})
	for range 3 { // what was written after an open row waits for it
		if p := r.read(); len(p.Changes) != 0 || p.More {
			t.Fatalf("read %+v while an earlier row is not committed", p)
		}
	}
	if err := slow.Commit(); err != nil {
		t.Fatal(err)
	}
	got := r.has(logRows(w))[before:]
	if got[0].ActionID != as[0].ID || got[1].ActionID != as[1].ID {
		t.Errorf("changes %+v, want the slow one first", got)
	}
}

// TestAnActionsChangesKeepTheirOrder: a transaction that began first writes a
// row that follows on another's.
func TestAnActionsChangesKeepTheirOrder(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	a := w.Create(w.Complaint(model.SeverityHigh))[0]
	early := begin(t, w)
	if _, err := early.ExecContext(t.Context(), "SELECT pg_current_xact_id()"); err != nil {
		t.Fatal(err)
	}
	w.Move(a.ID, sla.MoveRequest{Move: model.MoveNote, Text: "first"})
	insertLog(t, early, a.ID)
	insertLog(t, early, a.ID)
	if err := early.Commit(); err != nil {
		t.Fatal(err)
	}
	r := follow(t, w.Store, store.ChangeFilter{Limit: 1}) // reader checks the order
	r.has(logRows(w))
}

// TestManyWritersOneReader: whatever commits in whatever order, a reader who
// comes again and again gets every change once, and each action's in order.
func TestManyWritersOneReader(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	as := w.Create(w.Complaints(5, model.SeverityHigh)...)
	var writers sync.WaitGroup
	for i := range 6 {
		writers.Go(func() {
			for n := range 12 {
				id := as[(i+n)%len(as)].ID
				other := as[(i+n+1)%len(as)].ID
				note := func(id model.ActionID) store.Move {
					return store.Move{ActionID: id, Request: sla.MoveRequest{Move: model.MoveNote, Text: "seen"}}
				}
				_, _, err := w.Store.Move(t.Context(), []store.Move{note(id), note(other)})
				if err != nil && !errors.Is(err, model.ErrConflict) && !errors.Is(err, model.ErrUnavailable) {
					t.Errorf("move: %v", err)
				}
				if n%4 == 0 {
					if _, _, err := w.Store.Create(t.Context(), w.Insert(w.Complaint(model.SeverityLow))); err != nil {
						t.Errorf("create: %v", err)
					}
				}
			}
		})
	}
	r := follow(t, w.Store, store.ChangeFilter{Limit: 7})
	done := make(chan struct{})
	go func() { writers.Wait(); close(done) }()
	for working := true; working; {
		select {
		case <-done:
			working = false
		default:
			r.read()
		}
	}
	total := logRows(w)
	if total < 100 {
		t.Fatalf("only %d changes were made", total)
	}
	r.has(total)
}

func TestFiltersLeaveOutAndGoOn(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	plain, secret, other := w.Complaint(model.SeverityHigh), w.Complaint(model.SeverityHigh), w.Complaint(model.SeverityHigh)
	secret.Restricted = true
	other.SourceSystem, other.EventID = "survey tool", "e-1"
	as := w.Create(plain, secret, other)
	total := logRows(w)
	follow(t, w.Store, store.ChangeFilter{IncludeRestricted: true}).has(total) // all are past the open transactions

	end, err := w.Store.StreamEnd(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ruh, none := w.Hospital("RUH").ID, model.NewID[model.Hospital]()
	for _, tt := range []struct {
		name string
		f    store.ChangeFilter
		want []string // refs
	}{
		{"all that is not restricted", store.ChangeFilter{}, []string{as[0].Ref, as[2].Ref}},
		{"restricted too", store.ChangeFilter{IncludeRestricted: true}, []string{as[0].Ref, as[1].Ref, as[2].Ref}},
		{"one source system", store.ChangeFilter{SourceSystem: "survey tool"}, []string{as[2].Ref}},
		{"one hospital", store.ChangeFilter{Hospitals: []model.HospitalID{none, ruh}}, []string{as[0].Ref, as[2].Ref}},
		{"another hospital", store.ChangeFilter{Hospitals: []model.HospitalID{none}}, nil},
		{"what is yet to come", store.ChangeFilter{After: end}, nil},
	} {
		tt.f.Limit = 2
		r := follow(t, w.Store, tt.f)
		for r.read().More { //nolint:revive // reads to the end
		}
		var refs []string
		for _, c := range r.all {
			if !slices.Contains(refs, c.Ref) {
				refs = append(refs, c.Ref)
			}
		}
		slices.Sort(refs)
		slices.Sort(tt.want)
		if !slices.Equal(refs, tt.want) {
			t.Errorf("%s: changes of %v, want %v", tt.name, refs, tt.want)
		}
		if at, _ := model.ParseCursor("after", r.at); at.XID < end.XID {
			t.Errorf("%s: stands at %s, before what the filter left out", tt.name, r.at)
		}
	}
}

func TestWhatAChangeTells(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	f := w.Complaint(model.SeverityHigh)
	f.SourceSystem, f.EventID, f.Mode = "survey tool", "e-1", model.ModeShadow
	a := w.Create(f)[0]
	w.Move(a.ID, sla.MoveRequest{Move: model.MoveNote, Actor: a.AssignedTo, Text: "He said so."})
	w.Move(a.ID, sla.MoveRequest{Move: model.MoveStart, Actor: a.AssignedTo, Reason: "He said so."})
	all := follow(t, w.Store, store.ChangeFilter{}).has(logRows(w))
	if text, err := json.Marshal(all); err != nil || strings.Contains(string(text), "He said so") || strings.Contains(string(text), f.Title) || strings.Contains(string(text), f.Text) {
		t.Errorf("words in %s, %v", text, err)
	}
	c, now := all[len(all)-1], w.Action(a.ID)
	by := ""
	for _, u := range w.Dir.Users {
		if u.ID == *a.AssignedTo {
			by = u.Code
		}
	}
	c.ID, c.At, c.Message, c.Facts = model.Cursor{}, time.Time{}, "", nil
	want := store.Change{
		ActionID: a.ID, Ref: a.Ref, Seq: now.LogSeq, Type: model.LogStatusChange, Move: "start", By: by, OldStatus: model.StatusOpen,
		NewStatus: model.StatusInProgress, Hospital: "RUH", SourceSystem: "survey tool", EventID: "e-1", Version: now.Version, Shadow: true,
	}
	if fmt.Sprintf("%+v", c) != fmt.Sprintf("%+v", want) {
		t.Errorf("change %+v, want %+v", c, want)
	}
	if all[0].By != "" || all[0].Type != model.LogCreated {
		t.Errorf("the first change %+v, want the program's", all[0])
	}
}

func TestRowsOlderThanTheStreamAreNotInIt(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	a := w.Create(w.Complaint(model.SeverityHigh))[0]
	w.Exec("UPDATE action_logs SET xid = NULL")
	w.Move(a.ID, sla.MoveRequest{Move: model.MoveNote, Text: "seen"})
	r := follow(t, w.Store, store.ChangeFilter{})
	r.orders = false
	if all := r.has(1); all[0].Seq != w.Action(a.ID).LogSeq {
		t.Errorf("changes %+v, want the last row alone", all)
	}
}
