package sla_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
)

func TestMessagesPerChannel(t *testing.T) {
	t.Parallel()
	dir := house(usualCast())
	dir.Users[personID("ann")].Channels = model.Of([]model.Channel{model.ChannelEmail, model.ChannelWebhook, model.ChannelEmail})
	dir.Users[personID("mgr")].Active = false
	s := openScene(t, newAction(model.SeverityHigh, monday, usualCast()), builtIn(), dir, monday)
	require.Len(t, s.last.Messages, 2, "each channel once")
	require.Equal(t, model.ChannelEmail, s.last.Messages[0].Channel)
	require.Equal(t, model.ChannelWebhook, s.last.Messages[1].Channel)

	s.fireUntil(at(50))
	require.Equal(t, model.ChannelLog, s.last.Messages[2].Channel, "who names no channel is reached by the log")
}

func TestMessagesNotSent(t *testing.T) {
	t.Parallel()
	t.Run("in shadow mode none", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityCritical, func(a *model.Action, _ *sla.Config) { a.Shadow = true })
		require.Equal(t, []string{"assigned ann (shadow)", "assigned mgr (shadow)"}, s.heard())
		s.fireUntil(at(26))
		require.Equal(t, []string{"escalation ann (shadow)", "escalation mgr (shadow)"}, s.heard())
		e := s.event(1, model.EventEscalation, 1)
		require.Equal(t, model.DoneTold, e.Done)
		require.Equal(t, []string{"mgr", "ann"}, codesOf(s.c.Dir, e.Told.V))
		require.Equal(t, "Escalated to stage 1: told mgr (shadow)", s.last.Logs[0].Message)
	})
	t.Run("to who has left none", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityHigh)
		s.c.Dir.Users[personID("ann")].Active = false
		s.fire(at(44))
		require.Equal(t, []string{"reminder ann (inactive)"}, s.heard())
	})
}

func TestMessageFacts(t *testing.T) {
	t.Parallel()
	s := opened(t, model.SeverityCritical).fireUntil(at(24)).fire(at(26.5))
	next := at(28)
	want := model.MessageFacts{
		Ref: "RUH-26-0000001", Category: model.CategoryOther, Hospital: "Riverside", Department: "WARD",
		Severity: model.SeverityCritical, Priority: model.SeverityCritical, Status: model.StatusOpen, DueAt: at(24),
		Stage: 1, LateS: 1800, NextAt: &next, NextKind: model.EventEscalation, Copy: true,
	}
	require.Equal(t, want, s.last.Messages[0].Facts.V, "ann's copy")
	want.Copy = false
	require.Equal(t, want, s.last.Messages[1].Facts.V, "the manager's")
	require.Equal(t, 0, s.last.Messages[0].EventOf)
	require.Equal(t, -1, opened(t, model.SeverityLow).last.Messages[0].EventOf)
}

func TestLogsTellTheStory(t *testing.T) {
	t.Parallel()
	s := opened(t, model.SeverityCritical).fireUntil(at(26)).fire(at(28.5))
	s.move(at(29), by("ann", model.MoveStart)).move(at(29), by("ann", model.MoveSubmit)).fire(at(53)).move(at(54), by("pxb", model.MoveReject))
	type line struct {
		typ model.LogType
		msg string
	}
	var got []line
	for _, l := range s.logs {
		got = append(got, line{l.LogType, l.Message})
	}
	require.Equal(t, []line{
		{model.LogCreated, "Created; due 2026-03-03 08:00 UTC"},
		{model.LogAssignment, "Assigned to ann"},
		{model.LogSLAReminder, "Reminder 1: told ann"},
		{model.LogOverdue, "Overdue since 2026-03-03 08:00 UTC: told ann, mgr"},
		{model.LogEscalation, "Escalated to stage 1: told mgr"},
		{model.LogEscalation, "Escalated to stage 2: told pxa, pxb"},
		{model.LogStatusChange, "Work started"},
		{model.LogStatusChange, "Submitted for approval (submission 1)"},
		{model.LogApproval, "Approval of submission 1 overdue since 2026-03-04 13:00 UTC: told pxa, pxb"},
		{model.LogApproval, "Rejected"},
		{model.LogPlanChange, "Clock resumed; due 2026-03-04 18:00 UTC, was 2026-03-03 08:00 UTC; period 2; stage 1 at 2026-03-04 20:00 UTC"},
	}, got)
	facts, err := json.Marshal(s.logs[5].Metadata)
	require.NoError(t, err)
	require.JSONEq(t, `{"kind":"escalation","stage":2,"period":1,"planned":"2026-03-03T12:00:00Z","late_s":1800,"done":"told",
		"told":["pxa","pxb","ann"],"targets":["pxa","pxb"],"priority":"critical"}`, string(facts))
}

func TestUntargetedStageSaysSo(t *testing.T) {
	t.Parallel()
	people := cast{Assignee: "ann"}
	s := openScene(t, newAction(model.SeverityCritical, monday, people), builtIn(), house(people), monday).fireUntil(at(26))
	require.Equal(t, "Escalated to stage 1: nobody to tell but ann", s.last.Logs[0].Message)
	require.Equal(t, []string{"escalation ann"}, s.heard())
}
