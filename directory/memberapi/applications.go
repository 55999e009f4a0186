package memberapi

import (
	"net/http"
	"slices"
	"strings"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/answer"
	"github.com/perseus-edge/perseus-edge/directory/fault"
	"github.com/perseus-edge/perseus-edge/directory/form"
	"github.com/perseus-edge/perseus-edge/directory/listing"
)

// ownApplicationJSON is an application as its own member sees it.
type ownApplicationJSON struct {
	listing.ApplicationJSON
	DataService  *ownServiceJSON   `json:"dataService,omitempty"` // where there is exactly one
	Services     []ownServiceJSON  `json:"services,omitempty"`    // all
	Certificates []certificateJSON `json:"certificates,omitempty"`
}

type ownServiceJSON struct {
	ID string `json:"id"` // URL
	listing.ServiceJSON
	Assurance string `json:"datasetAssurance,omitempty"` // URL
}

func (s *API) ownApplication(r *http.Request, a directory.Application) (ownApplicationJSON, error) {
	offers, err := s.DataServices(r.Context(), a.ID)
	if err != nil {
		return ownApplicationJSON{}, err
	}
	v := ownApplicationJSON{ApplicationJSON: listing.DescribeApplication(s.Service, &directory.ApplicationEntry{Application: a, Services: offers})}
	for _, d := range offers {
		v.Services = append(v.Services, ownServiceJSON{s.ServiceURL(d.ID), listing.ServiceJSON{Title: d.Title, Publisher: s.MemberURL(a.Member), ConformsTo: d.ConformsTo, Endpoint: d.Endpoint, OAuthIssuer: d.OAuthIssuer}, d.Assurance})
	}
	if len(v.Services) == 1 {
		v.DataService = &v.Services[0]
	}
	return v, nil
}

// own finds an application of a member.
func (s *API) own(r *http.Request, m directory.Member, id string) (directory.Application, error) {
	return s.ApplicationOf(r.Context(), m.ID, id)
}

// schemeName is the short name of the directory's scheme.
func (s *API) schemeName() string {
	url := s.Scheme.URL()
	return url[strings.LastIndexByte(url, '/')+1:]
}

// getApplications serves GET /members/applications[?scheme=NAME]:
// {"applications":[..]}.
func (s *API) getApplications(w http.ResponseWriter, r *http.Request, m directory.Member) error {
	out := []ownApplicationJSON{}
	if name := r.URL.Query().Get("scheme"); name != "" && name != s.schemeName() {
		return answer.WriteJSON(w, http.StatusOK, map[string]any{"applications": out})
	}
	ids, err := s.ApplicationIDs(r.Context(), m.ID)
	if err != nil {
		return err
	}
	for _, id := range ids {
		a, err := s.Application(r.Context(), id)
		if err != nil {
			return err
		}
		v, err := s.ownApplication(r, a)
		if err != nil {
			return err
		}
		out = append(out, v)
	}
	return answer.WriteJSON(w, http.StatusOK, map[string]any{"applications": out})
}

// getOwnApplication serves GET /members/applications/{id}, with its
// certificates.
func (s *API) getOwnApplication(w http.ResponseWriter, r *http.Request, m directory.Member) error {
	a, err := s.own(r, m, r.PathValue("id"))
	if err != nil {
		return err
	}
	v, err := s.ownApplication(r, a)
	if err != nil {
		return err
	}
	if v.Certificates, err = s.certificatesOf(r.Context(), a.ID); err != nil {
		return err
	}
	return answer.WriteJSON(w, http.StatusOK, v)
}

// applicationPatch is what a member says of an application.
type applicationPatch struct {
	Title       given[string]       `json:"title"`
	Description given[string]       `json:"description"`
	Roles       given[[]string]     `json:"role"`
	HomePage    given[string]       `json:"homePageURL"`
	Support     given[string]       `json:"supportURL"`
	Messages    given[string]       `json:"messageDelivery"`
	DataService given[servicePatch] `json:"dataService"`
}

// servicePatch is a data service, entered as a whole: only its issuer and its
// assurance may stay as they are.
type servicePatch struct {
	Title      string        `json:"title"`
	ConformsTo string        `json:"conformsTo"`
	Endpoint   string        `json:"endpointURL"`
	Issuer     given[string] `json:"oauthIssuer"`
	Assurance  given[string] `json:"datasetAssurance"`
}

func (p applicationPatch) to(a *directory.Application) {
	p.Title.to(&a.Name)
	p.Description.to(&a.Description)
	p.HomePage.to(&a.HomePage)
	p.Support.to(&a.SupportURL)
	p.Messages.to(&a.MessageDelivery)
	p.Roles.to(&a.Roles)
}

// offers are the data services after the patch: its service stands in the
// place of the one of the same standard or of the only one, and is added where
// there is none; null takes the only one out.
func (p applicationPatch) offers(present []directory.DataService) ([]directory.DataService, error) {
	in := p.DataService.value
	at := slices.IndexFunc(present, func(d directory.DataService) bool { return d.ConformsTo == in.ConformsTo })
	if len(present) == 1 {
		at = 0
	}
	twice := at >= 0 && slices.ContainsFunc(present[at+1:], func(d directory.DataService) bool { return d.ConformsTo == in.ConformsTo })
	switch {
	case !p.DataService.set:
		return present, nil
	case len(present) > 1 && (at < 0 || twice || p.DataService.null):
		return nil, answer.Refuse(http.StatusConflict, "ambiguous", "This application has several data services: give the conformsTo of exactly one of them.")
	case p.DataService.null:
		return nil, nil
	case at < 0:
		present, at = append(present, directory.DataService{}), 0
	}
	d := &present[at]
	d.Title, d.ConformsTo, d.Endpoint = in.Title, in.ConformsTo, in.Endpoint
	in.Issuer.to(&d.OAuthIssuer)
	in.Assurance.to(&d.Assurance)
	return present, nil
}

// postApplication serves POST /members/applications: {"scheme" (its short
// name),"title","description"?,"role":[URL]?,"homePageURL"?,"supportURL"?,
// "messageDelivery"?,"dataService":{"title","conformsTo","endpointURL",
// "oauthIssuer"?,"datasetAssurance"?}?} -> 201 with the application.
func (s *API) postApplication(w http.ResponseWriter, r *http.Request, m directory.Member) error {
	var in struct {
		Scheme string `json:"scheme"`
		applicationPatch
	}
	if err := readStrict(r, &in); err != nil {
		return err
	}
	if in.Scheme != s.schemeName() {
		return fault.Invalid("scheme %q: this directory is of %q", form.Cut(in.Scheme, 80), s.schemeName())
	}
	a := directory.Application{Member: m.ID}
	in.to(&a)
	offers, err := in.offers(nil)
	if err != nil {
		return err
	}
	a, err = s.AddApplication(r.Context(), a, offers...)
	if err != nil {
		return err
	}
	v, err := s.ownApplication(r, a)
	if err != nil {
		return err
	}
	w.Header().Set("Location", s.ApplicationURL(a.ID))
	return answer.WriteJSON(w, http.StatusCreated, v)
}

// patchApplication serves PATCH /members/applications/{id}, a merge patch of
// what postApplication takes, without scheme -> 200 with the application. role
// puts all roles in the place of those that were claimed.
func (s *API) patchApplication(w http.ResponseWriter, r *http.Request, m directory.Member) error {
	var in applicationPatch
	if err := readStrict(r, &in); err != nil {
		return err
	}
	id := r.PathValue("id")
	if err := s.UpdateApplication(r.Context(), m.ID, id, in.to, in.offers); err != nil {
		return err
	}
	return s.getOwnApplication(w, r, m)
}

// deleteApplication serves DELETE /members/applications/{id} -> 204, or 409
// where certificates or gateways hold on to it.
func (s *API) deleteApplication(w http.ResponseWriter, r *http.Request, m directory.Member) error {
	if err := s.DeleteApplication(r.Context(), m.ID, r.PathValue("id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
