package e2e

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/internal/testenv"
	"github.com/pxactions/px/model"
)

// fate is what became of one feedback, as far as it is the same in every world.
type fate struct {
	decision           model.Decision
	reason             string
	severity, priority model.Severity
	clockStart, due    time.Time
	planned            []string
}

// TestTwoOfEachDecideAsOneOfEach works the same feedback in two worlds, one
// with two processes of each kind, and compares all that became of it.
func TestTwoOfEachDecideAsOneOfEach(t *testing.T) {
	t.Parallel()
	h := hours{target: 3, reminder: 1, gap: 2}
	input := mixedFeedback()
	var worlds [2]*cluster
	var ps [2][]*process
	var keys [2]string
	for n := range worlds {
		c := newCluster(t, testenv.DatabaseURL(t), testenv.RedisURL(t))
		worlds[n], keys[n] = c, c.furnish(directory(3, "", "log"), policy(h))
		names := []string{"producer", "worker", "scheduler"}
		if n == 1 {
			names = append(names, names...)
		}
		ps[n] = c.start(names...)
	}
	for n, c := range worlds { // both worlds begin at the same instant of their clocks
		c.setClock(epoch(), 1800)
		c.sendTo(keys[n], input, slices.DeleteFunc(slices.Clone(ps[n]), func(p *process) bool { return p.name != "producer" }))
	}
	var fates [2]map[string]fate
	for n, c := range worlds {
		c.settled(90 * time.Second)
		c.holds()
		fates[n] = c.fates(h)
		stop(t, ps[n]...)
		checkShared(t, c.ledger(), ps[n])
	}
	require.Len(t, fates[0], len(input))
	assert.Equal(t, fates[0], fates[1])
	ignored := 0
	for _, f := range fates[0] {
		if f.decision == model.DecisionIgnored {
			ignored++
		}
	}
	assert.Equal(t, 10, ignored, "praise and good scores")
}

// checkShared reads the logs of a world that has ended: each message was
// delivered once, and every worker had its share.
func checkShared(t *testing.T, l ledger, ps []*process) {
	t.Helper()
	delivered := map[string]int{}
	for _, p := range ps {
		handled := 0
		for _, line := range p.log.all() {
			switch m := fields(line); m["message"] {
			case "message":
				key, _ := m["key"].(string)
				delivered[key]++
			case "task handled":
				handled++
			}
		}
		if p.name == "worker" {
			assert.Positive(t, handled, "a worker without a share")
		}
	}
	for _, m := range l.messages {
		assert.Equal(t, 1, delivered[m.Key], "deliveries of message %s of %s", m.Key, m.Reason)
	}
	assert.Len(t, delivered, len(l.messages))
}

// mixedFeedback has every severity, received in the hour and a half before the
// clock starts, and with every four complaints a praise and a good score.
func mixedFeedback() []map[string]any {
	var all []map[string]any
	for i := range 30 {
		id := fmt.Sprintf("e%02d", i)
		e := complaint(id, model.Severities()[i%4], map[string]any{
			"received_at": epoch().Add(-time.Duration(i*3) * time.Minute).Format(time.RFC3339),
		})
		switch i % 6 {
		case 4:
			e["kind"] = "praise"
		case 5:
			e["source_type"] = "survey"
			e["score"] = map[string]any{"value": 9, "min": 0, "max": 10, "better": "high"}
		}
		all = append(all, e)
	}
	return all
}

// sendTo sends all events by px send, to each of the producers at once; a
// second one gets most of them again and in another order.
func (c *cluster) sendTo(key string, events []map[string]any, producers []*process) {
	c.t.Helper()
	var wg sync.WaitGroup
	sums := make([]result, len(producers))
	for i, p := range producers {
		mine := slices.Clone(events)
		if i > 0 {
			slices.Reverse(mine)
			mine = mine[:len(mine)*2/3]
		}
		if i == 0 && len(producers) > 1 {
			mine = mine[:len(mine)*2/3]
		}
		file := c.file("events.ndjson", jsonLines(c.t, mine...))
		wg.Go(func() { sums[i] = c.command([]string{"PX_INTAKE_URL=" + p.url, "PX_API_KEY=" + key}, "send", file) })
	}
	wg.Wait()
	accepted := 0
	for _, s := range sums {
		require.Zero(c.t, s.code, s.err)
		var a, d, q, f int
		_, err := fmt.Sscanf(strings.TrimSpace(s.out), "accepted %d, duplicates %d, quarantined %d, failed %d", &a, &d, &q, &f)
		require.NoError(c.t, err, s.out)
		assert.Zero(c.t, q+f, s.out)
		accepted += a
	}
	assert.Equal(c.t, len(events), accepted, "each event is accepted once")
}

// fates reads what became of each feedback and checks what need not be the same
// in every world: who was chosen, and how late all was.
func (c *cluster) fates(h hours) map[string]fate {
	c.t.Helper()
	l := c.ledger()
	c.checkMessages(l)
	all := map[string]fate{}
	owned := map[model.ActionID]bool{}
	for _, f := range l.feedback {
		got := fate{decision: f.Decision, reason: f.Reason}
		if f.Decision == model.DecisionCreated {
			require.False(c.t, owned[*f.ActionID], "action %s has two feedbacks", *f.ActionID)
			owned[*f.ActionID] = true
			a := l.actions[*f.ActionID]
			assert.Contains(c.t, []string{"sami1", "sami2", "sami3"}, l.people[*a.AssignedTo], "owner of %s", a.Ref)
			c.checkPlan(a, l.events[a.ID], h, lateAtMost)
			got.severity, got.priority, got.clockStart, got.due = a.Severity, a.Priority, a.ClockStart.UTC(), a.DueAt.UTC()
			for _, e := range l.events[a.ID] {
				at := "after the stage before" // and so on its taking, if that was late: checkPlan knows
				if e.Stage < 2 {
					at = e.Planned.UTC().Format(time.DateTime)
				}
				got.planned = append(got.planned, fmt.Sprintf("%s %d %s", e.Kind, e.Stage, at))
			}
		}
		all[f.EventID] = got
	}
	assert.Len(c.t, l.actions, len(owned))
	return all
}
