// Package guard lets calls to addresses that people typed (webhooks, holiday
// feeds) reach the open internet, and inside only what an operator named.
package guard

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/pxactions/px/model"
)

// errBlocked is a dial that the guard refused.
var errBlocked = errors.New("address not allowed")

// Blocked is the Reason of a call that the guard refused.
const Blocked = "blocked_address"

// Guard decides which addresses may be reached; the zero Guard knows none
// inside. It looks at the address that is really dialled, after name
// resolution, so that no name can lead inside, whatever it resolved to before.
type Guard struct {
	hosts    []string
	prefixes []netip.Prefix
}

// New reads the allow-list: CIDRs, addresses and host names. field names it in
// faults.
func New(allow []string, field string, faults *model.FieldErrors) Guard {
	var g Guard
	for _, entry := range allow {
		entry = strings.ToLower(strings.TrimSpace(entry))
		if p, err := netip.ParsePrefix(entry); err == nil {
			g.prefixes = append(g.prefixes, p.Masked())
			continue
		}
		if a, err := netip.ParseAddr(strings.Trim(entry, "[]")); err == nil {
			a = a.Unmap()
			g.prefixes = append(g.prefixes, netip.PrefixFrom(a, a.BitLen()))
			continue
		}
		if entry == "" || strings.ContainsAny(entry, "/:@ *") {
			faults.Add(field, "format", "each entry must be a CIDR (10.0.0.0/8), an address or a host name without port")
			continue
		}
		g.hosts = append(g.hosts, strings.TrimSuffix(entry, "."))
	}
	return g
}

// allowed reports whether an operator named the address.
func (g Guard) allowed(a netip.Addr) bool {
	return slices.ContainsFunc(g.prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
}

// dial makes a dialer for the transport. With public true every public address
// may be reached besides those allowed; else only those.
func (g Guard) dial(timeout time.Duration, public bool) func(ctx context.Context, network, address string) (net.Conn, error) {
	trusted := &net.Dialer{Timeout: timeout}
	guarded := &net.Dialer{Timeout: timeout, Control: func(_, address string, _ syscall.RawConn) error {
		ap, err := netip.ParseAddrPort(address)
		if err != nil {
			return errBlocked
		}
		a := ap.Addr().WithZone("").Unmap()
		if g.allowed(a) || (public && isPublic(a)) {
			return nil
		}
		return errBlocked
	}}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, errBlocked
		}
		if slices.Contains(g.hosts, strings.TrimSuffix(strings.ToLower(host), ".")) {
			return trusted.DialContext(ctx, network, address)
		}
		return guarded.DialContext(ctx, network, address)
	}
}

// maxAnswerHeader is how much of a response's header is accepted at all, in bytes.
const maxAnswerHeader = 16 << 10

// Client makes an HTTP client behind the guard: every public address may be
// reached with public true, besides those allowed. It uses no proxy, which
// would dial in its place, and follows no redirect. Each phase of a call may
// take timeout. roots nil: the system's.
func (g Guard) Client(timeout time.Duration, public bool, roots *x509.CertPool) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext:            g.dial(timeout, public),
			TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    timeout,
			ForceAttemptHTTP2:      true,
			DisableCompression:     true,
			MaxIdleConns:           64,
			MaxIdleConnsPerHost:    4,
			IdleConnTimeout:        30 * time.Second,
			MaxResponseHeaderBytes: maxAnswerHeader,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Reason names why a call through a Client failed, in a word that holds neither
// address nor answer: Blocked, cancelled, timeout, tls, dns, refused or
// connection. ctx is the caller's own, without the bound of the one call.
func Reason(ctx context.Context, err error) string {
	var (
		dns  *net.DNSError
		cert *tls.CertificateVerificationError
		rec  tls.RecordHeaderError
		slow net.Error
	)
	switch {
	case errors.Is(err, errBlocked):
		return Blocked
	case errors.Is(ctx.Err(), context.Canceled):
		return "cancelled"
	case ctx.Err() != nil:
		return "timeout"
	case errors.As(err, &cert), errors.As(err, &rec):
		return "tls"
	case errors.As(err, &dns):
		return "dns"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.As(err, &slow) && slow.Timeout():
		return "timeout"
	default:
		return "connection"
	}
}

// isPublic reports whether an unmapped address belongs to the open internet.
func isPublic(a netip.Addr) bool {
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	if a.Is6() && !netip.MustParsePrefix("2000::/3").Contains(a) {
		return false
	}
	return !slices.ContainsFunc(special(), func(p netip.Prefix) bool { return p.Contains(a) })
}

// special are the ranges that look public and are not: they lead inside, to a
// cloud's metadata, nowhere, or carry an IPv4 address that was not looked at.
func special() []netip.Prefix {
	ranges := []string{
		"0.0.0.0/8",        // this network
		"100.64.0.0/10",    // carrier-grade NAT, some clouds' metadata
		"168.63.129.16/32", // Azure's host
		"192.0.0.0/24",     // protocol assignments
		"192.0.2.0/24",     // documentation
		"192.88.99.0/24",   // 6to4 relays
		"198.18.0.0/15",    // benchmarks
		"198.51.100.0/24",  // documentation
		"203.0.113.0/24",   // documentation
		"240.0.0.0/4",      // reserved, broadcast
		"2001::/23",        // protocol assignments, Teredo
		"2001:db8::/32",    // documentation
		"2002::/16",        // 6to4: carries an IPv4 address
		"3fff::/20",        // documentation
	}
	prefixes := make([]netip.Prefix, len(ranges))
	for i, r := range ranges {
		prefixes[i] = netip.MustParsePrefix(r)
	}
	return prefixes
}
