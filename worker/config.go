package worker

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pxactions/px/tasks"
)

// Config tunes a Worker. The zero value serves every queue.
type Config struct {
	// Concurrency is how many tasks of a queue run at the same time in this
	// process. A queue that is not named has its default; one named with a
	// negative number is not served here.
	Concurrency map[string]int
	// Servers is how many asynq servers share a queue's concurrency; not named:
	// its default. One server takes one task per round trip, however many may
	// run.
	Servers map[string]int
	// Drain is how long (machine time) running tasks may take to end once Run's
	// context has ended; what runs longer goes back to its queue. 0: 30 s.
	Drain time.Duration
	// ForwardEvery is the interval (machine time) between looks for tasks that
	// have come due; 0: 250 ms.
	ForwardEvery time.Duration
	// CheckEvery is the interval (machine time) between looks for tasks in an
	// empty queue; 0: 100 ms.
	CheckEvery time.Duration
	// LateAfter is the lateness (machine time) from which a firing is logged as
	// a warning; 0: 30 s.
	LateAfter time.Duration
	// Housekeeping is the periodic work by its name. Each asks the database
	// itself whether it is due.
	Housekeeping map[string]func(context.Context) error
}

// Deadline and creation tasks wait for a shared commit most of their time, so
// many of them make the groups that are fast. Messages each hold a connection
// to a mail server.
func defaultConcurrency() map[string]int {
	return map[string]int{
		tasks.QueueEscalation:   256,
		tasks.QueueIntake:       64,
		tasks.QueueReminder:     512,
		tasks.QueueMessage:      32,
		tasks.QueueHousekeeping: 2,
	}
}

func defaultServers() map[string]int {
	return map[string]int{
		tasks.QueueEscalation:   2,
		tasks.QueueIntake:       2,
		tasks.QueueReminder:     2,
		tasks.QueueMessage:      1,
		tasks.QueueHousekeeping: 1,
	}
}

func (c Config) withDefaults() (Config, error) {
	for what, named := range map[string]map[string]int{"concurrency": c.Concurrency, "servers": c.Servers} {
		for queue := range named {
			if !slices.Contains(tasks.Queues(), queue) {
				return c, fmt.Errorf("%s: no queue is named %q; want one of %s", what, queue, strings.Join(tasks.Queues(), ", "))
			}
		}
	}
	c.Concurrency = over(defaultConcurrency(), c.Concurrency)
	c.Servers = over(defaultServers(), c.Servers)
	for _, d := range []struct {
		name         string
		field        *time.Duration
		defaultValue time.Duration
	}{
		{"drain", &c.Drain, 30 * time.Second},
		{"forward interval", &c.ForwardEvery, 250 * time.Millisecond},
		{"check interval", &c.CheckEvery, 100 * time.Millisecond},
		{"late after", &c.LateAfter, 30 * time.Second},
	} {
		if *d.field < 0 {
			return c, fmt.Errorf("%s: want 0 or more, have %s", d.name, *d.field)
		}
		if *d.field == 0 {
			*d.field = d.defaultValue
		}
	}
	return c, nil
}

// over returns base with what named says otherwise; 0 says nothing.
func over(base, named map[string]int) map[string]int {
	for queue, n := range named {
		if n != 0 {
			base[queue] = n
		}
	}
	return base
}
