package web_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/internal/problem"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/store"
	"github.com/pxactions/px/web"
)

func TestAnActionIsWorkedOverHTTP(t *testing.T) {
	t.Parallel()
	s := newService(t)
	a := s.decide(t, s.Complaint(model.SeverityHigh))
	owner := s.Dir.Users[*a.AssignedTo].Code
	got := s.do(t, http.MethodGet, "/v1/actions/"+strings.ToLower(a.Ref), "", as("ruh-reem")...)
	assert.Equal(t, "RUH", got.action(t).Hospital)
	assert.Equal(t, owner, got.action(t).AssignedTo)
	assert.Equal(t, `"1"`, got.header.Get("ETag"))

	started := s.move(t, a, model.MoveStart, "", as(owner, "X-Request-Id", "desk-1", "If-Match", got.header.Get("ETag"))...)
	assert.Equal(t, model.StatusInProgress, started.action(t).Status)
	assert.Equal(t, "desk-1", started.header.Get("X-Request-Id"))
	submitted := s.move(t, a, model.MoveSubmit, `{"action_plan":"A nurse at the door","outcome":"Seen within the hour","root_cause":"staffing",
		"complainant_informed":{"at":"2026-03-02T08:00:00Z","how":"phone"}}`, as(owner)...)
	require.Equal(t, model.StatusPendingApproval, submitted.action(t).Status)
	assert.Equal(t, owner, submitted.action(t).Informed.By)
	own := s.move(t, a, model.MoveApprove, "", as(owner)...).problem(t, http.StatusForbidden, problem.Forbidden)
	assert.Contains(t, own.Detail, "assignee")
	approved := s.move(t, a, model.MoveApprove, "{}", as("ruh-tariq")...)
	assert.Equal(t, model.StatusApproved, approved.action(t).Status)
	closed := s.move(t, a, model.MoveClose, "", as("ruh-tariq")...)
	assert.Equal(t, model.StatusClosed, closed.action(t).Status)
	assert.Nil(t, closed.action(t).Next)

	line := into[web.Timeline](t, s.do(t, http.MethodGet, "/v1/actions/"+a.Ref+"/timeline", ""))
	var start web.LogRow
	for i, l := range line.Log {
		assert.Equal(t, i+1, l.Seq)
		if l.NewStatus == model.StatusInProgress {
			start = l
		}
	}
	assert.Equal(t, owner, start.By)
	assert.Equal(t, "desk-1", start.Metadata["request_id"])
	assert.NotEmpty(t, start.Metadata["key"])
	plan := into[web.Plan](t, s.do(t, http.MethodGet, "/v1/actions/"+a.Ref+"/plan", ""))
	assert.Empty(t, plan.Next)
	assert.NotEmpty(t, plan.Idle)
	s.Holds()
}

func TestMovesAreRefusedWithWhatWouldBeRight(t *testing.T) {
	t.Parallel()
	s := newService(t)
	a := s.decide(t, s.Complaint(model.SeverityLow))
	illegal := s.move(t, a, model.MoveApprove, "", as("ruh-amal")...).problem(t, http.StatusConflict, problem.IllegalMove)
	assert.Equal(t, model.StatusOpen, illegal.ActionStatus)
	assert.Contains(t, illegal.Legal, model.MoveStart)
	assert.Contains(t, illegal.Legal, model.MoveCancel)
	asOwner := s.move(t, a, model.MoveSubmit, "", as(s.Dir.Users[*a.AssignedTo].Code)...).problem(t, http.StatusConflict, problem.IllegalMove)
	assert.Contains(t, asOwner.Legal, model.MoveStart)

	for _, tt := range []struct {
		name   string
		move   model.Move
		body   string
		person string
		status int
		field  string
	}{
		{"a hold without its reason", model.MoveHold, `{}`, "ruh-reem", 422, "reason"},
		{"a body that is none", model.MoveHold, ``, "ruh-reem", 422, "reason"},
		{"an unknown field", model.MoveNote, `{"text":"x","colour":"red"}`, "ruh-reem", 422, "colour"},
		{"a field of another type", model.MoveNote, `{"text":1}`, "ruh-reem", 422, "text"},
		{"a field within", model.MoveSubmit, `{"complainant_informed":{"when":1}}`, "ruh-reem", 422, "complainant_informed.when"},
		{"an object that is none", model.MoveSubmit, `{"complainant_informed":"yes"}`, "ruh-reem", 422, "complainant_informed"},
		{"nobody of that code", model.MoveAssign, `{"assignee":"nobody"}`, "ruh-reem", 422, "assignee"},
		{"no assignee", model.MoveAssign, `{}`, "ruh-reem", 422, "assignee"},
		{"a severity that is none", model.MoveSeverity, `{"severity":"awful"}`, "ruh-reem", 422, "severity"},
		{"no department", model.MoveDepartment, `{"department":"BER/ED"}`, "ruh-reem", 422, "department"},
		{"no deadline", model.MoveDue, `{"reason":"x"}`, "ruh-reem", 422, "due_at"},
		{"a deadline that is none", model.MoveDue, `{"reason":"x","due_at":"tomorrow"}`, "ruh-reem", 422, "due_at"},
		{"a text that is too long", model.MoveNote, `{"text":"` + strings.Repeat("x", 20_001) + `"}`, "ruh-reem", 422, "text"},
		{"words that the database cannot hold", model.MoveNote, `{"text":"\u0000"}`, "ruh-reem", 422, "text"},
		{"no JSON", model.MoveNote, `{"text":`, "ruh-reem", 400, ""},
		{"no object", model.MoveNote, `[1]`, "ruh-reem", 400, ""},
		{"too much", model.MoveNote, `{"text":"` + strings.Repeat("x", 300_000) + `"}`, "ruh-reem", 413, ""},
		{"who may not", model.MoveCancel, `{"reason":"x"}`, "ruh-cmo", 403, ""},
		{"who may not see it", model.MoveNote, `{"text":"x"}`, "ber-hoffmann", 404, ""},
		{"a complaint takes a PX Admin", model.MoveCancel, `{"reason":"x"}`, "ruh-reem", 403, ""},
		{"nobody of the directory", model.MoveNote, `{"text":"x"}`, "ghost", 403, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := s.move(t, a, tt.move, tt.body, as(tt.person)...)
			require.Equal(t, tt.status, r.status, "%s", r.body)
			p := into[problem.Problem](t, r)
			if tt.field != "" {
				require.NotEmpty(t, p.Errors)
				assert.Equal(t, tt.field, p.Errors[0].Field)
			}
			if tt.status == 403 {
				assert.NotEmpty(t, p.Detail)
			}
		})
	}
	assert.Equal(t, 415, s.move(t, a, model.MoveNote, `{"text":"x"}`, "Content-Type", "text/plain").status)
	assert.Equal(t, 401, s.move(t, a, model.MoveNote, `{"text":"x"}`, "Authorization", "").status)
	assert.Equal(t, 405, s.do(t, http.MethodDelete, "/v1/actions/"+a.Ref, "").status)
}

func TestIfMatchGuardsAgainstLostUpdates(t *testing.T) {
	t.Parallel()
	s := newService(t)
	a := s.decide(t, s.Complaint(model.SeverityLow))
	note := func(match string) reply {
		return s.move(t, a, model.MoveNote, `{"text":"x"}`, as("ruh-reem", "If-Match", match)...)
	}
	assert.Equal(t, 200, note(`"1"`).status)
	stale := note(`"1"`).problem(t, http.StatusPreconditionFailed, "stale-version")
	assert.Equal(t, int64(2), stale.Version)
	assert.Equal(t, 412, note(`W/"2"`).status, "a weak one never fits")
	assert.Equal(t, 412, note(`"somebody's"`).status)
	assert.Equal(t, 200, note(`"1", "2"`).status)
	assert.Equal(t, 200, note(`*`).status)
	for _, bad := range []string{"4", `"4`, `"`, `""4"`} {
		assert.Equal(t, 400, note(bad).status, bad)
	}
	assert.Equal(t, int64(4), s.Action(a.ID).Version)
}

func TestAMoveIsMadeOncePerIdempotencyKey(t *testing.T) {
	t.Parallel()
	s := newService(t)
	a, b := s.decide(t, s.Complaint(model.SeverityLow)), s.decide(t, s.Complaint(model.SeverityLow))
	hold := func(a model.Action, reason, person string, more ...string) reply {
		return s.move(t, a, model.MoveHold, `{"reason":"`+reason+`"}`, as(person, append(more, "Idempotency-Key", "k-1")...)...)
	}
	first := hold(a, "x", "ruh-reem", "If-Match", `"1"`)
	require.Equal(t, 200, first.status, first.body)
	assert.Empty(t, first.header.Get("Idempotency-Replayed"))
	again := hold(a, "x", "ruh-reem", "If-Match", `"1"`)
	assert.Equal(t, 200, again.status, "a repeat is neither stale nor illegal")
	assert.Equal(t, "true", again.header.Get("Idempotency-Replayed"))
	assert.Equal(t, `"2"`, again.header.Get("ETag"))
	assert.Equal(t, 200, s.move(t, a, model.MoveNote, `{"text":"x"}`).status)
	assert.Equal(t, `"3"`, hold(a, "x", "ruh-reem").header.Get("ETag"), "its present state")
	hold(a, "y", "ruh-reem").problem(t, http.StatusUnprocessableEntity, "idempotency-key-reused")
	hold(b, "x", "ruh-reem").problem(t, http.StatusUnprocessableEntity, "idempotency-key-reused")
	assert.Equal(t, 200, hold(b, "x", "ruh-majed").status, "somebody else's key is another")
	for _, bad := range []string{"a b", "ä", strings.Repeat("k", 201)} {
		assert.Equal(t, 400, s.move(t, a, model.MoveNote, `{"text":"x"}`, "Idempotency-Key", bad).status, bad)
	}
	refused := []string{"Idempotency-Key", "k-2"}
	assert.Equal(t, 422, s.move(t, b, model.MoveCancel, `{}`, as("ruh-amal", refused...)...).status)
	assert.Equal(t, 200, s.move(t, b, model.MoveCancel, `{"reason":"x"}`, as("ruh-amal", refused...)...).status, "what was refused is not remembered")

	s.Exec("UPDATE idempotency_keys SET created_at = created_at - interval '8 days' WHERE key = 'k-1'")
	n, err := s.Store.ForgetRequests(t.Context(), store.RequestsKept)
	require.NoError(t, err)
	assert.Equal(t, int64(2), n)
	assert.Equal(t, 409, hold(a, "x", "ruh-reem").status, "forgotten: a move of its own")
	s.Holds()
}

func TestOfTheSameRequestsAtOnceOneIsMade(t *testing.T) {
	t.Parallel()
	s := newService(t)
	a, b := s.decide(t, s.Complaint(model.SeverityLow)), s.decide(t, s.Complaint(model.SeverityLow))
	count := func(on func(i int) model.Action, key string) map[int]int {
		var mu sync.Mutex
		var wg sync.WaitGroup
		statuses := map[int]int{}
		for i := range 10 {
			wg.Go(func() {
				r, err := s.try(t, http.MethodPost, "/v1/actions/"+on(i).Ref+"/note", `{"text":"once"}`, "Idempotency-Key", key)
				assert.NoError(t, err)
				mu.Lock()
				defer mu.Unlock()
				statuses[r.status]++
			})
		}
		wg.Wait()
		return statuses
	}
	assert.Equal(t, map[int]int{200: 10}, count(func(int) model.Action { return a }, "one"))
	assert.Equal(t, int64(2), s.Action(a.ID).Version)
	assert.Equal(t, map[int]int{200: 5, 422: 5}, count(func(i int) model.Action { return []model.Action{a, b}[i%2] }, "two"))
	assert.Equal(t, int64(4), s.Action(a.ID).Version+s.Action(b.ID).Version, "one on either of them")
}

func TestWhoMaySeeWhat(t *testing.T) {
	t.Parallel()
	s := newService(t)
	a := s.decide(t, s.Complaint(model.SeverityLow))
	hidden := s.Complaint(model.SeverityLow)
	hidden.Restricted = true
	hidden.Involved = model.Of([]model.UserID{s.User("ruh-tariq").ID})
	h := s.decide(t, hidden)
	limited := s.newKey(t, func(k *model.APIKey) { k.Hospitals = model.Of([]model.HospitalID{s.Hospital("BER").ID}) })
	mute := s.newKey(t, func(k *model.APIKey) { k.Scopes = model.Of([]string{store.ScopeActionsRead}) })
	for _, tt := range []struct {
		name    string
		headers []string
		sees    []string
	}{
		{"a service sees all", nil, []string{h.Ref, a.Ref}},
		{"a reader of restricted ones", as("ruh-reem"), []string{h.Ref, a.Ref}},
		{"who is involved", as("ruh-tariq"), []string{a.Ref}},
		{"a manager", as("ruh-salmaz"), []string{a.Ref}},
		{"the manager of another department", as("ruh-norah"), []string{}},
		{"another hospital", as("ber-hoffmann"), []string{}},
		{"the group", as("grp-px"), []string{h.Ref, a.Ref}},
		{"an auditor without the role of a reader", as("grp-audit"), []string{a.Ref}},
		{"a key of another hospital", []string{"Authorization", "Bearer " + limited}, []string{}},
		{"somebody by a key of another hospital", as("grp-px", "Authorization", "Bearer "+limited), []string{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			list := into[web.ActionList](t, s.do(t, http.MethodGet, "/v1/actions", "", tt.headers...))
			refs := []string{}
			for _, x := range list.Actions {
				refs = append(refs, x.Ref)
			}
			assert.Equal(t, tt.sees, refs)
			for _, x := range []model.Action{a, h} {
				want := http.StatusNotFound
				for _, ref := range tt.sees {
					if ref == x.Ref {
						want = http.StatusOK
					}
				}
				for _, path := range []string{"", "/timeline", "/plan", "/explain"} {
					assert.Equal(t, want, s.do(t, http.MethodGet, "/v1/actions/"+x.Ref+path, "", tt.headers...).status, "%s%s", x.Ref, path)
				}
			}
		})
	}
	assert.Equal(t, 403, s.do(t, http.MethodGet, "/v1/actions", "", as("ruh-reem", "Authorization", "Bearer "+mute)...).status, "a key without on-behalf-of")
	assert.Equal(t, 403, s.do(t, http.MethodPost, "/v1/actions/"+a.Ref+"/note", `{"text":"x"}`, "Authorization", "Bearer "+mute).status, "a key for reading")
	s.Exec("UPDATE users SET active = false WHERE code = 'ruh-majed'")
	s.Exec("UPDATE directory_version SET version = version + 1")
	assert.Equal(t, 403, s.do(t, http.MethodGet, "/v1/actions", "", as("ruh-majed")...).status, "who has left")
}

func TestRequestIDs(t *testing.T) {
	t.Parallel()
	s := newService(t)
	for given, kept := range map[string]bool{"a.b_c-1": true, "": false, "a b": false, strings.Repeat("x", 65): false, "ä": false} {
		got := s.do(t, http.MethodGet, "/v1/actions", "", "X-Request-Id", given).header.Get("X-Request-Id")
		assert.Equal(t, kept, got == given && got != "", "%q", given)
		assert.NotEmpty(t, got)
	}
	assert.NotEmpty(t, s.do(t, http.MethodGet, "/v1/nothing", "").header.Get("X-Request-Id"))
}

func TestListsAreFiltered(t *testing.T) {
	t.Parallel()
	s := newService(t)
	low, high := s.decide(t, s.Complaint(model.SeverityLow)), s.decide(t, s.Complaint(model.SeverityHigh))
	refs := func(query string) string {
		var out []string
		for _, a := range into[web.ActionList](t, s.do(t, http.MethodGet, "/v1/actions?"+query, "")).Actions {
			out = append(out, a.Ref)
		}
		return strings.Join(out, " ")
	}
	both := high.Ref + " " + low.Ref
	due := low.DueAt.UTC().Format("2006-01-02T15:04:05Z")
	for query, want := range map[string]string{
		"":                           both,
		"hospital=RUH&department=ED": both,
		"department=RUH/ED":          both,
		"hospital=BER":               "",
		"severity=high":              high.Ref,
		"severity=high,low":          both,
		"severity=high&severity=low": both,
		"status=closed,cancelled":    "",
		"source=complaint&category=service_quality": both,
		"unassigned=true":                  "",
		"overdue=true":                     "",
		"escalated=1":                      "",
		"due_from=" + due:                  low.Ref,
		"due_to=" + due:                    high.Ref,
		"ref=" + strings.ToLower(high.Ref): high.Ref,
		"text=waited+hou":                  both,
		"text=%22for+waited%22":            "",
		"sort=created":                     low.Ref + " " + high.Ref,
		"sort=severity":                    both,
		"sort=-due":                        low.Ref + " " + high.Ref,
		"limit=1":                          high.Ref,
	} {
		assert.Equal(t, want, refs(query), query)
	}
	counted := into[web.ActionList](t, s.do(t, http.MethodGet, "/v1/actions?limit=1&total=true", "", as("ruh-reem")...))
	assert.Equal(t, &web.Total{Count: 2}, counted.Total)
	assert.Zero(t, into[web.ActionList](t, s.do(t, http.MethodGet, "/v1/actions?total=true", "", as("ruh-norah")...)).Total.Count, "only what they may see")
	first := into[web.ActionList](t, s.do(t, http.MethodGet, "/v1/actions?limit=1", ""))
	assert.Equal(t, low.Ref, refs("limit=1&after="+first.Next))
	for _, bad := range []string{"colour=red", "status=nothing", "hospital=XXX", "department=RUH/XXX", "assignee=ghost", "limit=0", "limit=201", "overdue=1", "due_from=today", "after=x", "sort=colour", "text=-", "total=yes", "escalated=-1", "%zz"} {
		assert.Equal(t, 422, s.do(t, http.MethodGet, "/v1/actions?"+bad, "").status, bad)
	}
}

func TestActionsAreMadeByHand(t *testing.T) {
	t.Parallel()
	s := newService(t)
	make := func(body string, headers ...string) reply {
		return s.do(t, http.MethodPost, "/v1/actions", body, headers...)
	}
	const sound = `{"source_type":"rounds","title":"Wet floor","description":"Ward 3","hospital":"RUH","department":"WARD3","category":"facility","severity":"high","subject":"MRN-1","metadata":{"bed":3}}`
	r := make(sound, as("ruh-saad", "Idempotency-Key", "m-1")...)
	require.Equal(t, 201, r.status, r.body)
	made := into[web.MadeAction](t, r)
	assert.Equal(t, "/v1/actions/"+made.ID, r.header.Get("Location"))
	assert.Nil(t, made.Action, "who made it is not one of its readers")
	a := s.do(t, http.MethodGet, r.header.Get("Location"), "").action(t)
	assert.Equal(t, model.SourceRounds, a.SourceType)
	assert.Equal(t, "WARD3", a.Department)
	first := into[web.Timeline](t, s.do(t, http.MethodGet, r.header.Get("Location")+"/timeline", "")).Log[0]
	assert.Equal(t, []any{"ruh-saad", r.header.Get("X-Request-Id")}, []any{first.By, first.Metadata["request_id"]})
	assert.NotEmpty(t, first.Metadata["key"])
	again := make(sound, as("ruh-saad", "Idempotency-Key", "m-1")...)
	assert.Equal(t, 200, again.status, again.body)
	assert.Equal(t, "true", again.header.Get("Idempotency-Replayed"))
	assert.Equal(t, made.ID, into[web.MadeAction](t, again).ID)
	make(strings.Replace(sound, "Wet", "Dry", 1), as("ruh-saad", "Idempotency-Key", "m-1")...).problem(t, 422, "idempotency-key-reused")
	merged := make(`{"title":"Still wet","hospital":"RUH","department":"WARD3","subject":"MRN-1"}`)
	if joined := into[web.MadeAction](t, merged); joined.Merged {
		assert.Equal(t, 200, merged.status)
		assert.Equal(t, made.ID, joined.ID)
		assert.NotNil(t, joined.Action)
	}
	for _, tt := range []struct {
		name, body string
		headers    []string
		status     int
		field      string
	}{
		{"no title", `{"hospital":"RUH"}`, nil, 422, "title"},
		{"no hospital", `{"title":"x"}`, nil, 422, "hospital"},
		{"a hospital that is none", `{"title":"x","hospital":"XXX"}`, nil, 422, "hospital"},
		{"a department that is none", `{"title":"x","hospital":"RUH","department":"XXX"}`, nil, 422, "department"},
		{"a source that is not made by hand", `{"title":"x","hospital":"RUH","source_type":"survey"}`, nil, 422, "source_type"},
		{"an unknown field", `{"title":"x","hospital":"RUH","text":"y"}`, nil, 422, "text"},
		{"a description that is too long", fmt.Sprintf(`{"title":"x","hospital":"RUH","description":%q}`, strings.Repeat("x", 20_001)), nil, 422, "description"},
		{"a severity that is none", `{"title":"x","hospital":"RUH","severity":"awful"}`, nil, 422, "severity"},
		{"another hospital's person", `{"title":"x","hospital":"RUH"}`, as("ber-kaya"), 403, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := make(tt.body, tt.headers...)
			require.Equal(t, tt.status, r.status, r.body)
			if p := into[problem.Problem](t, r); tt.field != "" {
				require.NotEmpty(t, p.Errors)
				assert.Equal(t, tt.field, p.Errors[0].Field)
			}
		})
	}
	assert.Equal(t, 201, make(`{"title":"x","hospital":"RUH"}`, "Idempotency-Key", strings.Repeat("k", 200)).status)
	s.Holds()
}

func TestWhatCannotBeDecidedYetIsKept(t *testing.T) {
	t.Parallel()
	s := newService(t)
	release := s.Lock("action_logs")
	r := s.do(t, http.MethodPost, "/v1/actions", `{"title":"x","hospital":"RUH"}`, "Idempotency-Key", "later")
	release()
	require.Equal(t, http.StatusAccepted, r.status, r.body)
	kept := into[web.MadeAction](t, r)
	assert.Empty(t, kept.Decision)
	assert.Equal(t, 1, s.Count("SELECT count(*) FROM feedback WHERE id = ? AND decision IS NULL", kept.FeedbackID))
	again := s.do(t, http.MethodPost, "/v1/actions", `{"title":"x","hospital":"RUH"}`, "Idempotency-Key", "later")
	require.Equal(t, http.StatusOK, again.status, again.body)
	assert.Equal(t, kept.FeedbackID, into[web.MadeAction](t, again).FeedbackID)
	assert.Equal(t, 1, s.Count("SELECT count(*) FROM actions"))
}

func TestMovesAreCountedByPerson(t *testing.T) {
	t.Parallel()
	s := newService(t)
	f := s.Complaint(model.SeverityMedium)
	f.SourceType = model.SourceManual
	a := s.decide(t, f)
	ok := func(m model.Move, body, person string) {
		t.Helper()
		require.Equal(t, 200, s.move(t, a, m, body, as(person)...).status)
	}
	ok(model.MoveDue, `{"due_at":"2026-03-20T08:00:00Z","reason":"x"}`, "ruh-reem")
	ok(model.MoveSeverity, `{"severity":"low"}`, "ruh-reem")
	ok(model.MoveSeverity, `{"severity":"medium"}`, "ruh-reem")
	ok(model.MoveHold, `{"reason":"x"}`, "ruh-majed")
	ok(model.MoveResume, `{}`, "ruh-majed")
	ok(model.MoveCancel, `{"reason":"x"}`, "ruh-reem")
	report := func(query, person string) reply {
		return s.do(t, http.MethodGet, "/v1/reports/moves?"+query, "", as(person)...)
	}
	got := into[web.MoveReport](t, report("from=2026-03-01T00:00:00Z&hospital=RUH", "ruh-ceo"))
	require.Len(t, got.People, 2)
	assert.Equal(t, web.PersonRow{Person: "ruh-reem", Name: s.User("ruh-reem").Name, DueOverrides: 1, Downgrades: 1, Cancels: 1}, got.People[0])
	assert.Equal(t, 1, got.People[1].Holds)
	assert.Empty(t, into[web.MoveReport](t, report("from=2026-03-01T00:00:00Z", "ber-ceo")).People)
	assert.Empty(t, into[web.MoveReport](t, report("from=2026-02-01T00:00:00Z&to=2026-03-01T00:00:00Z", "ruh-ceo")).People)
	assert.Equal(t, 403, report("from=2026-03-01T00:00:00Z&hospital=RUH", "ber-ceo").status)
	assert.Equal(t, 403, report("from=2026-03-01T00:00:00Z", "ruh-reem").status)
	assert.Equal(t, 422, report("", "ruh-ceo").status)
	assert.Equal(t, 422, report("from=2024-03-01T00:00:00Z", "ruh-ceo").status, "more than 400 days")
}

// TestARepeatOfGivingAnActionAway: the answer may have got lost, and now its maker
// does not see the action any more.
func TestARepeatOfGivingAnActionAway(t *testing.T) {
	t.Parallel()
	s := newService(t)
	a := s.decide(t, s.Complaint(model.SeverityMedium))
	s.Exec("UPDATE actions SET assigned_to = (SELECT id FROM users WHERE code = 'ruh-bilal') WHERE id = ?", a.ID)
	give := func(to, key string) reply {
		return s.move(t, a, model.MoveDepartment, `{"department":"`+to+`"}`, as("ruh-salmaz", "Idempotency-Key", key)...)
	}
	require.Equal(t, http.StatusNoContent, give("OPD", "k-1").status)
	again := give("OPD", "k-1")
	assert.Equal(t, http.StatusNoContent, again.status, "%s", again.body)
	assert.Equal(t, "true", again.header.Get("Idempotency-Replayed"))
	assert.Equal(t, http.StatusNotFound, give("OPD", "k-2").status)
	assert.Equal(t, http.StatusNotFound, give("ED", "k-1").status)
	assert.Equal(t, http.StatusNotFound, s.move(t, a, model.MoveDepartment, `{"department":"OPD"}`, as("ruh-huda", "Idempotency-Key", "k-1")...).status, "another person's key")
}
