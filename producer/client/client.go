// Package client sends feedback to the PX Action Center's intake over HTTP. It
// needs the standard library only.
//
// Sending an event twice is harmless: the intake knows it by EventID, and so
// the client tries again by itself when the network or the intake is away. With
// WithSpool, what could not be delivered waits in a local file.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	// batchItems and batchBytes bound one request, well below the intake's
	// own limits (10,000 items, 10 MB).
	batchItems = 500
	batchBytes = 4 << 20

	maxAnswer = 64 << 20
)

// Client sends feedback. It is safe for concurrent use. Make it with New.
type Client struct {
	url      string
	key      string
	http     *http.Client
	attempts int
	base     time.Duration
	ceiling  time.Duration
	spool    *spool
	flushing sync.Mutex
	wait     func(context.Context, time.Duration) error
	now      func() time.Time
}

// Option changes a Client while it is made.
type Option func(*Client) error

// WithHTTPClient sends by h instead of a client with a timeout of 30 s.
func WithHTTPClient(h *http.Client) Option {
	return func(c *Client) error {
		if h == nil {
			return errors.New("client: WithHTTPClient needs an HTTP client")
		}
		c.http = h
		return nil
	}
}

// WithRetry sets how often one request is made at most (default 4) and the
// first and the longest wait between two tries (default 200 ms and 10 s). A
// Retry-After of the intake is kept to even when it is longer.
func WithRetry(attempts int, first, longest time.Duration) Option {
	return func(c *Client) error {
		if attempts < 1 || first <= 0 || longest < first {
			return errors.New("client: WithRetry needs at least 1 attempt and 0 < first <= longest")
		}
		c.attempts, c.base, c.ceiling = attempts, first, longest
		return nil
	}
}

// WithSpool keeps events that could not be delivered in the file at path, at
// most maxBytes of them, until Flush delivers them. One process may use a file
// at a time. Events that the intake refuses for good go to path + ".rejected".
func WithSpool(path string, maxBytes int64) Option {
	return func(c *Client) error {
		s, err := openSpool(path, maxBytes)
		c.spool = s
		return err
	}
}

// New makes a client for the intake at base (https://px.example.org) with an
// API key. It does not connect.
func New(base, key string, opts ...Option) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, errors.New("client: the intake's address must be a URL such as https://px.example.org")
	}
	if key == "" || strings.ContainsAny(key, "\r\n") {
		return nil, errors.New("client: an API key is needed; `px key create` makes one")
	}
	c := &Client{
		url: strings.TrimRight(base, "/") + "/v1/feedback", key: key,
		http:     &http.Client{Timeout: 30 * time.Second},
		attempts: 4, base: 200 * time.Millisecond, ceiling: 10 * time.Second,
		wait: pause, now: time.Now,
	}
	for _, o := range opts {
		if err := o(c); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// Send delivers one event and returns the intake's receipt. A refusal is a
// *Problem. When the intake is away and there is a spool, the event is kept
// there and the receipt says Spooled.
func (c *Client) Send(ctx context.Context, f Feedback) (Receipt, error) {
	b, err := c.SendBatch(ctx, []Feedback{f})
	if err != nil {
		return Receipt{EventID: f.EventID, Status: StatusError}, err
	}
	r := b.Items[0]
	if r.Problem != nil {
		return r, r.Problem
	}
	return r, nil
}

// SendBatch delivers events and tells of each in Batch.Items; refused ones are
// no error of the call. The error is for what concerned all that it names: a
// wrong key, an intake that stayed away (with a spool the events are kept
// instead). Batch then tells of what had been delivered before.
func (c *Client) SendBatch(ctx context.Context, fs []Feedback) (Batch, error) {
	ls, err := lines(fs)
	if err != nil {
		return Batch{}, err
	}
	return c.SendLines(ctx, ls)
}

// SendLines is SendBatch for events that are JSON already, one object each.
func (c *Client) SendLines(ctx context.Context, ls [][]byte) (Batch, error) {
	b := Batch{Items: make([]Receipt, 0, len(ls))}
	for len(ls) > 0 {
		n := chunk(ls)
		items, err := c.deliver(ctx, ls[:n])
		if err != nil && c.spool != nil && retryable(err) {
			items, err = c.keep(ls[:n], items, err)
		}
		for i := range items {
			items[i].Index = len(b.Items)
			b.Items = append(b.Items, items[i])
		}
		if err != nil {
			b.tally()
			return b, err
		}
		ls = ls[n:]
	}
	b.tally()
	return b, nil
}

// chunk is how many of the lines make one request.
func chunk(ls [][]byte) int {
	size := 0
	for i, l := range ls {
		size += len(l) + 1
		if i == batchItems || (size > batchBytes && i > 0) {
			return i
		}
	}
	return len(ls)
}

// keep puts what was not delivered into the spool. cause is why it was not.
func (c *Client) keep(ls [][]byte, items []Receipt, cause error) ([]Receipt, error) {
	var waiting [][]byte
	for i, l := range ls {
		if i >= len(items) {
			items = append(items, Receipt{EventID: eventID(l), Status: StatusError})
		}
		if items[i].Status == StatusError && (items[i].Problem == nil || items[i].Problem.Temporary()) {
			waiting = append(waiting, l)
			items[i] = Receipt{EventID: eventID(l), Status: StatusSpooled, Spooled: true}
		}
	}
	if err := c.spool.add(waiting); err != nil {
		return nil, fmt.Errorf("%w, and the events cannot be kept: %w", cause, err)
	}
	return items, nil
}

// deliver makes one request of the lines, and again while it may help, each
// time with those that are still open. Where it gives up it returns what is
// known and the last error.
func (c *Client) deliver(ctx context.Context, ls [][]byte) ([]Receipt, error) {
	items := make([]Receipt, len(ls))
	open := make([]int, len(ls))
	for i, l := range ls {
		items[i] = Receipt{EventID: eventID(l), Status: StatusError}
		open[i] = i
	}
	var err error
	for try := 1; ; try++ {
		open, err = c.post(ctx, ls, items, open)
		if err == nil || !retryable(err) || try >= c.attempts {
			return items, err
		}
		wait := c.backoff(try, err)
		if end, ok := ctx.Deadline(); ok && c.now().Add(wait).After(end) {
			return items, err // the caller will not be there any more
		}
		if werr := c.wait(ctx, wait); werr != nil {
			return items, errors.Join(werr, err)
		}
	}
}

// post makes one request of the open lines and returns those still open. A
// request too large is halved.
func (c *Client) post(ctx context.Context, ls [][]byte, items []Receipt, open []int) ([]int, error) {
	var body bytes.Buffer
	for _, i := range open {
		// An event may be written over several lines, and goes as one. A carriage
		// return stands where a line's end may stand, and nowhere else.
		body.Write(bytes.ReplaceAll(bytes.TrimSpace(ls[i]), []byte("\n"), []byte("\r")))
		body.WriteByte('\n')
	}
	got, err := c.request(ctx, body.Bytes())
	var p *Problem
	if errors.As(err, &p) && p.Status == http.StatusRequestEntityTooLarge {
		if len(open) == 1 {
			items[open[0]].Code, items[open[0]].Problem = p.Status, p
			return nil, nil
		}
		first, err := c.post(ctx, ls, items, open[:len(open)/2])
		if err != nil {
			return append(first, open[len(open)/2:]...), err
		}
		second, err := c.post(ctx, ls, items, open[len(open)/2:])
		return append(first, second...), err
	}
	if err != nil {
		return open, err
	}
	if len(got.Items) != len(open) {
		return open, fmt.Errorf("intake answered %d of %d events", len(got.Items), len(open))
	}
	var still []int
	for k, r := range got.Items {
		items[open[k]] = r
		if r.Status == StatusError && r.Problem != nil && r.Problem.Temporary() {
			still, err = append(still, open[k]), r.Problem
		}
	}
	return still, err
}

// request posts NDJSON and reads the batch's answer.
func (c *Client) request(ctx context.Context, body []byte) (*Batch, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("intake request: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	status, answer, err := c.do(req)
	if err != nil {
		return nil, err
	}
	var b Batch
	if err := json.Unmarshal(answer, &b); err != nil || b.Items == nil {
		return nil, fmt.Errorf("intake answered %d with something that is not its own", status)
	}
	return &b, nil
}

// Get asks what became of a feedback, by the id of its receipt.
func (c *Client) Get(ctx context.Context, id string) (Outcome, error) {
	return c.ask(ctx, http.MethodGet, c.url+"/"+url.PathEscape(id), nil)
}

// GetByEvent asks what became of a feedback, by the sender's own event id.
func (c *Client) GetByEvent(ctx context.Context, eventID string) (Outcome, error) {
	return c.ask(ctx, http.MethodGet, c.url+"?event_id="+url.QueryEscape(eventID), nil)
}

// ask makes a request about one feedback, and again while it may help.
func (c *Client) ask(ctx context.Context, method, address string, body []byte) (Outcome, error) {
	for try := 1; ; try++ {
		r, err := c.askOnce(ctx, method, address, body)
		if err == nil || !retryable(err) || try >= c.attempts {
			return r, err
		}
		if werr := c.wait(ctx, c.backoff(try, err)); werr != nil {
			return r, errors.Join(werr, err)
		}
	}
}

func (c *Client) askOnce(ctx context.Context, method, address string, body []byte) (Outcome, error) {
	var r Outcome
	req, err := jsonRequest(ctx, method, address, body)
	if err != nil {
		return r, fmt.Errorf("intake request: %w", err)
	}
	status, answer, err := c.do(req)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(answer, &r); err != nil || r.ID == "" {
		return r, fmt.Errorf("intake answered %d with something that is not its own", status)
	}
	return r, nil
}

// do makes one request. A batch's answer with a status of failure is an answer
// too: it tells of each event.
func (c *Client) do(req *http.Request) (int, []byte, error) {
	req.Header.Set("Authorization", "Bearer "+c.key)
	req.Header.Set("Accept", "application/json")
	res, err := c.http.Do(req)
	if err != nil {
		return 0, nil, fmt.Errorf("reach the intake: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return 0, nil, fmt.Errorf("read the intake's answer: %w", err)
	}
	problem := strings.HasPrefix(res.Header.Get("Content-Type"), "application/problem+json")
	if res.StatusCode >= 300 && (problem || !json.Valid(answer) || !bytes.Contains(answer, []byte(`"items"`))) {
		return res.StatusCode, nil, problemFrom(res, answer, c.now())
	}
	return res.StatusCode, answer, nil
}

// eventID reads the id of an event; empty where there is none.
func eventID(line []byte) string {
	var e struct {
		EventID string `json:"event_id"`
	}
	_ = json.Unmarshal(line, &e) // a line that cannot be read has no id
	return e.EventID
}
