package sla

import (
	"slices"
	"strings"
	"time"

	"github.com/pxactions/px/model"
)

// maxSubstitutes is how many steps a chain of substitutes is followed: enough
// for leave within leave, and an end to a circle of them.
const maxSubstitutes = 3

// Directory is an immutable snapshot of people and places, compiled for the
// rules. Build it with NewDirectory; the zero Directory is an empty one. It is
// safe for concurrent use as long as nobody writes to its maps.
type Directory struct {
	Version     int64
	Hospitals   map[model.HospitalID]*model.Hospital
	Departments map[model.DepartmentID]*model.Department
	Users       map[model.UserID]*model.User
	Surveys     map[model.SurveyID]*model.Survey

	holders map[post][]*model.User // active users, ordered by code
	index   resolveIndex
}

// post is a role at a place: a department, or else a hospital, or else none
// (people without hospital).
type post struct {
	role       model.Role
	hospital   model.HospitalID
	department model.DepartmentID
}

// NewDirectory compiles a snapshot. The rows are kept, not copied: the caller
// must not change them afterwards.
func NewDirectory(version int64, hs []model.Hospital, ds []model.Department, us []model.User, ss []model.Survey) *Directory {
	d := &Directory{
		Version:     version,
		Hospitals:   byID(hs, func(h *model.Hospital) model.HospitalID { return h.ID }),
		Departments: byID(ds, func(d *model.Department) model.DepartmentID { return d.ID }),
		Users:       byID(us, func(u *model.User) model.UserID { return u.ID }),
		Surveys:     byID(ss, func(s *model.Survey) model.SurveyID { return s.ID }),
		index:       newResolveIndex(hs, ds, us, ss),
	}
	d.holders = d.posts()
	return d
}

func byID[K comparable, T any](rows []T, id func(*T) K) map[K]*T {
	m := make(map[K]*T, len(rows))
	for i := range rows {
		m[id(&rows[i])] = &rows[i]
	}
	return m
}

// posts lists the active holders of every role, at their department and at
// their hospital (or at none).
func (d *Directory) posts() map[post][]*model.User {
	m := map[post][]*model.User{}
	for _, u := range d.Users {
		if !u.Active {
			continue
		}
		hospital := d.hospitalOf(u)
		for i, role := range u.Roles.V {
			if slices.Contains(u.Roles.V[:i], role) {
				continue
			}
			at := post{role: role, hospital: hospital}
			m[at] = append(m[at], u)
			if u.DepartmentID != nil {
				at.department = *u.DepartmentID
				m[at] = append(m[at], u)
			}
		}
	}
	for _, us := range m {
		slices.SortFunc(us, func(a, b *model.User) int { return strings.Compare(a.Code, b.Code) })
	}
	return m
}

// hospitalOf is the hospital a user belongs to, by their own row or by their
// department's; zero for those who belong to all.
func (d *Directory) hospitalOf(u *model.User) model.HospitalID {
	if u.HospitalID != nil {
		return *u.HospitalID
	}
	if u.DepartmentID != nil {
		if dep := d.Departments[*u.DepartmentID]; dep != nil {
			return dep.HospitalID
		}
	}
	return model.HospitalID{}
}

// Present reports whether a user is active and not absent at an instant.
func Present(u *model.User, at time.Time) bool {
	if !u.Active {
		return false
	}
	absent := u.SubstituteFrom != nil && !at.Before(*u.SubstituteFrom) &&
		(u.SubstituteTo == nil || at.Before(*u.SubstituteTo))
	return !absent
}

// StandIn returns who acts for a user at an instant: the user, or, where they
// are inactive or absent, their substitute, in at most three steps. There is
// nobody (false) when the chain ends, or ends at one of excluded: who is
// involved is left out, and no deputy acts in their place while they are there.
func (d *Directory) StandIn(id model.UserID, at time.Time, excluded []model.UserID) (model.UserID, bool) {
	for range maxSubstitutes + 1 {
		u := d.Users[id]
		if u == nil {
			return model.UserID{}, false
		}
		if Present(u, at) {
			return id, !slices.Contains(excluded, id)
		}
		if u.SubstituteID == nil {
			return model.UserID{}, false
		}
		id = *u.SubstituteID
	}
	return model.UserID{}, false
}

// Manager returns who manages a department at an instant, by way of their
// substitutes; false for a nil or unknown department and when there is nobody.
func (d *Directory) Manager(dep *model.DepartmentID, at time.Time, excluded []model.UserID) (model.UserID, bool) {
	if dep == nil {
		return model.UserID{}, false
	}
	row := d.Departments[*dep]
	if row == nil || row.ManagerID == nil {
		return model.UserID{}, false
	}
	return d.StandIn(*row.ManagerID, at, excluded)
}

// Holders returns who acts in a role at an instant: its active holders in the
// department, or with a nil department in the whole hospital, or with a nil
// hospital those who belong to no hospital. An absent holder's substitute
// stands in. Nobody is named twice; the order is that of the holders' codes.
func (d *Directory) Holders(role model.Role, hospital *model.HospitalID, department *model.DepartmentID, at time.Time, excluded []model.UserID) []model.UserID {
	var ids []model.UserID
	for _, u := range d.holdersAt(role, hospital, department) {
		if id, ok := d.StandIn(u.ID, at, excluded); ok && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// holdersAt lists the active holders of a role at a place, present or not.
func (d *Directory) holdersAt(role model.Role, hospital *model.HospitalID, department *model.DepartmentID) []*model.User {
	at := post{role: role, hospital: model.Deref(hospital), department: model.Deref(department)}
	if hospital == nil && department != nil {
		if dep := d.Departments[*department]; dep != nil {
			at.hospital = dep.HospitalID
		}
	}
	return d.holders[at]
}

// Barred lists who must have nothing to do with an action: those it involves
// and, where it is restricted, everybody without a reader's role.
func (d *Directory) Barred(a *model.Action, readers []model.Role) []model.UserID {
	if !a.Restricted {
		return a.Involved.V
	}
	barred := slices.Clone(a.Involved.V)
	for id, u := range d.Users {
		if !reads(u, readers) {
			barred = append(barred, id)
		}
	}
	return barred
}

// reads reports whether somebody has one of the roles that read restricted
// actions.
func reads(u *model.User, readers []model.Role) bool {
	return slices.ContainsFunc(u.Roles.V, func(r model.Role) bool { return slices.Contains(readers, r) })
}

// Rung returns whom one rung of the ladder holds for an action at an instant,
// less those barred from it. Where a hospital has nobody in the rung's role, those
// who hold it without a hospital, and so for all of them, stand there.
func (d *Directory) Rung(r Rung, a *model.Action, at time.Time, barred []model.UserID) []model.UserID {
	switch r {
	case RungManager:
		if id, ok := d.Manager(a.DepartmentID, at, barred); ok {
			return []model.UserID{id}
		}
		return nil
	case RungPXAdmin:
		return d.hospitalRung(model.RolePXAdmin, a, at, barred)
	case RungExecutive:
		return d.hospitalRung(model.RoleExecutive, a, at, barred)
	default:
		return nil
	}
}

func (d *Directory) hospitalRung(role model.Role, a *model.Action, at time.Time, barred []model.UserID) []model.UserID {
	if ids := d.Holders(role, &a.HospitalID, nil, at, barred); len(ids) > 0 {
		return ids
	}
	return d.Holders(role, nil, nil, at, barred)
}
