package scheduler_test

import (
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/pxactions/px/internal/receiver"
	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/notify"
	"github.com/pxactions/px/scheduler"
)

func TestAReceiverThatHangsHoldsUpNoOtherChannel(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	hook, err := receiver.StartWebhook("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = hook.Close() })
	hook.Always(&receiver.Fault{Hang: true})
	router, err := notify.New(notify.Settings{Log: zerolog.Nop(), Now: time.Now, Webhook: notify.WebhookSettings{
		Secret: hook.Secret(), Allow: []string{"127.0.0.1"}, Timeout: time.Minute,
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(router.Close)
	w.Exec("UPDATE users SET webhook_url = ?", hook.URL())
	w.Exec("UPDATE directory_version SET version = version + 1")
	w.Engine = w.NewEngine(w.Queue, router)
	as := w.Create(w.Complaints(41, model.SeverityHigh)...)
	w.Exec("UPDATE messages SET channel = 'webhook', next_try_at = clock_timestamp() - interval '2 minutes'")
	w.Exec("UPDATE messages SET channel = 'log', next_try_at = clock_timestamp() - interval '1 minute' WHERE action_id = ?", as[0].ID)

	stop := run(t, scheduler.New(scheduler.Options{
		Engine: w.Engine, Store: w.Store, Metrics: w.Metrics, Log: zerolog.Nop(), Interval: 20 * time.Millisecond, Holder: "one",
	}))
	until(t, "the other channel's message is sent", func() bool { return w.Messages(as[0].ID)[0].State == model.MessageSent })
	until(t, "the slow ones are under way", func() bool { return len(hook.All()) > 0 })
	if n := w.Count("SELECT count(*) FROM messages WHERE channel = 'webhook' AND state = 'sent'"); n != 0 {
		t.Errorf("%d messages sent to a receiver that hangs", n)
	}
	if err := hook.Close(); err != nil {
		t.Fatal(err)
	}
	stop()
}

// TestASlotIsKeptWhileATurnRuns lets one turn outlast the lease.
func TestASlotIsKeptWhileATurnRuns(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	const lease = time.Second
	s := scheduler.New(scheduler.Options{
		Engine: w.Engine, Store: w.Store, Metrics: w.Metrics, Log: zerolog.Nop(), Holder: "one", Lease: lease,
	})
	release := w.Lock("feedback")
	done := make(chan error, 1)
	go func() {
		_, err := s.Once(t.Context())
		done <- err
	}()
	w.Blocked()
	claimed := func() (at time.Time) {
		t.Helper()
		if err := w.Store.DB().NewRaw("SELECT claimed_until FROM sweeps WHERE name = 'feedback'").Scan(t.Context(), &at); err != nil {
			t.Fatal(err)
		}
		return at
	}
	first := claimed()
	until(t, "the slot is kept for a second lease", func() bool { return claimed().Sub(first) > lease })
	if mine, err := w.Store.ClaimSweep(t.Context(), "feedback", "another", lease); err != nil || mine {
		t.Errorf("claim = %v, %v; want the slot of the one at work respected", mine, err)
	}
	release()
	if err := <-done; err != nil {
		t.Errorf("sweep: %v", err)
	}
}
