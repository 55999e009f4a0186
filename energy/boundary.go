package energy

import "time"

// take settles a sample that goes on from the baseline, and remembers what was
// before for a while (see retract): a period at most where the register stays.
func (a *Accumulator) take(p point, adv advance, dst []HalfHour) []HalfHour {
	if adv.energy > 0 {
		a.undo, a.prev = true, a.progress
	} else if a.undo && p.at-a.prev.base.at > a.period {
		a.undo, a.prev = false, progress{}
	}
	a.dwells(p)
	return a.settle(p, adv, p.at, dst)
}

// forget lets go of what was remembered of the time before the baseline.
func (a *Accumulator) forget() { a.undo, a.prev, a.stall = false, progress{}, stall{} }

// settle moves the baseline to p, which is adv further on, and gives the
// half-hours whose end is passed.
//
// Evidence: First is the last sample at or before the half-hour's start, Last
// the first sample at or after its end. Hence Last of one half-hour and First
// of the next are the two samples between which their common boundary was
// interpolated, and anybody can redo the sum. Beside a half-hour that is not
// given, or Missing, one of the two is Start of the second one. Where the rule
// is RuleExchange, one of them can be a reading that the operator stated.
func (a *Accumulator) settle(p point, adv advance, taken int64, dst []HalfHour) []HalfHour {
	dst = a.pass(p, adv.energy, taken, a.stated, dst)
	a.ahead, a.stated, a.sole = adv.ahead, false, false
	a.samples++
	return dst
}

// pass is settle without the bookkeeping of samples. Where stated is true, one
// end of the step is a reading that the operator stated, and every boundary in
// it is touched by the exchange.
func (a *Accumulator) pass(p point, energy, taken int64, stated bool, dst []HalfHour) []HalfHour {
	from, counted := a.base, int64(0)
	gap := p.at - from.at
	for b := a.half() + a.period; b <= p.at; b += a.period {
		off := int64(mulDiv(uint64(energy), uint64(b-from.at), uint64(gap)))
		q := a.boundary(b-from.at, p.at-b)
		if stated {
			q = Worst(q, Interpolated)
		}
		if a.known {
			worst, rule := Worst(a.quality, q), RuleExchange
			if a.touched || stated {
				worst = Worst(worst, Interpolated)
			} else {
				rule = ruleOf(worst)
			}
			dst = append(dst, HalfHour{
				Start: instant(b - a.period), Energy: a.energy + off - counted,
				Cumulative: a.reg.wrap(from.value, off), TakenAt: a.takenAt(b, taken), Quality: worst,
				Evidence: Evidence{First: a.before.sample(), Last: p.sample(), Start: a.after.orNone(), Samples: a.samples, Rule: rule},
			})
		}
		if a.torn {
			dst = append(dst, a.missing(b-a.period, p, taken))
		}
		first := !a.known
		a.known, a.torn, a.touched, a.energy, a.quality, a.samples, counted = true, false, stated, 0, q, 0, off
		a.before, a.after = from, point{}
		if b == p.at {
			a.before = p
		} else if first {
			a.after = p
		}
	}
	a.energy += energy - counted
	a.base = p
	return dst
}

// boundary says how well the register is known at a boundary that lies before
// ns after one sample and after ns before the next.
//
//   - Measured: a sample lies within a quarter of Register.Close (by default
//     30 s, what feeds.md 3.1 calls A), whatever the other one; or within
//     Close, where the two are at most a period apart. What lies between is
//     then at most a small part of what the site can draw in a half-hour.
//   - Interpolated: the two are at most a period apart.
//   - Estimated: further apart. The exact advance over the gap is spread in
//     proportion to time.
//
// A half-hour is as good as the worse of its two boundaries.
func (a *Accumulator) boundary(before, after int64) Quality {
	return boundaryQuality(before, after, a.period, a.close)
}

func boundaryQuality(before, after, period, close int64) Quality {
	near, near2 := min(before, after), before+after <= period
	switch {
	case near <= close/4, near <= close && near2:
		return Measured
	case near2:
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

// openAt makes p the baseline. The half-hour that it lies in is not given,
// unless it begins at p: the register at its start is not known.
func (a *Accumulator) openAt(p point) {
	a.open, a.sole, a.anew, a.held = true, true, Nothing, held{}
	a.progress = progress{base: p, before: p, samples: 1, known: p.at%a.period == 0, quality: Measured}
	a.forget()
}

// half is the start of the half-hour in progress: the last boundary at or
// before the baseline. Boundaries are multiples of the period since 1970,
// hence since every UTC midnight.
func (a *Accumulator) half() int64 { return a.progress.half(a.period) }

func (p *progress) half(period int64) int64 { return p.base.at - p.base.at%period }

// takenAt is when a value was settled: always after the end of its half-hour.
func (a *Accumulator) takenAt(end, settled int64) time.Time {
	return instant(max(settled, end+int64(time.Second)))
}
