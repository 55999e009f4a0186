package energy

import "fmt"

// mpanWeights are the primes of the MPAN check digit (feeds.md 2.7).
var mpanWeights = [12]int{3, 5, 7, 13, 17, 19, 23, 29, 31, 37, 41, 43}

// CheckMPAN reports what is wrong with an MPAN core: 13 digits, of which the
// last is a check digit. nil means that it is sound, not that it exists.
func CheckMPAN(s string) error {
	if len(s) != 13 {
		return fmt.Errorf("MPAN %q has %d characters: an MPAN core is 13 digits (the bottom line of the supply number on the bill)", s, len(s))
	}
	sum := 0
	for i := range len(s) {
		d := int(s[i] - '0')
		if d < 0 || d > 9 {
			return fmt.Errorf("MPAN %q: %q is not a digit", s, s[i])
		}
		if i < len(mpanWeights) {
			sum += d * mpanWeights[i]
		}
	}
	if want := sum % 11 % 10; int(s[12]-'0') != want {
		return fmt.Errorf("MPAN %q: the check digit is %c and should be %d: a digit is mistyped", s, s[12], want)
	}
	return nil
}
