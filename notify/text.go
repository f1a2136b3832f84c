package notify

import (
	"embed"
	"fmt"
	"strings"
	"text/template"
	"time"
	_ "time/tzdata" // zones of recipients must be known on every machine

	"github.com/pxactions/px/model"
)

//go:embed templates/*.tmpl
var templates embed.FS

// Text is a letter in words.
type Text struct {
	Subject string // one line
	Body    string // plain text
}

// Render gives the words of a letter as email has them, for pages that show a
// message. An error is a fault of the program's own templates.
func Render(l Letter) (Text, error) {
	t, err := newTexts()
	if err != nil {
		return Text{}, err
	}
	return t.render(l)
}

// texts holds one parsed template per reason.
type texts map[model.Reason]*template.Template

// reasons lists every reason that has a template.
func reasons() []model.Reason {
	return []model.Reason{
		model.ReasonAssigned, model.ReasonReassigned, model.ReasonRaised, model.ReasonReminder, model.ReasonOverdue,
		model.ReasonEscalation, model.ReasonSubmitted, model.ReasonApprovalReminder, model.ReasonApprovalOverdue, model.ReasonApproved,
		model.ReasonRejected, model.ReasonReopened, model.ReasonClosed, model.ReasonCancelled,
		model.ReasonPlanChange, model.ReasonAckMissed,
		model.ReasonRevised, model.ReasonRetracted,
	}
}

// newTexts parses the templates. layout.tmpl has subject and body, each reason's file the headline and text in them.
func newTexts() (texts, error) {
	all := texts{}
	for _, r := range reasons() {
		t, err := template.New(string(r)).Option("missingkey=error").
			ParseFS(templates, "templates/layout.tmpl", "templates/"+string(r)+".tmpl")
		if err != nil {
			return nil, fmt.Errorf("parse the texts for %s: %w", r, err)
		}
		all[r] = t
	}
	return all, nil
}

func (t texts) render(l Letter) (Text, error) {
	tmpl, ok := t[l.Reason]
	if !ok {
		return Text{}, fmt.Errorf("no text for reason %q", l.Reason)
	}
	v := viewOf(l)
	var subject, body strings.Builder
	if err := tmpl.ExecuteTemplate(&subject, "subject", v); err != nil {
		return Text{}, fmt.Errorf("render subject: %w", err)
	}
	if err := tmpl.ExecuteTemplate(&body, "body", v); err != nil {
		return Text{}, fmt.Errorf("render body: %w", err)
	}
	return Text{Subject: oneLine(subject.String(), maxSubject), Body: body.String()}, nil
}

// maxSubject and maxLine bound what names of a directory may take.
const (
	maxSubject = 240
	maxLine    = 200
)

// view is what the templates see: words, ready to print.
type view struct {
	Name, Ref, Category, Place, Where, Severity, Priority, Status string
	Due, Late, Next, Also, Link                                   string // empty: no such line
	Stage                                                         int
	Copy                                                          bool
	StandsInFor                                                   string // empty: nobody
}

func viewOf(l Letter) view {
	zone := zoneOf(l.Recipient.Zone)
	f := l.Facts
	v := view{
		Name: oneLine(l.Recipient.Name, maxLine), Ref: oneLine(f.Ref, maxLine), Category: words(f.Category),
		Severity: words(f.Severity), Priority: words(f.Priority), Status: words(f.Status),
		Due: clockTime(f.DueAt, zone), Late: late(f.LateS), Link: l.Link, Stage: f.Stage, Copy: f.Copy, StandsInFor: oneLine(f.StandsInFor, maxLine),
	}
	hospital, department := oneLine(f.Hospital, maxLine), oneLine(f.Department, maxLine)
	v.Place, v.Where = hospital, hospital
	if department != "" {
		v.Place, v.Where = department+", "+hospital, department
	}
	if f.NextAt != nil {
		v.Next = nextWords(f.NextKind) + ", " + clockTime(*f.NextAt, zone)
	}
	also := make([]string, len(l.Also))
	for i, r := range l.Also {
		also[i] = words(r)
	}
	v.Also = strings.Join(also, ", ")
	return v
}

// words makes a name of the program readable: "service_quality" is "service quality".
func words[T ~string](v T) string { return oneLine(strings.ReplaceAll(string(v), "_", " "), maxLine) }

// nextWords says what a kind of event is to the person it comes for.
func nextWords(k model.EventKind) string {
	switch k {
	case model.EventOverdue:
		return "deadline"
	case model.EventAck:
		return "to be started"
	case model.EventResume:
		return "end of the hold"
	case model.EventApprovalReminder:
		return "reminder of the approval"
	case model.EventApprovalOverdue:
		return "approval due"
	default:
		return words(k)
	}
}

// zoneOf is the named zone, or UTC.
func zoneOf(name string) *time.Location {
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return time.UTC
	}
	return zone
}

// clockTime is an instant as a clock on the wall shows it, with its zone; "" for the zero time.
func clockTime(t time.Time, zone *time.Location) string {
	if t.IsZero() {
		return ""
	}
	return t.In(zone).Format("Mon 2 Jan 2006 15:04") + " (" + zone.String() + ")"
}

// late says a lateness in its two largest units; "" below a minute, which nobody needs to be told.
func late(seconds int64) string {
	m := seconds / 60
	days, hours, minutes := m/(24*60), m/60%24, m%60
	switch {
	case m < 1:
		return ""
	case days > 0:
		return fmt.Sprintf("%d d %d h", days, hours)
	case hours > 0:
		return fmt.Sprintf("%d h %d min", hours, minutes)
	default:
		return fmt.Sprintf("%d min", minutes)
	}
}

// oneLine folds all white space and other control characters into single spaces and cuts at limit runes.
func oneLine(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	runes := []rune(strings.Join(strings.Fields(s), " "))
	if len(runes) <= limit {
		return string(runes)
	}
	return string(runes[:limit-1]) + "…"
}
