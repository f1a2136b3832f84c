package sla

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/pxactions/px/model"
)

const (
	// maxHours is the longest time a policy may name: ten years, far within
	// what a time.Duration holds.
	maxHours = 10 * 365 * 24
	maxName  = 200
	maxRole  = 50

	maxKeyword = 100
)

// checker collects the faults of a document.
type checker struct{ faults model.FieldErrors }

func (c *checker) add(path, code, want string, args ...any) {
	c.faults.Add(path, code, fmt.Sprintf(want, args...))
}

// check finds every fault that needs no directory.
func (p *Policy) check() model.FieldErrors {
	c := &checker{}
	if p.MaxAge < 0 || int64(p.MaxAge) > int64(hours(maxHours)) {
		c.add("max_age", "range", "must be above 0 and at most ten years")
	}
	if p.LoadCap < 0 {
		c.add("load_cap", "range", "must be 1 or more live actions, or left out")
	}
	for i, r := range p.Readers {
		if strings.TrimSpace(string(r)) == "" {
			c.add(fmt.Sprintf("restricted_readers[%d]", i), "required", "must be the name of a role")
		}
	}
	for i, code := range p.Causes {
		if !validCode(code) {
			c.add(fmt.Sprintf("root_causes[%d]", i), "format", "must be a code of lower-case letters, digits, _ . and -, at most %d", maxCode)
		}
	}
	if p.Merge != nil {
		if w := p.Merge.Window; w != nil && (*w <= 0 || int64(*w) > int64(hours(maxHours))) {
			c.add("merge.window", "range", "must be above 0 and at most ten years; for no merging at all say is_active: false")
		}
		oneOf(c, "merge.complaints", p.Merge.Complaints, []MergeKind{MergeJoin, MergeLink})
		oneOf(c, "merge.patient_safety", p.Merge.PatientSafety, []MergeKind{MergeJoin, MergeLink})
	}
	c.retention(p.Retention)
	names := map[string]string{}
	for i := range p.Calendars {
		at, s := fmt.Sprintf("calendars[%d]", i), &p.Calendars[i]
		c.name(at, s.Name)
		if other, taken := names[s.Name]; taken {
			c.add(at+".name", "duplicate", "must be unique, %s has the name %q already", other, s.Name)
		}
		names[s.Name] = at
		c.calendar(at, s)
	}
	scopes := map[string]string{}
	for i := range p.Triggers {
		c.trigger(fmt.Sprintf("triggers[%d]", i), &p.Triggers[i], scopes)
	}
	for i := range p.Routing {
		c.rule(fmt.Sprintf("routing[%d]", i), &p.Routing[i])
	}
	active := map[[2]string]string{}
	for i := range p.SLA {
		c.config(fmt.Sprintf("sla[%d]", i), &p.SLA[i], active)
	}
	return c.faults
}

func (c *checker) trigger(at string, t *TriggerSpec, scopes map[string]string) {
	c.place(at, t.Hospital, t.Department)
	oneOf(c, at+".source_type", t.SourceType, model.SourceTypes())
	oneOf(c, at+".complaints", t.Complaints, []Complaints{ComplaintsAlways, ComplaintsNever})
	aspects := t.aspects()
	if len(aspects) == 0 {
		c.add(at, "required", "says nothing, give at least one of complaints, score, nps, sentiment, kpi, raise")
	}
	for _, aspect := range aspects {
		if !aspectFits(aspect, t.SourceType) {
			c.add(at+"."+aspect, "conflict", "never applies to source_type %s", t.SourceType)
		}
		key := fmt.Sprintf("%q %q %q %q %q %s", t.Hospital, t.Department, t.SourceType, t.SourceSystem, t.Survey, aspect)
		if other, taken := scopes[key]; taken {
			c.add(at+"."+aspect, "duplicate", "is already set for this scope by %s", other)
			continue
		}
		scopes[key] = at
	}
	if t.Score != nil {
		c.score(at+".score", t.Score)
	}
	c.upTo(at+".nps", t.NPS, 0, 10)
	c.upTo(at+".sentiment", t.Sentiment, -1, 1)
	c.from(at+".kpi", t.KPI)
	for i := range t.Raise {
		c.raise(fmt.Sprintf("%s.raise[%d]", at, i), &t.Raise[i])
	}
}

// aspects lists what a trigger decides, by its keys.
func (t *TriggerSpec) aspects() []string {
	var as []string
	for _, a := range []struct {
		key string
		has bool
	}{
		{"complaints", t.Complaints != ""}, {"score", t.Score != nil}, {"nps", t.NPS != nil},
		{"sentiment", t.Sentiment != nil}, {"kpi", t.KPI != nil}, {"raise", t.Raise != nil},
	} {
		if a.has {
			as = append(as, a.key)
		}
	}
	return as
}

// aspectFits reports whether feedback of a source type ever meets an aspect.
func aspectFits(aspect string, st model.SourceType) bool {
	if st == "" {
		return true
	}
	switch aspect {
	case "score", "nps":
		return scored(st)
	case "sentiment":
		return st == model.SourceSocialMedia
	case "kpi":
		return st == model.SourceKPI
	case "raise":
		return true
	default: // complaints also come by survey, by phone and in public
		return st == model.SourceComplaint || st == model.SourceSocialMedia || scored(st)
	}
}

func (c *checker) score(at string, s *ScoreSpec) {
	below := defaultBelow
	if s.Below != nil {
		below = *s.Below
		if below <= 0 || below > 100 {
			c.add(at+".below", "range", "must be above 0 and at most 100 (per cent)")
			return
		}
	}
	c.upTo(at+".bands", s.Bands, 0, 100)
	for i, b := range s.Bands {
		if b.AtMost >= below && b.AtMost <= 100 {
			c.add(fmt.Sprintf("%s.bands[%d].at_most", at, i), "range", "must be less than %v, below which a score is negative", below)
		}
	}
}

func (c *checker) upTo(at string, bands []UpTo, lo, hi float64) {
	seen := map[float64]bool{}
	for i, b := range bands {
		here := fmt.Sprintf("%s[%d]", at, i)
		if !(b.AtMost >= lo && b.AtMost <= hi) {
			c.add(here+".at_most", "range", "must be from %v to %v", lo, hi)
		}
		c.band(here, "at_most", b.AtMost, b.Severity, seen)
	}
}

func (c *checker) from(at string, bands []FromSpec) {
	seen := map[float64]bool{}
	for i, b := range bands {
		here := fmt.Sprintf("%s[%d]", at, i)
		if !(b.AtLeast > 0) {
			c.add(here+".at_least", "range", "must be above 0 (per cent off the target)")
		}
		c.band(here, "at_least", b.AtLeast, b.Severity, seen)
	}
}

func (c *checker) band(at, key string, edge float64, s model.Severity, seen map[float64]bool) {
	if seen[edge] {
		c.add(at+"."+key, "duplicate", "%v stands in another band too", edge)
	}
	seen[edge] = true
	c.severity(at+".severity", s)
}

func (c *checker) raise(at string, r *RaiseSpec) {
	oneOf(c, at+".category", r.Category, model.Categories())
	c.severity(at+".severity", r.Severity)
	if r.Category == "" && r.Keywords == nil {
		c.add(at, "required", "must have a category, keywords, or both")
	}
	if r.Keywords != nil && len(r.Keywords) == 0 {
		c.add(at+".keywords", "required", "must have one word or phrase at least, or be left out")
	}
	seen := map[string]int{}
	for i, k := range r.Keywords {
		here := fmt.Sprintf("%s.keywords[%d]", at, i)
		text, prefix := foldKeyword(k)
		last, _ := utf8.DecodeLastRuneInString(text)
		raw := strings.TrimSuffix(strings.TrimSpace(k), "*")
		switch {
		case text == "":
			c.add(here, "required", "must be a word or a phrase")
			continue
		case utf8.RuneCountInString(k) > maxKeyword:
			c.add(here, "range", "must be at most %d characters", maxKeyword)
		case strings.Contains(text, "*"), prefix && (!inWord(last) || raw != strings.TrimSpace(raw)):
			c.add(here, "format", "must have * at its end only, right behind a letter or digit: abus*")
		}
		key := fmt.Sprintf("%s %t", text, prefix)
		if first, twice := seen[key]; twice {
			c.add(here, "duplicate", "is the same as keywords[%d]: case, accents and vowel signs do not count", first)
			continue
		}
		seen[key] = i
	}
}

func (c *checker) rule(at string, r *RuleSpec) {
	c.name(at, r.Name)
	oneOf(c, at+".source_type", r.SourceType, model.SourceTypes())
	oneOf(c, at+".category", r.Category, model.Categories())
	oneOf(c, at+".severity", r.Severity, model.Severities())
	c.place(at, r.Hospital, r.Department)
	if r.AssignToDepartment != "" && r.Hospital == "" {
		c.add(at+".hospital", "required", "required with assign_to_department: a department's code counts within its hospital")
	}
	if r.Priority > math.MaxInt32 || r.Priority < math.MinInt32 {
		c.add(at+".priority", "range", "must be from %d to %d", math.MinInt32, math.MaxInt32)
	}
	if r.AssignToRole != "" && strings.TrimSpace(string(r.AssignToRole)) == "" || len(r.AssignToRole) > maxRole {
		c.add(at+".assign_to_role", "range", "must be the name of a role, 1 to %d characters", maxRole)
	}
}

func (c *checker) config(at string, s *ConfigSpec, active map[[2]string]string) {
	c.name(at, s.Name)
	c.place(at, s.Hospital, s.Department)
	for _, h := range []struct {
		key   string
		value *int
	}{
		{"critical_hours", s.CriticalHours}, {"high_hours", s.HighHours}, {"medium_hours", s.MediumHours},
		{"low_hours", s.LowHours}, {"escalation_delay_hours", s.EscalationDelayHours}, {"max_hold_hours", s.MaxHoldHours},
	} {
		if h.value != nil {
			c.hours(at+"."+h.key, *h.value)
		}
	}
	seen := map[int]bool{}
	for i, h := range s.ReminderHoursBefore {
		here := fmt.Sprintf("%s.reminder_hours_before[%d]", at, i)
		c.hours(here, h)
		if seen[h] {
			c.add(here, "duplicate", "%d stands in the list twice", h)
		}
		seen[h] = true
	}
	oneOf(c, at+".reopen", s.Reopen, []Reopening{ReopenFresh, ReopenRemaining})
	c.targets(at, s)
	c.ladders(at, s)
	c.acks(at, s)
	c.approval(at, s)
	for i, e := range s.ApprovalExempt {
		here := fmt.Sprintf("%s.approval_exempt[%d]", at, i)
		oneOf(c, here+".source_type", e.SourceType, model.SourceTypes())
		oneOf(c, here+".severity", e.Severity, model.Severities())
		if e == (Exemption{}) {
			c.add(here, "required", "must name a source_type or a severity; for no approval at all say requires_approval: false")
		}
	}
	if !orTrue(s.IsActive) {
		return
	}
	key := [2]string{s.Hospital, s.Department}
	if other, taken := active[key]; taken {
		c.add(at, "duplicate", "must be the only active SLA config of its scope, which %s has already; set is_active: false in one", other)
		return
	}
	active[key] = at
}

func (c *checker) targets(at string, s *ConfigSpec) {
	for _, sev := range sortedKeys(s.Targets) {
		here := fmt.Sprintf("%s.targets.%s", at, sev)
		c.severity(here, sev)
		if n := s.Targets[sev].nominal(); checkTarget(n) != nil || n > hours(maxHours) {
			c.add(here, "range", "must be above 0 and at most ten years")
		}
	}
	if s.Reminders != nil && s.ReminderHoursBefore != nil {
		c.add(at+".reminders", "conflict", "must not stand beside reminder_hours_before")
	}
	for i, r := range s.Reminders {
		here := fmt.Sprintf("%s.reminders[%d]", at, i)
		if r.Percent == 0 && (r.Before <= 0 || r.Before > hours(maxHours)) || r.Percent < 0 || r.Percent >= 100 {
			c.add(here, "range", "must be above 0, and below 100 where it is per cent of the target")
		}
		for sev, t := range s.Targets {
			if r.Percent > 0 && t.Days > 0 {
				c.add(here, "conflict", "per cent needs a target in hours, and that of %s is in working days", sev)
			}
		}
	}
}

func (c *checker) acks(at string, s *ConfigSpec) {
	for _, sev := range sortedKeys(s.AckTargets) {
		here := fmt.Sprintf("%s.ack_targets.%s", at, sev)
		c.severity(here, sev)
		if t := s.AckTargets[sev]; !t.None && (checkTarget(t.nominal()) != nil || t.nominal() > hours(maxHours)) {
			c.add(here, "range", "must be above 0 and at most ten years, or none")
		}
	}
}

// maxRepeat is how often a stage may be repeated.
const maxRepeat = 20

func (c *checker) stage(at string, st *StageSpec) {
	if gap := stageGap(st.AfterHours); !(st.AfterHours <= maxHours) || gap <= 0 {
		c.add(at+".after_hours", "range", "must be above 0 and at most %d", maxHours)
	}
	oneOf(c, at+".raise_priority", st.RaisePriority, model.Severities())
	oneOf(c, at+".clock", st.Clock, []ClockKind{ClockElapsed, ClockOpen})
	for i, ch := range st.Channels {
		oneOf(c, fmt.Sprintf("%s.channels[%d]", at, i), ch, model.Channels())
	}
	if st.Repeat < 0 || st.Repeat > maxRepeat {
		c.add(at+".repeat", "range", "must be from 0 to %d", maxRepeat)
	}
}

func (c *checker) ladders(at string, s *ConfigSpec) {
	for _, sev := range sortedKeys(s.Stages) {
		here := fmt.Sprintf("%s.stages.%s", at, sev)
		c.severity(here, sev)
		for i := range s.Stages[sev] {
			c.stage(fmt.Sprintf("%s[%d]", here, i), &s.Stages[sev][i])
		}
	}
	for _, sev := range sortedKeys(s.Clock) {
		here := fmt.Sprintf("%s.clock.%s", at, sev)
		c.severity(here, sev)
		if s.Clock[sev] == "" {
			c.add(here, "required", "must be elapsed or open")
		}
		oneOf(c, here, s.Clock[sev], []ClockKind{ClockElapsed, ClockOpen})
	}
}

// place checks that a department stands with its hospital.
func (c *checker) place(at, hospital, department string) {
	if department != "" && hospital == "" {
		c.add(at+".hospital", "required", "required with department: a department's code counts within its hospital")
	}
}

func (c *checker) name(at, name string) {
	if strings.TrimSpace(name) == "" || len([]rune(name)) > maxName {
		c.add(at+".name", "required", "must be 1 to %d characters", maxName)
	}
}

func (c *checker) hours(at string, h int) {
	if h <= 0 || h > maxHours {
		c.add(at, "range", "must be whole hours from 1 to %d", maxHours)
	}
}

// severity checks a severity that has to be there.
func (c *checker) severity(at string, s model.Severity) {
	if s == "" {
		c.add(at, "required", "must be one of %s", list(model.Severities()))
	}
	oneOf(c, at, s, model.Severities())
}

// oneOf checks a value that may be left out.
func oneOf[T ~string](c *checker, at string, v T, all []T) {
	if v != "" && !model.Valid(v, all) {
		c.add(at, "unknown", "%q is unknown, must be one of %s", string(v), list(all))
	}
}

func list[T ~string](all []T) string {
	words := make([]string, len(all))
	for i, v := range all {
		words[i] = string(v)
	}
	return strings.Join(words, ", ")
}
