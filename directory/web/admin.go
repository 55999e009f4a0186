package web

import (
	"net/http"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/account"
	"github.com/perseus-edge/perseus-edge/directory/audit"
)

// adminPage lists organisations.
type adminPage struct {
	Text    string // that their names hold
	Members []directory.Member
	More    bool
}

func (v *visit) getAdmin() error {
	q := v.r.URL.Query()
	p := adminPage{Text: q.Get("q")}
	var err error
	if p.Members, err = v.Directory.Members(v.ctx(), q.Get("name"), q.Get("after"), p.Text); err != nil {
		return err
	}
	p.More = len(p.Members) == directory.MembersAtOnce
	return v.render(http.StatusOK, "admin", "Organisations", p)
}

// onboardPage brings an organisation in.
type onboardPage struct {
	directory.Member
	Data, Licence directory.Officer
	Owner         string // email address of the first owner
	Roles         []string
	AllRoles      []string
}

const onboardTitle = "Bring in an organisation"

func (v *visit) getOnboard() error {
	return v.render(http.StatusOK, "onboard", onboardTitle, onboardPage{AllRoles: v.Directory.SchemeRoles()})
}

// postOnboard adds an organisation with its roles and officers, and invites its
// first owner.
func (v *visit) postOnboard() error {
	p := onboardPage{AllRoles: v.Directory.SchemeRoles(), Owner: v.form("owner"), Roles: v.r.PostForm["role"],
		Data: v.officer("data", "data-"), Licence: v.officer("licence", "licence-"),
		Member: directory.Member{LegalName: v.form("legal"), BrandName: v.form("brand"), CompanyNumber: v.form("company"), Effective: v.form("effective"), Contact: v.contact()}}
	_, err := account.CheckEmail(p.Owner) // before anything is there
	if err == nil {
		m := p.Member
		m.Roles = p.Roles
		v.member, err = v.Directory.Onboard(v.ctx(), m, p.Data, p.Licence)
	}
	if err != nil {
		v.member = directory.Member{}
		return v.again("onboard", onboardTitle, p, err)
	}
	link, _, err := v.invite(account.Link{Email: p.Owner, Member: v.member.ID}, v.member.LegalName)
	if err != nil {
		return err
	}
	return v.peoplePage(peoplePage{Link: link, To: p.Owner}, nil)
}

// accountsPage lists people, and shows a new link, once.
type accountsPage struct {
	Text    string
	People  []account.Account
	More    bool
	Invited []account.Link
	Email   string
	Link    string
	To      string
	What    string // the link is for
}

const accountsTitle = "People of all organisations"

func (v *visit) accountsPage(p accountsPage, wrong error) (err error) {
	q := v.r.URL.Query()
	p.Text = q.Get("q")
	if p.People, err = v.Accounts.Accounts(v.ctx(), q.Get("after"), p.Text); err != nil {
		return err
	}
	p.More = len(p.People) == account.AccountsAtOnce
	if p.Invited, err = v.Accounts.Invitations(v.ctx(), ""); err != nil {
		return err
	}
	if wrong != nil {
		return v.again("accounts", accountsTitle, p, wrong)
	}
	return v.render(http.StatusOK, "accounts", accountsTitle, p)
}

func (v *visit) getAccounts() error { return v.accountsPage(accountsPage{}, nil) }

func (v *visit) postInviteAdmin() error {
	email := v.form("email")
	link, _, err := v.invite(account.Link{Email: email, Administrator: true}, "")
	if err != nil {
		return v.accountsPage(accountsPage{Email: email}, err)
	}
	return v.accountsPage(accountsPage{Link: link, To: email, What: "to become an administrator"}, nil)
}

// linkFor makes a link for the person of the path, to be handed over.
func (v *visit) linkFor(what, page string, life func(account.Account) (string, error)) error {
	a, err := v.Accounts.Account(v.ctx(), v.r.PathValue("id"))
	if err != nil {
		return err
	}
	secret, err := life(a)
	if err != nil {
		return err
	}
	return v.accountsPage(accountsPage{Link: v.Directory.BaseURL + path(page, secret), To: a.Email, What: what}, nil)
}

func (v *visit) postPasswordLink() error {
	return v.linkFor("to choose a new password, within a day", "password", func(a account.Account) (string, error) {
		return v.Accounts.PasswordLink(v.ctx(), a, v.who.ID, account.HandedLife)
	})
}

func (v *visit) postRestoreLink() error {
	return v.linkFor("to set up password and second step again, within a day", "invitation", func(a account.Account) (string, error) {
		return v.Accounts.RestoreLink(v.ctx(), a, v.who.ID)
	})
}

func (v *visit) postClose() error {
	if err := v.Accounts.Close(v.ctx(), v.r.PathValue("id")); err != nil {
		return err
	}
	if v.r.PathValue("id") == v.who.ID {
		return v.redirect(Prefix + "/sign-in")
	}
	return v.done(Prefix+"/admin/people", "The account is deleted.")
}

func (v *visit) postDemote() error {
	if err := v.Accounts.Demote(v.ctx(), v.r.PathValue("id")); err != nil {
		return err
	}
	if v.r.PathValue("id") == v.who.ID {
		return v.redirect(Prefix + "/sign-in")
	}
	return v.done(Prefix+"/admin/people", "That person is no administrator any more.")
}

func (v *visit) postWithdrawAdmin() error {
	if err := v.Accounts.Withdraw(v.ctx(), "", v.r.PathValue("id")); err != nil {
		return err
	}
	return v.done(Prefix+"/admin/people", "The invitation is taken back.")
}

func (v *visit) getAdminHistory() error {
	return v.history("history", "What was done", audit.Filter{Newest: true, Limit: historyLength})
}
