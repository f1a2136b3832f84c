package producer_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/producer"
	"github.com/pxactions/px/store"
)

func TestAcceptedFeedbackIsARow(t *testing.T) {
	t.Parallel()
	w := setup(t)
	key := w.key()
	received := w.now(-time.Hour)
	r := w.post(key, `{"event_id":" e1 ","source_type":"survey","source_ref":"R_3","source_object":{"content_type":"surveys.response","object_id":"0190A000-0000-7000-8000-000000000001"},
		"subject":"mrn-1","hospital":"H-1","department":"emergency","survey":"INPATIENT","kind":"","score":{"value":"2"},"sentiment":null,"category":"service_quality",
		"severity":"high","title":"Patientwort","text":"Patientwort","involved_users":["u-1","u-1"],"restricted":"true","received_at":"`+received+`","metadata":{"b":1,"a":"x"}}`)
	require.Equal(t, http.StatusAccepted, r.status, "%s", r.body)
	it := r.item(t)
	assert.Equal(t, "accepted", it.Status)
	assert.Equal(t, "e1", it.EventID)
	assert.Equal(t, received, it.ReceivedAt.Format(time.RFC3339))

	id, err := model.ParseID[model.Feedback](it.ID)
	require.NoError(t, err)
	row, err := w.store.Feedback(t.Context(), id)
	require.NoError(t, err)
	assert.Equal(t, w.RUH, *row.HospitalID)
	assert.Equal(t, w.ED, *row.DepartmentID)
	assert.NotNil(t, row.SurveyID)
	assert.Equal(t, 2.0, *row.Score)
	assert.Len(t, row.Involved.V, 1)
	assert.True(t, row.Restricted)
	assert.Len(t, row.SubjectKey, 64)
	assert.JSONEq(t, `{"a":"x","b":1}`, string(row.Metadata.V))
	assert.Nil(t, row.Raw)
	assert.Equal(t, "0190a000-0000-7000-8000-000000000001", row.ObjectID.String())
	assert.Equal(t, []model.FeedbackID{id}, w.queue.ids())
	assert.NotContains(t, w.log.String(), "Patientwort")

	got := decode[producer.Feedback](t, w.do(http.MethodGet, "/v1/feedback/"+it.ID, key, "", ""))
	assert.Equal(t, "pending", got.Status)
	got = decode[producer.Feedback](t, w.do(http.MethodGet, "/v1/feedback?event_id=e1", key, "", ""))
	assert.Equal(t, it.ID, got.ID)
}

func TestGoodEventsAreAccepted(t *testing.T) {
	t.Parallel()
	w := setup(t)
	key := w.key()
	tests := []struct{ name, more string }{
		{"nothing but the needed", ``},
		{"nps on its default scale", `,"score":{"value":"7","metric":"nps"}`},
		{"nps by its survey", `,"survey":"NPS","score":{"value":0}`},
		{"a score at its end", `,"score":{"value":5,"min":"1","max":"5.0","better":"low"}`},
		{"absent in every form", `,"department":"","survey":null,"score":{"value":"","min":null},"kpi":"","involved_users":[],"metadata":{},"received_at":"","sentiment":"","restricted":""`},
		{"history of long ago", `,"mode":"history","received_at":"2020-01-01T00:00:00+03:00"`},
		{"a clock a little ahead", `,"received_at":"` + w.now(30*time.Second) + `"`},
		{"just young enough", `,"received_at":"` + w.now(-7*24*time.Hour+time.Minute) + `"`},
		{"a whole surrogate pair in the text", `,"text":"\ud83d\ude00"`},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := w.post(key, fmt.Sprintf(`{"event_id":"g%d","source_type":"complaint","hospital":"RUH"%s}`, i, tt.more))
			require.Equal(t, http.StatusAccepted, r.status, "%s", r.body)
			at := r.item(t).ReceivedAt
			now, err := w.store.Now(t.Context())
			require.NoError(t, err)
			assert.False(t, at.After(now.Domain), "the clock starts in the future")
		})
	}
}

func TestRepeatsGetTheFirstAnswer(t *testing.T) {
	t.Parallel()
	w := setup(t)
	key := w.key()
	first := w.post(key, `{"event_id":"r1","source_type":"survey","hospital":"H-1","survey":"INPATIENT","score":{"value":2},"received_at":"`+w.now(0)+`","metadata":{"a":1,"b":[true]}}`)
	require.Equal(t, http.StatusAccepted, first.status, "%s", first.body)
	received := first.item(t).ReceivedAt.Format(time.RFC3339)

	again := w.post(key, `{ "metadata":{"b":[true],"a":1}, "score":{"value":"2.0","min":""}, "title":"", "mode":"live", "survey":" INPATIENT ",
		"received_at":"`+received+`", "source_type":"survey","event_id":"r1","hospital":"H-1"}`)
	require.Equal(t, http.StatusAccepted, again.status, "%s", again.body)
	assert.Equal(t, "duplicate", again.item(t).Status)
	assert.Equal(t, first.item(t).ID, again.item(t).ID)

	changed := w.post(key, `{"event_id":"r1","source_type":"survey","hospital":"H-1","survey":"INPATIENT","score":{"value":3}}`)
	require.Equal(t, http.StatusConflict, changed.status)
	assert.Equal(t, "event-changed", changed.problem(t).Code)
	assert.Equal(t, first.item(t).ID, changed.problem(t).ID)

	// The same event id of another source system is another event.
	other := w.post(w.key(func(k *model.APIKey) { k.SourceSystem = "crm" }), complaint("r1"))
	require.Equal(t, "accepted", other.item(t).Status)

	// Once decided, the first answer is the decision.
	id, err := model.ParseID[model.Feedback](first.item(t).ID)
	require.NoError(t, err)
	_, err = w.engine.Decide(t.Context(), []model.FeedbackID{id})
	require.NoError(t, err)
	decided := w.post(key, `{"event_id":"r1","source_type":"survey","hospital":"H-1","survey":"INPATIENT","score":{"value":2},"received_at":"`+received+`","metadata":{"a":1,"b":[true]}}`)
	assert.Equal(t, "created", decided.item(t).Decision)
	assert.NotEmpty(t, decided.item(t).ActionID)
	got := decode[producer.Feedback](t, w.do(http.MethodGet, "/v1/feedback/"+first.item(t).ID, key, "", ""))
	assert.Equal(t, "decided", got.Status)
	assert.Equal(t, "score_negative", got.Reason)

	// Nor does it hang on the alias or on the clock.
	w.alias(w.RUH, "his", "H-2")
	now, err := w.store.Now(t.Context())
	require.NoError(t, err)
	require.NoError(t, w.store.SetClock(t.Context(), now.Domain.Add(30*24*time.Hour), 1))
	late := w.post(key, `{"event_id":"r1","source_type":"survey","hospital":"H-1","survey":"INPATIENT","score":{"value":2},"received_at":"`+received+`","metadata":{"a":1,"b":[true]}}`)
	require.Equal(t, http.StatusAccepted, late.status, "%s", late.body)
	assert.Equal(t, "created", late.item(t).Decision)
	assert.Equal(t, 2, w.count())
}

func TestOneEventPostedByManyIsOneRow(t *testing.T) {
	t.Parallel()
	w := setup(t)
	key := w.key()
	const posts = 20
	var wg sync.WaitGroup
	replies, errs := make([]reply, posts), make([]error, posts)
	for i := range posts {
		wg.Go(func() {
			// Batches in opposite orders would lock each other out if nothing sorted them.
			events := []string{complaint("same"), complaint("other")}
			if i%2 == 1 {
				events[0], events[1] = events[1], events[0]
			}
			replies[i], errs[i] = w.try(http.MethodPost, "/v1/feedback", key, "application/json", "["+strings.Join(events, ",")+"]")
		})
	}
	wg.Wait()
	ids, accepted := map[string]string{}, 0
	for i, r := range replies {
		require.NoError(t, errs[i])
		require.Equal(t, http.StatusAccepted, r.status, "%s", r.body)
		b := r.batch(t)
		accepted += b.Accepted
		for _, it := range b.Items {
			if ids[it.EventID] == "" {
				ids[it.EventID] = it.ID
			}
			assert.Equal(t, ids[it.EventID], it.ID)
		}
	}
	assert.Equal(t, 2, accepted)
	assert.Equal(t, 2, w.count())
}

func TestBatchIsAnsweredPerItem(t *testing.T) {
	t.Parallel()
	w := setup(t)
	key := w.key()
	lines := strings.Join([]string{
		complaint("a"), "", complaint("b", `"title":"x"`), `{"event_id":"c", "text":"Patientwort`, complaint("a"), complaint("a", `"title":"other"`), `42`,
		`{"event_id":"d","source_type":"complaint","hospital":"JED"}`, `{"event_id":"e","hospital":"Patientwort"}`,
	}, "\r\n")
	limited := w.key(func(k *model.APIKey) { k.Hospitals = model.Of([]model.HospitalID{w.RUH}) })
	r := w.do(http.MethodPost, "/v1/feedback", limited, "application/x-ndjson; charset=utf-8", lines)
	require.Equal(t, http.StatusAccepted, r.status, "%s", r.body)
	b := r.batch(t)
	var got []string
	for i, it := range b.Items {
		assert.Equal(t, i, it.Index)
		got = append(got, fmt.Sprintf("%d %s %d", it.Line, it.Status, it.Code))
	}
	assert.Equal(t, []string{
		"1 accepted 202", "3 accepted 202", "4 error 400", "5 duplicate 202", "6 error 409", "7 error 400", "8 error 403", "9 error 422",
	}, got)
	assert.Equal(t, [4]int{2, 1, 0, 5}, [4]int{b.Accepted, b.Duplicates, b.Quarantined, b.Failed})
	assert.Equal(t, int64(len(`{"event_id":"c", "text":"Patientwort`)), *b.Items[2].Problem.Offset)
	assert.Equal(t, "hospital-not-allowed", b.Items[6].Problem.Code)
	assert.NotContains(t, string(r.body), "Patientwort")
	assert.NotContains(t, w.log.String(), "Patientwort")

	r = w.post(key, `[{"event_id":"e"},`+complaint("a", `"title":"other"`)+`]`)
	assert.Equal(t, http.StatusUnprocessableEntity, r.status, "all refused: the first one's status")
	assert.Equal(t, 2, r.batch(t).Failed)
	assert.Equal(t, 2, w.count())

	// What a limited key may not write it may not read either.
	foreign := w.post(key, `{"event_id":"j","source_type":"complaint","hospital":"JED"}`).item(t)
	assert.Equal(t, http.StatusNotFound, w.do(http.MethodGet, "/v1/feedback/"+foreign.ID, limited, "", "").status)
	assert.Equal(t, http.StatusOK, w.do(http.MethodGet, "/v1/feedback/"+foreign.ID, key, "", "").status)
}

func TestRequestsRefusedWhole(t *testing.T) {
	t.Parallel()
	w := setup(t)
	key := w.key()
	many := "[" + strings.Repeat(complaint("x")+",", producer.DefaultMaxItems) + complaint("x") + "]"
	big := `{"event_id":"big","text":"` + strings.Repeat("x", 11<<20) + `"}`
	lines := strings.Repeat("{}\n", producer.DefaultMaxItems+1)
	tests := []struct {
		name, contentType, body string
		status                  int
		code                    string
		offset                  int64 // -1: none
	}{
		{"11 MB", "application/json", big, 413, "too-large", -1},
		{"11 MB of lines", "application/x-ndjson", strings.Repeat(" \n", 11<<19), 413, "too-large", -1},
		{"one event of 2 MB", "application/json", `{"text":"` + strings.Repeat("x", 2<<20) + `"}`, 413, "too-large", -1},
		{"10,001 items", "application/json", many, 413, "too-many-items", -1},
		{"10,001 lines", "application/x-ndjson", lines, 413, "too-many-items", -1},
		{"no content type", "", complaint("x"), 415, "media-type", -1},
		{"a form", "application/x-www-form-urlencoded", "a=b", 415, "media-type", -1},
		{"another charset", "application/json; charset=latin1", complaint("x"), 415, "media-type", -1},
		{"nothing", "application/json", " ", 400, "unreadable", 0},
		{"no lines", "application/x-ndjson", "\n\n", 400, "unreadable", 0},
		{"an empty list", "application/json", "[]", 400, "unreadable", 2},
		{"half an object", "application/json", `{"event_id":"x"`, 400, "unreadable", 15},
		{"no JSON", "application/json", `{"event_id":Patientwort}`, 400, "unreadable", 13},
		{"half an array", "application/json", `[{"event_id":"x"}`, 400, "unreadable", 17},
		{"an array with a fault", "application/json", `[{"event_id":"x"},Patientwort]`, 400, "unreadable", 19},
		{"two arrays", "application/json", `[{"event_id":"x"}][]`, 400, "unreadable", 19},
		{"two objects", "application/json", `{"event_id":"x"}{}`, 400, "unreadable", 17},
		{"a number", "application/json", `42`, 400, "unreadable", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := w.do(http.MethodPost, "/v1/feedback", key, tt.contentType, tt.body)
			require.Equal(t, tt.status, r.status, "%.300s", r.body)
			p := r.problem(t)
			assert.Equal(t, tt.code, p.Code)
			assert.Equal(t, tt.status, p.Status)
			assert.NotContains(t, string(r.body), "Patientwort")
			if tt.offset < 0 {
				assert.Nil(t, p.Offset)
				return
			}
			require.NotNil(t, p.Offset)
			assert.Equal(t, tt.offset, *p.Offset)
		})
	}
}

func TestTenThousandItemsInOneRequest(t *testing.T) {
	t.Parallel()
	w := setup(t)
	var b strings.Builder
	for i := range producer.DefaultMaxItems {
		b.WriteString(complaint(fmt.Sprintf("m%d", i)) + "\n")
	}
	r := w.do(http.MethodPost, "/v1/feedback", w.key(), "application/x-ndjson", b.String())
	require.Equal(t, http.StatusAccepted, r.status)
	assert.Equal(t, producer.DefaultMaxItems, r.batch(t).Accepted)
	assert.Equal(t, producer.DefaultMaxItems, w.count())
	assert.Len(t, w.queue.ids(), producer.DefaultMaxItems)
}

func TestInProcessAccept(t *testing.T) {
	t.Parallel()
	w := setup(t)
	score := 2.0
	src := engine.Source{System: "his"}
	ev := engine.Event{
		EventID: "p1", SourceType: model.SourceSurvey, Hospital: "H-1", Survey: "INPATIENT", Score: &engine.Score{Value: &score},
		Metadata: map[string]any{"n": 1, "s": []string{"x"}},
	}
	rs, err := producer.Accept(t.Context(), w.engine, src, ev, ev, engine.Event{EventID: "p2"})
	require.NoError(t, err)
	require.Len(t, rs, 3)
	assert.Equal(t, engine.ReceiptAccepted, rs[0].Status)
	assert.Equal(t, engine.ReceiptDuplicate, rs[1].Status)
	var fields model.FieldErrors
	require.ErrorAs(t, rs[2].Err, &fields)

	// Over HTTP it is the same event.
	r := w.post(w.key(), `{"event_id":"p1","source_type":"survey","hospital":"H-1","survey":"INPATIENT","score":{"value":"2"},"metadata":{"s":["x"],"n":1}}`)
	assert.Equal(t, rs[0].ID.String(), r.item(t).ID)

	_, err = producer.Accept(t.Context(), w.engine, engine.Source{}, ev)
	require.Error(t, err)
	rs, err = producer.Accept(t.Context(), w.engine, src, engine.Event{
		EventID: "p3", SourceType: model.SourceComplaint, Hospital: "RUH", Text: "\xff", Metadata: map[string]any{"f": func() {}},
	})
	require.NoError(t, err)
	require.ErrorAs(t, rs[0].Err, &fields)
	assert.Len(t, fields, 2)
}

func TestRedisAwayLosesNothing(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.queue.away = true
	r := w.post(w.key(), complaint("x"))
	require.Equal(t, http.StatusAccepted, r.status, "%s", r.body)
	assert.Equal(t, 1, w.count())
	_, err := w.store.DB().NewRaw("UPDATE feedback SET heal_after = clock_timestamp()").Exec(t.Context())
	require.NoError(t, err)
	ids, _, err := w.store.LateFeedback(t.Context(), store.Keyset{}, 10)
	require.NoError(t, err)
	assert.Len(t, ids, 1, "left to the sweep")
}
