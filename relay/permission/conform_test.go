package permission_test

import (
	"encoding/json"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/perseus-edge/perseus-edge/relay/openapi"
)

var document = sync.OnceValues(func() (*openapi3.T, error) {
	b, err := openapi.Document("https://people.example", "https://programs.example")
	if err != nil {
		return nil, err
	}
	return openapi3.NewLoader().LoadFromData(b)
})

// conform holds every answer that these tests get against the OpenAPI document:
// its status, its type, its headers and its body are stated there. Addresses
// that are not in the document (the tests' own resource, a service below a
// path) and methods that it does not have are passed over.
func conform(t testing.TB, r *http.Request, a answer) {
	t.Helper()
	doc, err := document()
	must(t, err)
	path := r.URL.Path
	if strings.HasPrefix(path, "/evidence/") {
		path = "/evidence/{key}"
	}
	item := doc.Paths.Value(path)
	if item == nil || item.GetOperation(r.Method) == nil {
		return
	}
	stated := item.GetOperation(r.Method).Responses.Value(strconv.Itoa(a.Status))
	if stated == nil {
		t.Errorf("%s %s: the document does not state %d: %s", r.Method, path, a.Status, a.Body)
		return
	}
	for name, h := range stated.Value.Headers {
		if h.Value.Required && a.Header.Get(name) == "" {
			t.Errorf("%s %s: %d without %s", r.Method, path, a.Status, name)
		}
		if v := a.Header.Get(name); v != "" && h.Value.Schema.Value.VisitJSON(v, openapi3.EnableJSONSchema2020()) != nil {
			t.Errorf("%s %s: %d with %s: %s", r.Method, path, a.Status, name, v)
		}
	}
	if len(stated.Value.Content) == 0 {
		return
	}
	mt, _, err := mime.ParseMediaType(a.Header.Get("Content-Type"))
	content := stated.Value.Content[mt]
	if err != nil || content == nil {
		t.Errorf("%s %s: %d as %q", r.Method, path, a.Status, a.Header.Get("Content-Type"))
		return
	}
	if mt != "application/json" {
		return
	}
	var v any
	if err := json.Unmarshal([]byte(a.Body), &v); err != nil {
		t.Errorf("%s %s: %d: %v: %s", r.Method, path, a.Status, err, a.Body)
		return
	}
	if err := content.Schema.Value.VisitJSON(v, openapi3.EnableJSONSchema2020(), openapi3.MultiErrors()); err != nil {
		t.Errorf("%s %s: %d: %v\n%s", r.Method, path, a.Status, err, a.Body)
	}
}
