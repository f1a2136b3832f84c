package web_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/internal/testenv"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
	"github.com/pxactions/px/tasks"
	"github.com/pxactions/px/web"
)

// site is a world with its pages.
type site struct {
	*scenario.World
	h   http.Handler
	rdb redis.UniversalClient
}

func newSite(t *testing.T) *site {
	t.Helper()
	return newSiteOf(t, scenario.NoAck())
}

func newSiteOf(t *testing.T, policy []byte) *site {
	t.Helper()
	s := &site{World: scenario.New(t, policy)}
	var err error
	s.rdb, err = tasks.NewRedis(testenv.RedisURL(t), tasks.RedisOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.rdb.Close() })
	s.h, err = web.New(web.Options{Store: s.Store, Redis: s.rdb, Engine: s.Engine, Log: zerolog.New(zerolog.NewTestWriter(t))})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// decide makes the action of a feedback.
func (s *site) decide(t *testing.T, f model.Feedback) model.Action {
	t.Helper()
	created, _, err := s.Store.Create(t.Context(), s.Insert(f))
	if err != nil || created[0].ActionID == nil {
		t.Fatalf("create = %+v, %v", created, err)
	}
	return s.Action(*created[0].ActionID)
}

// fire takes the next n events of an action, each at its time.
func (s *site) fire(t *testing.T, id model.ActionID, n int) {
	t.Helper()
	for range n {
		a := s.Action(id)
		s.SetTime(*a.NextAt)
		rs, _, err := s.Store.Fire(t.Context(), []store.DeadlineRef{{ActionID: id, Gen: a.Gen}})
		if err != nil || rs[0].Outcome != store.Fired {
			t.Fatalf("fire = %+v, %v", rs, err)
		}
	}
}

func (s *site) move(t *testing.T, id model.ActionID, req sla.MoveRequest) {
	t.Helper()
	rs, _, err := s.Store.Move(t.Context(), []store.Move{{ActionID: id, Request: req}})
	if err != nil || rs[0].Err != nil {
		t.Fatalf("%s = %v, %v", req.Move, err, rs[0].Err)
	}
}

// request asks for a page as a browser on this machine does.
func request(t *testing.T, h http.Handler, method, target, host string) *http.Response {
	t.Helper()
	req := httptest.NewRequest(method, target, nil)
	req.Host = host
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	return rec.Result()
}

func body(t *testing.T, res *http.Response) string {
	t.Helper()
	var b strings.Builder
	if err := res.Write(&b); err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(b.String(), "\r\n\r\n")
	return text
}

func (s *site) get(t *testing.T, target string) (int, string) {
	t.Helper()
	res := request(t, s.h, http.MethodGet, target, "127.0.0.1:8081")
	return res.StatusCode, body(t, res)
}

// has fails the test where a page lacks one of the texts.
func has(t *testing.T, page string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(page, text) {
			t.Errorf("page lacks %q", text)
		}
	}
}

func hasNot(t *testing.T, page string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if strings.Contains(page, text) {
			t.Errorf("page has %q", text)
		}
	}
}

func TestListShowsActions(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	late := s.Complaint(model.SeverityCritical)
	late.Title = "<script>alert(1)</script>"
	a := s.decide(t, late)
	b := s.decide(t, s.Complaint(model.SeverityLow))
	secret := s.Complaint(model.SeverityLow)
	secret.Restricted, secret.Title = true, "Only for some"
	hidden := s.decide(t, secret)
	s.fire(t, a.ID, 3) // reminder, overdue, stage 1

	code, page := s.get(t, "/actions")
	if code != http.StatusOK {
		t.Fatalf("list = %d", code)
	}
	has(t, page, a.Ref, b.Ref, "&lt;script&gt;alert(1)&lt;/script&gt;", "Overdue</span>", "Level 1", "Escalation, stage 2", "in 2 h",
		"Riyadh Central Hospital", "Emergency", `href="/actions/`+a.Ref+`"`, "Waited for hours")
	hasNot(t, page, "<script>", hidden.Ref, "Only for some")

	for _, tt := range []struct {
		query      string
		want, lack string
	}{
		{"overdue=1", a.Ref, b.Ref},
		{"severity=low", b.Ref, a.Ref},
		{"ref=" + strings.ToLower(b.Ref), b.Ref, a.Ref},
		{"hospital=BER", "fits this filter", a.Ref},
		{"hospital=RUH&department=RUH/ED&source=complaint&status=open", b.Ref, hidden.Ref},
		{"status=closed", "fits this filter", b.Ref},
		{"assignee=nobody", "fits this filter", b.Ref},
	} {
		code, page := s.get(t, "/actions?"+tt.query)
		if code != http.StatusOK || !strings.Contains(page, tt.want) || strings.Contains(page, tt.lack) {
			t.Errorf("%s = %d; want %s and not %s", tt.query, code, tt.want, tt.lack)
		}
	}
}

func TestListRefusesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, query := range []string{"status=gone", "severity=awful", "source=rumour", "hospital=NONE", "department=ED", "assignee=who", "after=x"} {
		name, _, _ := strings.Cut(query, "=")
		code, page := s.get(t, "/actions?"+query)
		if code != http.StatusBadRequest || !strings.Contains(page, name+": ") {
			t.Errorf("%s = %d, want 400 naming the field", query, code)
		}
	}
}

func TestListHasPages(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	rows := make([]model.Feedback, 51)
	for i := range rows {
		rows[i] = s.Complaint(model.SeverityLow)
	}
	if _, _, err := s.Store.Create(t.Context(), s.Insert(rows...)); err != nil {
		t.Fatal(err)
	}
	_, page := s.get(t, "/actions?status=open")
	_, rest, found := strings.Cut(page, `<a href="/actions?after=`)
	next, _, _ := strings.Cut(rest, `"`)
	if !found || !strings.Contains(next, "status=open") || strings.Count(page, `class="ref"`) != 50 {
		t.Fatalf("first page: next %q", next)
	}
	_, page = s.get(t, "/actions?after="+strings.ReplaceAll(next, "&amp;", "&"))
	if n := strings.Count(page, `class="ref"`); n != 1 || !strings.Contains(page, "First page") {
		t.Errorf("second page has %d actions", n)
	}
}

func TestActionTellsItsStory(t *testing.T) {
	t.Parallel()
	s := newSiteOf(t, nil)
	a := s.decide(t, s.Complaint(model.SeverityCritical))
	s.fire(t, a.ID, 4)
	s.move(t, a.ID, sla.MoveRequest{Move: model.MoveNote, Actor: a.AssignedTo, Text: "called the <family>"})
	a = s.Action(a.ID)
	arm := tasks.Arm{ActionID: a.ID, Gen: a.Gen, Kind: a.NextKind, Stage: *a.NextStage, At: time.Now().Add(time.Hour)}
	q := tasks.NewQueue(s.rdb, tasks.QueueOptions{})
	armed, err := q.Enqueue(t.Context(), tasks.Effects{Arm: []tasks.Arm{arm}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Store.MarkArmed(t.Context(), armed); err != nil {
		t.Fatal(err)
	}
	code, page := s.get(t, "/actions/"+strings.ToLower(a.Ref))
	if code != http.StatusOK {
		t.Fatalf("action = %d", code)
	}
	owner := s.Dir.Users[*a.AssignedTo].Name
	job := "/asynq/queues/escalation/tasks/" + arm.ID()
	has(t, page, "Waited for hours", "Nobody came.", owner, "called the &lt;family&gt;", "What comes next", "Escalation, stage 2", "in 2 h",
		"Escalation, stage 3", "in 4 h", "Reminder 1", "On time", "Overdue since", "Built-in", "Start of the work due, assignment 1", `href="`+job+`"`, "Riyadh Central Hospital", "&#43;03")
	hasNot(t, page, "Was overdue", "<family>")

	// The link leads to the job that asynq has.
	code, page = s.get(t, strings.Replace(job, "/asynq/", "/asynq/api/", 1))
	if code != http.StatusOK || !strings.Contains(page, a.ID.String()) {
		t.Errorf("job = %d %s", code, page)
	}
	if code, _ := s.get(t, job); code != http.StatusOK {
		t.Errorf("page of the job = %d", code)
	}
	if code, _ := s.get(t, "/actions/"+a.ID.String()); code != http.StatusOK {
		t.Errorf("action by id = %d", code)
	}
}

func TestActionSaysWhyNothingComes(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	a := s.decide(t, s.Complaint(model.SeverityLow))
	s.move(t, a.ID, sla.MoveRequest{Move: model.MoveCancel, Reason: "came twice"})
	_, page := s.get(t, "/actions/"+a.Ref)
	has(t, page, "The action has ended.", "came twice", "Open → Cancelled")
}

func TestErasedActionIsShown(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	a := s.decide(t, s.Complaint(model.SeverityHigh))
	if _, err := s.Engine.LegalHold(t.Context(), a.ID, true, sla.MoveRequest{Reason: "a lawsuit"}); err != nil {
		t.Fatal(err)
	}
	_, page := s.get(t, "/actions/"+a.Ref)
	has(t, page, a.Title, "Legal hold", "a lawsuit")
	if _, err := s.Engine.LegalHold(t.Context(), a.ID, false, sla.MoveRequest{Reason: "over"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Store.EraseSubject(t.Context(), "none", []model.ActionID{a.ID}, nil); err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{"/actions", "/actions/" + a.Ref} {
		_, page := s.get(t, target)
		has(t, page, a.Ref, "[erased]")
		hasNot(t, page, a.Title, "a lawsuit")
	}
	_, page = s.get(t, "/actions/"+a.Ref)
	has(t, page, "Words erased on request", "The words were erased.")
}

func TestReopenedActionWasOverdue(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	a := s.decide(t, s.Complaint(model.SeverityHigh))
	s.fire(t, a.ID, 2)
	due := s.Action(a.ID).NextAt.Add(48 * time.Hour).Truncate(time.Minute)
	s.move(t, a.ID, sla.MoveRequest{Move: model.MoveDue, Actor: a.AssignedTo, DueAt: due, Reason: "waits for a part"})
	_, page := s.get(t, "/actions/"+a.Ref)
	has(t, page, "Was overdue", "Originally due", "Period")
}

func TestRestrictedActionIsNotFound(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	f := s.Complaint(model.SeverityLow)
	f.Restricted, f.Title = true, "Only for some"
	a := s.decide(t, f)
	for _, ref := range []string{a.Ref, a.ID.String()} {
		code, page := s.get(t, "/actions/"+ref)
		if code != http.StatusNotFound {
			t.Errorf("restricted action = %d, want 404", code)
		}
		hasNot(t, page, "Only for some", a.Ref)
	}
	_, unknown := s.get(t, "/actions/RUH-26-9999999")
	_, page := s.get(t, "/actions/"+a.Ref)
	if unknown != page {
		t.Error("a restricted action answers otherwise than one that is not there")
	}
}

func TestPagesAreGuarded(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, tt := range []struct {
		name, method, target, host string
		want                       int
	}{
		{"the address itself", http.MethodGet, "/actions", "127.0.0.1:8081", http.StatusOK},
		{"localhost", http.MethodGet, "/actions", "LOCALHOST:8081", http.StatusOK},
		{"IPv6", http.MethodGet, "/actions", "[::1]:8081", http.StatusOK},
		{"no port", http.MethodHead, "/actions", "localhost", http.StatusOK},
		{"a foreign name", http.MethodGet, "/actions", "evil.example:8081", http.StatusMisdirectedRequest},
		{"a foreign name that begins like ours", http.MethodGet, "/actions", "localhost.evil.example", http.StatusMisdirectedRequest},
		{"another address", http.MethodGet, "/asynq", "10.0.0.5", http.StatusMisdirectedRequest},
		{"no host", http.MethodGet, "/actions", "", http.StatusMisdirectedRequest},
		{"writing", http.MethodPost, "/actions", "localhost", http.StatusMethodNotAllowed},
		{"writing to the dashboard", http.MethodDelete, "/asynq/api/queues/intake", "localhost", http.StatusMethodNotAllowed},
		{"the front door", http.MethodGet, "/", "localhost", http.StatusFound},
		{"nowhere", http.MethodGet, "/nowhere", "localhost", http.StatusNotFound},
		{"a listing of files", http.MethodGet, "/static/", "localhost", http.StatusNotFound},
		{"the style sheet", http.MethodGet, "/static/px.css", "localhost", http.StatusOK},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			res := request(t, s.h, tt.method, tt.target, tt.host)
			if res.StatusCode != tt.want {
				t.Errorf("status = %d, want %d", res.StatusCode, tt.want)
			}
			policy := res.Header.Get("Content-Security-Policy")
			if !strings.Contains(policy, "frame-ancestors 'none'") || !strings.Contains(policy, "default-src 'none'") || res.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("headers = %v", res.Header)
			}
		})
	}
}

func TestDashboardAllowsItsOwnScriptsOnly(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	res := request(t, s.h, http.MethodGet, "/asynq", "localhost")
	page := body(t, res)
	has(t, page, `href="/actions"`, `window.FLAG_ROOT_PATH="\/asynq"`)
	hasNot(t, page, "fonts.googleapis.com")
	policy := res.Header.Get("Content-Security-Policy")
	script, _, _ := strings.Cut(policy[strings.Index(policy, "script-src"):], ";")
	if strings.Count(script, "'sha256-") != 2 || strings.Contains(script, "unsafe") {
		t.Errorf("policy = %s", policy)
	}
	code, info := s.get(t, "/asynq/api/redis_info")
	if code != http.StatusOK || !strings.Contains(info, "redis_version") {
		t.Errorf("redis info = %d %.80s", code, info)
	}
	if code, _ := s.get(t, "/asynq/static/js/main.5adda2da.chunk.js"); code != http.StatusOK {
		t.Errorf("script = %d", code)
	}
}

func TestPagesLiveWithoutRedis(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	a := s.decide(t, s.Complaint(model.SeverityLow))
	if err := s.rdb.Close(); err != nil {
		t.Fatal(err)
	}
	for target, want := range map[string]int{
		"/actions": http.StatusOK, "/actions/" + a.Ref: http.StatusOK,
		"/asynq": http.StatusServiceUnavailable, "/asynq/queues/intake": http.StatusServiceUnavailable, "/asynq/api/queues": http.StatusServiceUnavailable,
	} {
		code, page := s.get(t, target)
		if code != want {
			t.Errorf("%s = %d, want %d", target, code, want)
		}
		if want != http.StatusOK {
			has(t, page, "Redis does not answer")
		}
	}
	none, err := web.New(web.Options{Store: s.Store, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	if res := request(t, none, http.MethodGet, "/asynq/", "localhost"); res.StatusCode != http.StatusNotFound {
		t.Errorf("dashboard without Redis = %d", res.StatusCode)
	}
}

func TestPagesSayThatTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	st, err := store.Open("postgres://nobody@127.0.0.1:1/none", store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	h, err := web.New(web.Options{Store: st, Log: zerolog.New(os.Stderr)})
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{"/actions", "/actions/RUH-26-0000001"} {
		res := request(t, h, http.MethodGet, target, "localhost")
		if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
			t.Errorf("%s = %d, want 503", target, res.StatusCode)
		}
	}
}
