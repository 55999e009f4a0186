package registry

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/directory/rdf"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
)

// elsewhere is a registry on another machine, whose answers a test changes.
type elsewhere struct {
	*httptest.Server
	mu     sync.Mutex
	change func(w http.ResponseWriter, r *http.Request) bool // true: it has answered
	asked  []string
	terms  *Terms
	client *Client
	log    *bytes.Buffer
}

func newElsewhere(t *testing.T) *elsewhere {
	t.Helper()
	e := &elsewhere{log: &bytes.Buffer{}}
	e.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.mu.Lock()
		e.asked = append(e.asked, r.URL.Path)
		change := e.change
		e.mu.Unlock()
		if change == nil || !change(w, r) {
			e.terms.Handler().ServeHTTP(w, r)
		}
	}))
	t.Cleanup(e.Close)
	sc := must(scheme.New(e.URL + "/registry"))(t)
	e.terms = must(BuiltIn(sc))(t)
	e.client = &Client{Scheme: sc, Dir: t.TempDir() + "/kept", HTTP: e.Client(), Logger: slog.New(record.Handler(t, slog.NewTextHandler(e.log, nil))),
		Now: func() time.Time { return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) }}
	return e
}

func (e *elsewhere) answer(f func(w http.ResponseWriter, r *http.Request) bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.change = f
}

func must[T any](v T, err error) func(t testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// TestFetchAndKeep: the terms come from the registry, and stay when it is gone.
func TestFetchAndKeep(t *testing.T) {
	e := newElsewhere(t)
	terms := must(e.client.Load(t.Context()))(t)
	want := e.terms.PermissionTexts()
	check := func(terms *Terms) {
		t.Helper()
		got := terms.PermissionTexts()
		if len(want) != 3 || len(got) != 3 {
			t.Fatalf("%d texts, and %d at the registry", len(got), len(want))
		}
		for url, text := range want {
			if got[url] != text {
				t.Errorf("%s: %.60q", url, got[url])
			}
		}
		if d, ok := terms.Requirements(e.client.Scheme.StandardConsumption()); !ok || d[rdf.Expand("ib1:roleRequiredToAccess")][0].Value != e.client.Scheme.Role(scheme.CAP) {
			t.Errorf("requirements %v", d)
		}
	}
	check(terms)
	e.answer(func(w http.ResponseWriter, r *http.Request) bool { w.WriteHeader(503); return true })
	e.asked = nil
	check(must(e.client.Load(t.Context()))(t))
	if len(e.asked) != 1 {
		t.Errorf("a registry that is down was asked %d times", len(e.asked))
	}
	e.Close()
	e.asked = nil
	check(must(e.client.Load(t.Context()))(t))
	if !strings.Contains(e.log.String(), "using what was kept") {
		t.Errorf("nothing was said of it: %s", e.log)
	}
}

// TestNeverFetched: without the words of a licence there is no going on, and
// the error says which, and where nothing was found.
func TestNeverFetched(t *testing.T) {
	e := newElsewhere(t)
	e.Close()
	_, err := e.client.Load(t.Context())
	if err == nil || !strings.Contains(err.Error(), "does not answer") || !strings.Contains(err.Error(), "none is kept in "+e.client.Dir) {
		t.Errorf("%v", err)
	}
}

// TestATurtleRegistry: JSON-LD is asked for first, but Turtle will do.
func TestATurtleRegistry(t *testing.T) {
	e := newElsewhere(t)
	e.answer(func(w http.ResponseWriter, r *http.Request) bool {
		r.Header.Set("Accept", "text/turtle, text/plain")
		return false
	})
	if got := must(e.client.Load(t.Context()))(t).PermissionTexts(); len(got) != 3 {
		t.Errorf("%d texts", len(got))
	}
}

// TestRegistriesThatLie: what is wrong is not taken up, what was kept stays,
// and nothing is fetched from another host.
func TestRegistriesThatLie(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("the client went to another host: %s", r.URL)
	}))
	defer other.Close()
	license := "/registry/scheme/perseus/license/emissions-cap-fsp/2026-03-12"
	text := "/registry/scheme/perseus/permission-text/emissions-cap-fsp@2026-03-12.txt"
	instead := func(path, kind string, body func(e *elsewhere) string) func(e *elsewhere) func(http.ResponseWriter, *http.Request) bool {
		return func(e *elsewhere) func(http.ResponseWriter, *http.Request) bool {
			return func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path != path {
					return false
				}
				w.Header().Set("Content-Type", kind)
				w.Write([]byte(body(e)))
				return true
			}
		}
	}
	say := func(s string) func(*elsewhere) string { return func(*elsewhere) string { return s } }
	doc := func(more string) func(*elsewhere) string {
		return func(e *elsewhere) string {
			return `{"@context":{"ib1":"https://registry.trust.ib1.org/ns/1.0#"},"@id":"` + e.URL + license + `"` + more + `}`
		}
	}
	for _, c := range []struct {
		name, say string
		change    func(e *elsewhere) func(http.ResponseWriter, *http.Request) bool
	}{
		{"another text", "the text that came has the SHA-256", instead(text, "text/plain", say("Agree to everything!"))},
		{"no text", "answered 404", func(e *elsewhere) func(http.ResponseWriter, *http.Request) bool {
			return func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == text {
					w.WriteHeader(404)
				}
				return r.URL.Path == text
			}
		}},
		{"a text without a hash", "must end in # and the text's SHA-256", instead(license, rdf.TypeJSONLD, func(e *elsewhere) string {
			return doc(`,"ib1:permissionText":{"@id":"` + e.URL + text + `"}`)(e)
		})},
		{"a text elsewhere", "not an address of the registry", instead(license, rdf.TypeJSONLD, doc(`,"ib1:permissionText":{"@id":"`+other.URL+"/#"+Hash("x")+`"}`))},
		{"two texts", "2 permission texts", instead(license, rdf.TypeJSONLD, doc(`,"ib1:permissionText":[{"@id":"https://a/"},{"@id":"https://b/"}]`))},
		{"no words", "no permission text", instead(license, rdf.TypeJSONLD, doc(`,"@type":"ib1:License"`))},
		{"another subject", "says nothing of this address", instead(license, rdf.TypeJSONLD, say(`{"@id":"https://x/","https://p":1}`))},
		{"a context to fetch", "not fetched", instead(license, rdf.TypeJSONLD, func(*elsewhere) string { return `{"@context":"` + other.URL + `"}` })},
		{"not JSON", "not JSON", instead(license, rdf.TypeJSONLD, say("<html>"))},
		{"a page", "not as JSON-LD or Turtle", instead(license, "text/html", say("<html>"))},
		{"too much", "larger than", instead(license, rdf.TypeJSONLD, say(strings.Repeat(" ", maxResource+1)))},
		{"a redirect away", "away from the registry", func(e *elsewhere) func(http.ResponseWriter, *http.Request) bool {
			return func(w http.ResponseWriter, r *http.Request) bool {
				http.Redirect(w, r, other.URL, http.StatusFound)
				return true
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newElsewhere(t)
			e.answer(c.change(e))
			if _, err := e.client.Load(t.Context()); err == nil || !strings.Contains(err.Error(), c.say) {
				t.Errorf("taken up, or for another reason refused: %v", err)
			}
			// Where the true words were kept before, they stay in force.
			e.answer(nil)
			want := must(e.client.Load(t.Context()))(t).PermissionTexts()
			e.answer(c.change(e))
			got := must(e.client.Load(t.Context()))(t).PermissionTexts()
			if url := e.URL + license; got[url] == "" || got[url] != want[url] {
				t.Errorf("the words became %.60q", got[url])
			}
			if !strings.Contains(e.log.String(), "using what was kept") {
				t.Errorf("nothing was said of it: %s", e.log)
			}
		})
	}
}

// TestAVersionMustNotChange: a registry that puts other words, with their right
// hash, under the same version is not followed.
func TestAVersionMustNotChange(t *testing.T) {
	e := newElsewhere(t)
	license := e.client.Scheme.LicenseEmissions()
	want := must(e.client.Load(t.Context()))(t).PermissionTexts()[license]
	e.answer(func(w http.ResponseWriter, r *http.Request) bool {
		switch {
		case strings.Contains(r.URL.Path, "/license/emissions-cap-fsp"):
			w.Header().Set("Content-Type", rdf.TypeTurtle)
			w.Write([]byte("<" + license + "> <" + rdf.Expand("ib1:permissionText") + "> <" + e.URL + "/other.txt#" + Hash("other") + "> ."))
		case r.URL.Path == "/other.txt":
			w.Write([]byte("other"))
		default:
			return false
		}
		return true
	})
	got := must(e.client.Load(t.Context()))(t).PermissionTexts()[license]
	if got != want || !strings.Contains(e.log.String(), "a published version must not change") {
		t.Errorf("%.40q\n%s", got, e.log)
	}
}

// TestKeptFilesAreNotTrusted: a text that was changed on disk is not shown.
func TestKeptFilesAreNotTrusted(t *testing.T) {
	e := newElsewhere(t)
	must(e.client.Load(t.Context()))(t)
	file := e.client.file(e.client.Scheme.LicenseEmissions())
	b := must(os.ReadFile(file))(t)
	if err := os.WriteFile(file, bytes.ReplaceAll(b, []byte("[FSP]"), []byte("[CAP]")), 0o644); err != nil {
		t.Fatal(err)
	}
	e.Close()
	if _, err := e.client.Load(t.Context()); err == nil {
		t.Error("changed words were taken up")
	}
}

func TestLifecycle(t *testing.T) {
	e := newElsewhere(t)
	license := e.client.Scheme.LicenseEmissions()
	for day, want := range map[string]string{"2026-11-21": "level=ERROR msg=\"registry: this version must not be used any more\" term=" + license, "2026-11-22": ""} {
		g := &rdf.Graph{}
		g.Add(rdf.Ref(license), rdf.Expand("ib1:prohibitedAfter"), rdf.Typed(day, rdf.XSDDate))
		e.log.Reset()
		e.client.lifecycle(kept{URL: license}, g)
		if want == "" && e.log.Len() > 0 || !strings.Contains(e.log.String(), want) {
			t.Errorf("%s: %s", day, e.log)
		}
	}
}
