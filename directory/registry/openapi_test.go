package registry

import (
	"encoding/json"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/perseus-edge/perseus-edge/directory/rdf"
)

var apiName = regexp.MustCompile(`^https://registry\.example\.org/scheme/perseus/api/([a-z0-9-]+)@([0-9-]+)\.json$`)

// TestAPIDescriptions: each is OpenAPI, is named as it says, leaves open where
// the API is, and can be had at the address that the standards give, hash and
// all.
func TestAPIDescriptions(t *testing.T) {
	terms := builtIn(t, "https://registry.example.org")
	pointed := map[string]bool{}
	for _, predicate := range []string{"dcat:endpointDescription", "ib1:heartbeatDescription"} {
		for _, x := range terms.all.Triples() {
			if x.P.Value == rdf.Expand(predicate) {
				address, hash, _ := strings.Cut(x.O.Value, "#")
				pointed[address] = true
				w := httptest.NewRecorder()
				terms.Handler().ServeHTTP(w, httptest.NewRequest("GET", address, nil))
				if w.Code != 200 || w.Header().Get("Content-Type") != "application/json" || Hash(w.Body.String()) != hash || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
					t.Errorf("%s: %d %v, hash %s", x.O.Value, w.Code, w.Header(), Hash(w.Body.String()))
				}
			}
		}
	}
	n := 0
	for address, text := range terms.texts {
		name := apiName.FindStringSubmatch(address)
		if name == nil {
			continue
		}
		n++
		doc, err := openapi3.NewLoader().LoadFromData([]byte(text))
		if err != nil {
			t.Fatalf("%s: %v", address, err)
		}
		if err := doc.Validate(t.Context()); err != nil {
			t.Errorf("%s: %v", address, err)
		}
		if doc.Info.Version != name[2] || doc.Info.Extensions["x-ib1-registry-label"] != name[1] {
			t.Errorf("%s says that it is %v %s", address, doc.Info.Extensions, doc.Info.Version)
		}
		if len(doc.Servers) != 1 || doc.Servers[0].URL != "{endpointURL}" || doc.Servers[0].Variables["endpointURL"].Default != "https://endpointurl-not-specified.ib1.org" {
			t.Errorf("%s: its server is not the one that data-catalog-records prescribes", address)
		}
		if !pointed[address] {
			t.Errorf("%s: no standard points to it", address)
		}
	}
	if n != 3 {
		t.Errorf("%d descriptions", n)
	}
}

// schemaOf is the schema of an answer.
func schemaOf(t *testing.T, terms *Terms, api, path, status string) *openapi3.Schema {
	t.Helper()
	text := terms.texts["https://registry.example.org/scheme/perseus/api/"+api+"@2026-03-12.json"]
	doc := must(openapi3.NewLoader().LoadFromData([]byte(text)))(t)
	return doc.Paths.Find(path).Get.Responses.Value(status).Value.Content["application/json"].Schema.Value
}

// TestAPIDescriptionsHold: what the scheme's manuals give as answers passes, and
// what breaks the scheme's rules does not.
func TestAPIDescriptionsHold(t *testing.T) {
	terms := builtIn(t, "https://registry.example.org")
	const (
		sources  = `{"data":[{"id":"S018011","type":"electricity","location":{"ukPostcodeOutcode":"CF99"},"availableMeasures":["import","export"]}]}`
		readings = `{"data":[{"type":"electricity","from":"2026-09-01T00:00:00Z","to":"2026-09-01T00:30:00Z","takenAt":"2026-09-01T00:31:12Z","energy":{"value":0.25,"unitCode":"KWH"},"cumulative":{"value":1245.5,"unitCode":"KWH"}}],"location":{"ukPostcodeOutcode":"SW8"},"provenance":{"ib1:provenance":"https://registry.example.org/trust-framework","steps":[],"certificates":{}}}`
		months   = `{"data":[{"type":"electricity","from":"2026-08-01T00:00:00Z","to":"2026-09-01T00:00:00Z","takenAt":"2026-09-02T08:59:12Z","emissions":{"value":344.279,"unitCode":"KGM"}}],"provenance":{"ib1:provenance":"https://registry.example.org/trust-framework","steps":[],"certificates":{}}}`
		beat     = `{"status":"ok","timestamp":"2026-09-01T00:00:00Z"}`
	)
	for _, x := range []struct{ api, path, good, bad string }{
		{"consumption-data", "/datasources", sources, strings.Replace(sources, `"CF99"`, `"CF99 1NA"`, 1)}, // a whole postcode
		{"consumption-data", "/datasources", `{"data":[]}`, `{"data":null}`},
		{"consumption-data", "/datasources/{id}/{measure}", readings, strings.Replace(readings, `"value":0.25`, `"value":-1`, 1)},
		{"consumption-data", "/datasources/{id}/{measure}", readings, strings.Replace(readings, "00:31:12Z", "00:31:12+01:00", 1)},
		{"consumption-data", "/datasources/{id}/{measure}", readings, strings.Replace(readings, "KWH", "MWH", 1)},
		{"consumption-data", "/datasources/{id}/{measure}", readings, strings.Replace(readings, `"location"`, `"place"`, 1)},
		{"emissions-data", "/emissions", months, strings.Replace(months, "2026-08-01T", "2026-08-15T", 1)}, // not a whole month
		{"emissions-data", "/emissions", months, strings.Replace(months, "KGM", "TNE", 1)},
		{"heartbeat", "/heartbeat", beat, strings.Replace(beat, "ok", "maybe", 1)},
	} {
		schema := schemaOf(t, terms, x.api, x.path, "200")
		for text, want := range map[string]bool{x.good: true, x.bad: false} {
			var v any
			if err := json.Unmarshal([]byte(text), &v); err != nil {
				t.Fatal(err)
			}
			if err := schema.VisitJSON(v, openapi3.EnableFormatValidation()); (err == nil) != want {
				t.Errorf("%s%s: %v for %s", x.api, x.path, err, text)
			}
		}
	}
}
