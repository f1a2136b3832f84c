package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/internal/localenv"
	"github.com/pxactions/px/internal/receiver"
	"github.com/pxactions/px/internal/testenv"
	"github.com/pxactions/px/model"
)

const (
	batches   = 25
	batchSize = 20
	kills     = 10
	killSeed  = 20260302
	// outage is how long (domain time) Redis is away.
	outage = 2 * time.Hour
	// claimLease is how long a dead worker keeps the messages that it was
	// delivering: deliveries at once, at most.
	claimLease = 4 * time.Second
	deliveries = 8
)

// ordeal is the course of the test: what has been done to the cluster so far.
type ordeal struct {
	*cluster
	servers *localenv.Env
	key     string

	producer, worker, scheduler *process

	sent    int   // batches
	killAt  []int // progress at which the worker is killed, those still to come
	flushed bool
	away    bool // Redis is, since
	since   time.Time
	back    bool
}

// TestKilledWorkersAndALostRedisLoseNothing kills the worker again and again,
// empties Redis and then takes it away, while 500 feedbacks are worked.
func TestKilledWorkersAndALostRedisLoseNothing(t *testing.T) {
	t.Parallel()
	_, hook, settings := receivers(t)
	settings = append(settings, "PX_CLAIM_LEASE="+claimLease.String(), "PX_CONCURRENCY_MESSAGE="+strconv.Itoa(deliveries))
	o := &ordeal{servers: testenv.OwnServers(t)}
	o.cluster = newCluster(t, testenv.DatabaseOn(t, o.servers.DatabaseURL), o.servers.RedisURL, settings...)
	h := hours{target: 4, reminder: 1, gap: 2}
	o.setClock(epoch(), 1200)
	o.key = o.furnish(directory(8, hook.URL(), "webhook"), policy(h))
	o.killAt = drawKills()
	ps := o.start("producer", "worker", "scheduler")
	o.producer, o.worker, o.scheduler = ps[0], ps[1], ps[2]

	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(90 * time.Second); !o.over(); <-tick.C {
		require.True(t, time.Now().Before(deadline), "the ordeal does not end: %d batches, %d kills to come, progress %d", o.sent, len(o.killAt), o.progress())
		o.turn()
	}
	o.await(o.worker)
	until(t, 90*time.Second, "all is done", func() (bool, string) {
		left := o.count("SELECT (SELECT count(*) FROM feedback WHERE decision IS NULL) + (SELECT count(*) FROM actions WHERE next_at IS NOT NULL)")
		open := o.count("SELECT count(*) FROM messages WHERE state IN ('pending', 'sending')")
		return left+open == 0, fmt.Sprintf("%d deadlines or decisions, %d messages", left, open)
	})
	o.holds()
	o.checkAll(h, hook.All())
	stop(t, o.producer, o.scheduler, o.worker)
}

// drawKills spreads the kills at random over the work: decisions, events and
// deliveries, as progress counts them.
func drawKills() []int {
	r := rand.New(rand.NewPCG(killSeed, 0))
	const work = batches * batchSize * 10
	at := make([]int, kills)
	for i := range at {
		at[i] = 20 + r.IntN(work)
	}
	slices.Sort(at)
	return at
}

// negative says which of the feedbacks become actions: all but each tenth.
func negative(i int) bool { return i%10 != 9 }

func (o *ordeal) over() bool {
	return o.sent == batches && len(o.killAt) == 0 && o.flushed && o.back
}

// progress counts what has been done, and not how often.
func (o *ordeal) progress() int {
	return o.count(`SELECT (SELECT count(*) FROM feedback WHERE decision IS NOT NULL) + (SELECT count(*) FROM deadline_events)
		+ (SELECT count(*) FROM messages WHERE state = 'sent')`)
}

// turn does what is due by now.
func (o *ordeal) turn() {
	o.t.Helper()
	if o.sent < batches {
		o.sendBatch()
	}
	if !o.flushed && o.sent >= batches/2 && o.remembers() {
		require.Zero(o.t, healed(o.t, o.scheduler, "lost"), "armed again before anything was lost")
		require.NoError(o.t, redisAt(o.t, o.servers.RedisURL).FlushAll(o.t.Context()).Err())
		o.flushed = true
		until(o.t, 30*time.Second, "the lost jobs are armed again", func() (bool, string) {
			n := healed(o.t, o.scheduler, "lost")
			return n > 0, fmt.Sprint(n)
		})
	}
	now, err := o.store.Now(o.t.Context())
	require.NoError(o.t, err)
	switch {
	case !o.away && o.flushed && o.count("SELECT count(*) FROM deadline_events") > batches*batchSize/2:
		require.NoError(o.t, o.servers.Redis.Stop())
		o.away, o.since = true, now.Domain
	case o.away && !o.back && now.Domain.Sub(o.since) >= outage:
		o.checkWorkWentOn()
		require.NoError(o.t, o.servers.Redis.Start(o.t.Context()))
		o.back = true
	}
	up := slices.ContainsFunc(o.worker.log.all(), func(l string) bool { return fields(l)["message"] == "process started" })
	if up && len(o.killAt) > 0 && o.progress() >= o.killAt[0] {
		o.killAt = o.killAt[1:]
		o.worker.kill()
		o.worker = o.launch("worker")
	}
}

// remembers reports whether there are jobs to lose, and PostgreSQL would notice.
func (o *ordeal) remembers() bool {
	o.t.Helper()
	return o.count("SELECT count(*) FROM sweeps WHERE counter > 0") == 2 && o.count("SELECT count(*) FROM actions WHERE next_at IS NOT NULL") > 0
}

// checkWorkWentOn looks, at the end of the outage, for what was done in its
// second half, when nothing was left that Redis had handed out before.
func (o *ordeal) checkWorkWentOn() {
	o.t.Helper()
	half := o.since.Add(outage / 2)
	assert.Positive(o.t, o.count("SELECT count(*) FROM deadline_events WHERE fired > ?::timestamptz", half), "events while Redis was away")
	assert.Positive(o.t, o.count("SELECT count(*) FROM messages WHERE sent_at > ?::timestamptz", half), "deliveries while Redis was away")
}

func (o *ordeal) sendBatch() {
	o.t.Helper()
	events := make([]map[string]any, batchSize)
	for i := range events {
		n := o.sent*batchSize + i
		events[i] = complaint(fmt.Sprint(n), model.SeverityHigh, nil)
		if !negative(n) {
			events[i]["kind"] = "praise"
		}
	}
	a := post(o.t, o.producer, o.key, toJSON(o.t, events))
	require.Equal(o.t, http.StatusAccepted, a.code, a.body)
	o.sent++
}

// checkAll compares the ledger with what was sent, and what arrived with the ledger.
func (o *ordeal) checkAll(h hours, calls []receiver.Call) {
	t := o.t
	t.Helper()
	l := o.ledger()
	require.Len(t, l.feedback, batches*batchSize)
	made := map[model.ActionID]bool{}
	for _, f := range l.feedback {
		var n int
		_, err := fmt.Sscan(f.EventID, &n)
		require.NoError(t, err)
		if !negative(n) {
			assert.Equal(t, model.DecisionIgnored, f.Decision, "praise %d", n)
			continue
		}
		require.Equal(t, model.DecisionCreated, f.Decision, "complaint %d: %s", n, f.Reason)
		assert.False(t, made[*f.ActionID], "two complaints share action %s", *f.ActionID)
		made[*f.ActionID] = true
		o.checkPlan(l.actions[*f.ActionID], l.events[*f.ActionID], h, lateAtMost)
	}
	assert.Len(t, l.actions, len(made), "one action per complaint, and no other")
	o.checkMessages(l)

	o.checkArrivals(l, calls)
	o.checkLateness(l)
	t.Logf("%d actions, %d messages, %d calls, worker killed %d times", len(l.actions), len(l.messages), len(calls), kills)
}

// checkArrivals compares the calls with the ledger: each message came, as the
// same words under its key, and again only when its worker died over it.
func (o *ordeal) checkArrivals(l ledger, calls []receiver.Call) {
	t := o.t
	t.Helper()
	arrived := map[string][]string{}
	for _, c := range calls {
		require.NoError(t, c.Fault)
		for _, body := range arrived[c.ID] {
			assert.Equal(t, body, string(c.Body), "a message sent again is the same")
		}
		arrived[c.ID] = append(arrived[c.ID], string(c.Body))
	}
	for _, m := range l.messages {
		assert.NotEmpty(t, arrived[m.Key], "message %s of %s never arrived", m.Key, m.Reason)
		assert.LessOrEqual(t, len(arrived[m.Key]), m.Attempts, "message %s of %s: calls and attempts", m.Key, m.Reason)
	}
	assert.Len(t, arrived, len(l.messages), "nothing arrived that is not in the ledger")
	assert.LessOrEqual(t, len(calls)-len(arrived), kills*deliveries, "repeats: at most what each dead worker was delivering")
}

// checkLateness bounds how late the messages were, in real time, and tells how
// late everything was. A worker's death costs its messages the rest of its
// claim, and then they wait for a sweep as all do.
func (o *ordeal) checkLateness(l ledger) {
	t := o.t
	t.Helper()
	var events, first, again []time.Duration
	for _, es := range l.events {
		for _, e := range es {
			events = append(events, o.real(e.Fired.Sub(e.Planned)))
		}
	}
	for _, m := range l.messages {
		if m.SentAt == nil {
			continue // already told
		}
		begin := m.NotBefore
		if m.CreatedAt.After(begin) {
			begin = m.CreatedAt // the event was late, not the message
		}
		late := o.real(m.SentAt.Sub(begin))
		deaths := time.Duration(m.Attempts - 1)
		assert.LessOrEqual(t, late, lateAtMost+deaths*(claimLease+lateAtMost), "message %s of %s was late, after %d attempts", m.Key, m.Reason, m.Attempts)
		if deaths == 0 {
			first = append(first, late)
		} else {
			again = append(again, late)
		}
	}
	t.Logf("real lateness: events %s; messages of one attempt %s; of several %s", spread(events), spread(first), spread(again))
}

// real is a span of domain time in real time.
func (c *cluster) real(domain time.Duration) time.Duration {
	return time.Duration(float64(domain) / c.speed)
}

// spread describes durations in a line.
func spread(all []time.Duration) string {
	if len(all) == 0 {
		return "none"
	}
	slices.Sort(all)
	at := func(percent int) time.Duration { return all[(len(all)*percent+99)/100-1].Round(time.Millisecond) }
	return fmt.Sprintf("n %d, p50 %s, p99 %s, max %s", len(all), at(50), at(99), at(100))
}
