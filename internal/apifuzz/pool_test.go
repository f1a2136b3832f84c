package apifuzz

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/store"
)

// pool is what earlier answers told of, for later requests to ask after.
type pool struct {
	x      *target
	people []string          // codes
	keys   map[string]string // secrets by what the key may

	mu   sync.Mutex
	at   time.Time
	kept map[string][]string
	sent map[string]object // events by the feedback that they became
}

func newPool(x *target) *pool {
	p := &pool{x: x, keys: map[string]string{}, kept: map[string][]string{}, sent: map[string]object{}, at: scenario.Start()}
	for _, u := range x.Dir.Users {
		p.people = append(p.people, u.Code)
	}
	slices.Sort(p.people)
	past := time.Now().Add(-time.Hour)
	ber := model.Of([]model.HospitalID{x.Hospital("BER").ID})
	for name, k := range map[string]model.APIKey{
		"all": {}, "ber": {Hospitals: ber}, "quarantine": {OnUnmapped: model.UnmappedQuarantine, SourceSystem: "his"}, "revoked": {}, "expired": {},
		"read":     {Scopes: model.Of([]string{store.ScopeActionsRead, store.ScopeFeedbackRead, store.ScopeOnBehalfOf})},
		"feedback": {Scopes: model.Of([]string{store.ScopeFeedbackWrite}), SourceSystem: "his"},
		"services": {Scopes: model.Of([]string{store.ScopeActionsRead, store.ScopeActionsWrite})},
	} {
		k.Name = name
		if k.SourceSystem == "" {
			k.SourceSystem = "desk"
		}
		if k.Scopes.V == nil {
			k.Scopes = model.Of(store.Scopes())
		}
		secret, err := x.Store.CreateKey(x.t.Context(), &k)
		require.NoError(x.t, err)
		p.keys[name] = secret
		switch name {
		case "revoked":
			_, err = x.Store.RevokeKey(x.t.Context(), k.ID.String())
			require.NoError(x.t, err)
		case "expired":
			x.Exec("UPDATE api_keys SET expires_at = ? WHERE id = ?", past, k.ID)
		}
	}
	return p
}

// now is the domain time, about.
func (p *pool) now() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.at
}

// pass lets domain time pass.
func (p *pool) pass(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at = p.at.Add(d)
	p.x.SetTime(p.at)
}

// most is how many of a kind are remembered.
const most = 60

// keep remembers the newest of a kind; the caller holds the lock.
func (p *pool) keep(kind, value string) {
	if value == "" || slices.Contains(p.kept[kind], value) {
		return
	}
	p.kept[kind] = append(p.kept[kind], value)
	if n := len(p.kept[kind]); n > most {
		p.kept[kind] = p.kept[kind][n-most:]
	}
}

func (p *pool) put(kind, value string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keep(kind, value)
}

func (p *pool) pick(m *maker, kind string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return one(m, p.kept[kind])
}

// event is what a feedback came with, said otherwise; nil: not known.
func (p *pool) event(m *maker, feedback string) object {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := maps.Clone(p.sent[feedback])
	if e != nil {
		e["text"] = fmt.Sprint(marker, m.IntN(100))
	}
	return e
}

// fitting picks an action in a status from which the move is made.
func (p *pool) fitting(m *maker, op string) string {
	status := map[string]string{
		"start-action": "open", "submit-action": "in_progress", "approve-action": "pending_approval", "reject-action": "pending_approval", "close-action": "approved",
		"reopen-action": "closed", "resume-action": "held",
	}[op]
	if id := p.pick(m, "id "+status); id != "" {
		return id
	}
	return p.pick(m, "id")
}

// stand remembers where an action stands; the caller holds the lock.
func (p *pool) stand(id, status string, held bool) {
	if status == "" {
		return
	}
	if held {
		status = "held"
	}
	for kind, ids := range p.kept {
		if strings.HasPrefix(kind, "id ") {
			p.kept[kind] = slices.DeleteFunc(ids, func(i string) bool { return i == id })
		}
	}
	p.keep("id "+status, id)
}

// learn remembers what an answer told of.
func (p *pool) learn(r request, got reply) {
	if r.op == nil || got.status >= http.StatusBadRequest || got.status == 0 {
		return
	}
	var body map[string]any
	_ = json.Unmarshal(got.body, &body) // else it tells of nothing
	text := func(name string) string { s, _ := body[name].(string); return s }
	p.mu.Lock()
	defer p.mu.Unlock()
	switch r.op.id {
	case "make-action":
		p.keep("id", text("id"))
		p.keep("feedback", text("feedback_id"))
	case "post-feedback":
		p.keep("feedback", text("id"))
		p.keep("event", text("event_id"))
		var event object
		if json.Unmarshal(r.body, &event) == nil && text("id") != "" {
			p.sent[text("id")] = event
			p.keep("revisable", text("id"))
		}
	case "find-feedback", "get-feedback":
		p.keep("id", text("action_id"))
	case "list-actions":
		p.keep("cursor", text("next"))
	case "attach-file":
		p.keep("file", got.header.Get("Location"))
		p.keep("attachment", text("id"))
	case "get-file":
		p.keep("file-etag", got.header.Get("ETag"))
	default:
		p.stand(text("id"), text("status"), body["held_at"] != nil)
		if _, moved := body["version"]; moved && strings.HasSuffix(r.op.id, "-action") {
			p.keep("etag", got.header.Get("ETag"))
		}
	}
}
