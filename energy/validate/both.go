package validate

import (
	"fmt"
	"math/bits"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// sameRun is how many half-hours in a row two registers must count the very
// same amount before they are taken for one register that is read twice.
const sameRun = 4

// bothWays is V15: import and export of one half-hour.
func (v *view) bothWays() {
	c, h := v.c, v.h
	var other energy.Measure
	switch c.key.Measure {
	case energy.Import:
		other = energy.Export
	case energy.Export:
		other = energy.Import
	case energy.ReactiveImport:
		other = energy.ReactiveExport
	case energy.ReactiveExport:
		other = energy.ReactiveImport
	default:
		return
	}
	o, ok := actual(v.past, other, h.Start)
	if !ok || h.Quality < energy.Interpolated {
		return
	}
	f := Finding{Rule: 15, Severity: Warning, Found: c.amount(h.Energy) + " and " + other.String() + " " + c.amount(o.Energy)}
	// Whatever flows one way cannot flow the other way at the same time: both
	// together fit into what the connection can carry.
	if c.o.MaxEnergy > 0 && h.Energy <= c.o.MaxEnergy && o.Energy > c.o.MaxEnergy-h.Energy {
		f.Expected = "together at most " + c.amount(c.o.MaxEnergy)
		v.flag(f)
		return
	}
	if v.same(other) {
		f.Expected, f.Note = "two different registers", "the same amount again and again: is one register read twice?"
		v.flag(f)
	}
}

// same reports whether this measure and another one counted the same amount,
// and not zero, sameRun times in a row.
func (v *view) same(other energy.Measure) bool {
	for i := range sameRun {
		at := v.h.Start.Add(-time.Duration(i) * v.c.o.Period)
		mine, ok := *v.h, true
		if i > 0 {
			mine, ok = actual(v.past, v.c.key.Measure, at)
		}
		o, too := actual(v.past, other, at)
		if !ok || !too || mine.Energy != o.Energy || mine.Energy == 0 {
			return false
		}
	}
	return true
}

// reactive is V20: active and reactive energy of one half-hour.
//
// The square of active plus the square of reactive energy cannot exceed the
// square of what the connection can carry, in whatever way they came about
// within the half-hour.
func (v *view) reactive() {
	c, h := v.c, v.h
	if c.key.Measure > energy.ReactiveExport || h.Energy <= 0 || h.Quality < energy.Interpolated || !c.on(20) {
		return
	}
	mine := c.key.Measure
	var sum [energy.ReactiveExport + 1]int64 // by measure
	for m := energy.Import; m <= energy.ReactiveExport; m++ {
		if m == mine {
			sum[m] = h.Energy
		} else if o, ok := actual(v.past, m, h.Start); ok {
			sum[m] = o.Energy
		}
	}
	p, q := sum[energy.Import]+sum[energy.Export], sum[energy.ReactiveImport]+sum[energy.ReactiveExport]
	if p <= 0 {
		return
	}
	f := Finding{Rule: 20, Severity: Warning, Found: written(p, "Wh") + " with " + written(q, "varh")}
	switch {
	case p <= c.o.MaxEnergy && q <= c.o.MaxEnergy && squaresExceed(p, q, c.o.MaxEnergy): // V05 speaks of one that exceeds it alone
		f.Expected = "together at most " + written(c.o.MaxEnergy, "VAh")
		v.flag(f)
	case q > c.o.StuckEnergy && lowFactor(p, q, int64(c.o.MinPF)):
		f.Expected = fmt.Sprintf("a power factor of at least 0.%02d", c.o.MinPF)
		v.flag(f)
	case v.same(across(mine)[0]), v.same(across(mine)[1]):
		f.Expected, f.Note = "two different registers", "the same amount again and again: is one register read twice?"
		v.flag(f)
	}
}

// across gives the active measures of a reactive one, and the other way round.
func across(m energy.Measure) [2]energy.Measure {
	if m == energy.ReactiveImport || m == energy.ReactiveExport {
		return [2]energy.Measure{energy.Import, energy.Export}
	}
	return [2]energy.Measure{energy.ReactiveImport, energy.ReactiveExport}
}

// squaresExceed reports p^2 + q^2 > s^2.
func squaresExceed(p, q, s int64) bool {
	ph, pl := bits.Mul64(uint64(p), uint64(p))
	qh, ql := bits.Mul64(uint64(q), uint64(q))
	sh, sl := bits.Mul64(uint64(s), uint64(s))
	lo, carry := bits.Add64(pl, ql, 0)
	hi, _ := bits.Add64(ph, qh, carry)
	return hi > sh || hi == sh && lo > sl
}

// lowFactor reports p/sqrt(p^2+q^2) < percent/100.
func lowFactor(p, q, percent int64) bool {
	// p*100 < percent*sqrt(p^2+q^2)  <=>  p^2*(100^2-percent^2) < percent^2*q^2
	shift := max(bits.Len64(uint64(p|q))-50, 0) // keeps the products inside 128 bits; nothing is lost that matters
	p, q = p>>shift, q>>shift
	ph, pl := bits.Mul64(uint64(p), uint64(p)*uint64(10000-percent*percent))
	qh, ql := bits.Mul64(uint64(q), uint64(q)*uint64(percent*percent))
	return ph < qh || ph == qh && pl < ql
}
