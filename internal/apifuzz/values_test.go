package apifuzz

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// marker stands in everything that a person could have written, and may come back
// in no problem and no log line.
const marker = "Zirconium-Haematoma"

// maker makes values for one request.
type maker struct {
	*rand.Rand
	doc  object
	pool *pool
}

// one picks; the zero value of none.
func one[T any](m *maker, of []T) T {
	if len(of) == 0 {
		var zero T
		return zero
	}
	return of[m.IntN(len(of))]
}

// chance is true so many times in a hundred.
func (m *maker) chance(percent int) bool { return m.IntN(100) < percent }

// value is one that the schema allows. name is of the field or parameter that it
// is for: what names a thing names one that is there.
func (m *maker) value(schema object, name string) any {
	if ref, ok := schema["$ref"].(string); ok {
		return m.value(m.schema(ref), name)
	}
	if any, ok := schema["oneOf"].([]any); ok {
		return m.value(one(m, any).(object), name)
	}
	if enum, ok := schema["enum"].([]any); ok {
		return one(m, enum)
	}
	kind, _ := schema["type"].(string)
	if kinds, ok := schema["type"].([]any); ok {
		kind = kinds[0].(string)
	}
	switch kind {
	case "object":
		switch name {
		case "aliases":
			return object{"desk": []any{fmt.Sprint("alias ", m.Uint32())}}
		case "substitute":
			return object{"user": one(m, m.pool.people)}
		}
		if name == "complainant_informed" && m.chance(80) {
			return one(m, []any{object{"why_not": marker}, object{"how": "phone", "at": m.pool.now().Add(-time.Hour).Format(time.RFC3339)}})
		}
		return m.object(schema)
	case "array":
		list := []any{}
		for range 1 + m.IntN(3) {
			list = append(list, m.value(schema["items"].(object), name))
		}
		return list
	case "boolean":
		return m.chance(50)
	case "integer", "number":
		low, high := 1.0, 10.0
		if v, ok := schema["minimum"].(float64); ok {
			low = v
		}
		if v, ok := schema["maximum"].(float64); ok {
			high = v
		}
		if kind == "integer" {
			return int(low) + m.IntN(int(min(high-low, 50))+1)
		}
		return low + m.Float64()*(high-low)
	}
	return m.text(schema, name)
}

func (m *maker) schema(ref string) object {
	return m.doc["components"].(object)["schemas"].(object)[ref[strings.LastIndexByte(ref, '/')+1:]].(object)
}

func (m *maker) object(schema object) object {
	o := object{}
	fields, _ := schema["properties"].(object)
	required, _ := schema["required"].([]any)
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if slices.Contains(required, any(name)) || m.chance(40) || slices.Contains([]string{"action_plan", "outcome", "root_cause", "complainant_informed"}, name) && m.chance(90) {
			o[name] = m.value(fields[name].(object), name)
		}
	}
	if fields == nil {
		o["ward"] = marker
	}
	return o
}

func (m *maker) text(schema object, name string) string {
	switch schema["format"] {
	case "date-time":
		return m.pool.now().Add(time.Duration(m.IntN(96*60)-12*60) * time.Minute).Format(time.RFC3339)
	case "uuid":
		return uuid.NewString()
	}
	switch name {
	case "hospital":
		return one(m, []string{"RUH", "RUH", "RUH", "BER"})
	case "department":
		return one(m, []string{"ED", "ICU", "LAB", "RUH/ED", "BER/ICU"})
	case "assignee", "by", "involved_users", "On-Behalf-Of":
		return one(m, m.pool.people)
	case "code": // of the directory: one that nobody has
		return fmt.Sprintf("F%07d", m.IntN(10_000_000))
	case "manager", "user":
		return one(m, m.pool.people)
	case "zone":
		return "Asia/Riyadh"
	case "calendar":
		return "riyadh"
	case "email":
		return "somebody@example.org"
	case "channels":
		return one(m, []string{"log", "email"})
	case "roles":
		return one(m, []string{"Staff", "PX Coordinator", "Nurse"})
	case "locale":
		return one(m, []string{"en", "ar-SA"})
	case "webhook_url":
		return "https://example.org/px"
	case "webhook_secret":
		return "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	case "survey":
		return one(m, []string{"INPATIENT-2026", "NPS-DISCHARGE", "ED-EXIT", "PAIN"})
	case "root_cause":
		return one(m, []string{"staffing", "process", "communication"})
	case "content_type":
		return "surveys.response"
	case "event_id":
		if id := m.pool.pick(m, "event"); id != "" && m.chance(20) {
			return id
		}
		return uuid.NewString()
	case "id", "attachment":
		return m.pool.pick(m, name)
	case "after":
		return m.pool.pick(m, "cursor")
	case "ref":
		return one(m, []string{"RUH-26", "RUH-", "BER-26-0000001"})
	case "Idempotency-Key":
		if m.chance(30) {
			return fmt.Sprint("again-", m.IntN(20))
		}
		return uuid.NewString()
	case "X-Request-Id":
		return fmt.Sprint("fuzz-", m.Uint32())
	}
	return one(m, []string{"", "Waited for hours. ", "انتظار طويل ", "Zwölf Stunden "}) + marker
}

// odd is a text that hardly anybody would write.
func (m *maker) odd() string {
	return one(m, []string{
		"", " ", "\x00", "a\x00b", "\xff\xfe", "\xc3\x28", "\u202e" + marker, "\u200f\u200e", "🩺🧑🏽‍⚕️", "\ufeff" + marker, "\u2028", "e\u0301\u0301\u0301",
		strings.Repeat("x", 201), strings.Repeat("ä", 501), strings.Repeat("🩺", 20_001), "' OR 1=1 --", "%s%n", "../../etc/passwd", "<script>", "{{.}}", "\r\nX-Evil: 1",
		"null", "true", "-1", "0", "1e400", "9223372036854775808", "2026-02-30T00:00:00Z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+23:59",
		"1969-12-31T23:59:59.999999999-12:00", "292277026596-12-04T15:30:08Z", "2026-03-02", "2026-03-02T08:00:00", "urn:uuid:00000000-0000-0000-0000-000000000000",
		"00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff", "W/\"1\"", "*", ",", "a,,b", "\"", "&", "-", "ruh-amal\t", "RUH/", "/ED",
	})
}

// oddValue is a JSON value that does not fit, most likely.
func (m *maker) oddValue() any {
	return one(m, []any{
		nil, true, -1, 0, 1.5, 1e300, json.Number("1e400"), json.Number("-9223372036854775809"), json.Number("0.1000000000000000000000000001"),
		[]any{}, []any{nil}, object{}, object{"": marker}, object{"a": object{"b": []any{1, marker}}}, m.odd(), m.odd(), m.odd(), m.odd(),
	})
}

// spoil changes something in a value: another type, a field too many, one too few.
func (m *maker) spoil(v any) any {
	switch v := v.(type) {
	case object:
		names := slices.Sorted(maps.Keys(v))
		if len(names) == 0 || m.chance(15) {
			v[one(m, []string{"colour", "", "Title", "id", "__proto__", strings.Repeat("n", 5_000), "\u202e", "a.b"})] = m.oddValue()
			return v
		}
		name := one(m, names)
		if m.chance(20) {
			delete(v, name)
			return v
		}
		v[name] = m.spoil(v[name])
		return v
	case []any:
		if len(v) > 0 && m.chance(60) {
			i := m.IntN(len(v))
			v[i] = m.spoil(v[i])
			return v
		}
		for range m.IntN(120) {
			v = append(v, m.oddValue())
		}
		return v
	}
	if text, ok := v.(string); ok && m.chance(70) {
		if _, err := time.Parse(time.RFC3339, text); err == nil {
			return one(m, []string{
				"0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-23:59", "2026-02-29T00:00:00Z",
				"2026-03-02T08:00:00.999999999Z", "2026-03-02T24:00:00Z", "2026-03-02T08:00:60Z", "2026-03-02t08:00:00z", "2026-03-02T08:00:00",
			})
		}
	}
	return m.oddValue()
}

// encode writes JSON as it is, or damaged.
func (m *maker) encode(v any, damaged bool) []byte {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return []byte(`{"title":1e400}`)
	}
	text := b.String()
	if !damaged {
		return []byte(text)
	}
	at := m.IntN(len(text))
	return []byte(one(m, []string{
		text[:at], text[:at] + "\x00" + text[at:], text[:at] + "\xff" + text[at:], text[:at] + `\u0000` + text[at:], text[:at] + `\ud800` + text[at:], "\xef\xbb\xbf" + text, text + text, text + "x",
		"[" + text + "]", "[" + text + "," + text + "]", "[]", "null", "", " ", "1", `"x"`, "{", "[", strings.Repeat("[", 20_000), strings.Repeat(`{"a":`, 20_000),
		`{"title":"a","title":"b"}`, "\xff\xfe{\x00}\x00", strings.Repeat(" ", 300<<10) + text, strings.ReplaceAll(text, `"`, `'`),
	}))
}
