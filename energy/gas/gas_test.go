package gas

import (
	"encoding/json"
	"math"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func wants(t *testing.T, err error, part string) {
	t.Helper()
	switch {
	case part == "" && err != nil:
		t.Errorf("refused: %v", err)
	case part != "" && err == nil:
		t.Errorf("accepted, not refused with %q", part)
	case part != "" && !strings.Contains(err.Error(), part):
		t.Errorf("%q says nothing of %q", err, part)
	}
}

func TestWh(t *testing.T) {
	for _, c := range []struct {
		litres, want int64
		vcf, cv      string
	}{
		{1000, 11_221, "1.02264", "39.5"},               // 11.2206 kWh/m3 (feeds.md 3.3)
		{1_000_000, 11_220_633, "1.02264", "39.5"},      // 11,220,633.3
		{1000, 11_100, "1.02264", "39.075"},             // 11.0999 (feeds.md 3.3)
		{1_000_000, 11_099_905, "1.02264", "39.075"},    // 11,099,905
		{2000, 22_328, "1.02264", "39.3"},               // a supplier's example: 2 m3 are 22 kWh
		{1000, 10_972, "1", "39.5"},                     // corrected: 10.9722
		{0, 0, "1.02264", "39.5"}, {1, 11, "1", "39.5"}, // 10.97
		{18, 200, "1", "39.9"},  // 199.5: halves go up
		{6, 66, "1", "39.8999"}, // 66.49983
		{36, 395, "1", "39.5"},  // just so
		{1, 9, "0.9", "37.5"},   // 9.375
		{1, 119, "10", "43"},    // 119.4
		{8, 75, "0.9", "37.5"},  // 75
		{1000, 10_417, "1", "37.5"}, {1000, 11_944, "1", "43"},
	} {
		vcf, err := ParseVCF(c.vcf)
		if err != nil {
			t.Fatal(err)
		}
		cv, err := ParseCV(c.cv)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := (Basis{VCF: vcf, CV: cv}).Wh(c.litres); err != nil || got != c.want {
			t.Errorf("%d litres by %s and %s: %d, %v; not %d", c.litres, vcf, cv, got, err, c.want)
		}
	}
}

func TestWhRefuses(t *testing.T) {
	good := Basis{VCF: DefaultVCF, CV: 395_000}
	for _, c := range []struct {
		b      Basis
		litres int64
		wrong  string
	}{
		{good, 1, ""}, {good, -1, "volume is not one"}, {good, math.MaxInt64, "volume is not one"}, {good, 821_998_998_422_044_000, ""},
		{Basis{VCF: minVCF, CV: minCV}, 1, ""}, {Basis{VCF: minVCF - 1, CV: minCV}, 1, "cannot be converted"}, {Basis{VCF: minVCF, CV: minCV - 1}, 1, "cannot be converted"},
		{Basis{VCF: maxVCF, CV: maxCV}, 1, ""}, {Basis{VCF: maxVCF + 1, CV: maxCV}, 1, "cannot be converted"}, {Basis{VCF: maxVCF, CV: maxCV + 1}, 1, "cannot be converted"},
		{Basis{}, 1, "factor of 0 and a calorific value of 0"},
	} {
		_, err := c.b.Wh(c.litres)
		wants(t, err, c.wrong)
		s := Series{over: 17}
		if _, err := s.Wh(c.litres, c.b); err != nil && s.over != 17 {
			t.Errorf("%+v: an error changed the series", c)
		}
	}
	// The largest volume: its energy is just below 2^63 Wh.
	one := Basis{VCF: CorrectedVCF, CV: 430_000}
	most := int64(math.MaxInt64 / 430_000 * 36_000)
	low, high := most-1_000_000, most+1_000_000
	for high-low > 1 {
		mid := low + (high-low)/2
		if _, err := one.Wh(mid); err == nil {
			low = mid
		} else {
			high = mid
		}
	}
	wh, err := one.Wh(low)
	if next := new(big.Int).Mul(big.NewInt(high), big.NewInt(430_000)); err != nil || wh < math.MaxInt64-12 || next.Div(next, big.NewInt(36_000)).Cmp(big.NewInt(math.MaxInt64-1)) < 0 {
		t.Errorf("%d litres are %d Wh, %v; %d are too many", low, wh, err, high)
	}
}

// whole is litres by b in Wh, rounded to the nearest, in numbers without end.
func whole(litres *big.Int, b Basis) *big.Int {
	n := new(big.Int).Mul(litres, big.NewInt(int64(b.VCF)*int64(b.CV)))
	return n.Div(n.Add(n, big.NewInt(perWh/2)), big.NewInt(perWh))
}

// The arithmetic is of 128 bits: where its halves meet, and where it ends.
func TestWhAtTheSeams(t *testing.T) {
	two64 := new(big.Int).Lsh(big.NewInt(1), 64)
	carries, largest := 0, 0
	for cv := minCV; cv < minCV+200; cv++ {
		b := Basis{VCF: DefaultVCF, CV: cv}
		f := big.NewInt(int64(b.VCF) * int64(b.CV))
		// A product that rounding takes over a multiple of 2^64.
		litres := new(big.Int).Div(two64, f)
		if low := new(big.Int).Mod(new(big.Int).Mul(litres, f), two64); new(big.Int).Sub(two64, low).Cmp(big.NewInt(perWh/2)) <= 0 {
			carries++
		}
		if got, err := b.Wh(litres.Int64()); err != nil || big.NewInt(got).Cmp(whole(litres, b)) != 0 {
			t.Errorf("%v litres by %s: %d, %v", litres, cv, got, err)
		}
		// The largest energy that fits, 2^63-1 Wh, is one; the next is not.
		litres.Mul(big.NewInt(math.MaxInt64), big.NewInt(perWh)).Div(litres, f)
		for range 4 {
			want := whole(litres, b)
			got, err := b.Wh(litres.Int64())
			if want.IsInt64() != (err == nil) || err == nil && got != want.Int64() {
				t.Errorf("%v litres by %s: %d, %v; want %v", litres, cv, got, err, want)
			}
			if got == math.MaxInt64 {
				largest++
			}
			litres.Add(litres, big.NewInt(1))
		}
	}
	if carries == 0 || largest == 0 {
		t.Errorf("%d carries and %d largest energies were tried", carries, largest)
	}
	// A quotient of 2^64, which a division of 128 by 64 bits cannot give.
	b := Basis{VCF: maxVCF, CV: maxCV}
	litres := new(big.Int).Mul(two64, big.NewInt(perWh))
	litres.Div(litres, big.NewInt(int64(maxVCF)*int64(maxCV))).Add(litres, big.NewInt(1))
	_, err := b.Wh(litres.Int64())
	wants(t, err, "volume is not one")
}

// A series gives, in all, the energy of all its volumes, rounded once.
func TestSeriesLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s Series
		exact, sum := new(big.Rat), int64(0)
		for range rapid.IntRange(1, 200).Draw(t, "volumes") {
			b := Basis{
				VCF: VCF(rapid.Int64Range(int64(minVCF), int64(maxVCF)).Draw(t, "VCF")),
				CV:  CV(rapid.Int64Range(int64(minCV), int64(maxCV)).Draw(t, "CV")),
			}
			litres := rapid.OneOf(rapid.Int64Range(0, 20), rapid.Int64Range(0, 1<<50)).Draw(t, "litres")
			wh, err := s.Wh(litres, b)
			if err != nil || wh < 0 || s.over < -perWh/2 || s.over >= perWh/2 {
				t.Fatalf("%d, %v, %+v", wh, err, s)
			}
			sum += wh
			// m3 x VCF x CV / 3.6, in kWh.
			kwh := big.NewRat(litres, 1000)
			kwh.Mul(kwh, big.NewRat(int64(b.VCF), 1_000_000)).Mul(kwh, big.NewRat(int64(b.CV), 10_000)).Quo(kwh, big.NewRat(36, 10))
			exact.Add(exact, kwh.Mul(kwh, big.NewRat(1000, 1)))
			half := new(big.Rat).Add(exact, big.NewRat(1, 2))
			if want := new(big.Int).Div(half.Num(), half.Denom()); want.Cmp(big.NewInt(sum)) != 0 {
				t.Fatalf("%d Wh of %s", sum, exact.FloatString(3))
			}
		}
	})
}

func TestDecimals(t *testing.T) {
	for _, c := range []struct{ text, show, wrong string }{
		{"39.5", "39.5", ""}, {"39.50000", "39.5", ""}, {"40", "40", ""}, {"40.0", "40", ""}, {"37.5", "37.5", ""}, {"43", "43", ""}, {"39.1234", "39.1234", ""},
		{"37.4999", "", "37.5 to 43"}, {"43.0001", "", "37.5 to 43"}, {"39.12345", "", "more than 4 decimals"}, {"11.2", "", "37.5 to 43"}, {"0", "", "37.5 to 43"},
		{"", "", "want a decimal"}, {".5", "", "want a decimal"}, {"39.", "", "want a decimal"}, {"39,5", "", "want a decimal"}, {"-39.5", "", "want a decimal"},
		{"+39.5", "", "want a decimal"}, {"3.95e1", "", "want a decimal"}, {"39.5.0", "", "want a decimal"}, {" 39.5", "", "want a decimal"}, {"NaN", "", "want a decimal"},
		{"1234567", "", "want a decimal"}, {"123456", "", "37.5 to 43"}, {"000039", "39", ""},
	} {
		v, err := ParseCV(c.text)
		wants(t, err, c.wrong)
		if err == nil && v.String() != c.show {
			t.Errorf("%q: %s", c.text, v)
		}
	}
	for _, c := range []struct{ text, show, wrong string }{
		{"1.02264", "1.02264", ""}, {"1", "1", ""}, {"0.9", "0.9", ""}, {"10", "10", ""}, {"0.899999", "", "not between 0.9 and 10"}, {"10.000001", "", "not between"},
		{"1.0226401", "", "more than 6 decimals"}, {"1,02264", "", "want a decimal"},
	} {
		v, err := ParseVCF(c.text)
		wants(t, err, c.wrong)
		if err == nil && v.String() != c.show {
			t.Errorf("%q: %s", c.text, v)
		}
	}
	for n, want := range map[int64]string{0: "0", 1: "0.0001", -1: "-0.0001", 10_000: "1", 9_999: "0.9999", -395_000: "-39.5", 100_000: "10"} {
		if got := CV(n).String(); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
	if VCF(-1).String() != "-0.000001" || DefaultVCF.String() != "1.02264" || CorrectedVCF.String() != "1" {
		t.Error("factors")
	}
}

func FuzzDecimal(f *testing.F) {
	for _, s := range []string{"39.5", "1.02264", "0", "39.", "-1", "1e3", "000001.1000"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := parseDecimal(s, 6)
		if err != nil {
			return
		}
		if back, err := parseDecimal(decimal(n, 6), 6); err != nil || back != n {
			t.Fatalf("%q became %d became %d, %v", s, n, back, err)
		}
		want, ok := new(big.Rat).SetString(s)
		if !ok || want.Cmp(big.NewRat(n, 1_000_000)) != 0 {
			t.Fatalf("%q became %d", s, n)
		}
	})
}

func TestFactorOfAMeter(t *testing.T) {
	for _, c := range []struct {
		m     Meter
		want  VCF
		wrong string
	}{
		{Meter{}, DefaultVCF, ""}, {Meter{Corrected: true}, CorrectedVCF, ""}, {Meter{VCF: 1_100_000}, 1_100_000, ""},
		{Meter{Corrected: true, VCF: CorrectedVCF}, CorrectedVCF, ""}, {Meter{Corrected: true, VCF: DefaultVCF}, 0, "applied twice"},
		{Meter{VCF: minVCF}, minVCF, ""}, {Meter{VCF: minVCF - 1}, 0, "not between"}, {Meter{VCF: maxVCF}, maxVCF, ""}, {Meter{VCF: maxVCF + 1}, 0, "not between"}, {Meter{VCF: -1}, 0, "not between"},
	} {
		got, err := c.m.Factor()
		wants(t, err, c.wrong)
		if got != c.want {
			t.Errorf("%+v: %s", c.m, got)
		}
	}
}

func TestBasisJSON(t *testing.T) {
	day, _ := ParseDay("2026-01-31")
	for want, b := range map[string]Basis{
		`{"day":"2026-01-31","zone":"SE","vcf":"1.02264","cv":"39.1","daily":true,"since":"2026-01-31","source":"a file"}`: {day, "SE", DefaultVCF, 391_000, true, day, "a file"},
		`{"day":"2026-01-31","vcf":"1","cv":"39.5","daily":false,"since":"1970-01-01","source":"typical"}`:                 {day, "", CorrectedVCF, 395_000, false, 0, "typical"},
	} {
		if got, err := json.Marshal(b); err != nil || string(got) != want {
			t.Errorf("%s, %v", got, err)
		}
		var back Basis
		if err := json.Unmarshal([]byte(want), &back); err != nil || back != b {
			t.Errorf("%s: read back %+v, %v", want, back, err)
		}
	}
	for _, raw := range []string{`{"day":"31/01/2026"}`, `{"vcf":"0.5"}`, `{"cv":"11.2"}`, `{"since":""}`} {
		if err := json.Unmarshal([]byte(raw), new(Basis)); err == nil {
			t.Errorf("%s was taken", raw)
		}
	}
}
