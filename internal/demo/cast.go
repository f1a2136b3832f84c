package demo

import "github.com/pxactions/px/model"

// part is one that an action may have in the timeline.
type part struct {
	severity model.Severity // empty: any
	persona  persona
	pass     int // how many that fit are passed over, for one that comes later
}

// cast chooses the actions that the timeline follows: all of them together
// would run past too fast to be read.
type cast struct {
	open   []part
	chosen map[model.ActionID]int // the number of its part
}

func newCast() *cast {
	return &cast{chosen: map[model.ActionID]int{}, open: []part{
		{model.SeverityCritical, late3, 0}, {model.SeverityCritical, inTime, 0}, {model.SeverityHigh, late3, 0},
		{model.SeverityHigh, rejected, 0}, {model.SeverityHigh, never, 0}, {model.SeverityHigh, late2, 3}, {model.SeverityMedium, late1, 0},
		{model.SeverityMedium, late2, 4}, {model.SeverityLow, inTime, 0}, {"", prompt, 0},
	}}
}

// follows reports whether an event belongs to an action of the cast, which a
// new one may join. Restricted ones are never shown.
func (c *cast) follows(e *event) bool {
	if e.action == nil {
		return false
	}
	if e.Kind != kindCreated {
		_, ok := c.chosen[e.action.ID]
		return ok
	}
	if e.action.Restricted || e.action.AssignedTo == nil {
		return false
	}
	for i, p := range c.open {
		if p.persona == e.action.persona && (p.severity == "" || p.severity == e.action.Severity) {
			if c.open[i].pass--; c.open[i].pass >= 0 {
				return false
			}
			c.open = append(c.open[:i], c.open[i+1:]...)
			c.chosen[e.action.ID] = len(c.chosen)
			return true
		}
	}
	return false
}
