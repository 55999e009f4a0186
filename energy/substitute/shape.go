package substitute

import (
	"math/bits"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// shape finds the runs of half-hours over which a known advance was spread
// evenly, and gives them the shape of like days.
func (p *planner) shape() {
	for t := p.series.start; t.Before(p.series.end); {
		h := p.series.get(t)
		if !spread(h) {
			t = t.Add(p.o.Period)
			continue
		}
		run := []energy.HalfHour{h}
		for t = t.Add(p.o.Period); ; t = t.Add(p.o.Period) {
			next := p.series.get(t)
			if !spread(next) || !p.joins(run[len(run)-1], next) {
				break
			}
			run = append(run, next)
		}
		p.shapeRun(run)
	}
}

func spread(h energy.HalfHour) bool {
	return h.Quality == energy.Estimated && h.Evidence.Rule == energy.RuleSpread && h.Cumulative >= 0
}

// joins reports whether b goes on from where a ended.
func (p *planner) joins(a, b energy.HalfHour) bool {
	return p.forward(a.Cumulative, b.Cumulative) == b.Energy
}

// forward is how far the register went from a to b, through its modulus if need be.
func (p *planner) forward(a, b int64) int64 {
	if b < a {
		return b - a + p.o.Modulus
	}
	return b - a
}

// shapeRun moves the register at the boundaries inside a run. Each boundary
// lies in a gap between two samples; within each gap the register follows the
// profile, from the one sample to the other. The run's own two ends stay.
func (p *planner) shapeRun(run []energy.HalfHour) {
	n := len(run)
	// at[i] is the register at the start of run[i], counted from that of run[0].
	at := make([]int64, n+1)
	for i, h := range run {
		at[i+1] = at[i] + h.Energy
	}
	moved := append([]int64(nil), at...)
	changed := false
	for i := 1; i < n; {
		g, ok := p.gap(run, at, i)
		if !ok {
			i++
			continue
		}
		changed = p.shapeGap(run, g, moved) || changed
		i = g.next
	}
	if !changed {
		return
	}
	base := run[0].Cumulative - run[0].Energy
	for i := range run {
		if !p.fits(moved[i+1] - moved[i]) {
			return // the shape is not one that the connection can carry
		}
	}
	for i, h := range run {
		if moved[i] == at[i] && moved[i+1] == at[i+1] {
			continue
		}
		cum := base + moved[i+1]
		if p.o.Modulus > 0 {
			cum = (cum + p.o.Modulus) % p.o.Modulus
		}
		p.put(h, moved[i+1]-moved[i], cum, energy.Estimated, energy.RuleProfileScaled)
	}
}

// gap is a stretch between two samples in which boundaries of a run lie.
type gap struct {
	from, to    time.Time // the samples, or the run's ends where these are nearer
	low, high   int64     // the register there, counted from the start of the run
	first, next int       // boundaries first..next-1 of the run lie strictly inside
}

// gap gives the one around boundary i (the start of run[i]); ok is false where
// the evidence does not say, or where it holds fewer than two whole half-hours
// (evenly is as good then).
func (p *planner) gap(run []energy.HalfHour, at []int64, i int) (g gap, ok bool) {
	first, last := run[i].Evidence.First, run[i-1].Evidence.Last
	if first.At.IsZero() || last.At.IsZero() || !first.At.Before(last.At) {
		return g, false
	}
	reg := run[i-1].Cumulative // at the boundary
	low, high := p.forward(first.Value, reg), p.forward(reg, last.Value)
	if low < 0 || high < 0 {
		return g, false
	}
	g = gap{from: first.At, to: last.At, low: at[i] - low, high: at[i] + high, first: i}
	start, end := run[0].Start, run[len(run)-1].Start.Add(p.o.Period)
	if g.from.Before(start) {
		g.from, g.low = start, 0
	}
	if g.to.After(end) {
		g.to, g.high = end, at[len(run)]
	}
	for g.next = i; g.next < len(run) && run[g.next].Start.Before(g.to); g.next++ {
	}
	return g, g.next-g.first >= 3
}

// shapeGap lets the register follow the profile within one gap. It reports
// whether it did: each half-hour with a share in the gap must be one that may
// be filled, and have like days.
func (p *planner) shapeGap(run []energy.HalfHour, g gap, moved []int64) bool {
	// The half-hours with a share in the gap: those that end at boundaries
	// first..next-1, and the one that starts at the last of them.
	weights := make([]uint64, 0, g.next-g.first+1)
	var total uint64
	for i := g.first - 1; i < g.next; i++ {
		like := p.like(run[i].Start, g.from)
		if like == nil || !p.inside(run[i].Start) {
			return false
		}
		from, to := maxTime(run[i].Start, g.from), run[i].Start.Add(p.o.Period)
		if to.After(g.to) {
			to = g.to
		}
		w := mulDiv(uint64(max(median(like), 0)), uint64(to.Sub(from)), uint64(p.o.Period))
		weights = append(weights, w)
		total += w
	}
	if total == 0 {
		return false
	}
	advance, sum := uint64(g.high-g.low), uint64(0)
	for i := g.first; i < g.next; i++ {
		sum += weights[i-g.first]
		moved[i] = g.low + int64(mulDiv(advance, sum, total))
	}
	return true
}

// mulDiv is a*b/c, rounded down, through 128 bits, for b <= c.
func mulDiv(a, b, c uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	q, _ := bits.Div64(hi, lo, c)
	return q
}
