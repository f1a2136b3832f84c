package tasks

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/pxactions/px/model"
)

func repair(t *testing.T, w world) Repaired {
	t.Helper()
	done, err := w.queue.Repair(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func TestRepairLeavesTheHealthyAlone(t *testing.T) {
	t.Parallel()
	w := setup(t, QueueOptions{RepairPage: 2})
	mustEnqueue(t, w.queue, everything())
	before := len(w.all(t))
	for range 3 {
		if done := repair(t, w); done.Total() != 0 {
			t.Errorf("repaired %+v of nothing broken", done)
		}
	}
	if after := len(w.all(t)); after != before {
		t.Errorf("%d tasks after, %d before", after, before)
	}
}

func TestRepairRegistersQueuesAgain(t *testing.T) {
	t.Parallel()
	w := setup(t, QueueOptions{})
	arm := armOf(model.EventOverdue, 0)
	mustEnqueue(t, w.queue, Effects{Arm: []Arm{arm}})
	if err := w.rdb.Del(t.Context(), "asynq:queues").Err(); err != nil {
		t.Fatal(err)
	}
	repair(t, w)
	if _, err := w.inspector.GetTaskInfo(QueueEscalation, arm.ID()); err != nil {
		t.Errorf("the job is still out of sight: %v", err)
	}
}

func TestRepairRemovesDanglingIDs(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	lists := map[string]func(redis.UniversalClient, string) error{
		"scheduled": func(r redis.UniversalClient, id string) error {
			return r.ZAdd(ctx, queueKey(QueueEscalation, "scheduled"), redis.Z{Member: id}).Err()
		},
		"retry": func(r redis.UniversalClient, id string) error {
			return r.ZAdd(ctx, queueKey(QueueEscalation, "retry"), redis.Z{Member: id}).Err()
		},
		"archived": func(r redis.UniversalClient, id string) error {
			return r.ZAdd(ctx, queueKey(QueueEscalation, "archived"), redis.Z{Member: id, Score: float64(time.Now().Unix())}).Err()
		},
		"pending": func(r redis.UniversalClient, id string) error {
			return r.LPush(ctx, queueKey(QueueEscalation, "pending"), id).Err()
		},
		"active": func(r redis.UniversalClient, id string) error {
			return r.LPush(ctx, queueKey(QueueEscalation, "active"), id).Err()
		},
	}
	for state, put := range lists {
		t.Run(state, func(t *testing.T) {
			t.Parallel()
			w := setup(t, QueueOptions{})
			keep := armOf(model.EventOverdue, 0)
			mustEnqueue(t, w.queue, Effects{Arm: []Arm{keep}})
			for _, id := range []string{"gone", "husk"} {
				if err := put(w.rdb, id); err != nil {
					t.Fatal(err)
				}
			}
			// What asynq's forwarder leaves of a dangling id that came due.
			if err := w.rdb.HSet(ctx, queueKey(QueueEscalation, "t:husk"), "state", "pending").Err(); err != nil {
				t.Fatal(err)
			}
			if done := repair(t, w); done != (Repaired{Dangling: 2}) {
				t.Errorf("repaired %+v, want 2 dangling", done)
			}
			if infos := w.all(t); len(infos) != 1 || infos[0].ID != keep.ID() {
				t.Errorf("left %v, want the healthy job alone", infos)
			}
			if n := w.rdb.Exists(ctx, queueKey(QueueEscalation, "t:husk")).Val(); n != 0 {
				t.Error("the husk is left")
			}
		})
	}
}

func TestRepairWalksInPages(t *testing.T) {
	t.Parallel()
	w := setup(t, QueueOptions{RepairPage: 10, RepairPages: 1})
	key := queueKey(QueueReminder, "scheduled")
	const dangling = 35
	for i := range dangling {
		if err := w.rdb.ZAdd(t.Context(), key, redis.Z{Member: fmt.Sprint("gone", i), Score: float64(2 * i)}).Err(); err != nil {
			t.Fatal(err)
		}
	}
	e := Effects{}
	for range 35 { // healthy ones between and after
		e.Arm = append(e.Arm, armOf(model.EventReminder, 1))
	}
	mustEnqueue(t, w.queue, e)
	found := 0
	for range 12 {
		n := repair(t, w).Total()
		if n > 10 {
			t.Fatalf("%d in one round, want 10 at most", n)
		}
		found += n
	}
	if found != dangling {
		t.Errorf("removed %d, want %d", found, dangling)
	}
	if left := w.rdb.ZCard(t.Context(), key).Val(); left != 35 {
		t.Errorf("%d left, want 35", left)
	}
}

func TestRepairLendsOrphansALease(t *testing.T) {
	t.Parallel()
	w := setup(t, QueueOptions{})
	e := Effects{Arm: []Arm{armOf(model.EventOverdue, 0), armOf(model.EventOverdue, 0)}}
	for i := range e.Arm {
		e.Arm[i].At = time.Time{}
	}
	mustEnqueue(t, w.queue, e)
	pending, active, lease := queueKey(QueueEscalation, "pending"), queueKey(QueueEscalation, "active"), queueKey(QueueEscalation, "lease")
	for range e.Arm {
		if err := w.rdb.RPopLPush(t.Context(), pending, active).Err(); err != nil {
			t.Fatal(err)
		}
	}
	held := float64(time.Now().Add(30 * time.Second).Unix())
	if err := w.rdb.ZAdd(t.Context(), lease, redis.Z{Member: e.Arm[0].ID(), Score: held}).Err(); err != nil {
		t.Fatal(err)
	}
	if done := repair(t, w); done != (Repaired{Leases: 1}) {
		t.Errorf("repaired %+v, want 1 lease", done)
	}
	if got := w.rdb.ZScore(t.Context(), lease, e.Arm[0].ID()).Val(); got != held {
		t.Errorf("the lease that a worker holds changed to %f", got)
	}
	// asynq takes back what ended 30 s ago.
	ended := time.Since(time.Unix(int64(w.rdb.ZScore(t.Context(), lease, e.Arm[1].ID()).Val()), 0))
	if ended < 31*time.Second {
		t.Errorf("the orphan's lease ended %s ago, too late for the recoverer", ended)
	}
}

func TestRepairDropsOldArchive(t *testing.T) {
	t.Parallel()
	w := setup(t, QueueOptions{ArchiveAge: 24 * time.Hour, RepairPage: 3})
	e := Effects{}
	for range 10 {
		e.Arm = append(e.Arm, armOf(model.EventOverdue, 0))
	}
	mustEnqueue(t, w.queue, e)
	for i, a := range e.Arm {
		if err := w.inspector.ArchiveTask(QueueEscalation, a.ID()); err != nil {
			t.Fatal(err)
		}
		died := time.Now().Add(-time.Hour)
		if i < 8 {
			died = time.Now().Add(-25 * time.Hour)
		}
		if err := w.rdb.ZAdd(t.Context(), queueKey(QueueEscalation, "archived"), redis.Z{Member: a.ID(), Score: float64(died.Unix())}).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if done := repair(t, w); done != (Repaired{Archived: 8}) {
		t.Errorf("repaired %+v, want 8 archived", done)
	}
	infos, err := w.inspector.ListArchivedTasks(QueueEscalation, asynq.PageSize(100))
	if err != nil || len(infos) != 2 {
		t.Errorf("%d left (%v), want 2", len(infos), err)
	}
	// The id is free again.
	if n := w.rdb.Exists(t.Context(), queueKey(QueueEscalation, "t:"+e.Arm[0].ID())).Val(); n != 0 {
		t.Error("a dropped task's hash is left")
	}
}

// TestRepairRemovesWhatKilledProcessesLeft: asynq does so only when they end in
// order, or somebody looks at the dashboard.
func TestRepairRemovesWhatKilledProcessesLeft(t *testing.T) {
	t.Parallel()
	w := setup(t, QueueOptions{})
	add := func(key, member string, ago time.Duration) {
		t.Helper()
		if err := w.rdb.ZAdd(t.Context(), key, redis.Z{Member: member, Score: float64(time.Now().Add(-ago).Unix())}).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for _, list := range []string{"asynq:servers", "asynq:workers", "asynq:schedulers"} {
		add(list, "killed", 2*time.Minute)
		add(list, "lives", -5*time.Second) // when it expires unless it beats
	}
	const history = "asynq:scheduler_history:"
	add(history+"killed", "last week", 50*time.Hour)
	add(history+"killed", "yesterday", 25*time.Hour)
	add(history+"lives", "last week", 50*time.Hour)
	add(history+"lives", "just now", time.Minute)
	if done := repair(t, w); done != (Repaired{Ghosts: 4}) {
		t.Errorf("repaired %+v, want 4 ghosts", done)
	}
	for key, want := range map[string]int64{"asynq:servers": 1, "asynq:workers": 1, "asynq:schedulers": 1, history + "killed": 0, history + "lives": 2} {
		if n, err := w.rdb.ZCard(t.Context(), key).Result(); err != nil || n != want {
			t.Errorf("%s has %d entries, %v; want %d", key, n, err, want)
		}
	}
}
