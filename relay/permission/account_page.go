package permission

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/perseus-edge/perseus-edge/relay/account"
)

// accountPage is what a person has here: every permission of every site.
type accountPage struct {
	Number  string
	Sites   []held
	Code    string
	Notice  say
	Problem say
}

// waysPage are the ways to sign in.
type waysPage struct {
	Number   string
	Passkeys []account.Passkey
	Password bool
	One      bool // there is no other: it stays
	Notice   say
	Problem  say
}

// serveAccount is the account's page. It comes by POST too, where the language
// was changed on a page that a form had led to.
func (s *Service) serveAccount(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		if _, ok := s.pageForm(w, r); !ok {
			return
		}
	}
	if x, ok := s.signedIn(w, r); ok {
		s.showAccount(w, r, http.StatusOK, x, accountPage{})
	}
}

func (s *Service) showAccount(w http.ResponseWriter, r *http.Request, status int, x *account.Session, p accountPage) {
	var err error
	p.Number = account.Grouped(x.Number)
	if p.Sites, err = s.heldSites(r.Context(), x.ID); err != nil {
		s.pageError(w, r, err)
		return
	}
	for i, h := range p.Sites {
		if h.Over {
			continue
		}
		items, err := s.items(r.Context(), h.Site.Gateway)
		if err != nil {
			s.pageError(w, r, err)
			return
		}
		for n := range items {
			items[n].N, items[n].Held, items[n].Sub = fmt.Sprintf("%d-%d", i+1, n+1), h.ID, true
		}
		p.Sites[i].Items = items
	}
	s.render(w, r, status, "account", p)
}

// form reads the form of somebody who has signed in.
func (s *Service) accountForm(w http.ResponseWriter, r *http.Request) (url.Values, *account.Session, bool) {
	f, ok := s.pageForm(w, r)
	if !ok {
		return nil, nil, false
	}
	x, ok := s.signedIn(w, r)
	return f, x, ok
}

func (s *Service) postRemoveSite(w http.ResponseWriter, r *http.Request) {
	f, x, ok := s.accountForm(w, r)
	if !ok {
		return
	}
	if err := s.accounts.RemoveSite(r.Context(), x.ID, f.Get("site")); err != nil {
		s.pageError(w, r, err)
		return
	}
	s.seeOther(w, r, s.issuer.Path+"/account", url.Values{})
}

func (s *Service) postSignOut(w http.ResponseWriter, r *http.Request) {
	_, x, ok := s.accountForm(w, r)
	if !ok {
		return
	}
	if err := s.accounts.SignOut(r.Context(), *x); err != nil {
		s.pageError(w, r, err)
		return
	}
	setCookie(w, "")
	s.seeOther(w, r, s.issuer.Path+"/account/sign-in", url.Values{})
}

// postLeave deletes the account, once the person is sure.
func (s *Service) postLeave(w http.ResponseWriter, r *http.Request) {
	f, x, ok := s.accountForm(w, r)
	if !ok {
		return
	}
	if f.Get("sure") != "yes" {
		s.render(w, r, http.StatusOK, "leave", nil)
		return
	}
	if err := s.accounts.Leave(r.Context(), x.ID); err != nil {
		s.pageError(w, r, err)
		return
	}
	s.log.Info("account: deleted by its holder", "account", x.ID)
	setCookie(w, "")
	s.message(w, r, http.StatusOK, "account.left.title", sayOf("account.left"))
}

func (s *Service) serveWays(w http.ResponseWriter, r *http.Request) {
	if x, ok := s.signedIn(w, r); ok {
		s.showWays(w, r, http.StatusOK, x, say{})
	}
}

func (s *Service) showWays(w http.ResponseWriter, r *http.Request, status int, x *account.Session, problem say) {
	keys, err := s.accounts.Passkeys(r.Context(), x.ID)
	if err != nil {
		s.pageError(w, r, err)
		return
	}
	s.render(w, r, status, "ways", waysPage{Number: account.Grouped(x.Number), Passkeys: keys, Password: x.HasPassword(), One: len(keys) == 0 || len(keys) == 1 && !x.HasPassword(), Problem: problem})
}

// postWays changes the ways to sign in: of somebody who has signed in just
// now, so that a browser left open gives nobody a way in.
func (s *Service) postWays(w http.ResponseWriter, r *http.Request) {
	f, x, ok := s.accountForm(w, r)
	if !ok {
		return
	}
	if !x.Fresh(s.c.Now()) {
		s.showSignIn(w, r, http.StatusUnprocessableEntity, url.Values{}, sayOf("account.again"))
		return
	}
	if f.Has("offer") {
		o, err := s.accounts.Open(f.Get("offer"))
		if err == nil {
			err = s.accounts.Add(r.Context(), *x, o, wayShown(f))
		}
		switch {
		case s.wayProblem(w, r, f, o, err):
		case err != nil:
			s.pageError(w, r, err)
		default:
			s.log.Info("account: a way to sign in was added", "account", x.ID)
			s.seeOther(w, r, s.issuer.Path+"/account/ways", url.Values{})
		}
		return
	}
	switch f.Get("do") {
	case "remove":
		err := s.accounts.Remove(r.Context(), *x, f.Get("passkey"))
		switch {
		case errors.Is(err, account.ErrLast):
			s.showWays(w, r, http.StatusUnprocessableEntity, x, sayOf("account.last"))
			return
		case err != nil && !errors.Is(err, account.ErrNotFound):
			s.pageError(w, r, err)
			return
		}
		s.log.Info("account: a way to sign in was removed", "account", x.ID)
		s.seeOther(w, r, s.issuer.Path+"/account/ways", url.Values{})
	default:
		o, err := s.accounts.OfferMore(r.Context(), x.Account)
		if err != nil {
			s.pageError(w, r, err)
			return
		}
		withScript(w, o.Options)
		s.render(w, r, http.StatusOK, "keep", keepPage{Offer: o, More: true})
	}
}

// postAccounts ends what accounts hold of a site, for whoever has its code: the
// code stands above every account.
func (s *Service) postAccounts(w http.ResponseWriter, r *http.Request) {
	f, ok := s.pageForm(w, r)
	if !ok {
		return
	}
	f.Del("site") // an account cannot end another
	s.listFor(w, r, f, func(x shown, p *listPage) error {
		n, err := account.EndHold(r.Context(), s.db, x.Site.Gateway, "")
		if err == nil {
			s.log.Info("account: what accounts hold of a site was ended by its code", "gateway", x.Site.Gateway, "accounts", n, "address", s.c.Address(r))
			p.Notice = sayOf("account.others.ended")
		}
		return err
	})
}
