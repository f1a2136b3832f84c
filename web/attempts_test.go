package web

import (
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"
)

func TestAttemptsOfAnAddress(t *testing.T) {
	t.Parallel()
	var a attempts
	now := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	one, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	for range addrAttempts {
		if wait := a.take(one, now); wait != 0 {
			t.Fatalf("wait %v", wait)
		}
	}
	a.giveBack(one)
	if wait := a.take(one, now.Add(time.Minute)); wait != 0 {
		t.Errorf("after one that did not fail: wait %v", wait)
	}
	if wait := a.take(one, now.Add(time.Minute)); wait != addrSpan-time.Minute {
		t.Errorf("wait %v", wait)
	}
	if wait := a.take(other, now); wait != 0 {
		t.Errorf("another address: wait %v", wait)
	}
	if wait := a.take(one, now.Add(addrSpan)); wait != 0 {
		t.Errorf("after the span: wait %v", wait)
	}
	// One client has a whole network of IPv6.
	for i := range addrAttempts {
		a.take(netip.AddrFrom16([16]byte{0x20, 1, 15: byte(i)}), now)
	}
	if wait := a.take(netip.MustParseAddr("2001::ffff"), now); wait == 0 {
		t.Error("another address of the same network does not wait")
	}
}

func TestAttemptsAreForgotten(t *testing.T) {
	t.Parallel()
	var a attempts
	now := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	for i := range mostAddrs + 100 {
		a.take(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), now)
	}
	if len(a.since) > mostAddrs {
		t.Errorf("%d addresses are remembered", len(a.since))
	}
	a.take(netip.MustParseAddr("192.0.2.1"), now.Add(addrSpan))
	if len(a.since) != 1 {
		t.Errorf("%d addresses are remembered after the span", len(a.since))
	}
}

func TestClientBehindProxies(t *testing.T) {
	t.Parallel()
	s := &server{o: Options{Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("127.0.0.1/32")}}}
	for _, tt := range []struct{ name, remote, forwarded, want string }{
		{"none", "192.0.2.1:4000", "", "192.0.2.1"},
		{"a client that says it is somebody else", "192.0.2.1:4000", "203.0.113.9", "192.0.2.1"},
		{"one proxy", "10.0.0.5:4000", "203.0.113.9", "203.0.113.9"},
		{"two proxies", "127.0.0.1:4000", "203.0.113.9, 10.0.0.7", "203.0.113.9"},
		{"what the client made up before its own", "10.0.0.5:4000", "1.1.1.1, 203.0.113.9", "203.0.113.9"},
		{"a proxy that says nothing", "10.0.0.5:4000", "", "10.0.0.5"},
		{"what is no address", "10.0.0.5:4000", "203.0.113.9, unknown", "10.0.0.5"},
		{"IPv6", "[::ffff:10.0.0.5]:4000", "2001:db8::1", "2001:db8::1"},
	} {
		r := httptest.NewRequest("POST", "/login", nil)
		r.RemoteAddr = tt.remote
		if tt.forwarded != "" {
			r.Header.Set("X-Forwarded-For", tt.forwarded)
		}
		if got := s.client(r); got.String() != tt.want {
			t.Errorf("%s: %v, want %s", tt.name, got, tt.want)
		}
	}
}
