package tasks

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/pxactions/px/model"
)

func TestSearchFindsATextWhereverItStands(t *testing.T) {
	t.Parallel()
	w := setup(t, QueueOptions{})
	const word = "Xylophonewhisper"
	long := strings.Repeat("x", searchBytes-5) + word // across two pages
	for _, args := range [][]any{
		{"SET", "text", "She said xylophoneWHISPER."},
		{"SET", "long", long},
		{"HSET", "hash", "f", "none", "g", word},
		{"HSET", "field", word, "1"},
		{"SADD", "set", "none", word},
		{"ZADD", "zset", 1, "none", 2, word},
		{"XADD", "stream", "*", "f", word},
		{"SET", "named:" + word, "none"},
		{"SET", "clean", "none"},
		{"RPUSH", "list", "none"},
		{"SET", "arabic", `{"text":"\u0645\u0631\u064a\u0636"}`},
	} {
		if err := w.rdb.Do(t.Context(), args...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 * searchEntries {
		if err := w.rdb.RPush(t.Context(), "list", "none").Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.rdb.RPush(t.Context(), "list", word).Err(); err != nil {
		t.Fatal(err)
	}
	mustEnqueue(t, w.queue, Effects{Create: feedbackIDs(3)})
	for text, want := range map[string][]string{
		word:      {"", "field", "hash", "list", "long", "set", "stream", "text", "zset"},
		"مريض":    {"arabic"},
		"nowhere": nil,
	} {
		var got []string
		if err := w.queue.Search(t.Context(), text, func(key string) { got = append(got, key) }); err != nil {
			t.Fatal(err)
		}
		slices.Sort(got)
		if got = slices.Compact(got); !slices.Equal(got, want) {
			t.Errorf("%s is in %q, want %q", text, got, want)
		}
	}
	away := NewQueue(dial(t, "redis://127.0.0.1:1/0", RedisOptions{}), QueueOptions{})
	err := away.Search(t.Context(), word, func(string) {})
	if !errors.Is(err, model.ErrUnavailable) || strings.Contains(err.Error(), word) {
		t.Errorf("without Redis: %v, want unavailable, and not the text", err)
	}
}

func TestWalkReadsWhatIDsTell(t *testing.T) {
	t.Parallel()
	w := setup(t, QueueOptions{})
	arm, feedback := armOf(model.EventEscalation, 2), feedbackIDs(3)
	send := Send{MessageID: model.NewID[model.Message](), Attempt: 4}
	approval := armOf(model.EventApprovalOverdue, 1)
	mustEnqueue(t, w.queue, Effects{Arm: []Arm{arm, approval}, Send: []Send{send}, Create: feedback})
	if err := w.inspector.ArchiveTask(QueueEscalation, approval.ID()); err != nil {
		t.Fatal(err)
	}
	got := map[string]Held{}
	err := w.queue.Walk(t.Context(), func(held []Held) error {
		for _, h := range held {
			got[h.ID] = h
		}
		return nil
	})
	want := []Held{
		{Queue: QueueEscalation, ID: arm.ID(), Action: arm.ActionID, Gen: arm.Gen},
		{Queue: QueueEscalation, ID: approval.ID(), Action: approval.ActionID, Gen: approval.Gen, Dead: true},
		{Queue: QueueMessage, ID: send.ID(), Message: send.MessageID},
		{Queue: QueueIntake, ID: CreateID(feedback), Feedback: feedback[0]},
	}
	if err != nil || len(got) != len(want) {
		t.Fatalf("walked over %v, %v; want four tasks", got, err)
	}
	for _, h := range want {
		if got[h.ID] != h {
			t.Errorf("held %+v, want %+v", got[h.ID], h)
		}
	}
	for _, id := range []string{"", "Mrs. Jones", "overdue.12.g1", "message.x.a1", "create." + strings.Repeat("0", 32)} {
		if h := heldOf(QueueIntake, id); !h.Foreign {
			t.Errorf("%q is %+v, want foreign", id, h)
		}
	}
}
