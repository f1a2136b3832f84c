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

// TestAHostThatHangsHoldsUpNoOtherHost: 400 messages to a host that hangs stand
// before one to another host. The first calls fill all slots once; then the host
// is known, and gets one call at a time.
func TestAHostThatHangsHoldsUpNoOtherHost(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	var hooks [2]*receiver.Webhook
	secret := receiver.NewSecret()
	for i := range hooks {
		var err error
		if hooks[i], err = receiver.StartWebhook(secret); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = hooks[i].Close() })
	}
	hangs, other := hooks[0], hooks[1]
	hangs.Always(&receiver.Fault{Hang: true})
	const timeout = 500 * time.Millisecond
	router, err := notify.New(notify.Settings{Log: zerolog.Nop(), Now: time.Now, Webhook: notify.WebhookSettings{
		Secret: secret, Allow: []string{"127.0.0.1"}, Timeout: timeout,
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(router.Close)
	w.Engine = w.NewEngine(w.Queue, router)
	as := w.Create(w.Complaints(400, model.SeverityMedium)...)
	last := w.Messages(as[0].ID)[0].ID
	w.Exec("UPDATE users SET webhook_url = ?", hangs.URL())
	w.Exec("UPDATE messages SET channel = 'webhook', next_try_at = clock_timestamp() - interval '2 minutes'")
	w.Exec("UPDATE messages SET next_try_at = clock_timestamp() - interval '1 minute', recipient_id = (SELECT id FROM users WHERE active AND id <> recipient_id ORDER BY id LIMIT 1) WHERE id = ?", last)
	w.Exec("UPDATE users SET webhook_url = ? WHERE id = (SELECT recipient_id FROM messages WHERE id = ?)", other.URL(), last)
	w.Exec("UPDATE directory_version SET version = version + 1")
	before := w.Count("SELECT count(*) FROM messages WHERE id <> ?", last)

	start := time.Now()
	stop := run(t, scheduler.New(scheduler.Options{
		Engine: w.Engine, Store: w.Store, Metrics: w.Metrics, Log: zerolog.Nop(), Interval: 20 * time.Millisecond, Holder: "one",
	}))
	until(t, "the other host has its message", func() bool { return len(other.Accepted()) > 0 })
	t.Logf("%d messages before it, %d calls of the host that hangs, %s", before, len(hangs.All()), time.Since(start))
	if calls := len(hangs.All()); calls > before/4 {
		t.Errorf("%d calls of the host that hangs, of %d messages: want few", calls, before)
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
