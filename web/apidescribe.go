package web

import (
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/internal/openapi"
	"github.com/pxactions/px/internal/problem"
	"github.com/pxactions/px/model"
)

// ActorParams describes who asks. It is exported, as those below, because huma
// looks into no other struct within one.
type ActorParams struct {
	OnBehalfOf string `header:"On-Behalf-Of" doc:"The code of the person who acts, for a key with the scope on-behalf-of. Absent: the key acts for itself."`
	RequestID  string `header:"X-Request-Id" pattern:"^[A-Za-z0-9._-]{1,64}$" doc:"Echoed, logged and kept with the change; else one is made."`
}

// ActionParams describes which action is meant.
type ActionParams struct {
	ID string `path:"id" doc:"The action's id or ref." example:"RUH-26-0004172"`
	ActorParams
}

// OnceParams describes a request that is made once.
type OnceParams struct {
	Once string `header:"Idempotency-Key" maxLength:"200" pattern:"^[!-~]{1,200}$" doc:"A repeat with the same key, within 7 days, is answered and not made again; with another request it is refused (422)."`
}

type moveParams struct {
	ActionParams
	OnceParams
	IfMatch string `header:"If-Match" doc:"The ETag of the action as it was read: another version is refused (412). * or absent: any."`
}

// describer adds endpoints to a description, by their operation's id.
type describer struct {
	api  huma.API
	rows map[string]openapi.Endpoint
}

// Describe adds the action API to a description.
func Describe(api huma.API) {
	d := describer{api: api, rows: map[string]openapi.Endpoint{}}
	for _, e := range Endpoints() {
		d.rows[e.ID] = e
	}
	d.reading()
	d.making()
	d.filing()
	d.following()
	d.directory()
	for _, m := range moves() {
		d.move(m)
	}
}

// op begins an operation on actions.
func (d *describer) op(id, summary, description string, refusals ...int) huma.Operation {
	op := d.rows[id].Operation(d.api, summary, description, append(refusals, 401, 403, 500, 503)...)
	op.Tags = []string{"actions"}
	return op
}

func answer[T any](d *describer, op *huma.Operation, status int, description string) *huma.Response {
	return openapi.Answer(op, status, description, problem.JSONType, openapi.Schema[T](d.api))
}

func (d *describer) reading() {
	list := d.op(opList, "List actions", "Those that the actor may see, without their long texts.", 422)
	answer[ActionList](d, &list, http.StatusOK, "One page.")
	type listParams struct {
		ListQuery
		ActorParams
	}
	openapi.Describe[listParams](d.api, list, nil)

	get := d.op(opGet, "One action", "", 404)
	etagged(answer[Action](d, &get, http.StatusOK, "The action."))
	openapi.Describe[ActionParams](d.api, get, nil)

	timeline := d.op(opTimeline, "What has happened to an action", "", 404)
	answer[Timeline](d, &timeline, http.StatusOK, "Its log, the events of its plan that were taken, and its messages.")
	openapi.Describe[ActionParams](d.api, timeline, nil)

	plan := d.op(opPlan, "What comes next", "", 404)
	etagged(answer[Plan](d, &plan, http.StatusOK, "Its plan."))
	openapi.Describe[ActionParams](d.api, plan, nil)

	explain := d.op(opExplain, "Why an action is as it is", "From recorded facts; in words to who accepts text/plain.", 404)
	answer[engine.Explanation](d, &explain, http.StatusOK, "Why it is there, whose it is, when it is due and what comes next.")
	explain.Responses["200"].Content["text/plain"] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}}
	openapi.Describe[ActionParams](d.api, explain, nil)

	report := d.op(opMoveReport, "Who made figures look better", "Due overrides, downgrades, holds and cancels, by person.", 422)
	answer[MoveReport](d, &report, http.StatusOK, "By person.")
	type reportParams struct {
		From     string `query:"from" required:"true" format:"date-time" doc:"Made then or later."`
		To       string `query:"to" format:"date-time" doc:"Made before then, at most 400 days after from; absent: now."`
		Hospital string `query:"hospital" doc:"By code; absent: all where the actor has the right."`
		ActorParams
	}
	openapi.Describe[reportParams](d.api, report, nil)
}

func (d *describer) making() {
	op := d.op(opMake, "Make an action by hand",
		"It is kept as a feedback of the key's source system and decided at once; the action's log says who made it.", 400, 409, 413, 415, 422)
	made := answer[MadeAction](d, &op, http.StatusCreated, "The action was made.")
	made.Headers["Location"] = openapi.Always("The action's address.")
	etagged(made)
	made.Headers["ETag"].Required = false // absent where the maker may not see it
	joined := answer[MadeAction](d, &op, http.StatusOK, "It joined an action that was there already, or was made before under this Idempotency-Key.")
	joined.Headers["Location"] = openapi.Always("The action's address.")
	replayed(joined)
	etagged(joined)
	joined.Headers["ETag"].Required = false
	answer[MadeAction](d, &op, http.StatusAccepted, "Kept, but not decided yet, or no action came of it: decision says which.")
	type makeParams struct {
		ActorParams
		OnceParams
	}
	openapi.Describe[makeParams](d.api, op, body(d, reflect.TypeFor[manualAction](), true, "ManualAction"))
}

func (d *describer) move(m model.Move) {
	w := moveWords(m)
	op := d.op(moveOp(m), w.summary, w.description, 400, 404, 409, 412, 413, 415, 422)
	ok := answer[Action](d, &op, http.StatusOK, "The action after the move; of a repeat, as it is now.")
	etagged(ok)
	replayed(ok)
	replayed(openapi.Empty(&op, http.StatusNoContent, "Made, and the actor may not see the action any more."))
	t := reflect.TypeOf(bodyOf(m)).Elem()
	openapi.Describe[moveParams](d.api, op, body(d, t, needed(t), ""))
}

func etagged(r *huma.Response) {
	r.Headers["ETag"] = openapi.Always(`The action's version in quotes, for If-Match: "3"`)
}

func replayed(r *huma.Response) {
	r.Headers["Idempotency-Replayed"] = openapi.Header("true: it was made before, and not again.")
}

// body is a request body of JSON, which has no other fields than these.
func body(d *describer, t reflect.Type, required bool, hint string) *huma.RequestBody {
	schema := d.api.OpenAPI().Components.Schemas.Schema(t, true, hint)
	return &huma.RequestBody{Required: required, Content: map[string]*huma.MediaType{problem.JSONType: {Schema: schema}}}
}

// needed reports whether a struct has a field that may not be absent.
func needed(t reflect.Type) bool {
	for i := range t.NumField() {
		if !strings.Contains(t.Field(i).Tag.Get("json"), ",omitempty") {
			return true
		}
	}
	return false
}

type opWords struct{ summary, description string }

// moveWords say what a move is.
func moveWords(m model.Move) opWords {
	switch m {
	case model.MoveStart:
		return opWords{"Start work", "Of an open action: it is in progress then."}
	case model.MoveSubmit:
		return opWords{"Submit for approval", "The clock stands still until it is decided. What a submission has to have is the SLA config's to say."}
	case model.MoveApprove:
		return opWords{"Approve", "Neither the assignee nor the submitter may."}
	case model.MoveReject:
		return opWords{"Reject", "It is in progress again, with the time that was left. Neither the assignee nor the submitter may."}
	case model.MoveClose:
		return opWords{"Close", "From in progress only where no approval is needed."}
	case model.MoveCancel:
		return opWords{"Cancel", "A complaint, and what is high or critical, takes a PX Admin who does not own it."}
	case model.MoveReopen:
		return opWords{"Reopen", "Of a closed action: a period of its own begins."}
	case model.MoveAssign:
		return opWords{"Give to another owner", ""}
	case model.MoveNote:
		return opWords{"Add a note", ""}
	case model.MoveSeverity:
		return opWords{"Change the severity", "It is planned anew. To lower that of a complaint, or of what is high or critical, takes a PX Admin who does not own it."}
	case model.MoveDepartment:
		return opWords{"Give to another department", "It is planned anew."}
	case model.MoveDue:
		return opWords{"Set the deadline", ""}
	case model.MoveHold:
		return opWords{"Put on hold", "The clock stands still."}
	case model.MoveResume:
		return opWords{"End the hold", ""}
	case model.MoveEscalate:
		return opWords{"Escalate now", "The next stage is taken at once."}
	default:
		return opWords{string(m), ""}
	}
}
