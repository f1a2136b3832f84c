package demo

import (
	"time"

	"github.com/pxactions/px/model"
)

// persona is how the people of one action go about it.
type persona int

// The personas. late1 to late3 wait for that stage of escalation.
const (
	inTime persona = iota
	rejected
	prompt // in time as seen from when it came in, long overdue
	late1
	late2
	late3
	never
)

// personaOf deals the personas out: the nth action of a severity (from 0)
// always gets the same one. Each ladder is climbed to its end early on.
func personaOf(severity model.Severity, n int) persona {
	var cycle []persona
	switch severity {
	case model.SeverityCritical:
		cycle = []persona{late3, inTime, never, rejected, late2, late1}
	case model.SeverityHigh:
		cycle = []persona{late3, rejected, late2, inTime, never, late1, inTime}
	case model.SeverityMedium:
		cycle = []persona{late1, inTime, rejected, late2, inTime, never, inTime}
	default:
		cycle = []persona{inTime, late1, inTime, never}
	}
	return cycle[n%len(cycle)]
}

// waitsFor is the stage of escalation before which nobody begins; 0: none.
func (p persona) waitsFor() int {
	switch p {
	case late1, late2, late3:
		return int(p-late1) + 1
	default:
		return 0
	}
}

// step is one move and how long, in domain time, it comes after the one before.
type step struct {
	move  model.Move
	after time.Duration
}

// steps is what is done about an action with so much time left: from its
// creation on, or from the stage on that the persona waits for. spread, in
// [0, 1), keeps actions of the same kind from going in step.
func (p persona) steps(left time.Duration, approval bool, spread float64) []step {
	if p == never {
		return nil
	}
	const unit = 5 * time.Minute
	begin, work := unit, 3*unit
	if p == inTime || p == rejected {
		begin = time.Duration(float64(left) * (0.2 + 0.15*spread))
		work = time.Duration(float64(left) * (0.3 + 0.1*spread))
	}
	s := []step{{model.MoveStart, begin}, {model.MoveNote, work / 3}}
	if !approval {
		return append(s, step{model.MoveClose, work * 2 / 3})
	}
	s = append(s, step{model.MoveSubmit, work * 2 / 3})
	if p == rejected {
		s = append(s, step{model.MoveReject, 2 * unit}, step{model.MoveNote, 2 * unit}, step{model.MoveSubmit, unit})
	}
	return append(s, step{model.MoveApprove, 3 * unit}, step{model.MoveClose, 2 * unit})
}
