package scheduler

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hibiken/asynq"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/store"
	"github.com/pxactions/px/tasks"
)

// tick and tickSpec (cron, UTC) are how often each piece of housekeeping asks
// whether it is due: often, because asynq's scheduler forgets the ticks that it
// missed.
const (
	tick     = 10 * time.Minute
	tickSpec = "*/10 * * * *"
)

// tickHeartbeat is how often (machine time) the ticks show themselves on the
// asynq dashboard.
const tickHeartbeat = 2 * time.Second

// dueLease is how long (machine time) work under way keeps others away: longer
// than its task may run, so that only a dead worker is replaced.
const dueLease = tasks.HousekeepingTimeout + time.Minute

// Periodic is one piece of housekeeping: each scheduler ticks and none
// remembers, so the database says whether it was not done within Every.
type Periodic struct {
	Name  string
	Every time.Duration // machine time
}

// Housekeeping lists the periodic work.
func Housekeeping() []Periodic {
	return []Periodic{
		{Name: "verify", Every: 24*time.Hour - tick}, // so that it does not move through the day
		{Name: "retention", Every: 24*time.Hour - tick},
		{Name: "hygiene", Every: tick - time.Minute},
		{Name: "audit", Every: time.Hour - tick},
		{Name: "files", Every: time.Hour - tick},
		{Name: "feeds", Every: 6*time.Hour - tick},
	}
}

// Do does the work if it is due and in nobody else's hands, and nothing
// otherwise. Only what succeeded counts as done: after a failure it is due
// again at the next tick or retry, after a death when the claim has run out.
func (p Periodic) Do(ctx context.Context, s *store.Store, holder string, work func(context.Context) error) error {
	name := "housekeeping:" + p.Name
	mine, err := s.ClaimDue(ctx, name, holder, p.Every, dueLease)
	if err != nil || !mine {
		return err
	}
	err = work(ctx)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), slotTimeout)
	defer cancel()
	return errors.Join(err, s.FinishDue(ctx, name, holder, err == nil))
}

// tickHousekeeping starts the periodic ticks, as often as it takes, and ends
// them with the context.
func (s *Scheduler) tickHousekeeping(ctx context.Context) {
	ticker := time.NewTicker(s.o.Interval)
	defer ticker.Stop()
	for waits := false; ; waits = true {
		stop, err := s.start(ctx)
		if err == nil {
			s.o.Log.Info().Msg("periodic tasks started")
			<-ctx.Done()
			stop()
			return
		}
		if !waits && ctx.Err() == nil {
			s.o.Log.Warn().Err(err).Msg("periodic tasks wait")
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// startTicks starts an asynq scheduler of all housekeeping.
func (s *Scheduler) startTicks(ctx context.Context) (stop func(), err error) {
	if err := s.o.Client.Ping(ctx).Err(); err != nil {
		return nil, fmt.Errorf("ping Redis: %w: %w", model.ErrUnavailable, err)
	}
	cron := asynq.NewSchedulerFromRedisClient(s.o.Client, &asynq.SchedulerOpts{
		Logger:            tasks.AsynqLogger(s.o.Log),
		LogLevel:          asynq.WarnLevel,
		Location:          time.UTC,
		HeartbeatInterval: tickHeartbeat,
	})
	for _, p := range Housekeeping() {
		task, options := tasks.Housekeeping(p.Name)
		if _, err := cron.Register(tickSpec, task, options...); err != nil {
			return nil, fmt.Errorf("register housekeeping %s: %w", p.Name, err)
		}
	}
	if err := cron.Start(); err != nil {
		return nil, fmt.Errorf("start the periodic tasks: %w", err)
	}
	return cron.Shutdown, nil
}
