package engine

import (
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/model"
)

func hashOf(t *testing.T, raw string) string {
	t.Helper()
	e, faults, err := ParseEvent([]byte(raw))
	require.NoError(t, err)
	require.Empty(t, faults)
	e.normalise()
	h, err := e.contentHash()
	require.NoError(t, err)
	return string(h)
}

func TestSameContentHasTheSameHash(t *testing.T) {
	t.Parallel()
	const base = `{"event_id":"a","source_type":"survey","hospital":"RUH","score":{"value":4,"min":1,"max":5},"restricted":true,"received_at":"2026-03-02T08:00:00Z","metadata":{"a":1,"b":[1,2]}}`
	same := map[string]string{
		"keys in another order":   `{"metadata":{"b":[1,2],"a":1},"received_at":"2026-03-02T08:00:00Z","restricted":true,"score":{"max":5,"min":1,"value":4},"hospital":"RUH","source_type":"survey","event_id":"a"}`,
		"blanks":                  strings.NewReplacer(",", " ,\n ", "RUH", " RUH ").Replace(base),
		"numbers as strings":      strings.NewReplacer(`:4`, `:"4.0"`, `:5`, `:"5"`, `:true`, `:"TRUE"`).Replace(base),
		"numbers of the metadata": strings.NewReplacer(`"a":1`, `"a":1.0`, `[1,2]`, `[10e-1,0.2E+1]`).Replace(base),
		"another offset":          strings.Replace(base, "08:00:00Z", "11:00:00.000+03:00", 1),
		"absent parts named":      strings.Replace(base, `{"event_id"`, `{"mode":"live","department":"","kpi":{"name":"","value":null},"involved_users":[""],"survey":null,"event_id"`, 1),
	}
	for name, raw := range same {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, hashOf(t, base), hashOf(t, raw))
		})
	}
	other := map[string]string{
		"another score":                  strings.Replace(base, `:4`, `:3`, 1),
		"no received_at":                 strings.Replace(base, `"received_at":"2026-03-02T08:00:00Z",`, ``, 1),
		"lists turned":                   strings.Replace(base, `[1,2]`, `[2,1]`, 1),
		"another metadata":               strings.Replace(base, `"a":1`, `"a":"1"`, 1),
		"another number in the metadata": strings.Replace(base, `"a":1`, `"a":1.00000000000000000001`, 1),
		"another subject":                strings.Replace(base, `{"event_id"`, `{"subject":"1","event_id"`, 1),
	}
	for name, raw := range other {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.NotEqual(t, hashOf(t, base), hashOf(t, raw))
		})
	}
}

func TestUnreadableIsKnownAgain(t *testing.T) {
	t.Parallel()
	assert.Equal(t, rawHash([]byte(`{"a":1, "b":2}`)), rawHash([]byte(`{"b":2,"a":1}`)))
	assert.NotEqual(t, rawHash([]byte(`{"a":1`)), rawHash([]byte(`{"a": 1`)))
	assert.NotEqual(t, rawHash([]byte(`{"a":1}`)), rawHash([]byte(`{"a":1.0}`)))
}

func TestSubjectIsOnlyAKeyedHash(t *testing.T) {
	t.Parallel()
	key := []byte("a key of 16 bytes")
	one := subjectKey(key, "mrn-553 201")
	assert.Regexp(t, `^[0-9a-f]{64}$`, one)
	assert.Equal(t, one, subjectKey(key, "  MRN-553   201 "))
	assert.NotEqual(t, one, subjectKey([]byte("another key"), "mrn-553 201"))
	assert.Empty(t, subjectKey(key, " "))
	assert.Empty(t, subjectKey(nil, "mrn-553 201"), "no key, no hash")
}

// quotable is a field as a refusal may name it.
var quotable = regexp.MustCompile(`^((score|kpi|source_object|metadata)\.)?([A-Za-z_][A-Za-z0-9_.-]{0,63}|\(a key that is not a name\))(\[\d+\])?$`)

// FuzzParseEvent looks for input that panics, whose refusal quotes it or names no
// field, or whose accepted form is not stable: what is read, written and read
// again is the same event.
func FuzzParseEvent(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"event_id":"a","source_type":"survey","hospital":"RUH","score":{"value":"4"}}`, `[`, `{"a":1}{`, `nul`, ` {"metadata":{"a":[{}]}}`,
		`{"involved_users":["a",null,1]}`, `{"score":7,"kpi":[],"source_object":null}`, `{"occurred_at":"2026-03-02T08:00:00+03:00"}`, "\x00", ``,
		`{"sentiment":-0.0}`, `{"text":"Zainab waited","score":{"value":"Zainab"},"severity":"Zainab","involved_users":[["Zainab"]],"Zainab came":1}`, `{"title":"\ud800"}`, `{"restricted":1}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, faults, err := ParseEvent(raw)
		if err != nil {
			var unreadable *UnreadableError
			require.ErrorAs(t, err, &unreadable)
			require.True(t, unreadable.Offset >= 0 && unreadable.Offset <= int64(len(raw)), "offset %d of %d", unreadable.Offset, len(raw))
			require.NotContains(t, err.Error(), "Zainab")
			return
		}
		e.normalise()
		c := newChecker(faults)
		e.check(c)
		for _, f := range c.sorted() {
			require.Regexp(t, quotable, f.Field)
			require.NotEmpty(t, f.Want)
			require.NotContains(t, f.Want, "Zainab")
		}
		if len(c.sorted()) > 0 {
			return
		}
		written, err := json.Marshal(&e)
		require.NoError(t, err)
		again, faults, err := ParseEvent(written)
		require.NoError(t, err)
		require.Empty(t, faults)
		again.normalise()
		one, err := e.contentHash()
		require.NoError(t, err)
		two, err := again.contentHash()
		require.NoError(t, err)
		require.Equal(t, one, two)
	})
}

// FuzzParseRetraction looks for retractions that are read as another reason than
// they give, or whose refusal quotes them.
func FuzzParseRetraction(f *testing.F) {
	f.Fuzz(func(t *testing.T, raw []byte) {
		why, err := ParseRetraction(raw)
		var unreadable *UnreadableError
		var faults model.FieldErrors
		switch {
		case errors.As(err, &faults):
			for _, f := range faults {
				require.Regexp(t, quotable, f.Field)
				require.NotContains(t, f.Want, "Zainab")
			}
		case errors.As(err, &unreadable):
			require.NotContains(t, err.Error(), "Zainab")
		default:
			require.NoError(t, err)
			var said struct{ Reason *string }
			require.NoError(t, json.Unmarshal(raw, &said))
			if said.Reason != nil {
				require.Equal(t, *said.Reason, string(why))
			}
		}
	})
}
