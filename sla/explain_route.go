package sla

import (
	"github.com/pxactions/px/model"
)

// RuleTried is one routing rule as it was tried on an action, and what came of
// it.
type RuleTried struct {
	Rule  *model.RoutingRule `json:"-"`
	Name  string             `json:"name"`
	Prio  int                `json:"priority"`
	Fits  bool               `json:"fits"`
	Fails []Mismatch         `json:"fails,omitempty"` // every condition that did not fit
}

// Mismatch is a condition of a rule that an action does not meet.
type Mismatch struct {
	Condition string `json:"condition"`      // source_type, category, severity or department
	Want      string `json:"want"`           // what the rule asks for: a code
	Have      string `json:"have,omitempty"` // what the action has; empty: none
}

// RoutingFinding is how the routing rules were tried on one action.
type RoutingFinding struct {
	Tried    []RuleTried `json:"tried"`     // in their order, up to the first that fits
	After    int         `json:"not_tried"` // rules behind the one that fits
	Others   int         `json:"elsewhere"` // active rules that are for other hospitals
	Inactive int         `json:"inactive"`  // rules that are switched off

	Department *model.DepartmentID `json:"-"` // where the action went from here
}

// Fit is the rule that decided; nil: none fitted.
func (f *RoutingFinding) Fit() *RuleTried {
	if n := len(f.Tried); n > 0 && f.Tried[n-1].Fits {
		return &f.Tried[n-1]
	}
	return nil
}

// ExplainRouting tries the rules again on the action that a feedback became,
// with the severity that it was made with.
func (r *Rules) ExplainRouting(f *model.Feedback, severity model.Severity) RoutingFinding {
	if f.HospitalID == nil {
		return RoutingFinding{}
	}
	a := r.action(f, severity, f.ReceivedAt, "")
	found := RoutingFinding{Department: a.DepartmentID}
	rules := r.routing.of(a.HospitalID)
	for i := range rules {
		tried := rules[i].try(&a, r.dir)
		found.Tried = append(found.Tried, tried)
		if tried.Fits {
			found.After = len(rules) - i - 1
			if to := tried.Rule.AssignToDepartment; to != nil {
				found.Department = to
			}
			break
		}
	}
	for i := range r.rules {
		switch row := &r.rules[i]; {
		case !row.IsActive:
			found.Inactive++
		case row.HospitalID != nil && *row.HospitalID != a.HospitalID:
			found.Others++
		}
	}
	return found
}

// try is fits with the conditions that don't.
func (x *rule) try(a *model.Action, dir *Directory) RuleTried {
	t := RuleTried{Rule: x.row, Name: x.row.Name, Prio: x.row.Priority, Fits: x.fits(a)}
	lacks := func(condition, want, have string, fits bool) {
		if want != "" && !fits {
			t.Fails = append(t.Fails, Mismatch{condition, want, have})
		}
	}
	lacks("source_type", string(x.source), string(a.SourceType), x.source == a.SourceType)
	lacks("category", string(x.category), string(a.Category), x.category == a.Category)
	lacks("severity", string(x.severity), string(a.Severity), x.severity == a.Severity)
	if !fitsID(x.department, a.DepartmentID) {
		t.Fails = append(t.Fails, Mismatch{"department", dir.departmentCode(&x.department), dir.departmentCode(a.DepartmentID)})
	}
	return t
}

// departmentCode names a department; its id where the directory has no such
// one, "" for none.
func (d *Directory) departmentCode(id *model.DepartmentID) string {
	if id == nil {
		return ""
	}
	if dep := d.Departments[*id]; dep != nil {
		return dep.Code
	}
	return id.String()
}

// The scopes of SLA configs, the nearest first.
const (
	ScopeDepartment = "department"
	ScopeHospital   = "hospital"
	ScopeGlobal     = "global"
	ScopeBuiltIn    = "built_in"
)

// ConfigCandidate is an SLA config whose scope holds an action.
type ConfigCandidate struct {
	Scope  string             `json:"scope"` // ScopeDepartment, …
	Name   string             `json:"name"`
	Active bool               `json:"active"` // false: switched off, so it cannot win
	Wins   bool               `json:"wins"`
	ID     *model.SLAConfigID `json:"-"`
}

// ExplainConfigs lists the SLA configs that could count for an action at a
// place, nearest scope first. Exactly one wins.
func (r *Rules) ExplainConfigs(h model.HospitalID, d *model.DepartmentID) []ConfigCandidate {
	var list []ConfigCandidate
	add := func(scope string, of func(*model.SLAConfig) bool) {
		for i := range r.rows {
			if row := &r.rows[i]; of(row) {
				list = append(list, ConfigCandidate{Scope: scope, Name: row.Name, Active: row.IsActive, ID: &row.ID})
			}
		}
	}
	if d != nil {
		add(ScopeDepartment, func(c *model.SLAConfig) bool { return c.DepartmentID != nil && *c.DepartmentID == *d })
	}
	add(ScopeHospital, func(c *model.SLAConfig) bool {
		return c.DepartmentID == nil && c.HospitalID != nil && *c.HospitalID == h
	})
	add(ScopeGlobal, func(c *model.SLAConfig) bool { return c.DepartmentID == nil && c.HospitalID == nil })
	list = append(list, ConfigCandidate{Scope: ScopeBuiltIn, Name: builtInName, Active: true})
	won := r.Match(h, d)
	for i := range list {
		list[i].Wins = list[i].Active && (list[i].ID == won.ID || list[i].ID != nil && won.ID != nil && *list[i].ID == *won.ID)
	}
	return list
}
