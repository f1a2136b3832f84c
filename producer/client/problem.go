package client

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Problem is the intake's refusal (RFC 9457), as an error. Match it with
// errors.As.
type Problem struct {
	Type   string       `json:"type"`
	Title  string       `json:"title"`
	Status int          `json:"status"` // 0: the event never left this program
	Detail string       `json:"detail,omitempty"`
	Code   string       `json:"code,omitempty"` // stable: event-changed, invalid-event, …
	Errors []FieldError `json:"errors,omitempty"`

	retryAfter time.Duration
}

// FieldError says which field is wrong and what would be right.
type FieldError struct {
	Field   string `json:"field"` // as you wrote it: score.max
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Error tells status, title and every wrong field.
func (p *Problem) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "intake: %s", p.Title)
	if p.Status != 0 {
		fmt.Fprintf(&b, " (%d)", p.Status)
	}
	if p.Detail != "" {
		fmt.Fprintf(&b, ": %s", p.Detail)
	}
	for _, e := range p.Errors {
		fmt.Fprintf(&b, "; %s: %s", e.Field, e.Message)
	}
	return b.String()
}

// Temporary reports whether the same event may be accepted later.
func (p *Problem) Temporary() bool { return temporary(p.Status) }

func temporary(status int) bool {
	return status == http.StatusTooManyRequests || status == http.StatusRequestTimeout || status >= 500
}

// problemFrom reads a refusal; a body that is none of the intake's (a proxy's page, which
// may say again what was sent) yields a Problem with the status alone.
func problemFrom(res *http.Response, body []byte, now time.Time) *Problem {
	p := &Problem{}
	if err := json.Unmarshal(body, p); err != nil || p.Title == "" || !strings.HasPrefix(p.Type, "urn:px:problem:") {
		p = &Problem{Title: http.StatusText(res.StatusCode)}
	}
	p.Status = res.StatusCode
	p.retryAfter = retryAfter(res.Header.Get("Retry-After"), now)
	return p
}
