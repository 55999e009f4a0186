package rdf

import (
	"bytes"
	"encoding/json"
)

// JSONLD writes the graph as JSON-LD with short property names under a context
// of prefixes that stands in the document itself. A graph about one subject is
// one object; several stand under @graph.
func (g *Graph) JSONLD() []byte {
	w := jsonldWriter{shape: g.shape(), labels: map[Term]string{}}
	context := map[string]string{}
	for _, p := range g.used() {
		context[p.name] = p.ns
	}
	doc := map[string]any{}
	if len(w.subjects) == 1 {
		doc = w.node(w.subjects[0])
	} else {
		nodes := []any{}
		for _, s := range w.subjects {
			nodes = append(nodes, w.node(s))
		}
		doc["@graph"] = nodes
	}
	doc["@context"] = context
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	e.Encode(doc) // maps and strings into a buffer: no error
	return b.Bytes()
}

type jsonldWriter struct {
	shape
	labels map[Term]string
}

func (w *jsonldWriter) node(s Term) map[string]any {
	n := map[string]any{}
	switch {
	case s.Kind == IRI:
		n["@id"] = s.Value
	case !w.nested[s]:
		n["@id"] = "_:" + label(w.labels, s)
	}
	for _, p := range w.about[s] {
		var values []any
		plainTypes := p.iri == TypeIRI
		for _, o := range p.objects {
			plainTypes = plainTypes && o.Kind == IRI
		}
		for _, o := range p.objects {
			if plainTypes {
				values = append(values, compact(o.Value))
			} else {
				values = append(values, w.value(o))
			}
		}
		name := compact(p.iri)
		if plainTypes {
			name = "@type"
		}
		if len(values) == 1 {
			n[name] = values[0]
		} else {
			n[name] = values
		}
	}
	return n
}

func (w *jsonldWriter) value(o Term) any {
	switch {
	case o.Kind == IRI:
		return map[string]any{"@id": o.Value}
	case o.Kind == Blank && w.nested[o]:
		return w.node(o)
	case o.Kind == Blank:
		return map[string]any{"@id": "_:" + label(w.labels, o)}
	case o.Lang != "":
		return map[string]any{"@value": o.Value, "@language": o.Lang}
	case o.Type != "":
		return map[string]any{"@value": o.Value, "@type": compact(o.Type)}
	}
	return o.Value
}

func compact(iri string) string {
	if p, local, ok := shorten(iri); ok {
		return p.name + ":" + local
	}
	return iri
}
