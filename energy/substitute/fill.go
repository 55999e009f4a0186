package substitute

import (
	"slices"

	"github.com/perseus-edge/perseus-edge/energy"
)

// fill goes through the half-hours that have no actual value and no known
// advance: check meter, then linear, then profile.
func (p *planner) fill() {
	for t := p.o.From; t.Before(p.o.To); t = t.Add(p.o.Period) {
		h := p.series.get(t)
		if h.Quality > energy.Substituted {
			continue
		}
		now := rank(h)
		switch {
		case now > rankCheck && p.byCheck(h):
		case now > rankLinear && p.byNeighbours(h):
		case now > rankProfile:
			p.byProfile(h)
		}
	}
}

// The ranks of what stands in a half-hour without an actual value, best first.
const (
	rankCheck = iota
	rankLinear
	rankProfile
	rankNone
)

func rank(h energy.HalfHour) int {
	if h.Quality == energy.Missing {
		return rankNone
	}
	switch h.Evidence.Rule {
	case energy.RuleLinear:
		return rankLinear
	case energy.RuleProfile:
		return rankProfile
	}
	return rankCheck // by the check meter, or by somebody else: it stays
}

func (p *planner) fits(e int64) bool {
	return e >= 0 && (p.o.MaxEnergy <= 0 || e <= p.o.MaxEnergy)
}

func (p *planner) byCheck(h energy.HalfHour) bool {
	if !p.allows(CheckMeter) || p.o.Check == nil {
		return false
	}
	c, ok := p.o.Check(h.Start)
	if !ok || c.Quality < energy.Interpolated || !p.fits(c.Energy) {
		return false
	}
	h.Evidence = c.Evidence // of the check meter: that is where the value comes from
	p.put(h, c.Energy, -1, energy.Substituted, energy.RuleCheckMeter)
	return true
}

func (p *planner) byNeighbours(h energy.HalfHour) bool {
	if !p.allows(Linear) {
		return false
	}
	before, ok := p.series.actual(h.Start.Add(-p.o.Period))
	after, too := p.series.actual(h.Start.Add(p.o.Period))
	e := before/2 + after/2 + (before&1+after&1)/2
	if !ok || !too || !p.fits(e) {
		return false
	}
	p.put(h, e, -1, energy.Substituted, energy.RuleLinear)
	return true
}

// byProfile takes the median of like days. The hole is the whole run of
// half-hours without an actual value: like days lie before it, and its length
// so far bounds what is filled.
func (p *planner) byProfile(h energy.HalfHour) {
	if !p.allows(Profile) {
		return
	}
	hole, n := h.Start, 1
	for n <= p.o.MaxRun {
		before := hole.Add(-p.o.Period)
		if before.Before(p.series.start) || p.series.get(before).Quality > energy.Substituted {
			break
		}
		hole, n = before, n+1
	}
	if n > p.o.MaxRun {
		return
	}
	like := p.like(h.Start, hole)
	if like == nil {
		return
	}
	if e := median(like); p.fits(e) {
		p.put(h, e, -1, energy.Substituted, energy.RuleProfile)
	}
}

// median of some values, which it sorts; of an even number of them, half the
// sum of the two in the middle, rounded down.
func median(v []int64) int64 {
	slices.Sort(v)
	a, b := v[(len(v)-1)/2], v[len(v)/2]
	return a + (b-a)/2
}
