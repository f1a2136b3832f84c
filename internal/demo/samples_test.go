package demo

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"
)

// march is an instant of the samples' days.
func march(s string) time.Time {
	at, err := time.Parse("2 15:04:05 -07:00 Jan 2006", s+" +00:00 Mar 2026")
	if err != nil {
		panic(err)
	}
	return at.UTC()
}

const samples = `{"event_id":"a","received_at":"2026-03-01T09:00:00+03:00","occurred_at":"2026-03-01T08:00:00+03:00","text":"\"received_at\":\"no\""}
{"event_id":"b","received_at":"2026-03-01T08:00:00Z"}
{"event_id":"late","received_at":"2026-02-27T08:00:00Z"}

{"event_id":"future","received_at":"2036-03-01T08:00:00Z"}
{ "received_at" : "2026-03-01T09:00:00+03:00" , "event_id" : "a" }
{"event_id":"bare","occurred_at":"2026-03-01T10:00:00Z"}
<html>oops</html>
{"event_id":"typed","received_at":"03/03/2026 14:20","occurred_at":"2026-03-01T10:30:00"}
{"event_id":"odd","received_at":"2026-03-01T11:00:00Z","score":{"value":"many","received_at":"2026-03-01T11:00:00Z"}}
{"event_id":"a","received_at":"2026-03-01T12:00:00Z"}`

func TestReadLinesFindsArrivals(t *testing.T) {
	t.Parallel()
	lines := readLines([]byte(samples))
	got := map[string]string{}
	for i, l := range lines {
		got[string(rune('0'+i))+l.eventID] = l.arrival.UTC().Format("15:04")
	}
	require.Equal(t, map[string]string{
		"0a": "06:00", "1b": "08:00", "2late": "08:00", "3future": "08:00", "4a": "08:00", "5bare": "10:02", "6": "10:02", "7typed": "10:02",
		"8odd": "11:00", "9a": "12:00",
	}, got)
}

func TestReadLinesWithoutTimesArriveWithTheFirstThatHasOne(t *testing.T) {
	t.Parallel()
	lines := readLines([]byte("<html>\n{}\n" + `{"received_at":"2026-03-01T08:00:00Z"}`))
	require.Len(t, lines, 3)
	require.Equal(t, march("1 08:00:00"), lines[0].arrival)
}

func TestRetime(t *testing.T) {
	t.Parallel()
	lines := readLines([]byte(samples))
	r := newRetimer()
	now := time.Date(2026, 11, 20, 12, 0, 0, 999, time.UTC) // the second is not reached by what is re-timed
	var got []string
	for i := range lines {
		got = append(got, string(r.retime(&lines[i], now)))
		now = now.Add(time.Minute)
	}
	tests := []struct {
		name string
		line int
		want string
	}{
		{"on time is now, in its own zone, and nothing else changes", 0,
			`{"event_id":"a","received_at":"2026-11-20T15:00:00+03:00","occurred_at":"2026-11-20T14:00:00+03:00","text":"\"received_at\":\"no\""}`},
		{"the order is kept", 1, `{"event_id":"b","received_at":"2026-11-20T12:01:00Z"}`},
		{"two days late is still two days late", 2, `{"event_id":"late","received_at":"2026-11-18T12:02:00Z"}`},
		{"the future stays in the future", 3, `{"event_id":"future","received_at":"2036-11-20T12:03:00Z"}`},
		{"what is sent again keeps its first times", 4, `{ "received_at" : "2026-11-20T15:00:00+03:00" , "event_id" : "a" }`},
		{"without received_at it has just happened", 5, `{"event_id":"bare","occurred_at":"2026-11-20T12:03:00Z"}`},
		{"what is no JSON stays as it is", 6, `<html>oops</html>`},
		{"what is no instant stays as it is", 7, `{"event_id":"typed","received_at":"03/03/2026 14:20","occurred_at":"2026-03-01T10:30:00"}`},
		{"a wrong event keeps its faults", 8,
			`{"event_id":"odd","received_at":"2026-11-20T12:08:00Z","score":{"value":"many","received_at":"2026-03-01T11:00:00Z"}}`},
		{"sent again with another time is another sending", 9, `{"event_id":"a","received_at":"2026-11-20T12:09:00Z"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, got[tt.line])
		})
	}
}

// The samples themselves: nothing that can be read is received after it is
// sent, save for the one in the future, nor too long before.
func TestRetimedSamplesAreFitForTheIntake(t *testing.T) {
	t.Parallel()
	files, err := readSamples(os.DirFS("../../testdata/feedback"))
	require.NoError(t, err)
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	future, late := 0, 0
	for _, lines := range files {
		r := newRetimer()
		for i := range lines {
			l := readLine(r.retime(&lines[i], now))
			if l.received == nil {
				continue
			}
			switch age := now.Sub(*l.received); {
			case age < 0:
				future++
			case age > 7*24*time.Hour:
				t.Errorf("received %s before it is sent: %.80s", age, l.raw)
			case age > 24*time.Hour:
				late++
			}
		}
	}
	require.Equal(t, 1, future)
	require.Positive(t, late)
}

func TestSources(t *testing.T) {
	t.Parallel()
	got, err := Sources(fstest.MapFS{"b.ndjson": {}, "a.ndjson": {}, "a.csv": {}, "README.md": {}})
	require.NoError(t, err)
	require.Equal(t, "a b", strings.Join(got, " "))
	_, err = Sources(fstest.MapFS{"a.csv": {}})
	require.ErrorContains(t, err, "no file named <source system>.ndjson")
}

func TestTurnsFillTheTimeInOrder(t *testing.T) {
	t.Parallel()
	files := map[string][]line{"x": readLines([]byte(samples)), "y": readLines([]byte(`{"received_at":"2026-03-01T09:00:00Z"}`))}
	turn := turns(files, 6*time.Second)
	require.Zero(t, turn(&files["x"][0]))
	require.Equal(t, 3*time.Second, turn(&files["y"][0]))
	require.Equal(t, 6*time.Second, turn(&files["x"][9]))
	require.Zero(t, turns(map[string][]line{"y": files["y"]}, time.Second)(&files["y"][0]), "a single instant is the first")
}
