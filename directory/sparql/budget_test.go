package sparql

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestBudgets: a query that asks too much is stopped, by what it does, what it
// holds and how long it takes.
func TestBudgets(t *testing.T) {
	var b strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&b, "<http://d/%d> <http://d/p> %d .\n", i, i)
	}
	d := dataset(t, b.String())
	product := "SELECT * { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i }"
	for _, c := range []struct {
		query  string
		limits Limits
		say    string
	}{
		{product, Limits{Steps: 100_000}, "100000 steps"},
		{"ASK { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i FILTER(?c + ?f + ?i < 0) }", Limits{Steps: 100_000}, "100000 steps"},
		{product, Limits{Rows: 1000, Steps: 1e9}, "1000 rows"},
		{"SELECT DISTINCT ?c ?f { ?a ?b ?c . ?d ?e ?f }", Limits{Rows: 1000, Steps: 1e9}, "1000 rows"},
		{"SELECT ?c { ?a ?b ?c } ORDER BY ?c LIMIT 1", Limits{Rows: 1000}, "1000 rows"},
		{"SELECT ?c { ?a ?b ?c OPTIONAL { ?x ?y ?z { ?q ?r ?s FILTER(?c = 1) } } }", Limits{Steps: 10_000}, "10000 steps"},
		{product, Limits{Time: time.Nanosecond, Rows: 1e9, Steps: 1e9}, "1ns"},
		{"ASK { ?a ?b ?c FILTER regex(str(?a), '(.*)(.*)(.*)(.*)(.*)(.*)x$') }", Limits{Steps: 20_000}, "20000 steps"},
	} {
		q, err := Parse(c.query, c.limits)
		if err != nil {
			t.Fatal(err)
		}
		r, err := q.Run(t.Context(), d)
		if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%s: %v, %v", c.query, r, err)
		}
	}
	// A LIMIT makes the same question cheap: nothing is worked out in advance.
	q, err := Parse(product+" LIMIT 10", Limits{Steps: 1000})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := q.Run(t.Context(), d); err != nil || len(r.Rows) != 10 {
		t.Errorf("%v %v", r, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	q, _ = Parse(product, Limits{})
	if _, err := q.Run(ctx, d); !errors.Is(err, context.Canceled) {
		t.Errorf("the reader has gone, and the query ended with %v", err)
	}
}

func TestResults(t *testing.T) {
	d := dataset(t, `<http://d/s> <http://d/p> "a,\"b\"\n<&>", "c"@en, 5, [] . <http://d/s> <http://d/q> "" .`)
	run := func(query string) *Result {
		q, err := Parse(query, Limits{})
		if err != nil {
			t.Fatal(err)
		}
		r, err := q.Run(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	all := run("SELECT ?o ?none { <http://d/s> <http://d/p> ?o } ORDER BY ?o")
	for _, c := range []struct {
		name string
		got  []byte
		want string
	}{
		{"JSON", all.JSON(), `{"head":{"vars":["o","none"]},"results":{"bindings":[{"o":{"type":"bnode","value":"g1xb1"}},{"o":{"datatype":"http://www.w3.org/2001/XMLSchema#integer","type":"literal","value":"5"}},{"o":{"type":"literal","value":"c","xml:lang":"en"}},{"o":{"type":"literal","value":"a,\"b\"\n<&>"}}]}}` + "\n"},
		{"XML", all.XML(), `<?xml version="1.0" encoding="UTF-8"?>
<sparql xmlns="http://www.w3.org/2005/sparql-results#">
<head><variable name="o"/><variable name="none"/></head>
<results>
<result><binding name="o"><bnode>g1xb1</bnode></binding></result>
<result><binding name="o"><literal datatype="http://www.w3.org/2001/XMLSchema#integer">5</literal></binding></result>
<result><binding name="o"><literal xml:lang="en">c</literal></binding></result>
<result><binding name="o"><literal>a,&#34;b&#34;&#xA;&lt;&amp;&gt;</literal></binding></result>
</results>
</sparql>
`},
		{"CSV", all.CSV(), "o,none\r\n_:g1xb1,\r\n5,\r\nc,\r\n\"a,\"\"b\"\"\n<&>\",\r\n"},
		{"JSON of ASK", run("ASK {}").JSON(), `{"boolean":true,"head":{}}` + "\n"},
		{"XML of ASK", run("ASK { ?x ?x ?x }").XML(), `<?xml version="1.0" encoding="UTF-8"?>
<sparql xmlns="http://www.w3.org/2005/sparql-results#">
<head></head>
<boolean>false</boolean>
</sparql>
`},
		{"CSV of ASK", run("ASK {}").CSV(), "true\r\n"},
		{"JSON of nothing", run("SELECT ?x { ?x ?x ?x }").JSON(), `{"head":{"vars":["x"]},"results":{"bindings":[]}}` + "\n"},
		{"CSV of an empty text", run("SELECT ?o { ?s <http://d/q> ?o }").CSV(), "o\r\n\r\n"},
		{"CSV without columns", run("SELECT * { <http://d/s> <http://d/q> '' }").CSV(), "\r\n\r\n"},
	} {
		if string(c.got) != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, c.got, c.want)
		}
	}
}
