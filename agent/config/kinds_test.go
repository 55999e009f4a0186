package config

import (
	"fmt"
	"testing"

	"github.com/perseus-edge/perseus-edge/energy"
)

func kindMeter(measure, unit, keys string) string {
	return head + fmt.Sprintf("meters: [{id: m, bus: b, unit: 1, registers: {%s: {address: 1, type: uint32, unit: %s}}%s}]\n", measure, unit, keys)
}

// A heat meter is rated by its power, a water meter by its flow; what belongs
// to another kind is refused, and neither is sent to the relay.
func TestKindsOfMeters(t *testing.T) {
	for _, c := range []struct {
		measure, unit, keys string
		kind                string
		maxPower, maxHalf   int64
		sent                int
	}{
		{"heat", "MWh", "", "heat", Unrated, 0, 0},
		{"heat", "GJ", ", rating: {kw: 100}", "heat", 200_000, 60_000, 0},
		{"cooling", "kWh", ", rating: {kw: 0.5}", "heat", 1_000, 300, 0},
		{"water", "m3", ", rating: {qmax: 5}", "water", 6_000, 2_750, 0},
		{"water", "L", "", "water", Unrated, 0, 0},
		{"generation", "kWh", ", rating: {amps: 16}", "electricity", 14_632, 6_651, 0},
		{"export", "kWh", "", "electricity", Unrated, 0, 1},
		{"gas", "m3", "", "gas", Unrated, 0, 1},
	} {
		m := parsed(t, kindMeter(c.measure, c.unit, c.keys)).Meters[0]
		r := m.Registers[0]
		if m.Type() != c.kind || r.MaxPower != c.maxPower || r.MaxEnergy != c.maxHalf || len(m.Sent()) != c.sent || r.Measure.String() != c.measure {
			t.Errorf("%s %s: %s %+v, %d sent", c.measure, c.keys, m.Type(), r, len(m.Sent()))
		}
	}
	for _, file := range []string{
		kindMeter("heat", "m3", ""), kindMeter("water", "kWh", ""), kindMeter("water", "kW", ""),
		kindMeter("heat", "kWh", ", rating: {amps: 5}"), kindMeter("heat", "kWh", ", rating: {qmax: 5}"), kindMeter("water", "m3", ", rating: {kw: 5}"),
		kindMeter("import", "kWh", ", rating: {kw: 5}"), kindMeter("gas", "m3", ", rating: {kw: 5}"), kindMeter("heat", "kWh", ", ct: 200/5"),
		kindMeter("water", "m3", ", vt: 11000/110"), kindMeter("heat", "kWh", ", mpan: \"2000027391990\""), kindMeter("water", "m3", ", zone: NT"),
		kindMeter("water", "m3", ", vcf: 1.02"), kindMeter("heat", "kWh", ", corrected: true"), kindMeter("generation", "kWh", ", mprn: 3938424403"),
		head + "meters: [{id: m, bus: b, unit: 1, registers: {heat: {address: 1, type: uint32, unit: kWh}, water: {address: 3, type: uint32, unit: m3}}}]\n",
	} {
		if _, err := Parse("x", []byte(file)); err == nil {
			t.Errorf("taken as correct:\n%s", file)
		}
	}
	if m := parsed(t, head+"meters: [{id: m, bus: b, unit: 1, registers: {heat: {address: 1, type: uint32, unit: kWh}, cooling: {address: 3, type: uint32, unit: kWh}}}]\n").Meters[0]; len(m.Measures()) != 2 || m.Measures()[1] != energy.Cooling {
		t.Errorf("%v", m.Measures())
	}
}
