package web

import (
	"html/template"
	"net/http"
	"slices"
	"strings"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/identity/qr"
)

// gatewayView is a gateway and how it stands.
type gatewayView struct {
	directory.Gateway
	directory.Standing
}

// sitePage lists sites with their gateways, and shows a new enrolment code,
// once.
type sitesPage struct {
	Text         string // that the names of sites or gateways hold
	Sites        []siteView
	More         int // that are not shown
	Applications []directory.Application
	Form         directory.Site // as given so far
	Application  string
	GatewayName  string
	Code         *directory.Code
	QR           template.HTML
	For          directory.Gateway // whom the code is for
	Directory    string
	States       map[string]string
}

type siteView struct {
	directory.Site
	Gateways []gatewayView
}

// sitesShown is how many sites the page shows; of more one searches.
const sitesShown = 50

// holds says whether a text is in one of the names of a site, in any case.
func (x siteView) holds(text string) bool {
	text = strings.ToLower(text)
	in := func(name string) bool { return strings.Contains(strings.ToLower(name), text) }
	return in(x.Name) || in(x.Outcode) || slices.ContainsFunc(x.Gateways, func(g gatewayView) bool { return in(g.Gateway.Name) || in(g.Gateway.ID) })
}

// states are how gateways stand, in plain words.
var states = map[string]string{"new": "not set up yet", "enrolled": "working", "expired": "its certificate has ended", "revoked": "shut out"}

const sitesTitle = "Sites and gateways"

func (v *visit) sitesPage(p sitesPage, wrong error) error {
	sites, err := v.Directory.Sites(v.ctx(), v.member.ID)
	if err != nil {
		return err
	}
	gs, err := v.Directory.Gateways(v.ctx(), v.member.ID)
	if err != nil {
		return err
	}
	if p.Applications, err = v.Directory.Applications(v.ctx(), v.member.ID); err != nil {
		return err
	}
	at := map[string]int{}
	for i, x := range sites {
		at[x.ID] = i
		p.Sites = append(p.Sites, siteView{Site: x})
	}
	for _, g := range gs {
		if i, ok := at[g.SiteID]; ok {
			p.Sites[i].Gateways = append(p.Sites[i].Gateways, gatewayView{Gateway: g})
		}
	}
	p.Text = v.r.URL.Query().Get("q")
	p.Sites = slices.DeleteFunc(p.Sites, func(x siteView) bool { return !x.holds(p.Text) })
	p.More = max(0, len(p.Sites)-sitesShown)
	p.Sites = p.Sites[:len(p.Sites)-p.More]
	for _, x := range p.Sites {
		for i, g := range x.Gateways {
			if x.Gateways[i].Standing, err = v.Directory.Standing(v.ctx(), g.Gateway.ID); err != nil {
				return err
			}
		}
	}
	p.Directory, p.States = v.Directory.BaseURL, states
	if p.Code != nil {
		if p.QR, err = qr.SVG(p.Code.Link, "QR code to set up the gateway"); err != nil {
			return err
		}
	}
	if wrong != nil {
		return v.again("sites", sitesTitle, p, wrong)
	}
	return v.render(http.StatusOK, "sites", sitesTitle, p)
}

func (v *visit) getSites() error { return v.sitesPage(sitesPage{}, nil) }

// postSite adds a site with its first gateway, and shows the code to set it up.
func (v *visit) postSite() error {
	p := sitesPage{Form: directory.Site{Member: v.member.ID, Name: v.form("name"), Outcode: v.form("outcode")}, Application: v.form("application"), GatewayName: v.form("gateway")}
	place, err := v.Directory.OpenSite(v.ctx(), p.Form, p.Application, p.GatewayName)
	if err != nil {
		return v.sitesPage(p, err)
	}
	return v.sitesPage(sitesPage{Code: &place.Code, For: place.Gateway}, nil)
}

// postCode gives a gateway a fresh code.
func (v *visit) postCode() error {
	g, err := v.Directory.GatewayOf(v.ctx(), v.member.ID, v.r.PathValue("id"))
	if err != nil {
		return err
	}
	code, err := v.Directory.IssueCode(v.ctx(), g.ID)
	if err != nil {
		return err
	}
	return v.sitesPage(sitesPage{Code: &code, For: g}, nil)
}

func (v *visit) postRevokeGateway() error {
	g, err := v.Directory.GatewayOf(v.ctx(), v.member.ID, v.r.PathValue("id"))
	if err != nil {
		return err
	}
	if _, err := v.Directory.RevokeGateway(v.ctx(), g.ID, "by "+v.who.Email); err != nil {
		return err
	}
	return v.done(v.at("sites"), g.Name+" is shut out: nothing is taken from it any more. A new code brings it back.")
}
