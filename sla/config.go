package sla

import (
	"time"

	"github.com/pxactions/px/model"
)

// Config is a compiled SLA config: what an action's plan is made from.
type Config struct {
	ID       *model.SLAConfigID // nil: the built-in config
	Name     string
	Revision int64 // of the policy it came from; 0: built-in

	Readers []model.Role // who may have to do with restricted actions

	Target    map[model.Severity]time.Duration // from clock start to due; > 0 for every severity
	Days      map[model.Severity]int           // the same in working days of the calendar, where above 0; Target is then nominal
	Reminders map[model.Severity][]Reminder    // before due, largest first; numbered 1.. in this order
	Stages    map[model.Severity][]Stage       // ladder per severity; empty: no escalation

	AckTargets map[model.Severity]TargetSpec // from an assignment to the start of the work; a severity left out has none
	AckReroute bool                          // who misses it loses the action to somebody else, once

	MaxHold      time.Duration // the longest an action may be held, elapsed; 0: DefaultMaxHold
	HoldCritical bool          // critical actions may be held, too
	Reopen       Reopening     // what time a reopened action gets; empty: ReopenFresh

	RequiresApproval func(model.SourceType, model.Severity) bool // nil: always
	Approval         Approval                                    // how long that may take, and who steps in
	Needs            []Need                                      // of a submission, or of a closure without one
	ComplaintNeeds   []Need                                      // the same, of complaints besides
	RootCauses       []string                                    // the codes there are; empty: any
	Clock            map[model.Severity]ClockKind                // which time each severity's target counts; a missing one: open
	Calendar         string                                      // name of the calendar of open time; empty: the department's, else the hospital's
}

// Reminder is one reminder of a plan.
type Reminder struct {
	Before time.Duration // before due; > 0
	Clock  ClockKind     // which time Before counts; empty: the severity's own
}

// Stage is one step of escalation.
type Stage struct {
	Gap           time.Duration   // after due for the first, after the stage before for the others; > 0
	Clock         ClockKind       // which time Gap counts; empty: the severity's own
	RaisePriority model.Severity  // empty: leave the priority
	Targets       []StageTarget   // whom it tells; empty, or nobody there: by the ladder
	Channels      []model.Channel // over which of a person's channels; empty, or they have none of these: all of theirs
}

// StageTarget is whom a stage tells: one of its fields is set.
type StageTarget struct {
	Manager bool         // the department's manager
	Role    model.Role   // its holders in the department, else in the hospital, else for all hospitals
	User    model.UserID // a person, or who stands in for them
}

// Rung is whom a stage may tell. The ladder's rungs are climbed in order; see
// the rule in Ladder.
type Rung string

// The built-in rungs, lowest first.
const (
	RungManager   Rung = "manager"   // the department's manager
	RungPXAdmin   Rung = "px_admin"  // the hospital's PX Admins
	RungExecutive Rung = "executive" // the hospital's executives
)

// DefaultMaxHold is the longest that an action may be held where its SLA config
// names no other limit.
const DefaultMaxHold = 14 * 24 * time.Hour

// Floor is what a rejection, or a reopening with what was left, leaves on the
// clock at least, and how far ahead a manual due of an overdue action must be.
// Of the first two it is the target where that is less.
const Floor = 4 * time.Hour
