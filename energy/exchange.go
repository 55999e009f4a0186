package energy

import (
	"errors"
	"fmt"
	"time"
)

// Break says that the next sample comes from another meter (another serial
// number was read): it opens the register anew, with an Exchanged event that
// has the old meter's last and the new one's first reading. What is held is
// dropped; the half-hours up to the new baseline are Missing, until the
// operator states the closing and opening readings (see Bridge).
//
// Before the register is opened there is nothing to break.
func (a *Accumulator) Break() {
	if a.open {
		a.anew, a.held = Exchanged, held{}
		a.forget()
	}
}

// Broken reports whether Break was called and nothing has opened the register
// anew since.
func (a *Accumulator) Broken() bool { return a.anew == Exchanged }

// Exchange takes the operator's statement that the meter was exchanged at the
// instant at: the old one stood at closing, the new one at opening, both in
// base units. It is made before samples of the new meter came, or while they
// are held, or after Break; later than that see Bridge. Energy is counted
// through exactly: from the baseline to closing, and on from opening. The
// half-hours that the exchange falls into, or one of whose boundaries lies
// next to it, have RuleExchange and are at best Interpolated.
//
// A stated time at or up to a period before the baseline is taken for the
// instant after it where what came since shows that the exchange came later:
// it was read off another clock.
//
// An error says why the statement does not fit what was read; then nothing has
// changed. It is ErrCounted where the readings since have been counted already.
// The event has both readings, dated at the instant that was taken.
func (a *Accumulator) Exchange(at time.Time, closing, opening int64, dst []HalfHour) ([]HalfHour, Event, error) {
	ns, adv, err := a.closes(at, closing, opening)
	if err != nil {
		return dst, Event{}, fmt.Errorf("energy: meter exchange at %s: %w", at.UTC().Format(time.RFC3339), err)
	}
	old, p := point{ns, closing}, point{ns, opening}
	since, err := a.since(p)
	if err != nil {
		return dst, Event{}, fmt.Errorf("energy: meter exchange at %s: %w", at.UTC().Format(time.RFC3339), err)
	}
	dst = a.pass(old, adv.energy, p.at, true, dst)
	a.base, a.ahead, a.touched, a.stated = p, adv.ahead, true, true
	a.anew, a.sole, a.held = Nothing, false, held{}
	a.forget()
	if a.before.at == p.at {
		a.before = p
	}
	for _, q := range since {
		dst = a.goOn(q, dst)
	}
	return dst, Event{Kind: Exchanged, At: instant(ns), Before: closing, After: opening, BeforeAt: instant(ns)}, nil
}

// ErrCounted says that an exchange was stated too late for Exchange: the new
// meter's readings are counted already, and what is missing can be bridged.
var ErrCounted = errors.New("the register was read and counted since then")

// clockStep is the least time between two samples that are kept: the store
// keeps milliseconds.
const clockStep = int64(time.Millisecond)

// closes gives the instant of the exchange and the advance from the baseline
// to the closing reading.
func (a *Accumulator) closes(at time.Time, closing, opening int64) (ns int64, adv advance, err error) {
	ns, ok := nanos(at)
	if late := a.base.at - ns; late >= 0 && late <= a.period && (a.held.n > 0 || a.anew != Nothing) {
		ns = a.base.at + clockStep
	}
	switch {
	case !ok:
		return ns, adv, errors.New("that is no time of a meter: give the date and time of the exchange")
	case !a.open:
		return ns, adv, errors.New("no reading of the old meter is known, so that there is nothing to close: leave the exchange out, the new meter's first reading opens the register")
	case !a.reg.holds(closing) || !a.reg.holds(opening):
		return ns, adv, fmt.Errorf("the register shows 0 to its modulus of %d %s, not %d and %d: check the closing and opening readings", a.reg.Modulus, a.reg.Measure.BaseUnit(), closing, opening)
	case ns <= a.base.at:
		return ns, adv, fmt.Errorf("%w, last at %s: correct the time, or have what is missing bridged", ErrCounted, instant(a.base.at).Format(time.RFC3339))
	}
	p := point{ns, closing}
	if adv, ok = a.advance(p); !ok {
		if adv, ok = a.reg.wrapped(a.base.value, closing, a.ahead, ns-a.base.at); ok {
			ok = a.fits(adv.energy, 0)
		}
	}
	if !ok {
		return ns, adv, fmt.Errorf("the meter cannot have gone from %d (read %s) to the closing reading of %d %s in that time: check the reading and the time",
			a.base.value, instant(a.base.at).Format(time.RFC3339), closing, a.reg.Measure.BaseUnit())
	}
	return ns, adv, nil
}

// since gives those of the held samples that are the new meter's, whose
// opening reading is p. Zeros are no readings, unless it opened at 0.
func (a *Accumulator) since(p point) ([]point, error) {
	h := a.held
	if h.n == 0 || h.last.at <= p.at || h.last.value == 0 && p.value > 0 {
		return nil, nil
	}
	points := []point{h.first, h.last}
	if h.first.at <= p.at {
		points = points[1:]
	}
	adv, ok := a.reg.follows(p, points[0], 0, a.longest)
	if !ok || !a.onward(adv, points[0], h.last) {
		return nil, fmt.Errorf("the new meter cannot have gone from the opening reading of %d to %d %s (read %s) in that time: check the reading and the time",
			p.value, h.last.value, a.reg.Measure.BaseUnit(), instant(h.last.at).Format(time.RFC3339))
	}
	return points, nil
}

// ClockBack says that the clock by which the baseline was dated ran ahead, and
// s is dated by the right one: the register is opened anew at s, an earlier
// time. It appends, as Missing, every half-hour from that of s on that can
// have been given already: what is stored of them is to be withdrawn. (Those
// that were spread over the step of the clock begin before s; their evidence
// ends after it.) Where s lies in the half-hour that is in progress, that one
// is given as Missing when it is over. The energy since the last good sample
// before the clock went wrong is not known.
//
// A sample that is not before the baseline is added as any other.
func (a *Accumulator) ClockBack(s Sample, dst []HalfHour) ([]HalfHour, Event) {
	at, ok := nanos(s.At)
	p := point{at, s.Value}
	switch {
	case !a.open || ok && p.at > a.base.at:
		return a.Add(s, dst)
	case !ok:
		return dst, a.event(OutOfOrder, Sample{s.At.UTC(), s.Value})
	case !a.reg.holds(p.value):
		return dst, a.event(Glitch, p.sample())
	}
	e := a.event(ClockBack, p.sample())
	torn := (a.known || a.torn) && p.at > a.half()
	for b := max(p.at-p.at%a.period, a.half()-maxGap/a.period*a.period); b < a.half(); b += a.period {
		dst = append(dst, HalfHour{
			Start: instant(b), Cumulative: -1, TakenAt: a.takenAt(b+a.period, p.at), Quality: Missing,
			Evidence: Evidence{First: p.sample(), Last: a.base.sample(), Rule: RuleNone},
		})
	}
	if p.value == 0 { // it may be no reading at all, see start
		*a = Accumulator{reg: a.reg, period: a.period, close: a.close, longest: a.longest, anew: Opened, held: held{n: 1, since: p.at, first: p, last: p}}
		return dst, e
	}
	a.openAt(p)
	a.torn = torn
	return dst, e
}
