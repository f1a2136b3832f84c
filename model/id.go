package model

import (
	"encoding/hex"

	"github.com/google/uuid"
)

// ID is a UUIDv7 that knows what it identifies, so that an action's id cannot
// stand where a user's is meant. The zero value means "none".
type ID[T any] struct{ uuid.UUID }

// The ids of the program, one type per table.
type (
	HospitalID      = ID[Hospital]
	DepartmentID    = ID[Department]
	UserID          = ID[User]
	SurveyID        = ID[Survey]
	FeedbackID      = ID[Feedback]
	ActionID        = ID[Action]
	DeadlineEventID = ID[DeadlineEvent]
	LogID           = ID[ActionLog]
	MessageID       = ID[Message]
	SLAConfigID     = ID[SLAConfig]
	RoutingRuleID   = ID[RoutingRule]
	AttachmentID    = ID[ActionAttachment]
	KeyID           = ID[APIKey]
	HookID          = ID[Hook]
)

// NewID returns a fresh id that sorts by the time of its making.
func NewID[T any]() ID[T] { return ID[T]{uuid.Must(uuid.NewV7())} }

// ParseID reads an id in its 36-character or 32-digit form.
func ParseID[T any](s string) (ID[T], error) {
	u, err := uuid.Parse(s)
	return ID[T]{u}, err
}

// IsZero reports whether the id names nothing.
func (id ID[T]) IsZero() bool { return id.UUID == uuid.Nil }

// Hex is the id as 32 hex digits, the form used in task ids (the dashboard
// cuts an id at its first "-").
func (id ID[T]) Hex() string { return hex.EncodeToString(id.UUID[:]) }

// Ptr is the id as a nullable column value: nil when zero.
func (id ID[T]) Ptr() *ID[T] {
	if id.IsZero() {
		return nil
	}
	return &id
}

// Deref is the inverse of Ptr: the zero id for nil.
func Deref[T any](id *ID[T]) ID[T] {
	if id == nil {
		return ID[T]{}
	}
	return *id
}
