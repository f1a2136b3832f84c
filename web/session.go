package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/store"
)

// sessionCookie holds the token of a session. Its name makes browsers insist on
// TLS, and on the very host that set it.
const sessionCookie = "__Host-px"

// visitorKey is where the context of a request has who sits at the browser.
type visitorKey struct{}

// visitor is who sits at the browser; nil without login.
func visitor(r *http.Request) *store.Visitor {
	v, _ := r.Context().Value(visitorKey{}).(*store.Visitor)
	return v
}

// token is that of the browser's session; empty: it has none.
func token(r *http.Request) string {
	c, err := r.Cookie(sessionCookie)
	if err != nil {
		return ""
	}
	return c.Value
}

// page is for whoever is logged in, where a login is needed.
func (s *server) page(h http.HandlerFunc) http.Handler {
	if !s.o.Login {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v, err := s.o.Store.Visitor(r.Context(), token(r))
		switch {
		case errors.Is(err, model.ErrNotFound):
			s.askLogin(w, r)
		case err != nil:
			s.failWith(w, r, err)
		default:
			h(w, r.WithContext(context.WithValue(r.Context(), visitorKey{}, &v)))
		}
	})
}

// askLogin leads to the login and from there back. What a page of ours asks for
// behind it cannot be led anywhere.
func (s *server) askLogin(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead || strings.HasPrefix(r.URL.Path, dashboardRoot+"/api/") {
		s.fail(w, r, http.StatusUnauthorized, "Your session is over. Log in again.")
		return
	}
	target := loginPath
	if next := localPath(r.URL.RequestURI()); next != front {
		target += "?" + url.Values{"next": {next}}.Encode()
	}
	http.Redirect(w, r, target, http.StatusSeeOther)
}

// sameOrigin refuses what another site makes a browser send. The API has keys,
// which no browser adds by itself.
func (s *server) sameOrigin(h http.Handler) http.Handler {
	p := http.NewCrossOriginProtection()
	p.AddInsecureBypassPattern("/v1/")
	p.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, http.StatusForbidden, "Another site sent this request.")
	}))
	return p.Handler(h)
}

// writable reports whether pages send something to a path: with a login alone.
func (s *server) writable(path string) bool {
	return s.o.Login && (path == loginPath || path == logoutPath || strings.HasPrefix(path, dashboardRoot+"/api/"))
}

// may reports whether who sits at the browser has a right to what is not about a
// place. Without login everybody may look and nobody may do more.
func (s *server) may(r *http.Request, right model.Right) bool {
	if !s.o.Login {
		return right == model.RightQueues
	}
	v := visitor(r)
	return v != nil && v.Access.Has(right)
}

// sees reports whether an action is for who sits at the browser. Without login
// all but restricted ones are for everybody.
func (s *server) sees(r *http.Request, a *model.Action) bool {
	if !s.o.Login {
		return !a.Restricted
	}
	v := visitor(r)
	return v != nil && v.Access.May(model.RightView, a)
}

// opens reports whether an action's own page is for who sits at the browser.
func (s *server) opens(r *http.Request, a *model.Action) bool {
	v := visitor(r)
	return s.sees(r, a) || v != nil && stepsIn(r.Context(), s.o.Store, v.User.ID, a)
}
