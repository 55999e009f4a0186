package rdf

import (
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/directory/rdf/lexer"
)

func hash(lines []string) uint64 {
	h := fnv.New64()
	h.Write([]byte(sorted(lines)))
	return h.Sum64()
}

func sorted(lines []string) string {
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// unnormalised names the one case in which rdflib changes what it reads: it
// respells numbers.
const unnormalised = "numbers in other spellings"

// readCases say one thing in many ways; want is N-Triples without the dots,
// a blank node written as _.
var readCases = []struct {
	name, format, text string
	want               []string
}{
	{"prefixes and lists", "turtle", "@prefix ex: <http://e/> . ex:s a ex:C ; ex:p ex:o , \"x\"@en ; .", []string{
		`<http://e/s> <` + TypeIRI + `> <http://e/C>`, `<http://e/s> <http://e/p> <http://e/o>`, `<http://e/s> <http://e/p> "x"@en`}},
	{"SPARQL's spelling", "turtle", "PREFIX : <http://e/>\nBASE <http://b/x/>\n:s :p <y> .", []string{`<http://e/s> <http://e/p> <http://b/x/y>`}},
	{"numbers", "turtle", "<http://s> <http://p> 1, -2, 3.5, 4.0E5, true .", []string{
		`<http://s> <http://p> "1"^^<` + XSDInteger + `>`, `<http://s> <http://p> "-2"^^<` + XSDInteger + `>`, `<http://s> <http://p> "3.5"^^<` + XSDDecimal + `>`,
		`<http://s> <http://p> "4.0E5"^^<` + XSDDouble + `>`, `<http://s> <http://p> "true"^^<` + XSDBoolean + `>`}},
	{unnormalised, "turtle", "<http://s> <http://p> +3.5, .5, 4e5 .", []string{
		`<http://s> <http://p> "+3.5"^^<` + XSDDecimal + `>`, `<http://s> <http://p> ".5"^^<` + XSDDecimal + `>`, `<http://s> <http://p> "4e5"^^<` + XSDDouble + `>`}},
	{"a number before the dot", "turtle", "<http://s> <http://p> 1.", []string{`<http://s> <http://p> "1"^^<` + XSDInteger + `>`}},
	{"strings", "turtle", `<http://s> <http://p> """a "b" \u0041\n""", 'c\'d', ''''e' ''' .`, []string{
		`<http://s> <http://p> "a \"b\" A\n"`, `<http://s> <http://p> "c'd"`, `<http://s> <http://p> "'e' "`}},
	{"blank nodes", "turtle", "[ <http://p> [] ] .\n_:a <http://p> 'x'^^<http://t> .", []string{
		`_ <http://p> _`, `_ <http://p> "x"^^<http://t>`}},
	{"a list", "turtle", "<http://s> <http://p> (1) .", []string{
		`<http://s> <http://p> _`, `_ <` + RDFNS + `first> "1"^^<` + XSDInteger + `>`, `_ <` + RDFNS + `rest> <` + RDFNS + `nil>`}},
	{"dots in names", "turtle", `@prefix e: <http://e/>. e:a.b e:c%20\,d e:1:2.`, []string{`<http://e/a.b> <http://e/c%20,d> <http://e/1:2>`}},
	{"an object", "json-ld", `{"@context":{"ib1":"https://i/#"},"@id":"http://s","@type":"ib1:License","ib1:permissionText":{"@id":"http://t#1"}}`, []string{
		`<http://s> <` + TypeIRI + `> <https://i/#License>`, `<http://s> <https://i/#permissionText> <http://t#1>`}},
	{"a graph of terms", "json-ld", `{"@context":[{"@vocab":"http://v/","@base":"http://b/","t":{"@id":"x:t","@type":"@id"},"x":"http://x/","d":{"@id":"http://d","@type":"x:date"}}],
		"@graph":[{"@id":"s","t":["o","http://o2"],"d":"2026","n":5,"f":true,"l":{"@value":"a","@language":"en"},"z":null}]}`, []string{
		`<http://b/s> <http://x/t> <http://b/o>`, `<http://b/s> <http://x/t> <http://o2>`, `<http://b/s> <http://d> "2026"^^<http://x/date>`,
		`<http://b/s> <http://v/n> "5"^^<` + XSDInteger + `>`, `<http://b/s> <http://v/f> "true"^^<` + XSDBoolean + `>`, `<http://b/s> <http://v/l> "a"@en`}},
	{"expanded", "json-ld", `[{"@id":"http://s","http://p":[{"@value":"a"},{"@id":"_:x"},{"http://q":[{"@value":"1","@type":"http://t"}]}]}]`, []string{
		`<http://s> <http://p> "a"`, `<http://s> <http://p> _`, `<http://s> <http://p> _`, `_ <http://q> "1"^^<http://t>`}},
	{"names that say nothing", "json-ld", `{"@id":"http://s","unknown":1}`, nil},
}

func read(format, text string) (*Graph, error) {
	if format == "turtle" {
		return ReadTurtle(text, "", Limits{})
	}
	return ReadJSONLD(text, "", Limits{})
}

func TestRead(t *testing.T) {
	for _, c := range readCases {
		g, err := read(c.format, c.text)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var got []string
		for _, x := range g.Triples() {
			show := func(t Term) string {
				if t.Kind == Blank {
					return "_"
				}
				return t.String()
			}
			got = append(got, fmt.Sprint(show(x.S), " ", x.P, " ", show(x.O)))
		}
		if sorted(got) != sorted(slices.Clone(c.want)) {
			t.Errorf("%s: got\n%s\nwant\n%s", c.name, sorted(got), sorted(slices.Clone(c.want)))
		}
	}
}

// TestLanguagesInLowerCase: tags are the same whatever their case (RDF 1.1,
// 3.3), so they are kept in one.
func TestLanguagesInLowerCase(t *testing.T) {
	for format, text := range map[string]string{"turtle": "<http://s> <http://p> 'x'@EN-gb .", "json-ld": `{"@id":"http://s","http://p":{"@value":"x","@language":"EN-gb"}}`} {
		if g, err := read(format, text); err != nil || g.Triples()[0].O != Tagged("x", "en-gb") {
			t.Errorf("%s: %v %v", format, g, err)
		}
	}
}

func TestRefusals(t *testing.T) {
	deep := strings.Repeat
	for _, c := range []struct{ format, text, say string }{
		{"turtle", "<http://s> <http://p> ", "line 1, column 23: expected an IRI, a blank node or a literal"},
		{"turtle", "<http://s> <http://p> 'x\ny' .", "not closed on its line"},
		{"turtle", "\n <http://s> e:p 1 .", "line 2, column 13: the prefix e: is not declared"},
		{"turtle", "<s> <http://p> 1 .", "<s> is relative"},
		{"turtle", "<http://s> <http://p> 1", "expected ."},
		{"turtle", "'x' <http://p> 1 .", "expected a subject"},
		{"turtle", "<http://s> 'x' 1 .", "expected a predicate"},
		{"turtle", "<http://s> <http://p> - 1 .", "sign must be followed by a number"},
		{"turtle", "<http://s> <http://p> '\\x' .", "begins no escape"},
		{"turtle", "<http://s> <http://p> '\\uD800' .", "no character"},
		{"turtle", "<http://\\u0020> <http://p> 1 .", "no character"},
		{"turtle", "\xff", "UTF-8"},
		{"turtle", "<http://s> <http://p> " + deep("[<http://p> ", 100), "deep"},
		{"turtle", "<http://s> <http://p> " + deep("(", 100), "deep"},
		{"turtle", "<http://s> <http://p> " + deep("[],", 20_001) + "1 .", "larger"},
		{"turtle", "<http://s> <http://p> (" + deep("1 ", 20_001) + ") .", "larger"},
		{"turtle", deep(" ", 1<<20+1), "larger"},
		{"json-ld", "[", "not JSON"},
		{"json-ld", "{} {}", "follows"},
		{"json-ld", "5", "expected an object"},
		{"json-ld", `{"@context":"https://schema.org/"}`, "not fetched"},
		{"json-ld", `{"@context":{"x":{"@container":"@list"}}}`, "not read here"},
		{"json-ld", `{"@reverse":{}}`, "not read here"},
		{"json-ld", `{"@id":"relative"}`, "relative"},
		{"json-ld", `{"@id":5}`, "must be a string"},
		{"json-ld", `{"@type":5}`, "must be a string"},
		{"json-ld", `{"http://p":{"@value":{}}}`, "@value must be"},
		{"json-ld", `{"http://p":{"@list":[]}}`, "not read here"},
		{"json-ld", `{"http://p":[[1]]}`, "a list within a list"},
		{"json-ld", deep(`{"http://p":`, 100) + "1" + deep("}", 100), "deep"},
	} {
		_, err := read(c.format, c.text)
		if err == nil || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%.60q: %v, want ..%s..", c.text, err, c.say)
		}
		var at *lexer.Error
		if c.format == "turtle" && !errors.As(err, &at) && !errors.Is(err, ErrTooLarge) {
			t.Errorf("%.60q: the error has no place: %v", c.text, err)
		}
	}
}

// FuzzTurtle: whatever is read comes back from what is written of it.
func FuzzTurtle(f *testing.F) {
	for _, c := range readCases {
		if c.format == "turtle" {
			f.Add(c.text)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		if g, err := ReadTurtle(text, "http://base.example/", Limits{Bytes: 4096}); err == nil {
			comesBack(t, g)
		}
	})
}

func FuzzJSONLD(f *testing.F) {
	for _, c := range readCases {
		if c.format == "json-ld" {
			f.Add(c.text)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		if g, err := ReadJSONLD(text, "http://base.example/", Limits{Bytes: 4096}); err == nil {
			comesBack(t, g)
		}
	})
}

func comesBack(t *testing.T, g *Graph) {
	t.Helper()
	text := string(g.Turtle())
	back, err := ReadTurtle(text, "", Limits{})
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if back.Len() != g.Len() {
		t.Fatalf("%d statements became %d\n%s", g.Len(), back.Len(), text)
	}
	if back, err = ReadJSONLD(string(g.JSONLD()), "", Limits{}); err != nil || back.Len() != g.Len() {
		t.Fatalf("JSON-LD: %v, %d statements became %d\n%s", err, g.Len(), back.Len(), g.JSONLD())
	}
	g.XML() // must not panic; what it cannot hold is an error
}

func FuzzNegotiate(f *testing.F) {
	f.Add("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
	f.Add(`application/ld+json;profile="a,b;\"c";q=0.5`)
	f.Fuzz(func(t *testing.T, header string) {
		got := Negotiate([]string{header}, TypeJSON, TypeTurtle)
		if got != "" && got != TypeJSON && got != TypeTurtle {
			t.Fatalf("%q: %q", header, got)
		}
		if got == "" && strings.TrimSpace(header) == "*/*" {
			t.Fatal("*/* was refused")
		}
	})
}
