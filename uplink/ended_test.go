package uplink

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/uplink/grant"
)

// A relay that was put back to a backup of before a withdrawal, or an old set
// that is played again, does not bring the permission back to life: nothing
// leaves under it, also after a start and when the relay has long ceased to
// show it, and the relay is told.
func TestWithdrawnStaysWithdrawn(t *testing.T) {
	for name, between := range map[string]func(r *rig){
		"at once":                 func(*rig) {},
		"after a start":           func(r *rig) { r.stop(); r.start() },
		"no longer shown":         func(r *rig) { r.relay.grant(); pass(2 * time.Hour) },
		"no longer shown, anew":   func(r *rig) { r.relay.grant(); pass(2 * time.Hour); r.stop(); r.start() },
		"the grants were lost":    func(r *rig) { r.stop(); r.out.SetMeta(metaGrants, nil); r.start() },
		"the clock was set back":  func(r *rig) { r.ahead.Store(-int64(48 * time.Hour)); pass(time.Hour) },
		"another one in the time": func(r *rig) { g := grantOf("g2", gas); r.relay.grant(g); pass(time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newRig(t, 11)
				var posts atomic.Int64
				var told atomic.Value
				told.Store("")
				r.wire.pick = func(q *http.Request) fault {
					if q.Method == http.MethodPost {
						posts.Add(1)
					} else if s := q.Header.Get(grant.WithdrawnHeader); s != "" {
						told.Store(s)
					}
					return none
				}
				r.out.add(mainImport, hours(time.Now(), 10)...)
				g := grantOf("g1", mainImport)
				r.relay.grant(g)
				r.start()
				defer func() { r.end() }()
				pass(time.Minute)
				gone := g
				gone.Revoked = time.Now().UTC().Truncate(time.Second)
				r.relay.grant(gone)
				pass(time.Minute)
				between(r)
				if told.Load() != "" {
					t.Errorf("told of %q before there was a reason", told.Load())
				}
				before := posts.Load()
				r.relay.grant(g) // as if it had never been withdrawn
				r.out.add(mainImport, hours(time.Now(), 3)...)
				r.client().Notify()
				pass(2 * time.Hour)
				if n := posts.Load() - before; n != 0 {
					t.Errorf("%d batches left under a permission that was withdrawn", n)
				}
				if told.Load() != "g1" {
					t.Errorf("the relay was told of %q", told.Load())
				}
				if gs := r.client().Grants(); len(gs) != 1 || !gs[0].Revoked.Equal(gone.Revoked) {
					t.Errorf("the page shows %+v", gs)
				}
				// Whoever agrees anew gets another permission, and all of it.
				r.relay.grant(gone, grantOf("g3", mainImport))
				pass(time.Minute)
				told.Store("")
				r.client().Notify()
				pass(time.Hour)
				r.settled(mainImport)
				if told.Load() != "" {
					t.Errorf("still told of %q", told.Load())
				}
			})
		})
	}
}

// What is kept of withdrawals is bounded, and ends with the grants themselves.
func TestWithdrawalsKeptAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, 12)
		c := r.start()
		defer r.end()
		now := time.Now().UTC()
		note := func(gs ...grant.Grant) {
			c.mu.Lock()
			defer c.mu.Unlock()
			for i := range gs {
				gs[i].Revoked = now
			}
			if _, err := c.endLocked(gs); err != nil {
				t.Error(err)
			}
		}
		until := func(id string, expires time.Time) grant.Grant {
			return grant.Grant{ID: id, Expires: expires}
		}
		note(until("soon over", now.Add(24*time.Hour)))
		var many []grant.Grant
		for i := range mostEnded + 10 {
			many = append(many, until(fmt.Sprint(i), now.Add(48*time.Hour+time.Duration(i)*time.Second)))
		}
		note(many...)
		c.mu.Lock()
		_, first := c.ended["soon over"]
		_, last := c.ended[fmt.Sprint(mostEnded+9)]
		n := len(c.ended)
		c.mu.Unlock()
		if n != mostEnded || first || !last {
			t.Errorf("%d kept, that which ends first %v, the last %v", n, first, last)
		}
		pass(50*time.Hour + keepEnded)
		note(until("new", time.Now().Add(time.Hour)))
		c.mu.Lock()
		c.undone = slices.Repeat([]string{"id"}, mostTold+5)
		n = len(c.ended)
		c.mu.Unlock()
		if n != 1 {
			t.Errorf("%d kept of permissions that ended by themselves", n)
		}
		h := http.Header{}
		c.tellEnded(h)
		if n := strings.Count(h.Get(grant.WithdrawnHeader), "id"); n != mostTold {
			t.Errorf("%d told in one request", n)
		}
	})
}
