package main

import (
	"encoding"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/pxactions/px/internal/files"
	"github.com/pxactions/px/internal/holidays"
	"github.com/pxactions/px/internal/ratelimit"
	"github.com/pxactions/px/notify"
	"github.com/pxactions/px/producer"
	"github.com/pxactions/px/tasks"
)

// Settings is every setting of every process. Each is a flag and a PX_*
// variable; the flag wins. Those tagged secret, and URLs with a password in them,
// are taken from the environment alone. check reports all faults at once.
type Settings struct {
	DatabaseURL  string       `env:"PX_DATABASE_URL" secret:"password" placeholder:"URL" help:"PostgreSQL, such as postgres://px@db/px, or with a replica postgres://px@db1,db2/px?target_session_attrs=read-write. px dev and px demo run a private one without it; the other processes refuse to start."`
	RedisURL     string       `env:"PX_REDIS_URL" secret:"password" placeholder:"URL" help:"Redis, such as redis://cache:6379/0, rediss:// (TLS) or unix://; Sentinel: redis+sentinel://host1:26379,host2:26379/mymaster; a cluster: redis+cluster://host1:6379,host2:6379. Same rule."`
	DatabasePool setting[int] `env:"PX_DATABASE_POOL" default:"16" help:"Connections to PostgreSQL, at most."`
	RedisPool    setting[int] `env:"PX_REDIS_POOL" default:"64" help:"Connections to Redis, at most; in a cluster, to each node."`

	RateLimit      setting[int] `env:"PX_RATE_LIMIT" default:"200" help:"Requests a second that px producer and px web each take of one API key; 0: any number."`
	RateBurst      setting[int] `env:"PX_RATE_BURST" default:"400" help:"Requests that an API key may make at once before PX_RATE_LIMIT counts."`
	IntakeRequests setting[int] `env:"PX_INTAKE_REQUESTS" default:"128" help:"Requests that px producer has in hand at the same time, at most; what comes beyond gets 503 with Retry-After."`
	IntakeBytes    setting[int] `env:"PX_INTAKE_BYTES" default:"67108864" help:"Bytes that px producer holds for them, at most, 1 KiB for each event included; likewise."`

	ProducerAddr string `env:"PX_PRODUCER_ADDR" default:"127.0.0.1:8080" help:"Where px producer takes feedback in."`
	WebAddr      string `env:"PX_WEB_ADDR" default:"127.0.0.1:8081" help:"Where px web serves pages and the asynq dashboard, over plain HTTP: outside loopback, behind a proxy that ends TLS."`
	WebLogin     string `env:"PX_WEB_LOGIN" default:"auto" help:"auto: the pages ask for a login unless PX_WEB_ADDR is a loopback address; always: there, too."`
	WebProxies   string `env:"PX_WEB_PROXIES" placeholder:"LIST" help:"Proxies before px web, with commas: CIDRs, addresses. They are believed about whom a request comes from (X-Forwarded-For)."`
	OpsAddr      string `env:"PX_OPS_ADDR" default:"127.0.0.1:9090" help:"Where the process serves /healthz, /readyz and /metrics; port 0 takes a free one, empty serves none. Of several processes on one machine, the first has the default and the others take free ports."`
	LinkBase     string `env:"PX_LINK_BASE" default:"http://127.0.0.1:8081" help:"URL of the pages, for the links in messages."`

	SubjectKey string `env:"PX_SUBJECT_KEY" secret:"" placeholder:"SECRET" help:"Key of the hash of patient and visit numbers, 16 characters at least; the same in every px producer and px web. Needed by px producer, and by px web for actions made by hand about a patient."`

	FilesURL   string       `env:"PX_FILES_URL" default:"file:px-files" placeholder:"URL" help:"Where the files of actions are kept: a folder, such as file:///srv/px-files, or a bucket that speaks S3, such as s3://px-files?region=eu-central-1, with credentials from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or the machine's role; the same for px web and px worker. px dev and px demo have a folder of their own."`
	FilesLimit setting[int] `env:"PX_FILES_LIMIT" default:"26214400" help:"Bytes that a file may have, at most."`

	IntakeURL string `env:"PX_INTAKE_URL" default:"http://127.0.0.1:8080" help:"Where px send sends to."`
	APIKey    string `env:"PX_API_KEY" secret:"" placeholder:"KEY" help:"The API key that px send shows."`

	LogLevel  string `env:"PX_LOG_LEVEL" default:"info" help:"debug, info, warn or error."`
	LogFormat string `env:"PX_LOG_FORMAT" default:"auto" help:"json, console, or auto: console on a terminal."`

	ConcurrencyIntake     setting[int] `env:"PX_CONCURRENCY_INTAKE" default:"64" help:"Creation tasks at the same time in one worker."`
	ConcurrencyEscalation setting[int] `env:"PX_CONCURRENCY_ESCALATION" default:"256" help:"Deadline and escalation tasks at the same time."`
	ConcurrencyReminder   setting[int] `env:"PX_CONCURRENCY_REMINDER" default:"512" help:"Reminder tasks at the same time."`
	ConcurrencyMessage    setting[int] `env:"PX_CONCURRENCY_MESSAGE" default:"32" help:"Deliveries at the same time."`
	CreateBatch           setting[int] `env:"PX_CREATE_BATCH" default:"100" help:"Feedback in one creation task, at most."`

	DrainTimeout  setting[time.Duration] `env:"PX_DRAIN_TIMEOUT" default:"30s" help:"How long a worker may finish what it has begun after SIGTERM."`
	SweepInterval setting[time.Duration] `env:"PX_SWEEP_INTERVAL" default:"2s" help:"Time between two sweeps of the scheduler."`
	SweepGrace    setting[time.Duration] `env:"PX_SWEEP_GRACE" default:"5s" help:"How late work must be before a sweep does it instead of a worker."`
	ClaimLease    setting[time.Duration] `env:"PX_CLAIM_LEASE" default:"90s" help:"How long a message stays with the process that delivers it; longer than a delivery may take."`

	HeartbeatURL string `env:"PX_HEARTBEAT_URL" secret:"" placeholder:"URL" help:"What px scheduler asks for (GET) after all sweeps have ended without error, once a minute at most, so that somebody outside can raise the alarm when it hears nothing; empty: nobody."`

	SMTPHost     string       `env:"PX_SMTP_HOST" placeholder:"HOST" help:"Mail server; empty: no email from here."`
	SMTPPort     setting[int] `env:"PX_SMTP_PORT" default:"0" help:"Its port; 0: 465 for implicit TLS, else 587."`
	SMTPTLS      string       `name:"smtp-tls" env:"PX_SMTP_TLS" default:"starttls" help:"starttls, implicit, opportunistic or none."`
	SMTPUser     string       `env:"PX_SMTP_USER" placeholder:"NAME" help:"User at the mail server; empty: no login."`
	SMTPPassword string       `env:"PX_SMTP_PASSWORD" secret:"" placeholder:"SECRET" help:"Its password."`
	SMTPFrom     string       `env:"PX_SMTP_FROM" placeholder:"ADDRESS" help:"Sender, such as PX Action Center <px@hospital.example>."`

	WebhookSecret string `env:"PX_WEBHOOK_SECRET" secret:"" placeholder:"SECRET" help:"Signs webhooks of users without a secret of their own: whsec_ and base64."`
	WebhookAllow  string `env:"PX_WEBHOOK_ALLOW" placeholder:"LIST" help:"Inside addresses that webhooks may reach, with commas: CIDRs, addresses, host names."`

	FeedAllow string `env:"PX_FEED_ALLOW" placeholder:"LIST" help:"Inside addresses that holiday feeds may be fetched from, over https, with commas: CIDRs, addresses, host names."`
}

// The defaults of PX_OPS_ADDR and PX_FILES_URL.
const (
	defaultOpsAddr  = "127.0.0.1:9090"
	defaultFilesURL = "file:px-files"
)

// setting is a value that remembers why it could not be read, so that all
// faults can be told at once instead of the first.
type setting[T int | time.Duration] struct {
	V   T
	err error
}

// UnmarshalText implements encoding.TextUnmarshaler; it never fails.
func (s *setting[T]) UnmarshalText(b []byte) error {
	switch v := any(&s.V).(type) {
	case *int:
		n, err := strconv.Atoi(string(b))
		*v = n
		if err != nil {
			s.err = errors.New("must be a whole number")
		}
	case *time.Duration:
		d, err := time.ParseDuration(string(b))
		*v = d
		if err != nil {
			s.err = errors.New("must be a time with its unit, such as 500ms, 30s or 5m")
		}
	}
	return nil
}

func (s *setting[T]) fault() error { return s.err }

var _ encoding.TextUnmarshaler = (*setting[int])(nil)

// check finds every fault of the settings, also PX_* variables that name none.
func (s *Settings) check(environ []string) error {
	var faults []error
	add := func(name, want string, args ...any) {
		faults = append(faults, fmt.Errorf("%s: %s", name, fmt.Sprintf(want, args...)))
	}
	s.checkNumbers(add)
	for name, v := range map[string]string{"PX_PRODUCER_ADDR": s.ProducerAddr, "PX_WEB_ADDR": s.WebAddr, "PX_OPS_ADDR": s.OpsAddr} {
		if _, _, err := net.SplitHostPort(v); err != nil && v != "" {
			add(name, "must be host:port, such as 127.0.0.1:8080")
		}
	}
	if !slices.Contains([]string{"auto", "always"}, s.WebLogin) {
		add("PX_WEB_LOGIN", "must be auto or always")
	}
	if _, err := s.webProxies(); err != nil {
		add("PX_WEB_PROXIES", "%v", err)
	}
	if u, err := url.Parse(s.DatabaseURL); s.DatabaseURL != "" && (err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql") {
		add("PX_DATABASE_URL", "must be a PostgreSQL URL such as postgres://user@host/db")
	}
	if err := tasks.CheckRedisURL(s.RedisURL); s.RedisURL != "" && err != nil {
		add("PX_REDIS_URL", "%v", err)
	}
	if u, err := url.Parse(s.LinkBase); s.LinkBase != "" && (err != nil || u.Host == "") {
		add("PX_LINK_BASE", "must be an http:// or https:// URL")
	}
	if u, err := url.Parse(s.HeartbeatURL); s.HeartbeatURL != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		add("PX_HEARTBEAT_URL", "must be an http:// or https:// URL")
	}
	if _, err := files.New(s.FilesURL); err != nil {
		add("PX_FILES_URL", "%v", err)
	}
	if _, err := zerolog.ParseLevel(s.LogLevel); err != nil || s.LogLevel == "" {
		add("PX_LOG_LEVEL", "must be debug, info, warn or error")
	}
	if !slices.Contains([]string{"json", "console", "auto"}, s.LogFormat) {
		add("PX_LOG_FORMAT", "must be json, console or auto")
	}
	if s.SubjectKey != "" && len(s.SubjectKey) < 16 {
		add("PX_SUBJECT_KEY", "must have 16 characters at least")
	}
	if _, err := notify.New(s.notify(zerolog.Nop(), time.Now)); err != nil {
		add("PX_SMTP_* and PX_WEBHOOK_*", "%v", err)
	}
	if _, err := s.fetcher(); err != nil {
		add("PX_FEED_ALLOW", "%v", err)
	}
	for _, name := range unknownVariables(environ) {
		add(name, "no such setting; px help lists them all")
	}
	slices.SortFunc(faults, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(faults...)
}

func (s *Settings) checkNumbers(add func(name, want string, args ...any)) {
	v := reflect.ValueOf(s).Elem()
	for i := range v.NumField() {
		name := v.Type().Field(i).Tag.Get("env")
		f, ok := v.Field(i).Addr().Interface().(interface{ fault() error })
		if !ok {
			continue
		}
		least := int64(1)
		switch name {
		case "PX_SMTP_PORT", "PX_RATE_LIMIT":
			least = 0
		case "PX_INTAKE_BYTES": // else the largest request would never be taken
			least = producer.DefaultMaxBody + producer.DefaultMaxItems*producer.EventBytes
		}
		if err := f.fault(); err != nil {
			add(name, "%v", err)
		} else if v.Field(i).Field(0).Int() < least {
			add(name, "must be %d at least", least)
		}
	}
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// webLogin reports whether the pages ask for a login.
func (s *Settings) webLogin() bool {
	host, _, err := net.SplitHostPort(s.WebAddr)
	return s.WebLogin == "always" || err != nil || !loopback(host)
}

// webProxies reads PX_WEB_PROXIES.
func (s *Settings) webProxies() ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, e := range entries(s.WebProxies) {
		e = strings.TrimSpace(e)
		p, err := netip.ParsePrefix(e)
		if addr, addrErr := netip.ParseAddr(e); addrErr == nil {
			p, err = addr.Prefix(addr.BitLen())
		}
		if err != nil {
			return nil, errors.New("each entry must be a CIDR or an address, such as 10.0.0.0/8 or 10.1.2.3")
		}
		all = append(all, p)
	}
	return all, nil
}

// unknownVariables are the PX_* variables that name no setting: most likely
// mistyped ones.
func unknownVariables(environ []string) []string {
	known := map[string]bool{}
	t := reflect.TypeFor[Settings]()
	for i := range t.NumField() {
		known[t.Field(i).Tag.Get("env")] = true
	}
	var unknown []string
	for _, kv := range environ {
		name, _, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, "PX_") && !known[name] {
			unknown = append(unknown, name)
		}
	}
	return unknown
}

// fetcher fetches holiday feeds.
func (s *Settings) fetcher() (*holidays.Fetcher, error) {
	return holidays.NewFetcher(holidays.Settings{Allow: entries(s.FeedAllow)})
}

// limiter limits the requests of each API key; nil: not at all.
func (s *Settings) limiter() *ratelimit.Limiter {
	return ratelimit.New(s.RateLimit.V, s.RateBurst.V, time.Now)
}

// entries are those of a list with commas.
func entries(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ",")
}

func (s *Settings) notify(log zerolog.Logger, now func() time.Time) notify.Settings {
	return notify.Settings{
		Log: log,
		Now: now,
		Email: notify.EmailSettings{
			Host: s.SMTPHost, Port: s.SMTPPort.V, TLS: s.SMTPTLS, User: s.SMTPUser, Password: s.SMTPPassword, From: s.SMTPFrom,
		},
		Webhook: notify.WebhookSettings{Secret: s.WebhookSecret, Allow: entries(s.WebhookAllow)},
	}
}

// logger writes JSON lines, or readable ones on a terminal, to stderr.
func (s *Settings) logger(process string) zerolog.Logger {
	level, _ := zerolog.ParseLevel(s.LogLevel)
	console := s.LogFormat == "console"
	if info, err := os.Stderr.Stat(); s.LogFormat == "auto" && err == nil {
		console = info.Mode()&os.ModeCharDevice != 0
	}
	base := zerolog.New(os.Stderr)
	if console {
		base = zerolog.New(zerolog.ConsoleWriter{Out: os.Stderr, TimeFormat: time.TimeOnly})
	}
	return base.Level(level).With().Timestamp().Str("process", process).Logger()
}
