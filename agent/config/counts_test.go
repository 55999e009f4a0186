package config

import (
	"strings"
	"testing"
)

// A heat meter counts in the unit that it was set to: the file says which.
func TestCounts(t *testing.T) {
	meter := func(keys string) string {
		return head + "meters: [{id: m, bus: b, unit: 1" + keys + "}]\n"
	}
	for unit, one := range map[string]int64{"kWh": 1_000, "MWh": 1_000_000, "GJ": 277_778} {
		r := parsed(t, meter(", template: sontex-supercal-531, counts: "+unit)).Meters[0].Registers[0]
		if r.Unit != unit || r.Ask || r.One() != one {
			t.Errorf("%s: %+v, %d Wh", unit, r, r.One())
		}
	}
	for keys, want := range map[string]string{
		", template: sontex-supercal-531":                                         "x:3:10: meter m: a sontex-supercal-531 counts in the unit that it was set to: write counts: and the unit on its display, one of Wh kWh",
		", template: sontex-supercal-531, counts: m3":                             "x:3:74: meter m: counts: unknown \"m3\"",
		", template: sontex-supercal-531, counts: kW":                             "counts: unknown \"kW\"",
		", template: eastron-sdm120, counts: kWh":                                 "counts is for templates of meters that count in the unit",
		", registers: {heat: {address: 1, type: uint32, unit: kWh}}, counts: kWh": "counts is for templates of meters that count in the unit",
		", registers: {heat: {address: 1, type: uint32, unit: ask}}":              "unit: unknown \"ask\"",
	} {
		if _, err := Parse("x", []byte(meter(keys))); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", keys, err, want)
		}
	}
}
