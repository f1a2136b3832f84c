package engine

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWordsThatCannotBeKeptAreAFaultOfTheirField(t *testing.T) {
	t.Parallel()
	const base = `{"event_id":"a","source_type":"survey","hospital":"RUH","text":"t","score":{"metric":"nps"},"involved_users":["u","v"],"metadata":{"m":1}}`
	tests := []struct {
		name, old, new string
		want           []string
	}{
		{"latin-1", `"t"`, "\"caf\xe9\"", []string{"text"}},
		{"half of a pair", `"t"`, `"\ud800"`, []string{"text"}},
		{"the other half", `"t"`, `"\udc00 \ud83d\ude00"`, []string{"text"}},
		{"two first halves", `"t"`, `"\ud83d\ud83d\ude00"`, []string{"text"}},
		{"half of a pair, then another escape", `"t"`, `"\ud800\n"`, []string{"text"}},
		{"a whole pair", `"t"`, `"\ud83d\ude00"`, nil},
		{"an escaped backslash", `"t"`, `"\\ud800"`, nil},
		{"the sender's own U+FFFD", `"t"`, `"\ufffd` + "\ufffd" + `"`, nil},
		{"an id", `"a"`, "\"a\xff\"", []string{"event_id"}},
		{"a name inside", `"nps"`, "\"n\xff\"", []string{"score.metric"}},
		{"a person", `"v"`, "\"\xff\"", []string{"involved_users[1]"}},
		{"metadata", `{"m":1}`, "{\"m\xff\":1}", []string{"metadata"}},
		{"an instant", `"text":"t"`, "\"occurred_at\":\"\xff\"", []string{"occurred_at"}},
		{"several", `"survey","hospital":"RUH"`, "\"survey\xff\",\"hospital\":\"\xff\"", []string{"source_type", "hospital"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, base, tt.old)
			_, faults, err := ParseEvent([]byte(strings.Replace(base, tt.old, tt.new, 1)))
			require.NoError(t, err)
			var got []string
			for _, f := range faults {
				assert.Equal(t, "encoding", f.Code)
				got = append(got, f.Field)
			}
			assert.Equal(t, tt.want, got)
		})
	}
}

func TestADocumentThatIsNotUTF8SaysSo(t *testing.T) {
	t.Parallel()
	_, _, err := ParseEvent([]byte("\xff\xfe{\x00}\x00"))
	var unreadable *UnreadableError
	require.ErrorAs(t, err, &unreadable)
	assert.Equal(t, "not JSON, and not UTF-8", unreadable.Why)
}

func TestOtherBytesAreAnotherEvent(t *testing.T) {
	t.Parallel()
	assert.NotEqual(t, rawHash([]byte("{\"event_id\":\"\xe9\"}")), rawHash([]byte("{\"event_id\":\"\xe8\"}")))
	assert.NotEqual(t, rawHash([]byte(`{"event_id":"\ud800"}`)), rawHash([]byte(`{"event_id":"\ud801"}`)))
}

func TestQuarantineKeepsEveryByte(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{``, `{"text":"ب"}`, "caf\xe9", "a\x00b", "base64:", "base64:Y2Fmw6k="} {
		kept := keepRaw([]byte(raw))
		assert.Equal(t, raw, string(keptRaw(kept)), "%q", kept)
	}
	assert.Equal(t, `{"text":"ب"}`, keepRaw([]byte(`{"text":"ب"}`)), "what is text stays readable")
	assert.Equal(t, "base64:Y2Fm6Q==", keepRaw([]byte("caf\xe9")))
	assert.Equal(t, "base64:!", string(keptRaw("base64:!")), "kept before there was a mark")
}
