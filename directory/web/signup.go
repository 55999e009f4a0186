package web

import (
	"errors"
	"html/template"
	"net/http"

	"github.com/perseus-edge/perseus-edge/directory/account"
	"github.com/perseus-edge/perseus-edge/directory/audit"
	"github.com/perseus-edge/perseus-edge/identity/qr"
	"github.com/perseus-edge/perseus-edge/identity/signin"
)

// invitationPage is what the page of an invitation shows.
type invitationPage struct {
	Link         account.Link
	Organisation string // its name; empty: none
	Name         string // as given so far
	Exists       bool   // there is an account of this address already
	Least        int
	Action       string
}

func (v *visit) invitation() (p invitationPage, err error) {
	p = invitationPage{Name: v.form("name"), Least: signin.PasswordLeast, Action: v.r.URL.Path}
	if p.Link, err = v.Accounts.Link(v.ctx(), v.r.PathValue("secret")); err != nil {
		return p, err
	}
	if p.Link.Member != "" {
		m, err := v.Directory.Member(v.ctx(), p.Link.Member)
		if err != nil {
			return p, err
		}
		p.Organisation = m.LegalName
	}
	_, err = v.Accounts.ByEmail(v.ctx(), p.Link.Email)
	p.Exists = err == nil && p.Link.Kind == account.Invite
	if errors.Is(err, account.ErrNotFound) {
		err = nil
	}
	return p, err
}

func (p invitationPage) title() string {
	if p.Link.Kind == account.Restore {
		return "Set up your account again"
	}
	return "Welcome"
}

func (v *visit) getInvitation() error {
	p, err := v.invitation()
	switch {
	case err != nil:
		return err
	case p.Link.Kind == account.Forgot:
		return v.redirect(path("password", v.r.PathValue("secret")))
	case p.Exists && !v.signedIn():
		v.then(v.r.URL.Path)
	}
	return v.render(http.StatusOK, "invitation", p.title(), p)
}

// postInvitation takes name and password. Nothing is made yet: the account
// comes to be with its second factor.
func (v *visit) postInvitation() error {
	p, err := v.invitation()
	if err != nil {
		return err
	}
	sealed, err := v.Accounts.Begin(v.ctx(), v.r.PathValue("secret"), v.form("name"), v.r.PostFormValue("password"))
	if err != nil {
		return v.again("invitation", p.title(), p, err)
	}
	if err := v.sessions.Destroy(v.ctx()); err != nil { // of whoever was signed in here
		return err
	}
	v.sessions.Put(v.ctx(), keyDraft, sealed)
	return v.redirect(Prefix + "/set-up")
}

// postAccept brings what an invitation is to, to the account that is signed in.
func (v *visit) postAccept() error {
	l, err := v.Accounts.Accept(v.ctx(), v.who, v.r.PathValue("secret"))
	if err != nil {
		return err
	}
	if err := v.readmit(); err != nil {
		return err
	}
	if l.Member == "" {
		return v.done(Prefix+"/admin", "You are an administrator of the directory now.")
	}
	return v.done(path("o", l.Member), "You act for this organisation now.")
}

// appPage offers an authenticator app's secret, and a passkey where it may.
type appPage struct {
	Action  string
	App     signin.App
	QR      template.HTML
	Options string // to make a passkey; empty: not here
	First   bool   // the account is being set up
}

func (v *visit) appPage(email, secret string) (appPage, error) {
	app, err := v.Accounts.AppOf(email, secret)
	if err != nil {
		return appPage{}, err
	}
	qr, err := qr.SVG(app.URL, "QR code for your authenticator app")
	return appPage{Action: v.r.URL.Path, App: app, QR: qr}, err
}

// draft gives the sign-up on its way in this session.
func (v *visit) draft() (d account.Draft, ok bool, err error) {
	sealed := v.sessions.GetBytes(v.ctx(), keyDraft)
	if len(sealed) == 0 {
		return d, false, nil
	}
	d, err = v.Accounts.Draft(sealed)
	return d, err == nil, err
}

func (v *visit) setUpPage(d account.Draft) (appPage, error) {
	p, err := v.appPage(d.Email, d.App)
	p.First = true
	if err != nil || !v.Accounts.HasPasskeys() {
		return p, err
	}
	c, err := v.Accounts.BeginPasskey(v.ctx(), d.ID, d.Email, d.Name)
	v.sessions.Put(v.ctx(), keyCeremony, c.State)
	p.Options = c.Options
	return p, err
}

func (v *visit) getSetUp() error {
	d, ok, err := v.draft()
	if err != nil {
		return err
	}
	if !ok {
		return v.redirect(Prefix + "/")
	}
	p, err := v.setUpPage(d)
	if err != nil {
		return err
	}
	return v.render(http.StatusOK, "set-up", secondTitle, p)
}

// codesPage shows recovery codes, once.
type codesPage struct {
	Codes []string
	Next  string
}

func (v *visit) postSetUp() error {
	d, ok, err := v.draft()
	if err != nil {
		return err
	}
	if !ok {
		return v.redirect(Prefix + "/")
	}
	proof := v.proof()
	a, codes, err := v.Accounts.Finish(v.ctx(), d, v.form("label"), proof)
	if errors.Is(err, account.ErrWrong) {
		if err = wrongCode; proof.Answer != "" {
			err = wrongPasskey
		}
	}
	if err != nil {
		p, err2 := v.setUpPage(d)
		if err2 != nil {
			return err2
		}
		return v.again("set-up", secondTitle, p, err)
	}
	if err := v.admit(a); err != nil {
		return err
	}
	v.r = v.r.WithContext(audit.WithActor(v.ctx(), a.Actor()))
	return v.render(http.StatusOK, "codes", "Your recovery codes", codesPage{codes, Prefix + "/"})
}

var (
	wrongCode    = &refusal{http.StatusForbidden, "That code was not right. Wait for the next one, check that the phone's clock is right, and type the new code."}
	wrongPasskey = &refusal{http.StatusForbidden, "The passkey did not work here. Try again, or use an authenticator app."}
)
