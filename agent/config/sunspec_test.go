package config

import (
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/drivers/modbus"
	"github.com/perseus-edge/perseus-edge/drivers/modbus/sunspec"
	"github.com/perseus-edge/perseus-edge/energy"
)

func sunMeter(id, template, keys string) string {
	return "  - {id: " + id + ", bus: b, unit: 1, template: sunspec-" + template + keys + "}\n"
}

// An inverter and two meters in one map, each read once.
func TestSunSpecMeters(t *testing.T) {
	c := parsed(t, head+"meters:\n"+sunMeter("pv", "inverter", "")+sunMeter("grid", "meter", "")+sunMeter("shed", "meter", ", part: 2, measures: [import], ct: 200/5"))
	pv, grid, shed := c.Meters[0], c.Meters[1], c.Meters[2]
	if r := pv.Registers; len(r) != 1 || r[0].Measure != energy.Generation || !r[0].Learnt || r[0].Type != modbus.TypeSunSpec || *pv.SunSpec != (modbus.SunSpec{Kind: sunspec.Inverter, Part: 1}) || len(pv.Sent()) != 0 {
		t.Errorf("%+v %+v", pv, pv.SunSpec)
	}
	if r := grid.Registers; len(r) != 2 || r[1].Measure != energy.Export || r[0].Modulus != 0 || r[0].Energy() != (energy.Register{Measure: energy.Import, MaxPower: Unrated, Step: 1, Learnt: true}) {
		t.Errorf("%+v", grid)
	}
	if *shed.SunSpec != (modbus.SunSpec{Kind: sunspec.Meter, Part: 2}) || !shed.Primary || shed.Registers[0].MaxPower != 182_904 {
		t.Errorf("%+v %+v", shed, shed.SunSpec)
	}
	x := parsed(t, head+"meters:\n"+sunMeter("pv", "inverter", ", exchanges: [{at: 2026-03-04T10:20Z, generation: {closing: 12.5 MWh, opening: 70}}]")).Meters[0].Exchanges[0].Reads[0]
	if x != (ExchangeRead{energy.Generation, 12_500_000, 70}) {
		t.Errorf("%+v", x)
	}
	for file, want := range map[string]string{
		sunMeter("a", "meter", "") + sunMeter("b", "meter", ""):                                              "import at this unit is already read as meter a (import): it would be counted twice",
		sunMeter("a", "meter", ", part: 0"):                                                                  "part: 0 is out of range: 1 to 32",
		sunMeter("a", "meter", ", ct: 200/5, primary: false"):                                                "",
		sunMeter("a", "meter", ", serial_register: {address: 1, type: uint32}"):                              "a SunSpec device is read by what it says itself: leave serial_register out",
		sunMeter("a", "inverter", ", measures: [export]"):                                                    "unknown \"export\": use generation",
		"  - {id: a, bus: b, unit: 1, template: eastron-sdm630, part: 2}\n":                                  "part is for template: sunspec-meter or sunspec-inverter",
		"  - {id: a, bus: b, unit: 1, part: 2, registers: {import: {address: 1, type: uint32, unit: Wh}}}\n": "part is for template: sunspec-meter or sunspec-inverter",
		"  - {id: a, bus: b, unit: 1, registers: {import: {type: sunspec, address: 1, unit: Wh}}}\n":         "unknown \"sunspec\"",
	} {
		_, err := Parse("x", []byte(head+"meters:\n"+file))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", file, err, want)
		}
	}
}
