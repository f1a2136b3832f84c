package producer

import (
	"net/http"
	"sync/atomic"

	"github.com/pxactions/px/internal/problem"
	"github.com/pxactions/px/model"
)

// EventBytes is what an event takes besides its words: its receipt, and its part of
// the answer.
const EventBytes = 1 << 10

// overloadedWait is how many seconds a sender is asked to wait when there is too
// much at the same time.
const overloadedWait = 1

// load is what the intake has in hand. What comes beyond its bounds is refused at
// once: a sender keeps it better than a queue in memory.
type load struct{ requests, bytes budget }

// budget is a bound that many share. It is safe for concurrent use.
type budget struct {
	most  int64
	taken atomic.Int64
}

// take takes n, or nothing where that is beyond the bound; a negative n is free
// again.
func (b *budget) take(n int64) bool {
	for {
		taken := b.taken.Load()
		if n > 0 && taken+n > b.most {
			return false
		}
		if b.taken.CompareAndSwap(taken, taken+n) {
			return true
		}
	}
}

func (b *budget) free(n int64) { b.taken.Add(-n) }

// handler answers a request with a key.
type handler func(w http.ResponseWriter, r *http.Request, key *model.APIKey)

// letIn answers a request whose key may do what scope says, if there are not too
// many already. A key's own rate comes first, so that one that sends too much does
// not crowd out the others.
func (p *Producer) letIn(scope string, next handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		key, ok := p.allow(w, r, scope)
		if !ok {
			return
		}
		if !p.load.requests.take(1) {
			problem.Write(w, p.overloaded("requests"))
			return
		}
		defer p.load.requests.free(1)
		next(w, r, key)
	}
}

// overloaded is the refusal of what is too much for now.
func (p *Producer) overloaded(reason string) *Problem {
	p.Engine.Metrics.Shed.WithLabelValues(reason).Inc()
	o := problem.New(http.StatusServiceUnavailable, problem.Overloaded, "Too much comes in at the same time", "nothing of it was taken: send it again a little later")
	o.RetryAfter = overloadedWait
	return o
}
