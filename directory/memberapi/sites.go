package memberapi

import (
	"net/http"
	"strings"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/answer"
	"github.com/perseus-edge/perseus-edge/directory/form"
)

// siteJSON is a site as its own member sees it.
type siteJSON struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Outcode string `json:"outcode,omitempty"`
	Created string `json:"created"`

	Gateway *gatewayJSON `json:"gateway,omitempty"` // only in the answer that made it
}

func toSiteJSON(x directory.Site) siteJSON {
	return siteJSON{ID: x.ID, Name: x.Name, Outcode: x.Outcode, Created: form.RFC3339(x.Created)}
}

// gatewayJSON is a gateway as its own member sees it.
type gatewayJSON struct {
	ID          string `json:"id"` // URL
	Identifier  string `json:"identifier"`
	Name        string `json:"name"`
	SiteID      string `json:"siteId"`
	Site        string `json:"site"`
	Outcode     string `json:"outcode,omitempty"`
	Application string `json:"application,omitempty"` // URL
	Created     string `json:"created"`
	Enrolled    string `json:"enrolled,omitempty"` // absent: never
	State       string `json:"state"`              // new, enrolled, expired or revoked
	Until       string `json:"until,omitempty"`    // enrolled, expired: when its client certificate ends
	Revoked     string `json:"revoked,omitempty"`  // revoked: when

	Code        string `json:"code,omitempty"`        // only in the answer that made it
	CodeLink    string `json:"codeLink,omitempty"`    // with code: what its QR code holds
	CodeExpires string `json:"codeExpires,omitempty"` // a code can be used until then
}

// gatewayView is how a gateway stands. code is the one that was made now; nil:
// none.
func (s *API) gatewayView(r *http.Request, g directory.Gateway, code *directory.Code) (gatewayJSON, error) {
	st, err := s.Standing(r.Context(), g.ID)
	v := gatewayJSON{ID: s.GatewayURL(g.ID), Identifier: g.ID, Name: g.Name, SiteID: g.SiteID, Site: g.Site, Outcode: g.Outcode,
		Created: form.RFC3339(g.Created), Enrolled: form.RFC3339(g.Enrolled), State: st.State, Until: form.RFC3339(st.Until), Revoked: form.RFC3339(st.Revoked), CodeExpires: form.RFC3339(st.CodeExpires)}
	if g.Application != "" {
		v.Application = s.ApplicationURL(g.Application)
	}
	if code != nil {
		v.Code, v.CodeLink, v.CodeExpires = code.Text, code.Link, form.RFC3339(code.Expires)
	}
	return v, err
}

// sendGateway answers with a gateway.
func (s *API) sendGateway(w http.ResponseWriter, r *http.Request, status int, g directory.Gateway, code *directory.Code) error {
	v, err := s.gatewayView(r, g, code)
	if err != nil {
		return err
	}
	return answer.WriteJSON(w, status, v)
}

// getSites serves GET /members/sites: {"sites":[..]}.
func (s *API) getSites(w http.ResponseWriter, r *http.Request, m directory.Member) error {
	xs, err := s.Sites(r.Context(), m.ID)
	if err != nil {
		return err
	}
	out := make([]siteJSON, len(xs))
	for i, x := range xs {
		out[i] = toSiteJSON(x)
	}
	return answer.WriteJSON(w, http.StatusOK, map[string]any{"sites": out})
}

// postSite serves POST /members/sites: {"name","outcode","application"?,
// "gateway"? (its name)} -> 201 with the site, a gateway there and its one-time
// code, which is shown this once.
func (s *API) postSite(w http.ResponseWriter, r *http.Request, m directory.Member) error {
	var in struct {
		Name        string `json:"name"`
		Outcode     string `json:"outcode"`
		Application string `json:"application"`
		Gateway     string `json:"gateway"`
	}
	if err := readStrict(r, &in); err != nil {
		return err
	}
	p, err := s.OpenSite(r.Context(), directory.Site{Member: m.ID, Name: in.Name, Outcode: in.Outcode}, strings.TrimPrefix(in.Application, s.ApplicationURL("")), in.Gateway)
	if err != nil {
		return err
	}
	v := toSiteJSON(p.Site)
	g, err := s.gatewayView(r, p.Gateway, &p.Code)
	if err != nil {
		return err
	}
	v.Gateway = &g
	w.Header().Set("Location", g.ID)
	return answer.WriteJSON(w, http.StatusCreated, v)
}

// patchSite serves PATCH /members/sites/{id}: {"name"?,"outcode"?} -> the site.
func (s *API) patchSite(w http.ResponseWriter, r *http.Request, m directory.Member) error {
	var in struct {
		Name    *string `json:"name"`
		Outcode *string `json:"outcode"`
	}
	if err := readStrict(r, &in); err != nil {
		return err
	}
	x, err := s.SiteOf(r.Context(), m.ID, r.PathValue("id"))
	if err != nil {
		return err
	}
	if in.Name != nil {
		x.Name = *in.Name
	}
	if in.Outcode != nil {
		x.Outcode = *in.Outcode
	}
	if x, err = s.ChangeSite(r.Context(), x.ID, x.Name, x.Outcode); err != nil {
		return err
	}
	return answer.WriteJSON(w, http.StatusOK, toSiteJSON(x))
}

// getGateways serves GET /members/gateways: {"gateways":[..]}.
func (s *API) getGateways(w http.ResponseWriter, r *http.Request, m directory.Member) error {
	gs, err := s.Gateways(r.Context(), m.ID)
	if err != nil {
		return err
	}
	out := make([]gatewayJSON, len(gs))
	for i, g := range gs {
		if out[i], err = s.gatewayView(r, g, nil); err != nil {
			return err
		}
	}
	return answer.WriteJSON(w, http.StatusOK, map[string]any{"gateways": out})
}

// getOwnGateway serves GET /members/gateways/{id}.
func (s *API) getOwnGateway(w http.ResponseWriter, r *http.Request, m directory.Member) error {
	g, err := s.GatewayOf(r.Context(), m.ID, r.PathValue("id"))
	if err != nil {
		return err
	}
	return s.sendGateway(w, r, http.StatusOK, g, nil)
}

// postGateway serves POST /members/gateways: {"name","site" (its name, a new one
// is made) or "siteId","application"?} (application: id or URL) -> 201 with the
// gateway and its one-time code, which is shown this once.
func (s *API) postGateway(w http.ResponseWriter, r *http.Request, m directory.Member) error {
	var in struct {
		Name        string `json:"name"`
		Site        string `json:"site"`
		SiteID      string `json:"siteId"`
		Application string `json:"application"`
	}
	if err := readStrict(r, &in); err != nil {
		return err
	}
	g, code, err := s.OpenGateway(r.Context(), directory.Gateway{Member: m.ID, Name: in.Name, Site: in.Site, SiteID: in.SiteID,
		Application: strings.TrimPrefix(in.Application, s.ApplicationURL(""))})
	if err != nil {
		return err
	}
	w.Header().Set("Location", s.GatewayURL(g.ID))
	return s.sendGateway(w, r, http.StatusCreated, g, &code)
}

// postCode serves POST /members/gateways/{id}/codes (no body) -> 201 with the
// gateway and a fresh code; earlier codes end.
func (s *API) postCode(w http.ResponseWriter, r *http.Request, m directory.Member) error {
	g, err := s.GatewayOf(r.Context(), m.ID, r.PathValue("id"))
	if err != nil {
		return err
	}
	code, err := s.IssueCode(r.Context(), g.ID)
	if err != nil {
		return err
	}
	return s.sendGateway(w, r, http.StatusCreated, g, &code)
}

// deleteCode serves DELETE /members/gateways/{id}/codes: the code that was
// given out ends -> 204, also where there was none.
func (s *API) deleteCode(w http.ResponseWriter, r *http.Request, m directory.Member) error {
	g, err := s.GatewayOf(r.Context(), m.ID, r.PathValue("id"))
	if err != nil {
		return err
	}
	if _, err := s.WithdrawCode(r.Context(), g.ID); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// postGatewayRevoke serves POST /members/gateways/{id}/revoke: {"reason"?} or
// no body -> 200 with the gateway, which can do nothing from now on.
func (s *API) postGatewayRevoke(w http.ResponseWriter, r *http.Request, m directory.Member) error {
	var in struct {
		Reason string `json:"reason"`
	}
	if r.ContentLength != 0 {
		if err := readStrict(r, &in); err != nil {
			return err
		}
	}
	g, err := s.GatewayOf(r.Context(), m.ID, r.PathValue("id"))
	if err != nil {
		return err
	}
	if _, err := s.RevokeGateway(r.Context(), g.ID, in.Reason); err != nil {
		return err
	}
	return s.sendGateway(w, r, http.StatusOK, g, nil)
}
