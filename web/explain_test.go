package web_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/store"
	"github.com/pxactions/px/web"
)

// ask asks for an explanation as a program does that accepts some media types.
func ask(t *testing.T, h http.Handler, key, ref, accept string) *http.Response {
	t.Helper()
	req := httptest.NewRequest(http.MethodGet, "/v1/actions/"+ref+"/explain", nil)
	req.Host = "localhost"
	req.Header.Set("Authorization", "Bearer "+key)
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	return rec.Result()
}

func TestExplainSpeaksJSONAndWords(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	a := s.decide(t, s.Complaint(model.SeverityHigh))
	s.fire(t, a.ID, 2)
	key := s.newKey(t, nil)
	for _, tt := range []struct{ name, ref, accept, kind string }{
		{"JSON by default", a.Ref, "", "application/json"},
		{"JSON to whoever takes anything", a.Ref, "*/*", "application/json"},
		{"JSON to a browser", a.Ref, "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "application/json"},
		{"JSON by id", a.ID.String(), "application/json", "application/json"},
		{"words", a.Ref, "text/plain", "text/plain; charset=utf-8"},
		{"words before anything else", strings.ToLower(a.Ref), "text/plain, */*;q=0.1", "text/plain; charset=utf-8"},
		{"JSON before words", a.Ref, "text/plain;q=0.5, application/json", "application/json"},
		{"JSON where words are refused", a.Ref, "text/plain;q=0, application/json;q=0", "application/json"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			res := ask(t, s.h, key, tt.ref, tt.accept)
			page := body(t, res)
			if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != tt.kind {
				t.Fatalf("explain = %d %s, want %s", res.StatusCode, res.Header.Get("Content-Type"), tt.kind)
			}
			hasNot(t, page, "Waited for hours", "Nobody came")
			if strings.HasPrefix(tt.kind, "text") {
				has(t, page, a.Ref, "WHY IS THERE AN ACTION?", "WHO GETS IT?", "BY WHEN?", "WHAT HAS HAPPENED", "WHAT COMES NEXT", "It is overdue.")
				return
			}
			var e engine.Explanation
			if err := json.Unmarshal([]byte(page), &e); err != nil || e.Ref != a.Ref || !e.Overdue || len(e.Next) == 0 || e.Due.Target != 48*3600 {
				t.Errorf("JSON = %s (%v)", page, err)
			}
		})
	}
}

func TestThePageLinksToWhy(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	a := s.decide(t, s.Complaint(model.SeverityHigh))
	_, page := s.get(t, "/actions/"+a.Ref)
	has(t, page, `href="/actions/`+a.Ref+`/why"`)
	code, why := s.get(t, "/actions/"+a.Ref+"/why")
	if code != http.StatusOK {
		t.Errorf("why = %d", code)
	}
	has(t, why, "WHY IS THERE AN ACTION?", `href="/actions/`+a.Ref+`"`)
	f := s.Complaint(model.SeverityLow)
	f.Restricted = true
	for _, ref := range []string{"RUH-26-9999999", s.decide(t, f).Ref} {
		if code, page := s.get(t, "/actions/"+ref+"/why"); code != http.StatusNotFound || strings.Contains(page, "WHY IS") {
			t.Errorf("why of %s = %d", ref, code)
		}
	}
}

func TestExplainSaysThatTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	st, err := store.Open("postgres://nobody@127.0.0.1:1/none", store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	e := engine.New(engine.Options{Store: st})
	t.Cleanup(e.Close)
	h, err := web.New(web.Options{Store: st, Engine: e, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	res := ask(t, h, "px_some", "RUH-26-0000001", "")
	if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
		t.Errorf("explain = %d, want 503", res.StatusCode)
	}
}
