package site

import (
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/scan"
	"github.com/perseus-edge/perseus-edge/drivers/modbus"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/sim/fault"
)

const signed = `site: {name: Signs}
buses: [{id: b, driver: modbus, url: "tcp://h", timeout: 20s}]
meters:
  - {id: float, bus: b, unit: 1, template: eastron-sdm630}
  - {id: whole, bus: b, unit: 2, template: abb-b24, ct: "200/5", measures: [import]}
  - {id: text, bus: b, unit: 3, template: schneider-iem3155, measures: [export]}
`

// live reads through the driver what each meter shows of its power and its
// phases, in W, with its transformers.
func live(t *testing.T, s *Site) (out map[string][]int64) {
	t.Helper()
	signs, err := scan.AllSigns()
	if err != nil {
		t.Fatal(err)
	}
	b := s.buses[0]
	cfg := modbus.Config{URL: b.at.url, Timeout: b.cfg.Timeout, Now: s.opt.Now}
	for _, src := range b.sources {
		is := signs[src.meter.Template]
		d := modbus.Device{Meter: src.meter.ID, Unit: src.meter.Unit, Points: append([]modbus.Point{*is.Power}, is.Phases...)}
		for i := range d.Points {
			d.Points[i].CT, d.Points[i].Primary = src.meter.CT, src.meter.Primary
		}
		cfg.Devices = append(cfg.Devices, d)
	}
	driver, err := modbus.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer driver.Close()
	out = map[string][]int64{}
	for i, src := range b.sources {
		got, err := driver.Poll(t.Context(), i, nil)
		if err != nil || len(got) != 4 {
			t.Fatalf("%s: %d answers, %v", src.meter.ID, len(got), err)
		}
		watts := make([]int64, len(got))
		for _, r := range got {
			if r.Err != nil {
				t.Errorf("%s: %v", src.meter.ID, r.Err)
			}
			watts[r.Point] = r.Sample.Value
		}
		out[src.meter.ID] = watts
	}
	return out
}

// The power is that of the totals, and the phases add up to it.
func TestSigns(t *testing.T) {
	s := play(t, Options{Text: []byte(signed)})
	got := live(t, s)
	for _, src := range s.buses[0].sources {
		want, w := netFlow(src), got[src.meter.ID]
		sum := w[1] + w[2] + w[3]
		if apart(w[0], want) || want == 0 {
			t.Errorf("%s: %d W, its totals count %d W", src.meter.ID, w[0], want)
		}
		if apart(sum, w[0]) {
			t.Errorf("%s: the phases %v add up to %d W, the power is %d W", src.meter.ID, w[1:], sum, w[0])
		}
		for _, phase := range w[1:] {
			if phase > 0 != (want > 0) {
				t.Errorf("%s: a phase has %d W of %d W", src.meter.ID, phase, want)
			}
		}
	}
}

// apart reports whether two powers are further apart than rounding to watts
// behind transformers of 40 makes.
func apart(a, b int64) bool { return a-b > 5 || b-a > 5 }

// A current transformer that is turned round: the phase runs out, the meter's
// power is what its phases add up to, and its totals count so much less while
// it lasts. What really flowed is another matter.
func TestReversed(t *testing.T) {
	var faults fault.List
	if err := faults.Set("reversed@10m+10m"); err != nil {
		t.Fatal(err)
	}
	began := noon.Truncate(energy.Period) // within one half-hour the load is even
	s := play(t, Options{Text: []byte(signed), Faults: faults, Now: func() time.Time { return began }})
	for _, c := range []struct {
		after  time.Duration
		turned bool
	}{{0, false}, {9*time.Minute + 59*time.Second, false}, {10 * time.Minute, true}, {19 * time.Minute, true}, {20 * time.Minute, false}} {
		for _, src := range s.buses[0].sources {
			at := began.Add(c.after)
			whole := netFlow(src)
			want := whole
			if c.turned {
				want = whole * 30 / 100
			}
			if got := src.signs[len(src.signs)-4].power(at); apart(got, want) {
				t.Errorf("%s after %v: %d W, want %d W", src.meter.ID, c.after, got, want)
			}
			second, _ := src.signs[len(src.signs)-2].shows(at).Float64()
			if (second > 0) == (whole > 0) == c.turned {
				t.Errorf("%s after %v: phase 2 has %v W of %d W", src.meter.ID, c.after, second, whole)
			}
		}
	}
	for _, src := range s.buses[0].sources {
		for _, r := range src.registers {
			full := r.flows(began) / 6 // of ten minutes
			for _, c := range []struct {
				from, to time.Duration
				want     int64
			}{{0, 10 * time.Minute, full}, {10 * time.Minute, 20 * time.Minute, full * 30 / 100}, {20 * time.Minute, 30 * time.Minute, full}} {
				if got := r.total(began.Add(c.to)) - r.total(began.Add(c.from)); apart(got, c.want) {
					t.Errorf("%s %s: counted %d from %v to %v, want %d", src.meter.ID, r.cfg.Measure, got, c.from, c.to, c.want)
				}
			}
			if got := r.flowed(began.Add(20*time.Minute)) - r.flowed(began); apart(got, 2*full) {
				t.Errorf("%s %s: %d flowed, want %d", src.meter.ID, r.cfg.Measure, got, 2*full)
			}
		}
	}
}

// Where no meter shows its phases nothing can be turned round that anybody
// would see.
func TestReversedNeedsPhases(t *testing.T) {
	var faults fault.List
	if err := faults.Set("reversed@0s+10m"); err != nil {
		t.Fatal(err)
	}
	_, err := New(Options{Text: []byte(`site: {name: One}
buses: [{id: b, driver: modbus, url: "tcp://h"}]
meters: [{id: m, bus: b, unit: 1, template: eastron-sdm120}]
`), Dir: t.TempDir(), PortBase: 18500, Faults: faults, Now: func() time.Time { return noon }})
	if err == nil {
		t.Error("a single-phase meter plays it")
	}
}

// Water and heat have no such signs.
func TestNoSigns(t *testing.T) {
	s, err := New(Options{Text: []byte(`site: {name: One}
buses: [{id: b, driver: modbus, url: "tcp://h"}]
meters: [{id: m, bus: b, unit: 1, registers: {import: {address: 0, type: uint32, unit: Wh}}}]
`), Dir: t.TempDir(), PortBase: 18500, Now: func() time.Time { return noon }})
	if err != nil {
		t.Fatal(err)
	}
	if src := s.buses[0].sources[0]; len(src.signs) != 0 || src.registers[0].cfg.Measure != energy.Import {
		t.Errorf("%+v", src)
	}
}
