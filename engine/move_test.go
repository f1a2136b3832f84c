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
		"text":        {Move: model.MoveNote, Text: "a\x00b"},
		"reason":      {Move: model.MoveCancel, Reason: "\xff"},
		"action_plan": {Move: model.MoveSubmit, ActionPlan: "\x00"},
		"outcome":     {Move: model.MoveSubmit, Outcome: "\x00"},
	} {
		_, err := w.Engine.Move(t.Context(), *created[0].ActionID, 0, req)
		var faults model.FieldErrors
		if !errors.As(err, &faults) || faults[0].Field != name || !strings.Contains(faults[0].Want, "UTF-8") {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.Holds()
}
