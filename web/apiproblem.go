package web

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/internal/problem"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/store"
)

// The codes of problems that only the action API has.
const (
	codeStale  = "stale-version"
	codeReused = "idempotency-key-reused"
	codeHeader = "bad-header"
)

// badRequest is a request that is wrong in its form.
type badRequest struct {
	status              int
	code, title, detail string
	offset              *int64
}

func (e *badRequest) Error() string { return e.title }

// staleError is an If-Match that names another version than the action has.
type staleError struct{ version int64 }

func (e *staleError) Error() string { return "the action has changed" }

// illegalError is a move that is not legal, with the action that it was for.
type illegalError struct {
	*model.TransitionError
	action *model.Action
}

// problem maps an error to what the API answers.
func (c *call) problem(err error) *problem.Problem {
	var bad *badRequest
	var stale *staleError
	var illegal *illegalError
	var unreadable *engine.UnreadableError
	switch {
	case errors.As(err, &bad):
		p := problem.New(bad.status, bad.code, bad.title, bad.detail)
		p.Offset = bad.offset
		return p
	case errors.As(err, &stale):
		p := problem.New(http.StatusPreconditionFailed, codeStale, "The action has changed since it was read", "read it again, and ask again if it still is to be")
		p.Version = stale.version
		return p
	case errors.As(err, &illegal):
		p := problem.New(http.StatusConflict, problem.IllegalMove, "This move is not possible now", illegal.TransitionError.Error())
		p.ActionStatus, p.Legal = illegal.From, c.open(illegal)
		return p
	case errors.Is(err, store.ErrReused), errors.Is(err, model.ErrEventChanged):
		return problem.New(http.StatusUnprocessableEntity, codeReused, "This Idempotency-Key was used for another request", "take a new one for each request")
	case errors.As(err, &unreadable):
		return problem.New(http.StatusBadRequest, problem.Unreadable, "The request cannot be read", unreadable.Why)
	}
	p := problem.Of(err)
	if errors.Is(err, model.ErrForbidden) {
		p.Detail = reason(err)
	}
	return p
}

// open are the legal moves that this actor could make.
func (c *call) open(e *illegalError) []model.Move {
	return slices.DeleteFunc(slices.Clone(e.Legal), func(m model.Move) bool { return !c.Access.May(model.RightTo(m), e.action) })
}

// reason is what a refusal says behind the kind of refusal that it is. It names
// people by code and holds nobody's words.
func reason(err error) string {
	text := err.Error()
	mark := model.ErrForbidden.Error() + ": "
	if i := strings.LastIndex(text, mark); i >= 0 {
		return text[i+len(mark):]
	}
	return ""
}
