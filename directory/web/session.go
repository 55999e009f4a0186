package web

import (
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/directory/account"
)

// What a session holds.
const (
	keyAccount  = "account"  // id of who has signed in
	keyEpoch    = "epoch"    // of the account, when that was
	keyProved   = "proved"   // when the second factor was last shown, Unix seconds
	keyPending  = "pending"  // id of who has given the password, and not yet the second factor
	keyPendEp   = "pend-ep"  // epoch of that account
	keyPendAt   = "pend-at"  // when that was
	keyNext     = "next"     // sealed (it may be a link that is good once): where to go then
	keyCeremony = "ceremony" // state of a passkey's ceremony, good once
	keyDraft    = "draft"    // sealed: a sign-up on its way
	keyApp      = "app"      // sealed: the secret that is offered to an authenticator app
	keyFlash    = "flash"    // what was done, to be said once
)

// pendingFor is how long a password waits for its second factor.
const pendingFor = 10 * time.Minute

// recognise finds out who visits. A session of an earlier epoch of its account
// has ended.
func (v *visit) recognise() error {
	if v.sessions.Token(v.ctx()) == "" {
		return nil
	}
	id := v.sessions.GetString(v.ctx(), keyAccount)
	if id == "" {
		return nil
	}
	a, err := v.Accounts.Account(v.ctx(), id)
	switch {
	case errors.Is(err, account.ErrNotFound), err == nil && a.Epoch != v.sessions.GetInt64(v.ctx(), keyEpoch):
		return v.sessions.Destroy(v.ctx())
	case err != nil:
		return err
	}
	v.who = a
	return nil
}

// admit signs a person in: the session gets another token, so that whoever knew
// the one from before has nothing by it.
func (v *visit) admit(a account.Account) error {
	if err := v.sessions.RenewToken(v.ctx()); err != nil {
		return err
	}
	for _, key := range v.sessions.Keys(v.ctx()) {
		if key != keyNext && key != keyFlash {
			v.sessions.Remove(v.ctx(), key)
		}
	}
	v.sessions.Put(v.ctx(), keyAccount, a.ID)
	v.sessions.Put(v.ctx(), keyEpoch, a.Epoch)
	v.sessions.Put(v.ctx(), keyProved, v.now())
	v.who = a
	return nil
}

// readmit keeps this session after an act that ends all sessions of a person.
// It is as fresh as it was.
func (v *visit) readmit() error {
	a, err := v.Accounts.Account(v.ctx(), v.who.ID)
	if err != nil {
		return err
	}
	proved := v.sessions.GetInt64(v.ctx(), keyProved)
	if err := v.admit(a); err != nil {
		return err
	}
	v.sessions.Put(v.ctx(), keyProved, proved)
	return nil
}

func (v *visit) now() int64 { return v.Accounts.Now().Unix() }

// fresh says whether the second factor was shown a short while ago.
func (v *visit) fresh() bool {
	since := v.now() - v.sessions.GetInt64(v.ctx(), keyProved)
	return since >= 0 && since < int64(freshFor/time.Second)
}

// toSignIn asks for signing in, and comes back to the page if it can be opened
// again.
func (v *visit) toSignIn() error {
	if v.r.Method == http.MethodGet && v.r.URL.Path != Prefix+"/" {
		return v.redirect(Prefix + "/sign-in?next=" + url.QueryEscape(v.r.URL.RequestURI()))
	}
	return v.redirect(Prefix + "/sign-in")
}

// toConfirm asks for the second factor again.
func (v *visit) toConfirm() error {
	next := v.r.URL.RequestURI()
	if v.r.Method != http.MethodGet {
		next = v.back()
	}
	v.then(next)
	return v.redirect(Prefix + "/confirm")
}

// back is the page from which a form was sent, if it is one of ours.
func (v *visit) back() string {
	if u, err := url.Parse(v.r.Referer()); err == nil && ours(u.Path) {
		return u.Path
	}
	return Prefix + "/"
}

// next is where a person wanted to go before signing in.
func (v *visit) next() string {
	if sealed := v.sessions.PopBytes(v.ctx(), keyNext); len(sealed) > 0 {
		if to, err := v.Accounts.OpenWay(sealed); err == nil && ours(to) {
			return to
		}
	}
	return Prefix + "/"
}

// then notes where a person wants to go.
func (v *visit) then(to string) { v.sessions.Put(v.ctx(), keyNext, v.Accounts.SealWay(to)) }

// ours says whether an address is a page of this application, and on no other
// host whatever a browser makes of it.
func ours(to string) bool {
	u, err := url.Parse(to)
	return err == nil && strings.HasPrefix(to, Prefix+"/") &&
		!strings.ContainsAny(to, "\\\r\n\t") && !strings.Contains(u.Path, "//") && !slices.Contains(strings.Split(u.Path, "/"), "..")
}

func (v *visit) from() netip.Addr { return v.ClientAddress(v.r) }
