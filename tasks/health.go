package tasks

import (
	"context"
	"strings"

	"github.com/redis/go-redis/v9"
)

// queueKey is asynq's name for what it keeps of a queue.
func queueKey(queue, what string) string { return "asynq:{" + queue + "}:" + what }

// beatKey lies outside asynq's names, so that no tool of theirs stumbles over
// it, and under the queue's hash tag, so that it is lost with the queue.
func beatKey(queue string) string { return "px:{" + queue + "}:beat" }

// KEYS: counter. One script, so that the counter and the run id are of the same
// server: in a cluster, of the master that holds the queue.
var beat = redis.NewScript(`return {redis.call("INCR", KEYS[1]), redis.call("INFO", "server")}`)

// Beat raises the queue's counter in Redis and returns it with the run id of
// the server. A counter not above the one remembered elsewhere, or another run
// id, means that jobs may be lost. The error is model.ErrUnavailable.
func (q *Queue) Beat(ctx context.Context, queue string) (counter int64, runID string, err error) {
	answer, err := beat.Run(ctx, q.rdb, []string{beatKey(queue)}).Slice()
	if err != nil {
		return 0, "", unavailable("beat of queue "+queue, err)
	}
	counter, _ = answer[0].(int64)
	info, _ := answer[1].(string)
	return counter, infoFields(info)["run_id"], nil
}

// Depth is how many tasks of a queue are in each state.
type Depth struct{ Pending, Active, Scheduled, Retry, Archived int64 }

// Depths returns the depth of every queue in one round trip (to each master of a
// cluster) that costs Redis nothing. The error is model.ErrUnavailable.
func (q *Queue) Depths(ctx context.Context) (map[string]Depth, error) {
	counts := map[string][5]*redis.IntCmd{}
	_, err := q.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, name := range Queues() {
			counts[name] = [5]*redis.IntCmd{
				p.LLen(ctx, queueKey(name, "pending")),
				p.LLen(ctx, queueKey(name, "active")),
				p.ZCard(ctx, queueKey(name, "scheduled")),
				p.ZCard(ctx, queueKey(name, "retry")),
				p.ZCard(ctx, queueKey(name, "archived")),
			}
		}
		return nil
	})
	if err != nil {
		return nil, unavailable("depths of the queues", err)
	}
	depths := make(map[string]Depth, len(counts))
	for name, c := range counts {
		depths[name] = Depth{Pending: c[0].Val(), Active: c[1].Val(), Scheduled: c[2].Val(), Retry: c[3].Val(), Archived: c[4].Val()}
	}
	return depths, nil
}

// infoFields reads the answer of INFO.
func infoFields(text string) map[string]string {
	fields := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			fields[name] = value
		}
	}
	return fields
}
