package tasks

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestRedisURLs(t *testing.T) {
	t.Parallel()
	type want struct {
		kind, addr   string
		addrs        []string
		master       string
		user, pw     string
		db           int
		tls          bool
		sentinelUser string
		sentinelPW   string
	}
	tests := []struct {
		name, url string
		want      want
	}{
		{"one server", "redis://ann:pw@cache:6380/3", want{addr: "cache:6380", user: "ann", pw: "pw", db: 3}},
		{"the scheme's case is nothing", "REDIS://cache", want{addr: "cache:6379"}},
		{"one server with TLS", "rediss://cache", want{addr: "cache:6379", tls: true}},
		{"a socket", "unix://ann:pw@/run/redis.sock?db=2", want{addr: "/run/redis.sock", user: "ann", pw: "pw", db: 2}},
		{"IPv6", "redis://[2001:db8::1]:6380", want{addr: "[2001:db8::1]:6380"}},
		{"an escaped password", "redis://:p%40ss%2Fw%23%3F%2C@cache", want{addr: "cache:6379", pw: "p@ss/w#?,"}},
		{"Sentinel", "redis+sentinel://ann:pw@s1:26380,s2,[::1]/mymaster", want{
			kind: "sentinel", addrs: []string{"s1:26380", "s2:26379", "[::1]:26379"}, master: "mymaster", user: "ann", pw: "pw"}},
		{"Sentinel with a database and its own login", "redis+sentinel://s1/my%20master/4?sentinel_username=sam&sentinel_password=s%40m", want{
			kind: "sentinel", addrs: []string{"s1:26379"}, master: "my master", db: 4, sentinelUser: "sam", sentinelPW: "s@m"}},
		{"Sentinel with TLS", "rediss+sentinel://s1,s2/m/0?skip_verify=true", want{
			kind: "sentinel", addrs: []string{"s1:26379", "s2:26379"}, master: "m", tls: true}},
		{"a cluster", "redis+cluster://ann:pw@n1:7000,n2,n3:7002", want{
			kind: "cluster", addrs: []string{"n1:7000", "n2:6379", "n3:7002"}, user: "ann", pw: "pw"}},
		{"a cluster with TLS, a slash and options", "rediss+cluster://n1/?pool_size=3&ca_file=/ca.pem", want{
			kind: "cluster", addrs: []string{"n1:6379"}, tls: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			u, err := parseRedisURL(tt.url)
			if err != nil {
				t.Fatal(err)
			}
			w, o := tt.want, u.opt
			if u.kind != w.kind || !slices.Equal(u.addrs, w.addrs) || u.master != w.master || u.sentinelUsername != w.sentinelUser || u.sentinelPassword != w.sentinelPW {
				t.Errorf("%+v, want %+v", u, w)
			}
			if o.Username != w.user || o.Password != w.pw || o.DB != w.db || (o.TLSConfig != nil) != w.tls || w.addr != "" && o.Addr != w.addr {
				t.Errorf("%+v, want %+v", o, w)
			}
		})
	}
}

func TestFaultsOfRedisURLs(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, url, want string }{
		{"another scheme", "http://:s3cret@cache", "want redis://"},
		{"no scheme", "cache:6379", "want redis://"},
		{"an unknown kind", "redis+proxy://cache", "want redis://"},
		{"a socket of a cluster", "unix+cluster:///run/redis.sock", "want redis://"},
		{"several hosts", "redis://:s3cret@a,b", "several are those of"},
		{"an empty host", "redis+cluster://a,,b", "each host must be"},
		{"no host", "redis+sentinel:///m", "each host must be"},
		{"a bad port", "redis+cluster://a:port", "each host must be"},
		{"bare IPv6", "redis+cluster://::1", "each host must be"},
		{"a bad host of one server", "redis://:s3cret@loc al:%zz", "cannot be read"},
		{"no socket", "unix://", "empty unix socket path"},
		{"no master", "redis+sentinel://a,b", "needs the name of the master"},
		{"no master but a database", "redis+sentinel://a//0", "needs the name of the master"},
		{"too much behind the master", "redis+sentinel://a/m/0/1", "needs the name of the master"},
		{"a word for a database", "redis+sentinel://a/m/first", `invalid database number: "first"`},
		{"a database of a cluster", "redis+cluster://a/1", "a cluster has no databases"},
		{"a database of a cluster as option", "redis+cluster://a?db=1", "a cluster has no databases"},
		{"an unknown option", "redis://:s3cret@cache?colour=red", "unexpected option: colour"},
		{"a bad value", "redis+cluster://:s3cret@a?pool_size=many", "invalid pool_size"},
		{"files without TLS", "redis://cache?ca_file=/ca.pem", "are for TLS"},
		{"a certificate without key", "rediss://cache?cert_file=/c.pem", "cert_file and key_file"},
		{"Sentinel's password elsewhere", "redis+cluster://a?sentinel_password=s3cret", "are for redis+sentinel"},
		{"a slash in the password", "redis://:s3c/s3cret@cache", "%2F"},
		{"a question mark in the password", "redis://:s3c?s3cret=1@cache", "%3F"},
		{"a hash in the password", "redis://:s3c#s3cret@cache", "%23"},
		{"a percent in the password", "redis+cluster://:s3cret%@a", "%25"},
		{"a bad escape in an option", "redis+sentinel://a/m?sentinel_password=s3cret%", "must be written"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := NewRedis(tt.url, RedisOptions{})
			if check := CheckRedisURL(tt.url); err == nil || check == nil || err.Error() != check.Error() {
				t.Fatalf("NewRedis = %v, CheckRedisURL = %v", err, check)
			}
			if !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%q, want something of %q and no password", err, tt.want)
			}
		})
	}
}

func TestFilesOfTLSAreRead(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for url, want := range map[string]string{
		"rediss://cache?ca_file=/nowhere/ca.pem":                              "ca_file: open /nowhere/ca.pem",
		"rediss+cluster://cache?ca_file=" + empty:                             "holds no certificate",
		"rediss+sentinel://cache/m?cert_file=" + empty + "&key_file=" + empty: "cert_file and key_file",
	} {
		if err := CheckRedisURL(url); err != nil {
			t.Errorf("%s: %v, want it to be good as a URL", url, err)
		}
		if _, err := NewRedis(url, RedisOptions{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", url, err, want)
		}
	}
}

func TestAddress(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"redis://:s3cret@cache/2":                   "cache:6379",
		"unix:///run/redis.sock":                    "/run/redis.sock",
		"redis+sentinel://:s3cret@s1,s2:7/mymaster": "mymaster of Sentinel at s1:26379,s2:7",
		"redis+cluster://:s3cret@n1,n2":             "n1:6379,n2:6379",
	} {
		rdb := dial(t, url, RedisOptions{})
		if got := Address(rdb); got != want || Clustered(rdb) != strings.Contains(url, "cluster") {
			t.Errorf("Address = %q, clustered %t; want %q", got, Clustered(rdb), want)
		}
	}
}
