package account

import (
	"regexp"
	"strings"
	"testing"

	"golang.org/x/crypto/argon2"
)

func TestPasswordForm(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		phc, err := w.hashPassword(w.ctx(), goodPassword)
		w.must(err)
		if !regexp.MustCompile(`^\$argon2id\$v=19\$m=64,t=1,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$`).MatchString(phc) {
			t.Errorf("PHC string %s", phc)
		}
		other, err := w.hashPassword(w.ctx(), goodPassword)
		if err != nil || other == phc {
			t.Errorf("two hashes are the same: %v", err)
		}
		for password, want := range map[string]bool{goodPassword: true, goodPassword + " ": false, "": false, strings.Repeat("x", PasswordMost+1): false} {
			if ok, stale, err := w.isPassword(w.ctx(), phc, password); ok != want || stale || err != nil {
				t.Errorf("%.30q: %v %v %v", password, ok, stale, err)
			}
		}
		// The same letters from another keyboard: e and accent apart.
		phc, err = w.hashPassword(w.ctx(), "caf\u00e9 au lait s'il")
		w.must(err)
		if ok, _, _ := w.isPassword(w.ctx(), phc, "cafe\u0301 au lait s'il"); !ok {
			t.Error("a decomposed accent is another password")
		}
	})
}

// A vector of the reference implementation (phc-winner-argon2, test.c): our
// reading of a PHC string and our call agree with it.
func TestPasswordVector(t *testing.T) {
	const phc = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"
	c, salt, key, err := parsePHC(phc)
	if err != nil || string(salt) != "somesalt" {
		t.Fatal(err, string(salt))
	}
	if got := argon2.IDKey([]byte("password"), salt, c.Time, c.Memory, c.Threads, uint32(len(key))); string(got) != string(key) {
		t.Errorf("%x, want %x", got, key)
	}
}

func TestBadPHC(t *testing.T) {
	for _, s := range []string{"", "x", "$argon2i$v=19$m=64,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAA", "$argon2id$v=18$m=64,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=64,t=0,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "$argon2id$v=19$m=99999999,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=64,t=1,p=1 $AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "$argon2id$v=19$m=64,t=1,p=1$AAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"} {
		if _, _, _, err := parsePHC(s); err == nil {
			t.Errorf("%q is taken", s)
		}
	}
}

// The cost may rise: who signs in next has the password hashed anew.
func TestCostRises(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		olive := w.signUp("olive@perse.example", "perse", false)
		w.Cost = Cost{Memory: 128, Time: 1, Threads: 1}
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
