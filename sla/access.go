package sla

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pxactions/px/model"
)

// Access is what one actor may do at one instant, by the access table. The zero
// Access may do nothing.
type Access struct {
	dir         *Directory
	user        *model.User          // nil: a service
	roles       []model.Role         // of the access table
	hospital    model.HospitalID     // zero: belongs to none, and so reaches every one
	departments []model.DepartmentID // their own, and those that they manage
	managed     []model.DepartmentID // of these, those that they manage
	approves    []model.HospitalID   // of the absent PX Admins for whom they stand in; zero: of every one
	readers     []model.Role         // who may have to do with restricted actions
	within      []model.HospitalID   // what the API key is limited to; empty: nothing
	at          time.Time
}

// Access is what a person may do; readers are the roles that may have to do with
// restricted actions. Who is unknown or not active is model.ErrForbidden.
func (d *Directory) Access(id model.UserID, readers []model.Role, at time.Time) (Access, error) {
	u := d.Users[id]
	if u == nil || !u.Active {
		return Access{}, fmt.Errorf("%w: not an active user of the directory", model.ErrForbidden)
	}
	x := Access{dir: d, user: u, hospital: d.hospitalOf(u), readers: readers, at: at}
	for _, r := range u.Roles.V {
		if slices.Contains(model.Roles(), r) && r != model.RoleService {
			x.roles = append(x.roles, r)
		}
	}
	if len(x.roles) != 1 || x.roles[0] != model.RoleAuditor { // who is an auditor and nothing else reads only
		x.roles = append(x.roles, model.RoleStaff)
	}
	for id, dep := range d.Departments {
		if dep.ManagerID == nil {
			continue
		}
		if who, ok := d.StandIn(*dep.ManagerID, at, nil); ok && who == u.ID || *dep.ManagerID == u.ID {
			x.managed = append(x.managed, id)
		}
	}
	for at, holders := range d.holders {
		if at.role != model.RolePXAdmin || !at.department.IsZero() {
			continue
		}
		for _, admin := range holders {
			if who, ok := d.StandIn(admin.ID, x.at, nil); ok && who == u.ID && who != admin.ID {
				x.approves = append(x.approves, at.hospital)
			}
		}
	}
	x.departments = x.managed
	if u.DepartmentID != nil {
		x.departments = append(slices.Clip(x.departments), *u.DepartmentID)
	}
	return x, nil
}

// ServiceAccess is what an API key may do that names no person.
func ServiceAccess(d *Directory) Access {
	return Access{dir: d, roles: []model.Role{model.RoleService}}
}

// Within limits access to some hospitals; none given: it stays as it is.
func (x Access) Within(hospitals []model.HospitalID) Access {
	x.within = hospitals
	return x
}

// May reports whether the actor has a right to an action. Who is involved has
// none, and to a restricted one only its readers and services have.
func (x Access) May(right model.Right, a *model.Action) bool {
	if !x.limited(a.HospitalID) || x.user != nil && slices.Contains(a.Involved.V, x.user.ID) {
		return false
	}
	if a.Restricted && x.user != nil && !reads(x.user, x.readers) {
		return false
	}
	for _, role := range x.roles {
		if x.covers(model.ReachOf(role, right), a) {
			return true
		}
	}
	if x.standsIn(a.HospitalID) && slices.Contains([]model.Right{model.RightView, model.RightTo(model.MoveApprove), model.RightTo(model.MoveReject)}, right) {
		return true
	}
	return a.DepartmentID != nil && slices.Contains(x.managed, *a.DepartmentID) && model.ReachOf(model.RoleManager, right) >= model.ReachDepartment
}

// standsIn reports whether the actor decides on a hospital's approvals in the
// place of a PX Admin who is away: to that end they see its actions.
func (x Access) standsIn(h model.HospitalID) bool {
	return slices.Contains(x.approves, h) || slices.Contains(x.approves, model.HospitalID{})
}

func (x Access) limited(h model.HospitalID) bool {
	return len(x.within) == 0 || slices.Contains(x.within, h)
}

// covers reports whether an action lies within the actor's reach.
func (x Access) covers(r model.Reach, a *model.Action) bool {
	switch {
	case r >= model.ReachHospital && (x.hospital.IsZero() || x.hospital == a.HospitalID):
		return true
	case r >= model.ReachDepartment && a.DepartmentID != nil && slices.Contains(x.departments, *a.DepartmentID):
		return true
	case r >= model.ReachOwn && a.AssignedTo != nil && x.user != nil:
		return x.actsFor(*a.AssignedTo)
	}
	return false
}

// actsFor reports whether the actor is somebody, or stands in for them.
func (x Access) actsFor(owner model.UserID) bool {
	if owner == x.user.ID {
		return true
	}
	who, ok := x.dir.StandIn(owner, x.at, nil)
	return ok && who == x.user.ID
}

// MayAt reports whether the actor has a right at a hospital as a whole.
func (x Access) MayAt(right model.Right, h model.HospitalID) bool {
	if !x.limited(h) || !x.hospital.IsZero() && x.hospital != h {
		return false
	}
	return slices.ContainsFunc(x.roles, func(r model.Role) bool { return model.ReachOf(r, right) >= model.ReachHospital })
}

// Has reports whether the actor has a right anywhere: for what is not about a
// place.
func (x Access) Has(right model.Right) bool {
	return slices.ContainsFunc(x.roles, func(r model.Role) bool { return model.ReachOf(r, right) > model.ReachNone }) ||
		len(x.managed) > 0 && model.ReachOf(model.RoleManager, right) > model.ReachNone
}

// Sight is which actions somebody may see: those of all of Hospitals, those of
// Departments and those owned by one of Owners; of these only those in Within,
// where it is not empty, none that involves Self, and restricted ones only with
// Restricted.
type Sight struct {
	Everywhere  bool                 // all hospitals; the three lists do not matter
	Hospitals   []model.HospitalID   //
	Departments []model.DepartmentID //
	Owners      []model.UserID       //
	Within      []model.HospitalID   //
	Self        model.UserID         // zero: a service
	Restricted  bool                 //
}

// Sight is which actions the actor may see: what May(model.RightView) says of
// each, for lists.
func (x Access) Sight() Sight {
	s := Sight{Within: x.within, Restricted: x.user == nil || reads(x.user, x.readers)}
	if x.user == nil {
		s.Everywhere = x.Has(model.RightView)
		return s
	}
	s.Self = x.user.ID
	reach := model.ReachNone
	for _, r := range x.roles {
		reach = max(reach, model.ReachOf(r, model.RightView))
	}
	switch {
	case reach >= model.ReachHospital && x.hospital.IsZero(), slices.Contains(x.approves, model.HospitalID{}):
		s.Everywhere = true
		return s
	case reach >= model.ReachHospital:
		s.Hospitals = []model.HospitalID{x.hospital}
	}
	s.Hospitals = append(s.Hospitals, x.approves...)
	s.Departments = x.managed
	if reach >= model.ReachDepartment {
		s.Departments = x.departments
	}
	for id := range x.dir.Users {
		if x.actsFor(id) {
			s.Owners = append(s.Owners, id)
		}
	}
	return s
}

// held says which roles have a right, for a refusal.
func held(right model.Right) string {
	var names []string
	for _, r := range model.Holders(right) {
		names = append(names, string(r))
	}
	return strings.Join(names, ", ")
}
