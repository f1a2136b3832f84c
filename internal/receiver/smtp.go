package receiver

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"strconv"
	"sync"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// Mail is one delivery as the server saw it.
type Mail struct {
	From, User string   // envelope sender; who logged in, "" for nobody
	To         []string // envelope recipients
	Header     mail.Header
	Key        string // X-PX-Message-Key
	MessageID  string // without its angle brackets
	Subject    string // decoded
	Body       string // decoded
	Raw        []byte // as sent; nil where it was refused before DATA
	TLS        bool
	Answer     int // the status given; 0 for none (Hang, Drop)
}

// SMTPOptions is what kind of mail server to be. The zero value asks for no login and offers no TLS.
type SMTPOptions struct {
	TLS            *tls.Config // offer STARTTLS; nil: no
	Implicit       bool        // TLS from the first byte, in place of STARTTLS
	User, Password string      // demand this login (PLAIN); empty: none
}

// SMTP is a mail server on loopback. All methods may be called concurrently.
type SMTP struct {
	book   book[Mail]
	opts   SMTPOptions
	ln     net.Listener
	addr   *net.TCPAddr
	server *smtp.Server
	closed chan struct{}
	once   sync.Once
	served sync.WaitGroup
}

// StartSMTP listens on a free port of 127.0.0.1. Close it in the end.
func StartSMTP(opts SMTPOptions) (*SMTP, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for mail: %w", err)
	}
	s := &SMTP{opts: opts, ln: ln, addr: ln.Addr().(*net.TCPAddr), closed: make(chan struct{})}
	s.server = smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return &session{server: s, conn: c}, nil
	}))
	s.server.Domain = "receiver.test"
	s.server.AllowInsecureAuth = true
	s.server.EnableSMTPUTF8 = true
	s.server.ReadTimeout, s.server.WriteTimeout = time.Minute, time.Minute
	s.server.ErrorLog = log.New(io.Discard, "", 0)
	if opts.TLS != nil {
		s.server.TLSConfig = opts.TLS
		if opts.Implicit {
			ln = tls.NewListener(ln, opts.TLS)
		}
	}
	s.served.Go(func() { _ = s.server.Serve(ln) })
	return s, nil
}

// Addr is host:port.
func (s *SMTP) Addr() string { return s.addr.String() }

// Host and Port are the two parts of Addr.
func (s *SMTP) Host() string { return s.addr.IP.String() }

// Port is the port of Addr.
func (s *SMTP) Port() int { return s.addr.Port }

// Next plans the next deliveries, one fault each; deliveries after them are taken.
func (s *SMTP) Next(faults ...Fault) { s.book.plan(faults...) }

// Always treats every further delivery so, unless Next has a plan for it; nil takes them again.
func (s *SMTP) Always(f *Fault) { s.book.keep(f) }

// All lists every delivery that was tried, in order of arrival.
func (s *SMTP) All() []Mail { return s.book.list(func(Mail) bool { return true }) }

// Accepted lists those that were answered with 250.
func (s *SMTP) Accepted() []Mail { return s.book.list(Mail.accepted) }

// Wait returns all accepted ones once there are at least n, or an error when ctx ends before.
func (s *SMTP) Wait(ctx context.Context, n int) ([]Mail, error) {
	return s.book.wait(ctx, n, Mail.accepted)
}

// WaitAll is Wait for deliveries that were tried, whatever was answered.
func (s *SMTP) WaitAll(ctx context.Context, n int) ([]Mail, error) {
	return s.book.wait(ctx, n, func(Mail) bool { return true })
}

// Close stops the server and cuts its connections. Safe to call again.
func (s *SMTP) Close() error {
	var err error
	s.once.Do(func() {
		close(s.closed)
		err = s.server.Close()
		// The server closes only a listener that it has begun to serve.
		if lnErr := s.ln.Close(); !errors.Is(lnErr, net.ErrClosed) {
			err = errors.Join(err, lnErr)
		}
		s.served.Wait()
	})
	return err
}

func (m Mail) accepted() bool { return m.Answer == 250 }

// session is one connection; mail is the message that it is in the middle of.
type session struct {
	server *SMTP
	conn   *smtp.Conn
	user   string
	mail   Mail
	fault  Fault
}

// AuthMechanisms implements smtp.AuthSession.
func (s *session) AuthMechanisms() []string {
	if s.server.opts.User == "" {
		return nil
	}
	return []string{sasl.Plain}
}

// Auth implements smtp.AuthSession.
func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != s.server.opts.User || password != s.server.opts.Password {
			return smtp.ErrAuthFailed
		}
		s.user = user
		return nil
	}), nil
}

// Mail implements smtp.Session.
func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	if s.server.opts.User != "" && s.user == "" {
		return &smtp.SMTPError{Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0}, Message: "log in first"}
	}
	_, secure := s.conn.TLSConnectionState()
	s.mail = Mail{From: from, User: s.user, TLS: secure}
	s.fault = s.server.book.fault()
	return s.refuse("MAIL")
}

// Rcpt implements smtp.Session.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.mail.To = append(s.mail.To, to)
	return s.refuse("RCPT")
}

// Data implements smtp.Session.
func (s *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if err := s.mail.read(raw); err != nil {
		return &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 6, 0}, Message: err.Error()}
	}
	switch {
	case s.fault.Hang:
		s.server.book.add(s.mail)
		<-s.server.closed
		return errors.New("closed")
	case s.fault.Drop:
		s.server.book.add(s.mail)
		return s.conn.Close()
	}
	if err := s.refuse("DATA"); err != nil {
		return err
	}
	s.mail.Answer = 250
	s.server.book.add(s.mail)
	return nil
}

// Reset implements smtp.Session.
func (s *session) Reset() { s.mail, s.fault = Mail{}, Fault{} }

// Logout implements smtp.Session.
func (s *session) Logout() error { return nil }

// refuse answers the planned status if it is due at this command, and records the delivery as over.
func (s *session) refuse(command string) error {
	at := s.fault.At
	if at == "" {
		at = "RCPT"
	}
	if s.fault.Status == 0 || at != command {
		return nil
	}
	s.mail.Answer = s.fault.Status
	s.server.book.add(s.mail)
	// As real servers do, the answer repeats what it was asked.
	return &smtp.SMTPError{
		Code:         s.fault.Status,
		EnhancedCode: smtp.EnhancedCode{s.fault.Status / 100, 1, 1},
		Message:      cmp.Or(s.fault.Say, "planned answer "+strconv.Itoa(s.fault.Status)+" for "+fmt.Sprint(s.mail.To)),
	}
}

// read fills in what the message says.
func (m *Mail) read(raw []byte) error {
	parsed, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return fmt.Errorf("read message: %w", err)
	}
	var words mime.WordDecoder
	if m.Subject, err = words.DecodeHeader(parsed.Header.Get("Subject")); err != nil {
		return fmt.Errorf("decode subject: %w", err)
	}
	body := parsed.Body
	if parsed.Header.Get("Content-Transfer-Encoding") == "quoted-printable" {
		body = quotedprintable.NewReader(body)
	}
	text, err := io.ReadAll(body)
	if err != nil {
		return fmt.Errorf("decode body: %w", err)
	}
	m.Raw, m.Header, m.Body = raw, parsed.Header, string(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")))
	m.Key = parsed.Header.Get("X-PX-Message-Key")
	m.MessageID = string(bytes.Trim([]byte(parsed.Header.Get("Message-ID")), "<>"))
	return nil
}
