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
	Close    time.Duration // how near to a boundary a sample must lie to make it Measured, see Accumulator; 0: DefaultClose
	Mantissa int           // bits of the mantissa where the register is a float: 24 (float32) or 53 (float64); 0: an integer
	Step     int64         // base units of one count (of 1.0, for a float); 0: 1
	Learnt   bool          // the device itself says Modulus and Step, with each reading: see Accumulator.Learn
}

// Resolution is the smallest advance that the register can show where it
// stands at value, in base units, at least 1: a step of an integer; of a
// float, the distance to the next one. A float32 of kilowatt-hours shows 1 Wh
// up to 16 MWh only, and 2 kWh beyond 16,777,216 kWh (feeds.md 1.9).
func (r *Register) Resolution(value int64) int64 {
	step := max(r.Step, 1)
	if r.Mantissa <= 0 || value <= 0 {
		return step
	}
	// The float's own number is value/step, in [2^(e-1), 2^e).
	shift := bits.Len64(uint64(value/step)) - r.Mantissa
	return max(step<<max(shift, 0)>>max(-shift, 0), 1) // at most value, or one step
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

// advance is a believable step of a register: how far it went, and how far
// its meter is then ahead of what MaxPower delivers, see spend.
type advance struct{ energy, ahead int64 }

// spend gives how far, in nanoseconds at MaxPower, a meter is ahead of its
// rating once it has counted energy within elapsed, having been ahead before;
// ok is false where that is more than grace: then it cannot have counted that.
//
// Ahead is carried from step to step and made up for by time. Hence, whatever
// the number of steps, no more than MaxPower x (t + grace) is ever counted in
// a time t: a ceiling for each step alone would let a register that is polled
// often creep up as fast as it likes.
func (r *Register) spend(ahead, energy, elapsed int64) (now int64, ok bool) {
	if r.MaxPower <= 0 {
		return 0, true
	}
	hi, lo := bits.Mul64(uint64(energy), uint64(time.Hour))
	if hi >= uint64(r.MaxPower) {
		return 0, false
	}
	need, rest := bits.Div64(hi, lo, uint64(r.MaxPower))
	if need > math.MaxInt64/4 { // mutate: at the bound it is far beyond the grace below
		return 0, false
	}
	if rest > 0 {
		need++ // rounded up: never a Wh above the ceiling
	}
	now = max(ahead+int64(need)-elapsed, 0)
	return now, now <= grace
}

// longest is the longest gap between two samples, in nanoseconds, over which
// the register's advance can be told at all: at most maxGap, and no longer
// than half the modulus takes at MaxPower. After a longer one it can have
// wrapped once more than it seems, and a guess would invent energy.
func (r *Register) longest() int64 {
	if r.Modulus <= 0 || r.MaxPower <= 0 { // mutate: without a ceiling the quotient saturates at maxGap too
		return maxGap
	}
	return int64(min(mulDiv(uint64(r.Modulus/2), uint64(time.Hour), uint64(r.MaxPower)), uint64(maxGap)))
}

// holds reports whether the register can show v at all.
func (r *Register) holds(v int64) bool {
	return v >= 0 && (r.Modulus <= 0 || v < r.Modulus)
}

// wrapped gives the advance from v0 to v1 through the modulus, and whether
// that is believable as a rollover: v0 lies in the last tenth before the
// modulus (feeds.md 3.1, rule 4), the advance is at most a tenth of the
// modulus, and the meter can have delivered it in the time.
func (r *Register) wrapped(v0, v1, ahead, elapsed int64) (advance, bool) {
	if r.Modulus <= 0 || v1 >= v0 { // mutate: a whole modulus is refused below
		return advance{}, false
	}
	tenth := r.Modulus / 10
	energy := r.Modulus - v0 + v1
	ahead, ok := r.spend(ahead, energy, elapsed)
	return advance{energy, ahead}, ok && v0 >= r.Modulus-tenth && energy <= tenth && elapsed <= r.longest()
}

// follows gives the advance from one point to a later one, and whether the
// register can have gone there: it did not fall, nor leap beyond its ceiling,
// nor was it unseen for too long.
func (r *Register) follows(from, to point, ahead, longest int64) (advance, bool) {
	energy, gap := to.value-from.value, to.at-from.at
	if energy < 0 || gap > longest {
		return advance{}, false
	}
	ahead, ok := r.spend(ahead, energy, gap)
	return advance{energy, ahead}, ok
}

// leaps reports whether a step that follows a reading nobody can vouch for (the
// first one of all, or the first after a break) is to be doubted: it is more
// than a tenth of the register, and more than the meter can have delivered
// without any grace but the one count in which a coarse register shows it. A
// gateway that opens on a stray low value would otherwise count the register
// itself as energy, wherever the ceiling is high.
func (r *Register) leaps(from, to point) bool {
	energy := to.value - from.value
	sure := max(energy-r.Resolution(to.value), 0)
	return r.MaxPower > 0 && energy > to.value/10 &&
		uint64(sure) > mulDiv(uint64(r.MaxPower), uint64(to.at-from.at), uint64(time.Hour))
}

// wrap brings an unwrapped value back into what the register shows.
func (r *Register) wrap(base, advance int64) int64 {
	if r.Modulus > 0 && advance >= r.Modulus-base {
		return (advance - (r.Modulus - base)) % r.Modulus
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
