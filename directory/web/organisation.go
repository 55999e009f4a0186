package web

import (
	"net/http"
	"strings"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/audit"
)

// memberPage is an organisation at a glance.
type memberPage struct {
	URL          string // public
	Applications []directory.Application
	Officers     []directory.Officer
	Gateways     int
	AllRoles     []string // that there are; for administrators
	Duties       []string
}

func (v *visit) getMember() error { return v.memberPage(nil) }

func (v *visit) memberPage(wrong error) error {
	p := memberPage{URL: v.Directory.MemberURL(v.member.ID), AllRoles: v.Directory.SchemeRoles(), Duties: []string{"data", "licence"}}
	var err error
	if p.Applications, err = v.Directory.Applications(v.ctx(), v.member.ID); err != nil {
		return err
	}
	if p.Officers, err = v.Directory.Officers(v.ctx(), v.member.ID); err != nil {
		return err
	}
	gs, err := v.Directory.Gateways(v.ctx(), v.member.ID)
	if err != nil {
		return err
	}
	p.Gateways = len(gs)
	if wrong != nil {
		return v.again("member", v.member.BrandName, p, wrong)
	}
	return v.render(http.StatusOK, "member", v.member.BrandName, p)
}

const detailsTitle = "Contact details"

func (v *visit) getDetails() error {
	return v.render(http.StatusOK, "details", detailsTitle, v.member.Contact)
}

// contact is what the form of contact details holds.
func (v *visit) contact() directory.Contact {
	return directory.Contact{Email: v.form("email"), PrivacyPolicy: v.form("privacy"), DataProtection: v.form("protection"),
		Address: directory.Address{Street: v.form("street"), Locality: v.form("locality"), Region: v.form("region"), State: v.form("state"),
			PostalCode: v.form("postcode"), Country: strings.ToUpper(v.form("country"))}}
}

func (v *visit) postDetails() error {
	c := v.contact()
	if err := v.Directory.UpdateMember(v.ctx(), v.member.ID, func(now *directory.Contact) { *now = c }); err != nil {
		return v.again("details", detailsTitle, c, err)
	}
	return v.done(v.at(), "The contact details are changed.")
}

// postRoles gives an organisation the roles of the form, and no others.
func (v *visit) postRoles() error {
	if err := v.Directory.SetRoles(v.ctx(), v.member.ID, v.r.PostForm["role"]); err != nil {
		return v.memberPage(err)
	}
	return v.done(v.at(), "The roles are changed. Certificates that were issued before still carry the old ones: revoke those that must not.")
}

func (v *visit) officer(duty, prefix string) directory.Officer {
	return directory.Officer{Duty: duty, Name: v.form(prefix + "name"), Email: v.form(prefix + "email"), Phone: v.form(prefix + "phone")}
}

func (v *visit) postOfficer() error {
	if err := v.Directory.SetOfficer(v.ctx(), v.member.ID, v.officer(v.form("duty"), "")); err != nil {
		return v.memberPage(err)
	}
	return v.done(v.at(), "The officer is changed.")
}

// historyLength is how many entries the page of what was done shows.
const historyLength = 200

func (v *visit) getHistory() error {
	return v.history("history", "What was done", audit.Filter{Member: v.member.ID, Newest: true, Limit: historyLength})
}

func (v *visit) history(page, title string, f audit.Filter) error {
	es, err := audit.List(v.ctx(), v.Directory.DB, f)
	if err != nil {
		return err
	}
	return v.render(http.StatusOK, page, title, es)
}
