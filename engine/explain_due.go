package engine

import (
	"fmt"
	"slices"
	"time"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
)

// configs tells which SLA configs could count.
func (p *prose) configs(e *Explanation) {
	p.say("The SLA config of the nearest place counts:")
	for _, c := range e.SLA.Candidates {
		of := ""
		switch c.Scope {
		case sla.ScopeDepartment:
			of = "of " + named(e.SLA.Department)
		case sla.ScopeHospital:
			of = "of " + named(&e.Hospital)
		case sla.ScopeGlobal:
			of = "for all hospitals"
		default:
			of = "built in"
		}
		name := fmt.Sprintf("%q, %s", c.Name, of)
		if c.Scope == sla.ScopeBuiltIn {
			name = "the built-in one"
		}
		switch {
		case c.Wins:
			name += ": this one counted."
		case !c.Active:
			name += ": switched off."
		default:
			name += "."
		}
		p.hang("   - ", name)
	}
	for _, c := range e.Changed {
		switch c.What {
		case "sla_config":
			p.say(fmt.Sprintf("Since then it has moved to the SLA config %q.", c.Now))
		case "severity":
			p.say(fmt.Sprintf("Its severity was %s at first and is %s now.", c.Was, c.Now))
		case "department":
			p.say(fmt.Sprintf("It began in %s and is in %s now.", orNone(c.Was), orNone(c.Now)))
		}
	}
}

func orNone(name string) string {
	if name == "" {
		return "no department"
	}
	return name
}

// due tells how the due follows from the target, interval by interval.
func (p *prose) due(d *DueReason) {
	counted := "Every hour counts, day and night."
	if d.Clock == sla.ClockOpen {
		counted = fmt.Sprintf("Only the open hours of the calendar %q count.", d.Calendar)
		if d.Zone != p.zone.String() {
			counted += fmt.Sprintf(" Its hours, below, are those of %s.", d.Zone)
		}
	}
	begin := "when the hospital received the feedback"
	switch {
	case d.Reopened:
		begin = "when the action was reopened"
	case !d.Start.Equal(d.Received):
		begin = "later than it was received"
	}
	target := length(d.Target)
	if d.Workdays > 0 {
		target = count(d.Workdays, "working day", "working days")
		counted = "Every day is one; the time of day stays."
		if d.Calendar != "" {
			counted = fmt.Sprintf("Those of the calendar %q count, from the day after the start on; the time of day stays.", d.Calendar)
		}
	}
	p.say(fmt.Sprintf("An action of %s severity gets %s. %s", d.Severity, target, counted),
		fmt.Sprintf("The clock started on %s, %s.", p.exactly(d.Start), begin))
	for _, s := range d.Pauses {
		p.say(p.pauseWords(&s, d))
	}
	switch {
	case d.Workdays > 0:
		p.workdays(d)
	case d.Clock == sla.ClockOpen:
		p.table(hourRows(p, d.Days, d.place(p.zone)), dayRow{dates: "Together", open: length(d.Target)})
	}
	for _, c := range d.Changes {
		way, by := "forward", c.By
		if by < 0 {
			way, by = "back", -by
		}
		p.say(fmt.Sprintf("On %s the clocks go %s by %s; what is counted is the time that really passes.", before(c.At, d.place(p.zone)), way, length(by)))
	}
	p.dueWords(d)
}

// place is the zone of the calendar that counts; around the clock, where people
// are.
func (d *DueReason) place(here *time.Location) *time.Location {
	if d.Zone == "" {
		return here
	}
	zone, err := time.LoadLocation(d.Zone)
	if err != nil {
		return here
	}
	return zone
}

func (p *prose) pauseWords(s *sla.PauseFinding, d *DueReason) string {
	words := fmt.Sprintf("The clock stood still from %s to %s", p.exactly(s.From), p.exactly(s.To))
	if d.WentOnAt != nil && d.WentOnAt.Equal(s.To) {
		words += ", when the action was reopened to go on with what was left"
	}
	switch {
	case !s.Moves:
		return words + "; the deadline had passed by then, so that moves nothing."
	case s.Seconds == 0:
		return words + ", in which no hour would have counted anyway."
	default:
		return words + fmt.Sprintf(": %s that do not count.", length(s.Seconds))
	}
}

// dueWords closes the count with what follows from it.
func (p *prose) dueWords(d *DueReason) {
	switch {
	case d.Manual && d.SetMove == string(model.MoveReject):
		p.say(fmt.Sprintf("By the target alone it would be due %s. Rejected on %s, it got the least time that a rejection leaves, and is due %s.",
			p.exactly(d.TargetDue), p.when(*d.SetAt), p.exactly(d.Due)))
	case d.Manual && d.SetMove == string(model.MoveReopen):
		p.say(fmt.Sprintf("By the target alone it would be due %s. Reopened on %s, it got the least time that a reopening leaves, and is due %s.",
			p.exactly(d.TargetDue), p.when(*d.SetAt), p.exactly(d.Due)))
	case d.Manual && d.SetAt != nil:
		by := "the program"
		if d.SetBy != nil {
			by = named(d.SetBy)
		}
		since := ""
		if slices.ContainsFunc(d.Pauses, func(s sla.PauseFinding) bool { return s.To.After(*d.SetAt) && s.From.Before(d.Due) && s.Seconds > 0 }) {
			since = ", and the clock stood still since"
		}
		p.say(fmt.Sprintf("By the target alone it would be due %s. On %s %s set it by hand%s; it is due %s.", p.exactly(d.TargetDue), p.when(*d.SetAt), by, since, p.exactly(d.Due)))
	case !d.Due.Equal(d.TargetDue):
		p.say(fmt.Sprintf("The target gives %s; recorded, and counting, is %s.", p.exactly(d.TargetDue), p.exactly(d.Due)))
	default:
		p.say(fmt.Sprintf("So it is due %s.", p.exactly(d.Due)))
	}
	if d.FirstDue != nil && !d.FirstDue.Equal(d.Due) && !d.FirstDue.Equal(d.TargetDue) {
		p.say(fmt.Sprintf("At first it was due %s; what moved it stands below.", p.exactly(*d.FirstDue)))
	}
}

// still tells of a clock that does not run.
func (p *prose) still(e *Explanation) {
	since := e.Due.Paused
	if since == nil {
		return
	}
	inTime := since.Before(e.Due.Due)
	switch {
	case !e.Status.Live() || e.Status == model.StatusApproved:
		verdict := "after the deadline"
		if inTime {
			verdict = "before the deadline"
		}
		p.say(fmt.Sprintf("The clock stopped on %s, %s.", p.exactly(*since), verdict))
	case !inTime:
		p.say(fmt.Sprintf("The clock stands still since %s. The deadline had passed by then, so that moves nothing.", p.when(*since)))
	case e.Status == model.StatusPendingApproval:
		p.say(fmt.Sprintf("The clock stands still since it was submitted on %s. If it is rejected, what passes meanwhile is added to the deadline.", p.when(*since)))
	default:
		p.say(fmt.Sprintf("The clock stands still since %s. Once it goes on, what passes meanwhile is added to the deadline.", p.when(*since)))
	}
}
