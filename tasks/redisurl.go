package tasks

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// The errors of a Redis URL name no part of it that may be a password.
var (
	errScheme   = errors.New("want redis://, rediss:// (TLS) or unix://, or redis+sentinel:// or redis+cluster:// (rediss+sentinel://, rediss+cluster://), such as redis://user:password@host:6379/0")
	errEscape   = errors.New("/, ?, # and @ in the user, the password and options must be written as %2F, %3F, %23 and %40")
	errBroken   = errors.New("cannot be read: is a % in the user or the password written as %25?")
	errHost     = errors.New("each host must be a name or an address, with commas between them, such as redis1:6379,redis2:6379 or [2001:db8::1]:6379")
	errHosts    = errors.New("redis:// has one host; several are those of redis+sentinel:// or redis+cluster://")
	errMaster   = errors.New("a URL of Sentinels needs the name of the master after the hosts: redis+sentinel://host1:26379,host2:26379/mymaster, or …/mymaster/0 with the number of a database")
	errDatabase = errors.New("a cluster has no databases: redis+cluster://host1:6379,host2:6379, and nothing behind the hosts but options")
	errTLSOnly  = errors.New("ca_file, cert_file, key_file and skip_verify are for TLS: rediss://, rediss+sentinel:// or rediss+cluster://")
	errKeyPair  = errors.New("cert_file and key_file go together")
	errSentinel = errors.New("sentinel_username and sentinel_password are for redis+sentinel://")
)

// The ways in which Redis is deployed.
const (
	single   = ""
	sentinel = "sentinel"
	cluster  = "cluster"
)

// redisURL is a Redis URL, read.
type redisURL struct {
	kind   string         // single, sentinel or cluster
	opt    *redis.Options // of the one server, and, less the address, of each one that Sentinel or the cluster names
	addrs  []string       // of the Sentinels, or of nodes of the cluster
	master string         // its name in Sentinel

	sentinelUsername, sentinelPassword string

	caFile, certFile, keyFile string // PEM; empty: the machine's, none, none
}

// CheckRedisURL is nil for a URL that NewRedis takes. It does not connect.
func CheckRedisURL(s string) error {
	_, err := parseRedisURL(s)
	return err
}

// parseRedisURL reads a URL. What follows its ? is the options of go-redis
// (redis.ParseURL), the files of TLS and the login at Sentinel.
func parseRedisURL(s string) (redisURL, error) {
	scheme, rest, _ := strings.Cut(s, "://")
	scheme = strings.ToLower(scheme)
	base, kind, _ := strings.Cut(scheme, "+")
	known := []string{"redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster"}
	if !slices.Contains(known, scheme) {
		return redisURL{}, errScheme
	}
	u := redisURL{kind: kind}
	rest, query, _ := strings.Cut(rest, "?")
	q, err := url.ParseQuery(query)
	if err != nil {
		return u, errEscape
	}
	u.takeOptions(q)
	authority, path := rest, ""
	if i := strings.IndexAny(rest, "/#"); i >= 0 {
		authority, path = rest[:i], rest[i:]
	}
	if base != "unix" && (strings.ContainsAny(path, "@#") || strings.ContainsAny(query, "@#")) {
		return u, errEscape
	}
	user, hosts := "", authority
	if i := strings.LastIndex(authority, "@"); i >= 0 {
		user, hosts = authority[:i+1], authority[i+1:]
	}
	if kind != single {
		if path, err = u.split(hosts, path); err != nil {
			return u, err
		}
		hosts = u.addrs[0]
	} else if strings.Contains(hosts, ",") {
		return u, errHosts
	}
	u.opt, err = redis.ParseURL(base + "://" + user + hosts + path + "?" + q.Encode())
	if err != nil {
		return u, plain(err)
	}
	return u, u.check(q)
}

// takeOptions takes the options that go-redis does not know.
func (u *redisURL) takeOptions(q url.Values) {
	for name, field := range map[string]*string{
		"ca_file": &u.caFile, "cert_file": &u.certFile, "key_file": &u.keyFile,
		"sentinel_username": &u.sentinelUsername, "sentinel_password": &u.sentinelPassword,
	} {
		*field = q.Get(name)
		q.Del(name)
	}
}

// split reads the hosts, and what stands behind them; of that it returns the
// database.
func (u *redisURL) split(hosts, path string) (database string, err error) {
	port := "6379"
	if u.kind == sentinel {
		port = "26379"
	}
	for h := range strings.SplitSeq(hosts, ",") {
		at, err := url.Parse("//" + h)
		bare := strings.Count(h, ":") > 1 && !strings.HasPrefix(h, "[")
		if err != nil || at.Hostname() == "" || at.Host != h || bare {
			return "", errHost
		}
		u.addrs = append(u.addrs, net.JoinHostPort(at.Hostname(), cmp.Or(at.Port(), port)))
	}
	path = strings.TrimSuffix(strings.TrimPrefix(path, "/"), "/")
	if u.kind == cluster {
		if path != "" {
			return "", errDatabase
		}
		return "", nil
	}
	name, database, _ := strings.Cut(path, "/")
	u.master, err = url.PathUnescape(name)
	if err != nil || name == "" || strings.Contains(database, "/") {
		return "", errMaster
	}
	return "/" + database, nil
}

// check finds options that do not fit the kind of URL.
func (u *redisURL) check(q url.Values) error {
	switch {
	case u.opt.TLSConfig == nil && (u.caFile+u.certFile+u.keyFile != "" || q.Has("skip_verify")):
		return errTLSOnly
	case (u.certFile == "") != (u.keyFile == ""):
		return errKeyPair
	case u.kind != sentinel && u.sentinelUsername+u.sentinelPassword != "":
		return errSentinel
	case u.kind == cluster && u.opt.DB != 0:
		return errDatabase
	}
	return nil
}

// plain is an error of redis.ParseURL without the URL, which holds a password.
func plain(err error) error {
	if errors.As(err, new(*url.Error)) {
		return errBroken
	}
	return errors.New(strings.TrimPrefix(err.Error(), "redis: "))
}

// loadTLS reads the files of TLS. Behind Sentinel and in a cluster each server
// is to have the name that it was dialled by.
func (u *redisURL) loadTLS() error {
	c := u.opt.TLSConfig
	if c == nil {
		return nil
	}
	if u.kind != single {
		c.ServerName = ""
	}
	if u.caFile != "" {
		pem, err := os.ReadFile(u.caFile)
		if err != nil {
			return fmt.Errorf("ca_file: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("ca_file: %s holds no certificate in PEM form", u.caFile)
		}
	}
	if u.certFile != "" {
		pair, err := tls.LoadX509KeyPair(u.certFile, u.keyFile)
		if err != nil {
			return fmt.Errorf("cert_file and key_file: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return nil
}
