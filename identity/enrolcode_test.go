package identity

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParseEnrolCode(t *testing.T) {
	for _, x := range []struct{ typed, want, words string }{
		{"", "", "there is none"},
		{" - ", "", "there is none"},
		{"7K2M-9KXA", "", "8 characters"},
		{"7K2M-9KXA-34TE-7", "", "more than 12"},
		{"7K2M-9KXA-34TO", "", "no code has 'O'"},
		{"7K2M-9KXA-34T1", "", "no code has '1'"},
		{"7K2M-9KXA-34Té", "", "no code has 'É'"},
	} {
		got, err := ParseEnrolCode(x.typed)
		if got != x.want || !errors.Is(err, ErrMistyped) || !strings.Contains(err.Error(), x.words) {
			t.Errorf("%q: %q, %v", x.typed, got, err)
		}
	}
}

// Whatever a telephone and a hand do to a code that is no mistake, it is read;
// one wrong character, or two that changed places, is found always.
func TestEnrolCodeIsSafeToReadAloud(t *testing.T) {
	if got, err := ParseEnrolCode(ExampleEnrolCode); err != nil || got != ExampleEnrolCode {
		t.Errorf("the example of the documentation: %q, %v", got, err)
	}
	for _, pair := range []string{"0O", "1I", "1L", "5S", "8B", "2Z", "6G", "UV", "MN"} {
		if strings.Contains(enrolAlphabet, pair[:1]) && strings.Contains(enrolAlphabet, pair[1:]) {
			t.Errorf("codes have both of %s", pair)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		code := NewEnrolCode()
		forms := []string{code, strings.ToLower(code), " " + strings.ReplaceAll(code, "-", " ") + "\n", strings.ReplaceAll(code, "-", ""),
			strings.NewReplacer("5", "s", "8", "B", "2", "z", "6", "G", "M", "n").Replace(code)}
		for _, f := range forms {
			if got, err := ParseEnrolCode(f); err != nil || got != code {
				t.Fatalf("%q: %q, %v", f, got, err)
			}
		}
		plain := []byte(strings.ReplaceAll(code, "-", ""))
		i := rapid.IntRange(0, len(plain)-1).Draw(t, "place")
		wrong := append([]byte(nil), plain...)
		wrong[i] = enrolAlphabet[rapid.IntRange(0, len(enrolAlphabet)-1).Draw(t, "character")]
		if got, err := ParseEnrolCode(string(wrong)); wrong[i] != plain[i] && !errors.Is(err, ErrMistyped) {
			t.Fatalf("%s for %s: %q, %v", wrong, plain, got, err)
		}
		j := rapid.IntRange(0, len(plain)-1).Draw(t, "other place")
		swapped := append([]byte(nil), plain...)
		swapped[i], swapped[j] = swapped[j], swapped[i]
		if got, err := ParseEnrolCode(string(swapped)); swapped[i] != swapped[j] && !errors.Is(err, ErrMistyped) {
			t.Fatalf("%s for %s: %q, %v", swapped, plain, got, err)
		}
	})
}

func TestEnrolLink(t *testing.T) {
	const code = ExampleEnrolCode
	for _, base := range []string{"https://directory.example.org", "https://localhost:8443"} {
		d, c, ok := ParseEnrolLink(" " + EnrolLink(base+"/", code) + "\n")
		if !ok || d != base || c != code {
			t.Errorf("%s: %q %q %v", base, d, c, ok)
		}
	}
	for _, no := range []string{code, "", "http://directory.example.org/enrol#" + code, "https://u:p@directory.example.org/enrol#x", "https://d.example/enrol", "javascript:alert(1)#x", "#x"} {
		if d, c, ok := ParseEnrolLink(no); ok {
			t.Errorf("%q: %q %q", no, d, c)
		}
	}
}

func FuzzParseEnrolCode(f *testing.F) {
	f.Add(ExampleEnrolCode)
	f.Add("s5-\x00é")
	f.Fuzz(func(t *testing.T, s string) {
		code, err := ParseEnrolCode(s)
		if (err == nil) == (code == "") {
			t.Fatalf("%q, %v", code, err)
		}
		if err == nil {
			if again, err := ParseEnrolCode(code); err != nil || again != code {
				t.Fatalf("%q: %q, %v", code, again, err)
			}
		}
		ParseEnrolLink(s)
	})
}
