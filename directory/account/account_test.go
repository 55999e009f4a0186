package account

import (
	"encoding/base64"
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
		if l.Email != "olive@perse.example" || l.Member != "perse" || l.Kind != Invite || !l.Expires.Equal(w.clock.now().Add(InviteLife)) {
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

		w.clock.add(time.Minute)
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
		w.clock.add(InviteLife - time.Second)
		_, err := w.Link(w.ctx(), late)
		w.must(err)
		w.clock.add(time.Second)
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

// A code of the app is good once, on whichever process, and no older one after it.
func TestCodesAreNotReplayed(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		olive := w.signUp("olive@perse.example", "perse", false)
		code := w.code(olive.secret)
		const n = 4
		errs := make([]error, n)
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() { _, _, errs[i] = w.SecondFactor(w.ctx(), olive.ID, Proof{Code: code}) })
		}
		wg.Wait()
		good := 0
		for _, err := range errs {
			if err == nil {
				good++
			} else {
				w.is("replayed", err, ErrWrong)
			}
		}
		if good != 1 {
			t.Errorf("a code was good %d times", good)
		}
		older := w.code(olive.secret)
		w.clock.add(time.Minute)
		_, _, err := w.SecondFactor(w.ctx(), olive.ID, Proof{Code: w.code(olive.secret)})
		w.must(err)
		_, _, err = w.SecondFactor(w.ctx(), olive.ID, Proof{Code: older})
		w.is("an older one", err, ErrWrong)
	})
}

func TestCodeSteps(t *testing.T) {
	w := &world{t: t, clock: &clock{t: time.Unix(1_800_000_000, 0)}}
	secret := "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
	at := w.clock.now().Unix() / totpPeriod
	for d := int64(-3); d <= 3; d++ {
		other := &world{t: t, clock: &clock{t: time.Unix((at+d)*totpPeriod, 0)}}
		code := other.code(secret)
		want := int64(0)
		if d >= -1 && d <= 1 {
			want = at + d
		}
		if got := codeStep(secret, code[:3]+" "+code[3:], w.clock.now(), 0); got != want {
			t.Errorf("step %+d: %d, want %d", d, got, want)
		}
		if got := codeStep(secret, code, w.clock.now(), at+1); got != 0 {
			t.Errorf("step %+d after the last: %d", d, got)
		}
	}
	for _, bad := range []string{"", "1", "12345", "1234567", "abcdef", "\x00", strings.Repeat("1", 1000)} {
		if got := codeStep(secret, bad, w.clock.now(), 0); got != 0 {
			t.Errorf("%q is good for %d", bad, got)
		}
	}
}

func TestRecoveryCodesAreUsedOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		olive := w.signUp("olive@perse.example", "perse", false)
		bob := w.signUp("bob@bank.example", "bank", false)
		_, _, err := w.SecondFactor(w.ctx(), bob.ID, Proof{Code: olive.codes[0]})
		w.is("another's code", err, ErrWrong)
		const n = 4
		errs := make([]error, n)
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				_, _, errs[i] = w.SecondFactor(w.ctx(), olive.ID, Proof{Code: strings.ReplaceAll(olive.codes[0], "-", " ")})
			})
		}
		wg.Wait()
		good := 0
		for _, err := range errs {
			if err == nil {
				good++
			}
		}
		if good != 1 {
			t.Errorf("a recovery code was good %d times: %v", good, errs)
		}
		if f, err := w.FactorsOf(w.ctx(), olive.Account); err != nil || f.Codes != RecoveryCodes-1 || !f.App {
			t.Errorf("factors %+v %v", f, err)
		}
		fresh, err := w.NewRecoveryCodes(w.ctx(), olive.Account)
		w.must(err)
		_, _, err = w.SecondFactor(w.ctx(), olive.ID, Proof{Code: olive.codes[1]})
		w.is("one of the old ones", err, ErrWrong)
		_, _, err = w.SecondFactor(w.ctx(), olive.ID, Proof{Code: fresh[1]})
		w.must(err)
		w.silent(append(olive.codes, fresh...)...)
	})
}

// Guesses are counted for all processes together, for known and unknown
// addresses alike, and a right password gives them back.
func TestBruteForce(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		olive := w.signUp("olive@perse.example", "perse", false)
		for round, email := range []string{"olive@perse.example", "nobody@perse.example"} {
			for i := range perAccount.burst {
				from := netip.AddrFrom4([4]byte{198, 51, byte(round), byte(i)}) // from everywhere
				_, err := w.Password(w.ctx(), email, "wrong password", from)
				w.is("a guess", err, ErrWrong)
			}
			_, err := w.Password(w.ctx(), strings.ToUpper(email), goodPassword, netip.MustParseAddr("203.0.113.9"))
			if wait := w.tooMany("too many", err); wait <= 0 || wait > perAccount.every {
				t.Errorf("%s: wait %v", email, wait)
			}
		}
		w.clock.add(perAccount.every)
		_, err := w.Password(w.ctx(), olive.Email, goodPassword, home)
		w.must(err)
		_, err = w.Password(w.ctx(), olive.Email, goodPassword, home) // given back
		w.must(err)

		for i := range perAddress.burst { // one address, many accounts
			_, err := w.Password(w.ctx(), fmt.Sprintf("u%d@perse.example", i), "wrong password", netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", i+1)))
			w.is("a guess", err, ErrWrong)
		}
		_, err = w.Password(w.ctx(), olive.Email, goodPassword, netip.MustParseAddr("2001:db8::ffff"))
		w.tooMany("the same /64", err)
		_, err = w.Password(w.ctx(), olive.Email, goodPassword, netip.MustParseAddr("2001:db8:0:1::1"))
		w.must(err)

		for range perFactor.burst {
			_, _, err := w.SecondFactor(w.ctx(), olive.ID, Proof{Code: "000000"})
			w.is("a guess at the code", err, ErrWrong)
		}
		_, _, err = w.SecondFactor(w.ctx(), olive.ID, Proof{Code: w.code(olive.secret)})
		w.tooMany("codes", err)
	})
}

// Of an unknown address as much is worked on as of a known one: a password is
// checked, against one that nobody has.
func TestUnknownAddressesCostTheSame(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.signUp("olive@perse.example", "perse", false)
		w.decoy = "not of the form of a password"
		_, err := w.Password(w.ctx(), "nobody@perse.example", goodPassword, home)
		if err == nil || err == ErrWrong {
			t.Errorf("the decoy was not looked at: %v", err)
		}
		_, err = w.Password(w.ctx(), "olive@perse.example", goodPassword, home)
		w.must(err)
	})
}

func TestManyGuessesAtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		olive := w.signUp("olive@perse.example", "perse", false)
		const n = 12
		errs := make([]error, n)
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() { _, _, errs[i] = w.SecondFactor(w.ctx(), olive.ID, Proof{Code: "000000"}) })
		}
		wg.Wait()
		wrong := 0
		for _, err := range errs {
			if err == ErrWrong {
				wrong++
			}
		}
		if wrong != perFactor.burst {
			t.Errorf("%d of %d guesses were looked at, want %d: %v", wrong, n, perFactor.burst, errs)
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
		w.clock.add(time.Minute)
		_, _, err = w.SecondFactor(w.ctx(), olive.ID, Proof{Code: w.code(olive.secret)})
		w.is("the lost app", err, ErrWrong)
		_, _, err = w.SecondFactor(w.ctx(), olive.ID, Proof{Code: olive.codes[0]})
		w.is("the lost codes", err, ErrWrong)
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

func TestFactorsStay(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		olive := w.signUp("olive@perse.example", "perse", false)
		w.is("the only factor", w.RemoveApp(w.ctx(), olive.Account), ErrLast)
		app, err := w.NewApp(olive.Email)
		w.must(err)
		if !strings.HasPrefix(app.URL, "otpauth://totp/Example:olive@perse.example?") || !strings.Contains(app.URL, app.Secret) {
			t.Errorf("app %+v", app)
		}
		w.is("another app, wrong code", w.SetApp(w.ctx(), olive.Account, app.Secret, "000000"), ErrWrong)
		w.must(w.SetApp(w.ctx(), olive.Account, app.Secret, w.code(app.Secret)))
		_, _, err = w.SecondFactor(w.ctx(), olive.ID, Proof{Code: w.code(app.Secret)})
		w.is("the code that set it up, again", err, ErrWrong)
		w.clock.add(time.Minute)
		_, _, err = w.SecondFactor(w.ctx(), olive.ID, Proof{Code: w.code(olive.secret)})
		w.is("the earlier app", err, ErrWrong)
		_, _, err = w.SecondFactor(w.ctx(), olive.ID, Proof{Code: w.code(app.Secret)})
		w.must(err)
	})
}

// A sealed secret that was moved to another account's row does not open there.
func TestSecretsAreSealed(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		olive := w.signUp("olive@perse.example", "perse", false)
		bob := w.signUp("bob@bank.example", "bank", false)
		raw, err := b32.DecodeString(olive.secret)
		w.must(err)
		for _, s := range []string{olive.secret, string(raw), base64.StdEncoding.EncodeToString(raw)} {
			if strings.Contains(string(olive.totp), s) {
				t.Error("the app's secret is in the database")
			}
		}
		_, err = w.DB.ExecContext(w.ctx(), `UPDATE directory_accounts SET totp = $1 WHERE id = $2`, olive.totp, bob.ID)
		w.must(err)
		_, _, err = w.SecondFactor(w.ctx(), bob.ID, Proof{Code: w.code(olive.secret)})
		if err == nil {
			t.Error("another's secret opens")
		}
	})
}
