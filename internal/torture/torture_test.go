package main

import (
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/model"
)

// TestAShortTortureFindsNothing is one seed and a few faults; `make torture` goes on for longer.
func TestAShortTortureFindsNothing(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	err := torture(t.Context(), []string{
		"-tree", "../..", "-seed", "7", "-hours", "4", "-speed", "1800", "-rate", "8", "-moves", "12",
		"-only", "kill worker,kill scheduler,redis flush,redis partition,pg cut connections,duplicate and stale tasks",
	}, &out, io.Discard)
	require.NoError(t, err, "%s", out.String())
	t.Log(out.String())
	for _, part := range []string{"0 divergences", "| redis", "deadline events"} {
		assert.Contains(t, out.String(), part)
	}
}

func TestWrongFlagsAreNamed(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"-hours: must be greater than 0": {"-hours", "0"},
		"-rate: must be greater than 0":  {"-rate", "-1"},
		"there are kill worker, ":        {"-only", "kill the cat"},
	} {
		assert.ErrorContains(t, torture(t.Context(), args, io.Discard, io.Discard), want)
	}
}

// TestMutantsFitTheSource: each edit still finds what it spoils.
func TestMutantsFitTheSource(t *testing.T) {
	t.Parallel()
	for _, m := range mutants() {
		for _, name := range strings.Split(m.faults, ",") {
			assert.NotEmpty(t, deck(name), "%s: fault %q", m.name, name)
		}
		for _, e := range m.edits {
			src, err := os.ReadFile("../../" + e.file)
			require.NoError(t, err)
			assert.Equal(t, 1, strings.Count(string(src), e.old), "%s: %q in %s", m.name, e.old, e.file)
		}
	}
}

// workedCase is one of sla/testdata/plan_cases.json.
type workedCase struct {
	ID    string
	Input struct {
		Severity   string
		ReceivedAt time.Time `json:"received_at"`
		Config     struct {
			Hours     map[string]float64
			Reminders []int `json:"reminder_hours_before"`
			Gaps      map[string][]float64
			Approval  *bool `json:"requires_approval"`
		}
		Moves []struct {
			At     time.Time
			Do, To string
		}
	}
	Expected struct {
		Events []struct {
			Period         int
			Kind           string
			Stage          int
			Planned, Fired time.Time
			Suppressed     string
		}
		Final struct {
			DueAt  time.Time `json:"due_at"`
			Period int
			Level  int        `json:"escalation_level"`
			NextAt *time.Time `json:"next_at"`
		}
	}
}

// TestTheModelKnowsTheWorkedCases: what was reasoned by hand judges the model, too.
func TestTheModelKnowsTheWorkedCases(t *testing.T) {
	t.Parallel()
	src, err := os.ReadFile("../../sla/testdata/plan_cases.json")
	require.NoError(t, err)
	var file struct{ Cases []workedCase }
	require.NoError(t, json.Unmarshal(src, &file))
	known := 0
	for _, c := range file.Cases {
		if c.Input.Config.Gaps != nil || c.Input.Config.Approval != nil {
			continue // the harness's policies have neither
		}
		known++
		t.Run(c.ID, func(t *testing.T) {
			t.Parallel()
			c.replay(t)
		})
	}
	assert.Greater(t, known, 15)
}

func (c *workedCase) replay(t *testing.T) {
	terms := terms{target: map[string]int{"low": 120, "medium": 72, "high": 48, "critical": 24}, reminders: []int{4}, gap: 2}
	for s, h := range c.Input.Config.Hours {
		terms.target[s] = int(h)
	}
	if r := c.Input.Config.Reminders; r != nil {
		terms.reminders = r
	}
	l := born(terms, c.Input.Severity, c.Input.ReceivedAt)
	var want, got []event
	moves := c.Input.Moves
	turn := func(at time.Time) {
		var m *move
		if len(moves) > 0 && !moves[0].At.After(at) {
			m = &move{name: moves[0].Do, severity: moves[0].To}
			m.at, _ = time.Parse(time.RFC3339, moves[0].To)
			moves = moves[1:]
		}
		es, err := l.turn(at, m)
		require.NoError(t, err)
		got = append(got, es...)
	}
	last := time.Time{}
	for _, e := range c.Expected.Events {
		done := e.Suppressed
		if done == "" {
			done = "told"
		}
		want = append(want, event{e.Kind, e.Period, e.Stage, e.Planned, e.Fired, done})
		for len(moves) > 0 && moves[0].At.Before(e.Fired) {
			turn(moves[0].At)
		}
		if !e.Fired.Equal(last) || e.Kind == "escalation" && want[len(want)-2].kind == "escalation" {
			turn(e.Fired)
		}
		last = e.Fired
	}
	for len(moves) > 0 {
		turn(moves[0].At)
	}
	assert.Equal(t, describe(want), describe(got))
	assert.Equal(t, c.Expected.Final.DueAt, l.due)
	assert.Equal(t, []int{c.Expected.Final.Period, c.Expected.Final.Level}, []int{l.period, l.level})
	if next := c.Expected.Final.NextAt; next != nil {
		require.NotEmpty(t, l.plan())
		assert.Equal(t, *next, l.plan()[0].at)
	} else {
		assert.Empty(t, l.plan())
	}
}

// TestDivergencesAreSeen takes a story that is right, and spoils it.
func TestDivergencesAreSeen(t *testing.T) {
	t.Parallel()
	spoil := map[string]func(k *checker, a *model.Action){
		"":                            func(*checker, *model.Action) {},
		"planned 2026-03-02 09:00:00": func(k *checker, a *model.Action) { k.l.events[a.ID][0].Planned = start.Add(time.Hour) },
		"found nothing": func(k *checker, a *model.Action) {
			k.l.logs[a.ID] = k.l.logs[a.ID][:1]
			k.l.events[a.ID] = nil
			a.IsOverdue = false
		},
		"is recorded and the log does not tell of it": func(k *checker, a *model.Action) { k.l.logs[a.ID] = k.l.logs[a.ID][:1] },
		"recorded twice": func(k *checker, a *model.Action) { k.l.events[a.ID] = append(k.l.events[a.ID], k.l.events[a.ID][0]) },
		"not before":     func(k *checker, a *model.Action) { k.l.commits[k.l.events[a.ID][2].ID] = start.Add(-time.Second) },
		"level 1":        func(_ *checker, a *model.Action) { a.EscalationLevel = 1 },
		"for it was answered 200": func(k *checker, a *model.Action) {
			k.moves["m"] = &asked{move: move{name: "start"}, action: a.ID, code: 200}
		},
		"whatever is away":     func(k *checker, _ *model.Action) { k.moves["m"] = &asked{fault: "internal"} },
		"an action of its own": func(k *checker, _ *model.Action) { k.sents = append(k.sents, k.sents[0]) },
		"answered 500":         func(k *checker, _ *model.Action) { k.sents[0].odd = []string{"answered 500"} },
		"accepted once":        func(k *checker, _ *model.Action) { k.sents[0].accepted = 2 },
		"none until the end":   func(k *checker, _ *model.Action) { k.sents[0].answers = 0 },
	}
	for want, do := range spoil {
		k, a := story()
		do(k, a)
		k.check()
		var found strings.Builder
		for _, d := range k.found {
			found.WriteString(d.Error() + "\n")
		}
		if want == "" {
			assert.Empty(t, found.String())
		}
		assert.Contains(t, found.String(), want)
	}
}

// story is one low action that was taken to be overdue, 8 hours after the start, without a reminder before.
func story() (*checker, *model.Action) {
	born, due := start.Add(-8*time.Hour), start
	f := model.Feedback{ID: model.NewID[model.Feedback](), EventID: "e", Decision: model.DecisionCreated, ReceivedAt: born, DecidedAt: &due, CreatedAt: due}
	a := model.Action{
		ID: model.NewID[model.Action](), FeedbackID: &f.ID, Severity: "low", Status: "open", DueAt: due, Period: 1, IsOverdue: true, CreatedAt: due,
	}
	f.ActionID = &a.ID
	next, one := due.Add(time.Hour), 1
	a.NextAt, a.NextKind, a.NextStage = &next, model.EventEscalation, &one
	row := func(m model.LogMetadata) logRow {
		return logRow{ActionLog: model.ActionLog{ActionID: a.ID, CreatedAt: due, Metadata: model.Of(m)}}
	}
	rows := []logRow{row(model.LogMetadata{"sla_config": "edition 0", "severity": "low"})}
	var es []model.DeadlineEvent
	commits := map[model.DeadlineEventID]time.Time{}
	for i, kind := range []string{"reminder", "reminder", "overdue"} {
		e := model.DeadlineEvent{ActionID: a.ID, Period: 1, Kind: model.EventKind(kind), Stage: (i + 1) % 3, Planned: due.Add(time.Duration(i-2) * time.Hour), Fired: due, Done: "silent"}
		if kind == "overdue" {
			e.Done = "told"
		}
		e.ID = model.NewID[model.DeadlineEvent]()
		commits[e.ID] = due
		es = append(es, e)
		rows = append(rows, row(model.LogMetadata{"kind": kind, "stage": float64(e.Stage), "period": 1.0, "planned": ""}))
	}
	l := &ledger{
		feedback: map[string]model.Feedback{"e": f}, actions: []model.Action{a}, asOf: due,
		logs: map[model.ActionID][]logRow{a.ID: rows}, events: map[model.ActionID][]model.DeadlineEvent{a.ID: es}, commits: commits,
	}
	s := &sent{id: "e", negative: true, severity: "low", feedback: f.ID.String(), clock: born, answers: 1, accepted: 1}
	return &checker{l: l, clock: model.Clock{RealEpoch: start, VirtualEpoch: start, Speed: 1}, moves: map[string]*asked{}, sents: []*sent{s}}, &l.actions[0]
}
