package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/tasks"
)

// writer collects the rows of many outcomes and writes them table by table, so
// that a batch costs a handful of statements.
type writer struct {
	st    txState
	grace time.Duration

	created  []model.Action
	updated  []model.Action
	events   []model.DeadlineEvent
	logs     []model.ActionLog
	texts    []model.LogText
	messages []model.Message
	files    []model.ActionAttachment

	err error // of what cannot be written
}

// add takes one outcome. before is the gen that the row had; 0 for a new one.
func (w *writer) add(o sla.Outcome, before int64) {
	a := o.Action
	if a.Gen != before {
		a.ArmAfter, a.HealAfter = w.st.Now.Machine.Add(w.grace), nil
	}
	first := len(w.events)
	for _, e := range o.Events {
		e.ID, e.ActionID = model.NewID[model.DeadlineEvent](), a.ID
		w.events = append(w.events, e)
	}
	if len(a.LogHash) == 0 {
		a.LogHash = model.ChainStart(a.ID, a.LogSeq-len(o.Logs))
	}
	for _, l := range o.Logs {
		a.LogHash = w.addLog(l, a.ID, a.LogHash)
	}
	w.files = append(w.files, o.Files...)
	if before == 0 {
		w.created = append(w.created, a)
	} else {
		w.updated = append(w.updated, a)
	}
	for _, t := range o.Messages {
		m := t.Message
		m.ID, m.ActionID = model.NewID[model.Message](), a.ID
		m.Key = "px_" + m.ID.Hex()
		m.CreatedAt = a.UpdatedAt
		if t.EventOf >= 0 {
			m.EventID = w.events[first+t.EventOf].ID.Ptr()
		}
		if m.State == model.MessagePending {
			try := w.st.Now.Clock.Real(m.NotBefore)
			m.NextTryAt = &try
		}
		w.messages = append(w.messages, m)
	}
}

// addLog gives a log row its id and its hash, chained to that of the row before,
// and its words a place of their own.
func (w *writer) addLog(l model.ActionLog, id model.ActionID, before []byte) []byte {
	l.ID, l.ActionID = model.NewID[model.ActionLog](), id
	if l.Metadata.V == nil {
		l.Metadata.V = model.LogMetadata{}
	}
	if l.Text != "" {
		words, salt := l.Text, rand.Text()
		sum := sha256.Sum256([]byte(salt + words))
		l.TextHash = sum[:]
		w.texts = append(w.texts, model.LogText{LogID: l.ID, Words: &words, Salt: []byte(salt)})
	}
	hash, err := model.LogHash(before, &l)
	if err != nil {
		w.err = err
	}
	l.Hash = hash
	w.logs = append(w.logs, l)
	return hash
}

// write flushes everything. A version miss is ErrConflict: the caller decides
// again with a new reading of the clock.
func (w *writer) write(ctx context.Context, tx bun.Tx) error {
	if w.err != nil {
		return w.err
	}
	if err := insert(ctx, tx, "actions", w.created); err != nil {
		return err
	}
	if err := w.update(ctx, tx); err != nil {
		return err
	}
	if err := insert(ctx, tx, "deadline events", w.events); err != nil {
		return err
	}
	if err := insert(ctx, tx, "logs", w.logs); err != nil {
		return err
	}
	if err := insert(ctx, tx, "log texts", w.texts); err != nil {
		return err
	}
	if err := insert(ctx, tx, "attachments", w.files); err != nil {
		return err
	}
	return insert(ctx, tx, "messages", w.messages)
}

func insert[T any](ctx context.Context, tx bun.Tx, what string, rows []T) error {
	if len(rows) == 0 {
		return nil
	}
	// bun would ask for columns that are nil in some row, and write the answers to
	// what the pointers of the others point to.
	if _, err := tx.NewInsert().Model(&rows).Returning("NULL").Exec(ctx); err != nil {
		return fmt.Errorf("write %s: %w", what, err)
	}
	return nil
}

// notByOutcome are the columns that an update of an action leaves alone: those
// that never change, and armed_gen, which is the queue's.
var notByOutcome = []string{"id", "ref", "created_at", "armed_gen"}

func (w *writer) update(ctx context.Context, tx bun.Tx) error {
	if len(w.updated) == 0 {
		return nil
	}
	q := tx.NewUpdate().With("_data", tx.NewValues(&w.updated)).Model((*model.Action)(nil)).TableExpr("_data").
		Where("a.id = _data.id").Where("a.version = _data.version - 1")
	for _, f := range tx.Dialect().Tables().Get(reflect.TypeFor[*model.Action]()).Fields {
		if !slices.Contains(notByOutcome, f.Name) {
			q = q.Set("? = _data.?", bun.Ident(f.Name), bun.Ident(f.Name))
		}
	}
	res, err := q.Exec(ctx)
	if err != nil {
		return fmt.Errorf("write actions: %w", err)
	}
	if n, err := res.RowsAffected(); err != nil || int(n) != len(w.updated) {
		return fmt.Errorf("%w: %d of %d actions had the version that was read", model.ErrConflict, n, len(w.updated))
	}
	return nil
}

// effects is what the queue has yet to hear of what was written.
func (w *writer) effects() tasks.Effects {
	var e tasks.Effects
	for _, as := range [][]model.Action{w.created, w.updated} {
		for i := range as {
			e.Add(armOf(&as[i], w.st.Now.Clock))
		}
	}
	for i := range w.messages {
		e.Add(sendOf(&w.messages[i], w.st.Now))
	}
	return e
}

// armOf is the effect of an action's row: its next job, unless the queue has
// heard of it.
func armOf(a *model.Action, c model.Clock) tasks.Effects {
	if a.NextAt == nil || a.ArmedGen >= a.Gen {
		return tasks.Effects{}
	}
	return tasks.Effects{Arm: []tasks.Arm{{ActionID: a.ID, Gen: a.Gen, Kind: a.NextKind, Stage: deref(a.NextStage), At: c.Real(*a.NextAt)}}}
}

// sendOf is the effect of a message's row. One whose time has come goes at once:
// a given instant is rounded up to the whole second.
func sendOf(m *model.Message, now model.Now) tasks.Effects {
	if m.State != model.MessagePending || m.NextTryAt == nil {
		return tasks.Effects{}
	}
	s := tasks.Send{MessageID: m.ID, Attempt: m.Attempts}
	if m.NextTryAt.After(now.Machine) {
		s.At = *m.NextTryAt
	}
	return tasks.Effects{Send: []tasks.Send{s}}
}

func deref[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
