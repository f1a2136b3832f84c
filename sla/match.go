package sla

import (
	"cmp"
	"maps"
	"math"
	"reflect"
	"slices"
	"time"

	"github.com/pxactions/px/model"
)

// The built-in SLA config, in hours.
const (
	builtInCritical   = 24
	builtInHigh       = 48
	builtInMedium     = 72
	builtInLow        = 120
	builtInReminder   = 4
	builtInEscalation = 2
	builtInName       = "built-in"
)

// builtInStages is how many stages a severity has.
func builtInStages(s model.Severity) int {
	switch s {
	case model.SeverityCritical, model.SeverityHigh:
		return 3
	case model.SeverityMedium:
		return 2
	default:
		return 1
	}
}

// builtInClock: what is grave runs day and night.
func builtInClock(s model.Severity) ClockKind {
	if s == model.SeverityCritical || s == model.SeverityHigh {
		return ClockElapsed
	}
	return ClockOpen
}

// matcher finds the SLA config of an action by its place.
type matcher struct {
	departments map[model.DepartmentID]*Config
	hospitals   map[model.HospitalID]*Config
	global      *Config // nil: the built-in one
	builtIn     *Config
	byID        map[model.SLAConfigID]*Config // the inactive ones too
}

// match returns the active config of the department, else of the hospital, else
// the global one, else the built-in.
func (m *matcher) match(h model.HospitalID, d *model.DepartmentID) *Config {
	if d != nil {
		if c := m.departments[*d]; c != nil {
			return c
		}
	}
	if c := m.hospitals[h]; c != nil {
		return c
	}
	if m.global != nil {
		return m.global
	}
	return m.builtIn
}

// Config returns a config of this revision by its id, active or not; nil id:
// the built-in one. It is nil for an id that is not of this revision.
func (r *Rules) Config(id *model.SLAConfigID) *Config {
	if id == nil {
		return r.configs.builtIn
	}
	return r.configs.byID[*id]
}

// Match returns the SLA config for an action at a place; never nil.
func (r *Rules) Match(hospital model.HospitalID, department *model.DepartmentID) *Config {
	return r.configs.match(hospital, department)
}

// OpenTime is the calendar by which an action counts open time, as it is pinned:
// by its name, in one revision of the policy.
type OpenTime struct {
	Name     string // empty: around the clock
	Revision int64
	Calendar Calendar
}

// OpenTime finds the calendar of an action at a place: the config's, else the
// department's, else the hospital's, else around the clock. A name that this
// revision doesn't have is around the clock until one has it.
func (r *Rules) OpenTime(cfg *Config, hospital model.HospitalID, department *model.DepartmentID) OpenTime {
	name := cfg.Calendar
	if dep := r.dir.Departments[model.Deref(department)]; dep != nil {
		name = cmp.Or(name, dep.Calendar)
	}
	if h := r.dir.Hospitals[hospital]; h != nil {
		name = cmp.Or(name, h.Calendar)
	}
	return r.OpenTimeOf(name)
}

// OpenTimeOf is the calendar of a name, as this revision has it.
func (r *Rules) OpenTimeOf(name string) OpenTime {
	return OpenTime{Name: name, Revision: r.Revision, Calendar: r.calendars[name].Calendar}
}

// SameCalendar reports whether two revisions count open time by a calendar
// alike.
func (r *Rules) SameCalendar(other *Rules, name string) bool {
	return reflect.DeepEqual(r.calendars[name].spec, other.calendars[name].spec)
}

// MissingCalendars lists the calendars that active places of the directory name
// and this revision doesn't have, as hospital or hospital/department: name.
func (r *Rules) MissingCalendars() []string {
	var missing []string
	lacks := func(name string) bool {
		_, ok := r.calendars[name]
		return name != "" && !ok
	}
	for _, h := range r.dir.Hospitals {
		if h.Active && lacks(h.Calendar) {
			missing = append(missing, h.Code+": "+h.Calendar)
		}
	}
	for _, d := range r.dir.Departments {
		if h := r.dir.Hospitals[d.HospitalID]; d.Active && h != nil && lacks(d.Calendar) {
			missing = append(missing, h.Code+"/"+d.Code+": "+d.Calendar)
		}
	}
	slices.Sort(missing)
	return missing
}

// config compiles a config of the document, which holds no faults any more.
// readers are who may have to do with restricted actions, users the people whom
// its stages name, by code.
func (s *ConfigSpec) config(id *model.SLAConfigID, revision int64, readers []model.Role, users map[string]model.UserID) *Config {
	c := &Config{
		ID: id, Name: s.Name, Revision: revision, Readers: readers,
		Target: map[model.Severity]time.Duration{
			model.SeverityCritical: hours(orInt(s.CriticalHours, builtInCritical)),
			model.SeverityHigh:     hours(orInt(s.HighHours, builtInHigh)),
			model.SeverityMedium:   hours(orInt(s.MediumHours, builtInMedium)),
			model.SeverityLow:      hours(orInt(s.LowHours, builtInLow)),
		},
		Calendar: s.Calendar, MaxHold: hours(orInt(s.MaxHoldHours, int(DefaultMaxHold.Hours()))), HoldCritical: s.HoldCritical != nil && *s.HoldCritical,
		Reopen: s.Reopen,
		Days:   map[model.Severity]int{}, Reminders: map[model.Severity][]Reminder{},
		Stages: map[model.Severity][]Stage{},
		Clock:  map[model.Severity]ClockKind{},
	}
	for sev, t := range s.Targets {
		c.Target[sev], c.Days[sev] = t.nominal(), t.Days
	}
	c.AckTargets, c.AckReroute = s.acks(c.Target), s.AckReroute
	for _, sev := range model.Severities() {
		c.Reminders[sev] = s.remindersBefore(c.Target[sev])
		c.Clock[sev] = cmp.Or(s.Clock[sev], builtInClock(sev))
		if orTrue(s.AutoEscalate) {
			c.Stages[sev] = s.ladder(sev, users)
		}
	}
	c.RequiresApproval, c.Approval = s.approval(), s.approvalTerms(users)
	c.Needs, c.ComplaintNeeds = orNeeds(s.SubmissionNeeds, NeedActionPlan, NeedOutcome), orNeeds(s.ComplaintNeeds, NeedRootCause, NeedInformed)
	return c
}

// acks are the targets of acknowledgement: the built-in ones, where they are over
// before the severity's own target, but for what the document says.
func (s *ConfigSpec) acks(targets map[model.Severity]time.Duration) map[model.Severity]TargetSpec {
	acks := builtInAck()
	maps.DeleteFunc(acks, func(sev model.Severity, t TargetSpec) bool { return t.nominal() >= targets[sev] })
	for sev, t := range s.AckTargets {
		if acks[sev] = t.TargetSpec; t.None {
			delete(acks, sev)
		}
	}
	return acks
}

// remindersBefore lists the reminders of a target, largest offset first.
func (s *ConfigSpec) remindersBefore(target time.Duration) []Reminder {
	var rs []Reminder
	for _, r := range s.Reminders {
		before := r.Before
		if r.Percent > 0 {
			before = target - time.Duration(float64(target)*r.Percent/100)
		}
		rs = append(rs, Reminder{before.Truncate(time.Second), r.Clock})
	}
	if s.Reminders == nil {
		for _, h := range s.reminders() {
			rs = append(rs, Reminder{Before: hours(h)})
		}
	}
	slices.SortStableFunc(rs, func(a, b Reminder) int { return cmp.Compare(b.Before, a.Before) })
	return rs
}

// reminders lists the offsets of ReminderHoursBefore, largest first.
func (s *ConfigSpec) reminders() []int {
	if s.ReminderHoursBefore == nil {
		return []int{builtInReminder}
	}
	hs := slices.Sorted(slices.Values(s.ReminderHoursBefore))
	slices.Reverse(hs)
	return hs
}

func (s *ConfigSpec) ladder(sev model.Severity, users map[string]model.UserID) []Stage {
	spec, own := s.Stages[sev]
	if !own {
		stage := Stage{Gap: hours(orInt(s.EscalationDelayHours, builtInEscalation))}
		return slices.Repeat([]Stage{stage}, builtInStages(sev))
	}
	stages := []Stage{}
	for _, st := range spec {
		stage := Stage{
			Gap: stageGap(st.AfterHours), Clock: st.Clock, RaisePriority: st.RaisePriority, Channels: st.Channels, Targets: stageTargets(st.Tell, users),
		}
		stages = append(stages, slices.Repeat([]Stage{stage}, 1+min(max(st.Repeat, 0), maxRepeat))...)
	}
	return stages
}

func stageTargets(specs []StageTargetSpec, users map[string]model.UserID) []StageTarget {
	var ts []StageTarget
	for _, s := range specs {
		ts = append(ts, StageTarget{Manager: s.Manager, Role: s.Role, User: users[s.User]})
	}
	return ts
}

func hours(h int) time.Duration { return time.Duration(h) * time.Hour }

// stageGap is a gap in whole seconds; 0 for one too small or not a number.
func stageGap(h float64) time.Duration {
	if !(h > 0 && h <= maxHours) {
		return 0
	}
	return time.Duration(math.Round(h*3600)) * time.Second
}

func orInt(p *int, otherwise int) int {
	if p == nil {
		return otherwise
	}
	return *p
}

func orTrue(p *bool) bool { return p == nil || *p }

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
