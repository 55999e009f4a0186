package validate

import (
	"math/bits"

	"github.com/perseus-edge/perseus-edge/energy"
)

// Checked applies V07 and V09 to a half-hour that was judged before its check
// meter's was there, now that it is. Where one of them has spoken against it
// already nothing more is said.
func (c *Checker) Checked(h *energy.HalfHour, dst []Finding) []Finding {
	if h.Flags.Has(7) || h.Flags.Has(9) {
		return dst
	}
	end := h.Start.Add(c.o.Period)
	v := view{c: c, h: h, end: end, dst: c.due(ofHalfHour, end, dst)}
	v.check()
	return v.dst
}

// check is V07 and V09 by the check meter, where it has the half-hour.
func (v *view) check() {
	c, h := v.c, v.h
	other, ok := actual(c.o.Check, c.key.Measure, h.Start)
	if !ok || h.Quality < energy.Interpolated || v.stuck(&other) {
		return
	}
	if f, differ := c.differ(h, &other); differ {
		v.flag(f)
	}
}

// differ compares two actual half-hours. What is allowed is 1.5 times the sum
// of both accuracy classes, two steps of each register, and what the samples
// leave in doubt at the boundaries.
func (c *Checker) differ(h, other *energy.HalfHour) (f Finding, differ bool) {
	diff := max(h.Energy-other.Energy, other.Energy-h.Energy)
	most := max(h.Energy, other.Energy)
	// Classes are in tenths of a per cent: 1.5 x class/1000 is 3 x class/2000.
	allowed := part(most, 3*int64(c.o.Class+c.o.CheckClass), 2000) + 2*(c.o.Step+c.o.CheckStep)
	allowed += c.doubt(h) + c.doubt(other)
	if diff <= allowed {
		return f, false
	}
	return Finding{
		Rule: 9, Severity: Warning, Found: c.amount(h.Energy) + ", the check meter " + c.amount(other.Energy),
		Expected: "a difference of at most " + c.amount(allowed),
	}, true
}

// doubt is how much energy a half-hour's boundaries may be off by, going by
// how far its samples lie from them. Without evidence there is none to judge.
func (c *Checker) doubt(h *energy.HalfHour) int64 {
	e := &h.Evidence
	if e.First.At.IsZero() || e.Last.At.IsZero() {
		return 0
	}
	away := h.Start.Sub(e.First.At).Abs() + e.Last.At.Sub(h.Start.Add(c.o.Period)).Abs()
	return part(h.Energy, int64(min(away, 2*c.o.Period)), int64(c.o.Period))
}

// part is v*num/den, rounded down, through 128 bits; v, num >= 0, den > 0,
// and the result must fit.
func part(v, num, den int64) int64 {
	hi, lo := bits.Mul64(uint64(max(v, 0)), uint64(num))
	if hi >= uint64(den) {
		return 1<<63 - 1
	}
	q, _ := bits.Div64(hi, lo, uint64(den))
	return int64(min(q, 1<<63-1))
}
