package account

import (
	"database/sql"
	"sync"
	"testing"

	"github.com/perseus-edge/perseus-edge/directory/audit"
)

// Who is no administrator any more has nothing left in the hand: neither a link
// that opens another person's account, nor one that brings the rank back.
func TestLinksOfAnAdministratorEnd(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ada := w.signUp("ada@directory.example", "", true)
		for _, leave := range []func(p person) error{
			func(p person) error { return w.Demote(w.ctx(), p.ID) },
			func(p person) error { return w.Close(w.ctx(), p.ID) },
		} {
			mal := w.signUp("mal@directory.example", "", true)
			restore, err := w.RestoreLink(w.ctx(), ada.Account, mal.ID)
			w.must(err)
			password, err := w.PasswordLink(w.ctx(), ada.Account, mal.ID, HandedLife)
			w.must(err)
			links := map[string]string{
				"another's account": restore, "another's password": password,
				"an administrator invited by him": w.invite(Link{Email: "friend@directory.example", Administrator: true, By: mal.ID}),
				"an owner invited by him":         w.invite(Link{Email: "friend@bank.example", Member: "bank", By: mal.ID}),
				"himself, invited by another":     w.invite(Link{Email: mal.Email, Administrator: true, By: ada.ID}),
			}
			others := w.invite(Link{Email: "other@directory.example", Administrator: true, By: ada.ID})
			w.must(leave(mal))
			for what, secret := range links {
				_, err := w.Link(w.ctx(), secret)
				w.is(what, err, ErrLink)
			}
			if _, err := w.Link(w.ctx(), others); err != nil {
				t.Errorf("another's invitation: %v", err)
			}
			if a, err := w.ByEmail(w.ctx(), mal.Email); err == nil {
				w.must(w.Close(w.ctx(), a.ID))
			}
		}
	})
}

// Who does not act for an organisation any more does not come back by an
// invitation that he made or that waits for him, nor by a token of his for the
// member API.
func TestNothingIsLeftToAFormerOwner(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		olive := w.signUp("olive@perse.example", "perse", false)
		mal := w.signUp("mal@perse.example", "perse", false)
		_, err := w.Accept(w.ctx(), mal.Account, w.invite(Link{Email: mal.Email, Member: "bank"}))
		w.must(err)
		for _, m := range []string{"perse", "bank"} {
			_, err := w.DB.Exec(`INSERT INTO directory_owners (email, member, created_at) VALUES ($1, $2, 0)`, mal.Email, m)
			w.must(err)
		}
		_, err = w.DB.Exec(`INSERT INTO directory_tokens (hash, owner, access, created_at, expires_at) VALUES ('h', $1, 'owner', 0, 9999999999)`, mal.Email)
		w.must(err)
		back := w.invite(Link{Email: "friend@perse.example", Member: "perse", By: mal.ID})
		again := w.invite(Link{Email: mal.Email, Member: "perse", By: olive.ID})
		others := w.invite(Link{Email: "other@perse.example", Member: "perse", By: olive.ID})
		bank := w.invite(Link{Email: "friend@bank.example", Member: "bank", By: mal.ID})
		w.must(w.Disown(w.ctx(), mal.ID, "perse"))
		for what, secret := range map[string]string{"that he made": back, "to him": again} {
			_, err := w.Link(w.ctx(), secret)
			w.is("invitation "+what, err, ErrLink)
		}
		for what, secret := range map[string]string{"another's": others, "to another organisation": bank} {
			if _, err := w.Link(w.ctx(), secret); err != nil {
				t.Errorf("invitation %s: %v", what, err)
			}
		}
		owned := func() (n, tokens int) {
			w.must(w.DB.QueryRow(`SELECT (SELECT COUNT(*) FROM directory_owners WHERE email = $1), (SELECT COUNT(*) FROM directory_tokens WHERE owner = $1)`, mal.Email).Scan(&n, &tokens))
			return n, tokens
		}
		if n, tokens := owned(); n != 1 || tokens != 1 {
			t.Errorf("the token acts for %d organisations, %d tokens", n, tokens)
		}
		w.must(w.Close(w.ctx(), mal.ID))
		if n, tokens := owned(); n != 0 || tokens != 0 {
			t.Errorf("after the account is closed: for %d organisations, %d tokens", n, tokens)
		}
	})
}

// A new password ends the links that were made before it was chosen.
func TestOlderLinksEndWithANewPassword(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		olive := w.signUp("olive@perse.example", "perse", false)
		for _, change := range []func() error{
			func() error { return w.ChangePassword(w.ctx(), olive.Account, "another four words here") },
			func() error { return w.EndSessions(w.ctx(), olive.Account) },
		} {
			password, err := w.PasswordLink(w.ctx(), olive.Account, "", ForgotLife)
			w.must(err)
			restore, err := w.RestoreLink(w.ctx(), olive.Account, "")
			w.must(err)
			w.must(change())
			for _, secret := range []string{password, restore} {
				_, err := w.Link(w.ctx(), secret)
				w.is("a link from before", err, ErrLink)
			}
		}
	})
}

// Whichever of the two factors is removed first, at the same time: one stays.
func TestOneFactorStays(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		olive := w.signUp("olive@perse.example", "perse", false)
		put := func() {
			_, err := w.DB.Exec(`INSERT INTO directory_passkeys (id, account, name, credential, created_at) VALUES ('k', $1, 'K', '{}', 0) ON CONFLICT (id) DO NOTHING`, olive.ID)
			w.must(err)
			w.must(w.inTx(w.ctx(), func(tx *sql.Tx) ([]audit.Event, error) {
				_, err := tx.Exec(`UPDATE directory_accounts SET totp = $1 WHERE id = $2`, w.sealApp(olive.ID, olive.secret), olive.ID)
				return nil, err
			}))
		}
		for range 50 {
			put()
			errs := make([]error, 2)
			var wg sync.WaitGroup
			wg.Go(func() { errs[0] = w.RemoveApp(w.ctx(), olive.Account) })
			wg.Go(func() { errs[1] = w.RemovePasskey(w.ctx(), olive.Account, "k") })
			wg.Wait()
			if (errs[0] == nil) == (errs[1] == nil) {
				t.Fatalf("both factors were removed, or none: %v", errs)
			}
		}
	})
}
