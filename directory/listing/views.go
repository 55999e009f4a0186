package listing

import (
	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/rdf"
)

// brand is the name by which the public knows a member.
type brand struct {
	Name string `json:"name"`
}

// MemberJSON is a member as the JSON queries of directory 1.0 have it.
type MemberJSON struct {
	ID           string   `json:"id"` // URL
	Identifier   string   `json:"identifier"`
	Type         string   `json:"type"`
	LegalName    string   `json:"legalName"`
	Brand        brand    `json:"brand"`
	Roles        []string `json:"roles"`
	Applications []string `json:"applications,omitempty"` // URLs

	Email         string            `json:"email,omitempty"`
	Address       *addressJSON      `json:"address,omitempty"`
	Company       *registrationJSON `json:"companyRegistration,omitempty"`
	PrivacyPolicy string            `json:"privacyPolicy,omitempty"`
}

type addressJSON struct {
	Street     string `json:"streetAddress,omitempty"`
	Locality   string `json:"locality,omitempty"`
	Region     string `json:"region,omitempty"`
	State      string `json:"state,omitempty"`
	PostalCode string `json:"postalCode,omitempty"`
	Country    string `json:"country,omitempty"`
}

type registrationJSON struct {
	Identifier string `json:"identifier"`
}

// ApplicationJSON is an application as the public sees it.
type ApplicationJSON struct {
	ID              string   `json:"id"` // URL
	Identifier      string   `json:"identifier"`
	Type            string   `json:"type"`
	Title           string   `json:"title"`
	Publisher       string   `json:"publisher"` // member URL
	Scheme          string   `json:"scheme"`
	Roles           []string `json:"roles"`
	HomePage        string   `json:"homePageURL,omitempty"`
	MessageDelivery string   `json:"messageDelivery,omitempty"`
	Description     string   `json:"description,omitempty"`
	SupportURL      string   `json:"supportURL,omitempty"`
	DataServices    []string `json:"dataServices,omitempty"` // URLs
}

// ServiceJSON is a data service in the answer to a query.
type ServiceJSON struct {
	Title       string `json:"title"`
	Publisher   string `json:"publisher"` // member URL
	ConformsTo  string `json:"conformsTo"`
	Endpoint    string `json:"endpointURL"`
	OAuthIssuer string `json:"oauthIssuer,omitempty"`
}

// entryJSON is a data service's catalogue entry.
type entryJSON struct {
	ID         string `json:"id"` // URL
	Identifier string `json:"identifier"`
	Type       string `json:"type"`
	ServiceJSON
	Application    string   `json:"application"` // URL
	TrustFramework string   `json:"trustFramework"`
	Scheme         string   `json:"scheme"`
	Assurance      string   `json:"datasetAssurance,omitempty"` // URL
	License        []string `json:"license,omitempty"`
	Sensitivity    []string `json:"sensitivityClass,omitempty"`
	AccessRoles    []string `json:"roleRequiredToAccess,omitempty"`
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

// Describe is what the public knows of a member itself.
func Describe(s *directory.Service, m directory.Member) MemberJSON {
	v := MemberJSON{ID: s.MemberURL(m.ID), Identifier: m.ID, Type: "Organization",
		LegalName: m.LegalName, Brand: brand{m.BrandName}, Roles: list(m.Roles), Email: m.Email, PrivacyPolicy: m.PrivacyPolicy}
	if a := addressJSON(m.Address); a != (addressJSON{}) {
		v.Address = &a
	}
	if m.CompanyNumber != "" {
		v.Company = &registrationJSON{m.CompanyNumber}
	}
	return v
}

// memberView is MemberJSON with the member's applications.
func (s *Server) memberView(m *directory.MemberEntry) MemberJSON {
	v := Describe(s.Service, m.Member)
	for _, a := range m.Applications {
		v.Applications = append(v.Applications, s.ApplicationURL(a.ID))
	}
	return v
}

// DescribeApplication is what the public knows of an application.
func DescribeApplication(s *directory.Service, a *directory.ApplicationEntry) ApplicationJSON {
	v := ApplicationJSON{ID: s.ApplicationURL(a.ID), Identifier: a.ID, Type: "Application", Title: a.Name,
		Publisher: s.MemberURL(a.Member), Scheme: s.Scheme.URL(), Roles: list(a.Roles), HomePage: a.HomePage, MessageDelivery: a.MessageDelivery,
		Description: a.Description, SupportURL: a.SupportURL}
	for _, d := range a.Services {
		v.DataServices = append(v.DataServices, s.ServiceURL(d.ID))
	}
	return v
}

func (s *Server) serviceView(o offer) entryJSON {
	v := entryJSON{ID: s.ServiceURL(o.ID), Identifier: o.ID, Type: "DataService",
		ServiceJSON: ServiceJSON{o.Title, s.MemberURL(o.app.Member), o.ConformsTo, o.Endpoint, o.OAuthIssuer},
		Application: s.ApplicationURL(o.app.ID), TrustFramework: s.Scheme.TrustFramework(), Scheme: s.Scheme.URL(), Assurance: o.Assurance}
	demanded := s.demanded(o.ConformsTo)
	for to, predicate := range map[*[]string]string{&v.License: "dcterms:license", &v.Sensitivity: "ib1:sensitivityClass", &v.AccessRoles: "ib1:roleRequiredToAccess"} {
		for _, t := range demanded[rdf.Expand(predicate)] {
			*to = append(*to, t.Value)
		}
	}
	return v
}

// demanded is what the registry demands of the entries of a standard: they
// conform, so they have it (data-catalog-records 1.0).
func (s *Server) demanded(standard string) map[string][]rdf.Term {
	if s.Terms == nil {
		return nil
	}
	d, _ := s.Terms.Requirements(standard)
	return d
}

func (s *Server) memberGraph(m *directory.MemberEntry) *rdf.Graph {
	g, self := &rdf.Graph{}, rdf.Ref(s.MemberURL(m.ID))
	g.Add(self, rdf.TypeIRI, rdf.Ref(rdf.Expand("schema:Organization")))
	g.Add(self, rdf.Expand("schema:legalName"), rdf.Text(m.LegalName))
	name := g.NewNode()
	g.Add(self, rdf.Expand("schema:brand"), name)
	g.Add(name, rdf.TypeIRI, rdf.Ref(rdf.Expand("schema:Brand")))
	g.Add(name, rdf.Expand("schema:name"), rdf.Text(m.BrandName))
	g.Add(self, rdf.Expand("ib1:role"), refs(m.Roles...)...)
	g.Add(self, rdf.Expand("schema:email"), words(m.Email)...)
	if a := m.Address; a != (directory.Address{}) {
		where := g.NewNode()
		g.Add(self, rdf.Expand("schema:address"), where)
		g.Add(where, rdf.TypeIRI, rdf.Ref(rdf.Expand("schema:PostalAddress")))
		g.Add(where, rdf.Expand("schema:streetAddress"), words(a.Street)...)
		g.Add(where, rdf.Expand("schema:addressLocality"), words(a.Locality)...)
		g.Add(where, rdf.Expand("schema:addressRegion"), words(a.Region, a.State)...)
		g.Add(where, rdf.Expand("schema:postalCode"), words(a.PostalCode)...)
		g.Add(where, rdf.Expand("schema:addressCountry"), words(a.Country)...)
	}
	if m.CompanyNumber != "" {
		entry := g.NewNode()
		g.Add(self, rdf.Expand("schema:companyRegistration"), entry)
		g.Add(entry, rdf.TypeIRI, rdf.Ref(rdf.Expand("schema:Certification")))
		g.Add(entry, rdf.Expand("schema:certificationIdentification"), rdf.Text(m.CompanyNumber))
	}
	g.Add(self, rdf.Expand("ib1:privacyPolicy"), refs(m.PrivacyPolicy)...)
	return g
}

func (s *Server) applicationGraph(a *directory.ApplicationEntry) *rdf.Graph {
	g, self := &rdf.Graph{}, rdf.Ref(s.ApplicationURL(a.ID))
	g.Add(self, rdf.TypeIRI, rdf.Ref(rdf.Expand("ib1:Application")))
	g.Add(self, rdf.Expand("dcterms:publisher"), rdf.Ref(s.MemberURL(a.Member)))
	g.Add(self, rdf.Expand("dcterms:title"), rdf.Text(a.Name))
	g.Add(self, rdf.Expand("ib1:scheme"), rdf.Ref(s.Scheme.URL()))
	g.Add(self, rdf.Expand("ib1:role"), refs(a.Roles...)...)
	g.Add(self, rdf.Expand("ib1:homePageURL"), refs(a.HomePage)...)
	g.Add(self, rdf.Expand("ib1:messageDelivery"), refs(a.MessageDelivery)...)
	g.Add(self, rdf.Expand("dcterms:description"), words(a.Description)...)
	g.Add(self, rdf.Expand("ib1:supportURL"), refs(a.SupportURL)...)
	return g
}

// serviceGraph is the catalogue entry of a data service (data-catalog-records
// 1.0): what the member entered, and what the registry demands of all entries
// of its standard.
func (s *Server) serviceGraph(o offer) *rdf.Graph {
	g, self := &rdf.Graph{}, rdf.Ref(s.ServiceURL(o.ID))
	g.Add(self, rdf.TypeIRI, rdf.Ref(rdf.Expand("dcat:DataService")))
	g.Add(self, rdf.Expand("dcterms:title"), rdf.Text(o.Title))
	g.Add(self, rdf.Expand("dcterms:publisher"), rdf.Ref(s.MemberURL(o.app.Member)))
	g.Add(self, rdf.Expand("dcterms:conformsTo"), rdf.Ref(o.ConformsTo))
	g.Add(self, rdf.Expand("dcat:endpointURL"), rdf.Ref(o.Endpoint))
	g.Add(self, rdf.Expand("ib1:oauthIssuer"), refs(o.OAuthIssuer)...)
	g.Add(self, rdf.Expand("ib1:datasetAssurance"), refs(o.Assurance)...)
	g.Add(self, rdf.Expand("ib1:trustFramework"), rdf.Ref(s.Scheme.TrustFramework()))
	g.Add(self, rdf.Expand("ib1:scheme"), rdf.Ref(s.Scheme.URL()))
	demanded := s.demanded(o.ConformsTo)
	for _, predicate := range []string{"dcat:endpointDescription", "ib1:heartbeatDescription", "dcterms:license", "ib1:sensitivityClass", "ib1:roleRequiredToAccess"} {
		for _, t := range demanded[rdf.Expand(predicate)] {
			if t.Kind == rdf.IRI {
				g.Add(self, rdf.Expand(predicate), t)
			}
		}
	}
	return g
}

// graph of a gateway: directory 1.0 has no class for it, so only its publisher
// is said.
func (v publicGatewayJSON) graph() *rdf.Graph {
	g := &rdf.Graph{}
	g.Add(rdf.Ref(v.ID), rdf.Expand("dcterms:publisher"), rdf.Ref(v.Member))
	return g
}

// refs are the terms of the URLs that are not empty.
func refs(urls ...string) []rdf.Term {
	var out []rdf.Term
	for _, u := range urls {
		if u != "" {
			out = append(out, rdf.Ref(u))
		}
	}
	return out
}

// words are the terms of the texts that are not empty.
func words(texts ...string) []rdf.Term {
	var out []rdf.Term
	for _, t := range texts {
		if t != "" {
			out = append(out, rdf.Text(t))
		}
	}
	return out
}
