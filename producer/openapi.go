package producer

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/pxactions/px/engine"
)

const about = `Takes feedback in: surveys, complaints, call-centre ratings, social media, KPIs, committee meetings.

An event answered 202 is committed and ends in exactly one decision. Sending it again with the same content gets the first answer;
with other content, 409. So after a fault send it again. Numbers and booleans may be written as strings; null and the empty string are as good as absent.
Errors are problems (RFC 9457) whose type is urn:px:problem: and a stable code.`

// routes builds the API from the operations below; its description comes from
// the same code.
func (p *Producer) routes() (http.Handler, error) {
	mux := http.NewServeMux()
	version := p.Version
	if version == "" {
		version = "dev"
	}
	cfg := huma.DefaultConfig("PX Action Center intake", version)
	cfg.OpenAPI.OpenAPI = "3.1.0"
	cfg.Info.Description = about
	cfg.CreateHooks = nil // no $schema in answers
	cfg.SchemasPath = ""
	cfg.DocsPath = "" // the library's page loads scripts from elsewhere
	cfg.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"bearer": {Type: "http", Scheme: "bearer", Description: "An API key of `px key create`."},
		"key":    {Type: "apiKey", In: "header", Name: "X-API-Key", Description: "The same, in a header of its own."},
	}
	api := humago.New(mux, cfg)
	p.register(api)
	for _, unused := range []string{"ErrorModel", "ErrorDetail"} { // the library's own errors: ours are problems
		delete(api.OpenAPI().Components.Schemas.Map(), unused)
	}
	page, err := docsPage(api.OpenAPI())
	if err != nil {
		return nil, fmt.Errorf("documentation page: %w", err)
	}
	mux.HandleFunc("GET /docs", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
		_, _ = w.Write(page)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { unknownRoute(w, r, api.OpenAPI()) })
	return mux, nil
}

// unknownRoute answers 405 where the path exists and the method does not.
func unknownRoute(w http.ResponseWriter, r *http.Request, doc *huma.OpenAPI) {
	allow := ""
	switch {
	case doc.Paths[r.URL.Path] != nil:
		allow = methods(doc.Paths[r.URL.Path])
	case strings.HasPrefix(r.URL.Path, "/v1/feedback/") && strings.Count(r.URL.Path, "/") == 3:
		allow = methods(doc.Paths["/v1/feedback/{id}"])
	}
	if allow == "" {
		writeProblem(w, newProblem(http.StatusNotFound, codeNotFound, "There is nothing here", "the API is described at /openapi.json and /docs"))
		return
	}
	w.Header().Set("Allow", allow)
	writeProblem(w, newProblem(http.StatusMethodNotAllowed, codeMethod, "This method is not allowed here", "allowed: "+allow))
}

func methods(path *huma.PathItem) string {
	var all []string
	if path.Get != nil {
		all = append(all, "GET", "HEAD")
	}
	if path.Post != nil {
		all = append(all, "POST")
	}
	return strings.Join(all, ", ")
}

// stream hands a request to a plain handler.
func stream(h http.HandlerFunc) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(c huma.Context) {
		r, w := humago.Unwrap(c)
		h(w, r)
	}}
}

func (p *Producer) register(api huma.API) {
	schemas := api.OpenAPI().Components.Schemas
	schema := func(t reflect.Type) *huma.Schema { return schemas.Schema(t, true, "") }
	event, item, batch := schema(reflect.TypeFor[engine.Event]()), schema(reflect.TypeFor[Item]()), schema(reflect.TypeFor[Batch]())
	feedback, problem := schema(reflect.TypeFor[Feedback]()), schema(reflect.TypeFor[Problem]())
	loosen(schemas)

	post := huma.Operation{
		OperationID: "post-feedback", Method: http.MethodPost, Path: "/v1/feedback", Summary: "Send feedback",
		Description: fmt.Sprintf("One event, an array of them, or one per line (application/x-ndjson): at most %d bytes and %d events. "+
			"One event is answered by itself; several are answered item by item, with 202 where any was taken, else with the first refusal's status. "+
			"Of a request refused as a whole nothing is taken.", p.MaxBody, p.MaxItems),
		DefaultStatus: http.StatusAccepted, Security: security("feedback:write"), Tags: []string{"feedback"},
		Responses: responses(problem, 400, 401, 403, 409, 413, 415, 422, 500, 503),
	}
	post.Responses["202"] = &huma.Response{
		Description: "Committed: the item, or for several events all items.",
		Content:     map[string]*huma.MediaType{jsonType: {Schema: &huma.Schema{OneOf: []*huma.Schema{item, batch}}}},
	}
	for _, status := range []string{"400", "403", "409", "413", "422", "500"} {
		refused := post.Responses[status]
		refused.Description += ": why the event or the request was refused, or of several events that were all refused, all items."
		refused.Content[jsonType] = &huma.MediaType{Schema: batch}
	}
	type none struct{}
	huma.Register(api, post, func(_ context.Context, _ *none) (*huma.StreamResponse, error) { return stream(p.post), nil })
	// Described only now: huma reads the body of an operation that has one.
	api.OpenAPI().Paths[post.Path].Post.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		jsonType: {Schema: &huma.Schema{OneOf: []*huma.Schema{event, {Type: huma.TypeArray, Items: event}}}},
		ndjson:   {Schema: event},
	}}

	byID := huma.Operation{
		OperationID: "get-feedback", Method: http.MethodGet, Path: "/v1/feedback/{id}", Summary: "What became of a feedback",
		Security: security("feedback:read"), Tags: []string{"feedback"}, Responses: responses(problem, 401, 403, 404, 500, 503),
	}
	found := &huma.Response{Description: "Its decision so far.", Content: map[string]*huma.MediaType{jsonType: {Schema: feedback}}}
	byID.Responses["200"] = found
	type byIDInput struct {
		ID string `path:"id" doc:"The feedback's id, as answered when it was accepted."`
	}
	huma.Register(api, byID, func(_ context.Context, _ *byIDInput) (*huma.StreamResponse, error) { return stream(p.get), nil })

	byEvent := huma.Operation{
		OperationID: "find-feedback", Method: http.MethodGet, Path: "/v1/feedback", Summary: "What became of an event",
		Security: security("feedback:read"), Tags: []string{"feedback"}, Responses: responses(problem, 401, 403, 404, 422, 500, 503),
	}
	byEvent.Responses["200"] = found
	type byEventInput struct {
		EventID string `query:"event_id" doc:"The sender's own id. Needed."`
	}
	huma.Register(api, byEvent, func(_ context.Context, _ *byEventInput) (*huma.StreamResponse, error) { return stream(p.get), nil })
}

func security(scope string) []map[string][]string {
	return []map[string][]string{{"bearer": {scope}}, {"key": {scope}}}
}

func responses(problem *huma.Schema, statuses ...int) map[string]*huma.Response {
	all := map[string]*huma.Response{}
	for _, s := range statuses {
		all[fmt.Sprint(s)] = &huma.Response{
			Description: http.StatusText(s),
			Content:     map[string]*huma.MediaType{"application/problem+json": {Schema: problem}},
		}
	}
	return all
}

// loosen says of the event's numbers and booleans that strings do, too.
func loosen(schemas huma.Registry) {
	for _, name := range []string{"Event", "Score", "KPI"} {
		s := schemas.Map()[name]
		if s == nil {
			continue
		}
		for _, field := range s.Properties {
			if slices.Contains([]string{huma.TypeNumber, huma.TypeBoolean}, field.Type) {
				field.Description = strings.TrimSpace(field.Description + " A string of the same form will do.")
			}
		}
	}
}

//go:embed docs.html
var docsTemplate string

// docsPage renders the API's description as one page that needs nothing from
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
		for _, op := range []*huma.Operation{item.Post, item.Get} {
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
