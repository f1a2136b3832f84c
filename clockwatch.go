package main

import (
	"context"
	"fmt"
	"time"

	"github.com/pxactions/px/internal/ops"
)

const (
	clockEvery = 10 * time.Second // between two looks at the clocks
	clockOff   = 5 * time.Second  // from here on a clock is wrong; synchronised ones differ by milliseconds
)

// clockFault says how this process's clock differs from PostgreSQL's, where it
// does by as much as matters; nil: it does not.
func (a *app) clockFault(ctx context.Context) (fault, err error) {
	ahead, err := a.store.ClockAhead(ctx)
	switch {
	case err != nil || ahead.Abs() < clockOff:
		return nil, err
	case ahead > 0:
		return fmt.Errorf("this machine's clock is %s ahead of PostgreSQL's", ahead.Round(time.Second)), nil
	default:
		return fmt.Errorf("this machine's clock is %s behind PostgreSQL's", -ahead.Round(time.Second)), nil
	}
}

// checkClock degrades a process whose clock is wrong.
func (a *app) checkClock() ops.Check {
	return ops.Check{Name: "clock", Run: func(ctx context.Context) error {
		fault, _ := a.clockFault(ctx) // that the database is away another check says
		return fault
	}}
}

// watchClock compares the clocks until the context ends.
func (a *app) watchClock(ctx context.Context) error {
	ticker := time.NewTicker(clockEvery)
	defer ticker.Stop()
	for wrong := false; ; {
		wrong = a.tellClock(ctx, wrong)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// tellClock compares the clocks once, and says when this process's has become
// wrong or right. It returns which it is.
func (a *app) tellClock(ctx context.Context, wrong bool) bool {
	fault, err := a.clockFault(ctx)
	switch {
	case err != nil:
		return wrong
	case fault != nil && !wrong:
		a.log.Warn().Err(fault).Msg("clocks differ: deadlines go by PostgreSQL's, and the queue's jobs may come early, late or twice")
	case fault == nil && wrong:
		a.log.Info().Msg("clocks agree again")
	}
	return fault != nil
}
