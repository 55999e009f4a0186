package ingest

import (
	"crypto/ecdsa"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/uplink/month"
)

// The statement of a whole month is given while it is of the half-hours stored,
// and still when these are deleted; never one of a part, nor one that a
// correction left behind.
func TestMonthRoots(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		ctx, march := t.Context(), month.Of(monday)
		w.service.c.TrustFramework = trustFramework
		w.register()
		live := grantFor("g", march.Start, mainIn)
		w.permits.set(live)
		w.setNow(monday.Add(2 * time.Hour))
		w.send(series(mainIn, monday, 10, 20))
		w.setNow(march.End().Add(time.Hour))
		first, _ := march.Place(monday)
		values := map[int]month.Value{first: measured(10, -1), first + 1: measured(20, -1)}
		all := []month.Span{{From: march.Start, To: march.End()}}
		roots := func(when string, want int) []MonthRoot {
			t.Helper()
			got, err := w.service.MonthRoots(ctx, gatewayURL, []energy.Key{mainIn}, march.Start, march.End())
			if err != nil || len(got) != want {
				t.Fatalf("%s: %+v, %v", when, got, err)
			}
			return got
		}
		state := func(spans []month.Span) month.Hash {
			t.Helper()
			b, seed := w.state(mainIn, march, spans, values)
			if a := w.sendStatements(b); a.status != 200 || len(a.Refused) > 0 {
				t.Fatalf("%+v", a)
			}
			return month.Root(seed, func(i int) month.Value { return values[i] })
		}
		holds := func(when string, want month.Hash) {
			t.Helper()
			one := roots(when, 1)[0]
			st, _, err := one.Signed.Verify(one.Chain[0].PublicKey.(*ecdsa.PublicKey))
			if err != nil || st.Root != want || one.Key != mainIn || one.Month != march {
				t.Errorf("%s: %+v, %v", when, one, err)
			}
		}
		roots("before any", 0)
		state([]month.Span{{From: march.Start, To: march.End().Add(-energy.Period)}})
		roots("of a part", 0)
		root := state(all)
		holds("whole", root)
		if one := roots("never changed", 1)[0]; !one.Changed.IsZero() {
			t.Errorf("changed at %s", one.Changed)
		}
		w.send(series(mainIn, monday, 11))
		roots("corrected", 0)
		values[first] = measured(11, -1)
		root = state(all)
		holds("stated anew", root)
		if one := roots("changed", 1)[0]; !one.Changed.Equal(w.now()) {
			t.Errorf("changed at %s, want %s", one.Changed, w.now())
		}
		w.permits.set()
		if n, err := w.service.DeleteUncovered(ctx, gatewayURL); n != 2 || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
		holds("its half-hours are deleted", root)
		if got, err := w.service.MonthRoots(ctx, gatewayURL, nil, march.Start, march.End()); len(got) != 0 || err != nil {
			t.Errorf("of no register: %v, %v", got, err)
		}
	})
}
