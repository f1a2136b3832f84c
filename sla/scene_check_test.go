package sla_test

import (
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
)

// absorb checks an outcome against the invariants and takes it over, as the
// store would.
func (s *scene) absorb(out sla.Outcome, now time.Time) {
	s.t.Helper()
	was, is := s.c.Action, out.Action
	require.Equal(s.t, was.Version+1, is.Version, "version rises once per outcome")
	s.checkLogs(was, out)
	s.checkEvents(out, now)
	s.checkMessages(out, now)
	s.c.Action, s.last = is, out
	s.c.Events = append(s.c.Events, out.Events...)
	s.logs = append(s.logs, out.Logs...)
	s.messages = append(s.messages, out.Messages...)
	s.checkHead(was, len(out.Events) > 0)
}

func (s *scene) checkLogs(was model.Action, out sla.Outcome) {
	s.t.Helper()
	require.NotEmpty(s.t, out.Logs, "every change writes its log rows")
	for i, l := range out.Logs {
		require.Equal(s.t, was.LogSeq+1+i, l.Seq, "log rows are gapless")
		require.NotEmpty(s.t, l.Message)
		require.NotContains(s.t, l.Message, "because", "words stand in Text only")
	}
	require.Equal(s.t, was.LogSeq+len(out.Logs), out.Action.LogSeq)
}

func (s *scene) checkEvents(out sla.Outcome, now time.Time) {
	s.t.Helper()
	stages := 0
	for _, e := range out.Events {
		require.False(s.t, e.Planned.After(now), "%s %d is not early", e.Kind, e.Stage)
		require.Equal(s.t, now.Truncate(time.Second), e.Fired)
		require.Equal(s.t, e.Planned, e.Planned.Truncate(time.Second), "whole seconds")
		require.Equal(s.t, int64(e.Fired.Sub(e.Planned)/time.Second), e.LateS)
		require.Equal(s.t, out.Action.Gen, e.Gen)
		require.NotNil(s.t, e.Told.V, "a list of nobody is []")
		for _, old := range s.c.Events {
			require.False(s.t, old.Period == e.Period && old.Kind == e.Kind && old.Stage == e.Stage,
				"%s %d of period %d happens once", e.Kind, e.Stage, e.Period)
		}
		if e.Kind == model.EventEscalation {
			stages++
			require.Equal(s.t, e.Stage, s.stagesTaken(e.Period)+1, "stages are climbed one by one")
		}
	}
	require.LessOrEqual(s.t, stages, 1, "at most one stage per firing")
	inOrder := slices.IsSortedFunc(settled(out.Events), func(a, b model.DeadlineEvent) int { return a.Planned.Compare(b.Planned) })
	require.True(s.t, inOrder, "events are taken in order")
}

func (s *scene) stagesTaken(period int) int {
	n := 0
	for _, e := range s.c.Events {
		if e.Period == period && e.Kind == model.EventEscalation {
			n++
		}
	}
	return n
}

// settled leaves out the overdue that a change marked at once: it comes after
// what was settled of the old plan, whatever its time.
func settled(es []model.DeadlineEvent) []model.DeadlineEvent {
	if n := len(es); n > 0 && es[n-1].Kind == model.EventOverdue {
		return es[:n-1]
	}
	return es
}

func (s *scene) checkMessages(out sla.Outcome, now time.Time) {
	s.t.Helper()
	type address struct {
		to model.UserID
		ch model.Channel
	}
	seen := map[address]bool{}
	for _, m := range out.Messages {
		to := address{m.RecipientID, m.Channel}
		require.False(s.t, seen[to], "one message per person and channel")
		seen[to] = true
		require.Equal(s.t, out.Action.Version, m.ActionVersion)
		require.Equal(s.t, now.Truncate(time.Second), m.NotBefore)
		require.NotContains(s.t, m.Also.V, m.Reason)
		require.Equal(s.t, out.Action.DueAt, m.Facts.V.DueAt)
		if m.EventOf >= 0 {
			require.Equal(s.t, m.Facts.V.Stage, out.Events[m.EventOf].Stage)
		}
	}
}

// checkHead: the row's next_* is the head of the plan, null exactly where the
// second invariant says so, and gen rises with it and with each fire only.
func (s *scene) checkHead(was model.Action, fired bool) {
	s.t.Helper()
	a, plan := s.c.Action, sla.Upcoming(s.c)
	if !a.Live() || a.Status == model.StatusApproved {
		require.Empty(s.t, plan)
	}
	if a.Held() {
		require.Equal(s.t, []sla.PlannedEvent{{Kind: model.EventResume, Stage: a.HoldNo, At: *a.ResumeAt}}, plan)
	}
	require.Equal(s.t, len(plan) == 0, a.NextAt == nil)
	if len(plan) > 0 {
		require.Equal(s.t, plan[0], sla.PlannedEvent{Kind: a.NextKind, Stage: *a.NextStage, At: *a.NextAt})
	}
	moved := (was.NextAt == nil) != (a.NextAt == nil)
	if was.NextAt != nil && a.NextAt != nil {
		moved = !was.NextAt.Equal(*a.NextAt) || was.NextKind != a.NextKind || *was.NextStage != *a.NextStage
	}
	if moved || fired || was.Version == 0 {
		require.Equal(s.t, was.Gen+1, a.Gen, "gen rises")
		return
	}
	require.Equal(s.t, was.Gen, a.Gen, "gen stays")
}

// checkActor: who makes a move gets no message about it; of the events that it
// settled, they do. One of these, the end of a hold, is told of by what it changed.
func (s *scene) checkActor(m sla.MoveRequest, out sla.Outcome) {
	s.t.Helper()
	resumed := slices.ContainsFunc(out.Events, func(e model.DeadlineEvent) bool { return e.Kind == model.EventResume })
	if m.Actor == nil || resumed {
		return
	}
	for _, msg := range out.Messages {
		if msg.RecipientID != *m.Actor {
			continue
		}
		require.GreaterOrEqual(s.t, msg.EventOf, 0, "no message to the actor about the own move, but %s", msg.Reason)
		for _, also := range msg.Also.V {
			require.Contains(s.t, []model.Reason{model.ReasonReminder, model.ReasonAckMissed, model.ReasonOverdue, model.ReasonEscalation, model.ReasonApprovalReminder, model.ReasonApprovalOverdue}, also)
		}
	}
}
