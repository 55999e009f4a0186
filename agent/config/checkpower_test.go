package config

import (
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/energy"
)

func TestCheckPower(t *testing.T) {
	c := parsed(t, one("    check_power: {address: 0x34, table: input, type: float32, unit: kW}\n"))
	p := c.Meters[0].CheckPower
	if p == nil || !p.Power || p.Point.Measure != energy.Import || p.Address != 0x34 || p.Table != "input" || p.Unit != "kW" || len(c.Meters[0].Registers) != 1 {
		t.Fatalf("%+v", p)
	}
	// The same transformers stand before the power as before the totals.
	c = parsed(t, one("    ct: 200/5\n    check_power: {address: 0x34, type: int32, unit: W}\n"))
	if f, err := c.Meters[0].CheckPower.Transformers(); err != nil || f.RatString() != "40" {
		t.Errorf("%v %v", f, err)
	}
	if m := parsed(t, one("")).Meters[0]; m.CheckPower != nil {
		t.Error("there is none")
	}
	heard := parsed(t, "site: {name: A}\nbuses: [{id: b, driver: mqtt, url: \"mqtt://h\", format: udmi}]\nmeters:\n  - {id: m, bus: b, device: D, points: {import: {point: total, unit: kWh}}, check_power: {point: load, unit: kW}}\n").Meters[0]
	if p := heard.CheckPower; p == nil || p.Heard == nil || p.Heard.Name != "load" || !p.Heard.Power || p.Heard.UnitName != "kW" {
		t.Errorf("%+v", p)
	}
}

func TestCheckPowerMistakes(t *testing.T) {
	for _, c := range []struct{ file, want string }{
		{one("    check_power: {address: 0x34, type: int32, unit: Wh}\n"), "meter m: check_power: it is held against the totals, and must be a power: unit: W or kW"},
		{one("    check_power: {address: 0x34, type: int32, unit: kvar}\n"), "unit"},
		{one("    check_power: {type: int32, unit: W}\n"), "meter m: check_power: address is missing"},
		{one("    check_power: {address: 1, type: int32, unit: W, addres: 1}\n"), `unknown key "addres"`},
		{gasMeter("    check_power: {address: 0x34, type: int32, unit: W}\n"), "meter m: check_power: this meter has no total of active energy that it could be held against: leave it out"},
		{"site: {name: A}\nbuses: [{id: b, driver: dcc, url: \"mqtts://h\", format: glow}]\nmeters:\n  - {id: m, bus: b, measures: [import], check_power: {unit: W}}\n", "a feed of driver dcc has no other points: leave it out"},
		{"site: {name: A}\nbuses: [{id: b, driver: mqtt, url: \"mqtt://h\", format: udmi}]\nmeters:\n  - {id: m, bus: b, device: D, points: {import: {point: total, unit: kWh}}, check_power: {point: load, unit: kWh}}\n", "must be a power"},
		{"site: {name: A}\nbuses: [{id: b, driver: modbus, url: \"tcp://h\"}]\nmeters:\n  - {id: m, bus: b, unit: 1, registers: {import: {address: 0, type: int32, unit: W}}, check_power: {address: 2, type: int32, unit: W}}\n", "this meter has no total of active energy"},
	} {
		if _, err := Parse("f.yaml", []byte(c.file)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s\nsaid: %v\nwant: %s", c.file, err, c.want)
		}
	}
}
