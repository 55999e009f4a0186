package consumption

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// published is the registry's own document of this API. It is not ours to copy:
// make peers fetches it, and PERSEUS_CONSUMPTION_API may name another copy.
type published struct {
	doc  map[string]any
	used map[int]bool // of setAside
}

func readPublished(t *testing.T) *published {
	t.Helper()
	name := os.Getenv("PERSEUS_CONSUMPTION_API")
	if name == "" {
		name = filepath.Join("..", "..", ".peers", "registry", "consumption-data.json")
	}
	f, err := os.Open(name)
	if errors.Is(err, os.ErrNotExist) {
		t.Skipf("the registry's consumption-data document is not in %s: run make peers, or set PERSEUS_CONSUMPTION_API to a copy of it", name)
	} else if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	v, err := jsonschema.UnmarshalJSON(f)
	if err != nil {
		t.Fatal(err)
	}
	p := &published{doc: v.(map[string]any), used: map[int]bool{}}
	if version := p.find("info", "version"); version != "2026-03-12" {
		t.Fatalf("%s is of the version %v, want 2026-03-12", name, version)
	}
	return p
}

// find goes down the document; nil where a step is not there.
func (p *published) find(steps ...string) any {
	var at any = p.doc
	for _, step := range steps {
		m, _ := at.(map[string]any)
		at = m[step]
	}
	return at
}

// broken lists the clauses that a value breaks, as "clause at place".
func (p *published) broken(t *testing.T, schema any, v any) (found [][2]string) {
	t.Helper()
	ref, _ := schema.(map[string]any)["$ref"].(string)
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020) // what OpenAPI 3.1 builds upon
	c.AssertFormat()
	if err := c.AddResource("https://registry.example/api.json", p.doc); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("https://registry.example/api.json" + ref)
	if err != nil {
		t.Fatal(err)
	}
	var wrong *jsonschema.ValidationError
	if err := compiled.Validate(v); err == nil {
		return nil
	} else if !errors.As(err, &wrong) {
		t.Fatal(err)
	}
	var leaves func(*jsonschema.ValidationError)
	leaves = func(e *jsonschema.ValidationError) {
		for _, cause := range e.Causes {
			leaves(cause)
		}
		if len(e.Causes) > 0 {
			return
		}
		_, clause, _ := strings.Cut(e.SchemaURL, "#")
		clause += "/" + strings.Join(e.ErrorKind.KeywordPath(), "/")
		switch k := e.ErrorKind.(type) { // only the mistake that is named there
		case *kind.Required:
			clause += ":" + strings.Join(k.Missing, ",")
		case *kind.Type:
			clause += ":" + k.Got
		case *kind.Enum:
			clause += fmt.Sprint(":", k.Got)
		}
		found = append(found, [2]string{clause, "/" + strings.Join(e.InstanceLocation, "/")})
	}
	leaves(wrong)
	return found
}

// excused says whether a clause is set aside at this place of an answer.
func (p *published) excused(clause, at string) bool {
	for i, s := range setAside {
		if ok, _ := path.Match(s.at, at); ok && s.clause == clause {
			p.used[i] = true
			return true
		}
	}
	return false
}

// hold holds one answer against the document: its status is stated, and its
// body as it is stated.
func (p *published) hold(t *testing.T, route, name string, got *httptest.ResponseRecorder) {
	t.Helper()
	status := strconv.Itoa(got.Code)
	response := p.find("paths", route, "get", "responses", status)
	if response == nil {
		if !p.excused("/responses/"+status, "") {
			t.Errorf("%s: the document does not state %s: %s", name, status, got.Body)
		}
		return
	}
	if header, ok := response.(map[string]any)["headers"].(map[string]any); ok {
		for h := range header {
			if got.Header().Get(h) == "" {
				t.Errorf("%s: %s without %s", name, status, h)
			}
		}
	}
	content, ok := response.(map[string]any)["content"].(map[string]any)
	if !ok {
		return // the document states no body of errors
	}
	body := got.Body.Bytes()
	if got.Header().Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if body, err = io.ReadAll(z); err != nil {
			t.Fatal(err)
		}
	}
	form, ok := content[got.Header().Get("Content-Type")].(map[string]any)
	if !ok {
		t.Errorf("%s: %s as %q", name, status, got.Header().Get("Content-Type"))
		return
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range p.broken(t, form["schema"], v) {
		if !p.excused(b[0], b[1]) {
			t.Errorf("%s: %s breaks %s in %.300s", name, b[1], b[0], body)
		}
	}
}
