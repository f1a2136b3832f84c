package notify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pxactions/px/internal/receiver"
	"github.com/pxactions/px/model"
)

// emailTo is a router whose mail server is s, changed by edit.
func emailTo(t *testing.T, s *receiver.SMTP, edit func(*Settings)) *Router {
	t.Helper()
	set := Settings{Email: EmailSettings{Host: s.Host(), Port: s.Port(), TLS: "none", From: "PX Action Center <px@example.org>"}}
	if edit != nil {
		edit(&set)
	}
	return newRouter(t, set)
}

func sendEmail(t *testing.T, r *Router, l Letter) (Receipt, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	return r.Send(ctx, model.ChannelEmail, l)
}

func TestEmailArrives(t *testing.T) {
	t.Parallel()
	s := startSMTP(t, receiver.SMTPOptions{})
	r := emailTo(t, s, func(s *Settings) { s.Email.ReplyTo = "desk@example.org" })
	l := sample(model.ReasonOverdue)
	l.Recipient.Name = "سارة \"Sara\" <boss@example.org>\r\nBcc: x@example.org"
	receipt, err := sendEmail(t, r, l)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(receipt.ProviderRef, "OK") {
		t.Errorf("provider ref %q, want the server's answer", receipt.ProviderRef)
	}
	got := s.Accepted()
	if len(got) != 1 {
		t.Fatalf("%d mails, want 1", len(got))
	}
	m := got[0]
	if m.From != "px@example.org" || len(m.To) != 1 || m.To[0] != "sara@example.org" || m.Header.Get("Bcc") != "" {
		t.Errorf("envelope %q → %q", m.From, m.To)
	}
	if to, err := m.Header.AddressList("To"); err != nil || len(to) != 1 || to[0].Address != "sara@example.org" || !strings.HasPrefix(to[0].Name, "سارة") {
		t.Errorf("To = %v, %v", to, err)
	}
	want, err := Render(l)
	if err != nil {
		t.Fatal(err)
	}
	if m.Subject != want.Subject || strings.TrimSpace(m.Body) != strings.TrimSpace(want.Body) {
		t.Errorf("subject %q body:\n%s", m.Subject, m.Body)
	}
	if m.Key != l.Key || m.MessageID != l.Key+"@example.org" {
		t.Errorf("key %q message id %q, want both from %q", m.Key, m.MessageID, l.Key)
	}
	for header, want := range map[string]string{
		"Auto-Submitted": "auto-generated", "Reply-To": "<desk@example.org>",
		"References": "<action.0199c0de00007000800000000000ac71@example.org>",
	} {
		if got := m.Header.Get(header); got != want {
			t.Errorf("%s: %q, want %q", header, got, want)
		}
	}
	if _, err := m.Header.Date(); err != nil {
		t.Errorf("Date: %v", err)
	}
}

func TestEmailAnswersDecideTheRetry(t *testing.T) {
	t.Parallel()
	s := startSMTP(t, receiver.SMTPOptions{})
	r := emailTo(t, s, nil)
	tests := []struct {
		name      string
		fault     receiver.Fault
		code      string
		permanent bool
	}{
		{"an unknown recipient is for good", receiver.Fault{Status: 550}, "smtp_550_5.1.1", true},
		{"a full disk is not", receiver.Fault{Status: 452, At: "MAIL"}, "smtp_452_4.1.1", false},
		{"greylisting is not", receiver.Fault{Status: 451}, "smtp_451_4.1.1", false},
		{"refused content is for good", receiver.Fault{Status: 554, At: "DATA"}, "smtp_554_5.1.1", true},
		{"a busy server after the content is not", receiver.Fault{Status: 451, At: "DATA"}, "smtp_451_4.1.1", false},
		{"a demand to log in concerns us, not the message", receiver.Fault{Status: 530, At: "MAIL"}, "smtp_session_530", false},
		{"a cut connection is not", receiver.Fault{Drop: true}, "connection", false},
	}
	for _, tt := range tests {
		s.Next(tt.fault)
		_, err := sendEmail(t, r, sample(model.ReasonOverdue))
		if err == nil {
			t.Fatalf("%s: no error", tt.name)
		}
		mustFail(t, err, tt.code, tt.permanent)
		if strings.ContainsAny(err.Error(), "@<>") || strings.Contains(err.Error(), "sara") || errors.Unwrap(err) != nil {
			t.Errorf("%s: the error holds an address: %v", tt.name, err)
		}
	}
}

// TestEmailRepeatIsRecognisable: the server read the message and died before its answer, so it comes twice.
func TestEmailRepeatIsRecognisable(t *testing.T) {
	t.Parallel()
	s := startSMTP(t, receiver.SMTPOptions{})
	r := emailTo(t, s, nil)
	s.Next(receiver.Fault{Drop: true})
	l := sample(model.ReasonReminder)
	l.Key = "action:5/overdue#1" // no shape of a Message-ID
	if _, err := sendEmail(t, r, l); err == nil {
		t.Fatal("want an error from the cut connection")
	}
	if _, err := sendEmail(t, r, l); err != nil {
		t.Fatal(err)
	}
	all := s.All()
	if len(all) != 2 || all[0].MessageID != all[1].MessageID || all[0].Key != l.Key || all[1].Key != l.Key || all[0].Body != all[1].Body {
		t.Errorf("got %d deliveries, want two alike", len(all))
	}
	if !strings.HasSuffix(all[0].MessageID, "@example.org") || strings.ContainsAny(all[0].MessageID, ":/#") {
		t.Errorf("message id %q", all[0].MessageID)
	}
}

func TestEmailAddressFaultsAreForGood(t *testing.T) {
	t.Parallel()
	s := startSMTP(t, receiver.SMTPOptions{})
	r := emailTo(t, s, nil)
	for email, code := range map[string]string{"": "no_email", "sara at example": "bad_email", "a@b.c\r\nX: y": "bad_email"} {
		l := sample(model.ReasonOverdue)
		l.Recipient.Email = email
		_, err := sendEmail(t, r, l)
		mustFail(t, err, code, true)
	}
	l := sample("birthday")
	_, err := sendEmail(t, r, l)
	mustFail(t, err, "bad_template", true)
	if n := len(s.All()); n != 0 {
		t.Errorf("%d deliveries, want none", n)
	}
}

func TestEmailEndsWithItsContext(t *testing.T) {
	t.Parallel()
	t.Run("a server that never answers costs the send timeout", func(t *testing.T) {
		t.Parallel()
		s := startSMTP(t, receiver.SMTPOptions{})
		s.Always(&receiver.Fault{Hang: true})
		r := emailTo(t, s, func(s *Settings) { s.Email.SendTimeout = 500 * time.Millisecond })
		_, err := sendEmail(t, r, sample(model.ReasonOverdue))
		if got := mustFail(t, err, "timeout", false); got.Unwrap() != nil {
			t.Errorf("unwraps to %v, but the caller's context lives", got.Unwrap())
		}
	})
	t.Run("the caller's end is told as such", func(t *testing.T) {
		t.Parallel()
		s := startSMTP(t, receiver.SMTPOptions{})
		s.Always(&receiver.Fault{Hang: true})
		r := emailTo(t, s, func(s *Settings) { s.Email.MaxConnections = 1 })
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 2 { // one hangs at the server, one waits for its connection
			wg.Go(func() {
				_, err := r.Send(ctx, model.ChannelEmail, sample(model.ReasonOverdue))
				if !errors.Is(err, context.Canceled) {
					t.Errorf("err = %v, want context.Canceled", err)
				}
			})
		}
		wait, stop := context.WithTimeout(t.Context(), 30*time.Second)
		defer stop()
		if _, err := s.WaitAll(wait, 1); err != nil {
			t.Error(err)
		}
		cancel()
		wg.Wait()
	})
}

func TestEmailManyAtOnce(t *testing.T) {
	t.Parallel()
	s := startSMTP(t, receiver.SMTPOptions{})
	r := emailTo(t, s, func(s *Settings) { s.Email.MaxConnections = 4 })
	const n = 40
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			l := sample(model.ReasonReminder)
			l.Key = fmt.Sprintf("m.%d", i)
			if _, err := sendEmail(t, r, l); err != nil {
				t.Errorf("letter %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	keys := map[string]bool{}
	for _, m := range s.Accepted() {
		keys[m.Key] = true
	}
	if len(keys) != n {
		t.Errorf("%d keys, want %d", len(keys), n)
	}
}

type tlsCase struct {
	name     string
	opts     receiver.SMTPOptions
	edit     func(*Settings)
	code     string // empty: arrives
	tls      bool
	loggedIn bool
}

func tlsCases(server *tls.Config, roots *x509.CertPool) []tlsCase {
	return []tlsCase{
		{
			"starttls with a login", receiver.SMTPOptions{TLS: server, User: "px", Password: "secret"},
			func(s *Settings) { s.RootCAs, s.Email.TLS, s.Email.User, s.Email.Password = roots, "", "px", "secret" }, "", true, true,
		},
		{
			"implicit TLS with a login", receiver.SMTPOptions{TLS: server, Implicit: true, User: "px", Password: "secret"},
			func(s *Settings) {
				s.RootCAs, s.Email.TLS, s.Email.User, s.Email.Password = roots, "implicit", "px", "secret"
			}, "", true, true,
		},
		{
			"opportunistic takes what there is", receiver.SMTPOptions{},
			func(s *Settings) { s.Email.TLS = "opportunistic" }, "", false, false,
		},
		{
			"opportunistic takes TLS where offered", receiver.SMTPOptions{TLS: server},
			func(s *Settings) { s.RootCAs, s.Email.TLS = roots, "opportunistic" }, "", true, false,
		},
		{
			"a plain login to a local relay", receiver.SMTPOptions{User: "px", Password: "secret"},
			func(s *Settings) { s.Email.Auth, s.Email.User, s.Email.Password = "plain", "px", "secret" }, "", false, true,
		},
		{"required TLS that is not offered", receiver.SMTPOptions{}, func(s *Settings) { s.Email.TLS = "starttls" }, "smtp_session", false, false},
		{"a certificate that nobody trusts", receiver.SMTPOptions{TLS: server}, func(s *Settings) { s.Email.TLS = "starttls" }, "tls", false, false},
		{
			"a wrong password keeps messages waiting", receiver.SMTPOptions{TLS: server, User: "px", Password: "secret"},
			func(s *Settings) { s.RootCAs, s.Email.TLS, s.Email.User, s.Email.Password = roots, "", "px", "old" }, "smtp_session_535", false, false,
		},
		{
			"a login that we do not have keeps messages waiting", receiver.SMTPOptions{User: "px", Password: "secret"},
			nil, "smtp_session_530", false, false,
		},
	}
}

func TestEmailTLSAndLogin(t *testing.T) {
	t.Parallel()
	server, roots, err := receiver.NewTLS()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range tlsCases(server, roots) {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := startSMTP(t, tt.opts)
			_, err := sendEmail(t, emailTo(t, s, tt.edit), sample(model.ReasonOverdue))
			if tt.code != "" {
				mustFail(t, err, tt.code, false)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if m := s.Accepted()[0]; m.TLS != tt.tls || (m.User == "px") != tt.loggedIn {
				t.Errorf("tls %t user %q", m.TLS, m.User)
			}
		})
	}
}

func TestEmailWithoutAServer(t *testing.T) {
	t.Parallel()
	s := startSMTP(t, receiver.SMTPOptions{})
	r := emailTo(t, s, nil)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := sendEmail(t, r, sample(model.ReasonOverdue))
	mustFail(t, err, "refused", false)
}

// TestEmailServerThatSaysNothing never greets: go-mail alone would keep its connection.
func TestEmailServerThatSaysNothing(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	left := make(chan error, 1)
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			left <- nil
			return
		}
		_, err = conn.Read(make([]byte, 1))
		left <- err
		_ = conn.Close()
	}()
	addr := ln.Addr().(*net.TCPAddr)
	r := newRouter(t, Settings{Email: EmailSettings{
		Host: "127.0.0.1", Port: addr.Port, TLS: "none", From: "px@example.org", SendTimeout: 300 * time.Millisecond,
	}})
	_, err = sendEmail(t, r, sample(model.ReasonOverdue))
	mustFail(t, err, "timeout", false)
	if err := <-left; err == nil {
		t.Error("the connection was not closed")
	}
}
