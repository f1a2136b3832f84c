package store_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

// decide makes the actions of feedback, one after the other so that their
// creation has an order.
func decide(t *testing.T, w *scenario.World, rows ...model.Feedback) []model.Action {
	t.Helper()
	var as []model.Action
	for _, f := range rows {
		created, _, err := w.Store.Create(t.Context(), w.Insert(f))
		if err != nil || created[0].ActionID == nil {
			t.Fatalf("create = %+v, %v", created, err)
		}
		as = append(as, w.Action(*created[0].ActionID))
	}
	return as
}

func refs(as []model.Action) []string {
	out := make([]string, len(as))
	for i, a := range as {
		out[i] = a.Ref
	}
	return out
}

func TestActionsAreFiltered(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, scenario.NoAck())
	social := w.Complaint(model.SeverityHigh)
	social.SourceType = model.SourceQualityAudit
	secret := w.Complaint(model.SeverityHigh)
	secret.Restricted = true
	as := decide(t, w, w.Complaint(model.SeverityCritical), w.Complaint(model.SeverityLow), social, secret)
	crit, low, audit, hidden := &as[0], &as[1], &as[2], &as[3]
	fire(t, w, crit.ID, 3) // reminder, overdue, stage 1
	move(t, w, low.ID, sla.MoveRequest{Move: model.MoveStart, Actor: low.AssignedTo})

	other := w.Hospital("BER").ID
	tests := []struct {
		name   string
		filter store.ActionFilter
		want   []string // newest first
	}{
		{"no filter leaves out restricted ones", store.ActionFilter{}, []string{audit.Ref, low.Ref, crit.Ref}},
		{"restricted ones are shown on demand", store.ActionFilter{IncludeRestricted: true}, []string{hidden.Ref, audit.Ref, low.Ref, crit.Ref}},
		{"a hospital", store.ActionFilter{Hospitals: []model.HospitalID{crit.HospitalID}}, []string{audit.Ref, low.Ref, crit.Ref}},
		{"another hospital has none", store.ActionFilter{Hospitals: []model.HospitalID{other}}, []string{}},
		{"a department", store.ActionFilter{Department: *crit.DepartmentID, Severities: []model.Severity{model.SeverityLow}}, []string{low.Ref}},
		{"one status", store.ActionFilter{Statuses: []model.Status{model.StatusInProgress}}, []string{low.Ref}},
		{"several statuses", store.ActionFilter{Statuses: []model.Status{model.StatusInProgress, model.StatusOpen}}, []string{audit.Ref, low.Ref, crit.Ref}},
		{"a source", store.ActionFilter{Sources: []model.SourceType{model.SourceQualityAudit}}, []string{audit.Ref}},
		{"an assignee", store.ActionFilter{Assignee: *crit.AssignedTo, Severities: []model.Severity{model.SeverityCritical}}, []string{crit.Ref}},
		{"nobody's", store.ActionFilter{Unassigned: true}, []string{}},
		{"overdue ones", store.ActionFilter{Overdue: true}, []string{crit.Ref}},
		{"escalated ones", store.ActionFilter{Escalated: 1}, []string{crit.Ref}},
		{"ones escalated further than any", store.ActionFilter{Escalated: 2}, []string{}},
		{"a ref in lower case", store.ActionFilter{RefPrefix: strings.ToLower(low.Ref)}, []string{low.Ref}},
		{"the beginning of a ref", store.ActionFilter{RefPrefix: low.Ref[:7]}, []string{audit.Ref, low.Ref, crit.Ref}},
		{"a wildcard is only a letter", store.ActionFilter{RefPrefix: "%"}, []string{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			page, err := w.Store.Actions(t.Context(), tt.filter)
			if err != nil || !slices.Equal(refs(page.Actions), tt.want) || page.Next != "" {
				t.Errorf("actions = %v, next %q, %v; want %v", refs(page.Actions), page.Next, err, tt.want)
			}
		})
	}
}

// fire takes the next n events of an action, each at its time.
func fire(t *testing.T, w *scenario.World, id model.ActionID, n int) {
	t.Helper()
	for range n {
		a := w.Action(id)
		w.SetTime(*a.NextAt)
		rs, _, err := w.Store.Fire(t.Context(), []store.DeadlineRef{{ActionID: id, Gen: a.Gen}})
		if err != nil || rs[0].Outcome != store.Fired {
			t.Fatalf("fire = %+v, %v", rs, err)
		}
	}
}

func move(t *testing.T, w *scenario.World, id model.ActionID, req sla.MoveRequest) {
	t.Helper()
	rs, _, err := w.Store.Move(t.Context(), []store.Move{{ActionID: id, Request: req}})
	if err != nil || rs[0].Err != nil {
		t.Fatalf("%s = %v, %v", req.Move, err, rs[0].Err)
	}
}

func TestPagesCoverEveryActionOnce(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	var rows []model.Feedback
	for range 7 {
		rows = append(rows, w.Complaint(model.SeverityLow))
	}
	// All in one transaction: they share one created_at.
	created, _, err := w.Store.Create(t.Context(), w.Insert(rows...))
	if err != nil || len(created) != len(rows) {
		t.Fatalf("create = %+v, %v", created, err)
	}
	var got []string
	f := store.ActionFilter{Limit: 3}
	for pages := 1; ; pages++ {
		page, err := w.Store.Actions(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, refs(page.Actions)...)
		if f.After = page.Next; f.After == "" {
			if pages != 3 {
				t.Errorf("pages = %d, want 3", pages)
			}
			break
		}
	}
	slices.Sort(got)
	if n := len(slices.Compact(got)); n != 7 || len(got) != 7 {
		t.Errorf("pages hold %v", got)
	}
}

func TestAForeignCursorIsRefused(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	for _, c := range []string{"x", "!!", "MjAyNi0wMS0wMVQwMDowMDowMFogeA"} {
		_, err := w.Store.Actions(t.Context(), store.ActionFilter{After: c})
		var faults model.FieldErrors
		if !errors.As(err, &faults) || faults[0].Field != "after" {
			t.Errorf("cursor %q = %v, want a fault of after", c, err)
		}
	}
}

func TestActionIsFoundByRefOrID(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	a := decide(t, w, w.Complaint(model.SeverityLow))[0]
	for _, ref := range []string{a.Ref, strings.ToLower(a.Ref), a.ID.String(), a.ID.Hex()} {
		got, err := w.Store.ActionByRef(t.Context(), ref)
		if err != nil || got.ID != a.ID {
			t.Errorf("action %s = %v, %v", ref, got, err)
		}
	}
	if _, err := w.Store.ActionByRef(t.Context(), "RUH-26-9999999"); !errors.Is(err, model.ErrNotFound) {
		t.Errorf("unknown ref = %v, want not found", err)
	}
	late, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	// Whoever asks may ask for anything, and that the database is away is logged.
	if _, err := w.Store.ActionByRef(late, "Xylophonewhisper"); !errors.Is(err, model.ErrUnavailable) || strings.Contains(err.Error(), "Xylo") {
		t.Errorf("without an answer = %v, want unavailable, and not the ref", err)
	}
}

func TestStoryTellsEverything(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, scenario.NoAck())
	a := decide(t, w, w.Complaint(model.SeverityCritical))[0]
	fire(t, w, a.ID, 3) // reminder, overdue, stage 1
	move(t, w, a.ID, sla.MoveRequest{Move: model.MoveNote, Actor: a.AssignedTo, Text: "called the family"})

	y, err := w.Store.Story(t.Context(), a.ID, store.StoryOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(y.Logs) != y.Action.LogSeq {
		t.Errorf("logs = %d, want %d", len(y.Logs), y.Action.LogSeq)
	}
	for i, l := range y.Logs {
		if l.Seq != i+1 {
			t.Errorf("log %d has seq %d", i, l.Seq)
		}
	}
	if last := y.Logs[len(y.Logs)-1]; last.LogType != model.LogNote || last.Text != "called the family" {
		t.Errorf("last log = %+v, want the note with its words", last)
	}
	if len(y.Events) != 3 || len(y.Messages) == 0 {
		t.Errorf("events %d, messages %d; want 3 and some", len(y.Events), len(y.Messages))
	}
	if len(y.Feedback) != 1 || y.Feedback[0].Title != "" || y.Feedback[0].Text != "" || y.Feedback[0].SourceSystem != "test" {
		t.Errorf("feedback = %+v, want one without words", y.Feedback)
	}
	if len(y.Upcoming) != 2 || y.Upcoming[0].Kind != model.EventEscalation || y.Upcoming[0].Stage != 2 || !y.Upcoming[0].At.Equal(*y.Action.NextAt) {
		t.Errorf("upcoming = %+v, want stages 2 and 3, the first at %s", y.Upcoming, y.Action.NextAt)
	}
	if y.Dir.Users[*y.Action.AssignedTo] == nil || !y.Now.Domain.Before(y.Upcoming[0].At) {
		t.Error("directory or clock missing")
	}
	y, err = w.Store.Story(t.Context(), a.ID, store.StoryOptions{Words: true})
	if err != nil || y.Feedback[0].Title != "Waited for hours" || y.Feedback[0].Text != "Nobody came." {
		t.Errorf("feedback with words = %+v, %v", y.Feedback, err)
	}
	if _, err := w.Store.Story(t.Context(), model.NewID[model.Action](), store.StoryOptions{}); !errors.Is(err, model.ErrNotFound) {
		t.Errorf("unknown story = %v, want not found", err)
	}
}

func TestCountsSeeWhatOperatorsWatch(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, scenario.NoAck())
	if n, err := w.Store.Counts(t.Context()); err != nil || n != (store.Counts{}) {
		t.Fatalf("counts of nothing = %+v, %v", n, err)
	}
	as := decide(t, w, w.Complaint(model.SeverityCritical), w.Complaint(model.SeverityLow), w.Complaint(model.SeverityLow))
	move(t, w, as[2].ID, sla.MoveRequest{Move: model.MoveCancel, Reason: "twice"})
	fire(t, w, as[0].ID, 3)
	waiting := w.Complaint(model.SeverityLow)
	w.Insert(waiting)
	broken := w.Complaint(model.SeverityLow)
	broken.Decision, broken.Reason, broken.DecidedAt = model.DecisionQuarantined, "unmapped:hospital", &broken.CreatedAt
	w.Insert(broken)
	if _, err := w.Store.DB().NewRaw("UPDATE actions SET arm_after = clock_timestamp() WHERE id = ?", as[1].ID).Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.SetTime(w.Action(as[0].ID).NextAt.Add(time.Minute))
	n, err := w.Store.Counts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n.UndecidedOldest < 60 {
		t.Errorf("oldest undecided = %d s, want a minute at least", n.UndecidedOldest)
	}
	if n.MessagesOpen == 0 {
		t.Error("no open messages, want those of the events")
	}
	n.UndecidedOldest, n.MessagesOpen = 0, 0
	want := store.Counts{Live: 2, Overdue: 1, Escalated: 1, Late: 1, Unarmed: 1, Undecided: 1, Quarantined: 1}
	if n != want {
		t.Errorf("counts = %+v, want %+v", n, want)
	}
}
