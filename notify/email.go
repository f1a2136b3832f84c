package notify

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"net"
	netmail "net/mail"
	"strings"
	"time"

	"github.com/wneessen/go-mail"

	"github.com/pxactions/px/model"
)

// HeaderKey is the email header that carries a message's stable key.
const HeaderKey mail.Header = "X-PX-Message-Key"

// EmailSettings is how email leaves.
type EmailSettings struct {
	Host string // of the mail server; empty: no email
	Port int    // 1 to 65535; zero: 465 for implicit TLS, else 587
	// TLS is starttls (required, the default for ""), implicit (TLS from the first byte),
	// opportunistic (STARTTLS where offered) or none.
	TLS string
	// Auth is auto, plain, login, cram-md5, scram-sha-256, xoauth2 or none. Empty: auto with a User, else none.
	// A password never crosses a connection without TLS, loopback aside.
	Auth     string
	User     string
	Password string
	From     string // address, with or without a name: "PX Action Center <px@example.org>"; required
	ReplyTo  string // address for answers; empty: From
	// ConnectTimeout bounds dialling. Zero: 10 s.
	ConnectTimeout time.Duration
	// SendTimeout bounds a whole try, dialling included. Zero: 30 s.
	SendTimeout time.Duration
	// MaxConnections bounds the connections of this process to the server; further letters wait. Zero: 8.
	MaxConnections int
}

const (
	emailConnectTimeout = 10 * time.Second
	emailSendTimeout    = 30 * time.Second
	emailConnections    = 8
	maxProviderRef      = 200
)

// Email sends each letter over a connection of its own, several at a time.
type Email struct {
	set     EmailSettings
	now     func() time.Time
	from    *netmail.Address
	replyTo *netmail.Address // nil: none
	policy  mail.TLSPolicy
	auth    mail.SMTPAuthType
	tls     *tls.Config
	texts   texts
	slots   chan struct{}
}

// newEmail adds what is wrong with the settings to faults. The error is a fault of this program's own templates.
func newEmail(s Settings, faults *model.FieldErrors) (*Email, error) {
	texts, err := newTexts()
	if err != nil {
		return nil, err
	}
	e := &Email{set: s.Email, now: s.Now, texts: texts}
	e.readServer(s.RootCAs, faults)
	e.readAddresses(faults)
	e.readLimits(faults)
	return e, nil
}

func (e *Email) readServer(roots *x509.CertPool, faults *model.FieldErrors) {
	e.tls = &tls.Config{ServerName: e.set.Host, RootCAs: roots, MinVersion: tls.VersionTLS12}
	switch e.set.TLS {
	case "", "starttls":
		e.policy = mail.TLSMandatory
	// go-mail sees that a connection of ours is encrypted already only when it may look for STARTTLS.
	case "opportunistic", "implicit":
		e.policy = mail.TLSOpportunistic
	case "none":
		e.policy = mail.NoTLS
	default:
		faults.Add("email.tls", "unknown", "must be starttls, implicit, opportunistic or none")
	}
	if e.set.Port == 0 {
		e.set.Port = 587
		if e.set.TLS == "implicit" {
			e.set.Port = 465
		}
	}
	if e.set.Port < 1 || e.set.Port > 65535 {
		faults.Add("email.port", "range", "must be from 1 to 65535")
	}
	auth, ok := authTypes()[e.set.Auth]
	if !ok {
		faults.Add("email.auth", "unknown", "must be auto, plain, login, cram-md5, scram-sha-256, xoauth2 or none")
	}
	if e.set.Auth == "" && e.set.User != "" {
		auth = mail.SMTPAuthAutoDiscover
	}
	if auth != mail.SMTPAuthNoAuth && (e.set.User == "" || e.set.Password == "") {
		faults.Add("email.user", "required", "user and password must both be set to log in")
	}
	e.auth = auth
}

func authTypes() map[string]mail.SMTPAuthType {
	return map[string]mail.SMTPAuthType{
		"":              mail.SMTPAuthNoAuth,
		"none":          mail.SMTPAuthNoAuth,
		"auto":          mail.SMTPAuthAutoDiscover,
		"plain":         mail.SMTPAuthPlain,
		"login":         mail.SMTPAuthLogin,
		"cram-md5":      mail.SMTPAuthCramMD5,
		"scram-sha-256": mail.SMTPAuthSCRAMSHA256,
		"xoauth2":       mail.SMTPAuthXOAUTH2,
	}
}

func (e *Email) readAddresses(faults *model.FieldErrors) {
	from, err := netmail.ParseAddress(e.set.From)
	if err != nil {
		faults.Add("email.from", "format", "must be an email address: PX Action Center <px@example.org>")
	}
	e.from = from
	if e.set.ReplyTo == "" {
		return
	}
	if e.replyTo, err = netmail.ParseAddress(e.set.ReplyTo); err != nil {
		faults.Add("email.reply_to", "format", "must be an email address or empty")
	}
}

func (e *Email) readLimits(faults *model.FieldErrors) {
	if e.set.ConnectTimeout < 0 || e.set.SendTimeout < 0 {
		faults.Add("email.timeout", "range", "timeouts must not be negative")
	}
	if e.set.ConnectTimeout <= 0 {
		e.set.ConnectTimeout = emailConnectTimeout
	}
	if e.set.SendTimeout <= 0 {
		e.set.SendTimeout = emailSendTimeout
	}
	if e.set.MaxConnections < 0 {
		faults.Add("email.max_connections", "range", "must not be negative")
	}
	if e.set.MaxConnections <= 0 {
		e.set.MaxConnections = emailConnections
	}
	e.slots = make(chan struct{}, e.set.MaxConnections)
}

// Send delivers the letter to the mail server once.
func (e *Email) Send(ctx context.Context, l Letter) (Receipt, error) {
	if err := l.check(); err != nil {
		return Receipt{}, err
	}
	msg, sendErr := e.message(l)
	if sendErr != nil {
		return Receipt{}, sendErr
	}
	select {
	case e.slots <- struct{}{}:
		defer func() { <-e.slots }()
	case <-ctx.Done():
		return Receipt{}, fault(ctx, ctx.Err())
	}
	try, cancel := context.WithTimeout(ctx, e.set.SendTimeout)
	defer cancel()
	answer, sendErr := e.deliver(try, msg)
	switch {
	case sendErr == nil:
		return Receipt{ProviderRef: oneLine(answer, maxProviderRef)}, nil
	case sendErr.Permanent:
		return Receipt{}, sendErr
	case ctx.Err() != nil:
		return Receipt{}, fault(ctx, ctx.Err())
	case try.Err() != nil:
		return Receipt{}, temporary("timeout")
	default:
		return Receipt{}, sendErr
	}
}

// deliver runs one SMTP session and returns the server's answer to the message.
func (e *Email) deliver(ctx context.Context, msg *mail.Msg) (string, *SendError) {
	var line *wire
	client, err := mail.NewClient(e.set.Host,
		mail.WithPort(e.set.Port),
		// The context ends the try; go-mail's own limit must not come first and look like a broken connection.
		mail.WithTimeout(2*e.set.SendTimeout),
		mail.WithTLSPolicy(e.policy),
		mail.WithTLSConfig(e.tls.Clone()),
		mail.WithSMTPAuth(e.auth),
		mail.WithUsername(e.set.User),
		mail.WithPassword(e.set.Password),
		// One message per connection: both commands would only add ways to fail after the message was taken.
		mail.WithoutNoop(),
		mail.WithoutRset(),
		// Servers pass the demand for SMTPUTF8 on, and bounce where the next one has none.
		utf8Only(msg),
		mail.WithDialContextFunc(func(dialCtx context.Context, network, address string) (net.Conn, error) {
			conn, err := e.dial(dialCtx, network, address)
			if err != nil {
				return nil, err
			}
			line = watch(ctx, conn)
			return conn, nil
		}))
	if err != nil {
		return "", temporary("smtp_settings")
	}
	// go-mail leaves the connection open where a greeting, STARTTLS or a login fails.
	defer func() { line.close() }()
	session, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return "", sessionError(err)
	}
	err = client.SendWithSMTPClient(session, msg)
	if err != nil && !msg.IsDelivered() {
		return "", deliveryError(err)
	}
	// The server has taken the message: how the session ends changes nothing.
	_ = client.CloseWithSMTPClient(session)
	return msg.ServerResponse(), nil
}

// utf8Only switches SMTPUTF8 off unless an address needs it; all else is encoded.
func utf8Only(msg *mail.Msg) mail.Option {
	for _, a := range append(msg.GetFrom(), msg.GetTo()...) {
		if strings.ContainsFunc(a.Address, func(r rune) bool { return r > '~' }) {
			return nil
		}
	}
	return mail.WithoutSMTPUTF8()
}

func (e *Email) dial(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, e.set.ConnectTimeout)
	defer cancel()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil || e.set.TLS != "implicit" {
		return conn, err
	}
	secure := tls.Client(conn, e.tls.Clone())
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return secure, nil
}

// wire is a connection that ends with its context: go-mail heeds the context only while it dials.
type wire struct {
	conn net.Conn
	stop func() bool
}

func watch(ctx context.Context, conn net.Conn) *wire {
	return &wire{conn: conn, stop: context.AfterFunc(ctx, func() { _ = conn.Close() })}
}

// close is safe on nil and after the session closed the connection itself.
func (w *wire) close() {
	if w == nil {
		return
	}
	w.stop()
	_ = w.conn.Close()
}

// message builds the email; the same letter gives the same one, but for its Date.
func (e *Email) message(l Letter) (*mail.Msg, *SendError) {
	if l.Recipient.Email == "" {
		return nil, permanent("no_email")
	}
	to, err := netmail.ParseAddress(l.Recipient.Email)
	if err != nil {
		return nil, permanent("bad_email")
	}
	text, err := e.texts.render(l)
	if err != nil {
		return nil, permanent("bad_template")
	}
	msg := mail.NewMsg(mail.WithNoDefaultUserAgent())
	msg.FromMailAddress(e.from)
	msg.ToMailAddress(&netmail.Address{Name: oneLine(l.Recipient.Name, maxProviderRef), Address: to.Address})
	if e.replyTo != nil {
		msg.ReplyToMailAddress(e.replyTo)
	}
	msg.Subject(text.Subject)
	msg.SetDateWithValue(e.now())
	msg.SetMessageIDWithValue(e.messageID(l.Key))
	msg.SetGenHeader(HeaderKey, l.Key)
	// One action is one conversation, though its first message may be nobody's.
	msg.SetGenHeader(mail.HeaderReferences, "<"+e.messageID("action."+l.ActionID.Hex())+">")
	// Asks mail systems not to answer with absence notes.
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetGenHeader("X-Auto-Response-Suppress", "All")
	msg.SetBodyString(mail.TypeTextPlain, text.Body)
	return msg, nil
}

// messageID derives a Message-ID from a key, so that a repeat has the same one.
func (e *Email) messageID(key string) string {
	if !isDotAtom(key) {
		sum := sha256.Sum256([]byte(key))
		key = hex.EncodeToString(sum[:16])
	}
	_, domain, _ := strings.Cut(e.from.Address, "@")
	return key + "@" + domain
}

// isDotAtom reports whether s may stand in a Message-ID as it is.
func isDotAtom(s string) bool {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.'
	}
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !plain(r) }) &&
		!strings.HasPrefix(s, ".") && !strings.HasSuffix(s, ".") && !strings.Contains(s, "..")
}
