package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	senders   = 32     // that wait for their answers while the sustainable rate is measured
	mostOpen  = 1024   // requests at the same time in the overload: what is beyond is not offered
	keys      = 40     // of sources; the first sends half of everything, beyond its rate
	batch     = 100    // events of a large request
	batchPart = .25    // of all requests are large
	emptyPart = .001   // are of empty events: those that take most memory for their bytes
	empty     = 10_000 // events of such a request, as many as it may have
	tick      = 5 * time.Millisecond
	// answerWithin is how long an accepted request may take at the 99th percentile.
	answerWithin = 10 * time.Second
)

// meanEvents is how many events a request has on average.
const meanEvents = batchPart*batch + (1 - batchPart)

// outcome is what a sender knows of an event.
type outcome uint8

const (
	refused  outcome = iota
	accepted         // answered 202
	unsure           // 503 unavailable, or no answer: it may be committed all the same
)

// sums are the answers to requests, and the events among them that were accepted.
type sums struct {
	requests, limited, overloaded, unavailable, invalid, silent, other, accepted int
}

func (s sums) String() string { return fmt.Sprintf("%+v", struct{ sums }{s}) }

// load sends events and remembers what was answered.
type load struct {
	c    *cluster
	http *http.Client
	next atomic.Int64

	mu       sync.Mutex
	outcomes map[int64]outcome // by number of the event; refused ones are left out
	took     []time.Duration   // of requests of which anything was accepted
	counted  sums
}

func newLoad(c *cluster) *load {
	return &load{
		c: c, outcomes: map[int64]outcome{},
		http: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: mostOpen}},
	}
}

func (l *load) sum() sums {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.counted
}

// forget begins to count anew, and returns how many events were accepted so far.
func (l *load) forget() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.counted.accepted
	l.counted, l.took = sums{}, nil
	return n
}

func (l *load) quantile(q float64) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.took) == 0 {
		return 0
	}
	slices.Sort(l.took)
	return l.took[int(q*float64(len(l.took)-1))].Round(time.Millisecond)
}

// closed lets a few senders send one request after the other, and returns the
// events that were accepted a second.
func (l *load) closed(ctx context.Context, span time.Duration) float64 {
	begin := time.Now()
	var all sync.WaitGroup
	for i := range senders {
		all.Go(func() {
			for time.Since(begin) < span && ctx.Err() == nil {
				l.send(ctx, 1+i%(keys-1))
			}
		})
	}
	all.Wait()
	return float64(l.sum().accepted) / time.Since(begin).Seconds()
}

// open offers so many events a second, whatever the answers are, and returns how
// many it could offer.
func (l *load) open(ctx context.Context, span time.Duration, rate float64) float64 {
	begin, first := time.Now(), l.next.Load()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	places := make(chan struct{}, mostOpen)
	var all sync.WaitGroup
	for sent := 0.0; time.Since(begin) < span && ctx.Err() == nil; <-ticker.C {
		for due := rate / meanEvents * time.Since(begin).Seconds(); sent < due; sent++ {
			select {
			case places <- struct{}{}:
			default:
				continue
			}
			key := 1 + rand.IntN(keys-1)
			if rand.IntN(2) == 0 {
				key = 0
			}
			all.Go(func() {
				defer func() { <-places }()
				l.send(ctx, key)
			})
		}
	}
	offered := float64(l.next.Load()-first) / time.Since(begin).Seconds()
	all.Wait()
	return offered
}

// send makes one request and notes the answer.
func (l *load) send(ctx context.Context, key int) {
	n, begin := int64(1), time.Now()
	switch part := rand.Float64(); {
	case part < emptyPart:
		status, answer, err := l.post(ctx, l.c.keys[key], bytes.Repeat([]byte("{}\n"), empty))
		l.note(0, 0, time.Since(begin), status, answer, err)
		return
	case part < emptyPart+batchPart:
		n = batch
	}
	first := l.next.Add(n) - n
	status, answer, err := l.post(ctx, l.c.keys[key], body(first, n))
	l.note(first, n, time.Since(begin), status, answer, err)
}

func (l *load) post(ctx context.Context, key string, events []byte) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.c.intake+"/v1/feedback", bytes.NewReader(events))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	req.Header.Set("Authorization", "Bearer "+key)
	res, err := l.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	answer, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	return res.StatusCode, answer, err
}

// body is n events, one a line.
func body(first, n int64) []byte {
	var b bytes.Buffer
	for i := first; i < first+n; i++ {
		fmt.Fprintf(&b, `{"event_id":"%d","source_type":"complaint","hospital":"RUH","department":"ED","severity":"low","subject":"MRN-%d","title":"Waited in the emergency department",`+
			`"text":"Waited for four hours with a child in pain. At the desk nobody could say how much longer. انتظرنا أكثر من أربع ساعات ولم يخبرنا أحد.","metadata":{"ward":"3-12","agent":"17"}}`+"\n", i, i)
	}
	return b.Bytes()
}

// answer is what the load reads of an answer, of several events or a problem.
type answer struct {
	Code  string
	Items []struct {
		Status string
		Code   int
	}
}

func (l *load) note(first, n int64, took time.Duration, status int, raw []byte, err error) {
	var a struct {
		answer
		Code json.RawMessage // text of a problem
	}
	if err == nil {
		err = json.Unmarshal(raw, &a)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counted.requests++
	all := unsure
	switch code := string(a.Code); {
	case err != nil:
		l.counted.silent++
	case status == http.StatusUnprocessableEntity && n == 0:
		l.counted.invalid++
		return
	case len(a.Items) > 0 && int64(len(a.Items)) == n:
		l.items(first, took, &a.answer)
		return
	case status == http.StatusTooManyRequests:
		l.counted.limited++
		return
	case code == `"overloaded"`:
		l.counted.overloaded++
		return
	case code == `"unavailable"`:
		l.counted.unavailable++
	default:
		l.counted.other++
	}
	for i := range n {
		l.outcomes[first+i] = all
	}
}

// items notes the answer to each event of a request.
func (l *load) items(first int64, took time.Duration, a *answer) {
	some := false
	for i, it := range a.Items {
		switch {
		case it.Status == "accepted":
			some = true
			l.counted.accepted++
			l.outcomes[first+int64(i)] = accepted
		case it.Code == http.StatusServiceUnavailable:
			l.outcomes[first+int64(i)] = unsure
		default:
			l.counted.other++
		}
	}
	if some {
		l.took = append(l.took, took)
	} else {
		l.counted.unavailable++
	}
}
