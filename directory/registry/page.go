package registry

import (
	"embed"
	"html/template"
	"slices"
	"strings"
	"unicode"

	"github.com/perseus-edge/perseus-edge/directory/rdf"
)

//go:embed pages/*
var pageFiles embed.FS

var pageTemplate = template.Must(template.ParseFS(pageFiles, "pages/page.html"))

// page is a resource, or the list of all, for people.
type page struct {
	Title, Comment, URL, Home string
	Groups                    []group
	Properties                []property
}

type group struct {
	Kind  string
	Links []link
	order int
}

type link struct{ URL, Text, Comment string }

type property struct {
	Name   string
	Values []value
}

type value struct {
	URL, Text string
	Words     string // of the text that the URL points to
	Inner     []property
}

// headings are the kinds of resources in the order of the list, with the words
// for them. What has none comes last, under its own name.
var headings = []struct{ kind, words string }{
	{"TrustFramework", "Trust framework"}, {"Scheme", "Scheme"}, {"Role", "Roles"}, {"License", "Licences"}, {"SchemeCatalogRequirements", "Standards"},
	{"Process", "Calculations"}, {"SourceType", "Kinds of sources"}, {"Class", "Assurance vocabularies"}, {"missing-data", "Assurance: missing data"},
	{"origin-method", "Assurance: origin method"}, {"origin-method-derived", "Assurance: how a shared meter was divided"}, {"RegistryChange", "Changes of the registry"},
}

func heading(kind string) (order int, words string) {
	for i, h := range headings {
		if h.kind == kind {
			return i, h.words
		}
	}
	return len(headings), kind
}

// index lists all resources by kind.
func (t *Terms) index() page {
	p := page{Title: "Registry", Home: t.path("/"), Comment: "The terms that the members of this trust framework speak in. Their addresses stand in certificates, permissions and records."}
	for _, url := range t.order {
		kind := "Other"
		if types := t.all.Objects(rdf.Ref(url), rdf.TypeIRI); len(types) > 0 {
			kind = lastPart(types[0].Value)
		}
		order, kind := heading(kind)
		i := slices.IndexFunc(p.Groups, func(g group) bool { return g.Kind == kind })
		if i < 0 {
			i = len(p.Groups)
			p.Groups = append(p.Groups, group{Kind: kind, order: order})
		}
		title, comment := t.name(url)
		p.Groups[i].Links = append(p.Groups[i].Links, link{url, title, comment})
	}
	slices.SortStableFunc(p.Groups, func(a, b group) int { return a.order - b.order })
	return p
}

// about describes one resource.
func (t *Terms) about(url string) page {
	title, comment := t.name(url)
	g := t.resources[url]
	p := page{Title: title, Comment: comment, URL: url, Home: t.path("/"), Properties: properties(g, rdf.Ref(url), 0)}
	for _, x := range p.Properties {
		for i, v := range x.Values {
			address, _, _ := strings.Cut(v.URL, "#")
			x.Values[i].Words = t.texts[address]
		}
	}
	return p
}

func (t *Terms) name(url string) (title, comment string) {
	title = lastPart(url)
	for _, o := range t.all.Objects(rdf.Ref(url), rdf.Expand("rdfs:label")) {
		title = o.Value
	}
	for _, o := range t.all.Objects(rdf.Ref(url), rdf.Expand("rdfs:comment")) {
		comment = o.Value
	}
	return title, comment
}

func properties(g *rdf.Graph, s rdf.Term, depth int) []property {
	var out []property
	for _, x := range g.Triples() {
		if x.S != s || depth == 0 && x.P.Value == rdf.Expand("rdfs:comment") {
			continue
		}
		v := value{Text: x.O.Value}
		switch {
		case x.O.Kind == rdf.IRI:
			v.URL = x.O.Value
		case x.O.Kind == rdf.Blank && depth < 4:
			v = value{Inner: properties(g, x.O, depth+1)}
		}
		name := spaced(lastPart(x.P.Value))
		if i := slices.IndexFunc(out, func(p property) bool { return p.Name == name }); i >= 0 {
			out[i].Values = append(out[i].Values, v)
		} else {
			out = append(out, property{name, []value{v}})
		}
	}
	return out
}

// spaced turns permissionText into Permission text.
func spaced(name string) string {
	var b strings.Builder
	for i, r := range name {
		switch {
		case i == 0:
			r = unicode.ToUpper(r)
		case unicode.IsUpper(r):
			b.WriteByte(' ')
			r = unicode.ToLower(r)
		}
		b.WriteRune(r)
	}
	return b.String()
}

func lastPart(url string) string {
	return url[strings.LastIndexAny(strings.TrimRight(url, "/#"), "/#")+1:]
}
