package validate

import (
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// Facts are what is known of one reading of a register when it comes in.
type Facts struct {
	At      time.Time // when it was read, by the agent's clock, UTC
	Value   int64     // the register, base units; meaningless where NoValue
	NoValue bool      // the device said that it has none: NaN, infinite, null, a known sentinel
	Word    string    // how it said so, e.g. "0xFFFFFFFF"; or the source's word for its quality, e.g. "out-of-service"
	Unit    string    // the unit that the source named; "": it names none

	Now      time.Time     // the agent's clock; zero: the same as At
	History  bool          // sent later, as history: it may be old
	Total    bool          // of a half-hour that ends at At, as a feed gave it, not a register: what it comes to is for HalfHour to judge
	DeviceAt time.Time     // the device's own time of the reading; zero: it gives none
	Offset   time.Duration // the device's clock less the agent's, where the caller knows it better than DeviceAt less At; else 0

	Source energy.Flags // what the source itself says against it: V01, V02, V13, V14

	Power      int64 // W that flow now in this register's direction (var for a reactive register)
	PowerKnown bool
}

// maxHold is the longest that one power reading is taken to hold. A longer
// pause says nothing about what flowed in it.
const maxHold = 15 * time.Minute

// Reading applies the rules that speak about single readings: V01, V02, V07
// (by power), V10 to V14. Nothing is allocated while nothing is wrong.
//
// Counts tells afterwards whether the reading may be counted.
func (c *Checker) Reading(f Facts, dst []Finding) []Finding {
	if f.Now.IsZero() {
		f.Now = f.At
	}
	dst = c.due(ofReading, f.Now, dst)
	f.Source &^= c.o.Off
	c.counts = true
	if f.NoValue || f.Source.Has(1) {
		c.counts = false
		return c.noValue(&f, dst)
	}
	dst = c.unit(&f, dst)
	dst = c.source(&f, dst)
	dst, dated := c.age(&f, dst)
	if dated && !f.History {
		dst = c.deviceTime(&f, dst)
	}
	if !c.counts {
		c.power = -1
		return dst
	}
	if f.Total {
		return dst
	}
	dst = c.twice(&f, dst)
	dst = c.stuck(&f, dst)
	if !c.seen || f.At.After(c.last.At) {
		c.last, c.seen = energy.Sample{At: f.At, Value: f.Value}, true
	}
	return dst
}

// Counts reports whether the last reading may be counted: it has a value in
// the right unit, it is live and good by its source's word, and its time is of
// use. One that may not is still good to be shown. A rule that is switched off
// keeps no reading out.
func (c *Checker) Counts() bool { return c.counts }

// tell says something about one reading.
func (c *Checker) tell(f *Facts, found Finding, dst []Finding) []Finding {
	found.From, found.To = f.At, f.At
	return c.say(ofReading, f.Now, found, dst)
}

// noValue is V01. Such a reading says nothing else.
func (c *Checker) noValue(f *Facts, dst []Finding) []Finding {
	c.power = -1
	what := "no value"
	if f.Word != "" {
		what = f.Word
	}
	return c.tell(f, Finding{Rule: 1, Severity: Warning, Found: what, Expected: "a number"}, dst)
}

// refuse says something that keeps the reading from being counted.
func (c *Checker) refuse(f *Facts, found Finding, dst []Finding) []Finding {
	if c.on(found.Rule) {
		c.counts = false
	}
	return c.tell(f, found, dst)
}

// unit is V02.
func (c *Checker) unit(f *Facts, dst []Finding) []Finding {
	if !f.Source.Has(2) && (c.o.Unit == "" || f.Unit == "" || f.Unit == c.o.Unit) {
		return dst
	}
	found := Finding{Rule: 2, Severity: Error, Found: "another unit", Expected: "the configured unit"}
	if f.Unit != "" {
		found.Found = "unit " + f.Unit
	}
	if c.o.Unit != "" {
		found.Expected = "unit " + c.o.Unit
	}
	return c.refuse(f, found, dst)
}

// source passes on what the source says itself: V13 and V14.
func (c *Checker) source(f *Facts, dst []Finding) []Finding {
	if f.Source.Has(13) {
		dst = c.refuse(f, Finding{Rule: 13, Severity: Warning, Found: "marked stale by its source" + word(f), Expected: "a live value"}, dst)
	}
	if f.Source.Has(14) {
		dst = c.refuse(f, Finding{Rule: 14, Severity: Warning, Found: "marked bad by its source" + word(f), Expected: "good quality"}, dst)
	}
	return dst
}

// age is V12, and V13 where a live reading is old. dated is false where the
// reading's time is of no use.
func (c *Checker) age(f *Facts, dst []Finding) (_ []Finding, dated bool) {
	old := f.Now.Sub(f.At)
	switch {
	case old < -c.o.FineClock:
		return c.refuse(f, Finding{Rule: 12, Severity: Error, Found: span(-old) + " in the future", Expected: "at most " + span(c.o.FineClock)}, dst), false
	case old > c.o.TooOld:
		return c.refuse(f, Finding{Rule: 12, Severity: Error, Found: span(old) + " old", Expected: "at most " + span(c.o.TooOld)}, dst), false
	case !f.History && old > c.o.Stale:
		dst = c.refuse(f, Finding{Rule: 13, Severity: Warning, Found: span(old) + " old", Expected: "a live value, at most " + span(c.o.Stale) + " old"}, dst)
	}
	return dst, true
}

// deviceTime is V13 where the device gives the same time again and again, and
// V11 where its clock is off. A time that is repeated says nothing about the
// clock.
func (c *Checker) deviceTime(f *Facts, dst []Finding) []Finding {
	off, again := f.Offset, false
	if !f.DeviceAt.IsZero() {
		again = f.DeviceAt.Equal(c.device)
		if !again {
			c.device, c.fresh = f.DeviceAt, f.At
			if off == 0 {
				off = f.DeviceAt.Sub(f.At)
			}
		}
	}
	if still := f.At.Sub(c.fresh); again && still > c.o.Stale {
		dst = c.refuse(f, Finding{
			Rule: 13, Severity: Warning, Found: "the source gives the time " + stamp(f.DeviceAt) + " since " + span(still),
			Expected: "a new time within " + span(c.o.Stale), Note: "the same reading is sent again and again",
		}, dst)
	}
	away := off.Abs()
	if away <= c.o.FineClock {
		return dst
	}
	side := " ahead"
	if off != away {
		side = " behind"
	}
	found := Finding{
		Rule: 11, Severity: Warning, Found: "the device's clock is " + span(away) + side,
		Expected: "within " + span(c.o.FineClock), Note: "the agent's time is used",
	}
	if away > c.o.LostClock {
		found.Severity, found.Note = Error, "the device's times are not used"
	}
	c.mark(11, f.At, f.At)
	return c.tell(f, found, dst)
}

// twice is V10: one time, two values.
func (c *Checker) twice(f *Facts, dst []Finding) []Finding {
	if !c.seen || !f.At.Equal(c.last.At) || f.Value == c.last.Value {
		return dst
	}
	c.mark(10, f.At, f.At)
	return c.tell(f, Finding{Rule: 10, Severity: Warning, Found: c.amount(f.Value) + " at " + stamp(f.At), Expected: c.amount(c.last.Value) + ", as it was given before"}, dst)
}

// stuck is V07 by power: so much has flowed since the register moved that it
// should have moved. The smaller of two neighbouring power readings counts.
func (c *Checker) stuck(f *Facts, dst []Finding) []Finding {
	before := c.power
	c.power = -1
	if f.PowerKnown {
		c.power = max(f.Power, 0)
	}
	if !c.seen || f.Value != c.last.Value {
		c.flowed = 0
		return dst
	}
	const perHour = int64(time.Hour / time.Millisecond)
	bound := c.o.StuckEnergy * perHour
	if gap := max(f.At.Sub(c.last.At), 0); gap <= maxHold {
		flow := min(before, c.power, bound/max(gap.Milliseconds(), 1)+1) // more than that reaches the bound at once
		c.flowed = min(bound, c.flowed+max(flow, 0)*gap.Milliseconds())
	}
	if c.flowed < bound {
		return dst
	}
	c.mark(7, f.At, f.At)
	return c.tell(f, Finding{
		Rule: 7, Severity: Error, Found: "the register stands at " + c.amount(f.Value) + " although at least " + c.amount(c.o.StuckEnergy) + " have flowed",
		Expected: "a register that moves",
	}, dst)
}
