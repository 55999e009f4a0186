package config

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/validate"
	"github.com/perseus-edge/perseus-edge/energy/virtual"
)

func load(t *testing.T, example string) *Config {
	t.Helper()
	c, err := Load("../../configs/examples/" + example)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func parsed(t *testing.T, file string) *Config {
	t.Helper()
	c, err := Parse("x.yaml", []byte(file))
	if err != nil {
		t.Fatalf("%v\n%s", err, file)
	}
	return c
}

func meter(t *testing.T, c *Config, id string) Meter {
	t.Helper()
	m, ok := c.Meter(id)
	if !ok {
		t.Fatalf("no meter %s", id)
	}
	return m
}

func TestPrimaryValuesAreNotMultiplied(t *testing.T) {
	for keys, want := range map[string]string{
		"": "1000/1", "    ct: \"200/5\"\n": "40000/1", "    ct: \"200/5\"\n    vt: \"11000/110\"\n": "4000000/1",
		"    ct: \"200/5\"\n    vt: \"11000/110\"\n    primary: true\n": "1000/1", "    ct: \"200/5\"\n    primary: false\n": "40000/1",
	} {
		r := parsed(t, one(keys)).Meters[0].Registers[0]
		if f, err := r.Factor(); err != nil || f.String() != want {
			t.Errorf("%q: one count is %v Wh (%v), want %s", keys, f, err, want)
		}
	}
}

// A template of a meter that knows its transformers says so, and the file may
// say otherwise.
func TestPrimaryOfTheTemplate(t *testing.T) {
	for keys, want := range map[string]struct {
		primary bool
		factor  string
	}{
		"":                                    {false, "1/1"},
		", ct: \"200/5\"":                     {true, "1/1"},
		", vt: \"11000/110\"":                 {true, "1/1"},
		", ct: \"200/5\", primary: true":      {true, "1/1"},
		", ct: \"200/5\", primary: false":     {false, "40/1"},
		", vt: \"11000/110\", primary: false": {false, "100/1"},
	} {
		m := parsed(t, head+"meters: [{id: m, bus: b, unit: 1, template: schneider-iem3255"+keys+"}]\n").Meters[0]
		r := m.Registers[0]
		if f, err := r.Factor(); err != nil || m.Primary != want.primary || r.Primary != want.primary || f.String() != want.factor {
			t.Errorf("%q: primary %v, one count is %v Wh (%v); want %+v", keys, m.Primary, f, err, want)
		}
	}
}

// An exchange is stated in what the displays show, whatever the register counts in.
func TestExchangeReadings(t *testing.T) {
	for _, c := range []struct {
		register, keys   string
		closing, opening string
		want             ExchangeRead
	}{
		{"unit: kWh, scale: 0.01", "", "12345.67", "0.5", ExchangeRead{1, 12_345_670, 500}},
		{"unit: kWh", "    ct: \"200/5\"\n", "10", "0", ExchangeRead{1, 400_000, 0}},
		{"unit: kWh", "    ct: \"200/5\"\n    primary: true\n", "10", "0", ExchangeRead{1, 10_000, 0}},
		{"unit: MJ", "", "7.2", "1", ExchangeRead{1, 2_000, 277}}, // 1 MJ is 277.7 Wh: rounded down, as the register is
		{"unit: Wh", "", "12.3 kWh", "0.02  MWh", ExchangeRead{1, 12_300, 20_000}},
		{"unit: Wh", "    ct: \"200/5\"\n", "12.3 kWh", "20 Wh", ExchangeRead{1, 492_000, 800}},
		{"unit: pulse, pulse: 100 Wh", "", "1.25 kWh", "7 pulses", ExchangeRead{1, 1_250, 700}},
		{"unit: pulse, pulse: 100 Wh", "", "1234", "7", ExchangeRead{1, 123_400, 700}},
	} {
		file := head + "meters:\n  - id: m\n    bus: b\n    unit: 1\n" + c.keys + "    registers: {import: {address: 0, type: uint32, " + c.register + "}}\n" +
			"    exchanges: [{at: 2026-07-04T11:20:30+01:00, import: {closing: " + c.closing + ", opening: " + c.opening + "}}]\n"
		e := parsed(t, file).Meters[0].Exchanges[0]
		if e.Reads[0] != c.want || !e.At.Equal(time.Date(2026, 7, 4, 10, 20, 30, 0, time.UTC)) || e.At.Location() != time.UTC {
			t.Errorf("%s: %+v, want %+v", c.register, e, c.want)
		}
	}
	// Both sides of the largest reading: 999,999 of a register that starts again at 1,000,000 kWh.
	for reading, ok := range map[string]bool{"999999.999": true, "1000000": false} {
		_, err := Parse("x", []byte(strings.Replace(one("    exchanges: [{at: 2026-07-04T10:20Z, import: {closing: "+reading+", opening: 0}}]\n"), "kWh}", "kWh, modulus: 1000000}", 1)))
		if (err == nil) != ok {
			t.Errorf("%s: %v", reading, err)
		}
	}
}

func TestThresholds(t *testing.T) {
	c := parsed(t, one(`    validate:
      V01: on
      V02: false
      V05: {energy: 50 kWh}
      V06: {half_hours: 96}
      V07: {energy: 1.5 kWh}
      V08: {percent: 0.2}
      V09: {class: 1, check_class: 0.5}
      V11: {fine: 5s, lost: 10m}
      V12: {old: 30d}
      V13: {stale: 2h}
      V14: {percent: 10}
      V16: {k: 12, weeks: 4}
      V17: true
      V20: {power_factor: 0.35}
`))
	m := c.Meters[0]
	want := validate.Options{MaxEnergy: 50_000, ZeroRun: 96, StuckEnergy: 1500, SumTenths: 2, Class: 10, CheckClass: 5, FineClock: 5 * time.Second,
		LostClock: 10 * time.Minute, TooOld: 30 * Day, Stale: 2 * time.Hour, MaxEstimated: 10, SpikeK: 12, SpikeWeeks: 4, MinPF: 35}
	if m.Thresholds != want || m.Off != energy.Flags(0).With(2) {
		t.Errorf("%+v, off %v", m.Thresholds, m.Off.List())
	}
	want.Off, want.Period, want.Modulus, want.Step = m.Off, energy.Period, 1<<32*1000, 1000
	if got := c.Validation(m, energy.Import); got != want {
		t.Errorf("validation %+v, want %+v", got, want)
	}
	m = parsed(t, head+"meters: [{id: m, bus: b, unit: 1, template: eastron-sdm630, measures: [reactive-export]}]\n").Meters[0]
	if got := c.Validation(m, energy.ReactiveExport); got.MaxEnergy != 41_569 || got.Step != 0 || got.Mantissa != 24 || got.Modulus != 0 {
		t.Errorf("of a template: %+v", got)
	}
	if got := c.Validation(m, energy.Import); got.MaxEnergy != 0 {
		t.Errorf("of a measure that it has not: %+v", got)
	}
	// The bounds of rule V11 against each other and their defaults.
	for keys, ok := range map[string]bool{
		"{fine: 14m}": true, "{fine: 15m}": false, "{lost: 1m}": true, "{fine: 1m, lost: 1m}": false, "{fine: 59s, lost: 1m}": true, "{fine: 20m, lost: 21m}": true,
	} {
		if _, err := Parse("x", []byte(one("    validate: {V11: "+keys+"}\n"))); (err == nil) != ok {
			t.Errorf("V11 %s: %v", keys, err)
		}
	}
}

// A register that never wraps shows up to 2^60 base units.
func TestLargestExchangeReading(t *testing.T) {
	for reading, ok := range map[string]bool{"1152921504606846976 Wh": true, "1152921504606846977 Wh": false} {
		_, err := Parse("x", []byte(strings.Replace(one("    exchanges: [{at: 2026-07-04T10:20Z, import: {closing: "+reading+", opening: 0}}]\n"), "uint32", "float64", 1)))
		if (err == nil) != ok {
			t.Errorf("%s: %v", reading, err)
		}
	}
}

// What the accumulator is told of a register.
func TestEnergyOfARegister(t *testing.T) {
	for keys, want := range map[string]energy.Register{
		"registers: {import: {address: 1, type: uint32, unit: kWh, scale: 0.01}}": {Measure: energy.Import, Modulus: 1 << 32 * 10, MaxPower: Unrated, Step: 10},
		"registers: {export: {address: 1, type: float64, unit: MJ}}":              {Measure: energy.Export, MaxPower: Unrated, Step: 278, Mantissa: 53},
		"template: eastron-sdm120, measures: [import]":                            {Measure: energy.Import, MaxPower: 45 * 230 * 132 / 100, Step: 1000, Mantissa: 24},
		"registers: {gas: {address: 1, type: uint16, unit: pulse, pulse: 1 ft3}}": {Measure: energy.Gas, Modulus: 1_855_773, MaxPower: Unrated, Step: 29},
		"registers: {import: {address: 1, type: int32, unit: kW}}":                {Measure: energy.Import, MaxPower: Unrated, Step: 1000},
	} {
		m := parsed(t, head+"meters: [{id: m, bus: b, unit: 1, "+keys+"}]\n").Meters[0]
		if got := m.Registers[0].Energy(); got != want {
			t.Errorf("%s: %+v, want %+v", keys, got, want)
		}
	}
}

func TestSubstituteDefaults(t *testing.T) {
	m := parsed(t, one("    substitute: [profile, linear]\n    substitute_after: 0\n")).Meters[0]
	if !reflect.DeepEqual(m.Substitute, []string{"linear", "profile"}) || m.SubstituteAfter != 0 {
		t.Errorf("%v, %v: want them in the order in which they are tried", m.Substitute, m.SubstituteAfter)
	}
	if m = parsed(t, one("")).Meters[0]; m.Substitute != nil || m.SubstituteAfter != 0 {
		t.Errorf("nothing was allowed: %v, %v", m.Substitute, m.SubstituteAfter)
	}
	if m = parsed(t, one("    substitute: [linear]\n")).Meters[0]; m.SubstituteAfter != DefaultSubstituteAfter {
		t.Errorf("by default after %v", m.SubstituteAfter)
	}
}

// Virtual meters may be made of virtual meters, in any order of the file, and
// measure what all that they are made of do.
func TestVirtualMeasures(t *testing.T) {
	c := parsed(t, head+`meters:
  - {id: all, virtual: {sum: [both, gone]}}
  - {id: both, virtual: {sum: [main, shop]}}
  - {id: gone, virtual: {of: main, share: 1/3, method: NumberOfOccupants}}
  - {id: only, measures: [export], virtual: {of: main, minus: [shop], tolerance: 2.5%}}
  - {id: main, bus: b, unit: 1, template: eastron-sdm630, measures: [import, export, reactive-import]}
  - {id: shop, bus: b, unit: 2, template: eastron-sdm630}
  - {id: meter-of-gas, bus: b, unit: 3, registers: {gas: {address: 1, type: uint32, unit: m3}}}
  - {id: flat, virtual: {of: meter-of-gas, share: 12.5 %, method: Other}, validate: {V05: {energy: 3 m3}, V16: off}}
`)
	for id, want := range map[string]string{"all": "[import export]", "both": "[import export]", "gone": "[import export reactive-import]", "only": "[export]", "flat": "[gas]"} {
		if got := fmt.Sprint(meter(t, c, id).Measures()); got != want {
			t.Errorf("%s: %s, want %s", id, got, want)
		}
	}
	flat := meter(t, c, "flat")
	if o := c.Validation(flat, energy.Gas); flat.Type() != "gas" || o.MaxEnergy != 3000 || !o.Off.Has(16) {
		t.Errorf("%+v %+v", flat, o)
	}
	if got := meter(t, c, "only").Virtual.Tolerance.PerMille; got != 25 {
		t.Errorf("tolerance %d", got)
	}
	if got := meter(t, c, "gone").Virtual.Shares[0].Part; got != (virtual.Part{Num: 1, Den: 3}) {
		t.Errorf("a third is %v", got)
	}
}

// Both sides of what a tolerance and a modulus may be.
func TestBounds(t *testing.T) {
	for tolerance, ok := range map[string]bool{"0": false, "0%": false, "0.1": true, "100%": true, "100.1%": false} {
		_, err := Parse("x", []byte(siteOf3+"  - {id: v, virtual: {of: main, minus: [shop], tolerance: "+tolerance+"}}\n"))
		if (err == nil) != ok {
			t.Errorf("tolerance %s: %v", tolerance, err)
		}
	}
	for modulus, ok := range map[string]bool{"1": false, "2": true, "4294967296": true, "4294967297": false} {
		_, err := Parse("x", []byte(strings.Replace(one(""), "kWh}", "kWh, modulus: "+modulus+"}", 1)))
		if (err == nil) != ok {
			t.Errorf("modulus %s: %v", modulus, err)
		}
	}
}

// Years from 2000 to 2199: what lies outside is a slip.
func TestYears(t *testing.T) {
	for at, ok := range map[string]bool{"2000-01-01T00:00Z": true, "1999-12-31T23:59Z": false, "2199-12-31T23:59:59Z": true, "2200-01-01T00:00Z": false, "2026-02-29T00:00Z": false, "2026-03-04T10:20": false} {
		_, err := Parse("x", []byte(one("    exchanges: [{at: "+at+", import: {closing: 1, opening: 0}}]\n")))
		if (err == nil) != ok {
			t.Errorf("exchange at %s: %v", at, err)
		}
	}
	for day, ok := range map[string]bool{"2000-01-01": true, "1999-12-31": false, "2199-12-31": true, "2200-01-01": false} {
		_, err := Parse("x", []byte(siteOf3+"  - {id: v, virtual: {of: main, method: Other, shares: [{from: "+day+", share: 1}]}}\n"))
		if (err == nil) != ok {
			t.Errorf("share from %s: %v", day, err)
		}
	}
}

// A value that stands for none is written as its bits, or below 0 where the type has a sign.
func TestInvalidValues(t *testing.T) {
	c := parsed(t, head+`meters:
  - id: m
    bus: b
    unit: 1
    registers:
      import: {address: 1, type: int16, unit: Wh, invalid: [-32768, -1, 0x7FFF, 9999]}
      export: {address: 3, type: uint64, unit: Wh, invalid: [0xFFFFFFFFFFFFFFFE]}
      reactive-import: {address: 7, type: int64, unit: varh, invalid: [-1]}
`)
	for i, want := range [][]uint64{{0x8000, 0xFFFF, 0x7FFF, 9999}, {1<<64 - 2}, {1<<64 - 1}} {
		if got := c.Meters[0].Registers[i].Invalid; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %x, want %x", c.Meters[0].Registers[i].Measure, got, want)
		}
	}
}
