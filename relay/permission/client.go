package permission

import (
	"errors"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
)

// maxForm bounds the body of a server-to-server request; the largest real one,
// a pushed request, takes about 1 KiB.
const maxForm = 16 << 10

// peer reads who is asking from the client certificate. The listener has
// checked the chain; the CRL is asked here, on every request, since a
// connection may live longer than its certificate.
func (s *Service) peer(r *http.Request) (identity.Peer, error) {
	p, err := identity.RequestPeer(r)
	if err != nil {
		return p, unauthorized("invalid_client", "a client certificate of the scheme's profile is needed: exactly one URI as subject alternative name, roles and member extensions")
	}
	leaf := r.TLS.VerifiedChains[0][0]
	if now := s.c.Now(); now.After(leaf.NotAfter) || now.Before(leaf.NotBefore) {
		return p, unauthorized("invalid_client", "the client certificate has run out: renew it")
	}
	if s.revoked(p) {
		return p, unauthorized("invalid_client", "the client certificate is revoked")
	}
	return p, nil
}

func (s *Service) revoked(p identity.Peer) bool { return s.c.Revoked != nil && s.c.Revoked(p.Serial) }

// gateway is peer for a gateway, which is no client of OAuth: it is told that
// its certificate is revoked by the name that ingest and the directory have for
// it, so that it can tell its owner without asking further. To OAuth clients
// that is invalid_client (RFC 6749, 5.2).
func (s *Service) gateway(r *http.Request) (identity.Peer, error) {
	if p, err := identity.RequestPeer(r); err == nil && s.revoked(p) {
		return p, &Error{Status: http.StatusForbidden, Code: "certificate_revoked", Description: "the gateway's client certificate is revoked: enrol it again with a new code"}
	}
	return s.peer(r)
}

// formHandler serves a form post of an authenticated client.
type formHandler func(w http.ResponseWriter, r *http.Request, client identity.Peer, f url.Values) error

// form authenticates the client (tls_client_auth of RFC 8705, with the
// application URL as client_id) and reads its form.
//
// RFC 8705 wants client_id in every request (needID). The permission endpoint
// and revocation are specified without it: only a wrong one is refused there.
func (s *Service) form(needID bool, h formHandler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		client, f, err := s.readForm(w, r, needID)
		if err == nil {
			err = h(w, r, client, f)
		}
		if err != nil {
			s.fail(w, r, err)
		}
	}
}

func (s *Service) readForm(w http.ResponseWriter, r *http.Request, needID bool) (identity.Peer, url.Values, error) {
	client, err := s.peer(r)
	if err != nil {
		return client, nil, err
	}
	if mt, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mt != "application/x-www-form-urlencoded" {
		return client, nil, &Error{Status: http.StatusUnsupportedMediaType, Code: "invalid_request",
			Description: "send the parameters as application/x-www-form-urlencoded"}
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		var big *http.MaxBytesError
		if errors.As(err, &big) {
			return client, nil, &Error{Status: http.StatusRequestEntityTooLarge, Code: "invalid_request", Description: "the request is larger than 16 KiB"}
		}
		return client, nil, bad("invalid_request", "the form cannot be read")
	}
	if client, err = s.peer(r); err != nil { // the body may have taken its time
		return client, nil, err
	}
	f := r.PostForm // never the query: tokens do not belong into addresses
	for k, v := range f {
		if len(v) != 1 {
			return client, nil, bad("invalid_request", "parameter %.40s is given more than once", k)
		}
		if !plain(v[0]) {
			return client, nil, bad("invalid_request", "parameter %.40s holds a control character or is not UTF-8", k)
		}
	}
	if f.Has("client_secret") || f.Has("client_assertion") || r.Header.Get("Authorization") != "" {
		return client, nil, bad("invalid_request", "clients authenticate with their certificate alone")
	}
	id := f.Get("client_id")
	if id == "" && needID {
		return client, nil, unauthorized("invalid_client", "client_id is missing: give the application URL of your certificate")
	}
	if id != "" && id != client.Application {
		return client, nil, unauthorized("invalid_client", "client_id is not the application URL of your certificate")
	}
	return client, f, nil
}

// plain reports whether a text from outside is UTF-8 without control
// characters: those have no business in any parameter, and a database may
// refuse to store them (PostgreSQL does).
func plain(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

// The parts that a client can take under a licence.
const (
	partCAP = "cap"
	partFSP = "fsp"
)

// parts says which parts of a licence the client's roles let it take; none
// means that it may not ask for it. The relay itself is EDP and CAP in one: a
// bank that asks for the combined licence gets its emissions from us.
func (s *Service) parts(client identity.Peer, license string) []string {
	sc := s.c.Scheme
	var ps []string
	if client.HasRole(sc.Role(scheme.CAP)) && (license == sc.LicenseConsumption() || license == sc.LicenseCombined()) {
		ps = append(ps, partCAP)
	}
	if client.HasRole(sc.Role(scheme.FSP)) && (license == sc.LicenseEmissions() || license == sc.LicenseCombined()) {
		ps = append(ps, partFSP)
	}
	return ps
}

// mayUse fails unless the client may ask for, and use, the licence.
func (s *Service) mayUse(client identity.Peer, license string) ([]string, error) {
	if !slices.Contains(s.c.Scheme.Licenses(), license) {
		return nil, bad("invalid_scope", "scope must be exactly one licence URL of %s", s.c.Scheme.Registry())
	}
	ps := s.parts(client, license)
	if len(ps) == 0 {
		return nil, bad("unauthorized_client", "the roles in your certificate do not allow this licence")
	}
	return ps, nil
}
