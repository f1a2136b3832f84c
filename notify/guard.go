package notify

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/pxactions/px/model"
)

// errBlocked is a dial that the guard refused.
var errBlocked = errors.New("address not allowed")

// guard decides which addresses a webhook may reach. It looks at the address
// that is really dialled, after name resolution, so that no name can lead
// inside, whatever it resolved to before.
type guard struct {
	hosts    []string
	prefixes []netip.Prefix
}

// newGuard reads the allow-list: CIDRs, addresses and host names.
func newGuard(allow []string, faults *model.FieldErrors) guard {
	var g guard
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
			faults.Add("webhook.allow", "format", "each entry must be a CIDR (10.0.0.0/8), an address or a host name without port")
			continue
		}
		g.hosts = append(g.hosts, strings.TrimSuffix(entry, "."))
	}
	return g
}

// allowed reports whether an operator named the address.
func (g guard) allowed(a netip.Addr) bool {
	return slices.ContainsFunc(g.prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
}

// dial makes a dialer for the transport. With public true every public address
// may be reached besides those allowed; else only those.
func (g guard) dial(timeout time.Duration, public bool) func(ctx context.Context, network, address string) (net.Conn, error) {
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
