package rdf

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// graphs draws graphs with everything that a writer can trip over: hostile
// strings, blank nodes shared, nested, circular and alone, lists of types.
func graphs(hostile bool) *rapid.Generator[*Graph] {
	words := []string{"", "a", "Caffè \"Roma\"", "<script>&amp;'", "two\nlines\tand\rmore", `back\slash`, "]]>", "日本 🎉", " spaces ", "@en", "%41", "{}|^`", "'''", `"""`, "]]&#13;"}
	if hostile { // what XML cannot hold
		words = append(words, "\x00", "\x1b[0m", "\ufffe", "\u007f")
	}
	return rapid.Custom(func(t *rapid.T) *Graph {
		g := &Graph{}
		blanks := []Term{g.NewNode(), g.NewNode(), g.NewNode(), g.NewNode()}
		iri := func(label string) string {
			return rapid.SampledFrom([]string{"https://a.example/m/1", "https://a.example/m/2", "https://a.example/q?x=1&y=%20#f", "urn:x:y", "mailto:a@b.example",
				"https://a.example/it's", "https://registry.trust.ib1.org/ns/1.0#Role", "http://purl.org/dc/terms/", "https://a.example/日本"}).Draw(t, label)
		}
		predicates := []string{TypeIRI, Expand("ib1:role"), Expand("dcterms:title"), Expand("schema:brand"), "https://other.example/ns#p-1", "https://other.example/ns/q", "https://third.example/π9x"}
		for range rapid.IntRange(0, 12).Draw(t, "n") {
			s := rapid.SampledFrom(blanks).Draw(t, "blank")
			if rapid.Bool().Draw(t, "named") {
				s = Ref(iri("s"))
			}
			var o Term
			word := rapid.SampledFrom(words).Draw(t, "word")
			switch rapid.IntRange(0, 4).Draw(t, "kind") {
			case 0:
				o = Ref(iri("o"))
			case 1:
				o = rapid.SampledFrom(blanks).Draw(t, "o blank")
			case 2:
				o = Text(word)
			case 3:
				o = Tagged(word, rapid.SampledFrom([]string{"en", "en-GB", "cy"}).Draw(t, "lang"))
			default:
				o = Typed(word, rapid.SampledFrom([]string{XSDDate, XSDInteger, Expand("ib1:odd"), "urn:type", XSDString}).Draw(t, "type"))
			}
			g.Add(s, rapid.SampledFrom(predicates).Draw(t, "p"), o)
		}
		return g
	})
}

// canon renames blank nodes by where they stand, as far as the small graphs of
// the tests need: equal texts mean the same graph, and unequal ones are looked
// at by rdflib too.
func canon(g *Graph) string {
	names := map[Term]string{}
	for range 6 { // refine: a node's name is all that is said of it
		next := map[Term]string{}
		for _, t := range g.Triples() {
			for _, b := range []Term{t.S, t.O} {
				if b.Kind == Blank {
					next[b] = ""
				}
			}
		}
		for b := range next {
			var lines []string
			for _, t := range g.Triples() {
				if t.S == b || t.O == b {
					show := func(x Term) string {
						if x == b {
							return "*"
						} else if x.Kind == Blank {
							return "(" + names[x] + ")"
						}
						return x.String()
					}
					lines = append(lines, show(t.S)+t.P.String()+show(t.O))
				}
			}
			next[b] = fmt.Sprintf("%x", hash(lines))
		}
		names = next
	}
	var lines []string
	for _, t := range g.Triples() {
		show := func(x Term) string {
			if x.Kind == Blank {
				return names[x]
			}
			return x.String()
		}
		lines = append(lines, show(t.S)+" "+t.P.String()+" "+show(t.O))
	}
	return sorted(lines)
}

func TestTurtleComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := graphs(true).Draw(t, "graph")
		text := string(g.Turtle())
		back, err := ReadTurtle(text, "", Limits{})
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if canon(back) != canon(g) {
			t.Fatalf("wrote\n%s\nread\n%s\nfrom\n%s", canon(g), canon(back), text)
		}
	})
}

func TestJSONLDComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := graphs(true).Draw(t, "graph")
		text := string(g.JSONLD())
		back, err := ReadJSONLD(text, "", Limits{})
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if canon(back) != canon(g) {
			t.Fatalf("wrote\n%s\nread\n%s\nfrom\n%s", canon(g), canon(back), text)
		}
	})
}

// TestSameBytes: equal graphs built alike give equal bytes, or ETags would not
// agree from one process to another.
func TestSameBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := graphs(false).Draw(t, "graph")
		again := &Graph{}
		for _, x := range g.Triples() {
			again.Add(x.S, x.P.Value, x.O)
		}
		a, err1 := g.XML()
		b, err2 := again.XML()
		if string(g.Turtle()) != string(again.Turtle()) || string(g.JSONLD()) != string(again.JSONLD()) || string(a) != string(b) || (err1 == nil) != (err2 == nil) {
			t.Fatal("two writings differ")
		}
	})
}

func TestWhatXMLCannotHold(t *testing.T) {
	for _, x := range []struct {
		name string
		p    string
		o    Term
	}{
		{"a control character", Expand("dcterms:title"), Text("a\x01b")},
		{"a predicate without a name at its end", "https://x.example/ns/", Text("a")},
		{"a predicate that ends in digits", "https://x.example/ns/12", Text("a")},
	} {
		g := &Graph{}
		g.Add(Ref("https://x.example/s"), x.p, x.o)
		if b, err := g.XML(); err == nil {
			t.Errorf("%s was written:\n%s", x.name, b)
		}
	}
}

func TestRef(t *testing.T) {
	for in, want := range map[string]string{
		"https://x.example/":                    "https://x.example/",
		`https://x.example/"><script>`:          "https://x.example/%22%3E%3Cscript%3E",
		"https://x.example/a b\n\\{}|^`":        "https://x.example/a%20b%0A%5C%7B%7D%7C%5E%60",
		"https://x.example/\xff":                "https://x.example/%FF",
		"https://x.example/\ufffd\u0000é":       "https://x.example/%EF%BF%BD%00é",
		"https://x.example/%41?x=%22&y=[1]'()*": "https://x.example/%41?x=%22&y=[1]'()*",
	} {
		if got := Ref(in).Value; got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestMerge(t *testing.T) {
	a, b := &Graph{}, &Graph{}
	a.Add(a.NewNode(), Expand("dcterms:title"), Text("a"))
	b.Add(b.NewNode(), Expand("dcterms:title"), Text("b"))
	a.Merge(b)
	if n := a.Triples(); len(n) != 2 || n[0].S == n[1].S {
		t.Errorf("the blank nodes of two graphs became one: %v", n)
	}
}

func TestNegotiate(t *testing.T) {
	offers := []string{TypeJSON, TypeJSONLD, TypeTurtle, TypeXML, TypeHTML}
	for _, x := range []struct{ accept, want string }{
		{"*/*", TypeJSON},
		{"", TypeJSON},
		{" , ", TypeJSON},
		{"text/turtle", TypeTurtle},
		{"application/rdf+xml", TypeXML},
		{"application/ld+json;profile=\"http://www.w3.org/ns/json-ld#compacted, q=0\"", TypeJSONLD},
		{"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", TypeHTML},
		{"text/turtle;q=0.5, application/rdf+xml;q=0.501", TypeXML},
		{"text/*", TypeTurtle},
		{"text/*;q=0.1, text/html;q=0", TypeTurtle},
		{"application/json;q=0, */*", TypeJSONLD},
		{"application/json ; Q=0 , */* ;q=0.001", TypeJSONLD},
		{"TEXT/Turtle;Q=1.000", TypeTurtle},
		{"text/turtle;q=0.1, text/turtle;q=0.9, text/html;q=0.5", TypeTurtle},
		{"text/turtle;charset=utf-8;q=0.2, text/html;q=0.3", TypeHTML},
		{"text/turtle;q=1.001, text/html;q=0.001", TypeHTML},
		{"text/turtle;q=-1", ""},
		{"text/turtle;q=nonsense", ""},
		{"text/turtle;q=", ""},
		{"text/turtle;q=0.5555", ""},
		{"image/png", ""},
		{"/", ""},
		{";;;", ""},
		{`"`, ""},
	} {
		if got := Negotiate([]string{x.accept}, offers...); got != x.want {
			t.Errorf("%q: %q, want %q", x.accept, got, x.want)
		}
	}
	if got := Negotiate(nil, offers...); got != TypeJSON {
		t.Errorf("without the header: %q", got)
	}
	if got := Negotiate([]string{"text/html;q=0.1", "text/turtle"}, offers...); got != TypeTurtle {
		t.Errorf("two headers: %q", got)
	}
	if got := Negotiate([]string{strings.Repeat("a/b,", 1_000_000) + "text/html"}, offers...); got != "" {
		t.Errorf("beyond 4 KiB: %q", got)
	}
}

func TestMatches(t *testing.T) {
	for header, want := range map[string]bool{`"a"`: true, `W/"a"`: true, `*`: true, ` "b" , "a"`: true, `"b","c"`: false, `a`: false, ``: false, `"b, \"a\""`: false, `w/"a"`: false, `"A"`: false} {
		if got := Matches([]string{header}, `"a"`); got != want {
			t.Errorf("%s: %t", header, got)
		}
	}
}

// TestControlCharacters: none is in a document as it is.
func TestControlCharacters(t *testing.T) {
	g := &Graph{}
	g.Add(Ref("https://x.example/"), Expand("dcterms:title"), Text("a\x00b\x1b\x7f\uffff"))
	if s := string(g.Turtle()); !strings.Contains(s, `"a\u0000b\u001B\u007F\uFFFF"`) {
		t.Error(s)
	}
}
