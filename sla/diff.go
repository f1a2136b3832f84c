package sla

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Change says what became of a part of a policy.
type Change string

// The changes.
const (
	ChangeAdded   Change = "added"
	ChangeRemoved Change = "removed"
	ChangeChanged Change = "changed"
)

// Difference is one part in which two policies differ: an entry of a section, or
// a key that stands by itself.
type Difference struct {
	Section string // calendars, triggers, …, or the key itself
	Name    string // of the entry; empty for a key that stands by itself
	Change  Change
	Keys    []KeyDifference // of what was added or changed, in their order
}

// KeyDifference is one key with its values before and after; empty: not there.
type KeyDifference struct{ Key, Old, New string }

// Diff lists in what two policies differ: sections in the order of the document,
// entries by their names. What has no name goes by its conditions. The order of
// entries alone is no difference.
func Diff(before, after *Policy) ([]Difference, error) {
	a, err := treeOf(before)
	if err != nil {
		return nil, err
	}
	b, err := treeOf(after)
	if err != nil {
		return nil, err
	}
	var all []Difference
	for _, section := range sortedKeys(keysOf(a, b)) {
		x, y := entriesOf(a[section]), entriesOf(b[section])
		for _, name := range sortedKeys(keysOf(x, y)) {
			d := Difference{Section: section, Name: name, Change: ChangeChanged}
			_, had := x[name]
			_, has := y[name]
			if d.Keys = keyDifferences(x[name], y[name]); len(d.Keys) == 0 {
				continue
			}
			switch {
			case !had:
				d.Change = ChangeAdded
			case !has:
				d.Change, d.Keys = ChangeRemoved, nil
			}
			all = append(all, d)
		}
	}
	_, sections := yamlFields(reflect.TypeFor[Policy]())
	slices.SortStableFunc(all, func(a, b Difference) int {
		return cmp.Compare(slices.Index(sections, a.Section), slices.Index(sections, b.Section))
	})
	return all, nil
}

// treeOf is the policy as JSON has it.
func treeOf(p *Policy) (map[string]any, error) {
	src, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("write the policy as JSON: %w", err)
	}
	dec := json.NewDecoder(bytes.NewReader(src))
	dec.UseNumber()
	var tree map[string]any
	if err := dec.Decode(&tree); err != nil {
		return nil, fmt.Errorf("read the policy as JSON: %w", err)
	}
	return tree, nil
}

// entriesOf are the entries of a section by name, each as its keys and values;
// what is no list of them is one without a name.
func entriesOf(section any) map[string]map[string]string {
	entries := map[string]map[string]string{}
	list, ok := section.([]any)
	if !ok {
		if section != nil {
			entries[""] = map[string]string{}
			flatten("", section, entries[""])
		}
		return entries
	}
	for i, name := range namesOf(list, conditionsOf) {
		entries[name] = map[string]string{}
		flatten("", list[i], entries[name])
	}
	return entries
}

// namesOf names the items of a list, a further one of a name by its number.
func namesOf(list []any, otherwise func(i int, item any) string) []string {
	names, seen := make([]string, len(list)), map[string]int{}
	for i, item := range list {
		fields, _ := item.(map[string]any)
		name, ok := fields["name"].(string)
		if !ok || name == "" {
			name = otherwise(i, item)
		}
		if seen[name]++; seen[name] > 1 {
			name = fmt.Sprintf("%s (%d)", name, seen[name])
		}
		names[i] = name
	}
	return names
}

// conditionsOf names an entry by the words in it.
func conditionsOf(_ int, item any) string {
	fields, _ := item.(map[string]any)
	var words []string
	for _, key := range sortedKeys(fields) {
		if word, ok := fields[key].(string); ok {
			words = append(words, key+" "+word)
		}
	}
	if len(words) == 0 {
		return "for all"
	}
	return strings.Join(words, ", ")
}

// flatten writes a value's parts under their paths, a list of plain values as one.
func flatten(path string, v any, into map[string]string) {
	switch x := v.(type) {
	case map[string]any:
		for key, part := range x {
			flatten(join(path, key), part, into)
		}
		if len(x) == 0 {
			into[path] = "{}"
		}
	case []any:
		if len(x) == 0 || !isMapping(x[0]) {
			into[path] = plainList(x)
			return
		}
		for i, name := range namesOf(x, func(i int, _ any) string { return fmt.Sprint(i) }) {
			flatten(fmt.Sprintf("%s[%s]", path, name), x[i], into)
		}
	default:
		into[path] = fmt.Sprint(x)
	}
}

func isMapping(v any) bool {
	_, ok := v.(map[string]any)
	return ok
}

func plainList(list []any) string {
	words := make([]string, len(list))
	for i, v := range list {
		words[i] = fmt.Sprint(v)
	}
	return "[" + strings.Join(words, ", ") + "]"
}

func keyDifferences(before, after map[string]string) []KeyDifference {
	var keys []KeyDifference
	for _, key := range sortedKeys(keysOf(before, after)) {
		if old, has := before[key], after[key]; old != has {
			keys = append(keys, KeyDifference{key, old, has})
		}
	}
	return keys
}

func keysOf[V any](a, b map[string]V) map[string]bool {
	keys := map[string]bool{}
	for _, m := range []map[string]V{a, b} {
		for key := range m {
			keys[key] = true
		}
	}
	return keys
}
