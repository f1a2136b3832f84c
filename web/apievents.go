package web

import (
	"context"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/pxactions/px/internal/openapi"
	"github.com/pxactions/px/internal/problem"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/store"
)

// events streams changes to a program that follows them: those of the key's
// hospitals. It is not for people, whose sight may end at a department or at what
// they own.
func (a *api) events(c *call) error {
	if c.User != nil {
		return fmt.Errorf("%w: the stream is for a key that acts for itself", model.ErrForbidden)
	}
	if !c.Access.Has(c.endpoint.Right) {
		return c.lacks(c.endpoint.Right)
	}
	sight := c.Access.Sight()
	a.stream(c.w, c.whole, store.ChangeFilter{Hospitals: sight.Within, IncludeRestricted: sight.Restricted}, func(ctx context.Context) error {
		_, err := a.keys.Allow(ctx, problem.SecretOf(c.r), c.endpoint.Scope, a.engine.AcceptTimeout)
		return err
	})
	return nil
}

// following describes the stream.
func (d *describer) following() {
	op := d.op(opEvents, "Follow changes", "Every row of the actions' logs, as Server-Sent Events without an end, from now on or from behind a place; "+
		"each has as its data a Change. For a key that acts for itself, without On-Behalf-Of.", 410, 422)
	openapi.Schema[store.Change](d.api)
	openapi.Answer(&op, http.StatusOK, "The changes.", "text/event-stream", &huma.Schema{Type: huma.TypeString})
	type followParams struct {
		After string `query:"after" doc:"Behind this place; 0: from the beginning. The header goes before it."`
		Last  string `header:"Last-Event-ID" doc:"Behind this place: the id of the last change that was read."`
	}
	openapi.Describe[followParams](d.api, op, nil)
}
