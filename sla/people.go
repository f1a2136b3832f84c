package sla

import (
	"cmp"
	"fmt"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/uuid"

	"github.com/pxactions/px/model"
)

// DirectoryDoc is people and places as one document, all by code. It may hold a
// part of the directory: what it does not name stays as it is, and what it
// names is set as a whole, an absent key meaning none.
type DirectoryDoc struct {
	Hospitals   []HospitalSpec   `yaml:"hospitals,omitzero" json:"hospitals,omitzero"`
	Departments []DepartmentSpec `yaml:"departments,omitzero" json:"departments,omitzero"`
	Users       []UserSpec       `yaml:"users,omitzero" json:"users,omitzero"`
	Surveys     []SurveySpec     `yaml:"surveys,omitzero" json:"surveys,omitzero"`
}

// HospitalSpec is one hospital.
type HospitalSpec struct {
	Code     string        `yaml:"code" json:"code"` // A-Z and 0-9, 2 to 8: the first part of every reference
	Name     string        `yaml:"name" json:"name"`
	Zone     string        `yaml:"zone,omitzero" json:"zone,omitzero"`         // IANA zone; empty: UTC
	Calendar string        `yaml:"calendar,omitzero" json:"calendar,omitzero"` // of the policy; empty: around the clock
	Shadow   bool          `yaml:"shadow,omitzero" json:"shadow,omitzero"`
	Aliases  model.Aliases `yaml:"aliases,omitzero" json:"aliases,omitzero"` // by source system; "*": all of them
	Active   *bool         `yaml:"active,omitzero" json:"active,omitzero"`   // nil: true
}

// DepartmentSpec is one department; its code counts within its hospital.
type DepartmentSpec struct {
	Hospital string        `yaml:"hospital" json:"hospital"`
	Code     string        `yaml:"code" json:"code"`
	Name     string        `yaml:"name" json:"name"`
	Calendar string        `yaml:"calendar,omitzero" json:"calendar,omitzero"` // empty: the hospital's
	Manager  string        `yaml:"manager,omitzero" json:"manager,omitzero"`   // a user's code
	Aliases  model.Aliases `yaml:"aliases,omitzero" json:"aliases,omitzero"`
	Active   *bool         `yaml:"active,omitzero" json:"active,omitzero"`
}

// UserSpec is one person. Without a hospital they belong to all.
type UserSpec struct {
	Code          string          `yaml:"code" json:"code"`
	Name          string          `yaml:"name" json:"name"`
	Email         string          `yaml:"email,omitzero" json:"email,omitzero"`
	Phone         string          `yaml:"phone,omitzero" json:"phone,omitzero"`
	Locale        string          `yaml:"locale,omitzero" json:"locale,omitzero"` // BCP 47; empty: en
	Zone          string          `yaml:"zone,omitzero" json:"zone,omitzero"`     // empty: the hospital's
	Roles         []model.Role    `yaml:"roles,omitzero" json:"roles,omitzero"`
	Hospital      string          `yaml:"hospital,omitzero" json:"hospital,omitzero"`
	Department    string          `yaml:"department,omitzero" json:"department,omitzero"` // needs Hospital
	Channels      []model.Channel `yaml:"channels,omitzero" json:"channels,omitzero"`
	WebhookURL    string          `yaml:"webhook_url,omitzero" json:"webhook_url,omitzero"`
	WebhookSecret string          `yaml:"webhook_secret,omitzero" json:"webhook_secret,omitzero"` // empty: keep what is set
	Substitute    *Substitute     `yaml:"substitute,omitzero" json:"substitute,omitzero"`
	Aliases       model.Aliases   `yaml:"aliases,omitzero" json:"aliases,omitzero"`
	Active        *bool           `yaml:"active,omitzero" json:"active,omitzero"`
}

// Substitute is who acts for a person, and their absence in [From, To). Both
// are instants (RFC 3339) or dates, which begin at midnight in the person's zone.
type Substitute struct {
	User string `yaml:"user,omitzero" json:"user,omitzero"` // empty: nobody
	From string `yaml:"from,omitzero" json:"from,omitzero"` // empty: not absent; User acts once they are inactive
	To   string `yaml:"to,omitzero" json:"to,omitzero"`     // empty: until told otherwise
}

// SurveySpec is a questionnaire with a known scale.
type SurveySpec struct {
	Code    string        `yaml:"code" json:"code"`
	Name    string        `yaml:"name" json:"name"`
	Metric  model.Metric  `yaml:"metric,omitzero" json:"metric,omitzero"` // empty: score
	Min     *float64      `yaml:"min,omitzero" json:"min,omitzero"`
	Max     *float64      `yaml:"max,omitzero" json:"max,omitzero"`
	Better  model.Better  `yaml:"better,omitzero" json:"better,omitzero"`
	Aliases model.Aliases `yaml:"aliases,omitzero" json:"aliases,omitzero"`
	Active  *bool         `yaml:"active,omitzero" json:"active,omitzero"`
}

// ParseDirectory reads a directory document (YAML or JSON). It returns every
// fault at once as model.FieldErrors, each with its line. Codes that point
// elsewhere are checked by Rows, for they may be in the directory already.
func ParseDirectory(src []byte) (*DirectoryDoc, error) {
	d := &DirectoryDoc{}
	if err := readDocument([]File{{Text: src}}, d, d.check); err != nil {
		return nil, err
	}
	return d, nil
}

// YAML writes the document in a stable form that ParseDirectory reads back.
func (d *DirectoryDoc) YAML() ([]byte, error) {
	return yaml.MarshalWithOptions(d, yaml.IndentSequence(true))
}

// DirectoryRows is the rows that a document sets.
type DirectoryRows struct {
	Hospitals   []model.Hospital
	Departments []model.Department
	Users       []model.User
	Surveys     []model.Survey
}

// Rows resolves the document on top of a directory (nil: an empty one) and
// returns the rows it sets: known codes keep their id and creation time, new ones take an id
// from newID. Unknown codes are faults, all at once as model.FieldErrors.
func (d *DirectoryDoc) Rows(prev *Directory, newID func() uuid.UUID, now time.Time) (*DirectoryRows, error) {
	if prev == nil {
		prev = &Directory{}
	}
	b := &rowBuilder{
		checker: checker{faults: d.check()}, prev: prev, newID: newID, now: whole(now),
		hospitals: map[string]*model.Hospital{}, departments: map[[2]string]model.DepartmentID{}, users: map[string]model.UserID{},
	}
	b.fill(d)
	if len(b.faults) > 0 {
		return nil, b.faults
	}
	return &b.rows, nil
}

// rowBuilder makes rows of a document: first all ids, since people and
// departments point at each other, then the rows.
type rowBuilder struct {
	checker
	prev        *Directory
	newID       func() uuid.UUID
	now         time.Time
	hospitals   map[string]*model.Hospital
	departments map[[2]string]model.DepartmentID
	users       map[string]model.UserID
	rows        DirectoryRows
}

func (b *rowBuilder) fill(d *DirectoryDoc) {
	b.rows.Hospitals = make([]model.Hospital, len(d.Hospitals))
	for i := range d.Hospitals {
		b.rows.Hospitals[i] = b.hospital(&d.Hospitals[i])
		b.hospitals[d.Hospitals[i].Code] = &b.rows.Hospitals[i]
	}
	b.rows.Departments = make([]model.Department, len(d.Departments))
	for i := range d.Departments {
		b.rows.Departments[i] = b.department(fmt.Sprintf("departments[%d]", i), &d.Departments[i])
		b.departments[[2]string{d.Departments[i].Hospital, d.Departments[i].Code}] = b.rows.Departments[i].ID
	}
	b.rows.Users = make([]model.User, len(d.Users))
	for i := range d.Users {
		b.rows.Users[i] = b.user(&d.Users[i])
		b.users[d.Users[i].Code] = b.rows.Users[i].ID
	}
	for i := range d.Departments {
		b.rows.Departments[i].ManagerID = b.userID(fmt.Sprintf("departments[%d].manager", i), d.Departments[i].Manager)
	}
	for i := range d.Users {
		b.place(fmt.Sprintf("users[%d]", i), &d.Users[i], &b.rows.Users[i])
	}
	for i := range d.Surveys {
		b.rows.Surveys = append(b.rows.Surveys, b.survey(&d.Surveys[i]))
	}
}

func (b *rowBuilder) hospital(s *HospitalSpec) model.Hospital {
	row := model.Hospital{ID: model.HospitalID{UUID: b.newID()}, CreatedAt: b.now}
	if old := b.prev.index.hospitals[nameKey{name: s.Code}]; old != nil {
		row.ID, row.CreatedAt = old.ID, old.CreatedAt
	}
	row.Code, row.Name, row.Zone, row.Calendar, row.Shadow = s.Code, s.Name, cmp.Or(s.Zone, "UTC"), s.Calendar, s.Shadow
	row.Aliases, row.Active, row.UpdatedAt = aliasesOf(s.Aliases), orTrue(s.Active), b.now
	return row
}

func (b *rowBuilder) department(at string, s *DepartmentSpec) model.Department {
	row := model.Department{ID: model.DepartmentID{UUID: b.newID()}, CreatedAt: b.now}
	if h := b.hospitalRow(at+".hospital", s.Hospital); h != nil {
		row.HospitalID = h.ID
		if old := b.prev.index.departments[nameKey{hospital: h.ID, name: s.Code}]; old != nil {
			row.ID, row.CreatedAt = old.ID, old.CreatedAt
		}
	}
	row.Code, row.Name, row.Calendar = s.Code, s.Name, s.Calendar
	row.Aliases, row.Active, row.UpdatedAt = aliasesOf(s.Aliases), orTrue(s.Active), b.now
	return row
}

func (b *rowBuilder) user(s *UserSpec) model.User {
	row := model.User{ID: model.UserID{UUID: b.newID()}, CreatedAt: b.now, WebhookSecret: s.WebhookSecret}
	if old := b.prev.index.users[nameKey{name: s.Code}]; old != nil {
		row.ID, row.CreatedAt = old.ID, old.CreatedAt
		row.WebhookSecret = cmp.Or(s.WebhookSecret, old.WebhookSecret)
	}
	row.Code, row.Name, row.Email, row.Phone, row.Locale, row.Zone = s.Code, s.Name, s.Email, s.Phone, cmp.Or(s.Locale, "en"), s.Zone
	row.Roles, row.Channels = model.Of(append([]model.Role{}, s.Roles...)), model.Of(append([]model.Channel{}, s.Channels...))
	row.WebhookURL, row.Aliases, row.Active, row.UpdatedAt = s.WebhookURL, aliasesOf(s.Aliases), orTrue(s.Active), b.now
	return row
}

// place sets what of a user points elsewhere.
func (b *rowBuilder) place(at string, s *UserSpec, row *model.User) {
	zone := s.Zone
	if s.Hospital != "" {
		if h := b.hospitalRow(at+".hospital", s.Hospital); h != nil {
			row.HospitalID = &h.ID
			zone = cmp.Or(zone, h.Zone)
			row.DepartmentID = b.departmentID(at+".department", h, s)
		}
	}
	if s.Substitute == nil {
		return
	}
	row.SubstituteID = b.userID(at+".substitute.user", s.Substitute.User)
	// check has read both once: here they can only be right.
	row.SubstituteFrom, _ = instant(s.Substitute.From, zone)
	row.SubstituteTo, _ = instant(s.Substitute.To, zone)
}

func (b *rowBuilder) survey(s *SurveySpec) model.Survey {
	row := model.Survey{ID: model.SurveyID{UUID: b.newID()}, CreatedAt: b.now}
	if old := b.prev.index.surveys[nameKey{name: s.Code}]; old != nil {
		row.ID, row.CreatedAt = old.ID, old.CreatedAt
	}
	row.Code, row.Name, row.Metric = s.Code, s.Name, cmp.Or(s.Metric, model.MetricScore)
	row.ScoreMin, row.ScoreMax, row.ScoreBetter = s.Min, s.Max, s.Better
	row.Aliases, row.Active, row.UpdatedAt = aliasesOf(s.Aliases), orTrue(s.Active), b.now
	return row
}

func (b *rowBuilder) hospitalRow(at, code string) *model.Hospital {
	if h := b.hospitals[code]; h != nil {
		return h
	}
	if h := b.prev.index.hospitals[nameKey{name: code}]; h != nil {
		return h
	}
	if code != "" {
		b.add(at, "unknown", "no hospital has the code %q", code)
	}
	return nil
}

func (b *rowBuilder) departmentID(at string, h *model.Hospital, s *UserSpec) *model.DepartmentID {
	if s.Department == "" {
		return nil
	}
	if id, ok := b.departments[[2]string{s.Hospital, s.Department}]; ok {
		return &id
	}
	if d := b.prev.index.departments[nameKey{hospital: h.ID, name: s.Department}]; d != nil {
		return &d.ID
	}
	b.add(at, "unknown", "no department of %s has the code %q", s.Hospital, s.Department)
	return nil
}

func (b *rowBuilder) userID(at, code string) *model.UserID {
	if code == "" {
		return nil
	}
	if id, ok := b.users[code]; ok {
		return &id
	}
	if u := b.prev.index.users[nameKey{name: code}]; u != nil {
		return &u.ID
	}
	b.add(at, "unknown", "nobody has the code %q", code)
	return nil
}

// aliasesOf makes the column's value: {} rather than null.
func aliasesOf(a model.Aliases) model.JSON[model.Aliases] {
	if a == nil {
		a = model.Aliases{}
	}
	return model.Of(a)
}
