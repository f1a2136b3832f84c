package sla

import (
	"cmp"

	"github.com/pxactions/px/model"
)

// Raise is how a trigger made a feedback graver than it was judged to be. It
// never says which word did so: that is the patient's.
type Raise struct {
	Trigger  string         `json:"trigger"`               // its name, or its place in the policy
	Category bool           `json:"by_category,omitempty"` // the feedback has the category that the trigger asks for
	Keywords bool           `json:"by_keywords,omitempty"` // its words have one that the trigger asks for
	From     model.Severity `json:"from,omitempty"`        // empty: it was not negative before
	To       model.Severity `json:"to"`                    // at least
	Instead  string         `json:"instead_of,omitempty"`  // the reason that it had while it was not negative
}

// raiseRule is a compiled list of raises; the zero one raises nothing.
type raiseRule struct {
	entries []raiseEntry
	words   keywords
	highest model.Severity // of all entries
	opens   bool           // an entry makes feedback negative
}

type raiseEntry struct {
	category model.Category // empty: any
	keyed    bool           // it has keywords
	severity model.Severity
	negative bool
}

func newRaiseRule(specs []RaiseSpec) raiseRule {
	var r raiseRule
	words := make([][]string, len(specs))
	for i, s := range specs {
		words[i] = s.Keywords
		r.entries = append(r.entries, raiseEntry{s.Category, len(s.Keywords) > 0, s.Severity, s.Negative})
		r.highest, r.opens = higher(r.highest, s.Severity), r.opens || s.Negative
	}
	r.words = newKeywords(words)
	return r
}

// ruling is what the trigger says of one feedback, all told.
type ruling struct {
	verdict
	severity model.Severity // of the action; empty: none is made
	raise    *Raise         // nil: none
}

// rule judges feedback whose enums are known, and raises what is to be raised.
func (r *Rules) rule(f *model.Feedback) ruling {
	u := r.unraised(f)
	r.raise(f, &u)
	return u
}

func (r *Rules) unraised(f *model.Feedback) ruling {
	u := ruling{verdict: r.judge(f)}
	if u.decision == model.DecisionCreated {
		u.severity = severityOf(f.Severity, u.derived, f.Category)
	}
	return u
}

// apply carries a raise out; nil: there is none.
func (u *ruling) apply(by *Raise, f *model.Feedback) {
	switch u.raise = by; {
	case by == nil:
	case by.From == "":
		u.verdict = verdict{model.DecisionCreated, ReasonRaised, by.To}
		u.severity = severityOf(f.Severity, by.To, f.Category)
	case u.decision == model.DecisionCreated:
		u.severity = higher(u.severity, by.To)
	}
}

// raise applies the most specific list of raises. All of its entries that fit
// count, the gravest wins.
func (r *Rules) raise(f *model.Feedback, u *ruling) {
	at := pickScoped(r.triggers.raise, f)
	negative := u.decision == model.DecisionCreated
	if negative && at.rule.highest.Rank() <= u.severity.Rank() || !negative && !(at.rule.opens && mayTurn(f, u.verdict)) {
		return // before its words are looked through
	}
	top, opens := at.rule.fitting(f)
	switch {
	case top == nil:
	case negative && top.severity.Rank() > u.severity.Rank():
		u.apply(&Raise{Trigger: at.scope.name, Category: top.category != "", Keywords: top.keyed, From: u.severity, To: top.severity}, f)
	case !negative && opens != nil:
		u.apply(&Raise{
			Trigger: at.scope.name, Category: top.category != "" || opens.category != "", Keywords: top.keyed || opens.keyed,
			To: top.severity, Instead: u.reason,
		}, f)
	}
}

// mayTurn reports whether feedback that is not negative may be made so: not what
// its sender calls praise, where such words are mostly denied ("nobody fell"),
// and not what can't be read, which its sender is to mend. Feedback that only
// lacks its value is as good as let pass: its words say enough.
func mayTurn(f *model.Feedback, v verdict) bool {
	return f.Kind != model.KindPraise &&
		(v.decision == model.DecisionIgnored || v.reason == ReasonScoreMissing || v.reason == ReasonSentimentMissing)
}

// fitting finds, of the entries that fit a feedback, the gravest and the first
// that makes feedback negative; nil: none.
func (r *raiseRule) fitting(f *model.Feedback) (top, opens *raiseEntry) {
	category := cmp.Or(f.Category, model.CategoryOther)
	found := make([]bool, len(r.entries))
	if len(r.words) > 0 {
		r.words.mark(f.Title, found)
		r.words.mark(f.Text, found)
	}
	for i := range r.entries {
		e := &r.entries[i]
		if e.category != "" && e.category != category || e.keyed && !found[i] {
			continue
		}
		if e.negative && opens == nil {
			opens = e
		}
		if top == nil || e.severity.Rank() > top.severity.Rank() {
			top = e
		}
	}
	return top, opens
}

// note adds a raise to the facts of an action's story.
func (r *Raise) note(facts model.LogMetadata) {
	if r == nil {
		return
	}
	facts["raised_by"], facts["raised_to"] = r.Trigger, r.To
	facts["raised_by_category"], facts["raised_by_keywords"] = r.Category, r.Keywords
	if r.From != "" {
		facts["raised_from"] = r.From
	} else {
		facts["raised_instead_of"] = r.Instead
	}
}

// RaiseOf reads a raise from the facts of an action's story, as they come from
// the database; nil: there was none.
func RaiseOf(facts model.LogMetadata) *Raise {
	text := func(key string) string {
		s, _ := facts[key].(string)
		return s
	}
	if text("raised_by") == "" {
		return nil
	}
	return &Raise{
		Trigger: text("raised_by"), Category: facts["raised_by_category"] == true, Keywords: facts["raised_by_keywords"] == true,
		From: model.Severity(text("raised_from")), To: model.Severity(text("raised_to")), Instead: text("raised_instead_of"),
	}
}
