package virtual

import (
	"fmt"
	"math"

	"github.com/perseus-edge/perseus-edge/energy"
)

// Tolerance says by how much the sub-meters may be ahead of their main meter.
//
// No two meters are read at the same instant, round alike or err alike, so
// that now and then the sub-meters show more than the main meter. Such a
// half-hour is 0, and the deficit is carried into the next ones, which give it
// back: the sum over time stays the sum of the registers' advances. What is
// carried is part of the half-hour's evidence (First: carried in, Last: carried
// out), so that the half-hour before is all that need be known.
//
// A half-hour that carries is at best Interpolated, and no better than the one
// that the deficit came from, since energy moved in it from one time to
// another. A half-hour that adds to a deficit beyond what can be explained so
// (a meter that errs, a wrong CT ratio, generation behind the main meter) is
// Missing, flagged V09, and the count begins at 0 after it. While an input is
// missing, the deficit waits.
//
// The defaults are engineering choices, as Elexon publishes no numbers for this
// (feeds.md 3.4).
type Tolerance struct {
	PerMille int64 // of the sub-meters' energy in the half-hour; 0: 30 (1.5 times two meters of class 1); at most 1000
	Floor    int64 // base units that are always allowed; 0: 1000 (1 kWh: the coarsest step of common registers)
}

// What is allowed where boundaries are less well known, per mille of the
// half-hour's energy.
const (
	interpolatedPerMille = 500    // a boundary may be out by up to half a period
	estimatedPerMille    = 48_000 // one side is spread flat over a gap, the other is not: up to a day's worth
)

func (t Tolerance) check(id string) error {
	if t.PerMille < 0 || t.PerMille > 1000 || t.Floor < 0 {
		return fmt.Errorf("virtual meter %s: a tolerance of %d per mille or %d is not one: 0 to 1000 per mille, and not below 0", id, t.PerMille, t.Floor)
	}
	return nil
}

// filled has the defaults where nothing is set.
func (t Tolerance) filled() Tolerance {
	if t.PerMille == 0 {
		t.PerMille = 30
	}
	if t.Floor == 0 {
		t.Floor = 1000
	}
	return t
}

// allowed is the largest deficit that may be carried out of a half-hour.
func (t Tolerance) allowed(q energy.Quality, subs int64) int64 {
	t = t.filled()
	switch {
	case q <= energy.Estimated:
		t.PerMille = estimatedPerMille
	case q == energy.Interpolated:
		t.PerMille = max(t.PerMille, interpolatedPerMille)
	}
	if subs > math.MaxInt64/t.PerMille {
		return math.MaxInt64
	}
	return max(t.Floor, subs*t.PerMille/1000)
}

// differs reports whether h was made by a difference: what stands in the
// evidence of others is registers.
func (p *Plan) differs(h energy.HalfHour) bool {
	e := h.Evidence
	if h.Quality > energy.Missing {
		return e.Rule == energy.RuleDifference
	}
	return (e.Rule == energy.RuleNone || e.Rule == energy.RuleWithdrawn) && e.First.At.Equal(h.Start) && e.Last.At.Equal(h.Start.Add(p.period))
}

// carried reads what a half-hour of a difference carries into the next one.
func (p *Plan) carried(h energy.HalfHour) int64 {
	if !p.differs(h) {
		return 0
	}
	return max(h.Evidence.Last.Value, 0)
}

// forerunner stands in for the half-hour before h where that is no longer kept:
// it carries out what h carried in, so that h, made again, comes out the same.
func (p *Plan) forerunner(h energy.HalfHour) energy.HalfHour {
	if !p.differs(h) {
		return energy.HalfHour{}
	}
	q := h.Quality
	switch {
	case q == energy.Missing && h.Evidence.Last.Value == 0: // refused: as strictly the next time
		q = energy.Interpolated
	case q == energy.Missing:
		q = energy.Estimated
	}
	return energy.HalfHour{Start: h.Start.Add(-p.period), Quality: q, Evidence: energy.Evidence{
		Rule: energy.RuleDifference, Last: energy.Sample{At: h.Start, Value: h.Evidence.First.Value},
	}}
}

// difference sets h to the main meter less its sub-meters; whole says whether
// all inputs are there.
func (p *Plan) difference(n *node, h *energy.HalfHour, prev energy.HalfHour, in []energy.HalfHour, whole bool) {
	owed := int64(0)
	if prev.Start.Add(p.period).Equal(h.Start) {
		owed = p.carried(prev)
	}
	subs, fits := totals{}, false
	if whole {
		subs, fits = total(in[1:])
	}
	if !fits || subs.energy > math.MaxInt64-owed {
		h.Quality = energy.Missing
		p.evidence(h, owed, owed)
		return
	}
	main := in[0]
	value := main.Energy - subs.energy - owed
	deficit := max(-value, 0)
	// What came out of an estimate may be large. What came out of better
	// half-hours is judged by the inputs of this one: its own being
	// Interpolated must not excuse more in the next one, and so on for ever.
	judged := h.Quality
	if owed > 0 && prev.Quality <= energy.Estimated {
		judged = energy.Worst(judged, energy.Estimated)
	}
	if subs.energy > main.Energy && deficit > n.Tolerance.allowed(judged, subs.energy) {
		h.Quality, h.Flags = energy.Missing, h.Flags.With(9)
		p.evidence(h, owed, 0)
		return
	}
	h.Quality = judged
	if owed > 0 && prev.Quality == energy.Substituted {
		h.Quality = energy.Substituted
	}
	if owed > 0 || deficit > 0 {
		h.Quality = energy.Worst(h.Quality, energy.Interpolated)
	}
	cumulative := int64(-1)
	if main.Cumulative >= 0 && subs.cumulative >= 0 {
		if c := main.Cumulative - subs.cumulative; c <= math.MaxInt64-deficit {
			cumulative = c + deficit
		}
	}
	p.put(h, max(value, 0), cumulative, energy.RuleDifference, owed, deficit)
}
