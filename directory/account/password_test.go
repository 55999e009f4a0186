package account

import (
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/identity/signin"
)

// The cost may rise: who signs in next has the password hashed anew.
func TestCostRises(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		olive := w.signUp("olive@perse.example", "perse", false)
		w.passwords = signin.NewPasswords(signin.Cost{Memory: 128, Time: 1, Threads: 1})
		_, err := w.Password(w.ctx(), olive.Email, goodPassword, home)
		w.must(err)
		a, err := w.Password(w.ctx(), olive.Email, goodPassword, home)
		w.must(err)
		if !strings.Contains(a.password, "m=128,") {
			t.Errorf("still %s", a.password)
		}
	})
}

func TestWeakPasswords(t *testing.T) {
	for _, p := range []string{"", "short", "elevenchars", "aaaaaaaaaaaaaaaa", "abababababababab", "password1234", "olive@perse.example", "olive-owner-1", "Passwordpassword1", "123456789012345", "qwertyuiop123", "administrator1", strings.Repeat("long password ", 100), "bad \xff bytes in it here"} {
		if err := checkPassword(p, "olive@perse.example", "Olive Owner"); err == nil {
			t.Errorf("%.40q is taken", p)
		}
	}
	for _, p := range []string{goodPassword, "Kj2-vq9Lm3xz", "vier Wörter sind gut", "пароль из слов", "correct🐎battery"} {
		if err := checkPassword(p, "olive@perse.example", "Olive Owner"); err != nil {
			t.Errorf("%q: %v", p, err)
		}
	}
}
