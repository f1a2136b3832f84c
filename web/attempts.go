package web

import (
	"net/netip"
	"sync"
	"time"
)

const (
	// addrAttempts is how many logins may fail from one address in a span of
	// machine time: a ward may share one.
	addrAttempts = 30
	addrSpan     = 10 * time.Minute
	// mostAddrs bounds what is remembered.
	mostAddrs = 10_000
)

// attempts counts failed logins by address, in this process alone. The database
// counts them by person, for all.
type attempts struct {
	mu    sync.Mutex
	since map[netip.Prefix]*attempt
}

type attempt struct {
	first time.Time
	count int
}

// take counts an attempt as failed; giveBack takes that back. It returns how long
// the address has to wait, 0 when it may go on.
func (a *attempts) take(addr netip.Addr, now time.Time) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	place := network(addr)
	at := a.since[place]
	if at == nil || now.Sub(at.first) >= addrSpan {
		a.makeRoom(now)
		at = &attempt{first: now}
		a.since[place] = at
	}
	if at.count >= addrAttempts {
		return at.first.Add(addrSpan).Sub(now)
	}
	at.count++
	return 0
}

func (a *attempts) giveBack(addr netip.Addr) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if at := a.since[network(addr)]; at != nil && at.count > 0 {
		at.count--
	}
}

// makeRoom forgets what is over, and if that is not enough, any.
func (a *attempts) makeRoom(now time.Time) {
	if a.since == nil {
		a.since = map[netip.Prefix]*attempt{}
	}
	if len(a.since) < mostAddrs {
		return
	}
	for place, at := range a.since {
		if now.Sub(at.first) >= addrSpan {
			delete(a.since, place)
		}
	}
	for place := range a.since {
		if len(a.since) < mostAddrs {
			return
		}
		delete(a.since, place)
	}
}

// network is what one client has for itself: an IPv4 address, or 64 bits of an
// IPv6 one.
func network(addr netip.Addr) netip.Prefix {
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	p, err := addr.WithZone("").Prefix(bits)
	if err != nil {
		return netip.Prefix{} // no address: all of these together
	}
	return p
}
