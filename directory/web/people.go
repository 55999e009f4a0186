package web

import (
	"net/http"
	"slices"
	"strings"

	"github.com/perseus-edge/perseus-edge/directory/account"
)

// peoplePage lists who acts for an organisation, and who is invited to.
type peoplePage struct {
	Owners  []account.Account
	ByToken []string // mail addresses of those who act by the member API alone: they have no account
	Invited []account.Link
	Email   string // as given so far
	Link    string // of a new invitation, to be handed over; empty: it was mailed, or there is none
	To      string
	Mail    bool
	Days    int
}

const peopleTitle = "People"

func (v *visit) peoplePage(p peoplePage, wrong error) (err error) {
	if p.Owners, err = v.Accounts.Owners(v.ctx(), v.member.ID); err != nil {
		return err
	}
	if p.ByToken, err = v.Directory.Owners(v.ctx(), v.member.ID); err != nil {
		return err
	}
	p.ByToken = slices.DeleteFunc(p.ByToken, func(email string) bool {
		return slices.ContainsFunc(p.Owners, func(a account.Account) bool { return strings.EqualFold(a.Email, email) })
	})
	if p.Invited, err = v.Accounts.Invitations(v.ctx(), v.member.ID); err != nil {
		return err
	}
	p.Mail, p.Days = v.Mail != nil, int(account.InviteLife.Hours()/24)
	if wrong != nil {
		return v.again("people", peopleTitle, p, wrong)
	}
	return v.render(http.StatusOK, "people", peopleTitle, p)
}

func (v *visit) getPeople() error { return v.peoplePage(peoplePage{}, nil) }

func (v *visit) postInvite() error {
	email := v.form("email")
	link, sent, err := v.invite(account.Link{Email: email, Member: v.member.ID}, v.member.LegalName)
	if err != nil {
		return v.peoplePage(peoplePage{Email: email}, err)
	}
	// An owner sees the link only where there is no mail: an address is
	// somebody's, and the mail is what shows whose.
	switch {
	case v.Mail == nil || v.who.Administrator:
	case sent:
		return v.done(v.at("people"), "The invitation is on its way to "+email+".")
	default:
		return v.peoplePage(peoplePage{Email: email}, &refusal{http.StatusBadGateway, "The message to this address could not be sent. Check the address, take the invitation back below and try again later, or ask the directory's administrator to invite the person."})
	}
	return v.peoplePage(peoplePage{Link: link, To: email}, nil)
}

// invite makes an invitation and mails it, where there is mail.
func (v *visit) invite(l account.Link, organisation string) (link string, sent bool, err error) {
	l.By = v.who.ID
	secret, err := v.Accounts.Invite(v.ctx(), l)
	if err != nil {
		return "", false, err
	}
	link = v.Directory.BaseURL + path("invitation", secret)
	what := "act for " + organisation + " in the directory"
	if l.Administrator {
		what = "be an administrator of the directory"
	}
	to, _ := account.CheckEmail(l.Email) // Invite has checked it
	return link, v.send(v.ctx(), to, "Your invitation to "+v.Accounts.Name,
		"Hello,\n\n"+v.who.Name+" ("+v.who.Email+") invites you to "+what+" "+v.Accounts.Name+". Open this link within seven days:\n\n"+link+
			"\n\nYou will choose a password and set up your phone as a second step. If you do not know what this is about, do nothing.\n"), nil
}

func (v *visit) postDisown() error {
	if err := v.Accounts.Disown(v.ctx(), v.r.PathValue("id"), v.member.ID); err != nil {
		return v.peoplePage(peoplePage{}, err)
	}
	if v.r.PathValue("id") == v.who.ID && !v.who.Administrator {
		return v.done(Prefix+"/", "You do not act for "+v.member.BrandName+" any more.")
	}
	return v.done(v.at("people"), "That person does not act for the organisation any more. If the person knows one of its tokens for programs, end that too: it goes on working.")
}

func (v *visit) postWithdraw() error {
	if err := v.Accounts.Withdraw(v.ctx(), v.member.ID, v.r.PathValue("id")); err != nil {
		return err
	}
	return v.done(v.at("people"), "The invitation is taken back: its link does not work any more.")
}
