package model

import "slices"

// Right is something that an actor may be allowed to do: a move, named alike,
// or one of those below.
type Right string

// The rights besides the moves.
const (
	RightView      Right = "view"       // read actions and what belongs to them
	RightCreate    Right = "create"     // make an action by hand
	RightUnmerge   Right = "unmerge"    // take a feedback out of an action that it was merged into
	RightLegalHold Right = "legal_hold" // keep an action from being erased, and let it be again
	RightReport    Right = "report"     // see what people did, counted by person
	RightDirectory Right = "directory"  // change people and places
	RightQueues    Right = "queues"     // look at asynq's dashboard
	RightOperate   Right = "operate"    // run, archive and delete tasks there
)

// RightTo is the right to make a move.
func RightTo(m Move) Right { return Right(m) }

// Reach is where somebody has a right. A wider one holds the narrower ones.
type Reach int

// ReachOwn: actions that they own, or whose absent owner they stand in for.
// ReachDepartment: those of their department, or of one that they manage.
// ReachHospital: those of their hospital; of every one for who belongs to none.
// What is not about a place (the queues) any reach but none allows.
const (
	ReachNone Reach = iota
	ReachOwn
	ReachDepartment
	ReachHospital
)

// String is the word that the documentation has for it.
func (r Reach) String() string { return []string{"–", "own", "department", "hospital"}[r] }

// RoleService stands in the access table for an API key that acts without
// naming a person. Nobody holds it in the directory.
const RoleService Role = "Service"

// Roles lists the roles of the access table. Everybody in the directory has at
// least what Staff has, but for auditors, who read only; other roles than these are
// for routing only.
func Roles() []Role {
	return []Role{RolePXAdmin, RolePXCoordinator, RoleManager, RoleExecutive, RoleAuditor, RoleStaff, RoleService}
}

// grant is one row of the access table: who has some rights, and where.
type grant struct {
	Rights []Right
	Reach  map[Role]Reach
}

// grants is the access table: nothing else decides what a role may do. Two rules
// about the action come on top, in sla: who approves, and what takes a PX Admin.
func grants() []grant {
	const own, dept, hosp = ReachOwn, ReachDepartment, ReachHospital
	admin, coord, manager, exec, auditor, staff, service := RolePXAdmin, RolePXCoordinator, RoleManager, RoleExecutive, RoleAuditor, RoleStaff, RoleService
	work := map[Role]Reach{admin: hosp, coord: hosp, manager: dept, staff: own, service: hosp}
	steer := map[Role]Reach{admin: hosp, coord: hosp, manager: dept, service: hosp}
	return []grant{
		{[]Right{RightView}, map[Role]Reach{admin: hosp, coord: hosp, manager: dept, exec: hosp, auditor: hosp, staff: own, service: hosp}},
		{[]Right{RightCreate}, map[Role]Reach{admin: hosp, coord: hosp, manager: hosp, exec: hosp, staff: hosp, service: hosp}},
		{rights(MoveStart, MoveSubmit, MoveClose, MoveHold, MoveResume, MoveAttach), work},
		{rights(MoveNote, MoveEscalate), map[Role]Reach{admin: hosp, coord: hosp, manager: dept, exec: hosp, staff: own, service: hosp}},
		{rights(MoveApprove, MoveReject), map[Role]Reach{admin: hosp}},
		{rights(MoveCancel, MoveAssign, MoveSeverity, MoveDepartment, MoveDue), steer},
		{rights(MoveReopen), map[Role]Reach{admin: hosp, coord: hosp, manager: dept, exec: hosp, service: hosp}},
		{[]Right{RightUnmerge}, map[Role]Reach{admin: hosp, coord: hosp}},
		{[]Right{RightLegalHold}, map[Role]Reach{admin: hosp}},
		{[]Right{RightReport}, map[Role]Reach{admin: hosp, exec: hosp, auditor: hosp, service: hosp}},
		{[]Right{RightDirectory}, map[Role]Reach{admin: hosp, service: hosp}},
		{[]Right{RightQueues}, map[Role]Reach{admin: hosp, coord: hosp, auditor: hosp}},
		{[]Right{RightOperate}, map[Role]Reach{admin: hosp}},
	}
}

func rights(ms ...Move) []Right {
	rs := make([]Right, len(ms))
	for i, m := range ms {
		rs[i] = RightTo(m)
	}
	return rs
}

// Rights lists every right, in the order of the table.
func Rights() []Right {
	var rs []Right
	for _, g := range grants() {
		rs = append(rs, g.Rights...)
	}
	return rs
}

// ReachOf is where a role has a right: ReachNone for a role or a right that is
// not in the table.
func ReachOf(role Role, right Right) Reach {
	for _, g := range grants() {
		if slices.Contains(g.Rights, right) {
			return g.Reach[role]
		}
	}
	return ReachNone
}

// Holders lists the roles that have a right somewhere, in the order of Roles.
func Holders(right Right) []Role {
	return slices.DeleteFunc(Roles(), func(r Role) bool { return ReachOf(r, right) == ReachNone })
}

// Origin is where a change came from, besides the person: for the log.
type Origin struct {
	Key     *KeyID // the API key; nil: none, a command or the program
	Request string // the request's id; empty: none
}
