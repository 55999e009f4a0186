package directory

import (
	"context"
	"encoding/hex"
	"net/http"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
)

// listingAge is how long caches may keep a listing.
const listingAge = 5 * time.Minute

// brand is the name by which the public knows a member.
type brand struct {
	Name string `json:"name"`
}

// memberJSON is a member as the JSON queries of directory 1.0 have it.
type memberJSON struct {
	ID           string   `json:"id"` // URL
	Identifier   string   `json:"identifier"`
	Type         string   `json:"type"`
	LegalName    string   `json:"legalName"`
	Brand        brand    `json:"brand"`
	Roles        []string `json:"roles"`
	Applications []string `json:"applications,omitempty"` // URLs
}

type applicationJSON struct {
	ID              string   `json:"id"` // URL
	Identifier      string   `json:"identifier"`
	Type            string   `json:"type"`
	Title           string   `json:"title"`
	Publisher       string   `json:"publisher"` // member URL
	Scheme          string   `json:"scheme"`
	Roles           []string `json:"roles"`
	HomePage        string   `json:"homePageURL,omitempty"`
	MessageDelivery string   `json:"messageDelivery,omitempty"`
}

// publicGatewayJSON is all that strangers see of a gateway: whose it is. Names
// of sites are the member's own business.
type publicGatewayJSON struct {
	ID          string `json:"id"` // URL
	Identifier  string `json:"identifier"`
	Type        string `json:"type"`
	Member      string `json:"member"`                // URL
	Application string `json:"application,omitempty"` // URL
}

func (s *Service) memberJSON(m Member) memberJSON {
	return memberJSON{ID: s.MemberURL(m.ID), Identifier: m.ID, Type: "Organization",
		LegalName: m.LegalName, Brand: brand{m.BrandName}, Roles: list(m.Roles)}
}

// memberView is memberJSON with the member's applications.
func (s *Service) memberView(ctx context.Context, m Member) (memberJSON, error) {
	v := s.memberJSON(m)
	ids, err := texts(ctx, s.DB, `SELECT id FROM directory_applications WHERE member = $1 ORDER BY id`, m.ID)
	for _, id := range ids {
		v.Applications = append(v.Applications, s.ApplicationURL(id))
	}
	return v, err
}

func (s *Service) getMember(w http.ResponseWriter, r *http.Request) error {
	m, err := s.Member(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	v, err := s.memberView(r.Context(), m)
	if err != nil {
		return err
	}
	return represent(w, r, memberPage, v, v.ld())
}

func (s *Service) getApplication(w http.ResponseWriter, r *http.Request) error {
	a, err := s.Application(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	v := applicationJSON{ID: s.ApplicationURL(a.ID), Identifier: a.ID, Type: "Application", Title: a.Name,
		Publisher: s.MemberURL(a.Member), Scheme: s.Scheme.URL(), Roles: list(a.Roles),
		HomePage: a.HomePage, MessageDelivery: a.MessageDelivery}
	return represent(w, r, applicationPage, v, v.ld())
}

func (s *Service) getGateway(w http.ResponseWriter, r *http.Request) error {
	g, err := s.Gateway(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	v := publicGatewayJSON{ID: s.GatewayURL(g.ID), Identifier: g.ID, Type: "Gateway", Member: s.MemberURL(g.Member)}
	if g.Application != "" {
		v.Application = s.ApplicationURL(g.Application)
	}
	return represent(w, r, gatewayPage, v, v.ld())
}

// queryMembers serves /query/organizations?role=URL. Without a role: all.
func (s *Service) queryMembers(w http.ResponseWriter, r *http.Request) error {
	ms, err := s.members(r.Context(), r.URL.Query().Get("role"))
	if err != nil {
		return err
	}
	out := make([]memberJSON, len(ms))
	for i, m := range ms {
		out[i] = s.memberJSON(m)
	}
	return writeJSON(w, http.StatusOK, map[string]any{"members": out})
}

// members lists those with a role, or all when role is empty.
func (s *Service) members(ctx context.Context, role string) ([]Member, error) {
	rows, err := s.DB.QueryContext(ctx, `SELECT m.id, m.legal_name, m.brand_name, COALESCE(r.role, '')
		FROM directory_members m LEFT JOIN directory_member_roles r ON r.member = m.id
		WHERE $1 = '' OR m.id IN (SELECT member FROM directory_member_roles WHERE role = $1)
		ORDER BY m.id, r.role`, role)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Member
	for rows.Next() {
		var m Member
		var role string
		if err := rows.Scan(&m.ID, &m.LegalName, &m.BrandName, &role); err != nil {
			return nil, err
		}
		if n := len(out); n == 0 || out[n-1].ID != m.ID {
			out = append(out, m)
		}
		if last := &out[len(out)-1]; role != "" {
			last.Roles = append(last.Roles, role)
		}
	}
	return out, rows.Err()
}

type serviceJSON struct {
	Title       string `json:"title"`
	Publisher   string `json:"publisher"` // member URL
	ConformsTo  string `json:"conformsTo"`
	Endpoint    string `json:"endpointURL"`
	OAuthIssuer string `json:"oauthIssuer,omitempty"`
}

// queryServices serves /query/data-services?conformsTo=URL; several
// conformsTo mean any of them.
func (s *Service) queryServices(w http.ResponseWriter, r *http.Request) error {
	standards := unique(r.URL.Query()["conformsTo"])
	if len(standards) == 0 || len(standards) > 20 {
		return invalid("conformsTo: give the URL of a standard, up to 20 times")
	}
	out := []serviceJSON{}
	for _, standard := range standards {
		found, err := s.dataServices(r.Context(), standard)
		if err != nil {
			return err
		}
		out = append(out, found...)
	}
	return writeJSON(w, http.StatusOK, map[string]any{"apis": out})
}

func (s *Service) dataServices(ctx context.Context, standard string) ([]serviceJSON, error) {
	rows, err := s.DB.QueryContext(ctx, `SELECT d.title, a.member, d.conforms_to, d.endpoint_url, d.oauth_issuer
		FROM directory_data_services d JOIN directory_applications a ON a.id = d.application
		WHERE d.conforms_to = $1 ORDER BY d.id`, standard)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []serviceJSON
	for rows.Next() {
		var v serviceJSON
		if err := rows.Scan(&v.Title, &v.Publisher, &v.ConformsTo, &v.Endpoint, &v.OAuthIssuer); err != nil {
			return nil, err
		}
		v.Publisher = s.MemberURL(v.Publisher)
		out = append(out, v)
	}
	return out, rows.Err()
}

// getCRL serves /crl/<hierarchy>.crl.
func (s *Service) getCRL(w http.ResponseWriter, r *http.Request) error {
	name, ok := strings.CutSuffix(r.PathValue("file"), ".crl")
	if !ok {
		return ErrNotFound
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

// getCA serves /ca/<hierarchy>.pem: the issuer, then the root.
func (s *Service) getCA(w http.ResponseWriter, r *http.Request) error {
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
