package site

import (
	"testing"
)

// An inverter with two meters in its map, at one unit, as the installer's guide
// has it: each is read through the driver, and shows its own.
func TestInverterWithItsMeters(t *testing.T) {
	s := play(t, Options{Text: []byte(`site: {name: Sun}
buses: [{id: roof, driver: modbus, url: "tcp://h", timeout: 20s}]
meters:
  - {id: heat-pump, bus: roof, unit: 1, template: sunspec-meter, part: 2}
  - {id: pv, bus: roof, unit: 1, template: sunspec-inverter}
  - {id: grid, bus: roof, unit: 1, template: sunspec-meter}
`)})
	b := s.buses[0]
	driver := open(t, s, b)
	until(t, "the device", func() error { _, err := driver.Poll(t.Context(), 0, nil); return err })
	for i, src := range b.sources {
		got, err := driver.Poll(t.Context(), i, nil)
		if err != nil || len(got) != len(src.registers) {
			t.Errorf("%s: %d readings, %v", src.meter.ID, len(got), err)
			continue
		}
		for _, r := range got {
			reg := src.registers[r.Point]
			if want := reg.flowed(noon); r.Err != nil || r.Sample.Value != want {
				t.Errorf("%s %s: %d, %v; the meter counted %d", src.meter.ID, reg.cfg.Measure, r.Sample.Value, r.Err, want)
			}
		}
	}
}
