package validate

import (
	"fmt"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// HalfHour applies the rules that speak about half-hours (V01, V05 to V07,
// V09, V10, V14 to V16, V18, V20), and sets the half-hour's flags, among them those
// of readings and events that fell in it. Past is the meter's own history
// before h; it may hold what other measures of the meter have settled at the
// same time, and h's own earlier version.
//
// A missing half-hour keeps the flags of what made it missing.
func (c *Checker) HalfHour(h *energy.HalfHour, past Past, dst []Finding) []Finding {
	end := h.Start.Add(c.o.Period)
	dst = c.due(ofHalfHour, end, dst)
	h.Flags |= c.marked(h.Start, end)
	if h.Quality == energy.Missing {
		return dst
	}
	v := view{c: c, h: h, past: past, end: end, dst: dst}
	v.sentinel()
	v.source()
	v.again()
	v.ceiling()
	v.zeroRun()
	v.check()
	v.bothWays()
	v.reactive()
	v.usual()
	return v.dst
}

// view is one half-hour while it is looked at.
type view struct {
	c    *Checker
	h    *energy.HalfHour
	past Past
	end  time.Time
	dst  []Finding
}

// flag sets a rule's flag and says so. A finding without words only sets the flag.
func (v *view) flag(f Finding) {
	if !v.c.on(f.Rule) {
		return
	}
	v.h.Flags = v.h.Flags.With(f.Rule)
	if f.Found == "" {
		return
	}
	f.From, f.To = v.h.Start, v.end
	v.dst = v.c.say(ofHalfHour, v.end, f, v.dst)
}

// source is V14: an estimate of the source stays marked as one. It is only
// flagged; Day speaks where it goes on for long.
func (v *view) source() {
	if r := v.h.Evidence.Rule; r == energy.RuleImportedEst || r == energy.RuleInterval && v.h.Quality <= energy.Estimated {
		v.flag(Finding{Rule: 14})
	}
}

// again is V10: a source gave this half-hour before, with another value, and
// called both actual. That late samples move a boundary of ours is no such case.
func (v *view) again() {
	before, ok := known(v.past, v.c.key.Measure, v.h.Start)
	if !ok || !given(v.h) || !given(&before) || before.Energy == v.h.Energy {
		return
	}
	v.flag(Finding{Rule: 10, Severity: Warning, Found: v.c.amount(v.h.Energy), Expected: v.c.amount(before.Energy) + ", as it was given before"})
}

// given reports whether a source gave the half-hour as a whole, and as actual.
func given(h *energy.HalfHour) bool {
	return h.Evidence.Rule == energy.RuleImported || h.Evidence.Rule == energy.RuleInterval
}

// ceiling is V05, and V15 for a negative value.
func (v *view) ceiling() {
	c, h := v.c, v.h
	if h.Energy < 0 {
		v.flag(Finding{Rule: 15, Severity: Error, Found: c.amount(h.Energy), Expected: "0 or more"})
		return
	}
	if c.o.MaxEnergy <= 0 || h.Energy <= c.o.MaxEnergy {
		return
	}
	v.flag(Finding{Rule: 5, Severity: Error, Found: c.amount(h.Energy), Expected: "at most " + c.amount(c.o.MaxEnergy), Note: thousand(h.Energy, c.o.MaxEnergy)})
}

// thousand notices the commonest mistake of units: a thousandth of what was
// found would be nothing unusual.
func thousand(found, most int64) string {
	if k := found / 1000; k <= most && k >= most/50 && k > 0 {
		return "a thousandth of it would fit: is Wh taken for kWh?"
	}
	return ""
}

// zeroRun is V06. It speaks when the run passes the bound, and then once a
// week, so that it needs no memory.
func (v *view) zeroRun() {
	c, h := v.c, v.h
	if c.o.ZeroRun == noLimit || h.Energy != 0 || h.Quality < energy.Estimated || !c.on(6) {
		return
	}
	zeroAt := func(i int) bool {
		p, ok := known(v.past, c.key.Measure, h.Start.Add(-time.Duration(i)*c.o.Period))
		return ok && p.Energy == 0 && p.Quality >= energy.Estimated
	}
	for i := 1; i <= c.o.ZeroRun; i++ {
		if !zeroAt(i) {
			return
		}
	}
	f := Finding{Rule: 6}
	const week = 7 * 24 * time.Hour
	if !zeroAt(c.o.ZeroRun+1) || h.Start.Truncate(week).Equal(h.Start) {
		f.Severity, f.Found = Warning, fmt.Sprintf("0 for more than %d periods in a row", c.o.ZeroRun)
		f.Expected = "something now and then, since the meter answers"
	}
	v.flag(f)
}

// stuck is V07 by the check meter: this register did not move while the other
// one counted.
func (v *view) stuck(other *energy.HalfHour) bool {
	c, h := v.c, v.h
	if h.Energy != 0 || h.Evidence.First.Value != h.Evidence.Last.Value || other.Energy < c.o.StuckEnergy || !c.on(7) {
		return false
	}
	v.flag(Finding{Rule: 7, Severity: Error, Found: "the register stands still", Expected: "about " + c.amount(other.Energy) + ", as the check meter counted"})
	return true
}
