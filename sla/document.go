package sla

import (
	"encoding"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/pxactions/px/model"
)

// readDocument reads a YAML document (JSON is one), whole or in files, into a
// struct and reports every fault at once, with its place: syntax, unknown and
// repeated keys, values of a wrong type, and what check finds in the result. The
// library's own decoder stops at the first fault and knows no lines after it, so
// the tree is walked here.
func readDocument(files []File, into any, check func() model.FieldErrors) error {
	d, err := parseFiles(files)
	if err != nil {
		return err
	}
	r := reader{once: map[string]string{}}
	var read model.FieldErrors
	var all []placed
	for i, p := range d {
		r.part, r.anchors, r.faults = p, map[string]ast.Node{}, nil
		ast.Walk(&r, p.body)
		r.read("", p.body, reflect.ValueOf(into).Elem())
		read = append(read, r.faults...)
		all = append(all, d[i:i+1].place(r.faults)...)
	}
	var found model.FieldErrors
	for _, f := range check() {
		if !slices.ContainsFunc(read, func(cause *model.FieldError) bool { return follows(f, cause) }) {
			found = append(found, f)
		}
	}
	return inOrder(append(all, d.place(found)...)).Err()
}

// follows reports whether a fault found by a check is only there because
// something could not be read: it stands at it or in it, or misses it.
func follows(f, cause *model.FieldError) bool {
	within := func(path, whole string) bool {
		rest, ok := strings.CutPrefix(path, whole)
		return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
	}
	return within(f.Field, cause.Field) || f.Code == "required" && within(cause.Field, f.Field)
}

// reader fills Go values from a tree, keeping count of all that does not fit.
type reader struct {
	part    *part             // the file at hand
	once    map[string]string // where keys stand that only one file may have
	anchors map[string]ast.Node
	faults  model.FieldErrors
}

// Visit collects the anchors, so that aliases can be followed.
func (r *reader) Visit(n ast.Node) ast.Visitor {
	if a, ok := n.(*ast.AnchorNode); ok && a.Name != nil {
		r.anchors[a.Name.GetToken().Value] = a.Value
	}
	return r
}

// content follows anchors, aliases and tags to the node with the value; nil
// when an alias leads nowhere.
func (r *reader) content(n ast.Node) ast.Node {
	// An alias may name its own anchor: ten steps end every circle.
	for range 10 {
		switch x := n.(type) {
		case *ast.AnchorNode:
			n = x.Value
		case *ast.AliasNode:
			n = r.anchors[x.Value.GetToken().Value]
		case *ast.TagNode:
			n = x.Value
		default:
			return n
		}
	}
	return nil
}

func (r *reader) read(path string, node ast.Node, v reflect.Value) {
	n := r.content(node)
	if n == nil {
		r.faults.Add(orDocument(path), "format", "names an anchor that is not in the document")
		return
	}
	if n.Type() == ast.NullType {
		return
	}
	if v.Kind() == reflect.Pointer {
		p := reflect.New(v.Type().Elem())
		before := len(r.faults)
		r.read(path, n, p.Elem())
		if len(r.faults) == before {
			v.Set(p)
		}
		return
	}
	switch kind := v.Kind(); {
	case isText(v.Type()):
		r.readScalar(path, n, v)
	case kind == reflect.Struct:
		r.readStruct(path, n, v)
	case kind == reflect.Map:
		r.readMap(path, n, v)
	case kind == reflect.Slice:
		r.readSlice(path, n, v)
	default:
		r.readScalar(path, n, v)
	}
}

// isText reports whether values of a type are read from one plain text.
func isText(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// pairs are the entries of a mapping; false, and a fault, for anything else
// and for each key that stands there twice.
func (r *reader) pairs(path string, n ast.Node) ([]*ast.MappingValueNode, bool) {
	var all []*ast.MappingValueNode
	switch m := n.(type) {
	case *ast.MappingNode:
		all = m.Values
	case *ast.MappingValueNode:
		all = []*ast.MappingValueNode{m}
	default:
		r.faults.Add(orDocument(path), "format", "must be a mapping of keys to values")
		return nil, false
	}
	seen := map[string]bool{}
	once := make([]*ast.MappingValueNode, 0, len(all))
	for _, p := range all {
		key := keyOf(p)
		if seen[key] {
			r.faults.Add(join(path, key), "duplicate", fmt.Sprintf("must stand here only once, %s repeats it", r.part.at(lineOf(p))))
			continue
		}
		seen[key] = true
		once = append(once, p)
	}
	return once, true
}

func (r *reader) readStruct(path string, n ast.Node, v reflect.Value) {
	pairs, ok := r.pairs(path, n)
	if !ok {
		return
	}
	fields, keys := yamlFields(v.Type())
	for _, p := range pairs {
		key := keyOf(p)
		i, ok := fields[key]
		if !ok {
			r.faults.Add(join(path, key), "unknown", "unknown key, must be one of "+strings.Join(keys, ", "))
			continue
		}
		if path == "" && v.Field(i).Kind() != reflect.Slice {
			if first, taken := r.once[key]; taken {
				r.faults.Add(key, "duplicate", fmt.Sprintf("must stand in one file only, and %s has it already", first))
				continue
			}
			r.once[key] = r.part.at(lineOf(p))
		}
		r.read(join(path, key), p.Value, v.Field(i))
	}
}

func (r *reader) readMap(path string, n ast.Node, v reflect.Value) {
	pairs, ok := r.pairs(path, n)
	if !ok {
		return
	}
	v.Set(reflect.MakeMapWithSize(v.Type(), len(pairs)))
	for _, p := range pairs {
		e := reflect.New(v.Type().Elem()).Elem()
		r.read(join(path, keyOf(p)), p.Value, e)
		v.SetMapIndex(reflect.ValueOf(keyOf(p)).Convert(v.Type().Key()), e)
	}
}

// readSlice reads a list, behind what files before have of it; a single plain
// value stands for a list of one.
func (r *reader) readSlice(path string, n ast.Node, v reflect.Value) {
	from := v.Len()
	grow := func(n int) {
		whole := reflect.MakeSlice(v.Type(), from+n, from+n)
		reflect.Copy(whole, v)
		v.Set(whole)
	}
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		if _, scalar := n.(ast.ScalarNode); !scalar || v.Type().Elem().Kind() == reflect.Struct && !isText(v.Type().Elem()) {
			r.faults.Add(path, "format", "must be a list")
			return
		}
		grow(1)
		r.read(path, n, v.Index(from))
		return
	}
	grow(len(seq.Values))
	for i, e := range seq.Values {
		at := fmt.Sprintf("%s[%d]", path, from+i)
		if c := r.content(e); c != nil && c.Type() == ast.NullType {
			r.faults.Add(at, "required", "must not be empty")
			continue
		}
		r.read(at, e, v.Index(from+i))
	}
}

func (r *reader) readScalar(path string, n ast.Node, v reflect.Value) {
	var text string
	switch s := n.(type) {
	case *ast.LiteralNode:
		text = s.Value.Value
	case ast.ScalarNode:
		text = s.GetToken().Value
	default:
		r.faults.Add(orDocument(path), "format", "must be a single value")
		return
	}
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		if err := u.UnmarshalText([]byte(text)); err != nil {
			r.faults.Add(path, "format", err.Error())
		}
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		if n.Type() != ast.BoolType {
			r.faults.Add(path, "format", "must be true or false")
			return
		}
		v.SetBool(strings.EqualFold(text, "true"))
	case reflect.Int:
		i, err := strconv.Atoi(text)
		if err != nil {
			r.faults.Add(path, "format", "must be a whole number")
			return
		}
		v.SetInt(int64(i))
	case reflect.Float64:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			r.faults.Add(path, "format", "must be a number")
			return
		}
		v.SetFloat(f)
	}
}

// yamlFields maps the keys of a struct to its fields, and lists them in order.
func yamlFields(t reflect.Type) (map[string]int, []string) {
	fields, keys := map[string]int{}, []string(nil)
	for i := range t.NumField() {
		if key, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ","); key != "" && key != "-" {
			fields[key] = i
			keys = append(keys, key)
		}
	}
	return fields, keys
}

func keyOf(p *ast.MappingValueNode) string { return p.Key.GetToken().Value }

func join(path, key string) string {
	if key == "" {
		key = "''" // as it stands in the file
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

func orDocument(path string) string {
	if path == "" {
		return "document"
	}
	return path
}
