package uplink

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/uplink/grant"
)

// cutOff makes nothing reachable while down is true, and counts the batches
// that leave.
func cutOff(r *rig) (down *atomic.Bool, left *atomic.Int64) {
	down, left = &atomic.Bool{}, &atomic.Int64{}
	r.wire.pick = func(q *http.Request) fault {
		if down.Load() {
			return unreachable
		}
		if q.Method == http.MethodPost {
			left.Add(1)
		}
		return none
	}
	return down, left
}

// Offline, a grant ends by its own date. A clock that is set back, also at a
// start without network, gives it no other life: what would be sent at the
// first chance stays here.
func TestClockSetBackExtendsNoGrant(t *testing.T) {
	for _, restarted := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			r := newRig(t, 7)
			down, left := cutOff(r)
			g := grantOf("g1", mainImport)
			g.Expires = g.Granted.Add(48 * time.Hour)
			r.relay.grant(g)
			c := r.start()
			defer func() { r.end() }()
			pass(time.Minute)
			down.Store(true)
			pass(72 * time.Hour) // it runs out meanwhile, and half-hours gather
			for _, h := range hours(g.Expires, 8) {
				r.out.add(mainImport, h)
			}
			if restarted {
				r.stop()
				c = r.start()
			}
			r.ahead.Store(int64(time.Until(g.Granted.Add(time.Hour))))
			pass(time.Minute)
			if live, at := c.live(); len(live) != 0 {
				t.Fatalf("restarted %v: live again, judged at %v; it ended at %v", restarted, at, g.Expires)
			}
			// The relay still shows the old set (it cannot be asked yet), and takes batches.
			r.wire.mu.Lock()
			r.wire.pick = func(q *http.Request) fault {
				if q.Method == http.MethodPost {
					left.Add(1)
				}
				if q.Method == http.MethodGet {
					return unreachable
				}
				return none
			}
			r.wire.mu.Unlock()
			c.Notify()
			pass(time.Hour)
			if n := left.Load(); n != 0 {
				t.Errorf("restarted %v: %d batches left after the end", restarted, n)
			}
		})
	}
}

// A clock that was wrongly ahead does not lock the gateway out for good: once
// it reaches the relay, the relay's time counts.
func TestClockAheadIsPutRight(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, 8)
		down, _ := cutOff(r)
		r.relay.grant(grantOf("g1", mainImport))
		c := r.start()
		defer func() { r.end() }()
		pass(time.Minute)
		down.Store(true)
		r.ahead.Store(int64(time.Until(time.Now().AddDate(30, 0, 0))))
		pass(3 * time.Hour)
		if live, _ := c.live(); len(live) != 0 {
			t.Fatal("live thirty years on")
		}
		r.stop()
		r.ahead.Store(0)
		c = r.start() // the clock is right again, but no network yet
		r.out.add(mainImport, hours(time.Now(), 4)...)
		pass(time.Minute)
		if live, at := c.live(); len(live) != 0 {
			t.Fatalf("the mark of the last run was not kept: judged at %v", at)
		}
		down.Store(false)
		pass(20 * time.Minute)
		if live, at := c.live(); len(live) != 1 {
			t.Fatalf("locked out: judged at %v", at)
		}
		r.settled(mainImport)
	})
}

// Two grants overlap: when one is withdrawn, what the other covers still
// leaves, and nothing else.
func TestOverlappingGrants(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, 9)
		both, one := grantOf("g1", mainImport, mainExport), grantOf("g2", mainImport)
		one.From = time.Now().Add(-6 * time.Hour).UTC().Truncate(time.Second) // reaches less far back
		r.relay.grant(both, one)
		r.start()
		defer r.end()
		pass(time.Minute)
		r.relay.grant(func() grant.Grant { g := both; g.Revoked = time.Now().UTC(); return g }(), one)
		pass(time.Minute)
		for _, k := range []energy.Key{mainImport, mainExport} {
			r.out.add(k, hours(time.Now(), 24)...) // half a day, some of it before the second grant's reach
		}
		r.client().Notify()
		pass(time.Hour)
		sent, early := 0, 0
		r.out.each(func(k energy.Key, h *memHour) {
			_, there := r.relay.has(k, h.Start)
			switch {
			case !there:
			case k != mainImport:
				t.Errorf("%s %v left without a grant", k, h.Start)
			case h.Start.Before(one.From):
				early++
			default:
				sent++
			}
		})
		if sent != 12 && sent != 11 || early != 0 {
			t.Errorf("%d half-hours left, %d of them from before the reach of the grant", sent, early)
		}
	})
}
