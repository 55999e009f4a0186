package energy

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

// held is a run of samples that disagree with the baseline, or (where there is
// none yet) of zeros that may not be an answer at all. A run that begins with
// 0 holds zeros only: what follows a 0 begins the run anew, so that a 0 can
// never be the reading from which energy is counted, unless it lasted.
type held struct {
	n           int   // 0: nothing is held
	since       int64 // when the register first disagreed
	first, last point
}

// lasted reports whether the run, when it is of zeros, lasted long enough to
// be the meter's own word. Others need not.
func (a *Accumulator) lasted() bool {
	return a.held.last.value > 0 || a.held.last.at-a.held.first.at >= zeroPeriods*a.period
}

// judge decides about what is held, now that p has come. The baseline is
// unchanged meanwhile. The register
//
//   - comes back: a Glitch. What was held is never counted, nor is the
//     baseline where it can have been the glitch as well;
//   - wrapped: a Rollover;
//   - stays between the baseline and the sample before that: the baseline was
//     the glitch, and is taken back (see retract);
//   - stays where it can have got to since it first showed what it showed last:
//     it was frozen, and CaughtUp (see stall);
//   - stays anywhere else: a Reset. There is a new baseline, and the half-hours
//     from the last good sample to it are Missing.
func (a *Accumulator) judge(p point, dst []HalfHour) ([]HalfHour, Event) {
	h := &a.held
	fell := h.first.value < a.base.value // mutate: the same value is never held
	fromBase, back := a.goesOn(p)
	_, follows := a.reg.follows(h.last, p, 0, a.longest)
	// However many readings it climbs in, the run gets the grace of the ceiling once.
	follows = follows && a.onward(advance{}, h.first, p)
	// A register that counts in steps coarser than it is known to may show one
	// value for long: what it can have delivered is since it showed the first.
	agrees := follows && (!a.reg.leaps(h.last, p) || !a.reg.leaps(h.first, p))

	// After a leap, a value that goes on from the leap speaks for the leap
	// even where enough time has passed that the baseline could have got there.
	if back && (fell || !agrees) {
		// What fell, but not below the sample before the baseline, leaves open
		// which of the two was wrong: neither is used.
		if adv, ok := a.withoutBase(p, p); ok && fell && h.first.value >= a.prev.base.value {
			return a.retract(adv, p, p, dst)
		}
		e := a.event(Glitch, h.first.sample())
		a.held = held{}
		return a.take(p, fromBase, dst), e
	}
	if !agrees || h.last.value == 0 && p.value > 0 {
		if p.value > 0 && a.tired(p) {
			return a.restart(Reset, p, p, dst)
		}
		var e Event
		// A register that wrapped to exactly 0 may well have shown that 0: no
		// glitch, while it goes on as one that wrapped.
		if _, round := a.reg.wrapped(a.base.value, p.value, a.ahead, p.at-a.base.at); !follows || !round {
			e = a.event(Glitch, h.first.sample())
		}
		*h = held{n: 1, since: h.since, first: p, last: p}
		return dst, e
	}
	h.n, h.last = h.n+1, p
	if !a.lasted() {
		return dst, Event{}
	}
	if h.n >= rolloverSeen {
		adv, ok := a.reg.wrapped(a.base.value, h.first.value, a.ahead, h.first.at-a.base.at)
		if ok && a.onward(adv, h.first, h.last) {
			return a.rollover(adv, dst)
		}
	}
	if h.n >= resetSamples && h.last.at-h.first.at >= a.period/resetPart {
		if adv, ok := a.withoutBase(h.first, h.last); ok && fell {
			return a.retract(adv, h.first, h.last, dst)
		}
		if adv, ok := a.caughtUp(h.first, h.last); ok {
			return a.thaw(adv, h.first, h.last, dst)
		}
		return a.restart(Reset, h.first, h.last, dst)
	}
	return dst, Event{}
}

// tired reports whether the register has disagreed for so long that p is taken
// whatever it is: twice as long where it looks like a rollover, which the next
// sample can bear out (a meter that is read each hour and wrapped to 0).
func (a *Accumulator) tired(p point) bool {
	patience := holdPeriods * a.period
	if _, ok := a.reg.wrapped(a.base.value, p.value, a.ahead, p.at-a.base.at); ok {
		patience *= 2
	}
	return p.at-a.held.since >= patience
}

// rollover counts the advance through the modulus, and what was held after it.
func (a *Accumulator) rollover(adv advance, dst []HalfHour) ([]HalfHour, Event) {
	h := a.held
	a.held = held{}
	a.forget()
	e := a.event(Rollover, h.first.sample())
	dst = a.settle(h.first, adv, h.last.at, dst)
	return a.goOn(h.last, dst), e
}

// withoutBase gives the advance to first (and on to last) from what was there
// before the baseline, where that is still known.
func (a *Accumulator) withoutBase(first, last point) (advance, bool) {
	b := *a
	b.progress = a.prev
	adv, ok := b.advance(first)
	return adv, ok && a.undo && b.onward(adv, first, last)
}

// onward reports whether a register that went adv far to first can have gone on
// to last, within the ceiling over both.
func (a *Accumulator) onward(adv advance, first, last point) bool {
	energy := last.value - first.value
	_, ok := a.reg.spend(adv.ahead, energy, last.at-first.at)
	return ok && a.fits(adv.energy, energy)
}

// retract takes the baseline back, which was too high by little enough to be
// believed at the time, and goes on to first and last. Where half-hours were
// settled by it they are given again, with a Retracted event.
func (a *Accumulator) retract(adv advance, first, last point, dst []HalfHour) ([]HalfHour, Event) {
	wrong, given := a.base, a.half()
	a.progress, a.held = a.prev, held{}
	a.forget()
	e := a.event(Glitch, wrong.sample())
	if a.half() != given {
		e.Kind = Retracted
	}
	dst = a.settle(first, adv, last.at, dst)
	return a.goOn(last, dst), e
}

// goOn settles to a later point of a run that is believed.
func (a *Accumulator) goOn(last point, dst []HalfHour) []HalfHour {
	if last == a.base {
		return dst
	}
	ahead, _ := a.reg.spend(a.ahead, last.value-a.base.value, last.at-a.base.at)
	return a.settle(last, advance{last.value - a.base.value, min(ahead, grace)}, last.at, dst)
}

// start takes p as the new baseline that is waited for: the first reading of
// all, or the first one after a break. A 0 must last: a gateway that starts
// while its meter serves zeros would count the whole register as energy, and
// one user saw 53.7 MWh in a slot of a 5 kW system (evcc #29286).
func (a *Accumulator) start(p point, dst []HalfHour) ([]HalfHour, Event) {
	h := &a.held
	switch {
	case p.value > 0:
		return a.restart(a.anew, p, p, dst)
	case h.n == 0 || h.last.value > 0:
		*h = held{n: 1, since: p.at, first: p, last: p}
	default:
		h.n, h.last = h.n+1, p
		if a.lasted() {
			return a.restart(a.anew, h.first, h.last, dst)
		}
	}
	return dst, Event{}
}

// lose says that the register was unseen for too long: whatever it shows at
// now, it is a new baseline.
func (a *Accumulator) lose(now int64) {
	if a.anew == Nothing {
		a.anew = Ambiguous
		if now-a.base.at > maxGap {
			a.anew = Reset
		}
	}
	a.held = held{}
	a.forget()
}

// restart takes first as the new baseline and goes on to last. What lies
// between the old baseline and the new one cannot be known: Missing, so that
// nobody takes silence for zero.
func (a *Accumulator) restart(k EventKind, first, last point, dst []HalfHour) ([]HalfHour, Event) {
	e := a.event(k, first.sample())
	if a.open && first.at-a.base.at <= maxGap {
		dst = a.miss(first, last.at, dst)
	}
	a.openAt(first)
	return a.goOn(last, dst), e
}

// miss gives the half-hours from the one in progress to the one that the new
// baseline lies in, or ends at, as Missing.
func (a *Accumulator) miss(first point, taken int64, dst []HalfHour) []HalfHour {
	from := a.half()
	if !a.known && !a.torn {
		from += a.period
	}
	before := point{}
	if a.known {
		before = a.before
	}
	for ; from < first.at; from += a.period {
		h := a.missing(from, first, taken)
		h.Evidence.Start = before.orNone()
		dst = append(dst, h)
		a.samples, before = 0, point{}
	}
	return dst
}

// missing is a half-hour that is not known, between the baseline and the next
// sample that is believed.
func (a *Accumulator) missing(start int64, next point, taken int64) HalfHour {
	return HalfHour{
		Start: instant(start), Cumulative: -1, TakenAt: a.takenAt(start+a.period, taken), Quality: Missing,
		Evidence: Evidence{First: a.base.sample(), Last: next.sample(), Samples: a.samples, Rule: RuleNone},
	}
}
