// Package holidays reads the dates on which people are not there from iCalendar
// (RFC 5545), which others keep and publish, and fetches it.
package holidays

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/emersion/go-ical"
)

// The limits of what is read. More than that is an error, never cut off.
const (
	MaxBytes = 5 << 20 // of a feed
	MaxDays  = 1000    // closed dates in a span

	maxRules = 500  // recurrence rules of a feed: each may cost some hundredths of a second
	maxDepth = 8    // components within components
	maxHead  = 2000 // bytes of a property's name and parameters
	maxRun   = 366  // days of one event
	maxName  = 100  // characters of a name that are kept
)

// Day is a closed date.
type Day struct {
	Date time.Time // midnight, UTC
	Name string    // what people call it; may be empty
}

// Content is what a feed says of a span.
type Content struct {
	Days  []Day // in order, each date once
	Timed int   // events left out because they are not all day
}

// Span is the whole years of which holidays are asked for: the one before an
// instant's and the five after it. It changes once a year, so that a feed of
// which nothing has changed says the same from one day to the next.
func Span(at time.Time) (from, to time.Time) {
	year := at.UTC().Year()
	return time.Date(year-1, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(year+6, 1, 1, 0, 0, 0, 0, time.UTC)
}

// Parse reads the closed dates in [from, to), midnights in UTC: those of the
// events that are all day and not cancelled, recurrences worked out. Events that
// say one is free meanwhile (TRANSP) count, for feeds of public holidays mark
// them so. The error says what is wrong, and quotes nothing of what was read.
func Parse(src []byte, from, to time.Time) (Content, error) {
	text, err := unfold(src)
	if err != nil {
		return Content{}, err
	}
	events, err := read(text)
	if err != nil {
		return Content{}, err
	}
	var c Content
	days := map[time.Time]map[string]bool{}
	for i := range events {
		e := &events[i]
		if e.timed {
			c.Timed++
		}
		if e.timed || e.cancelled {
			continue
		}
		if err := e.enter(days, from, to); err != nil {
			return Content{}, err
		}
	}
	for _, date := range slices.SortedFunc(maps.Keys(days), time.Time.Compare) {
		names := slices.DeleteFunc(slices.Sorted(maps.Keys(days[date])), func(n string) bool { return n == "" })
		c.Days = append(c.Days, Day{date, strings.Join(names, ", ")})
	}
	return c, nil
}

// unfold joins folded lines and refuses what would take the decoder for ever, or
// what ends in the middle.
func unfold(src []byte) (string, error) {
	if len(src) > MaxBytes {
		return "", fmt.Errorf("is larger than %d MB", MaxBytes>>20)
	}
	src = bytes.TrimPrefix(src, []byte("\xef\xbb\xbf"))
	text := strings.NewReplacer("\n ", "", "\n\t", "").Replace(strings.ReplaceAll(string(src), "\r\n", "\n"))
	if begin := strings.TrimSpace(text); !hasFold(begin, "BEGIN:VCALENDAR") {
		return "", errors.New("is not iCalendar (RFC 5545): does not begin with BEGIN:VCALENDAR")
	}
	depth := 0
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		colon, quoted := -1, false
		for i := 0; i < len(line) && colon < 0; i++ {
			quoted = quoted != (line[i] == '"')
			if line[i] == ':' && !quoted {
				colon = i
			}
		}
		if line != "" && colon <= 0 || colon > maxHead {
			return "", errors.New("is not iCalendar (RFC 5545): has a line without a name and a colon")
		}
		switch {
		case hasFold(line, "BEGIN:"):
			depth++
		case hasFold(line, "END:"):
			depth--
		}
		if depth < 0 || depth > maxDepth {
			return "", errors.New("is not iCalendar (RFC 5545): components end before they begin, or are nested too deeply")
		}
	}
	if depth != 0 {
		return "", errors.New("is cut off, or not iCalendar (RFC 5545): a component has no end")
	}
	return text, nil
}

func hasFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// read decodes the events of all calendars in a text.
func read(text string) ([]event, error) {
	var all []event
	rules := 0
	dec := ical.NewDecoder(strings.NewReader(text))
	for {
		cal, err := tame(dec.Decode)
		if errors.Is(err, io.EOF) { // between two calendars: unfold has seen that each ends
			return settle(all), nil
		}
		if err != nil {
			return nil, errors.New("is not iCalendar (RFC 5545): a line has no meaning")
		}
		for _, component := range cal.Events() {
			e, err := newEvent(component.Props)
			if err != nil {
				return nil, fmt.Errorf("event %d: %w", len(all)+1, err)
			}
			all = append(all, e)
			if rules += len(e.rules); rules > maxRules {
				return nil, fmt.Errorf("has more than %d recurrence rules", maxRules)
			}
		}
	}
}

// tame turns a panic into an error: both libraries panic on some of what a host
// may send, such as a parameter without an end, or the 53rd Monday of a month.
func tame[T any](f func() (T, error)) (v T, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errors.New("no meaning")
		}
	}()
	return f()
}

// key is one event, or one occurrence of a series.
type key struct {
	uid string
	of  time.Time // zero: the event or series itself
}

// settle keeps the newest of what is there in several versions, and tells each
// series which of its occurrences have an event of their own.
func settle(all []event) []event {
	newest := map[key]int{}
	replaced := map[string]map[time.Time]bool{}
	for _, e := range all {
		newest[e.key] = max(newest[e.key], e.sequence)
		if e.of.IsZero() {
			continue
		}
		if replaced[e.uid] == nil {
			replaced[e.uid] = map[time.Time]bool{}
		}
		replaced[e.uid][e.of] = true
	}
	kept := all[:0]
	for _, e := range all {
		if e.uid != "" && e.sequence < newest[e.key] {
			continue
		}
		if e.uid != "" && e.of.IsZero() {
			e.replaced = replaced[e.uid]
		}
		kept = append(kept, e)
	}
	return kept
}

// nameOf is a name for people, in one line.
func nameOf(p *ical.Prop) string {
	if p == nil {
		return ""
	}
	text := p.Value
	if parts, err := p.TextList(); err == nil {
		text = strings.Join(parts, ",") // a comma that was to be escaped
	}
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	words := []rune(strings.Join(strings.Fields(text), " "))
	return string(words[:min(len(words), maxName)])
}
