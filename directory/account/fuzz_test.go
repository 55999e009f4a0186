package account

import (
	"strings"
	"testing"
)

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
