package sparql

import (
	"github.com/perseus-edge/perseus-edge/directory/rdf"
	"github.com/perseus-edge/perseus-edge/directory/rdf/lexer"
)

// maxTriples is how many triple patterns a query may have: a bit for each.
const maxTriples = 64

// group reads { .. } into the algebra of SPARQL 1.1, 18.2.2.
func (p *parser) group() (pattern, error) {
	inner, tests, err := p.groupParts()
	if err != nil || len(tests) == 0 {
		return inner, err
	}
	return &filter{inner: inner, tests: tests}, nil
}

// groupParts reads { .. }, its own filters apart.
func (p *parser) groupParts() (pattern, []*expr, error) {
	out, err := p.deeper()
	if err != nil {
		return nil, nil, err
	}
	defer out()
	if err := p.expect("{"); err != nil {
		return nil, nil, err
	}
	var whole pattern = &bgp{}
	var tests []*expr
	triples := &bgp{} // those since the last pattern that is none
	p.block++
	flush := func() {
		if len(triples.triples) > 0 {
			whole = joined(whole, triples)
			triples = &bgp{}
		}
		p.block++
	}
	for !p.is("}") {
		switch {
		case p.word("FILTER"):
			if err := p.advance(); err != nil {
				return nil, nil, err
			}
			test, err := p.constraint()
			if err != nil {
				return nil, nil, err
			}
			tests = append(tests, test)
		case p.word("OPTIONAL"):
			flush()
			if err := p.advance(); err != nil {
				return nil, nil, err
			}
			right, test, err := p.groupParts()
			if err != nil {
				return nil, nil, err
			}
			whole = &leftJoin{left: whole, right: right, test: test}
		case p.is("{"):
			flush()
			alts, err := p.alternatives()
			if err != nil {
				return nil, nil, err
			}
			whole = joined(whole, alts)
		default:
			if err := p.triplesBlock(triples); err != nil {
				return nil, nil, err
			}
			continue
		}
		if _, err := p.take("."); err != nil {
			return nil, nil, err
		}
	}
	flush()
	return whole, tests, p.advance()
}

// joined leaves out the empty pattern, which changes nothing.
func joined(a, b pattern) pattern {
	if x, ok := a.(*bgp); ok && len(x.triples) == 0 {
		return b
	}
	return &join{left: a, right: b}
}

// alternatives reads { .. } UNION { .. }.
func (p *parser) alternatives() (pattern, error) {
	u := &union{}
	for {
		if p.is("{") {
			a, err := p.group()
			if err != nil {
				return nil, err
			}
			u.alts = append(u.alts, a)
		} else {
			return nil, p.unexpected("expected { after UNION")
		}
		if ok, err := p.take("UNION"); err != nil {
			return nil, err
		} else if !ok {
			break
		}
	}
	if len(u.alts) == 1 {
		return u.alts[0], nil
	}
	return u, nil
}

// triplesBlock reads the triples of one subject, and the dot.
func (p *parser) triplesBlock(into *bgp) error {
	bracket := p.is("[")
	s, err := p.node(into, "expected a triple pattern, FILTER, OPTIONAL, { or }")
	if err != nil {
		return err
	}
	if s.slot < 0 && s.term.Kind == rdf.Literal {
		return p.fail("a literal cannot be a subject")
	}
	if !bracket || !p.is(".") && !p.is("}") {
		if err := p.properties(into, s); err != nil {
			return err
		}
	}
	if p.is(".") {
		return p.advance()
	}
	if p.is("}") || p.is("{") || p.word("FILTER") || p.word("OPTIONAL") {
		return nil
	}
	return p.unexpected("expected . or } after a triple pattern")
}

func (p *parser) properties(into *bgp, s part) error {
	for {
		predicate, err := p.predicate()
		if err != nil {
			return err
		}
		for {
			o, err := p.node(into, "expected an object")
			if err != nil {
				return err
			}
			if p.triples++; p.triples > maxTriples {
				return p.fail("more than %d triple patterns", maxTriples)
			}
			into.triples = append(into.triples, [3]part{s, predicate, o})
			if ok, err := p.take(","); err != nil {
				return err
			} else if !ok {
				break
			}
		}
		if !p.is(";") {
			return nil
		}
		for p.is(";") {
			if err := p.advance(); err != nil {
				return err
			}
		}
		if p.is(".") || p.is("]") || p.is("}") {
			return nil
		}
	}
}

func (p *parser) predicate() (part, error) {
	const paths = "property paths (^ / | * + ?) are not served here: write a triple pattern for each step"
	var out part
	var err error
	switch p.tok.Kind {
	case lexer.Word:
		if p.tok.Text != "a" {
			return part{}, p.unexpected("expected a predicate")
		}
		out, err = part{-1, rdf.Term{Kind: rdf.IRI, Value: rdf.TypeIRI}}, p.advance()
	case lexer.Var:
		out, err = p.variable()
	case lexer.IRIRef, lexer.PName:
		var t rdf.Term
		t, err = p.iri()
		out = part{-1, t}
	default:
		if p.is("^") || p.is("(") || p.is("!") {
			return part{}, p.fail(paths)
		}
		return part{}, p.unexpected("expected a predicate")
	}
	for _, sign := range []string{"/", "|", "*", "+", "?"} {
		if err == nil && p.is(sign) {
			return part{}, p.fail(paths)
		}
	}
	return out, err
}

// variable reads a variable of a pattern: SELECT * shows it.
func (p *parser) variable() (part, error) {
	slot := p.slot(p.tok.Text)
	p.show(slot)
	return part{slot: slot}, p.advance()
}

func (p *parser) show(slot int) {
	for _, s := range p.shown {
		if s == slot {
			return
		}
	}
	p.shown = append(p.shown, slot)
}
