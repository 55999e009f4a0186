package sparql

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/perseus-edge/perseus-edge/directory/rdf"
	"github.com/perseus-edge/perseus-edge/directory/rdf/lexer"
)

type parser struct {
	lex      *lexer.Lexer
	tok      lexer.Token
	base     string
	prefixes map[string]string
	vars     []string
	slots    map[string]int
	blanks   map[string]int // label to the group of triples that it is used in
	block    int            // number of the group of triples being read
	shown    []int          // slots for SELECT *, in the order of their appearance
	depth    int
	size     int // parts of expressions
	triples  int
	limits   Limits
}

func (p *parser) advance() (err error) {
	p.tok, err = p.lex.Next()
	return err
}

func (p *parser) fail(format string, args ...any) error {
	return &lexer.Error{Line: p.tok.Line, Col: p.tok.Col, Message: fmt.Sprintf(format, args...)}
}

func (p *parser) is(punct string) bool { return p.tok.Kind == lexer.Punct && p.tok.Text == punct }

// word reports whether the token is a keyword, in any case.
func (p *parser) word(w string) bool {
	return p.tok.Kind == lexer.Word && strings.EqualFold(p.tok.Text, w)
}

// take passes over a sign or keyword if it is there.
func (p *parser) take(what string) (bool, error) {
	if p.is(what) || p.word(what) {
		return true, p.advance()
	}
	return false, nil
}

func (p *parser) expect(what string) error {
	ok, err := p.take(what)
	if err == nil && !ok {
		err = p.unexpected("expected " + what)
	}
	return err
}

// outside are words of SPARQL that are not served, with what to say.
var outside = map[string]string{
	"FROM": reads, "NAMED": reads, "SERVICE": reads, "GRAPH": reads, "LOAD": reads,
	"INSERT": changes, "DELETE": changes, "CLEAR": changes, "DROP": changes, "CREATE": changes, "ADD": changes, "MOVE": changes, "COPY": changes, "WITH": changes, "USING": changes,
	"CONSTRUCT": asks, "DESCRIBE": asks, "MINUS": subset, "BIND": subset, "VALUES": subset, "GROUP": subset, "HAVING": subset, "EXISTS": subset, "NOT": subset, "AS": subset,
}

const (
	reads   = "is not served: a query reads this directory's own listing, and nothing else"
	changes = "is not served: nothing can be changed here"
	asks    = "is not served: use SELECT or ASK, or fetch a member's or application's address as Turtle"
	subset  = "is not part of the SPARQL that is served here: SELECT and ASK with OPTIONAL, UNION, FILTER, ORDER BY, LIMIT and OFFSET"
)

// unexpected says what was expected, or that the word there is not served.
func (p *parser) unexpected(message string) error {
	if p.tok.Kind == lexer.Word {
		if why, ok := outside[strings.ToUpper(p.tok.Text)]; ok {
			return p.fail("%s %s", strings.ToUpper(p.tok.Text), why)
		}
	}
	found := p.tok.Text
	switch p.tok.Kind {
	case lexer.EOF:
		found = "the end"
	case lexer.PName:
		found += ":" + p.tok.Local
	}
	if len(found) > 40 {
		found = found[:strings.LastIndexFunc(found[:40], func(rune) bool { return true })] + ".."
	}
	return p.fail("%s, found %s", message, found)
}

func (p *parser) query() (*Query, error) {
	if err := p.prologue(); err != nil {
		return nil, err
	}
	q := &Query{limit: -1}
	all := false
	var err error
	switch {
	case p.word("SELECT"):
		all, err = p.selectClause(q)
	case p.word("ASK"):
		q.Ask, err = true, p.advance()
	default:
		err = p.unexpected("expected SELECT or ASK")
	}
	if err != nil {
		return nil, err
	}
	if _, err := p.take("WHERE"); err != nil {
		return nil, err
	}
	if q.where, err = p.group(); err != nil {
		return nil, err
	}
	if all {
		q.project = p.shown
	}
	if err := p.modifiers(q); err != nil {
		return nil, err
	}
	if p.tok.Kind != lexer.EOF {
		return nil, p.unexpected("expected the end of the query")
	}
	return q, nil
}

func (p *parser) prologue() error {
	for {
		isBase := p.word("BASE")
		if !isBase && !p.word("PREFIX") {
			return nil
		}
		if err := p.advance(); err != nil {
			return err
		}
		name := p.tok
		if !isBase {
			if name.Kind != lexer.PName || name.Local != "" {
				return p.unexpected("expected a prefix such as ib1:")
			}
			if err := p.advance(); err != nil {
				return err
			}
		}
		if p.tok.Kind != lexer.IRIRef {
			return p.unexpected("expected an IRI in < >")
		}
		iri, err := rdf.Resolve(p.base, p.tok.Text)
		if err != nil {
			return p.fail("%v", err)
		}
		if isBase {
			p.base = iri
		} else {
			p.prefixes[name.Text] = iri
		}
		if err := p.advance(); err != nil {
			return err
		}
	}
}

// selectClause reads from SELECT to before WHERE; all: SELECT *.
func (p *parser) selectClause(q *Query) (all bool, err error) {
	if err := p.advance(); err != nil {
		return false, err
	}
	if p.word("DISTINCT") || p.word("REDUCED") { // REDUCED may drop doubles: so it does
		q.distinct = true
		if err := p.advance(); err != nil {
			return false, err
		}
	}
	if p.is("*") {
		return true, p.advance()
	}
	for p.tok.Kind == lexer.Var {
		if slot := p.slot(p.tok.Text); !slices.Contains(q.project, slot) {
			q.project = append(q.project, slot)
		}
		if err := p.advance(); err != nil {
			return false, err
		}
	}
	switch {
	case p.is("("):
		return false, p.fail("expressions and aggregates in SELECT are not served here: select variables, or *")
	case len(q.project) == 0:
		return false, p.unexpected("expected * or variables after SELECT")
	case len(q.project) > p.limits.Size:
		return false, p.fail("more than %d variables are selected", p.limits.Size)
	}
	return false, nil
}

// slot numbers a variable.
func (p *parser) slot(name string) int {
	i, ok := p.slots[name]
	if !ok {
		i = len(p.vars)
		p.slots[name] = i
		p.vars = append(p.vars, name)
	}
	return i
}

// modifiers reads ORDER BY, LIMIT and OFFSET.
func (p *parser) modifiers(q *Query) error {
	if ok, err := p.take("ORDER"); err != nil {
		return err
	} else if ok {
		if err := p.expect("BY"); err != nil {
			return err
		}
		for {
			k, ok, err := p.orderKey()
			if err != nil {
				return err
			} else if !ok {
				break
			}
			q.order = append(q.order, k)
		}
		if len(q.order) == 0 {
			return p.unexpected("expected what to order by")
		}
	}
	for range 2 {
		for _, m := range []struct {
			word string
			to   *int
		}{{"LIMIT", &q.limit}, {"OFFSET", &q.offset}} {
			if !p.word(m.word) {
				continue
			}
			if err := p.advance(); err != nil {
				return err
			}
			n, err := strconv.Atoi(p.tok.Text)
			if p.tok.Kind != lexer.Integer || err != nil {
				return p.unexpected("expected a whole number after " + m.word)
			}
			*m.to = n
			if err := p.advance(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *parser) orderKey() (k orderKey, ok bool, err error) {
	k.down = p.word("DESC")
	switch {
	case k.down || p.word("ASC"):
		if err := p.advance(); err != nil {
			return k, false, err
		}
		k.by, err = p.bracketed()
	case p.tok.Kind == lexer.Var || p.is("("):
		k.by, err = p.primary()
	case p.tok.Kind == lexer.Word && functions[strings.ToUpper(p.tok.Text)].min > 0:
		k.by, err = p.primary()
	default:
		return k, false, nil
	}
	return k, err == nil, err
}

// deeper counts nesting; call the function that it gives on the way out.
func (p *parser) deeper() (out func(), err error) {
	if p.depth++; p.depth > p.limits.Depth {
		return nil, p.fail("nested more than %d deep", p.limits.Depth)
	}
	return func() { p.depth-- }, nil
}
