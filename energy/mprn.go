package energy

import "fmt"

// CheckMPRN reports what is wrong with a gas meter point reference number: 6
// to 11 digits, of which the last two are check digits, namely the sum of the
// others, each times its place counted from the right (1 for the last of
// them), modulo 11 (feeds.md 2.7). nil means that it is sound, not that it
// exists.
func CheckMPRN(s string) error {
	if len(s) < 6 || len(s) > 11 {
		return fmt.Errorf("MPRN %q has %d characters: an MPRN is 6 to 11 digits, most often 10 (the M number on the gas bill)", s, len(s))
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return fmt.Errorf("MPRN %q: %q is not a digit", s, s[i])
		}
	}
	body, check := s[:len(s)-2], s[len(s)-2:]
	sum := 0
	for i := range len(body) {
		sum += int(body[i]-'0') * (len(body) - i)
	}
	if want := fmt.Sprintf("%02d", sum%11); check != want {
		return fmt.Errorf("MPRN %q: the last two digits are %s and should be %s: a digit is mistyped", s, check, want)
	}
	return nil
}
