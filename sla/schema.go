package sla

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/pxactions/px/model"
)

// Schema is the JSON Schema (2020-12) of the policy document, for editors: they
// complete its keys and values, and tell what they mean; docs/policy.md follows
// from it. It follows from the structs that read the document, so it has every
// key that they have, in their order. It cannot say all that ParsePolicy checks.
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

// properties are the schemas of an object's keys, in order.
type properties []property

type property struct {
	key    string
	schema any
}

// MarshalJSON writes an object.
func (ps properties) MarshalJSON() ([]byte, error) {
	out := []byte("{")
	for i, p := range ps {
		if i > 0 {
			out = append(out, ',')
		}
		value, err := json.Marshal(p.schema)
		if err != nil {
			return nil, err
		}
		out = fmt.Appendf(out, "%q:%s", p.key, value)
	}
	return append(out, '}'), nil
}

// object is the schema of a struct: a key that is written even when it is zero
// has to be there.
func (b *schemaBuilder) object(t reflect.Type) map[string]any {
	all, required := properties{}, []string{}
	fields, keys := yamlFields(t)
	for _, key := range keys {
		f := t.Field(fields[key])
		s := b.of(f.Type, key)
		needed := !strings.Contains(f.Tag.Get("yaml"), ",omit")
		b.tell(t.Name()+"."+key, s, needed)
		all = append(all, property{key, s})
		if needed {
			required = append(required, key)
		}
	}
	o := map[string]any{"type": "object", "properties": all, "additionalProperties": false}
	if len(required) > 0 {
		o["required"] = required
	}
	return o
}

// tell puts a key's words into its schema.
func (b *schemaBuilder) tell(key string, s map[string]any, needed bool) {
	w := schemaWords()[key]
	if w.means == "" || (w.leftOut == "") != needed || (w.example == "") != ofObjects(s) {
		b.missing = append(b.missing, key)
		return
	}
	s["description"] = w.means
	if !needed {
		s["description"] = w.means + leftOut + w.leftOut + "."
	}
	if w.example == "" {
		return
	}
	example, err := yaml.YAMLToJSON([]byte(w.example))
	if err != nil {
		b.missing = append(b.missing, key)
		return
	}
	s["examples"] = []any{json.RawMessage(example)}
}

// leftOut begins what counts without a key, the last sentence about it.
const leftOut = " Left out: "

// ofObjects reports whether a value is an object that has a schema of its own, or
// a list or mapping of them.
func ofObjects(s map[string]any) bool {
	if item, ok := s["items"].(map[string]any); ok {
		return ofObjects(item)
	}
	if all, ok := s["properties"].(properties); ok {
		item, _ := all[0].schema.(map[string]any)
		return ofObjects(item)
	}
	return s["$ref"] != nil
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
		form, known := schemaTexts()[t]
		if !known {
			b.missing = append(b.missing, t.Name())
		}
		return map[string]any{"type": "string", "title": form.title, "pattern": form.pattern}
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

// mapping is by severity, or by weekdays: its title says so.
func (b *schemaBuilder) mapping(t reflect.Type, key string) map[string]any {
	value := b.of(t.Elem(), key)
	o := map[string]any{"type": "object", "additionalProperties": false}
	enum := schemaEnums()[t.Key()]
	if enum == nil {
		day := "(" + strings.Join(weekdays[:], "|") + ")"
		o["title"], o["patternProperties"] = "by weekdays", map[string]any{"^" + day + "(-" + day + ")?$": value}
		return o
	}
	all := properties{}
	for _, k := range enum {
		all = append(all, property{k, value})
	}
	o["title"], o["properties"] = "by "+strings.ToLower(t.Key().Name()), all
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

// number has its unit for a title.
func number(k reflect.Kind, key string) map[string]any {
	s := map[string]any{"type": "number", "title": "number"}
	if k == reflect.Int {
		s["type"], s["title"] = "integer", "whole number"
	}
	switch {
	case key == "after_hours":
		s["title"], s["exclusiveMinimum"], s["maximum"] = "hours, parts allowed", 0, maxHours
	case strings.Contains(key, "_hours"):
		s["title"], s["minimum"], s["maximum"] = "whole hours", 1, maxHours
	case key == "repeat":
		s["minimum"], s["maximum"] = 0, maxRepeat
	case key == "load_cap":
		s["minimum"] = 0
	case key == "below":
		s["exclusiveMinimum"], s["maximum"] = 0, 100
	case key == "at_least":
		s["exclusiveMinimum"] = 0
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
		reflect.TypeFor[Need]():             texts(Needs()),
		reflect.TypeFor[ClockKind]():        {string(ClockElapsed), string(ClockOpen)},
	}
}

// textForm is what a text has to look like, in words and as a regular expression.
type textForm struct{ title, pattern string }

// schemaTexts are the forms of the types that are read from one text.
func schemaTexts() map[reflect.Type]textForm {
	const span = `([0-9]+(\.[0-9]+)?(h|m|s|ms))+`
	const clock = `[0-9]{1,2}:[0-9]{2}(:[0-9]{2})?`
	return map[reflect.Type]textForm{
		reflect.TypeFor[Age]():             {"length of time", `^([0-9]+d|` + span + `)$`},
		reflect.TypeFor[Date]():            {"date", `^([0-9]{4}-)?[0-9]{2}-[0-9]{2}$`},
		reflect.TypeFor[Hours]():           {"window of hours", `^` + clock + ` *- *` + clock + `$`},
		reflect.TypeFor[TargetSpec]():      {"length of time, or of working days", `^([0-9]+wd|` + span + `)$`},
		reflect.TypeFor[ReminderSpec]():    {"length of time, or per cent", `^([0-9]+(\.[0-9]+)?%|` + span + `)( +(open|elapsed))?$`},
		reflect.TypeFor[AckTargetSpec]():   {"length of time, or of working days, or none", `^([0-9]+wd|none|` + span + `)$`},
		reflect.TypeFor[StageTargetSpec](): {"manager, role:NAME or user:CODE", `^(manager|role: *[^ ].*|user: *[^ ].*)$`},
	}
}

func texts[T ~string](all []T) []string {
	words := make([]string, len(all))
	for i, v := range all {
		words[i] = string(v)
	}
	return words
}
