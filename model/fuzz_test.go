package model_test

import (
	"errors"
	"testing"

	"github.com/pxactions/px/model"
)

// FuzzParseCursor looks for places in the stream that are read as something else
// than they say, and for refusals that do not name the field, or quote it.
func FuzzParseCursor(f *testing.F) {
	f.Fuzz(func(t *testing.T, s string) {
		c, err := model.ParseCursor("Last-Event-ID", s)
		if err == nil {
			if c.String() != s || c.XID >= 1<<63 || c.Seq < 0 || int64(c.Seq) >= 1<<31 {
				t.Errorf("%q is read as %+v", s, c)
			}
			return
		}
		var faults model.FieldErrors
		if !errors.As(err, &faults) || c != (model.Cursor{}) ||
			err.Error() != "Last-Event-ID: the id of a change, as it was given, or 0 for the beginning" {
			t.Errorf("%q: %+v, %v", s, c, err)
		}
	})
}

// FuzzParseID looks for ids that are read as something else than they say.
func FuzzParseID(f *testing.F) {
	f.Fuzz(func(t *testing.T, s string) {
		id, err := model.ParseID[model.Action](s)
		if err != nil {
			return
		}
		for _, form := range []string{id.String(), id.Hex()} {
			again, err := model.ParseID[model.Action](form)
			if err != nil || again != id {
				t.Errorf("%q, %q: %v, %v", s, form, again, err)
			}
		}
	})
}
