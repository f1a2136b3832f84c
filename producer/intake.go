package producer

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/internal/problem"
	"github.com/pxactions/px/model"
)

// Item is the answer to one event.
type Item struct {
	Index      int        `json:"index" doc:"Place in the request, from 0."`
	Line       int        `json:"line,omitempty" doc:"Of NDJSON: its line, from 1."`
	EventID    string     `json:"event_id,omitempty" doc:"As far as it could be read; sha256: and a hash for a quarantined event without one."`
	ID         string     `json:"id,omitempty" format:"uuid" doc:"The feedback's id."`
	Status     string     `json:"status" enum:"accepted,duplicate,quarantined,error"`
	Code       int        `json:"code" doc:"As an HTTP status: 202, 400, 403, 409, 413, 422, 500 or 503."`
	Decision   string     `json:"decision,omitempty" enum:"created,merged,ignored,quarantined" doc:"Absent: not decided yet."`
	Reason     string     `json:"reason,omitempty" doc:"Why it was decided so, as a code."`
	ActionID   string     `json:"action_id,omitempty" format:"uuid"`
	ReceivedAt *time.Time `json:"received_at,omitempty" doc:"When the SLA clock starts."`
	AcceptedAt *time.Time `json:"accepted_at,omitempty" doc:"When it was first committed."`
	Problem    *Problem   `json:"problem,omitempty"`
}

// Batch is the answer to several events.
type Batch struct {
	Accepted    int    `json:"accepted"`
	Duplicates  int    `json:"duplicates"`
	Quarantined int    `json:"quarantined"`
	Failed      int    `json:"failed"`
	Items       []Item `json:"items" doc:"One per event, in the order sent." nullable:"false"`
}

// post answers POST /v1/feedback.
func (p *Producer) post(w http.ResponseWriter, r *http.Request, key *model.APIKey) {
	b, refused := p.readBody(w, r)
	if refused != nil {
		problem.Write(w, refused)
		return
	}
	defer p.load.bytes.free(b.held)
	receipts, err := p.Engine.AcceptRaw(r.Context(), source(w, key), b.events)
	if p.gone(err) {
		return // nobody is there to be answered
	}
	if err != nil && !slices.ContainsFunc(receipts, func(rc engine.Receipt) bool { return rc.Status != engine.ReceiptRefused }) {
		p.logFault(err)
		problem.Write(w, problemOf(err))
		return
	}
	items := p.items(b, receipts)
	if !b.single {
		writeBatch(w, items)
		return
	}
	if items[0].Problem != nil {
		problem.Write(w, items[0].Problem)
		return
	}
	problem.JSON(w, http.StatusAccepted, items[0])
}

// allow returns the key of a request that may do what scope says, within the key's
// rate; else the request is answered.
func (p *Producer) allow(w http.ResponseWriter, r *http.Request, scope string) (*model.APIKey, bool) {
	key, err := p.keys.Allow(r.Context(), problem.SecretOf(r), scope, p.Engine.AcceptTimeout)
	if err != nil {
		p.logFault(err)
		problem.Write(w, problemOf(err))
		return nil, false
	}
	if refused := p.Limit.Admit(w.Header(), key.ID); refused != nil {
		p.Engine.Metrics.Shed.WithLabelValues("rate").Inc()
		problem.Write(w, refused)
		return nil, false
	}
	return key, true
}

// source is what a key lets its sender do, and what it comes with: the key, and the
// request's id.
func source(w http.ResponseWriter, k *model.APIKey) engine.Source {
	return engine.Source{
		System: k.SourceSystem, Hospitals: k.Hospitals.V, Quarantine: k.OnUnmapped == model.UnmappedQuarantine,
		Origin: model.Origin{Key: &k.ID, Request: w.Header().Get(problem.RequestHeader)},
	}
}

func (p *Producer) gone(err error) bool { return errors.Is(err, context.Canceled) }

// logFault tells of what is our own fault, once per request.
func (p *Producer) logFault(err error) {
	if problemOf(err).Status == http.StatusInternalServerError {
		p.Log.Error().Err(err).Msg("feedback not accepted")
		return
	}
	if errors.Is(err, model.ErrUnavailable) {
		p.Log.Warn().Err(err).Msg("feedback not accepted: the database is away")
	}
}

// writeBatch answers 202 where anything was taken, else what was wrong first.
func writeBatch(w http.ResponseWriter, items []Item) {
	answer := Batch{Items: items}
	status := 0
	for _, it := range items {
		switch engine.ReceiptStatus(it.Status) {
		case engine.ReceiptAccepted:
			answer.Accepted++
		case engine.ReceiptDuplicate:
			answer.Duplicates++
		case engine.ReceiptQuarantined:
			answer.Quarantined++
		default:
			answer.Failed++
		}
		if status == 0 || (it.Problem == nil && status != http.StatusAccepted) {
			status = it.Code
		}
	}
	problem.JSON(w, status, answer)
}

func (p *Producer) items(b *body, receipts []engine.Receipt) []Item {
	items := make([]Item, len(receipts))
	logged := false
	for i := range receipts {
		rc := &receipts[i]
		it := Item{Index: i, EventID: rc.EventID, Status: string(rc.Status), Code: http.StatusAccepted, Decision: string(rc.Decision), Reason: rc.Reason}
		if b.lines != nil {
			it.Line = b.lines[i]
		}
		if !rc.ID.IsZero() {
			it.ID = rc.ID.String()
		}
		if rc.ActionID != nil {
			it.ActionID = rc.ActionID.String()
		}
		if !rc.ReceivedAt.IsZero() {
			received, accepted := rc.ReceivedAt.UTC(), rc.AcceptedAt.UTC()
			it.ReceivedAt, it.AcceptedAt = &received, &accepted
		}
		if rc.Err != nil {
			it.Problem = problemOf(rc.Err)
			it.Problem.EventID, it.Problem.ID, it.Code = it.EventID, it.ID, it.Problem.Status
			if it.Code >= http.StatusInternalServerError && !logged {
				logged = true
				p.logFault(rc.Err)
			}
		}
		items[i] = it
	}
	return items
}

// Feedback is what became of one feedback.
type Feedback struct {
	ID           string     `json:"id" format:"uuid"`
	EventID      string     `json:"event_id"`
	SourceSystem string     `json:"source_system"`
	Status       string     `json:"status" enum:"pending,decided,quarantined"`
	Decision     string     `json:"decision,omitempty" enum:"created,merged,ignored,quarantined" doc:"Absent while pending."`
	Reason       string     `json:"reason,omitempty" doc:"Why it was decided so, as a code."`
	ActionID     string     `json:"action_id,omitempty" format:"uuid"`
	Mode         string     `json:"mode" enum:"live,history,shadow"`
	ReceivedAt   time.Time  `json:"received_at"`
	AcceptedAt   time.Time  `json:"accepted_at"`
	DecidedAt    *time.Time `json:"decided_at,omitempty"`
	Revision     int        `json:"revision,omitempty" doc:"How often it was revised; absent: never."`
	RetractedAt  *time.Time `json:"retracted_at,omitempty" doc:"Absent: it stands."`
}

// get answers GET /v1/feedback/{id} and GET /v1/feedback?event_id=. What a key
// may not see is not there.
func (p *Producer) get(w http.ResponseWriter, r *http.Request, key *model.APIKey) {
	ctx, cancel := context.WithTimeout(r.Context(), p.Engine.AcceptTimeout)
	defer cancel()
	r = r.WithContext(ctx)
	row, err := p.find(r, key)
	if p.gone(err) {
		return
	}
	if err == nil && (row.SourceSystem != key.SourceSystem || !sees(key, row)) {
		err = model.ErrNotFound
	}
	if err != nil {
		p.logFault(err)
		problem.Write(w, problemOf(err))
		return
	}
	problem.JSON(w, http.StatusOK, answer(row))
}

func (p *Producer) find(r *http.Request, key *model.APIKey) (*model.Feedback, error) {
	if raw := r.PathValue("id"); raw != "" {
		id, err := model.ParseID[model.Feedback](raw)
		if err != nil {
			return nil, model.ErrNotFound
		}
		return p.Engine.Store.Feedback(r.Context(), id)
	}
	eventID := r.URL.Query().Get("event_id")
	if eventID == "" {
		return nil, model.FieldErrors{{Field: "event_id", Code: "required", Want: "the event's id, as ?event_id="}}
	}
	return p.Engine.Store.FeedbackByEvent(r.Context(), key.SourceSystem, eventID)
}

// sees reports whether a key's hospitals allow a row. One whose hospital could
// not be mapped is seen by every key of its source system.
func sees(key *model.APIKey, row *model.Feedback) bool {
	return len(key.Hospitals.V) == 0 || row.HospitalID == nil || slices.Contains(key.Hospitals.V, *row.HospitalID)
}

func answer(row *model.Feedback) Feedback {
	f := Feedback{
		ID: row.ID.String(), EventID: row.EventID, SourceSystem: row.SourceSystem, Status: "decided", Decision: string(row.Decision),
		Reason: row.Reason, Mode: string(row.Mode), ReceivedAt: row.ReceivedAt.UTC(), AcceptedAt: row.CreatedAt.UTC(),
		Revision: row.Revision,
	}
	switch row.Decision {
	case "":
		f.Status = "pending"
	case model.DecisionQuarantined:
		f.Status = "quarantined"
	}
	if row.ActionID != nil {
		f.ActionID = row.ActionID.String()
	}
	if row.DecidedAt != nil {
		at := row.DecidedAt.UTC()
		f.DecidedAt = &at
	}
	if row.RetractedAt != nil {
		at := row.RetractedAt.UTC()
		f.RetractedAt = &at
	}
	return f
}
