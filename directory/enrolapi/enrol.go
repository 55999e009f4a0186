// Package enrolapi is what gateways ask: their first certificates for a one-time code,
// and later ones over mutual TLS (EST, RFC 7030).
package enrolapi

import (
	"errors"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/answer"
	"github.com/perseus-edge/perseus-edge/directory/audit"
	"github.com/perseus-edge/perseus-edge/directory/fault"
	"github.com/perseus-edge/perseus-edge/identity"
)

// API answers gateways: enrolment with a code, and renewal.
type API struct {
	*directory.Service
	clientAddress func(*http.Request) netip.Addr
}

// New makes the API of a directory. clientAddress says from which address
// a request comes, for the limits on guessing.
func New(d *directory.Service, clientAddress func(*http.Request) netip.Addr) *API {
	return &API{d, clientAddress}
}

// Routes are the addresses of the API.
//
// The part of EST (RFC 7030) that gateways need. The label in the address
// names the hierarchy (3.2.2); without one it is the client hierarchy. Both
// kinds of certificate are renewed with the client certificate.
func (s *API) Routes() []answer.Route {
	return []answer.Route{
		answer.On("POST", "/gateway/v1/enrollments", s.postEnrollment),
		answer.On("GET", "/.well-known/est/cacerts", s.getCACerts),
		answer.On("GET", "/.well-known/est/{label}/cacerts", s.getCACerts),
		answer.On("POST", "/.well-known/est/simplereenroll", s.postReenroll),
		answer.On("POST", "/.well-known/est/{label}/simplereenroll", s.postReenroll),
	}
}

// postEnrollment serves POST /gateway/v1/enrollments:
//
//	{"code","client_csr","signing_csr","gateway"?} -> 201
//	{"gateway","member","organisation","relay","client_certificate",
//	 "signing_certificate","signing_roots","client_roots"}
//
// Requests and certificates are PEM; certificates are bundles of leaf and
// issuer. gateway is the URL that the device goes by now, if it has one. 400
// mistyped_code: the code is none, by its check character; nothing is lost. 400
// invalid_request: a request is not acceptable, the code is still good. 403
// invalid_code: unknown, used or expired, which look the same. 409
// other_gateway: the code is not for the device; it is still good. 429
// too_many_attempts with Retry-After: too many wrong codes from this address.
//
// The same request again gets the same answer for as long as the code is good:
// an answer that is lost on the way costs no code.
func (s *API) postEnrollment(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Code       string `json:"code"`
		ClientCSR  string `json:"client_csr"`
		SigningCSR string `json:"signing_csr"`
		Gateway    string `json:"gateway"`
	}
	if err := answer.ReadJSON(r, &in); err != nil {
		return err
	}
	if _, err := identity.ParseEnrolCode(in.Code); err != nil {
		return answer.Refuse(http.StatusBadRequest, "mistyped_code", sentence(err.Error()))
	}
	from := s.clientAddress(r)
	forgive, wait, ok, err := s.Attempt(r.Context(), from)
	if err != nil {
		return err
	}
	if !ok {
		s.Logger.Warn("enrolment refused: too many wrong codes", "from", from)
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
		return answer.Refuse(http.StatusTooManyRequests, "too_many_attempts", "Too many codes were wrong. Wait a minute, then type the code again.")
	}
	e, err := s.EnrollAs(audit.WithActor(r.Context(), "code:"+from.String()), in.Gateway, in.Code, []byte(in.ClientCSR), []byte(in.SigningCSR))
	if errors.Is(err, fault.ErrCode) {
		s.Logger.Warn("enrolment refused: code not valid", "from", from)
		return answer.Refuse(http.StatusForbidden, "invalid_code", "This code is wrong, was used already, or is too old. Ask whoever gave it to you for a new one.")
	}
	forgive() // it was not a guess
	if err != nil {
		return err
	}
	s.Logger.Info("gateway enrolled", "gateway", e.Gateway.URL, "member", e.Member.URL, "from", from)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Location", e.Gateway.URL)
	return answer.WriteJSON(w, http.StatusCreated, map[string]string{
		"gateway":             e.Gateway.URL,
		"member":              e.Member.URL,
		"organisation":        e.Member.Name,
		"relay":               s.RelayURL,
		"client_certificate":  string(e.Client.PEM()),
		"signing_certificate": string(e.Signing.PEM()),
		"signing_roots":       string(identity.EncodeCertificates(s.Authorities.Signing.Root)),
		"client_roots":        string(identity.EncodeCertificates(s.Authorities.Client.Root)),
	})
}

// sentence makes a sentence of an error's words.
func sentence(text string) string {
	r, n := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(r)) + strings.TrimSuffix(text[n:], ".") + "."
}
