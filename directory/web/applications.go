package web

import (
	"net/http"
	"slices"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/fault"
)

func (v *visit) getApplications() error {
	apps, err := v.Directory.Applications(v.ctx(), v.member.ID)
	if err != nil {
		return err
	}
	return v.render(http.StatusOK, "applications", "Applications", apps)
}

// applicationForm makes an application, or changes one.
type applicationForm struct {
	directory.Application
	Action string
}

const newApplicationTitle = "Add an application"

func (v *visit) getNewApplication() error {
	return v.render(http.StatusOK, "application-form", newApplicationTitle, applicationForm{Action: v.at("applications")})
}

// application is what the form of an application holds.
func (v *visit) application() directory.Application {
	return directory.Application{Member: v.member.ID, Name: v.form("name"), Roles: v.r.PostForm["role"], HomePage: v.form("home"),
		MessageDelivery: v.form("messages"), Description: v.form("description"), SupportURL: v.form("support")}
}

func (v *visit) postApplication() error {
	in := v.application()
	a, err := v.Directory.AddApplication(v.ctx(), in)
	if err != nil {
		return v.again("application-form", newApplicationTitle, applicationForm{in, v.at("applications")}, err)
	}
	return v.done(v.at("applications", a.ID), "The application is added. It needs a certificate to be used: see below.")
}

// own finds the application of the path.
func (v *visit) own() (directory.Application, error) {
	return v.Directory.ApplicationOf(v.ctx(), v.member.ID, v.r.PathValue("id"))
}

// applicationPage is all there is about an application.
type applicationPage struct {
	directory.Application
	URL          string // public: its identity
	Services     []directory.DataService
	Certificates []certificateView
	Label        string // as given so far
	CSR          string
	Hierarchy    string
	Delete       bool // nothing holds on to it
}

func (v *visit) getApplication() error { return v.applicationPage(nil) }

func (v *visit) applicationPage(wrong error) error {
	a, err := v.own()
	if err != nil {
		return err
	}
	p := applicationPage{Application: a, URL: v.Directory.ApplicationURL(a.ID), Label: v.form("label"), CSR: v.form("csr"), Hierarchy: v.form("type")}
	if p.Services, err = v.Directory.DataServices(v.ctx(), a.ID); err != nil {
		return err
	}
	issued, err := v.Directory.Certificates(v.ctx(), a.ID)
	if err != nil {
		return err
	}
	for _, c := range issued {
		p.Certificates = append(p.Certificates, v.certificateView(c))
	}
	p.Delete = len(p.Certificates) == 0
	if wrong != nil {
		return v.again("application", a.Name, p, wrong)
	}
	return v.render(http.StatusOK, "application", a.Name, p)
}

const changeApplicationTitle = "Change the application"

func (v *visit) getChangeApplication() error {
	a, err := v.own()
	if err != nil {
		return err
	}
	return v.render(http.StatusOK, "application-form", changeApplicationTitle, applicationForm{a, v.at("applications", a.ID)})
}

func (v *visit) postChangeApplication() error {
	a, err := v.own()
	if err != nil {
		return err
	}
	in := v.application()
	in.ID = a.ID
	err = v.Directory.UpdateApplication(v.ctx(), v.member.ID, a.ID, func(now *directory.Application) { *now = in }, same)
	if err != nil {
		return v.again("application-form", changeApplicationTitle, applicationForm{in, v.at("applications", a.ID)}, err)
	}
	said := "The application is changed."
	if !slices.Equal(slices.Sorted(slices.Values(in.Roles)), a.Roles) {
		said += " Certificates carry the roles of the day they were issued: issue new ones if the roles changed."
	}
	return v.done(v.at("applications", a.ID), said)
}

func same(now []directory.DataService) ([]directory.DataService, error) { return now, nil }

func (v *visit) postDeleteApplication() error {
	if _, err := v.own(); err != nil {
		return err
	}
	if err := v.Directory.DeleteApplication(v.ctx(), v.member.ID, v.r.PathValue("id")); err != nil {
		return v.applicationPage(err)
	}
	return v.done(v.at("applications"), "The application is deleted.")
}

// servicePage enters a data service, or changes one.
type servicePage struct {
	directory.DataService
	Action    string
	New       bool
	App       directory.Application
	Standards []string // that are known
}

func (v *visit) servicePage(d directory.DataService, a directory.Application) servicePage {
	return servicePage{d, v.r.URL.Path, v.r.PathValue("service") == "", a, []string{v.Directory.Scheme.StandardConsumption(), v.Directory.Scheme.StandardEmissions()}}
}

const serviceTitle = "Data service"

// service finds the data service of the path; without one in it, a blank one.
func (v *visit) service() (directory.DataService, directory.Application, error) {
	a, err := v.own()
	if err != nil || v.r.PathValue("service") == "" {
		return directory.DataService{}, a, err
	}
	ds, err := v.Directory.DataServices(v.ctx(), a.ID)
	if err != nil {
		return directory.DataService{}, a, err
	}
	at := slices.IndexFunc(ds, func(d directory.DataService) bool { return d.ID == v.r.PathValue("service") })
	if at < 0 {
		return directory.DataService{}, a, fault.ErrNotFound
	}
	return ds[at], a, nil
}

func (v *visit) getService() error {
	d, a, err := v.service()
	if err != nil {
		return err
	}
	return v.render(http.StatusOK, "service", serviceTitle, v.servicePage(d, a))
}

func (v *visit) postService() error {
	d, a, err := v.service()
	if err != nil {
		return err
	}
	isNew := d.ID == ""
	d.Title, d.ConformsTo, d.Endpoint, d.OAuthIssuer = v.form("title"), v.form("standard"), v.form("endpoint"), v.form("issuer")
	err = v.Directory.UpdateApplication(v.ctx(), v.member.ID, a.ID, func(*directory.Application) {}, func(now []directory.DataService) ([]directory.DataService, error) {
		at := slices.IndexFunc(now, func(x directory.DataService) bool { return x.ID == d.ID })
		switch {
		case isNew:
			return append(now, d), nil
		case at < 0:
			return nil, fault.ErrNotFound
		}
		now[at] = d
		return now, nil
	})
	if err != nil {
		return v.again("service", serviceTitle, v.servicePage(d, a), err)
	}
	return v.done(v.at("applications", a.ID), "The data service is in the catalogue.")
}

func (v *visit) postDeleteService() error {
	d, a, err := v.service()
	if err != nil {
		return err
	}
	err = v.Directory.UpdateApplication(v.ctx(), v.member.ID, a.ID, func(*directory.Application) {}, func(now []directory.DataService) ([]directory.DataService, error) {
		return slices.DeleteFunc(now, func(x directory.DataService) bool { return x.ID == d.ID }), nil
	})
	if err != nil {
		return err
	}
	return v.done(v.at("applications", a.ID), "The data service is taken out of the catalogue.")
}
