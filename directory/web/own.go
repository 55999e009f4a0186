package web

import (
	"context"
	"errors"
	"net/http"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/account"
	"github.com/perseus-edge/perseus-edge/identity/signin"
)

// getHome leads a person to the organisation, where there is one alone.
func (v *visit) getHome() error {
	ids, err := v.Accounts.Members(v.ctx(), v.who.ID)
	if err != nil {
		return err
	}
	switch {
	case len(ids) == 1 && !v.who.Administrator:
		return v.redirect(path("o", ids[0]))
	case len(ids) == 0 && v.who.Administrator:
		return v.redirect(Prefix + "/admin")
	}
	var ms []directory.Member
	for _, id := range ids {
		m, err := v.Directory.Member(v.ctx(), id)
		if err != nil {
			return err
		}
		ms = append(ms, m)
	}
	return v.render(http.StatusOK, "home", "Your organisations", ms)
}

const accountTitle = "Your account"

func (v *visit) getAccount() error {
	f, err := v.Accounts.FactorsOf(v.ctx(), v.who)
	if err != nil {
		return err
	}
	return v.render(http.StatusOK, "account", accountTitle, struct {
		account.Factors
		MayPasskey bool
	}{f, v.Accounts.HasPasskeys()})
}

const newPasswordTitle = "Change your password"

func (v *visit) getNewPassword() error {
	return v.render(http.StatusOK, "password", newPasswordTitle, passwordPage{v.who.Email, signin.PasswordLeast, v.r.URL.Path})
}

func (v *visit) postNewPassword() error {
	if err := v.Accounts.ChangePassword(v.ctx(), v.who, v.r.PostFormValue("password")); err != nil {
		return v.again("password", newPasswordTitle, passwordPage{v.who.Email, signin.PasswordLeast, v.r.URL.Path}, err)
	}
	return v.changed("Your password is changed. Other browsers are signed out.")
}

// changed goes back to the account's page after an act that ended all sessions
// but this one.
func (v *visit) changed(said string) error {
	if err := v.readmit(); err != nil {
		return err
	}
	return v.done(Prefix+"/account", said)
}

const appTitle = "Authenticator app"

func (v *visit) getNewApp() error {
	app, err := v.Accounts.NewApp(v.who.Email)
	if err != nil {
		return err
	}
	v.sessions.Put(v.ctx(), keyApp, v.Accounts.SealApp(v.who.ID, app.Secret))
	p, err := v.appPage(v.who.Email, app.Secret)
	if err != nil {
		return err
	}
	return v.render(http.StatusOK, "set-up", appTitle, p)
}

func (v *visit) postNewApp() error {
	sealed := v.sessions.GetBytes(v.ctx(), keyApp)
	if len(sealed) == 0 {
		return v.redirect(Prefix + "/account/app")
	}
	secret, err := v.Accounts.OpenApp(v.who.ID, sealed)
	if err != nil {
		return err
	}
	err = v.Accounts.SetApp(v.ctx(), v.who, secret, v.form("code"))
	if errors.Is(err, account.ErrWrong) {
		err = wrongCode
	}
	if err != nil {
		p, err2 := v.appPage(v.who.Email, secret)
		if err2 != nil {
			return err2
		}
		return v.again("set-up", appTitle, p, err)
	}
	return v.changed("Your authenticator app is set up. Other browsers are signed out.")
}

func (v *visit) postRemoveApp() error {
	if err := v.Accounts.RemoveApp(v.ctx(), v.who); err != nil {
		return err
	}
	return v.changed("The authenticator app does not work here any more.")
}

const passkeyTitle = "Add a passkey"

// passkeyPage makes a passkey.
type passkeyPage struct{ Options string }

func (v *visit) passkeyPage() (passkeyPage, error) {
	c, err := v.Accounts.BeginPasskey(v.ctx(), v.who.ID, v.who.Email, v.who.Name)
	v.sessions.Put(v.ctx(), keyCeremony, c.State)
	return passkeyPage{c.Options}, err
}

func (v *visit) getNewPasskey() error {
	p, err := v.passkeyPage()
	if err != nil {
		return err
	}
	return v.render(http.StatusOK, "passkey", passkeyTitle, p)
}

func (v *visit) postNewPasskey() error {
	proof := v.proof()
	err := v.Accounts.AddPasskey(v.ctx(), v.who, v.form("label"), proof.State, proof.Answer)
	if errors.Is(err, account.ErrWrong) {
		err = wrongPasskey
	}
	if err != nil {
		p, err2 := v.passkeyPage()
		if err2 != nil {
			return err2
		}
		return v.again("passkey", passkeyTitle, p, err)
	}
	return v.changed("Your passkey is set up. Other browsers are signed out.")
}

func (v *visit) postRemovePasskey() error {
	if err := v.Accounts.RemovePasskey(v.ctx(), v.who, v.r.PathValue("id")); err != nil {
		return err
	}
	return v.changed("The passkey does not work here any more.")
}

func (v *visit) postRecoveryCodes() error {
	codes, err := v.Accounts.NewRecoveryCodes(v.ctx(), v.who)
	if err != nil {
		return err
	}
	return v.render(http.StatusOK, "codes", "Your recovery codes", codesPage{codes, Prefix + "/account"})
}

func (v *visit) postEndSessions() error {
	if err := v.Accounts.EndSessions(v.ctx(), v.who); err != nil {
		return err
	}
	if err := v.sessions.Destroy(v.ctx()); err != nil {
		return err
	}
	return v.done(Prefix+"/sign-in", "You are signed out everywhere.")
}

// send mails a link, where there is mail.
func (v *visit) send(ctx context.Context, to, subject, text string) (sent bool) {
	if v.Mail == nil {
		return false
	}
	if err := v.Mail(ctx, to, subject, text); err != nil {
		v.Logger.Warn("a message was not sent", "error", err)
		return false
	}
	return true
}
