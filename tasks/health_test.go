package tasks

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/hibiken/asynq"

	"github.com/pxactions/px/internal/testenv"
	"github.com/pxactions/px/model"
)

func TestBeatTellsOfALoss(t *testing.T) {
	t.Parallel()
	env := testenv.OwnServers(t)
	w := worldOn(t, env.RedisURL, QueueOptions{})
	beat := func(queue string) (int64, string) {
		t.Helper()
		n, run, err := w.queue.Beat(t.Context(), queue)
		if err != nil {
			t.Fatal(err)
		}
		if len(run) != 40 {
			t.Fatalf("run id %q", run)
		}
		return n, run
	}
	beat(QueueIntake)
	n, run := beat(QueueIntake)
	if n != 2 {
		t.Errorf("second beat = %d", n)
	}
	if other, _ := beat(QueueReminder); other != 1 {
		t.Errorf("another queue's first beat = %d", other)
	}
	if err := w.rdb.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if after, _ := beat(QueueIntake); after >= n {
		t.Errorf("after a loss the counter is %d, want less than %d", after, n)
	}
	if err := env.Redis.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.queue.Beat(t.Context(), QueueIntake); !errors.Is(err, model.ErrUnavailable) {
		t.Errorf("without Redis: %v, want unavailable", err)
	}
	if err := env.Redis.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, again := beat(QueueIntake); again == run {
		t.Error("a restarted server has the same run id")
	}
}

func TestBeatIsNoQueueOfAsynq(t *testing.T) {
	t.Parallel()
	w := setup(t, QueueOptions{})
	if _, _, err := w.queue.Beat(t.Context(), QueueIntake); err != nil {
		t.Fatal(err)
	}
	keys, err := w.rdb.Keys(t.Context(), "asynq:*").Result()
	if err != nil || len(keys) != 0 {
		t.Errorf("keys %v, %v", keys, err)
	}
}

func TestDepths(t *testing.T) {
	t.Parallel()
	w := setup(t, QueueOptions{})
	mustEnqueue(t, w.queue, everything())
	depths, err := w.queue.Depths(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]Depth{
		QueueEscalation:   {Scheduled: 5},
		QueueIntake:       {Pending: 1},
		QueueReminder:     {Scheduled: 2},
		QueueMessage:      {Pending: 1, Scheduled: 1},
		QueueHousekeeping: {},
	}
	for queue, d := range want {
		if depths[queue] != d {
			t.Errorf("%s: %+v, want %+v", queue, depths[queue], d)
		}
	}
	if len(depths) != len(want) {
		t.Errorf("%d queues, want %d", len(depths), len(want))
	}
}

func TestMissing(t *testing.T) {
	t.Parallel()
	w := setup(t, QueueOptions{})
	there, dead, gone := armOf(model.EventReminder, 1), armOf(model.EventOverdue, 0), armOf(model.EventEscalation, 1)
	mustEnqueue(t, w.queue, Effects{Arm: []Arm{there, dead}})
	if err := w.inspector.ArchiveTask(QueueEscalation, dead.ID()); err != nil {
		t.Fatal(err)
	}
	missing, _, err := w.queue.Missing(t.Context(), []Arm{there, dead, gone})
	if err != nil || !slices.Equal(missing, []Arm{dead, gone}) {
		t.Errorf("missing %v, %v, want the dead and the gone", missing, err)
	}
	away := NewQueue(dial(t, "redis://127.0.0.1:1/0", RedisOptions{}), QueueOptions{})
	if _, _, err := away.Missing(t.Context(), []Arm{there}); !errors.Is(err, model.ErrUnavailable) {
		t.Errorf("without Redis: %v, want unavailable", err)
	}
}

func TestHousekeepingTask(t *testing.T) {
	t.Parallel()
	w := setup(t, QueueOptions{})
	task, opts := Housekeeping("verify")
	for range 2 { // a tick never blocks the next
		info, err := asynq.NewClientFromRedisClient(w.rdb).EnqueueContext(t.Context(), task, opts...)
		if err != nil {
			t.Fatal(err)
		}
		if info.Type != "housekeeping:verify" || info.Queue != QueueHousekeeping || info.MaxRetry < 3 {
			t.Errorf("%+v", info)
		}
	}
}

func TestCheckRedis(t *testing.T) {
	t.Parallel()
	env := testenv.OwnServers(t)
	rdb := dial(t, env.RedisURL, RedisOptions{})
	set := func(name, value string) {
		t.Helper()
		if err := rdb.ConfigSet(t.Context(), name, value).Err(); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(what string, want ...string) {
		t.Helper()
		got := CheckRedis(t.Context(), rdb)
		if len(got) != len(want) {
			t.Errorf("%s: %q, want %d warnings", what, got, len(want))
		}
		for _, part := range want {
			if !slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, part) }) {
				t.Errorf("%s: %q says nothing of %s", what, got, part)
			}
		}
	}
	expect("a throw-away server", "appendonly is off")
	set("appendonly", "yes")
	expect("as it should be")
	set("maxmemory-policy", "allkeys-lru")
	expect("eviction", "maxmemory-policy is allkeys-lru")
	set("maxmemory-policy", "noeviction")
	set("appendfsync", "always")
	expect("slow disk writes", "appendfsync is always")
	if err := rdb.Do(t.Context(), "acl", "setuser", "default", "-config|get").Err(); err != nil {
		t.Fatal(err)
	}
	expect("CONFIG forbidden", "cannot be checked, as CONFIG GET is not allowed")
	other := dial(t, env.RedisURL+"&db=5", RedisOptions{})
	if err := other.Set(t.Context(), "k", "v", 0).Err(); err == nil {
		expect("a shared server", "CONFIG GET", "db5")
	}
	if err := env.Redis.Kill(); err != nil {
		t.Fatal(err)
	}
	expect("away", "cannot be checked now")
}

func TestVersions(t *testing.T) {
	t.Parallel()
	tests := []struct {
		version string
		ok      bool
	}{{"7.0.15", true}, {"6.2.0", true}, {"8.0.1", true}, {"10.1.0", true}, {"6.0.16", false}, {"5.0.14", false}, {"", false}}
	for _, tt := range tests {
		if got := checkVersion(map[string]string{"redis_version": tt.version}); (got == nil) != tt.ok {
			t.Errorf("version %q: %q, want ok: %t", tt.version, got, tt.ok)
		}
	}
}

func TestLogsGoToZerolog(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	log := newTestLog(&b)
	l := AsynqLogger(log)
	l.Info("Starting processing")
	for range 50 {
		l.Error("Dequeue error: ", context.DeadlineExceeded)
	}
	redisLog{log}.Printf(context.Background(), "discarding %s", "conn")
	got := b.String()
	if strings.Contains(got, `"error"`) {
		t.Errorf("a fault of Redis is logged as an error:\n%s", got)
	}
	if n := strings.Count(got, "Dequeue error"); n == 0 || n > logBurst {
		t.Errorf("%d of 50 equal lines, want 1 to %d", n, logBurst)
	}
	if !strings.Contains(got, "discarding conn") || !strings.Contains(got, "Starting processing") {
		t.Errorf("lines are missing:\n%s", got)
	}
}
