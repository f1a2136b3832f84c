package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"time"

	"github.com/pxactions/px/internal/receiver"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/tasks"
)

// fault is one way to hurt the installation; do returns when it is over.
type fault struct {
	name string
	do   func(ctx context.Context, c *cluster, r *rand.Rand) error
}

// planting is the fault that puts tasks of its own into Redis.
const planting = "duplicate and stale tasks"

// faults lists all of them.
func faults() []fault {
	return []fault{
		{"kill worker", kill("worker", "worker 2")},
		{"redis flush", redisFlush},
		{"pg crash", pgRestart(true)},
		{"kill scheduler", kill("scheduler", "scheduler 2")},
		{"pg cut connections", pgCut},
		{"redis partition", redisPartition},
		{"pg cut mid-commit", pgCutCommits},
		{planting, staleTasks},
		{"kill producer", kill("producer")},
		{"freeze worker", freeze("worker", "worker 2")},
		{"redis out of memory", redisSetting("maxmemory", "1")},
		{"pg locks held by an outsider", pgLocks},
		{"policy edit", policyEdit},
		{"kill web", kill("web")},
		{"redis restart", redisRestart},
		{"redis read-only", redisSetting("min-replicas-to-write", "1")},
		{"receiver refuses", receiverRefuses},
		{"freeze scheduler", freeze("scheduler", "scheduler 2")},
		{"pg restart", pgRestart(false)},
		{"redis slow", redisSlow},
		{"kill all", kill("worker", "worker 2", "scheduler", "scheduler 2", "producer", "web")},
		{"redis pause", redisPause},
		{"redis hangs", redisHangs},
		{"pg failover", pgFailover},
		{diskFull, pgDiskFull},
		{clockStep, stepClock},
		{upgrade, rollBack},
	}
}

// kill ends one of the processes at once; with more than two of them, all.
func kill(names ...string) func(context.Context, *cluster, *rand.Rand) error {
	return func(_ context.Context, c *cluster, r *rand.Rand) error {
		hit := names
		if len(names) <= 2 {
			hit = names[r.IntN(len(names)):][:1]
		}
		for _, p := range c.procs {
			if slices.Contains(hit, p.name) {
				p.signal(syscall.SIGKILL)
			}
		}
		return nil
	}
}

// freeze stops one of the processes for longer than a claim lasts, and lets it go on.
func freeze(names ...string) func(context.Context, *cluster, *rand.Rand) error {
	return func(ctx context.Context, c *cluster, r *rand.Rand) error {
		name := names[r.IntN(len(names))]
		p := c.process(name)
		p.signal(syscall.SIGSTOP)
		sleep(ctx, claimLease+time.Second)
		p.signal(syscall.SIGCONT)
		return nil
	}
}

// lossNoticed is how soon a scheduler must say that Redis has lost its memory.
const lossNoticed = 30 * time.Second

// redisFlush empties Redis, which a scheduler has to notice.
func redisFlush(ctx context.Context, c *cluster, _ *rand.Rand) error {
	said := func() (n int) {
		for _, p := range c.procs {
			p.log.mu.Lock()
			n += p.log.lost
			p.log.mu.Unlock()
		}
		return n
	}
	before := said()
	if err := c.redis.FlushAll(ctx).Err(); err != nil {
		return err
	}
	// Also beyond the end of the run: a short one would never hear that nobody noticed.
	err := await(context.WithoutCancel(ctx), lossNoticed, "a scheduler notices that Redis was emptied", func() error {
		if said() > before {
			return nil
		}
		return errors.New("no word of it")
	})
	if err != nil {
		return divergence{"redis flush", "a scheduler notices that Redis has lost its jobs", err.Error()}
	}
	return nil
}

func redisRestart(ctx context.Context, c *cluster, r *rand.Rand) error {
	end := c.servers.Redis.Stop
	if r.IntN(2) == 0 {
		end = c.servers.Redis.Kill
	}
	if err := end(); err != nil {
		return err
	}
	sleep(ctx, time.Duration(1+r.IntN(3))*time.Second)
	return c.servers.Redis.Start(context.WithoutCancel(ctx))
}

// redisSetting sets something by which Redis refuses writes, and sets it back.
func redisSetting(name, bad string) func(context.Context, *cluster, *rand.Rand) error {
	return func(ctx context.Context, c *cluster, r *rand.Rand) error {
		if err := c.redis.ConfigSet(ctx, name, bad).Err(); err != nil {
			return err
		}
		sleep(ctx, time.Duration(2+r.IntN(3))*time.Second)
		ctx = context.WithoutCancel(ctx)
		return await(ctx, upWait, "Redis takes writes", func() error {
			return c.redis.ConfigSet(ctx, name, "0").Err()
		})
	}
}

func redisSlow(ctx context.Context, c *cluster, r *rand.Rand) error {
	c.proxy.slow(time.Duration(20+r.IntN(80)) * time.Millisecond)
	defer c.proxy.slow(0)
	sleep(ctx, 4*time.Second)
	return nil
}

func redisPartition(ctx context.Context, c *cluster, r *rand.Rand) error {
	mend := c.proxy.cut()
	defer mend()
	sleep(ctx, time.Duration(1+r.IntN(4))*time.Second)
	return nil
}

func redisHangs(ctx context.Context, c *cluster, r *rand.Rand) error {
	release := c.proxy.hold()
	defer release()
	sleep(ctx, time.Duration(2+r.IntN(4))*time.Second)
	return nil
}

func redisPause(ctx context.Context, c *cluster, _ *rand.Rand) error {
	if err := c.redis.Do(ctx, "CLIENT", "PAUSE", "3000", "ALL").Err(); err != nil {
		return err
	}
	sleep(ctx, 3*time.Second)
	return nil
}

func pgRestart(crash bool) func(context.Context, *cluster, *rand.Rand) error {
	return func(ctx context.Context, c *cluster, r *rand.Rand) error {
		c.pg.Lock()
		defer c.pg.Unlock()
		end := c.servers.Postgres.Stop
		if crash {
			end = c.servers.Postgres.Kill
		}
		if err := end(); err != nil {
			return err
		}
		sleep(ctx, time.Duration(r.IntN(2000))*time.Millisecond)
		return c.servers.Postgres.Start(context.WithoutCancel(ctx))
	}
}

// pgCut cuts every connection of px, at random moments: many are in a transaction.
func pgCut(ctx context.Context, c *cluster, r *rand.Rand) error {
	for range 12 {
		_, err := c.store.DB().NewRaw(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`).Exec(ctx)
		if err != nil && ctx.Err() == nil && !cutItself(err) {
			return fmt.Errorf("cut connections: %w", err)
		}
		if !sleep(ctx, time.Duration(50+r.IntN(250))*time.Millisecond) {
			break
		}
	}
	return nil
}

// pgCutCommits cuts connections while commits take long, so that many are in one.
func pgCutCommits(ctx context.Context, c *cluster, r *rand.Rand) error {
	tables := []string{"feedback", "actions", "messages"}
	run := func(ctx context.Context, query string) error {
		return await(ctx, finishWait, "slow commits", func() error {
			_, err := c.store.DB().NewRaw(query).Exec(ctx)
			return err
		})
	}
	slow := `CREATE OR REPLACE FUNCTION torture_slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.01); RETURN NULL; END';`
	fast := "DROP FUNCTION IF EXISTS torture_slow() CASCADE"
	for _, t := range tables {
		slow += fmt.Sprintf(`CREATE CONSTRAINT TRIGGER torture_slow AFTER INSERT OR UPDATE ON %s
			DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION torture_slow();`, t)
	}
	defer func() { _ = run(context.WithoutCancel(ctx), fast) }()
	if err := run(ctx, slow); err != nil {
		return err
	}
	return pgCut(ctx, c, r)
}

// pgLocks holds rows that px needs, and takes them in an order that can deadlock.
func pgLocks(ctx context.Context, c *cluster, r *rand.Rand) error {
	for range 3 {
		tx, err := c.store.DB().Begin()
		if err != nil {
			return nil // the database is busy, or away
		}
		for _, query := range []string{
			"SELECT 1 FROM messages WHERE state IN ('pending', 'sending') ORDER BY id DESC LIMIT 20 FOR UPDATE",
			"SELECT 1 FROM actions WHERE next_at IS NOT NULL ORDER BY random() LIMIT 40 FOR UPDATE",
			"SELECT 1 FROM feedback ORDER BY id DESC LIMIT 10 FOR UPDATE",
		} {
			if _, err = tx.ExecContext(ctx, query); err != nil {
				break // a deadlock: then it was a good try
			}
		}
		sleep(ctx, time.Duration(500+r.IntN(1500))*time.Millisecond)
		_ = tx.Rollback()
	}
	return nil
}

// staleTasks enqueues jobs that were done, jobs that are armed, some before their
// time, and, beside the jobs that come next, whatever may be armed after them: as
// where the database was put back to an earlier moment and Redis was not.
func staleTasks(ctx context.Context, c *cluster, r *rand.Rand) error {
	var e tasks.Effects
	kinds := model.EventKinds()
	for _, order := range []string{"next_at", "random()"} {
		var as []model.Action
		if err := c.store.DB().NewSelect().Model(&as).OrderExpr(order).Limit(40).Scan(ctx); err != nil {
			return nil
		}
		for i := range as {
			for gen := max(0, as[i].Gen-3); gen <= as[i].Gen; gen++ {
				e.Arm = append(e.Arm, tasks.Arm{ActionID: as[i].ID, Kind: kinds[r.IntN(len(kinds))], Stage: r.IntN(3), Gen: gen, At: time.Now()})
			}
			if order == "next_at" {
				e.Arm = append(e.Arm, c.ahead(&as[i])...)
			}
			if as[i].FeedbackID != nil {
				e.Create = append(e.Create, *as[i].FeedbackID)
			}
		}
	}
	var ms []model.Message
	if err := c.store.DB().NewSelect().Model(&ms).OrderExpr("random()").Limit(60).Scan(ctx); err != nil {
		return nil
	}
	for _, m := range ms {
		e.Send = append(e.Send, tasks.Send{MessageID: m.ID, Attempt: m.Attempts}, tasks.Send{MessageID: m.ID, Attempt: max(0, m.Attempts-1)})
	}
	_, err := tasks.NewQueue(c.redis, tasks.QueueOptions{Timeout: upWait}).Enqueue(ctx, e)
	return err
}

// ahead is every job that may be the one after the next, at the moment of the
// next; or soon, so that none is left at the end.
func (c *cluster) ahead(a *model.Action) (all []tasks.Arm) {
	at := time.Now().Add(2 * time.Second)
	if a.NextAt != nil && c.clock.Real(*a.NextAt).Before(at) {
		at = c.clock.Real(*a.NextAt)
	}
	for _, kind := range model.EventKinds() {
		for stage := range 3 {
			all = append(all, tasks.Arm{ActionID: a.ID, Kind: kind, Stage: stage, Gen: a.Gen + 1, At: at})
		}
	}
	return all
}

// policyEdit makes another edition the active one; actions keep theirs.
func policyEdit(ctx context.Context, c *cluster, r *rand.Rand) error {
	next := editions()[r.IntN(len(editions()))]
	return await(ctx, commandWait, "policy edit", func() error { return c.apply(ctx, next) })
}

func receiverRefuses(ctx context.Context, c *cluster, r *rand.Rand) error {
	ways := []receiver.Fault{{Status: 503}, {Drop: true}, {Hang: true}}
	way := ways[r.IntN(len(ways))]
	c.hook.Always(&way)
	defer c.hook.Always(nil)
	sleep(ctx, 3*time.Second)
	return nil
}
