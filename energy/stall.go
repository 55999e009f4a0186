package energy

import "time"

// stall remembers where a register began to show the same value again and
// again: idle, or frozen, as behind a gateway that answers from its memory
// while the meter cannot be reached. One that was frozen catches up all at
// once, and that can be more than the meter delivers in the time since its last
// answer. The answer was no reading then, and the advance is the whole time's.
type stall struct {
	on    bool
	from  progress // when the value was shown first
	dwelt int64    // ns for which it was shown since, outages not counted; where on is false: 0, or stallMost+1
}

// stallMost is how long a register may have shown the same value, outages not
// counted, and still be thought to have been frozen. After a day of answers it
// was idle, and what leaps then is another register.
const stallMost = int64(24 * time.Hour)

// dwells takes note of a sample that goes on from the baseline, before it
// becomes the baseline.
func (a *Accumulator) dwells(p point) {
	s, gap := &a.stall, p.at-a.base.at
	switch {
	case p.value != a.base.value || a.reg.MaxPower <= 0: // without a ceiling nothing leaps
		*s = stall{}
		return
	case !s.on && (s.dwelt == 0 || gap > a.period): // after an outage it is a new question
		*s = stall{on: true, from: a.progress}
	}
	if gap > a.period {
		return
	}
	if s.dwelt += gap; s.dwelt > stallMost {
		*s = stall{dwelt: stallMost + 1}
	}
}

// caughtUp gives the advance to first, and whether the register can have gone
// there (and on to last) since it showed its value first.
func (a *Accumulator) caughtUp(first, last point) (advance, bool) {
	if !a.stall.on {
		return advance{}, false
	}
	b := *a
	b.progress = a.stall.from
	adv, ok := b.advance(first)
	return adv, ok && b.onward(adv, first, last)
}

// thaw takes back what was counted of a frozen register: the advance is spread
// over all the time since its value was shown first. Nothing is invented (both
// readings are the register's own) and nothing is lost; the half-hours that
// seemed measured are given again as what they are.
func (a *Accumulator) thaw(adv advance, first, last point, dst []HalfHour) ([]HalfHour, Event) {
	a.progress, a.held = a.stall.from, held{}
	a.forget()
	e := a.event(CaughtUp, first.sample())
	dst = a.settle(first, adv, last.at, dst)
	return a.goOn(last, dst), e
}
