package sla

import (
	"slices"
	"time"

	"github.com/pxactions/px/model"
)

// The ways in which an action finds its owner.
const (
	ByUser        = "user"         // the rule's user
	ByRole        = "role"         // a holder of the rule's role
	ByManager     = "manager"      // the department's manager
	ByPXAdmin     = "px_admin"     // a PX Admin of the hospital, for want of anybody else
	ByExecutive   = "executive"    // an executive of the hospital, likewise
	ByGlobalAdmin = "global_admin" // a PX Admin without hospital, likewise
	ByNobody      = "nobody"       // no owner
)

// rule is a compiled routing rule: its conditions, zero where blank, side by
// side in memory, for there may be a thousand to go through.
type rule struct {
	source     model.SourceType
	category   model.Category
	severity   model.Severity
	department model.DepartmentID
	row        *model.RoutingRule
}

// fits checks all but the hospital, by which rules stand apart already.
func (x *rule) fits(a *model.Action) bool {
	return (x.source == "" || x.source == a.SourceType) &&
		(x.severity == "" || x.severity == a.Severity) &&
		(x.category == "" || x.category == a.Category) &&
		fitsID(x.department, a.DepartmentID)
}

// routing is the active rules in the order in which they are tried, apart for
// each hospital that has rules of its own.
type routing struct {
	hospitals map[model.HospitalID][]rule // with the rules for all among them
	general   []rule                      // for hospitals without rules of their own
}

// newRouting sorts the rules: priority descending, then name, then id.
func newRouting(rows []model.RoutingRule) routing {
	rt := routing{hospitals: map[model.HospitalID][]rule{}}
	var all []*model.RoutingRule
	for i := range rows {
		if rows[i].IsActive {
			all = append(all, &rows[i])
		}
		if h := rows[i].HospitalID; h != nil {
			rt.hospitals[*h] = nil
		}
	}
	slices.SortFunc(all, compareRules)
	for h := range rt.hospitals {
		rt.hospitals[h] = rulesFor(all, func(own *model.HospitalID) bool { return own == nil || *own == h })
	}
	rt.general = rulesFor(all, func(own *model.HospitalID) bool { return own == nil })
	return rt
}

func rulesFor(all []*model.RoutingRule, of func(*model.HospitalID) bool) []rule {
	var rules []rule
	for _, r := range all {
		if of(r.HospitalID) {
			rules = append(rules, rule{r.SourceType, r.Category, r.Severity, model.Deref(r.DepartmentID), r})
		}
	}
	return rules
}

// of is the rules of a hospital in the order in which they are tried.
func (rt *routing) of(h model.HospitalID) []rule {
	if rules, own := rt.hospitals[h]; own {
		return rules
	}
	return rt.general
}

// first returns the first rule that fits; nil when none does.
func (rt *routing) first(a *model.Action) *model.RoutingRule {
	rules := rt.of(a.HospitalID)
	for i := range rules {
		if rules[i].fits(a) {
			return rules[i].row
		}
	}
	return nil
}

// Route is where an action goes and why.
type Route struct {
	Rule       *model.RoutingRule  // the rule that fitted; nil: none
	Department *model.DepartmentID // the action's department from here on
	Owner      *model.UserID       // nil: there is nobody
	By         string              // which way led to the owner: ByUser, …
	Choice     Choice              // among whom, where there were several
}

// Choice says how one of several became the owner.
type Choice struct {
	For *model.UserID // whose place the owner takes: absent, or no longer active; nil: nobody's, or one of several holders'
	At  string        // where holders of the role were looked for: AtDepartment, …; empty: no role led to the owner
	Of  int           // how many holders there could take it
	// Tied is how many of those had as few live actions as the owner, the owner
	// included: who waited longest for one goes first.
	Tied int
	// StandIn: no holder was there, the owner stands in for one of them.
	StandIn bool
	// Full: the department's holders were passed over, for they have as many live
	// actions as the policy lets one have.
	Full bool
	Live int // live actions of the owner before this one
}

// Where holders of a role are looked for.
const (
	AtDepartment = "department"
	AtHospital   = "hospital"
	AtGroup      = "group" // people who belong to no hospital, and so to all
)

// Route finds the department and the owner of an action whose source type,
// category, severity, hospital, department and involved people are set. It only
// reads loads.
func (r *Rules) Route(a *model.Action, loads Loads, at time.Time) Route {
	rt := Route{Rule: r.routing.first(a), Department: a.DepartmentID}
	if rt.Rule != nil && rt.Rule.AssignToDepartment != nil {
		rt.Department = rt.Rule.AssignToDepartment
	}
	q := r.quest(a, loads, at)
	rt.Owner, rt.By = q.owner(rt.Rule, &a.HospitalID, rt.Department)
	if rt.Owner != nil {
		rt.Choice = q.choice
		rt.Choice.Live = loads[*rt.Owner].Live
	}
	return rt
}

// quest is the search for one owner.
type quest struct {
	dir      *Directory
	loads    Loads
	cap      int // live actions at which a holder of a role has enough; 0: none
	at       time.Time
	excluded []model.UserID
	choice   Choice
}

func (r *Rules) quest(a *model.Action, loads Loads, at time.Time) quest {
	return quest{dir: r.dir, loads: loads, cap: r.loadCap, at: at, excluded: r.dir.Barred(a, r.readers)}
}

func (q *quest) owner(row *model.RoutingRule, h *model.HospitalID, dep *model.DepartmentID) (*model.UserID, string) {
	if row != nil && row.AssignToUser != nil {
		if id, ok := q.dir.StandIn(*row.AssignToUser, q.at, q.excluded); ok {
			q.insteadOf(*row.AssignToUser, id)
			return &id, ByUser
		}
	}
	if row != nil && row.AssignToRole != "" {
		if id, ok := q.roleHolder(row.AssignToRole, h, dep); ok {
			return &id, ByRole
		}
	}
	if id, ok := q.dir.Manager(dep, q.at, q.excluded); ok {
		q.insteadOf(*q.dir.Departments[*dep].ManagerID, id)
		return &id, ByManager
	}
	if id, ok := q.holder(model.RolePXAdmin, h, nil); ok {
		return &id, ByPXAdmin
	}
	if id, ok := q.holder(model.RoleExecutive, h, nil); ok {
		return &id, ByExecutive
	}
	if id, ok := q.holder(model.RolePXAdmin, nil, nil); ok {
		return &id, ByGlobalAdmin
	}
	return nil, ByNobody
}

// roleHolder picks who holds a role in the department, else in the hospital. Who
// has as much as the cap allows is passed over, unless all have.
func (q *quest) roleHolder(role model.Role, h *model.HospitalID, dep *model.DepartmentID) (model.UserID, bool) {
	full := model.UserID{}
	found := false
	var choice Choice
	for _, place := range []*model.DepartmentID{dep, nil} {
		id, ok := q.holder(role, h, place)
		if ok && (q.cap == 0 || q.loads[id].Live < q.cap) { // the least loaded: if they have enough, all have
			q.choice.Full = found
			return id, true
		}
		if ok && !found {
			full, found, choice = id, true, q.choice
		}
	}
	q.choice = choice
	return full, found
}

// insteadOf notes whose place somebody takes.
func (q *quest) insteadOf(named, owner model.UserID) {
	q.choice = Choice{}
	if named != owner {
		q.choice.For = &named
	}
}

// holder picks, of those who hold a role at a place, the least loaded. Those
// who are there go before those who stand in for somebody absent: else a
// substitute from elsewhere, with no action yet, would get them all.
func (q *quest) holder(role model.Role, h *model.HospitalID, dep *model.DepartmentID) (model.UserID, bool) {
	users := q.dir.holdersAt(role, h, dep)
	q.choice = Choice{At: placeOf(h, dep)}
	var best model.UserID
	found := false
	for _, u := range users {
		if Present(u, q.at) && !slices.Contains(q.excluded, u.ID) {
			q.weigh(&best, u.ID, &found)
		}
	}
	if found {
		return best, true
	}
	for _, u := range users {
		if id, ok := q.dir.StandIn(u.ID, q.at, q.excluded); ok {
			q.weigh(&best, id, &found)
		}
	}
	q.choice.StandIn = found
	return best, found
}

// weigh takes one more into the choice.
func (q *quest) weigh(best *model.UserID, id model.UserID, found *bool) {
	q.choice.Of++
	if q.choice.Of == 1 || q.loads[id].Live < q.loads[*best].Live {
		q.choice.Tied = 0
	}
	if q.choice.Of == 1 || q.loads[id].Live <= q.loads[*best].Live {
		q.choice.Tied++
	}
	*best, *found = q.lesser(*best, id, *found), true
}

func placeOf(h *model.HospitalID, dep *model.DepartmentID) string {
	switch {
	case dep != nil:
		return AtDepartment
	case h != nil:
		return AtHospital
	default:
		return AtGroup
	}
}

// lesser is the one with fewer live actions, or who waited longest for one; the
// first of two alike. Without found there is no first yet.
func (q *quest) lesser(first, second model.UserID, found bool) model.UserID {
	if !found {
		return second
	}
	a, b := q.loads[first], q.loads[second]
	if b.Live < a.Live || b.Live == a.Live && b.LastAssigned.Before(a.LastAssigned) {
		return second
	}
	return first
}

// count adds an assignment, so that the next decision of a batch sees it.
func (l Loads) count(id model.UserID, at time.Time) {
	if l == nil {
		return
	}
	share := l[id]
	l[id] = Load{Live: share.Live + 1, LastAssigned: at}
}
