package store_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/store"
)

// TestAWalkGoesPastALockedRow: what a worker has in hand does not hold up the
// sweeps.
func TestAWalkGoesPastALockedRow(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	as := w.Create(w.Complaints(3, model.SeverityHigh)...)
	feedback := w.Insert(w.Complaints(3, model.SeverityHigh)...)
	var actions, messages []string
	for _, a := range as {
		actions, messages = append(actions, a.ID.String()), append(messages, w.Messages(a.ID)[0].ID.String())
	}
	w.Exec("UPDATE feedback SET heal_after = clock_timestamp()")
	w.Exec("UPDATE actions SET arm_after = clock_timestamp()")
	w.Exec("UPDATE messages SET next_try_at = clock_timestamp() - interval '1 minute'")
	w.SetTime(as[2].NextAt.Add(time.Minute))
	hold(t, w, "feedback", feedback[0].String())
	hold(t, w, "actions", actions[0])
	hold(t, w, "messages", messages[0])

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	late, _, err := w.Store.LateFeedback(ctx, store.Keyset{}, 10)
	if got := texts(late); err != nil || !slices.Equal(got, texts(feedback[1:])) {
		t.Errorf("late feedback = %v, %v; want the two that nobody holds", got, err)
	}
	deadlines, _, err := w.Store.LateDeadlines(ctx, store.Keyset{}, 10)
	if got := textsOf(deadlines, func(r store.DeadlineRef) string { return r.ActionID.String() }); err != nil || !slices.Equal(got, sorted(actions[1:])) {
		t.Errorf("late deadlines = %v, %v; want the two that nobody holds", got, err)
	}
	unsent, _, err := w.Store.LateMessages(ctx, model.Channels(), store.Keyset{}, 10)
	if got := textsOf(unsent, func(r store.MessageRef) string { return r.ID.String() }); err != nil || !slices.Equal(got, sorted(messages[1:])) {
		t.Errorf("late messages = %v, %v; want the two that nobody holds", got, err)
	}
	unarmed, err := w.Store.Unarmed(ctx, 10)
	if err != nil || len(unarmed.Arm) != 2 {
		t.Errorf("unarmed = %+v, %v; want the two that nobody holds", unarmed, err)
	}
}

// hold locks a row until the test ends, as a transaction at work does.
func hold(t *testing.T, w *scenario.World, table, id string) {
	t.Helper()
	tx, err := w.Store.DB().BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tx.Rollback() })
	if _, err := tx.ExecContext(t.Context(), "SELECT id FROM "+table+" WHERE id = ? FOR UPDATE", id); err != nil {
		t.Fatal(err)
	}
}

// texts are ids as sorted text.
func texts[T fmt.Stringer](ids []T) []string { return textsOf(ids, T.String) }

func textsOf[T any](all []T, id func(T) string) []string {
	var got []string
	for _, v := range all {
		got = append(got, id(v))
	}
	return sorted(got)
}

func sorted(all []string) []string { return slices.Sorted(slices.Values(all)) }

// TestDeadlinesAreWalkedAgainstTheWorkersOrder: of jobs due together a worker
// takes the lowest id first and the sweep the highest, so that they meet once.
func TestDeadlinesAreWalkedAgainstTheWorkersOrder(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	as := w.Create(w.Complaints(5, model.SeverityHigh)...)
	slices.SortFunc(as, func(a, b model.Action) int { return strings.Compare(a.ID.String(), b.ID.String()) })
	together := as[0].NextAt
	w.Exec("UPDATE actions SET next_at = ?", *together)
	first := as[2].ID // earlier than the rest, whatever its id
	w.Exec("UPDATE actions SET next_at = next_at - interval '1 second' WHERE id = ?", first)
	w.SetTime(together.Add(time.Minute))
	want := []model.ActionID{first, as[4].ID, as[3].ID, as[1].ID, as[0].ID}

	var got []model.ActionID
	var after store.Keyset
	for { // two at a time, so that pages break between jobs due together
		refs, next, err := w.Store.LateDeadlines(t.Context(), after, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range refs {
			got = append(got, r.ActionID)
		}
		if after = next; len(refs) < 2 {
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("walk = %v, want the earliest and then from the highest id down: %v", got, want)
	}
}
