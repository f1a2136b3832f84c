package scheduler_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/pxactions/px/internal/receiver"
	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/notify"
	"github.com/pxactions/px/scheduler"
	"github.com/pxactions/px/sla"
)

// addHook makes a hook with a receiver of its own.
func addHook(t *testing.T, w *scenario.World, name string) *receiver.Webhook {
	t.Helper()
	h := &model.Hook{Name: name, URL: "http://127.0.0.1/", CreatedBy: "test"}
	if err := w.Store.CreateHook(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	recv, err := receiver.StartWebhook(h.Secret)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = recv.Close() })
	w.Exec("UPDATE hooks SET url = ? WHERE id = ?", recv.URL(), h.ID)
	return recv
}

// hooking is a scheduler of one process of the world that looks often.
func hooking(w *scenario.World, holder string) *scheduler.Scheduler {
	return scheduler.New(scheduler.Options{
		Engine: w.Engine, Store: w.Store, Metrics: w.Metrics, Log: zerolog.Nop(), Holder: holder, Interval: 20 * time.Millisecond,
	})
}

func withHooks(t *testing.T) *scenario.World {
	t.Helper()
	w := scenario.New(t, nil)
	router, err := notify.New(notify.Settings{Now: time.Now, Webhook: notify.WebhookSettings{Allow: []string{"127.0.0.1"}, Timeout: time.Minute}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(router.Close)
	w.Engine = w.NewEngine(w.Queue, router)
	return w
}

// heard is how many changes were taken.
func heard(t *testing.T, recv *receiver.Webhook) int {
	t.Helper()
	n := 0
	for _, c := range recv.Accepted() {
		var body struct{ Changes []json.RawMessage }
		if err := json.Unmarshal(c.Body, &body); err != nil {
			t.Fatal(err)
		}
		n += len(body.Changes)
	}
	return n
}

func TestAHookThatHangsHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	w := withHooks(t)
	bad, good := addHook(t, w, "bad"), addHook(t, w, "good")
	bad.Always(&receiver.Fault{Hang: true})
	stop := run(t, hooking(w, "one"))
	defer func() { _ = bad.Close(); stop() }()
	a := w.Create(w.Complaint(model.SeverityHigh))[0]
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := bad.WaitAll(ctx, 1); err != nil {
		t.Fatal(err)
	}
	for range 3 { // while the other is being called
		w.Move(a.ID, sla.MoveRequest{Move: model.MoveNote, Text: "seen"})
		want := w.Action(a.ID).LogSeq
		until(t, "the good hook has heard of all", func() bool { return heard(t, good) == want })
	}
	if n := len(bad.All()); n != 1 {
		t.Errorf("the hook that hangs was called %d times at once", n)
	}
}

// TestSeveralSchedulersCallAHookOnce: every change is taken once while none of
// them dies.
func TestSeveralSchedulersCallAHookOnce(t *testing.T) {
	t.Parallel()
	w := withHooks(t)
	recv := addHook(t, w, "host")
	for _, name := range []string{"one", "two", "three"} {
		run(t, hooking(w, name))
	}
	as := w.Create(w.Complaints(4, model.SeverityHigh)...)
	for i := range 40 {
		w.Move(as[i%len(as)].ID, sla.MoveRequest{Move: model.MoveNote, Text: "seen"})
	}
	total := w.Count("SELECT count(*) FROM action_logs")
	until(t, "the hook has heard of all", func() bool { return heard(t, recv) >= total })
	if n := heard(t, recv); n != total {
		t.Errorf("heard of %d changes, want %d", n, total)
	}
	if err := w.Store.DeleteHook(t.Context(), "host"); err != nil {
		t.Fatal(err)
	}
	until(t, "the deleted hook has left the metrics", func() bool {
		families, err := w.Metrics.Registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() == "px_hook_lag_seconds" {
				return false
			}
		}
		return true
	})
}
