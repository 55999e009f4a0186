package registry

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/directory/rdf"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
)

var update = flag.Bool("update", false, "add what is new to testdata/published.txt")

func builtIn(t testing.TB, base string) *Terms {
	t.Helper()
	return must(BuiltIn(must(scheme.New(base))(t)))(t)
}

// lifecycleTerms are what registry-versioning lets change about a version.
var lifecycleTerms = []string{rdf.Expand("ib1:deprecatedAfter"), rdf.Expand("ib1:prohibitedAfter"), rdf.Expand("ib1:hasCurrentVersion"), rdf.Expand("ib1:registryChange")}

// TestPublishedNeverChanges: the hash of everything that was ever published is
// in testdata/published.txt. A line there may never change: to say something
// else, publish another version, and run the test with -update.
func TestPublishedNeverChanges(t *testing.T) {
	terms := builtIn(t, "https://registry.example.org")
	now := map[string]string{}
	for url, g := range terms.resources {
		fixed := &rdf.Graph{}
		for _, x := range g.Triples() {
			if !slices.Contains(lifecycleTerms, x.P.Value) {
				fixed.Add(x.S, x.P.Value, x.O)
			}
		}
		now[url] = Hash(string(fixed.Turtle()))
	}
	for url, text := range terms.texts {
		now[url] = Hash(text)
	}
	b, err := os.ReadFile("testdata/published.txt")
	if err != nil && !*update {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(b)) {
		url, hash, _ := strings.Cut(strings.TrimSpace(line), " ")
		lines = append(lines, url+" "+hash)
		if now[url] == "" {
			t.Errorf("%s was published and is gone", url)
		} else if now[url] != hash {
			t.Errorf("%s was published and says something else now: publish a new version instead", url)
		}
		delete(now, url)
	}
	for url, hash := range now {
		if !*update {
			t.Errorf("%s is new: run this test with -update, and never change it again", url)
		}
		lines = append(lines, url+" "+hash)
	}
	if *update && !t.Failed() {
		slices.Sort(lines)
		if err := os.WriteFile("testdata/published.txt", []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestEveryTermOfTheScheme: whatever this software names has an entry.
func TestEveryTermOfTheScheme(t *testing.T) {
	terms := builtIn(t, "https://registry.example.org")
	sc := must(scheme.New("https://registry.example.org"))(t)
	names := append(sc.Licenses(), sc.TrustFramework(), sc.URL(), sc.Role(scheme.EDP), sc.Role(scheme.CAP), sc.Role(scheme.FSP),
		sc.StandardConsumption(), sc.StandardEmissions(), sc.ProcessElectricity(), sc.ProcessGas(), sc.SourceType("Meter"), sc.SourceType("GridCarbonIntensity"))
	for vocabulary, words := range map[string]string{"missing-data": "Complete Missing Substituted", "origin-method": "SmartDCCOtherUser Exact Derived",
		"origin-method-derived": "AreaOccupied NumberOfOccupants AdditionalMetering Other"} {
		for w := range strings.FieldsSeq(words) {
			names = append(names, sc.Assurance(vocabulary, w))
		}
	}
	for _, url := range names {
		if terms.resources[url] == nil {
			t.Errorf("%s has no entry", url)
		}
	}
	// What points into the registry arrives.
	for _, x := range terms.all.Triples() {
		address, hash, _ := strings.Cut(x.O.Value, "#")
		if x.O.Kind != rdf.IRI || !strings.HasPrefix(address, sc.Registry()) {
			continue
		}
		if text, ok := terms.texts[address]; ok && hash != Hash(text) || !ok && terms.resources[address] == nil {
			t.Errorf("%s points to %s, and there is nothing there", x.S.Value, x.O.Value)
		}
	}
	for _, url := range terms.order {
		types := terms.all.Objects(rdf.Ref(url), rdf.TypeIRI)
		for _, p := range []string{"rdfs:label", "rdfs:comment"} {
			if n := len(terms.all.Objects(rdf.Ref(url), rdf.Expand(p))); n != 1 || len(types) != 1 {
				t.Errorf("%s: %d of %s, %d types", url, n, p, len(types))
			}
		}
		for _, v := range terms.all.Objects(rdf.Ref(url), rdf.Expand("ib1:version")) {
			if !strings.HasSuffix(url, "/"+v.Value) {
				t.Errorf("%s has the version %s", url, v.Value)
			}
		}
	}
}

// TestServed: every resource in every form, the texts with their hash, and
// what a client of the scheme does with a licence.
func TestServed(t *testing.T) {
	for _, base := range []string{"https://registry.example.org", "https://directory.example.org/registry"} {
		terms := builtIn(t, base)
		get := func(url string, headers ...string) *httptest.ResponseRecorder {
			r := httptest.NewRequest("GET", url, nil)
			for i := 0; i+1 < len(headers); i += 2 {
				r.Header.Set(headers[i], headers[i+1])
			}
			w := httptest.NewRecorder()
			terms.Handler().ServeHTTP(w, r)
			return w
		}
		for _, url := range append(terms.URLs(), base+"/") {
			for _, kind := range []string{rdf.TypeTurtle, rdf.TypeJSONLD, rdf.TypeXML, rdf.TypeJSON, rdf.TypeHTML} {
				w := get(url, "Accept", kind)
				if w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), kind) || w.Header().Get("Vary") != "Accept" {
					t.Fatalf("%s as %s: %d %v", url, kind, w.Code, w.Header())
				}
				tag := w.Header().Get("ETag")
				if again := get(url, "Accept", kind, "If-None-Match", tag); tag == "" || again.Code != http.StatusNotModified || again.Body.Len() > 0 {
					t.Errorf("%s as %s: %d with its own ETag", url, kind, again.Code)
				}
			}
		}
		sc := must(scheme.New(base))(t)
		for _, url := range sc.Licenses() {
			var doc map[string]any
			if err := json.Unmarshal(get(url, "Accept", rdf.TypeJSONLD).Body.Bytes(), &doc); err != nil {
				t.Fatal(err)
			}
			address, hash, _ := strings.Cut(fmt.Sprint(doc["ib1:permissionText"].(map[string]any)["@id"]), "#")
			w := get(address)
			if w.Code != 200 || Hash(w.Body.String()) != hash || w.Header().Get("Content-Type") != "text/plain; charset=utf-8" || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
				t.Errorf("%s: %d, %v, hash %s for %s", address, w.Code, w.Header(), Hash(w.Body.String()), hash)
			}
			if terms.PermissionTexts()[url] != w.Body.String() {
				t.Errorf("%s: the relay would show other words", url)
			}
		}
	}
}

// TestPaths: there is one address for each thing, and no way around.
func TestPaths(t *testing.T) {
	terms := builtIn(t, "https://directory.example.org/registry")
	for path, want := range map[string]int{
		"/registry": 200, "/registry/": 200, "/registry/style.css": 200, "/registry/trust-framework": 200,
		"/": 404, "/trust-framework": 404, "/registry/trust-framework/": 404, "/registry//trust-framework": 404, "/registry/./trust-framework": 404,
		"/registry/x/../trust-framework": 404, "/registry/%74rust-framework": 404, "/registry/pages/page.html": 404, "/registry/terms/roles.ttl": 404,
		"/registry/../../../etc/passwd": 404, "/registryx": 404, "/registry/trust-framework%00": 404, "/registry/TRUST-FRAMEWORK": 404,
		"/registry/scheme/perseus/permission-text/emissions-cap-fsp@2026-03-12.txt":                                     200,
		"/registry/scheme/perseus/permission-text/emissions-cap-fsp@2026-03-12.txt/../emissions-cap-fsp@2026-03-12.txt": 404,
	} {
		r := httptest.NewRequest("GET", "https://directory.example.org"+path, nil)
		w := httptest.NewRecorder()
		terms.Handler().ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%s: %d, want %d", path, w.Code, want)
		}
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "TRACE"} {
		w := httptest.NewRecorder()
		terms.Handler().ServeHTTP(w, httptest.NewRequest(method, "https://directory.example.org/registry/", nil))
		if w.Code != 405 || w.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: %d", method, w.Code)
		}
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "https://directory.example.org/registry/", nil)
	r.Header.Set("Accept", "image/png")
	if terms.Handler().ServeHTTP(w, r); w.Code != 406 {
		t.Errorf("image/png: %d", w.Code)
	}
}
