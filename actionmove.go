package main

import (
	"context"
	"time"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
)

type severityCmd struct {
	moveArgs
	To     string `required:"" placeholder:"SEVERITY" help:"The new severity: low, medium, high or critical."`
	Reason string `placeholder:"TEXT" help:"Why."`
}

// Run changes the severity.
func (c severityCmd) Run(ctx context.Context, s *Settings) error {
	to := model.Severity(c.To)
	if to.Rank() == 0 {
		return usagef("--to: one of %v", model.Severities())
	}
	return c.make(ctx, s, plain(sla.MoveRequest{Move: model.MoveSeverity, Severity: to, Reason: c.Reason}))
}

type departmentCmd struct {
	moveArgs
	To     string `required:"" placeholder:"CODE" help:"The new department, by its code in the action's hospital."`
	Reason string `placeholder:"TEXT" help:"Why."`
}

// Run changes the department.
func (c departmentCmd) Run(ctx context.Context, s *Settings) error {
	return c.make(ctx, s, func(dir *sla.Directory, a *model.Action) (sla.MoveRequest, error) {
		to, ok := dir.ResolveDepartment("", a.HospitalID, c.To)
		if !ok {
			return sla.MoveRequest{}, usagef("--to: no department of the action's hospital has the code %q", c.To)
		}
		return sla.MoveRequest{Move: model.MoveDepartment, Department: to.ID, Reason: c.Reason}, nil
	})
}

type dueCmd struct {
	moveArgs
	To     string `required:"" name:"to" aliases:"due" placeholder:"INSTANT" help:"The new deadline: 2026-03-02T15:04 in the hospital's time zone, or an instant with its offset."`
	Reason string `required:"" placeholder:"TEXT" help:"Why."`
}

// Run sets the deadline.
func (c dueCmd) Run(ctx context.Context, s *Settings) error {
	return c.make(ctx, s, func(dir *sla.Directory, a *model.Action) (sla.MoveRequest, error) {
		due, err := instantIn(dir, a.HospitalID, "--to", c.To)
		return sla.MoveRequest{Move: model.MoveDue, DueAt: due, Reason: c.Reason}, err
	})
}

type holdCmd struct {
	moveArgs
	Until  string `placeholder:"INSTANT" help:"When it ends by itself: 2026-03-02T15:04 in the hospital's time zone, or an instant with its offset; by default as late as the SLA config allows."`
	Reason string `required:"" placeholder:"TEXT" help:"Why."`
}

// Run holds.
func (c holdCmd) Run(ctx context.Context, s *Settings) error {
	return c.make(ctx, s, func(dir *sla.Directory, a *model.Action) (sla.MoveRequest, error) {
		m := sla.MoveRequest{Move: model.MoveHold, Reason: c.Reason}
		if c.Until == "" {
			return m, nil
		}
		var err error
		m.Until, err = instantIn(dir, a.HospitalID, "--until", c.Until)
		return m, err
	})
}

type resumeCmd struct{ moveArgs }

// Run resumes.
func (c resumeCmd) Run(ctx context.Context, s *Settings) error {
	return c.make(ctx, s, plain(sla.MoveRequest{Move: model.MoveResume}))
}

// instantIn reads an instant as people write one: with its offset, or by the
// clock on the hospital's wall. flag is where it stands.
func instantIn(dir *sla.Directory, hospital model.HospitalID, flag, text string) (time.Time, error) {
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	zone := time.UTC
	if h := dir.Hospitals[hospital]; h != nil && h.Zone != "" {
		var err error
		if zone, err = time.LoadLocation(h.Zone); err != nil {
			return time.Time{}, usagef("%s: the hospital's time zone %q is not known: give the offset, as in 2026-03-02T15:04:00+03:00", flag, h.Zone)
		}
	}
	at, err := time.ParseInLocation("2006-01-02T15:04", text, zone)
	if err != nil {
		return time.Time{}, usagef("%s: an instant such as 2026-03-02T15:04 (in %s) or 2026-03-02T15:04:00+03:00", flag, zone)
	}
	return at, nil
}

type reopenCmd struct {
	moveArgs
	Reason string `required:"" placeholder:"TEXT" help:"Why."`
}

// Run reopens.
func (c reopenCmd) Run(ctx context.Context, s *Settings) error {
	return c.make(ctx, s, plain(sla.MoveRequest{Move: model.MoveReopen, Reason: c.Reason}))
}

type escalateCmd struct {
	moveArgs
	Reason string `required:"" placeholder:"TEXT" help:"Why."`
}

// Run escalates.
func (c escalateCmd) Run(ctx context.Context, s *Settings) error {
	return c.make(ctx, s, plain(sla.MoveRequest{Move: model.MoveEscalate, Reason: c.Reason}))
}
