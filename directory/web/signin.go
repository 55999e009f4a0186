package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/directory/account"
	"github.com/perseus-edge/perseus-edge/directory/audit"
	"github.com/perseus-edge/perseus-edge/identity/signin"
)

// signInForm is what the first page of signing in shows.
type signInForm struct {
	Email string
	Mail  bool   // a forgotten password is helped by mail
	Next  string // where to go then
}

func (v *visit) getSignIn() error {
	if v.signedIn() {
		return v.redirect(Prefix + "/")
	}
	// In the form and not in the session: whoever looks at the page leaves
	// nothing in the database.
	return v.render(http.StatusOK, "sign-in", "Sign in", signInForm{Mail: v.Mail != nil, Next: v.r.URL.Query().Get("next")})
}

// postSignIn takes address and password: the first of two steps.
func (v *visit) postSignIn() error {
	a, err := v.Accounts.Password(v.ctx(), v.form("email"), v.r.PostFormValue("password"), v.from())
	if errors.Is(err, account.ErrWrong) {
		err = &refusal{http.StatusForbidden, "Email address or password is wrong."}
	}
	if err != nil {
		return v.again("sign-in", "Sign in", signInForm{v.form("email"), v.Mail != nil, v.form("next")}, err)
	}
	if err := v.sessions.RenewToken(v.ctx()); err != nil {
		return err
	}
	if to := v.form("next"); ours(to) {
		v.then(to)
	}
	v.sessions.Remove(v.ctx(), keyAccount) // whoever was signed in here is not any more
	v.sessions.Put(v.ctx(), keyPending, a.ID)
	v.sessions.Put(v.ctx(), keyPendEp, a.Epoch)
	v.sessions.Put(v.ctx(), keyPendAt, v.now())
	return v.redirect(Prefix + "/sign-in/second")
}

// secondForm is what the second page of signing in shows.
type secondForm struct {
	Action  string // where the form goes
	App     bool   // the person has an authenticator app
	Options string // for the browser to ask for a passkey; empty: the person has none
}

// pending gives who has given the password a short while ago.
func (v *visit) pending() (account.Account, bool, error) {
	id := v.sessions.GetString(v.ctx(), keyPending)
	since := v.now() - v.sessions.GetInt64(v.ctx(), keyPendAt)
	if id == "" || since < 0 || since >= int64(pendingFor/time.Second) {
		return account.Account{}, false, nil
	}
	a, err := v.Accounts.Account(v.ctx(), id)
	if errors.Is(err, account.ErrNotFound) {
		return a, false, nil
	}
	return a, err == nil && a.Epoch == v.sessions.GetInt64(v.ctx(), keyPendEp), err
}

// secondPage asks for the second factor of a.
func (v *visit) secondPage(a account.Account, title, action string, wrong error) error {
	c, err := v.Accounts.BeginSignIn(v.ctx(), a)
	if err != nil {
		return err
	}
	v.sessions.Put(v.ctx(), keyCeremony, c.State)
	form := secondForm{action, a.HasApp(), c.Options}
	if wrong != nil {
		return v.again("second", title, form, wrong)
	}
	return v.render(http.StatusOK, "second", title, form)
}

// proof is what the second page's form holds.
func (v *visit) proof() account.Proof {
	return account.Proof{Code: v.form("code"), State: v.sessions.PopBytes(v.ctx(), keyCeremony), Answer: v.form("answer")}
}

const (
	secondTitle  = "Second step"
	confirmTitle = "Is it you?"
)

func (v *visit) getSecond() error {
	a, ok, err := v.pending()
	if err != nil {
		return err
	}
	if !ok {
		return v.redirect(Prefix + "/sign-in")
	}
	return v.secondPage(a, secondTitle, Prefix+"/sign-in/second", nil)
}

func (v *visit) postSecond() error {
	a, ok, err := v.pending()
	if err != nil {
		return err
	}
	if !ok {
		return v.redirect(Prefix + "/sign-in")
	}
	ctx := audit.WithActor(v.ctx(), a.Actor())
	now, how, err := v.Accounts.SecondFactor(ctx, a.ID, v.proof())
	if err == nil && now.Epoch != a.Epoch {
		return v.redirect(Prefix + "/sign-in") // the password was changed meanwhile
	}
	if err != nil {
		return v.secondPage(a, secondTitle, Prefix+"/sign-in/second", err)
	}
	if err := v.admit(now); err != nil {
		return err
	}
	return v.welcome(how)
}

// welcome goes to where the person wanted to go, and says how many recovery
// codes are left to who used one.
func (v *visit) welcome(how string) error {
	if how == "recovery code" {
		f, err := v.Accounts.FactorsOf(v.ctx(), v.who)
		if err != nil {
			return err
		}
		v.sessions.Put(v.ctx(), keyFlash, fmt.Sprintf("You used a recovery code: %d are left. Under “Your account” you get new ones, and can set up your phone again.", f.Codes))
	}
	return v.redirect(v.next())
}

func (v *visit) getConfirm() error {
	return v.secondPage(v.who, confirmTitle, Prefix+"/confirm", nil)
}

// postConfirm takes the second factor again, before what matters most.
func (v *visit) postConfirm() error {
	a, how, err := v.Accounts.SecondFactor(v.ctx(), v.who.ID, v.proof())
	if err != nil {
		return v.secondPage(v.who, confirmTitle, Prefix+"/confirm", err)
	}
	if err := v.admit(a); err != nil {
		return err
	}
	return v.welcome(how)
}

func (v *visit) postSignOut() error {
	if err := v.sessions.Destroy(v.ctx()); err != nil {
		return err
	}
	return v.redirect(Prefix + "/sign-in")
}

// forgottenPage is what is shown to who has forgotten the password.
type forgottenPage struct {
	Mail bool // there is mail
	Sent bool
	Life string
}

func (v *visit) getForgotten() error {
	return v.render(http.StatusOK, "forgotten", "Forgotten password", forgottenPage{Mail: v.Mail != nil})
}

// postForgotten answers at once and the same for every address; what there is
// to do is done after the answer.
func (v *visit) postForgotten() error {
	email, from := v.form("email"), v.from()
	if v.Mail == nil {
		return v.getForgotten()
	}
	select {
	case v.mailing <- struct{}{}:
		ctx := context.WithoutCancel(v.ctx())
		go func() {
			defer func() { <-v.mailing }()
			ctx, cancel := context.WithTimeout(ctx, time.Minute)
			defer cancel()
			if err := v.mailForgotten(ctx, email, from.String(), func() (string, account.Account, bool, error) { return v.Accounts.Forgotten(ctx, email, from) }); err != nil {
				v.Logger.Warn("no mail for a forgotten password", "from", from, "error", err)
			}
		}()
	default:
		v.Logger.Warn("no mail for a forgotten password: too many are on their way")
	}
	return v.render(http.StatusOK, "forgotten", "Forgotten password", forgottenPage{Mail: true, Sent: true, Life: "an hour"})
}

func (a *App) mailForgotten(ctx context.Context, email, from string, link func() (string, account.Account, bool, error)) error {
	secret, who, ok, err := link()
	if err != nil || !ok {
		return err
	}
	return a.Mail(ctx, who.Email, "A new password for "+a.Accounts.Name, strings.Join([]string{
		"Hello " + who.Name + ",", "",
		"somebody, probably you, has asked for a new password. Choose one here within an hour:", "",
		a.Directory.BaseURL + path("password", secret), "",
		"You will still need your second step (phone, passkey or recovery code) to sign in.",
		"If it was not you, do nothing: your password stays as it is.",
	}, "\n"))
}

// passwordPage is what the page of a link for a new password shows.
type passwordPage struct {
	Email  string
	Least  int
	Action string
}

func (v *visit) passwordLink() (passwordPage, error) {
	l, err := v.Accounts.Link(v.ctx(), v.r.PathValue("secret"))
	if err == nil && l.Kind != account.Forgot {
		err = account.ErrLink
	}
	return passwordPage{l.Email, signin.PasswordLeast, v.r.URL.Path}, err
}

func (v *visit) getPassword() error {
	p, err := v.passwordLink()
	if err != nil {
		return err
	}
	return v.render(http.StatusOK, "password", "Choose a new password", p)
}

func (v *visit) postPassword() error {
	p, err := v.passwordLink()
	if err != nil {
		return err
	}
	if err := v.Accounts.ResetPassword(v.ctx(), v.r.PathValue("secret"), v.r.PostFormValue("password")); err != nil {
		return v.again("password", "Choose a new password", p, err)
	}
	if err := v.sessions.Destroy(v.ctx()); err != nil {
		return err
	}
	return v.done(Prefix+"/sign-in", "Your new password is in force. Sign in with it.")
}
