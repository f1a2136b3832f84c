package e2e

import (
	"context"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/internal/localenv"
	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/internal/testenv"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/scheduler"
	"github.com/pxactions/px/tasks"
	"github.com/pxactions/px/worker"
)

// site is a world whose worker runs in this process, on a Redis that is deployed
// in one way or another.
type site struct {
	*scenario.World
	t         *testing.T
	redis     redis.UniversalClient
	queue     *tasks.Queue
	scheduler *scheduler.Scheduler
}

func deploy(t *testing.T, url string) *site {
	t.Helper()
	return deployOn(t, url, testenv.DatabaseURL(t))
}

func deployOn(t *testing.T, url, databaseURL string) *site {
	t.Helper()
	rdb, err := tasks.NewRedis(url, tasks.RedisOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = rdb.Close() })
	s := &site{World: scenario.On(t, databaseURL, scenario.NoAck()), t: t, redis: rdb, queue: tasks.NewQueue(rdb, tasks.QueueOptions{Pause: 50 * time.Millisecond})}
	s.Engine = s.NewEngine(s.queue, s.Engine.Notify)
	w, err := worker.New(worker.Config{ForwardEvery: 50 * time.Millisecond, CheckEvery: 20 * time.Millisecond}, rdb, s.Engine, zerolog.Nop(), s.Metrics)
	require.NoError(t, err)
	s.run(w.Run)
	s.scheduler = scheduler.New(scheduler.Options{
		Engine: s.Engine, Store: s.Store, Redis: s.queue, Metrics: s.Metrics, Log: zerolog.Nop(), Holder: "one", Interval: 100 * time.Millisecond,
	})
	return s
}

// run runs a part of px until the test ends.
func (s *site) run(part func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { assert.NoError(s.t, part(ctx)) })
	s.t.Cleanup(func() { cancel(); wg.Wait() })
}

// create sends complaints through the queue until a worker has decided them and
// armed their jobs.
func (s *site) create(n int) {
	s.t.Helper()
	before := s.Count("SELECT count(*) FROM actions")
	ids := s.Insert(s.Complaints(n, model.SeverityHigh)...)
	testenv.Wait(s.t, "the queue takes the feedback", func() bool {
		_, err := s.queue.Enqueue(s.t.Context(), tasks.Effects{Create: ids})
		return err == nil
	})
	testenv.Wait(s.t, "a worker has decided and armed", func() bool {
		return s.Count("SELECT count(*) FROM actions WHERE armed_gen = gen") == before+n
	})
}

// missing is how many armed jobs Redis does not hold; -1: it does not answer.
func (s *site) missing() int {
	arms, err := s.Store.Armed(s.t.Context(), model.ActionID{}, 1000)
	require.NoError(s.t, err)
	gone, _, err := s.queue.Missing(s.t.Context(), arms)
	if err != nil {
		return -1
	}
	return len(gone)
}

func (s *site) sweep() map[string]int {
	s.t.Helper()
	healed, err := s.scheduler.Once(s.t.Context())
	require.NoError(s.t, err)
	return healed
}

// documentedUser makes the user with the least rights that the documentation
// has, and returns what fails the test if that was refused anything.
func documentedUser(t *testing.T, nodes []*localenv.Node) (refused func()) {
	t.Helper()
	page, err := os.ReadFile("../../docs/operations.md")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(page), "ACL SETUSER px ")
	require.True(t, found, "docs/operations.md has no user")
	rules, _, _ := strings.Cut(rest, "```")
	setUser := []any{"acl", "setuser", "px"}
	for _, r := range strings.Fields(rules) {
		setUser = append(setUser, r)
	}
	for _, n := range nodes {
		testenv.Redis(t, n, setUser...)
	}
	return func() {
		t.Helper()
		for _, n := range nodes {
			assert.Empty(t, testenv.Redis(t, n, "acl", "log"))
		}
	}
}

// TestAClusterThatForgetsAQueueIsToldItAgain also shows that the user of the
// documentation may do all that px does.
func TestAClusterThatForgetsAQueueIsToldItAgain(t *testing.T) {
	t.Parallel()
	nodes := testenv.RedisCluster(t, 3)
	refused := documentedUser(t, nodes)
	s := deploy(t, "redis+cluster://px:password@"+nodes[0].Addr+","+nodes[1].Addr)
	s.create(5)
	s.sweep()
	s.sweep() // remembers the beats
	require.Zero(t, s.missing())
	reminders := map[string]bool{}
	require.NoError(t, s.queue.Walk(t.Context(), func(held []tasks.Held) error {
		for _, h := range held {
			if !h.Action.IsZero() {
				reminders[h.ID] = true
			}
		}
		return nil
	}))
	require.Len(t, reminders, 5, "whichever master holds them")

	forget := func() {
		t.Helper()
		i := slices.IndexFunc(nodes, func(n *localenv.Node) bool {
			keys, _ := testenv.Redis(t, n, "keys", "asynq:{reminder}:t:*").([]any)
			return len(keys) == 5
		})
		require.GreaterOrEqual(t, i, 0, "no master has the reminders")
		testenv.Redis(t, nodes[i], "flushall")
	}
	forget()
	require.Equal(t, 5, s.missing())
	assert.Equal(t, 5, s.sweep()["lost"])
	assert.Zero(t, s.missing())

	// Again, shortly before they are due: a worker takes them in time.
	var at time.Time
	require.NoError(t, s.Store.DB().NewRaw("SELECT min(next_at) FROM actions").Scan(t.Context(), &at))
	s.SetTime(at.Add(-500 * time.Millisecond))
	forget()
	assert.Equal(t, 5, s.sweep()["lost"])
	testenv.Wait(t, "the worker has fired", func() bool { return s.Count("SELECT count(*) FROM deadline_events WHERE kind = 'reminder'") == 5 })
	assert.Zero(t, s.Metric("px_healed_total", "deadlines"))
	_, err := s.queue.Repair(t.Context())
	assert.NoError(t, err)
	assert.Len(t, tasks.CheckRedis(t.Context(), s.redis), 2, "appendonly is off, and no replica follows")
	refused()
	s.Holds()
}

// TestAFailoverThatLosesJobsIsMadeWhole: the replica has not heard of the jobs
// when it becomes the master, as after a failover with a lag.
func TestAFailoverThatLosesJobsIsMadeWhole(t *testing.T) {
	t.Parallel()
	w := testenv.RedisSentinel(t)
	s := deploy(t, "redis+sentinel://"+w.Sentinel.Addr+"/"+w.Name+"/0")
	s.create(5)
	s.sweep()
	s.sweep() // remembers the beats
	s.run(s.scheduler.Run)
	alone := func() bool {
		return strings.Contains(strings.Join(tasks.CheckRedis(t.Context(), s.redis), "\n"), "no replica follows")
	}
	assert.False(t, alone(), "a replica follows")
	testenv.Redis(t, w.Replica, "config", "set", "replica-read-only", "no")
	testenv.Redis(t, w.Replica, "flushall")
	w.FailOver(t)
	testenv.Wait(t, "every job is armed again", func() bool { return s.missing() == 0 })
	testenv.Wait(t, "the sweep says so", func() bool { return s.Metric("px_healed_total", "lost") >= 5 })
	assert.True(t, alone(), "the only replica is the master now")
	s.create(1) // by a worker that has gone over to the new master
	s.Holds()
}
