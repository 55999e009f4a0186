package rdf

import (
	"bytes"
	"fmt"
	"strings"
)

// Turtle writes the graph for people and programs: prefixes where they help, a
// block for each subject, blank nodes in brackets.
func (g *Graph) Turtle() []byte {
	w := turtleWriter{shape: g.shape(), labels: map[Term]string{}}
	for _, p := range g.used() {
		fmt.Fprintf(&w.b, "@prefix %s: <%s> .\n", p.name, p.ns)
	}
	for i, s := range w.subjects {
		if i > 0 || w.b.Len() > 0 {
			w.b.WriteByte('\n')
		}
		w.term(s, 0)
		w.properties(w.about[s], 1)
		w.b.WriteString(" .\n")
	}
	return w.b.Bytes()
}

type turtleWriter struct {
	shape
	b      bytes.Buffer
	labels map[Term]string
}

func (w *turtleWriter) properties(ps []property, depth int) {
	for i, p := range ps {
		if i > 0 {
			w.b.WriteString(" ;")
		}
		w.line(depth)
		if p.iri == TypeIRI {
			w.b.WriteByte('a')
		} else {
			w.iri(p.iri)
		}
		for j, o := range p.objects {
			if j > 0 {
				w.b.WriteByte(',')
			}
			if len(p.objects) > 1 {
				w.line(depth + 1)
			} else {
				w.b.WriteByte(' ')
			}
			w.term(o, depth)
		}
	}
}

func (w *turtleWriter) line(depth int) {
	w.b.WriteByte('\n')
	for range depth {
		w.b.WriteString("    ")
	}
}

func (w *turtleWriter) term(t Term, depth int) {
	switch {
	case t.Kind == IRI:
		w.iri(t.Value)
	case t.Kind == Blank && w.nested[t]:
		w.b.WriteByte('[')
		w.properties(w.about[t], depth+1)
		w.line(depth)
		w.b.WriteByte(']')
	case t.Kind == Blank:
		w.b.WriteString("_:" + label(w.labels, t))
	default:
		w.b.WriteString(quote(t.Value))
		if t.Lang != "" {
			w.b.WriteString("@" + t.Lang)
		} else if t.Type != "" {
			w.b.WriteString("^^")
			w.iri(t.Type)
		}
	}
}

func (w *turtleWriter) iri(iri string) {
	if p, local, ok := shorten(iri); ok {
		w.b.WriteString(p.name + ":" + local)
		return
	}
	w.b.WriteString("<" + iri + ">")
}

// label gives the blank nodes of a document names of its own.
func label(labels map[Term]string, t Term) string {
	if labels[t] == "" {
		labels[t] = fmt.Sprintf("n%d", len(labels)+1)
	}
	return labels[t]
}

// quote writes a string as Turtle and SPARQL do.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < 0x20 || r == 0x7f || !inXML(r):
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// String is the term as N-Triples has it, for messages and tests.
func (t Term) String() string {
	switch t.Kind {
	case IRI:
		return "<" + t.Value + ">"
	case Blank:
		return "_:" + t.Value
	case Literal:
		if t.Lang != "" {
			return quote(t.Value) + "@" + t.Lang
		} else if t.Type != "" {
			return quote(t.Value) + "^^<" + t.Type + ">"
		}
		return quote(t.Value)
	}
	return "(none)"
}
