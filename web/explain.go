package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/model"
)

// explain answers why an action is as it is: as JSON, or in words to who accepts
// plain text rather than JSON.
func (s *server) explain(w http.ResponseWriter, r *http.Request) {
	w.Header().Add("Vary", "Accept")
	e, err := s.explanation(r, r.PathValue("id"))
	if err != nil {
		s.problem(w, r, err)
		return
	}
	if prefersText(r.Header.Get("Accept")) {
		s.send(w, r, http.StatusOK, "text/plain; charset=utf-8", []byte(e.Text()))
		return
	}
	body, err := json.Marshal(e)
	if err != nil {
		s.problem(w, r, fmt.Errorf("write the explanation as JSON: %w", err))
		return
	}
	s.send(w, r, http.StatusOK, "application/json", body)
}

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
	s.render(w, r, http.StatusOK, "why.html", whyPage{frame: frame{Page: "Why " + e.Ref}, Ref: e.Ref, Text: e.Text()})
}

// explanation explains an action that is for everybody to see.
func (s *server) explanation(r *http.Request, ref string) (*engine.Explanation, error) {
	e, err := engine.Explain(r.Context(), s.o.Store, ref)
	if err == nil && e.Restricted {
		// Whether it exists is part of what is restricted.
		return nil, fmt.Errorf("restricted: %w", model.ErrNotFound)
	}
	return e, err
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

// problem answers an error of the API (RFC 9457). Only what is ours to repair is
// logged.
func (s *server) problem(w http.ResponseWriter, r *http.Request, err error) {
	code, status, detail := "internal", http.StatusInternalServerError, "The log of px web has the cause."
	switch {
	case errors.Is(err, model.ErrNotFound):
		code, status, detail = "not-found", http.StatusNotFound, "There is no such action, or it is not for everybody to see."
	case errors.Is(err, model.ErrUnavailable):
		w.Header().Set("Retry-After", "5")
		code, status, detail = "unavailable", http.StatusServiceUnavailable, "The database does not answer. Nothing is lost; try again in a moment."
	case r.Context().Err() != nil: // the reader has gone
		return
	default:
		s.o.Log.Error().Err(err).Str("path", r.Pattern).Msg("answer failed")
	}
	body, err := json.Marshal(map[string]any{
		"type": "urn:px:problem:" + code, "title": http.StatusText(status), "status": status, "code": code, "detail": detail,
	})
	if err != nil {
		http.Error(w, detail, status)
		return
	}
	s.send(w, r, status, "application/problem+json", body)
}

func (s *server) send(w http.ResponseWriter, r *http.Request, status int, kind string, body []byte) {
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return
	}
	if _, err := w.Write(body); err != nil {
		s.o.Log.Debug().Err(err).Msg("answer not sent")
	}
}
