package tasks

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/pxactions/px/model"
)

// QueueOptions tunes a Queue. The zero value is good for production.
type QueueOptions struct {
	// CreateBatch is how many feedback ids one creation task carries at most;
	// 0: 100.
	CreateBatch int
	// Concurrency is how many tasks of one call are on their way at once; 0: 32.
	Concurrency int
	// Timeout bounds the enqueueing of one task (machine time); 0: 2 s.
	Timeout time.Duration
	// Pause is how long (machine time) nothing is tried after a fault; 0: 1 s.
	Pause time.Duration
	// ArchiveAge is how long (machine time) a dead task stays listed; 0: 30
	// days. asynq's own limit is 90 days.
	ArchiveAge time.Duration
	// RepairPage and RepairPages bound one Repair: ids per script, and scripts
	// per queue and state; 0: 500 and 10.
	RepairPage, RepairPages int
}

func (o QueueOptions) withDefaults() QueueOptions {
	setIfZero(&o.CreateBatch, 100)
	setIfZero(&o.Concurrency, 32)
	setIfZero(&o.Timeout, 2*time.Second)
	setIfZero(&o.Pause, time.Second)
	setIfZero(&o.ArchiveAge, 30*24*time.Hour)
	setIfZero(&o.RepairPage, 500)
	setIfZero(&o.RepairPages, 10)
	return o
}

// QueueStats counts what a Queue did since its start, in tasks.
type QueueStats struct {
	Enqueued int64 // accepted by Redis
	Known    int64 // in Redis already, under the same id
	Failed   int64 // refused by Redis or unanswered
	Dropped  int64 // not tried, because Redis had just failed
}

// Queue enqueues effects and looks after the queues in Redis. Its methods may
// be called from several goroutines.
type Queue struct {
	rdb     redis.UniversalClient
	client  *asynq.Client
	o       QueueOptions
	breaker breaker
	walk    walk

	enqueued, known, failed, dropped atomic.Int64
}

// NewQueue prepares a queue on a client of NewRedis, which the caller closes.
func NewQueue(rdb redis.UniversalClient, o QueueOptions) *Queue {
	o = o.withDefaults()
	return &Queue{rdb: rdb, client: asynq.NewClientFromRedisClient(rdb), o: o, breaker: breaker{pause: o.Pause}}
}

// Stats returns the counts so far.
func (q *Queue) Stats() QueueStats {
	return QueueStats{Enqueued: q.enqueued.Load(), Known: q.known.Load(), Failed: q.failed.Load(), Dropped: q.dropped.Load()}
}

// Broken reports whether effects are dropped for now, because Redis failed.
func (q *Queue) Broken() bool { return q.breaker.open() }

// Ping reports whether Redis answers: nil or model.ErrUnavailable.
func (q *Queue) Ping(ctx context.Context) error {
	if err := q.rdb.Ping(ctx).Err(); err != nil {
		return unavailable("ping Redis", err)
	}
	return nil
}

// Enqueue tells asynq of committed effects. armed are the jobs that Redis will
// wake from now on, whether new or there before: an id that is taken is ours,
// and means "already enqueued" (see unblock). A job whose task is running just
// then is not among them, nor a failure: that run may have begun before the
// commit, and would be the last. err is the first failure, model.ErrUnavailable
// or the end of ctx; the other effects are still tried unless Redis is away,
// when they are dropped without costing time. What was not enqueued is healed
// from the rows.
func (q *Queue) Enqueue(ctx context.Context, e Effects) (armed []Arm, err error) {
	jobs := q.jobs(e)
	if len(jobs) == 0 {
		return nil, nil
	}
	errs := q.enqueueAll(ctx, jobs)
	for i, a := range e.Arm {
		if errs[i] == nil {
			armed = append(armed, a)
		}
	}
	for _, jobErr := range errs {
		if jobErr != nil && !errors.Is(jobErr, errRunning) {
			return armed, jobErr
		}
	}
	return armed, nil
}

// jobs makes the tasks of the effects: those of e.Arm first, in their order.
func (q *Queue) jobs(e Effects) []job {
	jobs := make([]job, 0, len(e.Arm)+len(e.Send)+len(e.Create)/q.o.CreateBatch+1)
	for _, a := range e.Arm {
		jobs = append(jobs, a.job())
	}
	for _, s := range e.Send {
		jobs = append(jobs, s.job())
	}
	for ids := e.Create; len(ids) > 0; {
		n := min(len(ids), q.o.CreateBatch)
		jobs = append(jobs, createJob(ids[:n]))
		ids = ids[n:]
	}
	return jobs
}

// enqueueAll returns each job's error by its index.
func (q *Queue) enqueueAll(ctx context.Context, jobs []job) []error {
	errs := make([]error, len(jobs))
	var next atomic.Int64
	work := func() {
		for i := int(next.Add(1)) - 1; i < len(jobs); i = int(next.Add(1)) - 1 {
			errs[i] = q.enqueue(ctx, jobs[i])
		}
	}
	if len(jobs) == 1 {
		work()
		return errs
	}
	var wg sync.WaitGroup
	for range min(q.o.Concurrency, len(jobs)) {
		wg.Go(work)
	}
	wg.Wait()
	return errs
}

func (q *Queue) enqueue(ctx context.Context, j job) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("enqueue %s: %w", j.id, err)
	}
	if !q.breaker.allow() {
		q.dropped.Add(1)
		return fmt.Errorf("enqueue %s: %w: Redis failed a moment ago", j.id, model.ErrUnavailable)
	}
	bounded, cancel := context.WithTimeout(ctx, q.o.Timeout)
	defer cancel()
	known, err := q.put(bounded, j)
	switch {
	case err == nil && !known:
		q.enqueued.Add(1)
		q.breaker.settle(good)
		return nil
	case err == nil, errors.Is(err, errRunning):
		q.known.Add(1)
		q.breaker.settle(good)
		return err
	case errors.Is(ctx.Err(), context.Canceled):
		// The caller left: that says nothing of Redis. A deadline does, for it
		// may be the caller's own bound on a Redis that does not answer.
		q.breaker.settle(unknown)
		return fmt.Errorf("enqueue %s: %w", j.id, ctx.Err())
	}
	q.failed.Add(1)
	q.breaker.settle(bad)
	return unavailable("enqueue "+j.id, err)
}

func unavailable(what string, err error) error {
	return fmt.Errorf("%s: %w: %w", what, model.ErrUnavailable, err)
}
