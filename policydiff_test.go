package main

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

func TestDifferencesInWords(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	printDifferences(&b, []sla.Difference{
		{Section: "max_age", Change: sla.ChangeChanged, Keys: []sla.KeyDifference{{Old: "7d", New: "9d"}}},
		{Section: "sla", Name: "Riyadh", Change: sla.ChangeChanged, Keys: []sla.KeyDifference{
			{Key: "calendar", New: "riyadh"}, {Key: "high_hours", Old: "48", New: "24"}, {Key: "low_hours", Old: "120"},
		}},
		{Section: "sla", Name: "Old", Change: sla.ChangeRemoved},
	})
	assert.Equal(t, `max_age: changed
  ~ max_age: 7d -> 9d
sla "Riyadh": changed
  + calendar: riyadh
  ~ high_hours: 48 -> 24
  - low_hours: 120
sla "Old": removed
`, b.String())
}

func TestImpactInWords(t *testing.T) {
	t.Parallel()
	im := store.Impact{
		Moved: []time.Duration{-90 * time.Minute, time.Hour, 72 * time.Hour},
		Told:  map[string]int{"b": 2, "a": 2, "c": 9},
	}
	for i := range 22 {
		im.Overdue = append(im.Overdue, fmt.Sprint(i))
	}
	var b bytes.Buffer
	printImpact(&b, "this", im)
	printImpact(&b, "that", store.Impact{})
	assert.Equal(t, `
this:
  due dates that move: 3, from -1h30m to +3d, median +1h
  become overdue: 22: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19 and 2 more
  told, of how many actions: c (9), a (2), b (2)

that:
  no due date moves
  nobody is told
`, b.String())
}
