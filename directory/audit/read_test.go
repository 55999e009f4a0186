package audit

import (
	"strings"
	"testing"
)

func TestParseHead(t *testing.T) {
	h := Head{12, strings.Repeat("0123456789abcdef", 4)}
	for text, want := range map[string]Head{h.String(): h, " " + strings.ToUpper(h.String()) + "\n": h, "12-0123456789abcdef": {12, h.Hash[:16]}, Head{}.String(): {}} {
		if got, err := ParseHead(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "12", "12-abc", "x-0123456789abcdef", "12-0123456789abcdefg", h.String() + "0", "-1-0123456789abcdef"} {
		if got, err := ParseHead(text); err == nil {
			t.Errorf("%q is taken for %v", text, got)
		}
	}
}

func TestDifference(t *testing.T) {
	for _, x := range []struct{ before, after, want string }{
		{`{"a":1,"b":"x","c":[]}`, `{"a":2,"b":"x","c":["y"]}`, `a: 1 -> 2; c: ["y"]`},
		{``, `{"a":"x","b":"","c":{"d":"","e":{}}}`, `a: "x"`},
		{`{"a":"x","b":""}`, ``, `a: was "x"`},
		{``, `{"a":"x","enrolled":"0001-01-01T00:00:00Z"}`, `a: "x"`}, // a time that is not there yet
		{`{"a":"x"}`, `{"a":""}`, `a: "x" -> nothing`},
		{`"x"`, `"y"`, `value: "x" -> "y"`},
		{``, ``, ``},
	} {
		var a, b []byte
		if x.before != "" {
			a = []byte(x.before)
		}
		if x.after != "" {
			b = []byte(x.after)
		}
		if got := difference(a, b); got != x.want {
			t.Errorf("%s to %s: %s, want %s", x.before, x.after, got, x.want)
		}
	}
}
