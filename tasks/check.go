package tasks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// CheckRedis says in plain words what of this Redis, of every master of a
// cluster, is not as the program needs it; rdb is of NewRedis. Nothing to say:
// nil. Whatever it says, the program goes on: every job can be made again from
// PostgreSQL.
func CheckRedis(ctx context.Context, rdb redis.UniversalClient) []string {
	c, ok := rdb.(*client)
	if !ok {
		return nil
	}
	var mu sync.Mutex
	said := map[string][]string{} // the masters by what is to be said of them
	err := c.eachMaster(ctx, func(ctx context.Context, master redis.UniversalClient) error {
		warnings := c.checkServer(ctx, master)
		mu.Lock()
		defer mu.Unlock()
		for _, w := range warnings {
			said[w] = append(said[w], addressOf(master))
		}
		return nil
	})
	if err != nil {
		return []string{fmt.Sprintf("Redis cannot be checked now: %v", err)}
	}
	var all []string
	for w, masters := range said {
		if c.url.kind == cluster {
			slices.Sort(masters)
			w += " (" + strings.Join(masters, ", ") + ")"
		}
		all = append(all, w)
	}
	slices.Sort(all)
	return all
}

func addressOf(server redis.UniversalClient) string {
	if c, ok := server.(*redis.Client); ok {
		return c.Options().Addr
	}
	return ""
}

func (c *client) checkServer(ctx context.Context, rdb redis.UniversalClient) []string {
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
	warnings = append(warnings, c.checkFailover(ctx, rdb, info)...)
	if others := otherDatabases(info, fmt.Sprintf("db%d", c.url.opt.DB)); others != "" {
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

// checkFailover looks at what lets a master's death pass.
func (c *client) checkFailover(ctx context.Context, rdb redis.UniversalClient, info map[string]string) (warnings []string) {
	if c.url.kind != single && info["role"] == "master" && info["connected_slaves"] == "0" {
		warnings = append(warnings, "no replica follows this master: when it dies, nobody takes over, and its queues wait until it is back")
	}
	if c.url.kind != cluster {
		return warnings
	}
	m, err := rdb.ConfigGet(ctx, "cluster-require-full-coverage").Result()
	if err == nil && m["cluster-require-full-coverage"] == "yes" {
		warnings = append(warnings, "cluster-require-full-coverage is yes: set it to no, else one master's death stops the queues of all")
	}
	return warnings
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
