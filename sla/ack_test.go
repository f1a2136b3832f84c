package sla_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
)

// withAck asks for the work to be started within four hours, or a working day.
func withAck(_ *model.Action, cfg *sla.Config) {
	cfg.AckTargets = map[model.Severity]sla.TargetSpec{
		model.SeverityHigh: {Time: 4 * time.Hour}, model.SeverityMedium: {Days: 1}, model.SeverityCritical: {Time: time.Hour},
	}
}

// acks are the missed acknowledgements of a scene, as stage and planned instant.
func acks(s *scene) (missed []sla.PlannedEvent) {
	for _, e := range s.c.Events {
		if e.Kind == model.EventAck {
			missed = append(missed, sla.PlannedEvent{Kind: e.Kind, Stage: e.Stage, At: e.Planned})
		}
	}
	return missed
}

func ack(stage int, hours float64) sla.PlannedEvent {
	return sla.PlannedEvent{Kind: model.EventAck, Stage: stage, At: at(hours)}
}

func TestAcknowledgement(t *testing.T) {
	t.Parallel()
	start := by("ann", model.MoveStart)
	t.Run("starting meets it", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityHigh, withAck)
		require.Equal(t, ack(1, 4), sla.Upcoming(s.c)[0])
		require.Equal(t, at(4), *s.c.Action.AckDueAt)
		s.move(at(3.9), start)
		require.Equal(t, at(3.9), *s.c.Action.AckedAt)
		require.Equal(t, at(4), *s.c.Action.AckDueAt, "reports compare the two")
		s.fireUntil(at(100))
		require.Empty(t, acks(s))
	})
	t.Run("a miss tells the manager, once", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityHigh, withAck).fire(at(4))
		e := s.c.Events[0]
		require.Equal(t, []any{model.EventAck, 1, model.DoneTold}, []any{e.Kind, e.Stage, e.Done})
		require.Equal(t, []model.UserID{personID("mgr")}, e.Told.V)
		require.Equal(t, model.ReasonAckMissed, s.last.Messages[0].Reason)
		require.Len(t, s.last.Messages, 1)
		require.Equal(t, model.LogAckMissed, s.last.Logs[0].LogType)
		s.fireUntil(at(300))
		require.Len(t, acks(s), 1)
		require.Nil(t, s.c.Action.AckedAt)
	})
	t.Run("starting too late settles the miss first", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityHigh, withAck).move(at(4), start) // on time means before
		require.Equal(t, []sla.PlannedEvent{ack(1, 4)}, acks(s))
		require.Equal(t, at(4), *s.c.Action.AckedAt)
	})
	t.Run("also where a stage came due before it", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityHigh, withAck).fireUntil(at(48)) // stage 1 at 50
		s.move(at(48), sla.MoveRequest{Move: model.MoveAssign, Assignee: personID("bob")})
		s.move(at(53), by("bob", model.MoveStart))
		require.Equal(t, []sla.PlannedEvent{ack(1, 4), ack(2, 52)}, acks(s))
		require.Equal(t, []string{"escalation bob", "escalation+ack_missed mgr"}, s.heard())
	})
	t.Run("each assignment has a time of its own, whatever the period", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityHigh, withAck).fire(at(4))
		s.move(at(5), sla.MoveRequest{Move: model.MoveAssign, Assignee: personID("bob")})
		require.Equal(t, ack(2, 9), sla.Upcoming(s.c)[0])
		s.fireUntil(at(48.5)).move(at(49), toDue(at(80))) // a second period
		require.Equal(t, 2, s.c.Action.Period)
		s.fireUntil(at(200))
		require.Equal(t, []sla.PlannedEvent{ack(1, 4), ack(2, 9)}, acks(s))
	})
	t.Run("what has been started is not asked for again", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityHigh, withAck).move(at(1), start)
		s.move(at(2), sla.MoveRequest{Move: model.MoveAssign, Assignee: personID("bob")}).fireUntil(at(300))
		require.Empty(t, acks(s))
	})
	t.Run("a hold stops it", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityHigh, withAck).move(at(1), holdUntil(11)).fire(at(11))
		require.Equal(t, ack(1, 14), sla.Upcoming(s.c)[0])
	})
	t.Run("a hold of before the assignment does not move it", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityHigh, withAck).move(at(1), holdUntil(3)).fire(at(3))
		s.move(at(5), sla.MoveRequest{Move: model.MoveAssign, Assignee: personID("bob")})
		require.Equal(t, ack(2, 9), sla.Upcoming(s.c)[0])
	})
	t.Run("a new severity counts from the assignment", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityHigh, withAck, func(_ *model.Action, cfg *sla.Config) { cfg.HoldCritical = true })
		s.move(at(0.5), toSeverity(model.SeverityMedium))
		require.Equal(t, at(24), *s.c.Action.AckDueAt)
		s.move(at(2), toSeverity(model.SeverityCritical))
		require.Equal(t, at(3), *s.c.Action.AckDueAt, "a graver matter counts from the raise")
		s.move(at(2.5), holdUntil(12)).fire(at(12))
		require.Equal(t, at(12.5), *s.c.Action.AckDueAt)
		s.fire(at(12.5)).move(at(13), toSeverity(model.SeverityMedium)).fireUntil(at(300))
		require.Equal(t, []sla.PlannedEvent{ack(1, 12.5)}, acks(s), "what was missed stays so")
		require.Equal(t, at(12.5), *s.c.Action.AckDueAt)
	})
	t.Run("without an owner there is nobody to start", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityHigh, withAck, func(a *model.Action, _ *sla.Config) { a.AssignedTo = nil })
		require.Nil(t, s.c.Action.AckDueAt)
		s.move(at(1), sla.MoveRequest{Move: model.MoveAssign, Assignee: personID("ann")})
		require.Equal(t, at(5), *s.c.Action.AckDueAt)
	})
	t.Run("a severity may have none", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityLow, withAck)
		require.Nil(t, s.c.Action.AckDueAt)
	})
	t.Run("from one that has none to one that has", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityLow, withAck).move(at(2), toSeverity(model.SeverityHigh))
		require.Equal(t, ack(1, 6), sla.Upcoming(s.c)[0])
		require.Contains(t, s.last.Logs[0].Message, "to be started by 2026-03-02 14:00 UTC")
		s.move(at(3), toSeverity(model.SeverityLow)).move(at(3), toSeverity(model.SeverityHigh))
		require.Equal(t, ack(1, 7), sla.Upcoming(s.c)[0])
	})
	t.Run("a submission makes no difference to it", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityHigh, withAck).move(at(1), start).move(at(2), by("ann", model.MoveSubmit)).
			move(at(10), by("pxa", model.MoveReject)).fireUntil(at(300))
		require.Empty(t, acks(s))
		require.Equal(t, at(4), *s.c.Action.AckDueAt)
	})
	t.Run("a move that is beside the point supersedes its message", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityHigh, withAck).move(at(6), sla.MoveRequest{Move: model.MoveCancel})
		require.Equal(t, model.DoneSuperseded, s.c.Events[0].Done)
	})
	t.Run("where the manager is the owner, the next rung is told", func(t *testing.T) {
		t.Parallel()
		people := cast{Assignee: "mgr", Manager: "mgr", PXAdmins: []string{"pxa"}}
		a, cfg := newAction(model.SeverityHigh, monday, people), builtIn()
		withAck(&a, cfg)
		s := openScene(t, a, cfg, house(people), monday).fire(at(4))
		require.Equal(t, []model.UserID{personID("pxa")}, s.c.Events[0].Told.V)
	})
	t.Run("where nobody is there to be told, it is recorded", func(t *testing.T) {
		t.Parallel()
		people := cast{Assignee: "ann"}
		a, cfg := newAction(model.SeverityHigh, monday, people), builtIn()
		withAck(&a, cfg)
		s := openScene(t, a, cfg, house(people), monday).fire(at(4))
		require.Equal(t, model.DoneUntargeted, s.c.Events[0].Done)
	})
}

func TestAcknowledgementInWorkingDays(t *testing.T) {
	t.Parallel()
	spec := sla.CalendarSpec{Name: "office", Timezone: "UTC", Weekly: map[string][]sla.Hours{"mon-fri": {{Open: 8 * 3600, Close: 16 * 3600}}}}
	office, err := spec.Compile()
	require.NoError(t, err)
	friday := monday.AddDate(0, 0, 4)
	a, cfg := newAction(model.SeverityMedium, friday, usualCast()), builtIn()
	withAck(&a, cfg)
	c := sla.Case{Action: a, Config: cfg, Open: office, Dir: house(usualCast())}
	out := sla.Open(c, friday)
	require.Equal(t, friday.AddDate(0, 0, 3), *out.Action.AckDueAt, "Monday at the same time")

	// Monday becomes a holiday: the time to start moves with the calendar.
	var date sla.Date
	require.NoError(t, date.UnmarshalText([]byte("2026-03-09")))
	spec.Holidays = []sla.HolidaySpec{{Date: date}}
	office, err = spec.Compile()
	require.NoError(t, err)
	c.Action = out.Action
	out = sla.Recalendar(c, sla.OpenTime{Name: "office", Revision: 2, Calendar: office}, friday.Add(time.Hour))
	require.Equal(t, friday.AddDate(0, 0, 4), *out.Action.AckDueAt)
	require.Equal(t, []any{model.EventAck, friday.AddDate(0, 0, 4)}, []any{out.Action.NextKind, *out.Action.NextAt})
	require.Contains(t, out.Logs[0].Message, "to be started by 2026-03-10 08:00 UTC")
}
