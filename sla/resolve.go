package sla

import (
	"strings"

	"github.com/pxactions/px/model"
)

// everySource is the source system of aliases that all source systems use.
const everySource = "*"

// resolveIndex finds rows by the names that source systems use for them.
type resolveIndex struct {
	hospitals   names[*model.Hospital]
	departments names[*model.Department]
	users       names[*model.User]
	surveys     names[*model.Survey]
}

// nameKey is one name as one source system uses it; the code has no source.
// The hospital is zero for all but departments.
type nameKey struct {
	source   string
	hospital model.HospitalID
	name     string
}

type names[T any] map[nameKey]T

// add enters a row under its code and its aliases. A name already taken stays
// with who has it: rows are added active ones first.
func (n names[T]) add(row T, hospital model.HospitalID, code string, aliases model.Aliases) {
	n.put(nameKey{hospital: hospital, name: code}, row)
	for source, list := range aliases {
		for _, name := range list {
			n.put(nameKey{source: source, hospital: hospital, name: name}, row)
		}
	}
}

func (n names[T]) put(k nameKey, row T) {
	k.name = strings.TrimSpace(k.name)
	if k.name == "" {
		return
	}
	if _, taken := n[k]; !taken {
		n[k] = row
	}
}

// find looks a name up: the source system's own alias, then the code, then an
// alias that all source systems share.
func (n names[T]) find(source string, hospital model.HospitalID, name string) (T, bool) {
	name = strings.TrimSpace(name)
	for _, s := range [...]string{source, "", everySource} {
		if row, ok := n[nameKey{s, hospital, name}]; ok {
			return row, true
		}
	}
	var none T
	return none, false
}

func newResolveIndex(hs []model.Hospital, ds []model.Department, us []model.User, ss []model.Survey) resolveIndex {
	x := resolveIndex{names[*model.Hospital]{}, names[*model.Department]{}, names[*model.User]{}, names[*model.Survey]{}}
	for _, active := range []bool{true, false} {
		for i := range hs {
			if h := &hs[i]; h.Active == active {
				x.hospitals.add(h, model.HospitalID{}, h.Code, h.Aliases.V)
			}
		}
		for i := range ds {
			if d := &ds[i]; d.Active == active {
				x.departments.add(d, d.HospitalID, d.Code, d.Aliases.V)
			}
		}
		for i := range us {
			if u := &us[i]; u.Active == active {
				x.users.add(u, model.HospitalID{}, u.Code, u.Aliases.V)
			}
		}
		for i := range ss {
			if s := &ss[i]; s.Active == active {
				x.surveys.add(s, model.HospitalID{}, s.Code, s.Aliases.V)
			}
		}
	}
	return x
}

// ResolveHospital finds a hospital by what a source system calls it: the
// source's own alias beats the code, which beats an alias of all sources ("*").
// Rows no longer active are found too; false when there is none.
func (d *Directory) ResolveHospital(source, name string) (*model.Hospital, bool) {
	return d.index.hospitals.find(source, model.HospitalID{}, name)
}

// ResolveDepartment finds a department of one hospital, as ResolveHospital does.
func (d *Directory) ResolveDepartment(source string, hospital model.HospitalID, name string) (*model.Department, bool) {
	return d.index.departments.find(source, hospital, name)
}

// ResolveUser finds a person, as ResolveHospital does.
func (d *Directory) ResolveUser(source, name string) (*model.User, bool) {
	return d.index.users.find(source, model.HospitalID{}, name)
}

// ResolveSurvey finds a survey, as ResolveHospital does.
func (d *Directory) ResolveSurvey(source, name string) (*model.Survey, bool) {
	return d.index.surveys.find(source, model.HospitalID{}, name)
}
