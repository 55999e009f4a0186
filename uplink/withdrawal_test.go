package uplink

import (
	"net/http"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// While a batch is sealed and the network is down, the permission is
// withdrawn: nothing leaves any more; what is granted later does.
func TestWithdrawalWhileSealed(t *testing.T) {
	for name, posts := range map[string]fault{"not arrived": unreachable, "stored, answer lost": lost, "on its way": slow} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newRig(t, 5)
				r.out.add(mainImport, hours(time.Now(), 10)...)
				r.out.add(gas, hours(time.Now(), 10)...)
				r.relay.grant(grantOf("g1", mainImport, gas))
				var mu, sent = &r.wire.mu, 0
				r.wire.pick = func(q *http.Request) fault {
					if q.Method == http.MethodPost {
						sent++
						return posts
					}
					return none
				}
				c := r.start()
				defer r.end()
				pass(10 * time.Second)
				if seq, _, _ := r.out.Oldest(); seq != 1 {
					t.Fatalf("sealed is %d", seq)
				}
				r.relay.grant() // all withdrawn
				pass(10 * time.Second)
				mu.Lock()
				before := sent
				r.wire.pick = func(q *http.Request) fault {
					if q.Method == http.MethodPost {
						sent++
					}
					return none
				}
				mu.Unlock()
				pass(24 * time.Hour)
				c.Notify()
				pass(time.Hour)
				mu.Lock()
				if sent != before {
					t.Errorf("%d batches left after the withdrawal", sent-before)
				}
				mu.Unlock()
				if seq, _, _ := r.out.Oldest(); seq != 0 {
					t.Error("the batch is still sealed")
				}
				r.relay.grant(grantOf("g2", gas))
				pass(time.Second)
				r.settled(gas)
				r.out.each(func(k energy.Key, h *memHour) {
					if k == mainImport && (h.acked || h.sealed != 0) {
						t.Errorf("%s %v: not covered any more, but not pending either", k, h.Start)
					}
				})
			})
		})
	}
}

// A grant that runs out ends the sending, with no word from the relay.
func TestExpiry(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, 6)
		r.out.add(mainImport, hours(time.Now(), 10)...)
		g := grantOf("g1", mainImport)
		g.Expires = time.Now().Add(time.Hour)
		r.relay.grant(g)
		r.wire.pick = func(q *http.Request) fault {
			if q.Method == http.MethodPost && time.Now().Before(g.Expires) {
				return unreachable
			}
			return none
		}
		r.start()
		defer r.end()
		pass(3 * time.Hour)
		if n, _, _, _ := r.relay.counts(); n != 0 {
			t.Errorf("%d half-hours left after the end", n)
		}
		if seq, _, _ := r.out.Oldest(); seq != 0 {
			t.Error("the batch is still sealed")
		}
	})
}
