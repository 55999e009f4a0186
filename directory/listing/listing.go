package listing

import (
	"bytes"
	"encoding/json"
	"net/http"
	"time"

	"github.com/perseus-edge/perseus-edge/directory/answer"
	"github.com/perseus-edge/perseus-edge/directory/fault"
	"github.com/perseus-edge/perseus-edge/directory/form"
	"github.com/perseus-edge/perseus-edge/directory/rdf"
)

// listingAge is how long caches may keep a listing.
const listingAge = 5 * time.Minute

func (s *Server) getMember(w http.ResponseWriter, r *http.Request) error {
	l, err := s.listing(r.Context())
	if err != nil {
		return err
	}
	m, err := find(l.members, "member", r.PathValue("id"))
	if err != nil {
		return err
	}
	return represent(w, r, memberPage, s.memberView(m), s.memberGraph(m))
}

func (s *Server) getApplication(w http.ResponseWriter, r *http.Request) error {
	l, err := s.listing(r.Context())
	if err != nil {
		return err
	}
	a, err := find(l.byApp, "application", r.PathValue("id"))
	if err != nil {
		return err
	}
	return represent(w, r, applicationPage, DescribeApplication(s.Service, a), s.applicationGraph(a))
}

func (s *Server) getService(w http.ResponseWriter, r *http.Request) error {
	l, err := s.listing(r.Context())
	if err != nil {
		return err
	}
	o, err := find(l.byOffer, "data service", r.PathValue("id"))
	if err != nil {
		return err
	}
	return represent(w, r, servicePage, s.serviceView(o), s.serviceGraph(o))
}

// getGateway reads the database: gateways are many, change often, and are no
// part of the listing.
func (s *Server) getGateway(w http.ResponseWriter, r *http.Request) error {
	g, err := s.Gateway(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	v := publicGatewayJSON{ID: s.GatewayURL(g.ID), Identifier: g.ID, Type: "Gateway", Member: s.MemberURL(g.Member)}
	if g.Application != "" {
		v.Application = s.ApplicationURL(g.Application)
	}
	return represent(w, r, gatewayPage, v, v.graph())
}

// queryMembers serves /query/organizations?role=URL. Without a role: all.
func (s *Server) queryMembers(w http.ResponseWriter, r *http.Request) error {
	l, err := s.listing(r.Context())
	if err != nil {
		return err
	}
	role := r.URL.Query().Get("role")
	if role != "" && l.withRole(role) == nil {
		return sendJSON(w, r, map[string]any{"members": []MemberJSON{}})
	}
	body := l.keep("members with "+role, func() any {
		out := make([]MemberJSON, 0, len(l.ids))
		if role != "" {
			for _, m := range l.withRole(role) {
				out = append(out, Describe(s.Service, m.Member))
			}
		} else {
			for _, id := range l.ids {
				out = append(out, Describe(s.Service, l.members[id].Member))
			}
		}
		return jsonBytes(map[string]any{"members": out})
	})
	rdf.Send(w, r, rdf.TypeJSON, body.([]byte), listingAge)
	return nil
}

// queryServices serves /query/data-services?conformsTo=URL; several
// conformsTo mean any of them.
func (s *Server) queryServices(w http.ResponseWriter, r *http.Request) error {
	standards := form.Unique(r.URL.Query()["conformsTo"])
	if len(standards) == 0 || len(standards) > 20 {
		return fault.Invalid("conformsTo: give the URL of a standard, up to 20 times")
	}
	l, err := s.listing(r.Context())
	if err != nil {
		return err
	}
	out := []ServiceJSON{}
	for _, standard := range standards {
		for _, o := range l.conforming(standard) {
			out = append(out, ServiceJSON{Title: o.Title, Publisher: s.MemberURL(o.app.Member), ConformsTo: o.ConformsTo, Endpoint: o.Endpoint, OAuthIssuer: o.OAuthIssuer})
		}
	}
	return sendJSON(w, r, map[string]any{"apis": out})
}

// jsonBytes writes JSON that cannot fail: strings, lists and maps of them.
func jsonBytes(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.Encode(v)
	return b.Bytes()
}

// sendJSON answers with something public that caches may keep.
func sendJSON(w http.ResponseWriter, r *http.Request, v any) error {
	rdf.Send(w, r, rdf.TypeJSON, jsonBytes(v), listingAge)
	return nil
}

// list makes an empty list, not null, of nothing.
func list(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

// Routes are the addresses of the listing.
func (s *Server) Routes() []answer.Route {
	return []answer.Route{
		answer.On("GET", "/{$}", s.getIndex),
		answer.On("GET", "/style.css", s.getStyle),
		answer.On("GET", "/m/{id}", s.getMember),
		answer.On("GET", "/a/{id}", s.getApplication),
		answer.On("GET", "/d/{id}", s.getService),
		answer.On("GET", "/g/{id}", s.getGateway),
		answer.On("GET", "/catalog", s.getCatalog),
		answer.On("GET", "/allowlist/trust-framework", s.getAllowlist),
		answer.On("GET", "/allowlist/scheme/perseus", s.getAllowlist),
		answer.On("GET", "/sparql", s.sparql),
		answer.On("POST", "/sparql", s.sparql),
		answer.On("GET", "/query/organizations", s.queryMembers),
		answer.On("GET", "/query/members-with-role", s.queryMembers),
		answer.On("GET", "/query/data-services", s.queryServices),
		answer.On("GET", "/query/data-catalog/api", s.queryServices),
		answer.On("GET", "/enrol", s.getEnrol),
	}
}
