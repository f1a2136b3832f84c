package web_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/internal/problem"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/web"
)

func TestFilesGoInAndOut(t *testing.T) {
	t.Parallel()
	s := newService(t)
	a, b := s.decide(t, s.Complaint(model.SeverityLow)), s.decide(t, s.Complaint(model.SeverityLow))
	up := func(body, person string, more ...string) reply {
		return s.do(t, http.MethodPost, "/v1/actions/"+a.Ref+"/attachments", body, append(as(person, "Content-Type", formHeader), more...)...)
	}
	r := up(form, "ruh-reem", "X-Request-Id", "up-1")
	require.Equal(t, 201, r.status, r.body)
	file := into[web.Attachment](t, r)
	assert.Equal(t, "The floor", file.Description)
	assert.True(t, file.IsEvidence)
	assert.Equal(t, "ruh-reem", file.UploadedBy)
	list := into[web.AttachmentList](t, s.do(t, http.MethodGet, "/v1/actions/"+a.Ref+"/attachments", ""))
	assert.Equal(t, []web.Attachment{file}, list.Attachments)
	at := r.header.Get("Location")
	got := s.do(t, http.MethodGet, at, "", as("ruh-salmaz")...)
	require.Equal(t, 200, got.status)
	assert.Equal(t, "Dry now.", got.body)
	assert.Equal(t, `"`+file.SHA256+`"`, got.header.Get("ETag"))
	assert.True(t, strings.HasPrefix(got.header.Get("Content-Disposition"), "attachment; filename*=utf-8''"), got.header.Get("Content-Disposition"))
	assert.Equal(t, "nosniff", got.header.Get("X-Content-Type-Options"))
	assert.Contains(t, got.header.Get("Content-Security-Policy"), "sandbox")
	assert.Equal(t, 304, s.do(t, http.MethodGet, at, "", "If-None-Match", got.header.Get("ETag")).status)
	assert.Equal(t, 404, s.do(t, http.MethodGet, "/v1/actions/"+b.Ref+"/attachments/"+file.ID, "").status, "of another action")
	assert.Equal(t, 404, s.do(t, http.MethodGet, "/v1/actions/"+a.Ref+"/attachments/none", "").status)
	log := into[web.Timeline](t, s.do(t, http.MethodGet, "/v1/actions/"+a.Ref+"/timeline", "")).Log
	assert.Equal(t, "up-1", log[len(log)-1].Metadata["request_id"])

	const end = "--b--\r\n"
	field := func(name, value string) string {
		return "--b\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n"
	}
	for _, tt := range []struct {
		name, body string
		status     int
	}{
		{"no file", field("description", "x") + end, 422},
		{"an unknown field", field("colour", "x") + form, 422},
		{"evidence or not", field("is_evidence", "perhaps") + form, 422},
		{"a field behind the file", strings.TrimSuffix(form, end) + field("description", "late") + end, 422},
		{"half of it", form[:len(form)-12], 400},
		{"no form", "x", 422},
		{"an empty file", strings.Replace(form, "Dry now.", "", 1), 422},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := up(tt.body, "ruh-reem")
			assert.Equal(t, tt.status, r.status, r.body)
			assert.NotEmpty(t, into[problem.Problem](t, r).Code)
		})
	}
	assert.Equal(t, 415, up(form, "ruh-reem", "Content-Type", "application/json").status)
	assert.Equal(t, 403, up(form, "ruh-ceo").status)
	assert.Equal(t, 404, up(form, "ber-hoffmann").status)
	assert.Equal(t, 412, up(form, "ruh-reem", "If-Match", `"1"`).status)
	s.Exec("UPDATE actions SET status = 'closed', next_at = NULL, next_kind = NULL, next_stage = NULL WHERE id = ?", a.ID)
	up(form, "ruh-reem").problem(t, 409, problem.IllegalMove)
	assert.Equal(t, 1, s.Count("SELECT count(*) FROM action_attachments"))
}
