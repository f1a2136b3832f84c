package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/internal/testenv"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
	"github.com/pxactions/px/tasks"
)

// senders send until they are told to stop, each event until it is answered 202.
type senders struct {
	wg    sync.WaitGroup
	stop  atomic.Bool
	taken atomic.Int64
	mu    sync.Mutex
	ids   []string // answered 202
}

func (s *senders) run(t *testing.T, n int, producer *process, key string) {
	for i := range n {
		s.wg.Go(func() {
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for k := 0; !s.stop.Load(); k++ {
				id := fmt.Sprintf("%d-%d", i, k)
				event := toJSON(t, complaint(id, model.SeverityLow, nil))
				for ; ; <-tick.C {
					a, err := call(t, http.MethodPost, producer.url+"/v1/feedback", key, event)
					if err == nil && a.code == http.StatusAccepted {
						break
					}
					if !assert.NoError(t, err) || !assert.Equal(t, http.StatusServiceUnavailable, a.code, a.body) {
						return
					}
				}
				s.mu.Lock()
				s.ids = append(s.ids, id)
				s.mu.Unlock()
				s.taken.Add(1)
			}
		})
	}
}

// more waits until so many more are taken.
func (s *senders) more(t *testing.T, n int64) {
	t.Helper()
	want := s.taken.Load() + n
	until(t, 60*time.Second, "feedback is taken", func() (bool, string) {
		return s.taken.Load() >= want, fmt.Sprint(s.taken.Load(), " of ", want)
	})
}

// TestASynchronousFailoverLosesNothing kills the primary under load;
// the processes find the replica, once it is promoted, by themselves.
func TestASynchronousFailoverLosesNothing(t *testing.T) {
	t.Parallel()
	pair := testenv.PostgresPair(t, true)
	url := testenv.DatabaseOn(t, pair.Primary.DatabaseURL)
	c := newCluster(t, pair.URL(t, url), pair.Primary.RedisURL, "PX_CLAIM_LEASE=4s")
	c.store.DB().SetMaxIdleConns(0) // none that the failover breaks
	h := hours{target: 4, reminder: 1, gap: 2}
	c.setClock(epoch(), 3600)
	key := c.furnish(directory(4, "", "log"), policy(h))
	ps := c.start("producer", "worker", "scheduler")
	// One whose address leads to the replica already, which has the database by then.
	pair.CatchUp(t)
	early := spawn(t, append(plainEnv(), append(slices.Clone(c.env), "PX_DATABASE_URL="+pair.ReplicaURL(t, url))...), "producer")
	c.procs = append(c.procs, early)
	c.await(early)
	c.becomes(early, http.StatusServiceUnavailable, "not_ready")
	event := toJSON(t, complaint("early", model.SeverityLow, nil))
	a := post(t, early, key, event)
	assert.Equal(t, http.StatusServiceUnavailable, a.code, a.body)
	assert.NotEmpty(t, a.header.Get("Retry-After"))
	var all senders
	all.run(t, 4, ps[0], key)
	all.more(t, 30)
	began := time.Now()
	pair.FailOver(t)
	all.more(t, 30)
	outage := time.Since(began)
	all.stop.Store(true)
	all.wg.Wait()
	ps = append(ps, early)
	for _, p := range ps {
		c.becomes(p, http.StatusOK, "ready")
	}
	a = post(t, early, key, event)
	require.Equal(t, http.StatusAccepted, a.code, a.body)
	all.ids = append(all.ids, "early")
	c.settled(60 * time.Second)

	l := c.ledger()
	byEvent := map[string]model.Feedback{}
	for _, f := range l.feedback {
		byEvent[f.EventID] = f
	}
	assert.Len(t, byEvent, len(l.feedback), "an event has two rows")
	for _, id := range all.ids {
		f := byEvent[id]
		require.Equal(t, model.DecisionCreated, f.Decision, "%s was answered 202", id)
		c.checkPlan(l.actions[*f.ActionID], l.events[*f.ActionID], h, lateAtMost+outage)
	}
	c.checkMessages(l)
	c.holds()
	t.Logf("%d feedbacks, %s without a primary", len(all.ids), outage.Round(time.Millisecond))
	stop(t, ps...)
}

// accept sends events until the engine takes them.
func (s *site) accept(severity model.Severity, ids ...string) []engine.Receipt {
	s.t.Helper()
	events := make([]engine.Event, len(ids))
	for i, id := range ids {
		events[i] = engine.Event{EventID: id, SourceType: model.SourceComplaint, Hospital: "RUH", Department: "ED", Severity: severity, Text: "Nobody came."}
	}
	var receipts []engine.Receipt
	testenv.Wait(s.t, "the database is back", func() bool {
		var err error
		receipts, err = s.Engine.Accept(s.t.Context(), engine.Source{System: "desk"}, events)
		return !errors.Is(err, model.ErrUnavailable)
	})
	for _, r := range receipts {
		require.NoError(s.t, r.Err)
	}
	return receipts
}

// action waits until a worker has made the action of an event, and armed its job.
func (s *site) action(eventID string) (a model.Action) {
	s.t.Helper()
	testenv.Wait(s.t, "a worker has decided "+eventID, func() bool {
		err := s.Store.DB().NewSelect().Model(&a).Where("a.armed_gen = a.gen").
			Where("a.feedback_id = (SELECT id FROM feedback WHERE event_id = ?)", eventID).Scan(s.t.Context())
		return err == nil
	})
	return a
}

func (s *site) due(a model.Action, at time.Time) model.Action {
	s.t.Helper()
	moved, err := s.Engine.Move(s.t.Context(), a.ID, 0, sla.MoveRequest{Move: model.MoveDue, DueAt: at, Reason: "as agreed"})
	require.NoError(s.t, err)
	return *moved
}

// findings are what px verify says of the jobs, and how often.
func (s *site) findings() map[string]int64 {
	s.t.Helper()
	found, err := s.Engine.VerifyJobs(s.t.Context(), s.queue)
	require.NoError(s.t, err)
	all := map[string]int64{}
	for _, f := range found {
		all[f.What] = f.Count
	}
	return all
}

// TestAFailoverThatLosesCommitsHarmsNobody: the replica has not heard of the last
// commits when it becomes the primary. Redis has, and holds jobs of actions that
// are not there, jobs that are ahead of theirs, and none of one that it has done.
func TestAFailoverThatLosesCommitsHarmsNobody(t *testing.T) {
	t.Parallel()
	pair := testenv.PostgresPair(t, false)
	s := deployOn(t, pair.Primary.RedisURL, pair.URL(t, testenv.DatabaseOn(t, pair.Primary.DatabaseURL)))
	s.Store.DB().SetMaxIdleConns(0) // none that the failover breaks
	jobs := asynq.NewInspectorFromRedisClient(s.redis)
	s.accept(model.SeverityCritical, "moved")
	s.accept(model.SeverityHigh, "reminded")
	moved, reminded := s.action("moved"), s.action("reminded")
	pair.CatchUp(t)
	require.NoError(t, pair.Replica.Postgres.Stop())

	// What will be lost: three events, a move, and a reminder that a worker takes.
	lost := []string{"lost 1", "lost 2", "lost 3"}
	before := s.accept(model.SeverityHigh, lost...)
	for _, id := range lost {
		s.action(id)
	}
	far := s.due(moved, moved.DueAt.Add(100*time.Hour))
	s.SetTime(*reminded.NextAt)
	require.NoError(t, jobs.RunTask(tasks.QueueReminder, tasks.Arm{ActionID: reminded.ID, Kind: model.EventReminder, Stage: 1, Gen: reminded.Gen}.ID()))
	testenv.Wait(t, "a worker has reminded", func() bool { return s.Action(reminded.ID).ArmedGen > reminded.Gen })
	pair.FailOver(t)

	// The senders send again: to px it is the first time.
	for i, r := range s.accept(model.SeverityHigh, lost...) {
		assert.Equal(t, engine.ReceiptAccepted, r.Status)
		assert.NotEqual(t, before[i].ID, r.ID)
	}
	for _, id := range lost {
		s.action(id)
	}
	assert.Equal(t, moved.Gen, s.Action(moved.ID).Gen, "the move is lost")
	found := s.findings()
	delete(found, "task in Redis of a message that does not exist") // the reminder's, where it is not told yet
	assert.Equal(t, map[string]int64{
		"job in Redis of an action that does not exist": 3, "job in Redis is ahead of the plan": 2, "job not in Redis": 1,
	}, found)
	_, err := s.scheduler.Only(t.Context(), store.HealedByArming) // as px verify --repair
	require.NoError(t, err)
	assert.Zero(t, s.findings()["job not in Redis"])

	// The id of its next job is taken by the lost move's, which was for much later.
	near := s.due(s.Action(moved.ID), moved.DueAt.Add(6*time.Hour))
	assert.Equal(t, far.Gen, near.Gen)
	assert.Zero(t, s.findings()["job in Redis is scheduled later than planned"])
	s.SetTime(near.NextAt.Add(10 * time.Second)) // which is over the grace
	assert.Equal(t, 1, s.sweep()["deadlines"])
	assert.Equal(t, model.EventReminder, s.Events(moved.ID)[0].Kind)

	// What the lost time left in Redis does nothing, and is gone then.
	for _, q := range []string{tasks.QueueReminder, tasks.QueueEscalation} {
		_, err := jobs.RunAllScheduledTasks(q)
		require.NoError(t, err)
	}
	s.SetTime(reminded.NextAt.Add(10 * time.Second))
	testenv.Wait(t, "the reminder is taken", func() bool { // not while a job that came too early is at the row
		s.sweep()
		return len(s.Events(reminded.ID)) > 0
	})
	assert.Len(t, s.Events(reminded.ID), 1)
	testenv.Wait(t, "px verify finds nothing", func() bool { return len(s.findings()) == 0 })
	for _, q := range tasks.Queues() {
		if info, err := jobs.GetQueueInfo(q); err == nil {
			assert.Zero(t, info.Failed+info.Archived, q)
		}
	}
	s.Holds()
}
