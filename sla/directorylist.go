package sla

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pxactions/px/model"
)

// DirectoryKind is a kind of entry that is set in bulk.
type DirectoryKind string

// The kinds of entry that are set in bulk.
const (
	KindHospitals   DirectoryKind = "hospitals"
	KindDepartments DirectoryKind = "departments"
	KindUsers       DirectoryKind = "users"
)

// DirectoryKinds lists them.
func DirectoryKinds() []DirectoryKind {
	return []DirectoryKind{KindHospitals, KindDepartments, KindUsers}
}

// ParseDirectoryList reads entries of one kind, given as a JSON array that can be
// read, with the checks of ParseDirectory. Faults are model.FieldErrors that name
// index and field: [3].email.
func ParseDirectoryList(kind DirectoryKind, src []byte) (*DirectoryDoc, error) {
	// Anew: YAML, which ParseDirectory reads, has fewer escapes than JSON.
	var items []any
	d := json.NewDecoder(bytes.NewReader(src))
	d.UseNumber()
	if err := d.Decode(&items); err != nil {
		return nil, model.FieldErrors{{Field: "(body)", Code: "type", Want: "a JSON array of objects"}}
	}
	var faults model.FieldErrors
	for i, item := range items {
		if hasNUL(item) {
			faults.Add(fmt.Sprintf("[%d]", i), "nul", "without NUL characters")
		}
	}
	if len(faults) > 0 {
		return nil, faults
	}
	var doc bytes.Buffer
	e := json.NewEncoder(&doc)
	e.SetEscapeHTML(false)
	if err := e.Encode(map[DirectoryKind]any{kind: items}); err != nil {
		return nil, model.FieldErrors{{Field: "(body)", Code: "type", Want: "a JSON array of objects"}}
	}
	parsed, err := ParseDirectory(doc.Bytes())
	return parsed, InList(kind, err)
}

// hasNUL reports whether a NUL, which no text of the database can hold, stands in
// a value.
func hasNUL(v any) bool {
	switch v := v.(type) {
	case string:
		return strings.ContainsRune(v, 0)
	case []any:
		return slices.ContainsFunc(v, hasNUL)
	case map[string]any:
		for name, inner := range v {
			if hasNUL(name) || hasNUL(inner) {
				return true
			}
		}
	}
	return false
}

// InList names faults of a document as those of the list that it was made of.
func InList(kind DirectoryKind, err error) error {
	var faults model.FieldErrors
	if !errors.As(err, &faults) {
		return err
	}
	named := make(model.FieldErrors, len(faults))
	for i, f := range faults {
		g := *f
		g.Field, g.At = strings.TrimPrefix(g.Field, string(kind)), ""
		named[i] = &g
	}
	index := func(f *model.FieldError) (n int) {
		_, _ = fmt.Sscanf(f.Field, "[%d]", &n) // 0 for what is about the whole
		return n
	}
	slices.SortStableFunc(named, func(a, b *model.FieldError) int { return index(a) - index(b) })
	return named
}

// Reach returns, entry by entry, the hospitals that the rows of a kind have to do
// with: as they are set and as they were in prev. The zero id stands for all of
// them: people without a hospital, and hospitals that are new.
func (r *DirectoryRows) Reach(kind DirectoryKind, prev *Directory) [][]model.HospitalID {
	var reach [][]model.HospitalID
	switch kind {
	case KindHospitals:
		for i := range r.Hospitals {
			id := r.Hospitals[i].ID
			if prev.Hospitals[id] == nil {
				id = model.HospitalID{}
			}
			reach = append(reach, []model.HospitalID{id})
		}
	case KindDepartments:
		for i := range r.Departments {
			reach = append(reach, []model.HospitalID{r.Departments[i].HospitalID})
		}
	case KindUsers:
		for i := range r.Users {
			of := []model.HospitalID{model.Deref(r.Users[i].HospitalID)}
			if old := prev.Users[r.Users[i].ID]; old != nil {
				of = append(of, prev.hospitalOf(old))
			}
			reach = append(reach, of)
		}
	}
	return reach
}
