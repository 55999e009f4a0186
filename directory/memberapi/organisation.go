package memberapi

import (
	"net/http"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/answer"
	"github.com/perseus-edge/perseus-edge/directory/form"
	"github.com/perseus-edge/perseus-edge/directory/listing"
)

// ownMemberJSON is a member as its own people see it.
type ownMemberJSON struct {
	listing.MemberJSON
	DataProtection string       `json:"dataProtectionRegistrationUrl,omitempty"`
	Effective      string       `json:"effectiveDate,omitempty"` // day
	DataOfficer    *officerJSON `json:"dataOfficer,omitempty"`
	LicenceOfficer *officerJSON `json:"licenceOfficer,omitempty"`
	Owners         []string     `json:"owners,omitempty"` // email addresses
}

type officerJSON struct {
	Name  string `json:"name"`
	Email string `json:"email,omitempty"`
	Phone string `json:"phone,omitempty"`
}

// getMe serves GET /members/me: the member, with its applications and who
// answers for it. It reads the database, so that a change is seen at once
// whichever process made it.
func (s *API) getMe(w http.ResponseWriter, r *http.Request, m directory.Member) error {
	return s.writeOwn(w, r, m, http.StatusOK)
}

func (s *API) writeOwn(w http.ResponseWriter, r *http.Request, m directory.Member, status int) error {
	v := ownMemberJSON{MemberJSON: listing.Describe(s.Service, m), DataProtection: m.DataProtection, Effective: m.Effective}
	apps, err := s.ApplicationIDs(r.Context(), m.ID)
	if err != nil {
		return err
	}
	for _, id := range apps {
		v.Applications = append(v.Applications, s.ApplicationURL(id))
	}
	officers, err := s.Officers(r.Context(), m.ID)
	if err != nil {
		return err
	}
	for _, o := range officers {
		j := &officerJSON{o.Name, o.Email, o.Phone}
		switch o.Duty {
		case "data":
			v.DataOfficer = j
		case "licence":
			v.LicenceOfficer = j
		}
	}
	if v.Owners, err = s.Owners(r.Context(), m.ID); err != nil {
		return err
	}
	return answer.WriteJSON(w, status, v)
}

type addressPatch struct {
	Street     given[string] `json:"streetAddress"`
	Locality   given[string] `json:"locality"`
	Region     given[string] `json:"region"`
	State      given[string] `json:"state"`
	PostalCode given[string] `json:"postalCode"`
	Country    given[string] `json:"country"`
}

// to changes an address, or empties it.
func (p addressPatch) to(a *directory.Address, empty bool) {
	if empty {
		*a = directory.Address{}
	}
	p.Street.to(&a.Street)
	p.Locality.to(&a.Locality)
	p.Region.to(&a.Region)
	p.State.to(&a.State)
	p.PostalCode.to(&a.PostalCode)
	p.Country.to(&a.Country)
}

// patchMe serves PATCH /members/me, a merge patch: {"email",
// "privacyPolicy","dataProtectionRegistrationUrl","address":{"streetAddress",
// "locality","region","state","postalCode","country"}}, any of them -> 200
// with the member. Names and roles are the scheme's to change.
func (s *API) patchMe(w http.ResponseWriter, r *http.Request, m directory.Member) error {
	var in struct {
		Email          given[string]       `json:"email"`
		PrivacyPolicy  given[string]       `json:"privacyPolicy"`
		DataProtection given[string]       `json:"dataProtectionRegistrationUrl"`
		Address        given[addressPatch] `json:"address"`
	}
	if err := readStrict(r, &in); err != nil {
		return err
	}
	err := s.UpdateMember(r.Context(), m.ID, func(c *directory.Contact) {
		in.Email.to(&c.Email)
		in.PrivacyPolicy.to(&c.PrivacyPolicy)
		in.DataProtection.to(&c.DataProtection)
		in.Address.value.to(&c.Address, in.Address.null)
	})
	if err != nil {
		return err
	}
	if m, err = s.Member(r.Context(), m.ID); err != nil {
		return err
	}
	return s.writeOwn(w, r, m, http.StatusOK)
}

// organisationsAtOnce bounds one answer of getOrganizations.
const organisationsAtOnce = 1000

// organizationJSON is one of several members that a bearer may act for.
type organizationJSON struct {
	ID         string `json:"id"` // URL
	Identifier string `json:"identifier"`
	LegalName  string `json:"legalName"`
}

// getOrganizations serves GET /members/organizations[?after=ID]: the members
// for which the bearer may act, by id: {"organizations":[..],"next"?}. After
// 1,000 of them, an administrator asks for more with after=next.
func (s *API) getOrganizations(w http.ResponseWriter, r *http.Request, b directory.Bearer) error {
	out := struct {
		Organizations []organizationJSON `json:"organizations"`
		Next          string             `json:"next,omitempty"`
	}{Organizations: []organizationJSON{}}
	ms, err := s.MembersOf(r.Context(), b, r.URL.Query().Get("after"), organisationsAtOnce+1)
	if err != nil {
		return err
	}
	if len(ms) > organisationsAtOnce {
		ms = ms[:organisationsAtOnce]
		out.Next = ms[organisationsAtOnce-1].ID
	}
	for _, m := range ms {
		out.Organizations = append(out.Organizations, organizationJSON{s.MemberURL(m.ID), m.ID, m.LegalName})
	}
	return answer.WriteJSON(w, http.StatusOK, out)
}

// postOrganization serves POST /admin/organizations: a new member of the
// scheme, with one role and its officers -> 201 with the member.
func (s *API) postOrganization(w http.ResponseWriter, r *http.Request, _ directory.Bearer) error {
	var in struct {
		LegalName      string      `json:"legalName"`
		Email          string      `json:"email"`
		Street         string      `json:"streetAddress"`
		Locality       string      `json:"locality"`
		Region         string      `json:"region"`
		PostalCode     string      `json:"postalCode"`
		CompanyNumber  string      `json:"companyNumber"`
		Role           string      `json:"role"`
		Effective      string      `json:"effectiveDate"`
		DataOfficer    officerJSON `json:"dataOfficer"`
		LicenceOfficer officerJSON `json:"licenceOfficer"`
	}
	if err := readStrict(r, &in); err != nil {
		return err
	}
	m, err := s.Onboard(r.Context(), directory.Member{LegalName: in.LegalName, Roles: []string{s.Scheme.Role(in.Role)}, CompanyNumber: in.CompanyNumber, Effective: in.Effective,
		Contact: directory.Contact{Email: in.Email, Address: directory.Address{Street: in.Street, Locality: in.Locality, Region: in.Region, PostalCode: in.PostalCode}}},
		directory.Officer{Duty: "data", Name: in.DataOfficer.Name, Email: in.DataOfficer.Email, Phone: in.DataOfficer.Phone},
		directory.Officer{Duty: "licence", Name: in.LicenceOfficer.Name, Email: in.LicenceOfficer.Email, Phone: in.LicenceOfficer.Phone})
	if err != nil {
		return err
	}
	w.Header().Set("Location", s.MemberURL(m.ID))
	return s.writeOwn(w, r, m, http.StatusCreated)
}

// postOwner serves POST /admin/organizations/{id}/members: {"email"} -> 201
// {"email","organization","token"?,"tokenExpires"?}. The token, to be handed to
// that person, is shown this once, and only when the person has none yet.
func (s *API) postOwner(w http.ResponseWriter, r *http.Request, _ directory.Bearer) error {
	var in struct {
		Email string `json:"email"`
	}
	if err := readStrict(r, &in); err != nil {
		return err
	}
	id := r.PathValue("id")
	token, err := s.AddOwner(r.Context(), id, in.Email)
	if err != nil {
		return err
	}
	out := map[string]string{"email": in.Email, "organization": id}
	if token != "" {
		out["token"], out["tokenExpires"] = token, form.RFC3339(s.Now().Add(directory.TokenLife))
	}
	return answer.WriteJSON(w, http.StatusCreated, out)
}
