package sla

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/pxactions/px/model"
)

// File is a YAML document, or one of several files that make it together: their
// lists are joined in the order of the files, and every other key stands in one
// of them.
type File struct {
	Name string // as faults tell it; empty: they tell the line alone
	Text []byte
}

// Locate adds to the faults of a document the places where they stand. An error
// that holds no model.FieldErrors, and any error when the files are not readable,
// comes back unchanged.
func Locate(files []File, err error) error {
	var faults model.FieldErrors
	if !errors.As(err, &faults) {
		return err
	}
	d, syntax := parseFiles(files)
	if syntax != nil {
		return err
	}
	return inOrder(d.place(faults)).Err()
}

// document is the parsed files of a document that hold anything.
type document []*part

type part struct {
	number int // among the files
	name   string
	body   ast.Node
	lines  map[string]int // by path in the whole document; "" is the file itself
}

// parseFiles reports the syntax faults of all files.
func parseFiles(files []File) (document, error) {
	var d document
	var faults model.FieldErrors
	elements := map[string]int{}
	for i, f := range files {
		p := &part{number: i, name: f.Name, lines: map[string]int{}}
		fault := p.parse(f.Text)
		switch {
		case fault != nil:
			faults = append(faults, fault)
		case p.body != nil:
			p.lines[""] = lineOf(p.body)
			collectLines("", p.body, p.lines, elements)
			d = append(d, p)
		}
	}
	return d, faults.Err()
}

func (p *part) parse(src []byte) *model.FieldError {
	f, err := parser.ParseBytes(src, 0, parser.AllowDuplicateMapKey())
	var syntax *yaml.SyntaxError
	switch {
	case errors.As(err, &syntax) && syntax.Token != nil && syntax.Token.Position != nil:
		return &model.FieldError{Field: "document", Code: "syntax", At: p.at(syntax.Token.Position.Line), Want: syntax.Message}
	case err != nil:
		return &model.FieldError{Field: "document", Code: "syntax", At: p.name, Want: "must be YAML"}
	}
	for _, d := range f.Docs {
		if d.Body == nil || d.Body.Type() == ast.DirectiveType || d.Body.Type() == ast.CommentType {
			continue
		}
		if p.body != nil {
			return &model.FieldError{Field: "document", Code: "format", At: p.at(lineOf(d.Body)), Want: "must be one document, here begins a second"}
		}
		p.body = d.Body
	}
	return nil
}

// at is a place in the file, in words.
func (p *part) at(line int) string {
	if p.name == "" {
		return fmt.Sprintf("line %d", line)
	}
	return fmt.Sprintf("%s:%d", p.name, line)
}

// placed is a fault with its place among the files, to sort by.
type placed struct {
	*model.FieldError
	file, line int
}

// entry is the path of an entry of a list, or of what stands in it, as the words
// of a fault name it.
var entry = regexp.MustCompile(`\b[a-z]+\[\d+\](\.[\w-]+|\[\d+\])*`)

// place finds where faults stand, and the entries that they name.
func (d document) place(faults model.FieldErrors) []placed {
	all := make([]placed, len(faults))
	for i, f := range faults {
		all[i] = placed{FieldError: f}
		if len(d) == 0 {
			continue
		}
		p, line := d.nearest(f.Field)
		want := entry.ReplaceAllStringFunc(f.Want, func(path string) string {
			if p, line := d.nearest(path); p.lines[path] == line {
				return fmt.Sprintf("%s (%s)", path, p.at(line))
			}
			return path
		})
		all[i] = placed{&model.FieldError{Field: f.Field, Code: f.Code, Want: want, At: p.at(line)}, p.number, line}
	}
	return all
}

// nearest is the place of a path, or of the closest thing around it that stands
// in the document (a key may be what is missing).
func (d document) nearest(path string) (*part, int) {
	for {
		for _, p := range d {
			if line, ok := p.lines[path]; ok {
				return p, line
			}
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
}

func inOrder(all []placed) model.FieldErrors {
	slices.SortStableFunc(all, func(a, b placed) int {
		return cmp.Or(cmp.Compare(a.file, b.file), cmp.Compare(a.line, b.line))
	})
	out := make(model.FieldErrors, len(all))
	for i, f := range all {
		out[i] = f.FieldError
	}
	return out
}

// collectLines notes the line of every path in a tree. elements counts those of
// each list, over all files.
func collectLines(path string, n ast.Node, lines, elements map[string]int) {
	switch x := n.(type) {
	case *ast.MappingNode:
		seen := map[string]bool{} // what is repeated is not read
		for _, p := range x.Values {
			if key := keyOf(p); !seen[key] {
				seen[key] = true
				collectLines(path, p, lines, elements)
			}
		}
	case *ast.MappingValueNode:
		at := join(path, keyOf(x))
		lines[at] = x.Key.GetToken().Position.Line
		collectLines(at, x.Value, lines, elements)
	case *ast.SequenceNode:
		from := elements[path]
		elements[path] += len(x.Values)
		for i, e := range x.Values {
			at := fmt.Sprintf("%s[%d]", path, from+i)
			lines[at] = lineOf(e)
			collectLines(at, e, lines, elements)
		}
	case *ast.AnchorNode:
		collectLines(path, x.Value, lines, elements)
	case *ast.TagNode:
		collectLines(path, x.Value, lines, elements)
	}
}

func lineOf(n ast.Node) int {
	switch x := n.(type) {
	case *ast.MappingNode:
		if len(x.Values) > 0 {
			return lineOf(x.Values[0])
		}
	case *ast.MappingValueNode:
		return x.Key.GetToken().Position.Line
	}
	if t := n.GetToken(); t != nil && t.Position != nil {
		return t.Position.Line
	}
	return 0
}
