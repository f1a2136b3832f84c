package producer

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/internal/openapi"
	"github.com/pxactions/px/store"
)

const processName = "producer"

// The intake's endpoints, by their operation's id.
const (
	opPost = "post-feedback"
	opGet  = "get-feedback"
	opFind = "find-feedback"

	opRevise  = "revise-feedback"
	opRetract = "retract-feedback"
)

// Endpoints lists what the intake serves.
func Endpoints() []openapi.Endpoint {
	return []openapi.Endpoint{
		{ID: opPost, Process: processName, Method: http.MethodPost, Path: "/v1/feedback", Scope: store.ScopeFeedbackWrite},
		{ID: opFind, Process: processName, Method: http.MethodGet, Path: "/v1/feedback", Scope: store.ScopeFeedbackRead},
		{ID: opGet, Process: processName, Method: http.MethodGet, Path: "/v1/feedback/{id}", Scope: store.ScopeFeedbackRead},
		{ID: opRevise, Process: processName, Method: http.MethodPost, Path: "/v1/feedback/{id}/revise", Scope: store.ScopeFeedbackWrite},
		{ID: opRetract, Process: processName, Method: http.MethodPost, Path: "/v1/feedback/{id}/retract", Scope: store.ScopeFeedbackWrite},
	}
}

// routes serves the endpoints and their description.
func (p *Producer) routes() http.Handler {
	handlers := map[string]handler{opPost: p.post, opFind: p.get, opGet: p.get, opRevise: p.revise, opRetract: p.retract}
	mux := http.NewServeMux()
	for _, e := range Endpoints() {
		mux.HandleFunc(e.Pattern(), p.letIn(e.Scope, handlers[e.ID]))
	}
	p.Doc.Mount(mux)
	mux.HandleFunc("/", p.Doc.Unknown(processName))
	return mux
}

// Describe adds the intake to a description.
func Describe(api huma.API) {
	ops := map[string]openapi.Endpoint{}
	for _, e := range Endpoints() {
		ops[e.ID] = e
	}
	describePost(api, ops[opPost])
	const decision = "Its decision so far."
	type byID struct {
		ID string `path:"id" doc:"The feedback's id, as answered when it was accepted."`
	}
	get := ops[opGet].Operation(api, "What became of a feedback", "", 401, 403, 404, 500, 503)
	openapi.Answer(&get, http.StatusOK, decision, jsonType, openapi.Schema[Feedback](api))
	tag(&get)
	openapi.Describe[byID](api, get, nil)
	type byEvent struct {
		EventID string `query:"event_id" required:"true" doc:"The sender's own id."`
	}
	find := ops[opFind].Operation(api, "What became of an event", "", 401, 403, 404, 422, 500, 503)
	openapi.Answer(&find, http.StatusOK, decision, jsonType, openapi.Schema[Feedback](api))
	tag(&find)
	openapi.Describe[byEvent](api, find, nil)
	describeRevise(api, ops[opRevise], ops[opRetract])
}

func tag(op *huma.Operation) { op.Tags = []string{"feedback"} }

func describePost(api huma.API, e openapi.Endpoint) {
	event, item, batch := openapi.Schema[engine.Event](api), openapi.Schema[Item](api), openapi.Schema[Batch](api)
	loosen(api.OpenAPI().Components.Schemas)
	post := e.Operation(api, "Send feedback", fmt.Sprintf("One event, an array of them, or one per line (application/x-ndjson): at most %d bytes and %d events. "+
		"One event is answered by itself; several are answered item by item, with 202 where any was taken, else with the first refusal's status. "+
		"Of a request refused as a whole nothing is taken.", DefaultMaxBody, DefaultMaxItems), 400, 401, 403, 409, 413, 415, 422, 500, 503)
	tag(&post)
	for _, status := range []string{"400", "403", "409", "413", "422", "500"} {
		refused := post.Responses[status]
		refused.Description += ": why the event or the request was refused, or of several events that were all refused, all items."
		refused.Content[jsonType] = &huma.MediaType{Schema: batch}
	}
	openapi.Answer(&post, http.StatusAccepted, "Committed: the item, or for several events all items.", jsonType,
		&huma.Schema{OneOf: []*huma.Schema{item, batch}})
	openapi.Describe[struct{}](api, post, &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		jsonType: {Schema: &huma.Schema{OneOf: []*huma.Schema{event, {Type: huma.TypeArray, Items: event}}}},
		ndjson:   {Schema: event},
	}})
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
