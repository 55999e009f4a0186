package account

import (
	"context"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

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
		// Two that read the account at the same moment: the second statement counts.
		w.clock.Add(time.Minute)
		same, err := w.Account(w.ctx(), olive.ID)
		w.must(err)
		for i, want := range []bool{true, false} {
			tx, err := w.DB.BeginTx(w.ctx(), nil)
			w.must(err)
			ok, err := w.useCode(w.ctx(), tx, same, w.code(olive.secret))
			w.must(errors.Join(err, tx.Commit()))
			if ok != want {
				t.Errorf("reader %d of the same moment: %v", i, ok)
			}
		}
		older := w.code(olive.secret)
		w.clock.Add(time.Minute)
		_, _, err = w.SecondFactor(w.ctx(), olive.ID, Proof{Code: w.code(olive.secret)})
		w.must(err)
		_, _, err = w.SecondFactor(w.ctx(), olive.ID, Proof{Code: older})
		w.is("an older one", err, ErrWrong)
	})
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
		w.clock.Add(perAccount.every)
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
		asked := &asked{hasher: w.passwords}
		w.passwords = asked
		_, err := w.Password(w.ctx(), "nobody@perse.example", goodPassword, home)
		w.is("an address that nobody has", err, ErrWrong)
		if asked.times != 1 {
			t.Errorf("a password was looked at %d times", asked.times)
		}
		_, err = w.Password(w.ctx(), "olive@perse.example", goodPassword, home)
		w.must(err)
	})
}

// asked counts the passwords that are looked at.
type asked struct {
	hasher
	times int
}

func (a *asked) Check(ctx context.Context, stored, password string) (bool, error) {
	a.times++
	return a.hasher.Check(ctx, stored, password)
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
		w.clock.Add(time.Minute)
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
		raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(olive.secret)
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
