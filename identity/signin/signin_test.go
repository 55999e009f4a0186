package signin

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	_ "github.com/perseus-edge/perseus-edge/internal/secrets/record" // what is drawn here is no line of any log
)

var cheap = Cost{Memory: 64, Time: 1, Threads: 1}

func TestPasswords(t *testing.T) {
	p := NewPasswords(cheap)
	ctx := t.Context()
	a, err := p.Hash(ctx, "correct horse battery")
	if err != nil || !strings.HasPrefix(a, "$argon2id$v=19$m=64,t=1,p=1$") {
		t.Fatalf("%q, %v", a, err)
	}
	b, err := p.Hash(ctx, "correct horse battery")
	if err != nil || a == b {
		t.Error("the same password, the same hash: there is no salt")
	}
	for _, c := range []struct {
		stored, password string
		want             bool
	}{
		{a, "correct horse battery", true}, {b, "correct horse battery", true}, {a, "correct horse batterx", false}, {a, "", false}, {"", "", false},
		{"", "correct horse battery", false}, {a, strings.Repeat("x", PasswordMost+1), false},
	} {
		if got, err := p.Check(ctx, c.stored, c.password); got != c.want || err != nil {
			t.Errorf("%q with %q: %v, %v", c.password, c.stored, got, err)
		}
	}
	accented, err := p.Hash(ctx, "caf\u00e9 caf\u00e9 caf\u00e9")
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := p.Check(ctx, accented, "cafe\u0301 cafe\u0301 cafe\u0301"); !ok || err != nil {
		t.Error("the same letters from another keyboard are another password")
	}
	if ok, err := NewPasswords(Cost{}).Check(ctx, a, "correct horse battery"); !ok || err != nil {
		t.Error("a hash of another cost")
	}
	over, cancel := context.WithCancel(ctx)
	cancel()
	for range cap(p.slots) {
		p.slots <- struct{}{}
	}
	if _, err := p.Hash(over, "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("waits for a place although nobody waits for it: %v", err)
	}
}

// Of nobody's password as much is worked on as of somebody's: a decoy is checked.
func TestNobodysPasswordCostsAsMuch(t *testing.T) {
	p := NewPasswords(cheap)
	p.decoy = "not of the form of a password"
	if ok, err := p.Check(t.Context(), "", "correct horse battery"); ok || err == nil {
		t.Errorf("the decoy was not looked at: %v, %v", ok, err)
	}
}

func TestStale(t *testing.T) {
	p := NewPasswords(cheap)
	stored, err := p.Hash(t.Context(), "correct horse battery")
	if err != nil || p.Stale(stored) || !NewPasswords(Cost{Memory: 64, Time: 2, Threads: 1}).Stale(stored) || !p.Stale("x") {
		t.Errorf("%q, %v", stored, err)
	}
}

// A vector of the reference implementation (phc-winner-argon2, test.c): our
// reading of a PHC string and our call agree with it.
func TestPasswordVector(t *testing.T) {
	const phc = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"
	if ok, err := NewPasswords(cheap).Check(t.Context(), phc, "password"); !ok || err != nil {
		t.Errorf("%v, %v", ok, err)
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

func TestWeak(t *testing.T) {
	for password, want := range map[string]bool{
		"short": true, "elevenchars": true, "password1234": true, "aaaaaaaaaaaaaaaa": true, "123456789012": true, "qwertyuiop123456": true, "4821 9027 3316": false,
		"482190273316": true, "482190273316x": true, "correct horse battery": false, "tri gair hollol": false, "\xff\xfe valid it is not": true, strings.Repeat("ab3d!", 300): true,
	} {
		if got := Weak(password, "482190273316"); got != want {
			t.Errorf("%q: weak %v", password, got)
		}
	}
}

// The vectors of RFC 6238, appendix B, as six digits (SHA-1).
func TestAppStep(t *testing.T) {
	const secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
	for at, code := range map[int64]string{59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130"} {
		now := time.Unix(at, 0)
		step := AppStep(secret, code, now, 0)
		if step != at/30 {
			t.Errorf("at %d the code %s is of step %d", at, code, step)
		}
		if AppStep(secret, code[:3]+" "+code[3:], now.Add(30*time.Second), 0) != step || AppStep(secret, code, now.Add(90*time.Second), 0) != 0 {
			t.Errorf("%s: not good for a step more, or good for three", code)
		}
		if AppStep(secret, code, now, step) != 0 {
			t.Errorf("%s: good a second time", code)
		}
	}
	for _, bad := range []string{"", "28708", "2870821", "x287082", "١٢٣٤٥٦"} {
		if AppStep(secret, bad, time.Unix(59, 0), 0) != 0 {
			t.Errorf("%q is good", bad)
		}
	}
}

func TestApp(t *testing.T) {
	a, err := AppOf("Perseus Relay Ltd", "4821 9027 3316", "")
	if err != nil || len(a.Secret) != 32 || !strings.HasPrefix(a.URL, "otpauth://totp/Perseus%20Relay%20Ltd:4821%209027%203316?") {
		t.Fatalf("%+v, %v", a, err)
	}
	if again, err := AppOf("Perseus Relay Ltd", "4821 9027 3316", a.Secret); err != nil || again != a {
		t.Errorf("shown again it is %+v, %v", again, err)
	}
	if b, _ := AppOf("Perseus Relay Ltd", "4821 9027 3316", ""); b.Secret == a.Secret {
		t.Error("two secrets are one")
	}
	if _, err := AppOf("x", "y", "not base32!"); err == nil {
		t.Error("a secret that is none")
	}
	if k := a.Key(); strings.ReplaceAll(k, " ", "") != a.Secret || len(strings.Fields(k)) != 8 {
		t.Errorf("typed as %q", k)
	}
	svg, err := a.QR(`"><script>`)
	if err != nil || !strings.HasPrefix(string(svg), "<svg ") || strings.Contains(string(svg), "<script>") || strings.Contains(string(svg), a.Secret) {
		t.Errorf("%.200s, %v", svg, err)
	}
}

func FuzzPHC(f *testing.F) {
	good, err := NewPasswords(cheap).Hash(f.Context(), "x")
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{good, "", "$argon2id$v=19$m=1,t=1,p=1$$", "$argon2id$v=19$m=99999999999,t=1,p=1$AAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAA", "$argon2i$v=19$m=1,t=1,p=1$a$b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, salt, key, err := parsePHC(s)
		if err != nil {
			return
		}
		if c.Memory > 4<<20 || c.Time < 1 || c.Time > 100 || c.Threads < 1 || len(salt) < 8 || len(key) < 16 {
			t.Errorf("%q: %+v", s, c)
		}
		if got, _, _, err := parsePHC(phc(c, salt, key)); err != nil || got != c {
			t.Errorf("%q, written again: %+v, %v", s, got, err)
		}
	})
}

func FuzzAppStep(f *testing.F) {
	f.Add("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", "287082", int64(59))
	f.Add("!", "1 2-3", int64(-1))
	f.Fuzz(func(t *testing.T, secret, code string, at int64) {
		if step := AppStep(secret, code, time.Unix(at, 0), 0); step != 0 && (step < at/appPeriod-appSkew-1 || step > at/appPeriod+appSkew+1) {
			t.Errorf("step %d at %d", step, at)
		}
	})
}
