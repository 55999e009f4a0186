package energy

import (
	"math"
	"strconv"
	"testing"
)

// The same for one that never opened, one that has something to undo, and one
// whose next sample opens it anew; and what is just inside the bounds is taken.
func TestRestoreBounds(t *testing.T) {
	r := Register{Measure: Import, Modulus: 1_000_000, MaxPower: 10_000}
	over := int(min(int64(maxSamples)+1, math.MaxInt)) // there is no such int on a 32-bit machine
	fresh := func() *Accumulator { return NewAccumulator(r, Period) }
	zero := func() *Accumulator {
		a := fresh()
		a.Add(Sample{at(t, "00:10:00"), 0}, nil)
		return a
	}
	within := func() *Accumulator {
		a := fresh()
		a.Add(Sample{at(t, "00:10:00"), 5}, nil)
		a.Add(Sample{at(t, "00:11:00"), 9}, nil)
		return a
	}
	undo := func() *Accumulator {
		a := fresh()
		a.Add(Sample{at(t, "00:10:00"), 5}, nil)
		a.Add(Sample{at(t, "00:29:00"), 7}, nil)
		a.Add(Sample{at(t, "00:31:00"), 9}, nil)
		return a
	}
	broken := func() *Accumulator {
		a := undo()
		a.Break()
		a.Add(Sample{at(t, "00:32:00"), 0}, nil)
		return a
	}
	stalled := func() *Accumulator {
		a := fresh()
		a.Add(Sample{at(t, "00:10:00"), 5}, nil)
		a.Add(Sample{at(t, "00:29:00"), 9}, nil)
		a.Add(Sample{at(t, "00:31:00"), 9}, nil)
		return a
	}
	later := func() *Accumulator { // the half-hour after the first one
		a := undo()
		a.Add(Sample{at(t, "00:59:00"), 11}, nil)
		a.Add(Sample{at(t, "01:01:00"), 12}, nil)
		return a
	}
	thawing := func() *Accumulator {
		a := undo()
		a.Add(Sample{at(t, "00:59:00"), 9}, nil)
		a.Add(Sample{at(t, "01:01:00"), 9}, nil)
		return a
	}
	for _, c := range []struct {
		what   string
		make   func() *Accumulator
		change func(*Accumulator)
		ok     bool
	}{
		{"nothing known", fresh, func(a *Accumulator) {}, true},
		{"nothing known, and another event due", fresh, func(a *Accumulator) { a.anew = Reset }, false},
		{"nothing known, and no event due", fresh, func(a *Accumulator) { a.anew = Nothing }, false},
		{"known, but never opened", fresh, func(a *Accumulator) { a.known = true }, false},
		{"touched, but never opened", fresh, func(a *Accumulator) { a.touched = true }, false},
		{"something to undo, but never opened", fresh, func(a *Accumulator) { a.undo = true }, false},
		{"sole, but never opened", fresh, func(a *Accumulator) { a.sole = true }, false},
		{"torn, but never opened", fresh, func(a *Accumulator) { a.torn = true }, false},
		{"torn", undo, func(a *Accumulator) { a.known, a.torn, a.after = false, true, point{} }, true},
		{"torn and known", undo, func(a *Accumulator) { a.known, a.torn, a.before.at = true, true, a.half() }, false},
		{"to undo: torn", undo, func(a *Accumulator) { a.prev.torn = true }, true},
		{"to undo: torn and known", undo, func(a *Accumulator) { a.prev.known, a.prev.torn, a.prev.before.at = true, true, a.prev.half(a.period) }, false},
		{"sole", undo, func(a *Accumulator) { a.sole = true }, true},
		{"a zero", zero, func(a *Accumulator) {}, true},
		{"at the first instant of all", zero, func(a *Accumulator) { a.held.since, a.held.first.at, a.held.last.at = firstTime, firstTime, firstTime }, true},
		{"at the last", zero, func(a *Accumulator) { a.held.last.at = lastTime - 1 }, true},
		{"since before all time", zero, func(a *Accumulator) { a.held.since = firstTime - 1 }, false},
		{"first before all time", zero, func(a *Accumulator) { a.held.since, a.held.first.at = firstTime-1, firstTime-1 }, false},
		{"last after all time", zero, func(a *Accumulator) { a.held.last.at = lastTime }, false},
		{"a zero that is none", zero, func(a *Accumulator) { a.held.first.value, a.held.last.value = 1, 1 }, false},
		{"zeros that end in something", zero, func(a *Accumulator) { a.held.last.value = 1 }, false},
		{"as many samples as can be", zero, func(a *Accumulator) { a.held.n = maxSamples }, true},
		{"more samples than can be", zero, func(a *Accumulator) { a.held.n = over }, strconv.IntSize == 32},
		{"something to undo", undo, func(a *Accumulator) {}, true},
		{"something to undo within a half-hour", within, func(a *Accumulator) {}, true},
		{"to undo: not before, within a half-hour", within, func(a *Accumulator) { a.prev.base.at = a.base.at }, false},
		{"to undo: not before", undo, func(a *Accumulator) { a.prev.base.at = a.base.at }, false},
		{"to undo: not below", undo, func(a *Accumulator) { a.prev.base.value = a.base.value }, false},
		{"to undo: too far ahead", undo, func(a *Accumulator) { a.prev.ahead = grace + 1 }, false},
		{"to undo: as far ahead as can be", undo, func(a *Accumulator) { a.prev.ahead = grace }, true},
		{"to undo: behind", undo, func(a *Accumulator) { a.prev.ahead = -1 }, false},
		{"to undo: as many samples as can be", undo, func(a *Accumulator) { a.prev.samples = maxSamples }, true},
		{"to undo: more samples than can be", undo, func(a *Accumulator) { a.prev.samples = over }, strconv.IntSize == 32},
		{"to undo: fewer than none", undo, func(a *Accumulator) { a.prev.samples = -1 }, false},
		{"to undo: no energy", undo, func(a *Accumulator) { a.prev.energy = 0 }, true},
		{"to undo: less than no energy", undo, func(a *Accumulator) { a.prev.energy = -1 }, false},
		{"to undo: an impossible quality", undo, func(a *Accumulator) { a.prev.quality = 5 }, false},
		{"to undo: too poor a quality", undo, func(a *Accumulator) { a.prev.quality = Substituted }, false},
		{"to undo: stated but not touched", undo, func(a *Accumulator) { a.prev.stated = true }, false},
		{"to undo: stated and touched", undo, func(a *Accumulator) { a.prev.stated, a.prev.touched = true, true }, true},
		{"to undo: known, but not bracketed", undo, func(a *Accumulator) { a.prev.known = true }, false},
		{"to undo: known and bracketed", undo, func(a *Accumulator) { a.prev.known, a.prev.before.at = true, a.prev.half(a.period) }, true},
		{"a stall", stalled, func(a *Accumulator) {}, true},
		{"a stall, but never opened", fresh, func(a *Accumulator) { a.stall = stall{dwelt: stallMost + 1} }, false},
		{"a stall for as long as can be", stalled, func(a *Accumulator) { a.stall.dwelt = stallMost }, true},
		{"a stall for too long", stalled, func(a *Accumulator) { a.stall = stall{dwelt: stallMost + 1} }, true},
		{"a stall for longer than is counted", stalled, func(a *Accumulator) { a.stall = stall{dwelt: stallMost + 2} }, false},
		{"a stall of no time", stalled, func(a *Accumulator) { a.stall.dwelt = 0 }, true},
		{"a stall of less than no time", stalled, func(a *Accumulator) { a.stall.dwelt = -1 }, false},
		{"a stall, and another meter", broken, func(a *Accumulator) { a.stall = stalled().stall }, false},
		{"a stall: not before", stalled, func(a *Accumulator) { a.stall.from.base.at = a.base.at }, false},
		{"a stall: just before", stalled, func(a *Accumulator) { a.stall.from.base.at = a.base.at - 1 }, true},
		{"a stall: too far ahead", stalled, func(a *Accumulator) { a.stall.from.ahead = grace + 1 }, false},
		{"a stall: more samples than can be", stalled, func(a *Accumulator) { a.stall.from.samples = over }, strconv.IntSize == 32},
		{"a stall: too poor a quality", stalled, func(a *Accumulator) { a.stall.from.quality = Substituted }, false},
		{"a stall: torn", stalled, func(a *Accumulator) { a.stall.from.torn = true }, true},
		{"a stall: stated but not touched", stalled, func(a *Accumulator) { a.stall.from.stated = true }, false},
		{"a stall: stated and touched", stalled, func(a *Accumulator) { a.stall.from.stated, a.stall.from.touched = true, true }, true},
		{"as far ahead as can be", undo, func(a *Accumulator) { a.ahead = grace }, true},
		{"further", undo, func(a *Accumulator) { a.ahead = grace + 1 }, false},
		{"behind", undo, func(a *Accumulator) { a.ahead = -1 }, false},
		{"stated but not touched", undo, func(a *Accumulator) { a.stated = true }, false},
		{"a poor quality", undo, func(a *Accumulator) { a.quality = Estimated }, true},
		{"too poor a quality", undo, func(a *Accumulator) { a.quality = Substituted }, false},
		{"another meter", broken, func(a *Accumulator) {}, true},
		{"another meter, and something to undo", broken, func(a *Accumulator) { a.undo, a.prev = true, undo().prev }, false},
		{"an unknown event due", broken, func(a *Accumulator) { a.anew = EventKinds }, false},
		{"a glitch due", broken, func(a *Accumulator) { a.anew = Glitch }, false},
		{"an opening due", broken, func(a *Accumulator) { a.anew = Opened }, false},
		{"held just when the baseline was read", broken, func(a *Accumulator) { a.held.since = a.base.at }, false},
		{"held just after", broken, func(a *Accumulator) { a.held.since = a.base.at + 1 }, true},
		{"read at the first instant of all", broken, func(a *Accumulator) { a.known, a.base.at, a.before.at, a.after = false, firstTime, firstTime, point{} }, true},
		{"read before", broken, func(a *Accumulator) {
			a.known, a.base.at, a.before.at, a.after = false, firstTime-1, firstTime-1, point{}
		}, false},
		{"the sample after the start: none", undo, func(a *Accumulator) { a.after = point{} }, true},
		{"the sample after the start: on it", undo, func(a *Accumulator) { a.after.at = a.half() }, false},
		{"the sample after the start: just after it", undo, func(a *Accumulator) { a.after.at = a.half() + 1 }, true},
		{"the sample after the start: after the baseline", undo, func(a *Accumulator) { a.after.at = a.base.at + 1 }, false},
		{"the sample after the start, which is not known", undo, func(a *Accumulator) { a.known = false }, false},
		{"the sample after the start: no value of the register", undo, func(a *Accumulator) { a.after.value = r.Modulus }, false},
		{"to undo: the sample after the start", later, func(a *Accumulator) {}, true},
		{"to undo: the sample after the start, which is not known", later, func(a *Accumulator) { a.prev.known = false }, false},
		{"to undo: the sample after the start, after the baseline", later, func(a *Accumulator) { a.prev.after.at = a.prev.base.at + 1 }, false},
		{"a stall: the sample after the start", thawing, func(a *Accumulator) {}, true},
		{"a stall: the sample after the start: on it", thawing, func(a *Accumulator) { a.stall.from.after.at = a.stall.from.half(a.period) }, false},
		{"a register that cannot be", broken, func(a *Accumulator) { a.base.value = r.Modulus }, false},
	} {
		a := c.make()
		c.change(a)
		b, err := RestoreAccumulator(r, Period, a.State(nil))
		if (err == nil) != c.ok || err == nil && *a != *b {
			t.Errorf("%s: %v", c.what, err)
		}
	}
}
