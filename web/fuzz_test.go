package web

import (
	"bytes"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

// faultName is the name of a field in a refusal: never somebody's words.
var faultName = regexp.MustCompile(`^((complainant_informed\.)?[A-Za-z_][A-Za-z0-9_.-]{0,63}|(complainant_informed\.)?\(a key that is not a name\))$`)

// checkFaults fails for a refusal that is neither of named fields nor of a form,
// or that quotes what marks the sender's words.
func checkFaults(t *testing.T, err error) {
	t.Helper()
	var faults model.FieldErrors
	var bad *badRequest
	switch {
	case errors.As(err, &faults):
		require.NotEmpty(t, faults)
		for _, f := range faults {
			require.Regexp(t, faultName, f.Field)
			require.NotEmpty(t, f.Code)
			require.NotEmpty(t, f.Want)
			require.NotContains(t, f.Want, "Zainab")
		}
	case errors.As(err, &bad):
		require.Contains(t, []int{400, 413, 415}, bad.status)
		require.NotEmpty(t, bad.code)
		require.NotContains(t, bad.title+bad.detail, "Zainab")
	default:
		require.NoError(t, err, "no refusal of ours")
	}
}

// fuzzDirectory has a hospital, a department and a nurse.
func fuzzDirectory() *sla.Directory {
	h := model.Hospital{ID: model.NewID[model.Hospital](), Code: "RUH", Zone: "Asia/Riyadh", Active: true}
	d := model.Department{ID: model.NewID[model.Department](), HospitalID: h.ID, Code: "ED", Active: true}
	u := model.User{ID: model.NewID[model.User](), Code: "ruh-reem", Active: true}
	return sla.NewDirectory(1, []model.Hospital{h}, []model.Department{d}, []model.User{u}, nil)
}

// FuzzListQuery looks for queries that panic, that are taken for another list than
// they ask for, or whose refusal names no parameter.
func FuzzListQuery(f *testing.F) {
	dir := fuzzDirectory()
	f.Fuzz(func(t *testing.T, raw string) {
		r := &http.Request{Method: http.MethodGet, URL: &url.URL{Path: "/v1/actions", RawQuery: raw}}
		c := &call{r: r, Actor: engine.Actor{Standing: store.Standing{Dir: dir}}}
		got, _, err := c.filter()
		if err != nil {
			checkFaults(t, err)
			return
		}
		require.True(t, got.Limit >= 0 && got.Limit <= maxPage && got.Escalated >= 0 && got.Escalated <= 100)
		require.True(t, got.Order == "" || slices.Contains(store.ActionOrders(), got.Order))
		for _, at := range []time.Time{got.DueFrom, got.DueTo} {
			require.True(t, at.IsZero() || storable(at), "%s", at)
		}
		for _, s := range got.Statuses {
			require.Contains(t, model.Statuses(), s)
		}
		// What is asked for by a name must be asked for of the store.
		asked, err := url.ParseQuery(raw)
		require.NoError(t, err)
		require.Equal(t, strings.TrimSpace(asked.Get("hospital")) != "", len(got.Hospitals) == 1)
		require.Equal(t, strings.TrimSpace(asked.Get("department")) != "", !got.Department.IsZero())
		require.Equal(t, strings.TrimSpace(asked.Get("assignee")) != "", !got.Assignee.IsZero())
		for name := range asked {
			require.Contains(t, namesOf[ListQuery](), name)
		}
	})
}

// FuzzMoveBody looks for bodies of moves that panic or that are refused without a
// field's name.
func FuzzMoveBody(f *testing.F) {
	f.Fuzz(func(t *testing.T, move uint8, raw []byte) {
		all := append(model.Moves(), "")
		var v any = &manualAction{}
		if m := all[int(move)%len(all)]; m != "" {
			v = bodyOf(m)
		}
		r := httptest.NewRequest(http.MethodPost, "/v1/actions", bytes.NewReader(raw))
		r.Header.Set("Content-Type", "application/json")
		c := &call{r: r, w: httptest.NewRecorder(), Actor: engine.Actor{Standing: store.Standing{Dir: fuzzDirectory()}}}
		got, err := c.readBody(v)
		if err != nil {
			checkFaults(t, err)
			return
		}
		require.True(t, bytes.Equal(got, raw) || string(got) == "{}")
		if b, ok := v.(*dueMove); ok && b.DueAt != nil {
			require.True(t, storable(*b.DueAt), "%s", b.DueAt)
		}
		if b, ok := v.(*noteMove); ok {
			require.LessOrEqual(t, len([]rune(b.Text)), 20_000)
		}
	})
}

// FuzzHeaders looks for headers of a move that are read as more than they say.
func FuzzHeaders(f *testing.F) {
	f.Fuzz(func(t *testing.T, tag, once, person string, present int64) {
		version, err := ifMatch([]string{tag}, present)
		if err != nil {
			checkFaults(t, err)
		} else if version == present && present > 0 {
			// A version that was meant is written in its quotes.
			require.Contains(t, tag, `"`)
		}
		r := &http.Request{Header: http.Header{"Idempotency-Key": {once}, "On-Behalf-Of": {person}}}
		if key, err := onceKey(r); err != nil {
			checkFaults(t, err)
		} else {
			require.Equal(t, once, key)
			require.Regexp(t, `^[!-~]{1,200}$`, key)
		}
		if who, err := onBehalfOf(r); err != nil {
			require.ErrorIs(t, err, model.ErrForbidden)
		} else {
			require.NotEmpty(t, who)
		}
	})
}

// FuzzForm looks for forms that panic, that hide something behind the file, or
// that are refused without a field's name.
func FuzzForm(f *testing.F) {
	f.Fuzz(func(t *testing.T, raw []byte) {
		r := httptest.NewRequest(http.MethodPost, "/v1/actions/x/attachments", bytes.NewReader(raw))
		r.Header.Set("Content-Type", "multipart/form-data; boundary=b")
		var req engine.AttachRequest
		file, err := readForm(r, &req)
		var taken []byte
		if err == nil {
			taken, err = io.ReadAll(file)
		}
		if err != nil {
			checkFaults(t, err)
			return
		}
		require.LessOrEqual(t, len(req.Description), maxField)
		parts := multipart.NewReader(bytes.NewReader(raw), "b")
		for last := ""; ; {
			part, err := parts.NextPart()
			if errors.Is(err, io.EOF) {
				require.Equal(t, "file", last)
				return
			}
			require.NoError(t, err)
			content, err := io.ReadAll(part)
			require.NoError(t, err)
			if last = part.FormName(); last == "file" {
				require.True(t, bytes.Equal(content, taken))
			}
		}
	})
}
