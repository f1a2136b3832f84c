package web

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/store"
	"github.com/pxactions/px/tasks"
)

// actionPage is what the action template shows.
type actionPage struct {
	frame
	row
	Description string
	Facts       []fact
	Upcoming    []upcoming
	Idle        string // why nothing comes next; empty: something does
	Logs        []logLine
	Events      []eventLine
	Messages    []messageLine
	Feedback    []feedbackLine
	Linked      []store.Link
	Shadow      bool
	HoldReason  string
}

// fact is one line of the header: a text, an instant, or both.
type fact struct {
	Name, Text, Link string
	At               moment
}

type upcoming struct {
	Name string
	At   moment
	Job  string // address of its job in the dashboard; empty: not armed
}

type logLine struct {
	Seq                  int
	At                   moment
	Type                 model.LogType
	Actor, Message, Text string
	Old, New             model.Status
	Erased               bool // it had words
}

type eventLine struct {
	Name, Late, Told string
	Period           int
	Planned, Fired   moment
	Done             model.EventDone
	OnTime           bool
}

type messageLine struct {
	At, Sent  moment
	Recipient string
	Channel   model.Channel
	Reason    model.Reason
	Also      string
	State     model.MessageState
	Attempts  int
	Why       string
}

type feedbackLine struct {
	At                         moment
	System, Event, Title, Text string
	Kind                       model.FeedbackKind
	Decision                   model.Decision
	Reason, Measure            string
	Erased                     bool // its words were
}

func (s *server) action(w http.ResponseWriter, r *http.Request) {
	a, err := s.seen(r, r.PathValue("ref"))
	if err != nil {
		s.failWith(w, r, err)
		return
	}
	story, err := s.o.Store.Story(r.Context(), a.ID, store.StoryOptions{Words: true})
	if err == nil && !s.opens(r, &story.Action) {
		err = errUnseen
	}
	if err == nil {
		story.Linked, err = s.seenLinks(r, story.Linked)
	}
	if err != nil {
		s.failWith(w, r, err)
		return
	}
	view := s.actionPage(r, &story)
	view.refreshing(w, r)
	s.render(w, r, http.StatusOK, "action.html", view)
}

// errUnseen is for an action that is not for the reader. Whether it exists is part
// of that.
var errUnseen = fmt.Errorf("out of sight: %w", model.ErrNotFound)

// seen is the action of a ref or id, if it is for the reader.
func (s *server) seen(r *http.Request, ref string) (*model.Action, error) {
	a, err := s.o.Store.ActionByRef(r.Context(), ref)
	if err == nil && !s.opens(r, a) {
		return nil, errUnseen
	}
	return a, err
}

// seenLinks are the links that lead to what is for the reader.
func (s *server) seenLinks(r *http.Request, links []store.Link) ([]store.Link, error) {
	var kept []store.Link
	for _, l := range links {
		_, err := s.seen(r, l.ID.String())
		if err == nil {
			kept = append(kept, l)
		} else if !errors.Is(err, model.ErrNotFound) {
			return nil, err
		}
	}
	return kept, nil
}

func (s *server) actionPage(req *http.Request, y *store.Story) actionPage {
	a, r := &y.Action, newReader(y.Now, y.Dir)
	p := actionPage{
		frame: s.newFrame(req, a.Ref, y.Now), row: r.row(a), Description: a.Description, Facts: r.facts(a),
		Shadow: a.Shadow, HoldReason: a.HoldReason, Linked: y.Linked,
	}
	for i, e := range y.Upcoming {
		u := upcoming{Name: eventName(e.Kind, e.Stage), At: r.moment(e.At, a.HospitalID)}
		if i == 0 && s.o.Redis != nil && a.ArmedGen == a.Gen && p.Queues {
			u.Job = jobAddress(tasks.Arm{ActionID: a.ID, Gen: a.Gen, Kind: e.Kind, Stage: e.Stage})
		}
		p.Upcoming = append(p.Upcoming, u)
	}
	if len(p.Upcoming) == 0 {
		p.Idle = engine.Idle(a)
	}
	for _, l := range y.Logs {
		p.Logs = append(p.Logs, r.logLine(&l, a.HospitalID))
	}
	for _, e := range y.Events {
		p.Events = append(p.Events, r.eventLine(&e, a.HospitalID))
	}
	for _, m := range y.Messages {
		p.Messages = append(p.Messages, r.messageLine(&m, a.HospitalID))
	}
	for _, f := range y.Feedback {
		p.Feedback = append(p.Feedback, r.feedbackLine(&f, a.HospitalID))
	}
	return p
}

func (r *reader) facts(a *model.Action) []fact {
	var fs []fact
	add := func(name, text string, at *time.Time) {
		if text == "" && at == nil {
			return
		}
		fs = append(fs, fact{Name: name, Text: text, At: r.optional(at, a.HospitalID)})
	}
	by := func(name string, who *model.UserID, at *time.Time) { add(name, r.user(who), at) }
	add("Due", "", &a.DueAt)
	if !a.OriginalDueAt.Equal(a.DueAt) {
		add("Originally due", "", &a.OriginalDueAt)
	}
	owner := fact{Name: "Owner", Text: "Nobody", Link: query("assignee", nobody)}
	if u := r.dir.Users[model.Deref(a.AssignedTo)]; u != nil {
		owner.Text, owner.Link = u.Name, query("assignee", "%s", u.Code)
	}
	fs = append(fs, owner)
	if h := r.dir.Hospitals[a.HospitalID]; h != nil {
		fs = append(fs, fact{Name: "Hospital", Text: h.Name, Link: query("hospital", "%s", h.Code)})
		if d := r.dir.Departments[model.Deref(a.DepartmentID)]; d != nil {
			fs = append(fs, fact{Name: "Department", Text: d.Name, Link: query("department", "%s/%s", h.Code, d.Code)})
		}
	}
	add("Assigned", "", a.AssignedAt)
	if a.Status == model.StatusOpen {
		add("To be started by", "", a.AckDueAt)
	}
	add("Started", "", a.AckedAt)
	add("Source", label(a.SourceType), nil)
	add("Category", label(a.Category), nil)
	add("Received", "", &a.ReceivedAt)
	if !a.ClockStart.Equal(a.ReceivedAt) {
		add("Clock started", "", &a.ClockStart)
	}
	add("Escalation level", fmt.Sprint(a.EscalationLevel), nil)
	add("Last escalated", "", a.EscalatedAt)
	if a.Period > 1 {
		add("Period", fmt.Sprint(a.Period), nil)
	}
	add("On hold", "", a.HeldAt)
	add("Resumes", "", a.ResumeAt)
	if a.PausedSeconds > 0 {
		add("Paused for", span(time.Duration(a.PausedSeconds)*time.Second), nil)
	}
	by("Submitted", a.SubmittedBy, a.SubmittedAt)
	add("Approval due", "", a.ApprovalDueAt)
	by("Approved", a.ApprovedBy, a.ApprovedAt)
	by("Rejected", a.RejectedBy, a.RejectedAt)
	add("Reason for rejection", a.RejectionReason, nil)
	by("Closed", a.ClosedBy, a.ClosedAt)
	add("Action plan", a.ActionPlan, nil)
	add("Outcome", a.Outcome, nil)
	add("Root cause", a.RootCause, nil)
	by("Complainant informed", a.InformedBy, a.InformedAt)
	add("How", label(a.InformedHow), nil)
	add("Complainant not informed", a.NotInformed, nil)
	add("Legal hold", "", a.LegalHoldAt)
	add("Words erased", "", a.ErasedAt)
	add("Messages dropped", "", a.MessagesDroppedAt)
	add("Policy", policyName(a), nil)
	return fs
}

func policyName(a *model.Action) string {
	switch {
	case a.PolicyRevision == 0:
		return "Built-in"
	case a.SLAConfigID == nil:
		return fmt.Sprintf("Revision %d, built-in SLA config", a.PolicyRevision)
	default:
		return fmt.Sprintf("Revision %d", a.PolicyRevision)
	}
}

func (r *reader) logLine(l *model.ActionLog, at model.HospitalID) logLine {
	actor := r.user(l.CreatedBy)
	if l.CreatedBy == nil {
		actor = "px"
	}
	return logLine{
		Seq: l.Seq, At: r.moment(l.CreatedAt, at), Type: l.LogType, Actor: actor, Message: l.Message, Text: l.Text,
		Old: l.OldStatus, New: l.NewStatus, Erased: l.Text == "" && l.TextHash != nil,
	}
}

func (r *reader) eventLine(e *model.DeadlineEvent, at model.HospitalID) eventLine {
	return eventLine{
		Name: eventName(e.Kind, e.Stage), Period: e.Period, Planned: r.moment(e.Planned, at), Fired: r.moment(e.Fired, at),
		Late: span(time.Duration(e.LateS) * time.Second), OnTime: e.LateS == 0, Done: e.Done, Told: r.users(e.Told.V),
	}
}

func (r *reader) messageLine(m *model.Message, at model.HospitalID) messageLine {
	also := make([]string, len(m.Also.V))
	for i, reason := range m.Also.V {
		also[i] = strings.ToLower(label(reason))
	}
	why := m.LastError
	if m.State == model.MessageSuppressed {
		why = label(m.SuppressedReason)
	}
	return messageLine{
		At: r.moment(m.CreatedAt, at), Sent: r.optional(m.SentAt, at), Recipient: r.user(&m.RecipientID), Channel: m.Channel,
		Reason: m.Reason, Also: strings.Join(also, ", "), State: m.State, Attempts: m.Attempts, Why: why,
	}
}

func (r *reader) feedbackLine(f *model.Feedback, at model.HospitalID) feedbackLine {
	return feedbackLine{
		At: r.moment(f.ReceivedAt, at), System: f.SourceSystem, Event: f.EventID, Title: f.Title, Text: f.Text, Erased: f.ErasedAt != nil,
		Kind: f.Kind, Decision: f.Decision, Reason: f.Reason, Measure: measure(f),
	}
}

// measure says what was measured, in short.
func measure(f *model.Feedback) string {
	var parts []string
	if f.Score != nil {
		s := fmt.Sprintf("score %g", *f.Score)
		if f.ScoreMin != nil && f.ScoreMax != nil {
			s += fmt.Sprintf(" of %g–%g", *f.ScoreMin, *f.ScoreMax)
		}
		parts = append(parts, s)
	}
	if f.Sentiment != nil {
		parts = append(parts, fmt.Sprintf("sentiment %g", *f.Sentiment))
	}
	if f.KPIValue != nil && f.KPITarget != nil {
		parts = append(parts, fmt.Sprintf("%s %g, target %g", f.KPIName, *f.KPIValue, *f.KPITarget))
	}
	if f.Severity != "" {
		parts = append(parts, "sent as "+string(f.Severity))
	}
	return strings.Join(parts, ", ")
}
