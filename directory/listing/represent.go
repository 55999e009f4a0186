package listing

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"time"

	"github.com/perseus-edge/perseus-edge/directory/answer"
	"github.com/perseus-edge/perseus-edge/directory/rdf"
)

//go:embed pages/*
var pageFiles embed.FS

var (
	indexPage       = page("index.html")
	memberPage      = page("member.html")
	applicationPage = page("application.html")
	servicePage     = page("service.html")
	gatewayPage     = page("gateway.html")
	catalogPage     = page("catalog.html")
	sparqlPage      = page("sparql.html")
	enrolPage       = page("enrol.html")
)

func page(name string) *template.Template {
	return template.Must(template.New(name).ParseFS(pageFiles, "pages/layout.html", "pages/"+name))
}

// represent writes a thing in the form that the reader prefers: v as JSON
// (unless asked otherwise) or as a page for people, the graph as JSON-LD, Turtle
// or RDF/XML.
func represent(w http.ResponseWriter, r *http.Request, t *template.Template, v any, g *rdf.Graph) error {
	w.Header().Set("Vary", "Accept")
	var body []byte
	var err error
	kind := rdf.Negotiate(r.Header.Values("Accept"), rdf.TypeJSON, rdf.TypeJSONLD, rdf.TypeTurtle, rdf.TypeXML, rdf.TypeHTML)
	switch kind {
	case "":
		return answer.Refuse(http.StatusNotAcceptable, "not_acceptable", "This is here as application/json, application/ld+json, text/turtle, application/rdf+xml and text/html.")
	case rdf.TypeJSON:
		body = jsonBytes(v)
	case rdf.TypeHTML:
		var b bytes.Buffer
		err, kind = t.ExecuteTemplate(&b, "layout", v), kind+"; charset=utf-8"
		body = b.Bytes()
	default:
		body, err = g.Write(kind)
	}
	if err != nil {
		return err
	}
	rdf.Send(w, r, kind, body, listingAge)
	return nil
}

// getIndex serves the page at /.
func (s *Server) getIndex(w http.ResponseWriter, r *http.Request) error {
	l, err := s.listing(r.Context())
	if err != nil {
		return err
	}
	v := struct {
		TrustFramework, Scheme string
		Members                []MemberJSON
		More                   int
		Manage                 string
	}{Manage: s.ManagePath, TrustFramework: s.Scheme.TrustFramework(), Scheme: s.Scheme.URL()}
	const most = 500
	for _, id := range l.ids[:min(most, len(l.ids))] {
		v.Members = append(v.Members, Describe(s.Service, l.members[id].Member))
	}
	v.More = len(l.ids) - len(v.Members)
	var b bytes.Buffer
	if err := indexPage.ExecuteTemplate(&b, "layout", v); err != nil {
		return err
	}
	rdf.Send(w, r, "text/html; charset=utf-8", b.Bytes(), time.Minute)
	return nil
}

func (s *Server) getStyle(w http.ResponseWriter, r *http.Request) error {
	b, err := pageFiles.ReadFile("pages/style.css")
	if err != nil {
		return err
	}
	rdf.Send(w, r, "text/css; charset=utf-8", b, time.Hour)
	return nil
}

// getEnrol serves /enrol, to which the QR code of an enrolment code leads. The
// code stands after # and never comes here: the page says where it belongs.
func (s *Server) getEnrol(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	return enrolPage.ExecuteTemplate(w, "layout", struct{ Directory string }{s.BaseURL})
}
