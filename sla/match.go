package sla

import (
	"cmp"
	"maps"
	"math"
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

// config compiles a config of the document. It holds no faults any more.
func (s *ConfigSpec) config(id *model.SLAConfigID, revision int64) *Config {
	c := &Config{
		ID: id, Name: s.Name, Revision: revision,
		Target: map[model.Severity]time.Duration{
			model.SeverityCritical: hours(orInt(s.CriticalHours, builtInCritical)),
			model.SeverityHigh:     hours(orInt(s.HighHours, builtInHigh)),
			model.SeverityMedium:   hours(orInt(s.MediumHours, builtInMedium)),
			model.SeverityLow:      hours(orInt(s.LowHours, builtInLow)),
		},
		Stages: map[model.Severity][]Stage{},
		Clock:  map[model.Severity]ClockKind{},
	}
	for _, h := range s.reminders() {
		c.Reminders = append(c.Reminders, hours(h))
	}
	for _, sev := range model.Severities() {
		c.Clock[sev] = cmp.Or(s.Clock[sev], builtInClock(sev))
		if orTrue(s.AutoEscalate) {
			c.Stages[sev] = s.ladder(sev)
		}
	}
	c.RequiresApproval = s.approval()
	return c
}

// reminders lists the offsets before due, largest first.
func (s *ConfigSpec) reminders() []int {
	if s.ReminderHoursBefore == nil {
		return []int{builtInReminder}
	}
	hs := slices.Sorted(slices.Values(s.ReminderHoursBefore))
	slices.Reverse(hs)
	return hs
}

func (s *ConfigSpec) ladder(sev model.Severity) []Stage {
	spec, own := s.Stages[sev]
	if !own {
		stage := Stage{Gap: hours(orInt(s.EscalationDelayHours, builtInEscalation))}
		return slices.Repeat([]Stage{stage}, builtInStages(sev))
	}
	stages := make([]Stage, len(spec))
	for i, st := range spec {
		stages[i] = Stage{Gap: stageGap(st.AfterHours), RaisePriority: st.RaisePriority}
	}
	return stages
}

// approval compiles who needs approval; nil: all.
func (s *ConfigSpec) approval() func(model.SourceType, model.Severity) bool {
	if !orTrue(s.RequiresApproval) {
		return func(model.SourceType, model.Severity) bool { return false }
	}
	if len(s.ApprovalExempt) == 0 {
		return nil
	}
	exempt := slices.Clone(s.ApprovalExempt)
	return func(st model.SourceType, sev model.Severity) bool {
		return !slices.ContainsFunc(exempt, func(e Exemption) bool {
			return (e.SourceType == "" || e.SourceType == st) && (e.Severity == "" || e.Severity == sev)
		})
	}
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
