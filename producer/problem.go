package producer

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/model"
)

// The codes of problems: stable, for machines. A problem's type is
// urn:px:problem: and the code.
const (
	codeInternal      = "internal"
	codeUnavailable   = "unavailable"
	codeNotFound      = "not-found"
	codeMethod        = "method-not-allowed"
	codeKeyMissing    = "key-missing"
	codeKeyUnknown    = "key-unknown"
	codeKeyExpired    = "key-expired"
	codeKeyRevoked    = "key-revoked"
	codeScope         = "scope-missing"
	codeHospital      = "hospital-not-allowed"
	codeMediaType     = "media-type"
	codeTooLarge      = "too-large"
	codeTooMany       = "too-many-items"
	codeUnreadable    = "unreadable"
	codeInvalid       = "invalid-event"
	codeChanged       = "event-changed"
	codeBodyTruncated = "body-incomplete"
)

// retryAfter is what a sender is told when PostgreSQL is away, in seconds.
const retryAfter = 5

// Problem says why something was refused (RFC 9457). It never quotes what was
// sent, except names of fields.
type Problem struct {
	Type    string         `json:"type" doc:"urn:px:problem: and the code"`
	Title   string         `json:"title"`
	Status  int            `json:"status"`
	Detail  string         `json:"detail,omitempty"`
	Code    string         `json:"code" doc:"Stable, for machines."`
	Offset  *int64         `json:"offset,omitempty" doc:"Bytes of the event, or of the body, before what could not be read."`
	EventID string         `json:"event_id,omitempty"`
	ID      string         `json:"id,omitempty" format:"uuid" doc:"The feedback that stands under this event id."`
	Errors  []FieldProblem `json:"errors,omitempty"`
}

// FieldProblem says which field is wrong and what would be right.
type FieldProblem struct {
	Field   string `json:"field" doc:"As the sender wrote it: score.max"`
	Code    string `json:"code" enum:"required,unknown,duplicate,type,format,enum,range,length,nul,encoding,unmapped,inactive"`
	Message string `json:"message"`
}

func newProblem(status int, code, title, detail string) *Problem {
	return &Problem{Type: "urn:px:problem:" + code, Title: title, Status: status, Code: code, Detail: detail}
}

// problemOf maps the error of a receipt, or of a call, to a problem.
func problemOf(err error) *Problem {
	var unreadable *engine.UnreadableError
	var fields model.FieldErrors
	switch {
	case errors.As(err, &unreadable):
		p := newProblem(http.StatusBadRequest, codeUnreadable, "The event cannot be read", unreadable.Why)
		p.Offset = &unreadable.Offset
		return p
	case errors.As(err, &fields):
		p := newProblem(http.StatusUnprocessableEntity, codeInvalid, "The event is not valid", "")
		for _, f := range fields {
			p.Errors = append(p.Errors, FieldProblem{Field: f.Field, Code: f.Code, Message: f.Want})
		}
		return p
	case errors.Is(err, model.ErrEventChanged):
		return newProblem(http.StatusConflict, codeChanged, "This event id was accepted with other content", "send what changed under an id of its own")
	case errors.Is(err, model.ErrForbidden):
		return newProblem(http.StatusForbidden, codeHospital, "This key may not send feedback of this hospital", "")
	case errors.Is(err, engine.ErrTooLarge):
		return newProblem(http.StatusRequestEntityTooLarge, codeTooLarge, "The event is too large", "at most "+strconv.Itoa(engine.MaxEventBytes)+" bytes")
	case errors.Is(err, model.ErrUnavailable):
		return newProblem(http.StatusServiceUnavailable, codeUnavailable, "The database is away", "send it again; what was accepted before is known by its event id")
	case errors.Is(err, model.ErrNotFound):
		return newProblem(http.StatusNotFound, codeNotFound, "There is no such feedback", "")
	default:
		return newProblem(http.StatusInternalServerError, codeInternal, "Something went wrong here", "")
	}
}

func writeProblem(w http.ResponseWriter, p *Problem) {
	switch p.Status {
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
	case http.StatusUnauthorized:
		challenge := `Bearer realm="px"`
		if p.Code != codeKeyMissing {
			challenge += `, error="invalid_token"`
		}
		w.Header().Set("WWW-Authenticate", challenge)
	}
	write(w, p.Status, "application/problem+json", p)
}

func writeJSON(w http.ResponseWriter, status int, v any) { write(w, status, "application/json", v) }

func write(w http.ResponseWriter, status int, contentType string, v any) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // the sender is gone
}
