package engine_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
)

func TestWordsThatCannotBeStoredNameTheirField(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	ids := w.Insert(w.Complaint(model.SeverityHigh))
	created, err := w.Engine.Decide(t.Context(), ids)
	if err != nil {
		t.Fatal(err)
	}
	for name, req := range map[string]sla.MoveRequest{
		"text":                         {Move: model.MoveNote, Text: "a\x00b"},
		"reason":                       {Move: model.MoveCancel, Reason: "\xff"},
		"action_plan":                  {Move: model.MoveSubmit, ActionPlan: "\x00"},
		"outcome":                      {Move: model.MoveSubmit, Outcome: "\x00"},
		"root_cause":                   {Move: model.MoveSubmit, RootCause: "\x00"},
		"complainant_informed.why_not": {Move: model.MoveSubmit, Informed: &sla.Informed{WhyNot: "\x00"}},
	} {
		_, err := w.Engine.Move(t.Context(), *created[0].ActionID, 0, req)
		var faults model.FieldErrors
		if !errors.As(err, &faults) || faults[0].Field != name || !strings.Contains(faults[0].Want, "UTF-8") {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.Holds()
}

func TestUnmergeSaysWhy(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	first, second := w.Complaint(model.SeverityLow), w.Complaint(model.SeverityLow)
	for _, f := range []*model.Feedback{&first, &second} {
		f.SourceType, f.SubjectKey = model.SourceRounds, "k1"
	}
	ids := w.Insert(first, second)
	if _, err := w.Engine.Decide(t.Context(), ids); err != nil {
		t.Fatal(err)
	}
	for _, reason := range []string{"", " ", "a\x00b", "\xff"} {
		var faults model.FieldErrors
		if _, err := w.Engine.Unmerge(t.Context(), ids[1], sla.MoveRequest{Reason: reason}); !errors.As(err, &faults) || faults[0].Field != "reason" {
			t.Errorf("for the reason %q = %v, want it refused by its field", reason, err)
		}
	}
	w.Queue.Take()
	w.Exec("UPDATE users SET active = false")
	w.Exec("UPDATE directory_version SET version = version + 1")
	done, err := w.Engine.Unmerge(t.Context(), ids[1], sla.MoveRequest{Reason: "another patient"})
	if err != nil || done.Action.AssignedTo != nil || w.Metric("px_actions_without_owner_total") != 1 {
		t.Errorf("unmerge = %+v, %v; want an action without owner, counted", done.Action, err)
	}
	if e := w.Queue.Take(); len(e.Arm) == 0 {
		t.Error("its job was not enqueued")
	}
	if _, err := w.Engine.Unmerge(t.Context(), ids[1], sla.MoveRequest{Reason: "again"}); !errors.Is(err, model.ErrConflict) {
		t.Errorf("again = %v, want a conflict", err)
	}
	if made, refused := w.Metric("px_moves_total", "unmerge", "made"), w.Metric("px_moves_total", "unmerge", "refused"); made != 1 || refused != 1 {
		t.Errorf("counted %v made, %v refused", made, refused)
	}
	w.Holds()
}
