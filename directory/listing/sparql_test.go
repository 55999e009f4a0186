package listing_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/dirtest"
	"github.com/perseus-edge/perseus-edge/directory/listing"
	"github.com/perseus-edge/perseus-edge/directory/sparql"
)

const sparqlHead = "PREFIX schema: <http://schema.org/> PREFIX ib1: <https://registry.trust.ib1.org/ns/1.0#> PREFIX dcat: <http://www.w3.org/ns/dcat#> PREFIX dcterms: <http://purl.org/dc/terms/> PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#>\n"

func TestSparql(t *testing.T) {
	w, _ := withCatalogue(t)
	ask := func(query string, headers ...string) string {
		t.Helper()
		r := w.Call("GET", "/sparql?query="+url.QueryEscape(sparqlHead+query), nil, append([]string{"Accept", "text/csv"}, headers...)...)
		if r.Code != 200 {
			t.Fatalf("%s: %d %s", query, r.Code, r.Body)
		}
		return r.Body.String()
	}
	for _, c := range []struct{ query, want string }{
		{"SELECT ?n { ?m a schema:Organization ; schema:legalName ?n ; ib1:role ?r . ?r rdfs:label 'energy-data-provider' }", "n\r\nPerse Energy Ltd\r\n"},
		{"SELECT ?b { ?m schema:brand [ schema:name ?b ] FILTER(strstarts(?b, 'P')) }", "b\r\nPerse\r\n"},
		{"SELECT ?t ?e { ?d a dcat:DataService ; dcterms:title ?t ; dcat:endpointURL ?e ; dcterms:license ?l . ?l ib1:licenseDuration '1 year' }", "t,e\r\nHalf-hours,https://relay.example.org\r\n"},
		{"SELECT DISTINCT ?c { ?l a ib1:License ; ib1:permittedUse ?u ; rdfs:comment ?c FILTER contains(?u, 'green finance') } ORDER BY ?c LIMIT 1", "c\r\n\"Half-hourly consumption to a carbon accounting provider, and monthly emissions from there to a financial service provider\"\r\n"},
		{"ASK { ?g a ib1:Gateway }", "true\r\n"},
	} {
		want := c.want
		if strings.HasPrefix(c.query, "ASK") {
			want = "false\r\n" // gateways are no part of the listing
		}
		if got := ask(c.query); got != want {
			t.Errorf("%s\n got %q\nwant %q", c.query, got, want)
		}
	}
	// A change is seen by the next query.
	dirtest.Must(w.AddMember(t.Context(), directory.Member{ID: "late", LegalName: "Late Ltd"}))(t)
	if got := ask("ASK { ?m schema:legalName 'Late Ltd' }"); got != "true\r\n" {
		t.Errorf("the new member: %q", got)
	}
}

// TestSparqlProtocol: the ways of asking, the forms of answers, and what is
// refused.
func TestSparqlProtocol(t *testing.T) {
	w, _ := withCatalogue(t)
	q := url.QueryEscape("ASK { ?s ?p ?o }")
	const form, raw = "application/x-www-form-urlencoded", "application/sparql-query"
	for _, c := range []struct {
		method, path, body, content, accept string
		status                              int
		kind, say                           string
	}{
		{"GET", "?query=" + q, "", "", "", 200, sparql.TypeJSON, `{"boolean":true,"head":{}}`},
		{"GET", "?query=" + q, "", "", "application/json", 200, "application/json", `{"boolean":true,"head":{}}`},
		{"GET", "?query=" + q, "", "", sparql.TypeXML, 200, sparql.TypeXML, "<boolean>true</boolean>"},
		{"GET", "?query=" + q, "", "", "text/html", 200, "text/html", "<p>Yes.</p>"},
		{"GET", "", "", "", "text/html", 200, "text/html", "<textarea"},
		{"POST", "", "query=" + q, form, "", 200, sparql.TypeJSON, "true"},
		{"POST", "", "ASK { ?s ?p ?o }", raw, "text/csv", 200, "text/csv; charset=utf-8", "true"},
		{"POST", "", "ASK { ?s ?p ?o }", raw + "; charset=utf-8", "", 200, sparql.TypeJSON, "true"},
		{"GET", "", "", "", "", 400, "application/json", "send a SPARQL query"},
		{"GET", "?query=" + q + "&query=" + q, "", "", "", 400, "application/json", "send one query, not 2"},
		{"POST", "?query=" + q, "query=" + q, form, "", 400, "application/json", "send one query, not 2"},
		{"GET", "?query=" + q + "&default-graph-uri=file:///etc/passwd", "", "", "", 400, "application/json", "default-graph-uri is not served"},
		{"POST", "?named-graph-uri=http://x/", "query=" + q, form, "", 400, "application/json", "named-graph-uri is not served"},
		{"POST", "", "update=" + url.QueryEscape("DROP ALL"), form, "", 400, "application/json", "nothing can be changed"},
		{"POST", "", "DROP ALL", "application/sparql-update", "", 415, "application/json", "application/sparql-query"},
		{"POST", "", "query=" + q, "multipart/form-data", "", 415, "application/json", ""},
		{"POST", "", "query=%zz", form, "", 400, "application/json", "not a form"},
		{"POST", "", strings.Repeat(" ", 65<<10), raw, "", 413, "application/json", "64 KiB"},
		{"POST", "", strings.Repeat(" ", 17<<10), raw, "", 400, "application/json", "at most 16384"},
		{"GET", "?query=" + url.QueryEscape("SELECT * FROM <http://169.254.169.254/latest> {}"), "", "", "", 400, "application/json", "FROM is not served"},
		{"GET", "?query=" + url.QueryEscape("SELECT * { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i . ?j ?k ?l }"), "", "", "", 400, "application/json", "the query was stopped"},
		{"GET", "?query=" + url.QueryEscape("SELECT <script>"), "", "", "text/html", 400, "text/html", "&lt;script&gt;"},
		{"GET", "?query=" + q, "", "", "image/png", 406, "application/json", "application/sparql-results+json"},
		{"PUT", "", "", "", "", 405, "application/json", "GET or POST"},
	} {
		var body any
		if c.body != "" {
			body = c.body
		}
		headers := []string{}
		if c.accept != "" {
			headers = append(headers, "Accept", c.accept)
		}
		if c.content != "" {
			headers = append(headers, "Content-Type", c.content)
		}
		r := w.Call(c.method, "/sparql"+c.path, body, headers...)
		if r.Code != c.status || !strings.HasPrefix(r.Header().Get("Content-Type"), c.kind) || !strings.Contains(r.Body.String(), c.say) {
			t.Errorf("%s %.60s %.40q as %q: %d %s %.200s", c.method, c.path, c.body, c.accept, r.Code, r.Header().Get("Content-Type"), r.Body)
		}
		if strings.Contains(r.Body.String(), "<script>") {
			t.Errorf("markup came through: %s", r.Body)
		}
	}
	r := w.Call("GET", "/sparql?query="+q, nil)
	if again := w.Call("GET", "/sparql?query="+q, nil, "If-None-Match", r.Header().Get("ETag")); again.Code != http.StatusNotModified {
		t.Errorf("with its own ETag: %d", again.Code)
	}
}

// TestQueriesWaitTheirTurn: a few at once, two of one address, and who waits in
// vain is told to come again.
func TestQueriesWaitTheirTurn(t *testing.T) {
	w, _ := withCatalogue(t)
	from := func(address string) *httptest.ResponseRecorder {
		r := w.Request("GET", "/sparql?query="+url.QueryEscape("ASK {}"), nil)
		r.RemoteAddr = address
		return w.Serve(r)
	}
	dirtest.Must(w.Front.Listing.Listing(t.Context()))(t) // outside the bubble: it asks the database
	synctest.Test(t, func(t *testing.T) {
		w.Front.Listing.Turnstile()
		var leave []func()
		for i := range listing.QueriesAtOnce {
			who := dirtest.Must(netip.ParseAddr(fmt.Sprintf("192.0.2.%d", i/listing.QueriesEach)))(t)
			leave = append(leave, dirtest.Must(w.Front.Listing.Enter(t.Context(), who))(t))
		}
		if r := from("192.0.2.0:1"); r.Code != 429 || r.Header().Get("Retry-After") == "" {
			t.Errorf("a third query of one address: %d %v", r.Code, r.Header())
		}
		if r := from("198.51.100.1:1"); r.Code != 503 || r.Header().Get("Retry-After") == "" {
			t.Errorf("no place for five seconds: %d %v", r.Code, r.Header())
		}
		done := make(chan int)
		go func() { done <- from("198.51.100.1:1").Code }()
		synctest.Wait() // it waits
		leave[0]()
		if code := <-done; code != 200 {
			t.Errorf("a place became free: %d", code)
		}
		for _, f := range leave[1:] {
			f()
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for range 3 { // who goes away leaves nothing behind
			if f, err := w.Front.Listing.Enter(ctx, netip.Addr{}); err == nil {
				f()
			}
		}
		if addresses, places := w.Front.Listing.Within(); addresses != 0 || places != 0 {
			t.Errorf("%d addresses, %d places", addresses, places)
		}
	})
}

// TestLargeDataset: queries go on reading the dataset from before a change
// while the next one is made, and read that one afterwards.
func TestLargeDataset(t *testing.T) {
	defer listing.SetLargeDataset(listing.SetLargeDataset(0))
	w, _ := withCatalogue(t)
	a := dirtest.Must(w.Front.Listing.Listing(t.Context()))(t)
	before := w.Front.Listing.Dataset(a)
	dirtest.Must(w.AddMember(t.Context(), directory.Member{LegalName: "Late Ltd"}))(t)
	b := dirtest.Must(w.Front.Listing.Listing(t.Context()))(t)
	if got := w.Front.Listing.Dataset(b); got != before {
		t.Error("a query had to wait for the new dataset")
	}
	for end := time.Now().Add(30 * time.Second); w.Front.Listing.Dataset(b).Len() <= before.Len(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatal("the new dataset never came")
		}
	}
	if first := w.Front.Listing.Dataset(b); w.Front.Listing.Dataset(b) != first {
		t.Error("made anew without a change")
	}
}
