package sla

import (
	"reflect"
	"testing"

	"github.com/pxactions/px/model"
)

// specs are the structs of the policy document, by name.
func specs(t reflect.Type, into map[string]reflect.Type) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		specs(t.Elem(), into)
	case reflect.Struct:
		if isText(t) {
			return
		}
		into[t.Name()] = t
		for i := range t.NumField() {
			specs(t.Field(i).Type, into)
		}
	}
}

// TestExamplesOfTheSchema reads the example of each key as the parser would.
func TestExamplesOfTheSchema(t *testing.T) {
	t.Parallel()
	all, told := map[string]reflect.Type{}, schemaWords()
	specs(reflect.TypeFor[Policy](), all)
	for name, ty := range all {
		_, keys := yamlFields(ty)
		for _, key := range keys {
			w := told[name+"."+key]
			delete(told, name+"."+key)
			if w.example == "" {
				continue
			}
			v := reflect.New(ty)
			if err := readDocument([]File{{Text: []byte(key + ": " + w.example)}}, v.Interface(), func() model.FieldErrors { return nil }); err != nil {
				t.Errorf("%s.%s: %v", name, key, err)
			}
			if v.Elem().IsZero() {
				t.Errorf("%s.%s: the example is what counts when it is left out", name, key)
			}
		}
	}
	for key := range told {
		t.Errorf("%s has words and is no key", key)
	}
}

func TestAKeyHalfToldIsMissing(t *testing.T) {
	t.Parallel()
	b := schemaBuilder{}
	b.tell("Policy.max_age", map[string]any{"type": "string"}, false)
	if len(b.missing) > 0 {
		t.Errorf("missing: %v", b.missing)
	}
	list := map[string]any{"items": map[string]any{"$ref": "#/$defs/config"}}
	b.tell("Policy.none", map[string]any{"type": "string"}, false) // no words
	b.tell("Policy.max_age", map[string]any{"type": "string"}, true)
	b.tell("UpTo.severity", map[string]any{"type": "string"}, false) // not what counts without it
	b.tell("Policy.sla", map[string]any{"type": "string"}, false)    // no example
	b.tell("Policy.max_age", list, false)                            // an example of what has them in its keys
	if len(b.missing) != 5 {
		t.Errorf("missing: %v", b.missing)
	}
}
