package rdf

import (
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// ReadJSONLD reads the JSON-LD that registries publish: an object, a list of
// objects or a @graph, with a context of prefixes, @vocab, @base and terms in
// the document itself. A context at a URL, and what the scheme never uses
// (@reverse, @included, @json and the like), is an error: nothing is fetched,
// and nothing is passed over.
func ReadJSONLD(src, base string, limits Limits) (*Graph, error) {
	limits = limits.filled()
	if len(src) > limits.Bytes {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, limits.Bytes)
	}
	d := json.NewDecoder(strings.NewReader(src))
	d.UseNumber()
	var doc any
	if err := d.Decode(&doc); err != nil {
		return nil, fmt.Errorf("JSON-LD: not JSON: %v", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("JSON-LD: something follows the document")
	}
	r := &jsonldReader{limits: limits, g: &Graph{}, labels: map[string]Term{}}
	c := context{base: base}
	if list, ok := doc.([]any); ok {
		for _, v := range list {
			if err := r.top(v, c); err != nil {
				return nil, err
			}
		}
		return r.g, nil
	}
	return r.g, r.top(doc, c)
}

// term is what a context says of a name: its IRI, and the type or language of
// its values.
type term struct{ id, kind, lang string }

type context struct {
	base, vocab, lang string
	terms             map[string]term
}

type jsonldReader struct {
	limits Limits
	g      *Graph
	labels map[string]Term
	depth  int
}

func bad(format string, args ...any) error { return fmt.Errorf("JSON-LD: "+format, args...) }

// top reads a node object that stands by itself.
func (r *jsonldReader) top(v any, c context) error {
	o, ok := v.(map[string]any)
	if !ok {
		return bad("expected an object, got %T", v)
	}
	_, err := r.node(o, c)
	return err
}

// node reads an object as a node and gives its term.
func (r *jsonldReader) node(o map[string]any, c context) (Term, error) {
	if r.depth++; r.depth > r.limits.Depth {
		return Term{}, fmt.Errorf("%w: objects %d deep", ErrTooLarge, r.depth)
	}
	defer func() { r.depth-- }()
	c, err := c.with(o["@context"])
	if err != nil {
		return Term{}, err
	}
	s := Term{}
	if id, ok := o["@id"]; ok {
		name, ok := id.(string)
		if !ok {
			return Term{}, bad("@id must be a string")
		}
		if s, err = r.name(name, c, false); err != nil {
			return Term{}, err
		}
	} else {
		s = r.g.NewNode()
	}
	for _, key := range sortedKeys(o) { // in one order: blank nodes get the same labels each time
		if err := r.property(s, key, o[key], c); err != nil {
			return Term{}, err
		}
		if r.g.Len() > r.limits.Triples {
			return Term{}, fmt.Errorf("%w: more than %d statements", ErrTooLarge, r.limits.Triples)
		}
	}
	return s, nil
}

func (r *jsonldReader) property(s Term, key string, v any, c context) error {
	switch key {
	case "@context", "@id":
		return nil
	case "@type":
		for _, x := range asList(v) {
			name, ok := x.(string)
			if !ok {
				return bad("@type must be a string or a list of strings")
			}
			t, err := r.name(name, c, true)
			if err != nil {
				return err
			}
			r.g.Add(s, TypeIRI, t)
		}
		return nil
	case "@graph":
		for _, x := range asList(v) {
			if err := r.top(x, c); err != nil {
				return err
			}
		}
		return nil
	}
	if strings.HasPrefix(key, "@") {
		return bad("%s is not read here", key)
	}
	iri, err := c.expand(key, true)
	switch {
	case err != nil:
		return err
	case strings.HasPrefix(iri, "_:"):
		return bad("the property %q is no IRI", key)
	case !absolute.MatchString(iri):
		return nil // JSON-LD: a name that the context does not know says nothing
	}
	predicate := Ref(iri)
	def := c.terms[key]
	for _, x := range asList(v) {
		o, err := r.value(x, def, c)
		if err != nil {
			return err
		}
		if o != (Term{}) {
			r.g.Add(s, predicate.Value, o)
		}
	}
	return nil
}

// value reads an object of a statement; the zero Term for null.
func (r *jsonldReader) value(v any, def term, c context) (Term, error) {
	switch x := v.(type) {
	case nil:
		return Term{}, nil
	case bool:
		return typed(fmt.Sprint(x), XSDBoolean, def), nil
	case json.Number:
		if strings.ContainsAny(x.String(), ".eE") {
			return typed(x.String(), XSDDouble, def), nil
		}
		return typed(x.String(), XSDInteger, def), nil
	case string:
		switch {
		case def.kind == "@id":
			return r.name(x, c, false)
		case def.kind == "@vocab":
			return r.name(x, c, true)
		case def.kind != "":
			return Typed(x, def.kind), nil
		case def.lang != "":
			return Tagged(x, def.lang), nil
		case c.lang != "":
			return Tagged(x, c.lang), nil
		}
		return Text(x), nil
	case map[string]any:
		if _, ok := x["@value"]; ok {
			return r.literal(x, c)
		}
		return r.node(x, c)
	}
	return Term{}, bad("a list within a list is not read here")
}

func typed(lexical, natural string, def term) Term {
	if def.kind != "" && !strings.HasPrefix(def.kind, "@") {
		natural = def.kind
	}
	return Typed(lexical, natural)
}

// literal reads {"@value": .., "@type": .., "@language": ..}.
func (r *jsonldReader) literal(o map[string]any, c context) (Term, error) {
	for key := range o {
		if key != "@value" && key != "@type" && key != "@language" {
			return Term{}, bad("%s beside @value is not read here", key)
		}
	}
	def := term{}
	if v, ok := o["@type"]; ok {
		name, ok := v.(string)
		if !ok {
			return Term{}, bad("@type of a value must be a string")
		}
		t, err := r.name(name, c, true)
		if err != nil {
			return Term{}, err
		}
		def.kind = t.Value
	}
	if v, ok := o["@language"]; ok {
		if def.lang, ok = v.(string); !ok || !languageTag.MatchString(def.lang) {
			return Term{}, bad("@language must be a language tag such as en")
		}
	}
	switch o["@value"].(type) {
	case string, bool, json.Number, nil:
		c.lang = ""
		return r.value(o["@value"], def, c)
	}
	return Term{}, bad("@value must be a string, a number or true or false")
}

var languageTag = regexp.MustCompile(`^[A-Za-z]+(-[A-Za-z0-9]+)*$`)

// name turns an @id or a type into a term.
func (r *jsonldReader) name(name string, c context, vocab bool) (Term, error) {
	iri, err := c.expand(name, vocab)
	if err != nil {
		return Term{}, err
	}
	if !strings.HasPrefix(iri, "_:") {
		if iri, err = Resolve(c.base, iri); err != nil {
			return Term{}, bad("%v", err)
		}
	}
	label, ok := strings.CutPrefix(iri, "_:")
	if !ok {
		return Ref(iri), nil
	}
	if _, ok := r.labels[label]; !ok {
		r.labels[label] = r.g.NewNode()
	}
	return r.labels[label], nil
}

func asList(v any) []any {
	if o, ok := v.(map[string]any); ok && len(o) == 1 && o["@set"] != nil {
		v = o["@set"]
	}
	if list, ok := v.([]any); ok {
		return list
	}
	return []any{v}
}

func sortedKeys(o map[string]any) []string {
	keys := make([]string, 0, len(o))
	for k := range o {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
