package notify

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/pxactions/px/internal/receiver"
	"github.com/pxactions/px/model"
)

func local() WebhookSettings { return WebhookSettings{Allow: []string{"127.0.0.1"}} }

// hookLetter is a letter for w.
func hookLetter(w *receiver.Webhook) Letter {
	l := sample(model.ReasonOverdue)
	l.Recipient.WebhookURL, l.Recipient.WebhookSecret = w.URL(), w.Secret()
	return l
}

func sendHook(t *testing.T, r *Router, l Letter) (Receipt, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	return r.Send(ctx, model.ChannelWebhook, l)
}

func TestWebhookArrivesSigned(t *testing.T) {
	t.Parallel()
	w := startWebhook(t)
	r := newRouter(t, Settings{Webhook: local()})
	l := hookLetter(w)
	l.Also = []model.Reason{model.ReasonReminder}
	receipt, err := sendHook(t, r, l)
	if err != nil {
		t.Fatal(err)
	}
	if receipt.ProviderRef != "http_204" {
		t.Errorf("provider ref %q", receipt.ProviderRef)
	}
	calls := w.Accepted()
	if len(calls) != 1 || calls[0].Fault != nil || calls[0].ID != l.Key || calls[0].Type != "px.message" || calls[0].Reason != "overdue" {
		t.Fatalf("calls = %+v, want one, well signed", calls)
	}
	var got map[string]any
	if err := json.Unmarshal(calls[0].Body, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"type": "px.message", "id": l.Key, "timestamp": "2026-03-02T21:30:16Z", "reason": "overdue", "also": []any{"reminder"},
		"action_id": l.ActionID.String(), "recipient_id": l.Recipient.ID.String(), "link": l.Link,
		"facts": map[string]any{
			"ref": "RUH-26-0004172", "category": "service_quality", "hospital": "Riyadh University Hospital",
			"department": "Emergency Department", "severity": "high", "priority": "high", "status": "in_progress",
			"due_at": "2026-03-02T21:30:15Z", "next_at": "2026-03-02T23:30:00Z", "next_kind": "escalation",
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("payload = %v, want %v", got, want)
	}
}

func TestWebhookSecrets(t *testing.T) {
	t.Parallel()
	w := startWebhook(t)
	other := receiver.NewSecret()
	tests := []struct {
		name, process, own string
		code               string
		permanent          bool
	}{
		{"the process-wide secret signs", w.Secret(), "", "", false},
		{"one's own wins", other, w.Secret(), "", false},
		{"both sign while one replaces the other", other + " " + w.Secret(), "", "", false},
		{"none at all fails", "", "", "no_secret", true},
		{"nonsense fails", "", "hunter2", "bad_secret", true},
		{"another's is refused by the receiver", "", other, "http_401", true},
	}
	for _, tt := range tests {
		set := local()
		set.Secret = tt.process
		l := hookLetter(w)
		l.Recipient.WebhookSecret = tt.own
		_, err := sendHook(t, newRouter(t, Settings{Webhook: set}), l)
		if tt.code == "" {
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			continue
		}
		if err == nil {
			t.Fatalf("%s: no error", tt.name)
		}
		mustFail(t, err, tt.code, tt.permanent)
	}
}

func TestWebhookAnswersDecideTheRetry(t *testing.T) {
	t.Parallel()
	w, trap := startWebhook(t), startWebhook(t)
	r := newRouter(t, Settings{Webhook: local()})
	after := func(v string) map[string]string { return map[string]string{"Retry-After": v} }
	tests := []struct {
		fault     receiver.Fault
		code      string
		permanent bool
		after     time.Duration
	}{
		{receiver.Fault{Status: 410}, "http_410", true, 0},
		{receiver.Fault{Status: 400}, "http_400", true, 0},
		{receiver.Fault{Status: 404}, "http_404", true, 0},
		{receiver.Fault{Status: 408}, "http_408", false, 0},
		{receiver.Fault{Status: 425}, "http_425", false, 0},
		{receiver.Fault{Status: 429, Header: after("120")}, "http_429", false, 2 * time.Minute},
		{receiver.Fault{Status: 503, Header: after("99999999999999")}, "http_503", false, 24 * time.Hour},
		{receiver.Fault{Status: 500, Header: after("soon")}, "http_500", false, 0},
		{receiver.Fault{Status: 302, Header: map[string]string{"Location": trap.URL()}}, "http_302", true, 0},
		{receiver.Fault{Status: 307, Header: map[string]string{"Location": trap.URL()}}, "http_307", true, 0},
		{receiver.Fault{Drop: true}, "connection", false, 0},
	}
	for _, tt := range tests {
		w.Next(tt.fault)
		_, err := sendHook(t, r, hookLetter(w))
		if err == nil {
			t.Fatalf("%s: no error", tt.code)
		}
		if got := mustFail(t, err, tt.code, tt.permanent); got.RetryAfter != tt.after {
			t.Errorf("%s: retry after %s, want %s", tt.code, got.RetryAfter, tt.after)
		}
		if strings.Contains(err.Error(), "127.0.0.1") {
			t.Errorf("%s: the error holds an address: %v", tt.code, err)
		}
	}
	if n := len(trap.All()); n != 0 {
		t.Errorf("a redirect was followed %d times", n)
	}
	all := w.All()
	for _, c := range all {
		if c.ID != all[0].ID || string(c.Body) != string(all[0].Body) || c.Fault != nil {
			t.Errorf("a repeat differs: %s %v", c.Body, c.Fault)
		}
	}
}

func TestRetryAfterReadsDates(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	for v, want := range map[string]time.Duration{
		"": 0, "-5": 0, "90": 90 * time.Second,
		now.Add(time.Hour).Format(http.TimeFormat):  time.Hour,
		now.Add(-time.Hour).Format(http.TimeFormat): 0,
	} {
		if got := retryAfter(v, now); got != want {
			t.Errorf("retryAfter(%q) = %s, want %s", v, got, want)
		}
	}
}

func TestWebhookEndsWithItsContext(t *testing.T) {
	t.Parallel()
	w := startWebhook(t)
	w.Always(&receiver.Fault{Hang: true})
	set := local()
	set.Timeout = 200 * time.Millisecond
	_, err := sendHook(t, newRouter(t, Settings{Webhook: set}), hookLetter(w))
	mustFail(t, err, "timeout", false)

	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	r := newRouter(t, Settings{Webhook: local()})
	go func() {
		_, err := r.Send(ctx, model.ChannelWebhook, hookLetter(w))
		done <- err
	}()
	wait, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	if _, err := w.WaitAll(wait, 2); err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v, want context.Canceled", err)
	}
}

// TestASilentHostGetsOneCallAtATime: the others fail at once, and other hosts are
// called as ever.
func TestASilentHostGetsOneCallAtATime(t *testing.T) {
	t.Parallel()
	silent, other := startWebhook(t), startWebhook(t)
	silent.Always(&receiver.Fault{Hang: true})
	set := local()
	set.Timeout = 200 * time.Millisecond
	r := newRouter(t, Settings{Webhook: set})
	for range silentAfter {
		_, err := sendHook(t, r, hookLetter(silent))
		mustFail(t, err, "timeout", false)
	}
	r.webhook.timeout = time.Minute
	ctx, leave := context.WithCancel(t.Context())
	probe := make(chan error, 1)
	go func() {
		_, err := r.Send(ctx, model.ChannelWebhook, hookLetter(silent))
		probe <- err
	}()
	wait, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	if _, err := silent.WaitAll(wait, silentAfter+1); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		_, err := sendHook(t, r, hookLetter(silent))
		mustFail(t, err, "silent", false)
	}
	if _, err := sendHook(t, r, hookLetter(other)); err != nil {
		t.Errorf("another host: %v", err)
	}
	if n := len(silent.All()); n != silentAfter+1 {
		t.Errorf("%d calls, want no more than one at a time", n)
	}
	leave()
	if err := <-probe; !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v, want context.Canceled", err)
	}
	silent.Always(&receiver.Fault{Status: 503})
	_, err := sendHook(t, r, hookLetter(silent)) // any answer ends it
	mustFail(t, err, "http_503", false)
	silent.Always(nil)
	if _, err := sendHook(t, r, hookLetter(silent)); err != nil {
		t.Errorf("a host that is back: %v", err)
	}
	if len(r.webhook.hosts.known) != 0 {
		t.Error("a host that answers is remembered")
	}
}

func TestWebhookAddressFaultsAreForGood(t *testing.T) {
	t.Parallel()
	r := newRouter(t, Settings{Webhook: local()})
	for raw, code := range map[string]string{
		"": "no_webhook_url", "ftp://127.0.0.1/": "bad_webhook_url", "https://": "bad_webhook_url", "hooks": "bad_webhook_url",
		"http://user:pw@127.0.0.1/": "bad_webhook_url", "http://127.0.0.1:port/": "bad_webhook_url",
	} {
		l := sample(model.ReasonOverdue)
		l.Recipient.WebhookURL, l.Recipient.WebhookSecret = raw, receiver.NewSecret()
		_, err := sendHook(t, r, l)
		mustFail(t, err, code, true)
	}
}

func TestGuardReachesNothingInside(t *testing.T) {
	t.Parallel()
	w := startWebhook(t)
	port := w.URL()[strings.LastIndex(w.URL(), ":"):]
	tests := []struct {
		name, url string
		allow     []string
		arrives   bool
	}{
		{"loopback is refused", "http://127.0.0.1" + port, nil, false},
		{"a name that leads there is refused", "http://localhost" + port, nil, false},
		{"https changes nothing", "https://127.0.0.1" + port, nil, false},
		{"another spelling of it is refused", "http://[::ffff:127.0.0.1]" + port, nil, false},
		{"an allowed neighbour does not help", "http://127.0.0.1" + port, []string{"127.0.0.2", "10.0.0.0/8", "example.org"}, false},
		{"cloud metadata is refused", "http://169.254.169.254/latest/meta-data/", []string{"127.0.0.1"}, false},
		{"an allowed address is reached", "http://127.0.0.1" + port, []string{"127.0.0.1"}, true},
		{"in any spelling", "http://[::ffff:127.0.0.1]" + port, []string{"127.0.0.0/8"}, true},
		{"an allowed range is reached by name", "http://localhost" + port, []string{"127.0.0.0/8", "::1"}, true},
		{"an allowed name is reached", "http://LOCALHOST" + port, []string{"Localhost."}, true},
		{"a public address over plain http is refused", "http://8.8.8.8/", nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := hookLetter(w)
			l.Recipient.WebhookURL = tt.url
			_, err := sendHook(t, newRouter(t, Settings{Webhook: WebhookSettings{Allow: tt.allow}}), l)
			if tt.arrives {
				if err != nil {
					t.Errorf("err = %v, want it to arrive", err)
				}
				return
			}
			if err == nil {
				t.Fatal("it arrived")
			}
			mustFail(t, err, "blocked_address", true)
		})
	}
}
