package sparql

import "github.com/perseus-edge/perseus-edge/directory/rdf"

// pattern is a part of the SPARQL algebra (SPARQL 1.1, 18.2): *bgp, *join,
// *leftJoin, *union or *filter.
type pattern interface{ scope() *scope }

// part is one of the three places of a triple pattern: a variable's slot, or a
// term.
type part struct {
	slot int // -1: the term
	term rdf.Term
}

// bgp is a basic graph pattern. An empty one has one solution, the empty one.
type bgp struct {
	sc      scope
	triples [][3]part
}

type join struct {
	sc          scope
	left, right pattern
}

type leftJoin struct {
	sc          scope
	left, right pattern
	test        []*expr // all must hold for right to count
}

type union struct {
	sc   scope
	alts []pattern
}

type filter struct {
	sc    scope
	inner pattern
	tests []*expr
}

func (p *bgp) scope() *scope      { return &p.sc }
func (p *join) scope() *scope     { return &p.sc }
func (p *leftJoin) scope() *scope { return &p.sc }
func (p *union) scope() *scope    { return &p.sc }
func (p *filter) scope() *scope   { return &p.sc }

// set is a set of slots.
type set map[int]bool

func (s set) with(more ...set) set {
	out := set{}
	for _, m := range append(more, s) {
		for k := range m {
			out[k] = true
		}
	}
	return out
}

// scope is what is known of a pattern before it runs.
type scope struct {
	maybe, surely set  // slots that its solutions may bind, and always do
	alone         bool // it must be worked out by itself and then joined
}

// analyse finds, for each pattern, whether it may be evaluated upon solutions
// that bind the slots of in already, which is faster, and gives the same as
// evaluating it by itself and joining. Where it does not give the same (a
// FILTER that speaks of a variable from outside its group, an OPTIONAL that
// shares one with an outer pattern but not with its own left side), the
// pattern is marked to be worked out alone: SPARQL's meaning is from the
// inside out.
func analyse(p pattern, in set) {
	sc := p.scope()
	switch p := p.(type) {
	case *bgp:
		sc.maybe = set{}
		for _, t := range p.triples {
			for _, x := range t {
				if x.slot >= 0 {
					sc.maybe[x.slot] = true
				}
			}
		}
		sc.surely = sc.maybe
	case *join:
		analyse(p.left, in)
		l := p.left.scope()
		analyse(p.right, in.with(l.maybe))
		r := p.right.scope()
		sc.maybe, sc.surely = l.maybe.with(r.maybe), l.surely.with(r.surely)
	case *union:
		sc.maybe = set{}
		for i, a := range p.alts {
			analyse(a, in)
			s := a.scope()
			sc.maybe = sc.maybe.with(s.maybe)
			if i == 0 {
				sc.surely = s.surely.with()
			}
			for k := range sc.surely {
				if !s.surely[k] {
					delete(sc.surely, k)
				}
			}
		}
	case *filter:
		analyse(p.inner, in)
		*sc = scope{maybe: p.inner.scope().maybe, surely: p.inner.scope().surely}
		if clash(slotsOf(p.tests), in, sc.surely) {
			analyse(p.inner, set{})
			sc.alone = true
		}
	case *leftJoin:
		analyse(p.left, in)
		l := p.left.scope()
		analyse(p.right, in.with(l.maybe))
		r := p.right.scope()
		*sc = scope{maybe: l.maybe.with(r.maybe), surely: l.surely}
		if clash(slotsOf(p.test).with(r.maybe), in, l.surely) {
			analyse(p.left, set{})
			analyse(p.right, l.maybe)
			sc.alone = true
		}
	}
}

// clash reports a slot that is used, may come from outside, and is not always
// bound inside.
func clash(used, in, surely set) bool {
	for k := range used {
		if in[k] && !surely[k] {
			return true
		}
	}
	return false
}

func slotsOf(es []*expr) set {
	out := set{}
	var walk func(e *expr)
	walk = func(e *expr) {
		if e.op == opVar {
			out[e.slot] = true
		}
		for _, a := range e.args {
			walk(a)
		}
	}
	for _, e := range es {
		walk(e)
	}
	return out
}
