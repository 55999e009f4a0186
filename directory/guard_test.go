package directory

import (
	"encoding/binary"
	"net/http"
	"net/netip"
	"testing"
)

func TestGuardAddresses(t *testing.T) {
	for _, x := range []struct {
		a, b string
		same bool
	}{
		{"192.0.2.1", "192.0.2.2", false},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true},
		{"2001:db8:1:2::1", "2001:db8:1:3::1", false},
		{"fe80::1%eth0", "fe80::1%eth1", true},
	} {
		if got := guardKey(netip.MustParseAddr(x.a)) == guardKey(netip.MustParseAddr(x.b)); got != x.same {
			t.Errorf("%s and %s: same %t", x.a, x.b, got)
		}
	}
	if a := remoteAddress(&http.Request{RemoteAddr: "192.0.2.1:80"}); a != netip.MustParseAddr("192.0.2.1") {
		t.Error(a)
	}
	if a := remoteAddress(&http.Request{RemoteAddr: "@"}); a.IsValid() {
		t.Error(a)
	}
	// The zero address, for what cannot be read, is limited too.
	c := &clock{t: start}
	g := newGuard(c.now)
	for range guessBurst {
		if _, _, ok := g.attempt(netip.Addr{}); !ok {
			t.Fatal("refused too early")
		}
	}
	if _, wait, ok := g.attempt(netip.Addr{}); ok || wait != guessEvery {
		t.Errorf("not refused, or wait %s", wait)
	}
}

// TestGuardMemory: an attack from very many addresses neither fills the memory
// nor lifts the limit, and it passes.
func TestGuardMemory(t *testing.T) {
	c := &clock{t: start}
	g := newGuard(c.now)
	address := func(i int) netip.Addr {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], uint32(i))
		return netip.AddrFrom4(b)
	}
	refused := 0
	for i := range guardSize + 1000 {
		if _, _, ok := g.attempt(address(i)); !ok {
			refused++
		}
	}
	if len(g.m) > guardSize+1 {
		t.Errorf("%d addresses in memory", len(g.m))
	}
	if refused != 1000-guessBurst {
		t.Errorf("%d refused once memory was full", refused)
	}
	c.add(guardSweep + guessEvery)
	if _, _, ok := g.attempt(address(1 << 30)); !ok || len(g.m) > 2 {
		t.Errorf("after the attack: %t, %d addresses in memory", ok, len(g.m))
	}
}
