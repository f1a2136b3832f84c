// Package ratelimit keeps one API key from taking all that a process can do.
package ratelimit

import (
	"fmt"
	"math"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/pxactions/px/internal/problem"
	"github.com/pxactions/px/model"
)

// maxBuckets bounds what is remembered of keys.
const maxBuckets = 10_000

// Limiter limits the requests of each API key by a token bucket: one token a
// request, refilled at a steady rate. It counts in this process alone, by machine
// time. nil limits nothing. It is safe for concurrent use.
type Limiter struct {
	rate   rate.Limit // tokens a second
	burst  int        // of a full bucket
	now    func() time.Time
	policy string

	mu      sync.Mutex
	buckets map[model.KeyID]*rate.Limiter
}

// New makes a limiter of perSecond requests a second and key, after burst at once;
// nil, and so no limit, for perSecond 0. now is the machine's clock.
func New(perSecond, burst int, now func() time.Time) *Limiter {
	if perSecond <= 0 {
		return nil
	}
	l := &Limiter{rate: rate.Limit(perSecond), burst: max(burst, 1), now: now, buckets: map[model.KeyID]*rate.Limiter{}}
	l.policy = fmt.Sprintf(`"key";q=%d;w=%d`, l.burst, l.seconds(float64(l.burst)))
	return l
}

// Admit takes one request from a key's bucket and says in the answer's headers
// what is left (draft-ietf-httpapi-ratelimit-headers-10): RateLimit-Policy has the
// burst (q) and the seconds that fill an empty bucket (w), RateLimit the requests
// that could be made at once (r) and the seconds until the bucket is full (t).
// The problem, nil for a request that may go on, says when to come again.
func (l *Limiter) Admit(h http.Header, key model.KeyID) *problem.Problem {
	if l == nil {
		return nil
	}
	now := l.now()
	b := l.bucket(key, now)
	admitted := b.AllowN(now, 1)
	left := min(max(b.TokensAt(now), 0), float64(l.burst))
	h.Set("RateLimit-Policy", l.policy)
	h.Set("RateLimit", fmt.Sprintf(`"key";r=%d;t=%d`, int(left), l.seconds(float64(l.burst)-left)))
	if admitted {
		return nil
	}
	p := problem.New(http.StatusTooManyRequests, problem.RateLimited, "Too many requests with this API key", fmt.Sprintf("%d a second, after %d at once", int(l.rate), l.burst))
	p.RetryAfter = max(1, l.seconds(1-left))
	return p
}

// seconds is how long so many tokens take, rounded up.
func (l *Limiter) seconds(tokens float64) int { return int(math.Ceil(tokens / float64(l.rate))) }

func (l *Limiter) bucket(key model.KeyID, now time.Time) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.buckets[key]
	if b == nil {
		if len(l.buckets) >= maxBuckets {
			l.makeRoom(now)
		}
		b = rate.NewLimiter(l.rate, l.burst)
		l.buckets[key] = b
	}
	return b
}

// makeRoom forgets the buckets that are full, which are as good as new ones, and
// if that is not enough, any.
func (l *Limiter) makeRoom(now time.Time) {
	for key, b := range l.buckets {
		if b.TokensAt(now) >= float64(l.burst) {
			delete(l.buckets, key)
		}
	}
	for key := range l.buckets {
		if len(l.buckets) < maxBuckets {
			return
		}
		delete(l.buckets, key)
	}
}
