package web_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/rs/zerolog"

	"github.com/pxactions/px/internal/password"
	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/samples"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/web"
)

const secret = "seven moons over the river"

// gate is a site with a login, on a server with TLS.
type gate struct {
	*site
	srv    *httptest.Server
	hasher *password.Hasher
	log    *logged
}

// logged is a log to look into.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// newGate makes a site with a login, at which some people have a password.
func newGate(t *testing.T, codes ...string) *gate {
	t.Helper()
	return newGateOf(t, scenario.NoAck(), codes...)
}

func newGateOf(t *testing.T, policy []byte, codes ...string) *gate {
	t.Helper()
	g := &gate{site: newSiteOf(t, policy), log: &logged{}, hasher: password.New(password.Params{Memory: 64, Passes: 1, Lanes: 1}, 2)}
	h, err := web.New(web.Options{Store: g.Store, Redis: g.rdb, Log: zerolog.New(g.log), Login: true, Passwords: g.hasher})
	if err != nil {
		t.Fatal(err)
	}
	g.srv = httptest.NewTLSServer(h)
	t.Cleanup(g.srv.Close)
	for _, code := range codes {
		hash, err := g.hasher.Hash(t.Context(), secret)
		if err != nil {
			t.Fatal(err)
		}
		if err := g.Store.SetPassword(t.Context(), g.User(code).ID, hash); err != nil {
			t.Fatal(err)
		}
	}
	return g
}

func (g *gate) sql(t *testing.T, query string, args ...any) {
	t.Helper()
	if _, err := g.Store.DB().NewRaw(query, args...).Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// browser is one browser. It follows no redirect by itself.
type browser struct {
	t      *testing.T
	g      *gate
	client *http.Client
}

func (g *gate) browser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t: t, g: g, client: &http.Client{
		Transport: g.srv.Client().Transport, Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// answer is what came back.
type answer struct {
	code     int
	page     string
	location string
	header   http.Header
}

// send sends a form, nil for none, with headers as name, value, ….
func (b *browser) send(method, target string, form url.Values, headers ...string) answer {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.g.srv.URL+target, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
	}
	res, err := b.client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	page, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer{res.StatusCode, string(page), res.Header.Get("Location"), res.Header}
}

func (b *browser) get(target string) answer {
	b.t.Helper()
	return b.send(http.MethodGet, target, nil)
}

func (b *browser) try(code, pass string) answer {
	b.t.Helper()
	return b.send(http.MethodPost, "/login", url.Values{"code": {code}, "password": {pass}})
}

// in is a browser whose person has logged in.
func (g *gate) in(t *testing.T, code string) *browser {
	t.Helper()
	b := g.browser(t)
	if a := b.try(code, secret); a.code != http.StatusSeeOther {
		t.Fatalf("login of %s = %d", code, a.code)
	}
	return b
}

func (b *browser) inside() bool {
	b.t.Helper()
	a := b.get("/actions")
	if a.code != http.StatusOK && (a.code != http.StatusSeeOther || a.location != "/login") {
		b.t.Fatalf("/actions = %d to %q", a.code, a.location)
	}
	return a.code == http.StatusOK
}

func TestPagesNeedALogin(t *testing.T) {
	t.Parallel()
	g := newGate(t, "ruh-amal")
	a := g.decide(t, g.Complaint(model.SeverityLow))
	b := g.browser(t)
	for target, want := range map[string]string{
		"/actions":                             "/login",
		"/actions?status=open&ref=RUH":         "/login?next=%2Factions%3Fstatus%3Dopen%26ref%3DRUH",
		"/actions/" + a.Ref:                    "/login?next=%2Factions%2F" + a.Ref,
		"/actions/" + a.Ref + "/why":           "/login?next=%2Factions%2F" + a.Ref + "%2Fwhy",
		"/asynq":                               "/login?next=%2Fasynq",
		"/asynq/static/js/2.8854b145.chunk.js": "/login?next=%2Fasynq%2Fstatic%2Fjs%2F2.8854b145.chunk.js",
	} {
		if got := b.get(target); got.code != http.StatusSeeOther || got.location != want || strings.Contains(got.page, a.Title) {
			t.Errorf("%s = %d to %q, want to %q", target, got.code, got.location, want)
		}
	}
	for target, want := range map[string]int{
		"/asynq/api/queues": http.StatusUnauthorized, "/v1/actions/" + a.Ref + "/explain": http.StatusNotFound,
		"/login": http.StatusOK, "/static/px.css": http.StatusOK, "/nowhere": http.StatusNotFound, "/logout": http.StatusNotFound,
	} {
		if got := b.get(target); got.code != want || strings.Contains(got.page, "Log out") {
			t.Errorf("%s = %d, want %d", target, got.code, want)
		}
	}
	if got := b.send(http.MethodGet, "/actions", nil, "Cookie", "__Host-px=made-up"); got.location != "/login" {
		t.Errorf("a token that was never given = %d", got.code)
	}
	// A login is under every name.
	if got := b.send(http.MethodGet, "/login", nil, "Host", "px.hospital.example"); got.code != http.StatusOK {
		t.Errorf("another host = %d", got.code)
	}
}

func TestLoginAndLogout(t *testing.T) {
	t.Parallel()
	g := newGate(t, "ruh-amal")
	b := g.browser(t)
	got := b.send(http.MethodPost, "/login", url.Values{"code": {" ruh-amal "}, "password": {secret}, "next": {"/actions?status=all"}})
	if got.code != http.StatusSeeOther || got.location != "/actions?status=all" {
		t.Fatalf("login = %d to %q", got.code, got.location)
	}
	cookie := got.header.Get("Set-Cookie")
	for _, part := range []string{"__Host-px=", "; Path=/", "; HttpOnly", "; Secure", "; SameSite=Lax"} {
		if !strings.Contains(cookie, part) {
			t.Errorf("cookie %q lacks %q", cookie, part)
		}
	}
	page := b.get("/actions")
	has(t, page.page, g.User("ruh-amal").Name, `action="/logout"`, "Queues")
	if csp := page.header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") || strings.Contains(csp, "script") {
		t.Errorf("policy = %s", csp)
	}
	hasNot(t, b.get("/login").page, "Password") // there already
	has(t, b.get("/actions/RUH-26-9999999").page, "404", "Log out")

	// A second login in the same browser has a token of its own, and ends the first.
	old := cookie[:strings.Index(cookie, ";")]
	second := b.try("ruh-amal", secret)
	if strings.HasPrefix(second.header.Get("Set-Cookie"), old) {
		t.Error("the token stayed the same")
	}
	if got := g.browser(t).send(http.MethodGet, "/actions", nil, "Cookie", old); got.code != http.StatusSeeOther {
		t.Errorf("the token before = %d", got.code)
	}
	now := second.header.Get("Set-Cookie")
	now = now[:strings.Index(now, ";")]
	if got := b.send(http.MethodPost, "/logout", url.Values{}); got.code != http.StatusSeeOther || got.location != "/login" {
		t.Errorf("logout = %d to %q", got.code, got.location)
	}
	if b.inside() {
		t.Error("inside after the logout")
	}
	if got := g.browser(t).send(http.MethodGet, "/actions", nil, "Cookie", now); got.code != http.StatusSeeOther {
		t.Errorf("the token after the logout = %d", got.code)
	}
	if text := g.log.String(); !strings.Contains(text, "logged in") || strings.Contains(text, secret) || strings.Contains(text, old[len("__Host-px="):]) {
		t.Errorf("log = %s", text)
	}
}

// TestNobodyLearnsWhoIsThere: answer and work are the same, whatever is wrong.
func TestNobodyLearnsWhoIsThere(t *testing.T) {
	t.Parallel()
	g := newGate(t, "ruh-amal", "ruh-tariq", "ruh-ceo")
	g.sql(t, "UPDATE credentials SET failed = 9, locked_until = clock_timestamp() + interval '1 hour' WHERE user_id = ?", g.User("ruh-tariq").ID)
	g.leave(t, "ruh-ceo")
	b := g.browser(t)
	first := ""
	for _, tt := range []struct{ name, code, password string }{
		{"a wrong password", "ruh-amal", "seven moons over the sea"},
		{"an unknown code", "ruh-nobody", secret},
		{"no password set", "ruh-reem", secret},
		{"locked, with the right password", "ruh-tariq", secret},
		{"somebody who has left", "ruh-ceo", secret},
		{"nothing", "", ""},
	} {
		before := g.hasher.Runs()
		got := b.try(tt.code, tt.password)
		page := strings.ReplaceAll(got.page, `value="`+tt.code+`"`, `value="…"`)
		page = strings.ReplaceAll(page, " autofocus", "")
		if first == "" {
			first = page
			has(t, page, "Code or password is wrong")
		}
		if got.code != http.StatusForbidden || page != first || got.header.Get("Set-Cookie") != "" {
			t.Errorf("%s = %d, another answer", tt.name, got.code)
		}
		if n := g.hasher.Runs() - before; n != 1 {
			t.Errorf("%s took %d runs, want 1", tt.name, n)
		}
	}
	has(t, b.try(`"><script>alert(1)</script>`, "x").page, "&#34;&gt;&lt;script&gt;")
}

// leave makes somebody inactive.
func (g *gate) leave(t *testing.T, code string) {
	t.Helper()
	doc, err := sla.ParseDirectory(samples.Directory)
	if err != nil {
		t.Fatal(err)
	}
	no := false
	for i := range doc.Users {
		if doc.Users[i].Code == code {
			doc.Users[i].Active = &no
		}
	}
	if _, err := g.Store.ApplyDirectory(t.Context(), doc); err != nil {
		t.Fatal(err)
	}
}

func TestFailuresLock(t *testing.T) {
	t.Parallel()
	g := newGate(t, "ruh-amal")
	b := g.browser(t)
	for range 5 {
		if got := b.try("ruh-amal", "wrong wrong wrong"); got.code != http.StatusForbidden {
			t.Fatalf("wrong password = %d", got.code)
		}
	}
	if got := b.try("ruh-amal", secret); got.code != http.StatusForbidden {
		t.Errorf("the right password while locked = %d", got.code)
	}
	g.sql(t, "UPDATE credentials SET locked_until = clock_timestamp()")
	if got := b.try("ruh-amal", secret); got.code != http.StatusSeeOther {
		t.Errorf("the right password after the lock = %d", got.code)
	}
}

func TestAddressesAreLimited(t *testing.T) {
	t.Parallel()
	g := newGate(t, "ruh-amal")
	b := g.browser(t)
	for range 30 {
		b.try("ruh-nobody", secret)
	}
	before := g.hasher.Runs()
	got := b.try("ruh-amal", secret)
	if got.code != http.StatusTooManyRequests || got.header.Get("Retry-After") == "" || g.hasher.Runs() != before {
		t.Errorf("after 30 failures = %d, retry after %q", got.code, got.header.Get("Retry-After"))
	}
	// Who is no proxy of ours is not believed about where it comes from.
	got = b.send(http.MethodPost, "/login", url.Values{"code": {"ruh-amal"}, "password": {secret}}, "X-Forwarded-For", "192.0.2.1")
	if got.code != http.StatusTooManyRequests {
		t.Errorf("with a made-up address = %d", got.code)
	}
}

func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	g := newGate(t, "ruh-amal", "ruh-ceo")
	b := g.in(t, "ruh-amal")
	if !b.inside() {
		t.Fatal("not inside after the login")
	}
	g.sql(t, "UPDATE sessions SET expires_at = clock_timestamp()")
	if b.inside() {
		t.Error("inside after the session's end")
	}
	b = g.in(t, "ruh-ceo")
	g.leave(t, "ruh-ceo")
	if b.inside() {
		t.Error("inside after leaving")
	}
}

func TestOldHashesAreMadeAnew(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	hash, err := password.New(password.Params{Memory: 32, Passes: 1, Lanes: 1}, 1).Hash(t.Context(), secret)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Store.SetPassword(t.Context(), g.User("ruh-amal").ID, hash); err != nil {
		t.Fatal(err)
	}
	g.in(t, "ruh-amal")
	var now string
	if err := g.Store.DB().NewRaw("SELECT hash FROM credentials").Scan(t.Context(), &now); err != nil || !strings.Contains(now, "m=64,") {
		t.Errorf("hash = %q, %v", now, err)
	}
	g.in(t, "ruh-amal")
}

func TestOtherSitesAreRefused(t *testing.T) {
	t.Parallel()
	g := newGate(t, "ruh-amal")
	form := url.Values{"code": {"ruh-amal"}, "password": {secret}}
	foreign := [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}, {"Origin", "null"}}
	b := g.in(t, "ruh-amal")
	for _, headers := range foreign {
		if got := b.send(http.MethodPost, "/login", form, headers...); got.code != http.StatusForbidden || got.header.Get("Set-Cookie") != "" {
			t.Errorf("login with %v = %d", headers, got.code)
		}
		if got := b.send(http.MethodPost, "/logout", url.Values{}, headers...); got.code != http.StatusForbidden {
			t.Errorf("logout with %v = %d", headers, got.code)
		}
		if got := b.send(http.MethodPost, "/asynq/api/queues/intake:pause", nil, headers...); got.code != http.StatusForbidden {
			t.Errorf("pause with %v = %d", headers, got.code)
		}
	}
	if !b.inside() {
		t.Error("another site logged somebody out")
	}
	for _, headers := range [][]string{{"Sec-Fetch-Site", "same-origin"}, {"Sec-Fetch-Site", "none"}, {"Origin", g.srv.URL}} {
		if got := b.send(http.MethodPost, "/login", form, headers...); got.code != http.StatusSeeOther {
			t.Errorf("login with %v = %d", headers, got.code)
		}
	}
}

func TestALoginLeadsNowhereElse(t *testing.T) {
	t.Parallel()
	g := newGate(t, "ruh-amal")
	b := g.browser(t)
	for _, next := range []string{"https://evil.example/", "//evil.example", `/\evil.example`, `\\evil.example`, "javascript:alert(1)", "/%2Fevil.example", "/%5Cevil.example",
		"http:/evil.example", "/\t/evil.example", "actions", "", "https://user@evil.example/actions", "/actions\r\nSet-Cookie: a=b"} {
		got := b.send(http.MethodPost, "/login", url.Values{"code": {"ruh-amal"}, "password": {secret}, "next": {next}})
		if got.code != http.StatusSeeOther || got.location != "/actions" {
			t.Errorf("next %q = %d to %q", next, got.code, got.location)
		}
		if got := g.browser(t).get("/login?" + url.Values{"next": {next}}.Encode()); !strings.Contains(got.page, `name="next" value="/actions"`) {
			t.Errorf("form with next %q has another", next)
		}
	}
}

func TestWithoutLoginThereIsNoForm(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	if code, page := s.get(t, "/login"); code != http.StatusNotFound || strings.Contains(page, "Password") {
		t.Errorf("login = %d", code)
	}
	if res := request(t, s.h, http.MethodPost, "/login", "localhost"); res.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("post = %d", res.StatusCode)
	}
	_, page := s.get(t, "/actions")
	hasNot(t, page, "Log out", `class="who"`)
	has(t, page, "Queues")
}
