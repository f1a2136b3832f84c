package web

import (
	"net/http"
	"slices"

	"github.com/pxactions/px/internal/problem"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

// ActionList is one page of actions.
type ActionList struct {
	Actions []Action `json:"actions" nullable:"false"`
	Next    string   `json:"next,omitempty" doc:"Where the next page begins: after=; absent: this is the last."`
	Total   *Total   `json:"total,omitempty" doc:"Where it was asked for."`
}

// Total is how many actions fit, whatever the page.
type Total struct {
	Count int  `json:"count"`
	More  bool `json:"more" doc:"There are more than that: it is not counted further."`
}

// maxPage is how many actions a page may have.
const maxPage = 200

// ListQuery describes the parameters of a list.
type ListQuery struct {
	Hospital   string   `query:"hospital" doc:"By code."`
	Department string   `query:"department" doc:"By code: RUH/ED, or ED with hospital."`
	Status     []string `query:"status" enum:"open,in_progress,pending_approval,approved,closed,cancelled" doc:"Any of these. Absent: all."`
	Severity   []string `query:"severity" enum:"low,medium,high,critical" doc:"Any of these. Absent: all."`
	Source     []string `query:"source" enum:"survey,complaint,complaint_resolution,social_media,call_center,kpi,manual,patient_family_committee,executive_committee,department_meeting,rounds,staff_feedback,patient_observation,quality_audit,management_review" doc:"Any of these. Absent: all."`
	Category   string   `query:"category" enum:"clinical_quality,patient_safety,service_quality,staff_behavior,facility,process_improvement,other"`
	Assignee   string   `query:"assignee" doc:"The owner, by code."`
	Unassigned bool     `query:"unassigned" doc:"Only those that nobody owns."`
	Overdue    bool     `query:"overdue" doc:"Only those that are overdue."`
	Escalated  int      `query:"escalated" minimum:"0" maximum:"100" doc:"Only those with at least this escalation level."`
	DueFrom    string   `query:"due_from" format:"date-time" doc:"Due then or later."`
	DueTo      string   `query:"due_to" format:"date-time" doc:"Due before then."`
	Ref        string   `query:"ref" doc:"How the ref begins."`
	Text       string   `query:"text" maxLength:"200" doc:"Words of ref, title and description: all of them, in any order; the last may be the beginning of one; quoted words as they stand; or between alternatives; -word for what is not to occur."`
	Sort       string   `query:"sort" enum:"-created,created,due,-due,-updated,severity" doc:"- is descending; severity: the gravest first, of each the one due soonest. Absent: -created."`
	Limit      int      `query:"limit" minimum:"1" maximum:"200" doc:"At most this many; absent: 50."`
	After      string   `query:"after" doc:"What the page before, in the same order, gave as next."`
	Total      bool     `query:"total" doc:"Also count what fits."`
}

// list answers with a page of what the actor may see.
func (a *api) list(c *call) error {
	f, total, err := c.filter()
	if err != nil {
		return err
	}
	see(&f, c.Access.Sight(), c.Dir)
	page, err := a.engine.Store.Actions(c.r.Context(), f)
	if err != nil {
		return err
	}
	out := ActionList{Actions: []Action{}, Next: page.Next}
	for i := range page.Actions {
		out.Actions = append(out.Actions, actionOf(&page.Actions[i], page.Dir))
	}
	if total {
		out.Total = &Total{}
		if out.Total.Count, out.Total.More, err = a.engine.Store.CountActions(c.r.Context(), f); err != nil {
			return err
		}
	}
	problem.JSON(c.w, http.StatusOK, out)
	return nil
}

// filter reads what is asked for, and whether it is to be counted.
func (c *call) filter() (f store.ActionFilter, total bool, err error) {
	q := newQuery(c, namesOf[ListQuery]()...)
	f = store.ActionFilter{
		Statuses: oneOf(q, "status", model.Statuses()), Severities: oneOf(q, "severity", model.Severities()), Sources: oneOf(q, "source", model.SourceTypes()),
		Assignee: q.user("assignee"), Unassigned: q.flag("unassigned"), Overdue: q.flag("overdue"), Escalated: q.number("escalated", 0, 100),
		DueFrom: q.instant("due_from"), DueTo: q.instant("due_to"), RefPrefix: q.text("ref"),
		Text: q.text("text"), Order: store.ActionOrder(q.text("sort")), Limit: q.number("limit", 1, maxPage), After: q.text("after"),
	}
	if cs := oneOf(q, "category", model.Categories()); len(cs) > 0 {
		f.Category = cs[0]
	}
	if f.Order != "" && !model.Valid(f.Order, store.ActionOrders()) {
		q.faults.Add("sort", "enum", "one of "+words(store.ActionOrders()))
	}
	hospital := q.hospital("hospital")
	if !hospital.IsZero() {
		f.Hospitals = []model.HospitalID{hospital}
	}
	f.Department = q.department("department", hospital)
	return f, q.flag("total"), q.faults.Err()
}

// see leaves of a list what an actor may see.
func see(f *store.ActionFilter, s sla.Sight, dir *sla.Directory) {
	f.IncludeRestricted = s.Restricted
	v := &store.Visibility{Hospitals: s.Hospitals, Departments: s.Departments, Owners: s.Owners, InvolvedNot: s.Self}
	if s.Everywhere {
		for id := range dir.Hospitals {
			v.Hospitals = append(v.Hospitals, id)
		}
	}
	f.Visible = v
	if len(s.Within) == 0 {
		if s.Everywhere && s.Self.IsZero() {
			f.Visible = nil
		}
		return
	}
	if len(f.Hospitals) == 0 {
		f.Hospitals = s.Within
		return
	}
	f.Hospitals = slices.DeleteFunc(slices.Clone(f.Hospitals), func(h model.HospitalID) bool { return !slices.Contains(s.Within, h) })
	if len(f.Hospitals) == 0 {
		f.Visible = &store.Visibility{} // nothing of what is asked for
	}
}
