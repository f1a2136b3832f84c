package engine_test

import (
	"errors"
	"testing"
	"time"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/model"
)

func TestThePolicySaysHowOldFeedbackMayBe(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, []byte("max_age: 36h\n"))
	for _, tt := range []struct {
		name string
		age  time.Duration
		ok   bool
	}{{"within", 35 * time.Hour, true}, {"beyond", 37 * time.Hour, false}} {
		at := scenario.Start().Add(-tt.age)
		receipts, err := w.Engine.Accept(t.Context(), engine.Source{System: "test"}, []engine.Event{{
			EventID: tt.name, SourceType: model.SourceComplaint, Hospital: "RUH", ReceivedAt: &at,
		}})
		if err != nil {
			t.Fatal(err)
		}
		var faults model.FieldErrors
		if refused := errors.As(receipts[0].Err, &faults); refused == tt.ok {
			t.Errorf("%s: %+v", tt.name, receipts[0])
		} else if refused && faults[0].Want != "at most 36h0m0s ago, or mode history" {
			t.Errorf("%s: wants %q", tt.name, faults[0].Want)
		}
	}
}
