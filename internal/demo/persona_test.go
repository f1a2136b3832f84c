package demo

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/model"
)

func TestPersonasAreDealtAlike(t *testing.T) {
	t.Parallel()
	for _, severity := range model.Severities() {
		seen := map[persona]bool{}
		for n := range 10 {
			require.Equal(t, personaOf(severity, n), personaOf(severity, n))
			seen[personaOf(severity, n)] = true
		}
		require.True(t, seen[inTime], "%s: some are worked in time", severity)
		require.True(t, seen[never], "%s: some are never worked", severity)
		require.False(t, seen[prompt], "%s: only what comes in overdue", severity)
	}
	require.Equal(t, late3, personaOf(model.SeverityCritical, 0), "the first climbs the whole ladder")
	require.Equal(t, late3, personaOf(model.SeverityHigh, 0))
}

func TestPersonaWaitsForItsStage(t *testing.T) {
	t.Parallel()
	require.Equal(t, []int{1, 2, 3}, []int{late1.waitsFor(), late2.waitsFor(), late3.waitsFor()})
	for _, p := range []persona{inTime, rejected, prompt, never} {
		require.Zero(t, p.waitsFor())
	}
}

func TestSteps(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		who      persona
		approval bool
		want     []model.Move
		before   time.Duration // when the work is done at the latest, of four hours; 0: does not matter
	}{
		{"in time with approval", inTime, true,
			[]model.Move{model.MoveStart, model.MoveNote, model.MoveSubmit, model.MoveApprove, model.MoveClose}, 4 * time.Hour},
		{"in time without approval", inTime, false, []model.Move{model.MoveStart, model.MoveNote, model.MoveClose}, 4 * time.Hour},
		{"rejected once", rejected, true,
			[]model.Move{
				model.MoveStart, model.MoveNote, model.MoveSubmit, model.MoveReject, model.MoveNote, model.MoveSubmit, model.MoveApprove, model.MoveClose,
			}, 4 * time.Hour},
		{"late, but before the next stage", late2, true,
			[]model.Move{model.MoveStart, model.MoveNote, model.MoveSubmit, model.MoveApprove, model.MoveClose}, time.Hour},
		{"prompt", prompt, true, []model.Move{model.MoveStart, model.MoveNote, model.MoveSubmit, model.MoveApprove, model.MoveClose}, time.Hour},
		{"never", never, true, nil, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, spread := range []float64{0, 0.5, 0.99} {
				var moves []model.Move
				var took time.Duration
				for _, s := range tt.who.steps(4*time.Hour, tt.approval, spread) {
					require.Positive(t, s.after)
					moves, took = append(moves, s.move), took+s.after
				}
				require.Equal(t, tt.want, moves)
				require.LessOrEqual(t, took, tt.before)
			}
		})
	}
}
