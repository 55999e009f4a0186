package unit

import (
	"math/big"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/perseus-edge/perseus-edge/energy"
)

// Each factor as its definition gives it, not as the table does.
func TestFactors(t *testing.T) {
	joule := big.NewRat(1, 3600) // Wh
	btu := new(big.Rat).Mul(rat(t, "1055.05585262"), joule)
	foot := rat(t, "0.3048")
	ft3 := new(big.Rat).Mul(foot, new(big.Rat).Mul(foot, foot)) // m3
	times := func(n int64, r *big.Rat) *big.Rat { return new(big.Rat).Mul(big.NewRat(n, 1), r) }
	n := func(v int64) *big.Rat { return big.NewRat(v, 1) }
	want := map[string]struct {
		base string
		is   *big.Rat
	}{
		"Wh": {"Wh", n(1)}, "kWh": {"Wh", n(1000)}, "MWh": {"Wh", n(1_000_000)}, "GWh": {"Wh", n(1_000_000_000)},
		"J": {"Wh", joule}, "kJ": {"Wh", times(1000, joule)}, "MJ": {"Wh", times(1_000_000, joule)}, "GJ": {"Wh", times(1_000_000_000, joule)},
		"kBtu": {"Wh", times(1000, btu)}, "therm": {"Wh", times(100_000, btu)},
		"varh": {"varh", n(1)}, "kvarh": {"varh", n(1000)}, "Mvarh": {"varh", n(1_000_000)},
		"L": {"L", n(1)}, "m3": {"L", n(1000)}, "ft3": {"L", times(1000, ft3)}, "hcf": {"L", times(100_000, ft3)},
		"W": {"W", n(1)}, "kW": {"W", n(1000)}, "MW": {"W", n(1_000_000)},
		"var": {"var", n(1)}, "kvar": {"var", n(1000)}, "Mvar": {"var", n(1_000_000)},
	}
	if got := Names(); len(got) != len(want)+1 || got[len(got)-1] != Pulse {
		t.Errorf("units %v", got)
	}
	for name, w := range want {
		u, ok := Named(name)
		if !ok || u.Base != w.base || u.Factor().Cmp(w.is) != 0 || u.Power() != (w.base == "W" || w.base == "var") {
			t.Errorf("%s: %+v, want %v %s", name, u, w.is, w.base)
		}
	}
	for _, name := range []string{"", Pulse, "kwh", "WH", "KW", "mW", "l", "m³"} {
		if u, ok := Named(name); ok {
			t.Errorf("%q taken as %+v", name, u)
		}
	}
}

// The rounded figures of feeds.md 3.3 are those of the table, to their last digit.
func TestFiguresOfTheField(t *testing.T) {
	for name, want := range map[string]string{"kBtu": "293.07107", "therm": "29307.1", "ft3": "28.3168", "MJ": "277.778"} {
		u, _ := Named(name)
		if got := u.Factor().FloatString(len(want) - strings.Index(want, ".") - 1); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}

func TestFor(t *testing.T) {
	for m, want := range map[energy.Measure]string{
		energy.Import:         "Wh kWh MWh GWh J kJ MJ GJ kBtu therm W kW MW",
		energy.Export:         "Wh kWh MWh GWh J kJ MJ GJ kBtu therm W kW MW",
		energy.ReactiveImport: "varh kvarh Mvarh var kvar Mvar",
		energy.ReactiveExport: "varh kvarh Mvarh var kvar Mvar",
		energy.Gas:            "L m3 ft3 hcf",
		energy.Heat:           "Wh kWh MWh GWh J kJ MJ GJ kBtu therm W kW MW",
		energy.Water:          "L m3 ft3 hcf",
	} {
		if got := strings.Join(For(m), " "); got != want {
			t.Errorf("%s: %s, want %s", m, got, want)
		}
	}
}

func TestParsePulse(t *testing.T) {
	for s, want := range map[string]string{
		"100 Wh": "100/1 Wh", "1 kWh": "1000/1 Wh", "0.01 m3": "10/1 L", "0.5Wh": "1/2 Wh", " 10  L ": "10/1 L", "1 ft3": "55306341/1953125 L", "2.5 varh": "5/2 varh",
		"1000/kWh": "1/1 Wh", "1000 imp/kWh": "1/1 Wh", "800 pulses / kWh": "5/4 Wh", "1 pulse/m3": "1000/1 L", "3 p/kWh": "1000/3 Wh", "10 imp/m3": "100/1 L",
	} {
		u, err := ParsePulse(s)
		if err != nil || u.Factor().String()+" "+u.Base != want || u.Name != s {
			t.Errorf("%q: %+v, %v; want %s", s, u, err, want)
		}
	}
	for _, s := range []string{"", "100", "Wh", "-1 Wh", "0 Wh", "+ Wh", "1 kW", "1 pulse", "100 wh", "1e3 Wh", "1,5 Wh", "1.5.0 Wh", "1/2 Wh", "1000/", "/kWh", "0/kWh", "1000/kW", "x/kWh", "1000 rev/kWh", ".5 Wh", "1 / 2 / kWh"} {
		if u, err := ParsePulse(s); err == nil {
			t.Errorf("%q taken as %+v", s, u)
		}
	}
	// Both sides of the largest weight: numerator and denominator of 40 bits.
	for s, ok := range map[string]bool{"1099511627775 Wh": true, "1099511627776 Wh": false, "1099511627775/Wh": true, "1099511627776/Wh": false} {
		if _, err := ParsePulse(s); (err == nil) != ok {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestDecimal(t *testing.T) {
	for s, want := range map[string]string{"0": "0/1", "12345.67": "1234567/100", "-0.5": "-1/2", "+2": "2/1", "0012": "12/1", "1.10": "11/10"} {
		if r, err := Decimal(s); err != nil || r.String() != want {
			t.Errorf("%q: %v, %v; want %s", s, r, err, want)
		}
	}
	for _, s := range []string{"", "-", "+", ".", "1.", ".5", "1e3", "1E3", "0x10", "1/2", "1_000", "1,5", "1.2.3", " 1", "1 ", "--1", "-+1", "+-1", "١", "inf", "nan", strings.Repeat("1", 41)} {
		if r, err := Decimal(s); err == nil {
			t.Errorf("%q taken as %v", s, r)
		}
	}
	if _, err := Decimal(strings.Repeat("1", 40)); err != nil {
		t.Error(err)
	}
}

func TestAmount(t *testing.T) {
	for s, want := range map[string]int64{"50 kWh": 50_000, "50kWh": 50_000, " 1.5 MWh": 1_500_000, "0 Wh": 0, "3.6 MJ": 1000, "1 MJ": 277, "+1 Wh": 1, "4611686018427387903 Wh": 1<<62 - 1} {
		if v, err := Amount(s, energy.Import); err != nil || v != want {
			t.Errorf("%q: %d, %v; want %d", s, v, err, want)
		}
	}
	for _, s := range []string{"", "50", "kWh", "-1 kWh", "1 kW", "1 m3", "1 varh", "1 pulse", "1,5 kWh", "4611686018427387904 Wh"} {
		if v, err := Amount(s, energy.Import); err == nil {
			t.Errorf("%q taken as %d", s, v)
		}
	}
	if v, err := Amount("0.5 m3", energy.Gas); err != nil || v != 500 {
		t.Errorf("half a cubic metre is %d L, %v", v, err)
	}
}

// A weight written the one way or the other is the same weight.
func TestPulsesEitherWay(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		n := rapid.Int64Range(1, 1_000_000).Draw(r, "pulses per kWh")
		u, err := ParsePulse(big.NewInt(n).String() + " imp/kWh")
		if err != nil {
			r.Fatal(err)
		}
		if back := new(big.Rat).Mul(u.Factor(), big.NewRat(n, 1)); back.Cmp(big.NewRat(1000, 1)) != 0 {
			r.Fatalf("%d pulses are %v Wh, want 1000", n, back)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"100 Wh", "1000 imp/kWh", "0.01 m3", "-1e5 kWh", "1/2/3", "９ Wh"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if u, err := ParsePulse(s); err == nil {
			if u.Num <= 0 || u.Den <= 0 || u.Power() || !slices.Contains([]string{"Wh", "varh", "L"}, u.Base) {
				t.Fatalf("%q taken as %+v", s, u)
			}
		}
		for _, m := range energy.Measures() {
			if v, err := Amount(s, m); err == nil && v < 0 {
				t.Fatalf("%q is %d %s", s, v, m.BaseUnit())
			}
		}
	})
}

func rat(t *testing.T, s string) *big.Rat {
	t.Helper()
	r, err := Decimal(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
