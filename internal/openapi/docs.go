package openapi

import (
	"bytes"
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

//go:embed docs.html
var docsTemplate string

// docsPage renders the description as one page that needs nothing from
// elsewhere.
func docsPage(doc *huma.OpenAPI) ([]byte, error) {
	t, err := template.New("docs").Funcs(template.FuncMap{
		"ref":   func(s *huma.Schema) string { return s.Ref[strings.LastIndexByte(s.Ref, '/')+1:] },
		"words": func(vs []any) string { return strings.Trim(fmt.Sprint(vs), "[]") },
		"has":   slices.Contains[[]string, string],
	}).Parse(docsTemplate)
	if err != nil {
		return nil, err
	}
	type operation struct {
		Method, Path string
		*huma.Operation
	}
	var ops []operation
	for path, item := range doc.Paths {
		for _, op := range []*huma.Operation{item.Post, item.Get, item.Put, item.Delete} {
			if op != nil {
				ops = append(ops, operation{op.Method, path, op})
			}
		}
	}
	slices.SortFunc(ops, func(a, b operation) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(b.Method, a.Method)) // POST before GET
	})
	var b bytes.Buffer
	err = t.Execute(&b, map[string]any{"Info": doc.Info, "Operations": ops, "Schemas": doc.Components.Schemas.Map()})
	return b.Bytes(), err
}
