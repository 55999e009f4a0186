package virtual

import (
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

// Update makes the virtual meters anew for half-hours of a meter that have
// come or have changed, those that start in [from, to), and gives what is new
// or different: first by meter, inputs first, then by time. It is the same for
// half-hours that are just over and for corrections of old ones; the results
// may take the place of better ones that were made of values since corrected.
//
// A half-hour for which an input is absent is not made: the input may come
// yet, and then asks for it. Where a difference carries another deficit out of
// the corrected half-hours than before, it goes on until that makes no
// difference any more.
func (p *Plan) Update(meter string, from, to time.Time, at Lookup) []Result {
	from = from.UTC().Truncate(p.period)
	fresh := map[string]map[int64]energy.HalfHour{}
	look := func(id string, start time.Time) (energy.HalfHour, bool) {
		if h, ok := fresh[id][start.UnixNano()]; ok {
			return h, true
		}
		return at(id, start)
	}
	spans := map[string]span{meter: {from, to}}
	var out []Result
	for _, id := range p.Dependents(meter) {
		var s span
		for _, in := range p.byID[id].Of {
			s = s.with(spans[in])
		}
		if s.empty() {
			continue
		}
		for _, h := range p.evaluate(id, s, look) {
			if fresh[id] == nil {
				fresh[id] = map[int64]energy.HalfHour{}
			}
			fresh[id][h.Start.UnixNano()] = h
			spans[id] = spans[id].with(span{h.Start, h.Start.Add(p.period)})
			out = append(out, Result{id, h})
		}
	}
	return out
}

// evaluate gives the half-hours of one virtual meter that are new or different.
func (p *Plan) evaluate(id string, s span, at Lookup) (out []energy.HalfHour) {
	n := p.byID[id]
	in := make([]energy.HalfHour, len(n.Of))
	before, kept := at(id, s.from.Add(-p.period)) // as it is now
	if first, ok := at(id, s.from); ok && !kept && n.Kind == Difference {
		before = p.forerunner(first)
	}
	stored := before // as it was before
	for start := s.from; start.Before(s.to) || n.Kind == Difference && !p.joins(before, stored); start = start.Add(p.period) {
		old, known := at(id, start)
		h, ok := p.make(n, start, before, in, at)
		switch {
		case !ok && !start.Before(s.to):
			return out
		case !ok:
			h = old // the inputs are not there, or not any more
		case !known || !same(h, old):
			out = append(out, h)
		}
		before, stored = h, old
	}
	return out
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

// span is [from, to).
type span struct{ from, to time.Time }

func (s span) empty() bool { return !s.from.Before(s.to) }

// with is the shortest span that holds both.
func (s span) with(o span) span {
	switch {
	case s.empty():
		return o
	case o.empty():
		return s
	}
	if o.from.Before(s.from) {
		s.from = o.from
	}
	if o.to.After(s.to) {
		s.to = o.to
	}
	return s
}
