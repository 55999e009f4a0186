// Package memberapi is the API for members and administrators at /members and /admin,
// with bearer tokens: what an organisation has in the directory, and its certificates,
// sites and gateways. The public ib1-directory-cli is a client of it.
package memberapi

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/answer"
	"github.com/perseus-edge/perseus-edge/directory/audit"
	"github.com/perseus-edge/perseus-edge/directory/ca"
	"github.com/perseus-edge/perseus-edge/directory/fault"
	"github.com/perseus-edge/perseus-edge/directory/form"
	"github.com/perseus-edge/perseus-edge/identity"
)

// API answers at /members and /admin.
type API struct{ *directory.Service }

// New makes the API of a directory.
func New(d *directory.Service) *API { return &API{d} }

// Routes are the addresses of the API.
func (s *API) Routes() []answer.Route {
	return []answer.Route{
		answer.On("GET", "/members/organizations", s.withBearer(directory.Reader, s.getOrganizations)),
		answer.On("GET", "/members/me", s.withToken(directory.Reader, s.getMe)),
		answer.On("PATCH", "/members/me", s.withToken(directory.Owner, s.patchMe)),
		answer.On("GET", "/members/applications", s.withToken(directory.Reader, s.getApplications)),
		answer.On("POST", "/members/applications", s.withToken(directory.Owner, s.postApplication)),
		answer.On("GET", "/members/applications/{id}", s.withToken(directory.Reader, s.getOwnApplication)),
		answer.On("PATCH", "/members/applications/{id}", s.withToken(directory.Owner, s.patchApplication)),
		answer.On("DELETE", "/members/applications/{id}", s.withToken(directory.Owner, s.deleteApplication)),
		answer.On("POST", "/members/applications/{id}/certificates/{type}/sign", s.withToken(directory.Owner, s.postSign)),
		answer.On("GET", "/members/certificates/{file}", s.withToken(directory.Reader, s.getCertificate)),
		answer.On("GET", "/members/ca/{file}", s.withBearer(directory.Reader, s.getBundle)),
		answer.On("POST", "/admin/organizations", s.withBearer(directory.Admin, s.postOrganization)),
		answer.On("POST", "/admin/organizations/{id}/members", s.withBearer(directory.Admin, s.postOwner)),
		answer.On("POST", "/members/applications/{id}/certificates", s.withToken(directory.Owner, s.postCertificate)),
		answer.On("POST", "/members/certificates/{serial}/revoke", s.withToken(directory.Owner, s.postRevoke)),
		answer.On("GET", "/members/sites", s.withToken(directory.Reader, s.getSites)),
		answer.On("POST", "/members/sites", s.withToken(directory.Owner, s.postSite)),
		answer.On("PATCH", "/members/sites/{id}", s.withToken(directory.Owner, s.patchSite)),
		answer.On("GET", "/members/gateways", s.withToken(directory.Reader, s.getGateways)),
		answer.On("POST", "/members/gateways", s.withToken(directory.Owner, s.postGateway)),
		answer.On("GET", "/members/gateways/{id}", s.withToken(directory.Reader, s.getOwnGateway)),
		answer.On("POST", "/members/gateways/{id}/codes", s.withToken(directory.Owner, s.postCode)),
		answer.On("DELETE", "/members/gateways/{id}/codes", s.withToken(directory.Owner, s.deleteCode)),
		answer.On("POST", "/members/gateways/{id}/revoke", s.withToken(directory.Owner, s.postGatewayRevoke)),
	}
}

// withBearer asks for a bearer token of at least the access need, and hands
// whose it is to f.
func (s *API) withBearer(need directory.Access, f func(http.ResponseWriter, *http.Request, directory.Bearer) error) answer.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Cache-Control", "no-store")
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") || token == "" {
			w.Header().Set("WWW-Authenticate", `Bearer realm="directory"`)
			return answer.Refuse(http.StatusUnauthorized, "invalid_token", "Send your token: Authorization: Bearer ...")
		}
		// The body first: it may take a minute to come, and the token may have
		// ended meanwhile.
		body, unread := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		b, err := s.FindToken(r.Context(), token)
		if errors.Is(err, fault.ErrNotFound) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="directory", error="invalid_token"`)
			return answer.Refuse(http.StatusUnauthorized, "invalid_token", "This token is wrong or has expired. Ask the directory's administrator for a new one.")
		} else if err != nil {
			return err
		}
		refusal := ""
		switch {
		case need == directory.Admin && b.Access != directory.Admin:
			refusal = "This is for the directory's administrators."
		case need == directory.Owner && b.Access != directory.Owner && b.Access != directory.Admin:
			refusal = "This token may only read. Ask the owner of your organisation."
		}
		if refusal != "" {
			w.Header().Set("WWW-Authenticate", `Bearer realm="directory", error="insufficient_scope"`)
			return answer.Refuse(http.StatusForbidden, "insufficient_scope", refusal)
		}
		if unread != nil {
			return unread
		}
		return f(w, r.WithContext(audit.WithActor(r.Context(), b.Actor(token))), b)
	}
}

// withToken is withBearer for what is done for one member, which it hands to f.
func (s *API) withToken(need directory.Access, f func(http.ResponseWriter, *http.Request, directory.Member) error) answer.Handler {
	return s.withBearer(need, func(w http.ResponseWriter, r *http.Request, b directory.Bearer) error {
		m, err := s.actsFor(r, b)
		if err != nil {
			return err
		}
		return f(w, r, m)
	})
}

// actsFor picks the member: a member's token has one, an admin names one, and a
// person names one of several.
func (s *API) actsFor(r *http.Request, b directory.Bearer) (directory.Member, error) {
	asked := strings.TrimPrefix(r.Header.Get("X-Organization"), s.MemberURL(""))
	may := []string{b.Member}
	switch {
	case b.Access == directory.Admin:
		if asked == "" {
			return directory.Member{}, fault.Invalid("name the member whom you act for: X-Organization: its id or URL")
		}
		return s.Member(r.Context(), asked)
	case b.Owner != "":
		var err error
		if may, err = s.Owned(r.Context(), b.Owner); err != nil {
			return directory.Member{}, err
		}
	}
	if asked == "" && len(may) > 1 {
		return directory.Member{}, fault.Invalid("you own several organisations: name one in X-Organization, of those at /members/organizations")
	}
	if asked == "" && len(may) == 1 {
		asked = may[0]
	}
	if !slices.Contains(may, asked) {
		return directory.Member{}, answer.Refuse(http.StatusForbidden, "access_denied", "This token does not belong to the member in X-Organization.")
	}
	return s.Member(r.Context(), asked)
}

// postCertificate serves POST /members/applications/{id}/certificates:
// {"type":"client"|"signing","csr":PEM} -> 201 {"serial" (decimal),"type",
// "notBefore","notAfter","certificate" (PEM: leaf, issuer),"root" (PEM)}.
func (s *API) postCertificate(w http.ResponseWriter, r *http.Request, m directory.Member) error {
	var in struct {
		Type string `json:"type"`
		CSR  string `json:"csr"`
	}
	if err := readStrict(r, &in); err != nil {
		return err
	}
	h := ca.Hierarchy(in.Type)
	c, err := s.issueFor(r, m, h, "", in.CSR)
	if err != nil {
		return err
	}
	return answer.WriteJSON(w, http.StatusCreated, map[string]string{
		"serial":      c.Leaf.SerialNumber.String(),
		"type":        in.Type,
		"notBefore":   form.RFC3339(c.Leaf.NotBefore),
		"notAfter":    form.RFC3339(c.Leaf.NotAfter),
		"certificate": string(c.PEM()),
		"root":        string(identity.EncodeCertificates(s.Authorities.Of(h).Root)),
	})
}
