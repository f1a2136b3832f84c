package sla

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pxactions/px/model"
)

// house is a small directory for the tests of trigger, routing and match: two
// hospitals, their people named by code.
type house struct {
	dir *Directory
	doc *DirectoryDoc
}

// noon is the instant at which the tests of this house decide.
func noon() time.Time { return time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC) }

// houseDoc is who there is, in few words.
const houseDoc = `
hospitals:
  - {code: RUH, name: Riyadh, zone: Asia/Riyadh, aliases: {"*": [Riyadh], desk: [R-1]}}
  - {code: BER, name: Berlin, zone: Europe/Berlin, aliases: {desk: [RUH]}}
  - {code: NIX, name: Empty}
departments:
  - {hospital: RUH, code: ED, name: Emergency, manager: mgr}
  - {hospital: RUH, code: LAB, name: Laboratory}
  - {hospital: BER, code: ED, name: Notaufnahme, manager: bmgr, aliases: {desk: [Rettung]}}
  - {hospital: NIX, code: ED, name: Nobody there}
users:
  - {code: mgr, name: Mona, hospital: RUH, department: ED, roles: [Department Manager]}
  - {code: dep, name: Deputy, hospital: RUH, department: ED}
  - {code: ann, name: Ann, hospital: RUH, department: ED, roles: [Staff, Staff]}
  - {code: bob, name: Bob, hospital: RUH, department: ED, roles: [Staff]}
  - {code: cas, name: Cas, hospital: RUH, roles: [Staff]}
  - {code: out, name: Gone, hospital: RUH, department: ED, roles: [Staff], active: false, substitute: {user: bob}}
  - {code: pxa, name: Pxa, hospital: RUH, roles: [PX Admin]}
  - {code: pxb, name: Pxb, hospital: RUH, roles: [PX Admin]}
  - {code: exe, name: Exe, hospital: RUH, roles: [Executive]}
  - {code: bmgr, name: Bert, hospital: BER, department: ED, roles: [Department Manager]}
  - {code: bexe, name: Bexe, hospital: BER, roles: [Executive]}
  - {code: grp, name: Group, roles: [PX Admin]}
surveys:
  - {code: ONE-FIVE, name: One to five, min: 1, max: 5, better: high}
  - {code: PAIN, name: Pain, min: 0, max: 10, better: low}
  - {code: NPS, name: Recommend, metric: nps}
`

// newHouse builds the house; edit may change the document first.
func newHouse(t testing.TB, edit func(*DirectoryDoc)) house {
	t.Helper()
	doc, err := ParseDirectory([]byte(houseDoc))
	if err != nil {
		t.Fatal(err)
	}
	if edit != nil {
		edit(doc)
	}
	return house{dir: directoryOf(t, doc), doc: doc}
}

func directoryOf(t testing.TB, doc *DirectoryDoc) *Directory {
	t.Helper()
	rows, err := doc.Rows(nil, uuid.New, noon())
	if err != nil {
		t.Fatal(err)
	}
	return NewDirectory(1, rows.Hospitals, rows.Departments, rows.Users, rows.Surveys)
}

// change edits one user of a document.
func change(code string, edit func(*UserSpec)) func(*DirectoryDoc) {
	return func(d *DirectoryDoc) {
		for i := range d.Users {
			if d.Users[i].Code == code {
				edit(&d.Users[i])
			}
		}
	}
}

// absent makes users absent on the day of noon, each with a substitute.
func absent(pairs map[string]string) func(*DirectoryDoc) {
	return func(d *DirectoryDoc) {
		for code, sub := range pairs {
			change(code, func(u *UserSpec) { u.Substitute = &Substitute{User: sub, From: "2026-03-02", To: "2026-03-03"} })(d)
		}
	}
}

func (h house) hospital(t testing.TB, code string) *model.HospitalID {
	t.Helper()
	row, ok := h.dir.ResolveHospital("", code)
	if !ok {
		t.Fatalf("no hospital %s", code)
	}
	return &row.ID
}

func (h house) department(t testing.TB, hospital, code string) *model.DepartmentID {
	t.Helper()
	row, ok := h.dir.ResolveDepartment("", *h.hospital(t, hospital), code)
	if !ok {
		t.Fatalf("no department %s/%s", hospital, code)
	}
	return &row.ID
}

func (h house) user(t testing.TB, code string) model.UserID {
	t.Helper()
	row, ok := h.dir.ResolveUser("", code)
	if !ok {
		t.Fatalf("no user %s", code)
	}
	return row.ID
}

func (h house) users(t testing.TB, codes ...string) []model.UserID {
	t.Helper()
	var ids []model.UserID
	for _, c := range codes {
		ids = append(ids, h.user(t, c))
	}
	return ids
}

func (h house) survey(t testing.TB, code string) *model.SurveyID {
	t.Helper()
	row, ok := h.dir.ResolveSurvey("", code)
	if !ok {
		t.Fatalf("no survey %s", code)
	}
	return &row.ID
}

// code names a user for comparison; "" for nobody.
func (h house) code(id *model.UserID) string {
	if id == nil {
		return ""
	}
	return h.dir.Users[*id].Code
}

func (h house) codes(ids []model.UserID) []string {
	var cs []string
	for _, id := range ids {
		cs = append(cs, h.code(&id))
	}
	return cs
}

// rules compiles a policy for the house.
func (h house) rules(t testing.TB, policy string) *Rules {
	t.Helper()
	p, err := ParsePolicy([]byte(policy))
	if err != nil {
		t.Fatal(err)
	}
	r, err := Compile(p, 7, h.dir)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// complaint is a feedback that always becomes an action.
func (h house) complaint(t testing.TB, hospital, department string) *model.Feedback {
	t.Helper()
	f := &model.Feedback{
		ID: model.NewID[model.Feedback](), SourceSystem: "desk", SourceType: model.SourceComplaint,
		HospitalID: h.hospital(t, hospital), ReceivedAt: noon(),
	}
	if department != "" {
		f.DepartmentID = h.department(t, hospital, department)
	}
	return f
}

func num(x float64) *float64 { return &x }
