package tasks

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/pxactions/px/model"
)

// TestATakenIDIsLookedAt: what has the id of a job, and what becomes of it when
// the job is armed.
func TestATakenIDIsLookedAt(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		plant func(w world, a Arm) error
		armed bool
		want  asynq.TaskState
	}{
		{"a waiting one stays", func(world, Arm) error { return nil }, true, asynq.TaskStateScheduled},
		{"one that is to run at once stays", func(w world, a Arm) error { return w.inspector.RunTask(QueueEscalation, a.ID()) }, true, asynq.TaskStatePending},
		{"a dead one makes room", func(w world, a Arm) error { return w.inspector.ArchiveTask(QueueEscalation, a.ID()) }, true, asynq.TaskStateScheduled},
		{"a kept one makes room", func(w world, a Arm) error {
			return w.move(a, "scheduled", "completed")
		}, true, asynq.TaskStateScheduled},
		{"one to be tried again stays", func(w world, a Arm) error { return w.move(a, "scheduled", "retry") }, true, asynq.TaskStateRetry},
		{"one in no list is put back", func(w world, a Arm) error {
			return w.rdb.ZRem(t.Context(), queueKey(QueueEscalation, "scheduled"), a.ID()).Err()
		}, true, asynq.TaskStateScheduled},
		{"one that comes later is brought forward", func(w world, a Arm) error {
			return w.rdb.ZIncrBy(t.Context(), queueKey(QueueEscalation, "scheduled"), 7200, a.ID()).Err()
		}, true, asynq.TaskStateScheduled},
		{"a running one counts for nothing", func(w world, a Arm) error {
			return w.rdb.HSet(t.Context(), queueKey(QueueEscalation, "t:"+a.ID()), "state", "active").Err()
		}, false, asynq.TaskStateActive},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := setup(t, QueueOptions{})
			a := armOf(model.EventOverdue, 0)
			mustEnqueue(t, w.queue, Effects{Arm: []Arm{a}})
			if err := tt.plant(w, a); err != nil {
				t.Fatal(err)
			}
			if armed := mustEnqueue(t, w.queue, Effects{Arm: []Arm{a}}); slices.Contains(armed, a) != tt.armed {
				t.Errorf("armed %v, want %t", armed, tt.armed)
			}
			info, err := w.inspector.GetTaskInfo(QueueEscalation, a.ID())
			if err != nil || info.State != tt.want {
				t.Fatalf("then %+v, %v; want %s", info, err, tt.want)
			}
			if at := info.NextProcessAt; info.State == asynq.TaskStateScheduled && at.Sub(a.At).Abs() > time.Second {
				t.Errorf("runs at %s, want %s", at, a.At)
			}
			missing, late, err := w.queue.Missing(t.Context(), []Arm{a})
			if err != nil || len(missing)+len(late) > 0 {
				t.Errorf("missing %v, late %v, %v; want neither", missing, late, err)
			}
			if s := w.queue.Stats(); s.Enqueued+s.Known != 2 || s.Failed > 0 {
				t.Errorf("counted %+v, want two", s)
			}
		})
	}
}

// move puts a task from one set into another, as asynq would.
func (w world) move(a Arm, from, to string) error {
	ctx := context.Background()
	id := a.ID()
	w.rdb.ZRem(ctx, queueKey(QueueEscalation, from), id)
	w.rdb.ZAdd(ctx, queueKey(QueueEscalation, to), redis.Z{Score: float64(a.At.Unix()), Member: id})
	return w.rdb.HSet(ctx, queueKey(QueueEscalation, "t:"+id), "state", to).Err()
}
