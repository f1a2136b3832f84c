package engine_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/internal/receiver"
	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/notify"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

// useCase is one write of the engine. begin makes the world ready and returns
// the call.
type useCase struct {
	name  string
	begin func(*scenario.World) func(context.Context) error
}

func useCases() []useCase {
	return []useCase{
		{"decide", func(w *scenario.World) func(context.Context) error {
			ids := w.Insert(w.Complaint(model.SeverityCritical))
			return func(ctx context.Context) error {
				created, _, err := w.Store.Create(ctx, ids)
				if err == nil {
					err = created[0].Err
				}
				return err
			}
		}},
		{"fire", func(w *scenario.World) func(context.Context) error {
			a := w.Create(w.Complaint(model.SeverityCritical))[0]
			w.SetTime(*a.NextAt)
			return func(ctx context.Context) error {
				fired, _, err := w.Store.Fire(ctx, []store.DeadlineRef{{ActionID: a.ID, Gen: a.Gen}})
				if err == nil {
					err = fired[0].Err
				}
				return err
			}
		}},
		{"revise", func(w *scenario.World) func(context.Context) error {
			f := w.Complaint(model.SeverityHigh)
			w.Create(f)
			row := w.Feedback(f.ID)
			row.Severity, row.ContentHash = model.SeverityCritical, []byte("h2")
			return func(ctx context.Context) error {
				_, _, err := w.Store.Revise(ctx, row, model.Origin{})
				return err
			}
		}},
		{"move", func(w *scenario.World) func(context.Context) error {
			a := w.Create(w.Complaint(model.SeverityHigh))[0]
			req := sla.MoveRequest{Move: model.MoveSeverity, Severity: model.SeverityCritical}
			return func(ctx context.Context) error {
				moved, _, err := w.Store.Move(ctx, []store.Move{{ActionID: a.ID, Version: a.Version, Request: req}})
				if err == nil {
					err = moved[0].Err
				}
				return err
			}
		}},
	}
}

// written sums up the ledger: it differs after every write.
func written(w *scenario.World) int {
	return w.Count(`SELECT (SELECT count(*) FROM actions) + (SELECT coalesce(sum(version + gen), 0) FROM actions)
		+ (SELECT count(*) FROM action_logs) + (SELECT count(*) FROM deadline_events) + (SELECT count(*) FROM messages)
		+ (SELECT count(*) FROM feedback WHERE decision IS NOT NULL OR tries > 0) + (SELECT count(*) FROM feedback_revisions)`)
}

// TestADeathBeforeTheCommitLeavesNothing stops each use case at its last table,
// in the middle of its transaction, and ends it there.
func TestADeathBeforeTheCommitLeavesNothing(t *testing.T) {
	t.Parallel()
	deaths := []struct {
		name string
		kill func(w *scenario.World, pid int, leave context.CancelFunc)
		want error
	}{
		{"the database ends the session", func(w *scenario.World, pid int, _ context.CancelFunc) {
			w.Exec("SELECT pg_terminate_backend(?)", pid)
		}, model.ErrUnavailable},
		{"the caller leaves", func(_ *scenario.World, _ int, leave context.CancelFunc) { leave() }, context.Canceled},
	}
	for _, uc := range useCases() {
		for _, death := range deaths {
			t.Run(uc.name+": "+death.name, func(t *testing.T) {
				t.Parallel()
				w := scenario.New(t, nil)
				call := uc.begin(w)
				before := written(w)
				ctx, leave := context.WithCancel(t.Context())
				defer leave()
				release := w.Lock("messages")
				end := make(chan error, 1)
				go func() { end <- call(ctx) }()
				death.kill(w, w.Blocked(), leave)
				if err := <-end; !errors.Is(err, death.want) {
					t.Errorf("interrupted = %v, want %v", err, death.want)
				}
				release()
				if n := written(w); n != before {
					t.Errorf("written = %d, want %d: nothing half done", n, before)
				}
				if err := call(t.Context()); err != nil {
					t.Errorf("retry = %v", err)
				}
				once := written(w)
				if once <= before {
					t.Errorf("written = %d, want the retry to take effect", once)
				}
				// The version that the person saw is a move's fence.
				if err := call(t.Context()); err != nil && !errors.Is(err, model.ErrConflict) {
					t.Errorf("a second retry = %v", err)
				}
				if n := written(w); n != once {
					t.Errorf("written = %d after a second retry, want %d", n, once)
				}
				w.Holds()
			})
		}
	}
}

func TestADeathBetweenCommitAndEnqueue(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	w.Queue.Refuse(scenario.ErrRefused)
	ids := w.Insert(w.Complaint(model.SeverityCritical), w.Complaint(model.SeverityCritical))
	created, err := w.Engine.Decide(t.Context(), ids)
	if err != nil || len(created) != 2 || created[0].ActionID == nil {
		t.Fatalf("decide = %+v, %v; want it done all the same", created, err)
	}
	id, other := *created[0].ActionID, *created[1].ActionID
	if a := w.Action(id); a.ArmedGen != 0 || a.Gen != 1 {
		t.Fatalf("armed gen %d of %d, want 0 of 1", a.ArmedGen, a.Gen)
	}
	if n := w.Metric("px_enqueue_failures_total"); n == 0 {
		t.Error("no enqueue failure counted")
	}

	// The handler's retry finds it decided and enqueues what is outstanding.
	w.Queue.Refuse(nil)
	created, err = w.Engine.Decide(t.Context(), ids[:1])
	if err != nil || !created[0].Before {
		t.Fatalf("retry = %+v, %v; want decided before", created, err)
	}
	e := w.Queue.Take()
	if len(e.Arm) != 1 || e.Arm[0].ActionID != id || len(e.Send) == 0 || w.Action(id).ArmedGen != 1 {
		t.Errorf("effects of the retry = %+v, armed gen %d; want the job and the messages", e, w.Action(id).ArmedGen)
	}
	// The other one nobody retries: the sweep arms it once its grace is over.
	turn, err := w.Engine.HealUnarmed(t.Context(), store.Keyset{})
	if err != nil || turn.Healed != 0 {
		t.Errorf("sweep within the grace = %+v, %v; want nothing", turn, err)
	}
	w.Exec("UPDATE actions SET arm_after = clock_timestamp() WHERE armed_gen < gen")
	turn, err = w.Engine.HealUnarmed(t.Context(), store.Keyset{})
	if err != nil || turn.Healed != 1 || w.Action(other).ArmedGen != 1 {
		t.Errorf("sweep = %+v, %v; want one armed", turn, err)
	}

	// The same of a firing: its retry is stale and yields the next job.
	w.Queue.Refuse(scenario.ErrRefused)
	job := w.Job(id)
	w.SetTime(*w.Action(id).NextAt)
	if r, err := w.Engine.Fire(t.Context(), job); err != nil || r.Outcome != store.Fired {
		t.Fatalf("fire = %+v, %v", r, err)
	}
	w.Queue.Refuse(nil)
	w.Queue.Take()
	if r, err := w.Engine.Fire(t.Context(), job); err != nil || r.Outcome != store.Stale {
		t.Fatalf("retry of the firing = %+v, %v; want stale", r, err)
	}
	if e := w.Queue.Take(); len(e.Arm) != 1 || e.Arm[0].Gen != job.Gen+1 || e.Arm[0].Kind != model.EventReminder || len(e.Send) == 0 {
		t.Errorf("effects of the retry = %+v, want the reminder's job and the messages", e)
	}
	w.Holds()
}

func TestADeathBetweenEnqueueAndTheTasksEnd(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	a := w.Create(w.Complaint(model.SeverityCritical))[0]
	job := w.Job(a.ID)
	w.SetTime(*a.NextAt)
	if r, err := w.Engine.Fire(t.Context(), job); err != nil || r.Outcome != store.Fired {
		t.Fatalf("fire = %+v, %v", r, err)
	}
	w.Queue.Take()
	events, messages := w.Events(a.ID), w.Messages(a.ID)
	for range 3 { // asynq runs the task again: its worker never said that it was done
		if r, err := w.Engine.Fire(t.Context(), job); err != nil || r.Outcome != store.Stale {
			t.Fatalf("again = %+v, %v; want stale", r, err)
		}
	}
	if e := w.Queue.Take(); !e.Empty() {
		t.Errorf("effects = %+v, want none: the queue has the next job", e)
	}
	if len(w.Events(a.ID)) != len(events) || len(w.Messages(a.ID)) != len(messages) {
		t.Error("the event took effect twice")
	}
	w.Holds()
}

func TestADeathBetweenSendAndSettle(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	hook, router, g := gated(t)
	w.Exec("UPDATE users SET webhook_url = ?", g.url)
	w.Exec("UPDATE directory_version SET version = version + 1")
	a := w.Create(w.Complaint(model.SeverityHigh))[0]
	w.Exec("UPDATE messages SET channel = 'webhook'")
	m := w.Messages(a.ID)[0]

	g.open <- struct{}{}
	sendAndDie(t, w, router, m.ID)
	<-g.came
	// Within the claim nobody takes it …
	other := w.NewEngine(w.Queue, router)
	second := store.MessageRef{ID: m.ID, Attempt: 1}
	if d, err := other.Deliver(t.Context(), second); err != nil || d != engine.NotMine || len(hook.All()) != 1 {
		t.Errorf("delivery within the claim = %q, %v, %d calls; want it left alone", d, err, len(hook.All()))
	}
	// … then another does. While it sends, the first comes back from the dead:
	// its settlement is void.
	w.Exec("UPDATE messages SET claimed_until = clock_timestamp(), next_try_at = clock_timestamp()")
	type end struct {
		d   engine.Delivery
		err error
	}
	ended := make(chan end, 1)
	go func() {
		d, err := other.Deliver(t.Context(), second)
		ended <- end{d, err}
	}()
	<-g.came
	late := store.Settled{ID: m.ID, Attempts: 1, State: model.MessageFailed, Why: "late"}
	settleLate := func(want model.MessageState) {
		t.Helper()
		if _, err := w.Store.SettleMessages(t.Context(), []store.Settled{late}); err != nil {
			t.Fatal(err)
		}
		if got := message(t, w, m.ID); got.State != want || got.Attempts != 2 || got.LastError != "" {
			t.Errorf("message after the late settlement = %+v, want %s by the second attempt", got, want)
		}
	}
	settleLate(model.MessageSending)
	g.open <- struct{}{}
	if e := <-ended; e.err != nil || e.d != engine.Delivered {
		t.Fatalf("delivery after the claim = %q, %v; want sent", e.d, e.err)
	}
	settleLate(model.MessageSent)

	calls := hook.Accepted()
	if len(calls) != 2 || calls[0].ID != m.Key || calls[1].ID != m.Key || !bytes.Equal(calls[0].Body, calls[1].Body) {
		t.Fatalf("calls = %+v, want two of the same words under the key %s", calls, m.Key)
	}
	if m := message(t, w, m.ID); m.SentAt == nil || m.ClaimedUntil != nil || m.Key != calls[0].ID {
		t.Errorf("message = %+v, want sent", m)
	}
	w.Holds()
}

// TestASlowReceiverIsLeftWithinTheClaim: else another would take the message
// while the first still sends it.
func TestASlowReceiverIsLeftWithinTheClaim(t *testing.T) {
	t.Parallel()
	const lease = 2 * time.Second
	w := scenario.New(t, nil)
	hook, router, _ := gated(t)
	hook.Always(&receiver.Fault{Hang: true})
	w.Exec("UPDATE users SET webhook_url = ?", hook.URL())
	w.Exec("UPDATE directory_version SET version = version + 1")
	s, err := store.Open(w.URL, store.Options{PoolSize: 2, ClaimLease: lease})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	w.Store = s
	w.Engine = w.NewEngine(w.Queue, router)
	a := w.Create(w.Complaint(model.SeverityHigh))[0]
	w.Exec("UPDATE messages SET channel = 'webhook'")
	m := w.Messages(a.ID)[0]

	begin := time.Now()
	d, err := w.Engine.Deliver(t.Context(), store.MessageRef{ID: m.ID})
	if took := time.Since(begin); err != nil || d != engine.Retrying || took < lease/2 {
		t.Errorf("delivery = %q, %v after %s; want another try, after half of the claim", d, err, took)
	}
	if m := message(t, w, m.ID); m.State != model.MessagePending || m.Attempts != 1 || m.LastError == "" {
		t.Errorf("message = %+v, want it settled for another try by its own claim", m)
	}
}

// sendAndDie does what a process does that claims a message, sends it, and is
// gone before it can say so.
func sendAndDie(t *testing.T, w *scenario.World, router *notify.Router, id model.MessageID) {
	t.Helper()
	claimed, err := w.Store.ClaimMessages(t.Context(), router.Channels(), []store.MessageRef{{ID: id}})
	if err != nil || len(claimed) != 1 || claimed[0].Attempts != 1 {
		t.Fatalf("claim = %+v, %v", claimed, err)
	}
	c := claimed[0]
	if _, err := router.Send(t.Context(), c.Channel, notify.Compose(&c.Message, c.Recipient, c.Hospital.Zone, w.Engine.LinkBase)); err != nil {
		t.Fatal(err)
	}
}

// gate stands before a receiver: a call that came waits until it is opened.
type gate struct {
	url        string
	came, open chan struct{}
}

// gated is a webhook receiver behind a gate, and channels that may reach it.
func gated(t *testing.T) (*receiver.Webhook, *notify.Router, gate) {
	t.Helper()
	hook, err := receiver.StartWebhook("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = hook.Close() })
	target, err := url.Parse(hook.URL())
	if err != nil {
		t.Fatal(err)
	}
	g := gate{came: make(chan struct{}, 1), open: make(chan struct{}, 1)}
	pass := httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL = target }}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		// Only behind the body does the server notice that the caller left.
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		g.came <- struct{}{}
		select {
		case <-g.open:
			pass.ServeHTTP(rw, r)
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(server.Close)
	g.url = server.URL
	router, err := notify.New(notify.Settings{Log: zerolog.Nop(), Now: time.Now, Webhook: notify.WebhookSettings{
		Secret: hook.Secret(), Allow: []string{"127.0.0.1"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(router.Close)
	return hook, router, g
}
