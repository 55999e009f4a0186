// Package rdf holds the directory's and the registry's statements in the form
// that the scheme publishes them in: triples, read from Turtle and JSON-LD and
// written as Turtle, JSON-LD and RDF/XML, the form being chosen by the
// reader's Accept header.
//
// It is pure: nothing here opens a file or a connection (a JSON-LD context
// that must be fetched is an error), and every reader is bounded by Limits.
package rdf

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Kind says what a term is.
type Kind uint8

// The kinds of terms, in the order in which SPARQL sorts them.
const (
	Blank Kind = iota + 1
	IRI
	Literal
)

// Term is an IRI, a blank node or a literal. Terms are equal as Go values
// exactly when they are the same RDF term. The zero Term is none.
type Term struct {
	Kind  Kind
	Value string // the IRI, the blank node's label, the literal's lexical form
	Type  string // of a literal: its datatype's IRI; empty for xsd:string and where Lang is set
	Lang  string // of a literal: its language tag, in lower case
}

// Namespaces used throughout.
const (
	RDFNS = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
	XSD   = "http://www.w3.org/2001/XMLSchema#"

	TypeIRI    = RDFNS + "type"
	LangString = RDFNS + "langString"
	XSDString  = XSD + "string"
	XSDInteger = XSD + "integer"
	XSDDecimal = XSD + "decimal"
	XSDDouble  = XSD + "double"
	XSDBoolean = XSD + "boolean"
	XSDDate    = XSD + "date"
)

// Ref is the term of an IRI. Characters that no IRI may hold (spaces, quotes,
// angle brackets...), which a URL entered by hand can have, are percent-encoded:
// what comes out can be written in every form.
func Ref(iri string) Term {
	if !strings.ContainsFunc(iri, badInIRI) {
		return Term{Kind: IRI, Value: iri}
	}
	var b strings.Builder
	for i, r := range iri {
		if !badInIRI(r) {
			b.WriteRune(r)
			continue
		}
		_, n := utf8.DecodeRuneInString(iri[i:])
		for _, c := range []byte(iri[i : i+n]) {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return Term{Kind: IRI, Value: b.String()}
}

// badInIRI reports characters that the grammar of Turtle and SPARQL keeps out
// of IRIs, and those that XML cannot hold.
func badInIRI(r rune) bool {
	return r <= 0x20 || strings.ContainsRune("<>\"{}|^`\\", r) || !inXML(r) || r == utf8.RuneError
}

// inXML reports the characters of XML 1.0.
func inXML(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' || r >= 0x20 && r <= 0xd7ff || r >= 0xe000 && r <= 0xfffd || r >= 0x10000 && r <= 0x10ffff
}

// Text is a plain string.
func Text(s string) Term { return Term{Kind: Literal, Value: s} }

// Tagged is a string in a language, such as "en".
func Tagged(s, lang string) Term {
	return Term{Kind: Literal, Value: s, Lang: strings.ToLower(lang)}
}

// Typed is a literal of a datatype. xsd:string gives the same as Text.
func Typed(lexical, datatype string) Term {
	if datatype == XSDString {
		datatype = ""
	}
	return Term{Kind: Literal, Value: lexical, Type: Ref(datatype).Value}
}

// Node is a blank node; its label holds within one graph only.
func Node(label string) Term { return Term{Kind: Blank, Value: label} }

// Datatype is the IRI of a literal's datatype, also where Type is empty.
func (t Term) Datatype() string {
	switch {
	case t.Kind != Literal:
		return ""
	case t.Lang != "":
		return LangString
	case t.Type == "":
		return XSDString
	}
	return t.Type
}

// Compare puts terms in one fixed order: blank nodes, IRIs, literals, each by
// its text.
func Compare(a, b Term) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Value, b.Value), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Lang, b.Lang))
}

// Triple is one statement.
type Triple struct{ S, P, O Term }

// Graph is a set of statements in the order in which they were made: writers
// keep that order, so equal graphs built alike give equal bytes. The zero
// Graph is empty and ready.
type Graph struct {
	triples []Triple
	have    map[Triple]bool
	blanks  int
}

// Add states that s has each of the objects under the predicate. What is said
// already is not said twice.
func (g *Graph) Add(s Term, predicate string, objects ...Term) {
	for _, o := range objects {
		t := Triple{s, Term{Kind: IRI, Value: predicate}, o}
		if g.has(t) {
			continue
		}
		if g.triples = append(g.triples, t); g.have != nil {
			g.have[t] = true
		}
	}
}

// has looks a statement up: in a small graph one by one, which needs no memory.
func (g *Graph) has(t Triple) bool {
	if g.have == nil {
		if len(g.triples) < 24 {
			return slices.Contains(g.triples, t)
		}
		g.have = make(map[Triple]bool, 2*len(g.triples))
		for _, x := range g.triples {
			g.have[x] = true
		}
	}
	return g.have[t]
}

// NewNode is a blank node that the graph does not have yet.
func (g *Graph) NewNode() Term {
	g.blanks++
	return Node(fmt.Sprintf("b%d", g.blanks))
}

// Triples are the statements, in their order. They must not be changed.
func (g *Graph) Triples() []Triple { return g.triples }

// Len counts the statements.
func (g *Graph) Len() int { return len(g.triples) }

// Merge adds another graph's statements, its blank nodes renamed so that none
// is taken for one of ours.
func (g *Graph) Merge(o *Graph) {
	names := map[string]Term{}
	rename := func(t Term) Term {
		if t.Kind != Blank {
			return t
		}
		if _, ok := names[t.Value]; !ok {
			names[t.Value] = g.NewNode()
		}
		return names[t.Value]
	}
	for _, t := range o.triples {
		g.Add(rename(t.S), t.P.Value, rename(t.O))
	}
}

// Objects are what s has under the predicate.
func (g *Graph) Objects(s Term, predicate string) []Term {
	var out []Term
	for _, t := range g.triples {
		if t.S == s && t.P.Value == predicate {
			out = append(out, t.O)
		}
	}
	return out
}

// About gives the part of the graph that speaks of one subject, with the blank
// nodes that it leads to.
func (g *Graph) About(s Term) *Graph {
	out := &Graph{blanks: g.blanks}
	seen := map[Term]bool{s: true}
	for todo := []Term{s}; len(todo) > 0; todo = todo[1:] {
		for _, t := range g.triples {
			if t.S != todo[0] {
				continue
			}
			out.Add(t.S, t.P.Value, t.O)
			if t.O.Kind == Blank && !seen[t.O] {
				seen[t.O] = true
				todo = append(todo, t.O)
			}
		}
	}
	return out
}
