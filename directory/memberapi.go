package directory

import (
	"errors"
	"math/big"
	"net/http"
	"strings"

	"github.com/perseus-edge/perseus-edge/identity"
)

// withToken asks for a bearer token of at least the access need, and hands
// the member that it acts for to f.
func (s *Service) withToken(need Access, f func(http.ResponseWriter, *http.Request, Member) error) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Cache-Control", "no-store")
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") || token == "" {
			w.Header().Set("WWW-Authenticate", `Bearer realm="directory"`)
			return &httpError{http.StatusUnauthorized, "invalid_token", "Send your token: Authorization: Bearer ..."}
		}
		b, err := s.findToken(r.Context(), token)
		if errors.Is(err, ErrNotFound) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="directory", error="invalid_token"`)
			return &httpError{http.StatusUnauthorized, "invalid_token", "This token is wrong or has expired. Ask the directory's administrator for a new one."}
		} else if err != nil {
			return err
		}
		if need == Owner && b.access == Reader {
			w.Header().Set("WWW-Authenticate", `Bearer realm="directory", error="insufficient_scope"`)
			return &httpError{http.StatusForbidden, "insufficient_scope", "This token may only read. Ask the owner of your organisation."}
		}
		m, err := s.actsFor(r, b)
		if err != nil {
			return err
		}
		return f(w, r, m)
	}
}

// actsFor picks the member: a member's token has one, an admin names one.
func (s *Service) actsFor(r *http.Request, b bearer) (Member, error) {
	asked := strings.TrimPrefix(r.Header.Get("X-Organization"), s.MemberURL(""))
	if b.access == Admin {
		if asked == "" {
			return Member{}, invalid("name the member whom you act for: X-Organization: its id or URL")
		}
		return s.Member(r.Context(), asked)
	}
	if asked != "" && asked != b.member {
		return Member{}, &httpError{http.StatusForbidden, "access_denied", "This token does not belong to the member in X-Organization."}
	}
	return s.Member(r.Context(), b.member)
}

// getMe serves GET /members/me: the member, with its applications.
func (s *Service) getMe(w http.ResponseWriter, r *http.Request, m Member) error {
	l, err := s.listing(r.Context())
	if err != nil {
		return err
	}
	e, err := find(l.members, "member", m.ID)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, s.memberView(e))
}

// gatewayJSON is a gateway as its own member sees it.
type gatewayJSON struct {
	ID          string `json:"id"` // URL
	Identifier  string `json:"identifier"`
	Name        string `json:"name"`
	Site        string `json:"site"`
	Application string `json:"application,omitempty"` // URL
	Created     string `json:"created"`
	Enrolled    string `json:"enrolled,omitempty"`    // absent: never
	Code        string `json:"code,omitempty"`        // only in the answer that made it
	CodeExpires string `json:"codeExpires,omitempty"` // with code
}

func (s *Service) gatewayJSON(g Gateway) gatewayJSON {
	v := gatewayJSON{ID: s.GatewayURL(g.ID), Identifier: g.ID, Name: g.Name, Site: g.Site,
		Created: rfc3339(g.Created), Enrolled: rfc3339(g.Enrolled)}
	if g.Application != "" {
		v.Application = s.ApplicationURL(g.Application)
	}
	return v
}

func (s *Service) withCode(v gatewayJSON, code string) gatewayJSON {
	v.Code, v.CodeExpires = code, rfc3339(s.Now().Add(CodeLife))
	return v
}

// getGateways serves GET /members/gateways: {"gateways":[..]}.
func (s *Service) getGateways(w http.ResponseWriter, r *http.Request, m Member) error {
	gs, err := s.Gateways(r.Context(), m.ID)
	if err != nil {
		return err
	}
	out := make([]gatewayJSON, len(gs))
	for i, g := range gs {
		out[i] = s.gatewayJSON(g)
	}
	return writeJSON(w, http.StatusOK, map[string]any{"gateways": out})
}

// postGateway serves POST /members/gateways: {"name","site","application"?}
// (application: id or URL) -> 201 with the gateway and its one-time code,
// which is shown this once.
func (s *Service) postGateway(w http.ResponseWriter, r *http.Request, m Member) error {
	var in struct {
		Name        string `json:"name"`
		Site        string `json:"site"`
		Application string `json:"application"`
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	g, code, err := s.AddGateway(r.Context(), Gateway{Member: m.ID, Name: in.Name, Site: in.Site,
		Application: strings.TrimPrefix(in.Application, s.ApplicationURL(""))})
	if err != nil {
		return err
	}
	w.Header().Set("Location", s.GatewayURL(g.ID))
	return writeJSON(w, http.StatusCreated, s.withCode(s.gatewayJSON(g), code))
}

// postCode serves POST /members/gateways/{id}/codes (no body) -> 201 with the
// gateway and a fresh code; earlier codes end.
func (s *Service) postCode(w http.ResponseWriter, r *http.Request, m Member) error {
	g, err := s.Gateway(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	if g.Member != m.ID {
		return ErrNotFound
	}
	code, err := s.NewCode(r.Context(), g.ID)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, s.withCode(s.gatewayJSON(g), code))
}

// postCertificate serves POST /members/applications/{id}/certificates:
// {"type":"client"|"signing","csr":PEM} -> 201 {"serial" (decimal),"type",
// "notBefore","notAfter","certificate" (PEM: leaf, issuer),"root" (PEM)}.
func (s *Service) postCertificate(w http.ResponseWriter, r *http.Request, m Member) error {
	var in struct {
		Type string `json:"type"`
		CSR  string `json:"csr"`
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	h := Hierarchy(in.Type)
	if h != Client && h != Signing {
		return invalid(`type: need "client" or "signing"`)
	}
	a, err := s.Application(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	if a.Member != m.ID {
		return ErrNotFound // another member's: no word on whether it exists
	}
	c, err := s.issueApplication(r.Context(), h, a.ID, []byte(in.CSR))
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

// postRevoke serves POST /members/certificates/{serial}/revoke (no body;
// serial in decimal) -> 204. It is for good.
func (s *Service) postRevoke(w http.ResponseWriter, r *http.Request, m Member) error {
	text := r.PathValue("serial")
	serial, ok := new(big.Int).SetString(text, 10)
	if !ok || len(text) > 48 || serial.String() != text {
		return invalid("serial: need a certificate's serial number in decimal")
	}
	if err := s.revoke(r.Context(), serial, m.ID); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
