package emissions

import (
	"math/big"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/perseus-edge/perseus-edge/configs"
	"github.com/perseus-edge/perseus-edge/energy"
)

var march = Month{2026, time.March}

func day(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return t
}

func TestWholeMonths(t *testing.T) {
	cases := []struct{ from, to, want string }{
		{"2026-01-01T00:00:00Z", "2026-03-01T00:00:00Z", "2026-01 2026-02"},
		{"2026-01-01T00:00:01Z", "2026-03-01T00:00:00Z", "2026-02"},
		{"2026-01-01T00:00:00Z", "2026-02-28T23:59:59Z", "2026-01"},
		{"2025-05-15T00:00:00Z", "2026-03-26T00:00:00Z", "2025-06 2025-07 2025-08 2025-09 2025-10 2025-11 2025-12 2026-01 2026-02"},
		{"2026-01-02T00:00:00Z", "2026-02-28T00:00:00Z", ""},
		{"2026-03-01T00:00:00Z", "2026-01-01T00:00:00Z", ""},
		{"2026-03-29T00:00:00+01:00", "2026-05-01T00:00:00+01:00", ""}, // months are UTC
	}
	for _, c := range cases {
		var got []string
		for _, m := range WholeMonths(day(c.from), day(c.to)) {
			got = append(got, m.String())
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s to %s: %q, want %q", c.from, c.to, got, c.want)
		}
	}
	for m, want := range map[Month]int{march: 1488, {2026, time.February}: 1344, {2024, time.February}: 1392, {2025, time.December}: 1488} {
		if got := m.HalfHours(); got != want {
			t.Errorf("%s has %d half-hours, want %d", m, got, want)
		}
	}
}

func TestKilograms(t *testing.T) {
	for m, want := range map[Mass]string{
		0: "0.000", 1: "0.000", 499_999: "0.000", 500_000: "0.001", 1_000_000: "0.001", 999_499_999: "0.999",
		999_500_000: "1.000", 123_456_789_012: "123.457", 1<<63 - 1: "9223372036.855",
	} {
		if got := m.Kilograms(); got != want {
			t.Errorf("%d micrograms: %s, want %s", m, got, want)
		}
	}
}

func flat(m Month, meter string, v Value) MeterMonth {
	x := MeterMonth{Meter: meter, Values: make([]Value, m.HalfHours())}
	for i := range x.Values {
		x.Values[i] = v
	}
	return x
}

func grid(m Month, g int64) []Known {
	out := make([]Known, m.HalfHours())
	for i := range out {
		out[i] = Known{g, true}
	}
	return out
}

func TestElectricity(t *testing.T) {
	meter := flat(march, "a", Value{Energy: 500, Quality: energy.Measured, Batch: 1, Rule: energy.RuleBracketed}) // 744 kWh
	f, err := CalculateElectricity(march, []MeterMonth{meter}, grid(march, 200))
	if err != nil || !f.Missing.Nothing() || f.Mass.Kilograms() != "148.800" || f.HalfHours != 1488 {
		t.Errorf("%+v, %v", f, err)
	}
	if len(f.Derived) != 0 {
		t.Errorf("measured, and %v", f.Derived)
	}
	two, err := CalculateElectricity(march, []MeterMonth{meter, flat(march, "b", Value{Energy: 1, Quality: energy.Estimated, Batch: 2, Rule: energy.RuleBracketed})}, grid(march, 200))
	if !two.Derived[energy.DerivedOther] || len(two.Derived) != 1 {
		t.Errorf("an estimate, and %v", two.Derived)
	}
	if err != nil || two.Mass != f.Mass+1488*200*1000 || two.Qualities[energy.Measured] != 1488 || two.Qualities[energy.Estimated] != 1488 {
		t.Errorf("two meters: %+v, %v", two, err)
	}
}

func TestMissing(t *testing.T) {
	hole := flat(march, "a", Value{Energy: 500, Quality: energy.Measured, Batch: 1, Rule: energy.RuleBracketed})
	hole.Values[7], hole.Values[1487] = Value{}, Value{Quality: energy.Missing}
	dark := grid(march, 200)
	dark[3] = Known{}
	cases := []struct {
		name   string
		meters []MeterMonth
		grid   []Known
		want   string
	}{
		{"no meter", nil, grid(march, 1), "no meter"},
		{"two half-hours", []MeterMonth{hole}, grid(march, 1), "2 half-hours of energy"},
		{"of either meter", []MeterMonth{hole, flat(march, "b", Value{}), flat(march, "c", Value{Energy: 0, Quality: energy.Measured, Batch: 1, Rule: energy.RuleBracketed})}, grid(march, 1), "1490 half-hours of energy"},
		{"intensity", []MeterMonth{flat(march, "a", Value{Energy: 0, Quality: energy.Measured, Batch: 1, Rule: energy.RuleBracketed})}, dark, "1 half-hours of grid intensity"},
		{"both", []MeterMonth{hole}, dark, "2 half-hours of energy, 1 half-hours of grid intensity"},
	}
	for _, c := range cases {
		f, err := CalculateElectricity(march, c.meters, c.grid)
		if err != nil || f.Missing.String() != c.want || f.Missing.Nothing() {
			t.Errorf("%s: %q, %v; want %q", c.name, f.Missing, err, c.want)
		}
	}
	f, err := CalculateGas(march, []MeterMonth{flat(march, "g", Value{Energy: 1, Quality: energy.Measured, Batch: 1, Rule: energy.RuleBracketed})}, 0, false)
	if err != nil || f.Missing.String() != "the factor of the year" {
		t.Errorf("%q, %v", f.Missing, err)
	}
}

func TestRefused(t *testing.T) {
	good := flat(march, "a", Value{Energy: 500, Quality: energy.Measured, Batch: 1, Rule: energy.RuleBracketed})
	negative, huge := flat(march, "a", Value{Energy: -1, Quality: energy.Measured, Batch: 1, Rule: energy.RuleBracketed}), flat(march, "a", Value{Energy: 1 << 62, Quality: energy.Measured, Batch: 1})
	if _, err := CalculateElectricity(march, []MeterMonth{good}, grid(Month{2026, time.April}, 1)); err == nil {
		t.Error("a grid of another month was taken")
	}
	if _, err := CalculateElectricity(march, []MeterMonth{{"a", good.Values[1:]}}, grid(march, 1)); err == nil {
		t.Error("a short month was taken")
	}
	if _, err := CalculateElectricity(march, []MeterMonth{negative}, grid(march, 1)); err == nil || !strings.Contains(err.Error(), "negative") {
		t.Error(err)
	}
	if _, err := CalculateElectricity(march, []MeterMonth{huge}, grid(march, 2000)); err != errOverflow {
		t.Error(err)
	}
	almost := flat(march, "a", Value{Energy: (1<<63 - 1) / 1488 / 1000, Quality: energy.Measured, Batch: 1, Rule: energy.RuleBracketed})
	if _, err := CalculateElectricity(march, []MeterMonth{almost}, grid(march, 1)); err != nil {
		t.Error(err)
	}
	if _, err := CalculateElectricity(march, []MeterMonth{almost, almost}, grid(march, 1)); err != errOverflow {
		t.Error(err)
	}
}

// The sum is exact, whatever the values, and does not depend on the order or
// the grouping of meters.
func TestExact(t *testing.T) {
	feb := Month{2026, time.February}
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64().Draw(t, "seed")
		next := func() uint64 { seed ^= seed << 13; seed ^= seed >> 7; seed ^= seed << 17; return seed }
		if seed == 0 {
			seed = 1
		}
		g := grid(feb, 0)
		for i := range g {
			g[i].Amount = int64(next() % 2000)
		}
		var meters []MeterMonth
		want, gas := new(big.Int), new(big.Int)
		for range rapid.IntRange(1, 4).Draw(t, "meters") {
			m := flat(feb, "m", Value{Energy: 0, Quality: energy.Measured, Batch: 1, Rule: energy.RuleBracketed})
			for i := range m.Values {
				m.Values[i].Energy = int64(next() % 3_000_000)
				e := big.NewInt(m.Values[i].Energy)
				want.Add(want, new(big.Int).Mul(e, big.NewInt(1000*g[i].Amount)))
				gas.Add(gas, new(big.Int).Mul(e, big.NewInt(2_026_330)))
			}
			meters = append(meters, m)
		}
		f, err := CalculateElectricity(feb, meters, g)
		if err != nil || want.Cmp(big.NewInt(int64(f.Mass))) != 0 {
			t.Fatalf("%d, %v; want %s", f.Mass, err, want)
		}
		f, err = CalculateGas(feb, meters, 2_026_330, true)
		if err != nil || gas.Cmp(big.NewInt(int64(f.Mass))) != 0 {
			t.Fatalf("gas: %d, %v; want %s", f.Mass, err, gas)
		}
	})
}

// The factor file that comes with the programs.
func TestShippedFactors(t *testing.T) {
	f, err := LoadFactors(configs.Factors, "factors/desnz-natural-gas.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for year, want := range map[int]int64{2024: 2_045_420, 2025: 2_066_720, 2026: 2_026_330} {
		if got, ok := f.Year(year); !ok || got.MicrogramsPerLitre() != want {
			t.Errorf("%d: %+v, want %d", year, got, want)
		}
	}
	if _, ok := f.Year(2035); ok {
		t.Error("a year that was never published has a factor")
	}
	// 1,000 m3 in a month of 2025: 2,066.72 kg.
	m := Month{2025, time.June}
	meter := flat(m, "g", Value{Energy: 0, Quality: energy.Measured, Batch: 1, Rule: energy.RuleBracketed})
	meter.Values[5].Energy = 1_000_000
	v, _ := f.Year(2025)
	if got, err := CalculateGas(m, []MeterMonth{meter}, v.MicrogramsPerLitre(), true); err != nil || got.Mass.Kilograms() != "2066.720" {
		t.Errorf("%s, %v", got.Mass.Kilograms(), err)
	}
}

func TestParseFactors(t *testing.T) {
	file := func(unit, entry string) string { return "name: x\nunit: " + unit + "\nfactors:\n  - " + entry }
	const rest = `, version: "1", published: 2026-06-11, url: "https://example"}`
	cases := []struct{ name, text, want string }{
		{"good", file("kgCO2e/m3", `{year: 2026, value: "2.02633"`+rest), ""},
		{"per kWh", file("kgCO2e/kWh", `{year: 2026, value: "0.18231"`+rest), "only kgCO2e/m3"},
		{"the kWh number", file("kgCO2e/m3", `{year: 2026, value: "0.18231"`+rest), "about 2"},
		{"words", file("kgCO2e/m3", `{year: 2026, value: "about 2"`+rest), "decimal"},
		{"negative", file("kgCO2e/m3", `{year: 2026, value: "-2.02"`+rest), "decimal"},
		{"seven decimals", file("kgCO2e/m3", `{year: 2026, value: "2.0263312"`+rest), "six decimals"},
		{"twice", file("kgCO2e/m3", `{year: 2026, value: "2.02633"`+rest+"\n  - {year: 2026, value: \"2.02633\""+rest), "twice"},
		{"unknown key", file("kgCO2e/m3", `{year: 2026, valeu: "2.02633"`+rest), "valeu"},
		{"no source", file("kgCO2e/m3", `{year: 2026, value: "2.02633"}`), "needs"},
	}
	for _, c := range cases {
		_, err := ParseFactors([]byte(c.text))
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}
