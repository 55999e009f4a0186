package account

import (
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/identity/identitytest"
	"github.com/perseus-edge/perseus-edge/identity/signin"
)

const origin = "https://directory.example.org"

func newPasskey(t *testing.T) *identitytest.Passkey {
	return identitytest.NewPasskey(t, "directory.example.org", origin)
}

// signUpWith goes from an invitation to an account whose second step is a passkey.
func (w *world) signUpWith(email, member string, k *identitytest.Passkey) Account {
	w.t.Helper()
	sealed, err := w.Begin(w.ctx(), w.invite(Link{Email: email, Member: member}), "Olive Owner", goodPassword)
	w.must(err)
	d, err := w.Draft(sealed)
	w.must(err)
	c, err := w.BeginPasskey(w.ctx(), d.ID, d.Email, d.Name)
	w.must(err)
	a, codes, err := w.Finish(w.ctx(), d, "  My \n telephone ", Proof{State: c.State, Answer: k.Create(c.Options)})
	w.must(err)
	if len(codes) != RecoveryCodes || a.HasApp() {
		w.t.Fatalf("account %+v with %d codes", a, len(codes))
	}
	return a
}

// show is the second step with a passkey; a failed one may be tried again at once.
func (w *world) show(a Account, state []byte, answer string) error {
	_, how, err := w.SecondFactor(w.ctx(), a.ID, Proof{State: state, Answer: answer})
	if err == nil && how != "passkey" {
		w.t.Errorf("signed in by %q", how)
	}
	w.clock.Add(perFactor.every)
	return err
}

// A passkey is the second step of its own account, on this website alone, and no
// copy of it that is behind.
func TestPasskeyIsTheSecondStep(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		k := newPasskey(t)
		olive := w.signUpWith("olive@perse.example", "perse", k)
		f, err := w.FactorsOf(w.ctx(), olive)
		w.must(err)
		if len(f.Passkeys) != 1 || f.Passkeys[0].Name != "My telephone" || !f.Passkeys[0].Created.Equal(w.clock.Now()) {
			t.Fatalf("%+v", f)
		}
		begin := func() signin.Ceremony {
			c, err := w.BeginSignIn(w.ctx(), olive)
			w.must(err)
			return c
		}
		c := begin()
		answer := k.Get(c.Options)
		w.must(w.show(olive, c.State, answer))
		w.is("an answer for the second time", w.show(olive, c.State, answer), ErrWrong)
		other := begin()
		w.is("the answer to another challenge", w.show(olive, other.State, k.Get(c.Options)), ErrWrong)
		for name, change := range map[string]func(*identitytest.Passkey){
			"from another website":  func(k *identitytest.Passkey) { k.Origin = "https://directory.evil.example" },
			"for another website":   func(k *identitytest.Passkey) { k.Host = "evil.example" },
			"with another key":      func(k *identitytest.Passkey) { k.Key = newPasskey(t).Key },
			"another passkey":       func(k *identitytest.Passkey) { k.ID = newPasskey(t).ID },
			"a copy that is behind": func(k *identitytest.Passkey) { k.Count = 0 },
			"of another account":    func(k *identitytest.Passkey) { k.Handle = []byte("nobody") },
			"without its press":     func(k *identitytest.Passkey) { k.Flags = 0 },
		} {
			copied := *k
			change(&copied)
			c := begin()
			w.is(name, w.show(olive, c.State, copied.Get(c.Options)), ErrWrong)
		}
		making, err := w.BeginPasskey(w.ctx(), olive.ID, olive.Email, olive.Name)
		w.must(err)
		for _, junk := range []string{"", "{}", "null", `{"id":"x"}`, strings.Repeat("[", 1000)} {
			c := begin()
			if junk != "" { // without an answer it is the code that counts
				w.is("answer "+junk[:min(len(junk), 10)], w.show(olive, c.State, junk), ErrWrong)
			}
			w.is("state "+junk[:min(len(junk), 10)], w.show(olive, []byte(junk), k.Get(c.Options)), ErrWrong)
			w.is("made of "+junk[:min(len(junk), 10)], w.AddPasskey(w.ctx(), olive, "", making.State, junk), ErrWrong)
			w.is("made at "+junk[:min(len(junk), 10)], w.AddPasskey(w.ctx(), olive, "", []byte(junk), newPasskey(t).Create(making.Options)), ErrWrong)
		}
		bob := w.signUpWith("bob@bank.example", "bank", newPasskey(t))
		c = begin()
		w.is("into another account", w.show(bob, c.State, k.Get(c.Options)), ErrWrong)
		// The password was the first step: the person need not be verified again.
		k.Flags = 1
		w.must(w.show(olive, c.State, k.Get(c.Options)))
		w.silent(goodPassword)
	})
}

// A passkey belongs to one account, and an account has ten at most.
func TestPasskeysAreCounted(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		k := newPasskey(t)
		olive := w.signUpWith("olive@perse.example", "perse", k)
		add := func(a Account, k *identitytest.Passkey) error {
			c, err := w.BeginPasskey(w.ctx(), a.ID, a.Email, a.Name)
			w.must(err)
			if k == nil {
				k = newPasskey(t)
			} else if excluded := strings.Contains(c.Options, `"excludeCredentials"`); !excluded {
				t.Error("the browser is not told which passkeys there are")
			}
			return w.AddPasskey(w.ctx(), a, "another", c.State, k.Create(c.Options))
		}
		bob := w.signUpWith("bob@bank.example", "bank", newPasskey(t))
		w.is("another's", add(bob, k), ErrInvalid)
		w.is("one's own again", add(olive, k), ErrInvalid)
		for range passkeysEach - 1 {
			w.must(add(olive, nil))
		}
		w.is("one too many", add(olive, nil), ErrInvalid)
		if now, err := w.Account(w.ctx(), olive.ID); err != nil || now.Epoch != olive.Epoch+passkeysEach-1 {
			t.Errorf("epoch %d, want that each passkey ends the other sessions: %v", now.Epoch, err)
		}
		f, err := w.FactorsOf(w.ctx(), olive)
		w.must(err)
		for i, p := range f.Passkeys {
			if err := w.RemovePasskey(w.ctx(), olive, p.ID); i < passkeysEach-1 {
				w.must(err)
			} else {
				w.is("the last", err, ErrLast)
			}
		}
		w.is("another's", w.RemovePasskey(w.ctx(), bob, f.Passkeys[passkeysEach-1].ID), ErrNotFound)
	})
}

// Where an address can have no passkeys nothing begins, and nothing is taken.
func TestNoPasskeys(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		k := newPasskey(t)
		olive := w.signUpWith("olive@perse.example", "perse", k)
		making, err := w.BeginPasskey(w.ctx(), olive.ID, olive.Email, olive.Name)
		w.must(err)
		c, err := w.BeginSignIn(w.ctx(), olive)
		w.must(err)
		w.Service.passkeys = nil
		_, err = w.BeginPasskey(w.ctx(), olive.ID, olive.Email, olive.Name)
		w.is("begun", err, ErrInvalid)
		w.is("made", w.AddPasskey(w.ctx(), olive, "", making.State, newPasskey(t).Create(making.Options)), ErrWrong)
		w.is("shown", w.show(olive, c.State, k.Get(c.Options)), ErrWrong)
		if none, err := w.BeginSignIn(w.ctx(), olive); err != nil || none.Options != "" || w.HasPasskeys() {
			t.Errorf("%+v, %v", none, err)
		}
	})
}
