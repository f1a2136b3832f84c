package ops

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// Depth is how many tasks of a queue are in each state.
type Depth struct{ Pending, Active, Scheduled, Retry, Archived int64 }

// Counts is how much of the ledger is in each state that operators watch.
type Counts struct {
	Live            int64 // actions neither closed nor cancelled
	Overdue         int64 // live and overdue
	Escalated       int64 // live, with a stage of escalation taken
	Unassigned      int64 // live, with nobody to own them
	Late            int64 // actions whose next event should have been taken by now
	Unarmed         int64 // actions whose next job the queue has not heard of
	Undecided       int64 // feedback
	Quarantined     int64 // feedback
	MessagesOpen    int64 // on their way
	MessagesFailed  int64 // given up
	UndecidedOldest int64 // seconds (domain time) since the oldest undecided feedback was accepted
}

const (
	defaultKeep = 15 * time.Second
	defaultWait = 1500 * time.Millisecond
	// keepFailure is how long a fault is believed: a scraper asks more rarely,
	// several of them must not wait one after the other.
	keepFailure = 5 * time.Second
)

// collector makes gauges of what the queue and the ledger say. A source that
// fails or does not answer in time gives no values, and px_collector_up is 0.
type collector struct {
	depths *cached[map[string]Depth]
	counts *cached[Counts]

	up, queue, actions             *prometheus.Desc
	undecided, oldest, quarantined *prometheus.Desc
	messagesOpen, messagesFailed   *prometheus.Desc
	cancel                         context.CancelFunc
}

func newCollector(o Options) *collector {
	if o.Keep <= 0 {
		o.Keep = defaultKeep
	}
	if o.Wait <= 0 {
		o.Wait = defaultWait
	}
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &collector{
		depths:         newCached(ctx, o, "redis", o.Depths),
		counts:         newCached(ctx, o, "postgres", o.Counts),
		up:             desc("px_collector_up", "Whether a source of gauges answered in time.", "source"),
		queue:          desc("px_queue_tasks", "Tasks in the queue.", "queue", "state"),
		actions:        desc("px_actions", "Live actions, and how many of them are overdue, escalated, unassigned, late (the next event not taken in time) or unarmed.", "state"),
		undecided:      desc("px_feedback_undecided", "Feedback accepted and not yet decided."),
		oldest:         desc("px_feedback_undecided_oldest_seconds", "Age of the oldest undecided feedback in domain time."),
		quarantined:    desc("px_feedback_quarantined", "Feedback that could not be read, mapped or decided."),
		messagesOpen:   desc("px_messages_open", "Messages on their way."),
		messagesFailed: desc("px_messages_failed", "Messages given up, for people to look at."),
		cancel:         cancel,
	}
}

// close ends reads that are under way and waits for them.
func (c *collector) close() {
	c.cancel()
	c.depths.wg.Wait()
	c.counts.wg.Wait()
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		c.up, c.queue, c.actions, c.undecided, c.oldest, c.quarantined, c.messagesOpen, c.messagesFailed,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector. It asks both sources at once.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	var wg sync.WaitGroup
	if c.depths.read != nil {
		wg.Go(func() { c.collectDepths(ch) })
	}
	if c.counts.read != nil {
		wg.Go(func() { c.collectCounts(ch) })
	}
	wg.Wait()
}

func (c *collector) collectDepths(ch chan<- prometheus.Metric) {
	depths, err := c.depths.get()
	c.tellUp(ch, c.depths.name, err)
	if err != nil {
		return
	}
	for name, d := range depths {
		for state, n := range map[string]int64{
			"pending": d.Pending, "active": d.Active, "scheduled": d.Scheduled, "retry": d.Retry, "archived": d.Archived,
		} {
			ch <- gauge(c.queue, n, name, state)
		}
	}
}

func (c *collector) collectCounts(ch chan<- prometheus.Metric) {
	n, err := c.counts.get()
	c.tellUp(ch, c.counts.name, err)
	if err != nil {
		return
	}
	for state, n := range map[string]int64{
		"live": n.Live, "overdue": n.Overdue, "escalated": n.Escalated, "unassigned": n.Unassigned, "late": n.Late, "unarmed": n.Unarmed,
	} {
		ch <- gauge(c.actions, n, state)
	}
	ch <- gauge(c.undecided, n.Undecided)
	ch <- gauge(c.oldest, n.UndecidedOldest)
	ch <- gauge(c.quarantined, n.Quarantined)
	ch <- gauge(c.messagesOpen, n.MessagesOpen)
	ch <- gauge(c.messagesFailed, n.MessagesFailed)
}

func (c *collector) tellUp(ch chan<- prometheus.Metric, source string, err error) {
	up := int64(1)
	if err != nil {
		up = 0
	}
	ch <- gauge(c.up, up, source)
}

func gauge(d *prometheus.Desc, n int64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(n), labels...)
}

var errSlow = errors.New("no answer in time")

// cached keeps one source's last answer for a while. However many ask, one read
// is under way at most, and nobody waits longer than the bound for it.
type cached[T any] struct {
	name string
	read func(context.Context) (T, error) // nil: no such source
	base context.Context                  // ends with the process
	now  func() time.Time
	keep time.Duration
	wait time.Duration
	log  zerolog.Logger
	wg   sync.WaitGroup

	mu    sync.Mutex
	value T
	err   error
	until time.Time     // the answer holds until then
	busy  chan struct{} // closed when the read under way ends; nil: none is
}

func newCached[T any](base context.Context, o Options, name string, read func(context.Context) (T, error)) *cached[T] {
	return &cached[T]{name: name, read: read, base: base, now: o.Now, keep: o.Keep, wait: o.Wait, log: o.Log}
}

func (c *cached[T]) get() (T, error) {
	c.mu.Lock()
	if c.now().Before(c.until) {
		defer c.mu.Unlock()
		return c.value, c.err
	}
	if c.busy == nil {
		c.busy = make(chan struct{})
		c.wg.Go(c.refresh)
	}
	busy := c.busy
	c.mu.Unlock()

	t := time.NewTimer(c.wait)
	defer t.Stop()
	select {
	case <-busy:
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.value, c.err
	case <-t.C:
		var none T
		return none, errSlow
	}
}

func (c *cached[T]) refresh() {
	ctx, cancel := context.WithTimeout(c.base, c.wait)
	defer cancel()
	value, err := c.read(ctx)
	if err != nil {
		c.log.Debug().Err(err).Str("source", c.name).Msg("gauges not read")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	keep := c.keep
	if err != nil {
		keep = min(keep, keepFailure)
	}
	c.value, c.err, c.until = value, err, c.now().Add(keep)
	close(c.busy)
	c.busy = nil
}
