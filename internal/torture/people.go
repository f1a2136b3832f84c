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

	"github.com/pxactions/px/model"
)

const hands = 8 // people who act at the same time

// asked is a move that a person asked for, and what came of it. One that got no
// answer is asked again under the same key, so it is made once at most.
type asked struct {
	move
	request string // id of the request, which the log keeps
	action  model.ActionID
	lost    bool   // the first answer gets lost on the way
	fault   string // an answer that says that px itself is wrong
	code    int    // of the answer; 0: none yet
	body    string
}

// house is the people of the hospital.
type house struct {
	c      *cluster
	client *http.Client

	mu   sync.Mutex
	all  map[string]*asked // by request
	took time.Duration     // the last answer (real time)
}

// run makes moves at a rate (in a second) until ctx ends.
func (h *house) run(ctx, whole context.Context, seed uint64, rate float64) {
	var wg sync.WaitGroup
	for n := range hands {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(n)+200))
			for i := 0; sleep(ctx, time.Duration(hands/rate*(0.5+r.Float64())*float64(time.Second))); i++ {
				pick := h.pick
				if r.IntN(2) == 0 {
					pick = h.aim
				}
				a, ok := pick(ctx, r)
				if !ok {
					continue
				}
				m, who := h.choose(r, a)
				if m.name == "" {
					continue
				}
				h.ask(whole, &asked{move: m, request: fmt.Sprintf("m%d.%d", n, i), action: a.ID, lost: r.IntN(6) == 0}, who)
			}
		})
	}
	wg.Wait()
}

// pick reads an action at random, mostly a live one.
func (h *house) pick(ctx context.Context, r *rand.Rand) (model.Action, bool) {
	var as []model.Action
	q := h.c.store.DB().NewSelect().Model(&as).Where("status <> 'cancelled'").OrderExpr("id DESC").Limit(120)
	switch r.IntN(6) {
	case 0:
	case 1, 2: // what is on its way through the workflow
		q = q.Where("status IN ('in_progress', 'pending_approval', 'approved')")
	default:
		q = q.Where("status <> 'closed'")
	}
	if q.Scan(ctx) != nil || len(as) == 0 {
		return model.Action{}, false
	}
	return as[r.IntN(len(as))], true
}

// aim reads an action whose next event is near, and waits for the minute before it:
// a move that is made then must leave it alone.
func (h *house) aim(ctx context.Context, r *rand.Rand) (a model.Action, ok bool) {
	err := h.c.store.DB().NewSelect().Model(&a).Where("next_at > ?::timestamptz", h.c.now().Add(10*time.Minute)).
		OrderExpr("next_at").Offset(int64(r.IntN(hands))).Limit(1).Scan(ctx)
	if err != nil {
		return a, false
	}
	h.mu.Lock()
	took := h.took
	h.mu.Unlock()
	at := h.c.clock.Real(a.NextAt.Add(-time.Duration(r.IntN(60)) * time.Second))
	return a, sleep(ctx, time.Until(at)-took)
}

// choose says what somebody does to an action, and who.
func (h *house) choose(r *rand.Rand, a model.Action) (move, string) {
	owner, admin := "owner", admins[r.IntN(len(admins))]
	ahead := func(least, most int) time.Time {
		return h.c.now().Add(time.Duration(least*60+r.IntN((most-least)*60)) * time.Minute)
	}
	switch {
	case r.IntN(30) == 0:
		return move{name: "note"}, admin
	case r.IntN(40) == 0 && a.Live():
		return move{name: "cancel"}, admin
	case a.Held():
		return move{name: "resume"}, admin
	case a.Status == model.StatusPendingApproval:
		return move{name: []string{"approve", "reject"}[r.IntN(2)]}, admin
	case a.Status == model.StatusApproved:
		return move{name: "close"}, admin
	case a.Status == model.StatusClosed:
		return move{name: "reopen"}, admin
	}
	switch n := r.IntN(12); {
	case n < 5 && a.Status == model.StatusOpen:
		return move{name: "start"}, owner
	case n < 6 && a.Status == model.StatusInProgress:
		return move{name: "submit"}, owner
	case n < 8:
		return move{name: "severity", severity: severities[r.IntN(4)]}, admin
	case n < 10:
		return move{name: "due", at: ahead(-1, 8)}, admin
	case n < 11:
		return move{name: "hold", at: ahead(1, 4)}, admin
	default:
		return move{name: "assign"}, admin
	}
}

// ask asks for a move until there is an answer.
func (h *house) ask(ctx context.Context, a *asked, who string) {
	body := map[string]any{}
	switch a.name {
	case "note":
		body["text"] = "A note."
	case "cancel", "reject", "reopen":
		body["reason"] = "A reason."
	case "severity":
		body["severity"] = a.severity
	case "due":
		body["due_at"], body["reason"] = a.at.Format(time.RFC3339), "A reason."
	case "hold":
		body["until"], body["reason"] = a.at.Format(time.RFC3339), "A reason."
	case "assign":
		body["assignee"] = staff[int(a.request[len(a.request)-1])%len(staff)]
	case "submit":
		body["action_plan"], body["outcome"], body["root_cause"] = "A plan.", "An outcome.", "staffing"
		body["complainant_informed"] = map[string]any{"why_not": "No address."}
	}
	h.mu.Lock()
	h.all[a.request] = a
	h.mu.Unlock()
	for ctx.Err() == nil {
		actor := who
		if who == "owner" {
			if actor = h.owner(ctx, a.action); actor == "" {
				continue
			}
			who = actor // the same request names the same person each time
		}
		if h.post(ctx, a, actor, body) {
			return
		}
		sleep(ctx, retryAfter)
	}
}

// owner reads who owns an action; empty: unknown as yet.
func (h *house) owner(ctx context.Context, id model.ActionID) (code string) {
	_ = h.c.store.DB().NewRaw("SELECT u.code FROM actions a JOIN users u ON u.id = a.assigned_to WHERE a.id = ?", id).Scan(ctx, &code)
	if code == "" {
		sleep(ctx, retryAfter)
	}
	return code
}

func (h *house) post(ctx context.Context, a *asked, actor string, body map[string]any) bool {
	content, err := json.Marshal(body)
	if err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	url := "http://" + h.c.web + "/v1/actions/" + a.action.String() + "/" + a.name
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(content))
	if err != nil {
		return false
	}
	for k, v := range map[string]string{
		"Authorization": "Bearer " + h.c.key, "On-Behalf-Of": actor, "Content-Type": "application/json",
		"Idempotency-Key": a.request, "X-Request-Id": a.request,
	} {
		req.Header.Set(k, v)
	}
	began := time.Now()
	resp, err := h.client.Do(req)
	if err != nil {
		return false
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if resp.StatusCode == http.StatusInternalServerError {
		h.mu.Lock()
		a.fault = string(answer)
		h.mu.Unlock()
	}
	if err != nil || resp.StatusCode >= http.StatusInternalServerError || resp.StatusCode == http.StatusTooManyRequests {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.took = time.Since(began)
	if a.lost {
		a.lost = false
		return false
	}
	a.code, a.body = resp.StatusCode, string(answer)
	return true
}
