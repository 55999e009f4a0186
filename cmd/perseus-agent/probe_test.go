package main

import (
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/drivers/modbus"
	"github.com/perseus-edge/perseus-edge/energy"
)

func TestSuspicious(t *testing.T) {
	r := config.Register{Point: modbus.Point{Measure: energy.Import, Type: "float32", Unit: "kWh"}, MaxPower: 70_000}
	for _, c := range []struct {
		raw  uint64
		v    int64
		want string
	}{
		{0x468F4C41, 18_342_127, ""},
		{0, 0, "zero: is the meter new?"},
		{0x00004148, 0, "is order ABCD right?"},
		{1, 70_000*24*365*30 + 1, "more than such a meter counts"},
	} {
		if got := suspicious(r, c.raw, c.v); (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%#x, %d: %q, want %q", c.raw, c.v, got, c.want)
		}
	}
}

func TestOddPower(t *testing.T) {
	r := config.Register{Point: modbus.Point{Measure: energy.Import, Type: "int32", Unit: "W"}, Power: true, MaxPower: 70_000}
	for v, odd := range map[int64]bool{0: false, 70_000: false, -70_000: false, 70_001: true, -70_001: true} {
		if got := oddPower(r, v); (got != "") != odd {
			t.Errorf("%d W: %q", v, got)
		}
	}
}

func TestCoarse(t *testing.T) {
	whole := modbus.Point{Measure: energy.Import, Type: "uint32", Unit: "kWh"}
	short := modbus.Point{Measure: energy.Import, Type: "float32", Unit: "kWh"}
	for _, c := range []struct {
		r    config.Register
		v    int64
		want string
	}{
		{config.Register{Point: whole, MaxPower: 91_452}, 5_000, "it counts in steps of 1.0 kWh here"},
		{config.Register{Point: whole, MaxPower: 2_000_000}, 5_000, ""},
		{config.Register{Point: whole, MaxPower: 1_999_999}, 5_000, "it counts in steps of 1.0 kWh"},
		{config.Register{Point: whole}, 5_000, ""},
		{config.Register{Point: short, MaxPower: 91_452, Mantissa: 24}, 100_000_000, ""},
		{config.Register{Point: short, MaxPower: 91_452, Mantissa: 24}, 524_288_000, "as a float32 it counts in steps of 63 Wh here"},
		{config.Register{Point: modbus.Point{Measure: energy.Import, Type: "uint32", Unit: "Wh"}, MaxPower: 1}, 1, ""},
	} {
		if got := coarse(c.r, c.v); (c.want == "") != (got == "") || !strings.HasPrefix(got, c.want) {
			t.Errorf("%+v at %d: %q, want %q", c.r, c.v, got, c.want)
		}
	}
}

func TestIdentified(t *testing.T) {
	for _, c := range []struct {
		known, said, looks, want string
	}{
		{"", "7", "", ""},
		{"7", "7", "", ""},
		{"7", "", "", ""},
		{"7", "8", "", "the meter says that its serial number is 8, the configuration 7"},
		{"7", "8", "worse", "worse"},
	} {
		rows := []probed{{Looks: c.looks}, {}}
		if identified(config.Meter{Serial: c.known}, c.said, rows); rows[0].Looks != c.want || rows[1].Looks != "" || rows[1].Serial != c.said {
			t.Errorf("%+v: %+v", c, rows)
		}
	}
	identified(config.Meter{Serial: "7"}, "8", nil)
}

// Power is shown in watts, with its sign, and is not compared with totals.
func TestProbedPower(t *testing.T) {
	m := config.Meter{ID: "solar", Registers: []config.Register{
		{Point: modbus.Point{Measure: energy.Import, Type: "int32", Unit: "W"}, Power: true, MaxPower: 70_000},
		{Point: modbus.Point{Measure: energy.Export, Type: "int32", Unit: "W"}, Power: true, MaxPower: 70_000},
		{Point: modbus.Point{Measure: energy.ReactiveImport, Type: "int32", Unit: "var"}, Power: true, MaxPower: 70_000},
	}}
	rows := probedMeter(config.Bus{ID: "b"}, m, []drivers.Reading{
		{Point: 0, Sample: energy.Sample{Value: -1234}, Raw: 1}, {Point: 1, Sample: energy.Sample{Value: -1234}, Raw: 1}, {Point: 2, Sample: energy.Sample{Value: 70_001}, Raw: 1},
	}, nil)
	var b strings.Builder
	rows[0].Serial = "S1"
	if err := printProbe(&b, "table", rows, nil); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(b.String(), "\n")
	for i, want := range []string{"-1.234 kW serial number S1", "-1.234 kW", "70.001 kvar more than this connection carries"} {
		if got := strings.Join(strings.Fields(lines[i+1]), " "); !strings.Contains(strings.Replace(got, " 0s", "", 1), want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if rows[0].Looks != "" || rows[1].Looks != "" || rows[0].UnitCode != "WTT" || rows[2].UnitCode != "D44" {
		t.Errorf("%+v", rows)
	}
}

// What cannot be is not hidden by what is worth a look: a coarse register that
// leaps between the two readings.
func TestALeapIsSaidFirst(t *testing.T) {
	at := time.Date(2026, 3, 3, 12, 0, 0, 0, time.UTC)
	read := func(value int64, at time.Time) []drivers.Reading {
		return []drivers.Reading{{Sample: energy.Sample{At: at, Value: value}, Raw: uint64(value / 100)}}
	}
	reg := config.Register{Point: modbus.Point{Measure: energy.Import, Type: "uint32", Unit: "Wh"}, MaxPower: 69_000}
	for name, c := range map[string]struct{ first, second int64 }{
		"from 0": {0, 49_315_100}, "up": {100_000, 49_315_100}, "down": {49_315_100, 100_000},
	} {
		pt := &patient{meter: config.Meter{ID: "main", Registers: []config.Register{reg}}, rows: []probed{{Looks: "it counts in steps"}},
			first: read(c.first, at), second: read(c.second, at.Add(5*time.Second))}
		(&prober{}).judge([]*patient{pt})
		if got := pt.rows[0].Looks; !strings.HasPrefix(got, "it ") || !strings.Contains(got, " in 5s: ") || !strings.HasSuffix(got, "; it counts in steps") {
			t.Errorf("%s: %q", name, got)
		}
	}
}
