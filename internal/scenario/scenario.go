// Package scenario is the harness of tests that tell a story: a real database
// with the sample hospitals, an engine, and a domain clock that the test steps.
package scenario

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/internal/files"
	"github.com/pxactions/px/internal/metrics"
	"github.com/pxactions/px/internal/receiver"
	"github.com/pxactions/px/internal/testenv"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/notify"
	"github.com/pxactions/px/samples"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
	"github.com/pxactions/px/tasks"
)

// Start is the domain time at which a world begins, a Monday.
func Start() time.Time { return time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC) }

// NoAck is a policy in which nobody is asked to acknowledge: the built-in one
// otherwise.
func NoAck() []byte {
	return []byte("sla: [{name: no acknowledgement, ack_targets: {critical: none, high: none, medium: none, low: none}}]")
}

// World is one test's database and engine.
type World struct {
	TB      testing.TB
	URL     string
	Store   *store.Store
	Engine  *engine.Engine
	Queue   *Queue
	Metrics *metrics.Metrics
	Dir     *sla.Directory
	Files   *files.Bucket // in FilesDir
	// FilesDir is a folder that goes with the test.
	FilesDir string
}

// Queue remembers effects instead of enqueueing them, or refuses them.
type Queue struct {
	mu      sync.Mutex
	Effects tasks.Effects
	Err     error // non-nil: refuse
}

// Enqueue implements engine.Queue.
func (q *Queue) Enqueue(_ context.Context, e tasks.Effects) ([]tasks.Arm, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.Err != nil {
		return nil, q.Err
	}
	q.Effects.Add(e)
	return e.Arm, nil
}

// Take returns what was enqueued since the last Take.
func (q *Queue) Take() tasks.Effects {
	q.mu.Lock()
	defer q.mu.Unlock()
	e := q.Effects
	q.Effects = tasks.Effects{}
	return e
}

// Refuse makes the queue refuse with err; nil makes it take again.
func (q *Queue) Refuse(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.Err = err
}

// New makes a world with the sample directory and, unless it is empty, a
// policy document.
func New(tb testing.TB, policy []byte) *World {
	tb.Helper()
	return On(tb, testenv.DatabaseURL(tb), policy)
}

// On is New on a database of the test's.
func On(tb testing.TB, databaseURL string, policy []byte) *World {
	tb.Helper()
	w := &World{TB: tb, URL: databaseURL, Queue: &Queue{}, Metrics: metrics.New()}
	var err error
	w.Store, err = store.Open(w.URL, store.Options{PoolSize: 8})
	w.ok(err)
	tb.Cleanup(func() { _ = w.Store.Close() })
	w.SetTime(Start())
	w.ok(Seed(tb.Context(), w.Store, policy))
	w.Dir, err = w.Store.Directory(tb.Context())
	w.ok(err)
	w.FilesDir = tb.TempDir()
	w.Files, err = files.New("file://" + w.FilesDir)
	w.ok(err)
	router, err := notify.New(notify.Settings{Log: zerolog.Nop(), Now: time.Now})
	w.ok(err)
	w.Engine = w.NewEngine(w.Queue, router)
	return w
}

// Seed applies the sample directory and a policy document, if there is one.
func Seed(ctx context.Context, s *store.Store, policy []byte) error {
	doc, err := sla.ParseDirectory(samples.Directory)
	if err != nil {
		return fmt.Errorf("sample directory: %w", err)
	}
	if _, err := s.ApplyDirectory(ctx, doc); err != nil {
		return fmt.Errorf("apply the sample directory: %w", err)
	}
	if len(policy) == 0 {
		return nil
	}
	p, err := sla.ParsePolicy(policy)
	if err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	_, _, err = s.ApplyPolicy(ctx, p, "test", "")
	return err
}

// NewEngine makes a further engine on the same database, closed with the test.
func (w *World) NewEngine(q engine.Queue, router *notify.Router) *engine.Engine {
	e := engine.New(engine.Options{
		Store: w.Store, Queue: q, Notify: router, Metrics: w.Metrics, Log: zerolog.New(zerolog.NewTestWriter(w.TB)).Level(zerolog.WarnLevel),
		SubjectKey: []byte("a key of sixteen bytes, at least"), LinkBase: "http://px.test",
		Files: w.Files,
	})
	w.TB.Cleanup(e.Close)
	return e
}

// Mail gives the world an engine whose mails go to a mail server, closed with the
// test.
func (w *World) Mail() *receiver.SMTP {
	w.TB.Helper()
	mail, err := receiver.StartSMTP(receiver.SMTPOptions{})
	w.ok(err)
	w.TB.Cleanup(func() { _ = mail.Close() })
	router, err := notify.New(notify.Settings{Log: zerolog.Nop(), Now: time.Now, Email: notify.EmailSettings{
		Host: mail.Host(), Port: mail.Port(), TLS: "none", From: "px@example.org",
	}})
	w.ok(err)
	w.TB.Cleanup(router.Close)
	w.Engine = w.NewEngine(w.Queue, router)
	return mail
}

// Submission is a move that says all that a complaint's submission, or closure,
// has to say by the built-in rules.
func Submission(m model.Move, actor *model.UserID) sla.MoveRequest {
	return sla.MoveRequest{
		Move: m, Actor: actor, ActionPlan: "a second triage nurse", Outcome: "she is there", RootCause: "staffing",
		Informed: &sla.Informed{WhyNot: "left no address"},
	}
}

// SetTime sets the domain clock; it runs on from there in real time.
func (w *World) SetTime(t time.Time) {
	w.TB.Helper()
	w.ok(w.Store.SetClock(w.TB.Context(), t, 1))
}

// Hospital returns a hospital of the directory by its code.
func (w *World) Hospital(code string) *model.Hospital {
	w.TB.Helper()
	h, ok := w.Dir.ResolveHospital("", code)
	if !ok {
		w.TB.Fatalf("no hospital %s in the sample directory", code)
	}
	return h
}

// User returns a user of the directory by their code.
func (w *World) User(code string) *model.User {
	w.TB.Helper()
	u, ok := w.Dir.ResolveUser("", code)
	if !ok {
		w.TB.Fatalf("no user %s in the sample directory", code)
	}
	return u
}

// Complaint is a feedback row of RUH's emergency department that is always
// negative, of the given severity, received now; tests change what they need.
func (w *World) Complaint(severity model.Severity) model.Feedback {
	w.TB.Helper()
	now, err := w.Store.Now(w.TB.Context())
	w.ok(err)
	h := w.Hospital("RUH")
	d, ok := w.Dir.ResolveDepartment("", h.ID, "ED")
	if !ok {
		w.TB.Fatal("no department ED in the sample directory")
	}
	id := model.NewID[model.Feedback]()
	return model.Feedback{
		ID: id, SourceSystem: "test", EventID: id.String(), ContentHash: []byte("h"), SourceType: model.SourceComplaint,
		HospitalID: h.ID.Ptr(), DepartmentID: d.ID.Ptr(), Severity: severity, Category: model.CategoryServiceQuality,
		Title: "Waited for hours", Text: "Nobody came.", Mode: model.ModeLive, ReceivedAt: now.Domain.Truncate(time.Second),
		CreatedAt: now.Domain.Truncate(time.Second), HealAfter: now.Machine.Add(5 * time.Second),
		Metadata: model.Of(json.RawMessage(`{}`)),
	}
}

// Insert writes feedback rows as they are.
func (w *World) Insert(rows ...model.Feedback) []model.FeedbackID {
	w.TB.Helper()
	_, err := w.Store.DB().NewInsert().Model(&rows).Exec(w.TB.Context())
	w.ok(err)
	ids := make([]model.FeedbackID, len(rows))
	for i, r := range rows {
		ids[i] = r.ID
	}
	return ids
}

// Action reads an action's row.
func (w *World) Action(id model.ActionID) model.Action {
	w.TB.Helper()
	var a model.Action
	w.ok(w.Store.DB().NewSelect().Model(&a).Where("id = ?", id).Scan(w.TB.Context()))
	return a
}

// Events reads an action's deadline events in the order of their taking.
func (w *World) Events(id model.ActionID) []model.DeadlineEvent {
	w.TB.Helper()
	var es []model.DeadlineEvent
	w.ok(w.Store.DB().NewSelect().Model(&es).Where("action_id = ?", id).OrderExpr("fired, planned, id").Scan(w.TB.Context()))
	return es
}

// Holds fails the test unless every invariant of the ledger holds.
func (w *World) Holds() {
	w.TB.Helper()
	found, err := w.Store.Verify(w.TB.Context())
	w.ok(err)
	for _, f := range found {
		w.TB.Errorf("%s: %s: %d rows, such as %v", f.Invariant, f.What, f.Count, f.Examples)
	}
}

func (w *World) ok(err error) {
	w.TB.Helper()
	if err != nil {
		w.TB.Fatal(err)
	}
}
