package engine

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
)

// Text tells the explanation in words, with times in the hospital's zone.
func (e *Explanation) Text() string {
	p := newProse(e.Zone, e.At)
	place := named(&e.Hospital)
	if e.Department != nil {
		place = named(e.Department) + ", " + place
	}
	p.hang("", fmt.Sprintf("%s: %s, %s severity, %s.", e.Ref, plain(e.Status), e.Severity, place))
	p.hang("", fmt.Sprintf("Owner: %s.", person(e.Owner)), "Due "+p.exactly(e.Due.Due)+".", overdueWords(e))
	p.hang("", p.standing(e.Zone, e.At))
	if len(e.Readers) > 0 {
		p.hang("", "The action is restricted: only people with one of the roles "+roleNames(e.Readers)+" may own it or hear of it.")
	}
	if e.Shadow {
		p.hang("", "The action is in shadow mode: everything is noted, and nobody is told anything.")
	}
	p.head("WHY IS THERE AN ACTION?")
	if e.Feedback == nil {
		p.say("It was made by hand, without feedback.")
	} else {
		p.trigger(e.Feedback)
	}
	for _, m := range e.Merged {
		p.say(fmt.Sprintf("What %s sent of the same patient on %s (event %s) was merged into it.", m.System, p.when(m.Received), m.EventID))
	}
	if len(e.Linked) > 0 {
		p.say("Of the same patient and department, and linked to it: " + strings.Join(e.Linked, ", ") + ".")
	}
	p.say(policyWords(p, e.Policy))
	p.head("WHO GETS IT?")
	p.routing(&e.Routing)
	p.say(ownerWords(e), laterOwnerWords(e))
	p.head("BY WHEN?")
	p.configs(e)
	p.due(&e.Due)
	p.still(e)
	p.head("WHAT HAS HAPPENED")
	p.happened(e)
	p.head("WHAT COMES NEXT, IF NOBODY ACTS")
	p.next(e)
	return p.out.String()
}

// Text tells the explanation in words, with times in the hospital's zone.
func (e *FeedbackExplanation) Text() string {
	p := newProse(e.Zone, e.At)
	f := &e.Feedback
	at := ""
	if e.Hospital != nil {
		at = ", for " + named(e.Hospital)
	}
	p.hang("", fmt.Sprintf("Feedback %s%s.", f.ID, at))
	p.hang("", p.standing(e.Zone, e.At))
	p.head("WHAT CAME IN, AND HOW IT IS JUDGED")
	p.trigger(f)
	p.head("WHAT WAS DECIDED")
	when := ""
	if f.DecidedAt != nil {
		when = " on " + p.when(*f.DecidedAt)
	}
	switch f.Decision {
	case model.DecisionCreated:
		p.say(fmt.Sprintf("Action %s was made of it%s; it is %s.", e.Action, when, plain(e.Status)), "px explain "+e.Action+" tells the rest.")
	case model.DecisionMerged:
		p.say(fmt.Sprintf("It was merged into action %s%s, which tells of the same matter; that action is %s.", e.Action, when, plain(e.Status)), reasonWords(f.Reason),
			"px explain "+e.Action+" tells the rest.")
	case model.DecisionIgnored:
		p.say(fmt.Sprintf("It was ignored%s: no action was made.", when), ignoredWords(f), wouldWords(f.Would))
	case model.DecisionQuarantined:
		p.say(fmt.Sprintf("It was set aside%s, for somebody to look at.", when), reasonWords(f.Reason), remedyWords(f.Reason))
	default:
		p.say("Nothing yet: it waits to be decided, which takes seconds. Were it decided by the policy of now, what stands above would hold.")
	}
	if e.Policy != nil {
		p.say(policyWords(p, *e.Policy))
	}
	return p.out.String()
}

// standing says of what place and instant the times and the words are.
func (p *prose) standing(zone string, at time.Time) string {
	return fmt.Sprintf("Times are those of %s. Explained %s.", zone, at.In(p.zone).Format("Mon 2 Jan 2006, 15:04"))
}

func roleNames(roles []model.Role) string {
	names := make([]string, len(roles))
	for i, r := range roles {
		names[i] = string(r)
	}
	return strings.Join(names, ", ")
}

func overdueWords(e *Explanation) string {
	switch {
	case !e.Overdue:
		return ""
	case !e.Status.Live():
		return "It was overdue when it ended."
	default:
		return "It is overdue."
	}
}

// ignoredWords gives the reason, unless what the trigger said is all of it.
func ignoredWords(f *FeedbackReason) string {
	if f.Reason == f.Trigger.Reason {
		return ""
	}
	return reasonWords(f.Reason)
}

func wouldWords(w *WouldBe) string {
	switch {
	case w == nil:
		return ""
	case w.Decision == model.DecisionCreated:
		return fmt.Sprintf("Live, it would have become an action of %s severity. %s", w.Severity, reasonWords(w.Reason))
	default:
		return fmt.Sprintf("Live, it would have been %s all the same. %s", w.Decision, reasonWords(w.Reason))
	}
}

// remedyWords says what brings a quarantined feedback back.
func remedyWords(reason string) string {
	if strings.HasPrefix(reason, "unmapped:") || strings.HasSuffix(reason, "_unknown") {
		return "Add the name that the source uses as an alias (px directory apply), then run px feedback replay."
	}
	if reason == "failed" {
		return "Once the cause is mended, px feedback replay decides it."
	}
	return "Its sender is to correct it and send it again under the same event id; that replaces it."
}

func policyWords(p *prose, r PolicyReason) string {
	s := "It was decided by the built-in policy."
	if r.Revision > 0 {
		s = fmt.Sprintf("It was decided by revision %d of the policy", r.Revision)
		if r.AppliedAt != nil {
			s += fmt.Sprintf(", which %s applied on %s", r.AppliedBy, p.when(*r.AppliedAt))
		}
		s += "."
	}
	if r.Active != r.Revision {
		s += fmt.Sprintf(" Revision %d is active now; what was decided before stands.", r.Active)
	}
	return s
}

// shownRules is how many rules before the one that fits are told in words.
const shownRules = 20

func (p *prose) routing(r *RoutingReason) {
	if len(r.Tried) == 0 {
		p.say("The policy had no routing rules for " + named(&r.Hospital) + ".")
	} else {
		p.say("Routing rules are tried from the highest priority down. The first that fits decides.")
	}
	skipped := 0
	if len(r.Tried) > shownRules {
		skipped = len(r.Tried) - shownRules
		p.say(fmt.Sprintf("(%s before these did not fit either.)", count(skipped, "rule", "rules")))
	}
	for i, t := range r.Tried[skipped:] {
		verdict := "fits."
		if !t.Fits {
			wants := make([]string, len(t.Fails))
			for j, m := range t.Fails {
				wants[j] = conditionWords(m)
			}
			verdict = "does not fit; it is for " + ordinaryList(wants) + "."
		}
		p.hang(fmt.Sprintf("  %2d. ", skipped+i+1), fmt.Sprintf("%q, priority %d: %s", t.Name, t.Prio, verdict))
	}
	var left []string
	for _, l := range []struct {
		n    int
		what string
	}{{r.After, "after it"}, {r.Others, "for other hospitals"}, {r.Inactive, "switched off"}} {
		if l.n > 0 {
			left = append(left, fmt.Sprintf("%d %s", l.n, l.what))
		}
	}
	if len(left) > 0 {
		p.say("Not tried: " + ordinaryList(left) + ".")
	}
	p.say(assignsWords(r))
	if r.Differs {
		p.say(fmt.Sprintf("Recorded then was the rule %q; that counted.", r.Recorded))
	}
}

// assignsWords says to whom the rule that fits gives an action.
func assignsWords(r *RoutingReason) string {
	if r.Fit == "" {
		return "No rule fits, so it stays in its department."
	}
	var to []string
	if r.User != nil {
		to = append(to, person(r.User))
	}
	if r.Role != "" {
		to = append(to, "a holder of the role "+string(r.Role))
	}
	s := fmt.Sprintf("The rule %q", r.Fit)
	switch {
	case len(to) == 0 && r.Into == nil:
		return s + " names nobody."
	case r.Into != nil:
		if r.Department != nil && *r.Department == *r.Into {
			s += " leaves it with " + named(r.Into)
		} else {
			s += " moves it to " + named(r.Into)
		}
		if len(to) > 0 {
			s += " and gives it to " + strings.Join(to, ", else to ")
		}
	default:
		s += " gives it to " + strings.Join(to, ", else to ")
	}
	return s + "."
}

// ownerWords says why the first owner became it.
func ownerWords(e *Explanation) string {
	o, place := &e.Assigned, "the department"
	if e.SLA.Department != nil {
		place = named(e.SLA.Department)
	}
	if o.Owner == nil {
		return "Nobody in the directory could take it: no holder of a role, no manager, no PX Admin and no Executive. It has no owner until somebody assigns it."
	}
	who := person(o.Owner)
	var s string
	switch o.By {
	case sla.ByUser:
		s = who + " is whom the rule names."
		if o.For != nil {
			s = fmt.Sprintf("%s stands in for %s, who was away or has left.", who, person(o.For))
		}
	case sla.ByRole:
		s = choiceWords(o, who, place, &e.Hospital)
		if o.Passed != "" {
			s = fmt.Sprintf("In %s everybody with the role %s had as many open actions as the policy lets one have. %s", place, o.Role, s)
		}
	case sla.ByManager:
		s = fmt.Sprintf("%s%s manages %s.", fallback(&e.Routing), who, place)
		if o.For != nil {
			s = fmt.Sprintf("%s%s stands in for %s, who manages %s and was away or has left.", fallback(&e.Routing), who, person(o.For), place)
		}
	case sla.ByPXAdmin, sla.ByExecutive, sla.ByGlobalAdmin:
		s = fallback(&e.Routing) + "There was no manager who could take it. " + choiceWords(o, who, place, &e.Hospital)
	default:
		return who + " was the first owner."
	}
	return s
}

// laterOwnerWords says whose the action is now, if not the first owner's.
func laterOwnerWords(e *Explanation) string {
	if e.Owner != nil && e.Assigned.Owner != nil && e.Owner.Code != e.Assigned.Owner.Code {
		return fmt.Sprintf("Since then it has passed to %s.", person(e.Owner))
	}
	return ""
}

// fallback says that the rule led to nobody, where there was one to lead.
func fallback(r *RoutingReason) string {
	if r.User == nil && r.Role == "" {
		return ""
	}
	return "Nobody whom the rule means could take it. "
}

func choiceWords(o *OwnerReason, who, place string, hospital *Named) string {
	switch o.At {
	case sla.AtHospital:
		place = named(hospital)
	case sla.AtGroup:
		place = "the whole group"
	}
	role := string(o.Role)
	switch {
	case o.At == "":
		return fmt.Sprintf("%s had the role %s and the fewest open actions.", who, role)
	case o.StandsIn:
		return fmt.Sprintf("No %s of %s was there; %s stands in.", role, place, who)
	case o.Of == 1:
		return fmt.Sprintf("%s was the only %s of %s who could take it.", who, role, place)
	}
	s := fmt.Sprintf("Of the %d with the role %s in %s", o.Of, role, place)
	live := ""
	if o.Live != nil {
		live = fmt.Sprintf(" (%d)", *o.Live)
	}
	switch {
	case o.Tied == o.Of:
		return fmt.Sprintf("The %d with the role %s in %s had equally few open actions%s; of them, it was the turn of %s.", o.Of, role, place, live, who)
	case o.Tied > 1:
		return fmt.Sprintf("%s, %d had the fewest open actions%s; of these, it was the turn of %s.", s, o.Tied, live, who)
	}
	return fmt.Sprintf("%s, %s had the fewest open actions%s.", s, who, live)
}

// recordedTimes are the instants that the story's sentences hold.
var recordedTimes = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d UTC`)

// risen is how those sentences tell that everything of a plan applies again.
var risen = regexp.MustCompile(`period \d+`)

func (p *prose) happened(e *Explanation) {
	const column = 20
	for i := range e.Happened {
		h := &e.Happened[i]
		what := recordedTimes.ReplaceAllStringFunc(h.What, func(s string) string {
			at, err := time.Parse("2006-01-02 15:04 MST", s)
			if err != nil {
				return s
			}
			return p.when(at)
		})
		what = risen.ReplaceAllString(what, "a new period begins, in which reminders and stages come again")
		for _, code := range slices.Sorted(maps.Keys(h.People)) {
			name := h.People[code]
			what = regexp.MustCompile(`(^|[ ,])`+regexp.QuoteMeta(code)+`($|[ ,;])`).ReplaceAllString(what, "${1}"+strings.ReplaceAll(named(&Named{code, name}), "$", "$$")+"${2}")
		}
		if h.By != nil {
			what += ", by " + named(h.By)
		}
		p.hang(fmt.Sprintf("  %-*s", column, p.when(h.At)), what+".")
	}
	var states []string
	for _, s := range []struct {
		state model.MessageState
		words string
	}{
		{model.MessageSent, "delivered"},
		{model.MessagePending, "still to be sent"},
		{model.MessageSending, "being sent"},
		{model.MessageFailed, "could not be delivered"},
		{model.MessageSuppressed, "not sent on purpose"},
	} {
		if n := e.Messages[string(s.state)]; n > 0 {
			states = append(states, fmt.Sprintf("%d %s", n, s.words))
		}
	}
	if len(states) > 0 {
		p.say("Messages: " + ordinaryList(states) + ".")
	}
}

func (p *prose) next(e *Explanation) {
	if e.Idle != "" {
		p.say(e.Idle)
	}
	for i := range e.Next {
		c := &e.Next[i]
		what := comingWords(c.Kind, c.Stage)
		switch {
		case e.Shadow:
		case len(c.Tells) > 0:
			what += "; tells " + people(c.Tells)
			if len(c.Copies) > 0 {
				what += ", with a copy to " + people(c.Copies)
			}
		case len(c.Copies) > 0:
			what += "; there is nobody to tell but " + people(c.Copies)
		}
		late := ""
		if c.At.Before(e.At) {
			late = "It is late and comes at any moment."
		}
		p.hang(fmt.Sprintf("  %-20s", p.when(c.At)), what+".", late)
	}
}
