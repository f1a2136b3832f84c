package model_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pxactions/px/model"
)

// legal is the workflow as it is told to people: from each status, each move
// and where it leads. What is not here is refused.
func legal() map[model.Status]map[model.Move]model.Status {
	const (
		open, working, pending = model.StatusOpen, model.StatusInProgress, model.StatusPendingApproval
		approved, closed, gone = model.StatusApproved, model.StatusClosed, model.StatusCancelled
	)
	return map[model.Status]map[model.Move]model.Status{
		open: {
			model.MoveStart: working, model.MoveCancel: gone, model.MoveAssign: open, model.MoveNote: open, model.MoveSeverity: open,
			model.MoveDepartment: open, model.MoveDue: open, model.MoveHold: open, model.MoveEscalate: open, model.MoveAttach: open,
		},
		working: {
			model.MoveSubmit: pending, model.MoveClose: closed, model.MoveCancel: gone, model.MoveAssign: working, model.MoveNote: working,
			model.MoveSeverity: working, model.MoveDepartment: working, model.MoveDue: working, model.MoveHold: working,
			model.MoveEscalate: working, model.MoveAttach: working,
		},
		pending: {
			model.MoveApprove: approved, model.MoveReject: working, model.MoveCancel: gone, model.MoveAssign: pending, model.MoveNote: pending,
			model.MoveAttach: pending,
		},
		approved: {
			model.MoveClose: closed, model.MoveCancel: gone, model.MoveAssign: approved, model.MoveNote: approved, model.MoveAttach: approved,
		},
		closed: {model.MoveReopen: working, model.MoveNote: closed},
		gone:   {model.MoveNote: gone},
	}
}

func TestEveryMoveFromEveryStatus(t *testing.T) {
	t.Parallel()
	for _, from := range model.Statuses() {
		for _, m := range model.Moves() {
			want, ok := legal()[from][m]
			to, err := model.Transition(&model.Action{Status: from}, m, "a reason")
			var illegal *model.TransitionError
			switch {
			case ok && (err != nil || to != want):
				t.Errorf("%s from %s = %s, %v; want %s", m, from, to, err, want)
			case !ok && !errors.As(err, &illegal):
				t.Errorf("%s from %s = %s, %v; want it refused", m, from, to, err)
			case !ok && (illegal.From != from || illegal.Move != m || slices.Contains(illegal.Legal, m) || len(illegal.Legal) != len(legal()[from])):
				t.Errorf("refusal = %+v, want the legal moves named", illegal)
			case !ok && !strings.Contains(err.Error(), string(from)):
				t.Errorf("refusal = %q, want the status named", err)
			}
		}
	}
}

func TestWhileHeldOnlyResumeCancelNoteAndAttachAreLegal(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	for _, from := range []model.Status{model.StatusOpen, model.StatusInProgress} {
		held := &model.Action{Status: from, HeldAt: &at}
		for _, m := range model.Moves() {
			want := slices.Contains([]model.Move{model.MoveResume, model.MoveCancel, model.MoveNote, model.MoveAttach}, m)
			if _, err := model.Transition(held, m, "a reason"); want != (err == nil) {
				t.Errorf("%s of a held action that is %s = %v; want allowed: %t", m, from, err, want)
			}
		}
	}
}

func TestMovesThatNeedAReason(t *testing.T) {
	t.Parallel()
	need := []model.Move{model.MoveReject, model.MoveCancel, model.MoveReopen, model.MoveDue, model.MoveHold, model.MoveEscalate}
	for from, moves := range legal() {
		for m := range moves {
			_, err := model.Transition(&model.Action{Status: from}, m, "")
			var faults model.FieldErrors
			if needs := errors.As(err, &faults); needs != slices.Contains(need, m) {
				t.Errorf("%s from %s without a reason = %v", m, from, err)
			} else if needs && (len(faults) != 1 || faults[0].Field != "reason" || faults[0].Code != "required") {
				t.Errorf("%s without a reason = %+v, want the reason required", m, faults)
			}
		}
	}
}

func TestLive(t *testing.T) {
	t.Parallel()
	for _, s := range model.Statuses() {
		want := s != model.StatusClosed && s != model.StatusCancelled
		if a := (&model.Action{Status: s}); a.Live() != want || s.Live() != want {
			t.Errorf("%s live = %t", s, a.Live())
		}
	}
}

func TestSeveritiesAreOrdered(t *testing.T) {
	t.Parallel()
	for i, s := range model.Severities() {
		if s.Rank() != i+1 {
			t.Errorf("rank of %s = %d, want %d", s, s.Rank(), i+1)
		}
	}
	if model.Severity("").Rank() != 0 || model.Severity("grave").Rank() != 0 {
		t.Error("what is no severity has a rank")
	}
}

func TestErrorsNameEveryFault(t *testing.T) {
	t.Parallel()
	var faults model.FieldErrors
	if faults.Err() != nil {
		t.Error("no fault is an error")
	}
	faults.Add("score.max", "range", "greater than score.min")
	faults.Add("reason", "required", "say why")
	if got, want := faults.Err().Error(), "score.max: greater than score.min; reason: say why"; got != want {
		t.Errorf("error = %q, want %q", got, want)
	}
	refused := &model.TransitionError{Move: model.MoveClose, From: model.StatusInProgress, Why: "it needs approval first"}
	if got, want := refused.Error(), "cannot close: it needs approval first"; got != want {
		t.Errorf("error = %q, want %q", got, want)
	}
	if got := (&model.TransitionError{Move: model.MoveStart, From: model.StatusCancelled}).Error(); !strings.HasSuffix(got, "possible: nothing") {
		t.Errorf("error = %q, want it to say that nothing is possible", got)
	}
}

func TestReasonsByWeight(t *testing.T) {
	t.Parallel()
	order := []model.Reason{model.ReasonPlanChange, model.ReasonReminder, model.ReasonAssigned, model.ReasonOverdue, model.ReasonEscalation}
	for i, r := range order {
		if r.Weight() != i+1 {
			t.Errorf("weight of %s = %d, want %d", r, r.Weight(), i+1)
		}
	}
}
