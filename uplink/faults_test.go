package uplink

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/uplink/batch"
)

var schedules = flag.Int("schedules", 8, "how many random schedules of faults TestFaults plays")

// Days of trouble: answers lost, late, twice, cut off or wrong, the network
// away, the power cut at any call of the store, grants given and withdrawn,
// values corrected, the gateway's store replaced. In the end the relay has all
// that may leave, once, in one chain; and whatever the gateway took for
// delivered had been stored.
func TestFaults(t *testing.T) {
	n := *schedules
	if testing.Short() {
		n = 5
	}
	for seed := range uint64(n) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			bubble(t, func(t *testing.T) { trouble(t, seed) })
		})
	}
}

func trouble(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 3))
	r := newRig(t, seed)
	keys := []energy.Key{mainImport, mainExport, gas}
	for _, k := range keys {
		r.out.add(k, hours(time.Now(), rng.IntN(5*48))...)
	}
	r.relay.grant(grantOf("g0", keys...))

	// Faults come in spells: a bad hour, then a good one.
	badness := 0.0
	hits := map[fault]int{}
	r.wire.pick = func(q *http.Request) fault {
		if r.wire.rng.Float64() >= badness {
			return none
		}
		f := fault(1 + r.wire.rng.IntN(int(faults)-1))
		hits[f]++
		return f
	}
	check := func() { // nothing is taken for delivered that the relay does not have
		r.out.each(func(k energy.Key, h *memHour) {
			if h.acked {
				if v, ok := r.relay.has(k, h.Start); !ok || (v != batch.Value{Energy: h.Energy, Quality: h.Quality, Rule: h.Evidence.Rule, Flags: h.Flags}) {
					t.Errorf("%s %v is acknowledged, but the relay has %v, %v", k, h.Start, v, ok)
				}
			}
		})
	}

	r.start()
	crashes, replaced := 0, 0
	for round := range 3 * 48 {
		r.wire.mu.Lock()
		badness = []float64{0, 0.2, 0.6, 1}[rng.IntN(4)]
		r.wire.mu.Unlock()
		if rng.IntN(6) == 0 { // the power goes at one of the next calls of the store
			crashes++
			r.out.powerOn(1 + rng.IntN(25))
		}
		pass(time.Duration(rng.Int64N(int64(energy.Period))))
		if rng.IntN(10) == 0 {
			if granted := keys[:rng.IntN(len(keys)+1)]; len(granted) > 0 {
				r.relay.grant(grantOf(fmt.Sprint("g", round), granted...))
			} else {
				r.relay.grant()
			}
		}
		pass(time.Until(time.Now().Truncate(energy.Period).Add(energy.Period)))
		for _, k := range keys {
			r.out.add(k, hours(time.Now(), 1+rng.IntN(2))...) // at times one that was missed
		}
		if rng.IntN(12) == 0 { // a correction of what may have been delivered
			h := hours(time.Now(), 20)[rng.IntN(20)]
			h.Energy, h.Quality, h.Cumulative = h.Energy+1, energy.Estimated, -1
			r.out.add(keys[rng.IntN(3)], h)
		}
		r.client().Notify()
		if r.out.dead || rng.IntN(20) == 0 {
			r.stop()
			r.out.powerOn(0)
			if rng.IntN(8) == 0 { // the chain is lost, and what was acknowledged is forgotten
				replaced++
				fresh := newOutbox()
				fresh.rng = r.out.rng
				r.out.each(func(k energy.Key, h *memHour) { fresh.add(k, h.HalfHour) })
				fresh.corrected = r.out.corrected
				r.out = fresh
			}
			r.start()
		}
		check()
	}

	// All is well again: it comes to rest by itself.
	r.stop()
	r.out.powerOn(0)
	r.wire.trouble(nil)
	r.relay.grant(grantOf("last", keys...))
	r.start()
	pass(2 * time.Hour) // late ones come in as well
	r.end()
	check()
	r.settled(keys...)
	n, writes, carried, head := r.relay.counts()
	here := 0
	r.out.each(func(energy.Key, *memHour) { here++ })
	if n != here {
		t.Errorf("relay has %d half-hours, here are %d", n, here)
	}
	if writes > n+r.out.corrected { // a half-hour is written once for each value that it had
		t.Errorf("%d half-hours and %d corrections, but %d writes", n, r.out.corrected, writes)
	}
	t.Logf("%d half-hours in %d batches (%d carried, %d writes); %d crashes, %d stores replaced, faults %v", n, head, carried, writes, crashes, replaced, hits)
}
