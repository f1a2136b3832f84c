package tasks

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Repaired is what one Repair did, in entries.
type Repaired struct {
	Dangling int // ids without a task: one makes the dashboard fail for all queues
	Archived int // dead tasks past their age
	Leases   int // running tasks that no worker held and asynq would never take back
	Ghosts   int // what workers and schedulers that were killed have left: their names, and how they ticked
}

// Total is the number of all entries.
func (r Repaired) Total() int { return r.Dangling + r.Archived + r.Leases + r.Ghosts }

// walk remembers how far Repair has come in each list, so that each round takes
// up where the last one ended.
type walk struct {
	mu     sync.Mutex // one Repair at a time
	offset map[string]int
}

// The scripts take one page each, atomically: an id is in its list and its task
// is gone, or it is not.
var (
	// KEYS: set or list, lease set. ARGV: task key prefix, "list" or "set",
	// offset, page. Returns the ids seen and those removed. A task's hash
	// without message is what asynq's forwarder makes of a dangling id.
	removeDangling = redis.NewScript(`
local list = ARGV[2] == "list"
local last = ARGV[3] + ARGV[4] - 1
local ids = redis.call(list and "LRANGE" or "ZRANGE", KEYS[1], ARGV[3], last)
local gone = 0
for _, id in ipairs(ids) do
	local task = ARGV[1] .. id
	if redis.call("HEXISTS", task, "msg") == 0 then
		if list then
			gone = gone + redis.call("LREM", KEYS[1], 0, id)
		else
			gone = gone + redis.call("ZREM", KEYS[1], id)
		end
		redis.call("ZREM", KEYS[2], id)
		redis.call("DEL", task)
	end
end
return {#ids, gone}`)

	// KEYS: active list, lease set. ARGV: offset, page. A lease that ended a
	// minute ago is what asynq's recoverer looks for.
	lendLeases = redis.NewScript(`
local ids = redis.call("LRANGE", KEYS[1], ARGV[1], ARGV[1] + ARGV[2] - 1)
local ended = redis.call("TIME")[1] - 60
local lent = 0
for _, id in ipairs(ids) do
	lent = lent + redis.call("ZADD", KEYS[2], "NX", ended, id)
end
return {#ids, lent}`)

	// KEYS: archived set. ARGV: task key prefix, age in seconds, page.
	dropArchived = redis.NewScript(`
local ids = redis.call("ZRANGEBYSCORE", KEYS[1], "-inf", redis.call("TIME")[1] - ARGV[2], "LIMIT", 0, ARGV[3])
for _, id in ipairs(ids) do
	redis.call("DEL", ARGV[1] .. id)
	redis.call("ZREM", KEYS[1], id)
end
return {#ids, #ids}`)

	// KEYS: names of processes by when they expire.
	dropNames = redis.NewScript(`return redis.call("ZREMRANGEBYSCORE", KEYS[1], "-inf", redis.call("TIME")[1] - 60)`)

	// KEYS: history of an entry. ARGV: age in seconds.
	dropHistory = redis.NewScript(`
local last = redis.call("ZREVRANGE", KEYS[1], 0, 0, "WITHSCORES")
if last[2] and tonumber(last[2]) < redis.call("TIME")[1] - ARGV[1] then
	return redis.call("DEL", KEYS[1])
end
return 0`)
)

// historyAge is how long after its last tick a scheduler is gone for good.
const historyAge = 24 * time.Hour

// Repair tidies what asynq leaves behind, for the dashboard's sake and for jobs
// that it would never take back: it registers the queues again, removes ids
// without a task, deletes dead tasks past their age, lends running tasks
// without a lease one that has ended, and deletes what processes that were killed
// have left. One call does a bounded part, the next goes on from there. The error is
// model.ErrUnavailable; what was done before is counted.
func (q *Queue) Repair(ctx context.Context) (Repaired, error) {
	q.walk.mu.Lock()
	defer q.walk.mu.Unlock()
	if q.walk.offset == nil {
		q.walk.offset = map[string]int{}
	}
	var done Repaired
	if err := q.rdb.SAdd(ctx, "asynq:queues", anys(Queues())...).Err(); err != nil {
		return done, unavailable("register the queues", err)
	}
	for _, queue := range Queues() {
		if err := q.repairQueue(ctx, queue, &done); err != nil {
			return done, unavailable("repair queue "+queue, err)
		}
	}
	if err := q.dropGhosts(ctx, &done); err != nil {
		return done, unavailable("tidy after processes that are gone", err)
	}
	return done, nil
}

func (q *Queue) dropGhosts(ctx context.Context, done *Repaired) error {
	for _, key := range []string{"asynq:servers", "asynq:workers", "asynq:schedulers"} {
		n, err := dropNames.Run(ctx, q.rdb, []string{key}).Int()
		if err != nil {
			return err
		}
		done.Ghosts += n
	}
	return q.scan(ctx, "asynq:scheduler_history:*", func(keys []string) error {
		for _, key := range keys {
			n, err := dropHistory.Run(ctx, q.rdb, []string{key}, int64(historyAge.Seconds())).Int()
			if err != nil {
				return err
			}
			done.Ghosts += n
		}
		return nil
	})
}

func (q *Queue) repairQueue(ctx context.Context, queue string, done *Repaired) error {
	prefix, lease, page := queueKey(queue, "t:"), queueKey(queue, "lease"), q.o.RepairPage
	for _, state := range []string{"active", "pending", "scheduled", "retry", "archived"} {
		key, kind := queueKey(queue, state), "set"
		if state == "active" || state == "pending" {
			kind = "list"
		}
		n, err := q.pages(ctx, key, removeDangling, func(offset int) ([]string, []any) {
			return []string{key, lease}, []any{prefix, kind, offset, page}
		})
		done.Dangling += n
		if err != nil {
			return err
		}
	}
	active, archived := queueKey(queue, "active"), queueKey(queue, "archived")
	n, err := q.pages(ctx, lease, lendLeases, func(offset int) ([]string, []any) {
		return []string{active, lease}, []any{offset, page}
	})
	done.Leases += n
	if err != nil {
		return err
	}
	for range q.o.RepairPages {
		seen, n, err := q.page(ctx, dropArchived, []string{archived}, []any{prefix, int64(q.o.ArchiveAge.Seconds()), page})
		done.Archived += n
		if err != nil || seen < page {
			return err
		}
	}
	return nil
}

// pages runs a script over the next pages of what walk knows by name, and
// starts from the beginning once the end is reached.
func (q *Queue) pages(ctx context.Context, name string, script *redis.Script, args func(offset int) ([]string, []any)) (changed int, err error) {
	for range q.o.RepairPages {
		offset := q.walk.offset[name]
		keys, argv := args(offset)
		seen, n, err := q.page(ctx, script, keys, argv)
		if err != nil {
			return changed, err
		}
		changed += n
		if seen < q.o.RepairPage {
			q.walk.offset[name] = 0
			return changed, nil
		}
		q.walk.offset[name] = offset + seen
		if script == removeDangling {
			q.walk.offset[name] -= n // what follows has moved up
		}
	}
	return changed, nil
}

func (q *Queue) page(ctx context.Context, script *redis.Script, keys []string, argv []any) (seen, changed int, err error) {
	counts, err := script.Run(ctx, q.rdb, keys, argv...).Int64Slice()
	if err != nil {
		return 0, 0, err
	}
	if len(counts) != 2 {
		return 0, 0, fmt.Errorf("the script answered with %d numbers, want 2", len(counts))
	}
	return int(counts[0]), int(counts[1]), nil
}

func anys(ss []string) []any {
	all := make([]any, len(ss))
	for i, s := range ss {
		all[i] = s
	}
	return all
}
