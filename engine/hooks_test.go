package engine_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/internal/receiver"
	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/notify"
	"github.com/pxactions/px/sla"
)

// hooked is a world with a hook and its receiver.
type hooked struct {
	*scenario.World
	recv *receiver.Webhook
	hook *model.Hook
	log  bytes.Buffer
}

func newHooked(t *testing.T, h model.Hook) *hooked {
	t.Helper()
	w := &hooked{World: scenario.New(t, nil)}
	router, err := notify.New(notify.Settings{Now: time.Now, Webhook: notify.WebhookSettings{Allow: []string{"127.0.0.1"}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(router.Close)
	w.Engine = engine.New(engine.Options{Store: w.Store, Queue: w.Queue, Notify: router, Metrics: w.Metrics, Log: zerolog.New(&w.log)})
	t.Cleanup(w.Engine.Close)
	h.Name, h.URL, h.CreatedBy = "host", "http://127.0.0.1/", "test"
	if err := w.Store.CreateHook(t.Context(), &h); err != nil {
		t.Fatal(err)
	}
	w.hook = &h
	if w.recv, err = receiver.StartWebhook(h.Secret); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.recv.Close() })
	w.Exec("UPDATE hooks SET url = ?", w.recv.URL())
	return w
}

// row reads the hook.
func (w *hooked) row() model.Hook {
	w.TB.Helper()
	h, err := w.Store.HookByName(w.TB.Context(), "host")
	if err != nil {
		w.TB.Fatal(err)
	}
	return *h
}

// settled waits until every change so far can be read: transactions of other
// tests on the same server may hold the stream back.
func (w *hooked) settled() {
	w.TB.Helper()
	ctx, cancel := context.WithTimeout(w.TB.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for w.Count("SELECT count(*) FROM action_logs WHERE xid >= pg_snapshot_xmin(pg_current_snapshot())") > 0 {
		select {
		case <-ctx.Done():
			w.TB.Fatal("the stream is held back")
		case <-tick.C:
		}
	}
}

// turn is one turn of the hook, as a scheduler does it.
func (w *hooked) turn() {
	w.TB.Helper()
	w.settled()
	if err := w.Engine.DeliverHook(w.TB.Context(), w.row()); err != nil {
		w.TB.Fatal(err)
	}
}

func (w *hooked) note(a model.Action, n int) {
	w.TB.Helper()
	for range n {
		w.Move(a.ID, sla.MoveRequest{Move: model.MoveNote, Text: "seen"})
	}
}

// due lets the hook's next try come.
func (w *hooked) due() {
	w.TB.Helper()
	w.Exec("UPDATE hooks SET next_try_at = clock_timestamp() - interval '1 second' WHERE next_try_at IS NOT NULL")
}

type hookBody struct {
	Type, ID, Hook string
	Changes        []struct {
		ID, Ref string
		Seq     int
	}
}

func bodyOf(tb testing.TB, body []byte) hookBody {
	tb.Helper()
	var b hookBody
	if err := json.Unmarshal(body, &b); err != nil {
		tb.Fatal(err)
	}
	return b
}

// seqs is what was taken of an action, in the order of arrival.
func (w *hooked) seqs(ref string) []int {
	w.TB.Helper()
	var all []int
	for _, c := range w.recv.Accepted() {
		for _, ch := range bodyOf(w.TB, c.Body).Changes {
			if ch.Ref == ref {
				all = append(all, ch.Seq)
			}
		}
	}
	return all
}

// upTo is 1, 2, …, n.
func upTo(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i + 1
	}
	return all
}

func TestAHookHearsOfEveryChangeInOrder(t *testing.T) {
	t.Parallel()
	w := newHooked(t, model.Hook{})
	a := w.Create(w.Complaint(model.SeverityHigh))[0]
	w.note(a, 120)
	w.turn()
	if got, want := w.seqs(a.Ref), upTo(w.Action(a.ID).LogSeq); !slices.Equal(got, want) {
		t.Fatalf("heard of %v, want %v", got, want)
	}
	calls := w.recv.All()
	if len(calls) != 2 || calls[0].ID == calls[1].ID {
		t.Fatalf("%d calls, want two of different ids", len(calls))
	}
	if b := bodyOf(t, calls[0].Body); b.Type != "px.changes" || b.Hook != "host" || len(b.Changes) != 100 || b.ID != calls[0].ID {
		t.Errorf("the first call is %s of %s with %d changes", b.Type, b.Hook, len(b.Changes))
	}
	w.turn()
	w.note(a, 1)
	w.turn()
	if got, want := w.seqs(a.Ref), upTo(w.Action(a.ID).LogSeq); !slices.Equal(got, want) || len(w.recv.All()) != 3 {
		t.Errorf("heard of %v in %d calls, want each once", got, len(w.recv.All()))
	}
	if n := w.Metric("px_hook_calls_total", "host", "taken"); n != 3 {
		t.Errorf("px_hook_calls_total = %v, want 3", n)
	}
}

// TestAHookThatFailsIsTriedAgain: in order, later and later, without an end, and
// visible.
func TestAHookThatFailsIsTriedAgain(t *testing.T) {
	t.Parallel()
	w := newHooked(t, model.Hook{})
	a := w.Create(w.Complaint(model.SeverityHigh))[0]
	w.recv.Next(receiver.Fault{Status: 503}, receiver.Fault{Status: 404}, receiver.Fault{Drop: true})
	for i, why := range []string{"http_503", "http_404", "connection"} {
		w.turn()
		h := w.row()
		if !h.Active || h.Failures != i+1 || h.LastError != why || h.NextTryAt == nil || h.Cursor != w.hook.Cursor {
			t.Fatalf("after failure %d: %+v", i+1, h)
		}
		w.turn() // not yet
		if n := len(w.recv.All()); n != i+1 {
			t.Fatalf("%d calls before the next try, want %d", n, i+1)
		}
		if n := w.Metric("px_hook_failures", "host"); n != float64(i+1) {
			t.Errorf("px_hook_failures = %v, want %d", n, i+1)
		}
		w.due()
	}
	w.SetTime(scenario.Start().Add(time.Hour))
	w.turn()
	calls := w.recv.All()
	for _, c := range calls {
		if c.ID != calls[0].ID || !bytes.Equal(c.Body, calls[0].Body) {
			t.Errorf("call %s differs from its repeat %s", calls[0].Body, c.Body)
		}
	}
	if h := w.row(); h.Failures != 0 || h.LastError != "" || h.NextTryAt != nil || h.LastOKAt == nil {
		t.Errorf("after a success: %+v", h)
	}
	if got, want := w.seqs(a.Ref), upTo(w.Action(a.ID).LogSeq); !slices.Equal(got, want) {
		t.Errorf("heard of %v, want %v", got, want)
	}
	if said := w.log.String(); strings.Count(said, "hook fails") != 1 || strings.Count(said, "hook goes on") != 1 {
		t.Errorf("log %s, want one line when it begins and one when it ends", said)
	}
	if n := w.Metric("px_hook_lag_seconds", "host"); n != 0 {
		t.Errorf("px_hook_lag_seconds = %v with nothing left", n)
	}
}

// TestARepeatWithMoreInItHasAnotherID, so that who passes over ids that it knows
// does not pass over what is new.
func TestARepeatWithMoreInItHasAnotherID(t *testing.T) {
	t.Parallel()
	w := newHooked(t, model.Hook{})
	a := w.Create(w.Complaint(model.SeverityHigh))[0]
	w.recv.Next(receiver.Fault{Drop: true})
	w.turn()
	w.note(a, 1)
	w.SetTime(scenario.Start().Add(time.Hour))
	w.Exec("UPDATE hooks SET next_try_at = next_try_at + interval '1 hour'") // however slow this machine is
	w.turn()
	if n := w.Metric("px_hook_lag_seconds", "host"); n < 3000 || n > 3700 {
		t.Errorf("px_hook_lag_seconds = %v, want an hour", n)
	}
	w.due()
	w.turn()
	if calls := w.recv.All(); len(calls) != 2 || calls[0].ID == calls[1].ID {
		t.Errorf("calls %+v, want two of different ids", calls)
	}
	if got, want := w.seqs(a.Ref), upTo(w.Action(a.ID).LogSeq); !slices.Equal(got, want) {
		t.Errorf("heard of %v, want %v", got, want)
	}
}

// TestACrashBehindTheCallRepeatsIt: whoever dies, or loses its claim, between the
// receiver's answer and the writing of it.
func TestACrashBehindTheCallRepeatsIt(t *testing.T) {
	t.Parallel()
	w := newHooked(t, model.Hook{})
	a := w.Create(w.Complaint(model.SeverityHigh))[0]
	var mu sync.Mutex
	var bodies []string
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		body, _ := io.ReadAll(r.Body)
		if bodies = append(bodies, string(body)); len(bodies) == 1 {
			w.Exec("UPDATE hooks SET claims = claims + 1, claimed_until = NULL") // its claim has run out
		}
		rw.WriteHeader(http.StatusOK)
	}))
	t.Cleanup(srv.Close)
	w.Exec("UPDATE hooks SET url = ?", srv.URL)
	w.turn()
	if h := w.row(); h.Cursor != w.hook.Cursor || h.LastOKAt != nil {
		t.Fatalf("%+v: a call of who lost the claim was written down", h)
	}
	w.turn()
	w.turn()
	mu.Lock()
	defer mu.Unlock()
	if len(bodies) != 2 || bodies[0] != bodies[1] || len(bodyOf(t, []byte(bodies[0])).Changes) != w.Action(a.ID).LogSeq {
		t.Errorf("calls %q, want the same twice", bodies)
	}
}

func TestAReceiverThatIsGoneIsPaused(t *testing.T) {
	t.Parallel()
	w := newHooked(t, model.Hook{})
	a := w.Create(w.Complaint(model.SeverityHigh))[0]
	w.recv.Next(receiver.Fault{Status: 410})
	w.turn()
	if h := w.row(); h.Active || h.LastError != "http_410" || h.Cursor != w.hook.Cursor {
		t.Errorf("%+v, want it paused where it stood", h)
	}
	w.due()
	w.turn()
	if n := len(w.recv.All()); n != 1 {
		t.Errorf("%d calls of a paused hook", n-1)
	}
	if err := w.Store.ActivateHook(t.Context(), "host", true); err != nil {
		t.Fatal(err)
	}
	w.turn()
	if got, want := w.seqs(a.Ref), upTo(w.Action(a.ID).LogSeq); !slices.Equal(got, want) {
		t.Errorf("resumed, it heard of %v, want %v", got, want)
	}
}

// TestAHookHearsOnlyOfWhatIsItsOwn, and does not read again and again what is
// not.
func TestAHookHearsOnlyOfWhatIsItsOwn(t *testing.T) {
	t.Parallel()
	w := newHooked(t, model.Hook{SourceSystem: "survey tool"})
	other := w.Create(w.Complaint(model.SeverityHigh))[0]
	w.note(other, 110) // more than a page
	w.Exec("UPDATE hooks SET failures = 2")
	w.turn()
	if h := w.row(); h.Cursor == w.hook.Cursor || h.LastOKAt != nil || h.Failures != 2 {
		t.Errorf("%+v, want it to have gone on without a call", h)
	}
	mine, secret := w.Complaint(model.SeverityHigh), w.Complaint(model.SeverityHigh)
	mine.SourceSystem, secret.SourceSystem, secret.Restricted = "survey tool", "survey tool", true
	as := w.Create(mine, secret)
	w.turn()
	if got, want := w.seqs(as[0].Ref), upTo(w.Action(as[0].ID).LogSeq); !slices.Equal(got, want) {
		t.Errorf("heard of %v, want %v", got, want)
	}
	if n := len(w.seqs(as[1].Ref)) + len(w.seqs(other.Ref)); n != 0 {
		t.Errorf("heard of %d changes that are not its own", n)
	}
}

func TestAHookOfARestoredDatabaseWaits(t *testing.T) {
	t.Parallel()
	w := newHooked(t, model.Hook{})
	a := w.Create(w.Complaint(model.SeverityHigh))[0]
	w.Exec("UPDATE stream SET cluster = cluster + 1")
	w.turn()
	if h := w.row(); h.LastError != "cursor_gone" || h.Failures != 1 || h.NextTryAt == nil {
		t.Errorf("%+v, want a failure that can be seen", h)
	}
	if _, err := w.Store.RestartStream(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.turn()
	if got, want := w.seqs(a.Ref), upTo(w.Action(a.ID).LogSeq); !slices.Equal(got, want) {
		t.Errorf("heard of %v, want %v", got, want)
	}
}

func TestAHookCanBeTried(t *testing.T) {
	t.Parallel()
	w := newHooked(t, model.Hook{})
	h := w.row()
	if err := w.Engine.TestHook(t.Context(), &h); err != nil {
		t.Fatal(err)
	}
	if calls := w.recv.Accepted(); len(calls) != 1 || calls[0].Type != "px.test" {
		t.Errorf("calls %+v, want a try", calls)
	}
	w.recv.Next(receiver.Fault{Status: 403})
	if err := w.Engine.TestHook(t.Context(), &h); err == nil || !strings.Contains(err.Error(), "http_403") {
		t.Errorf("a refused try: %v", err)
	}
	if got := w.row(); got.Failures != 0 || got.LastOKAt != nil || got.Cursor != h.Cursor {
		t.Errorf("a try changed the hook to %+v", got)
	}
}

// TestTheWaitsOfAHook is told by its row: each is about twice the one before.
func TestTheWaitsOfAHook(t *testing.T) {
	t.Parallel()
	w := newHooked(t, model.Hook{})
	w.Create(w.Complaint(model.SeverityHigh))
	w.recv.Always(&receiver.Fault{Status: 500})
	for failures, want := range map[int]time.Duration{0: time.Second, 3: 8 * time.Second, 9: 512 * time.Second, 10: 10 * time.Minute, 1000: 10 * time.Minute} {
		w.Exec("UPDATE hooks SET failures = ?, next_try_at = NULL", failures)
		w.turn()
		now, err := w.Store.Now(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		// Time has gone on since it was written.
		if wait := w.row().NextTryAt.Sub(now.Machine); wait > want || wait < want*4/5-20*time.Second {
			t.Errorf("wait %s after failure %d, want about %s", wait, failures+1, want)
		}
	}
	w.recv.Next(receiver.Fault{Status: 429, Header: map[string]string{"Retry-After": "3000"}})
	w.Exec("UPDATE hooks SET failures = 0, next_try_at = NULL")
	w.turn()
	now, err := w.Store.Now(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if wait := w.row().NextTryAt.Sub(now.Machine); wait < 2900*time.Second {
		t.Errorf("wait %s, want what the receiver asked for", wait)
	}
}
