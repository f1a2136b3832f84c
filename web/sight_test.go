package web_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/model"
)

// actionAt makes an action of a department, owned by somebody.
func (g *gate) actionAt(t *testing.T, hospital, department, owner string, change func(*model.Feedback)) model.Action {
	t.Helper()
	f := g.Complaint(model.SeverityLow)
	h := g.Hospital(hospital)
	d, ok := g.Dir.ResolveDepartment("", h.ID, department)
	if !ok {
		t.Fatalf("no department %s", department)
	}
	f.HospitalID, f.DepartmentID = h.ID.Ptr(), d.ID.Ptr()
	if change != nil {
		change(&f)
	}
	a := g.decide(t, f)
	g.sql(t, "UPDATE actions SET assigned_to = ? WHERE id = ?", g.User(owner).ID, a.ID)
	return a
}

// TestWhatEachRoleSees: list, page and explanation of every kind of action, for
// all six roles.
func TestWhatEachRoleSees(t *testing.T) {
	t.Parallel()
	everybody := []string{"ruh-amal", "ruh-reem", "ruh-ceo", "ruh-salmaz", "ruh-huda", "ruh-omar", "grp-audit", "grp-px", "ber-winter"}
	g := newGate(t, everybody...)
	own := g.actionAt(t, "RUH", "ED", "ruh-huda", nil)
	others := g.actionAt(t, "RUH", "ED", "ruh-bilal", nil)
	ward := g.actionAt(t, "RUH", "WARD3", "ruh-maha", nil)
	berlin := g.actionAt(t, "BER", "ED", "ber-kaya", nil)
	hidden := g.actionAt(t, "RUH", "ED", "ruh-reem", func(f *model.Feedback) { f.Restricted = true })
	about := g.actionAt(t, "RUH", "ED", "ruh-amal", nil)
	g.sql(t, "UPDATE actions SET involved_users = jsonb_build_array(?::text) WHERE id = ?", g.User("ruh-reem").ID, about.ID)
	all := map[string]model.Action{"own": own, "others": others, "ward": ward, "berlin": berlin, "hidden": hidden, "about": about}
	for _, tt := range []struct {
		who    string
		sees   string // of all
		queues int
	}{
		{"ruh-amal", "own others ward hidden about", http.StatusOK},       // PX Admin
		{"ruh-reem", "own others ward hidden", http.StatusOK},             // PX Coordinator, whom one is about
		{"ruh-ceo", "own others ward hidden about", http.StatusForbidden}, // Executive
		{"ruh-salmaz", "own others about", http.StatusForbidden},          // Department Manager
		{"ruh-huda", "own", http.StatusForbidden},                         // Staff
		{"ruh-omar", "", http.StatusForbidden},                            // Staff, who owns nothing
		{"grp-audit", "own others ward berlin about", http.StatusOK},      // Auditor of all hospitals
		{"grp-px", "own others ward berlin hidden about", http.StatusOK},  // PX Admin of all hospitals
		{"ber-winter", "berlin", http.StatusOK},                           // PX Coordinator elsewhere
	} {
		t.Run(tt.who, func(t *testing.T) {
			t.Parallel()
			b := g.in(t, tt.who)
			list := b.get("/actions").page
			has(t, list, "<bdi>"+g.User(tt.who).Name+"</bdi>", "Log out")
			for name, a := range all {
				want := strings.Contains(" "+tt.sees+" ", " "+name+" ")
				if got := strings.Contains(list, a.Ref); got != want {
					t.Errorf("list has %s: %t, want %t", name, got, want)
				}
				code := http.StatusNotFound
				if want {
					code = http.StatusOK
				}
				for _, target := range []string{"/actions/" + a.Ref, "/actions/" + a.ID.String(), "/actions/" + a.Ref + "/why"} {
					if got := b.get(target); got.code != code || !want && strings.Contains(got.page, a.Title) {
						t.Errorf("%s of %s = %d, want %d", target, name, got.code, code)
					}
				}
			}
			if got := b.get("/asynq"); got.code != tt.queues {
				t.Errorf("queues = %d, want %d", got.code, tt.queues)
			}
			if got := strings.Contains(list, `href="/asynq"`); got != (tt.queues == http.StatusOK) {
				t.Errorf("link to the queues: %t", got)
			}
			if got := b.get("/asynq/api/queues"); got.code != tt.queues {
				t.Errorf("queues of the API = %d, want %d", got.code, tt.queues)
			}
		})
	}
}

// TestWhoStepsInOpensThePage: the SLA config names them, once the approvers have let
// their time run out.
func TestWhoStepsInOpensThePage(t *testing.T) {
	t.Parallel()
	g := newGateOf(t, []byte(standIn), "ruh-omar", "ruh-bilal")
	a := g.decide(t, g.Complaint(model.SeverityMedium))
	for _, m := range []model.Move{model.MoveStart, model.MoveSubmit} {
		g.move(t, a.ID, scenario.Submission(m, a.AssignedTo))
	}
	opens := func(who string, code int) {
		t.Helper()
		b := g.in(t, who)
		for _, page := range []string{"/actions/" + a.Ref, "/actions/" + a.Ref + "/why"} {
			if got := b.get(page); got.code != code {
				t.Errorf("%s by %s = %d, want %d", page, who, got.code, code)
			}
		}
	}
	opens("ruh-omar", http.StatusNotFound)
	for g.Count("SELECT count(*) FROM deadline_events WHERE kind = 'approval_overdue'") == 0 {
		g.fire(t, a.ID, 1)
	}
	opens("ruh-omar", http.StatusOK)
	opens("ruh-bilal", http.StatusNotFound)
	hasNot(t, g.in(t, "ruh-omar").get("/actions").page, a.Ref)
}

func TestLinksLeadToWhatIsInSight(t *testing.T) {
	t.Parallel()
	g := newGate(t, "ruh-huda", "ruh-salmaz")
	own := g.actionAt(t, "RUH", "ED", "ruh-huda", nil)
	linked := g.actionAt(t, "RUH", "ED", "ruh-bilal", nil)
	g.sql(t, "UPDATE actions SET linked_to = ? WHERE id = ?", own.ID, linked.ID)
	for _, page := range []string{"", "/why"} {
		hasNot(t, g.in(t, "ruh-huda").get("/actions/"+own.Ref+page).page, linked.Ref)
		has(t, g.in(t, "ruh-salmaz").get("/actions/"+own.Ref+page).page, linked.Ref)
	}
}

func TestExplainTellsOfLinksInSight(t *testing.T) {
	t.Parallel()
	s := newService(t)
	own, linked := s.decide(t, s.Complaint(model.SeverityMedium)), s.decide(t, s.Complaint(model.SeverityMedium))
	s.Exec("UPDATE actions SET linked_to = ?, involved_users = jsonb_build_array(?::text) WHERE id = ?", own.ID, s.User("ruh-reem").ID, linked.ID)
	read := func(who string) string {
		r := s.do(t, http.MethodGet, "/v1/actions/"+own.Ref+"/explain", "", as(who)...)
		if r.status != http.StatusOK {
			t.Fatalf("explain by %s = %d %s", who, r.status, r.body)
		}
		return r.body
	}
	hasNot(t, read("ruh-reem"), linked.Ref) // it is about her
	has(t, read("ruh-amal"), linked.Ref)
}

func TestThePlaceInAFilterOpensNothing(t *testing.T) {
	t.Parallel()
	g := newGate(t, "ruh-huda", "ruh-salmaz", "ruh-amal")
	own := g.actionAt(t, "RUH", "ED", "ruh-huda", nil)
	others := g.actionAt(t, "RUH", "ED", "ruh-bilal", nil)
	berlin := g.actionAt(t, "BER", "ED", "ber-kaya", nil)
	for _, who := range []string{"ruh-huda", "ruh-salmaz", "ruh-amal"} {
		b := g.in(t, who)
		for _, query := range []string{"hospital=BER", "assignee=ber-kaya", "ref=" + berlin.Ref, "department=BER/ED", "status=all"} {
			hasNot(t, b.get("/actions?"+query).page, "/actions/"+berlin.Ref)
		}
		if who == "ruh-huda" {
			hasNot(t, b.get("/actions?assignee=ruh-bilal").page, "/actions/"+others.Ref)
			has(t, b.get("/actions?assignee=ruh-huda").page, "/actions/"+own.Ref)
		}
	}
}

func TestQueuesAreChangedByPXAdminsAlone(t *testing.T) {
	t.Parallel()
	g := newGate(t, "ruh-amal", "ruh-reem", "grp-audit", "ruh-ceo")
	if err := g.rdb.SAdd(t.Context(), "asynq:queues", "intake").Err(); err != nil {
		t.Fatal(err)
	}
	paused := func() bool {
		n, err := g.rdb.Exists(t.Context(), "asynq:{intake}:paused").Result()
		if err != nil {
			t.Fatal(err)
		}
		return n == 1
	}
	const readOnly = "FLAG_READ_ONLY=true"
	for _, who := range []string{"ruh-reem", "grp-audit", "ruh-ceo"} {
		b := g.in(t, who)
		if got := b.send(http.MethodPost, "/asynq/api/queues/intake:pause", nil); got.code != http.StatusForbidden || paused() {
			t.Errorf("pause by %s = %d", who, got.code)
		}
		if got := b.send(http.MethodDelete, "/asynq/api/queues/intake", nil); got.code != http.StatusForbidden {
			t.Errorf("delete by %s = %d", who, got.code)
		}
		if who != "ruh-ceo" {
			has(t, strings.ReplaceAll(b.get("/asynq").page, `"`, ""), readOnly)
		}
	}
	if got := g.browser(t).send(http.MethodPost, "/asynq/api/queues/intake:pause", nil); got.code != http.StatusUnauthorized || paused() {
		t.Errorf("pause without login = %d", got.code)
	}
	if strings.Contains(g.log.String(), "queues changed") {
		t.Error("what was refused is logged as done")
	}
	admin := g.in(t, "ruh-amal")
	page := admin.get("/asynq")
	hasNot(t, strings.ReplaceAll(page.page, `"`, ""), readOnly)
	if policy := page.header.Get("Content-Security-Policy"); strings.Count(policy, "'sha256-") != 2 {
		t.Errorf("policy = %s", policy)
	}
	if got := admin.send(http.MethodPost, "/asynq/api/queues/intake:pause", nil, "Sec-Fetch-Site", "same-origin"); got.code >= 300 || !paused() {
		t.Errorf("pause by a PX Admin = %d %s", got.code, got.page)
	}
	has(t, g.log.String(), `"user":"`+g.User("ruh-amal").ID.String()+`"`, `"path":"/asynq/api/queues/intake:pause"`, "queues changed by hand")
}
