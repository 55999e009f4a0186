package sparql

import (
	"strings"

	"github.com/perseus-edge/perseus-edge/directory/rdf"
	"github.com/perseus-edge/perseus-edge/directory/rdf/lexer"
)

// node reads a subject or an object.
func (p *parser) node(into *bgp, expected string) (part, error) {
	switch p.tok.Kind {
	case lexer.Var:
		return p.variable()
	case lexer.IRIRef, lexer.PName:
		t, err := p.iri()
		return part{-1, t}, err
	case lexer.Label:
		name := "_:" + p.tok.Text
		if block, ok := p.blanks[name]; ok && block != p.block {
			return part{}, p.fail("the blank node %s is used in two groups: use a variable", name)
		}
		p.blanks[name] = p.block
		return part{slot: p.slot(name)}, p.advance()
	case lexer.Punct:
		switch p.tok.Text {
		case "[":
			return p.bracket(into)
		case "(":
			return part{}, p.fail("lists in parentheses are not served here")
		}
	}
	if p.tok.Kind == lexer.EOF || p.tok.Kind == lexer.Word && p.tok.Text != "true" && p.tok.Text != "false" {
		return part{}, p.unexpected(expected)
	}
	t, ok, err := p.literal()
	if err == nil && !ok {
		err = p.unexpected(expected)
	}
	return part{-1, t}, err
}

// bracket reads [ .. ]: a blank node, which is a variable without a name.
func (p *parser) bracket(into *bgp) (part, error) {
	out, err := p.deeper()
	if err != nil {
		return part{}, err
	}
	defer out()
	if err := p.advance(); err != nil {
		return part{}, err
	}
	p.vars = append(p.vars, "_:[")
	node := part{slot: len(p.vars) - 1}
	if !p.is("]") {
		if err := p.properties(into, node); err != nil {
			return part{}, err
		}
	}
	return node, p.expect("]")
}

// iri reads an IRI or a prefixed name.
func (p *parser) iri() (rdf.Term, error) {
	if p.tok.Kind == lexer.IRIRef {
		iri, err := rdf.Resolve(p.base, p.tok.Text)
		if err != nil {
			return rdf.Term{}, p.fail("%v", err)
		}
		return rdf.Ref(iri), p.advance()
	}
	ns, ok := p.prefixes[p.tok.Text]
	if !ok {
		hint := ""
		if known := rdf.Namespace(p.tok.Text); known != "" {
			hint = ": begin the query with PREFIX " + p.tok.Text + ": <" + known + ">"
		}
		return rdf.Term{}, p.fail("the prefix %s: is not declared%s", p.tok.Text, hint)
	}
	return rdf.Ref(ns + p.tok.Local), p.advance()
}

// literal reads a string, a number, true or false; ok is false where there is
// none.
func (p *parser) literal() (t rdf.Term, ok bool, err error) {
	tok := p.tok
	switch {
	case tok.Kind == lexer.String:
		if err := p.advance(); err != nil {
			return t, false, err
		}
		switch {
		case p.tok.Kind == lexer.LangTag:
			return rdf.Tagged(tok.Text, p.tok.Text), true, p.advance()
		case !p.is("^^"):
			return rdf.Text(tok.Text), true, nil
		}
		if err := p.advance(); err != nil {
			return t, false, err
		}
		if p.tok.Kind != lexer.IRIRef && p.tok.Kind != lexer.PName {
			return t, false, p.unexpected("expected a datatype")
		}
		dt, err := p.iri()
		return rdf.Typed(tok.Text, dt.Value), true, err
	case rdf.NumberType(tok.Kind) != "":
		return rdf.Typed(tok.Text, rdf.NumberType(tok.Kind)), true, p.advance()
	case p.is("-") || p.is("+"):
		if err := p.advance(); err != nil {
			return t, false, err
		}
		dt := rdf.NumberType(p.tok.Kind)
		if dt == "" || p.tok.Line != tok.Line || p.tok.Col != tok.Col+1 {
			return t, false, p.unexpected("a sign must be followed by a number")
		}
		return rdf.Typed(tok.Text+p.tok.Text, dt), true, p.advance()
	case p.word("true") || p.word("false"):
		return rdf.Typed(strings.ToLower(tok.Text), rdf.XSDBoolean), true, p.advance()
	}
	return t, false, nil
}
