package tasks

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	"github.com/pxactions/px/model"
)

// The task types. None is a prefix of another, because asynq's mux matches by
// prefix.
const (
	TypeCreate     = "action:create"
	TypeReminder   = "sla:reminder"
	TypeOverdue    = "sla:overdue"
	TypeEscalation = "sla:escalation"
	TypeApproval   = "sla:approval"
	TypeAck        = "sla:ack"
	TypeResume     = "sla:resume"
	TypeSend       = "message:send"
	// TypeHousekeeping is followed by the name of the periodic work:
	// housekeeping:verify.
	TypeHousekeeping = "housekeeping:"
)

// The queues. Each has servers of its own, so that a storm in one never delays
// another.
const (
	QueueIntake       = "intake"
	QueueEscalation   = "escalation"
	QueueReminder     = "reminder"
	QueueMessage      = "message"
	QueueHousekeeping = "housekeeping"
)

// Queues lists every queue, most urgent first.
func Queues() []string {
	return []string{QueueEscalation, QueueIntake, QueueReminder, QueueMessage, QueueHousekeeping}
}

// Effects is what the queue has yet to hear of after a commit. The zero value
// is nothing.
type Effects struct {
	Create []model.FeedbackID
	Arm    []Arm
	Send   []Send
}

// Arm asks for the scheduled job of an action's next deadline event.
type Arm struct {
	ActionID model.ActionID
	Gen      int64
	Kind     model.EventKind
	Stage    int
	At       time.Time // machine time
}

// Send asks for the delivery of a message.
type Send struct {
	MessageID model.MessageID
	Attempt   int       // attempts made so far: part of the task's id
	At        time.Time // machine time; zero: at once
}

// Add appends another transaction's effects.
func (e *Effects) Add(o Effects) {
	e.Create = append(e.Create, o.Create...)
	e.Arm = append(e.Arm, o.Arm...)
	e.Send = append(e.Send, o.Send...)
}

// Empty reports whether there is nothing to enqueue.
func (e Effects) Empty() bool { return len(e.Create)+len(e.Arm)+len(e.Send) == 0 }

// CreatePayload is the payload of TypeCreate.
type CreatePayload struct {
	Feedback []model.FeedbackID `json:"feedback"`
}

// DeadlinePayload is the payload of every sla task. Gen is the fence: the task
// is stale unless the action's gen is the same.
type DeadlinePayload struct {
	Action model.ActionID `json:"action"`
	Gen    int64          `json:"gen"`
}

// SendPayload is the payload of TypeSend.
type SendPayload struct {
	Message model.MessageID `json:"message"`
	Attempt int             `json:"attempt"`
}

// Decode reads a payload. Its error names the task type, never the content.
func Decode[T any](typ string, payload []byte) (T, error) {
	var v T
	if err := json.Unmarshal(payload, &v); err != nil {
		return v, fmt.Errorf("payload of %s is not as it should be", typ)
	}
	return v, nil
}

// TypeOf is the task type of a kind of deadline event.
func TypeOf(kind model.EventKind) string {
	switch kind {
	case model.EventReminder:
		return TypeReminder
	case model.EventEscalation:
		return TypeEscalation
	case model.EventAck:
		return TypeAck
	case model.EventResume:
		return TypeResume
	case model.EventApprovalReminder, model.EventApprovalOverdue:
		return TypeApproval
	default:
		return TypeOverdue
	}
}

// QueueOf is the queue of a kind of deadline event: only reminders can wait.
func QueueOf(kind model.EventKind) string {
	if kind == model.EventReminder || kind == model.EventApprovalReminder {
		return QueueReminder
	}
	return QueueEscalation
}

// ID is the task id of an armed job: escalation2.<action>.g5. The dashboard
// lists an id up to its first "-", so there is none in it.
func (a Arm) ID() string {
	stage := ""
	if a.Kind != model.EventOverdue {
		stage = fmt.Sprint(a.Stage)
	}
	return fmt.Sprintf("%s%s.%s.g%d", strings.ReplaceAll(string(a.Kind), "_", ""), stage, a.ActionID.Hex(), a.Gen)
}

// ID is the task id of one attempt at a message.
func (s Send) ID() string { return fmt.Sprintf("message.%s.a%d", s.MessageID.Hex(), s.Attempt) }

// CreateID is the task id of a creation task: create.<first id>.n100.<sum of
// all ids>, so that two tasks share it only when they carry the same ids.
func CreateID(ids []model.FeedbackID) string {
	sum := fnv.New64a()
	for _, id := range ids {
		_, _ = sum.Write(id.UUID[:]) // a hash never fails
	}
	return fmt.Sprintf("create.%s.n%d.%016x", ids[0].Hex(), len(ids), sum.Sum64())
}
