package scenario

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

// ErrRefused is what a queue refuses with in tests.
var ErrRefused = errors.New("the queue refuses")

// Exec runs SQL that no use case would: what a test breaks, ages or mends.
func (w *World) Exec(query string, args ...any) {
	w.TB.Helper()
	_, err := w.Store.DB().NewRaw(query, args...).Exec(w.TB.Context())
	w.ok(err)
}

// Count is the one number that a query asks for.
func (w *World) Count(query string, args ...any) int {
	w.TB.Helper()
	var n int
	w.ok(w.Store.DB().NewRaw(query, args...).Scan(w.TB.Context(), &n))
	return n
}

// Create makes the actions of feedback, in one batch and in the order of the
// rows, without telling a queue.
func (w *World) Create(rows ...model.Feedback) []model.Action {
	w.TB.Helper()
	ids := w.Insert(rows...)
	created, _, err := w.Store.Create(w.TB.Context(), ids)
	w.ok(err)
	actions := make([]model.Action, len(ids))
	for _, c := range created {
		if c.Err != nil || c.ActionID == nil {
			w.TB.Fatalf("create = %+v, want an action", c)
		}
		actions[slices.Index(ids, c.FeedbackID)] = w.Action(*c.ActionID)
	}
	return actions
}

// Complaints is n complaints of one severity.
func (w *World) Complaints(n int, severity model.Severity) []model.Feedback {
	w.TB.Helper()
	rows := make([]model.Feedback, n)
	for i := range rows {
		rows[i] = w.Complaint(severity)
	}
	return rows
}

// Feedback reads a feedback's row.
func (w *World) Feedback(id model.FeedbackID) model.Feedback {
	w.TB.Helper()
	f, err := w.Store.Feedback(w.TB.Context(), id)
	w.ok(err)
	return *f
}

// Messages reads an action's messages in the order of their making.
func (w *World) Messages(id model.ActionID) []model.Message {
	w.TB.Helper()
	var ms []model.Message
	w.ok(w.Store.DB().NewSelect().Model(&ms).Where("action_id = ?", id).OrderExpr("action_version, recipient_id, channel").Scan(w.TB.Context()))
	return ms
}

// Job is the armed job of an action as it now stands.
func (w *World) Job(id model.ActionID) store.DeadlineRef {
	w.TB.Helper()
	return store.DeadlineRef{ActionID: id, Gen: w.Action(id).Gen}
}

// FireNext steps the clock to each of the next n events of an action and takes it.
func (w *World) FireNext(id model.ActionID, n int) {
	w.TB.Helper()
	for range n {
		a := w.Action(id)
		if a.NextAt == nil {
			w.TB.Fatalf("action %s has no next event", a.Ref)
		}
		w.SetTime(*a.NextAt)
		rs, _, err := w.Store.Fire(w.TB.Context(), []store.DeadlineRef{w.Job(id)})
		w.ok(err)
		if rs[0].Outcome != store.Fired {
			w.TB.Fatalf("fire = %+v, want fired", rs[0])
		}
	}
}

// Move makes a move that must be allowed.
func (w *World) Move(id model.ActionID, m sla.MoveRequest) model.Action {
	w.TB.Helper()
	rs, _, err := w.Store.Move(w.TB.Context(), []store.Move{{ActionID: id, Request: m}})
	w.ok(err)
	w.ok(rs[0].Err)
	return rs[0].Action
}

// Metric is the value of a counter, or how often a histogram observed, summed
// over what has these label values (all of them: none given).
func (w *World) Metric(name string, labels ...string) float64 {
	w.TB.Helper()
	families, err := w.Metrics.Registry.Gather()
	w.ok(err)
	var sum float64
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			has := map[string]bool{}
			for _, l := range m.GetLabel() {
				has[l.GetValue()] = true
			}
			if !slices.ContainsFunc(labels, func(l string) bool { return !has[l] }) {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return sum
}

// Twin is the same world as another process sees it: a store, queue and engine
// of its own on the same database.
func (w *World) Twin() *World {
	w.TB.Helper()
	t := *w
	t.Queue = &Queue{}
	var err error
	t.Store, err = store.Open(w.URL, store.Options{PoolSize: 8})
	w.ok(err)
	w.TB.Cleanup(func() { _ = t.Store.Close() })
	t.Engine = t.NewEngine(t.Queue, w.Engine.Notify)
	return &t
}

// Lock holds a table until the returned function is called, so that a
// transaction stops where it comes to it.
func (w *World) Lock(table string) (release func()) {
	w.TB.Helper()
	tx, err := w.Store.DB().Begin()
	w.ok(err)
	_, err = tx.Exec("LOCK TABLE " + table + " IN ACCESS EXCLUSIVE MODE")
	w.ok(err)
	w.TB.Cleanup(func() { _ = tx.Rollback() })
	return func() {
		w.TB.Helper()
		w.ok(tx.Rollback())
	}
}

// Blocked waits until a session of this database waits for a lock and returns
// its process id.
func (w *World) Blocked() int {
	w.TB.Helper()
	ctx, cancel := context.WithTimeout(w.TB.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		var pids []int
		err := w.Store.DB().NewRaw(`SELECT pid FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(ctx, &pids)
		if ctx.Err() == nil {
			w.ok(err)
		}
		if len(pids) > 0 {
			return pids[0]
		}
		select {
		case <-ctx.Done():
			w.TB.Fatal("nobody waits for a lock")
		case <-tick.C:
		}
	}
}
