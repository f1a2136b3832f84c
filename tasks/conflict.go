package tasks

import (
	"context"
	"errors"
	"fmt"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

// errRunning is a job whose id a task has that is running.
var errRunning = errors.New("a task of this id is running")

// unblock looks at the task that has a job's id. KEYS: the task, and the sets of
// scheduled, retried, archived and completed ones. ARGV: id, instant of the job.
// A dead task is removed; one that is to run later than the job is brought
// forward, and one that its set has lost is put back. Returns the state in which
// the task was, or nothing.
var unblock = redis.NewScript(`
local state = redis.call("HGET", KEYS[1], "state")
if state == "scheduled" then
	redis.call("ZADD", KEYS[2], "LT", ARGV[2], ARGV[1])
elseif state == "retry" then
	redis.call("ZADD", KEYS[3], "NX", ARGV[2], ARGV[1])
elseif state == "archived" or state == "completed" then
	redis.call("ZREM", KEYS[4], ARGV[1])
	redis.call("ZREM", KEYS[5], ARGV[1])
	redis.call("DEL", KEYS[1])
end
return state`)

// put enqueues a job, in the place of a dead task where there is one. known: a
// task of this id waits already. errRunning: one runs.
func (q *Queue) put(ctx context.Context, j job) (known bool, err error) {
	for range 2 {
		_, err = q.client.EnqueueContext(ctx, j.task, j.options()...)
		if !errors.Is(err, asynq.ErrTaskIDConflict) {
			return false, err
		}
		var state string
		state, err = unblock.Run(ctx, q.rdb, []string{
			queueKey(j.queue, "t:"+j.id), queueKey(j.queue, "scheduled"), queueKey(j.queue, "retry"),
			queueKey(j.queue, "archived"), queueKey(j.queue, "completed"),
		}, j.id, wholeSecond(j.at).Unix()).Text()
		switch {
		case err != nil && !errors.Is(err, redis.Nil):
			return false, fmt.Errorf("look at the task of this id: %w", err)
		case state == "active":
			return false, errRunning
		case state != "" && !dead(state):
			return true, nil
		}
	}
	return false, errRunning // it comes and goes: somebody else is at it
}
