package web

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/internal/openapi"
	"github.com/pxactions/px/internal/password"
	"github.com/pxactions/px/internal/problem"
	"github.com/pxactions/px/internal/ratelimit"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/store"
)

// Options is what the pages are made of.
type Options struct {
	Store  *store.Store
	Redis  redis.UniversalClient // for asynq's dashboard; nil: it says that there is none. The caller closes it.
	Log    zerolog.Logger
	Engine *engine.Engine     // for the action API; nil: the pages alone
	Doc    *openapi.Doc       // the description that it serves; nil: of the action API alone
	Limit  *ratelimit.Limiter // of each API key; nil: none
	KeyTTL time.Duration      // how long an API key is remembered (machine time); 0: engine.DefaultKeyTTL
	// Login shows pages to who has logged in, and to them what the access table
	// says, under every host name. Without it they are for this machine: under
	// loopback names, to read, and without restricted actions.
	Login     bool
	Passwords *password.Hasher // checks passwords; nil: one as recommended
	Proxies   []netip.Prefix   // who is believed about where a request comes from
}

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed static
var staticFiles embed.FS

// server answers the pages.
type server struct {
	o         Options
	templates *template.Template
	dashboard http.Handler
	attempts  attempts
	streams   atomic.Int32 // how many read the stream of changes
}

// New makes the pages. They read only, but for the login and what operators do to
// the queues.
func New(o Options) (http.Handler, error) {
	if o.Store == nil {
		return nil, errors.New("web: Store is needed")
	}
	if o.Passwords == nil {
		o.Passwords = password.New(password.Recommended(), atOnce)
	}
	t, err := template.New("").Funcs(template.FuncMap{"label": label}).ParseFS(templateFiles, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("read the templates: %w", err)
	}
	s := &server{o: o, templates: t}
	if s.dashboard, err = s.newDashboard(); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/actions", http.StatusFound) })
	mux.Handle("GET /actions", s.page(s.list))
	mux.Handle("GET /actions/{ref}", s.page(s.action))
	mux.Handle("GET /actions/{ref}/why", s.page(s.why))
	mux.Handle("GET /static/", static())
	mux.Handle(dashboardRoot, s.page(s.queues))
	mux.Handle(dashboardRoot+"/", s.page(s.queues))
	if o.Login {
		mux.HandleFunc("GET "+loginPath, s.loginForm)
		mux.HandleFunc("POST "+loginPath, s.login)
		mux.HandleFunc("POST "+logoutPath, s.logout)
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, http.StatusNotFound, "There is no such page.")
	})
	if o.Engine == nil {
		return s.guard(s.sameOrigin(mux)), nil
	}
	return s.withAPI(mux)
}

// withAPI serves the action API and its description beside the pages. The API has
// keys, so that no page of somebody else's can use it: the pages' guard is not
// for it.
func (s *server) withAPI(pages *http.ServeMux) (http.Handler, error) {
	o := s.o
	if o.Doc == nil {
		var err error
		if o.Doc, err = openapi.New("", Describe); err != nil {
			return nil, fmt.Errorf("web: describe the action API: %w", err)
		}
	}
	api, err := s.newAPI(o)
	if err != nil {
		return nil, err
	}
	o.Doc.Mount(pages)
	guarded := s.guard(s.sameOrigin(pages))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Not by a mux, which would redirect /v1//actions with a page.
		if strings.HasPrefix(r.URL.Path+"/", "/v1/") {
			api.ServeHTTP(w, r)
			return
		}
		guarded.ServeHTTP(w, r)
	}), nil
}

// answerTime (machine time) is how long an answer waits for the database, which may
// take a question and never answer. Changes of many people or places have bulkTime;
// files and the stream of changes take what they take, but for each look at the
// database.
const (
	answerTime = 10 * time.Second
	bulkTime   = 50 * time.Second
)

// pagePolicy lets a page load our style sheet and images and nothing else.
const pagePolicy = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// guard refuses what no page of ours sends, and sets the headers that every
// answer has.
func (s *server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", pagePolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		switch {
		case !s.o.Login && !loopback(r.Host):
			// A name that an attacker's DNS points at us would make their page
			// one of ours.
			s.fail(w, r, http.StatusMisdirectedRequest, "These pages answer under localhost and loopback addresses only.")
		case r.Method != http.MethodGet && r.Method != http.MethodHead && !s.writable(r.URL.Path):
			h.Set("Allow", "GET, HEAD")
			s.fail(w, r, http.StatusMethodNotAllowed, "These pages are for reading only. Use the px command to work on an action.")
		default:
			ctx, cancel := context.WithTimeout(r.Context(), answerTime)
			defer cancel()
			r = r.WithContext(ctx)
			defer problem.Contain(s.o.Log, "request panicked", w, r, func() { s.fail(w, r, http.StatusInternalServerError, faulty) })
			next.ServeHTTP(w, r)
		}
	})
}

// loopback reports whether a request's host is this machine under a name that
// nobody else can claim.
func loopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// static serves the style sheet and the icon.
func static() http.Handler {
	files := http.FileServerFS(staticFiles)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/") { // no listings
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Cache-Control", "max-age=300")
		files.ServeHTTP(w, r)
	})
}

// errorPage is what the error template shows.
type errorPage struct {
	frame
	Code    int
	What    string // the status in words
	Message string
}

// fail answers with an error page.
func (s *server) fail(w http.ResponseWriter, r *http.Request, code int, message string) {
	s.render(w, r, code, "error.html", errorPage{
		frame: s.newFrame(r, http.StatusText(code), model.Now{}), Code: code, What: http.StatusText(code), Message: message,
	})
}

// faulty is what the reader is told of what is ours to repair.
const faulty = "Something went wrong here. The log of px web has the cause."

// failWith maps an error to its page. Only what is ours to repair is logged.
func (s *server) failWith(w http.ResponseWriter, r *http.Request, err error) {
	var faults model.FieldErrors
	switch {
	case errors.As(err, &faults):
		s.fail(w, r, http.StatusBadRequest, "This address cannot be read: "+faults.Error()+".")
	case errors.Is(err, model.ErrNotFound):
		s.fail(w, r, http.StatusNotFound, "There is no such action, or it is not for everybody to see.")
	case errors.Is(err, model.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		w.Header().Set("Retry-After", "5")
		s.fail(w, r, http.StatusServiceUnavailable, "The database does not answer. Nothing is lost; try again in a moment.")
	case r.Context().Err() != nil: // the reader has gone
	default:
		s.o.Log.Error().Err(err).Str("path", r.Pattern).Msg("page failed")
		s.fail(w, r, http.StatusInternalServerError, faulty)
	}
}

// render writes a page that was rendered whole, so that a fault in a template
// never leaves half of one.
func (s *server) render(w http.ResponseWriter, r *http.Request, code int, name string, data any) {
	var page bytes.Buffer
	if err := s.templates.ExecuteTemplate(&page, name, data); err != nil {
		s.o.Log.Error().Err(err).Str("template", name).Msg("page not rendered")
		http.Error(w, "page not rendered", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(code)
	if r.Method == http.MethodHead {
		return
	}
	if _, err := page.WriteTo(w); err != nil {
		s.o.Log.Debug().Err(err).Msg("page not sent")
	}
}
