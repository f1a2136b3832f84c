package producer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/internal/metrics"
	"github.com/pxactions/px/internal/testenv"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/producer"
	"github.com/pxactions/px/store"
	"github.com/pxactions/px/tasks"
)

// queue is a queue that can be away.
type queue struct {
	mu   sync.Mutex
	away bool
	got  []model.FeedbackID
}

func (q *queue) Enqueue(_ context.Context, e tasks.Effects) ([]tasks.Arm, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.away {
		return nil, fmt.Errorf("%w: no Redis", model.ErrUnavailable)
	}
	q.got = append(q.got, e.Create...)
	return nil, nil
}

func (q *queue) ids() []model.FeedbackID {
	q.mu.Lock()
	defer q.mu.Unlock()
	return append([]model.FeedbackID(nil), q.got...)
}

// world is an intake with a database of its own: hospital RUH with the
// department ED, hospital JED, the survey INPATIENT with a known scale, the
// survey NPS, and the nurse u-1. Source system "his" calls RUH "H-1" and ED
// "emergency".
type world struct {
	t        testing.TB
	store    *store.Store
	engine   *engine.Engine
	queue    *queue
	log      *bytes.Buffer
	server   *httptest.Server
	producer *producer.Producer
	RUH      model.HospitalID
	JED      model.HospitalID
	ED       model.DepartmentID
}

const keyTTL = 100 * time.Millisecond

func setup(t testing.TB, options ...func(*producer.Options)) *world {
	t.Helper()
	s, err := store.Open(testenv.DatabaseURL(t), store.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	w := &world{t: t, store: s, queue: &queue{}, log: &bytes.Buffer{}}
	w.seed()
	log := zerolog.New(zerolog.SyncWriter(w.log))
	w.engine = engine.New(engine.Options{Store: s, Queue: w.queue, Metrics: metrics.New(), Log: log, SubjectKey: []byte("a key for the subjects of tests")})
	t.Cleanup(w.engine.Close)
	o := producer.Options{Engine: w.engine, Log: log, KeyTTL: keyTTL}
	for _, change := range options {
		change(&o)
	}
	p, err := producer.New(o)
	require.NoError(t, err)
	w.serve(p)
	return w
}

func (w *world) serve(p *producer.Producer) {
	w.producer, w.server = p, httptest.NewServer(p)
	w.t.Cleanup(w.server.Close)
}

func decodeInto(r io.Reader, v any) error { return json.NewDecoder(r).Decode(v) }

func (w *world) seed() {
	w.t.Helper()
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	w.RUH, w.JED, w.ED = model.NewID[model.Hospital](), model.NewID[model.Hospital](), model.NewID[model.Department]()
	one, five := 1.0, 5.0
	rows := []any{
		&[]model.Hospital{
			{ID: w.RUH, Code: "RUH", Name: "Riyadh", Zone: "Asia/Riyadh", Active: true, CreatedAt: at, UpdatedAt: at,
				Aliases: model.Of(model.Aliases{"his": {"H-1"}})},
			{ID: w.JED, Code: "JED", Name: "Jeddah", Zone: "Asia/Riyadh", Active: true, CreatedAt: at, UpdatedAt: at, Aliases: model.Of(model.Aliases{})},
			{ID: model.NewID[model.Hospital](), Code: "OLD", Name: "Closed", Zone: "Asia/Riyadh", CreatedAt: at, UpdatedAt: at, Aliases: model.Of(model.Aliases{})},
		},
		&[]model.Department{{ID: w.ED, HospitalID: w.RUH, Code: "ED", Name: "Emergency", Active: true, CreatedAt: at, UpdatedAt: at,
			Aliases: model.Of(model.Aliases{"his": {"emergency"}})}},
		&[]model.User{{ID: model.NewID[model.User](), Code: "u-1", Name: "Nurse", Active: true, CreatedAt: at, UpdatedAt: at,
			Roles: model.Of([]model.Role{}), Channels: model.Of([]model.Channel{}), Aliases: model.Of(model.Aliases{})}},
		&[]model.Survey{
			{ID: model.NewID[model.Survey](), Code: "INPATIENT", Name: "Inpatient", Metric: model.MetricScore, ScoreMin: &one, ScoreMax: &five,
				ScoreBetter: model.BetterHigh, Active: true, CreatedAt: at, UpdatedAt: at, Aliases: model.Of(model.Aliases{})},
			{ID: model.NewID[model.Survey](), Code: "NPS", Name: "NPS", Metric: model.MetricNPS, Active: true, CreatedAt: at, UpdatedAt: at,
				Aliases: model.Of(model.Aliases{})},
		},
	}
	for _, r := range rows {
		_, err := w.store.DB().NewInsert().Model(r).Exec(w.t.Context())
		require.NoError(w.t, err)
	}
}

// alias gives a hospital one more name, as an operator would.
func (w *world) alias(id model.HospitalID, source, name string) {
	w.t.Helper()
	_, err := w.store.DB().NewUpdate().Model((*model.Hospital)(nil)).Set("aliases = ?", model.Of(model.Aliases{source: {name}})).Where("id = ?", id).Exec(w.t.Context())
	require.NoError(w.t, err)
	_, err = w.store.DB().NewRaw("UPDATE directory_version SET version = version + 1").Exec(w.t.Context())
	require.NoError(w.t, err)
}

// key makes an API key of source system "his" with both scopes.
func (w *world) key(change ...func(*model.APIKey)) string {
	w.t.Helper()
	k := &model.APIKey{Name: "test", SourceSystem: "his", Scopes: model.Of(store.Scopes())}
	for _, c := range change {
		c(k)
	}
	secret, err := w.store.CreateKey(w.t.Context(), k)
	require.NoError(w.t, err)
	return secret
}

func quarantining(k *model.APIKey) { k.OnUnmapped = model.UnmappedQuarantine }

// reply is an answer of the intake, its body read.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func (r reply) item(t testing.TB) producer.Item {
	t.Helper()
	return decode[producer.Item](t, r)
}

func (r reply) batch(t testing.TB) producer.Batch {
	t.Helper()
	return decode[producer.Batch](t, r)
}

func (r reply) problem(t testing.TB) producer.Problem {
	t.Helper()
	require.Equal(t, "application/problem+json", r.header.Get("Content-Type"), "%s", r.body)
	return decode[producer.Problem](t, r)
}

func decode[T any](t testing.TB, r reply) T {
	t.Helper()
	var v T
	d := json.NewDecoder(bytes.NewReader(r.body))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(&v), "%s", r.body)
	return v
}

func (w *world) do(method, path, key, contentType, body string) reply {
	w.t.Helper()
	r, err := w.try(method, path, key, contentType, body)
	require.NoError(w.t, err)
	return r
}

func (w *world) try(method, path, key, contentType, body string) (reply, error) {
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.server.URL+path, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	res, err := w.server.Client().Do(req)
	if err != nil {
		return reply{}, err
	}
	b, err := io.ReadAll(res.Body)
	return reply{res.StatusCode, res.Header, b}, errors.Join(err, res.Body.Close())
}

func (w *world) post(key, body string) reply {
	w.t.Helper()
	return w.do(http.MethodPost, "/v1/feedback", key, "application/json", body)
}

func (w *world) count() int {
	w.t.Helper()
	n, err := w.store.DB().NewSelect().Model((*model.Feedback)(nil)).Count(w.t.Context())
	require.NoError(w.t, err)
	return int(n)
}

// now is the domain clock, shifted and in the wire's form.
func (w *world) now(shift time.Duration) string {
	w.t.Helper()
	n, err := w.store.Now(w.t.Context())
	require.NoError(w.t, err)
	return n.Domain.Add(shift).Format(time.RFC3339)
}

// complaint is a sound event with an id.
func complaint(id string, more ...string) string {
	return `{"event_id":"` + id + `","source_type":"complaint","hospital":"RUH"` + strings.Join(append([]string{""}, more...), ",") + `}`
}
