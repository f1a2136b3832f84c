package web

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

// The values of the filter that stand for no single row or code.
const (
	statusLive = "live"
	statusAll  = "all"
	nobody     = "nobody"
)

// listPage is what the list template shows.
type listPage struct {
	frame
	Filter  []choice // the selects of the filter form
	Overdue bool
	Ref     string
	Any     bool // a filter is set
	Rows    []row
	Next    string // address of the next page; empty: this is the last
	First   string // address of the first page; empty: this is it
}

// choice is one select of the filter form.
type choice struct {
	Name, Label string
	Groups      []group
}

type group struct {
	Label   string // empty: options without a group
	Options []option
}

type option struct {
	Value, Label string
	Selected     bool
}

// row is one action in the list.
type row struct {
	Ref, Title, Hospital, Department, Owner string
	Category                                model.Category
	Source                                  model.SourceType
	Status                                  model.Status
	Severity, Priority                      model.Severity
	Due                                     moment
	Next                                    string
	NextAt                                  moment
	Level                                   int
	Overdue, WasOverdue, Held, Live         bool
}

func (s *server) list(w http.ResponseWriter, r *http.Request) {
	dir, err := s.o.Store.Directory(r.Context())
	if err != nil {
		s.failWith(w, r, err)
		return
	}
	q := r.URL.Query()
	filter, err := readFilter(q, dir)
	if err != nil {
		s.failWith(w, r, err)
		return
	}
	if v := visitor(r); v != nil {
		see(&filter, v.Access.Sight(), dir)
	}
	page, err := s.o.Store.Actions(r.Context(), filter)
	if err != nil {
		s.failWith(w, r, err)
		return
	}
	view := listPage{
		frame: s.newFrame(r, "Actions", page.Now), Filter: choices(q, page.Dir), Overdue: filter.Overdue, Ref: q.Get("ref"),
		Any: len(trimmed(q, "after", "refresh")) > 0,
	}
	view.refreshing(w, r)
	rd := newReader(page.Now, page.Dir)
	for i := range page.Actions {
		if s.sees(r, &page.Actions[i]) {
			view.Rows = append(view.Rows, rd.row(&page.Actions[i]))
		}
	}
	if page.Next != "" {
		view.Next = address(r, "after", page.Next)
	}
	if q.Get("after") != "" {
		view.First = address(r, "after", "")
	}
	s.render(w, r, http.StatusOK, "list.html", view)
}

// refreshing makes a page load itself again where its address says so, and
// offers to turn that on or off.
func (f *frame) refreshing(w http.ResponseWriter, r *http.Request) {
	const every, least, most = 5, 2, 300
	n, err := strconv.Atoi(r.URL.Query().Get("refresh"))
	if err != nil || n < least || n > most {
		f.Again = address(r, "refresh", strconv.Itoa(every))
		return
	}
	f.Refresh, f.Again = n, address(r, "refresh", "")
	w.Header().Set("Refresh", strconv.Itoa(n))
}

// address is the request's own with one part of its query changed; an empty
// value takes it out.
func address(r *http.Request, name, value string) string {
	q := trimmed(r.URL.Query(), name)
	if value != "" {
		q.Set(name, value)
	}
	return (&url.URL{Path: r.URL.Path, RawQuery: q.Encode()}).String()
}

// trimmed is a query without what is empty and without some names.
func trimmed(q url.Values, without ...string) url.Values {
	out := url.Values{}
	for name, vs := range q {
		if slices.Contains(without, name) {
			continue
		}
		for _, v := range vs {
			if v != "" {
				out.Add(name, v)
			}
		}
	}
	return out
}

// readFilter reads the address. What names nothing is a fault, so that nobody
// takes the wrong list for an empty one.
func readFilter(q url.Values, dir *sla.Directory) (store.ActionFilter, error) {
	f := store.ActionFilter{
		Overdue: q.Get("overdue") != "", RefPrefix: strings.TrimSpace(q.Get("ref")), After: q.Get("after"),
	}
	var faults model.FieldErrors
	switch status := cmp.Or(q.Get("status"), statusLive); {
	case status == statusLive:
		f.Statuses = slices.DeleteFunc(model.Statuses(), func(s model.Status) bool { return !s.Live() })
		if f.RefPrefix != "" && q.Get("status") == "" {
			f.Statuses = nil // whoever knows a ref wants it in any status
		}
	case status == statusAll:
	case model.Valid(model.Status(status), model.Statuses()):
		f.Statuses = []model.Status{model.Status(status)}
	default:
		faults.Add("status", "unknown", "live, all or a status of an action")
	}
	if v := model.Severity(q.Get("severity")); v != "" {
		f.Severities = []model.Severity{v}
		if v.Rank() == 0 {
			faults.Add("severity", "unknown", "low, medium, high or critical")
		}
	}
	if t := model.SourceType(q.Get("source")); t != "" {
		f.Sources = []model.SourceType{t}
		if !model.Valid(t, model.SourceTypes()) {
			faults.Add("source", "unknown", "a source type")
		}
	}
	readPlaces(q, dir, &f, &faults)
	return f, faults.Err()
}

func readPlaces(q url.Values, dir *sla.Directory, f *store.ActionFilter, faults *model.FieldErrors) {
	if code := q.Get("hospital"); code != "" {
		h := findHospital(dir, code)
		if h == nil {
			faults.Add("hospital", "unknown", "the code of a hospital")
		} else {
			f.Hospitals = []model.HospitalID{h.ID}
		}
	}
	if code := q.Get("department"); code != "" {
		place, dep, _ := strings.Cut(code, "/")
		h := findHospital(dir, place)
		for _, d := range dir.Departments {
			if h != nil && d.HospitalID == h.ID && strings.EqualFold(d.Code, dep) {
				f.Department = d.ID
			}
		}
		if f.Department.IsZero() {
			faults.Add("department", "unknown", "hospital code / department code, such as RUH/ED")
		}
	}
	switch code := q.Get("assignee"); code {
	case "":
	case nobody:
		f.Unassigned = true
	default:
		for _, u := range dir.Users {
			if u.Code == code {
				f.Assignee = u.ID
			}
		}
		if f.Assignee.IsZero() {
			faults.Add("assignee", "unknown", "nobody or the code of a user")
		}
	}
}

func findHospital(dir *sla.Directory, code string) *model.Hospital {
	for _, h := range dir.Hospitals {
		if strings.EqualFold(h.Code, code) {
			return h
		}
	}
	return nil
}

// choices are the selects of the filter form, as the address has set them.
func choices(q url.Values, dir *sla.Directory) []choice {
	cs := []choice{
		{Name: "hospital", Label: "Hospital", Groups: []group{{Options: []option{{Label: "All"}}}}},
		{Name: "department", Label: "Department", Groups: []group{{Options: []option{{Label: "All"}}}}},
		{Name: "status", Label: "Status", Groups: []group{{Options: append([]option{{Label: "Live"}, {Value: statusAll, Label: "All"}}, codes(model.Statuses())...)}}},
		{Name: "severity", Label: "Severity", Groups: []group{{Options: append([]option{{Label: "All"}}, codes(model.Severities())...)}}},
		{Name: "source", Label: "Source", Groups: []group{{Options: append([]option{{Label: "All"}}, codes(model.SourceTypes())...)}}},
		{Name: "assignee", Label: "Owner", Groups: []group{{Options: []option{{Label: "Everybody"}, {Value: nobody, Label: "Nobody"}}}}},
	}
	for _, h := range sorted(dir.Hospitals, func(h *model.Hospital) string { return h.Name }) {
		cs[0].Groups[0].Options = append(cs[0].Groups[0].Options, option{Value: h.Code, Label: h.Name})
		var deps, users []option
		for _, d := range sorted(dir.Departments, func(d *model.Department) string { return d.Name }) {
			if d.HospitalID == h.ID {
				deps = append(deps, option{Value: h.Code + "/" + d.Code, Label: d.Name})
			}
		}
		cs[1].Groups = append(cs[1].Groups, group{Label: h.Name, Options: deps})
		for _, u := range sorted(dir.Users, func(u *model.User) string { return u.Name }) {
			if u.HospitalID != nil && *u.HospitalID == h.ID {
				users = append(users, option{Value: u.Code, Label: u.Name})
			}
		}
		cs[5].Groups = append(cs[5].Groups, group{Label: h.Name, Options: users})
	}
	var others []option
	for _, u := range sorted(dir.Users, func(u *model.User) string { return u.Name }) {
		if u.HospitalID == nil {
			others = append(others, option{Value: u.Code, Label: u.Name})
		}
	}
	cs[5].Groups = append(cs[5].Groups, group{Label: "All hospitals", Options: others})
	for _, c := range cs {
		for _, g := range c.Groups {
			for i := range g.Options {
				g.Options[i].Selected = g.Options[i].Value == q.Get(c.Name)
			}
		}
	}
	return cs
}

func codes[T ~string](vs []T) []option {
	out := make([]option, len(vs))
	for i, v := range vs {
		out[i] = option{Value: string(v), Label: label(v)}
	}
	return out
}

// sorted lists the values of a map by name.
func sorted[K comparable, T any](m map[K]*T, name func(*T) string) []*T {
	out := make([]*T, 0, len(m))
	for _, v := range m {
		out = append(out, v)
	}
	slices.SortFunc(out, func(a, b *T) int { return strings.Compare(name(a), name(b)) })
	return out
}

// row shows an action.
func (r *reader) row(a *model.Action) row {
	out := row{
		Ref: a.Ref, Title: titleOf(a), Hospital: r.hospital(a.HospitalID), Department: r.department(a.DepartmentID), Owner: r.user(a.AssignedTo),
		Category: a.Category, Source: a.SourceType, Status: a.Status, Severity: a.Severity, Priority: a.Priority,
		Due: r.moment(a.DueAt, a.HospitalID), NextAt: r.optional(a.NextAt, a.HospitalID), Level: a.EscalationLevel,
		Overdue: a.IsOverdue && a.Live(), WasOverdue: wasOverdue(a), Held: a.Held(), Live: a.Live(),
	}
	if a.NextAt != nil && a.NextStage != nil {
		out.Next = eventName(a.NextKind, *a.NextStage)
	}
	return out
}

// titleOf is an action's title, or that there was one.
func titleOf(a *model.Action) string {
	if a.Title == "" && a.ErasedAt != nil {
		return "[erased]"
	}
	return a.Title
}

// wasOverdue reports whether an action missed a deadline that it no longer has,
// or missed its last one and has ended since.
func wasOverdue(a *model.Action) bool {
	return a.Period > 1 && !a.IsOverdue || a.IsOverdue && !a.Live()
}

// query makes the address of the list of one person's or place's actions.
func query(name, format string, args ...any) string {
	return "/actions?" + url.Values{name: {fmt.Sprintf(format, args...)}}.Encode()
}
