package engine

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
)

// prose writes sections of wrapped sentences, with times as the clocks of one
// place show them.
type prose struct {
	out  strings.Builder
	zone *time.Location
	year int // that dates need not name
}

// proseWidth is the longest line, in characters.
const proseWidth = 96

func newProse(zone string, now time.Time) *prose {
	loc, err := time.LoadLocation(zone)
	if err != nil {
		loc = time.UTC
	}
	return &prose{zone: loc, year: now.In(loc).Year()}
}

func (p *prose) head(title string) { fmt.Fprintf(&p.out, "\n%s\n", title) }

// say writes a paragraph: sentences that are empty are left out.
func (p *prose) say(sentences ...string) { p.hang("  ", sentences...) }

// hang writes a paragraph behind a mark, its lines below each other.
func (p *prose) hang(mark string, sentences ...string) {
	var words []string
	for _, s := range sentences {
		words = append(words, strings.Fields(s)...)
	}
	if len(words) == 0 {
		return
	}
	indent := strings.Repeat(" ", utf8.RuneCountInString(mark))
	p.out.WriteString(mark)
	column := len(indent)
	for i, w := range words {
		n := utf8.RuneCountInString(w)
		switch {
		case i == 0:
		case column+1+n > proseWidth:
			p.out.WriteString("\n" + indent)
			column = len(indent)
		default:
			p.out.WriteByte(' ')
			column++
		}
		p.out.WriteString(w)
		column += n
	}
	p.out.WriteByte('\n')
}

// when writes an instant to the minute: Mon 2 Mar, 11:00.
func (p *prose) when(at time.Time) string {
	at = at.In(p.zone)
	if at.Year() != p.year {
		return at.Format("Mon 2 Jan 2006, 15:04")
	}
	return at.Format("Mon 2 Jan, 15:04")
}

// exactly is when, with the seconds where there are any.
func (p *prose) exactly(at time.Time) string {
	if at.Second() == 0 {
		return p.when(at)
	}
	return p.when(at) + at.Format(":05")
}

// before writes an instant as the clocks show it that are about to be changed.
func before(change time.Time, zone *time.Location) string {
	_, offset := change.Add(-time.Second).In(zone).Zone()
	return change.UTC().Add(time.Duration(offset) * time.Second).Format("Mon 2 Jan 2006, 15:04")
}

// day writes a date as the calendar has it: Mon 2 Mar.
func (p *prose) day(date string) string {
	d, err := time.Parse(time.DateOnly, date)
	switch {
	case err != nil:
		return date
	case d.Year() != p.year:
		return d.Format("Mon 2 Jan 2006")
	default:
		return d.Format("Mon 2 Jan")
	}
}

// clock writes a time of day, with the seconds where there are any.
func clock(at time.Time) string {
	if at.Second() != 0 {
		return at.Format("15:04:05")
	}
	return at.Format("15:04")
}

// length writes a length of time whole: 72 h, 3 h 30 min, 4 h 59 min 30 s.
func length(seconds int64) string {
	var parts []string
	for _, u := range []struct {
		name string
		size int64
	}{{"h", 3600}, {"min", 60}, {"s", 1}} {
		if n := seconds / u.size; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, u.name))
			seconds %= u.size
		}
	}
	if len(parts) == 0 {
		return "0 s"
	}
	return strings.Join(parts, " ")
}

// number writes a value without needless digits.
func number(x float64) string {
	return strings.Replace(strconv.FormatFloat(x, 'f', -1, 64), "-", "−", 1)
}

// percent writes a per cent to at most one digit after the point.
func percent(x float64) string {
	s := strconv.FormatFloat(x, 'f', 1, 64)
	return strings.Replace(strings.TrimSuffix(s, ".0"), "-", "−", 1) + " %"
}

// count writes 1 rule, 2 rules.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func ordinaryList(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

// plain writes a code for people: service_quality is service quality.
func plain[T ~string](code T) string {
	if code == T(model.SourceKPI) {
		return "KPI"
	}
	return strings.ReplaceAll(string(code), "_", " ")
}

// named writes a person or a place. Names from the right are kept apart from
// what stands around them.
func named(n *Named) string {
	if n == nil {
		return "nobody"
	}
	const isolate, end = "\u2068", "\u2069"
	if strings.ContainsFunc(n.Name, func(r rune) bool { return unicode.In(r, unicode.Arabic, unicode.Hebrew) }) {
		return isolate + n.Name + end
	}
	return n.Name
}

// person is named with the code, by which px knows them.
func person(n *Named) string {
	if n == nil || n.Code == n.Name {
		return named(n)
	}
	return fmt.Sprintf("%s (%s)", named(n), n.Code)
}

func people(ns []Named) string {
	words := make([]string, len(ns))
	for i := range ns {
		words[i] = named(&ns[i])
	}
	return ordinaryList(words)
}

// sourceWords is what came in, at the beginning of a sentence.
func sourceWords(f *FeedbackReason) string {
	switch f.Source {
	case "":
		return "Feedback"
	case model.SourceSurvey:
		if f.Survey != nil {
			return fmt.Sprintf("An answer to the survey %q", f.Survey.Name)
		}
		return "An answer to a survey"
	case model.SourceKPI:
		if f.KPI != "" {
			return fmt.Sprintf("The KPI %q", f.KPI)
		}
		return "A KPI"
	case model.SourceComplaint:
		return "A complaint"
	case model.SourceComplaintResolution:
		return "A rating of how a complaint was settled"
	case model.SourceSocialMedia:
		return "A post on social media"
	case model.SourceCallCenter:
		return "A rating from the call centre"
	case model.SourceManual:
		return "An entry by hand"
	case model.SourceRounds:
		return "A finding of rounds"
	case model.SourceStaffFeedback:
		return "Feedback from staff"
	case model.SourcePatientObservation:
		return "An observation of a patient"
	case model.SourceQualityAudit:
		return "A finding of a quality audit"
	default:
		return "A point from the " + plain(f.Source)
	}
}

// comingWords names an event of the plan.
func comingWords(kind model.EventKind, stage int) string {
	switch kind {
	case model.EventReminder:
		return fmt.Sprintf("Reminder %d", stage)
	case model.EventOverdue:
		return "Overdue: the deadline passes"
	case model.EventEscalation:
		return fmt.Sprintf("Escalation, stage %d", stage)
	case model.EventResume:
		return "The hold ends and the clock goes on"
	case model.EventApprovalReminder:
		return "Reminder to approve"
	case model.EventApprovalOverdue:
		return "The approval is overdue"
	case model.EventAck:
		return "The work is to have been started"
	default:
		return plain(kind)
	}
}

// conditionWords says of one condition what a rule wants and what was there.
func conditionWords(m sla.Mismatch) string {
	want, have := plain(m.Want), plain(m.Have)
	if m.Condition == "department" {
		want, have = m.Want, m.Have
	}
	if have == "" {
		have = "none"
	}
	return fmt.Sprintf("%s %s (here: %s)", plain(m.Condition), want, have)
}
