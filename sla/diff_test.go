package sla_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pxactions/px/samples"
	"github.com/pxactions/px/sla"
)

func TestDiff(t *testing.T) {
	t.Parallel()
	const before = `
max_age: 7d
calendars:
  - name: o
    timezone: UTC
    weekly: { mon-fri: 08:00-16:00 }
    holidays: [{ name: New Year, date: 01-01 }, { date: 2026-05-01 }]
triggers: [{ hospital: RUH, complaints: never }, { source_type: kpi, kpi: [] }]
routing: [{ name: a, priority: 1 }, { name: b }, { name: a }]
sla: [{ name: all, high_hours: 5, stages: { high: [{ after_hours: 1 }, { after_hours: 2 }] } }, { name: old, hospital: BER }]
`
	tests := []struct{ name, after, want string }{
		{"nothing", before, ""},
		{"another order", strings.Replace(before, "{ hospital: RUH, complaints: never }, { source_type: kpi, kpi: [] }", "{ source_type: kpi, kpi: [] }, { hospital: RUH, complaints: never }", 1), ""},
		{"a key by itself", strings.Replace(before, "7d", "36h", 1), `max_age "" changed: ="7d">"36h0m0s"`},
		{"a key left out", strings.Replace(before, "max_age: 7d", "", 1), `max_age "" removed`},
		{"keys within an entry", strings.NewReplacer("high_hours: 5", "low_hours: 9", "after_hours: 2", "after_hours: 2.5").Replace(before),
			`sla "all" changed: high_hours="5">"", low_hours="">"9", stages.high[1].after_hours="2">"2.5"`},
		{"an entry more", strings.Replace(before, "{ name: old, hospital: BER }", "{ name: old, hospital: BER }, { name: new, hospital: RUH }", 1), `sla "new" added: hospital="">"RUH", name="">"new"`},
		{"an entry less", strings.Replace(before, ", { name: old, hospital: BER }", "", 1), `sla "old" removed`},
		{"the second of a name", strings.Replace(before, "{ name: a }]", "{ name: a, priority: 2 }]", 1), `routing "a (2)" changed: priority="">"2"`},
		{"what has no name", strings.Replace(before, "kpi: []", "kpi: [{ at_least: 9, severity: low }]", 1),
			`triggers "source_type kpi" changed: kpi="[]">"", kpi[0].at_least="">"9", kpi[0].severity="">"low"`},
		{"raises", strings.Replace(before, "kpi: []", "kpi: [], raise: [{ keywords: [fell, 'abus*'], severity: high }]", 1),
			`triggers "source_type kpi" changed: raise[0].keywords="">"[fell, abus*]", raise[0].severity="">"high"`},
		{"a holiday with a name and one without", strings.NewReplacer("01-01", "01-02", "05-01", "05-02").Replace(before),
			`calendars "o" changed: holidays[1].date="2026-05-01">"2026-05-02", holidays[New Year].date="01-01">"01-02"`},
		{"windows", strings.Replace(before, "08:00-16:00", `["08:00-12:00", "13:00-17:00"]`, 1),
			`calendars "o" changed: weekly.mon-fri="[08:00-16:00]">"[08:00-12:00, 13:00-17:00]"`},
		{"all", "{}", `max_age "" removed; calendars "o" removed; triggers "complaints never, hospital RUH" removed; triggers "source_type kpi" removed; ` +
			`routing "a" removed; routing "a (2)" removed; routing "b" removed; sla "all" removed; sla "old" removed`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, d := range diff(t, before, tt.after) {
				line := fmt.Sprintf("%s %q %s", d.Section, d.Name, d.Change)
				for i, k := range d.Keys {
					line += fmt.Sprintf("%s%s=%q>%q", []string{": ", ", "}[min(i, 1)], k.Key, k.Old, k.New)
				}
				got = append(got, line)
			}
			if text := strings.Join(got, "; "); text != tt.want {
				t.Errorf("got  %s\nwant %s", text, tt.want)
			}
		})
	}
	if ds := diff(t, string(samples.Policy), string(samples.Policy)); len(ds) > 0 {
		t.Errorf("the sample differs from itself: %+v", ds)
	}
}

func diff(t *testing.T, before, after string) []sla.Difference {
	t.Helper()
	var ps []*sla.Policy
	for _, text := range []string{before, after} {
		p, err := sla.ParsePolicy([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		ps = append(ps, p)
	}
	ds, err := sla.Diff(ps[0], ps[1])
	if err != nil {
		t.Fatal(err)
	}
	return ds
}
