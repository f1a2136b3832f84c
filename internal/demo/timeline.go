package demo

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// columns is how wide the timeline may be.
	columns = 100
	// factColumns is what the facts of one line may take of it.
	factColumns = 48
	// holdFor is how long, in real time, events wait for earlier ones that are
	// committed later.
	holdFor = 400 * time.Millisecond
	// countEvery is how often the counters are shown, in real time.
	countEvery = 5 * time.Second
)

// Colors, as a terminal knows them.
const (
	plain   = ""
	bold    = "1"
	dim     = "2"
	red     = "31"
	green   = "32"
	yellow  = "33"
	blue    = "34"
	magenta = "35;1"
	cyan    = "36"
)

// timeline is the view for people: a few actions line by line, the others in
// counters.
type timeline struct {
	out     *bufio.Writer
	clk     clock
	color   bool
	cast    *cast
	counted time.Duration // when the counters were last shown
	held    []event       // not shown yet: an earlier one may still be on its way
}

func newTimeline(out io.Writer, clk clock, color bool) *timeline {
	return &timeline{out: bufio.NewWriter(out), clk: clk, color: color, cast: newCast()}
}

// paint colors a text when colors are wanted.
func (v *timeline) paint(color, s string) string {
	if !v.color || color == plain || strings.TrimSpace(s) == "" {
		return s
	}
	return "\x1b[" + color + "m" + s + "\x1b[0m"
}

func (v *timeline) printf(format string, args ...any) { _, _ = fmt.Fprintf(v.out, format, args...) }

func (v *timeline) begin(o opening) error {
	v.printf("\n%s  %s\n\n", v.paint(bold, "px demo"), v.paint(dim, "patient feedback becomes actions with deadlines"))
	v.printf("  %d events of %d source systems in %d hospitals come in within %s; the negative become actions.\n",
		o.Events, o.Sources, o.Hospitals, short(o.Sending))
	v.printf("  Simulated staff work some of them in time, some late and some never.\n")
	v.printf("  The clock runs %v times as fast: an hour takes %s. The demo ends after %s.\n\n",
		o.Speed, short(time.Duration(float64(time.Hour)/o.Speed)), short(o.For))
	v.printf("  actions and their stories  %s\n", v.paint(cyan, o.Pages+"/actions"))
	v.printf("  queues                     %s\n", v.paint(cyan, o.Pages+"/asynq"))
	v.printf("  intake, its API            %s\n\n", v.paint(cyan, o.Intake+"/docs"))
	v.printf("%s\n", v.paint(dim, fmt.Sprintf("%6s  %5s  %-14s  %-12s  %-*s %s", "real", "clock", "action", "what", factColumns, "(a few of the actions)", "lag")))
	return v.out.Flush()
}

func (v *timeline) show(p page) error {
	ran := v.clk.real(p.Tally.Now)
	for i := range p.Events {
		if v.cast.follows(&p.Events[i]) && p.Events[i].Kind != kindReplanned {
			v.held = append(v.held, p.Events[i])
		}
	}
	v.release(ran - holdFor)
	if ran >= v.counted+countEvery {
		v.counters(p.Tally)
	}
	return v.out.Flush()
}

// release shows what happened up to a time since the start.
func (v *timeline) release(until time.Duration) {
	slices.SortStableFunc(v.held, func(a, b event) int { return cmp.Compare(a.Ran, b.Ran) })
	n := 0
	for n < len(v.held) && v.held[n].Ran <= until {
		v.line(&v.held[n])
		n++
	}
	v.held = slices.Delete(v.held, 0, n)
}

// counters shows how the whole stands.
func (v *timeline) counters(t tally) {
	v.counted = v.clk.real(t.Now).Truncate(countEvery)
	var s strings.Builder
	s.WriteString(v.paint(dim, "──"))
	for _, c := range []struct {
		name  string
		n     int
		color string
	}{
		{"feedback", t.Feedback, plain}, {"ignored", t.Ignored, plain}, {"actions", t.Actions, plain}, {"open", t.Open, plain},
		{"overdue", t.Overdue, red}, {"escalated", t.Escalated, magenta}, {"closed", t.Closed, green}, {"messages", t.Messages, plain},
	} {
		s.WriteString(" " + v.paint(dim, c.name) + " " + v.paint(c.color, fmt.Sprint(c.n)))
	}
	v.printf("%s\n", s.String())
}

// line shows one event.
func (v *timeline) line(e *event) {
	name, color := label(e)
	facts := clip(v.facts(e), factColumns)
	late := ""
	if e.LateS != nil {
		late = fmt.Sprintf("+%.1fs", v.lag(e).Seconds())
	}
	pad := strings.Repeat(" ", factColumns-utf8.RuneCountInString(facts))
	v.printf("%s\n", strings.TrimRight(fmt.Sprintf("%s  %s  %s  %s  %s%s %s",
		v.paint(dim, fmt.Sprintf("%5.1fs", e.Ran.Seconds())), e.At.Format("15:04"), v.paint(v.shade(e), fmt.Sprintf("%-14s", e.action.Ref)),
		v.paint(color, fmt.Sprintf("%-12s", name)), facts, pad, v.paint(dim, late)), " "))
}

// lag is how late the program was. What was past when the action came in was
// taken at once.
func (v *timeline) lag(e *event) time.Duration { return max(0, min(e.late, e.Ran-e.action.made)) }

// shade gives each followed action a color of its own, as far as they reach.
func (v *timeline) shade(e *event) string {
	shades := []string{"37;1", cyan, "33", "35", "36;1", "34;1", "32", "33;1", "35;1"}
	return shades[v.cast.chosen[e.action.ID]%len(shades)]
}

// label is what a line calls its event, and in which color.
func label(e *event) (name, color string) {
	switch e.Kind {
	case kindCreated:
		return "created", cyan
	case kindAssigned:
		return "assigned", blue
	case kindReminder:
		return "reminder", yellow
	case kindAckMissed:
		return "not started", yellow
	case kindOverdue, kindApproval:
		return "overdue", red
	case kindEscalation:
		return fmt.Sprintf("escalation %d", e.Stage), magenta
	case kindRejected:
		return "rejected", yellow
	case kindApproved:
		return "approved", green
	case kindClosed:
		return "closed", green + ";1"
	default:
		return strings.ReplaceAll(string(e.Kind), "_", " "), plain
	}
}

// facts says in one phrase what a line is about.
func (v *timeline) facts(e *event) string {
	a := e.action
	switch e.Kind {
	case kindCreated:
		source := strings.ReplaceAll(string(a.SourceType), "_", " ")
		what := []string{string(a.Severity) + " " + source, a.place, due(e)}
		return list(slices.DeleteFunc(what, func(s string) bool { return s == "" }))
	case kindAssigned:
		if a.rule == "" {
			return "to " + list(e.To)
		}
		to := "to " + list(e.To) + ", by rule "
		return to + `"` + clip(a.rule, max(1, factColumns-utf8.RuneCountInString(to)-2)) + `"`
	case kindMerged:
		return "joined by what " + e.Source + " sent"
	case kindAckMissed, kindReminder, kindOverdue, kindEscalation, kindApproval:
		return told(e)
	case kindSubmitted:
		return "by " + e.By + " for approval"
	case kindRejected:
		return "by " + e.By + ", new deadline " + e.action.due.Format("15:04")
	case kindClosed:
		return "by " + e.By + ", " + distance(e)
	default:
		if e.By == "" {
			return ""
		}
		return "by " + e.By
	}
}

func told(e *event) string {
	switch e.Done {
	case "silent":
		return "passed over, the next one tells"
	case "superseded":
		return "settled by the next move, nobody told"
	case "untargeted":
		return "nobody left to tell but " + list(e.To)
	}
	if e.Kind == kindReminder {
		return list(e.To) + ": " + hours(e.Due.Sub(e.At)) + " left"
	}
	return "told " + list(e.To)
}

func due(e *event) string {
	if e.Due.Before(e.At) {
		return "was due " + hours(e.At.Sub(e.Due)) + " ago"
	}
	return "due " + e.Due.Format("15:04")
}

// distance is how far from its deadline an action was closed.
func distance(e *event) string {
	if e.At.After(e.Due) {
		return hours(e.At.Sub(e.Due)) + " after its deadline"
	}
	return hours(e.Due.Sub(e.At)) + " before its deadline"
}

// hours writes a span of domain time: 1h05, 25 min, 2d 03h.
func hours(d time.Duration) string {
	m := int(d.Round(time.Minute) / time.Minute)
	switch {
	case m >= 24*60:
		return fmt.Sprintf("%dd %02dh", m/(24*60), m/60%24)
	case m >= 60:
		return fmt.Sprintf("%dh%02d", m/60, m%60)
	default:
		return fmt.Sprintf("%d min", m)
	}
}

// short writes a span of real time.
func short(d time.Duration) string {
	if d >= time.Minute && d%time.Minute == 0 {
		return fmt.Sprintf("%d min", int(d.Minutes()))
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", d.Seconds()), ".0") + " s"
}

// list joins words.
func list(words []string) string { return strings.Join(words, ", ") }

// clip cuts a text to n characters.
func clip(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}

func (v *timeline) end(s summary) error {
	row := func(color, name string, n any, note string) {
		v.printf("%s\n", strings.TrimRight(fmt.Sprintf("  %-12s %s   %s", name, v.paint(color, fmt.Sprintf("%6v", n)), v.paint(dim, note)), " "))
	}
	v.release(math.MaxInt64)
	title := fmt.Sprintf("── %s, %s by the clock ", short(s.Took.Round(time.Second)), hours(s.Domain))
	v.printf("\n%s\n\n", v.paint(bold, title+strings.Repeat("─", columns-utf8.RuneCountInString(title))))
	row(bold, "feedback", s.Feedback, fmt.Sprintf("of %d events sent: %d duplicates, %d changed, %d refused", s.Sent, s.Duplicates, s.Changed, s.Refused))
	if s.Lost > 0 {
		row(red, "lost", s.Lost, "events without an answer")
	}
	if s.Quarantined > 0 {
		row(plain, "quarantined", s.Quarantined, "")
	}
	row(plain, "ignored", s.Ignored, "not bad, praise, or history")
	row(plain, "merged", s.Merged, "into an action of the same patient")
	row(bold, "actions", s.Actions, fmt.Sprintf("%d still open, of which %d overdue, %d escalated", s.Open, s.Overdue, s.Escalated))
	row(yellow, "not started", s.AckMissed, "in time")
	row(yellow, "reminders", s.Reminders, "")
	row(red, "overdue", s.Overdues, "")
	row(magenta, "escalations", s.Escalations, fmt.Sprintf("stage 1: %d, stage 2: %d, stage 3: %d", s.Stage1, s.Stage2, s.Stage3))
	row(plain, "messages", s.Messages, "sent")
	row(green, "closed", s.Closed, "")
	row(plain, "lateness", s.Late.N, fmt.Sprintf("deadline events, real time: p50 %.2f s, p99 %.2f s, max %.2f s", s.Late.P50.Seconds(), s.Late.P99.Seconds(), s.Late.Max.Seconds()))
	color, note := green, "every invariant holds, as px verify checks them"
	if s.Violations > 0 {
		color, note = red, "of the invariants that px verify checks"
	}
	row(color, "violations", s.Violations, note)
	v.printf("\n")
	return v.out.Flush()
}
