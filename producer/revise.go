package producer

import (
	"context"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/internal/openapi"
	"github.com/pxactions/px/internal/problem"
	"github.com/pxactions/px/model"
)

// Retraction takes a feedback back. It has no words: what they would say is the
// patient's.
type Retraction struct {
	Reason model.RetractReason `json:"reason" enum:"duplicate,entered_in_error,withdrawn,other"`
}

// revise answers POST /v1/feedback/{id}/revise.
func (p *Producer) revise(w http.ResponseWriter, r *http.Request, key *model.APIKey) {
	p.restate(w, r, func(ctx context.Context, id model.FeedbackID, raw []byte) (*model.Feedback, error) {
		return p.Engine.Revise(ctx, source(w, key), id, raw)
	})
}

// retract answers POST /v1/feedback/{id}/retract.
func (p *Producer) retract(w http.ResponseWriter, r *http.Request, key *model.APIKey) {
	p.restate(w, r, func(ctx context.Context, id model.FeedbackID, raw []byte) (*model.Feedback, error) {
		why, err := engine.ParseRetraction(raw)
		if err != nil {
			return nil, err
		}
		return p.Engine.Retract(ctx, source(w, key), id, why)
	})
}

// restate reads one object about the feedback that the path names, and answers with
// the feedback as it then stands.
func (p *Producer) restate(w http.ResponseWriter, r *http.Request, do func(context.Context, model.FeedbackID, []byte) (*model.Feedback, error)) {
	b, refused := p.readBody(w, r)
	if refused != nil {
		problem.Write(w, refused)
		return
	}
	defer p.load.bytes.free(b.held)
	if !b.single {
		problem.Write(w, unreadable("one JSON object is expected", 0))
		return
	}
	id, err := model.ParseID[model.Feedback](r.PathValue("id"))
	if err != nil {
		problem.Write(w, problemOf(model.ErrNotFound))
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), p.Engine.AcceptTimeout)
	defer cancel()
	row, err := do(ctx, id, b.events[0])
	if p.gone(err) {
		return
	}
	if err != nil {
		p.logFault(err)
		problem.Write(w, problemOf(err))
		return
	}
	problem.JSON(w, http.StatusOK, answer(row))
}

// describeRevise adds both to a description.
func describeRevise(api huma.API, revise, retract openapi.Endpoint) {
	type byID struct {
		ID string `path:"id" doc:"The feedback's id, as answered when it was accepted."`
	}
	for _, op := range []struct {
		huma.Operation
		body reflect.Type
		hint string
	}{
		{revise.Operation(api, "Say something else of a feedback", "The whole event anew, with its event_id or none. The same content again gets the first answer. "+
			"An action that nobody has touched follows; of one that somebody works on the owner is told.", 400, 401, 403, 404, 409, 413, 415, 422, 500, 503),
			reflect.TypeFor[engine.Event](), ""},
		{retract.Operation(api, "Take a feedback back", "An action that nobody has touched is cancelled where nothing else is in it; of one that somebody works on the owner is told. "+
			"A repeat gets the first answer.", 400, 401, 403, 404, 413, 415, 422, 500, 503), reflect.TypeFor[Retraction](), ""},
	} {
		tag(&op.Operation)
		openapi.Answer(&op.Operation, http.StatusOK, "The feedback as it now stands.", jsonType, openapi.Schema[Feedback](api))
		schema := api.OpenAPI().Components.Schemas.Schema(op.body, true, op.hint)
		openapi.Describe[byID](api, op.Operation, &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{jsonType: {Schema: schema}}})
	}
}
