package energy

import (
	"math/rand/v2"
	"testing"
	"time"
)

// Over 40 years of readings each ten minutes or so, with outages of up to
// six days, glitches, restarts and dozens of wraps, the half-hours sum to
// what the register counted: nothing is lost to rounding, ever (law 1).
func TestFortyYears(t *testing.T) {
	if testing.Short() {
		t.Skip("2 million readings each of 3 registers")
	}
	for _, modulus := range []int64{0, 100_000_000, 1 << 30} {
		reg := Register{Measure: Import, Modulus: modulus, MaxPower: 20_000}
		rng := rand.New(rand.NewPCG(40, uint64(modulus)))
		start := time.Date(2010, 1, 1, 0, 0, 0, 0, time.UTC)
		now, end := start, start.AddDate(40, 0, 0)
		total := int64(99_000_000) // never wraps
		first := total
		shown := func(v int64) int64 {
			if modulus > 0 {
				return v % modulus
			}
			return v
		}
		a := NewAccumulator(reg, Period)
		var hs []HalfHour
		var sum, n, wraps int64
		next := start
		take := func(s Sample) {
			var e Event
			hs, e = a.Add(s, hs[:0])
			if e.Kind == Rollover {
				wraps++
			} else if e.Kind != Nothing && e.Kind != Opened && e.Kind != Glitch && e.Kind != TooFast {
				t.Fatalf("%+v", e)
			}
			for i := range hs {
				h := &hs[i]
				if sum += h.Energy; !h.Start.Equal(next) || h.Energy < 0 || h.Energy > 20_000 || shown(first+sum) != h.Cumulative {
					t.Fatalf("%+v after %d half-hours and %d Wh", h, n, sum)
				}
				n, next = n+1, next.Add(Period)
			}
		}
		for take(Sample{now, shown(total)}); now.Before(end); take(Sample{now, shown(total)}) {
			gap := time.Duration(1+rng.Int64N(20*60_000)) * time.Millisecond
			wrapping := modulus > 0 && shown(total) < 100_000 || shown(total) > modulus-100_000
			switch rng.IntN(4000) {
			case 0:
				gap *= 430 // up to six days
			case 1, 2, 3:
				if !wrapping {
					take(Sample{now.Add(time.Millisecond), []int64{0, shown(total) / 2, 1<<32 - 1}[rng.IntN(3)]})
				}
			case 4:
				b, err := RestoreAccumulator(reg, Period, a.State(nil))
				if err != nil {
					t.Fatal(err)
				}
				a = b
			}
			if now = now.Add(gap); now.After(end) {
				now = end
			}
			total += rng.Int64N(20_000*gap.Milliseconds()/3_600_000 + 1)
		}
		for range 2 { // what may still be held is judged
			now = now.Add(Period)
			total += 7
			take(Sample{now, shown(total)})
		}
		if sum != total-first || n != int64(now.Sub(start)/Period) {
			t.Errorf("modulus %d: %d half-hours sum to %d Wh, the register counted %d", modulus, n, sum, total-first)
		}
		if all := (total / max(modulus, 1)) - first/max(modulus, 1); modulus > 0 && wraps != all || modulus > 0 && wraps == 0 {
			t.Errorf("modulus %d: %d wraps seen of %d", modulus, wraps, all)
		}
		t.Logf("modulus %d: %d half-hours, %d MWh, %d wraps", modulus, n, sum/1_000_000, wraps)
	}
}
