package directory_test

import (
	"net/http"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/answer"
	"github.com/perseus-edge/perseus-edge/directory/dirtest"
	"github.com/perseus-edge/perseus-edge/relay/database/databasetest"
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
		if got := directory.GuardKey(netip.MustParseAddr(x.a)) == directory.GuardKey(netip.MustParseAddr(x.b)); got != x.same {
			t.Errorf("%s and %s: same %t", x.a, x.b, got)
		}
	}
	if a := answer.RemoteAddress(&http.Request{RemoteAddr: "192.0.2.1:80"}); a != netip.MustParseAddr("192.0.2.1") {
		t.Error(a)
	}
	if a := answer.RemoteAddress(&http.Request{RemoteAddr: "@"}); a.IsValid() {
		t.Error(a)
	}
}

// TestGuard: the allowance is one for all processes on the database, the zero
// address (for what cannot be read) has one too, and it comes back.
func TestGuard(t *testing.T) {
	for name, dsn := range map[string]func(testing.TB) string{
		"sqlite":   func(t testing.TB) string { return "sqlite:" + filepath.Join(t.TempDir(), "d.db") },
		"postgres": databasetest.Postgres,
	} {
		t.Run(name, func(t *testing.T) {
			at := dsn(t)
			w := dirtest.New(t, at)
			both := []*directory.Service{w.Service, w.Open(t, at)}
			guess := func(i int, a netip.Addr) (func(), time.Duration, bool) {
				forgive, wait, ok, err := both[i%2].Attempt(t.Context(), a)
				if err != nil {
					t.Fatal(err)
				}
				return forgive, wait, ok
			}
			v4 := netip.MustParseAddr("192.0.2.1")
			for i := range directory.GuessBurst {
				for _, a := range []netip.Addr{{}, v4} {
					if _, _, ok := guess(i, a); !ok {
						t.Fatalf("guess %d from %s refused too early", i, a)
					}
				}
			}
			for i := range 2 {
				if _, wait, ok := guess(i, v4); ok || wait != directory.GuessEvery {
					t.Errorf("process %d: not refused, or wait %s", i, wait)
				}
			}
			w.Clock.Add(directory.GuessEvery - time.Millisecond)
			if _, wait, ok := guess(0, v4); ok || wait != time.Second {
				t.Errorf("a moment too early: %t, wait %s", ok, wait)
			}
			w.Clock.Add(time.Millisecond)
			forgive, _, ok := guess(1, v4)
			if !ok {
				t.Fatal("not allowed again")
			}
			if _, _, ok := guess(0, v4); ok {
				t.Error("allowed twice")
			}
			forgive()
			if _, _, ok := guess(0, v4); !ok {
				t.Error("forgiven, and not allowed")
			}
			w.Clock.Add(time.Hour)
			for i := range directory.GuessBurst + 1 {
				if _, _, ok := guess(i, netip.Addr{}); ok != (i < directory.GuessBurst) {
					t.Errorf("an hour later, guess %d: %t", i, ok)
				}
			}
			// What is whole again is cleared away, sooner or later.
			w.Clock.Add(time.Hour)
			for i := range 200 {
				guess(i, netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}))
			}
			w.Clock.Add(time.Hour)
			for i := range 20 * directory.GuessSweep {
				guess(i, v4)
			}
			var rows int
			if err := w.DB.QueryRow(`SELECT COUNT(*) FROM directory_guesses`).Scan(&rows); err != nil || rows > 1 {
				t.Errorf("%d rows are left, %v", rows, err)
			}
		})
	}
}
