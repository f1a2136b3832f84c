package notify

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/pxactions/px/internal/guard"
	"github.com/pxactions/px/model"
)

// WebhookSettings is how webhooks are called.
type WebhookSettings struct {
	// Secret signs for recipients without one of their own: whsec_ and base64. Several, separated by
	// spaces, sign side by side while one replaces another. Empty: such recipients fail (no_secret).
	Secret string
	// Allow names what may be reached besides public addresses over https: CIDRs, addresses, host names.
	// Only these may be called over plain http. Empty: nothing inside.
	Allow []string
	// Timeout bounds a whole call. Zero: 10 s.
	Timeout time.Duration
}

const (
	webhookTimeout = 10 * time.Second
	webhookType    = "px.message"
	maxAnswerBytes = 4 << 10 // of a response that is read, so that its connection can be used again
)

// Webhook posts letters as JSON, signed as Standard Webhooks says. It follows
// no redirect, uses no proxy and reaches no address inside unless told so.
type Webhook struct {
	now     func() time.Time
	signers []*standardwebhooks.Webhook
	timeout time.Duration
	https   *http.Client // public addresses and those allowed
	plain   *http.Client // allowed addresses only
	hosts   hosts
}

// webhookPayload is the body. It is the same, byte for byte, at every try.
type webhookPayload struct {
	Type      string             `json:"type"`
	ID        string             `json:"id"`
	Timestamp time.Time          `json:"timestamp"` // domain time
	Reason    model.Reason       `json:"reason"`
	Also      []model.Reason     `json:"also,omitempty"`
	ActionID  model.ActionID     `json:"action_id"`
	Recipient model.UserID       `json:"recipient_id"`
	Facts     model.MessageFacts `json:"facts"`
	Link      string             `json:"link,omitempty"`
}

func newWebhook(s Settings, faults *model.FieldErrors) *Webhook {
	signers, ok := parseSecrets(s.Webhook.Secret)
	if !ok {
		faults.Add("webhook.secret", "format", "must be whsec_ followed by 24 to 64 bytes in base64; several are separated by spaces")
	}
	timeout := s.Webhook.Timeout
	if timeout < 0 {
		faults.Add("webhook.timeout", "range", "must not be negative")
	}
	if timeout <= 0 {
		timeout = webhookTimeout
	}
	g := guard.New(s.Webhook.Allow, "webhook.allow", faults)
	return &Webhook{now: s.Now, signers: signers, timeout: timeout, https: g.Client(timeout, true, s.RootCAs), plain: g.Client(timeout, false, s.RootCAs)}
}

// Send posts the letter once. A host that is silent gets one letter at a time;
// the others fail at once (silent).
func (w *Webhook) Send(ctx context.Context, l Letter) (Receipt, error) {
	if err := l.check(); err != nil {
		return Receipt{}, err
	}
	body, err := json.Marshal(webhookPayload{
		Type: webhookType, ID: l.Key, Timestamp: l.WrittenAt.UTC(), Reason: l.Reason, Also: l.Also,
		ActionID: l.ActionID, Recipient: l.Recipient.ID, Facts: l.Facts, Link: l.Link,
	})
	if err != nil {
		return Receipt{}, permanent("bad_facts")
	}
	host := ""
	if u, err := url.Parse(l.Recipient.WebhookURL); err == nil {
		host = u.Host
	}
	asks, may := w.hosts.enter(host)
	if !may {
		return Receipt{}, temporary("silent")
	}
	r, err := w.post(ctx, Call{ID: l.Key, URL: l.Recipient.WebhookURL, Secret: l.Recipient.WebhookSecret, Body: body})
	w.hosts.leave(ctx, host, asks, err)
	return r, err
}

// Call is one POST of a webhook.
type Call struct {
	ID     string // webhook-id: the same for the same body, at every try; visible ASCII
	URL    string //
	Secret string // whsec_…, several separated by spaces; empty: the process-wide one
	Body   []byte // JSON
}

// post makes a call once.
func (w *Webhook) post(ctx context.Context, c Call) (Receipt, error) {
	client, target, sendErr := w.target(c.URL)
	if sendErr != nil {
		return Receipt{}, sendErr
	}
	try, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	req, sendErr := w.request(try, target, c)
	if sendErr != nil {
		return Receipt{}, sendErr
	}
	resp, err := client.Do(req)
	if err != nil {
		return Receipt{}, fault(ctx, err)
	}
	// What the receiver says besides the status does not matter, nor does a fault in reading it.
	_, _ = io.CopyN(io.Discard, resp.Body, maxAnswerBytes)
	_ = resp.Body.Close()
	return answered(resp, w.now())
}

// target picks the client for an address that a directory's editor typed.
func (w *Webhook) target(raw string) (*http.Client, string, *SendError) {
	if raw == "" {
		return nil, "", permanent("no_webhook_url")
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil {
		return nil, "", permanent("bad_webhook_url")
	}
	switch u.Scheme {
	case "https":
		return w.https, u.String(), nil
	case "http":
		return w.plain, u.String(), nil
	default:
		return nil, "", permanent("bad_webhook_url")
	}
}

func (w *Webhook) request(ctx context.Context, target string, c Call) (*http.Request, *SendError) {
	signers := w.signers
	if c.Secret != "" {
		var ok bool
		if signers, ok = parseSecrets(c.Secret); !ok {
			return nil, permanent("bad_secret")
		}
	}
	if len(signers) == 0 {
		return nil, permanent("no_secret")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(c.Body))
	if err != nil {
		return nil, permanent("bad_webhook_url")
	}
	now := w.now()
	signatures := make([]string, len(signers))
	for i, s := range signers {
		if signatures[i], err = s.Sign(c.ID, now, c.Body); err != nil {
			return nil, permanent("bad_secret")
		}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "px")
	req.Header.Set(standardwebhooks.HeaderWebhookID, c.ID)
	req.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	req.Header.Set(standardwebhooks.HeaderWebhookSignature, strings.Join(signatures, " "))
	return req, nil
}

// answered reads a status: 2xx took it; a redirect or 4xx will not change, save
// 408, 425 and 429; all else may.
func answered(resp *http.Response, now time.Time) (Receipt, error) {
	code := "http_" + strconv.Itoa(resp.StatusCode)
	switch s := resp.StatusCode; {
	case s >= 200 && s < 300:
		return Receipt{ProviderRef: code}, nil
	case s == http.StatusRequestTimeout, s == http.StatusTooEarly, s == http.StatusTooManyRequests:
	case s >= 300 && s < 500:
		return Receipt{}, permanent(code)
	}
	return Receipt{}, &SendError{Code: code, RetryAfter: retryAfter(resp.Header.Get("Retry-After"), now)}
}

// retryAfter reads both forms of the header; zero for none, the past or nonsense.
func retryAfter(v string, now time.Time) time.Duration {
	if s, err := strconv.ParseInt(v, 10, 64); err == nil {
		return time.Duration(min(max(s, 0), int64(maxRetryAfter/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(v); err == nil {
		return min(max(at.Sub(now), 0), maxRetryAfter)
	}
	return 0
}

// parseSecrets reads secrets separated by spaces; none for "".
func parseSecrets(all string) ([]*standardwebhooks.Webhook, bool) {
	fields := strings.Fields(all)
	signers := make([]*standardwebhooks.Webhook, len(fields))
	for i, f := range fields {
		if !secretFits(f) {
			return nil, false
		}
		s, err := standardwebhooks.NewWebhook(f)
		if err != nil {
			return nil, false
		}
		signers[i] = s
	}
	return signers, true
}

func (w *Webhook) close() {
	w.https.CloseIdleConnections()
	w.plain.CloseIdleConnections()
}

// secretFits keeps out keys too short to sign with.
func secretFits(secret string) bool {
	encoded, ok := strings.CutPrefix(secret, "whsec_")
	if !ok {
		return false
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	return err == nil && len(key) >= 24 && len(key) <= 64
}
