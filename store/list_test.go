package store_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pxactions/px/internal/listbench/crowd"
	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/store"
)

// listOf is every action that fits, page by page.
func listOf(t *testing.T, w *scenario.World, f store.ActionFilter) []model.Action {
	t.Helper()
	var all []model.Action
	for {
		page, err := w.Store.Actions(t.Context(), f)
		if err != nil {
			t.Fatalf("list %+v: %v", f, err)
		}
		all = append(all, page.Actions...)
		if f.After = page.Next; f.After == "" {
			return all
		}
		if len(all) > 10_000 {
			t.Fatal("the pages have no end")
		}
	}
}

// mixed is a world with 60 actions, many of them equal in what orders go by, some
// due long after they were made or before, every other one with a word.
func mixed(t *testing.T) *scenario.World {
	t.Helper()
	w := scenario.New(t, scenario.NoAck())
	for range 20 {
		w.Create(w.Complaint(model.SeverityLow), w.Complaint(model.SeverityHigh), w.Complaint(model.SeverityCritical))
	}
	w.Exec(`UPDATE actions SET created_at = created_at + n % 5 * interval '1 hour', updated_at = updated_at + n % 3 * interval '1 day',
		due_at = due_at + n % 4 * interval '1 hour' + CASE n % 7 WHEN 0 THEN interval '100 days' WHEN 1 THEN interval '-30 days' ELSE interval '0' END,
		title = CASE n % 2 WHEN 0 THEN 'Waited' ELSE 'Came' END, status = CASE n % 3 WHEN 0 THEN 'closed' WHEN 1 THEN 'in_progress' ELSE 'open' END,
		next_at = NULL, next_kind = NULL, next_stage = NULL
		FROM (SELECT id AS nid, row_number() OVER (ORDER BY id) AS n FROM actions) o WHERE id = nid`)
	return w
}

// TestEveryOrderIsKept compares both ways of finding a page with the rows picked
// and sorted in Go: the few that are looked up, and the many that are walked to.
func TestEveryOrderIsKept(t *testing.T) {
	t.Parallel()
	few := mixed(t)
	many := mixed(t)
	many.Exec("ANALYZE actions, action_words")
	many.Exec("UPDATE pg_class SET reltuples = 1000000, relpages = 1 WHERE relname IN ('actions', 'action_words')") // what the planner goes by
	from, to := scenario.Start().Add(-29*24*time.Hour), scenario.Start().Add(101*24*time.Hour)
	filters := map[string]struct {
		filter store.ActionFilter
		fits   func(model.Action) bool
	}{
		"all": {store.ActionFilter{}, func(model.Action) bool { return true }},
		"some statuses": {store.ActionFilter{Statuses: []model.Status{model.StatusClosed, model.StatusOpen, model.StatusOpen}},
			func(a model.Action) bool { return a.Status != model.StatusInProgress }},
		"due in a range": {store.ActionFilter{DueFrom: from, DueTo: to},
			func(a model.Action) bool { return !a.DueAt.Before(from) && a.DueAt.Before(to) }},
		"due until":   {store.ActionFilter{DueTo: to}, func(a model.Action) bool { return a.DueAt.Before(to) }},
		"with a word": {store.ActionFilter{Text: "wait"}, func(a model.Action) bool { return a.Title == "Waited" }},
	}
	for name, w := range map[string]*scenario.World{"few": few, "many": many} {
		all := listOf(t, w, store.ActionFilter{Limit: 200})
		for what, f := range filters {
			want := slices.DeleteFunc(slices.Clone(all), func(a model.Action) bool { return !f.fits(a) })
			if len(all) != 60 || len(want) == 0 || len(want) == 60 && what != "all" {
				t.Fatalf("%s: %d of %d fit", what, len(want), len(all))
			}
			for _, order := range store.ActionOrders() {
				slices.SortFunc(want, compareBy(order))
				f.filter.Order, f.filter.Limit = order, 7
				if got := listOf(t, w, f.filter); !slices.Equal(refs(got), refs(want)) {
					t.Errorf("%s, %s, %s: list = %v, want %v", name, what, order, refs(got), refs(want))
				}
			}
		}
	}
}

func compareBy(order store.ActionOrder) func(a, b model.Action) int {
	id := func(a, b model.Action) int { return strings.Compare(a.ID.String(), b.ID.String()) }
	by := func(n int, a, b model.Action) int {
		if n != 0 {
			return n
		}
		return id(a, b)
	}
	switch order {
	case store.OrderNewest:
		return func(a, b model.Action) int { return by(b.CreatedAt.Compare(a.CreatedAt), b, a) }
	case store.OrderOldest:
		return func(a, b model.Action) int { return by(a.CreatedAt.Compare(b.CreatedAt), a, b) }
	case store.OrderDueSoonest:
		return func(a, b model.Action) int { return by(a.DueAt.Compare(b.DueAt), a, b) }
	case store.OrderDueLatest:
		return func(a, b model.Action) int { return by(b.DueAt.Compare(a.DueAt), b, a) }
	case store.OrderUpdated:
		return func(a, b model.Action) int { return by(b.UpdatedAt.Compare(a.UpdatedAt), b, a) }
	default:
		return func(a, b model.Action) int {
			if n := b.Severity.Rank() - a.Severity.Rank(); n != 0 {
				return n
			}
			return by(a.DueAt.Compare(b.DueAt), a, b)
		}
	}
}

func TestActionsAreFoundByTheirWords(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	titled := func(title, text string) model.Action {
		f := w.Complaint(model.SeverityLow)
		f.Title, f.Text = title, text
		return w.Create(f)[0]
	}
	long := titled("Waited for hours", "Nobody came. The nurse was kind.")
	german := titled("Überfüllte Station", "Die Schwester war freundlich.")
	arabic := titled("انتظار طويل في الطوارئ", "لم يأت أحد")
	changed := titled("To be forgotten", "")
	w.Exec("UPDATE actions SET title = 'Erased', description = '' WHERE id = ?", changed.ID)
	tests := []struct {
		name, text string
		want       []string
	}{
		{"a word of the title", "hours", []string{long.Ref}},
		{"a word of the text, in capitals", "NURSE", []string{long.Ref}},
		{"the beginning of the last word", "waited hou", []string{long.Ref}},
		{"of the last word only", "wait hours", []string{}},
		{"all words, in any order", "nobody hours", []string{long.Ref}},
		{"words as they stand", `"nurse was kind"`, []string{long.Ref}},
		{"words that do not stand so", `"kind was nurse"`, []string{}},
		{"a word that is not to occur", "war -freundlich", []string{}},
		{"one of several", "überfüllte or hours", []string{german.Ref, long.Ref}},
		{"a capital umlaut", "überfüllte", []string{german.Ref}},
		{"an umlaut asked for in capitals", "ÜBERFÜLLTE", []string{german.Ref}},
		{"Arabic", "الطوارئ", []string{arabic.Ref}},
		{"the beginning of an Arabic word", "انتظ", []string{arabic.Ref}},
		{"a ref", long.Ref, []string{long.Ref}},
		{"a word that stands nowhere", "xylophone", []string{}},
		{"an operator by itself", "or", []string{}},
		{"what the database would take for syntax", `hours ':* & !( nurse`, []string{long.Ref}},
		{"a word that was erased", "forgotten", []string{}},
		{"a word written since", "erased", []string{changed.Ref}},
		{"blanks are no text", "  ", []string{changed.Ref, arabic.Ref, german.Ref, long.Ref}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := refs(listOf(t, w, store.ActionFilter{Text: tt.text}))
			slices.Sort(got)
			slices.Sort(tt.want)
			if !slices.Equal(got, tt.want) {
				t.Errorf("found %v, want %v", got, tt.want)
			}
		})
	}
}

func TestAReaderSeesNoMoreThanIsVisible(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, scenario.NoAck())
	a, b := w.Create(w.Complaint(model.SeverityLow))[0], w.Create(w.Complaint(model.SeverityLow))[0]
	c := w.Create(w.Complaint(model.SeverityLow))[0]
	stranger := w.User("ber-hoffmann").ID
	w.Exec("UPDATE actions SET hospital_id = ?, department_id = NULL WHERE id = ?", w.Hospital("BER").ID, b.ID)
	w.Exec("UPDATE actions SET assigned_to = ?, department_id = NULL WHERE id = ?", stranger, c.ID)
	w.Exec("UPDATE actions SET involved_users = jsonb_build_array(?::text) WHERE id = ?", *a.AssignedTo, c.ID)
	ruh, ber := w.Hospital("RUH").ID, w.Hospital("BER").ID
	tests := []struct {
		name    string
		visible *store.Visibility
		want    []model.Action
	}{
		{"no restriction", nil, []model.Action{a, b, c}},
		{"a restriction to nothing", &store.Visibility{}, nil},
		{"a hospital", &store.Visibility{Hospitals: []model.HospitalID{ruh}}, []model.Action{a, c}},
		{"hospitals", &store.Visibility{Hospitals: []model.HospitalID{ruh, ber}}, []model.Action{a, b, c}},
		{"a department", &store.Visibility{Departments: []model.DepartmentID{*a.DepartmentID}}, []model.Action{a}},
		{"own", &store.Visibility{Owners: []model.UserID{stranger}}, []model.Action{c}},
		{"a hospital, and own elsewhere", &store.Visibility{Hospitals: []model.HospitalID{ber}, Owners: []model.UserID{stranger}}, []model.Action{b, c}},
		{"a hospital, but what the reader is involved in", &store.Visibility{Hospitals: []model.HospitalID{ruh}, InvolvedNot: *a.AssignedTo}, []model.Action{a}},
		{"own, but what the reader is involved in", &store.Visibility{Owners: []model.UserID{stranger}, InvolvedNot: *a.AssignedTo}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := store.ActionFilter{Visible: tt.visible}
			got, want := refs(listOf(t, w, f)), refs(tt.want)
			slices.Sort(got)
			slices.Sort(want)
			if n, more, err := w.Store.CountActions(t.Context(), f); !slices.Equal(got, want) || n != len(want) || more || err != nil {
				t.Errorf("sees %v, total %d %t, %v; want %v", got, n, more, err, want)
			}
		})
	}
}

func TestDueRangesAreHalfOpen(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	a := w.Create(w.Complaint(model.SeverityLow))[0]
	for _, tt := range []struct {
		name     string
		from, to time.Time
		want     int
	}{
		{"from its due", a.DueAt, time.Time{}, 1},
		{"from after it", a.DueAt.Add(time.Second), time.Time{}, 0},
		{"to its due", time.Time{}, a.DueAt, 0},
		{"to after it", time.Time{}, a.DueAt.Add(time.Second), 1},
	} {
		if n, _, err := w.Store.CountActions(t.Context(), store.ActionFilter{DueFrom: tt.from, DueTo: tt.to}); n != tt.want || err != nil {
			t.Errorf("%s: %d, %v; want %d", tt.name, n, err, tt.want)
		}
	}
	if n, _, err := w.Store.CountActions(t.Context(), store.ActionFilter{Category: a.Category}); n != 1 || err != nil {
		t.Errorf("of its category: %d, %v", n, err)
	}
	if n, _, err := w.Store.CountActions(t.Context(), store.ActionFilter{Category: model.CategoryFacility}); n != 0 || err != nil {
		t.Errorf("of another category: %d, %v", n, err)
	}
}

func TestAFilterThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	w.Create(w.Complaints(2, model.SeverityLow)...)
	page, err := w.Store.Actions(t.Context(), store.ActionFilter{Limit: 1, Order: store.OrderDueSoonest})
	if err != nil || page.Next == "" {
		t.Fatalf("first page = %+v, %v", page, err)
	}
	grave := base64.RawURLEncoding.EncodeToString([]byte("due grave 2026-03-02T08:00:00Z " + page.Actions[0].ID.String()))
	for _, tt := range []struct {
		name, field string
		filter      store.ActionFilter
	}{
		{"a cursor of another order", "after", store.ActionFilter{After: page.Next, Order: store.OrderDueLatest}},
		{"a cursor cut short", "after", store.ActionFilter{After: page.Next[:len(page.Next)-4], Order: store.OrderDueSoonest}},
		{"a cursor with a severity that is none", "after", store.ActionFilter{After: grave, Order: store.OrderDueSoonest}},
		{"an order that is none", "order", store.ActionFilter{Order: "ref"}},
		{"a text without a word", "text", store.ActionFilter{Text: "?!"}},
		{"a text too long", "text", store.ActionFilter{Text: strings.Repeat("secret ", 30)}},
	} {
		_, err := w.Store.Actions(t.Context(), tt.filter)
		var faults model.FieldErrors
		if !errors.As(err, &faults) || len(faults) != 1 || faults[0].Field != tt.field || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s = %v, want a fault of %s", tt.name, err, tt.field)
		}
	}
	if _, _, err := w.Store.CountActions(t.Context(), store.ActionFilter{Text: "?!"}); err == nil {
		t.Error("a total of no word = nil, want a fault")
	}
	// What the cursor ended with is none of what is asked for any more.
	page, err = w.Store.Actions(t.Context(), store.ActionFilter{Limit: 1, Order: store.OrderGravest})
	if err != nil {
		t.Fatal(err)
	}
	if page, err = w.Store.Actions(t.Context(), store.ActionFilter{After: page.Next, Order: store.OrderGravest, Severities: []model.Severity{model.SeverityHigh}}); err != nil || len(page.Actions) != 0 {
		t.Errorf("nothing milder = %v, %v", refs(page.Actions), err)
	}
}

// TestTheListHasItsIndexes fails where an index of the list is missing: no
// statement of any filter, order or reader reads a table from end to end or
// sorts what it need not.
func TestTheListHasItsIndexes(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	const n = 50_000
	if err := crowd.Fill(t.Context(), w.Store.DB(), n); err != nil {
		t.Fatal(err)
	}
	lists, err := crowd.Find(t.Context(), w.Store.DB(), n)
	if err != nil {
		t.Fatal(err)
	}
	var plans crowd.Plans
	//lint:ignore SA1019 the store opens its own database; there is no other way in
	w.Store.DB().AddQueryHook(&plans)
	look := func(what string, call func(context.Context) error) {
		if err := call(t.Context()); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		faults, err := plans.Faults(t.Context(), w.Store.DB())
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		for _, fault := range faults {
			t.Errorf("%s: %s", what, fault)
		}
	}
	for _, l := range lists.Filters {
		for i, reader := range lists.Readers {
			f := l.Filter
			f.Visible = reader.Filter.Visible
			for j, order := range store.ActionOrders() {
				if i > 0 && j != i { // every reader, and every order: not all of both
					continue
				}
				f.Order = order
				look(fmt.Sprintf("%s, %s, for a reader of %s", l.Name, order, reader.Name), func(ctx context.Context) error {
					_, err := w.Store.Actions(ctx, f)
					return err
				})
			}
		}
	}
	count, more, err := w.Store.CountActions(t.Context(), store.ActionFilter{})
	if err != nil || count != 10_000 || !more {
		t.Errorf("total of everything = %d, more %t, %v; want 10000 and more", count, more, err)
	}
}
