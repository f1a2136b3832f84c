package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/internal/openapi"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/producer"
	"github.com/pxactions/px/web"
)

// walker asks every route of the HTTP interface, with the marker in each place of a
// request that takes text.
type walker struct {
	*driver
	paths   map[string]map[string]described // by path and method in small letters
	schemas map[string]schema
	known   map[string]string // values of the parameters in paths, by process and name
	client  *http.Client
}

// described is what the description says of one route.
type described struct {
	Parameters  []struct{ Name, In string }
	RequestBody struct {
		Content map[string]struct{ Schema schema }
	}
}

// schema is of a value that is sent; where there are several, that of an object.
type schema struct {
	Ref        string `json:"$ref"`
	Properties map[string]schema
	Items      *schema
	OneOf      []schema
}

// newWalker reads the description as it is served; ref and feedback are an action and a
// feedback that are there.
func newWalker(t *testing.T, d *driver, ref, feedback string) *walker {
	t.Helper()
	form, kind := file(t, marker+".txt", "text/plain", "She said "+marker)
	attached := d.send(t, http.MethodPost, d.web+"/v1/actions/"+ref+"/attachments", form, "On-Behalf-Of", "anna", "Content-Type", kind)
	require.Equal(t, http.StatusCreated, attached.code, attached.body)
	w := &walker{driver: d, known: map[string]string{"web id": ref, "producer id": feedback, "web attachment": fields(attached.body)["id"].(string)}, client: &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	var doc struct {
		Paths      map[string]map[string]described
		Components struct{ Schemas map[string]schema }
	}
	require.NoError(t, json.Unmarshal([]byte(get(t, d.web+"/openapi.json").body), &doc))
	w.paths, w.schemas = doc.Paths, doc.Components.Schemas
	return w
}

// all walks every endpoint of both processes. Each must have been reached: a new one
// whose path the walker cannot fill in fails the test.
func (w *walker) all(t *testing.T) {
	t.Helper()
	for _, e := range append(producer.Endpoints(), web.Endpoints()...) {
		op, ok := w.paths[e.Path][strings.ToLower(e.Method)]
		require.True(t, ok, "%s is not described", e.Pattern())
		reached, asked := false, 0
		for r := range w.requests(t, e, op) {
			code := w.ask(t, e, r)
			asked++
			reached = reached || !slices.Contains([]int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed}, code)
		}
		assert.True(t, reached, "%s was not reached by any of %d requests", e.Pattern(), asked)
	}
}

// away asks every endpoint, and pages, while PostgreSQL is away: that is logged.
func (w *walker) away(t *testing.T) {
	t.Helper()
	asks := []openapi.Endpoint{{Method: http.MethodGet, Path: "/actions/{ref}"}, {Method: http.MethodGet, Path: "/actions/{ref}/why"}, {Method: http.MethodPost, Path: "/login"}}
	for _, e := range append(append(asks, producer.Endpoints()...), web.Endpoints()...) {
		path := regexp.MustCompile(`{\w+}`).ReplaceAllString(e.Path, marker) + "?event_id=" + marker
		a := w.send(t, w.base(e), request{method: e.Method, target: path, body: toJSON(t, complaint("away", model.SeverityLow, map[string]any{"text": marker}))})
		assert.NotContains(t, strings.ToLower(fmt.Sprint(a.header)+a.body), strings.ToLower(marker), "%s: %d", e.Pattern(), a.code)
		assert.NotEqual(t, http.StatusInternalServerError, a.code, e.Pattern())
	}
}

// base is where a process answers.
func (w *walker) base(e openapi.Endpoint) string {
	if e.Process == "producer" {
		return w.producer
	}
	return w.web
}

// request is one that is to be made. Its fields are as they stand in the line and the
// headers of HTTP.
type request struct {
	method, target, body string
	headers              []string // names and values
	echoes               bool     // the answer may have the marker: it is the sender's own id
}

// requests are those to one endpoint, right and wrong.
func (w *walker) requests(t *testing.T, e openapi.Endpoint, op described) func(yield func(request) bool) {
	t.Helper()
	path := regexp.MustCompile(`{\w+}`).ReplaceAllStringFunc(e.Path, func(name string) string {
		value, ok := w.known[e.Process+" "+strings.Trim(name, "{}")]
		require.True(t, ok, "%s: a value for %s is needed here", e.Pattern(), name)
		return value
	})
	hidden := regexp.MustCompile(`{\w+}`).ReplaceAllString(e.Path, marker)
	words := "She said " + marker
	rs := []request{
		{method: e.Method, target: hidden, body: `{"reason": "` + marker + `"}`},
		{method: e.Method, target: hidden + "/" + marker + "?" + marker + "=" + marker},
		{method: marker, target: path, body: words},
		{method: http.MethodPatch, target: path, body: words},
		{method: e.Method, target: path, headers: []string{"Authorization", "Bearer " + marker}},
		{method: e.Method, target: path, headers: []string{"Authorization", words}},
		{method: e.Method, target: path, body: words, headers: []string{"Content-Type", "text/" + marker, "Content-Encoding", marker, "X-Request-Id", words}},
	}
	query := "?"
	for _, p := range op.Parameters {
		switch p.In {
		case "query":
			rs = append(rs, request{method: e.Method, target: path + "?" + p.Name + "=" + marker})
			query += p.Name + "=" + marker + "&"
		case "header":
			rs = append(rs, request{method: e.Method, target: path, body: "{}", headers: []string{p.Name, words}})
		}
	}
	rs = append(rs, request{method: e.Method, target: path + query + "%" + marker})
	for _, kind := range slices.Sorted(maps.Keys(op.RequestBody.Content)) {
		for _, body := range w.bodies(t, e, kind, op.RequestBody.Content[kind].Schema) {
			body.method, body.target = e.Method, path
			rs = append(rs, body)
		}
	}
	return slices.Values(rs)
}

// bodies are those of a kind, broken as JSON, of a wrong shape, and with the marker in
// each field.
func (w *walker) bodies(t *testing.T, e openapi.Endpoint, kind string, s schema) []request {
	t.Helper()
	as := func(body string) request { return request{body: body, headers: []string{"Content-Type", kind}} }
	words := "She said " + marker // one word alone may be a field's name, which is told to its sender
	word := `"` + words + `"`
	rs := []request{as(marker), as(word), as(`{` + word + `: `), as(`[` + word + `]`), as(`{` + word + `: ` + word + `}`), as(`{"text": "` + "\xff" + marker + `"}`)}
	if strings.HasPrefix(kind, "multipart/") {
		for _, name := range []string{marker + ".txt", marker + ".exe", "../" + marker, strings.Repeat(marker, 40)} {
			form, kind := file(t, name, "application/"+marker, marker)
			rs = append(rs, request{body: form, headers: []string{"Content-Type", kind}}, request{body: form[:len(form)-9], headers: []string{"Content-Type", kind}})
		}
		return append(rs, request{body: word, headers: []string{"Content-Type", kind + "; boundary=" + marker}})
	}
	s, list := w.object(s)
	require.NotEmpty(t, s.Properties, "%s: the fields of a body of %s", e.Pattern(), kind)
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		values := []any{marker, []any{marker}, map[string]any{words: marker}, strings.Repeat(marker, 800)}
		inner, _ := w.object(s.Properties[name])
		for _, field := range slices.Sorted(maps.Keys(inner.Properties)) {
			values = append(values, map[string]any{field: marker}, map[string]any{field: []any{marker}})
		}
		for _, value := range values {
			o := map[string]any{name: value}
			if e.Process == "producer" && e.Method == http.MethodPost && !strings.HasSuffix(e.Path, "/retract") {
				o = complaint("walked", model.SeverityLow, o)
			}
			r := as(toJSON(t, o))
			if list {
				r = as(toJSON(t, []any{o}))
			}
			// An id of the source system is told to it, and codes of people and places are no patient's words.
			r.echoes = name == "event_id" || strings.Contains(e.Path, "/directory/")
			rs = append(rs, r)
		}
	}
	return rs
}

// object is the schema of an object within s; list: s is of a list of them.
func (w *walker) object(s schema) (o schema, list bool) {
	switch {
	case s.Ref != "":
		return w.object(w.schemas[s.Ref[strings.LastIndexByte(s.Ref, '/')+1:]])
	case len(s.OneOf) > 0:
		return w.object(s.OneOf[0])
	case s.Items != nil && len(s.Properties) == 0:
		o, _ = w.object(*s.Items)
		return o, true
	}
	return s, false
}

// ask makes a request. A refusal quotes nothing, neither in its body nor in its headers.
func (w *walker) ask(t *testing.T, e openapi.Endpoint, r request) (code int) {
	t.Helper()
	a := w.send(t, w.base(e), r)
	if a.code >= http.StatusBadRequest && !r.echoes {
		assert.NotContains(t, strings.ToLower(fmt.Sprint(a.header)+a.body), strings.ToLower(marker), "%s: %.300s", e.Pattern(), fmt.Sprint(r))
	}
	assert.Less(t, a.code, http.StatusInternalServerError, "%s: %.300s: %s", e.Pattern(), fmt.Sprint(r), a.body)
	return a.code
}

// send makes a request and reads its answer, but of a stream the header alone.
func (w *walker) send(t *testing.T, base string, r request) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), r.method, base, strings.NewReader(r.body))
	require.NoError(t, err)
	req.URL.Opaque = "//" + req.URL.Host + r.target // as it stands
	req.Header.Set("Authorization", "Bearer "+w.key)
	req.Header.Set("Content-Type", "application/json")
	for pair := range slices.Chunk(r.headers, 2) {
		req.Header.Set(pair[0], pair[1])
	}
	res, err := w.client.Do(req)
	require.NoError(t, err, "%s %s", r.method, r.target)
	defer func() { _ = res.Body.Close() }()
	if res.Header.Get("Content-Type") == "text/event-stream" {
		return answer{res.StatusCode, res.Header, ""}
	}
	b, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return answer{res.StatusCode, res.Header, string(b)}
}
