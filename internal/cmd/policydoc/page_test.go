package main

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/samples"
	"github.com/pxactions/px/sla"
)

// inRoot is a file of the repository, seen from this package's folder.
func inRoot(name string) string { return filepath.Join("..", "..", "..", name) }

func TestThePageFollowsTheSchema(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(inRoot(file))
	require.NoError(t, err)
	src, err := sla.Schema()
	require.NoError(t, err)
	want, err := page(string(text), src)
	require.NoError(t, err)
	require.Equal(t, want, string(text), "make docs writes it anew")
}

// TestExamplesOfThePage reads every policy that the page shows, with the sample
// people and places.
func TestExamplesOfThePage(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(inRoot(file))
	require.NoError(t, err)
	doc, err := sla.ParseDirectory(samples.Directory)
	require.NoError(t, err)
	rows, err := doc.Rows(nil, uuid.New, time.Now())
	require.NoError(t, err)
	for i := range rows.Hospitals { // an example need not have their calendars
		rows.Hospitals[i].Calendar = ""
	}
	for i := range rows.Departments {
		rows.Departments[i].Calendar = ""
	}
	dir := sla.NewDirectory(0, rows.Hospitals, rows.Departments, rows.Users, rows.Surveys)
	examples := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(text, -1)
	require.GreaterOrEqual(t, len(examples), 5)
	for _, x := range examples {
		_, _, err := sla.Inspect([]sla.File{{Text: x[1]}}, dir)
		assert.NoError(t, err, "%s", x[1])
	}
}

func TestAPageWithoutAPartIsRefused(t *testing.T) {
	t.Parallel()
	src, err := sla.Schema()
	require.NoError(t, err)
	for _, text := range []string{"", "<!-- keys -->\n", "<!-- keys -->\n<!-- end -->\n<!-- keys of calendars -->\n<!-- end -->\n"} {
		_, err := page(text, src)
		require.ErrorContains(t, err, "has no part between", "%q", text)
	}
	_, err = page("", []byte("{"))
	require.ErrorContains(t, err, "read the schema")
}

func TestTables(t *testing.T) {
	t.Parallel()
	const schema = `{"properties": {
		"span": {"type": "string", "title": "length of time", "description": "How long. Left out: 7d.", "examples": ["a|b"]},
		"boxes": {"description": "Of them.", "items": {"$ref": "#/$defs/box"}}},
	"required": ["boxes"],
	"$defs": {"box": {"required": ["hours"], "properties": {
		"hours": {"description": "A. Left out: b.", "title": "whole hours", "type": "integer", "minimum": 1, "maximum": 9, "examples": [2]},
		"by": {"description": "B.", "title": "by size", "properties": {"s": {"items": {"$ref": "#/$defs/part"}}}},
		"word": {"description": "C.", "enum": ["1", "2", "3", "4", "5", "6"], "examples": ["1"]}}},
	"part": {"properties": {
		"on": {"type": "boolean", "description": "D.", "examples": [true]},
		"few": {"anyOf": [{"enum": ["a", "b"]}, {}], "description": "E.", "examples": [["a", "b"]]},
		"above": {"title": "number", "exclusiveMinimum": 0, "description": "F.", "examples": [0.5]},
		"both": {"title": "number", "exclusiveMinimum": 0, "maximum": 1, "description": "G.", "examples": [0.5]},
		"least": {"title": "number", "minimum": 2, "description": "H.", "examples": [{"x": "z"}]}}}}}`
	const head = "| key | value | left out | meaning | example |\n| --- | --- | --- | --- | --- |\n"
	got, err := page("<!-- keys -->\n<!-- end -->\n<!-- keys of boxes -->\nold\n<!-- end -->\n<!-- words -->\n<!-- end -->\nrest\n", []byte(schema))
	require.NoError(t, err)
	require.Equal(t, "<!-- keys -->\n\n"+head+
		"| `span` | length of time | 7d | How long. | `a\\|b` |\n"+
		"| `boxes` | list, below | **needed** | Of them. |  |\n"+
		"\n<!-- end -->\n<!-- keys of boxes -->\n\nKeys of `boxes[]`:\n\n"+head+
		"| `hours` | whole hours, 1 to 9 | **needed** | A. | `2` |\n"+
		"| `by` | by size: list, below |  | B. |  |\n"+
		"| `word` | [a word](#words) |  | C. | `\"1\"` |\n"+
		"\nKeys of `boxes[].by.<size>[]`:\n\n"+head+
		"| `on` | `true`, `false` |  | D. | `true` |\n"+
		"| `few` | `a`, `b`; one or a list |  | E. | `[a, b]` |\n"+
		"| `above` | number, above 0 |  | F. | `0.5` |\n"+
		"| `both` | number, above 0, at most 1 |  | G. | `0.5` |\n"+
		"| `least` | number, at least 2 |  | H. | `{x: z}` |\n"+
		"\n<!-- end -->\n<!-- words -->\n\n| key | words |\n| --- | --- |\n| `word` | `1`, `2`, `3`, `4`, `5`, `6` |\n\n<!-- end -->\nrest\n", got)
}
