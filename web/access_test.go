package web_test

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/internal/problem"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/web"
)

// clone is an action that is made by SQL, like another but for these.
type clone struct {
	status    model.Status
	held      bool
	owner     string
	submitter string // empty: the owner
	source    model.SourceType
}

// clones makes actions like the given one, fast, and returns their ids.
func (s *service) clones(t *testing.T, like model.Action, specs []clone) []string {
	t.Helper()
	var rows []string
	for i, c := range specs {
		owner, submitter := s.User(c.owner).ID, s.User(c.owner).ID
		if c.submitter != "" {
			submitter = s.User(c.submitter).ID
		}
		at := like.ReceivedAt.UTC().Format("2006-01-02T15:04:05Z")
		set := fmt.Sprintf(`"ref":"RUH-26-%07d","status":"%s","assigned_to":"%s","source_type":"%s","severity":"medium","requires_approval":false`,
			8_000_000+i, c.status, owner, c.source)
		switch {
		case c.held:
			set += `,"held_at":"` + at + `","paused_at":"` + at + `","resume_at":"2026-03-03T08:00:00Z","hold_no":1,"next_kind":"resume","next_stage":1,"next_at":"2026-03-03T08:00:00Z"`
		case c.status == model.StatusPendingApproval:
			set += fmt.Sprintf(`,"submitted_by":"%s","submitted_at":"%s","paused_at":"%s","submission_no":1,"approval_due_at":"2026-03-03T08:00:00Z",
				"next_kind":"approval_overdue","next_stage":1,"next_at":"2026-03-03T08:00:00Z"`, submitter, at, at)
		case c.status != model.StatusOpen && c.status != model.StatusInProgress:
			set += `,"next_kind":null,"next_stage":null,"next_at":null,"closed_at":"` + at + `"`
		}
		rows = append(rows, "('{"+set+"}'::jsonb)")
	}
	ids := make([]string, 0, len(specs))
	err := s.Store.DB().NewRaw(`INSERT INTO actions SELECT (jsonb_populate_record(a, v.set || jsonb_build_object('id', gen_random_uuid(), 'feedback_id', NULL))).*
		FROM actions a, (VALUES `+strings.Join(rows, ",")+`) AS v (set) WHERE a.id = ? ORDER BY v.set->>'ref' RETURNING ref`, like.ID).Scan(t.Context(), &ids)
	require.NoError(t, err)
	return ids
}

// part is somebody who has a role, and where they stand to an action of RUH's
// emergency department.
type part struct {
	role   model.Role
	person string // empty: the key itself
	place  string // of the action: own, department, hospital; empty: out of reach
}

// parts has each role in reach and out of it; the owner is ruh-huda.
func parts() []part {
	return []part{
		{model.RolePXAdmin, "ruh-amal", "hospital"}, {model.RolePXAdmin, "ber-hoffmann", ""},
		{model.RolePXCoordinator, "ruh-reem", "hospital"}, {model.RolePXCoordinator, "ber-winter", ""},
		{model.RoleManager, "ruh-salmaz", "department"}, {model.RoleManager, "ruh-norah", ""},
		{model.RoleExecutive, "ruh-ceo", "hospital"}, {model.RoleExecutive, "ber-ceo", ""},
		{model.RoleAuditor, "grp-audit", "hospital"}, {model.RoleAuditor, "ber-cno", ""},
		{model.RoleStaff, "ruh-huda", "own"}, {model.RoleStaff, "ruh-bilal", ""},
		{model.RoleService, "", "hospital"}, {model.RoleService, "", ""},
	}
}

// crowd is a service whose ber-cno is an auditor, and a key for BER alone.
func newCrowd(t *testing.T) (s *service, foreign string) {
	t.Helper()
	s = newService(t)
	s.Exec(`UPDATE users SET roles = '["Auditor"]' WHERE code = 'ber-cno'`)
	s.Exec("UPDATE directory_version SET version = version + 1")
	return s, s.newKey(t, func(k *model.APIKey) { k.Hospitals = model.Of([]model.HospitalID{s.Hospital("BER").ID}) })
}

// headers are those of a request by somebody.
func (p part) headers(foreign string) []string {
	if p.role == model.RoleService && p.place == "" {
		return []string{"Authorization", "Bearer " + foreign}
	}
	return as(p.person)
}

// documented is docs/access.md as it is read: how far each role's rights reach,
// and which endpoint asks for which.
type documented struct {
	reach     map[model.Right]map[model.Role]string
	endpoints map[string]model.Right // px web's
}

func readAccess(t *testing.T) documented {
	t.Helper()
	text, err := os.ReadFile("../docs/access.md")
	require.NoError(t, err)
	d := documented{reach: map[model.Right]map[model.Role]string{}, endpoints: map[string]model.Right{}}
	var roles []string
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.Trim(strings.TrimSpace(cells[i]), "`")
		}
		switch {
		case len(cells) < 4 || strings.HasPrefix(cells[0], "---"):
		case cells[0] == "right":
			roles = cells[1:]
		case cells[1] == "px web":
			d.endpoints[cells[0]] = model.Right(cells[3])
		case len(cells) == len(roles)+1:
			d.reach[model.Right(cells[0])] = map[model.Role]string{}
			for i, role := range roles {
				d.reach[model.Right(cells[0])][model.Role(role)] = cells[i+1]
			}
		}
	}
	return d
}

// has reports whether a role's right reaches somebody's place, by the document:
// people have at least what Staff has, but for auditors.
func (d documented) has(right model.Right, p part) bool {
	width := map[string]int{"own": 1, "department": 2, "hospital": 3}
	need := width[p.place]
	if need == 0 {
		return false
	}
	return width[d.reach[right][p.role]] >= need || p.role != model.RoleService && p.role != model.RoleAuditor && width[d.reach[right][model.RoleStaff]] >= need
}

// form is a form with a file, and formHeader what it is sent with.
const form = "--b\r\nContent-Disposition: form-data; name=\"description\"\r\n\r\nThe floor\r\n" +
	"--b\r\nContent-Disposition: form-data; name=\"is_evidence\"\r\n\r\ntrue\r\n" +
	"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"bo\u0308den.txt\"\r\n\r\nDry now.\r\n--b--\r\n"

const formHeader = "multipart/form-data; boundary=b"

// requestOf is a sound request to an endpoint, and the status that the action
// has to have for it.
func requestOf(t *testing.T, endpoint string) (body string, from clone) {
	t.Helper()
	_, path, _ := strings.Cut(endpoint, " ")
	from = clone{status: model.StatusOpen, owner: "ruh-huda", submitter: "ruh-huda", source: model.SourceManual}
	move := model.Move(path[strings.LastIndexByte(path, '/')+1:])
	switch {
	case endpoint == "POST /v1/actions":
		return `{"title":"x","hospital":"RUH"}`, from
	case path == "/v1/directory/hospitals":
		return `[{"code":"RUH","name":"Riyadh Central Hospital","zone":"Asia/Riyadh"}]`, from
	case path == "/v1/directory/departments":
		return `[{"hospital":"RUH","code":"NEW","name":"New"}]`, from
	case path == "/v1/directory/users":
		return `[{"code":"new","name":"New","hospital":"RUH","roles":["Staff"]}]`, from
	case strings.HasPrefix(endpoint, "GET "):
		return "", from
	case strings.HasPrefix(path, "/v1/directory/"):
		return map[string]string{
			"hospitals":   `[{"code":"RUH","name":"x","zone":"Asia/Riyadh"}]`,
			"departments": `[{"code":"NEW","hospital":"RUH","name":"x"}]`,
			"users":       `[{"code":"new-1","hospital":"RUH","name":"x"}]`,
		}[string(move)], from
	case strings.HasSuffix(path, "/attachments"):
		return form, from
	case !model.Valid(move, jsonMoves()):
		t.Fatalf("this test has no request to %s", endpoint)
	}
	from.status, from.held = statusFor(move)
	return moveContent(move), from
}

// statusFor is a status from which a move is possible.
func statusFor(m model.Move) (model.Status, bool) {
	switch m {
	case model.MoveSubmit, model.MoveClose:
		return model.StatusInProgress, false
	case model.MoveApprove, model.MoveReject:
		return model.StatusPendingApproval, false
	case model.MoveReopen:
		return model.StatusClosed, false
	case model.MoveResume:
		return model.StatusOpen, true
	default:
		return model.StatusOpen, false
	}
}

// moveContent is a body that a move is asked for with.
func moveContent(m model.Move) string {
	switch m {
	case model.MoveStart, model.MoveApprove, model.MoveResume:
		return `{}`
	case model.MoveSubmit, model.MoveClose:
		return `{"action_plan":"x","outcome":"x","root_cause":"x","complainant_informed":{"why_not":"unknown"}}`
	case model.MoveAssign:
		return `{"assignee":"ruh-bilal"}`
	case model.MoveNote:
		return `{"text":"x"}`
	case model.MoveSeverity:
		return `{"severity":"low"}`
	case model.MoveDepartment:
		return `{"department":"OPD"}`
	case model.MoveDue:
		return `{"due_at":"2026-03-20T08:00:00Z","reason":"x"}`
	default:
		return `{"reason":"x"}`
	}
}

// TestABlankPersonIsNotTheKey: a caller whose person is missing must not get what
// its key may do.
func TestABlankPersonIsNotTheKey(t *testing.T) {
	t.Parallel()
	s := newService(t)
	a := s.decide(t, s.Complaint(model.SeverityHigh))
	for _, names := range [][]string{{""}, {"  "}, {"ruh-amal", "ruh-huda"}} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.srv.URL+"/v1/actions/"+a.Ref, nil)
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+s.key)
		req.Header["On-Behalf-Of"] = names
		res, err := s.srv.Client().Do(req)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		assert.Equal(t, http.StatusForbidden, res.StatusCode, "%q", names)
	}
}

// TestWhoStandsInForAnApproverSeesWhatTheyDecideOn: they are asked to approve, so
// the action is there for them, for as long as they stand in.
func TestWhoStandsInForAnApproverSeesWhatTheyDecideOn(t *testing.T) {
	t.Parallel()
	s := newService(t)
	a := s.decide(t, s.Complaint(model.SeverityMedium))
	owner, path := s.Dir.Users[*a.AssignedTo].Code, "/v1/actions/"+a.Ref
	for _, m := range []model.Move{model.MoveStart, model.MoveSubmit} {
		require.Equal(t, http.StatusOK, s.move(t, a, m, moveContent(m), as(owner)...).status)
	}
	s.do(t, http.MethodGet, path, "", as("ruh-omar")...).problem(t, http.StatusNotFound, problem.NotFound)
	s.Exec(`UPDATE users SET substitute_id = (SELECT id FROM users WHERE code = 'ruh-omar'), substitute_from = '2026-01-01' WHERE code = 'ruh-amal'`)
	s.Exec("UPDATE directory_version SET version = version + 1")
	require.Equal(t, http.StatusOK, s.do(t, http.MethodGet, path, "", as("ruh-omar")...).status)
	assert.Contains(t, s.do(t, http.MethodGet, "/v1/actions", "", as("ruh-omar")...).body, a.Ref)
	s.move(t, a, model.MoveCancel, moveContent(model.MoveCancel), as("ruh-omar")...).problem(t, http.StatusForbidden, problem.Forbidden)
	s.move(t, a, model.MoveNote, moveContent(model.MoveNote), as("ruh-omar")...).problem(t, http.StatusForbidden, problem.Forbidden)
	assert.Equal(t, model.StatusApproved, s.move(t, a, model.MoveApprove, `{}`, as("ruh-omar")...).action(t).Status)
}

// standIn is a policy with somebody who steps in for approvers.
const standIn = `sla: [{name: x, approval_stand_ins: ["user:ruh-omar"], ack_targets: {critical: none, high: none, medium: none, low: none}}]`

// TestWhoStepsInSeesWhatTheyDecideOn: whom the SLA config names, once the approvers
// have let their time run out, and not before.
func TestWhoStepsInSeesWhatTheyDecideOn(t *testing.T) {
	t.Parallel()
	s := newService(t, []byte(standIn)...)
	a := s.decide(t, s.Complaint(model.SeverityMedium))
	owner, path := s.Dir.Users[*a.AssignedTo].Code, "/v1/actions/"+a.Ref
	for _, m := range []model.Move{model.MoveStart, model.MoveSubmit} {
		require.Equal(t, http.StatusOK, s.move(t, a, m, moveContent(m), as(owner)...).status)
	}
	s.do(t, http.MethodGet, path, "", as("ruh-omar")...).problem(t, http.StatusNotFound, problem.NotFound)
	for s.Count("SELECT count(*) FROM deadline_events WHERE kind = 'approval_overdue'") == 0 {
		s.fire(t, a.ID, 1)
	}
	foreign := s.newKey(t, func(k *model.APIKey) { k.Hospitals = model.Of([]model.HospitalID{s.Hospital("BER").ID}) })
	s.do(t, http.MethodGet, path, "", as("ruh-omar", "Authorization", "Bearer "+foreign)...).problem(t, http.StatusNotFound, problem.NotFound)
	s.do(t, http.MethodGet, path, "", as("ruh-huda")...).problem(t, http.StatusNotFound, problem.NotFound)
	require.Equal(t, http.StatusOK, s.do(t, http.MethodGet, path+"/timeline", "", as("ruh-omar")...).status)
	s.move(t, a, model.MoveNote, moveContent(model.MoveNote), as("ruh-omar")...).problem(t, http.StatusForbidden, problem.Forbidden)
	assert.Equal(t, http.StatusNoContent, s.move(t, a, model.MoveApprove, `{}`, as("ruh-omar")...).status)
	assert.Equal(t, model.StatusApproved, s.Action(a.ID).Status)
	s.do(t, http.MethodGet, path, "", as("ruh-omar")...).problem(t, http.StatusNotFound, problem.NotFound)
}

// attach adds a file by the key itself.
func (s *service) attach(t *testing.T, ref string) web.Attachment {
	t.Helper()
	r, err := s.try(t, http.MethodPost, "/v1/actions/"+ref+"/attachments", form, "Content-Type", formHeader)
	assert.NoError(t, err)
	return into[web.Attachment](t, r)
}

// TestEveryEndpointTimesEveryRole asks each endpoint as each role, in reach of the
// action and out of it, and compares with what docs/access.md says.
func TestEveryEndpointTimesEveryRole(t *testing.T) {
	t.Parallel()
	s, foreign := newCrowd(t)
	doc := readAccess(t)
	require.Len(t, doc.endpoints, len(web.Endpoints()))
	require.Len(t, doc.reach, len(model.Rights()))
	like := s.decide(t, s.Complaint(model.SeverityMedium))
	type ask struct {
		endpoint string
		part
		body string
	}
	var asks []ask
	var specs []clone
	for endpoint := range doc.endpoints {
		for _, p := range parts() {
			body, from := requestOf(t, endpoint)
			asks, specs = append(asks, ask{endpoint, p, body}), append(specs, from)
		}
	}
	refs := s.clones(t, like, specs)
	each(len(asks), func(i int) {
		a := asks[i]
		method, path, _ := strings.Cut(a.endpoint, " ")
		right := doc.endpoints[a.endpoint]
		if !strings.Contains(path, "{id}") && strings.HasPrefix(a.person, "ruh-") && method+path != "GET/v1/actions" {
			a.place = "hospital" // what is asked for is the whole hospital's
		}
		want := http.StatusForbidden
		switch {
		case path == "/v1/events": // for keys alone
			if a.role == model.RoleService {
				want = http.StatusOK
			}
		case doc.has(right, a.part) || path == "/v1/actions" && method == http.MethodGet:
			want = http.StatusOK
		case strings.Contains(path, "{id}") && !doc.has(model.RightView, a.part):
			want = http.StatusNotFound
		}
		query := map[string]string{"/v1/reports/moves": "?from=2026-03-01T00:00:00Z&hospital=RUH", "/v1/actions": "?ref=" + refs[i], "/v1/events": "?after=x"}[path]
		if method == http.MethodPost {
			query = ""
		}
		headers := a.headers(foreign)
		if a.body == form {
			headers = append(headers, "Content-Type", formHeader)
		}
		if strings.HasSuffix(path, "{attachment}") {
			path = strings.Replace(path, "{attachment}", s.attach(t, refs[i]).ID, 1)
		}
		r, err := s.try(t, method, strings.Replace(path, "{id}", refs[i], 1)+query, a.body, headers...)
		assert.NoError(t, err)
		got := r.status
		if got < 300 || got == http.StatusConflict || path == "/v1/events" && got == http.StatusUnprocessableEntity { // allowed, whatever came of it
			got = http.StatusOK
		}
		assert.Equal(t, want, got, "%s by %s %q (%s): %d %s", a.endpoint, a.role, a.person, a.place, r.status, r.body)
		if path == "/v1/actions" && method == http.MethodGet {
			assert.Equal(t, doc.has(right, a.part), strings.Contains(r.body, refs[i]), "the list for %s %q", a.role, a.person)
		}
	})
}

// each calls fn for each of n, eight at a time.
func each(n int, fn func(i int)) {
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := w; i < n; i += 8 {
				fn(i)
			}
		})
	}
	wg.Wait()
}

func TestAKeyFollowsItsHospitals(t *testing.T) {
	t.Parallel()
	s, foreign := newCrowd(t)
	a := s.decide(t, s.Complaint(model.SeverityLow))
	follow := func(key string) *bufio.Scanner {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.srv.URL+"/v1/events?after=0", nil)
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+key)
		res, err := s.srv.Client().Do(req)
		require.NoError(t, err)
		t.Cleanup(func() { _ = res.Body.Close() })
		require.Equal(t, "text/event-stream", res.Header.Get("Content-Type"))
		return bufio.NewScanner(res.Body)
	}
	until := func(lines *bufio.Scanner, text string) string {
		var all strings.Builder
		for lines.Scan() {
			if all.WriteString(lines.Text() + "\n"); strings.Contains(lines.Text(), text) {
				return all.String()
			}
		}
		t.Fatalf("the stream has no %q: %s", text, all.String())
		return ""
	}
	other := s.Complaint(model.SeverityLow)
	ed, _ := s.Dir.ResolveDepartment("", s.Hospital("BER").ID, "ED")
	other.HospitalID, other.DepartmentID = s.Hospital("BER").ID.Ptr(), ed.ID.Ptr()
	b := s.decide(t, other)
	until(follow(s.key), a.Ref)
	if got := until(follow(foreign), b.Ref); strings.Contains(got, a.Ref) {
		t.Errorf("a key of BER follows RUH: %s", got)
	}
}
