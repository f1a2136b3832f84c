package apifuzz

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
)

// object is any JSON object of the description.
type object = map[string]any

// spec is a description, read from where it is served.
type spec struct {
	doc        object
	operations []operation
}

// operation is one method of one path.
type operation struct {
	id, method, path string
	params           []object
	bodies           map[string]object // schema by media type
	answers          map[int]answer
}

// answer is what the description says of one status.
type answer struct {
	types    map[string]*jsonschema.Schema // nil: any text
	headers  []string
	required []string
}

const problemType = "application/problem+json"

// readSpec reads a description; every schema of an answer is compiled as JSON
// Schema 2020-12, which OpenAPI 3.1 means.
func readSpec(t *testing.T, text []byte) *spec {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	require.NoError(t, err)
	schemas := jsonschema.NewCompiler()
	schemas.DefaultDraft(jsonschema.Draft2020)
	schemas.AssertFormat()
	require.NoError(t, schemas.AddResource("urn:px", value))
	s := &spec{}
	require.NoError(t, json.Unmarshal(text, &s.doc))
	for _, path := range slices.Sorted(maps.Keys(s.doc["paths"].(object))) {
		item := s.doc["paths"].(object)[path].(object)
		for _, method := range slices.Sorted(maps.Keys(item)) {
			at := "urn:px#/paths/" + strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(path) + "/" + method
			s.operations = append(s.operations, readOperation(t, schemas, at, path, strings.ToUpper(method), item[method].(object)))
		}
	}
	return s
}

func readOperation(t *testing.T, schemas *jsonschema.Compiler, at, path, method string, raw object) operation {
	t.Helper()
	op := operation{id: raw["operationId"].(string), method: method, path: path, bodies: map[string]object{}, answers: map[int]answer{}}
	params, _ := raw["parameters"].([]any)
	for _, p := range params {
		op.params = append(op.params, p.(object))
	}
	for name := range strings.SplitSeq(path, "/") {
		if strings.HasPrefix(name, "{") {
			require.True(t, slices.ContainsFunc(op.params, func(p object) bool { return p["in"] == "path" && "{"+p["name"].(string)+"}" == name }), "%s: %s is not described", op.id, name)
		}
	}
	body, _ := raw["requestBody"].(object)
	content, _ := body["content"].(object)
	for kind, media := range content {
		op.bodies[kind] = media.(object)["schema"].(object)
	}
	for code, r := range raw["responses"].(object) {
		status, err := strconv.Atoi(code)
		require.NoError(t, err, "%s: a status", op.id)
		a := answer{types: map[string]*jsonschema.Schema{}}
		content, _ := r.(object)["content"].(object)
		for kind := range content {
			a.types[kind] = nil
			if strings.HasSuffix(kind, "json") {
				a.types[kind], err = schemas.Compile(at + "/responses/" + code + "/content/" + strings.ReplaceAll(kind, "/", "~1") + "/schema")
				require.NoError(t, err)
			}
		}
		headers, _ := r.(object)["headers"].(object)
		for name, h := range headers {
			a.headers = append(a.headers, http.CanonicalHeaderKey(name))
			if h.(object)["required"] == true {
				a.required = append(a.required, name)
			}
		}
		op.answers[status] = a
	}
	return op
}

// reply is an answer, its body read.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// speaking are the headers that say something of an answer, and so are described.
func speaking() []string {
	return []string{"Etag", "Location", "Idempotency-Replayed", "Retry-After", "Www-Authenticate", "X-Request-Id", "Content-Disposition"}
}

// check says what is wrong with an answer; nil: nothing is. A request that is not
// of any operation may only be refused.
func (op *operation) check(method string, r reply) error {
	if r.status >= http.StatusInternalServerError {
		return fmt.Errorf("status %d", r.status)
	}
	if op == nil {
		if r.status != http.StatusNotFound && r.status != http.StatusMethodNotAllowed {
			return fmt.Errorf("nothing is described there, and the answer is %d", r.status)
		}
		if r.status == http.StatusMethodNotAllowed && r.header.Get("Allow") == "" {
			return fmt.Errorf("405 without Allow")
		}
		return checkProblem(method, r)
	}
	a, ok := op.answers[r.status]
	if !ok {
		return fmt.Errorf("status %d is not described", r.status)
	}
	for _, name := range a.required {
		if r.header.Get(name) == "" {
			return fmt.Errorf("header %s is missing", name)
		}
	}
	for _, name := range speaking() {
		if r.header.Get(name) != "" && !slices.Contains(a.headers, name) {
			return fmt.Errorf("header %s is not described", name)
		}
	}
	if method == http.MethodHead {
		return nil
	}
	return a.check(method, r)
}

func (a answer) check(method string, r reply) error {
	kind, _, _ := mime.ParseMediaType(r.header.Get("Content-Type"))
	if len(a.types) == 0 {
		if len(r.body) > 0 {
			return fmt.Errorf("a body that is not described")
		}
		return nil
	}
	schema, ok := a.types[kind]
	if !ok {
		_, ok = a.types["*/*"]
	}
	if !ok {
		return fmt.Errorf("media type %q is not described", kind)
	}
	if kind == problemType {
		if err := checkProblem(method, r); err != nil {
			return err
		}
	}
	if schema == nil {
		return nil
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(r.body))
	if err != nil {
		return fmt.Errorf("no JSON: %w", err)
	}
	return schema.Validate(value)
}

func checkProblem(method string, r reply) error {
	if kind := r.header.Get("Content-Type"); kind != problemType {
		return fmt.Errorf("media type %q, want a problem", kind)
	}
	if method == http.MethodHead {
		return nil
	}
	var p struct {
		Type, Title, Code string
		Status            int
	}
	if err := json.Unmarshal(r.body, &p); err != nil {
		return fmt.Errorf("problem: %w", err)
	}
	if p.Type != "urn:px:problem:"+p.Code || p.Title == "" || p.Code == "" || p.Status != r.status {
		return fmt.Errorf("not a whole problem of status %d", r.status)
	}
	return nil
}
