package sla

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"github.com/pxactions/px/model"
)

// FuzzParseDirectory looks for directories that panic, that are refused without a
// field's name, or that do not read back as they were written.
func FuzzParseDirectory(f *testing.F) {
	f.Fuzz(func(t *testing.T, src []byte) {
		d, err := ParseDirectory(src)
		if err != nil {
			named(t, err)
			return
		}
		out, err := d.YAML()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ParseDirectory(out); err != nil || !reflect.DeepEqual(d, again) {
			t.Errorf("%v: %+v came back as %+v from\n%s", err, d, again, out)
		}
	})
}

// FuzzParseDirectoryList is FuzzParseDirectory for the entries of one kind, as
// JSON, that another system sends.
func FuzzParseDirectoryList(f *testing.F) {
	f.Fuzz(func(t *testing.T, of uint8, raw []byte) {
		kinds := DirectoryKinds()
		kind := kinds[int(of)%len(kinds)]
		if !json.Valid(raw) {
			return // the caller has seen to that
		}
		d, err := ParseDirectoryList(kind, raw)
		if err != nil {
			named(t, err)
			return
		}
		out, err := json.Marshal(reflect.ValueOf(d).Elem().FieldByIndex(listOf(kind)).Interface())
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ParseDirectoryList(kind, out); err != nil || !reflect.DeepEqual(d, again) {
			t.Errorf("%v: %+v came back as %+v from\n%s", err, d, again, out)
		}
	})
}

// listOf is the field of a document that has the entries of a kind.
func listOf(kind DirectoryKind) []int {
	name := map[DirectoryKind]string{KindHospitals: "Hospitals", KindDepartments: "Departments", KindUsers: "Users"}[kind]
	field, _ := reflect.TypeFor[DirectoryDoc]().FieldByName(name)
	return field.Index
}

// named fails for a refusal that does not say which field is wrong and what would
// be right.
func named(t *testing.T, err error) {
	t.Helper()
	var faults model.FieldErrors
	if !errors.As(err, &faults) || len(faults) == 0 {
		t.Errorf("%T %v names no field", err, err)
	}
	for _, f := range faults {
		if f.Field == "" || f.Code == "" || f.Want == "" {
			t.Errorf("half a fault: %+v", f)
		}
	}
}
