package power

import "math/bits"

// perWh is how many units of the arithmetic, half watt-microseconds, are a Wh.
const perWh = 2 * 3600 * 1_000_000

// tally is a count of energy: whole Wh and what is left over, 0 <= rest < perWh.
type tally struct{ wh, rest int64 }

// plus adds half watt-microseconds, which line.above keeps below 2^63 - perWh.
func (t tally) plus(units int64) tally {
	units += t.rest
	return tally{t.wh + units/perWh, units % perWh}
}

// line is a power that runs straight from a to b (W) in dt µs, 0 < dt.
type line struct{ a, b, dt int64 }

// above is twice the area between the line and zero, where it is above zero,
// over its first x µs (0 <= x <= dt): in half watt-microseconds, rounded down.
// With |a|, |b| <= maxWatts and dt <= longestGap nothing overflows: 2^31 W * 2^32 µs.
//
// Since the exact area only grows with x, so does the rounded one. And since
// for a line that crosses zero the areas above and below differ by a whole
// number, (a+b)*dt, both lose the same in rounding: import less export is the
// net integral, exactly.
func (l line) above(x int64) int64 {
	switch s := l.b - l.a; {
	case l.a <= 0 && l.b <= 0: // mutate: at 0 the other branches give the same area
		return 0
	case s == 0:
		return 2 * l.a * x
	case l.a >= 0 && l.b >= 0 && s > 0: // mutate: at 0 the branch for a crossing gives the same area
		return 2*l.a*x + l.square(x, s)
	case l.a >= 0 && l.b >= 0: // mutate: at 0 the branch for a crossing gives the same area
		return 2*l.a*x - l.squareUp(x, -s)
	case s > 0: // rises through zero: (x*s - |a|*dt)^2 / (s*dt) once that is positive. // mutate: s is not 0 here
		up := x*s + l.a*l.dt
		if up <= 0 { // mutate: the square of 0 is 0
			return 0
		}
		hi, lo := bits.Mul64(uint64(up), uint64(up))
		q, _ := bits.Div64(hi, lo, uint64(s)*uint64(l.dt))
		return int64(q)
	case x*-s <= l.a*l.dt: // falls, and is still above zero. // mutate: at zero both branches give the whole triangle
		return 2*l.a*x - l.squareUp(x, -s)
	default: // has fallen below it: a^2 * dt / |s|
		hi, lo := bits.Mul64(uint64(l.a)*uint64(l.a), uint64(l.dt))
		q, _ := bits.Div64(hi, lo, uint64(-s))
		return int64(q)
	}
}

// square is s*x^2/dt, rounded down.
func (l line) square(x, s int64) int64 {
	q, _ := l.divSquare(x, s)
	return int64(q)
}

// squareUp is s*x^2/dt, rounded up.
func (l line) squareUp(x, s int64) int64 {
	q, r := l.divSquare(x, s)
	if r > 0 {
		q++
	}
	return int64(q)
}

func (l line) divSquare(x, s int64) (q, r uint64) {
	hi, lo := bits.Mul64(uint64(x)*uint64(x), uint64(s)) // x^2 < 2^64: x < 2^32
	return bits.Div64(hi, lo, uint64(l.dt))
}
