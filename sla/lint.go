package sla

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pxactions/px/model"
)

// Lint is what is likely not meant in a policy that holds no faults.
type Lint struct {
	Warnings model.FieldErrors // by the field that they stand at; see Locate for their lines
	Longest  []Longest         // of each active config and severity that counts open time
}

// Longest is the longest that a target takes in the year to come.
type Longest struct {
	Config   string
	Severity model.Severity
	Target   string        // as the policy has it
	Elapsed  time.Duration // from the clock start to due
}

// Lint looks a compiled policy through, as of an instant.
func (r *Rules) Lint(p *Policy, now time.Time) Lint {
	l := linter{rules: r, now: now}
	for i := range p.Triggers {
		l.raises(fmt.Sprintf("triggers[%d].raise", i), p.Triggers[i].Raise)
	}
	l.shadowed(p)
	l.retention(p.Retention)
	l.fallbacks()
	l.ladders()
	l.approvers()
	for i := range p.Calendars {
		l.openedWeekdays(fmt.Sprintf("calendars[%d]", i), &p.Calendars[i])
	}
	for i := range p.SLA {
		if orTrue(p.SLA[i].IsActive) {
			l.config(fmt.Sprintf("sla[%d]", i), &p.SLA[i], r.configs.byID[r.rows[i].ID])
		}
	}
	return l.Lint
}

type linter struct {
	Lint
	rules *Rules
	now   time.Time
}

// raises finds entries of a list of raises that never do anything.
func (l *linter) raises(at string, specs []RaiseSpec) {
	for i := range specs {
		here, r := fmt.Sprintf("%s[%d]", at, i), &specs[i]
		switch {
		case r.Negative:
		case r.Severity == model.SeverityLow:
			l.warn(here, "never", "raises nothing: everything is at least low")
			continue
		case r.Category == model.CategoryPatientSafety && r.Severity.Rank() <= model.SeverityHigh.Rank():
			l.warn(here, "never", "raises nothing: what is about patient safety is at least high")
			continue
		}
		for j := range specs { // of two alike the later one is named
			if o := &specs[j]; j != i && o.covers(r) && (j < i || !r.covers(o)) {
				l.warn(here, "never", "does nothing: raise[%d] does as much wherever this one fits", j)
				break
			}
		}
	}
}

// covers reports whether a raise fits whatever another fits, and does as much.
func (s *RaiseSpec) covers(o *RaiseSpec) bool {
	if s.Severity.Rank() < o.Severity.Rank() || o.Negative && !s.Negative || s.Category != "" && s.Category != o.Category {
		return false
	}
	if len(s.Keywords) == 0 || len(o.Keywords) == 0 {
		return len(s.Keywords) == 0
	}
	words := newKeywords([][]string{s.Keywords})
	return !slices.ContainsFunc(o.Keywords, func(k string) bool { return !words.cover(k) })
}

func (l *linter) warn(at, code, want string, args ...any) {
	l.Warnings.Add(at, code, fmt.Sprintf(want, args...))
}

// shadowed finds rules that never get a turn: one before them fits whatever they
// fit.
func (l *linter) shadowed(p *Policy) {
	var order []*model.RoutingRule
	number := map[*model.RoutingRule]int{}
	for i := range l.rules.rules {
		if row := &l.rules.rules[i]; row.IsActive {
			order = append(order, row)
			number[row] = i
		}
	}
	slices.SortFunc(order, compareRules)
	for i, later := range order {
		j := slices.IndexFunc(order[:i], func(first *model.RoutingRule) bool { return covers(first, later) })
		if j >= 0 {
			l.warn(fmt.Sprintf("routing[%d]", number[later]), "shadowed", "never fits: %q comes first and fits all that it fits", p.Routing[number[order[j]]].Name)
		}
	}
}

// covers reports whether a rule fits whatever another fits.
func covers(a, b *model.RoutingRule) bool {
	return (a.SourceType == "" || a.SourceType == b.SourceType) && (a.Category == "" || a.Category == b.Category) &&
		(a.Severity == "" || a.Severity == b.Severity) && sameOrAny(a.HospitalID, b.HospitalID) && sameOrAny(a.DepartmentID, b.DepartmentID)
}

func sameOrAny[T any](a, b *model.ID[T]) bool { return a == nil || b != nil && *a == *b }

// fallbacks finds places whose actions get the built-in config.
func (l *linter) fallbacks() {
	m := &l.rules.configs
	for _, h := range l.hospitals() {
		if m.global != nil || m.hospitals[h.ID] != nil {
			continue
		}
		var bare []string
		for _, d := range l.departments(h.ID) {
			if m.departments[d.ID] == nil {
				bare = append(bare, d.Code)
			}
		}
		if len(bare) > 0 {
			l.warn("sla", "fallback", "%s has no SLA config of its own and there is none for all: the built-in one counts for its departments %s, at every severity", h.Code, strings.Join(bare, ", "))
		}
	}
}

// ladders finds departments for which a stage would find nobody.
func (l *linter) ladders() {
	for _, h := range l.hospitals() {
		var empty []string
		for _, d := range l.departments(h.ID) {
			a := model.Action{HospitalID: h.ID, DepartmentID: &d.ID}
			if !slices.ContainsFunc(ladderRungs(), func(rung Rung) bool { return len(l.rules.dir.Rung(rung, &a, l.now, nil)) > 0 }) {
				empty = append(empty, d.Code)
			}
		}
		if len(empty) > 0 {
			l.warn("sla", "untargeted", "%s: no manager, PX Admin or Executive is there for %s: stages of escalation would tell nobody", h.Code, strings.Join(empty, ", "))
		}
	}
}

// approvers finds hospitals in which an approval may find nobody to decide: an
// admin never decides on what they own or submitted.
func (l *linter) approvers() {
	group := l.rules.dir.Holders(model.RolePXAdmin, nil, nil, l.now, nil)
	for _, h := range l.hospitals() {
		there := union(l.rules.dir.Holders(model.RolePXAdmin, &h.ID, nil, l.now, nil), group)
		if len(there) < 2 {
			l.warn("sla", "approvers", "%s: fewer than two PX Admins are there, its own or of no hospital: who owns or submits an action cannot decide on it", h.Code)
		}
	}
}

func (l *linter) hospitals() []*model.Hospital {
	var hs []*model.Hospital
	for _, h := range l.rules.dir.Hospitals {
		if h.Active {
			hs = append(hs, h)
		}
	}
	slices.SortFunc(hs, func(a, b *model.Hospital) int { return strings.Compare(a.Code, b.Code) })
	return hs
}

func (l *linter) departments(h model.HospitalID) []*model.Department {
	var ds []*model.Department
	for _, d := range l.rules.dir.Departments {
		if d.Active && d.HospitalID == h {
			ds = append(ds, d)
		}
	}
	slices.SortFunc(ds, func(a, b *model.Department) int { return strings.Compare(a.Code, b.Code) })
	return ds
}

// openedWeekdays finds runs of special days that open a day which is closed in
// every other week.
func (l *linter) openedWeekdays(at string, s *CalendarSpec) {
	h := l.rules.calendars[s.Name].hours
	if h == nil {
		return
	}
	for i, sd := range s.SpecialDays {
		if sd.From.IsZero() || len(sd.Open) == 0 {
			continue
		}
		var opened []string
		for d := sd.From.day(); d <= sd.To.day() && d < sd.From.day()+7; d++ {
			if w := d.weekday(); len(h.weekly[w]) == 0 && h.dates[d].name == sd.Name && len(h.dates[d].open) > 0 {
				opened = append(opened, weekdays[w])
			}
		}
		if len(opened) > 0 {
			l.warn(fmt.Sprintf("%s.special_days[%d]", at, i), "opens", "opens %s, closed in other weeks; name the days with days: sun-thu", strings.Join(opened, ", "))
		}
	}
}

// config looks at one active config: reminders that never come, people whom a
// stage cannot reach, and targets that take much longer than they say.
func (l *linter) config(at string, s *ConfigSpec, c *Config) {
	for i, target := range s.ApprovalStandIns {
		l.target(fmt.Sprintf("%s.approval_stand_ins[%d]", at, i), target)
	}
	for _, sev := range model.Severities() {
		for _, rm := range c.Reminders[sev] {
			if c.Days[sev] == 0 && rm.Before >= c.Target[sev] {
				l.warn(at, "never", "the reminder %s before due never comes for %s, whose target is %s", SpanText(rm.Before), sev, SpanText(c.Target[sev]))
			}
		}
		if ack, ok := c.AckTargets[sev]; ok && ack.nominal() >= c.Target[sev] {
			l.warn(fmt.Sprintf("%s.ack_targets.%s", at, sev), "never", "the work need not be started before it is due")
		}
		for i, st := range s.Stages[sev] {
			for j, tell := range st.Tell {
				l.target(fmt.Sprintf("%s.stages.%s[%d].tell[%d]", at, sev, i, j), tell)
			}
		}
		l.longest(at, s, c, sev)
	}
}

func (l *linter) target(at string, t StageTargetSpec) {
	dir := l.rules.dir
	switch {
	case t.User != "":
		if u := dir.index.users[nameKey{name: t.User}]; u != nil {
			if _, ok := dir.StandIn(u.ID, l.now, nil); !ok {
				l.warn(at, "untargeted", "%s is not there, and nobody stands in", t.User)
			}
		}
	case t.Role != "":
		for post := range dir.holders {
			if post.role == t.Role {
				return
			}
		}
		l.warn(at, "untargeted", "nobody has the role %q", t.Role)
	}
}

// longest works out how long a target in open time takes at most: begun when
// a window closes, within a year from now.
func (l *linter) longest(at string, s *ConfigSpec, c *Config, sev model.Severity) {
	days := c.Days[sev]
	if c.Clock[sev] == ClockElapsed && days == 0 {
		return
	}
	nominal, text := c.Target[sev], SpanText(c.Target[sev])+" of open time"
	if days > 0 {
		text = fmt.Sprintf("%d working days", days)
	}
	var worst time.Duration
	for _, cal := range l.calendarsOf(c, s) {
		for _, end := range cal.closings(l.now, l.now.AddDate(1, 0, 0)) {
			due := cal.Add(end, nominal)
			if days > 0 {
				due = cal.AddDays(end, days)
			}
			worst = max(worst, due.Sub(end))
		}
	}
	if worst == 0 {
		return
	}
	l.Longest = append(l.Longest, Longest{s.Name, sev, text, worst})
	// Working days are longer than their number by nature: a week for five.
	if limit := 2 * nominal; worst > limit && c.Clock[sev] != ClockElapsed {
		l.warn(at, "long", "%s: %s takes up to %s, more than twice as long", sev, text, SpanText(worst))
	}
}

// SpanText writes a length of time for people: 90m, 36h, 13d, 2d5h.
func SpanText(d time.Duration) string {
	d = d.Round(time.Minute)
	text := ""
	if d >= 48*time.Hour {
		text = fmt.Sprintf("%dd", d/(24*time.Hour))
		d %= 24 * time.Hour
	}
	if h := d / time.Hour; h > 0 {
		text += fmt.Sprintf("%dh", h)
	}
	if m := d % time.Hour / time.Minute; m > 0 || text == "" {
		text += fmt.Sprintf("%dm", m)
	}
	return text
}

// calendarsOf lists the calendars by which actions under a config count.
func (l *linter) calendarsOf(c *Config, s *ConfigSpec) []Calendar {
	names := map[string]bool{}
	for _, h := range l.hospitals() {
		if s.Hospital != "" && s.Hospital != h.Code {
			continue
		}
		names[l.rules.OpenTime(c, h.ID, nil).Name] = true
		for _, d := range l.departments(h.ID) {
			if s.Department == "" || s.Department == d.Code {
				names[l.rules.OpenTime(c, h.ID, &d.ID).Name] = true
			}
		}
	}
	var cals []Calendar
	for _, name := range sortedKeys(names) {
		if cal := l.rules.calendars[name]; cal.hours != nil {
			cals = append(cals, cal.Calendar)
		}
	}
	return cals
}

// closings lists when windows close in [from, to).
func (c Calendar) closings(from, to time.Time) []time.Time {
	var ends []time.Time
	for year := yearOf(from); year <= yearOf(to); year++ {
		for _, w := range c.hours.year(year).windows {
			if end := time.Unix(0, w.to).UTC(); !end.Before(from) && end.Before(to) {
				ends = append(ends, end)
			}
		}
	}
	return ends
}
