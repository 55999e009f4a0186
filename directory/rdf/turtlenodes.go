package rdf

import (
	"fmt"
	"strings"

	"github.com/perseus-edge/perseus-edge/directory/rdf/lexer"
)

// node reads a subject or an object.
func (p *turtleReader) node(object bool) (Term, error) {
	switch p.tok.Kind {
	case lexer.IRIRef, lexer.PName:
		return p.iri()
	case lexer.Label:
		t, ok := p.labels[p.tok.Text]
		if !ok {
			t = p.g.NewNode()
			p.labels[p.tok.Text] = t
		}
		return t, p.advance()
	case lexer.Punct:
		switch p.tok.Text {
		case "[":
			return p.bracket()
		case "(":
			return p.collection()
		}
	}
	if !object {
		return Term{}, p.fail("expected a subject")
	}
	return p.literal()
}

func (p *turtleReader) deeper() error {
	if p.depth++; p.depth > p.limits.Depth {
		return fmt.Errorf("%w: brackets %d deep", ErrTooLarge, p.depth)
	}
	return p.advance()
}

// bracket reads [ .. ].
func (p *turtleReader) bracket() (Term, error) {
	if err := p.deeper(); err != nil {
		return Term{}, err
	}
	defer func() { p.depth-- }()
	t := p.g.NewNode()
	if !p.is("]") {
		if err := p.properties(t); err != nil {
			return Term{}, err
		}
	}
	return t, p.expect("]")
}

// collection reads ( .. ).
func (p *turtleReader) collection() (Term, error) {
	if err := p.deeper(); err != nil {
		return Term{}, err
	}
	defer func() { p.depth-- }()
	end := Ref(RDFNS + "nil")
	first, last := end, Term{}
	for !p.is(")") {
		item, err := p.node(true)
		if err != nil {
			return Term{}, err
		}
		cell := p.g.NewNode()
		if last == (Term{}) {
			first = cell
		} else {
			p.g.Add(last, RDFNS+"rest", cell)
		}
		p.g.Add(cell, RDFNS+"first", item)
		last = cell
		if p.g.Len() > p.limits.Triples {
			return Term{}, fmt.Errorf("%w: more than %d statements", ErrTooLarge, p.limits.Triples)
		}
	}
	if last != (Term{}) {
		p.g.Add(last, RDFNS+"rest", end)
	}
	return first, p.advance()
}

func (p *turtleReader) literal() (Term, error) {
	t := p.tok
	switch t.Kind {
	case lexer.String:
		if err := p.advance(); err != nil {
			return Term{}, err
		}
		if p.tok.Kind == lexer.LangTag {
			return Tagged(t.Text, p.tok.Text), p.advance()
		}
		if !p.is("^^") {
			return Text(t.Text), nil
		}
		if err := p.advance(); err != nil {
			return Term{}, err
		}
		dt, err := p.iri()
		return Typed(t.Text, dt.Value), err
	case lexer.Word:
		if t.Text == "true" || t.Text == "false" {
			return Typed(t.Text, XSDBoolean), p.advance()
		}
	case lexer.Punct:
		if t.Text != "+" && t.Text != "-" {
			break
		}
		if err := p.advance(); err != nil {
			return Term{}, err
		}
		if p.tok.Col != t.Col+1 || p.tok.Line != t.Line || NumberType(p.tok.Kind) == "" {
			return Term{}, p.fail("a sign must be followed by a number")
		}
		return Typed(strings.TrimSpace(t.Text)+p.tok.Text, NumberType(p.tok.Kind)), p.advance()
	}
	if dt := NumberType(t.Kind); dt != "" {
		return Typed(t.Text, dt), p.advance()
	}
	return Term{}, p.fail("expected an IRI, a blank node or a literal")
}

// NumberType is the datatype of a number as the lexer found it, "" for what is
// no number.
func NumberType(k lexer.Kind) string {
	switch k {
	case lexer.Integer:
		return XSDInteger
	case lexer.Decimal:
		return XSDDecimal
	case lexer.Double:
		return XSDDouble
	}
	return ""
}
