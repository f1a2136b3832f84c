// Package sampledata_test checks the sample feedback in testdata/feedback
// against its own expected.json, by the wire format alone: the tests of intake
// then may rely on it. It stands here because the go tool leaves folders named
// testdata out of ./... .
package sampledata_test

import (
	"encoding/csv"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/pxactions/px/model"
)

// expected is expected.json.
type expected struct {
	Total counts
	Files map[string]file
	Names map[string]names
	Same  []struct {
		Subject string
		Events  []string
	} `json:"same_subject"`
}

type counts struct {
	Lines, Accepted, Duplicate, Changed, Malformed int
	Decisions                                      map[string]int
}

type file struct {
	counts
	SourceSystem string      `json:"source_system"`
	Duplicates   []lineOf    `json:"duplicates"`
	Changes      []lineOf    `json:"changed_repeats"`
	Faulty       []malformed `json:"malformed_lines"`
	Corrected    []lineOf    `json:"corrected"`
}

type lineOf struct {
	Line    int
	Of      int
	EventID string `json:"event_id"`
}

type malformed struct {
	Line    int
	EventID string `json:"event_id"`
	Fields  []string
	Why     string
}

// names are what one source system calls things, with their codes.
type names struct {
	Hospitals, Departments, Surveys, Users map[string]string
}

// line is one event of a file; event is nil where the line is no JSON object.
type line struct {
	number int
	event  map[string]any
}

func folder(name string) string {
	return filepath.Join("..", "..", "testdata", "feedback", name)
}

func readExpected(t *testing.T) expected {
	t.Helper()
	src, err := os.ReadFile(folder("expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	var e expected
	if err := json.Unmarshal(src, &e); err != nil {
		t.Fatalf("expected.json: %v", err)
	}
	return e
}

func readLines(t *testing.T, name string) []line {
	t.Helper()
	src, err := os.ReadFile(folder(name))
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Ext(name) == ".csv" {
		return readCSV(t, name, string(src))
	}
	var all []line
	for i, text := range strings.Split(strings.TrimSuffix(string(src), "\n"), "\n") {
		l := line{number: i + 1}
		if err := json.Unmarshal([]byte(text), &l.event); err != nil {
			l.event = nil
		}
		all = append(all, l)
	}
	return all
}

// readCSV turns dotted columns into objects and leaves empty cells out.
func readCSV(t *testing.T, name, src string) []line {
	t.Helper()
	r := csv.NewReader(strings.NewReader(src))
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	r = csv.NewReader(strings.NewReader(src))
	var all []line
	for i := range rows {
		row, err := r.Read()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if i == 0 {
			continue
		}
		at, _ := r.FieldPos(0)
		l := line{number: at, event: map[string]any{}}
		for j, cell := range row {
			if cell != "" {
				put(l.event, rows[0][j], cell)
			}
		}
		all = append(all, l)
	}
	return all
}

func put(event map[string]any, key, cell string) {
	outer, inner, dotted := strings.Cut(key, ".")
	switch {
	case dotted:
		o, _ := event[outer].(map[string]any)
		if o == nil {
			o = map[string]any{}
			event[outer] = o
		}
		o[inner] = cell
	case key == "involved_users":
		var list []any
		for _, u := range strings.Split(cell, ";") {
			list = append(list, u)
		}
		event[key] = list
	default:
		event[key] = cell
	}
}

func TestEveryLineIsWhatExpectedSays(t *testing.T) {
	t.Parallel()
	exp := readExpected(t)
	var total counts
	for name, want := range exp.Files {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkFile(t, name, want, exp.Names[want.SourceSystem])
		})
		total.Lines += want.Lines
		total.Accepted += want.Accepted
		total.Duplicate += want.Duplicate
		total.Changed += want.Changed
		total.Malformed += want.Malformed
	}
	total.Decisions = exp.Total.Decisions
	if !reflect.DeepEqual(total, exp.Total) {
		t.Errorf("the files add up to %+v, total says %+v", total, exp.Total)
	}
}

func checkFile(t *testing.T, name string, want file, ns names) {
	t.Helper()
	first := map[string]line{}
	var got file
	refused := map[string]bool{}
	for _, l := range readLines(t, name) {
		got.Lines++
		id, _ := l.event["event_id"].(string)
		before, repeat := first[id]
		faults, readable := faultsOf(l.event, ns)
		switch {
		case !readable || len(faults) > 0:
			got.Malformed++
			got.Faulty = append(got.Faulty, malformed{Line: l.number, EventID: id, Fields: faults})
			refused[id] = true
		case !repeat:
			got.Accepted++
			first[id] = l
			if refused[id] {
				got.Corrected = append(got.Corrected, lineOf{Line: l.number, EventID: id})
			}
		case reflect.DeepEqual(before.event, l.event):
			got.Duplicate++
			got.Duplicates = append(got.Duplicates, lineOf{l.number, before.number, id})
		default:
			got.Changed++
			got.Changes = append(got.Changes, lineOf{l.number, before.number, id})
		}
	}
	got.SourceSystem, got.Decisions = want.SourceSystem, want.Decisions
	if !reflect.DeepEqual(got.counts, want.counts) {
		t.Errorf("counts %+v, expected.json says %+v", got.counts, want.counts)
	}
	same(t, "duplicates", got.Duplicates, want.Duplicates)
	same(t, "changed_repeats", got.Changes, want.Changes)
	same(t, "corrected", got.Corrected, want.Corrected)
	checkFaulty(t, got.Faulty, want.Faulty)
	if sum := sumOf(want.Decisions); sum != want.Accepted {
		t.Errorf("decisions add up to %d, want one per accepted event, %d", sum, want.Accepted)
	}
}

func same(t *testing.T, what string, got, want []lineOf) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s are %v, expected.json says %v", what, got, want)
	}
}

func checkFaulty(t *testing.T, got, want []malformed) {
	t.Helper()
	if !slices.EqualFunc(got, want, func(g, w malformed) bool {
		return g.Line == w.Line && g.EventID == w.EventID && slices.Equal(g.Fields, w.Fields) && w.Why != ""
	}) {
		t.Errorf("malformed lines are %+v, expected.json says %+v", got, want)
	}
}

func sumOf(m map[string]int) int {
	sum := 0
	for _, n := range m {
		sum += n
	}
	return sum
}

// sent are the events of all NDJSON files that are not malformed, repeats
// included, in file order.
func sent(t *testing.T) map[string][]map[string]any {
	t.Helper()
	exp := readExpected(t)
	all := map[string][]map[string]any{}
	for name, f := range exp.Files {
		if filepath.Ext(name) != ".ndjson" {
			continue
		}
		for _, l := range readLines(t, name) {
			if faults, readable := faultsOf(l.event, exp.Names[f.SourceSystem]); readable && len(faults) == 0 {
				all[name] = append(all[name], l.event)
			}
		}
	}
	return all
}

func TestTheSampleIsWide(t *testing.T) {
	t.Parallel()
	types, days, hospitals, texts, modes, languages := set{}, set{}, set{}, set{}, set{}, set{}
	exp := readExpected(t)
	for name, events := range sent(t) {
		ns := exp.Names[exp.Files[name].SourceSystem]
		for _, e := range events {
			types.add(str(e, "source_type"))
			hospitals.add(ns.Hospitals[str(e, "hospital")])
			modes.add(str(e, "mode"))
			if at, ok := instant(e, "received_at"); ok {
				days.add(at.Format(time.DateOnly))
			}
			if text := str(e, "text"); text != "" {
				texts.add(text)
				languages.add(script(text))
			}
		}
	}
	if got, want := types.sorted(), sourceTypes(); !slices.Equal(got, want) {
		t.Errorf("source types %v, want %v", got, want)
	}
	if got, want := days.sorted(), []string{"2026-03-01", "2026-03-02", "2026-03-03", "2026-03-04", "2026-03-05"}; !slices.Equal(got, want) {
		t.Errorf("days of receipt %v, want %v", got, want)
	}
	if got, want := hospitals.sorted(), []string{"BER", "RUH"}; !slices.Equal(got, want) {
		t.Errorf("hospitals %v, want %v", got, want)
	}
	for _, mode := range []string{"history", "live", "shadow"} {
		if !modes[mode] {
			t.Errorf("no event of mode %s", mode)
		}
	}
	if !languages["arabic"] || !languages["latin"] {
		t.Errorf("scripts %v, want arabic and latin", languages.sorted())
	}
	if len(texts) < 150 {
		t.Errorf("%d different texts, want at least 150", len(texts))
	}
}

func TestTheSampleIsHard(t *testing.T) {
	t.Parallel()
	total := readExpected(t).Total
	disordered, late := 0, 0
	for _, events := range sent(t) {
		var latest time.Time
		for _, e := range events {
			at, ok := instant(e, "received_at")
			if !ok {
				continue
			}
			if at.Before(latest) {
				disordered++
			} else {
				latest = at
			}
			if latest.Sub(at) >= 12*time.Hour {
				late++
			}
			if latest.Sub(at) > 4*24*time.Hour {
				t.Errorf("%s comes %v late, want 4 days at most", str(e, "event_id"), latest.Sub(at))
			}
		}
	}
	for _, m := range []struct {
		what      string
		got, want int
	}{
		{"lines", total.Lines, 300},
		{"accepted events", total.Accepted, 300},
		{"exact duplicates", total.Duplicate, 12},
		{"changed repeats", total.Changed, 6},
		{"malformed lines", total.Malformed, 10},
		{"events out of order", disordered, 15},
		{"late arrivals", late, 8},
		{"negative events", total.Decisions["negative"], 100},
		{"events that are not negative", total.Decisions["not_negative"], 100},
		{"praise", total.Decisions["praise"], 10},
	} {
		if m.got < m.want {
			t.Errorf("%d %s, want at least %d", m.got, m.what, m.want)
		}
	}
}

func TestSubjectsComeFromSeveralSources(t *testing.T) {
	t.Parallel()
	exp := readExpected(t)
	of := map[string]string{}
	for name, events := range sent(t) {
		for _, e := range events {
			of[exp.Files[name].SourceSystem+"/"+str(e, "event_id")] = str(e, "subject")
		}
	}
	if len(exp.Same) < 10 {
		t.Errorf("%d subjects come from several sources, want at least 10", len(exp.Same))
	}
	for _, s := range exp.Same {
		for _, id := range s.Events {
			if of[id] != s.Subject {
				t.Errorf("%s is about another subject than same_subject says", id)
			}
		}
	}
}

type set map[string]bool

func (s set) add(v string) { s[v] = true }

func (s set) sorted() []string { return slices.Sorted(maps.Keys(s)) }

func script(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return unicode.Is(unicode.Arabic, r) }) {
		return "arabic"
	}
	return "latin"
}

func sourceTypes() []string {
	var all []string
	for _, s := range model.SourceTypes() {
		all = append(all, string(s))
	}
	slices.Sort(all)
	return all
}
