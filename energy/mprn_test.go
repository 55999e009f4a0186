package energy

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestCheckMPRN(t *testing.T) {
	for _, c := range []struct {
		mprn, wrong string // part of the error; "" where the number is sound
	}{
		{"3938424403", ""}, // 3*8+9*7+3*6+8*5+4*4+2*3+4*2+4*1 = 179 = 16*11 + 3 (feeds.md 2.7)
		{"123409", ""},     // 4+6+6+4 = 20 = 11 + 9
		{"200008", ""},     // the shortest
		{"12345678900", ""},
		{"000110", "should be 01"}, // 1*1
		{"010710", ""},             // 0*4+1*3+0*2+7*1 = 10: the only remainder of two digits
		{"3938424404", "last two digits are 04 and should be 03"},
		{"3938424430", "should be 03"},
		{"3938424413", "should be 03"},
		{"9338424403", "a digit is mistyped"}, // two digits swapped
		{"12308", "has 5 characters"},
		{"", "has 0 characters"},
		{"123456789012", "has 12 characters"},
		{"39384244O3", `'O' is not a digit`},
		{"39384/4403", `'/' is not a digit`}, // the character before 0
		{"39384:4403", `':' is not a digit`}, // and the one after 9
		{"393842440 ", "is not a digit"},
		{"-938424403", "is not a digit"},
	} {
		err := CheckMPRN(c.mprn)
		if c.wrong == "" && err != nil || c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)) {
			t.Errorf("%q: %v, not %q", c.mprn, err, c.wrong)
		}
	}
}

// Exactly one pair of check digits fits a body, and a single mistyped digit is
// always found: no place weighs a multiple of 11.
func TestCheckMPRNFindsOneWrongDigit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body := rapid.StringMatching(`[0-9]{4,9}`).Draw(t, "body")
		sound := ""
		for n := range 100 {
			s := fmt.Sprintf("%s%02d", body, n)
			if CheckMPRN(s) == nil {
				if sound != "" {
					t.Fatalf("%s and %s are both sound", sound, s)
				}
				sound = s
			}
		}
		if sound == "" {
			t.Fatalf("nothing fits %s", body)
		}
		at := rapid.IntRange(0, len(sound)-1).Draw(t, "place")
		digit := byte('0' + rapid.IntRange(0, 9).Draw(t, "digit"))
		wrong := sound[:at] + string(digit) + sound[at+1:]
		if (CheckMPRN(wrong) == nil) != (wrong == sound) {
			t.Fatalf("%s became %s: %v", sound, wrong, CheckMPRN(wrong))
		}
	})
}
