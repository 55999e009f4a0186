package listing_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/dirtest"
	"github.com/perseus-edge/perseus-edge/directory/form"
	"github.com/perseus-edge/perseus-edge/directory/rdf"
)

// TestEveryRepresentation: each form of each public thing has a strong ETag of
// its own and says how long it may be kept; who has it gets 304, with the same
// headers; who has another form of it does not.
func TestEveryRepresentation(t *testing.T) {
	w, service := withCatalogue(t)
	g, _, err := w.AddGateway(t.Context(), directory.Gateway{Application: w.ProviderApp.ID, Name: "Unit 4", Site: "Riverside"})
	if err != nil {
		t.Fatal(err)
	}
	forms := []string{rdf.TypeTurtle, rdf.TypeJSONLD, rdf.TypeXML, rdf.TypeJSON, rdf.TypeHTML}
	things := map[string]struct {
		forms []string
		cache string
	}{
		"/m/" + w.Provider.ID:        {forms, "public, max-age=300"},
		"/a/" + w.ProviderApp.ID:     {forms, "public, max-age=300"},
		"/d/" + service.ID:           {forms, "public, max-age=300"},
		"/g/" + g.ID:                 {forms, "public, max-age=300"},
		"/catalog":                   {forms, "public, max-age=300"},
		"/allowlist/trust-framework": {[]string{rdf.TypeJSON}, "public, max-age=300"},
		"/allowlist/scheme/perseus":  {[]string{rdf.TypeJSON}, "public, max-age=300"},
		"/query/organizations?role=" + w.Provider.Roles[0]:         {[]string{rdf.TypeJSON}, "public, max-age=300"},
		"/query/members-with-role?role=" + w.Provider.Roles[0]:     {[]string{rdf.TypeJSON}, "public, max-age=300"},
		"/query/data-services?conformsTo=" + service.ConformsTo:    {[]string{rdf.TypeJSON}, "public, max-age=300"},
		"/query/data-catalog/api?conformsTo=" + service.ConformsTo: {[]string{rdf.TypeJSON}, "public, max-age=300"},
		"/sparql?query=ASK%7B%7D":                                  {[]string{"application/sparql-results+json", "application/sparql-results+xml", "text/csv"}, "public, max-age=300"},
		"/":                                                        {[]string{rdf.TypeHTML}, "public, max-age=60"},
		"/style.css":                                               {[]string{"text/css"}, "public, max-age=3600"},
		"/crl/client.crl":                                          {[]string{"application/pkix-crl"}, "public, max-age=0"},
		"/ca/server.pem":                                           {[]string{"application/x-pem-file"}, "public, max-age=3600"},
	}
	tags := map[string]string{}
	for path, thing := range things {
		mine := map[string]bool{}
		for _, form := range thing.forms {
			r := w.Call("GET", path, nil, "Accept", form)
			h := r.Header()
			tag := h.Get("ETag")
			if r.Code != 200 || !strings.HasPrefix(h.Get("Content-Type"), form) || h.Get("Cache-Control") != thing.cache {
				t.Errorf("%s as %s: %d, %s, %s", path, form, r.Code, h.Get("Content-Type"), h.Get("Cache-Control"))
			}
			if len(tag) < 3 || tag[0] != '"' || mine[tag] {
				t.Errorf("%s as %s: ETag %s", path, form, tag)
			}
			mine[tag], tags[path+" as "+form] = true, tag
			if len(thing.forms) > 1 && h.Get("Vary") != "Accept" {
				t.Errorf("%s as %s: Vary %q", path, form, h.Get("Vary"))
			}
			for _, have := range []string{tag, "W/" + tag, `"other", ` + tag, "*"} {
				again := w.Call("GET", path, nil, "Accept", form, "If-None-Match", have)
				if again.Code != http.StatusNotModified || again.Body.Len() > 0 || again.Header().Get("ETag") != tag || again.Header().Get("Cache-Control") != thing.cache || again.Header().Get("Vary") != h.Get("Vary") {
					t.Errorf("%s as %s with If-None-Match %s: %d %v", path, form, have, again.Code, again.Header())
				}
			}
			head := w.Call("HEAD", path, nil, "Accept", form)
			if head.Code != 200 || head.Header().Get("ETag") != tag || head.Header().Get("Cache-Control") != thing.cache {
				t.Errorf("HEAD %s as %s: %d %v", path, form, head.Code, head.Header())
			}
		}
		for other := range mine {
			for _, form := range thing.forms {
				if tag := tags[path+" as "+form]; tag != other {
					if r := w.Call("GET", path, nil, "Accept", form, "If-None-Match", other); r.Code != 200 {
						t.Errorf("%s as %s: %d for who has another form", path, form, r.Code)
					}
				}
			}
		}
	}
	// A change shows, in every form of what it changes, at once where it was made.
	before := w.Call("GET", "/m/"+w.Bank.ID, nil).Header().Get("ETag")
	if r := w.Call("PATCH", "/members/me", map[string]string{"email": "new@perse.example"}, "Authorization", "Bearer "+w.Owner); r.Code != 200 {
		t.Fatalf("%d %s", r.Code, r.Body)
	}
	dirtest.Must(w.AddDataService(t.Context(), directory.DataService{Application: w.ProviderApp.ID, Title: "More", ConformsTo: service.ConformsTo, Endpoint: "https://more.example.org"}))(t)
	for _, path := range []string{"/m/" + w.Provider.ID, "/catalog", "/allowlist/trust-framework", "/a/" + w.ProviderApp.ID, "/query/data-services?conformsTo=" + service.ConformsTo} {
		for _, form := range things[path].forms {
			r := w.Call("GET", path, nil, "Accept", form, "If-None-Match", tags[path+" as "+form])
			// The application's own RDF does not name its services.
			if same := strings.HasPrefix(path, "/a/") && form != rdf.TypeJSON && form != rdf.TypeHTML; r.Code != 200 && !same {
				t.Errorf("%s as %s: %d after a change", path, form, r.Code)
			}
		}
	}
	if after := w.Call("GET", "/m/"+w.Bank.ID, nil).Header().Get("ETag"); after != before {
		t.Error("another member's change changed the bank's ETag")
	}
	// What is refused is not kept.
	for _, path := range []string{"/m/nobody", "/query/data-services", "/nothing"} {
		r := w.Call("GET", path, nil)
		if r.Code < 400 || r.Header().Get("Cache-Control") != "no-store" || r.Header().Get("ETag") != "" {
			t.Errorf("%s: %d %v", path, r.Code, r.Header())
		}
	}
}

// TestAllowlistNames: only names that a server's certificate can have.
func TestAllowlistNames(t *testing.T) {
	for url, want := range map[string]string{
		"https://API.Example.org:8443/x": "api.example.org", "https://example.org./": "example.org", "https://xn--bcher-kva.example/": "xn--bcher-kva.example", "https://localhost:1/": "localhost",
		"https://127.0.0.1/": "", "https://[::1]/": "", "https://127.1/": "", "https://2130706433/": "", "https://0x7f000001/": "", "https://10.0x1/": "", "https://1.2.3/": "", "https://999.1.1.1/": "",
		"https://bücher.example/": "", "https://a_b.example/": "", "https://*.example.org/": "", "https://a..example/": "", "https://-a.example/": "", "": "", "https://": "", "mailto:a@example.org": "",
		"https://" + strings.Repeat("a.", 127) + "example/": "",
	} {
		if got := form.DNSName(url); got != want {
			t.Errorf("%s: %q, want %q", url, got, want)
		}
	}
}
