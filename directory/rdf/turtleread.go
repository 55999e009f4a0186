package rdf

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"strings"

	"github.com/perseus-edge/perseus-edge/directory/rdf/lexer"
)

// Limits bound a reader. Zero fields take the defaults.
type Limits struct {
	Bytes   int // of the document; 1 MiB
	Triples int // 20,000
	Depth   int // of brackets within brackets; 32
}

func (l Limits) filled() Limits {
	if l.Bytes == 0 {
		l.Bytes = 1 << 20
	}
	if l.Triples == 0 {
		l.Triples = 20_000
	}
	if l.Depth == 0 {
		l.Depth = 32
	}
	return l
}

// ErrTooLarge is a document beyond the limits.
var ErrTooLarge = errors.New("the document is larger than is read here")

// ReadAll reads a document of at most the limit's bytes.
func (l Limits) ReadAll(r io.Reader) (string, error) {
	most := l.filled().Bytes
	b, err := io.ReadAll(io.LimitReader(r, int64(most)+1))
	if err == nil && len(b) > most {
		err = fmt.Errorf("%w: more than %d bytes", ErrTooLarge, most)
	}
	return string(b), err
}

// ReadTurtle reads a Turtle document; base is the URL against which relative
// IRIs are resolved ("" refuses them). Errors are *lexer.Error with the place,
// or ErrTooLarge.
func ReadTurtle(src, base string, limits Limits) (*Graph, error) {
	limits = limits.filled()
	if len(src) > limits.Bytes {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, limits.Bytes)
	}
	p := &turtleReader{lex: lexer.New(src), base: base, limits: limits, g: &Graph{}, prefixes: map[string]string{}, labels: map[string]Term{}}
	if err := p.advance(); err != nil {
		return nil, err
	}
	for p.tok.Kind != lexer.EOF {
		if err := p.statement(); err != nil {
			return nil, err
		}
		if p.g.Len() > limits.Triples {
			return nil, fmt.Errorf("%w: more than %d statements", ErrTooLarge, limits.Triples)
		}
	}
	return p.g, nil
}

type turtleReader struct {
	lex      *lexer.Lexer
	tok      lexer.Token
	base     string
	limits   Limits
	g        *Graph
	prefixes map[string]string
	labels   map[string]Term
	depth    int
}

func (p *turtleReader) advance() (err error) {
	p.tok, err = p.lex.Next()
	return err
}

func (p *turtleReader) fail(format string, args ...any) error {
	return &lexer.Error{Line: p.tok.Line, Col: p.tok.Col, Message: fmt.Sprintf(format, args...)}
}

func (p *turtleReader) is(punct string) bool { return p.tok.Kind == lexer.Punct && p.tok.Text == punct }

func (p *turtleReader) expect(punct string) error {
	if !p.is(punct) {
		return p.fail("expected %s", punct)
	}
	return p.advance()
}

func (p *turtleReader) statement() error {
	word := ""
	if p.tok.Kind == lexer.Word || p.tok.Kind == lexer.LangTag {
		word = strings.ToLower(p.tok.Text)
	}
	at := p.tok.Kind == lexer.LangTag
	switch word {
	case "prefix", "base":
		if err := p.directive(word); err != nil {
			return err
		}
		if at {
			return p.expect(".")
		}
		return nil
	}
	bracket := p.is("[")
	s, err := p.node(false)
	if err != nil {
		return err
	}
	if s.Kind == Literal {
		return p.fail("a literal cannot be a subject")
	}
	if !bracket || !p.is(".") { // [ a :b ] . is a statement of its own
		if err := p.properties(s); err != nil {
			return err
		}
	}
	return p.expect(".")
}

func (p *turtleReader) directive(word string) error {
	if err := p.advance(); err != nil {
		return err
	}
	name := p.tok
	if word == "prefix" {
		if name.Kind != lexer.PName || name.Local != "" {
			return p.fail("expected a prefix such as ib1:")
		}
		if err := p.advance(); err != nil {
			return err
		}
	}
	if p.tok.Kind != lexer.IRIRef {
		return p.fail("expected an IRI in < >")
	}
	iri, err := p.resolve(p.tok.Text)
	if err != nil {
		return err
	}
	if word == "base" {
		p.base = iri
	} else {
		p.prefixes[name.Text] = iri
	}
	return p.advance()
}

// properties reads a predicate-object list.
func (p *turtleReader) properties(s Term) error {
	for {
		predicate, err := p.predicate()
		if err != nil {
			return err
		}
		for {
			o, err := p.node(true)
			if err != nil {
				return err
			}
			p.g.Add(s, predicate, o)
			if !p.is(",") {
				break
			}
			if err := p.advance(); err != nil {
				return err
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
		if p.is(".") || p.is("]") {
			return nil
		}
	}
}

func (p *turtleReader) predicate() (string, error) {
	if p.tok.Kind == lexer.Word && p.tok.Text == "a" {
		return TypeIRI, p.advance()
	}
	if p.tok.Kind != lexer.IRIRef && p.tok.Kind != lexer.PName {
		return "", p.fail("expected a predicate")
	}
	t, err := p.iri()
	return t.Value, err
}

// iri reads an IRI or a prefixed name.
func (p *turtleReader) iri() (Term, error) {
	var iri string
	switch p.tok.Kind {
	case lexer.IRIRef:
		var err error
		if iri, err = p.resolve(p.tok.Text); err != nil {
			return Term{}, err
		}
	case lexer.PName:
		ns, ok := p.prefixes[p.tok.Text]
		if !ok {
			return Term{}, p.fail("the prefix %s: is not declared", p.tok.Text)
		}
		iri = ns + p.tok.Local
	default:
		return Term{}, p.fail("expected an IRI")
	}
	return Ref(iri), p.advance()
}

func (p *turtleReader) resolve(ref string) (string, error) {
	iri, err := Resolve(p.base, ref)
	if err != nil {
		return "", p.fail("%v", err)
	}
	return iri, nil
}

var absolute = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*:`)

// Resolve makes an IRI absolute.
func Resolve(base, ref string) (string, error) {
	if absolute.MatchString(ref) {
		return ref, nil
	}
	if base == "" {
		return "", fmt.Errorf("<%s> is relative, and there is no base", ref)
	}
	b, err := url.Parse(base)
	if err != nil {
		return "", fmt.Errorf("the base <%s> is no URL", base)
	}
	r, err := b.Parse(ref)
	if err != nil {
		return "", fmt.Errorf("<%s> is no IRI", ref)
	}
	return r.String(), nil
}
