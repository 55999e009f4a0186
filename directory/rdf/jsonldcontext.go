package rdf

import (
	"maps"
	"strings"
)

// with gives the context as an object's @context changes it.
func (c context) with(v any) (context, error) {
	switch x := v.(type) {
	case nil:
		return c, nil
	case string:
		return c, bad("the context %q stands elsewhere: contexts are not fetched", x)
	case []any:
		for _, part := range x {
			var err error
			if c, err = c.with(part); err != nil {
				return c, err
			}
		}
		return c, nil
	case map[string]any:
		c.terms = maps.Clone(c.terms)
		if c.terms == nil {
			c.terms = map[string]term{}
		}
		// First the names alone: a prefix may stand after its use.
		for _, key := range sortedKeys(x) {
			if s, ok := x[key].(string); ok && !strings.HasPrefix(key, "@") {
				c.terms[key] = term{id: s}
			}
		}
		for _, key := range sortedKeys(x) {
			if err := c.define(key, x[key]); err != nil {
				return c, err
			}
		}
		return c, nil
	}
	return c, bad("@context must be an object, got %T", v)
}

func (c *context) define(key string, v any) error {
	s, isText := v.(string)
	switch key {
	case "@version", "@protected":
		return nil
	case "@base", "@vocab", "@language":
		if !isText {
			return bad("%s must be a string", key)
		}
		switch key {
		case "@base":
			base, err := Resolve(c.base, s)
			if err != nil {
				return bad("%v", err)
			}
			c.base = base
		case "@vocab":
			c.vocab = s
		default:
			if !languageTag.MatchString(s) {
				return bad("@language must be a language tag such as en")
			}
			c.lang = s
		}
		return nil
	}
	if strings.HasPrefix(key, "@") {
		return bad("%s in a context is not read here", key)
	}
	if isText {
		iri, err := c.expand(s, true)
		if err != nil {
			return err
		}
		c.terms[key] = term{id: iri}
		return nil
	}
	o, ok := v.(map[string]any)
	if !ok {
		return bad("the term %q of the context must be a string or an object", key)
	}
	def := term{id: key}
	for name, part := range o {
		text, ok := part.(string)
		switch {
		case name == "@prefix" || name == "@protected":
		case !ok:
			return bad("%s of the term %q must be a string", name, key)
		case name == "@id":
			def.id = text
		case name == "@type":
			def.kind = text
		case name == "@language" && languageTag.MatchString(text):
			def.lang = text
		case name == "@container" && text == "@set":
		default:
			return bad("%s of the term %q is not read here", name, key)
		}
	}
	delete(c.terms, key) // a term must not explain itself
	var err error
	if def.id, err = c.expand(def.id, true); err != nil {
		return err
	}
	switch {
	case def.kind == "" || def.kind == "@id" || def.kind == "@vocab":
	case strings.HasPrefix(def.kind, "@"):
		return bad("the type %s of the term %q is not read here", def.kind, key)
	default:
		if def.kind, err = c.expand(def.kind, true); err != nil {
			return err
		}
		if def.kind, err = Resolve(c.base, def.kind); err != nil {
			return bad("%v", err)
		}
	}
	c.terms[key] = def
	return nil
}

// expand makes an IRI of a name: a term, prefix:rest, an IRI, or relative to
// the vocabulary or the base.
func (c context) expand(name string, vocab bool) (string, error) {
	if strings.HasPrefix(name, "_:") {
		return name, nil
	}
	if strings.HasPrefix(name, "@") {
		return "", bad("%s is not read here", name)
	}
	if def, ok := c.terms[name]; ok && vocab {
		if prefix, rest, ok := strings.Cut(def.id, ":"); ok { // the first pass left it short
			if p, ok := c.terms[prefix]; ok && !strings.HasPrefix(rest, "//") && prefix != name {
				return p.id + rest, nil
			}
		}
		return def.id, nil
	}
	if prefix, rest, ok := strings.Cut(name, ":"); ok {
		if p, ok := c.terms[prefix]; ok && !strings.HasPrefix(rest, "//") {
			return p.id + rest, nil
		}
	}
	if absolute.MatchString(name) {
		return name, nil
	}
	if vocab {
		return c.vocab + name, nil
	}
	return name, nil // relative to the base: see name
}
