package sla

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/pxactions/px/model"
)

// Schema is the JSON Schema (2020-12) of the policy document, for editors: they
// complete its keys and values, and tell what they mean. It follows from the
// structs that read the document, so it has every key that they have. It cannot
// say all that ParsePolicy checks.
func Schema() ([]byte, error) {
	b := schemaBuilder{defs: map[string]any{}}
	root := b.object(reflect.TypeFor[Policy]())
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "PX Action Center policy"
	root["$defs"] = b.defs
	if len(b.missing) > 0 {
		return nil, fmt.Errorf("the schema lacks words or a form for %s", strings.Join(b.missing, ", "))
	}
	return json.MarshalIndent(root, "", "  ")
}

// schemaBuilder makes the schema of one document.
type schemaBuilder struct {
	defs    map[string]any // of the structs in it, by name
	missing []string       // what schemaWords or schemaTexts have nothing for
}

// object is the schema of a struct: a key that is written even when it is zero
// has to be there.
func (b *schemaBuilder) object(t reflect.Type) map[string]any {
	properties, required := map[string]any{}, []string{}
	words := schemaWords()
	fields, keys := yamlFields(t)
	for _, key := range keys {
		f := t.Field(fields[key])
		s := b.of(f.Type, key)
		if s["description"] = words[t.Name()+"."+key]; s["description"] == "" {
			b.missing = append(b.missing, t.Name()+"."+key)
		}
		properties[key] = s
		if !strings.Contains(f.Tag.Get("yaml"), ",omit") {
			required = append(required, key)
		}
	}
	o := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		o["required"] = required
	}
	return o
}

// of is the schema of a value that stands at a key, a map of its own.
func (b *schemaBuilder) of(t reflect.Type, key string) map[string]any {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if enum := schemaEnums()[t]; enum != nil {
		return map[string]any{"enum": enum}
	}
	if isText(t) {
		pattern, known := schemaTexts()[t]
		if !known {
			b.missing = append(b.missing, t.Name())
		}
		return map[string]any{"type": "string", "pattern": pattern}
	}
	switch t.Kind() {
	case reflect.Struct:
		name := strings.ToLower(strings.TrimSuffix(t.Name(), "Spec"))
		if b.defs[name] == nil {
			b.defs[name] = b.object(t)
		}
		return map[string]any{"$ref": "#/$defs/" + name}
	case reflect.Map:
		return b.mapping(t, key)
	case reflect.Slice:
		return b.list(t, key)
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int, reflect.Float64:
		return number(t.Kind(), key)
	default:
		return map[string]any{"type": "string"}
	}
}

// mapping is by severity, or by weekdays.
func (b *schemaBuilder) mapping(t reflect.Type, key string) map[string]any {
	o := map[string]any{"type": "object", "additionalProperties": false}
	enum := schemaEnums()[t.Key()]
	if enum == nil {
		day := "(" + strings.Join(weekdays[:], "|") + ")"
		o["patternProperties"] = map[string]any{"^" + day + "(-" + day + ")?$": b.of(t.Elem(), key)}
		return o
	}
	properties := map[string]any{}
	for _, k := range enum {
		properties[k] = b.of(t.Elem(), key)
	}
	o["properties"] = properties
	return o
}

// list may be a single value where that is no mapping, as readSlice has it.
func (b *schemaBuilder) list(t reflect.Type, key string) map[string]any {
	item := b.of(t.Elem(), key)
	whole := map[string]any{"type": "array", "items": item}
	if item["$ref"] != nil {
		return whole
	}
	return map[string]any{"anyOf": []any{item, whole}}
}

func number(k reflect.Kind, key string) map[string]any {
	s := map[string]any{"type": "number"}
	if k == reflect.Int {
		s["type"] = "integer"
	}
	switch {
	case key == "after_hours":
		s["exclusiveMinimum"], s["maximum"] = 0, maxHours
	case strings.Contains(key, "_hours"):
		s["minimum"], s["maximum"] = 1, maxHours
	case key == "repeat":
		s["minimum"], s["maximum"] = 0, maxRepeat
	}
	return s
}

// schemaEnums are the types of which a value is one of a few words.
func schemaEnums() map[reflect.Type][]string {
	return map[reflect.Type][]string{
		reflect.TypeFor[model.SourceType](): texts(model.SourceTypes()),
		reflect.TypeFor[model.Category]():   texts(model.Categories()),
		reflect.TypeFor[model.Severity]():   texts(model.Severities()),
		reflect.TypeFor[model.Channel]():    texts(model.Channels()),
		reflect.TypeFor[Complaints]():       {string(ComplaintsAlways), string(ComplaintsNever)},
		reflect.TypeFor[MergeKind]():        {string(MergeJoin), string(MergeLink)},
		reflect.TypeFor[Reopening]():        {string(ReopenFresh), string(ReopenRemaining)},
		reflect.TypeFor[ClockKind]():        {string(ClockElapsed), string(ClockOpen)},
	}
}

// schemaTexts are the forms of the types that are read from one text.
func schemaTexts() map[reflect.Type]string {
	const span = `([0-9]+(\.[0-9]+)?(h|m|s|ms))+`
	const clock = `[0-9]{1,2}:[0-9]{2}(:[0-9]{2})?`
	return map[reflect.Type]string{
		reflect.TypeFor[Age]():             `^([0-9]+d|` + span + `)$`,
		reflect.TypeFor[Date]():            `^([0-9]{4}-)?[0-9]{2}-[0-9]{2}$`,
		reflect.TypeFor[Hours]():           `^` + clock + ` *- *` + clock + `$`,
		reflect.TypeFor[TargetSpec]():      `^([0-9]+wd|` + span + `)$`,
		reflect.TypeFor[ReminderSpec]():    `^([0-9]+(\.[0-9]+)?%|` + span + `)( +(open|elapsed))?$`,
		reflect.TypeFor[AckTargetSpec]():   `^([0-9]+wd|none|` + span + `)$`,
		reflect.TypeFor[StageTargetSpec](): `^(manager|role: *[^ ].*|user: *[^ ].*)$`,
	}
}

func texts[T ~string](all []T) []string {
	words := make([]string, len(all))
	for i, v := range all {
		words[i] = string(v)
	}
	return words
}
