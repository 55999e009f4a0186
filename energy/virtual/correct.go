package virtual

import (
	"maps"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// Lookup gives the half-hour of a meter, real or virtual, that starts at an
// instant; false where there is none (not even a Missing one). All half-hours
// are of one measure.
type Lookup func(meter string, start time.Time) (energy.HalfHour, bool)

// Result is a half-hour of a virtual meter.
type Result struct {
	Meter string
	energy.HalfHour
}

// Update makes the virtual meters anew for half-hours of meters that have come
// or have changed, those that start in the Span of each, and puts what is new or
// different: first by meter, inputs first, then by time. It is the same for
// half-hours that are just over and for corrections of old ones; what is put may
// take the place of better ones that were made of values since corrected. What
// was put is looked up again at once, as it stands then: a flag that a value
// keeps is one of what is made of it, too.
//
// A half-hour for which an input is absent is not made: the input may come
// yet, and then asks for it. Where a difference carries another deficit out of
// the corrected half-hours than before, it goes on until that makes no
// difference any more.
//
// What a real meter counted stands: an id may have been one's before it became
// a virtual meter's. A share for a time before the first date on which it holds
// is taken back, since others may have been given it.
func (p *Plan) Update(changed map[string]Span, at Lookup, put func(Result)) {
	spans := maps.Clone(changed)
	for _, n := range p.order {
		var s Span
		for _, in := range n.Of {
			s = s.with(spans[in])
		}
		if s.empty() {
			continue
		}
		s.From = s.From.UTC().Truncate(p.period)
		spans[n.ID] = s // also where it stays as it is: what is made of it may be new
		p.evaluate(n, s, at, func(h energy.HalfHour) energy.HalfHour {
			spans[n.ID] = spans[n.ID].with(Span{h.Start, h.Start.Add(p.period)})
			put(Result{n.ID, h})
			if stands, ok := at(n.ID, h.Start); ok {
				return stands
			}
			return h
		})
	}
}

// evaluate puts the half-hours of one virtual meter that are new or different.
func (p *Plan) evaluate(n *node, s Span, at Lookup, put func(energy.HalfHour) energy.HalfHour) {
	in := make([]energy.HalfHour, len(n.Of))
	before := p.prior(n, s.From, at) // as it is now
	stored := before                 // as it was before
	end := s.To
	for start := s.From; start.Before(s.To) || start.Before(end) && n.Kind == Difference && !p.joins(before, stored); start = start.Add(p.period) {
		old, known := at(n.ID, start)
		if !known {
			old = p.waiting(n, start, stored)
		}
		h, ok := p.make(n, start, before, in, at)
		switch {
		case known && old.Quality > energy.Missing && !Made(old):
			h = old
		case known && !ok && n.Kind == Share && n.chainAt(start) == nil && old.Quality > energy.Missing:
			h, _ = p.gather(start, nil, len(n.Of))
			h = put(h)
		case known && !ok:
			h = old // the inputs are not there any more
		case !ok:
			h = p.waiting(n, start, before)
		case !known || !same(h, old):
			h = put(h)
		}
		if known || ok {
			end = start.Add(mostHole + p.period)
		}
		before, stored = h, old
	}
}

// mostHole is the longest time without an input over which a deficit waits.
const mostHole = 31 * 24 * time.Hour

// prior is what the half-hour of a virtual meter at start goes on from.
func (p *Plan) prior(n *node, start time.Time, at Lookup) energy.HalfHour {
	if n.Kind != Difference {
		return energy.HalfHour{}
	}
	for back := start.Add(-p.period); start.Sub(back) <= mostHole; back = back.Add(-p.period) {
		h, ok := at(n.ID, back)
		if !ok {
			continue
		}
		for at := back.Add(p.period); at.Before(start); at = at.Add(p.period) {
			h = p.waiting(n, at, h)
		}
		return h
	}
	if first, ok := at(n.ID, start); ok { // a correction of the oldest that is kept
		return p.forerunner(first)
	}
	return energy.HalfHour{}
}

// waiting stands in for a half-hour that is not made, after before: what is
// owed waits, as it does where an input is missing.
func (p *Plan) waiting(n *node, start time.Time, before energy.HalfHour) energy.HalfHour {
	h, _ := p.HalfHour(n.ID, start, before, nil)
	return h
}

// Made reports whether the value of a half-hour was made out of other meters';
// any other was counted or stated for a real one.
func Made(h energy.HalfHour) bool {
	switch h.Evidence.Rule {
	case energy.RuleSum, energy.RuleDifference, energy.RuleShareArea, energy.RuleShareHeads, energy.RuleShareMeter, energy.RuleShareOther:
		return true
	}
	return false
}

// joins reports whether the half-hour after b goes on from a as it does from b.
func (p *Plan) joins(a, b energy.HalfHour) bool {
	owed := p.carried(a)
	return owed == p.carried(b) && (owed == 0 || a.Quality == b.Quality)
}

func (p *Plan) make(n *node, start time.Time, prev energy.HalfHour, in []energy.HalfHour, at Lookup) (energy.HalfHour, bool) {
	for i, id := range n.Of {
		h, ok := at(id, start)
		if !ok {
			return energy.HalfHour{}, false
		}
		in[i] = h
	}
	return p.HalfHour(n.ID, start, prev, in)
}

// same reports whether a half-hour that was made again says what the stored one
// says, whenever each was made. A flag is never taken off a stored value, and
// whether a missing one withdraws a value is for the store to say
// (energy.RuleWithdrawn).
func same(h, stored energy.HalfHour) bool {
	e, f := h.Evidence, stored.Evidence
	return h.Start.Equal(stored.Start) && h.Energy == stored.Energy && h.Quality == stored.Quality && h.Cumulative == stored.Cumulative &&
		h.Flags|stored.Flags == stored.Flags && (e.Rule == f.Rule || h.Quality == energy.Missing) &&
		e.Samples == f.Samples && e.First.Value == f.First.Value && e.Last.Value == f.Last.Value
}

// Span is [From, To).
type Span struct{ From, To time.Time }

func (s Span) empty() bool { return !s.From.Before(s.To) }

// with is the shortest Span that holds both.
func (s Span) with(o Span) Span {
	switch {
	case s.empty():
		return o
	case o.empty():
		return s
	}
	if o.From.Before(s.From) {
		s.From = o.From
	}
	if o.To.After(s.To) {
		s.To = o.To
	}
	return s
}
