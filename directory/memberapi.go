package directory

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/perseus-edge/perseus-edge/directory/audit"
	"github.com/perseus-edge/perseus-edge/identity"
)

// withBearer asks for a bearer token of at least the access need, and hands
// whose it is to f.
func (s *Service) withBearer(need Access, f func(http.ResponseWriter, *http.Request, bearer) error) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Cache-Control", "no-store")
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") || token == "" {
			w.Header().Set("WWW-Authenticate", `Bearer realm="directory"`)
			return &httpError{http.StatusUnauthorized, "invalid_token", "Send your token: Authorization: Bearer ..."}
		}
		// The body first: it may take a minute to come, and the token may have
		// ended meanwhile.
		body, unread := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		b, err := s.findToken(r.Context(), token)
		if errors.Is(err, ErrNotFound) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="directory", error="invalid_token"`)
			return &httpError{http.StatusUnauthorized, "invalid_token", "This token is wrong or has expired. Ask the directory's administrator for a new one."}
		} else if err != nil {
			return err
		}
		refusal := ""
		switch {
		case need == Admin && b.access != Admin:
			refusal = "This is for the directory's administrators."
		case need == Owner && b.access != Owner && b.access != Admin:
			refusal = "This token may only read. Ask the owner of your organisation."
		}
		if refusal != "" {
			w.Header().Set("WWW-Authenticate", `Bearer realm="directory", error="insufficient_scope"`)
			return &httpError{http.StatusForbidden, "insufficient_scope", refusal}
		}
		if unread != nil {
			return unread
		}
		return f(w, r.WithContext(audit.WithActor(r.Context(), b.actor(token))), b)
	}
}

// actor is how the audit log calls the bearer of a token.
func (b bearer) actor(token string) string {
	if b.owner != "" {
		return "person:" + b.owner
	}
	return "token:" + mark(token)
}

// withToken is withBearer for what is done for one member, which it hands to f.
func (s *Service) withToken(need Access, f func(http.ResponseWriter, *http.Request, Member) error) handler {
	return s.withBearer(need, func(w http.ResponseWriter, r *http.Request, b bearer) error {
		m, err := s.actsFor(r, b)
		if err != nil {
			return err
		}
		return f(w, r, m)
	})
}

// actsFor picks the member: a member's token has one, an admin names one, and a
// person names one of several.
func (s *Service) actsFor(r *http.Request, b bearer) (Member, error) {
	asked := strings.TrimPrefix(r.Header.Get("X-Organization"), s.MemberURL(""))
	may := []string{b.member}
	switch {
	case b.access == Admin:
		if asked == "" {
			return Member{}, invalid("name the member whom you act for: X-Organization: its id or URL")
		}
		return s.Member(r.Context(), asked)
	case b.owner != "":
		var err error
		if may, err = s.owned(r.Context(), b.owner); err != nil {
			return Member{}, err
		}
	}
	if asked == "" && len(may) > 1 {
		return Member{}, invalid("you own several organisations: name one in X-Organization, of those at /members/organizations")
	}
	if asked == "" && len(may) == 1 {
		asked = may[0]
	}
	if !slices.Contains(may, asked) {
		return Member{}, &httpError{http.StatusForbidden, "access_denied", "This token does not belong to the member in X-Organization."}
	}
	return s.Member(r.Context(), asked)
}

// postCertificate serves POST /members/applications/{id}/certificates:
// {"type":"client"|"signing","csr":PEM} -> 201 {"serial" (decimal),"type",
// "notBefore","notAfter","certificate" (PEM: leaf, issuer),"root" (PEM)}.
func (s *Service) postCertificate(w http.ResponseWriter, r *http.Request, m Member) error {
	var in struct {
		Type string `json:"type"`
		CSR  string `json:"csr"`
	}
	if err := readStrict(r, &in); err != nil {
		return err
	}
	h := Hierarchy(in.Type)
	c, err := s.issueFor(r, m, h, "", in.CSR)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, map[string]string{
		"serial":      c.Leaf.SerialNumber.String(),
		"type":        in.Type,
		"notBefore":   rfc3339(c.Leaf.NotBefore),
		"notAfter":    rfc3339(c.Leaf.NotAfter),
		"certificate": string(c.PEM()),
		"root":        string(identity.EncodeCertificates(s.Authorities.Of(h).Root)),
	})
}
