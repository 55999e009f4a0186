package listing

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/directory/answer"
	"github.com/perseus-edge/perseus-edge/directory/rdf"
)

// getCatalog serves all catalogue entries: a DCAT feed, or the same as JSON.
func (s *Server) getCatalog(w http.ResponseWriter, r *http.Request) error {
	l, err := s.listing(r.Context())
	if err != nil {
		return err
	}
	w.Header().Set("Vary", "Accept")
	kind := rdf.Negotiate(r.Header.Values("Accept"), rdf.TypeJSON, rdf.TypeJSONLD, rdf.TypeTurtle, rdf.TypeXML, rdf.TypeHTML)
	if kind == "" {
		return answer.Refuse(http.StatusNotAcceptable, "not_acceptable", "This is here as application/json, application/ld+json, text/turtle, application/rdf+xml and text/html.")
	}
	type made struct {
		body []byte
		err  error
	}
	m := l.keep("catalog as "+kind, func() any {
		body, err := s.catalog(l, kind)
		return made{body, err}
	}).(made)
	if m.err != nil {
		return m.err
	}
	if kind == rdf.TypeHTML {
		kind += "; charset=utf-8"
	}
	rdf.Send(w, r, kind, m.body, listingAge)
	return nil
}

func (s *Server) catalog(l *listed, kind string) ([]byte, error) {
	ids := slices.Sorted(maps.Keys(l.byOffer))
	if kind == rdf.TypeJSON || kind == rdf.TypeHTML {
		entries := make([]entryJSON, len(ids))
		for i, id := range ids {
			entries[i] = s.serviceView(l.byOffer[id])
		}
		if kind == rdf.TypeJSON {
			return jsonBytes(map[string]any{"dataServices": entries}), nil
		}
		var b bytes.Buffer
		err := catalogPage.ExecuteTemplate(&b, "layout", entries)
		return b.Bytes(), err
	}
	return s.catalogGraph(l, ids).Write(kind)
}

func (s *Server) catalogGraph(l *listed, ids []string) *rdf.Graph {
	g, self := &rdf.Graph{}, rdf.Ref(s.BaseURL+"/catalog")
	g.Add(self, rdf.TypeIRI, rdf.Ref(rdf.Expand("dcat:Catalog")))
	g.Add(self, rdf.Expand("dcterms:title"), rdf.Text("Data services of the members"))
	for _, id := range ids {
		g.Add(self, rdf.Expand("dcat:service"), rdf.Ref(s.ServiceURL(id)))
	}
	for _, id := range ids {
		g.Merge(s.serviceGraph(l.byOffer[id]))
	}
	return g
}

// allowlistJSON is the server allow-list of
// public-ca-issued-server-tls-certificates-with-directory-allowlist 1.0.
type allowlistJSON struct {
	Version     string   `json:"ib1:allowlist"`
	For         string   `json:"allowlistFor"`
	LastUpdated string   `json:"lastUpdated"`
	Allowed     []string `json:"allowed"`
}

// getAllowlist serves the DNS names of the members' servers: those in the
// endpoints and issuers of data services, and where applications take messages.
// All members belong to the one scheme, so its list is the framework's.
func (s *Server) getAllowlist(w http.ResponseWriter, r *http.Request) error {
	l, err := s.listing(r.Context())
	if err != nil {
		return err
	}
	of := s.Scheme.TrustFramework()
	if strings.HasSuffix(r.URL.Path, "/scheme/perseus") {
		of = s.Scheme.URL()
	}
	body := l.keep("allow-list of "+of, func() any {
		return jsonBytes(allowlistJSON{"1.0", of, l.At.Format(time.RFC3339), list(slices.Sorted(maps.Keys(l.hosts())))})
	})
	rdf.Send(w, r, rdf.TypeJSON, body.([]byte), listingAge)
	return nil
}

// KnownHost reports the applications whose entries name a server under a DNS
// name: the directory issues server certificates for such names, and for no
// others.
func (s *Server) KnownHost(ctx context.Context, host string) (applications []string, err error) {
	l, err := s.listing(ctx)
	if err != nil {
		return nil, err
	}
	return slices.Clone(l.hosts()[strings.ToLower(host)]), nil
}
