package client

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
)

// The reasons to retract a feedback.
const (
	RetractDuplicate      = "duplicate"
	RetractEnteredInError = "entered_in_error"
	RetractWithdrawn      = "withdrawn"
	RetractOther          = "other"
)

// Revise says anew what a feedback says, by the id of its receipt: f is the whole of
// it, with the EventID that it came with or none. It is safe to repeat, and never
// spooled: what was meant by an older state must not arrive after a newer one.
func (c *Client) Revise(ctx context.Context, id string, f Feedback) (Outcome, error) {
	ls, err := lines([]Feedback{f})
	if err != nil {
		return Outcome{}, err
	}
	return c.ask(ctx, http.MethodPost, c.url+"/"+url.PathEscape(id)+"/revise", ls[0])
}

// Retract takes a feedback back, by the id of its receipt; reason is one of the
// constants above. It is safe to repeat, and never spooled.
func (c *Client) Retract(ctx context.Context, id, reason string) (Outcome, error) {
	body, err := json.Marshal(map[string]string{"reason": reason})
	if err != nil {
		return Outcome{}, err
	}
	return c.ask(ctx, http.MethodPost, c.url+"/"+url.PathEscape(id)+"/retract", body)
}

// jsonRequest makes a request whose body is one JSON object; nil: none.
func jsonRequest(ctx context.Context, method, address string, body []byte) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err == nil && body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, err
}
