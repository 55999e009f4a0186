package rdf

import "strings"

// prefix is a short name of a namespace.
type prefix struct{ name, ns string }

// prefixes are those that the scheme's specifications use, and no others: a
// writer gives a document those that it needs.
var prefixes = []prefix{
	{"dcat", "http://www.w3.org/ns/dcat#"},
	{"dcterms", "http://purl.org/dc/terms/"},
	{"ib1", "https://registry.trust.ib1.org/ns/1.0#"},
	{"rdf", RDFNS},
	{"rdfs", "http://www.w3.org/2000/01/rdf-schema#"},
	{"schema", "http://schema.org/"},
	{"xsd", XSD},
}

// Expand turns a short name such as "ib1:role" into its IRI. A name without a
// known prefix panics: names are constants of the program.
func Expand(short string) string {
	name, local, _ := strings.Cut(short, ":")
	for _, p := range prefixes {
		if p.name == name {
			return p.ns + local
		}
	}
	panic("rdf: unknown prefix in " + short)
}

// shorten finds the short name of an IRI whose last part is a plain name.
func shorten(iri string) (p prefix, local string, ok bool) {
	for _, p := range prefixes {
		if local, found := strings.CutPrefix(iri, p.ns); found && plainName(local) {
			return p, local, true
		}
	}
	return prefix{}, "", false
}

// plainName accepts names that mean the same in Turtle, JSON-LD and XML.
func plainName(s string) bool {
	for i, c := range []byte(s) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
		if !letter && (i == 0 || (c < '0' || c > '9') && c != '-') {
			return false
		}
	}
	return s != ""
}

// used lists the prefixes that a graph's predicates, types and datatypes need.
func (g *Graph) used() []prefix {
	need := map[string]bool{}
	mark := func(iri string) {
		if p, _, ok := shorten(iri); ok {
			need[p.name] = true
		}
	}
	for _, t := range g.triples {
		if t.P.Value != TypeIRI || t.O.Kind != IRI { // written as "a" and "@type"
			mark(t.P.Value)
		}
		mark(t.O.Type)
		for _, x := range []Term{t.S, t.O} {
			if x.Kind == IRI {
				mark(x.Value)
			}
		}
	}
	var out []prefix
	for _, p := range prefixes {
		if need[p.name] {
			out = append(out, p)
		}
	}
	return out
}

// shape is a graph sorted for writing: subjects in the order of their first
// statement, each with its predicates and their objects.
type shape struct {
	subjects []Term // without the nested ones
	about    map[Term][]property
	nested   map[Term]bool // blank nodes written inside the one statement that names them
}

type property struct {
	iri     string
	objects []Term
}

func (g *Graph) shape() shape {
	s := shape{about: map[Term][]property{}, nested: map[Term]bool{}}
	uses, parent := map[Term]int{}, map[Term]Term{}
	var order []Term
	for _, t := range g.triples {
		if t.O.Kind == Blank {
			uses[t.O]++
			parent[t.O] = t.S
		}
		if s.about[t.S] == nil {
			order = append(order, t.S)
		}
		s.about[t.S] = put(s.about[t.S], t)
	}
	for b, n := range uses {
		s.nested[b] = n == 1 && s.about[b] != nil && reachesName(b, parent)
	}
	for _, t := range order {
		if !s.nested[t] {
			s.subjects = append(s.subjects, t)
		}
	}
	return s
}

// maxNesting is how deep blank nodes are written inside one another.
const maxNesting = 16

// reachesName reports whether the way up from a blank node ends at something
// else soon: one that lies on a circle, or too deep, needs a label instead.
func reachesName(b Term, parent map[Term]Term) bool {
	for range maxNesting {
		if b = parent[b]; b.Kind != Blank {
			return b != Term{}
		}
		if _, more := parent[b]; !more {
			return true // a blank node that nothing points to: it is written as a subject
		}
	}
	return false
}

// put adds a statement to a subject's properties; rdf:type comes first.
func put(ps []property, t Triple) []property {
	for i := range ps {
		if ps[i].iri == t.P.Value {
			ps[i].objects = append(ps[i].objects, t.O)
			return ps
		}
	}
	p := property{t.P.Value, []Term{t.O}}
	if p.iri == TypeIRI {
		return append([]property{p}, ps...)
	}
	return append(ps, p)
}

// Namespace is the IRI of a prefix that the scheme uses, or "".
func Namespace(name string) string {
	for _, p := range prefixes {
		if p.name == name {
			return p.ns
		}
	}
	return ""
}
