package openapi_test

import (
	"math/big"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/perseus-edge/perseus-edge/identity/identitytest"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
	"github.com/perseus-edge/perseus-edge/relay"
	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/relay/emissions/neso"
	"github.com/perseus-edge/perseus-edge/relay/openapi"
)

const (
	issuer = "https://people.example"
	server = "https://programs.example"
)

// routes is a Mux that remembers what is registered, as "METHOD /path".
type routes []string

func (r *routes) Handle(pattern string, _ http.Handler) { *r = append(*r, plain(pattern)) }
func (r *routes) HandleFunc(pattern string, _ func(http.ResponseWriter, *http.Request)) {
	*r = append(*r, plain(pattern))
}

// plain writes a pattern of http.ServeMux as OpenAPI writes a path.
func plain(pattern string) string {
	return strings.ReplaceAll(strings.ReplaceAll(pattern, "{$}", ""), "...}", "}")
}

func load(t *testing.T) *openapi3.T {
	t.Helper()
	b, err := openapi.Document(issuer, server)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(b)
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.1") || strings.Contains(string(b), "example.org") {
		t.Errorf("version %s, or an address of nobody's", doc.OpenAPI)
	}
	return doc
}

// Every route is in the document, at its own address, and the document promises
// no other.
func TestEveryRoute(t *testing.T) {
	doc := load(t)
	people, programs := registered(t)
	stated := map[string][]string{}
	for path, item := range doc.Paths.Map() {
		at := doc.Servers[0].URL
		if len(item.Servers) > 0 {
			at = item.Servers[0].URL
		}
		for method, op := range item.Operations() {
			stated[at] = append(stated[at], method+" "+path)
			needsCertificate := op.Security == nil || len(*op.Security) > 0
			if needsCertificate != (at == server) {
				t.Errorf("%s %s: at %s, and a certificate is needed: %v", method, path, at, needsCertificate)
			}
			if op.OperationID == "" || op.Summary == "" || op.Responses.Len() == 0 {
				t.Errorf("%s %s says too little", method, path)
			}
		}
	}
	for at, want := range map[string][]string{issuer: people, server: programs} {
		got := stated[at]
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("at %s\nthe document states %s\nand there is       %s", at, strings.Join(got, ", "), strings.Join(want, ", "))
		}
		delete(stated, at)
	}
	if len(stated) != 0 {
		t.Errorf("addresses of nobody's: %v", stated)
	}
}

// registered are the routes of a relay as it is put together.
func registered(t *testing.T) (people, programs routes) {
	t.Helper()
	pki := identitytest.New(t)
	sc, err := scheme.New("https://registry.example")
	if err != nil {
		t.Fatal(err)
	}
	db, err := database.Open("sqlite:" + filepath.Join(t.TempDir(), "relay.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	leaf := pki.Signing("https://directory.example/a/relay", "Relay Ltd", "https://directory.example/m/relay", sc.Role(scheme.EDP), sc.Role(scheme.CAP))
	r, err := relay.New(t.Context(), relay.Config{
		DB: db, Scheme: sc, Issuer: issuer, Server: server, Organisation: "Relay Ltd", SigningRoots: pki.SigningCA.Pool(), Signer: leaf.Key, Chain: leaf.Chain,
		SealKey: make([]byte, 32), Carbon: neso.Config{BaseURL: "https://carbon.example"}, Revoked: func(*big.Int) bool { return false },
	})
	if err != nil {
		t.Fatal(err)
	}
	r.RegisterBrowser(&people)
	r.RegisterServer(&programs)
	return people, programs
}

// The parts of the profile that a generated client would take from the
// document.
func TestWhatTheProfileAsksFor(t *testing.T) {
	doc := load(t)
	if s := doc.Components.SecuritySchemes["certificate"]; s == nil || s.Value.Type != "mutualTLS" {
		t.Error("no mutual TLS")
	}
	for _, path := range []string{"/oauth/par", "/oauth/token", "/oauth/revoke", "/oauth/permission"} {
		op := doc.Paths.Find(path).Post
		if op.RequestBody.Value.Content["application/x-www-form-urlencoded"] == nil || len(op.RequestBody.Value.Content) != 1 {
			t.Errorf("%s takes something else than a form", path)
		}
		for _, status := range []string{"400", "401", "413", "415", "429", "500"} {
			if op.Responses.Value(status) == nil {
				t.Errorf("%s does not state %s", path, status)
			}
		}
	}
	secret := regexp.MustCompile(`\^\[A-Za-z0-9_-\]\{43\}\$`)
	if s := doc.Components.Schemas["Secret"].Value.Pattern; !secret.MatchString(s) {
		t.Errorf("tokens: %s", s)
	}
}
