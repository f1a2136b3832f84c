package engine

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
)

// trigger tells what came in, how it was judged, and how severe it is.
func (p *prose) trigger(f *FeedbackReason) {
	verb := "came from"
	if f.Source == model.SourceKPI {
		verb = "was reported by"
	}
	p.say(fmt.Sprintf("%s %s %s on %s (event %s).", sourceWords(f), verb, f.System, p.when(f.ReceivedAt), f.EventID))
	t := &f.Trigger
	p.say(measureWords(t), ruleWords(t), turnWords(t))
	if t.Severity != "" {
		p.say(severityWords(t))
	}
	if f.RevisedAt != nil {
		p.say(fmt.Sprintf("Its source has revised it, the last time on %s (revision %d); this judges what it says now.", p.when(*f.RevisedAt), f.Revision))
	}
	if f.Retracted != nil {
		p.say(fmt.Sprintf("Its source took it back on %s: %s.", p.when(*f.Retracted), strings.ReplaceAll(f.RetractWhy, "_", " ")))
	}
	if f.Differs {
		p.say(fmt.Sprintf("What was recorded then is %q, severity aside; judged again today it comes out otherwise, because the directory has changed since (a survey's scale, for instance), or words were erased. What was recorded counts.", reasonWords(f.Reason)))
	}
}

// measureWords says what was measured.
func measureWords(t *sla.TriggerFinding) string {
	switch {
	case t.Value == nil:
		return ""
	case t.Measure == sla.MeasureScore:
		s := "It scored " + number(*t.Value)
		if sc := t.Scale; sc != nil && sc.Min != nil && sc.Max != nil {
			s += fmt.Sprintf(" on a scale from %s to %s", number(*sc.Min), number(*sc.Max))
			switch sc.Better {
			case model.BetterHigh:
				s += ", where high is good"
			case model.BetterLow:
				s += ", where low is good"
			}
		}
		if t.Percent != nil {
			return s + fmt.Sprintf(": %s of the way from the worst end to the best.", percent(*t.Percent))
		}
		return s + "."
	case t.Measure == sla.MeasureNPS:
		return fmt.Sprintf("It gave %s of 10 points to the question whether one would recommend the hospital.", number(*t.Value))
	case t.Measure == sla.MeasureSentiment:
		return fmt.Sprintf("Its tone was rated %s, on a scale from −1, the worst, to 1.", number(*t.Value))
	case t.Measure == sla.MeasureKPI && t.Target != nil:
		s := fmt.Sprintf("It stood at %s against a target of %s, where %s is good", number(*t.Value), number(*t.Target), t.Better)
		if t.Percent == nil {
			return s + "."
		}
		if *t.Percent <= 0 {
			return s + ": the target is met."
		}
		return s + fmt.Sprintf(": %s off target.", percent(*t.Percent))
	default:
		return fmt.Sprintf("Its value is %s.", number(*t.Value))
	}
}

// ruleWords says what the trigger makes of it.
func ruleWords(t *sla.TriggerFinding) string {
	if t.Decision == model.DecisionQuarantined {
		return ""
	}
	rule := "The built-in rule"
	if t.Rule != nil && t.Rule.Name != "" {
		rule = fmt.Sprintf("The rule %q", t.Rule.Name)
	}
	switch t.Measure {
	case sla.MeasureComplaints:
		if t.Rule.Complaints == sla.ComplaintsNever {
			return rule + " makes no actions of complaints here."
		}
		return rule + " says that a complaint always becomes an action."
	case sla.MeasureScore:
		s := fmt.Sprintf("%s counts what is below %s as negative", rule, percent(*t.Rule.Below))
		if t.Decision != model.DecisionCreated || turned(t) {
			return s + ", and this is not."
		}
		if t.Band == nil {
			return s + ", and this one as " + string(t.Derived) + "."
		}
		return s + fmt.Sprintf(", and up to %s as %s.", percent(*t.Band.AtMost), t.Band.Severity)
	case sla.MeasureNPS, sla.MeasureSentiment, sla.MeasureKPI:
		return bandWords(t, rule)
	}
	if turned(t) {
		return reasonWords(t.Raise.Instead)
	}
	return reasonWords(t.Reason)
}

// turned reports whether a raise made it negative, and nothing else did.
func turned(t *sla.TriggerFinding) bool { return t.Raise != nil && t.Raise.From == "" }

// turnWords says what made it negative that was not.
func turnWords(t *sla.TriggerFinding) string {
	if !turned(t) {
		return ""
	}
	return fmt.Sprintf("Yet it counts as negative, and as %s at least, by %s.", t.Raise.To, raiserWords(t))
}

// raiserWords names what of the feedback a raise went by, never the word itself.
func raiserWords(t *sla.TriggerFinding) string {
	category := "its category, " + plain(cmp.Or(t.Category, model.CategoryOther)) + ","
	switch r := t.Raise; {
	case r.Category && r.Keywords:
		return fmt.Sprintf("%s and a word of the trigger %q", category, r.Trigger)
	case r.Category:
		return fmt.Sprintf("%s under the trigger %q", category, r.Trigger)
	default:
		return fmt.Sprintf("a word of the trigger %q", r.Trigger)
	}
}

// bandWords says which band a value lies in, or where the bands begin.
func bandWords(t *sla.TriggerFinding, rule string) string {
	limit := func(b *sla.Band) string {
		switch {
		case t.Measure == sla.MeasureKPI:
			return "from " + percent(*b.AtLeast) + " off target on"
		case t.Measure == sla.MeasureNPS:
			return "up to " + number(*b.AtMost) + " points"
		default:
			return "up to " + number(*b.AtMost)
		}
	}
	bands := t.Rule.Bands
	switch {
	case len(bands) == 0:
		return rule + " counts nothing as negative here."
	case t.Band != nil:
		return fmt.Sprintf("%s counts what is %s as negative, of %s severity.", rule, limit(t.Band), t.Band.Severity)
	default:
		return fmt.Sprintf("%s counts only what is %s as negative, and this is not.", rule, limit(&bands[len(bands)-1]))
	}
}

// severityWords says where the severity comes from.
func severityWords(t *sla.TriggerFinding) string {
	var s string
	switch {
	case turned(t) && t.Sent == "":
	case t.Sent == "" && t.Derived == "":
		s = "Nothing said how severe it is, which counts as medium."
	case t.Derived == "" && !turned(t):
		s = fmt.Sprintf("Its sender called it %s.", t.Sent)
	case t.Sent == "" || t.Sent == t.Derived:
		s = ""
	default:
		s = fmt.Sprintf("Its sender called it %s; of the two the graver counts.", t.Sent)
	}
	if t.Raised {
		s += fmt.Sprintf(" As it is about %s it is at least high.", plain(t.Category))
	}
	if t.Raise != nil && !turned(t) {
		s += fmt.Sprintf(" Its severity was raised from %s to %s by %s.", t.Raise.From, t.Raise.To, raiserWords(t))
	}
	return s + fmt.Sprintf(" So its severity is %s.", t.Severity)
}

// reasonWords says a decision's reason in a sentence.
func reasonWords(reason string) string {
	fields := func(what string) string {
		_, list, _ := strings.Cut(reason, ":")
		return what + strings.ReplaceAll(list, ",", ", ") + "."
	}
	switch {
	case strings.HasPrefix(reason, "unmapped:"):
		return fields("The directory does not know, or no longer has, what it names in ")
	case strings.HasPrefix(reason, "invalid:"):
		return fields("These fields cannot be used as they were sent: ")
	}
	if words, known := reasonSentences()[reason]; known {
		return words
	}
	return "Recorded reason: " + plain(reason) + "."
}

func reasonSentences() map[string]string {
	return map[string]string{
		sla.ReasonScoreNegative:     "Its score is negative.",
		sla.ReasonNPSNegative:       "Its points are negative.",
		sla.ReasonSentimentNegative: "Its tone is negative.",
		sla.ReasonKPINegative:       "The KPI is too far off target.",
		sla.ReasonComplaint:         "A complaint always becomes an action.",
		sla.ReasonAlways:            "What comes from there always becomes an action, save praise.",
		sla.ReasonSameSubject:       "It is of the same patient and department as that action, and came in shortly before or after it.",
		sla.ReasonRaised:            "By itself it would have passed; what the policy raises makes it negative.",
		sla.ReasonNotNegative:       "It is not negative.",
		sla.ReasonPraise:            "Its sender calls it praise, and praise is never negative.",
		sla.ReasonComplaintsOff:     "The policy makes no actions of complaints from there.",
		sla.ReasonRetracted:         "Its source took it back before it was decided.",
		sla.ReasonHistory:           "It was taken in as history, to know what it would have become; history makes no actions.",

		sla.ReasonHospitalMissing:     "It names no hospital.",
		sla.ReasonHospitalUnknown:     "The directory does not have its hospital.",
		sla.ReasonDepartmentUnknown:   "Its hospital has no such department in the directory.",
		sla.ReasonSourceTypeUnknown:   "What kind of source it comes from is not known.",
		sla.ReasonCategoryUnknown:     "Its category is none of ours.",
		sla.ReasonSeverityUnknown:     "Its severity is none of ours.",
		sla.ReasonKindUnknown:         "What its sender calls it is none of our kinds.",
		sla.ReasonModeUnknown:         "Its mode is none of ours.",
		sla.ReasonScoreMissing:        "It has no score, and nothing else that says whether it is negative.",
		sla.ReasonScoreOutOfRange:     "Its score does not lie on its scale.",
		sla.ReasonScaleMissing:        "Nobody said from where to where its scale goes and which end is good.",
		sla.ReasonScaleInvalid:        "Its scale makes no sense: the end is not above the beginning, or points to recommend are not 0 to 10.",
		sla.ReasonMetricUnknown:       "How its score is to be read is not known.",
		sla.ReasonSentimentMissing:    "It has no rating of its tone, and nothing else that says whether it is negative.",
		sla.ReasonSentimentOutOfRange: "The rating of its tone does not lie between −1 and 1.",
		sla.ReasonKPIMissing:          "The KPI lacks its value, its target or which side is good.",
		sla.ReasonKPITargetZero:       "The KPI has a target of 0, of which nothing can be a per cent.",
		sla.ReasonKPIInvalid:          "The KPI's numbers are too large to compare.",
		"unreadable":                  "It could not be read at all.",
		"failed":                      "Deciding it failed again and again; the log of px worker has the cause.",
	}
}
