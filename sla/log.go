package sla

import (
	"fmt"
	"strings"
	"time"

	"github.com/pxactions/px/model"
)

// log adds a row to the action's story. The message is built from facts and the
// metadata holds facts: people stand in both by their directory code.
func (t *turn) log(typ model.LogType, message string, facts model.LogMetadata) *model.ActionLog {
	t.Action.LogSeq++
	if t.origin.Key != nil {
		facts["key"] = t.origin.Key.String()
	}
	if t.origin.Request != "" {
		facts["request_id"] = t.origin.Request
	}
	t.logs = append(t.logs, model.ActionLog{
		ActionID: t.Action.ID, Seq: t.Action.LogSeq, LogType: typ, Message: message, CreatedBy: t.actor,
		Metadata: model.Of(facts), CreatedAt: t.now,
	})
	return &t.logs[len(t.logs)-1]
}

// logEvent tells of a taken event. The program took it, whoever made the move.
func (t *turn) logEvent(ev *model.DeadlineEvent) {
	typ, what := eventWords(ev)
	facts := model.LogMetadata{
		"kind": ev.Kind, "stage": ev.Stage, "period": ev.Period, "planned": rfc3339(ev.Planned),
		"late_s": ev.LateS, "done": ev.Done, "told": t.codes(ev.Told.V),
	}
	switch ev.Done {
	case model.DoneSilent:
		what += ": passed over, a later event tells"
	case model.DoneSuperseded:
		what += ": settled by a move, nobody told"
	case model.DoneUntargeted:
		what += ": nobody to tell"
		if len(ev.Told.V) > 0 {
			what += " but " + strings.Join(t.codes(ev.Told.V), ", ")
		}
	case model.DoneTold:
		if len(ev.Targets.V) > 0 {
			what += ": told " + strings.Join(t.codes(ev.Targets.V), ", ")
		}
	}
	if t.Action.Shadow {
		what += " (shadow)"
	}
	if ev.Kind == model.EventEscalation {
		facts["targets"] = t.codes(ev.Targets.V)
		facts["priority"] = t.Action.Priority
	}
	t.asProgram(func() { t.log(typ, what, facts) })
}

func eventWords(ev *model.DeadlineEvent) (model.LogType, string) {
	switch ev.Kind {
	case model.EventReminder:
		return model.LogSLAReminder, fmt.Sprintf("Reminder %d", ev.Stage)
	case model.EventOverdue:
		return model.LogOverdue, "Overdue since " + clockTime(ev.Planned)
	case model.EventEscalation:
		return model.LogEscalation, fmt.Sprintf("Escalated to stage %d", ev.Stage)
	case model.EventAck:
		return model.LogAckMissed, fmt.Sprintf("Not started by %s (assignment %d)", clockTime(ev.Planned), ev.Stage)
	case model.EventResume:
		return model.LogResume, fmt.Sprintf("Hold %d is over", ev.Stage)
	case model.EventApprovalReminder:
		return model.LogApproval, fmt.Sprintf("Reminder: submission %d waits for approval", ev.Stage)
	default:
		return model.LogApproval, fmt.Sprintf("Approval of submission %d overdue since %s", ev.Stage, clockTime(ev.Planned))
	}
}

// logStatus tells of a change of status, with the reason's words apart.
func (t *turn) logStatus(typ model.LogType, was model.Status, m MoveRequest, message string) {
	row := t.log(typ, message, model.LogMetadata{"move": m.Move})
	row.OldStatus, row.NewStatus, row.Text = was, t.Action.Status, m.Reason
}

// code is how the directory names a person; an unknown one is named by id.
func (t *turn) code(id model.UserID) string {
	if u := t.Dir.Users[id]; u != nil {
		return u.Code
	}
	return id.String()
}

func (t *turn) codes(ids []model.UserID) []string {
	cs := make([]string, len(ids))
	for i, id := range ids {
		cs[i] = t.code(id)
	}
	return cs
}

// clockName says what the target counts: elapsed time, or a calendar's.
func (t *turn) clockName() string {
	if t.clock() == (Calendar{}) {
		return string(ClockElapsed)
	}
	return t.Action.Calendar
}

// clockTime is an instant as the story's sentences write it.
func clockTime(at time.Time) string { return at.UTC().Format("2006-01-02 15:04 MST") }

func rfc3339(at time.Time) string { return at.UTC().Format(time.RFC3339) }
