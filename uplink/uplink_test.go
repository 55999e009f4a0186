package uplink

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/uplink/grant"
)

// A backlog and then live half-hours, each to the relay exactly once.
func TestDelivers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, 1)
		r.out.add(mainImport, hours(time.Now(), 70*48)...)
		r.out.add(gas, hours(time.Now(), 100)...)
		r.out.add(mainExport, hours(time.Now(), 100)...)
		r.relay.grant(grantOf("g1", mainImport, gas))
		c := r.start()
		defer r.end()
		pass(time.Second)
		r.settled(mainImport, gas)
		if n, writes, carried, head := r.relay.counts(); n != 70*48+100 || writes != n || carried != n || head != 2 {
			t.Errorf("relay has %d half-hours, wrote %d, was sent %d in %d batches: want 3460 each in 2 (62 days and the rest)", n, writes, carried, head)
		}
		// The next half-hour goes at once.
		pass(30 * time.Minute)
		h := hours(time.Now(), 1)
		r.out.add(mainImport, h...)
		c.Notify()
		synctest.Wait()
		if _, ok := r.relay.has(mainImport, h[0].Start); !ok {
			t.Error("the half-hour did not go at once after Notify")
		}
		s := c.Status()
		if !s.Connected || s.Error != "" || s.Acknowledged != 3 || s.AcknowledgedAt.IsZero() || s.Pending != 0 || s.Sealed || len(s.Grants) != 1 || s.Unfit != 0 {
			t.Errorf("status %+v", s)
		}
		if _, ok := r.relay.has(mainExport, h[0].Start); ok {
			t.Error("a register without a grant left")
		}
	})
}

func TestRegistersSite(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, 1)
		c := r.start()
		defer r.end()
		pass(time.Second)
		code, _ := r.out.Meta(metaCode)
		if s := r.relay.siteText(); c.Code() == "" || c.Code() != string(code) || !strings.Contains(s, c.Code()) ||
			!strings.Contains(s, `"measures":["import"]`) || !strings.Contains(s, `"outcode":"SW8"`) {
			t.Errorf("site %s, code %s, kept %s", s, c.Code(), code)
		}
		c.SetSite(Site{Name: "Elsewhere", Outcode: "N1"})
		synctest.Wait()
		if s := r.relay.siteText(); !strings.Contains(s, "Elsewhere") || !strings.Contains(s, c.Code()) || !strings.Contains(s, `"meters":[]`) {
			t.Errorf("site after SetSite %s", s)
		}
		// A new signing certificate is made known by itself.
		r.pki.Signing(gatewayURL, "Shop Ltd", memberURL).Write(r.dir, "signing")
		r.out.add(mainImport, hours(time.Now(), 5)...)
		r.relay.grant(grantOf("g1", mainImport))
		pass(time.Minute)
		r.settled(mainImport)
		if len(r.relay.keys) != 2 {
			t.Errorf("the relay knows %d signing certificates, want 2", len(r.relay.keys))
		}
	})
}

// A week without the network: everything is kept, and goes once it is back.
func TestAWeekOffline(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, 2)
		r.relay.grant(grantOf("g1", mainImport))
		c := r.start()
		defer r.end()
		pass(time.Second)
		tries := 0
		r.wire.trouble(func(*http.Request) fault { tries++; return unreachable })
		for range 7 * 48 {
			pass(energy.Period)
			r.out.add(mainImport, hours(time.Now(), 1)...)
			c.Notify()
		}
		s := c.Status()
		if s.Connected || !strings.Contains(s.Error, "breaks off since") || s.Pending+48 < 7*48 || len(s.Grants) != 1 {
			t.Errorf("offline: %+v", s)
		}
		// Two loops, at least half of five minutes apart, and one try per Notify.
		r.wire.trouble(nil)
		if most := 7*24*60*2/2 + 7*48 + 20; tries > most {
			t.Errorf("%d tries in a week, at most %d are expected", tries, most)
		}
		pass(maxPause + time.Second)
		r.settled(mainImport)
		if s := c.Status(); !s.Connected || s.Error != "" || s.Pending != 0 {
			t.Errorf("back: %+v", s)
		}
		if n, writes, _, _ := r.relay.counts(); n != 7*48 || writes != n {
			t.Errorf("%d half-hours, %d writes", n, writes)
		}
	})
}

// An offline gateway that starts anew still knows its grants, and obeys their
// end.
func TestGrantsAreKept(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, 3)
		r.relay.grant(grantOf("g1", mainImport))
		r.start()
		pass(time.Second)
		r.stop()
		r.wire.pick = func(*http.Request) fault { return unreachable }
		if c := r.start(); len(c.Grants()) != 1 {
			t.Error("the grants were forgotten")
		}
		r.end()
		r.out.SetMeta(metaGrants, []byte("{spoilt"))
		r.wire.pick = nil
		c := r.start()
		if len(c.Grants()) != 0 {
			t.Error("grants out of nothing")
		}
		pass(time.Second)
		if len(c.Grants()) != 1 {
			t.Error("the grants did not come back")
		}
		r.end()
	})
}

func TestReplayedGrantsAreRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, 4)
		r.relay.grant(grantOf("g1", mainImport))
		old := r.relay.raw
		pass(time.Minute)
		withdrawn := grantOf("g1", mainImport)
		withdrawn.Revoked = time.Now()
		r.relay.grant(withdrawn)
		c := r.start()
		defer r.end()
		pass(time.Second)
		if live, _ := c.live(); len(live) != 0 {
			t.Fatal("a withdrawn grant is live")
		}
		r.relay.mu.Lock()
		r.relay.raw, r.relay.etag = old, `"old"`
		r.relay.mu.Unlock()
		pass(5 * time.Minute)
		if live, _ := c.live(); len(live) != 0 {
			t.Error("an older set brought a withdrawn grant back")
		}
		if s := c.Status(); !strings.Contains(s.Error, "replay") {
			t.Errorf("status says %q", s.Error)
		}
		// Nor does a clock that falls back make an ended grant live.
		c.now = func() time.Time { return time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC) }
		g := grantOf("g2", mainImport)
		g.Expires = time.Now().Add(-time.Second)
		c.mu.Lock()
		c.held.set = grant.Set{Gateway: gatewayURL, Issued: time.Now(), Grants: []grant.Grant{g}}
		c.mu.Unlock()
		if live, now := c.live(); len(live) != 0 || now.UTC().Year() != 2000 {
			t.Errorf("judged at %v: %v live", now, live)
		}
	})
}

// The gateway's store was replaced: it takes up the relay's chain.
func TestStoreReplaced(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, 7)
		hh := hours(time.Now(), 5)
		r.out.add(mainImport, hh...)
		r.relay.grant(grantOf("g1", mainImport))
		r.start()
		for range 4 {
			pass(energy.Period)
			h := hours(time.Now(), 1)
			hh = append(hh, h...)
			r.out.add(mainImport, h...)
			r.client().Notify()
		}
		pass(time.Second)
		r.stop()
		_, before, _, head := r.relay.counts()
		r.out = newOutbox()
		r.out.add(mainImport, hh...)
		r.out.add(mainImport, hours(time.Now().Add(-24*time.Hour), 3)...)
		r.start()
		defer r.end()
		pass(time.Minute)
		r.settled(mainImport)
		if _, writes, _, now := r.relay.counts(); head != 5 || now != 6 || writes != before+3 {
			t.Errorf("relay's head %d then %d, %d then %d writes", head, now, before, writes)
		}
	})
}

// The relay lost its store: the gateway says so, and goes on.
func TestRelayReplaced(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, 8)
		r.out.add(mainImport, hours(time.Now(), 5)...)
		r.relay.grant(grantOf("g1", mainImport))
		c := r.start()
		defer r.end()
		pass(energy.Period)
		r.relay.wipe()
		h := hours(time.Now(), 1)
		r.out.add(mainImport, h...)
		c.Notify()
		pass(time.Minute)
		if _, ok := r.relay.has(mainImport, h[0].Start); !ok {
			t.Errorf("the new relay did not get it: %+v", c.Status())
		}
		if _, _, _, head := r.relay.counts(); head != 1 {
			t.Errorf("head %d, want 1", head)
		}
	})
}

func TestRetryAfterIsHonoured(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, 9)
		r.out.add(mainImport, hours(time.Now(), 5)...)
		r.relay.grant(grantOf("g1", mainImport))
		var posts []time.Time
		r.wire.pick = func(q *http.Request) fault {
			if q.Method != http.MethodPost {
				return none
			}
			if posts = append(posts, time.Now()); len(posts) == 1 {
				return busy
			}
			return none
		}
		c := r.start()
		defer r.end()
		for range 10 {
			pass(5 * time.Second)
			c.Notify() // must not cut it short
		}
		pass(5 * time.Minute)
		r.settled(mainImport)
		if len(posts) != 2 || posts[1].Sub(posts[0]) < 90*time.Second {
			t.Errorf("sent at %v", posts)
		}
	})
}

func TestNotEnrolled(t *testing.T) {
	if _, err := New(Config{Dir: t.TempDir(), Outbox: newOutbox()}); !errors.Is(err, ErrNotEnrolled) {
		t.Errorf("got %v", err)
	}
}
