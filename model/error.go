package model

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// The sentinels of the program. Each edge (HTTP, worker, command line) maps
// them once; everything else is internal.
var (
	ErrNotFound     = errors.New("not found")
	ErrConflict     = errors.New("conflict")            // the row changed under the caller, or a unique fact exists already
	ErrEventChanged = errors.New("event changed")       // the same event id came with other content
	ErrRetracted    = errors.New("retracted")           // the feedback was taken back by its source
	ErrForbidden    = errors.New("forbidden")           // the actor may not do this
	ErrUnavailable  = errors.New("service unavailable") // PostgreSQL or Redis is away: try again
)

// FieldError says which field is wrong and what would be right. It never
// carries the value of a field that may hold a patient's words.
type FieldError struct {
	Field string // path as the sender wrote it: score.max
	Code  string // machine-readable: required, unknown, range, format, …
	Want  string // what would be right, in words
	At    string // where it stands in a file: line 12, or sla/riyadh.yaml:12; empty: in none
}

func (e *FieldError) Error() string {
	if e.At != "" {
		return fmt.Sprintf("%s: %s: %s", e.Field, e.At, e.Want)
	}
	return fmt.Sprintf("%s: %s", e.Field, e.Want)
}

// nameable are the names of fields that an error may quote.
var nameable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]{0,63}$`)

// FieldName is a field's name that a sender made up, as an error may quote it: one
// that looks like anything but a name may hold a patient's words.
func FieldName(name string) string {
	if !nameable.MatchString(name) {
		return "(a key that is not a name)"
	}
	return name
}

// FieldErrors is every fault of one input, in the order of its fields.
type FieldErrors []*FieldError

func (es FieldErrors) Error() string {
	parts := make([]string, len(es))
	for i, e := range es {
		parts[i] = e.Error()
	}
	return strings.Join(parts, "; ")
}

// Add appends a fault.
func (es *FieldErrors) Add(field, code, want string) {
	*es = append(*es, &FieldError{Field: field, Code: code, Want: want})
}

// Err is nil when there is no fault.
func (es FieldErrors) Err() error {
	if len(es) == 0 {
		return nil
	}
	return es
}

// PanicError is a contained panic. Neither it nor its text carries the panic's
// value, which may be anybody's words.
type PanicError struct {
	Kind  string // the type of the value
	Stack []byte // for the log alone
}

func (e *PanicError) Error() string { return "panic with a " + e.Kind }

// TransitionError is a move that the transition table does not allow.
type TransitionError struct {
	Move  Move
	From  Status
	Legal []Move
	Why   string // empty: the table says no
}

func (e *TransitionError) Error() string {
	if e.Why != "" {
		return fmt.Sprintf("cannot %s: %s", e.Move, e.Why)
	}
	return fmt.Sprintf("cannot %s an action that is %s; possible: %s", e.Move, e.From, joinMoves(e.Legal))
}

func joinMoves(ms []Move) string {
	if len(ms) == 0 {
		return "nothing"
	}
	parts := make([]string, len(ms))
	for i, m := range ms {
		parts[i] = string(m)
	}
	return strings.Join(parts, ", ")
}

// KeyError is an API key that lets nobody in, or not there.
type KeyError struct {
	Why   string // KeyMissing, …
	Scope string // KeyScope: the one that it lacks
}

// Why an API key is refused.
const (
	KeyMissing = "missing"
	KeyUnknown = "unknown"
	KeyRevoked = "revoked"
	KeyExpired = "expired"
	KeyScope   = "scope" // good, but not for this
)

func (e *KeyError) Error() string {
	switch e.Why {
	case KeyMissing:
		return "an API key is needed, as Authorization: Bearer or X-API-Key"
	case KeyScope:
		return "the API key lacks the scope " + e.Scope
	default:
		return "the API key is " + e.Why
	}
}
