package energy

import (
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

func TestMulDiv(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := rapid.Uint64().Draw(t, "a"), rapid.Uint64().Draw(t, "b"), rapid.Uint64Min(1).Draw(t, "c")
		want := new(big.Int).Mul(new(big.Int).SetUint64(a), new(big.Int).SetUint64(b))
		want.Div(want, new(big.Int).SetUint64(c))
		if !want.IsUint64() {
			want.SetUint64(math.MaxUint64)
		}
		if got := mulDiv(a, b, c); got != want.Uint64() {
			t.Fatalf("%d*%d/%d = %d, want %d", a, b, c, got, want)
		}
	})
	if got := mulDiv(1<<63, 2, 1); got != math.MaxUint64 { // just one more than fits
		t.Errorf("2^64 = %d", got)
	}
}

func TestWrapped(t *testing.T) {
	r := Register{Modulus: 1000, MaxPower: 40} // 20 in the grace of half an hour
	for _, c := range []struct {
		v0, v1, elapsed, advance int64
		ok                       bool
	}{
		{990, 5, 0, 15, true},
		{990, 10, 0, 20, true},
		{990, 11, 0, 21, false},         // more than the ceiling
		{990, 11, 90e9, 21, true},       // 40 an hour for 90 s more
		{900, 0, 4 * 3600e9, 100, true}, // the last tenth begins here
		{899, 0, 4 * 3600e9, 101, false},
		{950, 51, 9 * 3600e9, 101, false}, // more than a tenth
		{990, 990, 0, 0, false},
		{990, 991, 0, 0, false},
	} {
		advance, ok := r.wrapped(c.v0, c.v1, 0, c.elapsed)
		if ok != c.ok || ok && advance.energy != c.advance {
			t.Errorf("wrapped(%d, %d, %d) = %d, %v; want %d, %v", c.v0, c.v1, c.elapsed, advance.energy, ok, c.advance, c.ok)
		}
	}
	if _, ok := (&Register{}).wrapped(1000, 0, 0, 0); ok {
		t.Error("a register without a modulus wrapped")
	}
}

func TestWrap(t *testing.T) {
	r := Register{Modulus: 1000}
	for _, c := range [][3]int64{{990, 9, 999}, {990, 10, 0}, {990, 11, 1}, {0, 0, 0}} {
		if got := r.wrap(c[0], c[1]); got != c[2] {
			t.Errorf("wrap(%d, %d) = %d, want %d", c[0], c[1], got, c[2])
		}
	}
	if got := (&Register{}).wrap(990, 11); got != 1001 {
		t.Errorf("without a modulus: %d", got)
	}
}

func TestEventKindString(t *testing.T) {
	for k, want := range map[EventKind]string{Nothing: "", Opened: "opened", Glitch: "glitch", Rollover: "rollover", Reset: "reset", OutOfOrder: "out-of-order", TooFast: "too-fast", Exchanged: "exchanged", ClockBack: "clock-back", Ambiguous: "ambiguous", Retracted: "retracted", EventKinds: "unknown", 99: "unknown"} {
		if k.String() != want {
			t.Errorf("%d is %q, want %q", k, k, want)
		}
	}
}
