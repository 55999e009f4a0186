// Package server puts all that a directory serves under one address.
package server

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"slices"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/acme"
	"github.com/perseus-edge/perseus-edge/directory/answer"
	"github.com/perseus-edge/perseus-edge/directory/enrolapi"
	"github.com/perseus-edge/perseus-edge/directory/listing"
	"github.com/perseus-edge/perseus-edge/directory/memberapi"
	"github.com/perseus-edge/perseus-edge/directory/registry"
	"github.com/perseus-edge/perseus-edge/directory/status"
)

// Config is what a server needs besides the directory. The zero value is right
// for a first try.
type Config struct {
	Terms *registry.Terms // the registry's terms, for queries and catalogue entries. Nil: none are known

	// ManagePath is where people of the organisations sign in (package web), at
	// this address. Empty: nowhere.
	ManagePath string

	// ClientAddress says from which address a request comes, for the limits on
	// guessing. Nil: the connection's remote address, which is right unless a
	// proxy stands in front.
	ClientAddress func(*http.Request) netip.Addr

	ACME ACMEConfig // of the ACME server at /acme/; the zero value is right but for sandboxes
}

// Server serves a directory.
type Server struct {
	*directory.Service
	Config
	Listing  *listing.Server
	status   *status.Server
	members  *memberapi.API
	gateways *enrolapi.API
	acme     *acme.Server
}

// New makes the server of a directory. It does not listen: see Handler.
func New(d *directory.Service, c Config) (*Server, error) {
	if c.ClientAddress == nil {
		c.ClientAddress = answer.RemoteAddress
	}
	s := &Server{Service: d, Config: c, status: status.New(d), members: memberapi.New(d), gateways: enrolapi.New(d, c.ClientAddress),
		Listing: listing.New(d, listing.Config{Terms: c.Terms, ManagePath: c.ManagePath, ClientAddress: c.ClientAddress})}
	if err := s.openACME(context.Background()); err != nil {
		return nil, fmt.Errorf("directory: %w", err)
	}
	return s, nil
}

// KnownHost reports the applications whose entries name a server under a DNS
// name: the directory issues server certificates for such names, and for no
// others.
func (s *Server) KnownHost(ctx context.Context, host string) (applications []string, err error) {
	return s.Listing.KnownHost(ctx, host)
}

// StatusHandler serves what someone who checks a certificate needs, and nothing
// else: see package status.
func (s *Server) StatusHandler() http.Handler { return s.status.Handler() }

// Handler serves all addresses of the directory.
//
// Public, without authentication:
//
//	GET /                                        what this is, and who the members are (HTML)
//	GET /healthz                                 {"status":"ok"}, or 503 when the database does not answer
//	GET /m/{id} /a/{id} /d/{id} /g/{id}          a member, an application, a data service, a gateway (JSON, JSON-LD, Turtle, RDF/XML or HTML by Accept)
//	GET /catalog                                 the catalogue of all data services (the same forms)
//	GET /allowlist/trust-framework               DNS names of the members' servers; also /allowlist/scheme/perseus
//	GET, POST /sparql                            a query of the listing and of the registry's terms (JSON, XML, CSV or HTML)
//	GET /query/organizations?role=URL            members with a role: {"members":[..]}; also /query/members-with-role
//	GET /query/data-services?conformsTo=URL      catalogued APIs: {"apis":[..]}; also /query/data-catalog/api
//	GET /crl/{client,signing,server}[-root].crl  revocation list of the issuer, and of the root (DER)
//	GET /ca/{client,signing,server}.pem          the hierarchy's issuer and root
//	GET /ca/{client,signing,server}-{issuer,root}.cer  each of them (DER)
//	POST /ocsp, GET /ocsp/{request}              a certificate's status (RFC 6960)
//	GET /enrol                                   where the QR code of a one-time code leads: says where the code belongs (HTML)
//	POST /gateway/v1/enrollments                 a one-time code and two CSRs for a gateway's certificates
//	GET /.well-known/est[/{label}]/cacerts       issuer and root of a hierarchy (client, signing), as EST has them (RFC 7030)
//
// Server certificates by ACME (RFC 8555), see directory/acme:
//
//	GET /acme/directory                          the addresses of all of it
//
// With a gateway's client certificate (the listener asks for one, see
// identity.AskingTLS):
//
//	POST /.well-known/est[/{label}]/simplereenroll  a request for a new client or signing certificate
//
// Member API, with a bearer token (see IssueToken); an admin names the member
// in the header X-Organization, by id or URL:
//
//	GET    /members/organizations                    reader, owner, admin: those for whom the token may act
//	GET    /members/me                               reader, owner, admin
//	PATCH  /members/me                               owner, admin: how to reach it
//	GET    /members/applications                     reader, owner, admin
//	POST   /members/applications                     owner, admin
//	GET    /members/applications/{id}                reader, owner, admin
//	PATCH, DELETE /members/applications/{id}         owner, admin
//	POST   /members/applications/{id}/certificates/{type}/sign   owner, admin: a certificate for a CSR
//	POST   /members/applications/{id}/certificates   owner, admin: the same, with the type in the body
//	GET    /members/certificates/{serial}.pem        reader, owner, admin
//	POST   /members/certificates/{serial}/revoke     owner, admin
//	GET    /members/ca/{client,signing,server}.zip   reader, owner, admin: root and issuer
//	GET    /members/sites                            reader, owner, admin
//	POST   /members/sites                            owner, admin: a site, a gateway there and its one-time code
//	PATCH  /members/sites/{id}                       owner, admin
//	GET    /members/gateways[/{id}]                  reader, owner, admin: how they stand
//	POST   /members/gateways                         owner, admin: a gateway and its one-time code
//	POST   /members/gateways/{id}/codes              owner, admin: a fresh code
//	DELETE /members/gateways/{id}/codes              owner, admin: the code that was given out ends
//	POST   /members/gateways/{id}/revoke             owner, admin: all its certificates are revoked
//	POST   /admin/organizations                      admin: a new member
//	POST   /admin/organizations/{id}/members         admin: an owner of a member, and the owner's token
//
// A person's token may act for several members: X-Organization names one. The
// public ib1-directory-cli is a client of this API.
//
// Errors are JSON {"error","error_description"}.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	routes := map[string]map[string]answer.Handler{}
	for _, r := range s.routes() {
		if routes[r.Path] == nil {
			routes[r.Path] = map[string]answer.Handler{}
		}
		routes[r.Path][r.Method] = r.Handle
	}
	for path, methods := range routes {
		mux.Handle(path, answer.Dispatch(s.Logger, methods))
	}
	mux.Handle("/acme/", s.acme.Handler())
	mux.Handle("/", answer.Dispatch(s.Logger, map[string]answer.Handler{"": func(http.ResponseWriter, *http.Request) error {
		return answer.Refuse(http.StatusNotFound, "not_found", "There is nothing at this address.")
	}}))
	return s.status.Before(mux)
}

func (s *Server) routes() []answer.Route {
	return append(slices.Concat(s.Listing.Routes(), s.status.Routes(), s.gateways.Routes(), s.members.Routes()), answer.On("GET", "/healthz", s.getHealth))
}

// getHealth serves /healthz.
func (s *Server) getHealth(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Cache-Control", "no-store")
	if err := s.DB.PingContext(r.Context()); err != nil {
		s.Logger.Error("database does not answer", "error", err)
		return answer.Refuse(http.StatusServiceUnavailable, "unavailable", "The database does not answer.")
	}
	return answer.WriteJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}
