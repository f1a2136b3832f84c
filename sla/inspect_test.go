package sla

import (
	"strings"
	"testing"
)

// TestInspectTellsAllFaultsAtOnce, those of form and those of codes.
func TestInspectTellsAllFaultsAtOnce(t *testing.T) {
	t.Parallel()
	const text = `
routing:
  - { name: a, hospital: NIX2, severity: bad }
  - { nam: b, assign_to_user: nobody }
sla:
  - { name: a, calendar: none, low_hours: 0 }
`
	h := newHouse(t, func(d *DirectoryDoc) { d.Hospitals[0].Calendar = "riyadh" })
	form := []string{"routing[0].severity: line 3", "routing[1].nam: line 4", "sla[0].calendar: line 6", "sla[0].low_hours: line 6"}
	codes := []string{"routing[0].hospital: line 3", "routing[1].assign_to_user: line 4", "calendars: line 2: must have the calendars that the directory names: RUH: riyadh"}
	_, _, err := Inspect([]File{{Text: []byte(text)}}, h.dir)
	for _, want := range append(form, codes...) {
		if got := faultsOf(t, err); !strings.Contains(got, want) {
			t.Errorf("faults lack %s:\n%s", want, got)
		}
	}
	_, _, err = Inspect([]File{{Text: []byte(text)}}, nil)
	for _, want := range form {
		if got := faultsOf(t, err); !strings.Contains(got, want) {
			t.Errorf("without a directory, faults lack %s:\n%s", want, got)
		}
	}
	if got := faultsOf(t, err); strings.Contains(got, "NIX2") || strings.Contains(got, "riyadh") {
		t.Errorf("without a directory codes cannot be known:\n%s", got)
	}
	if _, rules, err := Inspect([]File{{Text: []byte("routing: [{name: a, hospital: BER}]")}}, nil); err != nil || rules != nil {
		t.Errorf("a sound policy without a directory: %v, %v", rules, err)
	}
	// A calendar that could not be read is no calendar that is missing.
	if _, _, err := Inspect([]File{{Text: []byte("calendars: [{nam: riyadh, timezone: UTC, always_open: true}]")}}, h.dir); strings.Contains(faultsOf(t, err), "directory") {
		t.Errorf("faults = %v, want the cause alone", err)
	}
}
