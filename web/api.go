package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/internal/openapi"
	"github.com/pxactions/px/internal/problem"
	"github.com/pxactions/px/internal/ratelimit"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

// api answers the action API: keys instead of pages' sessions, JSON instead of
// pages.
type api struct {
	engine *engine.Engine
	keys   *engine.Keyring
	limit  *ratelimit.Limiter
	log    zerolog.Logger
	stream func(http.ResponseWriter, *http.Request, store.ChangeFilter, func(context.Context) error)
	http   http.Handler
}

// call is one request by an actor who may use the endpoint.
type call struct {
	engine.Actor
	w        http.ResponseWriter
	r        *http.Request
	endpoint openapi.Endpoint
	request  string // its id

	whole *http.Request // r without a bound, for what takes long by its nature
	leave func()        // ends r's bound
}

// within bounds how long (machine time) the call waits for the database from now on.
func (c *call) within(d time.Duration) {
	if c.whole == nil {
		c.whole, c.leave = c.r, func() {}
	}
	c.leave()
	ctx, cancel := context.WithTimeout(c.whole.Context(), d)
	c.r, c.leave = c.whole.WithContext(ctx), cancel
}

// handler answers a call, or says why not.
type handler func(c *call) error

// newAPI serves the table of endpoints: each row has its handler, and each
// handler its row.
func (s *server) newAPI(o Options) (*api, error) {
	a := &api{engine: o.Engine, keys: engine.NewKeyring(o.Engine.Store, o.KeyTTL, o.Log), limit: o.Limit, log: o.Log, stream: s.streamChanges}
	handlers := a.handlers()
	mux := http.NewServeMux()
	for _, e := range Endpoints() {
		h := handlers[e.ID]
		if h == nil {
			return nil, fmt.Errorf("web: endpoint %s has no handler", e.ID)
		}
		delete(handlers, e.ID)
		mux.HandleFunc(e.Pattern(), func(w http.ResponseWriter, r *http.Request) { a.answer(w, r, e, h) })
	}
	for id := range handlers {
		return nil, fmt.Errorf("web: handler %s is in no row of the table of endpoints", id)
	}
	mux.HandleFunc("/", o.Doc.Unknown(processName))
	a.http = openapi.Exact(mux)
	return a, nil
}

func (a *api) handlers() map[string]handler {
	hs := map[string]handler{
		opList: a.list, opMake: a.create, opGet: a.get, opTimeline: a.timeline, opPlan: a.plan, opExplain: a.explain, opMoveReport: a.moveReport,
		opAttach: a.attach, opFiles: a.files, opFile: a.file, opEvents: a.events,
	}
	for _, m := range moves() {
		hs[moveOp(m)] = func(c *call) error { return a.move(c, m) }
	}
	for _, k := range sla.DirectoryKinds() {
		hs[directoryOp(k)] = func(c *call) error { return a.putDirectory(c, k) }
	}
	return hs
}

// ServeHTTP implements http.Handler.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	problem.RequestID(w, r)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	defer problem.Contain(a.log, "request panicked", w, r, func() {
		problem.Write(w, problem.New(http.StatusInternalServerError, problem.Internal, "Something went wrong here", ""))
	})
	a.http.ServeHTTP(w, r)
}

// answer lets in who may use the endpoint, and answers them.
func (a *api) answer(w http.ResponseWriter, r *http.Request, e openapi.Endpoint, h handler) {
	c := &call{w: w, r: r, endpoint: e, request: w.Header().Get(problem.RequestHeader)}
	c.within(answerTime)
	defer func() { c.leave() }()
	key, err := a.keys.Allow(c.r.Context(), problem.SecretOf(r), e.Scope, a.engine.AcceptTimeout)
	person := ""
	if err == nil {
		if refused := a.limit.Admit(w.Header(), key.ID); refused != nil {
			a.engine.Metrics.Shed.WithLabelValues("rate").Inc()
			problem.Write(w, refused)
			return
		}
		person, err = onBehalfOf(r)
	}
	if err == nil {
		c.Actor, err = a.engine.Actor(c.r.Context(), key, person)
	}
	if err == nil {
		err = h(c)
	}
	if err != nil {
		a.refuse(c, err)
	}
}

// onBehalfOf is the code of the person whom a request names; empty: it has no
// such header. One that is blank, or there twice, names nobody, which is not to
// act as the key itself.
func onBehalfOf(r *http.Request) (string, error) {
	values := r.Header.Values("On-Behalf-Of")
	if len(values) == 0 {
		return "", nil
	}
	person := strings.TrimSpace(values[0])
	if person == "" || len(values) > 1 {
		return "", fmt.Errorf("%w: On-Behalf-Of is to name one person, or not to be there", model.ErrForbidden)
	}
	return person, nil
}

// refuse answers with the problem of an error. Only what is ours to repair is
// logged as an error.
func (a *api) refuse(c *call, err error) {
	if c.r.Context().Err() != nil && errors.Is(err, context.Canceled) {
		return // nobody is there to be answered
	}
	p := c.problem(err)
	switch {
	case p.Status == http.StatusServiceUnavailable:
		a.log.Warn().Err(err).Str("request_id", c.request).Msg("request not answered: the database is away")
	case p.Status >= http.StatusInternalServerError:
		a.log.Error().Err(err).Str("request_id", c.request).Str("route", c.r.Pattern).Msg("request failed")
	default:
		a.log.Debug().Str("request_id", c.request).Str("route", c.r.Pattern).Int("status", p.Status).Str("code", p.Code).Msg("request refused")
	}
	problem.Write(c.w, p)
}

// action is the one that the path names, by id or ref. One that the actor may
// not see is not there. What the endpoint needs besides seeing it is asked here,
// but for moves: those are asked in their own transaction.
func (c *call) action(a *api) (*model.Action, error) {
	row, err := a.engine.Store.ActionByRef(c.r.Context(), c.r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	if !c.Access.May(model.RightView, row) && !c.steppedIn(a, row) {
		return nil, fmt.Errorf("not for this actor: %w", model.ErrNotFound)
	}
	right := c.endpoint.Right
	if right != model.RightView && !model.Valid(model.Move(right), model.Moves()) && !c.Access.May(right, row) {
		return nil, c.lacks(right)
	}
	return row, nil
}

// steppedIn is stepsIn for whom the key acts for.
func (c *call) steppedIn(a *api, row *model.Action) bool {
	limits := c.Key.Hospitals.V
	if c.User == nil || len(limits) > 0 && !slices.Contains(limits, row.HospitalID) {
		return false
	}
	return stepsIn(c.r.Context(), a.engine.Store, c.User.ID, row)
}

// stepsIn reports whether a person decides on the action's approval, as one whom
// the SLA config names for approvers who have let their time run out: to that end
// they see it.
func stepsIn(ctx context.Context, st *store.Store, who model.UserID, row *model.Action) bool {
	if row.Status != model.StatusPendingApproval {
		return false
	}
	approve := sla.MoveRequest{Move: model.MoveApprove, Actor: &who}
	return st.TryMove(ctx, store.Move{ActionID: row.ID, Request: approve}) == nil
}

// lacks is the refusal of who has not a right.
func (c *call) lacks(right model.Right) error {
	who := "an API key without a person"
	if c.User != nil {
		who = c.User.Code
	}
	return fmt.Errorf("%w: %s lacks the right to %s here, which takes one of %s", model.ErrForbidden, who, right, words(model.Holders(right)))
}

func words[T ~string](vs []T) string {
	out := make([]string, len(vs))
	for i, v := range vs {
		out[i] = string(v)
	}
	return strings.Join(out, ", ")
}
