package crowd

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/store"
)

// List is one filter by name, and what kind of filter it is.
type List struct {
	Kind, Name string
	Filter     store.ActionFilter
}

// Lists are the filters and the readers that a list is made for.
type Lists struct {
	Filters []List // for a reader of everything, the empty one first
	Readers []List // with Visible and nothing else, the reader of everything first
}

// places are rows of the crowd of a known size.
type places struct {
	Hospital   model.HospitalID
	Department model.DepartmentID // about a two-hundredth of all
	Busy       model.DepartmentID // the biggest one
	Person     model.UserID       // about a ten-thousandth of all
	Owner      model.UserID       // who owns most
}

// Find looks for what the filters name in a filled database.
func Find(ctx context.Context, db *bun.DB, n int) (Lists, error) {
	var p places
	err := db.NewRaw(`WITH d AS (SELECT department_id, count(*) FROM actions GROUP BY 1), u AS (SELECT assigned_to, count(*) FROM actions WHERE assigned_to IS NOT NULL GROUP BY 1)
		SELECT md5('hospital3')::uuid AS hospital, (SELECT department_id FROM d ORDER BY abs(count - ?0 / 200) LIMIT 1) AS department,
			(SELECT department_id FROM d ORDER BY count DESC LIMIT 1) AS busy, (SELECT assigned_to FROM u ORDER BY abs(count - ?0 / 10000) LIMIT 1) AS person,
			(SELECT assigned_to FROM u ORDER BY count DESC LIMIT 1) AS owner`, n).Scan(ctx, &p)
	if err != nil {
		return Lists{}, fmt.Errorf("look for a hospital, departments and people: %w", err)
	}
	var now time.Time
	if err := db.NewRaw("SELECT max(created_at) FROM actions").Scan(ctx, &now); err != nil {
		return Lists{}, fmt.Errorf("look for the newest action: %w", err)
	}
	return Lists{Filters: filters(p, now), Readers: readers(p)}, nil
}

func readers(p places) []List {
	visible := func(name string, v store.Visibility) List {
		return List{Name: name, Filter: store.ActionFilter{Visible: &v}}
	}
	return []List{
		{Name: "everything"},
		visible("a hospital", store.Visibility{Hospitals: []model.HospitalID{p.Hospital}, InvolvedNot: p.Owner}),
		visible("a department", store.Visibility{Departments: []model.DepartmentID{p.Department}, InvolvedNot: p.Owner}),
		visible("own", store.Visibility{Owners: []model.UserID{p.Person}, InvolvedNot: p.Person}),
		visible("all three", store.Visibility{
			Hospitals: []model.HospitalID{p.Hospital}, Departments: []model.DepartmentID{p.Busy}, Owners: []model.UserID{p.Person}, InvolvedNot: p.Person,
		}),
	}
}

func filters(p places, now time.Time) []List {
	const day = 24 * time.Hour
	live := []model.Status{model.StatusOpen, model.StatusInProgress, model.StatusPendingApproval, model.StatusApproved}
	all := []List{
		{"nothing", "nothing", store.ActionFilter{}},
		{"restricted", "restricted ones too", store.ActionFilter{IncludeRestricted: true}},
		{"hospital", "hospital", store.ActionFilter{Hospitals: []model.HospitalID{p.Hospital}}},
		{"department", "department, of 200", store.ActionFilter{Department: p.Department}},
		{"department", "department, the biggest", store.ActionFilter{Department: p.Busy}},
		{"status", "status live", store.ActionFilter{Statuses: live}},
		{"overdue", "status live, overdue", store.ActionFilter{Statuses: live, Overdue: true}},
		{"assignee", "assignee, of 100", store.ActionFilter{Assignee: p.Person}},
		{"assignee", "assignee, who has most", store.ActionFilter{Assignee: p.Owner}},
		{"assignee", "unassigned", store.ActionFilter{Unassigned: true}},
		{"overdue", "overdue", store.ActionFilter{Overdue: true}},
		{"category", "category patient safety", store.ActionFilter{Category: model.CategoryPatientSafety}},
		{"category", "category other", store.ActionFilter{Category: model.CategoryOther}},
		{"due range", "due in a day", store.ActionFilter{DueFrom: now.Add(-300 * day), DueTo: now.Add(-299 * day)}},
		{"due range", "due in a month", store.ActionFilter{DueFrom: now.Add(-430 * day), DueTo: now.Add(-400 * day)}},
		{"due range", "due in a year", store.ActionFilter{DueFrom: now.Add(-1000 * day), DueTo: now.Add(-635 * day)}},
		{"due range", "due from now on", store.ActionFilter{DueFrom: now}},
		{"due range", "due until long ago", store.ActionFilter{DueTo: now.Add(-1080 * day)}},
		{"ref", "ref", store.ActionFilter{RefPrefix: "crowd3-26-00041"}},
		{"ref", "ref of a hospital", store.ActionFilter{RefPrefix: "crowd3"}},
		{"text", "text, in every third", store.ActionFilter{Text: "waiting"}},
		{"text", "text, beginning", store.ActionFilter{Text: "topic4"}},
		{"text", "text, 5 %", store.ActionFilter{Text: "topic0 " + "-nobody"}},
		{"text", "text, 1 %", store.ActionFilter{Text: "topic9."}},
		{"text", "text, 0.5 %", store.ActionFilter{Text: "topic30."}},
		{"text", "text, rare", store.ActionFilter{Text: "topic4321"}},
		{"text", "text, Arabic", store.ActionFilter{Text: "مريض غرفة"}},
		{"text", "text, nowhere", store.ActionFilter{Text: "xylophone"}},
	}
	for _, s := range model.Statuses() {
		all = append(all, List{"status", "status " + string(s), store.ActionFilter{Statuses: []model.Status{s}}})
	}
	for _, s := range model.Severities() {
		all = append(all, List{"severity", "severity " + string(s), store.ActionFilter{Severities: []model.Severity{s}}})
	}
	for _, s := range []model.SourceType{model.SourceComplaint, model.SourceQualityAudit, model.SourceManagementReview, model.SourceStaffFeedback} {
		all = append(all, List{"source", "source " + string(s), store.ActionFilter{Sources: []model.SourceType{s}}})
	}
	for n := 1; n <= 4; n++ {
		all = append(all, List{"escalation level", fmt.Sprintf("escalated %d", n), store.ActionFilter{Escalated: n}})
	}
	return all
}
