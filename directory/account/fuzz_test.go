package account

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// What is read of a stored password is what would be written again.
func FuzzPHC(f *testing.F) {
	f.Add("$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHRzb21lc2FsdA$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4")
	f.Add("$argon2id$v=19$m=64,t=1,p=1$$")
	f.Add("$$$$$")
	f.Fuzz(func(t *testing.T, phc string) {
		c, salt, key, err := parsePHC(phc)
		if err != nil {
			return
		}
		if c.Time < 1 || c.Threads < 1 || len(salt) < 8 || len(key) < 16 {
			t.Errorf("%q: cost %+v, salt of %d, key of %d bytes", phc, c, len(salt), len(key))
		}
		if want := fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$", c.Memory, c.Time, c.Threads); !strings.HasPrefix(phc, want) {
			t.Errorf("%q does not begin with %q", phc, want)
		}
	})
}

// An address that is taken is one line, in one form, without anything that a
// mail's header would end with.
func FuzzEmail(f *testing.F) {
	f.Add("Olive@Perse.Example")
	f.Add(`"a b"@c.example`)
	f.Add("a@b.example\r\nBcc: c@d.example")
	f.Fuzz(func(t *testing.T, raw string) {
		e, err := CheckEmail(raw)
		if err != nil {
			return
		}
		if strings.ContainsAny(e, " \r\n\t<>,") && !strings.HasPrefix(e, `"`) || !strings.Contains(e, "@") || e != strings.ToLower(e) {
			t.Errorf("%q is taken as %q", raw, e)
		}
		if again, err := CheckEmail(e); err != nil || again != e {
			t.Errorf("%q, and again %q %v", e, again, err)
		}
	})
}

// Whatever is typed as a code, it is good for a step near now or for none.
func FuzzCode(f *testing.F) {
	f.Add("123456", int64(0))
	f.Add("000 000", int64(1<<40))
	now := time.Unix(1_800_000_000, 0)
	f.Fuzz(func(t *testing.T, code string, after int64) {
		at := now.Unix() / totpPeriod
		if step := codeStep("JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", code, now, after); step != 0 && (step <= after || step < at-totpSkew || step > at+totpSkew) {
			t.Errorf("%q is good for step %d after %d", code, step, after)
		}
	})
}
