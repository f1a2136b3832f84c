package web

import (
	"net/http"
	"time"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/internal/problem"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

// Timeline is what has happened to an action.
type Timeline struct {
	Log      []LogRow     `json:"log" nullable:"false" doc:"In order."`
	Events   []EventRow   `json:"events" nullable:"false" doc:"Events of the plan, in the order in which they were taken."`
	Messages []MessageRow `json:"messages" nullable:"false" doc:"Who was told what, and whether it got there."`
}

// LogRow is one line of an action's log.
type LogRow struct {
	Seq       int               `json:"seq" doc:"Without gaps, from 1."`
	At        time.Time         `json:"created_at"`
	Type      model.LogType     `json:"log_type" enum:"status_change,assignment,escalation,note,evidence,approval,sla_reminder,created,merged,overdue,plan_change,hold,resume,ack_missed,revised"`
	Message   string            `json:"message" doc:"Built from facts."`
	Text      string            `json:"text,omitempty" doc:"What the person wrote."`
	Erased    bool              `json:"erased,omitempty" doc:"There were words, which were erased."`
	By        string            `json:"created_by,omitempty" doc:"The person; absent: the program, or a key for itself."`
	OldStatus model.Status      `json:"old_status,omitempty" enum:"open,in_progress,pending_approval,approved,closed,cancelled"`
	NewStatus model.Status      `json:"new_status,omitempty" enum:"open,in_progress,pending_approval,approved,closed,cancelled"`
	Metadata  model.LogMetadata `json:"metadata" nullable:"false" doc:"Facts by name; of a request also key (its API key's id) and request_id."`
}

// EventRow is an event of the plan that was taken.
type EventRow struct {
	Kind    model.EventKind `json:"kind" enum:"reminder,overdue,escalation,ack,resume,approval_reminder,approval_overdue"`
	Stage   int             `json:"stage"`
	Period  int             `json:"period"`
	Planned time.Time       `json:"planned"`
	Fired   time.Time       `json:"fired"`
	LateS   int64           `json:"late_s"`
	Done    model.EventDone `json:"done" enum:"told,silent,superseded,untargeted"`
	Targets []string        `json:"targets,omitempty"`
	Told    []string        `json:"told,omitempty"`
	ByHand  bool            `json:"by_hand,omitempty"`
}

// MessageRow is a message, without where it went.
type MessageRow struct {
	At         time.Time          `json:"created_at"`
	Recipient  string             `json:"recipient"`
	Channel    model.Channel      `json:"channel"`
	Reason     model.Reason       `json:"reason"`
	Also       []model.Reason     `json:"also,omitempty"`
	State      model.MessageState `json:"state" enum:"pending,sending,sent,failed,suppressed"`
	Suppressed string             `json:"suppressed_reason,omitempty"`
	Attempts   int                `json:"attempts"`
	SentAt     *time.Time         `json:"sent_at,omitempty"`
}

// timeline answers with what has happened to an action.
func (a *api) timeline(c *call) error {
	y, err := a.story(c)
	if err != nil {
		return err
	}
	out := Timeline{Log: []LogRow{}, Events: []EventRow{}, Messages: []MessageRow{}}
	for _, l := range y.Logs {
		out.Log = append(out.Log, logRow(&l, y.Dir))
	}
	for _, e := range y.Events {
		out.Events = append(out.Events, EventRow{
			Kind: e.Kind, Stage: e.Stage, Period: e.Period, Planned: e.Planned.UTC(), Fired: e.Fired.UTC(), LateS: e.LateS, Done: e.Done,
			Targets: userCodes(y.Dir, e.Targets.V), Told: userCodes(y.Dir, e.Told.V), ByHand: e.ByHand,
		})
	}
	for _, m := range y.Messages {
		out.Messages = append(out.Messages, MessageRow{
			At: m.CreatedAt.UTC(), Recipient: userCode(y.Dir, &m.RecipientID), Channel: m.Channel, Reason: m.Reason, Also: m.Also.V, State: m.State,
			Suppressed: m.SuppressedReason, Attempts: m.Attempts, SentAt: utc(m.SentAt),
		})
	}
	problem.JSON(c.w, http.StatusOK, out)
	return nil
}

func logRow(l *model.ActionLog, dir *sla.Directory) LogRow {
	facts := l.Metadata.V
	if facts == nil {
		facts = model.LogMetadata{}
	}
	return LogRow{
		Seq: l.Seq, At: l.CreatedAt.UTC(), Type: l.LogType, Message: l.Message, Text: l.Text, Erased: l.Text == "" && l.TextHash != nil,
		By: userCode(dir, l.CreatedBy), OldStatus: l.OldStatus, NewStatus: l.NewStatus, Metadata: facts,
	}
}

// story reads the action that the path names, and all that belongs to it.
func (a *api) story(c *call) (*store.Story, error) {
	row, err := c.action(a)
	if err != nil {
		return nil, err
	}
	y, err := a.engine.Store.Story(c.r.Context(), row.ID, store.StoryOptions{})
	return &y, err
}

// Plan is what comes next.
type Plan struct {
	Next []Upcoming `json:"next" nullable:"false" doc:"Soonest first, as if nobody did anything meanwhile."`
	Idle string     `json:"nothing_next,omitempty" doc:"Why nothing comes next."`
	Now  time.Time  `json:"now" doc:"When it was read."`
}

// plan answers with what comes next.
func (a *api) plan(c *call) error {
	y, err := a.story(c)
	if err != nil {
		return err
	}
	out := Plan{Next: []Upcoming{}, Now: y.Now.Domain.UTC()}
	for _, e := range y.Upcoming {
		out.Next = append(out.Next, Upcoming{Kind: e.Kind, Stage: e.Stage, At: e.At.UTC()})
	}
	if len(out.Next) == 0 {
		out.Idle = engine.Idle(&y.Action)
	}
	c.w.Header().Set("ETag", etag(&y.Action))
	problem.JSON(c.w, http.StatusOK, out)
	return nil
}

// explain answers why an action is as it is: as JSON, or in words to who accepts
// plain text rather than JSON.
func (a *api) explain(c *call) error {
	row, err := c.action(a)
	if err != nil {
		return err
	}
	e, err := engine.Explain(c.r.Context(), a.engine.Store, row.ID.String())
	if err != nil {
		return err
	}
	e.Linked, err = inSight(c.r.Context(), a.engine.Store, e.Linked, func(l *model.Action) bool { return c.Access.May(model.RightView, l) })
	if err != nil {
		return err
	}
	c.w.Header().Add("Vary", "Accept")
	if prefersText(c.r.Header.Get("Accept")) {
		c.w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = c.w.Write([]byte(e.Text())) // the reader is gone
		return nil
	}
	problem.JSON(c.w, http.StatusOK, e)
	return nil
}

// MoveReport is who made the moves that can make figures look better than they
// are.
type MoveReport struct {
	From   time.Time   `json:"from"`
	To     time.Time   `json:"to"`
	People []PersonRow `json:"people" nullable:"false" doc:"Who made most of them first."`
}

// PersonRow counts one person's moves.
type PersonRow struct {
	Person       string `json:"person,omitempty" doc:"By code; absent: API keys that named nobody, and commands without a name."`
	Name         string `json:"name,omitempty"`
	DueOverrides int    `json:"due_overrides" doc:"Deadlines set by hand."`
	Downgrades   int    `json:"downgrades" doc:"Severities lowered."`
	Holds        int    `json:"holds"`
	Cancels      int    `json:"cancels"`
}

// longestReport leaves room for a year and the weeks until somebody asks.
const longestReport = 400 * 24 * time.Hour

// moveReport counts moves by person, at the hospitals where the actor may.
func (a *api) moveReport(c *call) error {
	q := newQuery(c, "from", "to", "hospital")
	from, to := q.instant("from"), q.instant("to")
	if from.IsZero() {
		q.faults.Add("from", "required", "an instant with its offset")
	}
	if to.IsZero() {
		to = c.Now.Domain
	}
	if !from.IsZero() && to.Sub(from) > longestReport {
		q.faults.Add("to", "range", "at most 400 days after from")
	}
	wanted := q.hospital("hospital")
	if err := q.faults.Err(); err != nil {
		return err
	}
	var hospitals []model.HospitalID
	for id := range c.Dir.Hospitals {
		if (wanted.IsZero() || wanted == id) && c.Access.MayAt(c.endpoint.Right, id) {
			hospitals = append(hospitals, id)
		}
	}
	if len(hospitals) == 0 {
		return c.lacks(c.endpoint.Right)
	}
	rows, err := a.engine.Store.MovesBy(c.r.Context(), from, to, hospitals)
	if err != nil {
		return err
	}
	out := MoveReport{From: from.UTC(), To: to.UTC(), People: []PersonRow{}}
	for _, r := range rows {
		p := PersonRow{DueOverrides: r.DueOverrides, Downgrades: r.Downgrades, Holds: r.Holds, Cancels: r.Cancels}
		if u := c.Dir.Users[model.Deref(r.Person)]; u != nil {
			p.Person, p.Name = u.Code, u.Name
		}
		out.People = append(out.People, p)
	}
	problem.JSON(c.w, http.StatusOK, out)
	return nil
}
