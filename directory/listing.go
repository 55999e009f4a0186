package directory

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/directory/rdf"
	"github.com/perseus-edge/perseus-edge/identity"
)

// listingAge is how long caches may keep a listing.
const listingAge = 5 * time.Minute

func (s *Service) getMember(w http.ResponseWriter, r *http.Request) error {
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

func (s *Service) getApplication(w http.ResponseWriter, r *http.Request) error {
	l, err := s.listing(r.Context())
	if err != nil {
		return err
	}
	a, err := find(l.byApp, "application", r.PathValue("id"))
	if err != nil {
		return err
	}
	return represent(w, r, applicationPage, s.applicationView(a), s.applicationGraph(a))
}

func (s *Service) getService(w http.ResponseWriter, r *http.Request) error {
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
func (s *Service) getGateway(w http.ResponseWriter, r *http.Request) error {
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
func (s *Service) queryMembers(w http.ResponseWriter, r *http.Request) error {
	l, err := s.listing(r.Context())
	if err != nil {
		return err
	}
	role := r.URL.Query().Get("role")
	if role != "" && l.withRole(role) == nil {
		return sendJSON(w, r, map[string]any{"members": []memberJSON{}})
	}
	body := l.keep("members with "+role, func() any {
		out := make([]memberJSON, 0, len(l.ids))
		if role != "" {
			for _, m := range l.withRole(role) {
				out = append(out, s.memberJSON(m.Member))
			}
		} else {
			for _, id := range l.ids {
				out = append(out, s.memberJSON(l.members[id].Member))
			}
		}
		return jsonBytes(map[string]any{"members": out})
	})
	rdf.Send(w, r, rdf.TypeJSON, body.([]byte), listingAge)
	return nil
}

// queryServices serves /query/data-services?conformsTo=URL; several
// conformsTo mean any of them.
func (s *Service) queryServices(w http.ResponseWriter, r *http.Request) error {
	standards := unique(r.URL.Query()["conformsTo"])
	if len(standards) == 0 || len(standards) > 20 {
		return invalid("conformsTo: give the URL of a standard, up to 20 times")
	}
	l, err := s.listing(r.Context())
	if err != nil {
		return err
	}
	out := []serviceJSON{}
	for _, standard := range standards {
		for _, o := range l.conforming(standard) {
			out = append(out, serviceJSON{Title: o.Title, Publisher: s.MemberURL(o.app.Member), ConformsTo: o.ConformsTo, Endpoint: o.Endpoint, OAuthIssuer: o.OAuthIssuer})
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

// getCRL serves /crl/<hierarchy>.crl, and <hierarchy>-root.crl, which the root
// signed at its ceremony.
func (s *Service) getCRL(w http.ResponseWriter, r *http.Request) error {
	name, ok := strings.CutSuffix(r.PathValue("file"), ".crl")
	if !ok {
		return ErrNotFound
	}
	if h, ok := strings.CutSuffix(name, "-root"); ok {
		a := s.Authorities.Of(Hierarchy(h))
		if a == nil || a.RootCRL == nil {
			return ErrNotFound
		}
		if cached(w, r, `"`+a.RootCRL.Number.String()+`"`, time.Hour) {
			return nil
		}
		w.Header().Set("Content-Type", "application/pkix-crl")
		w.Write(a.RootCRL.Raw)
		return nil
	}
	l, err := s.CRL(r.Context(), Hierarchy(name))
	if err != nil {
		return err
	}
	// No cache in between: a revocation must reach a reader that asks again.
	if cached(w, r, `"`+itoa(l.Number)+`"`, 0) {
		return nil
	}
	w.Header().Set("Content-Type", "application/pkix-crl")
	w.Header().Set("Last-Modified", l.ThisUpdate.Format(http.TimeFormat))
	w.Write(l.DER)
	return nil
}

// getCA serves /ca/<hierarchy>.pem: the issuer, then the root; and each in DER
// as <hierarchy>-issuer.cer and <hierarchy>-root.cer, as certificates name them.
func (s *Service) getCA(w http.ResponseWriter, r *http.Request) error {
	if name, ok := strings.CutSuffix(r.PathValue("file"), ".cer"); ok {
		h, which, _ := strings.Cut(name, "-")
		a := s.Authorities.Of(Hierarchy(h))
		if a == nil || which != "issuer" && which != "root" {
			return ErrNotFound
		}
		c := a.Issuer
		if which == "root" {
			c = a.Root
		}
		if cached(w, r, `"`+hex.EncodeToString(c.SerialNumber.Bytes())+`"`, time.Hour) {
			return nil
		}
		w.Header().Set("Content-Type", "application/pkix-cert")
		w.Write(c.Raw)
		return nil
	}
	name, ok := strings.CutSuffix(r.PathValue("file"), ".pem")
	a := s.Authorities.Of(Hierarchy(name))
	if !ok || a == nil {
		return ErrNotFound
	}
	if cached(w, r, `"`+hex.EncodeToString(a.Issuer.SubjectKeyId)+`"`, time.Hour) {
		return nil
	}
	w.Header().Set("Content-Type", "application/x-pem-file")
	w.Write(identity.EncodeCertificates(a.Issuer, a.Root))
	return nil
}

// getHealth serves /healthz.
func (s *Service) getHealth(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Cache-Control", "no-store")
	if err := s.DB.PingContext(r.Context()); err != nil {
		s.Logger.Error("database does not answer", "error", err)
		return &httpError{http.StatusServiceUnavailable, "unavailable", "The database does not answer."}
	}
	return writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// list makes an empty list, not null, of nothing.
func list(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}
