package energy

import (
	"math"
	"time"
)

// maxGap is the longest gap that is spread, and as long as half-hours are kept
// (400 days). After a longer one the register is opened anew with a Reset, and
// the half-hours between are not given at all.
const maxGap = int64(400 * 24 * time.Hour)

// Accumulator turns the samples of one register into half-hours.
//
// The register at each boundary is interpolated between the two samples around
// it, in integers, rounded down. A half-hour is the difference of the register
// at its two boundaries, so that half-hours always sum to the register's
// advance, exactly (law 1). How good a boundary is, and the evidence, is said
// in boundary.go; what becomes of a register that falls or leaps in hold.go;
// what the operator and the clock can say about it in exchange.go.
//
// An Accumulator is not safe for use by several goroutines.
type Accumulator struct {
	reg     Register
	period  int64 // ns
	close   int64 // ns
	longest int64 // ns, see Register.longest

	open bool      // there is a baseline
	anew EventKind // not Nothing: the next sample that is to be believed is a new baseline, and this is its event
	sole bool      // nothing has borne out the baseline yet
	progress
	held held

	undo bool     // prev is there:
	prev progress // what was before base rose to where it is, in case that base turns out to be a glitch

	stall stall // since when the register has shown the value of base, in case that it is frozen
}

// progress is how far a register has been counted.
type progress struct {
	base   point // the last good sample
	stated bool  // base is not a sample but the new meter's opening reading, as the operator stated it
	ahead  int64 // ns, how far the meter is ahead of its rating, see Register.spend

	// The half-hour in progress: it starts at the last boundary at or before base.
	known   bool    // the register at its start is known; else it is the partial one that is never given
	torn    bool    // it is not, and was before the clock was set back into it: Missing when it is over
	touched bool    // a meter exchange falls into it or around its start
	energy  int64   // from its start to base
	quality Quality // of its start boundary
	before  point   // the last sample at or before its start
	after   point   // the first one after it, where the half-hour before is not given and cannot name it; else none
	samples int     // so far
}

// NewAccumulator makes an Accumulator that has seen nothing. The period must
// divide 24 hours; anything else is taken as Period.
func NewAccumulator(r Register, period time.Duration) *Accumulator {
	if period <= 0 || 24*time.Hour%period != 0 {
		period = Period
	}
	a := &Accumulator{reg: r, period: int64(period), close: int64(r.Close), longest: r.longest(), anew: Opened}
	if a.close <= 0 {
		a.close = int64(DefaultClose(period))
	}
	return a
}

// Add takes the next sample and appends every half-hour that it settles to
// dst. Samples come in the order of their times; one that does not is dropped
// with an OutOfOrder event (see Rederive for what to do with it). In steady
// state nothing is allocated.
func (a *Accumulator) Add(s Sample, dst []HalfHour) ([]HalfHour, Event) {
	at, ok := nanos(s.At)
	p := point{at, s.Value}
	if latest, any := a.latest(); any || !ok {
		switch {
		case !ok || p.at <= latest:
			return dst, a.event(OutOfOrder, Sample{s.At.UTC(), s.Value})
		case p.at-latest > a.longest && a.reg.holds(p.value):
			a.lose(p.at)
		}
	}
	switch {
	case !a.reg.holds(p.value):
		return dst, a.event(Glitch, p.sample())
	case a.anew != Nothing:
		return a.start(p, dst)
	case a.held.n > 0:
		return a.judge(p, dst)
	}
	if adv, ok := a.goesOn(p); ok {
		return a.take(p, adv, dst), Event{}
	}
	a.held = held{n: 1, since: p.at, first: p, last: p}
	if p.value > a.base.value { // mutate: the same value is never held
		return dst, a.event(TooFast, p.sample())
	}
	return dst, Event{}
}

// Base gives the baseline: the last good sample (or, right after an Exchange,
// the new meter's opening reading). ok is false before the register is opened.
func (a *Accumulator) Base() (base Sample, ok bool) {
	if !a.open {
		return Sample{}, false
	}
	return a.base.sample(), true
}

// Boundary gives the start of the half-hour in progress and how well the
// register is known there; ok is false where it is not.
func (a *Accumulator) Boundary() (start time.Time, q Quality, ok bool) {
	if !a.known {
		return time.Time{}, Missing, false
	}
	return instant(a.half()), a.quality, true
}

// Held gives the first and the last of the n samples that are held until what
// follows decides about them; n is 0 where nothing is held.
func (a *Accumulator) Held() (first, last Sample, n int) {
	if a.held.n == 0 {
		return Sample{}, Sample{}, 0
	}
	return a.held.first.sample(), a.held.last.sample(), a.held.n
}

// advance gives how far the register went from the baseline to p, and whether
// it can have.
func (a *Accumulator) advance(p point) (advance, bool) {
	adv, ok := a.reg.follows(a.base, p, a.ahead, a.longest)
	return adv, ok && a.fits(adv.energy, 0)
}

// goesOn is advance for a sample: one that leaps away from a baseline which
// nothing has borne out yet has to be judged.
func (a *Accumulator) goesOn(p point) (advance, bool) {
	adv, ok := a.advance(p)
	return adv, ok && !(a.sole && a.reg.leaps(a.base, p))
}

// fits keeps the half-hour in progress inside 63 bits; x and y are not negative.
func (a *Accumulator) fits(x, y int64) bool {
	return uint64(x)+uint64(y) <= uint64(math.MaxInt64-a.energy)
}

// latest is the time of the last sample that was taken or held.
func (a *Accumulator) latest() (at int64, any bool) {
	if a.held.n > 0 {
		return a.held.last.at, true
	}
	return a.base.at, a.open
}

// event speaks of a sample against the baseline as it is now.
func (a *Accumulator) event(k EventKind, s Sample) Event {
	if !a.open {
		return Event{Kind: k, At: s.At, Before: -1, After: s.Value}
	}
	return Event{Kind: k, At: s.At, Before: a.base.value, After: s.Value, BeforeAt: instant(a.base.at)}
}
