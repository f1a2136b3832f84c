package tasks

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

// lateBy is how much later than planned a job may be scheduled: a bound on
// rounding, and on what a clock may be off.
const lateBy = time.Minute

// Missing returns those of arms, in their order, that Redis will not wake (the
// job is not there, is there as dead, or in no list that asynq looks at), and
// those that it will wake later than planned. It asks for all of them in one
// round trip. The error is model.ErrUnavailable.
func (q *Queue) Missing(ctx context.Context, arms []Arm) (missing, late []Arm, err error) {
	if len(arms) == 0 {
		return nil, nil, nil
	}
	type asked struct {
		state            *redis.StringCmd
		scheduled, retry *redis.FloatCmd
	}
	answers := make([]asked, len(arms))
	_, err = q.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, a := range arms {
			queue, id := QueueOf(a.Kind), a.ID()
			answers[i] = asked{
				p.HGet(ctx, queueKey(queue, "t:"+id), "state"),
				p.ZScore(ctx, queueKey(queue, "scheduled"), id), p.ZScore(ctx, queueKey(queue, "retry"), id),
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, nil, unavailable("look for jobs", err)
	}
	for i, a := range answers {
		for _, err := range []error{a.state.Err(), a.scheduled.Err(), a.retry.Err()} {
			if err != nil && !errors.Is(err, redis.Nil) {
				return nil, nil, unavailable("look for jobs", err)
			}
		}
		state := a.state.Val()
		switch {
		case state == "", dead(state), state == "scheduled" && a.scheduled.Err() != nil, state == "retry" && a.retry.Err() != nil:
			missing = append(missing, arms[i])
		case state == "scheduled" && a.scheduled.Val() > float64(wholeSecond(arms[i].At.Add(lateBy)).Unix()):
			late = append(late, arms[i])
		}
	}
	return missing, late, nil
}
