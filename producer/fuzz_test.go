package producer

import (
	"bytes"
	"encoding/json"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// splitDetail is all that the intake says of a body that it cannot take apart.
var splitDetail = regexp.MustCompile(`^(the body is empty|the array is empty|something stands behind the array|` +
	`not JSON: (a character that does not belong there|it ends too early)|at most 20; send several)$`)

// FuzzSplit looks for bodies whose events are not taken apart as they were put
// together, or whose refusal quotes them or points outside of them.
func FuzzSplit(f *testing.F) {
	f.Fuzz(func(t *testing.T, lines bool, raw []byte) {
		kind := jsonType
		if lines {
			kind = ndjson
		}
		p := &Producer{Options: Options{MaxItems: 20}}
		b, refused := p.split(kind, raw)
		if refused != nil {
			require.Nil(t, b)
			require.Contains(t, []int{400, 413}, refused.Status)
			require.Regexp(t, splitDetail, refused.Detail)
			if refused.Offset != nil {
				require.True(t, *refused.Offset >= 0 && *refused.Offset <= int64(len(raw)), "offset %d of %d", *refused.Offset, len(raw))
			}
			return
		}
		require.NotEmpty(t, b.events)
		require.LessOrEqual(t, len(b.events), p.MaxItems)
		switch {
		case b.single:
			require.Equal(t, [][]byte{raw}, b.events)
		case lines:
			all := bytes.Split(raw, []byte("\n"))
			require.Len(t, b.lines, len(b.events))
			for i, n := range b.lines {
				require.Equal(t, bytes.TrimSpace(all[n-1]), b.events[i], "line %d", n)
			}
		default:
			var whole, again []any
			require.NoError(t, json.Unmarshal(raw, &whole))
			joined := append(append([]byte("["), bytes.Join(b.events, []byte(","))...), ']')
			require.NoError(t, json.Unmarshal(joined, &again))
			require.Equal(t, whole, again)
		}
	})
}
