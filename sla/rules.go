package sla

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/pxactions/px/model"
)

// Rules is a policy compiled for a directory: names resolved to ids, everything
// sorted for the search. Compile it once per (revision, directory version); it
// never changes and is safe for concurrent use.
type Rules struct {
	Revision int64         // of the policy; 0: built-in
	MaxAge   time.Duration // how far back a source's received_at may lie

	loadCap   int // live actions; 0: none
	merging   merging
	retention RetentionSpec
	readers   []model.Role // who may have to do with restricted actions
	dir       *Directory
	calendars map[string]namedCalendar
	triggers  triggers
	routing   routing
	configs   matcher
	rules     []model.RoutingRule
	rows      []model.SLAConfig
}

// Directory is the snapshot of people and places the rules were compiled for.
func (r *Rules) Directory() *Directory { return r.dir }

// Readers are the roles that may have to do with restricted actions.
func (r *Rules) Readers() []model.Role { return r.readers }

// Rows returns the SLA configs and routing rules of this revision as table
// rows, in the order of the document, without their creation times. Their ids
// follow from the revision and their names, so that every process that compiles
// the revision has the same.
func (r *Rules) Rows() ([]model.SLAConfig, []model.RoutingRule) {
	return slices.Clone(r.rows), slices.Clone(r.rules)
}

// BuiltIn returns the built-in rules, revision 0: no routing rules, the
// built-in SLA config. A nil directory is an empty one.
func BuiltIn(dir *Directory) *Rules {
	c := newCompiler(0, dir)
	c.policy(&Policy{})
	return c.rules
}

// Compile resolves a policy's codes in a directory and returns the rules, or
// every fault at once as model.FieldErrors (see Locate for their lines). Codes
// of rows no longer active are fine: people leave, the policy stays.
func Compile(p *Policy, revision int64, dir *Directory) (*Rules, error) {
	c := newCompiler(revision, dir)
	c.policy(p)
	if faults := append(p.check(), c.faults...); len(faults) > 0 {
		return nil, faults
	}
	return c.rules, nil
}

// Prepare is Compile for a policy that is to be applied: it must also have every
// calendar that the directory names.
func Prepare(p *Policy, revision int64, dir *Directory) (*Rules, error) {
	rules, err := Compile(p, revision, dir)
	if err != nil {
		return nil, err
	}
	return rules, rules.lacking().Err()
}

// lacking is a fault where the directory names calendars that are not there.
func (r *Rules) lacking() model.FieldErrors {
	var faults model.FieldErrors
	if missing := r.MissingCalendars(); len(missing) > 0 {
		faults.Add("calendars", "required", "must have the calendars that the directory names: "+strings.Join(missing, ", "))
	}
	return faults
}

// Restore is Compile for a policy that was compiled once and applied: a check
// that came later must not take the rules from the actions made under it.
func Restore(p *Policy, revision int64, dir *Directory) (*Rules, error) {
	c := newCompiler(revision, dir)
	c.policy(p)
	return c.rules, c.faults.Err()
}

// compiler turns a document into rules. It goes through with a faulty one too,
// to find all faults; the rules are then not to be used.
type compiler struct {
	checker
	rules  *Rules
	named  map[string]int // how often a kind and name stood before
	causes []string       // the codes of root causes
}

func newCompiler(revision int64, dir *Directory) *compiler {
	if dir == nil {
		dir = &Directory{}
	}
	return &compiler{rules: &Rules{Revision: revision, dir: dir}, named: map[string]int{}}
}

func (c *compiler) policy(p *Policy) {
	c.rules.MaxAge = time.Duration(cmp.Or(p.MaxAge, Age(DefaultMaxAge)))
	c.rules.loadCap = p.LoadCap
	c.rules.merging = p.Merge.rule()
	if p.Retention != nil {
		c.rules.retention = *p.Retention
	}
	c.rules.readers = p.readers()
	c.causes = p.Causes
	c.calendars(p.Calendars)
	c.triggers(p.Triggers)
	for i := range p.Routing {
		c.rules.rules = append(c.rules.rules, c.rule(fmt.Sprintf("routing[%d]", i), &p.Routing[i]))
	}
	c.rules.routing = newRouting(c.rules.rules)
	c.configs(p.SLA)
}

// namedCalendar is a compiled calendar with the words that it was made of.
type namedCalendar struct {
	Calendar
	spec *CalendarSpec
}

func (c *compiler) calendars(specs []CalendarSpec) {
	c.rules.calendars = make(map[string]namedCalendar, len(specs))
	for i := range specs {
		s := &specs[i]
		cal, _ := s.Compile() // its faults are found by check
		c.rules.calendars[s.Name] = namedCalendar{cal, s}
	}
}

func (c *compiler) triggers(specs []TriggerSpec) {
	t := &c.rules.triggers
	for i := range specs {
		s := &specs[i]
		at := c.scope(fmt.Sprintf("triggers[%d]", i), s)
		at.name = cmp.Or(s.Name, fmt.Sprintf("trigger %d", i+1))
		if s.Complaints != "" {
			t.complaints = append(t.complaints, scoped[Complaints]{at, s.Complaints})
		}
		if s.Score != nil {
			t.score = append(t.score, scoped[scoreRule]{at, s.Score.rule()})
		}
		if s.NPS != nil {
			t.nps = append(t.nps, scoped[[]UpTo]{at, ascending(s.NPS)})
		}
		if s.Sentiment != nil {
			t.sentiment = append(t.sentiment, scoped[[]UpTo]{at, ascending(s.Sentiment)})
		}
		if s.KPI != nil {
			t.kpi = append(t.kpi, scoped[[]FromSpec]{at, descending(s.KPI)})
		}
		if s.Raise != nil {
			t.raise = append(t.raise, scoped[raiseRule]{at, newRaiseRule(s.Raise)})
		}
	}
	bySpecificity(t.complaints)
	bySpecificity(t.score)
	bySpecificity(t.nps)
	bySpecificity(t.sentiment)
	bySpecificity(t.kpi)
	bySpecificity(t.raise)
	t.complaints = append(t.complaints, scoped[Complaints]{rule: ComplaintsAlways})
	t.score = append(t.score, scoped[scoreRule]{rule: (&ScoreSpec{}).rule()})
	t.nps = append(t.nps, scoped[[]UpTo]{rule: []UpTo{{2, model.SeverityHigh}, {4, model.SeverityMedium}, {6, model.SeverityLow}}})
	t.sentiment = append(t.sentiment, scoped[[]UpTo]{rule: []UpTo{{-0.6, model.SeverityMedium}}})
	t.kpi = append(t.kpi, scoped[[]FromSpec]{rule: []FromSpec{{20, model.SeverityHigh}, {10, model.SeverityMedium}, {5, model.SeverityLow}}})
	t.raise = append(t.raise, scoped[raiseRule]{})
}

func (s *ScoreSpec) rule() scoreRule {
	r := scoreRule{below: defaultBelow, bands: []UpTo{{10, model.SeverityHigh}, {25, model.SeverityMedium}}}
	if s.Below != nil {
		r.below = *s.Below
	}
	if s.Bands != nil {
		r.bands = ascending(s.Bands)
	}
	return r
}

func ascending(bands []UpTo) []UpTo {
	return slices.SortedFunc(slices.Values(bands), func(a, b UpTo) int { return cmp.Compare(a.AtMost, b.AtMost) })
}

func descending(bands []FromSpec) []FromSpec {
	return slices.SortedFunc(slices.Values(bands), func(a, b FromSpec) int { return cmp.Compare(b.AtLeast, a.AtLeast) })
}

func (c *compiler) scope(at string, s *TriggerSpec) scope {
	sc := scope{sourceSystem: s.SourceSystem, sourceType: s.SourceType}
	h, d := c.places(at, s.Hospital, s.Department)
	sc.hospital, sc.department = model.Deref(h), model.Deref(d)
	if s.Survey != "" {
		row, ok := c.rules.dir.index.surveys[nameKey{name: s.Survey}]
		if !ok {
			c.add(at+".survey", "unknown", "no survey has the code %q", s.Survey)
			return sc
		}
		sc.survey = row.ID
	}
	return sc
}

func (c *compiler) rule(at string, s *RuleSpec) model.RoutingRule {
	row := model.RoutingRule{
		ID: policyID[model.RoutingRule](c, "routing", s.Name), Revision: c.rules.Revision,
		Name: s.Name, Description: s.Description,
		SourceType: s.SourceType, Category: s.Category, Severity: s.Severity,
		AssignToRole: s.AssignToRole, Priority: s.Priority, IsActive: orTrue(s.IsActive),
	}
	row.HospitalID, row.DepartmentID = c.places(at, s.Hospital, s.Department)
	if row.HospitalID != nil && s.AssignToDepartment != "" {
		row.AssignToDepartment = c.department(at+".assign_to_department", s.Hospital, *row.HospitalID, s.AssignToDepartment)
	}
	if s.AssignToUser != "" {
		u, ok := c.rules.dir.index.users[nameKey{name: s.AssignToUser}]
		if !ok {
			c.add(at+".assign_to_user", "unknown", "nobody has the code %q", s.AssignToUser)
			return row
		}
		row.AssignToUser = &u.ID
	}
	return row
}

func (c *compiler) configs(specs []ConfigSpec) {
	m := &c.rules.configs
	*m = matcher{
		departments: map[model.DepartmentID]*Config{},
		hospitals:   map[model.HospitalID]*Config{},
		builtIn:     (&ConfigSpec{Name: builtInName}).config(nil, 0, c.rules.readers, nil),
		byID:        map[model.SLAConfigID]*Config{},
	}
	m.builtIn.RootCauses = c.causes
	for i := range specs {
		s := &specs[i]
		at := fmt.Sprintf("sla[%d]", i)
		row := c.configRow(at, s)
		cfg := s.config(&row.ID, c.rules.Revision, c.rules.readers, c.namedUsers(at, s))
		cfg.RootCauses = c.causes
		c.rules.rows = append(c.rules.rows, row)
		m.byID[row.ID] = cfg
		switch {
		case !row.IsActive:
		case row.DepartmentID != nil:
			m.departments[*row.DepartmentID] = cfg
		case row.HospitalID != nil:
			m.hospitals[*row.HospitalID] = cfg
		default:
			m.global = cfg
		}
	}
}

// namedUsers finds the people whom stages and approvals name.
func (c *compiler) namedUsers(at string, s *ConfigSpec) map[string]model.UserID {
	users := map[string]model.UserID{}
	find := func(at string, targets []StageTargetSpec) {
		for j, target := range targets {
			if target.User == "" {
				continue
			}
			u, ok := c.rules.dir.index.users[nameKey{name: target.User}]
			if !ok {
				c.add(fmt.Sprintf("%s[%d]", at, j), "unknown", "nobody has the code %q", target.User)
				continue
			}
			users[target.User] = u.ID
		}
	}
	for _, sev := range sortedKeys(s.Stages) {
		for i, st := range s.Stages[sev] {
			find(fmt.Sprintf("%s.stages.%s[%d].tell", at, sev, i), st.Tell)
		}
	}
	find(at+".approval_stand_ins", s.ApprovalStandIns)
	return users
}

// configRow fills the domain's own fields. Where they can't hold what the
// document says they hold the nearest: of several reminders the last before due.
func (c *compiler) configRow(at string, s *ConfigSpec) model.SLAConfig {
	row := model.SLAConfig{
		ID: policyID[model.SLAConfig](c, "sla", s.Name), Revision: c.rules.Revision, Name: s.Name,
		CriticalHours: s.wholeHours(model.SeverityCritical, s.CriticalHours, builtInCritical),
		HighHours:     s.wholeHours(model.SeverityHigh, s.HighHours, builtInHigh),
		MediumHours:   s.wholeHours(model.SeverityMedium, s.MediumHours, builtInMedium),
		LowHours:      s.wholeHours(model.SeverityLow, s.LowHours, builtInLow),
		AutoEscalate:  orTrue(s.AutoEscalate), IsActive: orTrue(s.IsActive),
		EscalationDelayHours: orInt(s.EscalationDelayHours, builtInEscalation),
	}
	if rs := s.remindersBefore(hours(row.MediumHours)); len(rs) > 0 {
		row.ReminderHoursBefore = int(math.Ceil(rs[len(rs)-1].Before.Hours()))
	}
	row.HospitalID, row.DepartmentID = c.places(at, s.Hospital, s.Department)
	spec, err := json.Marshal(s)
	if err != nil {
		c.add(at, "format", "must be a config that JSON can hold")
	}
	row.Spec = model.Of(json.RawMessage(spec))
	if _, ok := c.rules.calendars[s.Calendar]; !ok && s.Calendar != "" {
		c.add(at+".calendar", "unknown", "no calendar of this policy has the name %q", s.Calendar)
	}
	return row
}

// places resolves a scope's hospital and department, nil where not named.
func (c *compiler) places(at, hospital, department string) (*model.HospitalID, *model.DepartmentID) {
	if hospital == "" {
		return nil, nil
	}
	row, ok := c.rules.dir.index.hospitals[nameKey{name: hospital}]
	if !ok {
		c.add(at+".hospital", "unknown", "no hospital has the code %q", hospital)
		return nil, nil
	}
	if department == "" {
		return &row.ID, nil
	}
	return &row.ID, c.department(at+".department", hospital, row.ID, department)
}

func (c *compiler) department(at, code string, h model.HospitalID, department string) *model.DepartmentID {
	row, ok := c.rules.dir.index.departments[nameKey{hospital: h, name: department}]
	if !ok {
		c.add(at, "unknown", "no department of %s has the code %q", code, department)
		return nil
	}
	return &row.ID
}

// policyID makes the id of a named part of a revision; the second of one name
// gets another.
func policyID[T any](c *compiler, kind, name string) model.ID[T] {
	part := fmt.Sprintf("%s/%q", kind, name)
	c.named[part]++
	space := uuid.NewSHA1(uuid.NameSpaceURL, []byte("https://github.com/pxactions/px/policy"))
	return model.ID[T]{UUID: uuid.NewSHA1(space, fmt.Appendf(nil, "%d/%s/%d", c.rules.Revision, part, c.named[part]))}
}

func compareRules(a, b *model.RoutingRule) int {
	return cmp.Or(cmp.Compare(b.Priority, a.Priority), strings.Compare(a.Name, b.Name), slices.Compare(a.ID.UUID[:], b.ID.UUID[:]))
}
