package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/hibiken/asynq"
	"github.com/hibiken/asynqmon"
	"github.com/redis/go-redis/v9"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/tasks"
)

const (
	dashboardRoot = "/asynq"
	// pingTimeout is how long (machine time) Redis has to answer before the
	// dashboard says that it is away.
	pingTimeout = time.Second
)

// dashboard serves asynqmon, which knows neither of our headers nor of a Redis
// that is away.
type dashboard struct {
	s       *server
	redis   redis.UniversalClient
	toRead  console
	toWrite console // for operators; without login there are none
}

// console is one asynqmon.
type console struct {
	mon    http.Handler
	index  []byte // its only page
	policy string
}

// newDashboard prepares asynq's dashboard.
func (s *server) newDashboard() (http.Handler, error) {
	if s.o.Redis == nil {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s.fail(w, r, http.StatusNotFound, "There is no dashboard, as this process runs without Redis.")
		}), nil
	}
	toRead, err := newConsole(s.o.Redis, true)
	if err != nil {
		return nil, err
	}
	toWrite, err := newConsole(s.o.Redis, false)
	return &dashboard{s: s, redis: s.o.Redis, toRead: toRead, toWrite: toWrite}, err
}

func newConsole(client redis.UniversalClient, readOnly bool) (c console, err error) {
	c.mon = asynqmon.New(asynqmon.Options{RootPath: dashboardRoot, RedisConnOpt: borrowed{client}, ReadOnly: readOnly})
	var page recorded
	c.mon.ServeHTTP(&page, &http.Request{Method: http.MethodGet, URL: &url.URL{Path: dashboardRoot}, Header: http.Header{}})
	c.index, c.policy, err = harden(page.Bytes())
	return c, err
}

// queues shows the dashboard to who may look at it, and lets who may do more.
// What they do is logged.
func (s *server) queues(w http.ResponseWriter, r *http.Request) {
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case !s.may(r, model.RightQueues):
		s.fail(w, r, http.StatusForbidden, "The queues are for operators.")
		return
	case !reads && !s.may(r, model.RightOperate):
		s.fail(w, r, http.StatusForbidden, "You may look at the queues, not change them.")
		return
	case !reads && !isChange(r):
		http.Error(w, "There is nothing to change here.", http.StatusNotFound)
		return
	case !reads:
		s.o.Log.Warn().Stringer("user", visitor(r).User.ID).Str("method", r.Method).Str("path", r.URL.Path).Msg("queues changed by hand")
	}
	s.dashboard.ServeHTTP(w, r)
}

// isChange reports whether a request is what the dashboard's buttons send: a queue, a list of
// tasks, or a task by an id such as ours. Another path may be anybody's words; it would be
// logged, and asynq would pause any name, and so write it into Redis.
func isChange(r *http.Request) bool {
	const verb = "(pause|resume|((batch_)?(run|archive|delete|cancel)|(run|archive|delete|cancel)_all))"
	const list = "(active|pending|scheduled|retry|archived|completed)_tasks"
	const id = "[0-9a-z.-]*[0-9a-f]{12}[0-9a-z.]*"
	path := "^" + dashboardRoot + "/api/queues/(" + strings.Join(tasks.Queues(), "|") + ")(/" + list + "(/" + id + ")?)?(:" + verb + ")?$"
	return (r.Method == http.MethodPost || r.Method == http.MethodDelete) && regexp.MustCompile(path).MatchString(r.URL.Path)
}

// harden takes foreign fonts out of asynqmon's page, adds a way back to ours,
// and makes a policy that allows the page's own scripts and no others.
func harden(page []byte) ([]byte, string, error) {
	fonts := regexp.MustCompile(`<link rel="stylesheet" href="https://fonts\.googleapis\.com/[^>]*>`)
	root := []byte(`<div id="root"></div>`)
	if !bytes.Contains(page, root) {
		return nil, "", errors.New("the page of asynq's dashboard is not as expected: is asynqmon another version?")
	}
	page = fonts.ReplaceAll(page, nil)
	page = bytes.Replace(page, []byte("<title>Asynq - Monitoring</title>"), []byte("<title>Queues · PX Action Center</title>"), 1)
	page = bytes.Replace(page, root, []byte(backLink+string(root)), 1)
	scripts := []string{"'self'"}
	for _, m := range regexp.MustCompile(`(?s)<script>(.*?)</script>`).FindAllSubmatch(page, -1) {
		sum := sha256.Sum256(m[1])
		scripts = append(scripts, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'")
	}
	// asynqmon's components write their styles into the page.
	policy := "default-src 'none'; script-src " + strings.Join(scripts, " ") + "; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
		"font-src 'self' data:; connect-src 'self'; manifest-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
	return page, policy, nil
}

const backLink = `<a href="/actions" style="position:fixed;right:16px;top:17px;z-index:2000;padding:6px 12px;border-radius:6px;` +
	`background:#1f4d8f;color:#fff;font:600 13px/1.4 system-ui,sans-serif;text-decoration:none">← Actions</a>`

// ServeHTTP implements http.Handler.
func (d *dashboard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := d.toRead
	if d.s.may(r, model.RightOperate) {
		c = d.toWrite
	}
	if isAsset(r.URL.Path) {
		w.Header().Set("Cache-Control", "max-age=300")
		c.mon.ServeHTTP(w, r)
		return
	}
	api := strings.HasPrefix(r.URL.Path, dashboardRoot+"/api/")
	if err := d.ping(r.Context()); err != nil {
		d.s.o.Log.Debug().Err(err).Msg("dashboard without Redis")
		w.Header().Set("Retry-After", "5")
		if api {
			http.Error(w, "Redis does not answer. Sweeps do the work meanwhile.", http.StatusServiceUnavailable)
			return
		}
		d.s.fail(w, r, http.StatusServiceUnavailable,
			"Redis does not answer, so the queues cannot be shown. No deadline is lost: the sweeps of px scheduler do the work from the database meanwhile.")
		return
	}
	switch {
	case r.URL.Path == dashboardRoot+"/api/redis_info":
		d.redisInfo(w, r)
	case api:
		c.mon.ServeHTTP(w, r)
	default:
		w.Header().Set("Content-Security-Policy", c.policy)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(c.index)
	}
}

// isAsset reports whether a path is one of asynqmon's files. Task ids have dots
// too, so only its own endings count.
func isAsset(p string) bool {
	return strings.HasPrefix(p, dashboardRoot+"/static/") ||
		path.Dir(p) == dashboardRoot && slices.Contains([]string{".ico", ".png", ".json", ".txt"}, path.Ext(p))
}

func (d *dashboard) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	return d.redis.Ping(ctx).Err()
}

// redisInfo answers what asynqmon answers itself only for go-redis's own types
// of client.
func (d *dashboard) redisInfo(w http.ResponseWriter, r *http.Request) {
	var err error
	about := redisAbout{Address: tasks.Address(d.redis), Cluster: tasks.Clustered(d.redis), Info: map[string]string{}}
	if about.Cluster {
		err = d.clusterInfo(r.Context(), &about)
	} else {
		about.RawInfo, err = d.redis.Info(r.Context()).Result()
	}
	if err != nil {
		http.Error(w, "Redis does not tell about itself.", http.StatusServiceUnavailable)
		return
	}
	for line := range strings.Lines(about.RawInfo) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			about.Info[name] = value
		}
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(about); err != nil {
		d.s.o.Log.Debug().Err(err).Msg("redis info not sent")
	}
}

// redisAbout is asynqmon's form of it.
type redisAbout struct {
	Address string            `json:"address"`
	Info    map[string]string `json:"info"`
	RawInfo string            `json:"raw_info"`
	Cluster bool              `json:"cluster"`
	Nodes   string            `json:"raw_cluster_nodes"`
	Queues  []queuePlace      `json:"queue_locations"`
}

// queuePlace is where in a cluster a queue is: the nodes are its master and its
// replicas.
type queuePlace struct {
	Queue string   `json:"queue"`
	Slot  int64    `json:"keyslot"`
	Nodes []string `json:"nodes"`
}

func (d *dashboard) clusterInfo(ctx context.Context, about *redisAbout) (err error) {
	if about.RawInfo, err = d.redis.ClusterInfo(ctx).Result(); err != nil {
		return err
	}
	if about.Nodes, err = d.redis.ClusterNodes(ctx).Result(); err != nil {
		return err
	}
	inspector := asynq.NewInspectorFromRedisClient(d.redis)
	for _, queue := range tasks.Queues() {
		q := queuePlace{Queue: queue}
		if q.Slot, err = inspector.ClusterKeySlot(queue); err != nil {
			return err
		}
		nodes, err := inspector.ClusterNodes(queue)
		if err != nil {
			return err
		}
		for _, n := range nodes {
			q.Nodes = append(q.Nodes, n.Addr)
		}
		about.Queues = append(about.Queues, q)
	}
	return nil
}

// jobAddress is where the dashboard shows a job.
func jobAddress(a tasks.Arm) string {
	return dashboardRoot + "/queues/" + url.PathEscape(tasks.QueueOf(a.Kind)) + "/tasks/" + url.PathEscape(a.ID())
}

// borrowed gives asynq a client that stays ours.
type borrowed struct{ client redis.UniversalClient }

// MakeRedisClient implements asynq.RedisConnOpt.
func (b borrowed) MakeRedisClient() any { return unclosed{b.client} }

var _ asynq.RedisConnOpt = borrowed{}

// unclosed is a client that only its owner closes.
type unclosed struct{ redis.UniversalClient }

// Close does nothing.
func (unclosed) Close() error { return nil }

// recorded keeps an answer in memory.
type recorded struct {
	bytes.Buffer
	header http.Header
}

// Header implements http.ResponseWriter.
func (r *recorded) Header() http.Header {
	if r.header == nil {
		r.header = http.Header{}
	}
	return r.header
}

// WriteHeader implements http.ResponseWriter.
func (r *recorded) WriteHeader(int) {}
