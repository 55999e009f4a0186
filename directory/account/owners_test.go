package account

import (
	"sync"
	"testing"
)

func TestInvitationsAreFew(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		for range perInviter.burst {
			w.invite(Link{Email: "a@b.example", Member: "perse", By: "olive"})
		}
		_, err := w.Invite(w.ctx(), Link{Email: "a@b.example", Member: "perse", By: "olive"})
		w.tooMany("invitations", err)
		w.invite(Link{Email: "a@b.example", Member: "perse", By: "pat"})
		w.invite(Link{Email: "a@b.example", Member: "perse"}) // a command
	})
}

func TestOwners(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		olive := w.signUp("olive@perse.example", "perse", false)
		bob := w.signUp("bob@bank.example", "bank", false)
		w.is("the last owner", w.Disown(w.ctx(), olive.ID, "perse"), ErrLast)
		w.is("no owner", w.Disown(w.ctx(), bob.ID, "perse"), ErrNotFound)
		_, err := w.Begin(w.ctx(), w.invite(Link{Email: bob.Email, Member: "perse"}), "Bob", goodPassword)
		w.is("an account that is there", err, ErrExists)
		l, err := w.Accept(w.ctx(), bob.Account, w.invite(Link{Email: bob.Email, Member: "perse"}))
		if err != nil || l.Member != "perse" {
			t.Errorf("accept: %+v %v", l, err)
		}
		if ms, _ := w.Members(w.ctx(), bob.ID); len(ms) != 2 {
			t.Errorf("bob owns %v", ms)
		}
		if os, _ := w.Owners(w.ctx(), "perse"); len(os) != 2 || os[0].Email != bob.Email {
			t.Errorf("owners %+v", os)
		}
		errs := make([]error, 2) // both at once: one is left
		var wg sync.WaitGroup
		for i, id := range []string{olive.ID, bob.ID} {
			wg.Go(func() { errs[i] = w.Disown(w.ctx(), id, "perse") })
		}
		wg.Wait()
		if (errs[0] == nil) == (errs[1] == nil) {
			t.Errorf("both owners removed one another: %v", errs)
		}
	})
}

func TestAdministrators(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ada := w.signUp("ada@directory.example", "", true)
		olive := w.signUp("olive@perse.example", "perse", false)
		for _, m := range []string{"perse", "bank"} {
			if ok, err := w.MayActFor(w.ctx(), ada.Account, m); !ok || err != nil {
				t.Errorf("an administrator may not act for %s: %v", m, err)
			}
		}
		w.is("the last administrator", w.Close(w.ctx(), ada.ID), ErrLast)
		if _, err := w.Account(w.ctx(), ada.ID); err != nil {
			t.Errorf("after a refused deletion: %v", err)
		}
		_, err := w.Accept(w.ctx(), olive.Account, w.invite(Link{Email: olive.Email, Administrator: true}))
		w.must(err)
		a, err := w.Account(w.ctx(), olive.ID)
		if err != nil || !a.Administrator || a.Epoch == olive.Epoch {
			t.Errorf("a new administrator keeps the old sessions: %+v %v", a, err)
		}
		w.must(w.Demote(w.ctx(), olive.ID))
		w.is("again", w.Demote(w.ctx(), olive.ID), ErrNotFound)
		w.is("the last one", w.Demote(w.ctx(), ada.ID), ErrLast)
		if b, err := w.Account(w.ctx(), olive.ID); err != nil || b.Administrator || b.Epoch == a.Epoch {
			t.Errorf("an administrator who is none any more keeps the sessions: %+v %v", b, err)
		}
		if ok, err := w.MayActFor(w.ctx(), ada.Account, "perse"); !ok || err != nil {
			t.Errorf("a refused demotion: %v %v", ok, err)
		}
		_, err = w.Accept(w.ctx(), olive.Account, w.invite(Link{Email: olive.Email, Administrator: true}))
		w.must(err)
		errs := make([]error, 2) // both at once: one is left
		var wg sync.WaitGroup
		wg.Go(func() { errs[0] = w.Demote(w.ctx(), olive.ID) })
		wg.Go(func() { errs[1] = w.Close(w.ctx(), ada.ID) })
		wg.Wait()
		if (errs[0] == nil) == (errs[1] == nil) {
			t.Fatalf("no administrator is left, or two: %v", errs)
		}
		if errs[0] == nil {
			_, err = w.Accept(w.ctx(), olive.Account, w.invite(Link{Email: olive.Email, Administrator: true}))
			w.must(err)
			w.must(w.Close(w.ctx(), ada.ID))
		}
		_, err = w.ByEmail(w.ctx(), ada.Email)
		w.is("closed", err, ErrNotFound)
		if as, err := w.Accounts(w.ctx(), "", "OLIVE"); err != nil || len(as) != 1 {
			t.Errorf("search: %v %v", as, err)
		}
		if as, err := w.Accounts(w.ctx(), "", "%"); err != nil || len(as) != 0 {
			t.Errorf("search for %%: %v %v", as, err)
		}
	})
}
