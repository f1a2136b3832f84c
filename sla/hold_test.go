package sla_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
)

func holdUntil(h float64) sla.MoveRequest {
	return sla.MoveRequest{Move: model.MoveHold, Reason: "waits for the family", Until: at(h), Actor: personID("ann").Ptr()}
}

func TestHold(t *testing.T) {
	t.Parallel()
	resume := sla.MoveRequest{Move: model.MoveResume, Actor: personID("ann").Ptr()}
	t.Run("nothing but its end is planned meanwhile", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityHigh).move(at(10), holdUntil(30))
		require.Equal(t, []sla.PlannedEvent{{Kind: model.EventResume, Stage: 1, At: at(30)}}, sla.Upcoming(s.c))
		_, fired := sla.Fire(s.c, at(29.9))
		require.False(t, fired)
		for _, m := range []model.Move{model.MoveStart, model.MoveSeverity, model.MoveAssign, model.MoveHold, model.MoveDue} {
			_, err := sla.Apply(s.c, sla.MoveRequest{Move: m, Reason: "because"}, at(11))
			var te *model.TransitionError
			require.ErrorAs(t, err, &te, m)
		}
		s.move(at(11), sla.MoveRequest{Move: model.MoveNote, Text: "rang them"})
		require.True(t, s.c.Action.Held())
	})
	t.Run("it resumes by itself, the pause out", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityHigh) // due at 48, reminder at 44
		s.move(at(10), holdUntil(30)).fire(at(30.5))
		a := s.c.Action
		require.False(t, a.Held())
		require.Equal(t, at(68), a.DueAt, "moved by the hold, not by the lateness of the job")
		require.EqualValues(t, 20*3600, a.PausedSeconds)
		require.Equal(t, at(48), a.OriginalDueAt)
		require.Equal(t, []any{at(64), model.EventReminder}, []any{*a.NextAt, a.NextKind})
		e := s.c.Events[len(s.c.Events)-1]
		require.Equal(t, []any{model.EventResume, 1, at(30), at(30.5)}, []any{e.Kind, e.Stage, e.Planned, e.Fired})
	})
	t.Run("a person resumes it", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityHigh).move(at(10), holdUntil(30)).move(at(15), resume)
		require.Equal(t, at(53), s.c.Action.DueAt)
		_, err := sla.Apply(s.c, resume, at(16))
		var te *model.TransitionError
		require.ErrorAs(t, err, &te)
	})
	t.Run("a hold after the due does not move it, and a stage whose time passed is due at resume", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityHigh).fireUntil(at(48)) // overdue; stage 1 at 50
		s.move(at(49), holdUntil(60)).move(at(55), resume)
		a := s.c.Action
		require.Equal(t, at(48), a.DueAt)
		require.True(t, a.IsOverdue)
		require.Equal(t, []any{at(55), model.EventEscalation, 1}, []any{*a.NextAt, a.NextKind, *a.NextStage})
	})
	t.Run("taken stages are not taken again", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityHigh).fireUntil(at(50)) // stage 1 taken
		s.move(at(51), holdUntil(60)).fireUntil(at(100))
		stages := 0
		for _, e := range s.c.Events {
			if e.Kind == model.EventEscalation {
				stages++
			}
		}
		require.Equal(t, 3, stages)
		require.Equal(t, 1, s.c.Action.Period)
	})
	t.Run("a move that finds the hold over goes on from there", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityHigh).move(at(10), holdUntil(30)).move(at(31), sla.MoveRequest{Move: model.MoveStart})
		require.Equal(t, []any{model.StatusInProgress, at(68)}, []any{s.c.Action.Status, s.c.Action.DueAt})
	})
	t.Run("who makes that move is told of the end, which was not theirs", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityHigh).move(at(10), holdUntil(30)).move(at(31), by("ann", model.MoveStart))
		require.Equal(t, []string{"plan_change ann"}, s.heard())
		for i, row := range s.last.Logs {
			require.Equal(t, i == len(s.last.Logs)-1, row.CreatedBy != nil, row.Message)
		}
	})
	t.Run("a move that is beside the point supersedes what tells of the end", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityHigh).move(at(10), holdUntil(30)).move(at(31), by("pxb", model.MoveCancel))
		require.Equal(t, []string{"plan_change ann (superseded)"}, s.heard())
		require.Equal(t, model.DoneSuperseded, s.last.Events[0].Done)
	})
	t.Run("each hold has a number of its own", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityHigh).move(at(1), holdUntil(2)).fire(at(2)).move(at(3), holdUntil(4)).fire(at(4))
		require.Equal(t, []int{1, 2}, []int{s.c.Events[0].Stage, s.c.Events[1].Stage})
		require.Equal(t, at(50), s.c.Action.DueAt)
	})
	t.Run("cancelling ends it", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityHigh).move(at(10), holdUntil(30)).move(at(11), sla.MoveRequest{Move: model.MoveCancel, Reason: "twice"})
		require.False(t, s.c.Action.Held())
		require.Nil(t, s.c.Action.NextAt)
	})
	t.Run("its end is bounded", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityHigh)
		for _, until := range []time.Time{at(10), at(9), at(10).Add(sla.DefaultMaxHold + time.Second)} {
			_, err := sla.Apply(s.c, sla.MoveRequest{Move: model.MoveHold, Reason: "because", Until: until}, at(10))
			var faults model.FieldErrors
			require.ErrorAs(t, err, &faults, until)
			require.Equal(t, "until", faults[0].Field)
		}
		s.move(at(10), sla.MoveRequest{Move: model.MoveHold, Reason: "because"})
		require.Equal(t, at(10).Add(sla.DefaultMaxHold), *s.c.Action.ResumeAt)
	})
	t.Run("a due that moves meanwhile is judged when the clock goes on", func(t *testing.T) {
		t.Parallel()
		office := func(holidays ...string) sla.Calendar {
			spec := sla.CalendarSpec{Name: "office", Timezone: "UTC", Weekly: map[string][]sla.Hours{"mon-sun": {{Open: 0, Close: 12 * 3600}}}}
			for _, h := range holidays {
				var d sla.Date
				require.NoError(t, d.UnmarshalText([]byte(h)))
				spec.Holidays = append(spec.Holidays, sla.HolidaySpec{Date: d})
			}
			cal, err := spec.Compile()
			require.NoError(t, err)
			return cal
		}
		for _, paused := range []sla.MoveRequest{holdUntil(300), by("ann", model.MoveSubmit)} {
			s := opened(t, model.SeverityHigh).move(at(1), by("ann", model.MoveStart))
			s.c.Open = office()
			s.c.Action.DueAt = s.c.Open.Add(monday, 48*time.Hour)
			s.move(at(10), paused)
			// Long past the due, but the clock stands still.
			open := sla.OpenTime{Name: "office", Revision: 2, Calendar: office("2026-03-03")}
			s.absorb(sla.Recalendar(s.c, open, at(200)), at(200))
			s.c.Open = open.Calendar
			require.False(t, s.c.Action.IsOverdue, paused.Move)
			require.Equal(t, open.Calendar.Add(monday, 48*time.Hour), s.c.Action.DueAt)
		}
	})
	t.Run("critical ones only where the config says so", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityCritical)
		s.c.Config.HoldCritical = true
		s.move(at(1), holdUntil(2))
		require.True(t, s.c.Action.Held())
	})
}
