package engine

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/store"
)

const (
	// acceptChunk is how many events share one transaction.
	acceptChunk = 500
	// acceptAtOnce is how many events are read, checked and committed at the same
	// time, which takes several times the memory of their bytes. The others wait
	// in line, as they came.
	acceptAtOnce = 4 * acceptChunk
	// MaxEventBytes bounds one event: several times what all fields at their
	// longest come to.
	MaxEventBytes = 1 << 20
	// handTimeout bounds how long an answer waits for the queue after the
	// commit; what it has not heard by then a sweep does.
	handTimeout = 2 * time.Second
)

// ErrTooLarge is an event of more than MaxEventBytes.
var ErrTooLarge = errors.New("event too large")

// Source is who sends events and what they may do.
type Source struct {
	System     string             // the source system: events are unique in it, aliases are per it
	Hospitals  []model.HospitalID // the only ones it may write to; empty: all
	Person     *model.UserID      // who makes what is sent by hand; nil: nobody
	Origin     model.Origin       // where it comes from, for the action's log
	Quarantine bool               // keep what cannot be read or mapped instead of refusing it; an Event that is not UTF-8 has no JSON that says it, and is refused
}

// ReceiptStatus is what became of one event.
type ReceiptStatus string

// Accepted: committed by this call. Duplicate: committed before with the same
// content; the receipt is the first answer. Quarantined: kept until it can be
// read and mapped. Refused: nothing was written; see Receipt.Err.
const (
	ReceiptAccepted    ReceiptStatus = "accepted"
	ReceiptDuplicate   ReceiptStatus = "duplicate"
	ReceiptQuarantined ReceiptStatus = "quarantined"
	ReceiptRefused     ReceiptStatus = "error"
)

// Receipt is the answer to one event. It holds no patient's words.
type Receipt struct {
	Status     ReceiptStatus
	EventID    string           // as far as it could be read
	ID         model.FeedbackID // zero when refused
	Decision   model.Decision   // empty: not decided yet
	Reason     string
	ActionID   *model.ActionID
	ReceivedAt time.Time // when the clock starts
	AcceptedAt time.Time // when it was first committed
	Err        error     // of a refused one: *UnreadableError, model.FieldErrors, ErrTooLarge, or model's ErrEventChanged, ErrForbidden, ErrUnavailable
}

// draft is an event on its way in.
type draft struct {
	event  Event
	raw    []byte
	lossy  bool // raw does not say the event as it is
	check  *checker
	err    error // refused whatever else: unreadable, too large, forbidden
	hash   []byte
	row    model.Feedback
	answer *Receipt
}

// Accept takes events of a program in this process: the same checks, answers
// and promises as AcceptRaw.
func (e *Engine) Accept(ctx context.Context, src Source, events []Event) ([]Receipt, error) {
	return e.accept(ctx, src, len(events), func(i int) *draft {
		raw, err := json.Marshal(&events[i])
		d := &draft{event: events[i], raw: raw, lossy: err != nil || replaced(raw), check: newChecker(nil)}
		if err != nil || events[i].Metadata == nil {
			if err != nil {
				d.check.add("metadata", "type", "an object that can be written as JSON")
				d.event.Metadata = nil
			}
			return d
		}
		// Metadata in the one form that the wire has, whatever Go types it is of.
		b, err := json.Marshal(events[i].Metadata)
		dec := json.NewDecoder(bytes.NewReader(b))
		dec.UseNumber()
		d.event.Metadata = nil
		if err != nil || dec.Decode(&d.event.Metadata) != nil {
			d.check.add("metadata", "type", "an object that can be written as JSON")
		}
		if replaced(b) {
			d.check.add("metadata", "encoding", wantText)
		}
		return d
	})
}

// AcceptRaw takes events as JSON, one object each: validate, commit, enqueue.
// There is one receipt per event, in order. Once it is returned, every event
// not refused is committed; a queue that is away loses nothing. One that waits
// longer than AcceptTimeout may be committed all the same. The error is the
// fault that kept some from being looked at (model.ErrUnavailable): their
// receipts carry it too.
func (e *Engine) AcceptRaw(ctx context.Context, src Source, raws [][]byte) ([]Receipt, error) {
	return e.accept(ctx, src, len(raws), func(i int) *draft {
		d := &draft{raw: raws[i], check: newChecker(nil)}
		if len(raws[i]) > MaxEventBytes {
			d.err = ErrTooLarge
			return d
		}
		var faults model.FieldErrors
		d.event, faults, d.err = ParseEvent(raws[i])
		d.check = newChecker(faults)
		return d
	})
}

func (e *Engine) accept(ctx context.Context, src Source, n int, at func(int) *draft) ([]Receipt, error) {
	receipts := make([]Receipt, n)
	if n == 0 {
		return receipts, nil
	}
	if src.System == "" || src.System == "*" {
		return nil, fmt.Errorf("accept feedback: a source must name its system")
	}
	var err error
	for from := 0; from < n; from += acceptChunk {
		chunk := receipts[from:min(from+acceptChunk, n)]
		if err == nil {
			err = e.acceptInTime(ctx, src, chunk, func(i int) *draft { return at(from + i) })
		}
		if err != nil {
			for i := range chunk {
				if chunk[i].Status == "" {
					chunk[i].Status, chunk[i].Err = ReceiptRefused, err
				}
			}
		}
	}
	for i := range receipts {
		e.Metrics.Intake.WithLabelValues(string(receipts[i].Status)).Inc()
	}
	return receipts, err
}

// acceptInTime is acceptChunk for a sender who does not wait for ever, neither in
// line nor for the database: what is committed after all, it learns when it sends
// again.
func (e *Engine) acceptInTime(ctx context.Context, src Source, chunk []Receipt, at func(int) *draft) error {
	bounded, cancel := context.WithTimeout(ctx, e.AcceptTimeout)
	defer cancel()
	// The line has half of the time: who has come to their turn is not to be
	// given up in the middle of the commit.
	line, leave := context.WithTimeout(bounded, e.AcceptTimeout/2)
	defer leave()
	n := int64(len(chunk))
	err := e.accepting.Acquire(line, n)
	if err == nil {
		defer e.accepting.Release(n)
		ds := make([]*draft, n)
		for i := range chunk {
			ds[i] = at(i)
			ds[i].answer = &chunk[i]
		}
		err = e.acceptChunk(bounded, src, ds)
	}
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		err = fmt.Errorf("%w: no answer within %s", model.ErrUnavailable, e.AcceptTimeout)
	}
	return err
}

func (e *Engine) acceptChunk(ctx context.Context, src Source, ds []*draft) error {
	now, rules, err := e.Store.Present(ctx)
	if err != nil {
		return fmt.Errorf("accept feedback: %w", err)
	}
	m := mapper{src: src, dir: rules.Directory(), now: now.Domain, maxAge: rules.MaxAge, subjectKey: e.SubjectKey}
	var good, bad []*draft
	for _, d := range ds {
		m.prepare(d)
		switch {
		case d.err == nil && len(d.check.faults) == 0:
			good = append(good, d)
		case src.Quarantine && !d.lossy && !errors.Is(d.err, model.ErrForbidden) && !errors.Is(d.err, ErrTooLarge):
			d.quarantine(src)
			good = append(good, d)
		default:
			bad = append(bad, d)
		}
	}
	if err := e.refuse(ctx, src, bad); err != nil {
		return err
	}
	return e.commit(ctx, good)
}

// prepare checks, hashes and maps one draft.
func (m mapper) prepare(d *draft) {
	if d.err != nil {
		d.hash = rawHash(d.raw)
		return
	}
	d.event.normalise()
	d.answer.EventID = d.event.EventID
	d.event.check(d.check)
	// The hash must not hang on directory or clock: what was mapped once is
	// the same event when the alias is gone.
	d.hash = rawHash(d.raw)
	if len(d.check.faults) == 0 {
		if h, err := d.event.contentHash(); err == nil {
			d.hash = h
		}
	}
	d.row, d.err = m.row(&d.event, d.check)
	d.row.ContentHash = d.hash
}

// mark notes in a row who sends it, for the log of the action that it becomes.
func (s Source) mark(f *model.Feedback) {
	f.SentBy, f.SentKey, f.RequestID = s.Person, s.Origin.Key, s.Origin.Request
}

// quarantine makes the row that keeps what cannot be read or mapped.
func (d *draft) quarantine(src Source) {
	raw := keepRaw(d.raw)
	f := model.Feedback{
		SourceSystem: src.System, EventID: d.event.EventID, ContentHash: d.hash, HospitalID: d.row.HospitalID,
		ReceivedAt: d.row.ReceivedAt, Mode: model.ModeLive, Raw: &raw, Decision: model.DecisionQuarantined, Reason: d.reason(),
		Involved: model.Of([]model.UserID{}), Metadata: model.Of(json.RawMessage("{}")),
	}
	src.mark(&f)
	if slices.Contains(model.SourceTypes(), d.event.SourceType) {
		f.SourceType = d.event.SourceType
	}
	if f.EventID == "" || d.check.known["event_id"] {
		f.EventID = rawMark + hex.EncodeToString(d.hash)
	}
	d.answer.EventID = f.EventID
	d.row = f
}

// reason says in a code what kept an event out: unreadable, unmapped:<fields>
// or invalid:<fields>.
func (d *draft) reason() string {
	const most = 500
	if d.err != nil {
		return "unreadable"
	}
	code := "unmapped:"
	var fields []string
	for _, f := range d.check.sorted() {
		if f.Code != "unmapped" && f.Code != "inactive" {
			code = "invalid:"
		}
		fields = append(fields, f.Field)
	}
	s := code + strings.Join(fields, ",")
	return s[:min(len(s), most)]
}

// refuse answers what is not to be stored: the first answer where the very same
// event was accepted before (an alias may have gone since, or a week passed),
// else its faults.
func (e *Engine) refuse(ctx context.Context, src Source, ds []*draft) error {
	var ids []string
	for _, d := range ds {
		if d.err == nil && d.event.EventID != "" && !d.check.known["event_id"] {
			ids = append(ids, d.event.EventID)
		}
	}
	known, err := e.Store.FeedbackByEvents(ctx, src.System, ids)
	if err != nil {
		return fmt.Errorf("accept feedback: %w", err)
	}
	for _, d := range ds {
		row, ok := known[d.event.EventID]
		if ok && d.err == nil && !d.check.known["event_id"] && row.Repeats(d.hash) {
			*d.answer = receipt(&row, ReceiptDuplicate)
			continue
		}
		d.answer.Status, d.answer.Err = ReceiptRefused, d.err
		if d.err == nil {
			d.answer.Err = d.check.sorted()
		}
	}
	return nil
}

// commit writes the rows, tells the queue and answers.
func (e *Engine) commit(ctx context.Context, ds []*draft) error {
	if len(ds) == 0 {
		return nil
	}
	rows := make([]model.Feedback, len(ds))
	for i, d := range ds {
		if d.row.ID.IsZero() {
			d.row.ID = model.NewID[model.Feedback]()
		}
		rows[i] = d.row
	}
	answers, err := e.acceptGroup.do(ctx, rows...)
	if err != nil {
		return fmt.Errorf("accept feedback: %w", err)
	}
	for _, d := range ds {
		a := answers[d.row.ID]
		switch {
		case a.Err != nil:
			id := a.Row.ID
			*d.answer = Receipt{Status: ReceiptRefused, EventID: d.answer.EventID, ID: id, Err: a.Err}
		case !a.New:
			*d.answer = receipt(&a.Row, ReceiptDuplicate)
		case a.Row.Decision == model.DecisionQuarantined:
			*d.answer = receipt(&a.Row, ReceiptQuarantined)
		default:
			*d.answer = receipt(&a.Row, ReceiptAccepted)
		}
	}
	return nil
}

// acceptBatch commits the rows of several callers at once and answers by the
// ids that the rows came with.
func (e *Engine) acceptBatch(ctx context.Context, rows []model.Feedback) (map[model.FeedbackID]*store.Accepted, error) {
	ids := make([]model.FeedbackID, len(rows))
	for i := range rows {
		ids[i] = rows[i].ID
	}
	answers, effects, err := e.Store.AcceptFeedback(ctx, rows)
	if err != nil {
		return nil, err
	}
	hctx, cancel := context.WithTimeout(ctx, handTimeout)
	defer cancel()
	e.hand(hctx, effects)
	byID := make(map[model.FeedbackID]*store.Accepted, len(rows))
	for i, id := range ids {
		byID[id] = &answers[i]
	}
	return byID, nil
}

func receipt(f *model.Feedback, s ReceiptStatus) Receipt {
	return Receipt{
		Status: s, EventID: f.EventID, ID: f.ID, Decision: f.Decision, Reason: f.Reason, ActionID: f.ActionID,
		ReceivedAt: f.ReceivedAt, AcceptedAt: f.CreatedAt,
	}
}
