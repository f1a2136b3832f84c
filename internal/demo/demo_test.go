package demo_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/internal/demo"
	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/notify"
	"github.com/pxactions/px/producer"
	"github.com/pxactions/px/samples"
	"github.com/pxactions/px/store"
	"github.com/pxactions/px/tasks"
)

// hands does what the queue and its workers would, in this process.
type hands struct {
	mu   sync.Mutex
	todo tasks.Effects
}

func (h *hands) Enqueue(_ context.Context, e tasks.Effects) ([]tasks.Arm, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.todo.Add(e)
	return e.Arm, nil
}

// due takes out what is to be done by now.
func (h *hands) due(now time.Time) tasks.Effects {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := h.todo
	h.todo = tasks.Effects{}
	ready := tasks.Effects{Create: all.Create}
	for _, a := range all.Arm {
		if a.At.After(now) {
			h.todo.Arm = append(h.todo.Arm, a)
			continue
		}
		ready.Arm = append(ready.Arm, a)
	}
	for _, s := range all.Send {
		if s.At.After(now) {
			h.todo.Send = append(h.todo.Send, s)
			continue
		}
		ready.Send = append(ready.Send, s)
	}
	return ready
}

// work goes on until ctx ends. A job of the test's machine may come a little
// early by the database's clock: it is put back.
func (h *hands) work(ctx context.Context, e *engine.Engine) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		todo := h.due(time.Now())
		if _, err := e.Decide(ctx, todo.Create); err != nil && ctx.Err() == nil {
			return err
		}
		for _, a := range todo.Arm {
			r, err := e.Fire(ctx, store.DeadlineRef{ActionID: a.ActionID, Gen: a.Gen})
			if err != nil && ctx.Err() == nil {
				return err
			}
			if r.Outcome == store.NotDue {
				_, _ = h.Enqueue(ctx, tasks.Effects{Arm: []tasks.Arm{a}})
			}
		}
		for _, s := range todo.Send {
			if _, err := e.Deliver(ctx, store.MessageRef{ID: s.MessageID, Attempt: s.Attempt}); err != nil && ctx.Err() == nil {
				return err
			}
		}
	}
}

const feedback = `{"event_id":"1","source_type":"complaint","hospital":"RUH","department":"ED","severity":"critical","text":"SECRET","received_at":"2026-03-01T08:00:00Z"}
{"event_id":"2","source_type":"complaint","hospital":"RUH","department":"ED","severity":"low","received_at":"2026-03-01T08:00:00Z"}
{"event_id":"3","source_type":"complaint","hospital":"RUH","kind":"praise","received_at":"2026-03-01T08:01:00Z"}
{"event_id":"1","source_type":"complaint","hospital":"RUH","department":"ED","severity":"critical","text":"SECRET","received_at":"2026-03-01T08:00:00Z"}
{"event_id":"2","source_type":"complaint","hospital":"BER","received_at":"2026-03-01T08:00:00Z"}
{"event_id":"4","source_type":"complaint","hospital":"nowhere","received_at":"2026-03-01T08:02:00Z"}
{"event_id":
{"event_id":"5","source_type":"complaint","hospital":"BER","department":"ED","severity":"high","received_at":"2026-02-27T08:02:00Z"}`

// stage is a world with an intake, its own clock and somebody to do the jobs.
func stage(t *testing.T) demo.Options {
	t.Helper()
	w := scenario.New(t, samples.DemoPolicy)
	const speed = 24_000 // an hour in 150 ms
	require.NoError(t, w.Store.SetClock(t.Context(), time.Now(), speed))
	w.Exec(`UPDATE users SET channels = '["log"]'`)
	w.Exec(`UPDATE directory_version SET version = version + 1`)
	router, err := notify.New(notify.Settings{Log: zerolog.Nop(), Now: time.Now})
	require.NoError(t, err)
	h := &hands{}
	e := w.NewEngine(h, router)
	p, err := producer.New(producer.Options{Engine: e, Log: zerolog.Nop()})
	require.NoError(t, err)
	intake := httptest.NewServer(p)
	t.Cleanup(intake.Close)
	key, err := w.Store.CreateKey(t.Context(), &model.APIKey{
		Name: "desk", SourceSystem: "desk", Scopes: model.Of(store.Scopes()), Hospitals: model.Of([]model.HospitalID{}), OnUnmapped: model.UnmappedReject,
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.work(ctx, e) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	return demo.Options{
		Store: w.Store, Engine: e, Samples: fstest.MapFS{"desk.ndjson": {Data: []byte(feedback)}}, Keys: map[string]string{"desk": key},
		Intake: intake.URL, Pages: "http://px.test", For: 3 * time.Second, JSON: true,
		Verify: func(ctx context.Context) (int64, error) {
			found, err := e.Verify(ctx, nil)
			return int64(len(found)), err
		},
	}
}

func TestRunPlaysAWholeStory(t *testing.T) {
	t.Parallel()
	o := stage(t)
	var out bytes.Buffer
	o.Out = &out
	d, err := demo.New(o)
	require.NoError(t, err)
	require.NoError(t, d.Run(t.Context()))
	require.NotContains(t, out.String(), "SECRET")

	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	var last struct {
		Summary struct {
			Feedback, Ignored, Duplicates, Changed, Refused, Actions, Reminders, Overdue, Escalations, Messages, Closed, Violations int
			AckMissed                                                                                                               int `json:"ack_missed"`
		}
	}
	require.NoError(t, json.Unmarshal([]byte(lines[len(lines)-1]), &last))
	s := last.Summary
	require.Equal(t, []int{4, 1, 1, 1, 2, 3, 0}, []int{s.Feedback, s.Ignored, s.Duplicates, s.Changed, s.Refused, s.Actions, s.Violations})
	require.Positive(t, s.Messages)
	require.Positive(t, s.Closed)

	seen := map[string]int{}
	for _, l := range lines[:len(lines)-1] {
		var e struct {
			At    time.Time
			Event string
		}
		require.NoError(t, json.Unmarshal([]byte(l), &e))
		require.False(t, e.At.IsZero())
		seen[e.Event]++
	}
	require.Equal(t, []int{s.Actions, s.Ignored, s.AckMissed, s.Reminders, s.Overdue, s.Escalations, s.Closed},
		[]int{seen["created"], seen["ignored"], seen["ack_missed"], seen["reminder"], seen["overdue"], seen["escalation"], seen["closed"]}, "the stream tells what the summary counts")
	require.GreaterOrEqual(t, seen["escalation"], 3, "all stages of the critical one")
}

func TestRunSumsUpWhenInterrupted(t *testing.T) {
	t.Parallel()
	o := stage(t)
	var out bytes.Buffer
	o.Out, o.For = &out, time.Hour
	d, err := demo.New(o)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	require.NoError(t, d.Run(ctx))
	require.Contains(t, out.String(), `"summary"`)
}

func TestRunFailsOnViolations(t *testing.T) {
	t.Parallel()
	o := stage(t)
	var out bytes.Buffer
	o.Out, o.For = &out, 100*time.Millisecond
	o.Verify = func(context.Context) (int64, error) { return 2, nil }
	d, err := demo.New(o)
	require.NoError(t, err)
	require.ErrorContains(t, d.Run(t.Context()), "2 violations")
	require.Contains(t, out.String(), `"violations":2}`)
}

func TestNewSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	full := func() demo.Options {
		return demo.Options{
			Store: &store.Store{}, Engine: &engine.Engine{}, Verify: func(context.Context) (int64, error) { return 0, errors.New("unused") },
			Samples: fstest.MapFS{"desk.ndjson": {}}, Keys: map[string]string{"desk": "k"}, Intake: "http://i", Pages: "http://p", Out: &bytes.Buffer{},
		}
	}
	_, err := demo.New(full())
	require.NoError(t, err)
	o := full()
	o.Keys = nil
	_, err = demo.New(o)
	require.ErrorContains(t, err, "no key for source system desk")
	o = full()
	o.Intake = ""
	_, err = demo.New(o)
	require.ErrorContains(t, err, "Intake")
}
