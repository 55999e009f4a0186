package validate

import "testing"

// From 10,000 base units on an amount is written as meters show it.
func TestWritten(t *testing.T) {
	for _, c := range []struct {
		v    int64
		base string
		want string
	}{
		{0, "Wh", "0 Wh"}, {9_999, "Wh", "9999 Wh"}, {10_000, "Wh", "10.000 kWh"}, {10_001, "varh", "10.001 kvarh"}, {1_234_567, "L", "1234.567 m3"}, {-5, "Wh", "-5 Wh"},
	} {
		if got := written(c.v, c.base); got != c.want {
			t.Errorf("%d %s is written %q, want %q", c.v, c.base, got, c.want)
		}
	}
}
