package web_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/internal/problem"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/web"
)

func (s *service) put(t *testing.T, kind, list string, headers ...string) reply {
	t.Helper()
	return s.do(t, http.MethodPut, "/v1/directory/"+kind, list, headers...)
}

func (s *service) counts(t *testing.T, kind, list string, headers ...string) [3]int {
	t.Helper()
	r := s.put(t, kind, list, headers...)
	require.Equal(t, http.StatusOK, r.status, "%s", r.body)
	n := into[web.DirectoryCounts](t, r)
	return [3]int{n.Created, n.Changed, n.Unchanged}
}

func TestPeopleAndPlacesAreSetInBulk(t *testing.T) {
	t.Parallel()
	s := newService(t)
	var log bytes.Buffer
	s.Engine.Log = zerolog.New(zerolog.SyncWriter(&log))

	assert.Equal(t, [3]int{1, 0, 0}, s.counts(t, "hospitals", `[{"code":"NEW","name":"New","zone":"Asia/Riyadh"}]`))
	assert.Equal(t, [3]int{2, 0, 0}, s.counts(t, "departments", `[{"hospital":"NEW","code":"ED","name":"Emergency"},{"hospital":"NEW","code":"W1","name":"Ward"}]`))
	people := `[{"code":"new-1","name":"Zebra \ud83e\udd93 \u0646\/x","email":"zebra@example.org","hospital":"NEW","department":"ED","roles":["Staff"],"aliases":{"his":"z1"},
		"substitute":{"user":"new-2","from":"2026-05-01","to":"2026-05-08"}},{"code":"new-2","name":"No 2: [x] # {","hospital":"NEW"}]`
	assert.Equal(t, [3]int{2, 0, 0}, s.counts(t, "users", people, "X-Request-Id", "hr-7"))
	assert.Equal(t, [3]int{0, 0, 2}, s.counts(t, "users", people), "the same again changes nothing")
	dir, err := s.Store.Directory(t.Context())
	require.NoError(t, err)
	u, ok := dir.ResolveUser("his", "z1")
	require.True(t, ok)
	assert.Equal(t, "Zebra 🦓 ن/x", u.Name)
	two, _ := dir.ResolveUser("", "new-2")
	assert.Equal(t, "No 2: [x] # {", two.Name)

	version := s.Count("SELECT version FROM directory_version")
	assert.Equal(t, [3]int{0, 1, 1}, s.counts(t, "users", strings.Replace(people, `"name":"No 2: [x] # {"`, `"name":"2","active":false`, 1)))
	assert.Equal(t, version+1, s.Count("SELECT version FROM directory_version"))
	// What is left out means its default.
	assert.Equal(t, [3]int{0, 1, 0}, s.counts(t, "users", `[{"code":"new-1","name":"Zebra","hospital":"NEW"}]`, as("grp-px")...))
	dir, err = s.Store.Directory(t.Context())
	require.NoError(t, err)
	assert.Empty(t, dir.Users[u.ID].Email)
	assert.Nil(t, dir.Users[u.ID].SubstituteFrom)

	assert.NotContains(t, log.String(), "ebra")
	assert.Contains(t, log.String(), `"request_id":"hr-7"`)
	assert.Equal(t, 1, s.Count(`SELECT count(*) FROM directory_changes WHERE request_id = 'hr-7' AND kind = 'users' AND codes = '["new-1","new-2"]' AND created = 2 AND person_id IS NULL`))
	assert.Equal(t, 5, s.Count("SELECT count(*) FROM directory_changes"))
}

func TestAFaultyListSetsNothing(t *testing.T) {
	t.Parallel()
	s := newService(t)
	before := s.Count("SELECT version FROM directory_version")
	p := s.put(t, "users", `[{"code":"a","name":"A"},{"code":"a","name":"B","hospital":"NOPE"},{"code":"c","name":"C","email":"Zebra","age":7},{"code":"d","name":"D","department":"ED","substitute":{"user":"nobody"}}]`).
		problem(t, http.StatusUnprocessableEntity, problem.Invalid)
	var fields []string
	for _, f := range p.Errors {
		fields = append(fields, f.Field)
		assert.NotContains(t, f.Message, "Zebra")
	}
	assert.Equal(t, []string{"[1].code", "[2].age", "[2].email", "[3].hospital"}, fields)
	p = s.put(t, "departments", `[{"hospital":"RUH","code":"X1","name":"X","manager":"nobody"}]`).problem(t, http.StatusUnprocessableEntity, problem.Invalid)
	assert.Equal(t, "[0].manager", p.Errors[0].Field)

	s.put(t, "users", `{"code":"a"}`).problem(t, http.StatusBadRequest, problem.Unreadable)
	s.put(t, "users", `[{"code":"a"`).problem(t, http.StatusBadRequest, problem.Unreadable)
	s.put(t, "users", "[{\"code\":\"a\",\"name\":\"\xff\"}]").problem(t, http.StatusBadRequest, problem.Unreadable)
	s.put(t, "users", ``).problem(t, http.StatusUnsupportedMediaType, problem.MediaType)
	s.put(t, "users", `["a",null]`).problem(t, http.StatusUnprocessableEntity, problem.Invalid)
	s.put(t, "users", `[{"code":"a","name":"a\u0000b"}]`).problem(t, http.StatusUnprocessableEntity, problem.Invalid)
	s.put(t, "users", "["+strings.Repeat("{},", 10_000)+"{}]").problem(t, http.StatusRequestEntityTooLarge, "too-many-items")
	// Small in bytes, large in memory: ten times as much would take gigabytes.
	s.put(t, "users", `[{"code":"a","name":"A, [B] {C} \",","roles":[`+strings.Repeat(`"",`, 400_000)+`""]}]`).
		problem(t, http.StatusRequestEntityTooLarge, "too-many-items")
	s.put(t, "users", "["+strings.Repeat(" ", 10<<20)+"]").problem(t, http.StatusRequestEntityTooLarge, problem.TooLarge)
	assert.Equal(t, [3]int{}, s.counts(t, "users", `[]`))
	assert.Equal(t, http.StatusNotFound, s.put(t, "surveys", `[]`).status)
	assert.Equal(t, before, s.Count("SELECT version FROM directory_version"))
	assert.Zero(t, s.Count("SELECT count(*) FROM directory_changes"))
}

// TestWhoMayChangeTheDirectory: a key of some hospitals, and a person of one, change
// what is of these, and nothing that is of all.
func TestWhoMayChangeTheDirectory(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ruh := s.newKey(t, func(k *model.APIKey) { k.Hospitals = model.Of([]model.HospitalID{s.Hospital("RUH").ID}) })
	mute := s.newKey(t, func(k *model.APIKey) { k.Scopes = model.Of([]string{"actions:write"}) })
	admin := ""
	for _, u := range s.Dir.Users {
		if u.HospitalID != nil && *u.HospitalID == s.Hospital("RUH").ID && len(u.Roles.V) > 0 && u.Roles.V[0] == model.RolePXAdmin && u.Active {
			admin = u.Code
		}
	}
	require.NotEmpty(t, admin)
	var all string // somebody who belongs to no hospital
	for _, u := range s.Dir.Users {
		if u.HospitalID == nil && u.DepartmentID == nil {
			all = u.Code
		}
	}
	tests := map[string]struct {
		kind, list string
		status     int
	}{
		"own department":         {"departments", `[{"hospital":"RUH","code":"X1","name":"X","manager":"ruh-reem"}]`, 200},
		"another's department":   {"departments", `[{"hospital":"BER","code":"X1","name":"X"}]`, 403},
		"own hospital":           {"hospitals", `[{"code":"RUH","name":"Other","zone":"Asia/Riyadh"}]`, 200},
		"another's hospital":     {"hospitals", `[{"code":"BER","name":"Other"}]`, 403},
		"a new hospital":         {"hospitals", `[{"code":"NEW","name":"Other"}]`, 403},
		"own person":             {"users", `[{"code":"x-1","name":"X","hospital":"RUH"}]`, 200},
		"a person of all":        {"users", `[{"code":"x-2","name":"X"}]`, 403},
		"another's person":       {"users", `[{"code":"x-3","name":"X","hospital":"BER"}]`, 403},
		"away from another":      {"users", `[{"code":"ber-becker","name":"X","hospital":"RUH"}]`, 403},
		"one foreign among many": {"users", `[{"code":"x-4","name":"X","hospital":"RUH"},{"code":"x-5","name":"X","hospital":"BER"}]`, 403},
	}
	if all != "" {
		tests["who was of all"] = struct {
			kind, list string
			status     int
		}{"users", fmt.Sprintf(`[{"code":%q,"name":"X","hospital":"RUH"}]`, all), 403}
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			for who, headers := range map[string][]string{
				"key of a hospital": {"Authorization", "Bearer " + ruh}, "person of a hospital": as(admin),
			} {
				r := s.put(t, tt.kind, tt.list, headers...)
				assert.Equal(t, tt.status, r.status, "%s: %s", who, r.body)
			}
		})
	}
	assert.Zero(t, s.Count("SELECT count(*) FROM users WHERE code = 'x-4'"), "all or nothing")
	own := `[{"code":"x-9","name":"X","hospital":"RUH"}]`
	s.put(t, "users", own, "Authorization", "Bearer "+mute).problem(t, http.StatusForbidden, problem.Scope)
	staff := ""
	for _, u := range s.Dir.Users {
		if len(u.Roles.V) == 1 && u.Roles.V[0] == model.RoleStaff && u.Active {
			staff = u.Code
		}
	}
	p := s.put(t, "users", own, as(staff)...).problem(t, http.StatusForbidden, problem.Forbidden)
	assert.Contains(t, p.Detail, "directory")
}

// TestTenThousandPeopleAtOnce are set within the patience of a caller.
func TestTenThousandPeopleAtOnce(t *testing.T) {
	t.Parallel()
	s := newService(t)
	type person struct {
		Code     string `json:"code"`
		Name     string `json:"name"`
		Email    string `json:"email"`
		Hospital string `json:"hospital"`
	}
	people := make([]person, 10_000)
	for i := range people {
		people[i] = person{fmt.Sprintf("n-%05d", i), fmt.Sprintf("Name %d", i), fmt.Sprintf("n%d@example.org", i), "RUH"}
	}
	list, err := json.Marshal(people)
	require.NoError(t, err)
	start := time.Now()
	assert.Equal(t, [3]int{10_000, 0, 0}, s.counts(t, "users", string(list)))
	t.Logf("10,000 people in %s", time.Since(start))
	start = time.Now()
	assert.Equal(t, [3]int{0, 0, 10_000}, s.counts(t, "users", string(list)))
	t.Logf("and again in %s", time.Since(start))
}
