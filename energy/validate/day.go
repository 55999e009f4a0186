package validate

import (
	"fmt"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// Day applies the rules that speak about a whole day, once it is over: V08
// (the sum of the half-hours against the register), V14 (prolonged
// estimation) and V19 (how many half-hours there are). hh are the register's
// half-hours of that day as they were kept, in the order of their starts.
// Where a day comes from a source that counts in UTC days, give it
// energy.DayIn(time.UTC, ..).
func Day(k energy.Key, day energy.Day, hh []energy.HalfHour, o Options, dst []Finding) []Finding {
	d := daily{key: k, o: o.withDefaults(k.Measure), from: day.Start(1), to: day.Start(day.Periods() + 1), dst: dst}
	d.count(day, hh)
	d.estimated(hh)
	d.sum(hh)
	return d.dst
}

// Day is Day with what the Checker knows of its register, also what that has
// learnt from its device.
func (c *Checker) Day(day energy.Day, hh []energy.HalfHour) []Finding {
	return Day(c.key, day, hh, *c.o, nil)
}

type daily struct {
	key      energy.Key
	o        Options
	from, to time.Time
	dst      []Finding
}

func (d *daily) say(f Finding) {
	if d.o.Off.Has(f.Rule) {
		return
	}
	f.Key, f.From, f.To, f.Count = d.key, d.from, d.to, 1
	d.dst = append(d.dst, f)
}

// count is V19.
func (d *daily) count(day energy.Day, hh []energy.HalfHour) {
	want := int(d.to.Sub(d.from) / d.o.Period)
	stray := 0
	for i, h := range hh {
		if h.Start.Before(d.from) || !h.Start.Before(d.to) || i > 0 && !h.Start.After(hh[i-1].Start) || !h.Start.Truncate(d.o.Period).Equal(h.Start) {
			stray++
		}
	}
	if len(hh) == want && stray == 0 {
		return
	}
	f := Finding{Rule: 19, Severity: Error, Found: fmt.Sprintf("%d half-hours", len(hh)), Expected: fmt.Sprintf("%d on %s", want, day)}
	switch {
	case stray == 0 && len(hh) > 0 && int(d.to.Sub(hh[0].Start)/d.o.Period) == len(hh):
		f.Severity, f.Note = Info, "they begin at "+stamp(hh[0].Start)+": the first day, or the end of a long break"
	case stray > 0:
		f.Note = fmt.Sprintf("%d of them are repeated, out of order or of another day", stray)
	case want != 48 && len(hh) == 48:
		f.Note = "the source seems not to know that the clocks change on this day"
	}
	d.say(f)
}

// estimated is V14 for a day that is mostly estimated or substituted.
func (d *daily) estimated(hh []energy.HalfHour) {
	n, of := 0, 0
	for _, h := range hh {
		if h.Quality == energy.Missing {
			continue
		}
		of++
		if h.Quality <= energy.Estimated && h.Evidence.Rule != energy.RulePower { // a power integral is never better
			n++
		}
	}
	if of == 0 || n*100 <= d.o.MaxEstimated*of {
		return
	}
	d.say(Finding{
		Rule: 14, Severity: Warning, Found: fmt.Sprintf("%d of %d half-hours are estimated or substituted", n, of),
		Expected: fmt.Sprintf("at most %d %%", d.o.MaxEstimated), Note: "prolonged estimation: the meter or its line needs a visit",
	})
}

// sum is V08, in two ways that check each other: along each run of half-hours
// whose register is known at both ends, the half-hours sum to the register's
// advance; and each half-hour fits between the two samples that it was
// counted from.
func (d *daily) sum(hh []energy.HalfHour) {
	var total, advance int64
	var last *energy.HalfHour
	loose := 0
	for i := range hh {
		h := &hh[i]
		if h.Quality == energy.Missing || h.Cumulative < 0 {
			last = nil
			continue
		}
		// Across an exchange the register goes on from another value.
		if last != nil && last.Start.Add(d.o.Period).Equal(h.Start) && h.Evidence.Rule != energy.RuleExchange {
			total, advance = total+h.Energy, advance+d.forward(last.Cumulative, h.Cumulative)
		}
		if !d.fits(h) {
			loose++
		}
		last = h
	}
	unit := " " + d.key.Measure.BaseUnit()
	allowed := max(d.o.Step, part(advance, int64(d.o.SumTenths), 1000))
	switch off := max(total-advance, advance-total); {
	case off > allowed:
		d.say(Finding{
			Rule: 8, Severity: Error, Found: fmt.Sprintf("the half-hours sum to %d%s", total, unit),
			Expected: fmt.Sprintf("the register's advance of %d%s, to within %d", advance, unit, allowed),
		})
	case loose > 0:
		d.say(Finding{
			Rule: 8, Severity: Error, Found: fmt.Sprintf("%d half-hours that do not fit between their samples", loose),
			Expected: "the register at both ends of a half-hour between the samples around it",
		})
	}
}

// forward is how far the register went from a to b, through its modulus if need be.
func (d *daily) forward(a, b int64) int64 {
	if b < a {
		return b - a + d.o.Modulus
	}
	return b - a
}

// fits reports whether the first sample, the half-hour and the last sample
// follow one another on the register. Only half-hours that were counted from
// samples of the register itself are asked.
func (d *daily) fits(h *energy.HalfHour) bool {
	switch h.Evidence.Rule {
	case energy.RuleBracketed, energy.RuleInterpolate, energy.RuleSpread, energy.RuleProfileScaled:
	default:
		return true
	}
	first, last := h.Evidence.First, h.Evidence.Last
	if first.At.IsZero() || last.At.IsZero() {
		return true
	}
	start := h.Cumulative - h.Energy
	if start < 0 {
		start += d.o.Modulus
	}
	before, after := d.forward(first.Value, start), d.forward(h.Cumulative, last.Value)
	return before >= 0 && after >= 0 && before+h.Energy+after == d.forward(first.Value, last.Value)
}
