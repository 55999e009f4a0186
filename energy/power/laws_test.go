package power

import (
	"math/big"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"pgregory.net/rapid"
)

// Law 1, for a power: at every boundary the register is the exact integral so
// far, in whole Wh; half-hours are its differences; a restart after every
// reading changes nothing.
func TestHalfHoursAreTheIntegral(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		period := rapid.SampledFrom([]time.Duration{energy.Period, time.Minute, 4 * time.Hour}).Draw(t, "period")
		measure := rapid.SampledFrom([]energy.Measure{energy.Import, energy.Export}).Draw(t, "measure")
		maxGap := rapid.SampledFrom([]time.Duration{0, time.Minute, time.Hour}).Draw(t, "gap")
		reg := energy.Register{Measure: measure}
		g := New(reg, period, maxGap)
		restarted := New(reg, period, maxGap)
		sign := int64(1)
		if measure == energy.Export {
			sign = -1
		}
		at := ten.Add(time.Duration(rapid.Int64Range(0, int64(period)).Draw(t, "offset"))).Truncate(time.Microsecond)
		integral, register := new(big.Rat), map[int64]*big.Rat{} // at boundaries, half watt-microseconds
		broken := map[int64]bool{}                               // half-hours that a gap touched
		var last *point
		var hs []energy.HalfHour
		crossings := int64(0)
		for range rapid.IntRange(1, 60).Draw(t, "readings") {
			gap := rapid.OneOf(rapid.Int64Range(1, g.gap), rapid.Int64Range(1, g.gap), rapid.Int64Range(1, g.gap), rapid.Just(g.gap),
				rapid.Just(g.period-at.UnixMicro()%g.period), rapid.Int64Range(g.gap, 5*g.period)).Draw(t, "pause")
			at = at.Add(time.Duration(gap) * time.Microsecond)
			p := point{at.UnixMicro(), rapid.OneOf(rapid.Int64Range(-10_000, 10_000), rapid.Int64Range(-maxWatts, maxWatts)).Draw(t, "watts")}
			n := len(hs)
			hs, _ = g.Add(energy.Sample{At: at, Value: p.value}, hs)
			again, _ := restarted.Add(energy.Sample{At: at, Value: p.value}, nil)
			if len(again) != len(hs)-n {
				t.Fatalf("%d half-hours, after restarts %d", len(hs)-n, len(again))
			}
			for i := range again {
				if again[i] != hs[n+i] {
					t.Fatalf("%+v, after restarts %+v", hs[n+i], again[i])
				}
			}
			var err error
			if restarted, err = Restore(reg, period, maxGap, restarted.State(nil)); err != nil || *restarted != *g {
				t.Fatalf("%v: %+v became %+v", err, g, restarted)
			}
			if last != nil {
				l := line{sign * last.value, sign * p.value, p.at - last.at}
				whole := l.dt <= g.gap
				if !whole {
					for b := last.at - last.at%g.period; b < p.at; b += g.period {
						broken[b] = true
					}
				}
				for b := last.at - last.at%g.period; b <= p.at; b += g.period {
					if b < last.at {
						continue
					}
					register[b] = new(big.Rat).Set(integral)
					if whole {
						register[b].Add(register[b], exactly(l, b-last.at))
					}
				}
				if whole {
					integral.Add(integral, exactly(l, l.dt))
					if l.a > 0 && l.b < 0 || l.a < 0 && l.b > 0 {
						crossings++
					}
				}
			} else if p.at%g.period == 0 {
				register[p.at] = new(big.Rat)
			}
			last = &p
		}
		// What a crossing loses is less than half a watt-microsecond.
		lost := new(big.Rat).Sub(integral, new(big.Rat).SetInt(new(big.Int).Add(new(big.Int).Mul(big.NewInt(g.total.wh), big.NewInt(perWh)), big.NewInt(g.total.rest))))
		if lost.Sign() < 0 || lost.Cmp(big.NewRat(crossings, 1)) > 0 || crossings == 0 && lost.Sign() != 0 {
			t.Fatalf("%s half watt-microseconds lost at %d crossings", lost.FloatString(3), crossings)
		}
		checkAgainst(t, g, hs, register, broken, crossings)
	})
}

func checkAgainst(t *rapid.T, g *Integrator, hs []energy.HalfHour, register map[int64]*big.Rat, broken map[int64]bool, crossings int64) {
	wh := func(us, less int64) int64 {
		r := new(big.Rat).Sub(register[us], big.NewRat(less, 1))
		return floor(r.Quo(r, big.NewRat(perWh, 1)))
	}
	for i, h := range hs {
		start := h.Start.UnixMicro()
		end := start + g.period
		if i > 0 && !h.Start.Equal(hs[i-1].Start.Add(time.Duration(g.period)*time.Microsecond)) {
			t.Fatalf("a hole before %+v", h)
		}
		if (h.Quality == energy.Missing) != broken[start] || !h.TakenAt.After(instant(end)) {
			t.Fatalf("gap: %v, half-hour: %+v", broken[start], h)
		}
		if h.Quality == energy.Missing {
			continue
		}
		if h.Quality != energy.Estimated || h.Evidence.Rule != energy.RulePower || h.Energy < 0 {
			t.Fatalf("%+v", h)
		}
		for us, got := range map[int64]int64{start: h.Cumulative - h.Energy, end: h.Cumulative} {
			if register[us] == nil || got > wh(us, 0) || got < wh(us, crossings) {
				t.Fatalf("%+v: the register at %v is %d", h, instant(us), got)
			}
		}
	}
}

// Import and export of one point, taken together, are its net integral: what
// one of them rounds away at a crossing, so does the other.
func TestImportLessExportIsNet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := New(energy.Register{Measure: energy.Import}, energy.Period, time.Hour)
		out := New(energy.Register{Measure: energy.Export}, energy.Period, time.Hour)
		at, last, net := ten, int64(0), new(big.Int)
		for i := range rapid.IntRange(1, 100).Draw(t, "readings") {
			us := rapid.Int64Range(1, in.gap).Draw(t, "pause")
			at = at.Add(time.Duration(us) * time.Microsecond)
			w := rapid.Int64Range(-maxWatts, maxWatts).Draw(t, "watts")
			in.Add(energy.Sample{At: at, Value: w}, nil)
			out.Add(energy.Sample{At: at, Value: w}, nil)
			if i > 0 {
				net.Add(net, new(big.Int).Mul(big.NewInt(last+w), big.NewInt(us)))
			}
			last = w
		}
		got := new(big.Int).Mul(big.NewInt(in.total.wh-out.total.wh), big.NewInt(perWh))
		if got.Add(got, big.NewInt(in.total.rest-out.total.rest)); got.Cmp(net) != 0 {
			t.Fatalf("%s, net %s", got, net)
		}
	})
}
