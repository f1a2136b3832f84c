package web

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/store"
)

const (
	front      = "/actions" // where people begin
	loginPath  = "/login"
	logoutPath = "/logout"
	// mostLogin is how large the login form may be, in bytes.
	mostLogin = 8 << 10
	// roomTimeout is how long (machine time) a login waits for its turn.
	roomTimeout = 10 * time.Second
	// atOnce is how many passwords are checked at the same time; each takes 19 MiB.
	atOnce = 4
)

// refusal is the same whatever was wrong, so that nobody learns who is there.
const refusal = "Code or password is wrong. After five failures in a row the next attempt has to wait, for up to a quarter of an hour."

// loginPage is what the login template shows.
type loginPage struct {
	frame
	Code, Next string
	Fault      string // why the last attempt failed; empty: there was none
}

func (s *server) loginForm(w http.ResponseWriter, r *http.Request) {
	next := localPath(r.URL.Query().Get("next"))
	if _, err := s.o.Store.Visitor(r.Context(), token(r)); err == nil {
		http.Redirect(w, r, next, http.StatusSeeOther)
		return
	}
	s.render(w, r, http.StatusOK, "login.html", loginPage{frame: s.newFrame(r, "Log in", model.Now{}), Next: next})
}

func (s *server) login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, mostLogin)
	if err := r.ParseForm(); err != nil {
		s.fail(w, r, http.StatusBadRequest, "This is no login form.")
		return
	}
	now, err := s.o.Store.Now(r.Context())
	if err != nil {
		s.failWith(w, r, err)
		return
	}
	code, addr := strings.TrimSpace(r.PostForm.Get("code")), s.client(r)
	view := loginPage{frame: s.newFrame(r, "Log in", model.Now{}), Code: code, Next: localPath(r.PostForm.Get("next"))}
	if wait := s.attempts.take(addr, now.Machine); wait > 0 {
		s.o.Log.Warn().Stringer("addr", addr).Msg("login refused: too many failures from this address")
		w.Header().Set("Retry-After", strconv.Itoa(int(wait.Seconds())+1))
		view.Fault = "Too many logins failed from this address. Try again in " + span(wait.Round(time.Second)) + "."
		s.render(w, r, http.StatusTooManyRequests, "login.html", view)
		return
	}
	user, fresh, err := s.authenticate(r, code)
	switch {
	case errors.Is(err, model.ErrNotFound):
		s.o.Log.Warn().Stringer("user", user).Stringer("addr", addr).Msg("login refused")
		view.Fault = refusal
		s.render(w, r, http.StatusForbidden, "login.html", view)
	case err != nil:
		s.attempts.giveBack(addr)
		s.failWith(w, r, err)
	default:
		s.attempts.giveBack(addr)
		s.o.Log.Info().Stringer("user", user).Stringer("addr", addr).Msg("logged in")
		s.setCookie(w, fresh, 0)
		http.Redirect(w, r, view.Next, http.StatusSeeOther)
	}
}

// authenticate begins a session for who knows the password of a code, and
// returns its token. For everybody else it is model.ErrNotFound, after the same
// work: a look at the database and a run of Argon2.
func (s *server) authenticate(r *http.Request, code string) (model.UserID, string, error) {
	ctx := r.Context()
	dir, err := s.o.Store.Directory(ctx)
	if err != nil {
		return model.UserID{}, "", err
	}
	var id model.UserID // zero: nobody's
	if u, ok := dir.ResolveUser("", code); ok && u.Active {
		id = u.ID
	}
	hash, err := s.o.Store.Attempt(ctx, id)
	if err != nil && !errors.Is(err, model.ErrNotFound) {
		return id, "", err
	}
	room, cancel := context.WithTimeout(ctx, roomTimeout)
	defer cancel()
	password := r.PostForm.Get("password")
	right, stale, err := s.o.Passwords.Verify(room, hash, password)
	if err != nil {
		return id, "", busy(err)
	}
	if !right {
		return id, "", model.ErrNotFound
	}
	l := store.Login{User: id, Hash: hash, Old: token(r)}
	if stale {
		if l.NewHash, err = s.o.Passwords.Hash(room, password); err != nil {
			return id, "", busy(err)
		}
	}
	fresh, err := s.o.Store.Login(ctx, l)
	return id, fresh, err
}

// busy says that a login did not get its turn in time.
func busy(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.Join(model.ErrUnavailable, err)
	}
	return err
}

func (s *server) logout(w http.ResponseWriter, r *http.Request) {
	if err := s.o.Store.Logout(r.Context(), token(r)); err != nil {
		s.failWith(w, r, err)
		return
	}
	s.setCookie(w, "", -1)
	http.Redirect(w, r, loginPath, http.StatusSeeOther)
}

// setCookie gives a browser its token, for as long as it is open; a maxAge below
// 0 takes it away.
func (s *server) setCookie(w http.ResponseWriter, value string, maxAge int) {
	http.SetCookie(w, &http.Cookie{
		Name: sessionCookie, Value: value, Path: "/", MaxAge: maxAge, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// localPath is an address on this site, the front page for every other and for
// what a browser might take for one.
func localPath(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || !strings.HasPrefix(u.Path, "/") ||
		strings.HasPrefix(u.Path, "//") || strings.Contains(next, `\`) || strings.Contains(u.Path, `\`) || u.Path == "/" {
		return front
	}
	return (&url.URL{Path: u.Path, RawPath: u.RawPath, RawQuery: u.RawQuery}).String()
}

// client is the address that a request comes from: behind the proxies that we
// know, what they say.
func (s *server) client(r *http.Request) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	addr := at.Addr().Unmap()
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && s.proxy(addr); i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		addr = hop.Unmap()
	}
	return addr
}

func (s *server) proxy(addr netip.Addr) bool {
	for _, p := range s.o.Proxies {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}
