package tasks

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/pxactions/px/model"
)

// Held is a task that Redis holds, as its key tells of it: never its content. Of
// Action, Message and Feedback at most one is set; none: it is housekeeping, or
// Foreign.
type Held struct {
	Queue, ID string
	Dead      bool // archived or completed: it will not run
	Foreign   bool // no task of this program has such an id

	Action   model.ActionID
	Gen      int64 // of Action
	Message  model.MessageID
	Feedback model.FeedbackID // the first that a creation task carries
}

// scanBatch is about how many keys one round trip of a walk asks for.
const scanBatch = 1000

// Walk calls fn with the tasks of all queues that this program knows, in bounded
// batches; a task that comes or goes meanwhile may be left out, and one may come
// twice. The error is model.ErrUnavailable, or fn's.
func (q *Queue) Walk(ctx context.Context, fn func([]Held) error) error {
	return q.scan(ctx, queueKey("*", "t:*"), func(keys []string) error {
		var held []Held
		for _, key := range keys {
			queue, id, ok := strings.Cut(strings.TrimPrefix(key, "asynq:{"), "}:t:")
			if ok && slices.Contains(Queues(), queue) {
				held = append(held, heldOf(queue, id))
			}
		}
		held, err := q.states(ctx, held)
		if err != nil || len(held) == 0 {
			return err
		}
		return fn(held)
	})
}

// Still returns those of held that Redis still holds, with their states now.
func (q *Queue) Still(ctx context.Context, held []Held) ([]Held, error) {
	return q.states(ctx, held)
}

// states asks for the state of each, and leaves out what is gone.
func (q *Queue) states(ctx context.Context, held []Held) ([]Held, error) {
	if len(held) == 0 {
		return nil, nil
	}
	cmds, err := q.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, h := range held {
			p.HGet(ctx, queueKey(h.Queue, "t:"+h.ID), "state")
		}
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, unavailable("read the states of tasks", err)
	}
	var there []Held
	for i, cmd := range cmds {
		state, err := cmd.(*redis.StringCmd).Result()
		switch {
		case errors.Is(err, redis.Nil):
			continue
		case err != nil:
			return nil, unavailable("read the states of tasks", err)
		}
		held[i].Dead = dead(state)
		there = append(there, held[i])
	}
	return there, nil
}

func dead(state string) bool { return state == "archived" || state == "completed" }

// StrangeQueues lists the registered queues that this program does not know:
// what is in them, none of its workers runs.
func (q *Queue) StrangeQueues(ctx context.Context) ([]string, error) {
	names, err := q.rdb.SMembers(ctx, "asynq:queues").Result()
	if err != nil {
		return nil, unavailable("list the queues", err)
	}
	names = slices.DeleteFunc(names, func(name string) bool { return slices.Contains(Queues(), name) })
	slices.Sort(names)
	return names, nil
}

// scan calls fn with the keys that match, in bounded batches, one at a time. Each
// master of a cluster knows its own keys only.
func (q *Queue) scan(ctx context.Context, match string, fn func(keys []string) error) error {
	var mu sync.Mutex
	walk := func(ctx context.Context, rdb redis.UniversalClient) error {
		for cursor, first := uint64(0), true; first || cursor != 0; first = false {
			keys, next, err := rdb.Scan(ctx, cursor, match, scanBatch).Result()
			if err != nil {
				return unavailable("walk over the keys", err)
			}
			mu.Lock()
			err = fn(keys)
			mu.Unlock()
			if err != nil {
				return err
			}
			cursor = next
		}
		return nil
	}
	if c, ok := q.rdb.(*client); ok {
		return c.eachMaster(ctx, walk)
	}
	return walk(ctx, q.rdb)
}

// What a task's id tells: what of which row, and the number of the job, the
// attempt, or the row's company.
var (
	armID    = regexp.MustCompile(`^[a-z]+[0-9]*\.([0-9a-f]{32})\.g([0-9]+)$`)
	sendID   = regexp.MustCompile(`^message\.([0-9a-f]{32})\.a[0-9]+$`)
	createID = regexp.MustCompile(`^create\.([0-9a-f]{32})\.n[0-9]+\.[0-9a-f]{16}$`)
)

// heldOf reads a task's id, the inverse of Arm.ID, Send.ID and CreateID.
func heldOf(queue, id string) Held {
	h := Held{Queue: queue, ID: id}
	if queue == QueueHousekeeping { // ids of asynq's own
		return h
	}
	var err error
	if m := sendID.FindStringSubmatch(id); m != nil {
		h.Message, err = model.ParseID[model.Message](m[1])
	} else if m := createID.FindStringSubmatch(id); m != nil {
		h.Feedback, err = model.ParseID[model.Feedback](m[1])
	} else if m := armID.FindStringSubmatch(id); m != nil {
		h.Gen, _ = strconv.ParseInt(m[2], 10, 64) // 0, which no job has, where it is too long
		h.Action, err = model.ParseID[model.Action](m[1])
	} else {
		h.Foreign = true
	}
	h.Foreign = h.Foreign || err != nil
	return h
}
