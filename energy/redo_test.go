package energy

import "time"

// redo works the register out at every boundary of a run of half-hours, from
// nothing but their evidence, as docs/metering.md tells an auditor to: that is
// between the reading before it and the one after it, which the half-hours on
// both sides name; where one of these is missing (or was never given, at the
// very beginning), Start of the second half-hour is the other reading.
func redo(t interface{ Fatalf(string, ...any) }, r Register, period time.Duration, hs []HalfHour) {
	known := func(h HalfHour) bool { return h.Quality != Missing }
	for i, h := range hs {
		x, beside := HalfHour{}, i > 0 && hs[i-1].Start.Add(period).Equal(h.Start)
		if beside {
			x = hs[i-1]
		}
		if !known(h) && !known(x) {
			continue
		}
		before, after := h.Evidence.First, x.Evidence.Last
		if !known(h) {
			before = h.Evidence.Start
		} else if !known(x) {
			if after = h.Evidence.Start; before.At.Equal(h.Start) {
				after = before
			}
		} else if h.Evidence.Start != (Sample{}) {
			t.Fatalf("%v: both readings around its start are named already, and it names %v as well", h.Start, h.Evidence.Start)
		}
		if before.At.IsZero() || after.At.IsZero() || before.At.After(h.Start) || after.At.Before(h.Start) {
			t.Fatalf("%v: no evidence says where the register was at its start: %v %v; before it %+v, and %+v", h.Start, before, after, x, h)
		}
		ends, begins := after.Value, before.Value // on the very boundary an exchange has two
		if !after.At.Equal(before.At) {
			off := mulDiv(uint64(r.ahead(before.Value, after.Value)), uint64(h.Start.Sub(before.At)), uint64(after.At.Sub(before.At)))
			ends = r.wrap(before.Value, int64(off))
			begins = ends
		}
		if known(x) && x.Cumulative != ends {
			t.Fatalf("%v: it ends at %d, and the readings %v and %v around that say %d", x.Start, x.Cumulative, before, after, ends)
		}
		// Across an exchange the energy is counted on two meters.
		if known(h) && h.Evidence.Rule != RuleExchange && r.registerAt(h) != begins {
			t.Fatalf("%v: it begins at %d, and the readings %v and %v around that say %d", h.Start, r.registerAt(h), before, after, begins)
		}
	}
}
