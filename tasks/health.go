package tasks

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// queueKey is asynq's name for what it keeps of a queue.
func queueKey(queue, what string) string { return "asynq:{" + queue + "}:" + what }

// beatKey lies outside asynq's names, so that no tool of theirs stumbles over
// it, and under the queue's hash tag, so that it is lost with the queue.
func beatKey(queue string) string { return "px:{" + queue + "}:beat" }

// Beat raises the queue's counter in Redis and returns it with the run id of
// the server. A counter not above the one remembered elsewhere, or another run
// id, means that jobs may be lost. The error is model.ErrUnavailable.
func (q *Queue) Beat(ctx context.Context, queue string) (counter int64, runID string, err error) {
	var incr *redis.IntCmd
	var info *redis.StringCmd
	_, err = q.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		incr = p.Incr(ctx, beatKey(queue))
		info = p.Info(ctx, "server")
		return nil
	})
	if err != nil {
		return 0, "", unavailable("beat of queue "+queue, err)
	}
	return incr.Val(), infoFields(info.Val())["run_id"], nil
}

// Depth is how many tasks of a queue are in each state.
type Depth struct{ Pending, Active, Scheduled, Retry, Archived int64 }

// Depths returns the depth of every queue in one round trip that costs Redis
// nothing. The error is model.ErrUnavailable.
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

// CheckRedis says in plain words what of this Redis is not as the program needs
// it. Nothing to say: nil. Whatever it says, the program goes on: every job can
// be made again from PostgreSQL.
func CheckRedis(ctx context.Context, rdb redis.UniversalClient) []string {
	text, err := rdb.Info(ctx).Result()
	if err != nil {
		return []string{fmt.Sprintf("Redis cannot be checked now: %v", err)}
	}
	info := infoFields(text)
	warnings := checkVersion(info)
	say := func(bad bool, format string, args ...any) {
		if bad {
			warnings = append(warnings, fmt.Sprintf(format, args...))
		}
	}
	say(info["role"] == "slave", "this Redis is a replica and refuses writes: point the URL at its master")
	policy := info["maxmemory_policy"]
	say(policy != "noeviction", "maxmemory-policy is %s: set it to noeviction, else Redis drops jobs without a word when its memory is full", orUnknown(policy))
	say(info["aof_enabled"] != "1", "appendonly is off: set appendonly yes and appendfsync everysec, else a restart loses the queued jobs until the sweeps enqueue them again")
	warnings = append(warnings, checkFsync(ctx, rdb, info["aof_enabled"] == "1")...)
	if others := otherDatabases(info, databaseOf(rdb)); others != "" {
		say(true, "other databases of this Redis hold keys (%s): give the jobs a Redis of their own, so that nobody else's load or FLUSHALL touches them", others)
	}
	return warnings
}

// checkVersion wants 6.2: asynq's script for archiving uses ZRANGE … BYSCORE,
// and without it failing tasks stay active for ever.
func checkVersion(info map[string]string) []string {
	version := info["redis_version"]
	var major, minor int
	if _, err := fmt.Sscanf(version, "%d.%d", &major, &minor); err != nil {
		return []string{"this Redis does not tell its version: 6.2 or later is needed"}
	}
	if major < 6 || (major == 6 && minor < 2) {
		return []string{fmt.Sprintf("Redis %s is too old: 6.2 or later is needed, else failing tasks are stuck", version)}
	}
	return nil
}

// checkFsync asks for the one setting that INFO does not tell. Many hosted
// servers forbid the question.
func checkFsync(ctx context.Context, rdb redis.UniversalClient, aof bool) []string {
	if !aof {
		return nil
	}
	m, err := rdb.ConfigGet(ctx, "appendfsync").Result()
	switch {
	case errors.As(err, new(redis.Error)):
		return []string{"appendfsync cannot be checked, as CONFIG GET is not allowed here: see that it is everysec"}
	case err != nil:
		return []string{fmt.Sprintf("appendfsync cannot be checked now: %v", err)}
	case m["appendfsync"] != "everysec":
		return []string{fmt.Sprintf("appendfsync is %s: everysec loses a second at most and is fast", orUnknown(m["appendfsync"]))}
	}
	return nil
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

// otherDatabases lists the databases with keys besides ours.
func otherDatabases(info map[string]string, own string) string {
	var others []string
	for i := range maxDatabases {
		name := fmt.Sprintf("db%d", i)
		if _, has := info[name]; has && name != own {
			others = append(others, name)
		}
	}
	return strings.Join(others, ", ")
}

// maxDatabases is as far as otherDatabases looks: Redis has 16 unless told
// otherwise.
const maxDatabases = 16

func databaseOf(rdb redis.UniversalClient) string {
	if c, ok := rdb.(*client); ok {
		return fmt.Sprintf("db%d", c.Options().DB)
	}
	return "db0"
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
