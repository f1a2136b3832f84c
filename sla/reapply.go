package sla

import (
	"fmt"
	"time"

	"github.com/pxactions/px/model"
)

// Reapply puts a live action under these rules as a whole: the SLA config and
// the calendar of its place, and whether it needs approval. What is due by the
// old plan is settled first; the new one counts from the clock start. A due that
// was set by hand is recomputed, too.
func (r *Rules) Reapply(c Case, now time.Time) Outcome {
	t := newTurn(c, now)
	t.settle()
	was := t.standing()
	a := &t.Action
	old := t.Config.Name
	cfg := r.Match(a.HospitalID, a.DepartmentID)
	open := r.OpenTime(cfg, a.HospitalID, a.DepartmentID)
	t.Config, t.Open = cfg, open.Calendar
	a.PolicyRevision, a.SLAConfigID, a.Calendar, a.CalendarRevision = r.Revision, cfg.ID, open.Name, open.Revision
	a.RequiresApproval = t.requiresApproval()
	t.setAck()
	t.replan(was, t.fromTarget())
	t.logPlan(was, MoveRequest{Move: model.MovePolicy}, fmt.Sprintf("Policy revision %d applied", r.Revision),
		model.LogMetadata{"policy_revision": r.Revision, "old_sla_config": old, "sla_config": cfg.Name})
	t.tellStanding(was)
	return t.outcome()
}
