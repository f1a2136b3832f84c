package web_test

import (
	"encoding/json"
	"mime"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/internal/problem"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/web"
)

// description is what the API says of itself. Every answer that a test gets is held
// against it.
type description struct {
	doc   *huma.OpenAPI
	paths *http.ServeMux
}

func newDescription() *description {
	api := humago.New(http.NewServeMux(), huma.DefaultConfig("test", "1"))
	web.Describe(api)
	d := &description{doc: api.OpenAPI(), paths: http.NewServeMux()}
	for path := range d.doc.Paths {
		d.paths.Handle(path, http.NotFoundHandler())
	}
	return d
}

// check fails the test for an answer whose status, type, headers or body are not
// described.
func (d *description) check(t *testing.T, req *http.Request, r reply) {
	t.Helper()
	_, path := d.paths.Handler(req)
	op := operation(d.doc.Paths[path], req.Method)
	if op == nil {
		return // nothing is served there
	}
	what := req.Method + " " + path + " " + strconv.Itoa(r.status)
	described := op.Responses[strconv.Itoa(r.status)]
	if !assert.NotNil(t, described, "%s is not described: %s", what, r.body) {
		return
	}
	for _, h := range []string{"Etag", "Location", "Idempotency-Replayed", "Retry-After", "Www-Authenticate", "X-Request-Id", "Content-Disposition"} {
		if r.header.Get(h) == "" {
			continue
		}
		found := false
		for name := range described.Headers {
			found = found || strings.EqualFold(name, h)
		}
		assert.True(t, found, "%s: header %s is not described", what, h)
	}
	kind, _, _ := mime.ParseMediaType(r.header.Get("Content-Type"))
	content := described.Content[kind]
	if content == nil {
		content = described.Content["*/*"]
	}
	if content == nil {
		assert.Empty(t, r.body, "%s: %s is not described", what, kind)
		return
	}
	if !strings.HasSuffix(kind, "json") {
		return
	}
	var value any
	require.NoError(t, json.Unmarshal([]byte(r.body), &value), what)
	var res huma.ValidateResult
	huma.Validate(d.doc.Components.Schemas, content.Schema, huma.NewPathBuffer(nil, 0), huma.ModeReadFromServer, value, &res)
	assert.Empty(t, res.Errors, "%s: %s", what, r.body)
}

// operation is what a path has for a method; nil: nothing.
func operation(item *huma.PathItem, method string) *huma.Operation {
	if item == nil {
		return nil
	}
	return map[string]*huma.Operation{http.MethodGet: item.Get, http.MethodPost: item.Post, http.MethodPut: item.Put}[method]
}

func TestTheDescriptionIsWhole(t *testing.T) {
	t.Parallel()
	d := newDescription()
	for _, e := range web.Endpoints() {
		op := operation(d.doc.Paths[e.Path], e.Method)
		require.NotNil(t, op, e.Pattern())
		assert.Equal(t, []string{e.Scope}, op.Security[0]["bearer"], e.Pattern())
		assert.NotEmpty(t, op.Summary, e.Pattern())
		described := map[string]string{}
		for _, p := range op.Parameters {
			described[p.Name] = p.In
		}
		for _, m := range regexp.MustCompile(`{(\w+)}`).FindAllStringSubmatch(e.Path, -1) {
			assert.Equal(t, "path", described[m[1]], "%s: %s", e.Pattern(), m[1])
		}
		if e.Path != "/v1/events" {
			assert.Equal(t, "header", described["On-Behalf-Of"], e.Pattern())
		}
		if e.Method == http.MethodGet && e.Path == "/v1/actions" {
			assert.Equal(t, "query", described["sort"])
		}
		for _, status := range []string{"401", "403", "429", "500", "503"} {
			assert.NotNil(t, op.Responses[status], "%s %s", e.Pattern(), status)
		}
		assert.Equal(t, e.Method != http.MethodGet, op.RequestBody != nil, "%s", e.Pattern())
	}
}

func TestWhatIsNoPathIsNotFound(t *testing.T) {
	t.Parallel()
	s := newService(t)
	for _, path := range []string{"/v1//actions", "/v1/./actions", "/v1/actions/../reports/moves", "/v1", "/v1/", "/v1/actions/", "/v1/actions/%ff/timeline"} {
		req := httptest.NewRequest(http.MethodGet, path, nil)
		req.Header.Set("Authorization", "Bearer "+s.key)
		rec := httptest.NewRecorder()
		s.h.ServeHTTP(rec, req)
		assert.Equal(t, http.StatusNotFound, rec.Code, path)
		assert.Equal(t, problem.ProblemType, rec.Header().Get("Content-Type"), path)
	}
}

// TestHeadOfTheStreamEnds: it held its connection, and with it the next request.
func TestHeadOfTheStreamEnds(t *testing.T) {
	t.Parallel()
	s := newService(t)
	head := s.do(t, http.MethodHead, "/v1/events", "")
	assert.Equal(t, http.StatusOK, head.status)
	assert.Equal(t, http.StatusOK, s.do(t, http.MethodGet, "/v1/actions", "").status)
}

// TestEnumsHaveWhatTheModelHas: a word that came to the model later must not make
// answers that the description does not know.
func TestEnumsHaveWhatTheModelHas(t *testing.T) {
	t.Parallel()
	words := map[reflect.Type][]string{}
	for _, all := range []any{
		model.LogTypes(), model.EventKinds(), model.Statuses(), model.Severities(), model.SourceTypes(), model.Categories(),
	} {
		v := reflect.ValueOf(all)
		for i := range v.Len() {
			words[v.Type().Elem()] = append(words[v.Type().Elem()], v.Index(i).String())
		}
	}
	compared := 0
	for _, of := range []any{web.Action{}, web.Upcoming{}, web.LogRow{}, web.EventRow{}, web.MessageRow{}, web.MadeAction{}} {
		for _, f := range reflect.VisibleFields(reflect.TypeOf(of)) {
			if want := words[f.Type]; want != nil {
				assert.ElementsMatch(t, want, strings.Split(f.Tag.Get("enum"), ","), "%T.%s", of, f.Name)
				compared++
			}
		}
	}
	assert.Positive(t, compared)
}
