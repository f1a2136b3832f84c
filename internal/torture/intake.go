package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

const (
	senders    = 3
	maxBatch   = 5
	answerWait = 15 * time.Second
	retryAfter = 200 * time.Millisecond
)

// sent is one event of a source system and what the intake has said of it.
type sent struct {
	event    map[string]any
	id       string // of the event
	negative bool
	severity string
	received string // as sent; empty: not
	// Of the answers:
	feedback string    // the feedback's id, of the first
	clock    time.Time // when the SLA clock starts, of the first
	accepted int       // answers that say so, of at most one
	answers  int
	odd      []string // what no answer should be
}

// desk is the source systems together.
type desk struct {
	c      *cluster
	client *http.Client

	mu             sync.Mutex
	all            []*sent
	asked, refused int      // requests, and those without a whole answer
	faults         []string // answers that say that px itself is wrong
}

// item is the intake's answer to one event.
type item struct {
	EventID    string    `json:"event_id"`
	ID         string    `json:"id"`
	Status     string    `json:"status"`
	Code       int       `json:"code"`
	ReceivedAt time.Time `json:"received_at"`
}

// run sends at a rate (events in a second) until ctx ends; what was asked is
// asked again until it has an answer, or whole ends.
func (d *desk) run(ctx, whole context.Context, seed uint64, rate float64) {
	var wg sync.WaitGroup
	for n := range senders {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(n)+100))
			for i := 0; ; {
				size := 1 + r.IntN(maxBatch)
				if !sleep(ctx, time.Duration(float64(size*senders)/rate*(0.5+r.Float64())*float64(time.Second))) {
					return
				}
				var batch []*sent
				for range size {
					batch = append(batch, d.event(r, fmt.Sprintf("e%d.%d", n, i)))
					i++
				}
				d.send(whole, r, batch)
			}
		})
	}
	wg.Wait()
}

// event makes up one.
func (d *desk) event(r *rand.Rand, id string) *sent {
	s := &sent{id: id, negative: r.IntN(10) > 0, severity: severities[r.IntN(4)]}
	s.event = map[string]any{
		"event_id": id, "source_type": "complaint", "hospital": "TST", "department": "ED", "severity": s.severity,
		"category": "service_quality", "title": "Waited for hours", "text": "Nobody came.",
	}
	if !s.negative {
		s.event["kind"] = "praise"
	}
	if r.IntN(3) == 0 { // it comes late, and before others that are older
		s.received = d.c.now().Add(-time.Duration(r.IntN(4*3600)) * time.Second).Format(time.RFC3339)
		s.event["received_at"] = s.received
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all = append(d.all, s)
	return s
}

// send posts a batch, with some events of long ago again, some twice, and some
// with another content, until all has an answer.
func (d *desk) send(ctx context.Context, r *rand.Rand, batch []*sent) {
	for range r.IntN(3) {
		d.mu.Lock()
		old := d.all[r.IntN(len(d.all))]
		d.mu.Unlock()
		batch = append(batch, old)
	}
	r.Shuffle(len(batch), func(i, j int) { batch[i], batch[j] = batch[j], batch[i] })
	if r.IntN(8) == 0 {
		d.conflict(ctx, batch[0])
	}
	for ctx.Err() == nil {
		if d.post(ctx, batch) {
			return
		}
		sleep(ctx, retryAfter)
	}
}

// conflict sends an event that has its answer with another content: that is refused.
func (d *desk) conflict(ctx context.Context, s *sent) {
	d.mu.Lock()
	known := s.answers > 0
	d.mu.Unlock()
	if !known {
		return
	}
	other := map[string]any{}
	for k, v := range s.event {
		other[k] = v
	}
	other["text"] = "Somebody came."
	items, ok := d.ask(ctx, []map[string]any{other})
	if !ok || len(items) != 1 || items[0].Code >= http.StatusInternalServerError {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if items[0].Code != http.StatusConflict {
		s.odd = append(s.odd, fmt.Sprintf("other content was answered %d %s, want 409", items[0].Code, items[0].Status))
	}
}

// post reports whether every event got an answer that stands.
func (d *desk) post(ctx context.Context, batch []*sent) bool {
	events := make([]map[string]any, len(batch))
	for i, s := range batch {
		events[i] = s.event
	}
	items, ok := d.ask(ctx, events)
	if !ok || len(items) != len(batch) {
		return false
	}
	whole := true
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, it := range items {
		if it.Code == http.StatusInternalServerError {
			d.faults = append(d.faults, batch[i].id)
		}
		if it.Code >= http.StatusInternalServerError {
			whole = false
			if it.Code == http.StatusInternalServerError {
				batch[i].odd = append(batch[i].odd, "answered 500, not what is away")
			}
			continue
		}
		batch[i].hear(it)
	}
	return whole
}

// hear notes one answer. The caller holds the lock.
func (s *sent) hear(it item) {
	s.answers++
	switch {
	case it.Code != http.StatusAccepted || it.Status != "accepted" && it.Status != "duplicate":
		s.odd = append(s.odd, fmt.Sprintf("answered %d %s", it.Code, it.Status))
		return
	case s.feedback == "":
		s.feedback, s.clock = it.ID, it.ReceivedAt
	case it.ID != s.feedback:
		s.odd = append(s.odd, fmt.Sprintf("a repeat was answered with feedback %s, first %s", it.ID, s.feedback))
	}
	if it.Status == "accepted" {
		s.accepted++
	}
}

// ask posts events and reads the answer to each.
func (d *desk) ask(ctx context.Context, events []map[string]any) ([]item, bool) {
	body, err := json.Marshal(events)
	if err != nil {
		return nil, false
	}
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+d.c.intake+"/v1/feedback", bytes.NewReader(body))
	if err != nil {
		return nil, false
	}
	req.Header.Set("Authorization", "Bearer "+d.c.key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := d.client.Do(req)
	ok := false
	defer func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.asked++
		if !ok {
			d.refused++
		}
	}()
	if err != nil {
		return nil, false
	}
	defer func() { _ = resp.Body.Close() }()
	content, err := io.ReadAll(resp.Body)
	if resp.StatusCode == http.StatusInternalServerError {
		d.mu.Lock()
		d.faults = append(d.faults, string(content))
		d.mu.Unlock()
	}
	if err != nil || resp.StatusCode >= http.StatusInternalServerError {
		return nil, false
	}
	var answer struct {
		Items []item `json:"items"`
	}
	ok = json.Unmarshal(content, &answer) == nil
	return answer.Items, ok
}
