package demo

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/model"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func testClock() clock {
	return clock{began: time.Unix(0, 0), domain: march("1 08:00:00"), speed: 600}
}

// told is a story of two actions, one of them restricted, and one ignored
// feedback.
func story() page {
	clk := testClock()
	owner := model.NewID[model.User]()
	a := &action{place: "ED", persona: late3, rule: "Everything else to the department's staff"}
	a.ID, a.Ref, a.Severity, a.SourceType, a.AssignedTo = model.NewID[model.Action](), "RUH-26-0000001", model.SeverityCritical, model.SourceComplaint, &owner
	a.due = march("1 10:00:00")
	secret := &action{persona: late3}
	secret.ID, secret.Ref, secret.Severity, secret.Restricted, secret.AssignedTo = model.NewID[model.Action](), "RUH-26-0000002", model.SeverityCritical, true, &owner
	at := func(a *action, when string, e event) event {
		e.At, e.action = march("1 "+when), a
		e.Ran = clk.real(e.At)
		if a != nil {
			e.Due = a.due
		}
		return e
	}
	late := func(s int64) *int64 { return &s }
	events := []event{
		at(secret, "08:00:00", event{Kind: kindCreated}),
		at(a, "08:00:00", event{Kind: kindCreated, Reason: "always"}),
		at(a, "08:00:00", event{Kind: kindAssigned, To: []string{"ruh-omar"}}),
		at(nil, "08:01:00", event{Kind: kindIgnored, Source: "qualtra", Reason: "praise"}),
		at(a, "08:30:00", event{Kind: kindMerged, Source: "callcentre"}),
		at(a, "08:46:00", event{Kind: kindAckMissed, Stage: 1, Done: "told", To: []string{"ruh-salmaz"}, LateS: late(0)}),
		at(a, "09:05:00", event{Kind: kindReminder, Stage: 1, Done: "told", To: []string{"ruh-omar"}, LateS: late(300), late: 500 * time.Millisecond}),
		at(a, "10:00:00", event{Kind: kindOverdue, Done: "told", To: []string{"ruh-omar", "ruh-salmaz"}, LateS: late(0)}),
		at(a, "11:00:00", event{Kind: kindEscalation, Stage: 1, Done: "told", To: []string{"ruh-salmaz"}, LateS: late(0)}),
		at(a, "12:00:00", event{Kind: kindEscalation, Stage: 2, Done: "superseded", LateS: late(0)}),
		at(a, "13:00:00", event{Kind: kindEscalation, Stage: 3, Done: "untargeted", To: []string{"ruh-omar"}, LateS: late(0)}),
		at(a, "13:05:00", event{Kind: kindStarted, By: "ruh-omar"}),
		at(a, "13:06:00", event{Kind: kindNote, By: "ruh-omar"}),
		at(a, "13:10:00", event{Kind: kindSubmitted, By: "ruh-omar"}),
		at(a, "13:11:00", event{Kind: kindRejected, By: "ruh-amal"}),
		at(a, "13:11:00", event{Kind: kindReplanned, By: "ruh-amal"}),
		at(a, "13:20:00", event{Kind: kindApproved, By: "ruh-tariq"}),
		at(a, "13:21:00", event{Kind: kindClosed, By: "ruh-omar"}),
	}
	return page{Events: events, Tally: tally{
		Now: march("1 13:25:00"), Feedback: 344, Ignored: 150, Merged: 13, Actions: 181, Open: 130, Overdue: 90, Escalated: 80, Closed: 51, Messages: 1234,
		AckMissed: 87, Reminders: 110, Overdues: 93, Stage1: 92, Stage2: 53, Stage3: 20, Escalations: 165,
	}}
}

func play(t *testing.T, v view) {
	t.Helper()
	o := opening{
		Hospitals: 2, Events: 397, Sources: 6, Speed: 600, For: time.Minute, Sending: 20 * time.Second,
		Intake: "http://127.0.0.1:8080", Pages: "http://127.0.0.1:8081",
	}
	p := story()
	sent := answers{Sent: 397, Duplicates: 17, Changed: 11, Refused: 25}
	require.NoError(t, v.begin(o))
	require.NoError(t, v.show(p))
	s := newSummary(p.Tally, sent, []time.Duration{0, 490 * time.Millisecond, 1300 * time.Millisecond}, 0)
	s.Took, s.Domain = time.Minute, 10*time.Hour
	require.NoError(t, v.end(s))
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(got), 0o600))
	}
	want, err := os.ReadFile(file) //nolint:gosec // the name is the test's own
	require.NoError(t, err)
	require.Equal(t, string(want), got, "go test ./internal/demo -update rewrites it")
}

func TestTimeline(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	play(t, newTimeline(&out, testClock(), false))
	golden(t, "timeline.txt", out.String())
	for l := range strings.Lines(out.String()) {
		require.LessOrEqual(t, utf8.RuneCountInString(strings.TrimRight(l, "\n")), columns, l)
		require.Equal(t, strings.TrimRight(l, " \n"), strings.TrimRight(l, "\n"), "no blanks at the end")
	}
	require.NotContains(t, out.String(), "RUH-26-0000002", "restricted actions are not shown")
}

func TestTimelineInColorSaysTheSame(t *testing.T) {
	t.Parallel()
	var plain, colored bytes.Buffer
	play(t, newTimeline(&plain, testClock(), false))
	play(t, newTimeline(&colored, testClock(), true))
	require.Contains(t, colored.String(), "\x1b[")
	s := colored.String()
	for {
		before, rest, found := strings.Cut(s, "\x1b[")
		if !found {
			break
		}
		_, after, _ := strings.Cut(rest, "m")
		s = before + after
	}
	require.Equal(t, plain.String(), s)
}

func TestTimelineKeepsTheOrder(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	v := newTimeline(&out, testClock(), false)
	p := story()
	first, second := p, p
	first.Events, second.Events = p.Events[:8], p.Events[8:9]
	second.Events[0].Ran, first.Events[7].Ran = first.Events[7].Ran-200*time.Millisecond, second.Events[0].Ran
	first.Tally.Now = march("1 10:01:00")
	require.NoError(t, v.show(first))
	require.NotContains(t, out.String(), "overdue  ", "an earlier one may still come")
	require.NoError(t, v.show(second))
	require.Less(t, strings.Index(out.String(), "escalation 1"), strings.Index(out.String(), "told ruh-omar"))
}

func TestStream(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	play(t, newStream(&out))
	golden(t, "stream.ndjson", out.String())
}

func TestSpread(t *testing.T) {
	t.Parallel()
	require.Zero(t, spreadOf(nil))
	var all []time.Duration
	for i := range 200 {
		all = append(all, time.Duration(i+1))
	}
	require.Equal(t, spread{N: 200, P50: 100, P99: 198, Max: 200}, spreadOf(all))
	require.Equal(t, spread{N: 1, P50: 7, P99: 7, Max: 7}, spreadOf([]time.Duration{7}))
}

func TestHours(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"0 min", "59 min", "1h05", "23h59", "1d 22h", "3d 01h"}, []string{
		hours(0), hours(59 * time.Minute), hours(65 * time.Minute), hours(24*time.Hour - time.Minute), hours(46*time.Hour + 41*time.Minute), hours(73 * time.Hour),
	})
}

func TestCastPassesOverForALaterOne(t *testing.T) {
	t.Parallel()
	c := newCast()
	owner := model.NewID[model.User]()
	var followed []int
	for n := range 8 {
		a := &action{persona: late2}
		a.ID, a.Severity, a.AssignedTo = model.NewID[model.Action](), model.SeverityMedium, &owner
		if c.follows(&event{Kind: kindCreated, action: a}) {
			followed = append(followed, n)
			require.True(t, c.follows(&event{Kind: kindOverdue, action: a}))
		}
	}
	require.Equal(t, []int{4}, followed)
	require.False(t, c.follows(&event{Kind: kindIgnored}))
}
