package clock

import (
	"fmt"
	"time"
)

// Kind says what happened to the clock.
type Kind string

// The kinds of change.
const (
	Trusted Kind = "trusted" // what was not trusted is: add Shift to every time given out since it was not
	Stepped Kind = "stepped" // the wall clock was set, and is believed: Now leaped (or, after a fine step back, walks) by Shift
	Lost    Kind = "lost"    // the wall clock was set and it is not clear by whom: not trusted until a Trusted says more
)

// Change is news about the clock, given once.
type Change struct {
	Kind  Kind
	Shift time.Duration // add it to the times given out since Since to have them as the clock would give them now; 0 for Lost
	Since time.Time     // by the clock as it was before: the last time at which both agreed, or the start. Times given out before it stay
	Even  time.Time     // by the clock as it was before: it ran evenly since then (drift and sleep apart), so that it was as far ahead all along as it was in the end. At, where it was never trusted before
	At    time.Time     // by the clock as it is now
	Class Class         // of Shift: what it means for readings that are not held
	Why   string        // in plain words
}

// phase is what the clock is doing.
type phase uint8

const (
	waiting   phase = iota // never believed yet
	believing              // trusted
	doubting               // trusted once; the wall clock was set and it is not clear whether rightly
)

// state is what the clock remembers from one look to the next.
type state struct {
	phase     phase
	source    Source
	why       string
	started   time.Time     // our time at the start, or since it is not trusted
	even      time.Time     // our time at the start, or when the wall clock was adopted last
	agreed    time.Duration // monotonic: the last look at which the wall clock agreed with us
	doubted   time.Duration // monotonic: since when the wall clock stands as it does, while doubting
	raw       time.Duration // wall less monotonic at the last look
	offset    time.Duration // wall less our time at the last look
	set       bool          // somebody set the clock while it was not trusted
	ignoring  bool          // the wall clock shows what cannot be
	confirmed time.Duration // monotonic: the last look at which a time service answered for it
	served    bool          // there was one
	doubt     time.Duration // what it admitted then
	checked   time.Time     // our time at the last look
	steps     int           // changes of kind Stepped
}

// begin is the first look.
func (c *Clock) begin(l look) {
	s := &c.state
	start := l.wall
	s.raw, s.agreed = l.raw(), l.mono
	src, why := c.opt.believable(l)
	if src == Unknown || src == Assumed {
		if kept, ok := c.opt.continued(l); ok {
			src, why = kept.Source, "the clock is as it was before the program was started anew"
			if kept.Confirmed != nil {
				s.confirmed, s.served, s.doubt = *kept.Confirmed, true, kept.Doubt
			}
		}
	}
	s.source, s.why = src, why
	if src != Unknown {
		s.phase = believing
	} else {
		// Until more is known, it is at least as late as all that is known.
		for _, t := range []time.Time{c.opt.Floor, c.opt.Built} {
			if t.After(start) {
				start = t.UTC().Round(0)
			}
		}
		c.opt.Logger.Warn("the clock is not trusted yet: readings are held and dated afterwards", "clock", l.wall, "reason", why)
	}
	c.line.Store(&line{mono: l.mono, start: start, share: slewShare})
	s.started, s.even, s.checked, s.offset = start, start, start, l.wall.Sub(start)
	c.confirm(l)
	c.trusted.Store(s.phase == believing)
}

// Check looks at the wall clock. Call it every few seconds. The Change is news
// where ok is true.
func (c *Clock) Check() (ch Change, ok bool) {
	if c.given != nil {
		return Change{}, false
	}
	l := c.look()
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.state
	old := c.line.Load()
	ours := old.at(l.mono)
	off, even, was := l.wall.Sub(ours), s.even, s.phase
	moved := (l.raw() - s.raw).Abs() > Slack // the wall clock was set since the last look
	s.raw, s.offset = l.raw(), off
	switch s.phase {
	case waiting:
		ch, ok = c.wait(l, ours, moved)
	case believing:
		ch, ok = c.believe(l, ours, off)
	case doubting:
		ch, ok = c.doubt(l, ours, off, moved)
	}
	c.confirm(l)
	s.checked = c.line.Load().at(l.mono)
	if ok {
		if ch.At, ch.Class, ch.Even = s.checked, Classify(ch.Shift), even; was == waiting {
			ch.Even = ch.At
		}
		s.why = ch.Why
		c.trusted.Store(s.phase == believing)
	}
	return ch, ok
}

// confirm remembers that a time service answers for what we show.
func (c *Clock) confirm(l look) {
	s := &c.state
	if l.sync.Synchronised && s.phase == believing && !s.ignoring {
		s.confirmed, s.served, s.doubt = l.mono, true, l.sync.Doubt
		if c.opt.Policy != Always {
			s.source = NTP
		}
	}
}

// wait is a look while the clock was never believed.
func (c *Clock) wait(l look, ours time.Time, moved bool) (Change, bool) {
	s := &c.state
	s.set = s.set || moved && l.mono > settled
	src, why := c.opt.believable(l)
	if src == Unknown && s.set && c.opt.Policy == Auto && c.opt.plausible(l) {
		src, why = Operator, "somebody set the clock"
	}
	if src == Unknown {
		s.why = why
		c.line.Store(&line{mono: l.mono, start: ours, share: slewShare})
		return Change{}, false
	}
	return c.adopt(l, ours, src, Trusted, why), true
}

// believe is a look while the clock is trusted.
func (c *Clock) believe(l look, ours time.Time, off time.Duration) (Change, bool) {
	s := &c.state
	switch {
	case off.Abs() <= Slack:
		s.ignoring, s.agreed = false, l.mono
		c.line.Store(&line{mono: l.mono, start: ours, owed: off, share: slewShare})
		return Change{}, false
	case !c.opt.plausible(l):
		if !s.ignoring {
			s.ignoring = true
			c.opt.Logger.Warn("the clock shows what cannot be: it is not followed", "clock", l.wall, "kept", ours)
		}
		return Change{}, false
	case off.Abs() <= FineMost && c.walking(l.mono, off):
		return Change{}, false
	case l.sync.Synchronised, c.opt.Policy == Always, off.Abs() <= FineMost, off > 0 && !s.served:
		return c.adopt(l, ours, s.source, Stepped, stepWords(l, off)), true
	}
	s.phase, s.doubted = doubting, l.mono
	return Change{Kind: Lost, Since: c.since(l, ours), Why: fmt.Sprintf(
		"%s and no time service answers for it: readings are held until it is clear whether that is right", stepWords(l, off))}, true
}

// walking reports whether a difference is only what is still being worked off
// after a fine step back.
func (c *Clock) walking(mono, off time.Duration) bool {
	return (c.line.Load().left(mono) - off).Abs() <= Slack
}

// doubt is a look while it is not clear whether the clock was set rightly.
func (c *Clock) doubt(l look, ours time.Time, off time.Duration, moved bool) (Change, bool) {
	s := &c.state
	hold := holdOther
	if s.served {
		hold = holdSynced
	}
	if moved {
		s.doubted = l.mono
	}
	switch {
	case off.Abs() <= Slack:
		s.phase = believing
		ch := Change{Kind: Trusted, Since: c.since(l, ours), Why: "the clock came back to what it was"}
		s.agreed = l.mono
		c.line.Store(&line{mono: l.mono, start: ours, owed: off, share: slewShare})
		return ch, true
	case !c.opt.plausible(l):
		if l.mono-s.doubted < hold {
			return Change{}, false
		}
		s.phase, s.ignoring = believing, true
		return Change{Kind: Trusted, Since: c.since(l, ours), Why: "the clock shows what cannot be: it is not followed"}, true
	case l.sync.Synchronised:
		return c.adopt(l, ours, NTP, Trusted, stepWords(l, off)+", and a time service answers for it"), true
	case l.mono-s.doubted >= hold:
		return c.adopt(l, ours, Operator, Trusted, stepWords(l, off)+" and stayed so"), true
	}
	return Change{}, false
}

// adopt makes the wall clock ours.
func (c *Clock) adopt(l look, ours time.Time, src Source, kind Kind, why string) Change {
	s := &c.state
	off := l.wall.Sub(ours)
	ch := Change{Kind: kind, Shift: off, Since: c.since(l, ours), Why: why}
	if s.phase != waiting {
		s.steps++
	} else {
		ch.Since = s.started
	}
	next := &line{mono: l.mono, start: l.wall, share: slewShare}
	if kind == Stepped && off < 0 && off >= -FineMost {
		next = &line{mono: l.mono, start: ours, owed: off, share: backShare}
	}
	c.line.Store(next)
	s.phase, s.source, s.agreed, s.ignoring, s.even = believing, src, l.mono, false, next.start
	return ch
}

// since is when the wall clock last agreed with us, by our time as it is.
func (c *Clock) since(l look, ours time.Time) time.Time {
	return ours.Add(-(l.mono - c.state.agreed))
}

func stepWords(l look, off time.Duration) string {
	way := "forward"
	if off < 0 {
		way = "back"
	}
	return fmt.Sprintf("the clock was set %s by %s, to %s", way, off.Abs().Round(time.Millisecond), l.wall.Format("15:04:05 on 2 January 2006"))
}
