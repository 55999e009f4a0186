package site

import (
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/drivers/modbus"
	"github.com/perseus-edge/perseus-edge/energy"
)

// netFlow is what flows into a meter, in W: what it imports less what it exports.
func netFlow(src *source) (watts int64) {
	for _, r := range src.registers {
		switch r.cfg.Measure {
		case energy.Import, energy.Generation:
			watts += 2 * r.load.HalfHour(noon.Truncate(energy.Period))
		case energy.Export:
			watts -= 2 * r.load.HalfHour(noon.Truncate(energy.Period))
		}
	}
	return watts
}

// The power to check by is that of the totals beside it: read through the
// driver, import positive, in the type, order, scale and sign of the file.
func TestCheckPower(t *testing.T) {
	s := play(t, Options{Text: []byte(`site: {name: Power}
buses: [{id: b, driver: modbus, url: "tcp://h", timeout: 20s}]
meters:
  - {id: float, bus: b, unit: 1, template: eastron-sdm630, check_power: {address: 0x0034, table: input, type: float32, unit: W}}
  - {id: taker, bus: b, unit: 2, template: eastron-sdm630, measures: [import], check_power: {address: 0x0034, table: input, type: float32, order: CDAB, unit: kW}}
  - {id: giver, bus: b, unit: 3, template: eastron-sdm630, measures: [export], check_power: {address: 0x0100, type: int32, unit: W, scale: 0.1}}
  - {id: turned, bus: b, unit: 4, template: eastron-sdm630, measures: [export], check_power: {address: 0x0100, type: int16, unit: W, scale: -1}}
  - {id: unsigned, bus: b, unit: 5, template: eastron-sdm630, measures: [export], check_power: {address: 0x0100, type: uint16, unit: W}}
`)})
	b := s.buses[0]
	driver := openChecked(t, s, b)
	until(t, "the meters", func() error { _, err := driver.Poll(t.Context(), 0, nil); return err })
	gives := false
	for i, src := range b.sources {
		got, err := driver.Poll(t.Context(), i, nil)
		if err != nil || len(got) != len(src.registers)+1 {
			t.Errorf("%s: %d readings, %v", src.meter.ID, len(got), err)
			continue
		}
		want := netFlow(src)
		gives = gives || want < 0
		if src.meter.ID == "unsigned" { // such a register cannot say that energy flows out
			want = 0
		}
		for _, r := range got {
			if r.Point == len(src.registers) && (r.Err != nil || r.Sample.Value != want) {
				t.Errorf("%s: %d W, %v; its totals count %d W", src.meter.ID, r.Sample.Value, r.Err, want)
			}
		}
	}
	if !gives {
		t.Error("no meter exports at noon: nothing here tells the sign")
	}
}

// openChecked is open, with each meter's power after its registers, as the
// agent asks for it.
func openChecked(t *testing.T, s *Site, b *bus) *modbus.Bus {
	t.Helper()
	cfg := modbus.Config{URL: b.at.url, Timeout: b.cfg.Timeout, Now: s.opt.Now}
	for _, src := range b.sources {
		d := modbus.Device{Meter: src.meter.ID, Unit: src.meter.Unit}
		for _, r := range src.meter.Registers {
			d.Points = append(d.Points, r.Point)
		}
		d.Points = append(d.Points, src.meter.CheckPower.Point)
		cfg.Devices = append(cfg.Devices, d)
	}
	bus, err := modbus.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bus.Close() })
	return bus
}

// A source that speaks by itself says its power beside its totals, and the
// truth has the totals alone.
func TestCheckPowerSpoken(t *testing.T) {
	s, err := New(Options{Text: []byte(`site: {name: Power}
buses: [{id: bms, driver: mqtt, url: "mqtt://h", format: json}]
meters:
  - {id: em, bus: bms, device: em, points: {export: {topic: "p/{device}", value: kwh, unit: kWh}}, check_power: {topic: "p/{device}", value: kw, unit: kW, scale: -1}}
`), Dir: t.TempDir(), PortBase: 18500, Now: func() time.Time { return noon }})
	if err != nil {
		t.Fatal(err)
	}
	src := s.buses[0].sources[0]
	got := src.report(noon)
	want := new(big.Rat).Quo(big.NewRat(-netFlow(src), 1), big.NewRat(1000, 1))
	if len(got.values) != 2 || got.values[1].number.Cmp(want) != 0 || want.Sign() <= 0 {
		t.Errorf("%d values, the power %v kW, want %s", len(got.values), got.values[len(got.values)-1].number, want.FloatString(3))
	}
	f, err := newJSON(s.buses[0].sources)
	if err != nil {
		t.Fatal(err)
	}
	if out := f.messages(got); len(out) != 1 || !strings.Contains(string(out[0].payload), `"kw":`) || !strings.Contains(string(out[0].payload), `"kwh":`) {
		t.Errorf("what has one topic comes in one message, not %v", out)
	}
	var truth strings.Builder
	s.start = noon.Add(-2 * time.Hour)
	s.periods(&truth, s.start.Truncate(energy.Period))
	if !strings.Contains(truth.String(), "em,export,") || strings.Contains(truth.String(), "em,import,") {
		t.Errorf("the truth has what is never counted:\n%s", truth.String())
	}
}
