package power

import (
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

// exactly is twice the area above zero of the first x µs of a line, as a
// rational: piece by piece, as one would draw it.
func exactly(l line, x int64) *big.Rat {
	at := func(t *big.Rat) *big.Rat {
		v := new(big.Rat).Mul(big.NewRat(l.b-l.a, l.dt), t)
		return v.Add(v, big.NewRat(l.a, 1))
	}
	from, to := new(big.Rat), big.NewRat(x, 1)
	if (l.a < 0) != (l.b < 0) && l.a != l.b { // cut at the zero
		zero := new(big.Rat).Quo(big.NewRat(-l.a, 1), big.NewRat(l.b-l.a, l.dt))
		switch {
		case l.b > l.a && zero.Cmp(to) >= 0:
			return from
		case l.b > l.a:
			from = zero
		case zero.Cmp(to) < 0:
			to = zero
		}
	}
	p, q := at(from), at(to)
	if p.Sign() < 0 || q.Sign() < 0 {
		return new(big.Rat)
	}
	return p.Mul(p.Add(p, q), to.Sub(to, from)) // (p+q)/2 * time, twice
}

func floor(r *big.Rat) int64 {
	return new(big.Int).Div(r.Num(), r.Denom()).Int64()
}

func drawLine(t *rapid.T) line {
	watts := rapid.OneOf(rapid.Int64Range(-5, 5), rapid.Int64Range(-20_000, 20_000), rapid.Int64Range(-maxWatts, maxWatts), rapid.SampledFrom([]int64{-maxWatts, maxWatts}))
	micros := rapid.OneOf(rapid.Int64Range(1, 10), rapid.Int64Range(1, longestGap.Microseconds()), rapid.Just(longestGap.Microseconds()))
	return line{watts.Draw(t, "a"), watts.Draw(t, "b"), micros.Draw(t, "dt")}
}

func TestAboveIsTheArea(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := drawLine(t)
		x := rapid.Int64Range(0, l.dt).Draw(t, "x")
		got, want := l.above(x), floor(exactly(l, x))
		if got != want {
			t.Fatalf("%+v up to %d: %d, not %d", l, x, got, want)
		}
		if y := rapid.Int64Range(x, l.dt).Draw(t, "y"); l.above(y) < got {
			t.Fatalf("%+v: less up to %d than up to %d", l, y, x)
		}
		// Import less export is the net, to the half watt-microsecond.
		below := line{-l.a, -l.b, l.dt}
		if net := (l.a + l.b) * l.dt; l.above(l.dt)-below.above(l.dt) != net {
			t.Fatalf("%+v: %d above, %d below, %d net", l, l.above(l.dt), below.above(l.dt), net)
		}
		if sum := (tally{}).plus(l.above(x)); sum.rest < 0 || sum.rest >= perWh || sum.wh*perWh+sum.rest != got {
			t.Fatalf("%d became %+v", got, sum)
		}
	})
}

func TestAbove(t *testing.T) {
	for _, c := range []struct{ a, b, dt, x, want int64 }{
		{0, 0, 10, 10, 0}, {5, 5, 10, 4, 40}, {-5, -5, 10, 10, 0}, {-5, 0, 10, 10, 0}, {0, -5, 10, 10, 0},
		{0, 10, 10, 10, 100}, {0, 10, 10, 5, 25}, {10, 0, 10, 10, 100}, {10, 0, 10, 5, 75}, {1, 2, 10, 5, 12}, // 12.5
		{2, 1, 10, 5, 17}, // 17.5
		{-10, 10, 10, 5, 0}, {-10, 10, 10, 6, 2}, {-10, 10, 10, 10, 50}, {10, -10, 10, 5, 50}, {10, -10, 10, 6, 50}, {10, -10, 10, 4, 48},
		{-1, 2, 10, 10, 13}, {1, -2, 10, 10, 3}, {2, -1, 10, 10, 13}, {-2, 1, 10, 10, 3}, // 13.3 and 3.3
		{maxWatts, maxWatts, 3_600_000_000, 3_600_000_000, 2 * maxWatts * 3_600_000_000},
		{-maxWatts, maxWatts, 3_600_000_000, 3_600_000_000, maxWatts * 1_800_000_000},
		{maxWatts, -maxWatts, 3_600_000_000, 3_600_000_000, maxWatts * 1_800_000_000},
	} {
		if got := (line{c.a, c.b, c.dt}).above(c.x); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}
