package engine_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/pxactions/px/internal/receiver"
	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/notify"
	"github.com/pxactions/px/store"
)

// TestATurnOverSlowReceiversEndsInTime: what is begun is finished, what there
// is no time for is left to the next turn, and none of it is an error.
func TestATurnOverSlowReceiversEndsInTime(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	hook, err := receiver.StartWebhook("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = hook.Close() })
	hook.Always(&receiver.Fault{Status: http.StatusServiceUnavailable, Wait: 500 * time.Millisecond})
	router, err := notify.New(notify.Settings{Log: zerolog.Nop(), Now: time.Now, Webhook: notify.WebhookSettings{
		Secret: hook.Secret(), Allow: []string{"127.0.0.1"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(router.Close)
	// A delivery takes at most half of a claim.
	w.Store, err = store.Open(w.URL, store.Options{PoolSize: 8, ClaimLease: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Store.Close() })
	w.Exec("UPDATE users SET webhook_url = ?", hook.URL())
	w.Exec("UPDATE directory_version SET version = version + 1")
	w.Engine = w.NewEngine(w.Queue, router)
	w.Create(w.Complaints(100, model.SeverityHigh)...)
	w.Exec("UPDATE messages SET channel = 'webhook', next_try_at = clock_timestamp() - interval '1 minute'")
	late := w.Count("SELECT count(*) FROM messages")

	// Time to begin for two seconds, and to finish.
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
	defer cancel()
	turn, err := w.Engine.HealMessages(ctx, model.ChannelWebhook, store.Keyset{})
	if err != nil || ctx.Err() != nil || !turn.More || turn.Next != (store.Keyset{}) {
		t.Errorf("turn = %+v, %v, %v; want the rest left to the next, within its time", turn, err, ctx.Err())
	}
	if tried := len(hook.All()); tried == 0 || tried >= late || turn.Healed != tried {
		t.Errorf("healed %d, tried %d of %d; want some, and not all", turn.Healed, tried, late)
	}
	if n := w.Count("SELECT count(*) FROM messages WHERE state = 'pending' AND attempts = 1 AND last_error <> ''"); n != turn.Healed {
		t.Errorf("settled %d, want each of %d that was begun", n, turn.Healed)
	}

	hook.Always(nil)
	if turn, err = w.Engine.HealMessages(t.Context(), model.ChannelWebhook, turn.Next); err != nil || turn.Healed != late-w.Count("SELECT count(*) FROM messages WHERE state <> 'sent'") || turn.Healed == 0 {
		t.Errorf("next turn = %+v, %v; want the rest sent", turn, err)
	}
	if n := w.Count("SELECT count(*) FROM messages WHERE attempts = 0"); n != 0 {
		t.Errorf("%d messages were never tried", n)
	}
}
