package permission

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/perseus-edge/perseus-edge/relay/account"
)

// The pages by which people sign in and begin an account.
type (
	signInPage struct {
		Way       way
		Number    string
		Challenge account.Challenge
		Problem   say
	}
	keepPage struct {
		Way     way
		Offer   account.Offer
		More    bool // a further way to sign in, of an account that there is
		Problem say
	}
)

func (s *Service) getSignIn(w http.ResponseWriter, r *http.Request) {
	s.showSignIn(w, r, http.StatusOK, r.URL.Query(), say{})
}

func (s *Service) showSignIn(w http.ResponseWriter, r *http.Request, status int, f url.Values, problem say) {
	c, err := s.accounts.Challenge()
	if err != nil {
		s.pageError(w, r, err)
		return
	}
	withScript(w, c.Options)
	s.render(w, r, status, "signin", signInPage{Way: wayOf(f), Number: account.Grouped(account.Digits(clip(f.Get("number"), 64))), Challenge: c, Problem: problem})
}

// postSignIn signs in: with a passkey in one step, or with a number, its
// password and a code of the app.
func (s *Service) postSignIn(w http.ResponseWriter, r *http.Request) {
	f, ok := s.pageForm(w, r)
	if !ok {
		return
	}
	var id, how string
	var err error
	switch {
	case f.Get("answer") != "":
		how = "passkey"
		id, err = s.accounts.ByPasskey(r.Context(), f.Get("state"), f.Get("answer"), s.c.Address(r))
	case f.Get("number") != "" || f.Get("password") != "":
		how = "password and app"
		id, err = s.accounts.ByPassword(r.Context(), f.Get("number"), f.Get("password"), f.Get("app"), s.c.Address(r))
	default: // the language was changed
		s.showSignIn(w, r, http.StatusOK, f, say{})
		return
	}
	var many *account.TooMany
	switch {
	case errors.As(err, &many):
		retryAfter(w, &userError{Retry: many.Wait})
		s.showSignIn(w, r, http.StatusTooManyRequests, f, sayOf("account.toomany"))
		return
	case errors.Is(err, account.ErrWrong) && how == "passkey":
		s.showSignIn(w, r, http.StatusUnprocessableEntity, f, sayOf("account.wrong.passkey"))
		return
	case errors.Is(err, account.ErrWrong):
		s.showSignIn(w, r, http.StatusUnprocessableEntity, f, sayOf("account.wrong"))
		return
	case err != nil:
		s.pageError(w, r, err)
		return
	}
	s.log.Info("account: signed in", "account", id, "with", how, "address", s.c.Address(r))
	if s.start(w, r, id) {
		s.on(w, r, f)
	}
}

// start begins a session and ends the one that the browser had.
func (s *Service) start(w http.ResponseWriter, r *http.Request, id string) bool {
	old, err := s.session(r)
	if err == nil && old != nil {
		err = s.accounts.SignOut(r.Context(), *old)
	}
	token := ""
	if err == nil {
		token, err = s.accounts.Start(r.Context(), id)
	}
	if err != nil {
		s.pageError(w, r, err)
		return false
	}
	setCookie(w, token)
	return true
}

// postKeep offers an account to whoever has shown a code. Who is signed in
// gets the site into the account that is there.
func (s *Service) postKeep(w http.ResponseWriter, r *http.Request) {
	f, ok := s.pageForm(w, r)
	if !ok {
		return
	}
	x, err := s.session(r)
	if err != nil {
		s.pageError(w, r, err)
		return
	}
	site, _, how, err := s.siteByCode(r, f.Get("code"))
	var ue *userError
	if errors.As(err, &ue) {
		retryAfter(w, ue)
		if x != nil {
			s.showAccount(w, r, ue.Status, x, accountPage{Code: cleanName(f.Get("code")), Problem: ue.say})
			return
		}
		s.render(w, r, ue.Status, "permissions", findPage{Code: cleanName(f.Get("code")), Problem: ue.say})
		return
	}
	if err != nil {
		s.pageError(w, r, err)
		return
	}
	hold := account.Site{Gateway: site.Gateway, Version: site.CodeVersion, Name: site.Name, How: how}
	if x != nil {
		err := s.accounts.AddSite(r.Context(), x.ID, hold)
		switch {
		case errors.Is(err, account.ErrFull):
			s.showAccount(w, r, http.StatusUnprocessableEntity, x, accountPage{Problem: sayOf("account.full")})
		case err != nil:
			s.pageError(w, r, err)
		default:
			s.log.Info("account: site added", "account", x.ID, "gateway", site.Gateway, "by", how, "address", s.c.Address(r))
			s.on(w, r, f)
		}
		return
	}
	o, err := s.accounts.Offer(hold)
	if err != nil {
		s.pageError(w, r, err)
		return
	}
	withScript(w, o.Options)
	s.render(w, r, http.StatusOK, "keep", keepPage{Way: wayOf(f), Offer: o})
}

// postMake makes the account that was offered, and signs in to it.
func (s *Service) postMake(w http.ResponseWriter, r *http.Request) {
	f, ok := s.pageForm(w, r)
	if !ok {
		return
	}
	o, err := s.accounts.Open(f.Get("offer"))
	if err == nil && o.Site != nil {
		// The code may have been changed since.
		var site Site
		if site, err = s.c.Sites.Site(r.Context(), o.Site.Gateway); err == nil && site.CodeVersion != o.Site.Version {
			err = account.ErrStale
		}
	}
	if err == nil {
		err = s.accounts.Make(r.Context(), o, wayShown(f))
	}
	switch {
	case s.wayProblem(w, r, f, o, err):
	case err != nil:
		s.pageError(w, r, err)
	default:
		s.log.Info("account: made", "account", o.ID, "gateway", o.Site.Gateway, "by", o.Site.How, "address", s.c.Address(r))
		if s.start(w, r, o.ID) {
			s.on(w, r, f)
		}
	}
}

func wayShown(f url.Values) account.Way {
	return account.Way{Answer: f.Get("answer"), Password: f.Get("password"), Code: f.Get("app")}
}

// wayProblem shows the form again where what the person gave is no good, with
// a challenge of its own.
func (s *Service) wayProblem(w http.ResponseWriter, r *http.Request, f url.Values, o account.Offer, err error) bool {
	problem := say{}
	switch {
	case errors.Is(err, account.ErrStale):
		s.message(w, r, http.StatusUnprocessableEntity, "error.title", sayOf("account.stale"))
		return true
	case errors.Is(err, account.ErrFull):
		s.message(w, r, http.StatusUnprocessableEntity, "error.title", sayOf("account.full"))
		return true
	case errors.Is(err, account.ErrWeak):
		problem = sayOf("account.weak")
	case errors.Is(err, account.ErrWrong) && f.Get("answer") != "":
		problem = sayOf("account.wrong.passkey")
	case errors.Is(err, account.ErrWrong):
		problem = sayOf("account.wrong.app")
	default:
		return false
	}
	again, err := s.accounts.Again(r.Context(), o)
	if err != nil {
		s.pageError(w, r, err)
		return true
	}
	withScript(w, again.Options)
	s.render(w, r, http.StatusUnprocessableEntity, "keep", keepPage{Way: wayOf(f), Offer: again, More: o.Site == nil, Problem: problem})
	return true
}
