package sparql

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/perseus-edge/perseus-edge/directory/rdf"
)

// The tests here compare the evaluation, which works from the outside in where
// that is safe, with SPARQL's definition, which works from the inside out.

// solution is a solution mapping, by slot.
type solution map[int]uint32

// define evaluates a pattern as SPARQL 1.1, 18.3 to 18.5 define it, word for
// word and without any cleverness.
func define(e *run, p pattern) []solution {
	switch p := p.(type) {
	case *bgp:
		out := []solution{{}}
		for _, t := range p.triples {
			var next []solution
			for _, s := range out {
				for _, c := range e.d.index[0] {
					m := maps.Clone(s)
					if m.bind(e, t, c) {
						next = append(next, m)
					}
				}
			}
			out = next
		}
		return out
	case *join:
		return joinAll(define(e, p.left), define(e, p.right))
	case *union:
		var out []solution
		for _, a := range p.alts {
			out = append(out, define(e, a)...)
		}
		return out
	case *filter:
		return slices.DeleteFunc(define(e, p.inner), func(s solution) bool { return !s.holds(e, p.tests) })
	case *leftJoin:
		var out []solution
		right := define(e, p.right)
		for _, l := range define(e, p.left) {
			found := false
			for _, m := range joinAll([]solution{l}, right) {
				if m.holds(e, p.test) {
					found = true
					out = append(out, m)
				}
			}
			if !found {
				out = append(out, l)
			}
		}
		return out
	}
	panic("unknown pattern")
}

func (s solution) bind(e *run, t [3]part, c [3]uint32) bool {
	for i, x := range t {
		if x.slot < 0 {
			if e.d.ids[x.term] != c[i] {
				return false
			}
		} else if have, ok := s[x.slot]; ok && have != c[i] {
			return false
		} else {
			s[x.slot] = c[i]
		}
	}
	return true
}

func (s solution) holds(e *run, tests []*expr) bool {
	row := e.row
	defer func() { e.row = row }()
	e.row = s.row(e)
	return e.holds(tests)
}

func (s solution) row(e *run) []uint32 {
	out := make([]uint32, len(e.q.vars))
	for k, v := range s {
		out[k] = v
	}
	return out
}

func joinAll(a, b []solution) []solution {
	var out []solution
	for _, l := range a {
	next:
		for _, r := range b {
			m := maps.Clone(l)
			for k, v := range r {
				if have, ok := m[k]; ok && have != v {
					continue next
				}
				m[k] = v
			}
			out = append(out, m)
		}
	}
	return out
}

// asker draws queries over a small vocabulary, so that they often find
// something, and share variables in every way.
type asker struct {
	t     *rapid.T
	depth int
	n     int
}

func (a *asker) pick(label string, from ...string) string {
	return rapid.SampledFrom(from).Draw(a.t, label)
}

func (a *asker) v() string { return a.pick("var", "?a", "?b", "?c", "?d") }

func (a *asker) triple() string {
	s := a.pick("s", "?a", "?b", "?c", "?d", "?a", ":s1", ":s2")
	p := a.pick("p", ":p", ":q", ":r", ":p", "?b", "?d")
	o := a.pick("o", "?a", "?b", "?c", "?d", "?c", ":s1", ":s2", "1", "'x'", "'x'@en")
	return s + " " + p + " " + o + " . "
}

func (a *asker) value() string {
	return a.pick("value", a.v(), a.v(), a.v(), "1", "2.5", "'x'", "'y'", ":s1", "true", "'x'@en", "str("+a.v()+")", "lang("+a.v()+")", "("+a.v()+" + 1)", "datatype("+a.v()+")")
}

func (a *asker) test() string {
	if a.n++; a.n > 6 {
		return "bound(?a)"
	}
	switch rapid.IntRange(0, 9).Draw(a.t, "test") {
	case 0, 1, 2:
		return a.value() + " " + a.pick("cmp", "=", "!=", "<", ">", "<=", ">=") + " " + a.value()
	case 3, 4:
		return "bound(" + a.v() + ")"
	case 5:
		return a.pick("is", "isIRI", "isLiteral", "isBlank", "isNumeric") + "(" + a.v() + ")"
	case 6:
		return "(" + a.test() + " && " + a.test() + ")"
	case 7:
		return "(" + a.test() + " || " + a.test() + ")"
	case 8:
		return "!(" + a.test() + ")"
	default:
		return "regex(str(" + a.v() + "), '" + a.pick("re", "s[12]", "^x", "1$", "") + "')"
	}
}

func (a *asker) group() string {
	a.depth++
	defer func() { a.depth-- }()
	var b strings.Builder
	b.WriteString("{ ")
	for range rapid.IntRange(0, 3).Draw(a.t, "parts") {
		k := rapid.IntRange(0, 7).Draw(a.t, "part")
		switch {
		case k <= 2 || a.depth > 3:
			b.WriteString(a.triple())
		case k == 3:
			b.WriteString("OPTIONAL " + a.group())
		case k == 4:
			b.WriteString(a.group() + " UNION " + a.group())
		case k == 5:
			b.WriteString(a.group())
		default:
			b.WriteString("FILTER(" + a.test() + ") ")
		}
	}
	b.WriteString("} ")
	return b.String()
}

// graphText is the data of the generated queries.
const graphText = `@prefix : <http://d/> .
:s1 :p 1, 2.5, "x", :s2 ; :q :s1, "y" ; :r true .
:s2 :p 1, "x"@en, "2026-01-01"^^<http://www.w3.org/2001/XMLSchema#date> ; :q :s1 ; :s2 :p .
:s3 :p :s1 ; :r [ :p "x" ] .
`

// TestAsDefined: every generated query has the solutions that the definition
// gives, each as often.
func TestAsDefined(t *testing.T) {
	d := dataset(t, graphText)
	var alone, rows int
	check := func(t *rapid.T) {
		text := "PREFIX : <http://d/> SELECT * " + (&asker{t: t}).group()
		q, err := Parse(text, Limits{})
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		e := &run{d: d, q: q, ctx: context.Background(), row: make([]uint32, len(q.vars)), alone: map[pattern][][]uint32{}}
		var got []string
		e.extend(q.where, func() bool { got = append(got, fmt.Sprint(e.row)); return true })
		if e.err != nil {
			t.Skip("too much for the definition")
		}
		alone += len(e.alone)
		e.steps = -1 << 40 // the definition may take its time
		var want []string
		for _, s := range define(e, q.where) {
			want = append(want, fmt.Sprint(s.row(e)))
		}
		rows += len(want)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Fatalf("%s\ngot  %v\nwant %v", text, got, want)
		}
	}
	for range 20 { // 100 queries each are few for the rare shapes
		rapid.Check(t, check)
	}
	if alone == 0 || rows == 0 {
		t.Errorf("the queries never came to what this is about: %d patterns worked out alone, %d rows", alone, rows)
	}
}

// TestOrderIsAnOrder: of any three terms, the order that ORDER BY uses is
// total, and agrees with the comparison of values.
func TestOrderIsAnOrder(t *testing.T) {
	term := rapid.SampledFrom([]rdf.Term{{}, rdf.Node("a"), rdf.Ref("http://a"), rdf.Ref("http://b"), rdf.Text("1"), rdf.Text("b"), rdf.Text(""),
		rdf.Tagged("b", "en"), rdf.Typed("1", rdf.XSDInteger), rdf.Typed("01", rdf.XSDInteger), rdf.Typed("1.5", rdf.XSDDecimal), rdf.Typed("1e1", rdf.XSDDouble),
		rdf.Typed("NaN", rdf.XSDDouble), rdf.Typed("x", rdf.XSDInteger), rdf.Typed("true", rdf.XSDBoolean), rdf.Typed("2026-01-01", rdf.XSDDate), rdf.Typed("2026-01-01Z", rdf.XSDDate), rdf.Typed("?", "http://odd")})
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := term.Draw(t, "a"), term.Draw(t, "b"), term.Draw(t, "c")
		if order(a, b) != -order(b, a) && (order(a, b) > 0) == (order(b, a) > 0) {
			t.Fatalf("%v and %v", a, b)
		}
		if order(a, b) <= 0 && order(b, c) <= 0 && order(a, c) > 0 {
			t.Fatalf("%v <= %v <= %v, but not the first and the last", a, b, c)
		}
		if order(a, b) == 0 && a != b {
			t.Fatalf("%v and %v are in no order", a, b)
		}
		if v, nan, ok := compareValues(a, b); ok && !nan && v < 0 && order(a, b) >= 0 {
			t.Fatalf("%v < %v, but not in ORDER BY", a, b)
		}
	})
}

// FuzzParse: whatever parses runs within its budget, and whatever does not
// says where.
func FuzzParse(f *testing.F) {
	for _, q := range []string{"SELECT ?m WHERE { ?m a :x ; :p 'a'@en, 1.5e3 OPTIONAL { ?m ?p [ :q _:a ] FILTER(!bound(?p) || ?p IN (1, <a:b>)) } } ORDER BY DESC(?m) LIMIT 5 OFFSET 1",
		"BASE <http://b/> PREFIX : <p#> ASK { { :a ?b \"\"\"c\"\"\"^^:d } UNION { FILTER regex(str(?x), '^a', 'i') } }", "SELECT ?x FROM <file:///etc/passwd> { SERVICE <http://x/> { } }"} {
		f.Add(q)
	}
	d := dataset(f, graphText)
	f.Fuzz(func(t *testing.T, text string) {
		q, err := Parse("PREFIX : <http://d/> "+text, Limits{Text: 2048, Steps: 20_000, Rows: 500})
		if err != nil {
			if !strings.HasPrefix(err.Error(), "line ") {
				t.Fatalf("no place in %v", err)
			}
			return
		}
		r, err := q.Run(t.Context(), d)
		if err == nil {
			r.JSON()
			r.XML()
			r.CSV()
		}
	})
}
