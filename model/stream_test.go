package model_test

import (
	"errors"
	"testing"

	"github.com/pxactions/px/model"
)

func TestCursorsAreReadAsTheyWereWritten(t *testing.T) {
	t.Parallel()
	for _, c := range []model.Cursor{
		{},
		{Epoch: "1f3c", XID: 42},
		{Epoch: "1f3c", XID: 1 << 62, ActionID: model.NewID[model.Action](), Seq: 7},
	} {
		got, err := model.ParseCursor("after", c.String())
		if err != nil || got != c {
			t.Errorf("ParseCursor(%s) = %+v, %v; want %+v", c, got, err, c)
		}
	}
	id := model.NewID[model.Action]()
	for _, bad := range []string{
		"", "-", "1", "x", "a-1-2", "-1-" + id.Hex() + "-1", "a-1-" + id.String() + "-1", "a-01-" + id.Hex() + "-1", "a--1-" + id.Hex() + "-1",
		"a-1-" + id.Hex() + "-", "a-1-" + id.Hex() + "-1-1", "a-18446744073709551615-" + id.Hex() + "-1", "a-1-" + id.Hex() + "-4294967296",
	} {
		_, err := model.ParseCursor("after", bad)
		var faults model.FieldErrors
		if !errors.As(err, &faults) || faults[0].Field != "after" {
			t.Errorf("ParseCursor(%q) = %v, want a fault of the field", bad, err)
		}
	}
}
