package engine_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/internal/receiver"
	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/notify"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

// withMail is a world whose engine has a mail server, and one high action with
// its one message: assigned, by email, to the owner.
func withMail(t *testing.T) (*scenario.World, *receiver.SMTP, model.Message) {
	t.Helper()
	w := scenario.New(t, scenario.NoAck())
	mail := w.Mail()
	a := w.Create(w.Complaint(model.SeverityHigh))[0]
	ms := w.Messages(a.ID)
	if len(ms) != 1 || ms[0].Channel != model.ChannelEmail || ms[0].State != model.MessagePending {
		t.Fatalf("messages = %+v, want one pending mail", ms)
	}
	return w, mail, ms[0]
}

// deliver makes the next attempt at a message, now.
func deliver(t *testing.T, w *scenario.World, id model.MessageID) (engine.Delivery, model.Message) {
	t.Helper()
	w.Exec("UPDATE messages SET next_try_at = clock_timestamp() WHERE id = ? AND state = 'pending'", id)
	before := message(t, w, id)
	d, err := w.Engine.Deliver(t.Context(), store.MessageRef{ID: id, Attempt: before.Attempts})
	if err != nil {
		t.Fatal(err)
	}
	after := message(t, w, id)
	if after.Key != before.Key {
		t.Errorf("key = %s, want it as it was: %s", after.Key, before.Key)
	}
	return d, after
}

func message(t *testing.T, w *scenario.World, id model.MessageID) model.Message {
	t.Helper()
	var m model.Message
	if err := w.Store.DB().NewSelect().Model(&m).Where("id = ?", id).Scan(t.Context()); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestAMessageIsSentOnce(t *testing.T) {
	t.Parallel()
	w, mail, m := withMail(t)
	d, sent := deliver(t, w, m.ID)
	if d != engine.Delivered || sent.State != model.MessageSent || sent.SentAt == nil || sent.NextTryAt != nil || sent.ProviderRef == "" || sent.Attempts != 1 {
		t.Fatalf("delivery = %s, %+v; want sent", d, sent)
	}
	for _, attempt := range []int{0, 1} {
		if d, err := w.Engine.Deliver(t.Context(), store.MessageRef{ID: m.ID, Attempt: attempt}); err != nil || d != engine.NotMine {
			t.Errorf("again = %s, %v; want left alone", d, err)
		}
	}
	mails := mail.Accepted()
	if len(mails) != 1 || mails[0].Key != m.Key || strings.Contains(mails[0].Body+mails[0].Subject, "Waited") {
		t.Errorf("mails = %+v, want one, under the row's key, without the patient's words", mails)
	}
	if n := w.Metric("px_messages_total", "email", "sent"); n != 1 {
		t.Errorf("px_messages_total = %v, want 1", n)
	}
	w.Holds()
}

func TestAFailedTryIsMadeAgainLaterUnderTheSameKey(t *testing.T) {
	t.Parallel()
	w, mail, m := withMail(t)
	mail.Next(receiver.Fault{Status: 451}, receiver.Fault{Status: 451})
	for attempt, wait := range []time.Duration{15 * time.Second, time.Minute} {
		w.Queue.Take()
		d, row := deliver(t, w, m.ID)
		now, err := w.Store.Now(t.Context())
		if err != nil || d != engine.Retrying || row.State != model.MessagePending || row.Attempts != attempt+1 || !strings.HasPrefix(row.LastError, "smtp_451") {
			t.Fatalf("try %d = %s, %+v, %v; want another one", attempt+1, d, row, err)
		}
		if in := row.NextTryAt.Sub(now.Machine); in > wait || in < wait*3/4-5*time.Second {
			t.Errorf("next try in %s, want about %s", in, wait)
		}
		if e := w.Queue.Take(); len(e.Send) != 1 || e.Send[0].Attempt != attempt+1 || e.Send[0].At.Sub(*row.NextTryAt).Abs() > time.Millisecond {
			t.Errorf("effects = %+v, want the next try", e)
		}
		if d, err := w.Engine.Deliver(t.Context(), store.MessageRef{ID: m.ID, Attempt: row.Attempts}); err != nil || d != engine.NotMine {
			t.Errorf("before its time = %s, %v; want left alone", d, err)
		}
	}
	if d, row := deliver(t, w, m.ID); d != engine.Delivered || row.Attempts != 3 || row.LastError != "" {
		t.Errorf("third try = %s, %+v; want sent", d, row)
	}
	w.Holds()
}

func TestAMessageEndsFailed(t *testing.T) {
	t.Parallel()
	t.Run("at once when the receiver refuses for good", func(t *testing.T) {
		t.Parallel()
		w, mail, m := withMail(t)
		mail.Next(receiver.Fault{Status: 550})
		d, row := deliver(t, w, m.ID)
		if d != engine.Failed || row.State != model.MessageFailed || row.NextTryAt != nil || !strings.HasPrefix(row.LastError, "smtp_550") {
			t.Errorf("delivery = %s, %+v; want failed", d, row)
		}
		if n := w.Metric("px_messages_total", "email", "failed"); n != 1 {
			t.Errorf("px_messages_total = %v, want 1", n)
		}
		w.Holds()
	})
	t.Run("after the last try", func(t *testing.T) {
		t.Parallel()
		w, mail, m := withMail(t)
		mail.Always(&receiver.Fault{Status: 451})
		w.Exec("UPDATE messages SET attempts = ?", notify.MaxAttempts-2)
		if d, _ := deliver(t, w, m.ID); d != engine.Retrying {
			t.Errorf("the try before the last = %s, want another", d)
		}
		if d, row := deliver(t, w, m.ID); d != engine.Failed || row.Attempts != notify.MaxAttempts {
			t.Errorf("the last try = %s after %d, want failed", d, row.Attempts)
		}
	})
}

func TestNobodyIsToldInVain(t *testing.T) {
	t.Parallel()
	t.Run("a recipient who has left since", func(t *testing.T) {
		t.Parallel()
		w, mail, m := withMail(t)
		w.Exec("UPDATE users SET active = false WHERE id = ?", m.RecipientID)
		w.Exec("UPDATE directory_version SET version = version + 1")
		d, row := deliver(t, w, m.ID)
		if d != engine.Suppressed || row.State != model.MessageSuppressed || row.SuppressedReason != "recipient_inactive" || len(mail.All()) != 0 {
			t.Errorf("delivery = %s, %+v, %d mails; want suppressed", d, row, len(mail.All()))
		}
		w.Holds()
	})
	t.Run("shadow mode", func(t *testing.T) {
		t.Parallel()
		w, mail, _ := withMail(t)
		f := w.Complaint(model.SeverityCritical)
		f.Mode = model.ModeShadow
		a := w.Create(f)[0]
		w.FireNext(a.ID, 3)
		for _, m := range w.Messages(a.ID) {
			if m.State != model.MessageSuppressed || m.SuppressedReason != "shadow" || m.NextTryAt != nil {
				t.Errorf("message = %+v, want suppressed", m)
			}
		}
		if len(w.Events(a.ID)) != 3 || len(mail.All()) != 0 {
			t.Errorf("events = %d, mails = %d; want 3 and none", len(w.Events(a.ID)), len(mail.All()))
		}
		w.Holds()
	})
	t.Run("a move that is beside what was due", func(t *testing.T) {
		t.Parallel()
		w, _, _ := withMail(t)
		a := w.Create(w.Complaint(model.SeverityCritical))[0]
		w.Move(a.ID, sla.MoveRequest{Move: model.MoveStart})
		w.SetTime(a.DueAt)
		now := w.Move(a.ID, scenario.Submission(model.MoveSubmit, a.AssignedTo))
		ms := w.Messages(a.ID)
		if !slices.ContainsFunc(ms, func(m model.Message) bool {
			return m.ActionVersion == now.Version && m.State == model.MessageSuppressed && m.SuppressedReason == "superseded"
		}) {
			t.Errorf("messages = %+v, want the overdue one superseded", ms)
		}
		w.Holds()
	})
}

// TestTwoHandsNeverSendTheSame lets a sweep and tasks take one message at once.
func TestTwoHandsNeverSendTheSame(t *testing.T) {
	t.Parallel()
	w, mail, m := withMail(t)
	var wg sync.WaitGroup
	got := make([]engine.Delivery, 12)
	for i := range got {
		wg.Go(func() {
			var err error
			if got[i], err = w.Engine.Deliver(t.Context(), store.MessageRef{ID: m.ID}); err != nil {
				t.Errorf("deliver: %v", err)
			}
		})
	}
	wg.Wait()
	sent := 0
	for _, d := range got {
		if d == engine.Delivered {
			sent++
		}
	}
	if sent != 1 || len(mail.All()) != 1 {
		t.Errorf("deliveries = %v, mails = %d; want one", got, len(mail.All()))
	}
}

// TestADeliveryOutlivesAnOutage: what was sent while the database went away is
// written down when it is back, and not sent again.
func TestADeliveryOutlivesAnOutage(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	hook, router, g := gated(t)
	w.Exec("UPDATE users SET webhook_url = ?", g.url)
	w.Exec("UPDATE directory_version SET version = version + 1")
	w.Engine = w.NewEngine(w.Queue, router)
	a := w.Create(w.Complaint(model.SeverityHigh))[0]
	w.Exec("UPDATE messages SET channel = 'webhook'")
	m := w.Messages(a.ID)[0]

	var d engine.Delivery
	var err error
	delivered := make(chan struct{})
	go func() {
		defer close(delivered)
		d, err = w.Engine.Deliver(t.Context(), store.MessageRef{ID: m.ID})
	}()
	<-g.came
	// The sequence counts the refusals: it is not rolled back with them.
	w.Exec(`CREATE SEQUENCE refusals;
		CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			PERFORM nextval('refusals');
			RAISE EXCEPTION 'the database is away' USING ERRCODE = 'admin_shutdown';
		END $$;
		CREATE TRIGGER outage BEFORE UPDATE ON messages FOR EACH ROW EXECUTE FUNCTION refuse()`)
	g.open <- struct{}{}
	refused := func() (n int) {
		if qerr := w.Store.DB().NewRaw("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM refusals").Scan(t.Context(), &n); qerr != nil {
			t.Fatal(qerr)
		}
		return n
	}
	for refused() < 2 {
		select {
		case <-delivered:
			t.Fatalf("delivery = %q, %v after %d refusals; want it to wait for the database", d, err, refused())
		case <-time.After(10 * time.Millisecond):
		}
	}
	w.Exec("DROP TRIGGER outage ON messages")
	<-delivered
	if err != nil || d != engine.Delivered {
		t.Errorf("delivery = %q, %v; want sent", d, err)
	}
	if m := message(t, w, m.ID); m.State != model.MessageSent || m.Attempts != 1 || len(hook.Accepted()) != 1 {
		t.Errorf("message = %+v after %d calls, want sent by one", m, len(hook.Accepted()))
	}
}

func TestLateMessagesAreTakenOldestFirst(t *testing.T) {
	t.Parallel()
	w, mail, _ := withMail(t)
	as := w.Create(w.Complaints(4, model.SeverityHigh)...)
	w.Exec("UPDATE messages SET next_try_at = clock_timestamp() + interval '1 minute'")
	for i, age := range []int{20, 40, 30, 2} { // the last within the grace
		w.Exec("UPDATE messages SET next_try_at = clock_timestamp() - ? * interval '1 second' WHERE action_id = ?", age, as[i].ID)
	}
	late, next, err := w.Store.LateMessages(t.Context(), model.Channels(), store.Keyset{}, 2)
	if err != nil || len(late) != 2 || late[0].ID != w.Messages(as[1].ID)[0].ID || late[1].ID != w.Messages(as[2].ID)[0].ID {
		t.Fatalf("late = %+v, %v; want the two oldest", late, err)
	}
	late, _, err = w.Store.LateMessages(t.Context(), model.Channels(), next, 2)
	if err != nil || len(late) != 1 || late[0].ID != w.Messages(as[0].ID)[0].ID {
		t.Fatalf("late = %+v, %v; want the third alone", late, err)
	}
	// Before its domain time none is due, however late the machine finds it.
	w.Exec("UPDATE messages SET not_before = not_before + interval '1 day' WHERE action_id = ?", as[0].ID)
	turn, err := w.Engine.HealMessages(t.Context(), model.ChannelEmail, store.Keyset{})
	if err != nil || turn.Healed != 2 || len(mail.Accepted()) != 2 {
		t.Errorf("sweep = %+v, %v, %d mails; want two", turn, err, len(mail.Accepted()))
	}
	deaf := w.NewEngine(w.Queue, nil)
	if turn, err := deaf.HealMessages(t.Context(), model.ChannelEmail, store.Keyset{}); err != nil || turn.Healed != 0 {
		t.Errorf("sweep of a process without channels = %+v, %v; want nothing", turn, err)
	}
}

func TestOneBadSettlementLeavesTheOthersUnharmed(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	as := w.Create(w.Complaints(3, model.SeverityHigh)...)
	var refs []store.MessageRef
	var items []store.Settled
	for i, a := range as {
		id := w.Messages(a.ID)[0].ID
		refs = append(refs, store.MessageRef{ID: id})
		items = append(items, store.Settled{ID: id, Attempts: 1, State: model.MessageSent, ProviderRef: []string{"a", "an answer\x00that no text holds", "c"}[i]})
	}
	if claimed, err := w.Store.ClaimMessages(t.Context(), model.Channels(), refs); err != nil || len(claimed) != 3 {
		t.Fatalf("claim = %d, %v", len(claimed), err)
	}
	if _, err := w.Store.SettleMessages(t.Context(), items); err != nil {
		t.Errorf("settle = %v", err)
	}
	for i, want := range []string{"a", "", "c"} {
		if m := message(t, w, refs[i].ID); m.State != model.MessageSent || m.ProviderRef != want {
			t.Errorf("message %d = %s %q, want sent and %q", i, m.State, m.ProviderRef, want)
		}
	}
}
