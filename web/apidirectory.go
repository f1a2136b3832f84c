package web

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/internal/openapi"
	"github.com/pxactions/px/internal/problem"
	"github.com/pxactions/px/sla"
)

// maxDirectory is how long a list of people or places may be, in bytes.
const maxDirectory = 10 << 20

const codeTooMany = "too-many-items"

func directoryOp(k sla.DirectoryKind) string { return "put-" + string(k) }

// DirectoryCounts is what became of the entries that were sent.
type DirectoryCounts struct {
	Created   int `json:"created"`
	Changed   int `json:"changed"`
	Unchanged int `json:"unchanged" doc:"They said already what was sent."`
}

// putDirectory sets people or places by their codes.
func (a *api) putDirectory(c *call, kind sla.DirectoryKind) error {
	if !c.Access.Has(c.endpoint.Right) {
		return c.lacks(c.endpoint.Right)
	}
	raw, err := c.readRaw(maxDirectory)
	if err != nil {
		return err
	}
	if err := jsonOnly(c.r); err != nil {
		return err
	}
	c.within(bulkTime)
	done, err := a.engine.PutDirectory(c.r.Context(), c.Actor, c.request, kind, raw)
	if errors.Is(err, engine.ErrTooLarge) {
		return &badRequest{status: http.StatusRequestEntityTooLarge, code: codeTooMany, title: "The request has too many entries", detail: fmt.Sprintf("at most %d; send several", engine.MaxDirectoryItems)}
	}
	if err != nil {
		return err
	}
	problem.JSON(c.w, http.StatusOK, DirectoryCounts(done))
	return nil
}

// directory describes the endpoints of people and places.
func (d *describer) directory() {
	entries := map[sla.DirectoryKind]reflect.Type{
		sla.KindHospitals:   reflect.TypeFor[sla.HospitalSpec](),
		sla.KindDepartments: reflect.TypeFor[sla.DepartmentSpec](),
		sla.KindUsers:       reflect.TypeFor[sla.UserSpec](),
	}
	for _, kind := range sla.DirectoryKinds() {
		op := d.op(directoryOp(kind), "Set "+string(kind), fmt.Sprintf("By their codes, each as a whole: a field left out means its default. All or none, at most %d. "+
			"Nothing is deleted: active false ends an entry. A key of some hospitals, and a person of one, may set what is of these only.", engine.MaxDirectoryItems), 400, 413, 415, 422)
		op.Tags = []string{"directory"}
		answer[DirectoryCounts](d, &op, http.StatusOK, "How many were made, changed, and as they were.")
		items := d.api.OpenAPI().Components.Schemas.Schema(entries[kind], true, "")
		most := engine.MaxDirectoryItems
		list := &huma.Schema{Type: huma.TypeArray, Items: items, MaxItems: &most}
		openapi.Describe[ActorParams](d.api, op, &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{problem.JSONType: {Schema: list}}})
	}
}
