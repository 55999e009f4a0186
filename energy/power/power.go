// Package power makes half-hours of a point that shows only a power: signed
// watts (or var) of which the positive part is import and the negative part
// export. The two are integrated apart and never netted (feeds.md 3.1, rule 7).
//
// What comes out is derived, not metered: its quality is never better than
// Estimated. It is pure: no clock, no I/O, every time is an argument.
package power

import (
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// The limits of the arithmetic, which is exact in 63 bits within them.
const (
	maxWatts   = 1 << 30   // 1.07 GW: a larger value is not a meter's
	longestGap = time.Hour // no gap longer than this is ever integrated over
)

// maxBreak is the longest time for which missing half-hours are given: as long
// as half-hours are kept (400 days). After a longer one the count begins anew.
const maxBreak = int64(400 * 24 * time.Hour / time.Microsecond)

// DefaultMaxGap is the longest gap that is integrated over where the
// configuration does not say: a third of the period (feeds.md 3.1, rule 6).
func DefaultMaxGap(period time.Duration) time.Duration { return period / 3 }

// Integrator turns the power readings of one point into half-hours of one
// direction.
//
// Between two readings the power is taken to run in a straight line. Of that
// line the part above zero is integrated (of an export: the part below), zero
// crossings and half-hour boundaries where they truly lie, in integers of half
// a watt-microsecond. What does not make a whole Wh is carried, so that over
// any time the half-hours sum to the integral; only at a crossing is something
// lost, less than 1.4e-10 Wh each.
//
// A half-hour that touches a gap longer than the maximum is Missing, and so is
// its energy: a power says nothing of the time when nobody looked. The first,
// partial half-hour is not given.
//
// Cumulative is the integral since the opening, in Wh. Evidence has First, the
// last reading at or before the half-hour's start, and Last, the first one at
// or after its end: values in W. Times are taken to the microsecond.
//
// An Integrator is not safe for use by several goroutines.
type Integrator struct {
	reg    energy.Register
	sign   int64 // -1 for an export: its part lies below zero
	limit  int64 // W
	period int64 // µs
	gap    int64 // µs

	open  bool
	base  point // the last good reading
	total tally // from the opening to base

	// The half-hour in progress, which starts at the last boundary at or before base.
	known   bool  // all of it so far is known
	broken  bool  // a gap touched it: it will be Missing. Neither: it is the partial one that is never given
	from    int64 // Wh from the opening to its start
	before  point // the last reading at or before its start
	samples int   // so far
}

// point is a reading: µs since 1970, W.
type point struct{ at, value int64 }

func (p point) sample() energy.Sample { return energy.Sample{At: instant(p.at), Value: p.value} }

func instant(us int64) time.Time { return time.UnixMicro(us).UTC() }

// Readings outside these times are not a clock's (µs since 1970).
var (
	firstTime = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()
	lastTime  = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()
)

// New makes an Integrator that has seen nothing. The register says which
// direction it is (Measure: an import takes the positive part, an export the
// negative one) and the largest power that is believed (MaxPower, W; 0 or more
// than 1 GW: 1 GW). The period must divide 24 hours; anything else is taken as
// energy.Period. maxGap is the longest gap that is integrated over, at most the
// period and at most an hour; 0: DefaultMaxGap.
func New(reg energy.Register, period, maxGap time.Duration) *Integrator {
	if period < time.Microsecond || period%time.Microsecond != 0 || 24*time.Hour%period != 0 {
		period = energy.Period
	}
	if maxGap <= 0 {
		maxGap = DefaultMaxGap(period)
	}
	g := &Integrator{
		reg: reg, sign: 1, limit: maxWatts,
		period: period.Microseconds(), gap: min(maxGap, period, longestGap).Microseconds(),
	}
	if reg.Measure == energy.Export || reg.Measure == energy.ReactiveExport {
		g.sign = -1
	}
	if reg.MaxPower > 0 {
		g.limit = min(reg.MaxPower, maxWatts)
	}
	return g
}

// Add takes the next reading (Value in W, negative where the power flows out)
// and appends every half-hour that it settles to dst. Readings come in the
// order of their times; one that does not is dropped with an OutOfOrder event,
// and one beyond the limit with a Glitch. Nothing is allocated, but for dst.
func (g *Integrator) Add(s energy.Sample, dst []energy.HalfHour) ([]energy.HalfHour, energy.Event) {
	p := point{s.At.UnixMicro(), s.Value}
	switch {
	case s.At.Before(instant(firstTime)) || !s.At.Before(instant(lastTime)) || g.open && p.at <= g.base.at:
		return dst, g.event(energy.OutOfOrder, s)
	case p.value > g.limit || p.value < -g.limit:
		return dst, g.event(energy.Glitch, s)
	case !g.open:
		e := g.event(energy.Opened, s)
		g.openAt(p)
		return dst, e
	case p.at-g.base.at > maxBreak:
		e := g.event(energy.Reset, s)
		g.openAt(p)
		return dst, e
	case p.at-g.base.at > g.gap:
		return g.skip(p, dst), energy.Event{}
	}
	return g.run(p, dst), energy.Event{}
}

// Base is the last good reading; false where there is none.
func (g *Integrator) Base() (energy.Sample, bool) { return g.base.sample(), g.open }

// Counted is what was counted up to the last good reading, in Wh; false where
// there is none.
func (g *Integrator) Counted() (energy.Sample, bool) {
	return energy.Sample{At: instant(g.base.at), Value: g.total.wh}, g.open
}

// Limit is the largest power that is believed, in W, either way.
func (g *Integrator) Limit() int64 { return g.limit }

// openAt begins to count at p.
func (g *Integrator) openAt(p point) {
	g.open, g.base, g.total = true, p, tally{}
	g.known, g.broken, g.from, g.before, g.samples = p.at == g.start(), false, 0, p, 1
}

// run integrates up to p.
func (g *Integrator) run(p point, dst []energy.HalfHour) []energy.HalfHour {
	l := line{g.sign * g.base.value, g.sign * p.value, p.at - g.base.at}
	for b := g.start() + g.period; b <= p.at; b += g.period {
		dst = g.give(b, g.total.plus(l.above(b-g.base.at)).wh, p, dst)
	}
	g.total = g.total.plus(l.above(l.dt))
	g.base = p
	g.samples++
	return dst
}

// skip goes on to p over a gap: every half-hour that it touches is Missing.
func (g *Integrator) skip(p point, dst []energy.HalfHour) []energy.HalfHour {
	g.known, g.broken = false, g.known || g.broken
	for b := g.start() + g.period; b <= p.at; b += g.period {
		dst = g.give(b, g.total.wh, p, dst)
		if b < p.at {
			g.known, g.broken = false, true
		}
	}
	g.base = p
	g.samples++
	return dst
}

// give ends the half-hour at boundary b, where wh is counted; p is the first
// reading at or after it. The next one begins.
func (g *Integrator) give(b, wh int64, p point, dst []energy.HalfHour) []energy.HalfHour {
	h := energy.HalfHour{
		Start: instant(b - g.period), Cumulative: -1, TakenAt: instant(max(p.at, b+time.Second.Microseconds())),
		Evidence: energy.Evidence{First: g.before.sample(), Last: p.sample(), Samples: g.samples},
	}
	if g.known {
		h.Energy, h.Cumulative, h.Quality, h.Evidence.Rule = wh-g.from, wh, energy.Estimated, energy.RulePower
	}
	if g.known || g.broken {
		dst = append(dst, h)
	}
	g.known, g.broken, g.from, g.before, g.samples = true, false, wh, g.base, 0
	if b == p.at {
		g.before = p
	}
	return dst
}

// start is the last boundary at or before the last reading. Boundaries are
// multiples of the period since 1970, hence since every UTC midnight.
func (g *Integrator) start() int64 { return g.base.at - g.base.at%g.period }

// event speaks of a reading against the last good one.
func (g *Integrator) event(k energy.EventKind, s energy.Sample) energy.Event {
	e := energy.Event{Kind: k, At: s.At.UTC(), Before: -1, After: s.Value}
	if g.open {
		e.Before, e.BeforeAt = g.base.value, instant(g.base.at)
	}
	return e
}
