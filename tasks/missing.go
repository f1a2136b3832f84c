package tasks

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"
)

// Missing returns those of arms, in their order, that Redis will not wake: the
// job is not there, or is there as dead. It asks for all of them in one round
// trip. The error is model.ErrUnavailable.
func (q *Queue) Missing(ctx context.Context, arms []Arm) ([]Arm, error) {
	if len(arms) == 0 {
		return nil, nil
	}
	cmds, err := q.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, a := range arms {
			p.HGet(ctx, queueKey(QueueOf(a.Kind), "t:"+a.ID()), "state")
		}
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, unavailable("look for jobs", err)
	}
	var missing []Arm
	for i, cmd := range cmds {
		state, err := cmd.(*redis.StringCmd).Result()
		if err != nil && !errors.Is(err, redis.Nil) {
			return nil, unavailable("look for jobs", err)
		}
		if state == "" || state == "archived" || state == "completed" {
			missing = append(missing, arms[i])
		}
	}
	return missing, nil
}
