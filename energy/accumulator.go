package energy

import (
	"math"
	"time"
)

// How long a register that fell or leapt is held before it counts as a new
// baseline. Each bound is there for something seen in the field: late answers
// of another register come in bursts, firmware updates serve 0 for a while,
// and a disc that runs backwards never settles.
const (
	resetSamples = 5  // at least so many samples agree with each other,
	resetPart    = 10 // over at least a tenth of a period;
	zeroPeriods  = 2  // a register that stays at exactly 0 is believed after two periods only
	holdPeriods  = 4  // and after four periods of values that agree with nothing, the latest one is taken
	rolloverSeen = 2  // samples after a wrap before it is believed
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
// advance, exactly (law 1).
//
// A boundary is as good as the sample nearest to it: within Register.Close it
// is Measured; otherwise Interpolated where the samples around it are at most
// one period apart, and Estimated where they are further apart (the exact
// advance over the gap, spread in proportion to time). A half-hour is as good
// as the worse of its boundaries. The first, partial half-hour is not given.
//
// A register that falls, or leaps by more than MaxPower allows, is held with
// the baseline unchanged until what follows decides: it comes back (Glitch,
// the value never counted), it wrapped (Rollover), or it stays (Reset: a new
// baseline; the half-hours from the last good sample to the new baseline are
// Missing).
//
// Evidence: First is the last sample at or before the half-hour's start, Last
// the first sample at or after its end. Hence Last of one half-hour and First
// of the next are the two samples between which their common boundary was
// interpolated, and anybody can redo the sum.
//
// An Accumulator is not safe for use by several goroutines.
type Accumulator struct {
	reg    Register
	period int64 // ns
	close  int64 // ns

	open bool
	base point // the last good sample

	// The half-hour in progress: it starts at the last boundary at or before base.
	known   bool    // the register at its start is known; else it is the partial one that is never given
	energy  int64   // from its start to base
	quality Quality // of its start boundary
	before  point   // the last sample at or before its start
	samples int     // so far

	held held
}

// held is a run of samples that disagree with the baseline.
type held struct {
	n           int // 0: nothing is held
	since       int64
	first, last point
}

// NewAccumulator makes an Accumulator that has seen nothing. The period must
// divide 24 hours; anything else is taken as Period.
func NewAccumulator(r Register, period time.Duration) *Accumulator {
	if period <= 0 || 24*time.Hour%period != 0 {
		period = Period
	}
	a := &Accumulator{reg: r, period: int64(period), close: int64(r.Close)}
	if a.close <= 0 {
		a.close = int64(DefaultClose(period))
	}
	return a
}

// Add takes the next sample and appends every half-hour that it settles to
// dst. Samples come in the order of their times; one that does not is dropped
// with an OutOfOrder event. In steady state nothing is allocated.
func (a *Accumulator) Add(s Sample, dst []HalfHour) ([]HalfHour, Event) {
	at, ok := nanos(s.At)
	p := point{at, s.Value}
	switch {
	case !ok || a.open && p.at <= a.latest():
		return dst, a.event(OutOfOrder, Sample{s.At.UTC(), s.Value})
	case !a.reg.holds(p.value):
		return dst, a.event(Glitch, p.sample())
	case !a.open:
		e := a.event(Opened, p.sample())
		a.openAt(p)
		return dst, e
	case p.at-a.latest() > maxGap:
		e := a.event(Reset, p.sample())
		a.openAt(p)
		return dst, e
	case a.held.n > 0:
		return a.judge(p, dst)
	}
	if adv, ok := a.advance(a.base, p); ok {
		return a.settle(p, adv, p.at, dst), Event{}
	}
	a.held = held{n: 1, since: p.at, first: p, last: p}
	if p.value > a.base.value {
		return dst, a.event(TooFast, p.sample())
	}
	return dst, Event{}
}

// judge decides about what is held, now that p has come.
func (a *Accumulator) judge(p point, dst []HalfHour) ([]HalfHour, Event) {
	h := &a.held
	fell := h.first.value < a.base.value
	fromBase, back := a.advance(a.base, p)
	_, agrees := a.advance(h.last, p)

	// After a leap, a value that goes on from the leap speaks for the leap
	// even where enough time has passed that the baseline could have got there.
	if back && (fell || !agrees) {
		e := a.event(Glitch, h.first.sample())
		a.held = held{}
		return a.settle(p, fromBase, p.at, dst), e
	}
	if !agrees {
		if p.at-h.since >= holdPeriods*a.period {
			return a.reset(p, p, dst)
		}
		e := a.event(Glitch, h.first.sample())
		*h = held{n: 1, since: h.since, first: p, last: p}
		return dst, e
	}
	h.n, h.last = h.n+1, p
	if h.n >= rolloverSeen {
		if adv, ok := a.reg.wrapped(a.base.value, h.first.value, h.first.at-a.base.at); ok && a.fits(adv, h.last.value-h.first.value) {
			return a.rollover(adv, dst)
		}
	}
	lasted := h.last.at - h.first.at
	if h.n >= resetSamples && lasted >= a.period/resetPart && (p.value > 0 || lasted >= zeroPeriods*a.period) {
		return a.reset(h.first, h.last, dst)
	}
	return dst, Event{}
}

// rollover counts the advance through the modulus, and what was held after it.
func (a *Accumulator) rollover(adv int64, dst []HalfHour) ([]HalfHour, Event) {
	h := a.held
	a.held = held{}
	e := a.event(Rollover, h.first.sample())
	dst = a.settle(h.first, adv, h.last.at, dst)
	return a.settle(h.last, h.last.value-h.first.value, h.last.at, dst), e
}

// reset takes first as the new baseline and goes on to last. What lies between
// the old baseline and the new one cannot be known: Missing, so that nobody
// takes silence for zero.
func (a *Accumulator) reset(first, last point, dst []HalfHour) ([]HalfHour, Event) {
	a.held = held{}
	e := a.event(Reset, first.sample())
	start := a.start()
	if !a.known {
		start += a.period
	}
	for ; start < first.at; start += a.period {
		dst = append(dst, HalfHour{
			Start: instant(start), Cumulative: -1, TakenAt: a.takenAt(start+a.period, last.at), Quality: Missing,
			Evidence: Evidence{First: a.base.sample(), Last: first.sample(), Samples: a.samples, Rule: RuleNone},
		})
		a.samples = 0
	}
	a.openAt(first)
	if last != first {
		dst = a.settle(last, last.value-first.value, last.at, dst)
	}
	return dst, e
}

// openAt makes p the baseline.
func (a *Accumulator) openAt(p point) {
	a.open, a.base, a.held = true, p, held{}
	a.energy, a.before, a.samples = 0, p, 1
	a.known, a.quality = p.at == a.start(), Measured
}

// settle moves the baseline to p, which is adv further on, and gives the
// half-hours whose end is passed.
func (a *Accumulator) settle(p point, adv, taken int64, dst []HalfHour) []HalfHour {
	from, counted := a.base, int64(0)
	gap := p.at - from.at
	for b := a.start() + a.period; b <= p.at; b += a.period {
		off := int64(mulDiv(uint64(adv), uint64(b-from.at), uint64(gap)))
		q := a.boundary(b-from.at, p.at-b)
		if a.known {
			worst := Worst(a.quality, q)
			dst = append(dst, HalfHour{
				Start: instant(b - a.period), Energy: a.energy + off - counted,
				Cumulative: a.reg.wrap(from.value, off), TakenAt: a.takenAt(b, taken), Quality: worst,
				Evidence: Evidence{First: a.before.sample(), Last: p.sample(), Samples: a.samples, Rule: ruleOf(worst)},
			})
		}
		a.known, a.energy, a.quality, a.samples, counted = true, 0, q, 0, off
		a.before = from
		if b == p.at {
			a.before = p
		}
	}
	a.energy += adv - counted
	a.base = p
	a.samples++
	return dst
}

// boundary says how well the register is known at a boundary that lies before
// ns after one sample and after ns before the next.
func (a *Accumulator) boundary(before, after int64) Quality {
	switch {
	case min(before, after) <= a.close:
		return Measured
	case before+after <= a.period:
		return Interpolated
	default:
		return Estimated
	}
}

func ruleOf(q Quality) Rule {
	switch q {
	case Measured:
		return RuleBracketed
	case Interpolated:
		return RuleInterpolate
	default:
		return RuleSpread
	}
}

// advance gives how far the register went from one sample to another, and
// whether it can have: no fall, no leap beyond the ceiling.
func (a *Accumulator) advance(from, to point) (int64, bool) {
	adv, gap := to.value-from.value, to.at-from.at
	return adv, adv >= 0 && gap <= maxGap && a.reg.carried(adv, gap) && a.fits(adv, 0)
}

// fits keeps the half-hour in progress inside 63 bits; x and y are not negative.
func (a *Accumulator) fits(x, y int64) bool {
	return uint64(x)+uint64(y) <= uint64(math.MaxInt64-a.energy)
}

// start is the last boundary at or before the baseline. Boundaries are
// multiples of the period since 1970, hence since every UTC midnight.
func (a *Accumulator) start() int64 { return a.base.at - a.base.at%a.period }

// takenAt is when a value was settled: always after the end of its half-hour.
func (a *Accumulator) takenAt(end, settled int64) time.Time {
	return instant(max(settled, end+int64(time.Second)))
}

// latest is the time of the last sample that was taken or held.
func (a *Accumulator) latest() int64 {
	if a.held.n > 0 {
		return a.held.last.at
	}
	return a.base.at
}

// event speaks of a sample against the baseline as it is now.
func (a *Accumulator) event(k EventKind, s Sample) Event {
	if !a.open {
		return Event{Kind: k, At: s.At, Before: -1, After: s.Value}
	}
	return Event{Kind: k, At: s.At, Before: a.base.value, After: s.Value, BeforeAt: instant(a.base.at)}
}
