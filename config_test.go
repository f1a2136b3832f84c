package main

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
)

// settingsFrom reads settings as the program does.
func settingsFrom(t *testing.T, args ...string) *Settings {
	t.Helper()
	var c struct {
		Settings
		Go struct{} `cmd:""`
	}
	p, err := kong.New(&c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Parse(append(args, "go")); err != nil {
		t.Fatal(err)
	}
	return &c.Settings
}

func TestDefaultsAreValid(t *testing.T) {
	t.Parallel()
	s := settingsFrom(t)
	if err := s.check(nil); err != nil {
		t.Fatal(err)
	}
	if s.DrainTimeout.V != 30*time.Second || s.ConcurrencyIntake.V != 64 {
		t.Errorf("drain %v, intake %d", s.DrainTimeout.V, s.ConcurrencyIntake.V)
	}
}

func TestAllFaultsAreToldAtOnce(t *testing.T) {
	t.Parallel()
	s := settingsFrom(t, "--concurrency-intake=abc", "--drain-timeout=30", "--log-level=loud", "--web-addr=0.0.0.0", "--web-login=never", "--web-proxies=10.0.0.0/8,proxy",
		"--database-url=mysql://x", "--redis-url=redis+cluster://a/1", "--subject-key=short", "--create-batch=0", "--heartbeat-url=ftp://beat/s3cret", "--smtp-host=mail", "--smtp-from=nobody", "--feed-allow=http://x",
		"--files-url=s3://key:secret@bucket", "--files-limit=0", "--rate-limit=-1", "--rate-burst=0", "--intake-bytes=1000000", "--intake-requests=0")
	err := s.check([]string{"PX_LOG_LEVEL=loud", "PX_TYPO=1", "HOME=/root"})
	if err == nil {
		t.Fatal("no fault found")
	}
	for _, name := range []string{
		"PX_CONCURRENCY_INTAKE: must be a whole number", "PX_DRAIN_TIMEOUT: must be a time with its unit", "PX_LOG_LEVEL: must be",
		"PX_WEB_ADDR: must be host:port", "PX_WEB_LOGIN: must be auto or always", "PX_WEB_PROXIES: each entry must be", "PX_DATABASE_URL: must be", "PX_REDIS_URL: a cluster has no databases", "PX_SUBJECT_KEY: must have 16", "PX_TYPO: no such setting",
		"PX_CREATE_BATCH: must be 1 at least", "PX_HEARTBEAT_URL: must be an http:// or https:// URL", "PX_SMTP_* and PX_WEBHOOK_*: email.from",
		"PX_FEED_ALLOW: feed.allow: each entry must be", "PX_FILES_URL: must hold no credentials", "PX_FILES_LIMIT: must be 1 at least", "PX_RATE_LIMIT: must be 0 at least", "PX_RATE_BURST: must be 1 at least",
		"PX_INTAKE_BYTES: must be 20725760 at least", "PX_INTAKE_REQUESTS: must be 1 at least",
	} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("missing %q in:\n%v", name, err)
		}
	}
	if strings.Contains(err.Error(), "HOME") || strings.Contains(err.Error(), "mysql://x") || strings.Contains(err.Error(), "secret@") || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("tells too much:\n%v", err)
	}
}

func TestOutsideLoopbackALoginIsAlwaysNeeded(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		addr, login string
		want        bool
	}{
		{"127.0.0.1:8081", "auto", false},
		{"localhost:8081", "auto", false},
		{"[::1]:8081", "auto", false},
		{"127.0.0.1:8081", "always", true},
		{"0.0.0.0:8081", "auto", true},
		{":8081", "auto", true},
		{"[::]:8081", "auto", true},
		{"10.1.2.3:8081", "auto", true},
		{"px.hospital.example:8081", "auto", true},
	} {
		s := settingsFrom(t, "--web-addr="+tt.addr, "--web-login="+tt.login)
		if err := s.check(nil); err != nil || s.webLogin() != tt.want {
			t.Errorf("%s %s: login %t, %v", tt.addr, tt.login, s.webLogin(), err)
		}
	}
	s := settingsFrom(t, "--web-proxies=10.0.0.0/8, 192.0.2.7,2001:db8::/32")
	if ps, err := s.webProxies(); err != nil || len(ps) != 3 || ps[1].Bits() != 32 {
		t.Errorf("proxies = %v, %v", ps, err)
	}
}

func TestNoSecretIsTakenFromTheCommandLine(t *testing.T) {
	t.Parallel()
	var c commands
	p, err := kong.New(&c)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, f := range p.Model.Flags {
		args, ok := map[string]string{"": "--%s=s3cret", "password": "--%s=redis://px:s3cret@cache"}[f.Tag.Get("secret")], f.Tag.Has("secret")
		if secretive := regexp.MustCompile("password|secret|key|token").MatchString(f.Name + f.PlaceHolder); secretive && !ok {
			t.Errorf("--%s looks like a secret: tag it", f.Name)
		}
		if !ok {
			continue
		}
		names[f.Name] = true
		parsed, err := p.Parse([]string{fmt.Sprintf(args, f.Name), "version"})
		if err != nil {
			t.Fatal(err)
		}
		err = secretsGiven(parsed)
		if err == nil || !strings.HasPrefix(err.Error(), f.Envs[0]+": must stand in the environment") || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("--%s: %v", f.Name, err)
		}
	}
	if len(names) != 7 {
		t.Errorf("secrets: %v", names)
	}
	parsed, err := p.Parse([]string{"--database-url=postgres://px@db/px", "--redis-url=redis+sentinel://a:1/m", "version"})
	if err != nil {
		t.Fatal(err)
	}
	if err := secretsGiven(parsed); err != nil {
		t.Errorf("URLs without a password: %v", err)
	}
	if !withPassword("redis+sentinel://a:1/m?sentinel_password=x") || !withPassword("postgres://px@db/px?password=x") {
		t.Error("a password among the parameters is overlooked")
	}
}

func TestDevPrintsWhatItMadeUp(t *testing.T) {
	t.Parallel()
	given, made := settingsFrom(t, "--redis-url=redis://cache"), settingsFrom(t, "--redis-url=redis://cache", "--database-url=postgres://a'b", "--subject-key=not a secret at all", "--files-url=file:///tmp/px")
	want := "for px in another shell:\nexport PX_DATABASE_URL='postgres://a'\\''b'\nexport PX_SUBJECT_KEY='not a secret at all'\nexport PX_FILES_URL='file:///tmp/px'\nexport PX_API_KEY='px_1'\n"
	if got := exports(given, made, "px_1"); got != want {
		t.Errorf("exports = %s", got)
	}
	if got := exports(made, made, ""); got != "" {
		t.Errorf("exports of what was given = %q", got)
	}
}
