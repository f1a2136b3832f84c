package sla_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/pxactions/px/samples"
	"github.com/pxactions/px/sla"
)

func compiledSchema(t *testing.T) *jsonschema.Schema { return compiledPart(t, "") }

// compiled is a part of the schema: "" is all of it, "#/$defs/stage" that object.
func compiledPart(t *testing.T, part string) *jsonschema.Schema {
	t.Helper()
	src, err := sla.Schema()
	if err != nil {
		t.Fatal(err) // a new key of the document needs its words in schemaWords
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(src))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource("policy.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("policy.json" + part)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSamplesFitTheSchema(t *testing.T) {
	t.Parallel()
	s := compiledSchema(t)
	for name, src := range map[string][]byte{"policy.yaml": samples.Policy, "demo-policy.yaml": samples.DemoPolicy} {
		if err := validate(t, s, string(src)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSchemaSaysWhatTheParserSays on documents whose faults show in their form.
func TestSchemaSaysWhatTheParserSays(t *testing.T) {
	t.Parallel()
	s := compiledSchema(t)
	const office = "calendars: [{name: o, timezone: UTC, weekly: {%s}}]"
	for text, fits := range map[string]bool{
		"{}":                                          true,
		"max_age: 36h":                                true,
		"max_age: 7 days":                             false,
		"max_agee: 7d":                                false,
		"sla: [{name: a, low_hours: 0}]":              false,
		"sla: [{name: a, low_hour: 1}]":               false,
		"sla: [{low_hours: 1}]":                       false,
		"sla: {name: a}":                              false,
		"sla: [{name: a, calendar: [b]}]":             false,
		"sla: [{name: a, targets: {low: 3wd}}]":       true,
		"sla: [{name: a, targets: {lo: 3wd}}]":        false,
		"sla: [{name: a, reminders: [75%, 2h open]}]": true,
		"sla: [{name: a, reminders: 75 %}]":           false,
		"sla: [{name: a, reminder_hours_before: []}]": true,
		"sla: [{name: a, reminder_hours_before: 4}]":  true,
		"sla: [{name: a, stages: {low: [{after_hours: 0.5, tell: [manager, 'role:PX Admin', 'user:x']}]}}]": true,
		"sla: [{name: a, stages: {low: [{after_hours: 0}]}}]":                                               false,
		"sla: [{name: a, stages: {low: [{after_hours: 1, tell: boss}]}}]":                                   false,
		"sla: [{name: a, stages: {low: [{after_hours: 1, channels: pigeon}]}}]":                             false,
		"sla: [{name: a, stages: {low: [{after_hours: 1, repeat: 21}]}}]":                                   false,
		"routing: [{name: a, category: food}]":                                                              false,
		"triggers: [{complaints: sometimes}]":                                                               false,
		"sla: [{name: a, reopen: remaining}]":                                                               true,
		"sla: [{name: a, reopen: rest}]":                                                                    false,
		"triggers: [{raise: []}]":                                                                           true,
		"triggers: [{raise: [{keywords: fell, severity: high, negative: true}]}]":                           true,
		"triggers: [{raise: [{category: other, keywords: [fell, 'abus*'], severity: high}]}]":               true,
		"triggers: [{raise: [{keywords: fell}]}]":                                                           false,
		"triggers: [{raise: {keywords: fell, severity: high}}]":                                             false,
		"triggers: [{raise: [{category: food, severity: high}]}]":                                           false,
		"triggers: [{nps: []}]":                                                                             true,
		strings.Replace(office, "%s", "mon: 08:00-16:00", 1):                                                true,
		strings.Replace(office, "%s", `sun-thu: ["08:00-12:00", "13:00-24:00"]`, 1):                         true,
		strings.Replace(office, "%s", "monday: 08:00-16:00", 1):                                             false,
		strings.Replace(office, "%s", "mon: 8 to 4", 1):                                                     false,
		"calendars: [{name: o, timezone: UTC, weekly: {mon: 08:00-16:00}, holidays: [{date: 25 Dec}]}]":     false,
		"calendars: [{name: o, timezone: UTC, weekly: {mon: 08:00-16:00}, holidays: [{date: 12-25}]}]":      true,
	} {
		_, err := sla.ParsePolicy([]byte(text))
		if (err == nil) != fits {
			t.Errorf("%s: the parser says %v", text, err)
		}
		if err := validate(t, s, text); (err == nil) != fits {
			t.Errorf("%s: the schema says %v", text, err)
		}
	}
}

func TestExamplesFitTheSchema(t *testing.T) {
	t.Parallel()
	src, err := sla.Schema()
	if err != nil {
		t.Fatal(err)
	}
	type object struct {
		Properties map[string]struct {
			Examples []json.RawMessage
		}
	}
	var all struct {
		object
		Defs map[string]object `json:"$defs"`
	}
	if err := json.Unmarshal(src, &all); err != nil {
		t.Fatal(err)
	}
	seen := 0
	check := func(part string, o object) {
		for key, p := range o.Properties {
			for _, x := range p.Examples {
				seen++
				if err := validate(t, compiledPart(t, part+"/properties/"+key), string(x)); err != nil {
					t.Errorf("%s/%s: %v", part, key, err)
				}
			}
		}
	}
	check("#", all.object)
	for name, o := range all.Defs {
		check("#/$defs/"+name, o)
	}
	if seen < 50 {
		t.Errorf("%d examples", seen)
	}
}

func validate(t *testing.T, s *jsonschema.Schema, text string) error {
	t.Helper()
	asJSON, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(v)
}
