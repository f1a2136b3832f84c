package web_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/internal/problem"
	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/store"
	"github.com/pxactions/px/web"
)

// service is a running server of the action API, with a key that may do all.
type service struct {
	*site
	srv       *httptest.Server
	key       string
	described *description
}

func newService(t *testing.T, policy ...byte) *service {
	t.Helper()
	if len(policy) == 0 {
		policy = scenario.NoAck()
	}
	s := &service{site: newSiteOf(t, policy), described: newDescription()}
	s.srv = httptest.NewServer(s.h)
	t.Cleanup(s.srv.Close)
	s.key = s.newKey(t, nil)
	return s
}

// newKey makes an API key of every scope that change may alter.
func (s *site) newKey(t *testing.T, change func(*model.APIKey)) string {
	t.Helper()
	k := &model.APIKey{Name: "test", SourceSystem: "desk", Scopes: model.Of(store.Scopes())}
	if change != nil {
		change(k)
	}
	secret, err := s.Store.CreateKey(t.Context(), k)
	require.NoError(t, err)
	return secret
}

// reply is an answer, its body read.
type reply struct {
	status int
	header http.Header
	body   string
}

func (r reply) action(t *testing.T) web.Action {
	t.Helper()
	require.Less(t, r.status, 300, "%s", r.body)
	return into[web.Action](t, r)
}

func (r reply) problem(t *testing.T, status int, code string) problem.Problem {
	t.Helper()
	p := into[problem.Problem](t, r)
	require.Equal(t, status, r.status, "%s", r.body)
	assert.Equal(t, code, p.Code)
	assert.Equal(t, status, p.Status)
	assert.Equal(t, problem.ProblemType, r.header.Get("Content-Type"))
	return p
}

func into[T any](t *testing.T, r reply) T {
	t.Helper()
	var v T
	d := json.NewDecoder(strings.NewReader(r.body))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(&v), "%d %s", r.status, r.body)
	return v
}

// as is a header that names the person who acts; "": the key itself.
func as(person string, more ...string) []string {
	return append([]string{"On-Behalf-Of", person}, more...)
}

// do sends a request with headers given as name, value, ….
func (s *service) do(t *testing.T, method, path, body string, headers ...string) reply {
	t.Helper()
	r, err := s.try(t, method, path, body, headers...)
	require.NoError(t, err)
	return r
}

func (s *service) try(t *testing.T, method, path, content string, headers ...string) (reply, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.srv.URL+path, strings.NewReader(content))
	if err != nil {
		return reply{}, err
	}
	req.Header.Set("Authorization", "Bearer "+s.key)
	if content != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Del(headers[i])
		if headers[i+1] != "" {
			req.Header.Set(headers[i], headers[i+1])
		}
	}
	res, err := s.srv.Client().Do(req)
	if err != nil {
		return reply{}, err
	}
	b, err := io.ReadAll(res.Body)
	r := reply{res.StatusCode, res.Header, string(b)}
	if err == nil {
		s.described.check(t, req, r)
	}
	return r, errors.Join(err, res.Body.Close())
}

func (s *service) move(t *testing.T, a model.Action, m model.Move, content string, headers ...string) reply {
	t.Helper()
	return s.do(t, http.MethodPost, "/v1/actions/"+a.Ref+"/"+string(m), content, headers...)
}
