package account

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/directory/audit"
)

func TestSignUpAndIn(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		secret := w.invite(Link{Email: " Olive@Perse.Example ", Member: "perse"})
		l, err := w.Link(w.ctx(), secret)
		w.must(err)
		if l.Email != "olive@perse.example" || l.Member != "perse" || l.Kind != Invite || !l.Expires.Equal(w.clock.Now().Add(InviteLife)) {
			t.Errorf("link %+v", l)
		}
		olive := w.finish(secret, " Olive  ")
		if olive.Email != "olive@perse.example" || olive.Name != "Olive" || olive.Administrator {
			t.Errorf("account %+v", olive.Account)
		}
		if ms, err := w.Members(w.ctx(), olive.ID); err != nil || len(ms) != 1 || ms[0] != "perse" {
			t.Errorf("members %v %v", ms, err)
		}
		for member, want := range map[string]bool{"perse": true, "bank": false, "none": false, "": false} {
			if ok, err := w.MayActFor(w.ctx(), olive.Account, member); err != nil || ok != want {
				t.Errorf("may act for %q: %v %v", member, ok, err)
			}
		}

		// The invitation is used up.
		_, err = w.Link(w.ctx(), secret)
		w.is("the link again", err, ErrLink)
		_, err = w.Begin(w.ctx(), secret, "Mallory", goodPassword)
		w.is("sign-up again", err, ErrLink)

		w.clock.Add(time.Minute)
		a, err := w.Password(w.ctx(), "OLIVE@perse.example", goodPassword, home)
		w.must(err)
		_, how, err := w.SecondFactor(w.ctx(), a.ID, Proof{Code: w.code(olive.secret)})
		if err != nil || how != "app" {
			t.Errorf("second factor: %q %v", how, err)
		}
		_, how, err = w.SecondFactor(w.ctx(), a.ID, Proof{Code: strings.ToUpper(olive.codes[3])})
		if err != nil || how != "recovery code" {
			t.Errorf("recovery code: %q %v", how, err)
		}
		var did []string
		for _, e := range w.entries("") {
			did = append(did, e.Actor+" "+e.Action)
		}
		want := "test:test account.invite|person:olive@perse.example account.add|test:test account.sign-in|test:test account.sign-in"
		if got := strings.Join(did, "|"); got != want {
			t.Errorf("audit log %s, want %s", got, want)
		}
		_, err = audit.Verify(w.ctx(), w.DB)
		w.must(err)
		w.silent(append(olive.codes, secret, olive.secret, goodPassword)...)
	})
}

// No account without a second factor: what was begun and not finished leaves
// nothing, and the invitation stays good.
func TestHalfASignUp(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		secret := w.invite(Link{Email: "olive@perse.example", Member: "perse"})
		sealed, err := w.Begin(w.ctx(), secret, "Olive", goodPassword)
		w.must(err)
		if strings.Contains(string(sealed), "olive") {
			t.Error("the draft is not sealed")
		}
		d, err := w.Draft(sealed)
		w.must(err)
		_, _, err = w.Finish(w.ctx(), d, "", Proof{Code: "000000"})
		w.is("a wrong code", err, ErrWrong)
		_, _, err = w.Finish(w.ctx(), d, "", Proof{})
		w.is("no code", err, ErrWrong)
		_, err = w.Password(w.ctx(), "olive@perse.example", goodPassword, home)
		w.is("signing in before the end", err, ErrWrong)
		sealed[len(sealed)-1] ^= 1
		if _, err := w.Draft(sealed); err == nil {
			t.Error("an altered draft opens")
		}
		w.finish(secret, "Olive")
	})
}

func TestLinksEnd(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		late := w.invite(Link{Email: "a@perse.example", Member: "perse"})
		w.clock.Add(InviteLife - time.Second)
		_, err := w.Link(w.ctx(), late)
		w.must(err)
		w.clock.Add(time.Second)
		_, err = w.Link(w.ctx(), late)
		w.is("after its time", err, ErrLink)

		taken := w.invite(Link{Email: "a@perse.example", Member: "perse"})
		ls, err := w.Invitations(w.ctx(), "perse")
		w.must(err)
		if len(ls) != 1 || ls[0].Email != "a@perse.example" {
			t.Fatalf("invitations %+v", ls)
		}
		for _, id := range []string{"", "%", "0000000000000000", ls[0].ID[:15], strings.ToUpper(ls[0].ID) + "x"} {
			w.is("taking back "+id, w.Withdraw(w.ctx(), "perse", id), ErrNotFound)
		}
		w.is("taking back another member's", w.Withdraw(w.ctx(), "bank", ls[0].ID), ErrNotFound)
		w.must(w.Withdraw(w.ctx(), "perse", ls[0].ID))
		_, err = w.Link(w.ctx(), taken)
		w.is("taken back", err, ErrLink)
		for _, l := range []Link{{Email: "x", Member: "perse"}, {Email: "a@b.example"}, {Email: "Olive <a@b.example>", Member: "perse"}} {
			_, err := w.Invite(w.ctx(), l)
			w.is(fmt.Sprintf("%+v", l), err, ErrInvalid)
		}
		_, err = w.Invite(w.ctx(), Link{Email: "a@b.example", Member: "none"})
		w.is("to no member", err, ErrNotFound)
	})
}

// One invitation, many at once: one account.
func TestInvitationIsUsedOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		secret := w.invite(Link{Email: "olive@perse.example", Member: "perse"})
		olive := w.signUp("someone@bank.example", "bank", false)
		const n = 4
		var drafts []Draft
		for range n {
			sealed, err := w.Begin(w.ctx(), secret, "Olive", goodPassword)
			w.must(err)
			d, err := w.Draft(sealed)
			w.must(err)
			drafts = append(drafts, d)
		}
		errs := make([]error, n+1)
		var wg sync.WaitGroup
		for i, d := range drafts {
			code := w.code(d.App)
			wg.Go(func() { _, _, errs[i] = w.Finish(w.ctx(), d, "", Proof{Code: code}) })
		}
		wg.Go(func() { _, errs[n] = w.Accept(w.ctx(), olive.Account, secret) })
		wg.Wait()
		good := 0
		for _, err := range errs {
			if err == nil {
				good++
			} else {
				w.is("one of many", err, ErrLink)
			}
		}
		if good != 1 {
			t.Errorf("%d of %d got in: %v", good, n+1, errs)
		}
	})
}

// Links for the password and for all: what each changes, and what not.
func TestRecovery(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		olive := w.signUp("olive@perse.example", "perse", false)
		const next = "another four words here"
		secret, a, ok, err := w.Forgotten(w.ctx(), "Olive@perse.example", home)
		if err != nil || !ok || a.ID != olive.ID {
			t.Fatalf("forgotten: %v %v", ok, err)
		}
		_, _, ok, err = w.Forgotten(w.ctx(), "nobody@perse.example", home)
		if ok || err != nil {
			t.Errorf("an unknown address: %v %v", ok, err)
		}
		_, err = w.Begin(w.ctx(), secret, "Mallory", next)
		w.is("a password link to sign up", err, ErrLink)
		_, err = w.Accept(w.ctx(), olive.Account, secret)
		w.is("a password link as an invitation", err, ErrLink)
		w.is("a weak one", w.ResetPassword(w.ctx(), secret, "short"), ErrInvalid)
		w.must(w.ResetPassword(w.ctx(), secret, next))
		w.is("again", w.ResetPassword(w.ctx(), secret, next+"!"), ErrLink)
		_, err = w.Password(w.ctx(), olive.Email, goodPassword, home)
		w.is("the old password", err, ErrWrong)
		a, err = w.Password(w.ctx(), olive.Email, next, home)
		w.must(err)
		if es := w.entries("account.password"); len(es) != 1 || es[0].Actor != "person:olive@perse.example" {
			t.Errorf("audit log %+v", es)
		}
		_, err = w.DB.Exec(`INSERT INTO directory_passkeys (id, account, name, credential, created_at) VALUES ('lost', $1, 'lost', '{}', 0)`, olive.ID)
		w.must(err)
		if !a.HasApp() || a.Epoch <= olive.Epoch {
			t.Errorf("second factor %v, epoch %d after %d", a.HasApp(), a.Epoch, olive.Epoch)
		}

		first, err := w.RestoreLink(w.ctx(), a, "")
		w.must(err)
		secret, err = w.RestoreLink(w.ctx(), a, "")
		w.must(err)
		_, err = w.Link(w.ctx(), first)
		w.is("the earlier link", err, ErrLink)
		w.is("a restoring link for the password alone", w.ResetPassword(w.ctx(), secret, next), ErrLink)
		again := w.finish(secret, "ignored")
		if again.ID != olive.ID || again.Name != olive.Name || again.secret == olive.secret {
			t.Errorf("restored %+v", again.Account)
		}
		w.clock.Add(time.Minute)
		_, _, err = w.SecondFactor(w.ctx(), olive.ID, Proof{Code: w.code(olive.secret)})
		w.is("the lost app", err, ErrWrong)
		_, _, err = w.SecondFactor(w.ctx(), olive.ID, Proof{Code: olive.codes[0]})
		w.is("the lost codes", err, ErrWrong)
		if f, err := w.FactorsOf(w.ctx(), again.Account); err != nil || len(f.Passkeys) != 0 {
			t.Errorf("the lost passkey: %+v %v", f, err)
		}
		_, _, err = w.SecondFactor(w.ctx(), olive.ID, Proof{Code: w.code(again.secret)})
		w.must(err)
		if ok, err := w.MayActFor(w.ctx(), again.Account, "perse"); !ok || err != nil {
			t.Errorf("ownership after restoring: %v %v", ok, err)
		}
		w.silent(secret, first, next)
	})
}

// Mails are few to one person, whoever asks for them.
func TestMailsAreFew(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		olive := w.signUp("olive@perse.example", "perse", false)
		sent := 0
		for i := range 2 * perMail.burst {
			_, _, ok, err := w.Forgotten(w.ctx(), olive.Email, netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}))
			w.must(err)
			if ok {
				sent++
			}
		}
		if sent != perMail.burst {
			t.Errorf("%d links, want %d", sent, perMail.burst)
		}
		for range perMailAddress.burst {
			_, _, _, err := w.Forgotten(w.ctx(), "nobody@perse.example", home)
			w.must(err)
		}
		_, _, _, err := w.Forgotten(w.ctx(), "nobody@perse.example", home)
		w.tooMany("one client", err)
	})
}
