package demo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

const (
	// unreceived is how long after it happened a line without received_at
	// arrives.
	unreceived = 2 * time.Minute
	// tooFar is how much newer than all before it a received_at must be to be
	// taken for a mistake that says nothing of the arrival.
	tooFar = 30 * 24 * time.Hour
)

// line is one line of the samples.
type line struct {
	raw      []byte
	eventID  string     // empty: cannot be read
	received *time.Time // nil: none that can be read
	times    []stamp    // the times in it, in their order
	arrival  time.Time  // when it came in, by its file
}

// stamp is one time written in a line: raw[from:to], quotes included.
type stamp struct {
	from, to int
	at       time.Time
}

// Sources lists the source systems of the samples: the base names of the NDJSON
// files, sorted.
func Sources(samples fs.FS) ([]string, error) {
	files, err := fs.Glob(samples, "*.ndjson")
	if err != nil {
		return nil, fmt.Errorf("list the samples: %w", err)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("list the samples: no file named <source system>.ndjson")
	}
	for i, f := range files {
		files[i] = strings.TrimSuffix(path.Base(f), ".ndjson")
	}
	slices.Sort(files)
	return files, nil
}

// readSamples reads every file, each in the order of its lines.
func readSamples(samples fs.FS) (map[string][]line, error) {
	sources, err := Sources(samples)
	if err != nil {
		return nil, err
	}
	files := make(map[string][]line, len(sources))
	for _, source := range sources {
		src, err := fs.ReadFile(samples, source+".ndjson")
		if err != nil {
			return nil, fmt.Errorf("read the samples: %w", err)
		}
		files[source] = readLines(src)
	}
	return files, nil
}

func readLines(src []byte) []line {
	var lines []line
	for raw := range bytes.Lines(src) {
		if raw = bytes.TrimSpace(raw); len(raw) > 0 {
			lines = append(lines, readLine(raw))
		}
	}
	arrive(lines)
	return lines
}

// readLine finds the event's id and its times. What is no JSON object has none.
func readLine(raw []byte) line {
	l := line{raw: raw}
	if !json.Valid(raw) || raw[0] != '{' {
		return l
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	_, _ = dec.Token() // the brace
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			break
		}
		var v json.RawMessage
		if err := dec.Decode(&v); err != nil {
			break
		}
		var s string
		if json.Unmarshal(v, &s) != nil {
			continue
		}
		if name == "event_id" {
			l.eventID = s
		}
		if name != "received_at" && name != "occurred_at" {
			continue
		}
		at, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			continue
		}
		to := int(dec.InputOffset())
		l.times = append(l.times, stamp{from: to - len(v), to: to, at: at})
		if name == "received_at" {
			l.received = &at
		}
	}
	return l
}

// arrive fills in the arrivals: the newest received_at so far.
func arrive(lines []line) {
	var newest time.Time
	for i := range lines {
		if at, ok := lines[i].cameIn(); ok && at.After(newest) && (newest.IsZero() || at.Sub(newest) < tooFar) {
			newest = at
		}
		lines[i].arrival = newest
	}
	for i := len(lines) - 1; i > 0; i-- { // those before the first that has a time
		if lines[i-1].arrival.IsZero() {
			lines[i-1].arrival = lines[i].arrival
		}
	}
}

func (l *line) cameIn() (time.Time, bool) {
	switch {
	case l.received != nil:
		return *l.received, true
	case len(l.times) > 0:
		return l.times[0].at.Add(unreceived), true
	default:
		return time.Time{}, false
	}
}

// retimer shifts the times of one source system's lines from the days of the
// samples to those of the demo.
type retimer struct{ shifts map[string]time.Duration }

func newRetimer() *retimer { return &retimer{shifts: map[string]time.Duration{}} }

// retime returns the line as it would be if it came in now: what was received
// late is as late, and what lies in the future stays there. What is sent again
// keeps the times of its first sending, so that it is the same event again. All
// else in the line stays as it is.
func (r *retimer) retime(l *line, now time.Time) []byte {
	if len(l.times) == 0 {
		return l.raw
	}
	shift := now.Sub(l.arrival).Truncate(time.Second)
	if l.eventID != "" {
		key := l.eventID
		if l.received != nil {
			key += "\n" + l.received.UTC().Format(time.RFC3339Nano)
		}
		if first, ok := r.shifts[key]; ok {
			shift = first
		} else {
			r.shifts[key] = shift
		}
	}
	var out []byte
	done := 0
	for _, s := range l.times {
		out = append(out, l.raw[done:s.from]...)
		out = s.at.Add(shift).AppendFormat(out, `"`+time.RFC3339Nano+`"`)
		done = s.to
	}
	return append(out, l.raw[done:]...)
}
