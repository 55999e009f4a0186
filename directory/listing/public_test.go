package listing_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/dirtest"
	"github.com/perseus-edge/perseus-edge/directory/rdf"
	"github.com/perseus-edge/perseus-edge/directory/registry"
	"github.com/perseus-edge/perseus-edge/directory/server"
)

// withCatalogue is a world with the sandbox's terms and hostile names.
func withCatalogue(t *testing.T) (w *dirtest.World, service directory.DataService) {
	t.Helper()
	w = dirtest.New(t, "sqlite:"+filepath.Join(t.TempDir(), "d.db"))
	w.ServeAs(t, server.Config{Terms: dirtest.Must(registry.BuiltIn(w.Scheme))(t)})
	service = dirtest.Must(w.AddDataService(t.Context(), directory.DataService{Application: w.ProviderApp.ID, Title: "Half-hours", ConformsTo: w.Scheme.StandardConsumption(),
		Endpoint: "https://relay.example.org", OAuthIssuer: "https://auth.example.org", Assurance: "https://registry.trust.ib1.org/dataset-assurance-level/Level2"}))(t)
	m := dirtest.Must(w.AddMember(t.Context(), directory.Member{LegalName: `Caffè "Roma" & <Söhne> \ 日本`, BrandName: "'''Roma'''"}))(t)
	dirtest.Must(w.AddApplication(t.Context(), directory.Application{Member: m.ID, Name: "]]> &amp; {}", HomePage: `https://x.example/"><script>{|}^`}))(t)
	return w, service
}

// TestRdflibReadsTheListing: every public thing, in the three forms of RDF,
// holds the same triples for an independent parser, and as many as we meant.
func TestRdflibReadsTheListing(t *testing.T) {
	python := os.Getenv("PERSEUS_PEERS_PYTHON")
	if python == "" {
		python = filepath.Join("..", ".peers", "python", "bin", "python")
	}
	if out, err := exec.Command(python, "-c", "import rdflib").CombinedOutput(); err != nil {
		t.Skipf("no Python with rdflib: run make peers (%v %.200s)", err, strings.TrimSpace(string(out)))
	}
	w, service := withCatalogue(t)
	paths := []string{"/catalog", "/d/" + service.ID}
	l := dirtest.Must(w.Front.Listing.Listing(t.Context()))(t)
	for id, m := range l.Members() {
		paths = append(paths, "/m/"+id)
		for _, a := range m.Applications {
			paths = append(paths, "/a/"+a.ID)
		}
	}
	type document struct {
		Format string `json:"format"`
		Text   string `json:"text"`
	}
	var sets [][]document
	var counts []int
	add := func(serve http.Handler, address string) {
		var set []document
		for format, kind := range map[string]string{"turtle": rdf.TypeTurtle, "json-ld": rdf.TypeJSONLD, "xml": rdf.TypeXML} {
			r := httptest.NewRequest("GET", address, nil)
			r.Header.Set("Accept", kind)
			rec := httptest.NewRecorder()
			serve.ServeHTTP(rec, r)
			if rec.Code != 200 || !strings.HasPrefix(rec.Header().Get("Content-Type"), kind) {
				t.Fatalf("%s as %s: %d %s", address, kind, rec.Code, rec.Body)
			}
			if kind == rdf.TypeTurtle {
				counts = append(counts, dirtest.Must(rdf.ReadTurtle(rec.Body.String(), "", rdf.Limits{}))(t).Len())
			}
			set = append(set, document{format, rec.Body.String()})
		}
		sets = append(sets, set)
	}
	for _, p := range paths {
		add(w.Front.Handler(), p)
	}
	for _, u := range append(w.Front.Terms.URLs(), w.Scheme.Registry()+"/") {
		add(w.Front.Terms.Handler(), u)
	}
	cmd := exec.Command(python, filepath.Join("..", "rdf", "testdata", "same.py"))
	cmd.Stdin = bytes.NewReader(dirtest.Must(json.Marshal(sets))(t))
	out, err := cmd.Output()
	var answers []struct {
		Triples int
		Same    bool
		Error   string
	}
	if err == nil {
		err = json.Unmarshal(out, &answers)
	}
	if err != nil || len(answers) != len(sets) {
		t.Fatalf("%v: %d answers for %d things", err, len(answers), len(sets))
	}
	for i, a := range answers {
		if !a.Same || a.Triples != counts[i] || a.Triples == 0 {
			t.Errorf("%+v, %d triples for us:\n%s\n%s\n%s", a, counts[i], sets[i][0].Text, sets[i][1].Text, sets[i][2].Text)
		}
	}
}

// TestCatalogueEntry: data-catalog-records 1.0, from what the member entered
// and what the registry demands.
func TestCatalogueEntry(t *testing.T) {
	w, service := withCatalogue(t)
	// The registry's descriptions of the APIs, with the hash of what is there.
	described := func(api string) string {
		address := "https://registry.example.org/scheme/perseus/api/" + api + "@2026-03-12.json"
		rec := httptest.NewRecorder()
		w.Front.Terms.Handler().ServeHTTP(rec, httptest.NewRequest("GET", address, nil))
		if rec.Code != 200 {
			t.Fatalf("%s: %d", address, rec.Code)
		}
		return address + "#" + registry.Hash(rec.Body.String())
	}
	text := w.Call("GET", "/d/"+service.ID, nil, "Accept", "text/turtle").Body.String()
	want := `@prefix dcat: <http://www.w3.org/ns/dcat#> .
@prefix dcterms: <http://purl.org/dc/terms/> .
@prefix ib1: <https://registry.trust.ib1.org/ns/1.0#> .

<` + dirtest.Base + "/d/" + service.ID + `>
    a dcat:DataService ;
    dcterms:title "Half-hours" ;
    dcterms:publisher <` + dirtest.Base + "/m/" + w.Provider.ID + `> ;
    dcterms:conformsTo <https://registry.example.org/scheme/perseus/standard/energy-consumption-data/2026-03-12> ;
    dcat:endpointURL <https://relay.example.org> ;
    ib1:oauthIssuer <https://auth.example.org> ;
    ib1:datasetAssurance <https://registry.trust.ib1.org/dataset-assurance-level/Level2> ;
    ib1:trustFramework <https://registry.example.org/trust-framework> ;
    ib1:scheme <https://registry.example.org/scheme/perseus> ;
    dcat:endpointDescription <` + described("consumption-data") + `> ;
    ib1:heartbeatDescription <` + described("heartbeat") + `> ;
    dcterms:license <https://registry.example.org/scheme/perseus/license/energy-consumption-edp-cap/2026-03-12> ;
    ib1:sensitivityClass <https://registry.trust.ib1.org/sensitivity-class/IB1-SP> ;
    ib1:roleRequiredToAccess <https://registry.example.org/scheme/perseus/role/carbon-accounting-provider> .
`
	if text != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
	if d := dirtest.Answer(t, w.Call("GET", "/d/"+service.ID, nil), 200); d["datasetAssurance"] != service.Assurance || d["oauthIssuer"] != service.OAuthIssuer {
		t.Errorf("%v", d)
	}
	v := dirtest.Answer(t, w.Call("GET", "/a/"+w.ProviderApp.ID, nil), 200)
	if fmt.Sprint(v["dataServices"]) != "["+dirtest.Base+"/d/"+service.ID+"]" {
		t.Errorf("the application does not show its services: %v", v)
	}
}

// TestAllowlist: the form of the specification, and its headers.
func TestAllowlist(t *testing.T) {
	w, _ := withCatalogue(t)
	r := w.Call("GET", "/allowlist/trust-framework", nil)
	want := `{"ib1:allowlist":"1.0","allowlistFor":"https://registry.example.org/trust-framework","lastUpdated":"2026-11-22T09:30:00Z","allowed":["auth.example.org","messages.perse.example.com","relay.example.org"]}` + "\n"
	if r.Body.String() != want || r.Header().Get("Cache-Control") != "public, max-age=300" || r.Header().Get("ETag") == "" {
		t.Errorf("%v\n%s", r.Header(), r.Body)
	}
	if v := dirtest.Answer(t, w.Call("GET", "/allowlist/scheme/perseus", nil), 200); v["allowlistFor"] != w.Scheme.URL() {
		t.Errorf("%v", v)
	}
	empty := dirtest.New(t, "sqlite:"+filepath.Join(t.TempDir(), "d.db"))
	dirtest.Must(empty.DB.Exec(`UPDATE directory_applications SET message_delivery = ''`))(t)
	if b := empty.Call("GET", "/allowlist/trust-framework", nil).Body.String(); !strings.Contains(b, `"allowed":[]`) {
		t.Errorf("no servers: %s", b)
	}
}

// TestPublicPaths: there is one address for each thing, and no way around.
func TestPublicPaths(t *testing.T) {
	w, _ := withCatalogue(t)
	id := w.Provider.ID
	for path, want := range map[string]int{
		"/m/" + id: 200, "/m/" + id + "/": 404, "/m/": 404, "/m": 404, "/m/" + strings.ToUpper(id): 404, "/m/%2e%2e/m/" + id: 404, "/m/" + id + "%00": 404,
		"/m/" + id + "%2f..%2f..": 404, "/m//" + id: 307, "/m/../m/" + id: 307, "/m/" + url.PathEscape("' OR 1=1 --"): 404, "/d/nothing": 404, "/a/nothing": 404,
		"/allowlist/": 404, "/allowlist/scheme/other": 404, "/catalog/": 404, "/sparql/": 404, "/m/" + strings.Repeat("x", 10_000): 404,
	} {
		r := w.Call("GET", path, nil)
		if r.Code != want && (want != 307 || r.Code/100 != 3) {
			t.Errorf("%.80s: %d, want %d", path, r.Code, want)
		}
		if strings.Contains(r.Body.String(), "sql") || strings.Contains(r.Header().Get("Location"), "//m") {
			t.Errorf("%.80s: %s %v", path, r.Body, r.Header())
		}
	}
	// HEAD has the headers of GET and no body.
	get, head := w.Call("GET", "/m/"+id, nil, "Accept", "text/turtle"), w.Call("HEAD", "/m/"+id, nil, "Accept", "text/turtle")
	if head.Code != 200 || head.Body.Len() > 0 || head.Header().Get("ETag") != get.Header().Get("ETag") || head.Header().Get("Content-Length") != fmt.Sprint(get.Body.Len()) {
		t.Errorf("HEAD: %d, %v, %d bytes", head.Code, head.Header(), head.Body.Len())
	}
	for _, accept := range []string{"image/png", "text/turtle;q=0", ";;;", strings.Repeat("a/b,", 10_000)} {
		if r := w.Call("GET", "/m/"+id, nil, "Accept", accept); r.Code != 406 || r.Header().Get("Vary") != "Accept" {
			t.Errorf("Accept %.40q: %d %v", accept, r.Code, r.Header())
		}
	}
}
