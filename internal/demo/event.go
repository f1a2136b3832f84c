package demo

import (
	"strings"
	"time"

	"github.com/pxactions/px/model"
)

// kind is what an event of the demo's story tells.
type kind string

// The kinds that the demo itself looks at; others are named by their log type.
const (
	kindIgnored    kind = "ignored"
	kindCreated    kind = "created"
	kindAssigned   kind = "assigned"
	kindMerged     kind = "merged"
	kindReminder   kind = "reminder"
	kindAckMissed  kind = "ack_missed"
	kindOverdue    kind = "overdue"
	kindEscalation kind = "escalation"
	kindStarted    kind = "started"
	kindNote       kind = "note"
	kindSubmitted  kind = "submitted"
	kindApproved   kind = "approved"
	kindRejected   kind = "rejected"
	kindClosed     kind = "closed"
	kindReplanned  kind = "plan_change"
	kindApproval   kind = "approval_overdue"
)

// event is one log row of an action, or one feedback that became none.
type event struct {
	At     time.Time     // domain time
	Ran    time.Duration // real time since the start
	Kind   kind
	Stage  int       // of reminders and escalations
	Due    time.Time // of its action, as it then was
	LateS  *int64    // domain seconds after its time; nil: not a deadline event
	Done   string    // what a deadline event did: told, silent, superseded, untargeted
	To     []string  // codes of who is told, or assigned to
	By     string    // code of who made the move; empty: the program
	Source string    // source system of what was ignored or merged
	Reason string    // why it was ignored or created, as a code

	action *action // nil: ignored
	late   time.Duration
}

func (b *book) event(l *model.ActionLog, a *action) event {
	facts := l.Metadata.V
	e := event{At: l.CreatedAt.UTC(), Ran: b.clk.real(l.CreatedAt), Kind: kindOf(l), action: a}
	e.Stage, _ = whole(facts["stage"])
	e.Done, _ = facts["done"].(string)
	e.To = texts(facts["told"])
	if targets, ok := facts["targets"]; ok {
		e.To = texts(targets)
	}
	if late, ok := whole(facts["late_s"]); ok {
		s := int64(late)
		e.LateS, e.late = &s, b.clk.span(time.Duration(late)*time.Second)
	}
	if l.CreatedBy != nil {
		e.By = b.code(*l.CreatedBy)
	}
	if due, err := time.Parse(time.RFC3339, text(facts["due_at"])); err == nil {
		a.due = due
	}
	e.Due = a.due
	switch e.Kind {
	case kindCreated:
		a.firstDue, a.made = a.due, e.Ran
		e.Reason, _ = facts["reason"].(string)
		a.rule, _ = facts["routing_rule"].(string)
		if i := strings.LastIndex(a.rule, " ("); i > 0 {
			a.rule = a.rule[:i]
		}
	case kindMerged:
		e.Source = text(facts["source_system"])
	case kindAssigned:
		e.To = []string{text(facts["assigned_to"])}
	}
	return e
}

// kindOf names a log row by what happened.
func kindOf(l *model.ActionLog) kind {
	switch l.LogType {
	case model.LogAssignment:
		return kindAssigned
	case model.LogSLAReminder:
		return kindReminder
	case model.LogStatusChange, model.LogApproval:
		return kindOfMove(l)
	default:
		return kind(l.LogType)
	}
}

func kindOfMove(l *model.ActionLog) kind {
	switch model.Move(text(l.Metadata.V["move"])) {
	case model.MoveStart:
		return kindStarted
	case model.MoveSubmit:
		return kindSubmitted
	case model.MoveApprove:
		return kindApproved
	case model.MoveReject:
		return kindRejected
	case model.MoveClose:
		return kindClosed
	case model.MoveCancel:
		return "cancelled"
	case model.MoveReopen:
		return "reopened"
	case "":
		return kindApproval
	default:
		return kind(l.LogType)
	}
}

func (b *book) code(id model.UserID) string {
	if u := b.dir.Users[id]; u != nil {
		return u.Code
	}
	return id.String()
}

// department is the code of the action's department; empty: none.
func (b *book) department(a *model.Action) string {
	if a.DepartmentID == nil {
		return ""
	}
	if d := b.dir.Departments[*a.DepartmentID]; d != nil {
		return d.Code
	}
	return ""
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

// whole reads a number of JSON.
func whole(v any) (int, bool) {
	f, ok := v.(float64)
	return int(f), ok
}

func texts(v any) []string {
	list, _ := v.([]any)
	out := make([]string, 0, len(list))
	for _, e := range list {
		out = append(out, text(e))
	}
	return out
}
