package producer

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/internal/problem"
	"github.com/pxactions/px/model"
)

// The codes of problems that only the intake has.
const (
	codeHospital = "hospital-not-allowed"
	codeTooMany  = "too-many-items"
	codeInvalid  = "invalid-event"
	codeChanged  = "event-changed"
	codeGone     = "retracted"
)

// Problem says why something was refused (RFC 9457).
type Problem = problem.Problem

// problemOf maps the error of a receipt, or of a call, to a problem.
func problemOf(err error) *Problem {
	var unreadable *engine.UnreadableError
	var fields model.FieldErrors
	switch {
	case errors.As(err, &unreadable):
		p := problem.New(http.StatusBadRequest, problem.Unreadable, "The event cannot be read", unreadable.Why)
		p.Offset = &unreadable.Offset
		return p
	case errors.As(err, &fields):
		return problem.Fields(codeInvalid, "The event is not valid", fields)
	case errors.Is(err, model.ErrEventChanged):
		return problem.New(http.StatusConflict, codeChanged, "This event id was accepted with other content", "send what changed under an id of its own")
	case errors.Is(err, model.ErrRetracted):
		return problem.New(http.StatusConflict, codeGone, "This feedback was retracted", "send what holds now under an id of its own")
	case errors.Is(err, model.ErrForbidden):
		return problem.New(http.StatusForbidden, codeHospital, "This key may not send feedback of this hospital", "")
	case errors.Is(err, engine.ErrTooLarge):
		return problem.New(http.StatusRequestEntityTooLarge, problem.TooLarge, "The event is too large", "at most "+strconv.Itoa(engine.MaxEventBytes)+" bytes")
	case errors.Is(err, model.ErrUnavailable):
		return problem.New(http.StatusServiceUnavailable, problem.Unavailable, "The database is away", "send it again; what was accepted before is known by its event id")
	case errors.Is(err, model.ErrNotFound):
		return problem.New(http.StatusNotFound, problem.NotFound, "There is no such feedback", "")
	default:
		return problem.Of(err)
	}
}
