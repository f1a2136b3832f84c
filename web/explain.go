package web

import (
	"context"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/store"
)

// whyPage is an explanation in words, for people.
type whyPage struct {
	frame
	Ref, Text string
}

func (s *server) why(w http.ResponseWriter, r *http.Request) {
	e, err := s.explanation(r, r.PathValue("ref"))
	if err != nil {
		s.failWith(w, r, err)
		return
	}
	s.render(w, r, http.StatusOK, "why.html", whyPage{frame: s.newFrame(r, "Why "+e.Ref, model.Now{}), Ref: e.Ref, Text: e.Text()})
}

// explanation explains an action that is for the reader to see.
func (s *server) explanation(r *http.Request, ref string) (*engine.Explanation, error) {
	a, err := s.seen(r, ref)
	if err != nil {
		return nil, err
	}
	e, err := engine.Explain(r.Context(), s.o.Store, a.ID.String())
	if err != nil {
		return nil, err
	}
	if e.Restricted != a.Restricted {
		return nil, errUnseen // it became so meanwhile
	}
	e.Linked, err = inSight(r.Context(), s.o.Store, e.Linked, func(a *model.Action) bool { return s.sees(r, a) })
	return e, err
}

// inSight are those of some actions, by ref, that a reader sees.
func inSight(ctx context.Context, st *store.Store, refs []string, sees func(*model.Action) bool) ([]string, error) {
	var kept []string
	for _, ref := range refs {
		a, err := st.ActionByRef(ctx, ref)
		if err != nil {
			return nil, err
		}
		if sees(a) {
			kept = append(kept, ref)
		}
	}
	return kept, nil
}

// prefersText reports whether an Accept header asks for plain text more than for
// JSON.
func prefersText(accept string) bool {
	return quality(accept, "text/plain", "text/*") > quality(accept, "application/json", "application/*", "*/*")
}

// quality is how much an Accept header wants one of some media ranges; 0: not at
// all.
func quality(accept string, ranges ...string) float64 {
	best := 0.0
	for part := range strings.SplitSeq(accept, ",") {
		kind, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		q := 1.0
		if given, err := strconv.ParseFloat(params["q"], 64); err == nil {
			q = given
		}
		for _, wanted := range ranges {
			if kind == wanted {
				best = max(best, q)
			}
		}
	}
	return best
}
