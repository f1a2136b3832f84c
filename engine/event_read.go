package engine

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pxactions/px/model"
)

// reader gathers the faults of one event while it is read.
type reader struct{ faults model.FieldErrors }

// members are the members of one JSON object, by name; what is read is taken
// out, so that the rest is unknown.
type members struct {
	r    *reader
	path string // with its dot: "score."
	m    map[string]json.RawMessage
}

// members reads an object whose JSON is known to be valid.
func (r *reader) members(raw []byte, path string) members {
	ms := members{r: r, path: path, m: map[string]json.RawMessage{}}
	d := json.NewDecoder(bytes.NewReader(raw))
	_, _ = d.Token() // the brace
	for d.More() {
		t, err := d.Token()
		if err != nil {
			break
		}
		name, _ := t.(string)
		var v json.RawMessage
		if err := d.Decode(&v); err != nil {
			break
		}
		if _, twice := ms.m[name]; twice {
			r.faults.Add(ms.at(name), "duplicate", "given once only")
		}
		ms.m[name] = v
	}
	return ms
}

func (ms members) at(name string) string { return ms.path + model.FieldName(name) }

// take hands out a member's value once; false when it is absent, null, or has
// words that cannot be kept as they were sent.
func (ms members) take(name string) (json.RawMessage, bool) {
	v, ok := ms.part(name)
	if ok && !faithful(v) {
		ms.r.faults.Add(ms.at(name), "encoding", wantText)
		return nil, false
	}
	return v, ok
}

// part is take for a value with parts, which are looked at one by one.
func (ms members) part(name string) (json.RawMessage, bool) {
	v, ok := ms.m[name]
	delete(ms.m, name)
	return v, ok && !bytes.Equal(v, []byte("null"))
}

// end tells of all members that nobody took.
func (ms members) end() {
	rest := make([]string, 0, len(ms.m))
	for name := range ms.m {
		rest = append(rest, name)
	}
	slices.Sort(rest)
	for _, name := range rest {
		ms.r.faults.Add(ms.at(name), "unknown", "no such field; anything of your own goes into metadata")
	}
}

func (ms members) text(name string) string {
	v, ok := ms.take(name)
	if !ok {
		return ""
	}
	var s string
	if json.Unmarshal(v, &s) != nil {
		ms.r.faults.Add(ms.at(name), "type", "a string")
	}
	return s
}

// word reads a string, number or boolean as written; a string without the
// blanks around it.
func (ms members) word(name string) string {
	v, ok := ms.take(name)
	if !ok {
		return ""
	}
	if v[0] != '"' {
		return string(v)
	}
	var s string
	_ = json.Unmarshal(v, &s) // valid JSON that begins with a quote is a string
	return strings.TrimSpace(s)
}

func (ms members) number(name string) *float64 {
	w := ms.word(name)
	if w == "" {
		return nil
	}
	f, err := decimal(w)
	if err != nil {
		ms.r.faults.Add(ms.at(name), "type", "a number such as 4 or 0.5")
		return nil
	}
	return &f
}

// decimal reads a number in the form of JSON: no infinity, no hexadecimals.
func decimal(s string) (float64, error) {
	if !json.Valid([]byte(s)) {
		return 0, strconv.ErrSyntax
	}
	f, err := strconv.ParseFloat(s, 64)
	if f == 0 {
		f = 0 // -0 is 0
	}
	return f, err
}

func (ms members) flag(name string) bool {
	switch strings.ToLower(ms.word(name)) {
	case "true":
		return true
	case "", "false":
	default:
		ms.r.faults.Add(ms.at(name), "type", "true or false")
	}
	return false
}

func (ms members) instant(name string) *time.Time {
	v, ok := ms.take(name)
	if !ok {
		return nil
	}
	var s string
	if json.Unmarshal(v, &s) == nil {
		if s = strings.TrimSpace(s); s == "" {
			return nil
		}
		if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
			return &t
		}
	}
	ms.r.faults.Add(ms.at(name), "format", "an instant in RFC 3339 with its offset, such as 2026-03-02T08:00:00Z")
	return nil
}

func (ms members) texts(name string) []string {
	v, ok := ms.part(name)
	if !ok || bytes.Equal(v, []byte(`""`)) {
		return nil
	}
	var raws []json.RawMessage
	if json.Unmarshal(v, &raws) != nil {
		ms.r.faults.Add(ms.at(name), "type", "a list of strings")
		return nil
	}
	out := make([]string, 0, len(raws))
	for i, raw := range raws {
		var s *string
		at := fmt.Sprintf("%s[%d]", ms.at(name), i)
		if !faithful(raw) {
			ms.r.faults.Add(at, "encoding", wantText)
		} else if json.Unmarshal(raw, &s) != nil {
			ms.r.faults.Add(at, "type", "a string")
		}
		if s != nil {
			out = append(out, *s)
		}
	}
	return out
}

func (ms members) object(name string) (members, bool) {
	v, ok := ms.part(name)
	if !ok || bytes.Equal(v, []byte(`""`)) {
		return members{}, false
	}
	if v[0] != '{' {
		ms.r.faults.Add(ms.at(name), "type", "an object")
		return members{}, false
	}
	return ms.r.members(v, ms.path+name+"."), true
}

// free reads an object of the sender's own, numbers kept as written.
func (ms members) free(name string) map[string]any {
	v, ok := ms.take(name)
	if !ok || bytes.Equal(v, []byte(`""`)) {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(v))
	d.UseNumber()
	var m map[string]any
	if d.Decode(&m) != nil {
		ms.r.faults.Add(ms.at(name), "type", "an object")
		return nil
	}
	return m
}
