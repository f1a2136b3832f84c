package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pxactions/px/model"
)

// mapErr turns a driver's error into one of the program's: unavailable, not
// found, or what a named constraint means. Anything else passes as it is. The
// server's detail line is dropped, because it may quote a row.
func mapErr(err error) error {
	if err == nil {
		return nil
	}
	var pe *pgconn.PgError
	if errors.As(err, &pe) {
		return mapPgError(pe)
	}
	if errors.Is(err, sql.ErrNoRows) {
		return model.ErrNotFound
	}
	if unavailable(err) {
		return fmt.Errorf("%w: %w", model.ErrUnavailable, scrub(err))
	}
	return err
}

// unavailable reports whether the database could not be reached or did not
// answer in time, as opposed to refusing the statement.
func unavailable(err error) bool {
	var ne net.Error
	var ce *pgconn.ConnectError
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, sql.ErrConnDone) ||
		errors.Is(err, pgconn.ErrConnClosed) || errors.As(err, &ce) || errors.As(err, &ne)
}

// scrub keeps a connection error short and free of the URL it quotes.
func scrub(err error) error {
	var ce *pgconn.ConnectError
	if errors.As(err, &ce) {
		return errors.New("cannot connect to PostgreSQL")
	}
	return err
}

// transient are the SQLSTATE classes after which the same statement may
// succeed: connection faults, resources, operator intervention, and
// serialisation faults.
func transient(code string) bool {
	for _, class := range []string{"08", "53", "57", "58", "40"} {
		if strings.HasPrefix(code, class) {
			return true
		}
	}
	// What the role may not do, no feedback has caused: a file system that the
	// kernel has made read-only is told so, too.
	return code == readOnly || code == "42501"
}

// readOnly is the SQLSTATE of a server that takes no writes: a replica, or one
// that is to be replaced.
const readOnly = "25006"

// errLocked is a lock that was not had in time.
var errLocked = fmt.Errorf("%w: another transaction is at the row", model.ErrUnavailable)

func mapPgError(pe *pgconn.PgError) error {
	if pe.Code == "55P03" {
		return errLocked
	}
	if transient(pe.Code) {
		return fmt.Errorf("%w: %s (SQLSTATE %s)", model.ErrUnavailable, pe.Message, pe.Code)
	}
	if m, ok := constraintMeaning(pe.ConstraintName); ok {
		return m
	}
	return &constraintError{Code: pe.Code, Constraint: pe.ConstraintName, Message: pe.Message}
}

// constraintError is a refused statement without the row that it quotes.
type constraintError struct{ Code, Constraint, Message string }

func (e *constraintError) Error() string {
	if e.Constraint != "" {
		return fmt.Sprintf("the database refused it: constraint %s (SQLSTATE %s)", e.Constraint, e.Code)
	}
	if strings.HasPrefix(e.Code, "22") || e.Code == "42601" { // data exceptions and syntax errors quote the value
		return fmt.Sprintf("the database refused a value (SQLSTATE %s)", e.Code)
	}
	return fmt.Sprintf("the database refused it: %s (SQLSTATE %s)", e.Message, e.Code)
}

// constraintMeaning says what a violated constraint means to a caller.
func constraintMeaning(name string) (error, bool) {
	field := func(field, code, want string) (error, bool) {
		return model.FieldErrors{{Field: field, Code: code, Want: want}}, true
	}
	switch name {
	case "hospitals_code_format":
		return field("hospital.code", "format", "2 to 12 capital letters or digits")
	case "users_substitute_not_self":
		return field("user.substitute", "value", "somebody else than the user")
	case "users_substitute_span":
		return field("user.substitute_to", "range", "after substitute_from")
	case "surveys_scale":
		return field("survey.score_max", "range", "greater than score_min")
	case "sla_configs_active_scope":
		return field("sla", "duplicate", "one active SLA config per scope (global, hospital, department)")
	case "sla_configs_hours_positive":
		return field("sla.hours", "range", "greater than 0 for every severity")
	case "api_keys_created_by_fkey":
		return field("key.created_by", "unknown", "a user of the directory")
	case "hooks_name_format":
		return field("hook.name", "format", hookNames)
	case "hooks_name_key":
		return field("hook.name", "duplicate", "a name that no other hook has")
	case "hospitals_code_key", "users_code_key", "surveys_code_key", "departments_hospital_code_key":
		return field("code", "duplicate", "a code that no other row has")
	case "idempotency_keys_pkey": // for another action: those of one action wait for each other
		return ErrReused, true
	case "deadline_events_once", "messages_once", "action_logs_seq_key", "feedback_event_key", "actions_feedback_id_key":
		return fmt.Errorf("%w: %s", model.ErrConflict, name), true
	}
	return nil, false
}

// Contended reports whether an error is a lock that was not had in time, so that it is
// worth trying again at once.
func Contended(err error) bool { return errors.Is(err, errLocked) }

func isNotFound(err error) bool { return errors.Is(err, model.ErrNotFound) }
