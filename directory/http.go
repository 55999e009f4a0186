package directory

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/directory/rdf"
)

// maxBody bounds every request body: 64 KiB.
const maxBody = 64 << 10

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
func (s *Service) Handler() http.Handler {
	mux := http.NewServeMux()
	routes := map[string]map[string]handler{}
	for _, r := range s.routes() {
		if routes[r.path] == nil {
			routes[r.path] = map[string]handler{}
		}
		routes[r.path][r.method] = r.handle
	}
	for path, methods := range routes {
		mux.Handle(path, s.dispatch(methods))
	}
	mux.Handle("/acme/", s.acme.Handler())
	mux.Handle("/", s.dispatch(map[string]handler{"": func(http.ResponseWriter, *http.Request) error {
		return &httpError{http.StatusNotFound, "not_found", "There is nothing at this address."}
	}}))
	return s.beforeMux(mux)
}

// handler is an http.HandlerFunc that may fail.
type handler func(http.ResponseWriter, *http.Request) error

type route struct {
	method, path string
	handle       handler
}

func (s *Service) routes() []route {
	return append(slices.Concat(s.renewRoutes(), s.siteRoutes(), s.statusRoutes()), []route{
		{"GET", "/{$}", s.getIndex},
		{"GET", "/healthz", s.getHealth},
		{"GET", "/style.css", s.getStyle},
		{"GET", "/m/{id}", s.getMember},
		{"GET", "/a/{id}", s.getApplication},
		{"GET", "/d/{id}", s.getService},
		{"GET", "/g/{id}", s.getGateway},
		{"GET", "/catalog", s.getCatalog},
		{"GET", "/allowlist/trust-framework", s.getAllowlist},
		{"GET", "/allowlist/scheme/perseus", s.getAllowlist},
		{"GET", "/sparql", s.sparql},
		{"POST", "/sparql", s.sparql},
		{"GET", "/query/organizations", s.queryMembers},
		{"GET", "/query/members-with-role", s.queryMembers},
		{"GET", "/query/data-services", s.queryServices},
		{"GET", "/query/data-catalog/api", s.queryServices},
		{"POST", "/gateway/v1/enrollments", s.postEnrollment},
		{"GET", "/members/organizations", s.withBearer(Reader, s.getOrganizations)},
		{"GET", "/members/me", s.withToken(Reader, s.getMe)},
		{"PATCH", "/members/me", s.withToken(Owner, s.patchMe)},
		{"GET", "/members/applications", s.withToken(Reader, s.getApplications)},
		{"POST", "/members/applications", s.withToken(Owner, s.postApplication)},
		{"GET", "/members/applications/{id}", s.withToken(Reader, s.getOwnApplication)},
		{"PATCH", "/members/applications/{id}", s.withToken(Owner, s.patchApplication)},
		{"DELETE", "/members/applications/{id}", s.withToken(Owner, s.deleteApplication)},
		{"POST", "/members/applications/{id}/certificates/{type}/sign", s.withToken(Owner, s.postSign)},
		{"GET", "/members/certificates/{file}", s.withToken(Reader, s.getCertificate)},
		{"GET", "/members/ca/{file}", s.withBearer(Reader, s.getBundle)},
		{"POST", "/admin/organizations", s.withBearer(Admin, s.postOrganization)},
		{"POST", "/admin/organizations/{id}/members", s.withBearer(Admin, s.postOwner)},
		{"POST", "/members/applications/{id}/certificates", s.withToken(Owner, s.postCertificate)},
		{"POST", "/members/certificates/{serial}/revoke", s.withToken(Owner, s.postRevoke)},
	}...)
}

// dispatch picks the handler of the method ("" takes all) and writes what
// went wrong.
func (s *Service) dispatch(methods map[string]handler) http.Handler {
	var allow []string
	for _, m := range []string{"GET", "POST", "PATCH", "DELETE"} {
		if methods[m] != nil {
			allow = append(allow, m)
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		method := r.Method
		if method == http.MethodHead {
			method = http.MethodGet
		}
		f := methods[""]
		if f == nil {
			f = methods[method]
		}
		if f == nil {
			h.Set("Allow", strings.Join(allow, ", "))
			writeError(w, &httpError{http.StatusMethodNotAllowed, "method_not_allowed", "Use " + strings.Join(allow, " or ") + " at this address."})
			return
		}
		if err := f(w, r); err != nil {
			s.fail(w, r, err)
		}
	})
}

// httpError is an error for the client's eyes.
type httpError struct {
	status            int
	code, description string
}

func (e *httpError) Error() string { return e.code + ": " + e.description }

// codes are the errors' names in answers, by status.
var codes = map[int]string{http.StatusRequestEntityTooLarge: "too_large", http.StatusBadRequest: "invalid_request", http.StatusNotFound: "not_found", http.StatusConflict: "exists"}

// fail turns an error into its answer. What is not meant for the client is
// logged under a correlation id, and only the id goes out.
func (s *Service) fail(w http.ResponseWriter, r *http.Request, err error) {
	var he *httpError
	status, text, ok := Explain(err)
	switch {
	case errors.As(err, &he):
	case ok:
		he = &httpError{status, codes[status], text}
	case r.Context().Err() != nil:
		return // the client has gone
	default:
		var b [8]byte
		rand.Read(b[:])
		id := hex.EncodeToString(b[:])
		s.Logger.Error("request failed", "method", r.Method, "path", r.URL.Path, "correlation", id, "error", err)
		he = &httpError{http.StatusInternalServerError, "server_error", "Something went wrong here. Try again later, or report correlation id " + id + "."}
	}
	writeError(w, he)
}

func writeError(w http.ResponseWriter, e *httpError) {
	w.Header().Del("ETag")
	w.Header().Set("Cache-Control", "no-store")
	writeJSON(w, e.status, map[string]string{"error": e.code, "error_description": e.description})
}

func writeJSON(w http.ResponseWriter, status int, v any) error {
	w.Header().Set("Content-Type", "application/json")
	return encodeJSON(w, status, v)
}

func encodeJSON(w http.ResponseWriter, status int, v any) error {
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.Encode(v) // an error here is the client's connection: there is nobody to tell
	return nil
}

// readJSON reads one JSON object of the type of v.
func readJSON(r *http.Request, v any) error {
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		return &httpError{http.StatusUnsupportedMediaType, "unsupported_media_type", "Send JSON, with Content-Type: application/json."}
	}
	d := json.NewDecoder(r.Body)
	if err := d.Decode(v); err != nil {
		if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
			return err
		}
		return invalid("the body is not the JSON object that this address takes")
	}
	if _, err := d.Token(); err != io.EOF {
		if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
			return err
		}
		return invalid("there is more than one JSON object in the body")
	}
	return nil
}

// cached lets caches keep a public answer, and answers 304 where the reader
// has it already.
func cached(w http.ResponseWriter, r *http.Request, etag string, age time.Duration) (done bool) {
	h := w.Header()
	h.Set("Cache-Control", "public, max-age="+itoa(int64(age/time.Second)))
	h.Set("ETag", etag)
	if !rdf.Matches(r.Header.Values("If-None-Match"), etag) {
		return false
	}
	w.WriteHeader(http.StatusNotModified)
	return true
}
