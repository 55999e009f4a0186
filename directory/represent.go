package directory

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"html/template"
	"net/http"
	"strconv"
	"strings"
)

//go:embed pages/*
var pageFiles embed.FS

var (
	indexPage       = page("index.html")
	memberPage      = page("member.html")
	applicationPage = page("application.html")
	gatewayPage     = page("gateway.html")
)

func page(name string) *template.Template {
	return template.Must(template.New(name).ParseFS(pageFiles, "pages/layout.html", "pages/"+name))
}

const (
	typeJSON = "application/json"
	typeLD   = "application/ld+json"
	typeHTML = "text/html"
)

// represent writes v in the form that the reader prefers: JSON (unless asked
// otherwise), JSON-LD, or a page for people.
func represent(w http.ResponseWriter, r *http.Request, t *template.Template, v, ld any) error {
	w.Header().Set("Vary", "Accept")
	var b bytes.Buffer
	kind := accepts(r.Header.Values("Accept"))
	switch kind {
	case "":
		return &httpError{http.StatusNotAcceptable, "not_acceptable", "This is here as application/json, application/ld+json and text/html."}
	case typeHTML:
		if err := t.ExecuteTemplate(&b, "layout", v); err != nil {
			return err
		}
	default:
		x := v
		if kind == typeLD {
			x = ld
		}
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		if err := e.Encode(x); err != nil {
			return err
		}
	}
	sum := sha256.Sum256(b.Bytes())
	if cached(w, r, `"`+hex.EncodeToString(sum[:12])+`"`, listingAge) {
		return nil
	}
	if kind == typeHTML {
		kind += "; charset=utf-8"
	}
	w.Header().Set("Content-Type", kind)
	w.Write(b.Bytes())
	return nil
}

// accepts picks the form by an Accept header (RFC 9110, 12.5.1); "" when none
// will do. Of equals the first of JSON, JSON-LD, HTML wins.
func accepts(header []string) string {
	if len(header) == 0 {
		return typeJSON
	}
	best, bestQ := "", 0.0
	for _, kind := range []string{typeJSON, typeLD, typeHTML} {
		if q := quality(strings.Join(header, ","), kind); q > bestQ {
			best, bestQ = kind, q
		}
	}
	return best
}

// quality is the weight of a media type in an Accept header: that of the most
// specific range that takes it in.
func quality(header, kind string) float64 {
	group, _, _ := strings.Cut(kind, "/")
	q, specific := 0.0, 0
	for _, part := range strings.Split(header, ",") {
		r, params, _ := strings.Cut(part, ";")
		s := 0
		switch strings.ToLower(strings.TrimSpace(r)) {
		case kind:
			s = 3
		case group + "/*":
			s = 2
		case "*/*":
			s = 1
		}
		if s <= specific {
			continue
		}
		specific, q = s, 1
		for _, p := range strings.Split(params, ";") {
			if k, v, _ := strings.Cut(strings.TrimSpace(p), "="); strings.EqualFold(k, "q") {
				q, _ = strconv.ParseFloat(v, 64)
			}
		}
	}
	return q
}

// ldContext has the prefixes of directory 1.0.
var ldContext = map[string]string{
	"dcterms": "http://purl.org/dc/terms/",
	"schema":  "http://schema.org/",
	"ib1":     "https://registry.trust.ib1.org/ns/1.0#",
}

type ldID struct {
	ID string `json:"@id"`
}

func ldIDs(urls []string) []ldID {
	out := make([]ldID, len(urls))
	for i, u := range urls {
		out[i] = ldID{u}
	}
	return out
}

func ldNode(id, kind string) map[string]any {
	return map[string]any{"@context": ldContext, "@id": id, "@type": kind}
}

func (v memberJSON) ld() any {
	n := ldNode(v.ID, "schema:Organization")
	n["schema:legalName"] = v.LegalName
	n["schema:brand"] = map[string]any{"@type": "schema:Brand", "schema:name": v.Brand.Name}
	n["ib1:role"] = ldIDs(v.Roles)
	return n
}

func (v applicationJSON) ld() any {
	n := ldNode(v.ID, "ib1:Application")
	n["dcterms:publisher"] = ldID{v.Publisher}
	n["dcterms:title"] = v.Title
	n["ib1:scheme"] = ldID{v.Scheme}
	n["ib1:role"] = ldIDs(v.Roles)
	if v.HomePage != "" {
		n["ib1:homePageURL"] = ldID{v.HomePage}
	}
	if v.MessageDelivery != "" {
		n["ib1:messageDelivery"] = ldID{v.MessageDelivery}
	}
	return n
}

// ld of a gateway: directory 1.0 has no class for it, so only its publisher
// is said.
func (v publicGatewayJSON) ld() any {
	return map[string]any{"@context": ldContext, "@id": v.ID, "dcterms:publisher": ldID{v.Member}}
}

// getIndex serves the page at /.
func (s *Service) getIndex(w http.ResponseWriter, r *http.Request) error {
	ms, err := s.members(r.Context(), "")
	if err != nil {
		return err
	}
	v := struct {
		TrustFramework string
		Members        []memberJSON
		More           int
	}{TrustFramework: s.Scheme.TrustFramework()}
	const most = 500
	if len(ms) > most {
		v.More = len(ms) - most
		ms = ms[:most]
	}
	for _, m := range ms {
		v.Members = append(v.Members, s.memberJSON(m))
	}
	var b bytes.Buffer
	if err := indexPage.ExecuteTemplate(&b, "layout", v); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "public, max-age=60")
	w.Write(b.Bytes())
	return nil
}

func (s *Service) getStyle(w http.ResponseWriter, r *http.Request) error {
	b, err := pageFiles.ReadFile("pages/style.css")
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("Cache-Control", "public, max-age=3600")
	w.Write(b)
	return nil
}
