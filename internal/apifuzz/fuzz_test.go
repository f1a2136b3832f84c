package apifuzz

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/internal/openapi"
	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/producer"
	"github.com/pxactions/px/samples"
	"github.com/pxactions/px/store"
	"github.com/pxactions/px/web"
)

// target is what is fuzzed: both servers over one database.
type target struct {
	*scenario.World
	t      *testing.T
	spec   *spec
	base   map[string]string // of each process
	owner  map[string]string // process by operation
	client *http.Client
	pool   *pool
	log    *safeBuffer

	mu     sync.Mutex
	seen   map[string]map[int]int // answers by operation and status
	faults int
}

// safeBuffer keeps what is logged.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func number(name string, standard uint64) uint64 {
	n, err := strconv.ParseUint(os.Getenv(name), 10, 64)
	if err != nil {
		return standard
	}
	return n
}

// TestNoAnswerIsOutsideTheDescription sends requests of every kind to the running
// handlers and holds every answer against the served description; then the ledger
// must hold.
func TestNoAnswerIsOutsideTheDescription(t *testing.T) {
	t.Parallel()
	requests, seed, workers := number("PX_FUZZ_REQUESTS", 3_000), number("PX_FUZZ_SEED", 1), number("PX_FUZZ_WORKERS", 8)
	t.Logf("PX_FUZZ_REQUESTS=%d PX_FUZZ_SEED=%d PX_FUZZ_WORKERS=%d", requests, seed, workers)
	x := newTarget(t)
	began := time.Now()
	var next atomic.Uint64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := next.Add(1); i <= requests && t.Context().Err() == nil; i = next.Add(1) {
				x.one(seed, i)
				if i%100 == 0 {
					x.work(i)
				}
			}
		})
	}
	wg.Wait()
	x.work(0)
	t.Logf("%d requests in %s", requests, time.Since(began).Round(time.Millisecond))
	x.tell(requests >= enough)
	assert.NotContains(t, x.log.b.String(), marker, "words in the log")
	x.Holds()
	audited, err := x.Engine.Audit(t.Context(), nil)
	require.NoError(t, err)
	assert.Empty(t, audited.Faults)
}

// newTarget starts both servers.
func newTarget(t *testing.T) *target {
	t.Helper()
	x := &target{World: scenario.New(t, samples.Policy), t: t, log: &safeBuffer{}, base: map[string]string{}, owner: map[string]string{}, seen: map[string]map[int]int{}}
	log := zerolog.New(x.log).Level(zerolog.DebugLevel)
	x.Engine = engine.New(engine.Options{
		Store: x.Store, Queue: x.Queue, Notify: x.Engine.Notify, Metrics: x.Metrics, Log: log, SubjectKey: []byte("a key of sixteen bytes, at least"),
		LinkBase: "http://px.test", Files: x.Files,
	})
	t.Cleanup(x.Engine.Close)
	doc, err := openapi.New("fuzzed", producer.Describe, web.Describe)
	require.NoError(t, err)
	intake, err := producer.New(producer.Options{Engine: x.Engine, Log: log, Doc: doc})
	require.NoError(t, err)
	actions, err := web.New(web.Options{Store: x.Store, Engine: x.Engine, Log: log, Doc: doc})
	require.NoError(t, err)
	for process, h := range map[string]http.Handler{"producer": intake, "web": actions} {
		srv := httptest.NewServer(h)
		t.Cleanup(srv.Close)
		x.base[process] = srv.URL
	}
	for _, e := range append(producer.Endpoints(), web.Endpoints()...) {
		x.owner[e.ID] = e.Process
	}
	x.client = &http.Client{
		Transport:     &http.Transport{MaxIdleConnsPerHost: 64},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	t.Cleanup(x.client.CloseIdleConnections)
	x.spec = readSpec(t, x.served("web"))
	assert.Equal(t, string(x.served("producer")), string(x.served("web")))
	x.pool = newPool(x)
	for _, a := range x.Create(x.Complaints(20, model.SeverityMedium)...) {
		x.pool.put("id", a.ID.String())
		x.pool.put("id", a.Ref)
	}
	return x
}

func (x *target) served(process string) []byte {
	x.t.Helper()
	res, err := x.client.Get(x.base[process] + "/openapi.json")
	require.NoError(x.t, err)
	text, err := io.ReadAll(res.Body)
	require.NoError(x.t, err)
	require.NoError(x.t, res.Body.Close())
	return text
}

// one makes the i-th request and checks its answer.
func (x *target) one(seed, i uint64) {
	m := &maker{Rand: rand.New(rand.NewPCG(seed, i)), doc: x.spec.doc, pool: x.pool}
	r := m.request(x.spec)
	process := x.owner[r.op.id]
	r.op = x.operationOf(process, r)
	got, err := send(x.t.Context(), x.client, x.base[process], r)
	if err == nil && got.status != 0 {
		directory := r.op != nil && strings.HasPrefix(r.op.id, "put-") // its codes are nobody's words: an answer may quote them
		if err = r.op.check(r.method, got); err == nil && !directory && strings.Contains(string(got.body), marker) && got.header.Get("Content-Type") == problemType {
			err = fmt.Errorf("a problem with words in it")
		}
	}
	x.count(r, got)
	if err != nil {
		x.fault(fmt.Sprintf("request %d of seed %d: %v\n%s\n%d %v\n%.2000s", i, seed, err, r, got.status, got.header, got.body))
		return
	}
	x.pool.learn(r, got)
}

// operationOf is what a request asks for when all is said and done; nil: nothing
// that the process serves.
func (x *target) operationOf(process string, r request) *operation {
	method := r.method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	path, _, _ := strings.Cut(r.target, "?")
	parts := strings.Split(path, "/")
	for _, op := range x.spec.operations {
		want := strings.Split(op.path, "/")
		if op.method == method && x.owner[op.id] == process && slices.EqualFunc(want, parts, func(w, p string) bool { return w == p || strings.HasPrefix(w, "{") && p != "" }) {
			return &op
		}
	}
	return nil
}

func (x *target) count(r request, got reply) {
	x.mu.Lock()
	defer x.mu.Unlock()
	id := "(none)"
	if r.op != nil {
		id = r.op.id
	}
	if x.seen[id] == nil {
		x.seen[id] = map[int]int{}
	}
	x.seen[id][got.status]++
}

// fault fails the test; of many faults the first are shown.
func (x *target) fault(what string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.faults++; x.faults <= 10 {
		x.t.Error(what)
	}
}

// work does what the other processes would: it decides what came in and takes the
// events that are due; now and then an hour passes.
func (x *target) work(i uint64) {
	if i%500 == 0 && i > 0 {
		x.pool.pass(time.Hour)
	}
	effects := x.Queue.Take()
	_, more, err := x.Store.Create(x.t.Context(), effects.Create)
	assert.NoError(x.t, err)
	x.pool.mu.Lock()
	for _, a := range more.Arm {
		x.pool.keep("id", a.ActionID.String())
	}
	x.pool.mu.Unlock()
	var due []store.DeadlineRef
	now, err := x.Store.Now(x.t.Context())
	assert.NoError(x.t, err)
	err = x.Store.DB().NewRaw("SELECT id AS action_id, gen FROM actions WHERE next_at <= ? ORDER BY id LIMIT 50", now.Domain).Scan(x.t.Context(), &due)
	assert.NoError(x.t, err)
	_, _, err = x.Store.Fire(x.t.Context(), due)
	assert.NoError(x.t, err)
}

// enough is how many requests make it certain that each operation succeeds.
const enough = 10_000

// tell shows how often what was answered, and fails, of so many requests, for
// operations that never succeeded: then their sound requests are none.
func (x *target) tell(many bool) {
	x.t.Helper()
	all := map[int]int{}
	for _, id := range slices.Sorted(maps.Keys(x.seen)) {
		line, _ := json.Marshal(x.seen[id])
		x.t.Logf("%-18s %s", id, line)
		succeeded := id == "(none)"
		for status, n := range x.seen[id] {
			all[status] += n
			succeeded = succeeded || status >= 200 && status < 300
		}
		assert.True(x.t, succeeded || !many, "%s never succeeded", id)
	}
	shown := 0
	for line := range strings.Lines(x.log.b.String()) {
		if strings.Contains(line, `"level":"error"`) && shown < 5 {
			shown++
			x.t.Logf("%.1500s", line)
		}
	}
	line, _ := json.Marshal(all)
	x.t.Logf("all                %s", line)
	assert.True(x.t, !many || len(x.seen) == len(x.spec.operations)+1, "operations that were asked for, and none")
	if x.faults > 10 {
		x.t.Errorf("%d faults in all", x.faults)
	}
}
