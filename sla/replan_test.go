package sla_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
)

// ladders gives every severity 24 hours and its own gaps.
func ladders(gaps map[model.Severity][]time.Duration) func(*model.Action, *sla.Config) {
	return func(a *model.Action, cfg *sla.Config) {
		sameTargets(a, cfg)
		for sev, gs := range gaps {
			cfg.Stages[sev] = nil
			for _, g := range gs {
				cfg.Stages[sev] = append(cfg.Stages[sev], sla.Stage{Gap: g})
			}
		}
	}
}

func TestNoChangeMakesAStageLater(t *testing.T) {
	t.Parallel()
	const h = time.Hour
	uneven := ladders(map[model.Severity][]time.Duration{model.SeverityCritical: {h, h, h}, model.SeverityHigh: {3 * h, 5 * h, 7 * h}})

	t.Run("longer gaps don't apply to an overdue action's stages", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityCritical, uneven).fireUntil(at(24)).move(at(24.5), toSeverity(model.SeverityHigh))
		require.Equal(t, []planned{{model.EventEscalation, 1, 25}, {model.EventEscalation, 2, 26}, {model.EventEscalation, 3, 27}}, s.plan())
		require.Empty(t, s.heard(), "nothing moved")
	})
	t.Run("they still shift together after an outage", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityCritical, uneven).fireUntil(at(24)).move(at(24.5), toSeverity(model.SeverityHigh)).fire(at(40))
		require.Equal(t, []planned{{model.EventEscalation, 2, 41}, {model.EventEscalation, 3, 42}}, s.plan())
	})
	t.Run("shorter gaps do", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityHigh, uneven).fireUntil(at(24)).move(at(24.5), toSeverity(model.SeverityCritical))
		require.Equal(t, []planned{{model.EventEscalation, 1, 25}, {model.EventEscalation, 2, 26}, {model.EventEscalation, 3, 27}}, s.plan())
	})
	t.Run("and toggling back keeps them", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityHigh, uneven).fireUntil(at(24)).
			move(at(24.5), toSeverity(model.SeverityCritical)).move(at(24.6), toSeverity(model.SeverityHigh))
		require.Equal(t, planned{model.EventEscalation, 1, 25}, s.plan()[0])
		require.Equal(t, planned{model.EventEscalation, 3, 27}, s.plan()[2])
	})
	t.Run("before overdue the new ladder holds", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityCritical, uneven).move(at(1), toSeverity(model.SeverityHigh))
		require.Equal(t, []planned{{model.EventEscalation, 1, 27}, {model.EventEscalation, 2, 32}, {model.EventEscalation, 3, 39}}, s.plan()[2:])
	})
	t.Run("a shift by lateness is no change and stands", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityCritical, sameTargets).fireUntil(at(24)).fire(at(27.5)).move(at(28), toSeverity(model.SeverityHigh))
		require.Equal(t, []planned{{model.EventEscalation, 2, 29.5}, {model.EventEscalation, 3, 31.5}}, s.plan())
	})
	t.Run("the earliest time since the last reopening stands, also from an earlier period", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityHigh).fireUntil(at(48)).
			move(at(49), toSeverity(model.SeverityLow)). // period 2, due at 120; stage 1 had 50
			move(at(49.5), toSeverity(model.SeverityCritical))
		require.Equal(t, planned{model.EventEscalation, 1, 51.5}, s.plan()[0], "not overdue before: a gap from now")
		s.move(at(49.6), toSeverity(model.SeverityHigh))
		require.Equal(t, planned{model.EventEscalation, 1, 50}, s.plan()[0])
	})
	t.Run("but not before now", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityHigh).fireUntil(at(48)).move(at(49), toSeverity(model.SeverityLow)).
			move(at(51), toSeverity(model.SeverityCritical)).move(at(51.5), toSeverity(model.SeverityHigh))
		require.Equal(t, planned{model.EventEscalation, 1, 51.5}, s.plan()[0])
		s.fire(at(51.5))
		require.Equal(t, at(51.5), s.event(2, model.EventEscalation, 1).Planned)
	})
	t.Run("a stage taken in an earlier period leaves no time behind", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityCritical).move(at(1), toDue(at(30))).fireUntil(at(32)).
			move(at(33), toDue(at(60))).fireUntil(at(60)).move(at(61), toSeverity(model.SeverityHigh))
		require.Equal(t, planned{model.EventEscalation, 1, 62}, s.plan()[0])
	})
	t.Run("a new period has whole gaps again", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityCritical, uneven).fireUntil(at(24)).move(at(24.5), toSeverity(model.SeverityHigh)).move(at(24.6), toDue(at(60)))
		require.Equal(t, []planned{{model.EventEscalation, 1, 63}, {model.EventEscalation, 2, 68}, {model.EventEscalation, 3, 75}}, s.plan()[2:])
	})
	t.Run("reopening forgets", func(t *testing.T) {
		t.Parallel()
		s := opened(t, model.SeverityCritical).move(at(1), by("ann", model.MoveStart)).fireUntil(at(24)).move(at(25), toSeverity(model.SeverityHigh)).
			move(at(26), by("ann", model.MoveSubmit)).move(at(27), by("pxa", model.MoveApprove)).move(at(28), by("ann", model.MoveClose)).
			move(at(100), by("mgr", model.MoveReopen)).fireUntil(at(148)).move(at(149), toSeverity(model.SeverityCritical))
		require.Equal(t, planned{model.EventEscalation, 1, 150}, s.plan()[0])
	})
}

func TestPausesAreJudgedByTheDueThatTheyFollow(t *testing.T) {
	t.Parallel()
	// The pause from 30 to 40 lies before high's due, but after critical's.
	s := opened(t, model.SeverityHigh).move(at(1), by("ann", model.MoveStart)).
		move(at(30), by("ann", model.MoveSubmit)).move(at(40), by("pxa", model.MoveReject))
	require.Equal(t, []any{at(58), int64(36000)}, []any{s.c.Action.DueAt, s.c.Action.PausedSeconds})
	s.move(at(41), toSeverity(model.SeverityCritical))
	require.Equal(t, []any{at(24), int64(0)}, []any{s.c.Action.DueAt, s.c.Action.PausedSeconds})
	s.move(at(41), toSeverity(model.SeverityMedium))
	require.Equal(t, []any{at(82), int64(36000), 2}, []any{s.c.Action.DueAt, s.c.Action.PausedSeconds, s.c.Action.Period})
}

func TestAPauseFromTheDueOnMovesNothing(t *testing.T) {
	t.Parallel()
	s := opened(t, model.SeverityCritical).move(at(1), by("ann", model.MoveStart)).move(at(1), toDue(at(10))).
		move(at(10), by("ann", model.MoveSubmit)).move(at(12), by("pxa", model.MoveReject))
	require.Equal(t, []any{at(16), int64(0)}, []any{s.c.Action.DueAt, s.c.Action.PausedSeconds}, "the floor only")
}

func TestPlanMemorySurvivesTheDatabase(t *testing.T) {
	t.Parallel()
	const h = time.Hour
	s := opened(t, model.SeverityCritical, ladders(map[model.Severity][]time.Duration{model.SeverityHigh: {5 * h, 5 * h, 5 * h}})).
		move(at(1), by("ann", model.MoveStart)).move(at(2), by("ann", model.MoveSubmit)).move(at(3), by("pxa", model.MoveReject)).
		fireUntil(at(25)).move(at(25.5), toSeverity(model.SeverityHigh))
	mem := s.c.Action.Plan
	require.NotNil(t, mem.V.Fixed)
	require.NotNil(t, mem.V.Earliest)
	require.NotEmpty(t, mem.V.Gaps)
	require.NotEmpty(t, mem.V.Pauses)
	src, err := json.Marshal(mem)
	require.NoError(t, err)
	var back model.JSON[model.PlanMemory]
	require.NoError(t, json.Unmarshal(src, &back))
	require.Equal(t, mem, back)
}
