package receiver

import (
	"context"
	"errors"
	"net/http"
	"net/smtp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

func deadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

const letter = "From: px@example.org\r\nTo: sara@example.org\r\nSubject: =?utf-8?q?caf=C3=A9?=\r\n" +
	"Message-ID: <k1@example.org>\r\nX-PX-Message-Key: k1\r\n\r\nHello.\r\n"

func post(s *SMTP) error {
	return smtp.SendMail(s.Addr(), nil, "px@example.org", []string{"sara@example.org"}, []byte(letter))
}

func TestSMTPRecordsWhatItAnswered(t *testing.T) {
	t.Parallel()
	s, err := StartSMTP(SMTPOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	s.Next(Fault{Status: 451}, Fault{Status: 550, At: "DATA"}, Fault{Drop: true})
	for i, want := range []string{"451", "550", "EOF", ""} {
		err := post(s)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("delivery %d = %v, want %q", i, err, want)
		}
	}
	got, err := s.Wait(deadline(t), 1)
	if err != nil {
		t.Fatal(err)
	}
	if m := got[0]; len(got) != 1 || m.Key != "k1" || m.MessageID != "k1@example.org" || m.Subject != "café" || m.Body != "Hello.\n" {
		t.Errorf("accepted = %+v, want one, decoded", got)
	}
	var answers []int
	for _, m := range s.All() {
		answers = append(answers, m.Answer)
	}
	if want := []int{451, 550, 0, 250}; !slices.Equal(answers, want) {
		t.Errorf("answers = %v, want %v", answers, want)
	}
}

func TestWaitTellsWhatIsMissing(t *testing.T) {
	t.Parallel()
	s, err := StartSMTP(SMTPOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Wait(ctx, 2); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "have 0") {
		t.Errorf("Wait = %v, want the count and the context's error", err)
	}
}

func TestCloseFreesWhoHangs(t *testing.T) {
	t.Parallel()
	s, err := StartSMTP(SMTPOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s.Always(&Fault{Hang: true})
	done := make(chan error, 1)
	go func() { done <- post(s) }()
	if _, err := s.WaitAll(deadline(t), 1); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close = %v", err)
	}
	if err := <-done; err == nil {
		t.Error("a delivery that was never answered succeeded")
	}
}

func TestWebhookChecksSignatures(t *testing.T) {
	t.Parallel()
	w, err := StartWebhook("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	const body = `{"type":"px.message","id":"k1","reason":"overdue"}`
	tests := []struct {
		name, secret, id string
		want             int
	}{
		{"a good call is taken", w.Secret(), "k1", 204},
		{"another secret is refused", NewSecret(), "k1", 401},
		{"another id than the payload's is refused", w.Secret(), "k2", 401},
	}
	for _, tt := range tests {
		signer, err := standardwebhooks.NewWebhook(tt.secret)
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		signature, err := signer.Sign(tt.id, now, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(deadline(t), http.MethodPost, w.URL(), strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("webhook-id", tt.id)
		req.Header.Set("webhook-timestamp", strconv.FormatInt(now.Unix(), 10))
		req.Header.Set("webhook-signature", signature)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != tt.want {
			t.Errorf("%s: status %d, want %d", tt.name, resp.StatusCode, tt.want)
		}
	}
	if got := w.Accepted(); len(got) != 1 || got[0].Reason != "overdue" || got[0].Type != "px.message" {
		t.Errorf("accepted = %+v, want the good call", got)
	}
}
