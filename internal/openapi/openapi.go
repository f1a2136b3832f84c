// Package openapi describes the HTTP interface: one document for all that the
// processes serve, from the same table of endpoints that they serve by.
package openapi

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"path"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/pxactions/px/internal/problem"
	"github.com/pxactions/px/model"
)

const about = `Takes feedback in (surveys, complaints, call-centre ratings, social media, KPIs, committee meetings) and works the actions that come of it.

An event answered 202 is committed and ends in exactly one decision. Sending it again with the same content gets the first answer;
with other content, 409. So after a fault send it again. Numbers and booleans may be written as strings; null and the empty string are as good as absent.

A move on an action settles first what is due, then changes the action, in one transaction, with its line in the action's log. With an Idempotency-Key
a repeat makes no second move; with If-Match it is made only if the action is still as it was read. A key acts for itself, or, with the scope
on-behalf-of, for the person of the directory that the header On-Behalf-Of names. An action that the actor may not see answers 404, as if it did not exist.

Each key has a rate: RateLimit and RateLimit-Policy say what is left of it, with refusals, too. Beyond it, and when too much comes in at the same
time, the answer is 429 or 503 with Retry-After, and nothing was done: send it again then.

Errors are problems (RFC 9457) whose type is urn:px:problem: and a stable code. Every answer has an X-Request-Id: the sender's own, or one that is made.`

// Endpoint is one row of the table of endpoints. Nothing is served that is not
// in it.
type Endpoint struct {
	ID      string      // of the operation in the description
	Process string      // that serves it: producer, web
	Method  string      //
	Path    string      // with {…} as http.ServeMux has them
	Scope   string      // that a key needs
	Right   model.Right // that the actor needs, by the access table; empty: the scope says all
}

// Pattern is the endpoint as http.ServeMux writes one.
func (e Endpoint) Pattern() string { return e.Method + " " + e.Path }

// Operation begins the description of an endpoint; what it may answer besides
// success is a problem.
func (e Endpoint) Operation(api huma.API, summary, description string, refusals ...int) huma.Operation {
	if e.Right != "" {
		description = strings.TrimSpace(fmt.Sprintf("%s Needs the right to %s.", description, e.Right))
	}
	return huma.Operation{
		OperationID: e.ID, Method: e.Method, Path: e.Path, Summary: summary, Description: description,
		Security:  []map[string][]string{{"bearer": {e.Scope}}, {"key": {e.Scope}}},
		Responses: Refusals(api, append(refusals, http.StatusTooManyRequests)...), Metadata: map[string]any{process: e.Process},
	}
}

const process = "process"

// Refusals are answers that are problems.
func Refusals(api huma.API, statuses ...int) map[string]*huma.Response {
	all := map[string]*huma.Response{}
	for _, s := range statuses {
		all[fmt.Sprint(s)] = &huma.Response{
			Description: http.StatusText(s),
			Content:     map[string]*huma.MediaType{problem.ProblemType: {Schema: Schema[problem.Problem](api)}},
			Headers:     headersOf(s),
		}
	}
	return all
}

func headersOf(status int) map[string]*huma.Param {
	headers := map[string]*huma.Param{problem.RequestHeader: Always("The request's id.")}
	if status < http.StatusMultipleChoices || status == http.StatusTooManyRequests {
		headers["RateLimit-Policy"] = Header(`Requests that the key may make at once (q), and the seconds in which it has them again (w): "key";q=400;w=2. Absent: no limit.`)
		headers["RateLimit"] = Header(`Requests that it may make at once now (r), and the seconds until it may make all (t): "key";r=399;t=1. Absent: no limit.`)
	}
	switch status {
	case http.StatusUnauthorized:
		headers["WWW-Authenticate"] = Always("How to authenticate: Bearer.")
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		headers["Retry-After"] = &huma.Param{Required: true, Description: "Seconds to wait.", Schema: &huma.Schema{Type: huma.TypeInteger}}
	}
	return headers
}

// Header describes a header of an answer, a text.
func Header(description string) *huma.Param {
	return &huma.Param{Description: description, Schema: &huma.Schema{Type: huma.TypeString}}
}

// Always describes a header that every such answer has, a text.
func Always(description string) *huma.Param {
	h := Header(description)
	h.Required = true
	return h
}

// Schema is that of a Go type, by reference where it has a name.
func Schema[T any](api huma.API) *huma.Schema {
	return api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[T](), true, "")
}

// Answer adds a success to an operation.
func Answer(op *huma.Operation, status int, description, contentType string, schema *huma.Schema) *huma.Response {
	r := Empty(op, status, description)
	r.Content = map[string]*huma.MediaType{contentType: {Schema: schema}}
	return r
}

// Empty adds an answer without a body to an operation.
func Empty(op *huma.Operation, status int, description string) *huma.Response {
	r := &huma.Response{Description: description, Headers: headersOf(status)}
	op.Responses[fmt.Sprint(status)] = r
	return r
}

// Describe adds an operation whose parameters are the fields of P. body may be
// nil.
func Describe[P any](api huma.API, op huma.Operation, body *huma.RequestBody) {
	answers := maps.Clone(op.Responses)
	huma.Register(api, op, func(context.Context, *P) (*huma.StreamResponse, error) { return nil, nil })
	// Only now: huma reads the body of an operation that has one, and adds what
	// its own checks would answer.
	described := operation(api.OpenAPI(), op)
	described.RequestBody, described.Responses = body, answers
}

func operation(doc *huma.OpenAPI, op huma.Operation) *huma.Operation {
	item := doc.Paths[op.Path]
	return map[string]*huma.Operation{
		http.MethodGet: item.Get, http.MethodPost: item.Post, http.MethodPut: item.Put, http.MethodDelete: item.Delete,
	}[op.Method]
}

// Doc is the description, ready to be served.
type Doc struct {
	files map[string]file
	paths *http.ServeMux // knows the paths and serves nothing
	items map[string]*huma.PathItem
}

type file struct {
	contentType, policy string
	body                []byte
}

// New makes the description of what the parts describe.
func New(version string, parts ...func(huma.API)) (*Doc, error) {
	if version == "" {
		version = "dev"
	}
	cfg := huma.DefaultConfig("PX Action Center", version)
	cfg.OpenAPI.OpenAPI = "3.1.0"
	cfg.Info.Description = about
	cfg.CreateHooks = nil // no $schema in answers
	cfg.SchemasPath, cfg.DocsPath, cfg.OpenAPIPath = "", "", ""
	cfg.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"bearer": {Type: "http", Scheme: "bearer", Description: "An API key of `px key create`."},
		"key":    {Type: "apiKey", In: "header", Name: "X-API-Key", Description: "The same, in a header of its own."},
	}
	api := humago.New(http.NewServeMux(), cfg)
	for _, describe := range parts {
		describe(api)
	}
	for _, unused := range []string{"ErrorModel", "ErrorDetail"} { // the library's own errors: ours are problems
		delete(api.OpenAPI().Components.Schemas.Map(), unused)
	}
	return newDoc(api.OpenAPI())
}

func newDoc(doc *huma.OpenAPI) (*Doc, error) {
	d := &Doc{files: map[string]file{}, paths: http.NewServeMux(), items: doc.Paths}
	page, err := docsPage(doc)
	if err != nil {
		return nil, fmt.Errorf("documentation page: %w", err)
	}
	d.files["/docs"] = file{"text/html; charset=utf-8", "default-src 'none'; style-src 'unsafe-inline'", page}
	for at, write := range map[string]func() ([]byte, error){
		"/openapi.json":     func() ([]byte, error) { return json.Marshal(doc) },
		"/openapi.yaml":     doc.YAML,
		"/openapi-3.0.json": doc.Downgrade,
	} {
		body, err := write()
		if err != nil {
			return nil, fmt.Errorf("write %s: %w", at, err)
		}
		kind := "application/openapi+json"
		if strings.HasSuffix(at, ".yaml") {
			kind = "application/openapi+yaml"
		}
		d.files[at] = file{contentType: kind, body: body}
	}
	for at := range doc.Paths {
		d.paths.Handle(at, http.NotFoundHandler())
	}
	return d, nil
}

// Mount serves the description under /docs and /openapi.json, .yaml and -3.0.json.
func (d *Doc) Mount(mux *http.ServeMux) {
	for at, f := range d.files {
		mux.HandleFunc("GET "+at, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", f.contentType)
			if f.policy != "" {
				w.Header().Set("Content-Security-Policy", f.policy)
			}
			_, _ = w.Write(f.body) // the reader is gone
		})
	}
}

// Exact serves paths as they stand: one that is not clean (//, /./, /../) is none
// of ours, where a mux would redirect.
func Exact(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := r.URL.EscapedPath()
		if clean := path.Clean(p); p != clean && p != clean+"/" || !strings.HasPrefix(p, "/") {
			problem.Write(w, nothingHere())
			return
		}
		next.ServeHTTP(w, r)
	})
}

func nothingHere() *problem.Problem {
	return problem.New(http.StatusNotFound, problem.NotFound, "There is nothing here", "the API is described at /openapi.json and /docs")
}

// Unknown answers what a process does not serve: 405 where the path exists and
// the method does not, and 404 else, which says who serves it.
func (d *Doc) Unknown(own string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, known := d.paths.Handler(r)
		allow, server := methods(d.items[known])
		switch {
		case allow == "":
			problem.Write(w, nothingHere())
		case server != own:
			problem.Write(w, problem.New(http.StatusNotFound, problem.NotFound, "Another process serves this", "px "+server+" serves it; here is px "+own))
		default:
			w.Header().Set("Allow", allow)
			problem.Write(w, problem.New(http.StatusMethodNotAllowed, problem.Method, "This method is not allowed here", "allowed: "+allow))
		}
	}
}

func methods(item *huma.PathItem) (allow, server string) {
	if item == nil {
		return "", ""
	}
	var all []string
	for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Delete} {
		if op == nil {
			continue
		}
		server, _ = op.Metadata[process].(string)
		all = append(all, op.Method)
		if op.Method == http.MethodGet {
			all = append(all, http.MethodHead)
		}
	}
	return strings.Join(all, ", "), server
}
