package notify

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/pxactions/px/internal/receiver"
	"github.com/pxactions/px/model"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sample is a letter whose every field is set, the same each time.
func sample(reason model.Reason) Letter {
	next := time.Date(2026, 3, 2, 23, 30, 0, 0, time.UTC)
	return Letter{
		Key:      "m.0199c0de00007000800000000000beef",
		ActionID: model.ActionID{UUID: uuid.MustParse("0199c0de-0000-7000-8000-00000000ac71")},
		Recipient: Recipient{
			ID:   model.UserID{UUID: uuid.MustParse("0199c0de-0000-7000-8000-000000005a7a")},
			Name: "Sara Al-Harbi", Email: "sara@example.org", Locale: "en", Zone: "Asia/Riyadh",
		},
		Reason: reason,
		Facts: model.MessageFacts{
			Ref: "RUH-26-0004172", Category: model.CategoryServiceQuality, Hospital: "Riyadh University Hospital",
			Department: "Emergency Department", Severity: model.SeverityHigh, Priority: model.SeverityHigh,
			Status: model.StatusInProgress, DueAt: time.Date(2026, 3, 2, 21, 30, 15, 0, time.UTC),
			NextAt: &next, NextKind: model.EventEscalation,
		},
		Link:      "https://px.example.org/actions/RUH-26-0004172",
		WrittenAt: time.Date(2026, 3, 2, 21, 30, 16, 0, time.UTC),
	}
}

func newRouter(t *testing.T, s Settings) *Router {
	t.Helper()
	s.Now = time.Now
	r, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func startSMTP(t *testing.T, opts receiver.SMTPOptions) *receiver.SMTP {
	t.Helper()
	s, err := receiver.StartSMTP(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func startWebhook(t *testing.T) *receiver.Webhook {
	t.Helper()
	w, err := receiver.StartWebhook("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

// mustFail checks what a failed try says.
func mustFail(t *testing.T, err error, code string, isPermanent bool) *SendError {
	t.Helper()
	var got *SendError
	if !errors.As(err, &got) {
		t.Fatalf("err = %v, want a *SendError with %s", err, code)
	}
	if got.Code != code || got.Permanent != isPermanent {
		t.Errorf("code %q permanent %t, want %q %t", got.Code, got.Permanent, code, isPermanent)
	}
	return got
}

func TestRouter(t *testing.T) {
	t.Parallel()
	r := newRouter(t, Settings{Log: zerolog.Nop()})
	if !r.Has(model.ChannelLog) || !r.Has(model.ChannelWebhook) || r.Has(model.ChannelEmail) {
		t.Error("want log and webhook, and no email without a host")
	}
	l := sample(model.ReasonOverdue)
	if _, err := r.Send(t.Context(), model.ChannelLog, l); err != nil {
		t.Errorf("log: %v", err)
	}
	_, err := r.Send(t.Context(), model.ChannelEmail, l)
	mustFail(t, err, "channel_off", false)
	_, err = r.Send(t.Context(), "pager", l)
	mustFail(t, err, "channel_off", false)
	for _, key := range []string{"", "a b", "a\r\nBcc: x@example.org", "schlüssel", string(make([]byte, 201))} {
		l.Key = key
		_, err = r.Send(t.Context(), model.ChannelLog, l)
		mustFail(t, err, "bad_key", true)
	}
	l = sample(model.ReasonOverdue)
	l.Facts.Ref = ""
	_, err = r.Send(t.Context(), model.ChannelLog, l)
	mustFail(t, err, "no_ref", true)
}

func TestSettingsTellAllFaultsAtOnce(t *testing.T) {
	t.Parallel()
	if _, err := New(Settings{}); err == nil {
		t.Error("no clock: want an error")
	}
	_, err := New(Settings{
		Now: time.Now,
		Email: EmailSettings{
			Host: "mail", Port: 70000, TLS: "ssl", Auth: "magic", From: "nobody", ReplyTo: "x",
			SendTimeout: -1, MaxConnections: -1,
		},
		Webhook: WebhookSettings{Secret: "whsec_c2hvcnQ=", Allow: []string{"http://x", "", "10.0.0.0/8"}, Timeout: -1},
	})
	var faults model.FieldErrors
	if !errors.As(err, &faults) {
		t.Fatalf("err = %v, want model.FieldErrors", err)
	}
	got := map[string]int{}
	for _, f := range faults {
		got[f.Field]++
	}
	for field, n := range map[string]int{
		"webhook.secret": 1, "webhook.allow": 2, "webhook.timeout": 1, "email.port": 1, "email.tls": 1, "email.auth": 1,
		"email.from": 1, "email.reply_to": 1, "email.timeout": 1, "email.max_connections": 1,
	} {
		if got[field] != n {
			t.Errorf("%s: %d faults, want %d (all: %v)", field, got[field], n, err)
		}
	}
}

func TestCompose(t *testing.T) {
	t.Parallel()
	want := sample(model.ReasonOverdue)
	m := &model.Message{
		Key: want.Key, ActionID: want.ActionID, Reason: want.Reason, Also: model.Of([]model.Reason{model.ReasonReminder}),
		Facts: model.Of(want.Facts), CreatedAt: want.WrittenAt,
	}
	u := &model.User{ID: want.Recipient.ID, Name: "Sara Al-Harbi", Email: "sara@example.org", WebhookURL: "https://h", WebhookSecret: "s"}
	got := Compose(m, u, "Asia/Riyadh", "https://px.example.org/")
	if got.Key != want.Key || got.Link != want.Link || got.Recipient.Zone != "Asia/Riyadh" || len(got.Also) != 1 ||
		got.Recipient.WebhookURL != "https://h" || got.Recipient.WebhookSecret != "s" || !got.WrittenAt.Equal(want.WrittenAt) {
		t.Errorf("Compose = %+v", got)
	}
	u.Zone = "Europe/Paris"
	if got := Compose(m, u, "Asia/Riyadh", ""); got.Recipient.Zone != "Europe/Paris" || got.Link != "" {
		t.Errorf("zone %q link %q, want the person's own zone and no link", got.Recipient.Zone, got.Link)
	}
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	want := []time.Duration{
		15 * time.Second, 15 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 4 * time.Hour,
	}
	for attempt, w := range want {
		if got := Backoff(attempt, 0); got != w {
			t.Errorf("Backoff(%d) = %s, want %s", attempt, got, w)
		}
		if got := Backoff(attempt, 0.999); got >= w || got < w*4/5 {
			t.Errorf("Backoff(%d) with jitter = %s, want within a fifth below %s", attempt, got, w)
		}
	}
	if got := Backoff(1_000_000, 0); got != 4*time.Hour {
		t.Errorf("Backoff = %s, want the cap", got)
	}
}

func TestNextTry(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		attempt int
		err     error
		want    time.Duration
		again   bool
	}{
		{"a temporary failure backs off", 2, temporary("http_503"), time.Minute, true},
		{"an unknown failure backs off", 1, context.Canceled, 15 * time.Second, true},
		{"a permanent one ends it", 1, permanent("smtp_550"), 0, false},
		{"the last try ends it", MaxAttempts, temporary("timeout"), 0, false},
		{"the one before does not", MaxAttempts - 1, temporary("timeout"), 4 * time.Hour, true},
		{"a longer Retry-After is honoured", 1, &SendError{RetryAfter: time.Hour}, time.Hour, true},
		{"a shorter one does not hurry", 5, &SendError{RetryAfter: time.Second}, time.Hour, true},
		{"an endless one is bounded", 1, &SendError{RetryAfter: 9999 * time.Hour}, 24 * time.Hour, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got, again := NextTry(tt.attempt, tt.err, 0); got != tt.want || again != tt.again {
				t.Errorf("NextTry = %s %t, want %s %t", got, again, tt.want, tt.again)
			}
		})
	}
}
