package sparql

import (
	"regexp"
	"strings"

	"github.com/perseus-edge/perseus-edge/directory/rdf"
	"github.com/perseus-edge/perseus-edge/directory/rdf/lexer"
)

// op says what an expression does.
type op string

const (
	opVar   op = "?"
	opConst op = "const"
	opNeg   op = "neg" // arithmetic negation
	opIn    op = "IN"
	opNotIn op = "NOT IN"
)

// expr is an expression: an operator such as && or a function such as REGEX
// (in upper case) with its arguments.
type expr struct {
	op   op
	slot int      // of opVar
	term rdf.Term // of opConst
	args []*expr
	re   *compiled // of REGEX with a constant pattern
}

// functions are those that are served, with the number of their arguments.
var functions = map[string]struct{ min, max int }{
	"BOUND": {1, 1}, "STR": {1, 1}, "LANG": {1, 1}, "LANGMATCHES": {2, 2}, "DATATYPE": {1, 1}, "SAMETERM": {2, 2},
	"ISIRI": {1, 1}, "ISURI": {1, 1}, "ISBLANK": {1, 1}, "ISLITERAL": {1, 1}, "ISNUMERIC": {1, 1},
	"REGEX": {2, 3}, "STRSTARTS": {2, 2}, "STRENDS": {2, 2}, "CONTAINS": {2, 2}, "STRLEN": {1, 1}, "UCASE": {1, 1}, "LCASE": {1, 1},
	"IF": {3, 3}, "COALESCE": {1, 20},
}

func (p *parser) part(o op, args ...*expr) (*expr, error) {
	if p.size++; p.size > p.limits.Size {
		return nil, p.fail("the expressions have more than %d parts", p.limits.Size)
	}
	return &expr{op: o, args: args}, nil
}

// constraint reads what follows FILTER.
func (p *parser) constraint() (*expr, error) {
	if p.is("(") {
		return p.bracketed()
	}
	if p.tok.Kind == lexer.Word && functions[strings.ToUpper(p.tok.Text)].min > 0 {
		return p.call()
	}
	return nil, p.unexpected("expected ( or a function after FILTER")
}

func (p *parser) bracketed() (*expr, error) {
	out, err := p.deeper()
	if err != nil {
		return nil, err
	}
	defer out()
	if err := p.expect("("); err != nil {
		return nil, err
	}
	e, err := p.expression()
	if err != nil {
		return nil, err
	}
	return e, p.expect(")")
}

// levels are the operators that bind left to right, the loosest first.
var levels = [][]op{{"||"}, {"&&"}, {"=", "!=", "<", ">", "<=", ">="}, {"+", "-"}, {"*", "/"}}

const comparisons = 2 // of levels: there is one at most

func (p *parser) expression() (*expr, error) { return p.binary(0) }

func (p *parser) binary(level int) (*expr, error) {
	if level == len(levels) {
		return p.unary()
	}
	left, err := p.binary(level + 1)
	for err == nil {
		o := p.operator(level)
		switch {
		case o == "" && level == comparisons && (p.word("IN") || p.word("NOT")):
			return p.in(left)
		case o == "":
			return left, nil
		}
		if err = p.advance(); err != nil {
			break
		}
		var right *expr
		if right, err = p.binary(level + 1); err != nil {
			break
		}
		if left, err = p.part(o, left, right); level == comparisons {
			break
		}
	}
	return left, err
}

func (p *parser) operator(level int) op {
	for _, o := range levels[level] {
		if p.is(string(o)) {
			return o
		}
	}
	return ""
}

// in reads IN (..) and NOT IN (..).
func (p *parser) in(left *expr) (*expr, error) {
	o := opIn
	if p.word("NOT") {
		o = opNotIn
		if err := p.advance(); err != nil {
			return nil, err
		}
		if !p.word("IN") {
			return nil, p.unexpected("expected IN after NOT")
		}
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	args, err := p.arguments()
	if err != nil {
		return nil, err
	}
	return p.part(o, append([]*expr{left}, args...)...)
}

// arguments reads ( .., .. ).
func (p *parser) arguments() ([]*expr, error) {
	out, err := p.deeper()
	if err != nil {
		return nil, err
	}
	defer out()
	if err := p.expect("("); err != nil {
		return nil, err
	}
	var args []*expr
	for !p.is(")") {
		if len(args) > 0 {
			if err := p.expect(","); err != nil {
				return nil, err
			}
		}
		a, err := p.expression()
		if err != nil {
			return nil, err
		}
		args = append(args, a)
	}
	return args, p.advance()
}

func (p *parser) unary() (*expr, error) {
	var o op
	switch {
	case p.is("!"):
		o = "!"
	case p.is("-"):
		o = opNeg
	case p.is("+"):
		o = "+"
	default:
		return p.primary()
	}
	out, err := p.deeper()
	if err != nil {
		return nil, err
	}
	defer out()
	if err := p.advance(); err != nil {
		return nil, err
	}
	e, err := p.unary()
	if err != nil {
		return nil, err
	}
	return p.part(o, e)
}

func (p *parser) primary() (*expr, error) {
	switch p.tok.Kind {
	case lexer.Var:
		e, err := p.part(opVar)
		if err != nil {
			return nil, err
		}
		e.slot = p.slot(p.tok.Text)
		return e, p.advance()
	case lexer.IRIRef, lexer.PName:
		t, err := p.iri()
		if err != nil {
			return nil, err
		}
		if p.is("(") {
			return nil, p.fail("casts and functions with an IRI for their name are not served here")
		}
		return p.constant(t)
	case lexer.Word:
		if functions[strings.ToUpper(p.tok.Text)].min > 0 {
			return p.call()
		}
	case lexer.Punct:
		if p.is("(") {
			return p.bracketed()
		}
	}
	if t, ok, err := p.literal(); err != nil {
		return nil, err
	} else if ok {
		return p.constant(t)
	}
	return nil, p.unexpected("expected a value, a variable or one of the functions served here")
}

func (p *parser) constant(t rdf.Term) (*expr, error) {
	e, err := p.part(opConst)
	if err == nil {
		e.term = t
	}
	return e, err
}

func (p *parser) call() (*expr, error) {
	name := strings.ToUpper(p.tok.Text)
	at := p.tok
	if err := p.advance(); err != nil {
		return nil, err
	}
	args, err := p.arguments()
	if err != nil {
		return nil, err
	}
	wrong := func(format string, a ...any) error {
		p.tok = at
		return p.fail(format, a...)
	}
	f := functions[name]
	switch {
	case len(args) < f.min || len(args) > f.max:
		return nil, wrong("%s takes %d to %d arguments, not %d", name, f.min, f.max, len(args))
	case name == "BOUND" && args[0].op != opVar:
		return nil, wrong("BOUND takes a variable")
	}
	e, err := p.part(op(name), args...)
	if err != nil || name != "REGEX" || args[1].op != opConst || len(args) == 3 && args[2].op != opConst {
		return e, err
	}
	flags := ""
	if len(args) == 3 {
		flags = args[2].term.Value
	}
	if e.re, err = compile(args[1].term.Value, flags); err != nil {
		return nil, wrong("%v", err)
	}
	return e, nil
}

// compiled is a regular expression with the size of its program.
type compiled struct {
	re   *regexp.Regexp
	size int
}
