package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/pxactions/px/internal/docpart"
)

// page is the text with the parts between its markers written anew: `<!-- keys -->`
// has the keys of the policy itself, `<!-- keys of sla -->` those of a section and
// of all that stands in it, `<!-- words -->` the words of long lists of them.
func page(old string, src []byte) (string, error) {
	p := writer{words: map[string][]string{}, paths: map[string][]string{}}
	if err := json.Unmarshal(src, &p.root); err != nil {
		return "", fmt.Errorf("read the schema: %w", err)
	}
	p.walk("", &p.root)
	out, err := docpart.Replace(old, "keys", p.table(&p.root))
	if err != nil {
		return "", err
	}
	for _, m := range p.root.Properties {
		if name, _ := m.object(); name != "" {
			if out, err = docpart.Replace(out, "keys of "+m.key, strings.Join(p.tables(name), "\n")); err != nil {
				return "", err
			}
		}
	}
	return docpart.Replace(out, "words", p.wordTable())
}

// writer makes the tables.
type writer struct {
	root  schema
	paths map[string][]string // where each object stands
	words map[string][]string // of enumerations too long for a cell, by key
	told  []string            // objects that have a table
}

// walk finds where each object stands.
func (p *writer) walk(at string, o *schema) {
	for _, m := range o.Properties {
		name, way := m.object()
		if name == "" {
			continue
		}
		path := strings.TrimPrefix(at+"."+m.key+way, ".")
		p.paths[name] = append(p.paths[name], path)
		p.walk(path, p.root.Defs[name])
	}
}

// tables are those of an object and of all objects in it that have none yet.
func (p *writer) tables(name string) []string {
	if slices.Contains(p.told, name) {
		return nil
	}
	p.told = append(p.told, name)
	all := []string{fmt.Sprintf("Keys of `%s`:\n\n%s", strings.Join(p.paths[name], "`, `"), p.table(p.root.Defs[name]))}
	for _, m := range p.root.Defs[name].Properties {
		if part, _ := m.object(); part != "" {
			all = append(all, p.tables(part)...)
		}
	}
	return all
}

func (p *writer) table(o *schema) string {
	var out strings.Builder
	out.WriteString("| key | value | left out | meaning | example |\n| --- | --- | --- | --- | --- |\n")
	for _, m := range o.Properties {
		means, left, _ := strings.Cut(m.Description, " Left out: ")
		left = strings.TrimSuffix(left, ".")
		if slices.Contains(o.Required, m.key) {
			left = "**needed**"
		}
		row := []string{"`" + m.key + "`", p.value(m.key, m.schema), left, means, example(m.schema)}
		for i := range row {
			row[i] = strings.ReplaceAll(row[i], "|", `\|`)
		}
		fmt.Fprintf(&out, "| %s |\n", strings.Join(row, " | "))
	}
	return out.String()
}

// longest is the number of words that a cell has room for.
const longest = 5

// value says what may stand at a key.
func (p *writer) value(key string, s *schema) string {
	switch by := s.keyed(); {
	case by != nil:
		return s.Title + ": " + p.value(key, by)
	case s.Ref != "":
		return "mapping, below"
	case s.Items != nil:
		return "list, below"
	case len(s.AnyOf) > 0:
		return p.value(key, s.AnyOf[0]) + "; one or a list"
	case len(s.Enum) > longest:
		p.words[key] = s.Enum
		return "[a word](#words)"
	case len(s.Enum) > 0:
		return "`" + strings.Join(s.Enum, "`, `") + "`"
	case s.Type == "boolean":
		return "`true`, `false`"
	case s.Title == "":
		return "text"
	default:
		return s.Title + limits(s)
	}
}

func limits(s *schema) string {
	number := func(f *float64) string { return strconv.FormatFloat(*f, 'f', -1, 64) }
	switch {
	case s.Minimum != nil && s.Maximum != nil:
		return fmt.Sprintf(", %s to %s", number(s.Minimum), number(s.Maximum))
	case s.Minimum != nil:
		return ", at least " + number(s.Minimum)
	case s.ExclusiveMinimum != nil && s.Maximum != nil:
		return fmt.Sprintf(", above %s, at most %s", number(s.ExclusiveMinimum), number(s.Maximum))
	case s.ExclusiveMinimum != nil:
		return ", above " + number(s.ExclusiveMinimum)
	default:
		return ""
	}
}

// example is the first of a key, as YAML on one line.
func example(s *schema) string {
	if len(s.Examples) == 0 {
		return ""
	}
	text := string(s.Examples[0])
	if v := any(nil); yaml.UnmarshalWithOptions(s.Examples[0], &v, yaml.UseOrderedMap()) == nil {
		if out, err := yaml.MarshalWithOptions(v, yaml.Flow(true)); err == nil {
			text = strings.TrimSpace(string(out))
		}
	}
	return "`" + text + "`"
}

// wordTable has the words of the lists that were too long for a cell.
func (p *writer) wordTable() string {
	var out strings.Builder
	out.WriteString("| key | words |\n| --- | --- |\n")
	keys := make([]string, 0, len(p.words))
	for key := range p.words {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		fmt.Fprintf(&out, "| `%s` | `%s` |\n", key, strings.Join(p.words[key], "`, `"))
	}
	return out.String()
}
