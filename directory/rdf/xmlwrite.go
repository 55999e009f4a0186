package rdf

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strings"
)

// XML writes the graph as RDF/XML. The error names a term that XML cannot
// hold: a control character in a text, a predicate whose end is no XML name.
func (g *Graph) XML() ([]byte, error) {
	w := xmlWriter{shape: g.shape(), labels: map[Term]string{}, spaces: map[string]string{RDFNS: "rdf"}}
	var names []string
	for _, p := range g.used() {
		if w.spaces[p.ns] == "" {
			w.spaces[p.ns] = p.name
			names = append(names, p.ns)
		}
	}
	for _, t := range g.triples {
		ns, local := split(t.P.Value)
		if local == "" {
			return nil, fmt.Errorf("RDF/XML: the end of the predicate %s is no XML name", t.P.Value)
		}
		if w.spaces[ns] == "" {
			w.spaces[ns] = fmt.Sprintf("ns%d", len(w.spaces))
			names = append(names, ns)
		}
		for _, term := range []Term{t.S, t.O} {
			if strings.ContainsFunc(term.Value, func(r rune) bool { return !inXML(r) }) {
				return nil, fmt.Errorf("RDF/XML: %s has a character that XML cannot hold", term)
			}
		}
	}
	w.b.WriteString(xml.Header + "<rdf:RDF xmlns:rdf=\"" + RDFNS + "\"")
	for _, ns := range names {
		fmt.Fprintf(&w.b, "\n    xmlns:%s=%s", w.spaces[ns], attr(ns))
	}
	w.b.WriteString(">")
	for _, s := range w.subjects {
		w.node(s, 1)
	}
	w.b.WriteString("\n</rdf:RDF>\n")
	return w.b.Bytes(), nil
}

type xmlWriter struct {
	shape
	b      bytes.Buffer
	labels map[Term]string
	spaces map[string]string // namespace to prefix
}

func (w *xmlWriter) line(depth int) {
	w.b.WriteString("\n" + strings.Repeat("  ", depth))
}

// node writes a subject with all that is said of it.
func (w *xmlWriter) node(s Term, depth int) {
	w.line(depth)
	w.b.WriteString("<rdf:Description")
	switch {
	case s.Kind == IRI:
		w.b.WriteString(" rdf:about=" + attr(s.Value))
	case !w.nested[s]:
		w.b.WriteString(" rdf:nodeID=" + attr(label(w.labels, s)))
	}
	if len(w.about[s]) == 0 {
		w.b.WriteString("/>")
		return
	}
	w.b.WriteByte('>')
	for _, p := range w.about[s] {
		ns, local := split(p.iri)
		name := w.spaces[ns] + ":" + local
		for _, o := range p.objects {
			w.line(depth + 1)
			w.b.WriteString("<" + name)
			w.object(o, name, depth+1)
		}
	}
	w.line(depth)
	w.b.WriteString("</rdf:Description>")
}

// object writes what follows the opened element of a property.
func (w *xmlWriter) object(o Term, name string, depth int) {
	switch {
	case o.Kind == IRI:
		w.b.WriteString(" rdf:resource=" + attr(o.Value) + "/>")
		return
	case o.Kind == Blank && !w.nested[o]:
		w.b.WriteString(" rdf:nodeID=" + attr(label(w.labels, o)) + "/>")
		return
	case o.Kind == Blank:
		w.b.WriteByte('>')
		w.node(o, depth+1)
		w.line(depth)
	default:
		if o.Lang != "" {
			w.b.WriteString(" xml:lang=" + attr(o.Lang))
		} else if o.Type != "" {
			w.b.WriteString(" rdf:datatype=" + attr(o.Type))
		}
		w.b.WriteByte('>')
		xml.EscapeText(&w.b, []byte(o.Value)) // to a buffer: no error
	}
	w.b.WriteString("</" + name + ">")
}

// split takes an IRI apart into the namespace and the longest plain name at
// its end.
func split(iri string) (ns, local string) {
	if p, local, ok := shorten(iri); ok {
		return p.ns, local
	}
	i := len(iri)
	for i > 0 && (plainName(iri[i-1:]) || plainName("x"+iri[i-1:])) {
		i--
	}
	for i < len(iri) && !plainName(iri[i:]) {
		i++
	}
	return iri[:i], iri[i:]
}

func attr(s string) string {
	var b bytes.Buffer
	b.WriteByte('"')
	xml.EscapeText(&b, []byte(s)) // to a buffer: no error
	b.WriteByte('"')
	return b.String()
}
