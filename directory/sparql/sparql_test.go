package sparql

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/directory/rdf"
	"github.com/perseus-edge/perseus-edge/directory/rdf/lexer"
)

// listing is a small directory to ask about.
const listing = `
@prefix : <http://d/> . @prefix schema: <http://schema.org/> . @prefix ib1: <https://registry.trust.ib1.org/ns/1.0#> . @prefix x: <http://www.w3.org/2001/XMLSchema#> .
:m1 a schema:Organization ; schema:legalName "Alpha Energy Ltd" ; ib1:role :edp, :cap ; :staff 12 ; :since "2024-03-01"^^x:date ; :home <https://alpha.example/> .
:m2 a schema:Organization ; schema:legalName "Beta Bank plc" ; ib1:role :fsp ; :staff 5000 ; :since "2023-12-31"^^x:date .
:m3 a schema:Organization ; schema:legalName "Cwmni Gamma"@cy, "Gamma Company"@en-GB ; ib1:role :cap ; :staff 7.5 ; :odd "?"^^:odd .
:a1 a ib1:Application ; :of :m1 ; ib1:role :edp .
:a2 a ib1:Application ; :of :m2 ; ib1:role :fsp ; :brand [ :name "Green" ] .
`

const head = "PREFIX : <http://d/> PREFIX schema: <http://schema.org/> PREFIX ib1: <https://registry.trust.ib1.org/ns/1.0#> PREFIX x: <http://www.w3.org/2001/XMLSchema#>\n"

func dataset(t testing.TB, turtle string) *Dataset {
	t.Helper()
	g, err := rdf.ReadTurtle(turtle, "", rdf.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	b := NewBuilder()
	b.Add(g)
	return b.Dataset()
}

// ask runs a query and gives its rows as lines: short names, - for unbound,
// and sorted unless the query orders.
func ask(t testing.TB, d *Dataset, query string) (string, error) {
	t.Helper()
	q, err := Parse(head+query, Limits{})
	if err != nil {
		return "", err
	}
	r, err := q.Run(context.Background(), d)
	if err != nil {
		return "", err
	}
	if r.Ask {
		return fmt.Sprint(r.Yes), nil
	}
	var lines []string
	for _, row := range r.Rows {
		var fields []string
		for _, term := range row {
			s := strings.TrimPrefix(term.Value, "http://d/")
			if term.Lang != "" {
				s += "@" + term.Lang
			}
			switch {
			case term.Kind == 0:
				s = "-"
			case term.Kind == rdf.Blank:
				s = "_"
			}
			fields = append(fields, s)
		}
		lines = append(lines, strings.Join(fields, " "))
	}
	if !strings.Contains(query, "ORDER BY") {
		slices.Sort(lines)
	}
	return strings.Join(lines, "|"), nil
}

func TestQueries(t *testing.T) {
	d := dataset(t, listing)
	for _, c := range []struct{ query, want string }{
		{"SELECT ?m WHERE { ?m a schema:Organization }", "m1|m2|m3"},
		{"SELECT ?m { ?m ib1:role :cap ; :staff ?n FILTER(?n > 8) }", "m1"},
		{"SELECT ?m ?n { ?m schema:legalName ?n . FILTER regex(?n, '^[ab].* (ltd|plc)$', 'i') }", "m1 Alpha Energy Ltd|m2 Beta Bank plc"},
		{"SELECT * { ?m :staff ?n } ORDER BY ?n", "m3 7.5|m1 12|m2 5000"},
		{"SELECT ?m { ?m :staff ?n } ORDER BY DESC(?n) LIMIT 1 OFFSET 1", "m1"},
		{"SELECT ?m { ?m :staff ?n } OFFSET 1 LIMIT 5", "m2|m3"},
		{"SELECT ?m { ?m :staff ?n } LIMIT 0", ""},
		{"SELECT DISTINCT ?r { ?x ib1:role ?r } ORDER BY ?r", "cap|edp|fsp"},
		{"SELECT DISTINCT ?r { ?x ib1:role ?r } ORDER BY ?r LIMIT 2 OFFSET 1", "edp|fsp"},
		{"SELECT REDUCED ?r { ?x ib1:role ?r }", "cap|edp|fsp"},
		{"SELECT ?m ?h { ?m a schema:Organization OPTIONAL { ?m :home ?h } }", "m1 https://alpha.example/|m2 -|m3 -"},
		{"SELECT ?m ?h { ?m a schema:Organization OPTIONAL { ?m :home ?h FILTER(?m = :m2) } }", "m1 -|m2 -|m3 -"},
		{"SELECT ?x { { ?x :of :m1 } UNION { ?x ib1:role :fsp } }", "a1|a2|m2"},
		{"SELECT ?m { ?m a schema:Organization OPTIONAL { ?m :home ?h } FILTER(!bound(?h)) }", "m2|m3"},
		{"SELECT ?n { ?m schema:legalName ?n FILTER(lang(?n) = 'cy') }", "Cwmni Gamma@cy"},
		{"SELECT ?n { ?m schema:legalName ?n FILTER langMatches(lang(?n), 'EN') }", "Gamma Company@en-gb"},
		{"SELECT ?n { ?m schema:legalName ?n FILTER langMatches(lang(?n), '*') }", "Cwmni Gamma@cy|Gamma Company@en-gb"},
		{"SELECT ?n { ?m schema:legalName ?n FILTER(str(?n) = 'Cwmni Gamma') }", "Cwmni Gamma@cy"},
		{"SELECT ?n { ?m schema:legalName 'Cwmni Gamma'@CY, ?n }", "Cwmni Gamma@cy|Gamma Company@en-gb"},
		{"SELECT ?m { ?m :since ?d FILTER(?d < '2024-01-01'^^x:date) }", "m2"},
		{"SELECT ?m { ?m :staff ?n FILTER(datatype(?n) = x:decimal) }", "m3"},
		{"SELECT ?m { ?m :staff ?n FILTER(?n / 2 + 1 = 7) }", "m1"},
		{"SELECT ?m { ?m :staff ?n FILTER(?n * -1 < -10 && ?n - 4990 != 10) }", "m1"},
		{"SELECT ?m { ?m :staff ?n FILTER(-?n IN (-12, -7.5)) }", "m1|m3"},
		{"SELECT ?m { ?m :staff ?n FILTER(?n NOT IN (12, 7.50)) }", "m2"},
		{"SELECT ?m { ?m :staff ?n FILTER(?n IN ()) }", ""},
		{"SELECT ?o { ?s ?p ?o FILTER(isBlank(?o)) }", "_"},
		{"SELECT ?o { :a1 ?p ?o FILTER(isIRI(?o) && isURI(?o) && !isLiteral(?o)) }", "edp|https://registry.trust.ib1.org/ns/1.0#Application|m1"},
		{"SELECT ?n { :a2 :brand [ :name ?n ] }", "Green"},
		{"SELECT ?n { :a2 :brand _:b . _:b :name ?n }", "Green"},
		{"SELECT ?n { [ :of ?x ; a ?t ] ib1:role ?n }", "edp|fsp"},
		{"SELECT ?m { ?m :odd ?o FILTER(?o = '?'^^:odd) }", "m3"},
		{"SELECT ?m { ?m :odd ?o FILTER(?o != '!'^^:odd) }", ""}, // unknown datatype: an error, not true
		{"SELECT ?m { ?m :odd ?o FILTER(?o = 'x'^^:odd || true) }", "m3"},
		{"SELECT ?m { ?m :odd ?o FILTER(?o = 'x'^^:odd && false) }", ""},
		{"SELECT ?m { ?m :odd ?o FILTER(!(?o = 'x'^^:odd && false)) }", "m3"},
		{"SELECT ?m { ?m :staff ?n FILTER(isNumeric(?n)) FILTER(sameTerm(?n, 12)) }", "m1"},
		{"SELECT ?m { ?m schema:legalName ?n FILTER(strstarts(?n, 'Alpha') && strends(?n, 'Ltd') && contains(?n, 'ner') && strlen(?n) = 16 && ucase(?n) = 'ALPHA ENERGY LTD' && lcase('X') = 'x') }", "m1"},
		{"SELECT ?m { ?m a schema:Organization OPTIONAL { ?m :home ?h } FILTER(coalesce(?h, 'none') = 'none') }", "m2|m3"},
		{"SELECT ?m { ?m :staff ?n FILTER(if(?n > 100, true, false)) }", "m2"},
		{"ASK { :m1 ib1:role :edp }", "true"},
		{"ASK { :m2 ib1:role :edp }", "false"},
		{"ASK {}", "true"},
		{"ASK WHERE { FILTER(1 = 1.0) }", "true"},
		{"ASK { FILTER('a' = 'a'@en) }", "false"},
		{"ASK { FILTER(1 = 'a') }", "false"},
		{"ASK { FILTER('' || 0 || 'NaN'^^x:double) }", "false"},
		{"ASK { FILTER(1e2 = 100 && 0.1 + 0.2 = 0.3) }", "true"},
		{"ASK { FILTER('NaN'^^x:double = 'NaN'^^x:double) }", "false"},
		{"ASK { FILTER(1/0 = 1/0) }", "false"},
		{"ASK { FILTER('2026-01-01T00:00:00Z'^^x:dateTime = '2026-01-01T01:00:00+01:00'^^x:dateTime) }", "true"},
		{"ASK { FILTER regex('a.b', 'a.b', 'q') }", "true"},
		{"ASK { FILTER regex('axb', 'a.b', 'q') }", "false"},
		{"ASK { FILTER(contains('ab'@en, 'a'@en) && contains('ab'@en, 'a') && strstarts('ab', 'a')) }", "true"},
		{"ASK { FILTER(contains('ab'@en, 'a'@cy) || contains('ab', 'a'@en) || contains(5, '5')) }", "false"},
		{"SELECT ?m ?h { ?m :staff ?n OPTIONAL { ?m :home ?h FILTER(?n = 12) } }", "m1 https://alpha.example/|m2 -|m3 -"},
		{"SELECT ?m ?h { ?m :staff ?n OPTIONAL { ?m :home ?h FILTER(?n = 13) } }", "m1 -|m2 -|m3 -"},
		{"SELECT ?x { ?x ?x ?x }", ""},
		{"SELECT ?m { ?m a <http://schema.org/Organization> ; ib1:role :cap, :edp ; }", "m1"},
		{"select ?m where { ?m A ?t }", "error"},
		{"BASE <http://d/> SELECT ?r { <m2> ib1:role ?r }", "fsp"},
		{"SELECT ?m { ?m :staff ?n # a comment\n FILTER(?n<13 &&?n>10) }", "m1"},
		// The scope of a FILTER is its own group (SPARQL 1.1, 18.2.2; the two
		// queries of section 8.3.3).
		{"SELECT ?m { ?m :staff ?n { ?m a schema:Organization FILTER(?n = 12) } }", ""},
		{"SELECT ?m { ?m :staff ?n { ?m a schema:Organization FILTER(!bound(?n)) } }", "m1|m2|m3"},
		// An OPTIONAL inside that speaks of a variable from outside only.
		{"SELECT ?a ?h { ?m :staff 12 . { ?a a ib1:Application OPTIONAL { ?m :home ?h } } }", "a1 https://alpha.example/|a2 https://alpha.example/"},
		{"SELECT ?a ?h { ?m :staff 7.5 . { ?a a ib1:Application OPTIONAL { ?m :home ?h } } }", ""},
		{"SELECT ?m ?h { ?m a schema:Organization OPTIONAL { { ?m :home ?h FILTER(bound(?m)) } } }", "m1 https://alpha.example/|m2 -|m3 -"},
		{"SELECT ?a ?o { ?m :staff ?n . { ?a a ib1:Application OPTIONAL { ?a :of ?o FILTER(?n = 12) } } FILTER(?n = 12) }", "a1 -|a2 -"},
		{"SELECT ?x ?h { ?m :home ?h { ?x a schema:Organization OPTIONAL { ?x :home ?h } FILTER(!bound(?h)) } }", "m2 https://alpha.example/|m3 https://alpha.example/"},
		{"SELECT ?unknown ?m { ?m :staff 12 }", "- m1"},
	} {
		got, err := ask(t, d, c.query)
		if err != nil {
			got = "error"
		}
		if got != c.want {
			t.Errorf("%s\n got %q %v\nwant %q", c.query, got, err, c.want)
		}
	}
}

// TestRefusals: what is not served says so and where, and what to do.
func TestRefusals(t *testing.T) {
	deep := strings.Repeat
	for _, c := range []struct{ query, say string }{
		{"", "line 1, column 1: expected SELECT or ASK, found the end"},
		{"SELECT ?x FROM <file:///etc/passwd> { ?x ?y ?z }", "line 1, column 11: FROM is not served: a query reads this directory's own listing, and nothing else"},
		{"SELECT ?x FROM NAMED <http://x/> { ?x ?y ?z }", "FROM is not served"},
		{"SELECT ?x { SERVICE <http://169.254.169.254/> { ?x ?y ?z } }", "SERVICE is not served: a query reads"},
		{"SELECT ?x { GRAPH <http://x/> { ?x ?y ?z } }", "GRAPH is not served"},
		{"SELECT ?x { ?x ?y ?z SERVICE SILENT <http://x/> {} }", "SERVICE is not served"},
		{"LOAD <file:///etc/passwd>", "LOAD is not served: a query reads"},
		{"INSERT DATA { <x:a> <x:b> 1 }", "INSERT is not served: nothing can be changed"},
		{"DELETE WHERE { ?a ?b ?c }", "DELETE is not served"},
		{"DROP ALL", "DROP is not served"},
		{"CONSTRUCT { ?a ?b ?c } WHERE { ?a ?b ?c }", "use SELECT or ASK"},
		{"DESCRIBE <http://x/>", "use SELECT or ASK"},
		{"SELECT ?x { ?x ?y ?z MINUS { ?x a ?y } }", "MINUS is not part"},
		{"SELECT ?x { BIND(1 AS ?x) }", "BIND is not part"},
		{"SELECT ?x { VALUES ?x { 1 } }", "VALUES is not part"},
		{"SELECT (count(?x) AS ?n) { ?x ?y ?z }", "aggregates in SELECT are not served"},
		{"SELECT ?x { ?x ?y ?z } GROUP BY ?x", "GROUP is not part"},
		{"SELECT ?x { ?x ?y ?z FILTER NOT EXISTS { ?x a ?y } }", "NOT is not part"},
		{"SELECT ?x { ?x ?y ?z FILTER EXISTS { ?x a ?y } }", "EXISTS is not part"},
		{"SELECT ?x { { SELECT ?x { ?x ?y ?z } } }", "expected a triple pattern"},
		{"SELECT ?x { ?x <x:a>/<x:b> ?z }", "property paths"},
		{"SELECT ?x { ?x ^<x:a> ?z }", "property paths"},
		{"SELECT ?x { ?x <x:a>* ?z }", "property paths"},
		{"SELECT ?x { ?x <x:a> (1 2) }", "lists in parentheses"},
		{"SELECT ?x { ?x ib1:role ?z }", "the prefix ib1: is not declared: begin the query with PREFIX ib1: <https://registry.trust.ib1.org/ns/1.0#>"},
		{"SELECT ?x { ?x nope:role ?z }", "the prefix nope: is not declared"},
		{"SELECT ?x { <relative> ?y ?x }", "relative, and there is no base"},
		{"SELECT { ?x ?y ?z }", "expected * or variables"},
		{"SELECT ?x { ?x ?y }", "expected an object"},
		{"SELECT ?x { ?x }", "expected a predicate"},
		{"SELECT ?x { 'a' ?y ?z }", "a literal cannot be a subject"},
		{"SELECT ?x { ?x 'a' ?z }", "expected a predicate"},
		{"SELECT ?x { ?x ?y ?z", "found the end"},
		{"SELECT ?x { ?x ?y ?z } }", "expected the end of the query"},
		{"SELECT ?x { ?x ?y ?z } LIMIT -1", "whole number"},
		{"SELECT ?x { ?x ?y ?z } LIMIT 99999999999999999999", "whole number"},
		{"SELECT ?x { ?x ?y ?z } LIMIT ?x", "whole number"},
		{"SELECT ?x { ?x ?y ?z } ORDER BY", "what to order by"},
		{"SELECT ?x { ?x ?y ?z FILTER }", "expected ( or a function"},
		{"SELECT ?x { ?x ?y ?z FILTER(now() > 1) }", "one of the functions served"},
		{"SELECT ?x { ?x ?y ?z FILTER(regex(?z)) }", "REGEX takes 2 to 3 arguments"},
		{"SELECT ?x { ?x ?y ?z FILTER(bound(1)) }", "BOUND takes a variable"},
		{"SELECT ?x { ?x ?y ?z FILTER(regex(?z, '(')) }", "not understood"},
		{"SELECT ?x { ?x ?y ?z FILTER(regex(?z, '(a)\\\\1')) }", "not understood"},
		{"SELECT ?x { ?x ?y ?z FILTER(regex(?z, 'a', 'x')) }", "flags of REGEX"},
		{"SELECT ?x { ?x ?y ?z FILTER(regex(?z, '" + deep("a", 257) + "')) }", "longer than"},
		{"SELECT ?x { ?x ?y ?z FILTER(regex(?z, 'a{999}b{999}c{999}')) }", "too large"},
		{"SELECT ?x { ?x ?y ?z FILTER(<x:f>(?z)) }", "casts and functions"},
		{"SELECT ?x { ?x ?y ?z FILTER(1 < 2 < 3) }", "expected )"},
		{"SELECT ?x { _:a ?y ?z OPTIONAL { _:a ?x ?z } }", "used in two groups"},
		{"SELECT ?x " + deep("{", 33) + deep("}", 33), "nested more than 32 deep"},
		{"SELECT ?x { FILTER(" + deep("(", 33) + "1" + deep(")", 33) + ") }", "nested"},
		{"SELECT ?x { FILTER(" + deep("!", 33) + "1) }", "nested"},
		{"SELECT ?x { " + deep("[ a ", 33) + "1", "nested"},
		{"SELECT ?x { FILTER(" + deep("1+", 200) + "1) }", "more than 200 parts"},
		{"SELECT ?x { " + deep("?x ?y ?z .", 65) + "}", "more than 64 triple patterns"},
		{"SELECT ?x { ?x ?y ?z }" + deep(" ", 16<<10), "at most 16384 are read"},
		{"SELECT ?x { ?x ?y \"\xff\" }", "UTF-8"},
		{"SELECT ?x { ?x ?y 'a }", "not closed"},
		{"SELECT ?x { ?x ?y \u202e }", "no meaning here"},
	} {
		_, err := Parse(c.query, Limits{})
		if err == nil || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%.80q: %v, want ..%s..", c.query, err, c.say)
		}
		if at := new(lexer.Error); !errors.As(err, &at) {
			t.Errorf("%.80q: the error has no place: %v", c.query, err)
		}
	}
}
