package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// module is the import path of this repository's root.
const module = "github.com/pxactions/px"

// source is one parsed Go file of this module.
type source struct {
	// name is the path from the root, with slashes; dir is its folder, "." at the root.
	name, dir string
	// test tells a _test.go file, which never reaches the binary.
	test bool
	fset *token.FileSet
	file *ast.File
}

// root is the repository's root, seen from this package's folder, where `go test` runs.
func root() string { return filepath.Join("..", "..") }

// sources parses every Go file of the module; folders with a go.mod of their own are other modules.
func sources(t *testing.T) []source {
	t.Helper()
	var found []source
	err := filepath.WalkDir(root(), func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return enter(p, d)
		}
		if filepath.Ext(p) != ".go" {
			return nil
		}
		rel, err := filepath.Rel(root(), p)
		if err != nil {
			return err
		}
		s := source{name: filepath.ToSlash(rel), fset: token.NewFileSet(), test: strings.HasSuffix(p, "_test.go")}
		s.dir = path.Dir(s.name)
		s.file, err = parser.ParseFile(s.fset, p, nil, parser.ParseComments|parser.SkipObjectResolution)
		found = append(found, s)
		return err
	})
	if err != nil {
		t.Fatalf("read the module's Go files: %v", err)
	}
	return found
}

// enter says whether a folder belongs to the module, by the go command's own rules.
func enter(p string, d fs.DirEntry) error {
	if p == root() {
		return nil
	}
	if name := d.Name(); strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata" || name == "vendor" {
		return filepath.SkipDir
	}
	if _, err := os.Stat(filepath.Join(p, "go.mod")); err == nil {
		return filepath.SkipDir
	}
	return nil
}

// under tells whether p is dir or lies below it.
func under(p, dir string) bool { return p == dir || strings.HasPrefix(p, dir+"/") }
