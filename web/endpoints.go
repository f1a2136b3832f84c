package web

import (
	"net/http"
	"slices"

	"github.com/pxactions/px/internal/openapi"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

const processName = "web"

// The endpoints of the action API, by their operation's id. Those of moves are
// named by the move: moveOp.
const (
	opList       = "list-actions"
	opMake       = "make-action"
	opGet        = "get-action"
	opTimeline   = "get-timeline"
	opPlan       = "get-plan"
	opExplain    = "explain-action"
	opMoveReport = "report-moves"
	opAttach     = "attach-file"
	opFiles      = "list-files"
	opFile       = "get-file"
	opEvents     = "follow-changes"
)

func moveOp(m model.Move) string { return string(m) + "-action" }

// Endpoints is the table of what the action API serves, with the scope that a
// key needs and the right that the actor needs. Nothing else is served.
func Endpoints() []openapi.Endpoint {
	read := func(id, path string, right model.Right) openapi.Endpoint {
		return openapi.Endpoint{ID: id, Process: processName, Method: http.MethodGet, Path: path, Scope: store.ScopeActionsRead, Right: right}
	}
	write := func(id, path string, right model.Right) openapi.Endpoint {
		return openapi.Endpoint{ID: id, Process: processName, Method: http.MethodPost, Path: path, Scope: store.ScopeActionsWrite, Right: right}
	}
	es := []openapi.Endpoint{
		read(opList, "/v1/actions", model.RightView),
		write(opMake, "/v1/actions", model.RightCreate),
		read(opGet, "/v1/actions/{id}", model.RightView),
		read(opTimeline, "/v1/actions/{id}/timeline", model.RightView),
		read(opPlan, "/v1/actions/{id}/plan", model.RightView),
		read(opExplain, "/v1/actions/{id}/explain", model.RightView),
	}
	for _, m := range moves() {
		es = append(es, write(moveOp(m), "/v1/actions/{id}/"+string(m), model.RightTo(m)))
	}
	for _, k := range sla.DirectoryKinds() {
		es = append(es, openapi.Endpoint{
			ID: directoryOp(k), Process: processName, Method: http.MethodPut, Path: "/v1/directory/" + string(k),
			Scope: store.ScopeDirectoryWrite, Right: model.RightDirectory,
		})
	}
	return append(es,
		write(opAttach, "/v1/actions/{id}/attachments", model.RightTo(model.MoveAttach)),
		read(opFiles, "/v1/actions/{id}/attachments", model.RightView),
		read(opFile, "/v1/actions/{id}/attachments/{attachment}", model.RightView),
		read(opMoveReport, "/v1/reports/moves", model.RightReport),
		openapi.Endpoint{ID: opEvents, Process: processName, Method: http.MethodGet, Path: "/v1/events", Scope: store.ScopeEventsRead, Right: model.RightView},
	)
}

// moves are those that are made by a POST of a JSON body.
func moves() []model.Move {
	return slices.DeleteFunc(model.Moves(), func(m model.Move) bool { return m == model.MoveAttach })
}
