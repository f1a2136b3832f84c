// Package problem is how the HTTP interfaces say why something was refused
// (RFC 9457), and how they answer at all.
package problem

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/pxactions/px/model"
)

// The codes that all interfaces have: stable, for machines.
const (
	Internal    = "internal"
	Unavailable = "unavailable"
	NotFound    = "not-found"
	Method      = "method-not-allowed"
	KeyMissing  = "key-missing"
	KeyUnknown  = "key-unknown"
	KeyExpired  = "key-expired"
	KeyRevoked  = "key-revoked"
	Scope       = "scope-missing"
	Forbidden   = "forbidden"
	MediaType   = "media-type"
	TooLarge    = "too-large"
	Truncated   = "body-incomplete"
	Unreadable  = "unreadable"
	Invalid     = "invalid"
	Conflict    = "conflict"
	IllegalMove = "illegal-move"
	RateLimited = "rate-limited"
	Overloaded  = "overloaded"
)

// Types of what is sent.
const (
	JSONType    = "application/json"
	ProblemType = "application/problem+json"
)

// retryAfter is how many seconds a sender is asked to wait where the problem says
// nothing else: as when PostgreSQL is away.
const retryAfter = 5

// Problem says why something was refused. It never quotes what was sent, except
// names of fields.
type Problem struct {
	Type         string       `json:"type" doc:"urn:px:problem: and the code"`
	Title        string       `json:"title"`
	Status       int          `json:"status" doc:"The HTTP status."`
	Detail       string       `json:"detail,omitempty"`
	Code         string       `json:"code" doc:"Stable, for machines."`
	Offset       *int64       `json:"offset,omitempty" doc:"Bytes of the event, or of the body, before what could not be read."`
	EventID      string       `json:"event_id,omitempty"`
	ID           string       `json:"id,omitempty" format:"uuid" doc:"The feedback that stands under this event id."`
	ActionStatus model.Status `json:"action_status,omitempty" enum:"open,in_progress,pending_approval,approved,closed,cancelled" doc:"Of a move that is not legal: where the action stands."`
	Legal        []model.Move `json:"legal,omitempty" doc:"Of a move that is not legal: those that this actor could make now."`
	Version      int64        `json:"version,omitempty" doc:"Of a stale If-Match: the version that the action has."`
	Errors       []Field      `json:"errors,omitempty"`

	RetryAfter int `json:"-"` // of 429 and 503: seconds to wait; 0: 5
}

// Field says which field is wrong and what would be right.
type Field struct {
	Field   string `json:"field" doc:"As the sender wrote it: score.max"`
	Code    string `json:"code" enum:"required,unknown,duplicate,type,format,enum,range,length,nul,encoding,unmapped,inactive,involved,restricted,unchanged,conflict"`
	Message string `json:"message"`
}

// New makes a problem; its type follows from the code.
func New(status int, code, title, detail string) *Problem {
	return &Problem{Type: "urn:px:problem:" + code, Title: title, Status: status, Code: code, Detail: detail}
}

// Fields is the problem of wrong fields.
func Fields(code, title string, faults model.FieldErrors) *Problem {
	p := New(http.StatusUnprocessableEntity, code, title, "")
	for _, f := range faults {
		p.Errors = append(p.Errors, Field{Field: f.Field, Code: f.Code, Message: f.Want})
	}
	return p
}

// Of maps an error that all interfaces know to a problem; anything else is
// internal, and the log's business.
func Of(err error) *Problem {
	var fields model.FieldErrors
	var key *model.KeyError
	switch {
	case errors.As(err, &key):
		return ofKey(key)
	case errors.As(err, &fields):
		return Fields(Invalid, "The request is not valid", fields)
	case errors.Is(err, model.ErrForbidden):
		return New(http.StatusForbidden, Forbidden, "Not allowed", "")
	case errors.Is(err, model.ErrUnavailable):
		return New(http.StatusServiceUnavailable, Unavailable, "The database does not answer", "nothing is lost; try again in a moment")
	case errors.Is(err, model.ErrNotFound):
		return New(http.StatusNotFound, NotFound, "There is no such thing, or it is not for this reader", "")
	default:
		return New(http.StatusInternalServerError, Internal, "Something went wrong here", "")
	}
}

// Write answers with a problem, and with the headers that go with its status.
func Write(w http.ResponseWriter, p *Problem) {
	switch p.Status {
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		w.Header().Set("Retry-After", strconv.Itoa(cmp.Or(p.RetryAfter, retryAfter)))
	case http.StatusUnauthorized:
		challenge := `Bearer realm="px"`
		if p.Code != KeyMissing {
			challenge += `, error="invalid_token"`
		}
		w.Header().Set("WWW-Authenticate", challenge)
	}
	write(w, p.Status, ProblemType, p)
}

// JSON answers with a value.
func JSON(w http.ResponseWriter, status int, v any) { write(w, status, JSONType, v) }

func write(w http.ResponseWriter, status int, contentType string, v any) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // the sender is gone
}
