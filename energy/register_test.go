package energy

import (
	"math"
	"math/big"
	"testing"
	"time"

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
		{950, 50, 9 * 3600e9, 100, true},
		{950, 51, 9 * 3600e9, 101, false}, // more than a tenth
		{990, 5, 12.5 * 3600e9, 15, true},
		{990, 5, 12.5*3600e9 + 1, 15, false}, // it can have wrapped twice
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
	for _, c := range [][3]int64{{990, 9, 999}, {990, 10, 0}, {990, 11, 1}, {0, 0, 0}, {990, 1009, 999}, {990, 1010, 0}} {
		if got := r.wrap(c[0], c[1]); got != c[2] {
			t.Errorf("wrap(%d, %d) = %d, want %d", c[0], c[1], got, c[2])
		}
	}
	if got := (&Register{}).wrap(990, 11); got != 1001 {
		t.Errorf("without a modulus: %d", got)
	}
}

func TestSpend(t *testing.T) {
	r := Register{MaxPower: 36} // 1 in 100 s
	const second = int64(time.Second)
	for _, c := range []struct {
		ahead, energy, elapsed, now int64
		ok                          bool
	}{
		{0, 0, 0, 0, true},
		{0, 1, 100, 0, true},
		{0, 1, 99, 1, true},
		{0, 1, 0, 100, true},
		{0, 18, 0, 1800, true}, // just the grace
		{0, 19, 99, 1801, false},
		{0, 19, 100, 1800, true},
		{1800, 0, 0, 1800, true},
		{1800, 1, 99, 1801, false},
		{1800, 1, 100, 1800, true},
		{500, 0, 501, 0, true}, // never behind
		{500, 0, 499, 1, true},
	} {
		now, ok := r.spend(c.ahead*second, c.energy, c.elapsed*second)
		if ok != c.ok || now != c.now*second {
			t.Errorf("spend(%d, %d, %d) = %d s, %v; want %d, %v", c.ahead, c.energy, c.elapsed, now/second, ok, c.now, c.ok)
		}
	}
	r.MaxPower = 7
	if now, _ := r.spend(0, 1, 0); now != (3600*second+6)/7 {
		t.Errorf("1 at 7 an hour: %d ns", now)
	}
	if now, ok := (&Register{}).spend(5, 1<<62, 0); now != 0 || !ok {
		t.Errorf("without a ceiling: %d, %v", now, ok)
	}
	// What takes longer than there is time is refused, not overflown.
	for _, energy := range []int64{6_000_000, 1 << 30, 1 << 40, 1<<63 - 1} {
		for _, ceiling := range []int64{1, 2, 360} {
			r.MaxPower = ceiling
			if _, ok := r.spend(0, energy, 1000); ok {
				t.Errorf("%d at %d an hour", energy, ceiling)
			}
		}
	}
}

func TestLongest(t *testing.T) {
	for _, c := range []struct {
		modulus, ceiling int64
		want             time.Duration
	}{
		{0, 0, 400 * 24 * time.Hour},
		{0, 5, 400 * 24 * time.Hour},
		{1000, 0, 400 * 24 * time.Hour},
		{1000, 500, time.Hour},
		{1001, 500, time.Hour},
		{2, 3600, time.Second},
		{1 << 62, 1, 400 * 24 * time.Hour},
		{2 * 9600, 1, 400 * 24 * time.Hour},
		{2 * 9599, 1, 9599 * time.Hour},
	} {
		r := Register{Modulus: c.modulus, MaxPower: c.ceiling}
		if got := time.Duration(r.longest()); got != c.want {
			t.Errorf("modulus %d at %d an hour: %v, want %v", c.modulus, c.ceiling, got, c.want)
		}
	}
}

func TestResolution(t *testing.T) {
	for _, c := range []struct {
		mantissa    int
		step, value int64
		want        int64
	}{
		{0, 0, 5, 1},
		{0, -5, 5, 1},
		{0, 100, 1 << 40, 100},
		{24, 1000, 0, 1000},
		{24, 1000, -1, 1000},
		{24, 1000, 100_000_000, 7},           // 100,000 kWh: 0.0078 kWh (feeds.md 1.9)
		{24, 1000, 1_000_000_000, 62},        // 1,000,000 kWh: 0.0625 kWh
		{24, 1000, 10_000_000_000, 1000},     // 10,000,000 kWh: 1 kWh
		{24, 1000, 16_777_215_999, 1000},     //
		{24, 1000, 16_777_216_000, 2000},     // 16,777,216 kWh: 2 kWh
		{24, 1, 5, 1},                        //
		{53, 1000, 1_000_000_000, 1},         // a float64 shows every Wh
		{24, 1 << 38, 1<<63 - 1, 1 << 39},    // 33554431 counts: 25 bits
		{2, 1 << 61, 1<<63 - 1, 1 << 61},     // 3 counts: 2 bits
		{1, 1 << 61, 1<<63 - 1, 1 << 62},     //
		{1, 1 << 60, 1<<63 - 1, 1 << 62},     // 7 counts
		{1, 1<<62 + 1, 1<<63 - 1, 1<<62 + 1}, //
		{1, 1<<61 + 1, 1<<63 - 1, 1<<62 + 2}, // 3 counts
		{1, 1, 1<<63 - 1, 1 << 62},           //
		{-1, 7, 1<<63 - 1, 7},                //
		{80, 1 << 62, 1<<62 + 5, 1},          // finer than the base unit
		{64, 1 << 62, 1 << 62, 1},            //
		{63, 1 << 62, 1 << 62, 1},            //
		{62, 1 << 62, 1 << 62, 2},            //
	} {
		r := Register{Mantissa: c.mantissa, Step: c.step}
		if got := r.Resolution(c.value); got != c.want {
			t.Errorf("mantissa %d, step %d at %d: %d, want %d", c.mantissa, c.step, c.value, got, c.want)
		}
	}
}

func TestFollows(t *testing.T) {
	r := Register{MaxPower: 3600} // 1 a second, 1800 in the grace
	for _, c := range []struct {
		from, to point
		ahead    int64
		energy   int64
		ok       bool
	}{
		{point{0, 5}, point{10e9, 5}, 0, 0, true},
		{point{0, 5}, point{10e9, 4}, 0, 0, false},
		{point{0, 5}, point{10e9, 1815}, 0, 1810, true},
		{point{0, 5}, point{10e9, 1816}, 0, 1811, false},
		{point{0, 5}, point{10e9, 15}, 1800e9, 10, true},
		{point{0, 5}, point{10e9, 16}, 1800e9, 11, false},
		{point{0, 5}, point{100e9, 6}, 0, 1, true},
		{point{0, 5}, point{100e9 + 1, 6}, 0, 0, false}, // unseen for too long
	} {
		adv, ok := r.follows(c.from, c.to, c.ahead, 100e9)
		if ok != c.ok || ok && adv.energy != c.energy {
			t.Errorf("%+v to %+v: %+v, %v", c.from, c.to, adv, ok)
		}
	}
}

func TestLeaps(t *testing.T) {
	r := Register{MaxPower: 3600} // 1 a second
	for _, c := range []struct {
		v0, v1, seconds int64
		want            bool
	}{
		{0, 12, 10, true},
		{0, 11, 10, false},    // as fast as it can, and a count of the register
		{90, 100, 1, false},   // a tenth
		{90, 101, 1, true},    // 11 of 101
		{989, 1099, 1, true},  // 110 of 1099
		{991, 1101, 1, false}, // 110 of 1101
		{50, 50, 0, false},
		{50, 40, 0, false},
	} {
		if got := r.leaps(point{0, c.v0}, point{c.seconds * 1e9, c.v1}); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
	if (&Register{}).leaps(point{0, 0}, point{0, 1 << 62}) {
		t.Error("without a ceiling")
	}
}

func TestEventKindString(t *testing.T) {
	for k, want := range map[EventKind]string{Nothing: "", Opened: "opened", Glitch: "glitch", Rollover: "rollover", Reset: "reset", OutOfOrder: "out-of-order", TooFast: "too-fast", Exchanged: "exchanged", ClockBack: "clock-back", Ambiguous: "ambiguous", Retracted: "retracted", EventKinds: "unknown", 99: "unknown"} {
		if k.String() != want {
			t.Errorf("%d is %q, want %q", k, k, want)
		}
	}
}
