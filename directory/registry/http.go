package registry

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/directory/rdf"
)

// How long caches may keep what is served. Texts never change; of resources
// only their place among the versions does.
const (
	textAge     = 365 * 24 * time.Hour
	resourceAge = time.Hour
)

// Handler serves the terms: each resource at its own address, by content
// negotiation as Turtle, JSON-LD (also under application/json), RDF/XML or a
// page; the texts; and at the registry's own address the list of everything.
// The handler expects the paths of the registry's URL, its prefix included.
func (t *Terms) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			h.Set("Allow", "GET, HEAD")
			fail(w, http.StatusMethodNotAllowed, "method_not_allowed", "The registry can only be read.")
			return
		}
		t.serve(w, r)
	})
}

func (t *Terms) serve(w http.ResponseWriter, r *http.Request) {
	// Addresses are compared as they came, not cleaned: there is one for each thing.
	at := r.URL.EscapedPath()
	switch at {
	case t.path("/style.css"):
		css, _ := pageFiles.ReadFile("pages/style.css")
		rdf.Send(w, r, "text/css; charset=utf-8", css, resourceAge)
		return
	case t.path("/"), strings.TrimSuffix(t.path("/"), "/"):
		t.negotiate(w, r, t.all, t.index)
		return
	}
	prefix := strings.TrimSuffix(t.path("/"), "/")
	path, ok := strings.CutPrefix(at, prefix+"/")
	id := t.base + "/" + path
	if text, found := t.texts[id]; ok && found {
		kind := "text/plain; charset=utf-8"
		if strings.HasSuffix(id, ".json") {
			kind = rdf.TypeJSON
		}
		rdf.Send(w, r, kind, []byte(text), textAge)
		return
	}
	if g := t.resources[id]; ok && g != nil {
		t.negotiate(w, r, g, func() page { return t.about(id) })
		return
	}
	fail(w, http.StatusNotFound, "not_found", "The registry has no such term.")
}

func (t *Terms) negotiate(w http.ResponseWriter, r *http.Request, g *rdf.Graph, p func() page) {
	w.Header().Set("Vary", "Accept")
	kind := rdf.Negotiate(r.Header.Values("Accept"), rdf.TypeJSONLD, rdf.TypeJSON, rdf.TypeTurtle, rdf.TypeXML, rdf.TypeHTML)
	var body []byte
	var err error
	switch kind {
	case "":
		fail(w, http.StatusNotAcceptable, "not_acceptable", "This is here as text/turtle, application/ld+json, application/rdf+xml, application/json and text/html.")
		return
	case rdf.TypeHTML:
		var b bytes.Buffer
		err, kind = pageTemplate.Execute(&b, p()), kind+"; charset=utf-8"
		body = b.Bytes()
	case rdf.TypeJSON: // JSON-LD is JSON
		body = g.JSONLD()
	default:
		body, err = g.Write(kind)
	}
	if err != nil { // the terms were checked when they were loaded
		fail(w, http.StatusInternalServerError, "server_error", "This cannot be shown in the form that was asked for. Ask for text/turtle.")
		return
	}
	rdf.Send(w, r, kind, body, resourceAge)
}

// path is the path of something in the registry.
func (t *Terms) path(p string) string {
	u, err := url.Parse(t.base)
	if err != nil { // scheme.New has checked it
		return p
	}
	return strings.TrimRight(u.EscapedPath(), "/") + p
}

func fail(w http.ResponseWriter, status int, code, description string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write([]byte(`{"error":"` + code + `","error_description":"` + description + `"}` + "\n"))
}
