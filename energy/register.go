package energy

import (
	"math"
	"math/bits"
	"time"
)

// Register says what is known about a register before it is read.
type Register struct {
	Measure  Measure
	Modulus  int64         // base units at which the register wraps to 0; 0: never
	MaxPower int64         // base units per hour that the meter can at most deliver (plausibility); 0: no ceiling
	Close    time.Duration // a sample this near (or nearer) to a boundary makes it Measured; 0: DefaultClose
}

// DefaultClose is how near a sample must lie to a boundary so that the
// boundary counts as measured, where a Register does not say: 2 minutes, and
// in proportion (a fifteenth) where the period is not half an hour.
//
// Two minutes keeps a meter that is polled each minute "measured" when one
// answer is lost, and bounds the doubt about a boundary to a fifteenth of what
// the site can draw in a half-hour.
func DefaultClose(period time.Duration) time.Duration { return period / 15 }

// grace is the time by which the plausibility ceiling is lengthened. Many
// meters refresh their register in steps (a pulse of 1 kWh, a profile every
// 15 or 30 minutes), so that an advance can arrive all at once.
const grace = int64(Period)

// carried reports whether the meter can have delivered advance base units in
// elapsed nanoseconds (and grace), going by its MaxPower.
func (r *Register) carried(advance, elapsed int64) bool {
	if r.MaxPower <= 0 {
		return true
	}
	return uint64(advance) <= mulDiv(uint64(r.MaxPower), uint64(elapsed)+uint64(grace), uint64(time.Hour))
}

// holds reports whether the register can show v at all.
func (r *Register) holds(v int64) bool {
	return v >= 0 && (r.Modulus <= 0 || v < r.Modulus)
}

// wrapped gives the advance from v0 to v1 through the modulus, and whether
// that is believable as a rollover: v0 lies in the last tenth before the
// modulus (feeds.md 3.1, rule 4), the advance is at most a tenth of the
// modulus, and the meter can have delivered it in the time.
func (r *Register) wrapped(v0, v1, elapsed int64) (advance int64, ok bool) {
	if r.Modulus <= 0 || v1 >= v0 {
		return 0, false
	}
	tenth := r.Modulus / 10
	advance = r.Modulus - v0 + v1
	return advance, v0 >= r.Modulus-tenth && advance <= tenth && r.carried(advance, elapsed)
}

// wrap brings an unwrapped value back into what the register shows.
func (r *Register) wrap(base, advance int64) int64 {
	if r.Modulus > 0 && advance >= r.Modulus-base {
		return advance - (r.Modulus - base)
	}
	return base + advance
}

// mulDiv is a*b/c, rounded down, through 128 bits. It saturates at
// math.MaxUint64 where the result does not fit.
func mulDiv(a, b, c uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	if hi >= c {
		return math.MaxUint64
	}
	q, _ := bits.Div64(hi, lo, c)
	return q
}
