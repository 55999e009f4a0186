package permission

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/perseus-edge/perseus-edge/relay/account"
	"github.com/perseus-edge/perseus-edge/relay/ingest"
)

// accountCookie is bound by its prefix to this host, to https and to the path /.
const accountCookie = "__Host-account"

// newAccounts makes the keeper of the businesses' accounts.
func (s *Service) newAccounts() (*account.Service, error) {
	return account.New(account.Config{DB: s.db, Key: s.c.SealKey, URL: s.issuer, Name: cleanName(s.c.Organisation), Now: s.c.Now, Logger: s.log, Cost: s.c.PasswordCost,
		Try: func(ctx context.Context, now time.Time, from ...account.Allowance) (func() error, time.Duration, error) {
			var of []allowance
			for _, a := range from {
				of = append(of, allowance{a.Name, Rate{1 / a.Every.Seconds(), a.Burst}})
			}
			return s.limits.attempt(ctx, now, of)
		}})
}

// session gives the account that the browser has signed in to, nil where it
// has not. A form that does not say where it comes from has none: browsers that
// hold the cookie say it.
func (s *Service) session(r *http.Request) (*account.Session, error) {
	cs := r.CookiesNamed(accountCookie)
	if len(cs) != 1 || r.Method == http.MethodPost && r.Header.Get("Origin") == "" && r.Header.Get("Sec-Fetch-Site") == "" {
		return nil, nil
	}
	x, err := s.accounts.Session(r.Context(), cs[0].Value)
	if errors.Is(err, account.ErrNotFound) {
		return nil, nil
	}
	return &x, err
}

// setCookie gives the browser its token; "" takes it away. Lax, since people
// come here by a link of their bank's.
func setCookie(w http.ResponseWriter, token string) {
	c := &http.Cookie{Name: accountCookie, Value: token, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode}
	if token == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

// shown is the site that the person in front stands for, and how that was
// shown: by a code, or by an account that holds the site.
type shown struct {
	Site   Site
	Code   string // or
	Held   string // identifier of the account's site
	How    string
	Number string // of the account
}

// shownBy finds the site of a form. Its error is a *userError unless the fault
// is ours.
func (s *Service) shownBy(r *http.Request, f url.Values) (shown, error) {
	if f.Get("site") == "" || f.Get("code") != "" {
		site, code, how, err := s.siteByCode(r, f.Get("code"))
		return shown{Site: site, Code: code, How: how}, err
	}
	x, err := s.session(r)
	if err != nil {
		return shown{}, err
	}
	if x == nil {
		return shown{}, refuse(http.StatusUnprocessableEntity, "account.ended")
	}
	held, err := s.heldSites(r.Context(), x.ID)
	if err != nil {
		return shown{}, err
	}
	for _, h := range held {
		if h.ID == f.Get("site") && !h.Over {
			return shown{Site: h.Site, Held: h.ID, How: howAccount, Number: x.Number}, nil
		}
	}
	return shown{}, refuse(http.StatusUnprocessableEntity, "account.over")
}

// held is a site that an account holds. Over: its gateway shows another code
// now, so the account holds it no more; Name is all that may be said of it.
type held struct {
	ID, Name string
	Over     bool
	Site     Site
	Items    []listItem
}

func (s *Service) heldSites(ctx context.Context, id string) ([]held, error) {
	all, err := s.accounts.Sites(ctx, id)
	if err != nil {
		return nil, err
	}
	var out []held
	for _, x := range all {
		h := held{ID: x.ID, Name: x.Name}
		h.Site, err = s.c.Sites.Site(ctx, x.Gateway)
		switch {
		case errors.Is(err, ingest.ErrNotFound), err == nil && h.Site.CodeVersion != x.Version:
			h.Over, h.Site = true, Site{}
		case err != nil:
			return nil, err
		default:
			h.Site.Name, h.Site.Outcode = cleanName(h.Site.Name), cleanName(h.Site.Outcode)
			h.Name = h.Site.Name
		}
		out = append(out, h)
	}
	return out, nil
}

// way is what a form carries along, so that a person who came from a bank goes
// on with its request. It leads nowhere else.
type way struct{ Client, URI string }

func wayOf(f url.Values) (w way) {
	if c, u := f["client_id"], f["request_uri"]; len(c) == 1 && len(u) == 1 {
		w = way{c[0], u[0]}
	}
	return w
}

// on sends the browser on: to the request that it came with, or to its account.
func (s *Service) on(w http.ResponseWriter, r *http.Request, f url.Values) {
	to, q := s.issuer.Path+"/account", url.Values{}
	if x := wayOf(f); x.URI != "" {
		to = s.issuer.Path + "/authorize"
		q.Set("client_id", x.Client)
		q.Set("request_uri", x.URI)
	}
	s.seeOther(w, r, to, q)
}

// seeOther leads to a page of ours, in the language that was chosen.
func (s *Service) seeOther(w http.ResponseWriter, r *http.Request, path string, q url.Values) {
	if l := cmp.Or(r.PostForm.Get("lang"), r.URL.Query().Get("lang")); catalogues[l] != nil {
		q.Set("lang", l)
	}
	http.Redirect(w, r, (&url.URL{Path: path, RawQuery: q.Encode()}).String(), http.StatusSeeOther)
}

// signedIn shows the way to sign in to whoever has not, and answers false.
func (s *Service) signedIn(w http.ResponseWriter, r *http.Request) (*account.Session, bool) {
	x, err := s.session(r)
	if err != nil {
		s.pageError(w, r, err)
		return nil, false
	}
	if x == nil {
		if r.Method == http.MethodPost {
			s.showSignIn(w, r, http.StatusUnprocessableEntity, url.Values{}, sayOf("account.ended"))
		} else {
			s.seeOther(w, r, s.issuer.Path+"/account/sign-in", url.Values{})
		}
		return nil, false
	}
	return x, true
}
