package virtual

import (
	"math"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// HalfHour makes one half-hour of a virtual meter from those of its inputs, in
// the order of Inputs. One that is Missing, or of another time, counts as
// Missing. prev is the half-hour before, of the virtual meter itself: a
// difference reads from it what it carries; the zero HalfHour where there is
// none. false means that the virtual meter does not exist at that time: the id
// is not one of a virtual meter, or its first share is not in force yet.
//
// The flags are those of all inputs. The evidence is what the rule was applied
// to: of a share, the register of the meter that is shared, at both ends; of a
// sum, the sum of the registers at both ends; of a difference, what was carried
// in and out (see Tolerance). Cumulative is the register that the virtual meter
// would have, -1 where an input's is not known.
func (p *Plan) HalfHour(id string, start time.Time, prev energy.HalfHour, in []energy.HalfHour) (energy.HalfHour, bool) {
	n := p.byID[id]
	if n == nil {
		return energy.HalfHour{}, false
	}
	start = start.UTC()
	g, ok := p.gather(start, in, len(n.Of))
	switch n.Kind {
	case Difference:
		p.difference(n, &g, prev, in, ok)
	case Sum:
		if ok {
			p.sum(&g, in)
		}
	case Share:
		c := n.chainAt(start)
		if c == nil {
			return energy.HalfHour{}, false
		}
		if ok {
			p.share(n, &g, in[0], c)
		}
	}
	return g, true
}

// gather begins the result with what all kinds have in common; false where an
// input is missing.
func (p *Plan) gather(start time.Time, in []energy.HalfHour, want int) (energy.HalfHour, bool) {
	h := energy.HalfHour{Start: start, Cumulative: -1, TakenAt: start.Add(p.period + time.Second), Quality: energy.Measured}
	ok := len(in) == want
	for i := range in {
		if !in[i].Start.Equal(start) {
			ok = false
			continue
		}
		if in[i].TakenAt.After(h.TakenAt) {
			h.TakenAt = in[i].TakenAt.UTC()
		}
		h.Quality = energy.Worst(h.Quality, in[i].Quality)
		h.Flags |= in[i].Flags
		ok = ok && in[i].Quality.Valid() && in[i].Quality > energy.Missing && in[i].Energy >= 0
		h.Evidence.Samples += in[i].Evidence.Samples
	}
	if !ok {
		h.Quality = energy.Missing
	}
	return h, ok
}

// put sets the value. first and last are the evidence at both ends.
func (p *Plan) put(h *energy.HalfHour, e, cumulative int64, r energy.Rule, first, last int64) {
	h.Energy, h.Cumulative, h.Evidence.Rule = e, max(cumulative, -1), r
	p.evidence(h, first, last)
}

func (p *Plan) evidence(h *energy.HalfHour, first, last int64) {
	h.Evidence.First = energy.Sample{At: h.Start, Value: first}
	h.Evidence.Last = energy.Sample{At: h.Start.Add(p.period), Value: last}
}

func (p *Plan) sum(h *energy.HalfHour, in []energy.HalfHour) {
	t, ok := total(in)
	if !ok {
		h.Quality = energy.Missing
		return
	}
	end := t.cumulative
	if end < 0 {
		end = t.energy
	}
	p.put(h, t.energy, t.cumulative, energy.RuleSum, end-t.energy, end)
}

func (p *Plan) share(n *node, h *energy.HalfHour, in energy.HalfHour, c chain) {
	// Where the register is not known (imported values), a register that
	// showed the number of the period stands in for it: rounding then favours
	// nobody in the long run, and the same values give the same shares again.
	end := in.Cumulative
	if end < 0 {
		end = in.Energy
		if at := h.Start.UnixNano() / int64(p.period); at > 0 && at <= math.MaxInt64-end { // mutate: adding 0 changes nothing, and no period since 1970 comes near the bound
			end += at
		}
	}
	first := end - in.Energy
	v := c.of(end)
	e := v - c.of(first)
	if in.Cumulative < 0 {
		v = -1
	}
	p.put(h, e, v, ruleOf(n.Method), first, end)
}

func ruleOf(m Method) energy.Rule {
	switch m {
	case AreaOccupied:
		return energy.RuleShareArea
	case NumberOfOccupants:
		return energy.RuleShareHeads
	case AdditionalMetering:
		return energy.RuleShareMeter
	default:
		return energy.RuleShareOther
	}
}

// chainAt gives the chain that holds at t; nil before the first one.
func (n *node) chainAt(t time.Time) chain {
	for i := len(n.eras) - 1; i >= 0; i-- {
		if !t.Before(n.eras[i].from) {
			return n.eras[i].chain
		}
	}
	return nil
}

// totals are sums over several meters.
type totals struct {
	energy     int64
	cumulative int64 // -1: not known
}

// total adds up; false where the sum does not fit in 63 bits.
func total(in []energy.HalfHour) (t totals, ok bool) {
	for i := range in {
		if in[i].Energy > math.MaxInt64-t.energy {
			return totals{}, false
		}
		t.energy += in[i].Energy
		if c := in[i].Cumulative; c < 0 || t.cumulative < 0 || c > math.MaxInt64-t.cumulative {
			t.cumulative = -1
		} else {
			t.cumulative += c
		}
	}
	return t, true
}
